/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * finder.c - what the interposer costs: pairs of malloc and free, alone and as variants under it. See make bench.
 */
#include "steps.h"

#include <ullage/bench.h>
#include <ullage/profile.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { OTHERS = 1000000, OTHER_BYTES = 100 };

static void pairs(uint64_t iterations, size_t bytes, size_t written)
{
    for (uint64_t i = 0; i < iterations; i++) {
        char *p = (char *)malloc(bytes);
        ullage_bench_keep(p);
        memset(p, 1, written);
        ullage_bench_keep(p);
        free(p);
    }
}

/* One byte of each is written. */
ULLAGE_BENCH_ARGS(malloc_free, 64, 1024, 16384, 65536, 262144, 1048576, 4194304, 16777216)
{
    pairs(b->iterations, (size_t)b->argument, 1);
}

ULLAGE_BENCH_ARGS(malloc_fill_free, 4096, 65536, 1048576)
{
    ullage_bench_bytes(b, (uint64_t)b->argument);
    pairs(b->iterations, (size_t)b->argument, (size_t)b->argument);
}

/* As in a program that holds something meanwhile. */
ULLAGE_BENCH(malloc_free_beside_1000000)
{
    void **others = (void **)malloc(OTHERS * sizeof *others);
    for (int i = 0; others != NULL && i < OTHERS; i++)
        others[i] = malloc(OTHER_BYTES);
    ullage_bench_reset_clock(b);
    pairs(b->iterations, 64, 1);
    ullage_bench_stop_clock(b);
    for (int i = 0; others != NULL && i < OTHERS; i++)
        free(others[i]);
    free(others);
}

ULLAGE_BENCH(calloc_free_1048576)
{
    for (uint64_t i = 0; i < b->iterations; i++) {
        char *p = (char *)calloc(1, 1048576);
        ullage_bench_keep(p);
        free(p);
    }
}

ULLAGE_BENCH(realloc_grow_to_65536)
{
    for (uint64_t i = 0; i < b->iterations; i++) {
        char *p = NULL;
        for (size_t bytes = 64; bytes <= 65536; bytes *= 2) {
            p = (char *)realloc(p, bytes);
            ullage_bench_keep(p);
        }
        free(p);
    }
}

ULLAGE_BENCH_PARALLEL(malloc_free_100000, 1, 2)
{
    pairs(b->iterations, 100000, 1);
}

/* A resource that is held and released, as a connection is. */
ULLAGE_BENCH(live_profile_add_remove)
{
    struct ullage_profile *profile = ullage_profile_get("connections");
    for (uint64_t i = 0; i < b->iterations; i++) {
        ullage_profile_add(profile, b);
        ullage_profile_remove(profile, b);
    }
}

/* What the harness itself adds: the same loop by its clock, and by one that is read beside the loop. */
ULLAGE_BENCH(harness_clock)
{
    struct timespec begun, ended;
    clock_gettime(CLOCK_MONOTONIC, &begun);
    steps(b->iterations);
    clock_gettime(CLOCK_MONOTONIC, &ended);
    double ns = (double)(ended.tv_sec - begun.tv_sec) * 1e9 + (double)(ended.tv_nsec - begun.tv_nsec);
    ullage_bench_metric(b, "by-hand-ns/op", ns / (double)b->iterations, -1);
}

ULLAGE_BENCH_MAIN()
