/* SPDX-License-Identifier: BSD-2-Clause */
/* list.c - the ledgers of a directory. */
#include "config.h"

#include "base/arith.h"
#include "base/directory.h"
#include "base/sys.h"
#include "ullage/view.h"
#include "view/clean.h"
#include "view/file.h"
#include "view/process.h"
#include "view/sidecar.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_Static_assert((int)ULLAGE_PATH_BYTES > (int)ULL_DIRECTORY_BYTES, "a chosen directory fits");

int ullage_directory(char *path)
{
    return ull_directory_choose(path);
}

int ullage_directory_make(char *path, char *error)
{
    int fd = ull_directory_choose(path);
    if (fd == 0)
        fd = ull_directory_open(path, true);
    if (fd < 0) {
        snprintf(error, ULLAGE_ERROR_BYTES, "%s", fd == -EPERM ? "it belongs to somebody else, or others may write to it"
                                                               : strerrordesc_np(-fd));
        return fd;
    }
    int result = faccessat(fd, ".", W_OK, AT_EACCESS) == 0 ? 0 : -errno;
    if (result != 0)
        snprintf(error, ULLAGE_ERROR_BYTES, "%s", strerrordesc_np(-result));
    ull_sys_close(fd);
    return result;
}

static void describe(struct ullage_ledger_info *info, const struct ull_file *file, const struct ull_process *process)
{
    const struct ull_ledger_header *header = &file->header;
    char command[ULL_COMMAND_BYTES];
    ull_clean_text(info->command, sizeof info->command, command, ull_file_command(file, command));
    ull_clean_text(info->run_id, sizeof info->run_id, header->run_id, strlen(header->run_id));
    info->pid = (pid_t)header->pid;
    info->parent_pid = (pid_t)header->parent_pid;
    info->state = process->state;
    info->made_unix_ns = header->start_unix_ns;
    info->started_unix_ns
        = header->process_start_unix_ns != 0 ? header->process_start_unix_ns : header->start_unix_ns;
    info->file_bytes = file->size;
    info->requested_live_bytes = ull_minus_clamped(header->counters[ULL_COUNTER_requested_bytes_total],
        header->counters[ULL_COUNTER_freed_bytes_total]);
    info->requested_peak_bytes
        = ull_max_u64(header->counters[ULL_COUNTER_live_peak_bytes], info->requested_live_bytes);
}

/* False: not a ledger that can be read. */
static bool look_at(struct ullage_ledger_info *info, const char *directory, const char *name)
{
    struct ull_file file;
    struct ull_sidecar sidecar;
    char error[ULLAGE_ERROR_BYTES];
    size_t length = strlen(name), suffix = strlen(ULL_LEDGER_SUFFIX);
    if (length <= suffix || strcmp(name + length - suffix, ULL_LEDGER_SUFFIX) != 0)
        return false;
    memset(info, 0, sizeof *info);
    if ((size_t)snprintf(info->path, sizeof info->path, "%s/%s", directory, name) >= sizeof info->path
        || ull_file_open(&file, info->path, error) != 0)
        return false;
    bool beside = ull_sidecar_read(&sidecar, info->path, &file.header) == 0;
    struct ull_process process = ull_process_judge(&file.header, beside ? &sidecar.header : NULL);
    describe(info, &file, &process);
    if (beside)
        ull_sidecar_fini(&sidecar);
    ull_file_close(&file);
    return true;
}

static int newest_first(const void *a, const void *b)
{
    const struct ullage_ledger_info *left = a, *right = b;
    if (left->made_unix_ns != right->made_unix_ns)
        return left->made_unix_ns > right->made_unix_ns ? -1 : 1;
    return left->pid > right->pid ? -1 : left->pid < right->pid;
}

static int read_entries(DIR *stream, const char *directory, struct ullage_ledger_info **list, size_t *count)
{
    size_t room = 0;
    for (const struct dirent *entry; (entry = readdir(stream)) != NULL;) {
        if (*count == room) {
            room = room == 0 ? 16 : room * 2;
            struct ullage_ledger_info *grown = reallocarray(*list, room, sizeof **list);
            if (grown == NULL)
                return -ENOMEM;
            *list = grown;
        }
        if (look_at(&(*list)[*count], directory, entry->d_name))
            (*count)++;
    }
    return 0;
}

int ullage_ledger_list(struct ullage_ledger_info **out, size_t *count, const char *directory)
{
    char chosen[ULL_DIRECTORY_BYTES];
    *out = NULL;
    *count = 0;
    if (directory == NULL) {
        int result = ull_directory_choose(chosen);
        if (result != 0)
            return result;
        directory = chosen;
    }
    int fd = ull_directory_open(directory, false);
    if (fd < 0)
        return fd == -ENOENT ? 0 : fd;
    DIR *stream = fdopendir(fd);
    if (stream == NULL) {
        ull_sys_close(fd);
        return -ENOMEM;
    }
    int result = read_entries(stream, directory, out, count);
    closedir(stream);
    if (result != 0 || *count == 0) {
        free(*out);
        *out = NULL;
        *count = 0;
        return result;
    }
    qsort(*out, *count, sizeof **out, newest_first);
    return 0;
}

void ullage_ledger_list_free(struct ullage_ledger_info *list)
{
    free(list);
}

/* Somebody runs `ullage run` whose report will want this ledger: a run id begins with that one's pid. */
static bool is_wanted(const struct ullage_ledger_info *info)
{
    char process[64];
    unsigned runner = 0;
    if (sscanf(info->run_id, "%x-", &runner) != 1 || runner == 0)
        return false;
    snprintf(process, sizeof process, "/proc/%u", runner);
    return access(process, F_OK) == 0;
}

/* What was killed in the few microseconds before its ledger had a name. */
static int prune_unfinished(const char *directory)
{
    char chosen[ULL_DIRECTORY_BYTES], process[64];
    int removed = 0;
    if (directory == NULL && ull_directory_choose(chosen) != 0)
        return 0;
    int fd = ull_directory_open(directory != NULL ? directory : chosen, false);
    DIR *stream = fd >= 0 ? fdopendir(fd) : NULL;
    for (const struct dirent *entry; stream != NULL && (entry = readdir(stream)) != NULL;) {
        size_t length = strlen(entry->d_name), suffix = strlen(ULL_MAKING_SUFFIX);
        snprintf(process, sizeof process, "/proc/%d", atoi(entry->d_name));
        if (length > suffix && strcmp(entry->d_name + length - suffix, ULL_MAKING_SUFFIX) == 0
            && access(process, F_OK) != 0 && unlinkat(dirfd(stream), entry->d_name, 0) == 0)
            removed++;
    }
    if (stream != NULL)
        closedir(stream);
    return removed;
}

int ullage_ledger_prune(const char *directory, size_t keep_count, uint64_t keep_bytes)
{
    struct ullage_ledger_info *list;
    size_t count, kept = 0;
    uint64_t kept_bytes = 0;
    int removed = 0, result = ullage_ledger_list(&list, &count, directory);
    for (size_t i = 0; result == 0 && i < count; i++) {
        char sidecar[ULLAGE_PATH_BYTES];
        kept++;
        kept_bytes += list[i].file_bytes;
        if (list[i].state == ULLAGE_STATE_LIVE || is_wanted(&list[i]) || (kept <= keep_count && kept_bytes <= keep_bytes))
            continue;
        if (unlink(list[i].path) == 0)
            removed++;
        if (ull_sidecar_path(sidecar, sizeof sidecar, list[i].path) == 0)
            (void)unlink(sidecar);
        kept--;
        kept_bytes -= list[i].file_bytes;
    }
    ullage_ledger_list_free(list);
    return result != 0 ? result : removed + prune_unfinished(directory);
}
