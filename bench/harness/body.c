/* SPDX-License-Identifier: BSD-2-Clause */
/* body.c - a benchmark's body: how it is called, and what it calls. */
#include "config.h"

#include "run.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ITERATIONS_MAX UINT64_C(1000000000000)

/* ---- what a body calls ---- */

void ullage_bench_reset_clock(struct ullage_bench *b)
{
    struct ullage_bench_run *run = b->run;
    bool first = true;
    if (b->threads > 1)
        first = pthread_barrier_wait(&run->together) == PTHREAD_BARRIER_SERIAL_THREAD;
    if (first) {
        run->resets++;
        if (run->counted && run->resets == run->resets_expected)
            run->clock.resume = run->resume;
        ull_clock_reset(&run->clock);
        ull_clock_reset_peak();
    }
    if (b->threads > 1)
        pthread_barrier_wait(&run->together);
}

void ullage_bench_stop_clock(struct ullage_bench *b)
{
    if (b->threads > 1)
        b->run->misused_clock = true;
    else
        ull_clock_stop(&b->run->clock);
}

void ullage_bench_start_clock(struct ullage_bench *b)
{
    if (b->threads > 1)
        b->run->misused_clock = true;
    else
        ull_clock_start(&b->run->clock);
}

void ullage_bench_bytes(struct ullage_bench *b, uint64_t bytes)
{
    __atomic_store_n(&b->run->bytes, bytes, __ATOMIC_RELAXED);
}

static bool is_ours(const char *name)
{
    static const char *const ours[] = { "ns/op", "MB/s", "cpu-ns/op", "user-ns/op", "sys-ns/op", "instructions/op", "cycles/op",
        "minor-faults/op", "major-faults/op", "voluntary-switches/op", "involuntary-switches/op", "peak-rss-bytes", "allocs/op",
        "B/op", "peak-live-bytes", "leaked-B/op" };
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
        if (strcmp(ours[i], name) == 0)
            return true;
    return false;
}

void ullage_bench_metric(struct ullage_bench *b, const char *name, double value, int better)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    struct ullage_bench_run *run = b->run;
    unsigned i = 0;
    pthread_mutex_lock(&lock);
    while (i < run->metric_count && strcmp(run->metrics[i].name, name) != 0)
        i++;
    if (i < ULL_METRICS_MAX && name[0] != '\0' && strlen(name) < sizeof run->metrics[0].name && strpbrk(name, " \t\n") == NULL && !is_ours(name)) {
        snprintf(run->metrics[i].name, sizeof run->metrics[i].name, "%s", name);
        run->metrics[i].value = value;
        run->metrics[i].better = better < 0 ? -1 : better > 0;
        if (i == run->metric_count)
            run->metric_count++;
    } else {
        ull_say(run, "note metric '%.80s' was left out: names have 1 to 63 bytes, no spaces, are none of the harness's own, and there are at most %d", name,
            ULL_METRICS_MAX);
    }
    pthread_mutex_unlock(&lock);
}

static void note_why(struct ullage_bench_run *run, const char *format, va_list arguments)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&lock);
    if (vsnprintf(run->why, sizeof run->why, format, arguments) < 0)
        run->why[0] = '\0';
    pthread_mutex_unlock(&lock);
}

void ullage_bench_skip(struct ullage_bench *b, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    note_why(b->run, format, arguments);
    va_end(arguments);
    b->run->skipped = true;
}

void ullage_bench_fail(struct ullage_bench *b, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    note_why(b->run, format, arguments);
    va_end(arguments);
    b->run->failed = true;
}

#undef ullage_bench_keep
void ullage_bench_keep(const void *p)
{
    __asm__ volatile("" : : "r"(p) : "memory");
}

/* ---- running a body ---- */

bool ull_run_is_over(const struct ullage_bench_run *run)
{
    return run->skipped || run->failed;
}


struct worker {
    struct ullage_bench bench;
    struct ullage_bench_run *run;
    pthread_barrier_t *begin, *end;
};

/* Stacks end at this name, and at that of ull_bench_body_alone(): what is outside of it says nothing of the benchmark. */
__attribute__((noinline)) static void *ull_bench_body_in_thread(void *argument)
{
    struct worker *worker = argument;
    pthread_barrier_wait(worker->begin);
    worker->run->one.function(&worker->bench);
    pthread_barrier_wait(worker->end);
    return NULL;
}

/* All threads stand at the barrier before the clock starts, and the clock stops when all are through. */
static void run_parallel(struct ullage_bench_run *run, uint64_t iterations)
{
    unsigned threads = run->one.threads, started = 0;
    pthread_barrier_t begin, end;
    pthread_t *ids = calloc(threads, sizeof *ids);
    struct worker *workers = calloc(threads, sizeof *workers);
    pthread_barrier_init(&begin, NULL, threads + 1);
    pthread_barrier_init(&end, NULL, threads + 1);
    pthread_barrier_init(&run->together, NULL, threads);
    for (; ids != NULL && workers != NULL && started < threads; started++) {
        workers[started] = (struct worker) {
            { iterations, run->one.argument, started, threads, run }, run, &begin, &end };
        if (pthread_create(&ids[started], NULL, ull_bench_body_in_thread, &workers[started]) != 0)
            break;
    }
    if (started < threads) { /* those that run stand at the barrier for ever: this process ends without them */
        ull_say(run, "fail only %u of %u threads could be started", started, threads);
        ull_say(run, "end");
        _exit(0);
    }
    ull_clock_start(&run->clock);
    pthread_barrier_wait(&begin);
    pthread_barrier_wait(&end);
    ull_clock_stop(&run->clock);
    for (unsigned i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    free(ids);
    free(workers);
}

__attribute__((noinline)) static void ull_bench_body_alone(struct ullage_bench_run *run, uint64_t iterations)
{
    struct ullage_bench bench = { iterations, run->one.argument, 0, 1, run };
    ull_clock_start(&run->clock);
    run->one.function(&bench);
    ull_clock_stop(&run->clock);
    if (getpid() != run->pid)
        _exit(0); /* it forked, and the copy came back */
}

void ull_run_body(struct ullage_bench_run *run, uint64_t iterations)
{
    memset(&run->clock.sum, 0, sizeof run->clock.sum);
    run->resets = 0;
    ull_clock_reset_peak();
    if (run->one.threads > 1)
        run_parallel(run, iterations);
    else
        ull_bench_body_alone(run, iterations);
    if (run->runs++ == 0)
        run->resets_expected = run->resets;
    if (!ull_run_is_over(run) && run->resets_expected != run->resets) {
        run->failed = true;
        snprintf(run->why, sizeof run->why, "it resets the clock %u times with few iterations and %u times with more: reset it outside of the loop",
            run->resets_expected, run->resets);
    }
    if (run->misused_clock && !run->failed) {
        run->failed = true;
        snprintf(run->why, sizeof run->why, "stop_clock and start_clock are not for parallel benchmarks");
    }
}

/* More and more iterations, never more than a hundred times as many at once, until it takes as long as was asked for. */
uint64_t ull_run_calibrate(struct ullage_bench_run *run)
{
    uint64_t iterations = 1;
    for (;;) {
        ull_run_body(run, iterations);
        uint64_t took = run->clock.sum.wall_ns;
        if (ull_run_is_over(run) || took >= run->time_ns || iterations >= ITERATIONS_MAX)
            break;
        double wanted = took > 0 ? (double)run->time_ns / (double)took * (double)iterations : (double)iterations * 100;
        if (took * 2 >= run->time_ns) { /* near enough to be trusted */
            iterations = wanted > (double)iterations ? (uint64_t)ceil(wanted) : iterations;
            break;
        }
        wanted *= 1.2;
        uint64_t most = iterations * 100;
        iterations = wanted >= (double)most ? most : wanted <= (double)iterations ? iterations + 1 : (uint64_t)wanted;
    }
    return iterations < ITERATIONS_MAX ? iterations : ITERATIONS_MAX;
}
