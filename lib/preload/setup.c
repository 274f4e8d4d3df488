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
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

__attribute__((constructor)) static void start(void)
{
    ull_setup_if_needed();
    ull_stack_init();
    pthread_atfork(ull_recorder_before_fork, ull_recorder_after_fork_parent, ull_recorder_after_fork_child);
    on_exit(at_exit, NULL);
}

/* ---- interposed: what ends the process without handlers, and what unloads code ---- */

#define EXPORT __attribute__((visibility("default")))

EXPORT void _exit(int status)
{
    ull_recorder_exit(status);
    void (*next)(int) = (void (*)(int))dlsym(RTLD_NEXT, "_exit");
    if (next != NULL)
        next(status);
    __builtin_trap();
}

EXPORT void _Exit(int status)
{
    _exit(status);
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
