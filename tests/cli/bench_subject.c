/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench_subject.c - benchmarks that are well, and, where PLANT names one, one regression or one kind of misbehaviour.
 *
 * Compiled with -DPLANT_MORE_TIME its burn takes 10 % longer: what --base has to find.
 */
#include <ullage/bench.h>

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef PLANT_MORE_TIME
enum { BURN_STEPS = 2200 };
#else
enum { BURN_STEPS = 2000 };
#endif

static int planted(const char *what)
{
    const char *plant = getenv("PLANT");
    return plant != NULL && strcmp(plant, what) == 0;
}

__attribute__((noinline)) static void *make_node(size_t bytes)
{
    char *node = malloc(bytes);
    ullage_bench_keep(node);
    return node;
}

__attribute__((noinline)) static char *open_upload(void)
{
    char *buffer = malloc(planted("default") ? 16 << 20 : 128 << 10);
    memset(buffer, 1, 100000);
    ullage_bench_keep(buffer);
    return buffer;
}

__attribute__((noinline)) static void parse(void)
{
    void *first = make_node(100), *second = make_node(200), *third = planted("alloc") ? make_node(300) : NULL;
    free(third);
    free(second);
    free(first);
}

ULLAGE_BENCH(parse)
{
    for (uint64_t i = 0; i < b->iterations; i++)
        parse();
}

ULLAGE_BENCH(upload)
{
    for (uint64_t i = 0; i < b->iterations; i++)
        free(open_upload());
}

__attribute__((noinline)) static void forget(void)
{
    void *p = make_node(64);
    if (!planted("leak"))
        free(p);
}

ULLAGE_BENCH(session)
{
    for (uint64_t i = 0; i < b->iterations; i++)
        forget();
}

/* All threads hold their buffers at once, so that the peak is the same each time. */
ULLAGE_BENCH_PARALLEL(workers, 4)
{
    static pthread_barrier_t barrier;
    size_t bytes = planted("peak") && b->thread == 2 ? 200000 : 100000;
    if (b->thread == 0)
        pthread_barrier_init(&barrier, NULL, b->threads);
    ullage_bench_reset_clock(b); /* and now all of them have it */
    for (uint64_t i = 0; i < b->iterations; i++) {
        void *p = make_node(bytes);
        pthread_barrier_wait(&barrier);
        free(p);
        pthread_barrier_wait(&barrier);
    }
}

ULLAGE_BENCH(burn)
{
    uint64_t state = 1;
    for (uint64_t i = 0; i < b->iterations; i++)
        for (int k = 0; k < BURN_STEPS; k++) {
            state = state * 6364136223846793005U + 1442695040888963407U;
            ullage_bench_keep(&state);
        }
}

static void small(struct ullage_bench *b)
{
    for (uint64_t i = 0; i < b->iterations; i++)
        free(make_node((size_t)b->argument));
}

ULLAGE_BENCH_GROUP(group)
{
    ullage_bench_sub(b, "one", small, 10);
    if (!planted("vanish"))
        ullage_bench_sub(b, "two", small, 20);
}

ULLAGE_BENCH_ARGS(sized, 16, 4096)
{
    void *set_up = make_node(1 << 20); /* is not counted */
    ullage_bench_reset_clock(b);
    for (uint64_t i = 0; i < b->iterations; i++) {
        ullage_bench_stop_clock(b);
        void *aside = make_node(5000); /* nor is this */
        ullage_bench_start_clock(b);
        small(&(struct ullage_bench) { 1, b->argument, 0, 1, NULL });
        ullage_bench_stop_clock(b);
        free(aside);
        ullage_bench_start_clock(b);
    }
    free(set_up);
}

static void *stay(void *unused)
{
    for (;;)
        pause();
    return unused;
}

ULLAGE_BENCH(odd)
{
    static int calls;
    pthread_t thread;
    calls++;
    if (planted("crash"))
        raise(SIGSEGV);
    if (planted("abort"))
        fprintf(stderr, "assertion: the moon is full\n"), abort();
    if (planted("hang"))
        for (;;)
            pause();
    if (planted("exit"))
        exit(7);
    if (planted("fork"))
        (void)fork();
    if (planted("child") && fork() == 0)
        stay(NULL);
    if (planted("print"))
        printf("I am here %d\n", calls);
    if (planted("thread"))
        pthread_create(&thread, NULL, stay, NULL);
    if (planted("skip"))
        ullage_bench_skip(b, "no %s here", "moon");
    if (planted("fail"))
        ullage_bench_fail(b, "the answer was %d", 41);
    if (planted("nan"))
        ullage_bench_metric(b, "ratio", 0.0 / (double)(calls - calls), 1);
    if (planted("unstable") && calls > 1 && getpid() % 2 == 0)
        free(make_node(30));
    ullage_bench_metric(b, "own-things/op", 3.5, 1);
    ullage_bench_bytes(b, 1000);
    for (uint64_t i = 0; i < b->iterations; i++)
        free(make_node(10));
}

ULLAGE_BENCH_GROUP(whole)
{
    if (planted("gskip"))
        ullage_bench_skip(b, "no %s for any of it", "moon");
    else
        ullage_bench_sub(b, "part", small, 5);
}

/* Peaks of threads that meet, or do not. */
ULLAGE_BENCH_PARALLEL(loose, 2)
{
    for (uint64_t i = 0; i < b->iterations; i++) {
        free(make_node(planted("loose") ? 200 : 100));
        if (i % 16 == 0)
            sched_yield();
    }
}

/* Its leak is hidden by a realloc with the clock stopped. */
ULLAGE_BENCH(cache)
{
    static char *kept;
    for (uint64_t i = 0; i < b->iterations; i++) {
        char *entry = make_node(planted("hidden") ? 200 : 100);
        ullage_bench_stop_clock(b);
        entry = realloc(entry, 300);
        if (planted("hidden"))
            kept = entry;
        else
            free(entry);
        ullage_bench_start_clock(b);
    }
    ullage_bench_keep(kept);
    if (planted("own"))
        ullage_bench_metric(b, "allocs/op", 77, -1);
    for (uint64_t i = 0; planted("resets") && i < b->iterations; i++)
        ullage_bench_reset_clock(b);
}

ULLAGE_BENCH_MAIN()
