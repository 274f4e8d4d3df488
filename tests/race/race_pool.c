/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * race_pool.c - threads that get, hand over and put buffers at random, while others trim, decay, come and go.
 *
 * Plain C, because ThreadSanitizer does not run under Criterion. The exchange is that of mimalloc's mstress and rpmalloc's
 * test: threads swap pointers in a shared array, so that most buffers are put by another thread than got them; each holds
 * a pattern of its own, which is checked at the put. After each part every buffer is counted: none is lost, none is in two
 * places. SECONDS_OF_EXCHANGE of the environment: how long the exchange lasts.
 */
#include "config.h"

#include "base/sys.h"
#include "pooled.h"
#include "scratch.h"
#include "ullage/buffer.h"
#include "ullage/pool.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <time.h>

#include "tap.h"

#ifdef ULL_DEBUG_CHECKS
enum { SLOWER = 8 }; /* sanitizers */
#else
enum { SLOWER = 1 };
#endif
enum { THREADS = 6, SHARED = 1000, HUNG_SECONDS = 300 };
#define MIB ((size_t)1 << 20)

static struct {
    uint64_t until_ns;
    uint64_t turns;   /* atomic */
    uint64_t spoiled; /* buffers whose pattern was not theirs; atomic */
    uint64_t refused; /* gets that failed; atomic */
    uint32_t stop;    /* atomic */
} all;

static uint32_t draw(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*state >> 33);
}

static void pause_ms(long ms)
{
    struct timespec pause = { ms / 1000, ms % 1000 * 1000000 };
    nanosleep(&pause, NULL);
}

static double seconds(void)
{
    const char *text = getenv("SECONDS_OF_EXCHANGE");
    return text != NULL ? atof(text) : 3;
}

static void begin_part(double lasts)
{
    all.until_ns = ull_sys_precise_ns() + (uint64_t)(lasts * 1e9);
    all.turns = all.spoiled = all.refused = 0;
    ull_store_relaxed(&all.stop, 0U);
}

static bool goes_on(void)
{
    return ull_sys_precise_ns() < all.until_ns;
}

static void run(unsigned count, void *(*work)(void *))
{
    pthread_t threads[64];
    for (uintptr_t i = 0; i < count; i++)
        pthread_create(&threads[i], NULL, work, (void *)(i + 1));
    for (unsigned i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
}

static uint64_t resident_bytes(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file != NULL && fscanf(file, "%*u %lu", &pages) != 1)
        pages = 0;
    if (file != NULL)
        fclose(file);
    return pages * UINT64_C(4096);
}

/* ---- a buffer that knows what is in it ---- */

struct tenant {
    uint64_t bytes, seed; /* the pattern lies behind */
};

static size_t draw_size(uint64_t *state)
{
    uint32_t kind = draw(state) % 100;
    if (kind < 70)
        return sizeof(struct tenant) + 16 + draw(state) % 8000;
    if (kind < 97)
        return 8192 + draw(state) % 120000;
    return 131072 + draw(state) % (kind == 99 ? 3 * MIB : 500000);
}

static void move_in(struct tenant *tenant, uint64_t bytes, uint64_t *state)
{
    tenant->bytes = bytes;
    tenant->seed = draw(state);
    stamp(tenant + 1, bytes - sizeof *tenant, tenant->seed);
}

static struct tenant *get_tenant(uint64_t *state)
{
    size_t bytes = draw_size(state);
    uint32_t kind = draw(state) % 16;
    struct tenant *tenant = kind == 0 ? ullage_calloc(1, bytes) : kind == 1 ? ullage_aligned_alloc(4096, bytes) : ullage_malloc(bytes);
    if (tenant == NULL) {
        ull_add_relaxed(&all.refused, UINT64_C(1));
        return NULL;
    }
    if (kind == 0 && !is_zero(tenant, bytes))
        ull_add_relaxed(&all.spoiled, UINT64_C(1));
    move_in(tenant, bytes, state);
    return tenant;
}

static void look_at(const struct tenant *tenant)
{
    if (!is_stamped(tenant + 1, tenant->bytes - sizeof *tenant, tenant->seed))
        ull_add_relaxed(&all.spoiled, UINT64_C(1));
}

static void put_tenant(struct tenant *tenant, uint64_t *state)
{
    if (tenant == NULL)
        return;
    look_at(tenant);
    if (draw(state) % 3 == 0)
        ullage_free(tenant);
    else
        ullage_free_used(tenant, tenant->bytes);
}

static struct tenant *resize_tenant(struct tenant *tenant, uint64_t *state)
{
    if (tenant == NULL)
        return NULL;
    look_at(tenant);
    size_t bytes = draw_size(state);
    struct tenant *moved = ullage_realloc(tenant, bytes);
    if (moved == NULL)
        return tenant;
    move_in(moved, bytes, state);
    return moved;
}

/* ---- (a) exchange through an array ---- */

static struct tenant *shared[SHARED]; /* atomic */

static void *exchange(void *argument)
{
    uint64_t state = (uintptr_t)argument * 7919, turns = 0;
    while (goes_on()) {
        for (int i = 0; i < 100; i++, turns++) {
            struct tenant **place = &shared[draw(&state) % SHARED];
            struct tenant *mine = draw(&state) % 8 == 0 ? NULL : get_tenant(&state);
            mine = ull_exchange_acq_rel(place, mine);
            if (draw(&state) % 16 == 0)
                mine = resize_tenant(mine, &state);
            put_tenant(mine, &state);
        }
    }
    ull_add_relaxed(&all.turns, turns);
    return NULL;
}

static void clear_array(void)
{
    uint64_t state = 1;
    for (int i = 0; i < SHARED; i++)
        put_tenant(ull_exchange_acq_rel(&shared[i], NULL), &state);
}

static struct {
    uint64_t resident[2], idle[2]; /* the most in each half */
    uint64_t over;                 /* looks at which more was idle than the bound allows */
} watched;

/* The bound may be passed for an instant by what somebody who is refused counted first: magazines of each thread. */
static void *watch(void *argument)
{
    const uint64_t bound = ull_pool_settings.max_retained_bytes + THREADS * 8 * MIB;
    uint64_t began = ull_sys_precise_ns(), lasts = all.until_ns - began;
    (void)argument;
    memset(&watched, 0, sizeof watched);
    while (goes_on()) {
        uint64_t past = ull_sys_precise_ns() - began, idle = ullage_retained_bytes(), resident = resident_bytes();
        unsigned half = past > lasts / 2;
        if (past > lasts / 10) { /* until then it fills */
            watched.resident[half] = ull_max_u64(watched.resident[half], resident);
            watched.idle[half] = ull_max_u64(watched.idle[half], idle);
        }
        watched.over += idle > bound;
        pause_ms(5);
    }
    return NULL;
}

static bool grew(const uint64_t of[2], uint64_t slack)
{
    return of[1] > of[0] + of[0] / 4 + slack;
}

static void exchange_and_count(const char *beside, void *(*work_beside)(void *))
{
    pthread_t watcher, other;
    pthread_create(&watcher, NULL, watch, NULL);
    if (work_beside != NULL)
        pthread_create(&other, NULL, work_beside, NULL);
    run(THREADS, exchange);
    ull_store_relaxed(&all.stop, 1U);
    if (work_beside != NULL)
        pthread_join(other, NULL);
    pthread_join(watcher, NULL);
    tap_ok(all.spoiled == 0 && all.refused == 0, "%lu exchanges%s: %lu spoiled, %lu refused", (unsigned long)all.turns,
        beside, (unsigned long)all.spoiled, (unsigned long)all.refused);
    tap_ok(every_buffer_is_once(), "every buffer is in one place");
}

static void exchange_part(void)
{
    begin_part(seconds());
    exchange_and_count("", NULL);
    /* A sanitizer's shadows grow for longer than this lasts. */
    tap_ok((SLOWER > 1 || !grew(watched.resident, 16 * MIB)) && !grew(watched.idle, 16 * MIB) && watched.over == 0,
        "memory does not grow: %lu and %lu KiB resident at most in each half, %lu and %lu KiB idle",
        (unsigned long)watched.resident[0] / 1024, (unsigned long)watched.resident[1] / 1024,
        (unsigned long)watched.idle[0] / 1024, (unsigned long)watched.idle[1] / 1024);
    clear_array();
    ullage_trim(0);
    tap_ok(ullage_retained_bytes() == 0, "all of it goes: %zu are idle", ullage_retained_bytes());
}

/* ---- (b) one thread gets, another puts ---- */

enum { RING = 256, PAIRS = 3 };
#define RING_ENDS (UINT64_C(1) << 63)

static struct ring {
    struct tenant *places[RING];
    uint64_t head, tail; /* atomic; the producer's, the consumer's */
} rings[PAIRS];

static void *produce(void *argument)
{
    struct ring *ring = &rings[(uintptr_t)argument - 1];
    uint64_t state = (uintptr_t)argument, head = 0;
    while (goes_on()) {
        if (head - ull_load_acquire(&ring->tail) == RING) {
            sched_yield();
            continue;
        }
        struct tenant *tenant = get_tenant(&state);
        ring->places[head % RING] = tenant;
        ull_store_release(&ring->head, ++head);
    }
    ull_add_relaxed(&all.turns, head);
    ull_store_release(&ring->head, head | RING_ENDS);
    return NULL;
}

static void *consume(void *argument)
{
    struct ring *ring = &rings[(uintptr_t)argument - 1];
    uint64_t state = (uintptr_t)argument, tail = 0, head;
    while ((head = ull_load_acquire(&ring->head)) != (tail | RING_ENDS)) {
        if (tail == (head & ~RING_ENDS)) {
            sched_yield();
            continue;
        }
        put_tenant(ring->places[tail % RING], &state);
        ull_store_release(&ring->tail, ++tail);
    }
    return NULL;
}

static void *produce_or_consume(void *argument)
{
    uintptr_t number = (uintptr_t)argument - 1;
    return (number % 2 == 0 ? produce : consume)((void *)(number / 2 + 1));
}

static void producer_part(void)
{
    memset(rings, 0, sizeof rings);
    begin_part(0.7);
    run(2 * PAIRS, produce_or_consume);
    tap_ok(all.spoiled == 0 && all.refused == 0, "%lu buffers from producers to consumers, which never get one",
        (unsigned long)all.turns);
    tap_ok(every_buffer_is_once(), "every buffer is in one place");
}

/* ---- (c) threads that come and go ---- */

static pthread_key_t early, late;
static uint64_t destroyed; /* atomic */

/* Before or after the allocator's own destructor has run. */
static void put_at_the_end(void *tenant)
{
    uint64_t state = 1;
    put_tenant(tenant, &state);
    put_tenant(get_tenant(&state), &state);
    ull_add_relaxed(&destroyed, UINT64_C(1));
}

static void *live_shortly(void *argument)
{
    uint64_t state = (uintptr_t)argument * 104729 + all.turns;
    struct tenant *held[80];
    pthread_setspecific(early, get_tenant(&state));
    for (int i = 0; i < 80; i++)
        held[i] = get_tenant(&state);
    for (int i = 0; i < 80; i++)
        put_tenant(held[i], &state);
    pthread_setspecific(late, get_tenant(&state));
    if (draw(&state) % 2 == 0)
        pthread_exit(NULL);
    return NULL;
}

static void *put_only(void *argument)
{
    pthread_setspecific(draw(&(uint64_t) { (uintptr_t)argument }) % 2 != 0 ? early : late, argument);
    return NULL;
}

static void ending_part(void)
{
    uint64_t state = 5, ended = 0;
    begin_part(1.0);
    pthread_key_create(&late, put_at_the_end);
    for (; goes_on(); ended += 8) {
        pthread_t threads[8];
        for (uintptr_t i = 0; i < 8; i++) {
            void *argument = i % 4 == 3 ? (void *)get_tenant(&state) : (void *)(ended + i);
            pthread_create(&threads[i], NULL, i % 4 == 3 ? put_only : live_shortly, argument);
        }
        for (int i = 0; i < 8; i++)
            pthread_join(threads[i], NULL);
    }
    tap_ok(all.spoiled == 0 && all.refused == 0 && destroyed >= ended, "%lu threads ended, with %lu late puts",
        (unsigned long)ended, (unsigned long)destroyed);
    tap_ok(every_buffer_is_once(), "every buffer is in one place");
    tap_ok(ull_threads_count() < 64, "books of ended threads are used again: %u", ull_threads_count());
}

/* ---- (d) trim and decay beside the exchange ---- */

static void *keep_trimming(void *argument)
{
    uint64_t state = (uintptr_t)argument;
    while (!ull_load_relaxed(&all.stop)) {
        ullage_trim(draw(&state) % 3 == 0 ? 0 : draw(&state) % (16 * MIB));
        if (draw(&state) % 4 == 0)
            pause_ms(1);
    }
    return NULL;
}

static void start_decay(void)
{
    struct ullage_alloc_options options = ULLAGE_ALLOC_OPTIONS_INIT;
    options.background = true;
    options.decay_ms = 20;
    if (ullage_alloc_configure(&options) != 0)
        abort();
}

static void decay_part(void)
{
    start_decay();
    begin_part(seconds() / 2);
    exchange_and_count(" beside trim and decay", keep_trimming);
    clear_array();
    for (int i = 0; i < 200 && ullage_retained_bytes() > 0; i++)
        pause_ms(10);
    tap_ok(ullage_retained_bytes() == 0, "decay takes the rest: %zu are idle", ullage_retained_bytes());
    tap_ok(every_buffer_is_once(), "every buffer is in one place");
}

/* ---- (e) pools whose objects are made and unmade ---- */

enum { POOLS = 3, OBJECT_BYTES = 3000 };

static struct object {
    uint64_t magic, seed;
} *objects[SHARED]; /* atomic */

static struct made {
    struct ullage_pool *pool;
    uint64_t tries, inits, finis, resets; /* atomic */
} made[POOLS];
static uint8_t pool_of[SHARED];
#define MADE UINT64_C(0x6d61646562797573)

static int init_object(void *ctx, void *object)
{
    struct made *its = ctx;
    ((struct object *)object)->magic = MADE ^ (uintptr_t)ctx;
    if (ull_add_relaxed(&its->tries, UINT64_C(1)) % 1000 == 999)
        return -EAGAIN;
    ull_add_relaxed(&its->inits, UINT64_C(1));
    return 0;
}

static void reset_object(void *ctx, void *object)
{
    (void)object;
    ull_add_relaxed(&((struct made *)ctx)->resets, UINT64_C(1));
}

static void fini_object(void *ctx, void *object)
{
    struct made *its = ctx;
    if (((struct object *)object)->magic != (MADE ^ (uintptr_t)ctx))
        ull_add_relaxed(&all.spoiled, UINT64_C(1));
    ((struct object *)object)->magic = 0;
    ull_add_relaxed(&its->finis, UINT64_C(1));
}

static void look_at_object(struct object *object, const struct made *its)
{
    if (object->magic != (MADE ^ (uintptr_t)its) || !is_stamped(object + 1, OBJECT_BYTES - sizeof *object, object->seed))
        ull_add_relaxed(&all.spoiled, UINT64_C(1));
}

/* Each place of the array belongs to one pool. */
static void *exchange_objects(void *argument)
{
    uint64_t state = (uintptr_t)argument * 31337, turns = 0;
    for (; goes_on(); turns++) {
        uint32_t at = draw(&state) % SHARED;
        struct made *its = &made[pool_of[at]];
        struct object *object = draw(&state) % 4 == 0 ? NULL : ullage_pool_get(its->pool);
        if (object != NULL) {
            object->seed = draw(&state);
            stamp(object + 1, OBJECT_BYTES - sizeof *object, object->seed);
        }
        object = ull_exchange_acq_rel(&objects[at], object);
        if (object != NULL) {
            look_at_object(object, its);
            ullage_pool_put_used(its->pool, object, OBJECT_BYTES);
        }
    }
    ull_add_relaxed(&all.turns, turns);
    return NULL;
}

static void make_pools(void)
{
    struct ullage_pool_options options = ULLAGE_POOL_OPTIONS_INIT;
    options.object_bytes = OBJECT_BYTES;
    options.init = init_object;
    options.reset = reset_object;
    options.fini = fini_object;
    memset(made, 0, sizeof made);
    for (unsigned i = 0; i < POOLS; i++) {
        options.ctx = &made[i];
        options.max_retained_bytes = i == 1 ? 20 * OBJECT_BYTES : 0;
        if (ullage_pool_create(&made[i].pool, &options) != 0)
            abort();
    }
    for (unsigned i = 0; i < SHARED; i++)
        pool_of[i] = (uint8_t)(i % POOLS);
}

static bool is_balanced(const struct made *its, const struct ullage_pool_counts *counts)
{
    static int told;
    bool balanced = counts->out == 0 && counts->gets == counts->puts && its->resets == counts->puts && its->inits == its->finis;
    if (!balanced && told++ < 5)
        printf("# %lu gets, %lu puts, %lu init, %lu reset, %lu fini\n", (unsigned long)counts->gets, (unsigned long)counts->puts,
            (unsigned long)its->inits, (unsigned long)its->resets, (unsigned long)its->finis);
    return balanced;
}

/* With all objects put. */
static bool destroy_balanced(void)
{
    bool balanced = true;
    for (unsigned i = 0; i < SHARED; i++)
        ullage_pool_put(made[pool_of[i]].pool, ull_exchange_acq_rel(&objects[i], NULL));
    for (unsigned i = 0; i < POOLS; i++) {
        struct ullage_pool_counts counts = { .size = sizeof counts };
        ullage_pool_counts(made[i].pool, &counts);
        ullage_pool_destroy(made[i].pool);
        balanced &= is_balanced(&made[i], &counts);
    }
    return balanced;
}

static void pool_part(void)
{
    bool balanced = true;
    uint64_t turns = 0;
    for (int again = 0; again < 4; again++) { /* each in the place of one that was destroyed */
        make_pools();
        begin_part(0.4);
        run(THREADS, exchange_objects);
        turns += all.turns;
        balanced &= destroy_balanced() && all.spoiled == 0;
    }
    tap_ok(balanced, "%lu exchanges of objects: each was made and unmade once", (unsigned long)turns);
    tap_ok(every_buffer_is_once(), "every object is in one place");
}

/* Who says "done" and is not joined yet: his last destructors run while the pool goes. */
static uint32_t done; /* atomic */

static void *use_and_leave(void *argument)
{
    struct object *held[40];
    for (int i = 0; i < 40; i++)
        held[i] = ullage_pool_get(argument);
    for (int i = 0; i < 40; i++)
        ullage_pool_put(argument, held[i]);
    ull_add_release(&done, 1U);
    return NULL;
}

static void *keep_making_pools(void *argument)
{
    while (!ull_load_relaxed(&all.stop)) {
        struct ullage_pool_options options = ULLAGE_POOL_OPTIONS_INIT;
        struct ullage_pool *pool;
        options.object_bytes = 1 + (uintptr_t)argument;
        if (ullage_pool_create(&pool, &options) != 0)
            abort();
        ullage_pool_put(pool, ullage_pool_get(pool));
        ullage_pool_destroy(pool);
    }
    return NULL;
}

static void destroy_part(void)
{
    uint64_t rounds = 0;
    bool balanced = true;
    pthread_t others[2];
    begin_part(0.7);
    pthread_create(&others[0], NULL, keep_trimming, NULL);
    pthread_create(&others[1], NULL, keep_making_pools, NULL);
    for (; goes_on(); rounds++) {
        pthread_t threads[4];
        ull_store_relaxed(&done, 0U);
        make_pools();
        for (int i = 0; i < 4; i++)
            pthread_create(&threads[i], NULL, use_and_leave, made[0].pool);
        while (ull_load_acquire(&done) < 4)
            sched_yield();
        balanced &= destroy_balanced();
        for (int i = 0; i < 4; i++)
            pthread_join(threads[i], NULL);
    }
    ull_store_relaxed(&all.stop, 1U);
    pthread_join(others[0], NULL);
    pthread_join(others[1], NULL);
    tap_ok(balanced && all.spoiled == 0, "%lu pools destroyed while their last users end, and others trim and destroy",
        (unsigned long)rounds);
    tap_ok(every_buffer_is_once(), "every object is in one place");
}

/* ---- (f) magazines of those who sleep ---- */

static pthread_barrier_t meeting;

static void *fill_and_sleep(void *argument)
{
    uint64_t state = (uintptr_t)argument;
    for (int round = 0; round < 20; round++) {
        struct tenant *held[100];
        for (int i = 0; i < 100; i++)
            held[i] = get_tenant(&state);
        for (int i = 0; i < 100; i++)
            put_tenant(held[i], &state);
        pthread_barrier_wait(&meeting); /* the other thread trims now */
        pthread_barrier_wait(&meeting);
    }
    return NULL;
}

static void sleeping_part(void)
{
    pthread_t threads[THREADS];
    size_t least = SIZE_MAX, most = 0;
    begin_part(100);
    pthread_barrier_init(&meeting, NULL, THREADS + 1);
    for (uintptr_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, fill_and_sleep, (void *)(i + 1));
    for (int round = 0; round < 20; round++) {
        pthread_barrier_wait(&meeting);
        size_t before = ullage_retained_bytes();
        ullage_trim(0);
        size_t after = ullage_retained_bytes();
        least = before < least ? before : least;
        most = after > most ? after : most;
        pthread_barrier_wait(&meeting);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    tap_ok(most == 0, "from %zu KiB on, at most %zu were left with those who sleep", least / 1024, most / 1024);
    tap_ok(all.spoiled == 0 && all.refused == 0 && every_buffer_is_once(), "who wakes goes on, and every buffer is in one place");
}

/* ---- (h) the hot path alone, against those who take its magazines ---- */

struct owned {
    uint32_t owner; /* atomic */
};
static struct ullage_pool *hot_pool;

static void own(struct owned *object, uint32_t me)
{
    if (ull_exchange_acq_rel(&object->owner, me) != 0)
        ull_add_relaxed(&all.spoiled, UINT64_C(1));
}

static void disown(struct owned *object, uint32_t me)
{
    if (ull_exchange_acq_rel(&object->owner, 0U) != me)
        ull_add_relaxed(&all.spoiled, UINT64_C(1));
}

static int init_owned(void *ctx, void *object)
{
    (void)ctx;
    ((struct owned *)object)->owner = 0;
    return 0;
}

/* As little as can be between a get and a put: the thread is inside most of the time. */
static void *get_and_put(void *argument)
{
    uint32_t me = (uint32_t)(uintptr_t)argument;
    struct owned *held[8];
    uint64_t turns = 0;
    while (goes_on()) {
        for (int i = 0; i < 500; i++, turns += 8) {
            for (int n = 0; n < 8; n++)
                own(held[n] = ullage_pool_get(hot_pool), me);
            for (int n = 0; n < 8; n++) {
                disown(held[n], me);
                ullage_pool_put_used(hot_pool, held[n], 4);
            }
        }
    }
    ull_add_relaxed(&all.turns, turns);
    return NULL;
}

static void *trim_hot_pool(void *argument)
{
    uint64_t times = 0;
    for (; !ull_load_relaxed(&all.stop); times++)
        ullage_pool_trim(hot_pool, 0);
    *(uint64_t *)argument = times;
    return NULL;
}

static void hot_part(void)
{
    struct ullage_pool_options options = ULLAGE_POOL_OPTIONS_INIT;
    pthread_t trimmer;
    uint64_t trims = 0;
    options.object_bytes = sizeof(struct owned);
    options.init = init_owned;
    if (ullage_pool_create(&hot_pool, &options) != 0)
        abort();
    void *stays = ullage_pool_get(hot_pool); /* and its slab */
    begin_part(1.5);
    pthread_create(&trimmer, NULL, trim_hot_pool, &trims);
    run(3, get_and_put);
    ull_store_relaxed(&all.stop, 1U);
    pthread_join(trimmer, NULL);
    tap_ok(all.spoiled == 0, "%lu gets beside %lu trims: %lu objects had two owners", (unsigned long)all.turns, (unsigned long)trims,
        (unsigned long)all.spoiled);
    tap_ok(every_buffer_is_once(), "every object is in one place");
    ullage_pool_put(hot_pool, stays);
    ullage_pool_destroy(hot_pool);
}

/* ---- (i) stacks of magazines ---- */

enum { MAGAZINES = 4 };
static struct ull_stack stack;

static void *pop_and_push(void *argument)
{
    uint32_t me = (uint32_t)(uintptr_t)argument;
    uint64_t state = me, turns = 0;
    unsigned retries;
    while (goes_on()) {
        for (int i = 0; i < 1000; i++, turns++) {
            struct ull_magazine *one = ull_stack_pop(&stack, &retries), *two = ull_stack_pop(&stack, &retries);
            bool turned = draw(&state) % 2 != 0;
            for (int n = 0; n < 2; n++) {
                struct ull_magazine *magazine = (n == 0) == turned ? one : two;
                if (magazine == NULL)
                    continue;
                if (ull_exchange_acq_rel(&magazine->pad, me) != 0 || ull_exchange_acq_rel(&magazine->pad, 0U) != me)
                    ull_add_relaxed(&all.spoiled, UINT64_C(1));
                ull_stack_push(&stack, magazine);
            }
        }
    }
    ull_add_relaxed(&all.turns, turns);
    return NULL;
}

static void stack_part(void)
{
    unsigned left = 0;
    stack = (struct ull_stack) { 0, 0 };
    for (int i = 0; i < MAGAZINES; i++) {
        struct ull_magazine *magazine = ull_magazine_get();
        magazine->pad = 0;
        ull_stack_push(&stack, magazine);
    }
    begin_part(1.0);
    run(4, pop_and_push);
    for (uint32_t at = ull_stack_take_all(&stack), next; at != 0 && left <= MAGAZINES; at = next, left++) {
        next = ull_magazine_at(at)->next;
        ull_magazine_put(ull_magazine_at(at));
    }
    tap_ok(all.spoiled == 0 && left == MAGAZINES, "%lu turns with a stack: %lu magazines had two owners, %u of %d are left",
        (unsigned long)all.turns, (unsigned long)all.spoiled, left, (int)MAGAZINES);
}

/* ---- (g) the first calls of all, at once ---- */

static void *begin_at_once(void *argument)
{
    uint64_t state = (uintptr_t)argument;
    struct tenant *held[20];
    pthread_barrier_wait(&meeting);
    for (int i = 0; i < 20; i++)
        held[i] = get_tenant(&state);
    for (int i = 0; i < 20; i++)
        put_tenant(held[i], &state);
    return NULL;
}

static int first_calls(void)
{
    pthread_barrier_init(&meeting, NULL, THREADS);
    run(THREADS, begin_at_once);
    return all.spoiled == 0 && all.refused == 0 && every_buffer_is_once() ? 0 : 1;
}

/* In children, since a process begins once. Before anything else here, while this one has not begun. */
static void beginning_part(void)
{
    int failed = 0, status;
    enum { TIMES = 150 / SLOWER };
    for (int i = 0; i < TIMES; i++) {
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            alarm(20);
            _exit(first_calls());
        }
        waitpid(child, &status, 0);
        failed += status != 0;
    }
    tap_ok(failed == 0, "%d times %d threads begin at once: %d failed", (int)TIMES, (int)THREADS, failed);
}

int main(void)
{
    alarm(HUNG_SECONDS + 3 * (unsigned)seconds());
    scratch_make();
    pthread_key_create(&early, put_at_the_end); /* before the allocator makes its own */
    beginning_part();
    ullage_free(ullage_malloc(1)); /* one thread first: the parts below tell of something else */
    exchange_part();
    producer_part();
    ending_part();
    pool_part();
    destroy_part();
    sleeping_part();
    hot_part();
    stack_part();
    decay_part(); /* last: its thread stays */
    pool_part();
    destroy_part();
    sleeping_part();
    scratch_remove();
    return tap_done();
}
