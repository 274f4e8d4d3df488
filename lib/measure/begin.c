/* SPDX-License-Identifier: BSD-2-Clause */
/* begin.c - options of the environment, and what a process is told of us. */
#include "config.h"

#include "measure/begin.h"

#include "base/arith.h"
#include "base/misuse.h"
#include "base/quantity.h"
#include "measure/guard.h"
#include "measure/jemalloc.h"
#include "measure/named.h"
#include "measure/stack.h"
#include "ullage/recording.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

/* Our choices: 1 MiB of libunwind's caches in somebody else's program, 4 MiB in one that asked for us. */
enum { FAST_THREADS_INTERPOSED = 4, FAST_THREADS_LINKED = 16 };

extern char **environ;

static uint64_t bytes_option(const char *name, uint64_t otherwise)
{
    const char *text = secure_getenv(name);
    uint64_t bytes;
    return text != NULL && ull_quantity_parse(text, &bytes) == 0 ? bytes : otherwise;
}

static enum ull_pages_method forced_method(void)
{
    const char *text = secure_getenv("ULLAGE_MEASURE");
    for (unsigned method = ULL_PAGES_SCAN; text != NULL && method <= ULL_PAGES_NONE; method++)
        if (strcmp(text, ull_pages_method_name(method)) == 0)
            return (enum ull_pages_method)method;
    return ULL_PAGES_UNTRIED;
}

static void count_misuse(void)
{
    ull_named_count(ULL_COUNTER_pool_misuse_total, 1);
}

/* Allocations come before constructors do, and before there is an environment: then the next one tries again. */
void ull_begin(enum ull_clearing clearing, bool interposes)
{
    static uint32_t begun;
    if (environ == NULL || ull_exchange_acq_rel(&begun, 1U))
        return;
    if (getauxval(AT_SECURE) != 0) { /* setuid: the environment is a stranger's, and so would be where we write to */
        ull_recorder_stay_off();
        return;
    }
    const char *run_id = secure_getenv("ULLAGE_RUN_ID"), *clear_malloc = secure_getenv("ULLAGE_CLEAR_MALLOC");
    struct ull_recorder_options options = {
        .min_bytes = bytes_option("ULLAGE_MIN_BYTES", ULL_DEFAULT_MIN_BYTES),
        .sample_bytes = bytes_option("ULLAGE_SAMPLE_BYTES", ULL_DEFAULT_SAMPLE_BYTES),
        .keep_ledgers = (uint32_t)ull_min_u64(bytes_option("ULLAGE_KEEP_LEDGERS", ULL_KEEP_LEDGERS), UINT32_MAX),
        .forced_method = forced_method(),
        .clearing = clearing,
        .clear_malloc = clear_malloc != NULL && strcmp(clear_malloc, "1") == 0,
        .interposes = interposes,
    };
    if (run_id != NULL)
        snprintf(options.run_id, sizeof options.run_id, "%s", run_id);
    if (ull_directory_choose(options.directory) != 0)
        options.directory[0] = '\0'; /* too long: said when the ledger is made */
    const char *start = secure_getenv("ULLAGE_START");
    if (start != NULL && strcmp(start, "paused") == 0)
        ullage_recording_pause();
    ull_recorder_init(&options);
    ull_store_release(&ull_misuse_survived, count_misuse);
}

static void at_exit(int status, void *unused)
{
    (void)unused;
    ull_recorder_exit(status, true);
}

void ull_begin_process(void)
{
    ull_guard_begin();
    if (ull_guard_is_in_force())
        ull_stack_init(ull_recorder_interposes() ? FAST_THREADS_INTERPOSED : FAST_THREADS_LINKED);
    pthread_atfork(NULL, ull_recorder_after_fork_parent, ull_recorder_after_fork_child);
    on_exit(at_exit, NULL);
    ull_jemalloc_begin();
}
