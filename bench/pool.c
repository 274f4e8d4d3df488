/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pool.c - what getting a buffer and giving it back costs, by each way there is. See make bench-pool.
 *
 * One process runs one of these by one way (pool_api.h), beside a thread that sleeps: an allocator may be faster as long
 * as there is but one thread, and programs that pool buffers have more. Buffers are declared as used in full here, so that nothing
 * is said of sizes meanwhile. What holds memory is in pool_memory.c.
 */
#define _GNU_SOURCE /* sched_setaffinity() */
#include "pool_api.h"

#include "ring.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { BURST = 512, BURST_BYTES = 65536, HANDED_BYTES = 65536, TOUCHED_BYTES = 4096, WARM_UP = 4 * RING_SLOTS };

/* ---- which way ---- */

enum api chosen_api(void)
{
    static const char *const names[] = { "malloc", "ullage", "buffer", "pool", "learned" };
    static int chosen = -1;
    const char *name = getenv("BENCH_API");
    if (chosen >= 0)
        return (enum api)chosen;
    for (int i = 0; name != NULL && i < (int)(sizeof names / sizeof names[0]); i++)
        if (strcmp(name, names[i]) == 0)
            chosen = i;
    if (name != NULL && chosen < 0) {
        fprintf(stderr, "bench_pool: BENCH_API is malloc, ullage, buffer, pool or learned, not '%s'\n", name);
        exit(1);
    }
    return name != NULL ? (enum api)chosen : API_MALLOC;
}

struct ullage_pool *the_pool(size_t object_bytes)
{
    static struct ullage_pool *pool;
    struct ullage_pool_options options = { .size = sizeof options, .name = "bench", .object_bytes = object_bytes };
    if (chosen_api() == API_POOL && pool == NULL && ullage_pool_create(&pool, &options) != 0)
        abort();
    return pool;
}

bool skip_learned(struct ullage_bench *b)
{
    if (chosen_api() != API_LEARNED)
        return false;
    ullage_bench_skip(b, "there is nothing to learn here");
    return true;
}

/* ---- one thread ---- */

ALWAYS_INLINE void get_put(enum api api, uint64_t iterations, struct ullage_pool *pool, size_t bytes)
{
    for (uint64_t i = 0; i < iterations; i++) {
        void *held = take(api, pool, bytes);
        ullage_bench_keep(held);
        give(api, pool, held, bytes);
    }
}

ULLAGE_BENCH_ARGS(get_put, 65536, 1048576, 16777216)
{
    size_t bytes = (size_t)b->argument;
    struct ullage_pool *pool = the_pool(bytes);
    if (skip_learned(b))
        return;
    BY_API(get_put, 1000, pool, bytes);
    ullage_bench_reset_clock(b);
    BY_API(get_put, b->iterations, pool, bytes);
}

/* So many out, then all of them back; an iteration is one buffer. */
ALWAYS_INLINE void burst(enum api api, uint64_t iterations, struct ullage_pool *pool, size_t bytes)
{
    static void *held[BURST];
    for (uint64_t left = iterations; left > 0;) {
        unsigned count = left < BURST ? (unsigned)left : BURST;
        for (unsigned i = 0; i < count; i++)
            held[i] = take(api, pool, bytes);
        ullage_bench_keep(held);
        for (unsigned i = 0; i < count; i++)
            give(api, pool, held[i], bytes);
        left -= count;
    }
}

ULLAGE_BENCH(burst_65536)
{
    struct ullage_pool *pool = the_pool(BURST_BYTES);
    if (skip_learned(b))
        return;
    BY_API(burst, 4 * BURST, pool, BURST_BYTES);
    ullage_bench_reset_clock(b);
    BY_API(burst, b->iterations, pool, BURST_BYTES);
}

/* ---- one thread gets, the other gives back ---- */

static struct ring the_ring;

ALWAYS_INLINE void produce(enum api api, uint64_t count, struct ullage_pool *pool, size_t written)
{
    for (uint64_t i = 0; i < count; i++) {
        void *held = take(api, pool, HANDED_BYTES);
        if (written > 0)
            memset(memory_of(api, held), (int)i, written);
        ring_put(&the_ring, held);
    }
}

/* Every word of it, so that the bytes have to come over. */
static uint64_t read_words(const char *memory, size_t bytes)
{
    uint64_t sum = 0;
    for (size_t at = 0; at < bytes; at += sizeof sum) {
        uint64_t word;
        memcpy(&word, memory + at, sizeof word);
        sum += word;
    }
    return sum;
}

ALWAYS_INLINE void look_at(const char *memory, size_t written)
{
    uint64_t sum = written > 0 ? read_words(memory, written) : 0;
    __asm__ volatile("" : : "r"(sum), "r"(memory));
}

ALWAYS_INLINE void consume(enum api api, uint64_t count, struct ullage_pool *pool, size_t written)
{
    for (uint64_t i = 0; i < count; i++) {
        void *held = ring_get(&the_ring);
        if (written > 0)
            look_at(memory_of(api, held), written);
        give(api, pool, held, HANDED_BYTES);
    }
}

ALWAYS_INLINE void handover(enum api api, unsigned thread, uint64_t count, size_t written)
{
    struct ullage_pool *pool = the_pool(HANDED_BYTES);
    if (thread == 0)
        produce(api, count, pool, written);
    else
        consume(api, count, pool, written);
}

/* A processor each, where there are two: else a short run may see both threads on one. */
static void stand_apart(unsigned thread)
{
    cpu_set_t allowed, one;
    unsigned nth = 0;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0 || CPU_COUNT(&allowed) < 2)
        return;
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &allowed) || nth++ != thread)
            continue;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        (void)sched_setaffinity(0, sizeof one, &one); /* refused: as it was */
        return;
    }
}

/* Thread 0 sets up while thread 1 waits in ullage_bench_reset_clock(). */
static void begin_handover(struct ullage_bench *b)
{
    stand_apart(b->thread);
    if (b->thread == 0) {
        ring_reset(&the_ring);
        (void)the_pool(HANDED_BYTES);
    }
    ullage_bench_reset_clock(b);
}

/* How many go through: the harness divides by the iterations of two threads, and each buffer goes through both. */
static uint64_t handed(const struct ullage_bench *b)
{
    return b->iterations * b->threads;
}

/* What the ring alone takes: buffers that are there for good, as many as can be under way and one at each end. */
ALWAYS_INLINE void through_ring(unsigned thread, uint64_t count, size_t written)
{
    enum { BUFFERS = RING_SLOTS + 2 };
    static char buffers[BUFFERS][TOUCHED_BYTES];
    for (uint64_t i = 0; thread == 0 && i < count; i++) {
        if (written > 0)
            memset(buffers[i % BUFFERS], (int)i, written);
        ring_put(&the_ring, buffers[i % BUFFERS]);
    }
    for (uint64_t i = 0; thread == 1 && i < count; i++)
        look_at(ring_get(&the_ring), written);
}

ALWAYS_INLINE void run_bare_ring(struct ullage_bench *b, size_t written)
{
    begin_handover(b);
    through_ring(b->thread, WARM_UP, written);
    ullage_bench_reset_clock(b);
    through_ring(b->thread, handed(b), written);
}

ULLAGE_BENCH_PARALLEL(bare_ring, 2)
{
    run_bare_ring(b, 0);
}

ULLAGE_BENCH_PARALLEL(bare_ring_4096, 2)
{
    run_bare_ring(b, TOUCHED_BYTES);
}

static void run_handover(struct ullage_bench *b, size_t written)
{
    begin_handover(b);
    if (skip_learned(b))
        return;
    BY_API(handover, b->thread, WARM_UP, written);
    ullage_bench_reset_clock(b);
    BY_API(handover, b->thread, handed(b), written);
}

ULLAGE_BENCH_PARALLEL(handover, 2)
{
    run_handover(b, 0);
}

ULLAGE_BENCH_PARALLEL(handover_4096, 2)
{
    run_handover(b, TOUCHED_BYTES);
}

/* ---- the program ---- */

static void *sleep_for_ever(void *unused)
{
    (void)unused;
    while (pause() != 0) { /* it never returns anything else */
    }
    return NULL;
}

int main(int argc, char **argv)
{
    static const struct ullage_bench_build build
        = { sizeof build, ULLAGE_BENCH_COMPILER_, ULLAGE_BENCH_FLAGS, ULLAGE_BENCH_OPTIMIZED_, malloc, free };
    pthread_t sleeper;
    (void)chosen_api();
    if (pthread_create(&sleeper, NULL, sleep_for_ever, NULL) != 0) {
        fprintf(stderr, "bench_pool: no second thread\n");
        return 1;
    }
    return ullage_bench_main(argc, argv, &build);
}
