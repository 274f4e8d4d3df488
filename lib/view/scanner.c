/* SPDX-License-Identifier: BSD-2-Clause */
/* scanner.c - going round the live ledgers, measuring each from outside, and writing sidecars. */
#include "config.h"

#include "base/arith.h"
#include "base/sys.h"
#include "ullage/view.h"
#include "view/file.h"
#include "view/measure.h"
#include "view/process.h"
#include "view/sidecar.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum { CURSORS_MAX = 64 };
/* Our choice: of a second, so that with its bookkeeping a scanner takes about a hundredth of a core. */
#define BUSY_NS UINT64_C(3000000)
#define BUSY_LEAST_NS UINT64_C(300000)

struct ullage_scanner {
    bool any_run;
    char run_id[ULL_RUN_ID_BYTES];
    struct cursor {
        uint64_t made_unix_ns, at;
        bool seen; /* measured once already */
    } cursors[CURSORS_MAX]; /* where a ledger's last pass stopped; by its time of making, which is unique enough */
};

int ullage_scanner_create(struct ullage_scanner **out, const char *run_id)
{
    struct ullage_scanner *scanner = calloc(1, sizeof *scanner);
    if (scanner == NULL)
        return -ENOMEM;
    scanner->any_run = run_id == NULL;
    if (run_id != NULL)
        strncpy(scanner->run_id, run_id, sizeof scanner->run_id - 1);
    *out = scanner;
    return 0;
}

void ullage_scanner_destroy(struct ullage_scanner *scanner)
{
    free(scanner);
}

static struct cursor *cursor_of(struct ullage_scanner *scanner, uint64_t made_unix_ns)
{
    unsigned slot = (unsigned)(made_unix_ns % CURSORS_MAX);
    if (scanner->cursors[slot].made_unix_ns != made_unix_ns) {
        scanner->cursors[slot].made_unix_ns = made_unix_ns;
        scanner->cursors[slot].at = 0;
        scanner->cursors[slot].seen = false;
    }
    return &scanner->cursors[slot];
}

static bool is_ours(const struct ullage_scanner *scanner, const struct ullage_ledger_info *info)
{
    return scanner->any_run || strcmp(info->run_id, scanner->run_id) == 0;
}

/* The first pass over a ledger measures all it can; later ones share what a scanner may take of a core. */
static struct ull_measure_budget budget_for(const struct cursor *cursor, unsigned budget_ms, size_t live)
{
    struct ull_measure_budget budget = { (uint64_t)budget_ms * 1000000 / live, 0 };
    if (cursor->seen)
        budget.busy_ns = ull_max_u64(BUSY_NS / live, BUSY_LEAST_NS);
    return budget;
}

static int scan_ledger(struct ullage_scanner *scanner, const char *path, unsigned budget_ms, size_t live)
{
    struct ull_file file;
    struct ull_sidecar sidecar;
    char error[ULLAGE_ERROR_BYTES];
    int result = ull_file_open(&file, path, error);
    if (result != 0)
        return result;
    if (ull_sidecar_read(&sidecar, path, &file) != 0)
        ull_sidecar_init(&sidecar, &file);
    struct cursor *cursor = cursor_of(scanner, file.header.start_unix_ns);
    const struct ull_measure_budget budget = budget_for(cursor, budget_ms, live);
    result = ull_measure_live(&file, &sidecar, &budget, &cursor->at);
    cursor->seen = true;
    if (result >= 0)
        result = ull_sidecar_write(&sidecar, path);
    ull_sidecar_fini(&sidecar);
    ull_file_close(&file);
    return result;
}

int ullage_scanner_pass(struct ullage_scanner *scanner, unsigned budget_ms)
{
    struct ullage_ledger_info *list;
    size_t count, live = 0;
    int visited = 0, result = ullage_ledger_list_all(&list, &count);
    for (size_t i = 0; i < count; i++)
        live += is_ours(scanner, &list[i]) && list[i].state == ULLAGE_STATE_LIVE;
    for (size_t i = 0; i < count; i++)
        if (is_ours(scanner, &list[i]) && list[i].state == ULLAGE_STATE_LIVE
            && scan_ledger(scanner, list[i].path, budget_ms, live) >= 0)
            visited++;
    ullage_ledger_list_free(list);
    return result != 0 ? result : visited;
}

/* The newest ledger of that pid is its last image's. */
int ullage_scanner_ended(struct ullage_scanner *scanner, pid_t pid, int status)
{
    struct ullage_ledger_info *list;
    size_t count;
    int result = ullage_ledger_list_all(&list, &count);
    for (size_t i = 0; i < count; i++) {
        struct ull_file file;
        struct ull_sidecar sidecar;
        char error[ULLAGE_ERROR_BYTES];
        if (list[i].pid != pid || !is_ours(scanner, &list[i]))
            continue;
        result = ull_file_open(&file, list[i].path, error);
        if (result != 0)
            break;
        if (ull_sidecar_read(&sidecar, list[i].path, &file) != 0)
            ull_sidecar_init(&sidecar, &file);
        bool killed = WIFSIGNALED(status);
        sidecar.header.ended = killed ? ULL_SIDECAR_KILLED : ULL_SIDECAR_EXITED;
        sidecar.header.signal = killed ? (uint32_t)WTERMSIG(status) : 0;
        sidecar.header.exit_status = killed ? 0 : (uint32_t)WEXITSTATUS(status);
        sidecar.header.ended_monotonic_ns = ull_sys_monotonic_ns();
        result = ull_sidecar_write(&sidecar, list[i].path);
        ull_sidecar_fini(&sidecar);
        ull_file_close(&file);
        break;
    }
    ullage_ledger_list_free(list);
    return result;
}
