/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench_patterns.c - benchmarks whose allocations are known before they run: what counting is held against.
 *
 * PATTERNS of them (1,000), from FIRST_PATTERN on (0), made by their number: calls of malloc, calloc, realloc, memalign and
 * free, by one thread or by up to four that take turns, so that buffers are freed by others than made them and the peak is
 * the same each time. The truth is said as metrics of the timed pass: truth-allocs, truth-bytes, truth-peak (of the first
 * iteration) and truth-leak, each of one iteration.
 */
#include <ullage/bench.h>

#include <malloc.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

enum { STEPS_MAX = 60, SLOTS = 12 };
enum call { MALLOC, CALLOC, REALLOC, MEMALIGN, POSIX_MEMALIGN, ALIGNED_ALLOC, FREE, DROP, CALLS };

struct step {
    enum call call;
    unsigned slot, thread;
    size_t bytes;
};

struct pattern {
    struct step steps[STEPS_MAX + SLOTS];
    unsigned count;
    double allocations, bytes, peak, leak;
};

static uint64_t next(uint64_t *state)
{
    *state = *state * 6364136223846793005U + 1442695040888963407U;
    return *state >> 33;
}

static void add(struct pattern *pattern, struct step step, size_t *held, size_t *live)
{
    if (step.call == FREE || step.call == REALLOC)
        *live -= held[step.slot];
    if (step.call == DROP)
        pattern->leak += (double)held[step.slot];
    if (step.call != FREE && step.call != DROP) {
        *live += step.bytes;
        pattern->allocations++;
        pattern->bytes += (double)step.bytes;
    }
    held[step.slot] = step.call == FREE || step.call == DROP ? 0 : step.bytes;
    if ((double)*live > pattern->peak)
        pattern->peak = (double)*live;
    pattern->steps[pattern->count++] = step;
}

/* Sizes from 1 byte to some 300 KiB, small ones more often; in the end all is freed but what was dropped. */
static void design(struct pattern *pattern, uint64_t seed, unsigned threads)
{
    size_t held[SLOTS] = { 0 }, live = 0;
    uint64_t state = seed * 2654435761U + 88172645463325252U;
    unsigned steps = 1 + (unsigned)next(&state) % STEPS_MAX;
    *pattern = (struct pattern) { .count = 0 };
    for (unsigned i = 0; i < steps; i++) {
        unsigned slot = (unsigned)next(&state) % SLOTS;
        size_t bytes = 1 + (next(&state) & ((UINT64_C(1) << (next(&state) % 19)) - 1));
        enum call call = (enum call)(next(&state) % FREE);
        if (held[slot] != 0 && call != REALLOC)
            call = next(&state) % 16 == 0 ? DROP : FREE;
        if (call == ALIGNED_ALLOC)
            bytes = (bytes + 63) / 64 * 64;
        add(pattern, (struct step) { call, slot, (unsigned)next(&state) % threads, bytes }, held, &live);
    }
    for (unsigned slot = 0; slot < SLOTS; slot++)
        if (held[slot] != 0)
            add(pattern, (struct step) { FREE, slot, (unsigned)next(&state) % threads, 0 }, held, &live);
}

static void *volatile slots[SLOTS];
static unsigned turn; /* whose it is: index of the step, over all iterations */

static void perform(const struct step *step)
{
    void *p = slots[step->slot];
    switch (step->call) {
    case MALLOC: p = malloc(step->bytes); break;
    case CALLOC: p = step->bytes % 2 == 0 ? calloc(2, step->bytes / 2) : calloc(step->bytes, 1); break;
    case REALLOC: p = realloc(p, step->bytes); break;
    case MEMALIGN: p = memalign(256, step->bytes); break;
    case POSIX_MEMALIGN:
        if (posix_memalign(&p, 4096, step->bytes) != 0)
            abort();
        break;
    case ALIGNED_ALLOC: p = aligned_alloc(64, step->bytes); break;
    case FREE: free(p); p = NULL; break;
    default: p = NULL; break;
    }
    ullage_bench_keep(p);
    slots[step->slot] = p;
}

static void run(struct ullage_bench *b)
{
    static struct pattern pattern;
    if (b->thread == 0) {
        design(&pattern, (uint64_t)b->argument, b->threads);
        __atomic_store_n(&turn, 0, __ATOMIC_RELEASE);
    }
    ullage_bench_reset_clock(b);
    unsigned index = 0;
    for (uint64_t i = 0; i < b->iterations; i++)
        for (unsigned k = 0; k < pattern.count; k++, index++) {
            if (pattern.steps[k].thread != b->thread)
                continue;
            while (__atomic_load_n(&turn, __ATOMIC_ACQUIRE) != index)
                sched_yield();
            perform(&pattern.steps[k]);
            __atomic_store_n(&turn, index + 1, __ATOMIC_RELEASE);
        }
    if (b->thread != 0)
        return;
    ullage_bench_metric(b, "truth-allocs", pattern.allocations, 0);
    ullage_bench_metric(b, "truth-bytes", pattern.bytes, 0);
    ullage_bench_metric(b, "truth-peak", pattern.peak, 0);
    ullage_bench_metric(b, "truth-leak", pattern.leak, 0);
}

static long number(const char *name, long otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? atol(text) : otherwise;
}

__attribute__((constructor)) static void begin(void)
{
    long first = number("FIRST_PATTERN", 0), count = number("PATTERNS", 1000);
    for (long i = first; i < first + count; i++) {
        char name[32];
        snprintf(name, sizeof name, "pattern/%ld", i);
        ullage_bench_add(name, run, i, i % 4 == 0 ? 2 + (unsigned)(i / 4) % 3 : 1);
    }
}

ULLAGE_BENCH_MAIN()
