/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ullage/jemalloc.h - jemalloc's profiler with a faster unwinder, and its buffers in Ullage's ledger.
 *
 * jemalloc is found at run time; a program that runs on another allocator gets -ENOTSUP and goes on. The profiler has to
 * be on: MALLOC_CONF=prof:true, which jemalloc reads when the process starts.
 *
 * What the hooks give: samples unwound by libunwind, several times faster than by jemalloc itself; jemalloc's own figures
 * as counters in the ledger; and, without any preloading, used against requested bytes for each call stack, as
 * `ullage run` has them: of jemalloc's samples where it has the hooks for that (5.3.1), of every large call otherwise, if
 * that is asked for.
 *
 * Threads: any, all calls; not from inside jemalloc's hooks. Link with: pkg-config --libs ullage. Since: 0.1
 */
#ifndef ULLAGE_JEMALLOC_H
#define ULLAGE_JEMALLOC_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct ullage_jemalloc_options {
    size_t size;
    /**
     * Let jemalloc tell of every call (experimental.hooks.install) where it has no hooks for samples; buffers from
     * ULLAGE_MIN_BYTES up are recorded. Needs no profiler. A pair of malloc and free that takes 15 ns takes 70 then.
     */
    bool every_call;
};
#define ULLAGE_JEMALLOC_OPTIONS_INIT { sizeof(struct ullage_jemalloc_options), false }

/**
 * ullage_jemalloc_install() - give jemalloc our hooks
 * Returns: 0, also when they are there already; -ENOTSUP no jemalloc, or one without its profiler; -EBUSY another library
 *          holds a hook, or another thread has been in these calls for 100 ms; ullage_jemalloc_error() has the sentence.
 */
int ullage_jemalloc_install(void);

/**
 * ullage_jemalloc_install_with() - the same, with options
 * @opt: NULL for the defaults
 * Returns: as above; 0 as well where every_call works and only the profiler is missing; -EINVAL.
 */
int ullage_jemalloc_install_with(const struct ullage_jemalloc_options *opt);

/** Writes a heap profile now. @path NULL: where jemalloc's opt.prof_prefix says. 0; -ENOTSUP; -EIO jemalloc could not. */
int ullage_jemalloc_dump(const char *path);

/** Starts or stops sampling. 0 or -ENOTSUP. */
int ullage_jemalloc_activate(bool active);

/** Forgets all samples and takes one each 2^@lg_sample bytes from now on (jemalloc's default: 19). 0, -EINVAL, -ENOTSUP. */
int ullage_jemalloc_reset(unsigned lg_sample);

/** Brings jemalloc's figures in the ledger up to date; done at install, at dump and at exit, and each second where we can. */
int ullage_jemalloc_refresh(void);

/** What the last call that failed in this process would say: one line, what is missing and how to have it; or "". */
const char *ullage_jemalloc_error(void);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
