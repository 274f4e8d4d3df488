/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pools.c - all pools: made, counted, destroyed; see pool.h.
 *
 * They lie in a table by the index of their cache, which is never unmapped: a pool that was destroyed is known for what it is.
 */
#include "config.h"

#include "pool/pool.h"

#include "base/arith.h"
#include "base/misuse.h"
#include "base/sys.h"
#include "ledger/budget.h"
#include "measure/named.h"
#include "pool/decay.h"
#include "pool/settings.h"
#include "pool/source.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define CALLER __builtin_return_address(0)
#define OBJECT_BYTES_MAX (UINT64_C(64) << 20)
enum { ALIGN_MAX = 65536, LEAST_STRIDE = 64, POOLS_MAX = 900 };

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
        && (opt->name == NULL || strnlen(opt->name, ULL_POOL_NAME_BYTES) < ULL_POOL_NAME_BYTES)
        && (opt->source == NULL || (opt->source->map != NULL && opt->source->unmap != NULL))
        && ((opt->flags & ULLAGE_POOL_ADAPTIVE) == 0 || (opt->source == NULL && opt->align <= 4096));
}

/* Under the lock: an index that no pool has. */
static uint32_t free_index(void)
{
    if (all.pools == NULL)
        all.pools = ull_sys_map_books(ULL_CACHES_MAX * sizeof all.pools[0]);
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
    pool->magic = ULL_POOL_MAGIC;
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
    if (opt->budget != NULL)
        ull_store_release(&ull_budget_make_room, ull_decay_free_budget); /* readers charge it too */
    ull_decay_hurry(); /* its period may be the shortest */
    ull_slow_leave();
    return index != 0 ? 0 : all.pools == NULL ? -ENOMEM : -ENOSPC;
}

/* ---- use after the end, and objects of others ---- */

struct ullage_pool *ull_pool_at(uint32_t index)
{
    return &all.pools[index];
}

bool ull_pool_is_one(const struct ullage_pool *pool, const void *by)
{
    char name[256];
    if (pool != NULL && pool->magic == ULL_POOL_MAGIC)
        return true;
    ull_named_address(by, name, sizeof name);
    ull_misuse("%p is no pool at %s: it was destroyed, or never created", (const void *)pool, name);
    return false;
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
        out->learned_bytes = ull_adaptive_bytes(pool);
    else
        out->retained_bytes = ull_minus_clamped(out->made - out->unmade, out->out) * cache->stride;
}

int ullage_pool_counts(const struct ullage_pool *pool, struct ullage_pool_counts *out)
{
    if (out == NULL || out->size != sizeof *out)
        return -EINVAL;
    if (!ull_pool_is_one(pool, CALLER))
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
    if (pool->magic != ULL_POOL_MAGIC)
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
    if (pool == NULL || !ull_pool_is_one(pool, CALLER))
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
