/* SPDX-License-Identifier: BSD-2-Clause */
/* test_pool.c - pools of objects: made, used again, counted, bounded, learned from, and destroyed. */
#include "config.h"

#include "pooled.h"
#include "scratch.h"
#include "ullage/budget.h"
#include "ullage/pool.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>

#define MIB ((size_t)1 << 20)

static void set_up(void)
{
    scratch_make();
    listen_for_misuse();
}

TestSuite(pool, .init = set_up, .fini = scratch_remove, .timeout = 60);

static struct ullage_pool_options options_of(size_t object_bytes)
{
    struct ullage_pool_options options = ULLAGE_POOL_OPTIONS_INIT;
    options.object_bytes = object_bytes;
    return options;
}

static struct ullage_pool *create(const struct ullage_pool_options *options)
{
    struct ullage_pool *pool = NULL;
    int result = ullage_pool_create(&pool, options);
    cr_assert(result == 0 && pool != NULL, "%d", result);
    return pool;
}

static struct ullage_pool *pool_of(size_t object_bytes)
{
    struct ullage_pool_options options = options_of(object_bytes);
    return create(&options);
}

static struct ullage_pool_counts counts_of(const struct ullage_pool *pool)
{
    struct ullage_pool_counts counts = { .size = sizeof counts };
    cr_assert_eq(ullage_pool_counts(pool, &counts), 0);
    return counts;
}

/* And nothing was said of misuse. */
static void destroy(struct ullage_pool *pool)
{
    ullage_pool_destroy(pool);
    cr_assert_eq(heard_times, 0, "%s", heard);
    cr_assert(every_buffer_is_once());
}

static void expect_misuse(const char *of)
{
    cr_assert_eq(heard_times, 1, "%d times, looking for \"%s\"", heard_times, of);
    cr_assert_not_null(strstr(heard, of), "%s", heard);
    heard_times = 0;
}

static void put_many(struct ullage_pool *pool, void **objects, int count)
{
    for (int i = 0; i < count; i++)
        ullage_pool_put(pool, objects[i]);
}

static void get_many(struct ullage_pool *pool, void **objects, int count)
{
    for (int i = 0; i < count; i++) {
        objects[i] = ullage_pool_get(pool);
        cr_assert_not_null(objects[i], "%d: %s", i, strerror(errno));
    }
}

/* ---- objects that are made and unmade ---- */

static struct life {
    int inits, resets, finis, failing; /* @failing: each so manieth init fails */
} life;
#define ALIVE 0x616c697665

static int init(void *ctx, void *object)
{
    struct life *its = ctx;
    if (its->failing != 0 && (its->inits + 1) % its->failing == 0) {
        its->inits++;
        its->finis++; /* of none that was not made */
        return -EPERM;
    }
    its->inits++;
    *(uint64_t *)object = ALIVE;
    ((uint64_t *)object)[1] = 0;
    return 0;
}

static void reset(void *ctx, void *object)
{
    ((struct life *)ctx)->resets++;
    cr_assert_eq(*(uint64_t *)object, ALIVE);
    ((uint64_t *)object)[1]++;
}

static void fini(void *ctx, void *object)
{
    ((struct life *)ctx)->finis++;
    cr_assert_eq(*(uint64_t *)object, ALIVE, "each is unmade once");
    *(uint64_t *)object = 0;
}

static struct ullage_pool_options living(size_t object_bytes)
{
    struct ullage_pool_options options = options_of(object_bytes);
    options.init = init;
    options.reset = reset;
    options.fini = fini;
    options.ctx = &life;
    memset(&life, 0, sizeof life);
    return options;
}

Test(pool, makes_once_and_uses_again)
{
    struct ullage_pool_options options = living(1000);
    struct ullage_pool *pool = create(&options);
    void *objects[500];
    for (int turn = 1; turn <= 20; turn++) {
        get_many(pool, objects, 500);
        cr_assert_eq(life.inits, 500, "%d made", life.inits);
        for (int i = 0; i < 500; i++)
            cr_assert_eq(*(uint64_t *)objects[i], ALIVE);
        put_many(pool, objects, 500);
        cr_assert_eq(life.resets, 500 * turn);
        cr_assert_eq(life.finis, 0);
    }
    struct ullage_pool_counts counts = counts_of(pool);
    cr_assert(counts.gets == 10000 && counts.puts == 10000 && counts.out == 0, "%lu %lu", counts.gets, counts.puts);
    cr_assert_eq(counts.made, 500);
    cr_assert_eq(counts.unmade, 0);
    ullage_pool_trim(pool, 0);
    cr_assert_eq(life.finis, 500);
    cr_assert_eq(counts_of(pool).unmade, 500);
    get_many(pool, objects, 10);
    cr_assert_eq(life.inits, 510);
    put_many(pool, objects, 10);
    destroy(pool);
    cr_assert_eq(life.inits, life.finis);
}

Test(pool, get_fails_as_init_does)
{
    struct ullage_pool_options options = living(3000);
    void *objects[300];
    int failed = 0;
    for (int failing = 1; failing <= 5; failing++) {
        options.budget = NULL;
        cr_assert_eq(ullage_budget_create(&options.budget, 10 * MIB), 0);
        memset(&life, 0, sizeof life);
        life.failing = failing;
        struct ullage_pool *pool = create(&options);
        for (int i = 0; i < 300; i++) {
            errno = 0;
            objects[i] = ullage_pool_get(pool);
            cr_assert(objects[i] != NULL ? errno == 0 && *(uint64_t *)objects[i] == ALIVE : errno == EPERM, "%d: %s", i, strerror(errno));
            failed += objects[i] == NULL;
            if (i % 3 == 0) {
                ullage_pool_put(pool, objects[i]);
                objects[i] = NULL;
            }
        }
        put_many(pool, objects, 300); /* NULL is let pass */
        cr_assert_eq(counts_of(pool).out, 0);
        destroy(pool);
        cr_assert_eq(life.inits, life.finis, "%d made, %d unmade", life.inits, life.finis);
        cr_assert_eq(ullage_budget_used(options.budget), 0);
        ullage_budget_destroy(options.budget);
    }
    cr_assert_gt(failed, 300);
}

/* What fini does with other buffers is done, if later. */
static void *inner[2000];
static int inner_count;

static int init_with_buffer(void *ctx, void *object)
{
    (void)ctx;
    *(void **)object = ullage_malloc(700);
    return *(void **)object != NULL ? 0 : -ENOMEM;
}

static void fini_with_buffer(void *ctx, void *object)
{
    (void)ctx;
    ullage_free(*(void **)object);
    void *other = ullage_malloc(900);
    cr_assert_not_null(other, "%s", strerror(errno));
    inner[inner_count++] = other;
}

Test(pool, callbacks_may_use_other_buffers)
{
    struct ullage_pool_options options = options_of(2000);
    void *objects[400];
    options.init = init_with_buffer;
    options.fini = fini_with_buffer;
    options.max_retained_bytes = 300000; /* so that a put unmakes some */
    struct ullage_pool *pool = create(&options);
    for (int turn = 0; turn < 3; turn++) {
        get_many(pool, objects, 400);
        put_many(pool, objects, 400);
        ullage_pool_trim(pool, turn * 50000);
    }
    destroy(pool);
    cr_assert_geq(inner_count, 800);
    for (int i = 0; i < inner_count; i++)
        ullage_free(inner[i]);
    ullage_free(ullage_malloc(200)); /* what was left behind is done */
    ullage_trim(0);
    cr_assert(every_buffer_is_once());
    for (uint32_t i = 0; i < ull_slab_count(); i++)
        cr_assert_neq(ull_slab_at(i)->state, ULL_SLAB_USED);
}

/* ---- options ---- */

static int create_with(struct ullage_pool_options options)
{
    struct ullage_pool *pool;
    int result = ullage_pool_create(&pool, &options);
    if (result == 0)
        ullage_pool_destroy(pool);
    return result;
}

#define WITH(field, value) (options = options_of(5000), options.field = (value), create_with(options))

Test(pool, options_are_looked_at)
{
    struct ullage_pool_options options;
    struct ullage_pool *pool;
    char name[65] = "";
    static const struct ullage_source empty = { 0 };
    memset(name, 'n', 64);
    cr_assert_eq(ullage_pool_create(&pool, NULL), -EINVAL);
    cr_assert_eq(WITH(size, 0), -EINVAL);
    cr_assert_eq(WITH(size, sizeof options - 8), -EINVAL, "shorter than the first version's");
    cr_assert_eq(WITH(size, sizeof options + 8), -EINVAL, "a version that is to come");
    cr_assert_eq(WITH(object_bytes, 0), -EINVAL);
    cr_assert_eq(WITH(object_bytes, 64 * MIB + 1), -EINVAL);
    cr_assert_eq(WITH(object_bytes, SIZE_MAX), -EINVAL);
    cr_assert_eq(WITH(align, 3), -EINVAL);
    cr_assert_eq(WITH(align, 131072), -EINVAL);
    cr_assert_eq(WITH(flags, 4), -EINVAL);
    cr_assert_eq(WITH(name, name), -EINVAL);
    cr_assert_eq(WITH(name, name + 1), 0);
    cr_assert_eq(WITH(name, ""), 0);
    cr_assert_eq(WITH(source, &empty), -EINVAL);
    options = options_of(5000);
    cr_assert_eq(ullage_pool_create(NULL, &options), -EINVAL);
    cr_assert_eq(heard_times, 0, "%s", heard);
}

Test(pool, objects_lie_as_they_are_to)
{
    static const size_t sizes[] = { 1, 63, 64, 65, 1000, 4095, 4096, 5000, 65536, 3 * MIB };
    for (size_t align = 0; align <= 65536; align = align == 0 ? 1 : align * 2) {
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            struct ullage_pool_options options = options_of(sizes[i]);
            void *objects[5];
            options.align = align;
            struct ullage_pool *pool = create(&options);
            get_many(pool, objects, 5);
            for (int n = 0; n < 5; n++) {
                size_t least = align != 0 ? align : sizes[i] >= 4096 ? 4096 : 16;
                cr_assert_eq((uintptr_t)objects[n] % least, 0, "%p by %zu of %zu", objects[n], align, sizes[i]);
                cr_assert_eq(ullage_pool_object_bytes(pool, objects[n]), sizes[i]);
                memset(objects[n], n + 1, sizes[i]);
            }
            for (int n = 0; n < 5; n++)
                cr_assert_eq(((char *)objects[n])[sizes[i] - 1], n + 1);
            put_many(pool, objects, 5);
            cr_assert_eq(ullage_pool_object_bytes(pool, objects[0]), 0, "put");
            cr_assert_eq(ullage_pool_object_bytes(pool, NULL), 0);
            destroy(pool);
        }
    }
}

Test(pool, the_largest_objects)
{
    struct ullage_pool *pool = pool_of(64 * MIB);
    void *objects[4];
    get_many(pool, objects, 4);
    for (int i = 0; i < 4; i++)
        ((char *)objects[i])[64 * MIB - 1] = 1;
    put_many(pool, objects, 4);
    destroy(pool);
}

Test(pool, there_are_900)
{
    static struct ullage_pool *pools[901];
    struct ullage_pool_options options = options_of(100);
    for (int turn = 0; turn < 2; turn++) {
        int made = 0;
        while (made < 901 && ullage_pool_create(&pools[made], &options) == 0)
            made++;
        cr_assert_eq(made, 900);
        cr_assert_eq(ullage_pool_create(&pools[900], &options), -ENOSPC);
        for (int i = 0; i < 900; i++)
            ullage_pool_put(pools[i], ullage_pool_get(pools[i]));
        for (int i = 0; i < 900; i++)
            ullage_pool_destroy(pools[i]);
        cr_assert_eq(heard_times, 0, "%s", heard);
    }
    cr_assert(every_buffer_is_once());
}

/* ---- counts ---- */

/* Hot and slow paths, of this pool alone: not of one that had its place before. */
Test(pool, counts_are_its_own)
{
    for (int again = 0; again < 5; again++) {
        struct ullage_pool *pool = pool_of(100);
        void *objects[333];
        uint64_t got = 0;
        for (int turn = 1; turn < 20; turn++) {
            int count = turn * 17;
            get_many(pool, objects, count);
            got += (uint64_t)count;
            struct ullage_pool_counts counts = counts_of(pool);
            cr_assert_eq(counts.gets, got, "%lu, not %lu, of pool %d", counts.gets, got, again);
            cr_assert_eq(counts.out, count);
            cr_assert_geq(counts.made - counts.unmade, (uint64_t)count);
            cr_assert_eq(counts.learned_bytes, 0);
            for (int i = 0; i < count; i++)
                ullage_pool_put_used(pool, objects[i], (size_t)i);
            cr_assert_eq(counts_of(pool).puts, got);
        }
        destroy(pool);
    }
    struct ullage_pool_counts wrong = { .size = sizeof wrong - 8 };
    struct ullage_pool *pool = pool_of(100);
    cr_assert_eq(ullage_pool_counts(pool, &wrong), -EINVAL);
    cr_assert_eq(ullage_pool_counts(pool, NULL), -EINVAL);
    destroy(pool);
}

Test(pool, places_are_counted)
{
    static struct ullage_site site = { "place.c", "of_gets", 7, 0 };
    struct ullage_pool *pool = pool_of(3000);
    uint64_t gets, puts;
    for (int i = 0; i < 1000; i++) {
        void *object = ullage_pool_get_at(&site, pool), *other = (ullage_pool_get)(pool);
        ullage_pool_put_used(pool, object, 10);
        if (i < 900)
            ullage_pool_put(pool, other);
        else
            ullage_pool_put_used(pool, other, SIZE_MAX);
    }
    ull_track_sums(site.index, &gets, &puts);
    cr_assert(gets == 1000 && puts == 1000, "%lu %lu", gets, puts);
    destroy(pool);
}

/* ---- what lies idle ---- */

Test(pool, trim_leaves_what_it_is_told)
{
    struct ullage_pool *pool = pool_of(65536), *other = pool_of(65536);
    void *objects[200];
    for (size_t keep = 0; keep < 12 * MIB; keep += 3 * MIB) {
        get_many(pool, objects, 200);
        put_many(pool, objects, 200);
        ullage_pool_put(other, ullage_pool_get(other));
        uint64_t of_other = counts_of(other).retained_bytes;
        ullage_pool_trim(pool, keep);
        cr_assert_leq(counts_of(pool).retained_bytes, keep);
        cr_assert_eq(counts_of(other).retained_bytes, of_other, "another pool's are left");
    }
    destroy(pool);
    destroy(other);
    cr_assert_eq(ullage_retained_bytes(), 0);
}

Test(pool, keeps_no_more_than_its_bound)
{
    static const size_t bounds[] = { 1, 5000, 10000, 40000, 200000, MIB };
    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++) {
        struct ullage_pool_options options = living(5000);
        void *objects[400];
        options.max_retained_bytes = bounds[i];
        struct ullage_pool *pool = create(&options);
        for (int turn = 0; turn < 5; turn++) {
            get_many(pool, objects, 400);
            for (int n = 0; n < 400; n++) {
                ullage_pool_put(pool, objects[n]);
                uint64_t idle = counts_of(pool).retained_bytes;
                cr_assert_leq(idle, bounds[i], "%lu are idle, of %zu", idle, bounds[i]);
            }
        }
        uint64_t made = counts_of(pool).made - counts_of(pool).unmade;
        cr_assert_leq(made * 5000, bounds[i], "%lu objects are there", made);
        destroy(pool);
        cr_assert_eq(life.inits, life.finis);
    }
}

static void sleep_ms(long ms)
{
    struct timespec pause = { ms / 1000, ms % 1000 * 1000000 };
    nanosleep(&pause, NULL);
}

/* By anybody's slow path; a pool of another period is left alone. */
Test(pool, idle_objects_leave_after_two_periods)
{
    struct ullage_pool_options options = living(5000);
    void *objects[100];
    options.decay_ms = 50;
    struct ullage_pool *pool = create(&options);
    options.decay_ms = 60000;
    options.init = NULL;
    options.fini = NULL;
    options.reset = NULL;
    struct ullage_pool *slow = create(&options);
    get_many(pool, objects, 100);
    put_many(pool, objects, 100);
    get_many(slow, objects, 100);
    put_many(slow, objects, 100);
    for (int i = 0; i < 20 && life.finis < 100; i++) {
        sleep_ms(20);
        ullage_free(ullage_malloc(65 * MIB)); /* always on the slow path */
    }
    cr_assert_eq(life.finis, 100);
    cr_assert_eq(counts_of(pool).retained_bytes, 0);
    cr_assert_gt(counts_of(slow).retained_bytes, 0);
    destroy(pool);
    destroy(slow);
}

/* ---- misuse ---- */

Test(pool, destroy_with_objects_out)
{
    struct ullage_pool_options options = living(1000);
    options.name = "parsers";
    struct ullage_pool *pool = create(&options);
    void *objects[3];
    get_many(pool, objects, 3);
    ullage_pool_destroy(pool);
    expect_misuse("pool \"parsers\" is destroyed with 3 objects out, one got at ");
    cr_assert_not_null(strstr(heard, "test_pool.c:"), "%s", heard);
    cr_assert_eq(life.finis, 0, "nothing is destroyed then");
    put_many(pool, objects, 3);
    destroy(pool);
    cr_assert_eq(life.finis, 3);
    ullage_pool_destroy(NULL);
    cr_assert_eq(heard_times, 0);
}

Test(pool, use_after_destroy)
{
    struct ullage_pool *pool = pool_of(1000);
    void *object = ullage_pool_get(pool);
    ullage_pool_put(pool, object);
    destroy(pool);
    errno = 0;
    cr_assert_null(ullage_pool_get(pool));
    cr_assert_eq(errno, EINVAL);
    expect_misuse("is no pool");
    cr_assert_null((ullage_pool_get)(NULL));
    expect_misuse("is no pool");
    ullage_pool_put(pool, object);
    expect_misuse("is no pool");
    ullage_pool_put(NULL, object);
    expect_misuse("is no pool");
    cr_assert_eq(ullage_pool_trim(pool, 0), 0);
    expect_misuse("is no pool");
    ullage_pool_destroy(pool);
    expect_misuse("is no pool");
    ullage_pool_put(pool, NULL);
    ullage_pool_put_used(pool, NULL, 1);
    cr_assert_eq(heard_times, 0, "NULL is let pass");
}

Test(pool, put_of_what_is_not_its_own)
{
    struct ullage_pool *pool = pool_of(1000), *other = pool_of(1000);
    int here;
    for (int i = 0; i < 100; i++) {
        char *object = ullage_pool_get(pool);
        ullage_pool_put(other, object);
        expect_misuse("is not the beginning of a buffer of ours");
        ullage_pool_put(pool, object + 16);
        expect_misuse("is not the beginning of a buffer of ours");
        ullage_pool_put_used(pool, &here, 5);
        expect_misuse("is not the beginning of a buffer of ours");
        ullage_pool_put(pool, object);
        ullage_pool_put(pool, object);
        expect_misuse("put twice: got at");
        ullage_pool_put_used(pool, object, 3);
        expect_misuse("put twice: got at");
    }
    struct ullage_pool_counts counts = counts_of(pool);
    cr_assert(counts.gets == 100 && counts.puts == 100 && counts.out == 0, "%lu %lu", counts.gets, counts.puts);
    cr_assert_eq(counts_of(other).puts, 0);
    destroy(pool);
    destroy(other);
}

/* ---- budgets ---- */

Test(pool, takes_no_more_than_its_budget)
{
    struct ullage_pool_options options = options_of(4096), wide;
    struct ullage_budget *budget;
    void *objects[20];
    cr_assert_eq(ullage_budget_create(&budget, 10 * 4096), 0);
    options.budget = budget;
    struct ullage_pool *pool = create(&options), *other = create(&options);
    for (int turn = 0; turn < 5; turn++) {
        get_many(pool, objects, 10);
        cr_assert_eq(ullage_budget_used(budget), 10 * 4096);
        errno = 0;
        cr_assert_null(ullage_pool_get(pool));
        cr_assert_eq(errno, ENOBUFS);
        cr_assert_null(ullage_pool_get(other));
        cr_assert_eq(errno, ENOBUFS);
        put_many(pool, objects, 10);
        get_many(other, objects, 10); /* what is idle in the one is the other's */
        put_many(other, objects, 10);
    }
    wide = options_of(100000);
    wide.budget = budget;
    struct ullage_pool *never = create(&wide);
    wide.flags = ULLAGE_POOL_WAIT;
    struct ullage_pool *waits = create(&wide);
    cr_assert_null(ullage_pool_get(never));
    cr_assert_eq(errno, EMSGSIZE);
    cr_assert_null(ullage_pool_get(waits));
    cr_assert_eq(errno, EMSGSIZE, "it would wait for ever");
    destroy(pool);
    destroy(other);
    destroy(never);
    destroy(waits);
    cr_assert_eq(ullage_budget_used(budget), 0);
    cr_assert_leq(ullage_budget_peak(budget), 10 * 4096);
    ullage_budget_destroy(budget);
}

static struct waiting {
    struct ullage_pool *pool;
    uint32_t got; /* atomic */
} waiting;

static void *get_and_put(void *argument)
{
    struct waiting *its = argument;
    for (int i = 0; i < 200; i++) {
        void *object = ullage_pool_get(its->pool);
        if (object == NULL)
            return object;
        ull_add_relaxed(&its->got, 1U);
        if (i % 16 == 0)
            sched_yield();
        ullage_pool_put(its->pool, object);
    }
    return NULL;
}

/* What is put by the one must come to the other, also where it would lie in the first one's magazine, and he sleeps then. */
static void wait_for_each_other(uint32_t flags)
{
    struct ullage_pool_options options = options_of(4096);
    pthread_t threads[4];
    cr_assert_eq(ullage_budget_create(&options.budget, 2 * 4096), 0);
    options.flags = ULLAGE_POOL_WAIT | flags;
    waiting.pool = create(&options);
    waiting.got = 0;
    void *held = ullage_pool_get(waiting.pool), *also = ullage_pool_get(waiting.pool);
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, get_and_put, &waiting);
    sleep_ms(50);
    cr_assert_eq(ull_load_relaxed(&waiting.got), 0);
    ullage_pool_put(waiting.pool, held);
    sleep_ms(50);
    ullage_pool_put(waiting.pool, also);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    cr_assert_eq(ull_load_relaxed(&waiting.got), 800);
    destroy(waiting.pool);
    cr_assert_eq(ullage_budget_used(options.budget), 0);
    cr_assert_leq(ullage_budget_peak(options.budget), 2 * 4096);
    ullage_budget_destroy(options.budget);
}

Test(pool, waits_for_its_budget, .timeout = 30)
{
    wait_for_each_other(0);
}

Test(pool, adaptive_waits_for_its_budget, .timeout = 30)
{
    wait_for_each_other(ULLAGE_POOL_ADAPTIVE);
}

/* ---- adaptive ones ---- */

static uint64_t learn(struct ullage_pool *pool, int times, size_t used)
{
    for (int i = 0; i < times; i++) {
        char *object = ullage_pool_get(pool);
        size_t room = ullage_pool_object_bytes(pool, object);
        memset(object, 1, used < room ? used : room);
        ullage_pool_put_used(pool, object, used);
    }
    return counts_of(pool).learned_bytes;
}

/* What lies idle in another pool of the budget is not in the way. */
Test(pool, adaptive_squeezes_others_of_its_budget, .timeout = 30)
{
    struct ullage_budget *budget;
    struct ullage_pool_options fixed = options_of(8192), adaptive = options_of(8192);
    cr_assert_eq(ullage_budget_create(&budget, 16384), 0);
    fixed.budget = adaptive.budget = budget;
    adaptive.flags = ULLAGE_POOL_ADAPTIVE | ULLAGE_POOL_WAIT;
    struct ullage_pool *idle = create(&fixed), *pool = create(&adaptive);
    void *held[2] = { ullage_pool_get(idle), ullage_pool_get(idle) };
    ullage_pool_put(idle, held[0]);
    ullage_pool_put(idle, held[1]);
    cr_assert_eq(ullage_budget_used(budget), 16384);
    void *object = ullage_pool_get(pool);
    cr_assert_not_null(object);
    ullage_pool_put_used(pool, object, 100);
    destroy(pool);
    destroy(idle);
    cr_assert_eq(ullage_budget_used(budget), 0);
    ullage_budget_destroy(budget);
}

Test(pool, adaptive_learns_what_is_needed)
{
    struct ullage_pool_options options = options_of(MIB);
    options.flags = ULLAGE_POOL_ADAPTIVE;
    struct ullage_pool *pool = create(&options);
    cr_assert_eq(counts_of(pool).learned_bytes, MIB, "until it knows better");
    uint64_t small = learn(pool, 3000, 3000);
    cr_assert(small >= 3000 && small <= 4096, "%lu", small);
    void *object = ullage_pool_get(pool);
    cr_assert_geq(ullage_pool_object_bytes(pool, object), small);
    cr_assert_leq(ullage_pool_object_bytes(pool, object), 8192);
    ullage_pool_put_used(pool, object, 3000);
    uint64_t large = learn(pool, 30000, 200000); /* more than it has room for: so much would have been needed */
    cr_assert(large >= 200000 && large <= MIB, "%lu", large);
    uint64_t again = learn(pool, 60000, 100);
    cr_assert_leq(again, 1024);
    cr_assert_eq(counts_of(pool).out, 0);
    destroy(pool);
}

Test(pool, adaptive_runs_init_and_fini_each_time)
{
    struct ullage_pool_options options = living(50000);
    cr_assert_eq(ullage_budget_create(&options.budget, 10 * MIB), 0);
    options.flags = ULLAGE_POOL_ADAPTIVE;
    life.failing = 7;
    struct ullage_pool *pool = create(&options);
    int got = 0;
    for (int i = 0; i < 3000; i++) {
        void *object = ullage_pool_get(pool);
        got += object != NULL;
        if (object != NULL)
            ullage_pool_put_used(pool, object, 2000);
        cr_assert_eq(ullage_budget_used(options.budget), 0);
    }
    cr_assert_eq(life.resets, got);
    cr_assert_eq(life.inits, life.finis);
    cr_assert_eq(counts_of(pool).puts, (uint64_t)got);
    destroy(pool);
    ullage_budget_destroy(options.budget);
}

Test(pool, adaptive_honours_alignment)
{
    struct ullage_pool_options options = options_of(20000);
    options.flags = ULLAGE_POOL_ADAPTIVE;
    for (size_t align = 16; align <= 4096; align *= 2) {
        options.align = align;
        struct ullage_pool *pool = create(&options);
        for (int i = 0; i < 500; i++) {
            void *object = ullage_pool_get(pool);
            cr_assert_eq((uintptr_t)object % align, 0, "%p by %zu at %d", object, align, i);
            ullage_pool_put_used(pool, object, 700);
        }
        destroy(pool);
    }
}

Test(pool, adaptive_destroyed_with_objects_out)
{
    struct ullage_pool_options options = options_of(20000);
    options.flags = ULLAGE_POOL_ADAPTIVE;
    struct ullage_pool *pool = create(&options), *other = create(&options);
    void *object = ullage_pool_get(pool);
    ullage_pool_destroy(pool);
    expect_misuse("objects out");
    ullage_pool_put(other, object);
    expect_misuse("is not the beginning of a buffer of ours");
    ullage_pool_put(pool, object);
    ullage_pool_put(pool, object);
    expect_misuse("put twice");
    cr_assert_eq(counts_of(pool).out, 0);
    destroy(pool);
    destroy(other);
}

/* ---- sources ---- */

static struct counted {
    uint64_t maps, unmaps, purges, bytes;
    bool fails;
} counted;

static void *count_map(void *ctx, size_t bytes, size_t align)
{
    struct counted *its = ctx;
    void *p = NULL;
    if (its->fails || posix_memalign(&p, align, bytes) != 0)
        return NULL;
    its->maps++;
    its->bytes += bytes;
    return p;
}

static void count_unmap(void *ctx, void *start, size_t bytes)
{
    struct counted *its = ctx;
    its->unmaps++;
    its->bytes -= bytes;
    free(start);
}

static int count_purge(void *ctx, void *start, size_t bytes)
{
    (void)start;
    (void)bytes;
    ((struct counted *)ctx)->purges++;
    return -ENOSYS; /* nothing happened */
}

Test(pool, takes_slabs_from_its_source)
{
    struct ullage_pool_options options = living(8192);
    struct ullage_source source = { count_map, count_unmap, count_purge, false, &counted };
    void *objects[1000];
    options.source = &source;
    struct ullage_pool *pool = create(&options);
    memset(&source, 0, sizeof source);
    get_many(pool, objects, 1000);
    cr_assert_geq(counted.bytes, 1000 * 8192);
    put_many(pool, objects, 999);
    ullage_pool_trim(pool, 0);
    cr_assert_gt(counted.purges, 0);
    counted.fails = true;
    for (int i = 0; i < 999; i++)
        objects[i] = ullage_pool_get(pool);
    cr_assert_null(objects[998]);
    cr_assert_eq(errno, ENOMEM);
    put_many(pool, objects, 1000);
    destroy(pool);
    cr_assert_eq(counted.maps, counted.unmaps, "%lu %lu", counted.maps, counted.unmaps);
    cr_assert_eq(counted.bytes, 0);
    cr_assert_eq(life.inits, life.finis);
}
