/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hot.h - the hot path: a get and a put in some fifty instructions each, counting included.
 *
 * What it is limited by is their number, so each case but the most common has a way of its own: ull_get_any() and
 * ull_put_any() for sizes that vary, for what was noted or not declared at all; behind them ull_get_slow() and
 * ull_put_slow(). All of these are called last, with nothing to keep, so that the hot path saves no register.
 */
#ifndef ULL_POOL_HOT_H
#define ULL_POOL_HOT_H

#include "pool/thread.h"

/* The general ways; NULL, or false: the slow path. @pool 0: of a size class, else the cache with that index. */
struct ull_block *ull_get_any(uint32_t place, uint64_t bytes, uint32_t pool);
bool ull_put_any(struct ull_block *block, uint64_t used, bool declared, const void *by, uint32_t live, uint32_t free);

/* Takes a block off a front; busy. NULL: empty, or it wants to be looked at. */
static inline __attribute__((always_inline)) struct ull_block *ull_pop(
    struct ull_pool_thread *self, struct ull_front *front, uint32_t ignored, void **data)
{
    struct ull_entry *sp = ull_load_relaxed(&front->sp);
    if (ull_unlikely(sp <= ull_load_relaxed(&front->base)))
        return NULL;
    struct ull_block *block = sp[-1].block;
    *data = sp[-1].data;
    if (ull_unlikely((ull_load_relaxed(&block->state) & ~ignored) != ULL_BLOCK_FREE))
        return NULL;
    ull_store_relaxed(&front->sp, sp - 1);
    self->last = front;
    return block;
}

/*
 * A buffer of @bytes for a place that asked for as many the last time; @pool 0: of a size class, else of that cache. NULL: try
 * ull_get_any().
 */
static inline __attribute__((always_inline)) struct ull_block *ull_get_hot(
    uint32_t place, uint64_t bytes, uint32_t pool, void **data)
{
    struct ull_pool_thread *self = ull_pool_self;
    if (ull_unlikely(ull_load_relaxed(&self->busy)))
        return NULL;
    ull_enter_pool(self); /* before the line is read: a signal handler may make it another */
    struct ull_line *line = &self->lines[place];
    struct ull_shard_entry *shard = line->shard;
    if (ull_unlikely(line->bytes != bytes || shard == NULL || (pool != 0 && line->front != &self->fronts[pool])
            || --self->until_sample == 0)) {
        ull_leave_pool(self);
        return NULL;
    }
    struct ull_block *block = ull_pop(self, line->front, pool != 0 ? ULL_BLOCK_BUILT : 0, data);
    if (ull_likely(block != NULL)) {
        ull_shard_count_get(shard, line->requested, bytes);
        ull_store_relaxed(&block->state, (uint32_t)(pool != 0 ? ULL_BLOCK_LIVE | ULL_BLOCK_OBJECT : ULL_BLOCK_LIVE));
        block->site = place;
        block->requested = bytes;
    }
    ull_leave_pool(self);
    return block;
}

/* The block of @address: nearly always the one that this thread popped last, and whose entry is still where it was. */
static inline __attribute__((always_inline)) struct ull_block *ull_block_quickly(const void *address)
{
#if !defined(__SANITIZE_THREAD__) /* which would be right: these are reads of what others may be writing */
    const struct ull_front *last = ull_pool_self->last;
    if (ull_likely(last != NULL)) {
        /* Somebody else may have the magazine now, and change it: the block says itself whether it is the one. */
        const struct ull_entry *above = ull_load_relaxed(&last->sp);
        struct ull_block *block = above->block;
        if (above->data == address && ull_likely(block != NULL) && block->data == address)
            return block;
    }
#endif
    return ull_block_of(address);
}

/* Puts a block on a front; busy. False: it is full. */
static inline __attribute__((always_inline)) bool ull_push(struct ull_front *front, struct ull_block *block, void *data, uint32_t free)
{
    struct ull_entry *sp = ull_load_relaxed(&front->sp);
    if (ull_unlikely(sp >= ull_load_relaxed(&front->limit)))
        return false;
    ull_store_release(&block->state, free); /* after dirty: a forked child believes it */
    *sp = (struct ull_entry) { data, block };
    ull_store_relaxed(&front->sp, sp + 1);
    return true;
}

/*
 * Puts a buffer whose state is @live, of which @used bytes were needed if that is @declared; @free: its state then. False: try
 * ull_put_any().
 */
static inline __attribute__((always_inline)) bool ull_put_hot(
    struct ull_block *block, void *data, uint64_t used, bool declared, const void *by, uint32_t live, uint32_t free)
{
    struct ull_pool_thread *self = ull_pool_self;
    if (ull_unlikely(ull_load_relaxed(&self->busy) || ull_load_relaxed(&block->state) != live))
        return false;
    struct ull_front *front = &self->fronts[block->cache];
    struct ull_shard_entry *shard = self->lines[block->site].shard;
    uint64_t requested = block->requested;
    if (ull_unlikely(shard == NULL))
        return false;
    if (ull_unlikely(declared && (ull_shard_is_varied(shard, requested) || used > requested || block->dirty <= used)))
        return false;
    ull_enter_pool(self);
    block->put_by = by;
    if (!declared)
        block->dirty = ULL_DIRTY_UNKNOWN;
    bool pushed = ull_push(front, block, data, free);
    if (ull_likely(pushed) && declared)
        ull_shard_count_put(shard, ull_bucket_fast(used), requested, used);
    else if (ull_likely(pushed))
        ull_count_unknown(shard, requested);
    ull_leave_pool(self);
    return pushed;
}

#endif
