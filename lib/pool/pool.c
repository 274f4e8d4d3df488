/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pool.c - pools of objects of one kind.
 *
 * A pool is a cache of its own: its objects stay built while they lie idle, its slabs are cut to their size, its bounds and
 * its budget are kept where magazines and slabs are. An adaptive one has no objects of its own, because what it hands out has
 * a size that changes: it takes buffers of the size classes, of the size that its uses have taught it.
 */
#include "config.h"

#include "ullage/pool.h"

#include "base/arith.h"
#include "base/misuse.h"
#include "base/sys.h"
#include "ledger/budget.h"
#include "measure/named.h"
#include "pool/clear.h"
#include "pool/debug.h"
#include "pool/decay.h"
#include "pool/hot.h"
#include "pool/settings.h"
#include "pool/source.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#undef ullage_pool_get

#define CALLER __builtin_return_address(0)
#define COLD __attribute__((cold, noinline))

#define POOL_MAGIC UINT32_C(0x756c6c70)
#define OBJECT_BYTES_MAX (UINT64_C(64) << 20)
enum { ALIGN_MAX = 65536, NAME_BYTES = 64, LEAST_STRIDE = 64, POOLS_MAX = 900, WAIT_STEP_MS = 10 };

struct ullage_pool {
    uint32_t magic; /* 0 where it was destroyed: its memory stays, so that a later use is told */
    uint32_t flags;
    struct ull_cache *cache; /* also of an adaptive one, which leaves it empty: for its index, name and budget */
    uint32_t index;
    uint32_t free_state;     /* of an object that was put */
    bool plain;              /* neither adaptive nor with a reset: its puts may take the hot path */
    uint32_t place;          /* adaptive: where its uses are counted */
    uint64_t object_bytes, align;
    void (*reset)(void *ctx, void *object);
    int (*init)(void *ctx, void *object); /* these two of an adaptive one; else the cache's */
    void (*fini)(void *ctx, void *object);
    void *ctx;
    uint64_t out; /* adaptive: bytes charged; atomic */
    char name[NAME_BYTES];
};

static struct {
    pthread_mutex_t lock;
    struct ullage_pool *pools; /* by index of their cache */
} all = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* ---- making ---- */

static bool is_valid(const struct ullage_pool_options *opt)
{
    const size_t first_size = offsetof(struct ullage_pool_options, source) + sizeof opt->source; /* of version 0.1 */
    if (opt == NULL || opt->size != first_size)
        return false;
    return opt->object_bytes >= 1 && opt->object_bytes <= OBJECT_BYTES_MAX && (opt->align & (opt->align - 1)) == 0
        && opt->align <= ALIGN_MAX && (opt->flags & ~(uint32_t)(ULLAGE_POOL_ADAPTIVE | ULLAGE_POOL_WAIT)) == 0
        && (opt->name == NULL || strnlen(opt->name, NAME_BYTES) < NAME_BYTES)
        && (opt->source == NULL || (opt->source->map != NULL && opt->source->unmap != NULL))
        && ((opt->flags & ULLAGE_POOL_ADAPTIVE) == 0 || (opt->source == NULL && opt->align <= 4096));
}

/* Under the lock: an index that no pool has. */
static uint32_t free_index(void)
{
    int error;
    if (all.pools == NULL)
        all.pools = ull_sys_mmap(ULL_CACHES_MAX * sizeof all.pools[0], PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0, &error);
    for (uint32_t i = ULL_CACHE_FIRST_POOL; all.pools != NULL && i < ULL_CACHE_FIRST_POOL + POOLS_MAX; i++)
        if (all.pools[i].magic == 0)
            return i;
    return 0;
}

static uint64_t stride_of(const struct ullage_pool_options *opt)
{
    uint64_t align = opt->align != 0 ? opt->align : opt->object_bytes >= 4096 ? 4096 : 16;
    return ull_round_up(ull_max_u64(opt->object_bytes, LEAST_STRIDE), ull_max_u64(align, 16));
}

/* Spares stay: descriptors of a pool that was here before. So does what others look at first, `used`. */
static void set_up_cache(struct ull_cache *cache, uint32_t index, const struct ullage_pool_options *opt, const char *name)
{
    bool adaptive = (opt->flags & ULLAGE_POOL_ADAPTIVE) != 0;
    cache->index = index;
    cache->name = name;
    cache->flags = opt->flags;
    cache->stride = stride_of(opt);
    cache->object_bytes = opt->object_bytes;
    cache->source = opt->source != NULL ? *opt->source
        : ull_pool_settings.source.map != NULL ? ull_pool_settings.source : ull_source_mmap;
    cache->budget = opt->budget;
    cache->max_retained_bytes = opt->max_retained_bytes;
    cache->decay_ns = (uint64_t)opt->decay_ms * 1000000;
    cache->init = adaptive ? NULL : opt->init;
    cache->fini = adaptive ? NULL : opt->fini;
    cache->ctx = opt->ctx;
    cache->entry = NULL;
    ull_store_relaxed(&cache->made, UINT64_C(0));
    ull_store_relaxed(&cache->unmade, UINT64_C(0));
    ull_store_relaxed(&cache->gets, UINT64_C(0));
    ull_store_relaxed(&cache->puts, UINT64_C(0));
    ull_store_relaxed(&cache->refused, UINT64_C(0));
    ull_store_relaxed(&cache->retained_peak, UINT64_C(0));
    ull_cache_prepare(cache);
}

static void set_up(struct ullage_pool *pool, uint32_t index, const struct ullage_pool_options *opt, const void *address)
{
    memset(pool, 0, sizeof *pool);
    snprintf(pool->name, sizeof pool->name, "%s", opt->name != NULL ? opt->name : "pool");
    pool->flags = opt->flags;
    pool->index = index;
    pool->object_bytes = opt->object_bytes;
    pool->align = opt->align;
    pool->plain = opt->reset == NULL && (opt->flags & ULLAGE_POOL_ADAPTIVE) == 0;
    pool->reset = opt->reset;
    pool->init = opt->init;
    pool->fini = opt->fini;
    pool->ctx = opt->ctx;
    pool->cache = &ull_caches[index];
    set_up_cache(pool->cache, index, opt, pool->name);
    pool->free_state = ULL_BLOCK_FREE | (ull_cache_builds(pool->cache) ? ULL_BLOCK_BUILT : 0);
    if ((opt->flags & ULLAGE_POOL_ADAPTIVE) != 0) {
        struct ullage_site site = { pool->name, "ullage_pool_get", index, 0 };
        pool->place = ull_place_of_site(&site, ULL_KIND_POOL, address);
        if (pool->place > ULL_PLACE_OTHER)
            ull_store_relaxed(&ull_place_at(pool->place)->learns, 1U);
    }
    pool->magic = POOL_MAGIC;
}

int ullage_pool_create(struct ullage_pool **out, const struct ullage_pool_options *opt)
{
    ull_settings_begin();
    if (out == NULL || !is_valid(opt))
        return -EINVAL;
    if (!ull_slow_enter())
        return -EDEADLK;
    ull_decay_hold(); /* nobody looks at all caches meanwhile */
    pthread_mutex_lock(&all.lock);
    uint32_t index = free_index();
    if (index != 0) {
        set_up(&all.pools[index], index, opt, CALLER);
        *out = &all.pools[index];
    }
    pthread_mutex_unlock(&all.lock);
    ull_decay_release();
    if (index != 0)
        ull_pool_publish(&ull_caches[index]);
    ull_decay_hurry(); /* its period may be the shortest */
    ull_slow_leave();
    return index != 0 ? 0 : all.pools == NULL ? -ENOMEM : -ENOSPC;
}

/* ---- use after the end, and objects of others ---- */

static COLD bool is_pool(const struct ullage_pool *pool, const void *by)
{
    char name[256];
    if (pool != NULL && pool->magic == POOL_MAGIC)
        return true;
    ull_named_address(by, name, sizeof name);
    ull_misuse("%p is no pool at %s: it was destroyed, or never created", (const void *)pool, name);
    return false;
}

/* ---- adaptive ones ---- */

static bool charge(struct ullage_pool *pool, uint64_t bytes)
{
    struct ullage_budget *budget = pool->cache->budget;
    int error = budget == NULL ? 0 : ull_budget_try(budget, bytes);
    if (error == -ENOBUFS && (pool->flags & ULLAGE_POOL_WAIT) != 0)
        error = ull_budget_wait(budget, bytes, -1);
    if (error != 0) {
        ull_add_relaxed(&pool->cache->refused, UINT64_C(1));
        errno = -error;
    }
    return error == 0;
}

static void give_budget(struct ullage_pool *pool, uint64_t bytes)
{
    if (pool->cache->budget != NULL)
        ull_budget_give(pool->cache->budget, bytes);
}

static uint64_t learned(const struct ullage_pool *pool)
{
    uint64_t bytes = pool->place > ULL_PLACE_OTHER ? ull_load_relaxed(&ull_place_at(pool->place)->learned_bytes) : 0;
    return bytes != 0 ? ull_min_u64(bytes, pool->object_bytes) : pool->object_bytes;
}

/* What is asked for: of an alignment that not all classes have, a class that has it. */
static uint64_t size_of_next(const struct ullage_pool *pool)
{
    uint64_t bytes = learned(pool);
    unsigned class = ull_class_for(bytes);
    if (pool->align <= 16)
        return bytes;
    while (class < ULL_CLASS_LARGE - 1 && ull_bucket_limit(class) % pool->align != 0)
        class = ull_class_of_bucket[class + 1];
    return ull_bucket_limit(class);
}

static void *get_adaptive(struct ullage_pool *pool)
{
    uint64_t bytes = size_of_next(pool);
    unsigned class = ull_class_for(bytes);
    uint64_t room = ull_bucket_limit(class);
    const struct ull_want want = { .kind = ULL_KIND_POOL, .cache = class, .place = pool->place, .bytes = bytes };
    if (!charge(pool, room))
        return NULL;
    struct ull_block *block = ull_get_any(pool->place, bytes, 0);
    if (block == NULL)
        block = ull_get_slow(&want);
    int error = block != NULL && pool->init != NULL ? pool->init(pool->ctx, block->data) : 0;
    if (block == NULL || error != 0) {
        if (block != NULL)
            ull_put_slow(block, 0, false, NULL);
        give_budget(pool, room);
        if (error != 0)
            errno = -error;
        return NULL;
    }
    ull_add_relaxed(&pool->cache->gets, UINT64_C(1));
    /* Whose it is: nobody else may put it. */
    block->pad = pool->index;
    ull_store_relaxed(&block->state, block->state | ULL_BLOCK_SINGLE);
    return block->data;
}

static void put_adaptive(struct ullage_pool *pool, struct ull_block *block, uint64_t used, bool declared, const void *by)
{
    if ((ull_load_relaxed(&block->state) & ULL_BLOCK_STATE_MASK) != ULL_BLOCK_LIVE) {
        ull_misuse_twice(block, by);
        return;
    }
    if (block->pad != pool->index || block->cache >= ULL_CACHE_FIRST_POOL) {
        ull_misuse_foreign(block->data, pool->name, by);
        return;
    }
    if (!ull_may_put(block, by))
        return;
    uint64_t room = ull_block_room(block);
    if (declared && used > block->requested && pool->place > ULL_PLACE_OTHER)
        ull_track_needed(pool->place, block->requested, ull_min_u64(used, pool->object_bytes));
    if (pool->reset != NULL)
        pool->reset(pool->ctx, block->data);
    if (pool->fini != NULL)
        pool->fini(pool->ctx, block->data);
    ull_add_relaxed(&pool->cache->puts, UINT64_C(1));
    block->pad = 0;
    ull_store_relaxed(&block->state, block->state & ~(uint32_t)ULL_BLOCK_SINGLE);
    if (!ull_put_any(block, used, declared, by, ULL_BLOCK_LIVE, ULL_BLOCK_FREE))
        ull_put_slow(block, used, declared, by);
    give_budget(pool, room);
}

/* ---- get ---- */

static int build(struct ullage_pool *pool, struct ull_block *block)
{
    int error = 0;
    if (block->pad != 0)
        error = pool->cache->init(pool->cache->ctx, block->data);
    if (error != 0) {
        ull_put_slow(block, 0, false, NULL);
        errno = -error;
    } else {
        block->pad = 0;
    }
    return error;
}

/*
 * Waits until as much is free as an object takes, and looks again now and then: an object that is put stays charged, in the
 * magazine of whoever put it, until the next get squeezes it out. Whoever is quicker may have it then, and we wait again.
 */
static bool wait_for_budget(struct ullage_pool *pool)
{
    if (errno != ENOBUFS || (pool->flags & ULLAGE_POOL_WAIT) == 0)
        return false;
    int error = ull_budget_wait(pool->cache->budget, pool->cache->stride, WAIT_STEP_MS);
    if (error == 0)
        ull_budget_give(pool->cache->budget, pool->cache->stride);
    errno = -error;
    return error == 0 || error == -ETIMEDOUT;
}

static __attribute__((noinline)) void *get_other(struct ullage_pool *pool, const struct ullage_site *site, const void *address)
{
    struct ull_block *block;
    uint32_t place = site != NULL ? ull_load_relaxed(&site->index) : ull_place_find_address(address, ULL_KIND_POOL);
    if (!is_pool(pool, address)) {
        errno = EINVAL;
        return NULL;
    }
    if ((pool->flags & ULLAGE_POOL_ADAPTIVE) != 0)
        return get_adaptive(pool);
    const struct ull_want want = { .site = site, .address = address, .kind = ULL_KIND_POOL, .cache = pool->index,
        .bytes = pool->object_bytes };
    block = ull_get_any(place, pool->object_bytes, pool->index);
    if (block != NULL) {
        ull_count(&ull_pool_self->fronts[pool->index].gets, 1);
        return block->data;
    }
    while (block == NULL) {
        block = ull_get_slow(&want);
        if (block == NULL && !wait_for_budget(pool))
            break;
    }
    if (block == NULL || build(pool, block) != 0)
        return NULL;
    ull_add_relaxed(&pool->cache->gets, UINT64_C(1));
    return block->data;
}

static inline __attribute__((always_inline)) void *get(
    struct ullage_pool *pool, const struct ullage_site *site, const void *address)
{
    void *data;
    if (ull_unlikely(pool == NULL || pool->magic != POOL_MAGIC || (pool->flags & ULLAGE_POOL_ADAPTIVE) != 0))
        return get_other(pool, site, address);
    uint32_t place = ull_likely(site != NULL) ? ull_load_relaxed(&site->index) : ull_place_find_address(address, ULL_KIND_POOL);
    if (ull_unlikely(ull_get_hot(place, pool->object_bytes, pool->index, &data) == NULL))
        return get_other(pool, site, address);
    ull_count(&ull_pool_self->fronts[pool->index].gets, 1);
    return data;
}

void *ullage_pool_get_at(const struct ullage_site *site, struct ullage_pool *pool)
{
    return get(pool, site, CALLER);
}

void *ullage_pool_get(struct ullage_pool *pool)
{
    return get(pool, NULL, CALLER);
}

/* ---- put ---- */

static void put_own(struct ullage_pool *pool, struct ull_block *block, uint64_t used, bool declared, const void *by)
{
    if (!ull_may_put(block, by))
        return;
    if (pool->reset != NULL)
        pool->reset(pool->ctx, block->data);
    if (ull_put_any(block, used, declared, by, ULL_BLOCK_LIVE | ULL_BLOCK_OBJECT, pool->free_state)) {
        ull_count(&ull_pool_self->fronts[pool->index].puts, 1);
    } else {
        ull_add_relaxed(&pool->cache->puts, UINT64_C(1));
        ull_put_slow(block, used, declared, by);
    }
}

/* Whatever the hot path does not do. */
static __attribute__((noinline)) void put_other(
    struct ullage_pool *pool, void *object, struct ull_block *block, uint64_t used, bool declared, const void *by)
{
    if (object == NULL || !is_pool(pool, by))
        return;
    if (block != NULL && (pool->flags & ULLAGE_POOL_ADAPTIVE) != 0)
        put_adaptive(pool, block, used, declared, by);
    else if (block == NULL || block->cache != pool->index)
        ull_misuse_foreign(object, pool->name, by);
    else
        put_own(pool, block, used, declared, by);
}

void ull_pool_came_back(struct ull_block *block)
{
    bool adaptive = block->cache < ULL_CACHE_FIRST_POOL;
    struct ullage_pool *pool = &all.pools[adaptive ? block->pad : block->cache];
    if (pool->magic == POOL_MAGIC && adaptive)
        put_adaptive(pool, block, 0, false, block->put_by);
    else if (pool->magic == POOL_MAGIC)
        put_own(pool, block, 0, false, block->put_by);
}

static inline __attribute__((always_inline)) void put(
    struct ullage_pool *pool, void *object, uint64_t used, bool declared, const void *by)
{
    struct ull_block *block = ull_block_quickly(object);
    if (ull_likely(block != NULL && pool->magic == POOL_MAGIC && block->cache == pool->index && pool->plain
            && ull_put_hot(block, object, used, declared, by, ULL_BLOCK_LIVE | ULL_BLOCK_OBJECT, pool->free_state)))
        ull_count(&ull_pool_self->fronts[pool->index].puts, 1);
    else
        put_other(pool, object, block, used, declared, by);
}

void ullage_pool_put(struct ullage_pool *pool, void *object)
{
    put(pool, object, 0, false, CALLER);
}

void ullage_pool_put_used(struct ullage_pool *pool, void *object, size_t used_bytes)
{
    put(pool, object, used_bytes, true, CALLER);
}

/* ---- the rest ---- */

size_t ullage_pool_object_bytes(const struct ullage_pool *pool, const void *object)
{
    const struct ull_block *block = object != NULL ? ull_block_of(object) : NULL;
    if (block == NULL || (ull_load_relaxed(&block->state) & ULL_BLOCK_STATE_MASK) != ULL_BLOCK_LIVE)
        return 0;
    return (pool->flags & ULLAGE_POOL_ADAPTIVE) != 0 ? ull_min_u64(ull_block_room(block), pool->object_bytes) : pool->object_bytes;
}

size_t ullage_pool_trim(struct ullage_pool *pool, size_t keep_bytes)
{
    return is_pool(pool, CALLER) ? ull_decay_trim(pool->index, pool->index + 1, keep_bytes) : 0;
}

/* Also of threads that ended, which passed theirs on under the same lock. */
static void add_fronts(uint32_t index, struct ullage_pool_counts *out)
{
    ull_threads_lock();
    out->puts = ull_load_relaxed(&ull_caches[index].puts);
    out->gets = ull_load_relaxed(&ull_caches[index].gets);
    for (uint32_t i = 0; i < ull_threads_count(); i++) {
        const struct ull_pool_thread *thread = ull_thread_at(i);
        if (thread == NULL)
            continue;
        out->puts += ull_load_relaxed(&thread->fronts[index].puts);
        out->gets += ull_load_relaxed(&thread->fronts[index].gets);
    }
    ull_threads_unlock();
}

static void count(const struct ullage_pool *pool, struct ullage_pool_counts *out)
{
    const struct ull_cache *cache = pool->cache;
    *out = (struct ullage_pool_counts) { .size = sizeof *out, .unmade = ull_load_relaxed(&cache->unmade),
        .made = ull_load_relaxed(&cache->made) };
    add_fronts(pool->index, out);
    out->out = ull_minus_clamped(out->gets, out->puts);
    if ((pool->flags & ULLAGE_POOL_ADAPTIVE) != 0)
        out->learned_bytes = learned(pool);
    else
        out->retained_bytes = ull_minus_clamped(out->made - out->unmade, out->out) * cache->stride;
}

int ullage_pool_counts(const struct ullage_pool *pool, struct ullage_pool_counts *out)
{
    if (out == NULL || out->size != sizeof *out)
        return -EINVAL;
    if (!is_pool(pool, CALLER))
        return -EINVAL;
    if (!ull_slow_enter())
        return -EDEADLK;
    count(pool, out);
    ull_slow_leave();
    return 0;
}

void ull_pool_publish(struct ull_cache *cache)
{
    struct ullage_pool_counts counts;
    const struct ullage_pool *pool = &all.pools[cache->index];
    if (pool->magic != POOL_MAGIC)
        return;
    count(pool, &counts);
    ull_cache_publish(cache, &counts);
}

/* ---- the end ---- */

static bool has_objects_out(struct ullage_pool *pool)
{
    char got[256];
    const struct ull_block *example = NULL;
    uint64_t out = ull_slab_live(pool->cache, &example);
    if ((pool->flags & ULLAGE_POOL_ADAPTIVE) != 0)
        out = pool->cache->gets - pool->cache->puts;
    if (out == 0)
        return false;
    ull_misuse("pool \"%s\" is destroyed with %llu objects out, one got at %s: put them first", pool->name, (unsigned long long)out,
        ull_place_name(example != NULL ? example->site : pool->place, got, sizeof got));
    return true;
}

/* The entry stays: what was counted is of the process. */
static void publish_end(struct ull_cache *cache)
{
    struct ull_pool_entry *entry = cache->entry;
    if (entry == NULL)
        return;
    ull_store_relaxed(&entry->retained_bytes, UINT64_C(0));
    ull_store_relaxed(&entry->unmade_count, ull_load_relaxed(&cache->unmade));
    ull_store_relaxed(&entry->slab_bytes, ull_load_relaxed(&cache->mapped_bytes));
    ull_store_release(&entry->destroyed, UINT64_C(1));
}

void ullage_pool_destroy(struct ullage_pool *pool)
{
    if (pool == NULL || !is_pool(pool, CALLER))
        return;
    ull_deferred_do();
    if (has_objects_out(pool))
        return;
    struct ull_cache *cache = pool->cache;
    if (!ull_slow_enter())
        return; /* in a signal handler inside of us: as with any call, nothing is done */
    ull_pool_publish(cache); /* while threads still have their counts */
    ull_decay_abandon(cache);
    ull_slow_leave();
    ull_cache_await_burial(cache);
    publish_end(cache);
    if (!ull_slow_enter())
        return;
    ull_decay_hold();
    pthread_mutex_lock(&all.lock);
    ull_store_release(&cache->used, 0U);
    pool->magic = 0;
    pthread_mutex_unlock(&all.lock);
    ull_decay_release();
    ull_slow_leave();
}

void ull_pools_forked(void)
{
    pthread_mutex_init(&all.lock, NULL);
}
