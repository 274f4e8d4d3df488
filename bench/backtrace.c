/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * backtrace.c - jemalloc's profiler with its own unwinder, and with ours where BENCH_UNWINDER=ullage: two variants.
 *
 * A pair of malloc and free of 4 KiB, 32 frames deep; the argument is lg_prof_sample. Needs MALLOC_CONF=prof:true.
 */
#include <ullage/bench.h>
#include <ullage/jemalloc.h>

#include <jemalloc/jemalloc.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_BYTES = 4096, HELD = 64, DEPTH = 32 };

__attribute__((noinline)) static void loop(struct ullage_bench *b)
{
    static void *held[HELD]; /* as a program has it: a stack that allocates holds something */
    ullage_bench_reset_clock(b);
    for (uint64_t i = 0; i < b->iterations; i++) {
        void **place = &held[i % HELD];
        free(*place);
        *place = malloc(BLOCK_BYTES);
        ullage_bench_keep(*place);
    }
}

__attribute__((noinline)) static void at_depth(struct ullage_bench *b, int depth)
{
    if (depth > 0)
        at_depth(b, depth - 1);
    else
        loop(b);
    __asm__ volatile("" ::: "memory"); /* a frame of its own */
}

ULLAGE_BENCH_ARGS(jemalloc_sample, 12, 16, 19)
{
    const char *unwinder = getenv("BENCH_UNWINDER");
    size_t lg = (size_t)b->argument;
    if (unwinder != NULL && strcmp(unwinder, "ullage") == 0 && ullage_jemalloc_install() != 0) {
        ullage_bench_skip(b, "%s", ullage_jemalloc_error());
        return;
    }
    if (mallctl("prof.reset", NULL, NULL, &lg, sizeof lg) != 0) {
        ullage_bench_skip(b, "jemalloc does not profile: MALLOC_CONF=prof:true");
        return;
    }
    at_depth(b, DEPTH);
}

ULLAGE_BENCH_MAIN()
