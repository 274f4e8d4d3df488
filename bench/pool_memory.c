/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pool_memory.c - buffers that are far larger than what is in them: time, faults and resident memory by each way.
 *
 * `malloc` stands for calloc here, which is what programs call that want such a buffer. The rest of bench_pool is in pool.c.
 */
#include "pool_api.h"

#include "resident.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum {
    OBJECT_BYTES = 100 * 1024,
    CHUNK_BYTES = 16 << 20,
    UPLOADS_MAX = 64,
    CONNECTIONS = 326, /* as many as the published case had */
    RECORD_BYTES = 1 << 20,
    IDLE_BYTES = 4096,
    FULL_EVERY = 100, /* one in so many records fills its buffer */
    PAGE_BYTES = 4096,
    ZEROED_BYTES = 1 << 20,
    OWNERS = 4,
    OWNED = 128, /* of each owner: 512 in all */
    KEPT_BACK = 8,
    OWNED_BYTES = 65536,
    DECAY_MS = 200,
};

ALWAYS_INLINE void *take_zero(enum api api, struct ullage_pool *pool, size_t bytes)
{
    return api == API_MALLOC ? got(calloc(1, bytes)) : take(api, pool, bytes);
}

static void say_resident(struct ullage_bench *b, uint64_t before)
{
    ullage_bench_stop_clock(b);
    ullage_bench_metric(b, "rss-bytes", (double)resident_over(resident_peak(), before), -1);
}

/* ---- objects of 100 KiB in chunks of 16 MiB, the oldest freed as the next is made ---- */

static char object[OBJECT_BYTES];

ALWAYS_INLINE void upload(enum api api, struct ullage_pool *pool, void **held)
{
    if (*held != NULL)
        give(api, pool, *held, OBJECT_BYTES);
    *held = make_room(api, take_zero(api, pool, CHUNK_BYTES), OBJECT_BYTES, 0);
    memcpy(memory_of(api, *held), object, OBJECT_BYTES);
    ullage_bench_keep(*held);
}

ALWAYS_INLINE void uploads(enum api api, uint64_t count, struct ullage_pool *pool, void **held, size_t live)
{
    for (size_t slot = 0; count > 0; count--) {
        upload(api, pool, &held[slot]);
        slot = slot + 1 < live ? slot + 1 : 0;
    }
}

ALWAYS_INLINE void end_all(enum api api, struct ullage_pool *pool, void **held, size_t live, size_t used_bytes)
{
    for (size_t i = 0; i < live; i++)
        give(api, pool, held[i], used_bytes);
}

ULLAGE_BENCH_ARGS(upload, 1, 8, 64)
{
    uint64_t before = resident_before();
    size_t live = (size_t)b->argument;
    void *held[UPLOADS_MAX] = { NULL };
    struct ullage_pool *pool = the_pool(CHUNK_BYTES);
    memset(object, 'x', sizeof object);
    BY_API(uploads, 2 * live + 4, pool, held, live);
    ullage_bench_reset_clock(b);
    BY_API(uploads, b->iterations, pool, held, live);
    say_resident(b, before);
    BY_API(end_all, pool, held, live, OBJECT_BYTES);
}

/* ---- 326 connections with a buffer of 1 MiB each: a page of it used, one in a hundred fills it ---- */

struct connection {
    void *held;
    size_t used_bytes;
};

/* Filling is a byte a page: what is compared is the memory, and not how fast bytes can be written. */
ALWAYS_INLINE void fill(char *memory)
{
    for (size_t at = 0; at < RECORD_BYTES; at += PAGE_BYTES)
        memory[at] = 1;
}

ALWAYS_INLINE void receive(enum api api, struct ullage_pool *pool, struct connection *connection, bool full)
{
    if (connection->held != NULL)
        give(api, pool, connection->held, connection->used_bytes);
    connection->held = take_zero(api, pool, RECORD_BYTES);
    connection->used_bytes = IDLE_BYTES;
    memset(memory_of(api, connection->held), 1, IDLE_BYTES);
    if (full) {
        connection->held = make_room(api, connection->held, RECORD_BYTES, IDLE_BYTES);
        connection->used_bytes = RECORD_BYTES;
        fill(memory_of(api, connection->held));
    }
    ullage_bench_keep(connection->held);
}

ALWAYS_INLINE void receives(enum api api, uint64_t count, struct ullage_pool *pool, struct connection *connections)
{
    static uint64_t number; /* goes on from the warm-up */
    for (size_t slot = 0; count > 0; count--) {
        receive(api, pool, &connections[slot], number++ % FULL_EVERY == FULL_EVERY - 1);
        slot = slot + 1 < CONNECTIONS ? slot + 1 : 0;
    }
}

ALWAYS_INLINE void close_all(enum api api, struct ullage_pool *pool, struct connection *connections)
{
    for (size_t i = 0; i < CONNECTIONS; i++)
        give(api, pool, connections[i].held, connections[i].used_bytes);
}

/* What BENCH_API=learned knows of sizes it learned in the twenty rounds before the clock, and from nothing else. */
ULLAGE_BENCH(mostly_idle_326)
{
    uint64_t before = resident_before();
    static struct connection connections[CONNECTIONS];
    struct ullage_pool *pool = the_pool(RECORD_BYTES);
    memset(connections, 0, sizeof connections);
    BY_API(receives, 20 * CONNECTIONS, pool, connections);
    ullage_bench_reset_clock(b);
    BY_API(receives, b->iterations, pool, connections);
    say_resident(b, before);
    BY_API(close_all, pool, connections);
}

/* ---- a zeroed buffer of which little is used ---- */

ALWAYS_INLINE void zeroed(enum api api, uint64_t iterations)
{
    for (uint64_t i = 0; i < iterations; i++) {
        void *held = api == API_MALLOC ? got(calloc(1, ZEROED_BYTES))
            : api == API_ULLAGE        ? got(ullage_calloc(1, ZEROED_BYTES))
                                       : got(ullage_buffer_get_zeroed(ZEROED_BYTES));
        char *memory = api == API_BUFFER ? memory_of(API_BUFFER, held) : (char *)held;
        ullage_bench_keep(memory);
        memory[IDLE_BYTES - 1] = 1;
        ullage_bench_keep(memory);
        give(api, NULL, held, IDLE_BYTES);
    }
}

static void run_zeroed(uint64_t iterations)
{
    switch (chosen_api()) {
    case API_MALLOC: zeroed(API_MALLOC, iterations); break;
    case API_ULLAGE: zeroed(API_ULLAGE, iterations); break;
    default: zeroed(API_BUFFER, iterations);
    }
}

ULLAGE_BENCH(zeroed_1048576)
{
    if (chosen_api() == API_POOL || chosen_api() == API_LEARNED) {
        ullage_bench_skip(b, "no zeroed objects that way");
        return;
    }
    run_zeroed(100);
    ullage_bench_reset_clock(b);
    run_zeroed(b->iterations);
}

/* ---- what stays resident after a burst ---- */

/*
 * Four owners get 128 buffers each, write them, give a few back themselves and fall asleep with those in their magazines; the
 * rest comes back from another thread. Two decay periods later nobody has done anything.
 */
struct owner {
    void *held[OWNED];
    char *memory[OWNED]; /* where those lay */
    struct ullage_pool *pool;
    pthread_barrier_t *gate;
    pthread_t id;
};

ALWAYS_INLINE void own(enum api api, struct owner *owner)
{
    for (size_t i = 0; i < OWNED; i++) {
        owner->held[i] = take(api, owner->pool, OWNED_BYTES);
        owner->memory[i] = (char *)memory_of(api, owner->held[i]);
        memset(owner->memory[i], 1, OWNED_BYTES);
    }
}

ALWAYS_INLINE void own_back(enum api api, struct owner *owner, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        give(api, owner->pool, owner->held[i], OWNED_BYTES);
}

static void *run_owner(void *argument)
{
    struct owner *owner = (struct owner *)argument;
    BY_API(own, owner);
    pthread_barrier_wait(owner->gate); /* all 512 are out */
    BY_API(own_back, owner, 0, KEPT_BACK);
    pthread_barrier_wait(owner->gate);
    pthread_barrier_wait(owner->gate); /* asleep here */
    return NULL;
}

static void sleep_ms(long ms)
{
    struct timespec rest = { ms / 1000, ms % 1000 * 1000000 };
    nanosleep(&rest, NULL);
}

/* BENCH_IDLE=background: a thread of the library's; trim: this call, by an event loop that has nothing to do. */
static void be_idle(const char *how)
{
    sleep_ms(2 * DECAY_MS + DECAY_MS / 10); /* two periods, and a moment for who has to wake up then */
    if (strcmp(how, "trim") == 0)
        (void)ullage_trim(0);
}

static void configure(const char *how)
{
    struct ullage_alloc_options options
        = { .size = sizeof options, .decay_ms = DECAY_MS, .background = strcmp(how, "background") == 0 };
    if (chosen_api() != API_MALLOC && ullage_alloc_configure(&options) != 0)
        abort();
}

/* The owners are back at @gate when each has got or given what it has to. */
static void start_owners(struct owner *owners, pthread_barrier_t *gate)
{
    pthread_barrier_init(gate, NULL, OWNERS + 1);
    for (size_t i = 0; i < OWNERS; i++) {
        owners[i].pool = the_pool(OWNED_BYTES);
        owners[i].gate = gate;
        if (pthread_create(&owners[i].id, NULL, run_owner, &owners[i]) != 0)
            abort();
    }
    pthread_barrier_wait(gate);
    pthread_barrier_wait(gate);
}

static void end_owners(struct owner *owners, pthread_barrier_t *gate)
{
    pthread_barrier_wait(gate);
    for (size_t i = 0; i < OWNERS; i++)
        pthread_join(owners[i].id, NULL);
    pthread_barrier_destroy(gate);
}

/* Bytes of it that are in memory; what is mapped no more is not. */
static uint64_t resident_of(const struct owner *owner)
{
    enum { PAGES = OWNED_BYTES / PAGE_BYTES + 1 };
    uint64_t bytes = 0;
    for (size_t i = 0; i < OWNED; i++) {
        unsigned char vector[PAGES] = { 0 };
        void *first = (void *)((uintptr_t)owner->memory[i] / PAGE_BYTES * PAGE_BYTES);
        if (mincore(first, OWNED_BYTES, vector) != 0)
            continue;
        for (size_t page = 0; page < OWNED_BYTES / PAGE_BYTES; page++)
            bytes += (uint64_t)(vector[page] & 1) * PAGE_BYTES;
    }
    return bytes;
}

/*
 * Returns what is resident of the burst at the end, the owners still asleep. Of its own memory, and not of the process: what
 * libraries and unwinders took meanwhile is another matter.
 */
static uint64_t burst_and_idle(const char *how)
{
    static struct owner owners[OWNERS];
    pthread_barrier_t gate;
    start_owners(owners, &gate);
    for (size_t i = 0; i < OWNERS; i++)
        BY_API(own_back, &owners[i], KEPT_BACK, OWNED);
    be_idle(how);
    uint64_t now = 0;
    for (size_t i = 0; i < OWNERS; i++)
        now += resident_of(&owners[i]);
    end_owners(owners, &gate);
    return now;
}

ULLAGE_BENCH(after_burst)
{
    uint64_t now = 0;
    const char *how = getenv("BENCH_IDLE");
    if (skip_learned(b))
        return;
    how = how != NULL ? how : "";
    configure(how);
    for (uint64_t i = 0; i < b->iterations; i++)
        now = burst_and_idle(how);
    double all = (double)OWNERS * OWNED * OWNED_BYTES;
    ullage_bench_metric(b, "resident-share", (double)now / all, -1);
}
