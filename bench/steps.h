/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * steps.h - a loop that is timed by the harness (finder.c) and by a clock of its own (loop.c): the same code in both.
 *
 * It calls nothing and touches one word: what malloc and free take depends on where in the heap a process happens to be
 * (8 to 36 ns a pair were seen, by one allocation more before the loop), which is no matter of the clock.
 */
#ifndef ULL_BENCH_STEPS_H
#define ULL_BENCH_STEPS_H

#include <ullage/bench.h>

#ifdef __clang__
#define AS_WRITTEN __attribute__((noinline, aligned(64)))
#else
#define AS_WRITTEN __attribute__((noipa, aligned(64))) /* no copy of it for the arguments that one caller has */
#endif

AS_WRITTEN static void steps(uint64_t iterations)
{
    uint64_t state = 1;
    for (uint64_t i = 0; i < iterations; i++) {
        for (int k = 0; k < 8; k++)
            state = state * 6364136223846793005U + 1442695040888963407U;
        ullage_bench_keep(&state);
    }
}

#endif
