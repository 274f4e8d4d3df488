/* SPDX-License-Identifier: BSD-2-Clause */
/* adaptive.c - pools whose objects have the size that their uses have taught; see pool.h. */
#include "config.h"

#include "pool/pool.h"

#include "base/arith.h"
#include "ledger/budget.h"
#include "pool/clear.h"
#include "pool/debug.h"
#include "pool/decay.h"
#include "pool/hot.h"

#include <errno.h>

static bool charge(struct ullage_pool *pool, uint64_t bytes)
{
    struct ullage_budget *budget = pool->cache->budget;
    int error = budget == NULL ? 0 : ull_budget_try(budget, bytes);
    while (error == -ENOBUFS) {
        if (ull_decay_free_budget(budget)) /* what lies idle in other pools of it */
            error = ull_budget_try(budget, bytes);
        if (error != -ENOBUFS || (pool->flags & ULLAGE_POOL_WAIT) == 0)
            break;
        error = ull_budget_wait(budget, bytes, ULL_POOL_WAIT_MS);
        if (error == -ETIMEDOUT)
            error = -ENOBUFS;
    }
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

uint64_t ull_adaptive_bytes(const struct ullage_pool *pool)
{
    uint64_t bytes = ull_place_learned(pool->place);
    return bytes != 0 ? ull_min_u64(bytes, pool->object_bytes) : pool->object_bytes;
}

/* What is asked for: of an alignment that not all classes have, a class that has it. */
static uint64_t size_of_next(const struct ullage_pool *pool)
{
    uint64_t bytes = ull_adaptive_bytes(pool);
    unsigned class = ull_class_for(bytes);
    if (pool->align <= 16)
        return bytes;
    while (class < ULL_CLASS_LARGE - 1 && ull_bucket_limit(class) % pool->align != 0)
        class = ull_class_of_bucket[class + 1];
    return ull_bucket_limit(class);
}

void *ull_adaptive_get(struct ullage_pool *pool)
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

void ull_adaptive_put(struct ullage_pool *pool, struct ull_block *block, uint64_t used, bool declared, const void *by)
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
