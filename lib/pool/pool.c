/* SPDX-License-Identifier: BSD-2-Clause */
/* pool.c - get and put of objects of one kind; see pool.h. */
#include "config.h"

#include "pool/pool.h"

#include "base/arith.h"
#include "ledger/budget.h"
#include "pool/clear.h"
#include "pool/debug.h"
#include "pool/decay.h"
#include "pool/hot.h"

#include <errno.h>

#undef ullage_pool_get

#define CALLER __builtin_return_address(0)

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
 * Waits until as much is free as an object takes, and looks again now and then. Whoever is quicker may have it then, and we wait
 * again.
 */
static bool wait_for_budget(struct ullage_pool *pool)
{
    if (errno != ENOBUFS || (pool->flags & ULLAGE_POOL_WAIT) == 0)
        return false;
    int error = ull_budget_wait(pool->cache->budget, pool->cache->stride, ULL_POOL_WAIT_MS);
    if (error == 0)
        ull_budget_give(pool->cache->budget, pool->cache->stride);
    errno = -error;
    return error == 0 || error == -ETIMEDOUT;
}

static __attribute__((noinline)) void *get_other(struct ullage_pool *pool, const struct ullage_site *site, const void *address)
{
    struct ull_block *block;
    uint32_t place = ull_place_known(site, address, ULL_KIND_POOL);
    if (!ull_pool_is_one(pool, address)) {
        errno = EINVAL;
        return NULL;
    }
    if ((pool->flags & ULLAGE_POOL_ADAPTIVE) != 0)
        return ull_adaptive_get(pool);
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
    if (ull_unlikely(pool == NULL || pool->magic != ULL_POOL_MAGIC || (pool->flags & ULLAGE_POOL_ADAPTIVE) != 0))
        return get_other(pool, site, address);
    uint32_t place = ull_place_known(site, address, ULL_KIND_POOL);
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
    if (object == NULL || !ull_pool_is_one(pool, by))
        return;
    if (block != NULL && (pool->flags & ULLAGE_POOL_ADAPTIVE) != 0)
        ull_adaptive_put(pool, block, used, declared, by);
    else if (block == NULL || block->cache != pool->index)
        ull_misuse_foreign(object, pool->name, by);
    else
        put_own(pool, block, used, declared, by);
}

void ull_pool_came_back(struct ull_block *block)
{
    bool adaptive = block->cache < ULL_CACHE_FIRST_POOL;
    struct ullage_pool *pool = ull_pool_at(adaptive ? block->pad : block->cache);
    if (pool->magic == ULL_POOL_MAGIC && adaptive)
        ull_adaptive_put(pool, block, 0, false, block->put_by);
    else if (pool->magic == ULL_POOL_MAGIC)
        put_own(pool, block, 0, false, block->put_by);
}

static inline __attribute__((always_inline)) void put(
    struct ullage_pool *pool, void *object, uint64_t used, bool declared, const void *by)
{
    struct ull_block *block = ull_block_quickly(object);
    if (ull_likely(block != NULL && pool->magic == ULL_POOL_MAGIC && block->cache == pool->index && pool->plain
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
    return ull_pool_is_one(pool, CALLER) ? ull_decay_trim(pool->index, pool->index + 1, keep_bytes) : 0;
}
