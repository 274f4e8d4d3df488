/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * setup.c - the interposer's life in the process: options, unwinder, fork, unload, exit.
 *
 * Allocations come before constructors do (the loader itself allocates), so options are read at the first one that
 * finds an environment; the constructor does what may take the loader's locks.
 */
#include "config.h"

#include "preload/setup.h"

#include "base/quantity.h"
#include "measure/recorder.h"
#include "measure/stack.h"
#include "preload/real.h"

#include <dlfcn.h>
#include <link.h>
#include <stdarg.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

extern char **environ;

static uint64_t bytes_option(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    uint64_t bytes;
    return text != NULL && ull_quantity_parse(text, &bytes) == 0 ? bytes : otherwise;
}

static enum ull_pages_method forced_method(void)
{
    const char *text = getenv("ULLAGE_MEASURE");
    for (unsigned method = ULL_PAGES_SCAN; text != NULL && method <= ULL_PAGES_NONE; method++)
        if (strcmp(text, ull_pages_method_name(method)) == 0)
            return (enum ull_pages_method)method;
    return ULL_PAGES_UNTRIED;
}

void ull_setup_if_needed(void)
{
    static uint32_t begun;
    if (ull_load_acquire(&begun) || environ == NULL || ull_exchange_acq_rel(&begun, 1U))
        return;
    const char *run_id = getenv("ULLAGE_RUN_ID"), *clear_malloc = getenv("ULLAGE_CLEAR_MALLOC");
    struct ull_recorder_options options = {
        .min_bytes = bytes_option("ULLAGE_MIN_BYTES", ULL_DEFAULT_MIN_BYTES),
        .sample_bytes = bytes_option("ULLAGE_SAMPLE_BYTES", ULL_DEFAULT_SAMPLE_BYTES),
        .forced_method = forced_method(),
        .may_clear = ull_real_is_libc(),
        .clear_malloc = clear_malloc != NULL && strcmp(clear_malloc, "1") == 0,
    };
    if (run_id != NULL)
        snprintf(options.run_id, sizeof options.run_id, "%s", run_id);
    ull_recorder_init(&options);
}

static void at_exit(int status, void *unused)
{
    (void)unused;
    ull_recorder_exit(status);
}

/* Looked up at the start; libc's own, or that of a library that watches it. */
static int (*next_madvise)(void *, size_t, int);

__attribute__((constructor)) static void start(void)
{
    ull_setup_if_needed();
    next_madvise = (int (*)(void *, size_t, int))dlsym(RTLD_NEXT, "madvise");
    ull_stack_init();
    pthread_atfork(NULL, ull_recorder_after_fork_parent, ull_recorder_after_fork_child);
    on_exit(at_exit, NULL);
}

/* ---- interposed: what ends the process, forbids system calls, gives pages back, unloads code ---- */

#define EXPORT __attribute__((visibility("default")))

/* The system call, and not the next _exit(): finding that would wait for a dlopen in another thread. */
EXPORT void _exit(int status)
{
    ull_recorder_exit(status);
    for (;;)
        syscall(SYS_exit_group, status);
}

EXPORT void _Exit(int status)
{
    _exit(status);
}

/* Also done by libseccomp before it installs its filter, by a system call that cannot be interposed safely. */
EXPORT int prctl(int option, ...)
{
    va_list list;
    unsigned long a[4];
    va_start(list, option);
    for (int i = 0; i < 4; i++)
        a[i] = va_arg(list, unsigned long);
    va_end(list);
    if (option == PR_SET_SECCOMP || option == PR_SET_NO_NEW_PRIVS)
        ull_recorder_sandboxed();
    return (int)syscall(SYS_prctl, option, a[0], a[1], a[2], a[3]);
}

EXPORT int madvise(void *start, size_t bytes, int advice)
{
    int result = next_madvise != NULL ? next_madvise(start, bytes, advice)
                                      : (int)syscall(SYS_madvise, start, bytes, advice);
    if (result == 0 && (advice == MADV_DONTNEED || advice == MADV_FREE || advice == MADV_REMOVE))
        ull_recorder_given_back(start, bytes);
    return result;
}

static int note_unloads(struct dl_phdr_info *info, size_t size, void *argument)
{
    (void)size;
    *(unsigned long long *)argument = info->dlpi_subs;
    return 1;
}

static unsigned long long unloads_so_far(void)
{
    unsigned long long subtracted = 0;
    dl_iterate_phdr(note_unloads, &subtracted);
    return subtracted;
}

EXPORT int dlclose(void *handle)
{
    static int (*next)(void *);
    if (next == NULL)
        next = (int (*)(void *))dlsym(RTLD_NEXT, "dlclose");
    unsigned long long before = unloads_so_far();
    ull_recorder_before_unload();
    int result = next(handle);
    ull_recorder_after_unload(unloads_so_far() != before);
    return result;
}
