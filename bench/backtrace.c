/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * backtrace.c - jemalloc's profiler with its own unwinder against ours: both in one run, turn about, medians.
 *
 *     backtrace [DEPTH] [ROUNDS]     32 frames, 15 rounds of each
 *
 * Prints for each mean distance of samples: ns a pair of malloc and free of 4 KiB, jemalloc's own, ours, and the ratio.
 * Exits with 1 if a ratio is below what is promised: 4 at 2^12 bytes, 2.5 at 2^16.
 */
#include <ullage/jemalloc.h>

#include <jemalloc/jemalloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { BLOCK_BYTES = 4096, HELD = 64, ROUNDS_MAX = 101 };

static double now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

__attribute__((noinline)) static double loop(long pairs)
{
    static void *held[HELD]; /* as a program has it: a stack that allocates holds something */
    double begun = now_ns();
    for (long i = 0; i < pairs; i++) {
        void **place = &held[i % HELD];
        free(*place);
        *place = malloc(BLOCK_BYTES);
        __asm__ volatile("" : : "r"(*place) : "memory");
    }
    return (now_ns() - begun) / (double)pairs;
}

__attribute__((noinline)) static double at_depth(int depth, long pairs)
{
    double result = depth > 0 ? at_depth(depth - 1, pairs) : loop(pairs);
    __asm__ volatile("" ::: "memory"); /* a frame of its own */
    return result;
}

static int by_value(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return left < right ? -1 : left > right;
}

static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, by_value);
    return values[count / 2];
}

static void set_hook(void *hook)
{
    if (mallctl("experimental.hooks.prof_backtrace", NULL, NULL, &hook, sizeof hook) != 0)
        abort();
}

int main(int argc, char **argv)
{
    int depth = argc > 1 ? atoi(argv[1]) : 32, rounds = argc > 2 ? atoi(argv[2]) : 15, failed = 0;
    static const struct {
        unsigned lg;
        long pairs;
        double least;
    } cases[] = { { 12, 4000, 4.0 }, { 16, 40000, 2.5 }, { 19, 200000, 0.0 } };
    double own[ROUNDS_MAX], ours[ROUNDS_MAX];
    void *own_hook = NULL, *our_hook = NULL;
    size_t bytes = sizeof own_hook;
    if (rounds < 1 || rounds > ROUNDS_MAX || depth < 1 || depth > 120)
        return fprintf(stderr, "backtrace: 1 to 120 frames, 1 to %d rounds\n", ROUNDS_MAX), 2;
    if (mallctl("experimental.hooks.prof_backtrace", &own_hook, &bytes, NULL, 0) != 0 || ullage_jemalloc_install() != 0) {
        fprintf(stderr, "backtrace: %s\n", ullage_jemalloc_error());
        return 77;
    }
    mallctl("experimental.hooks.prof_backtrace", &our_hook, &bytes, NULL, 0);
    printf("jemalloc's samples, %d frames deep; ns a malloc and free of %d bytes\n", depth, BLOCK_BYTES);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ullage_jemalloc_reset(cases[i].lg);
        for (int round = -1; round < rounds; round++) { /* the first warms up */
            int slot = round < 0 ? 0 : round;
            set_hook(own_hook);
            own[slot] = at_depth(depth, cases[i].pairs);
            set_hook(our_hook);
            ours[slot] = at_depth(depth, cases[i].pairs);
        }
        double a = median(own, rounds), b = median(ours, rounds);
        printf("lg_prof_sample %2u: jemalloc %8.1f  ullage %8.1f  %5.2f x\n", cases[i].lg, a, b, a / b);
        failed |= a / b < cases[i].least;
    }
    return failed;
}
