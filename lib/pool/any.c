/* SPDX-License-Identifier: BSD-2-Clause */
/* any.c - get and put without locks where sizes vary, or the use was noted, or nothing was said of it; see hot.h. */
#include "config.h"

#include "pool/hot.h"

/* Where a request comes from and is counted. False: the slow path knows. */
static bool find_line(struct ull_pool_thread *self, uint32_t place, uint64_t bytes, uint32_t pool, struct ull_line *line)
{
    const uint64_t most = bytes - 1, least = (1 << ULL_CLASS_MIN_BITS) - 1;
    *line = self->lines[place];
    if (most >= UINT64_C(1) << ULL_CLASS_MAX_BITS || (line->shard == NULL && !self->untracked)) /* also 0 */
        return false;
    unsigned bucket = ull_bucket_within(most > least ? most : least);
    line->bytes = bytes;
    line->front = &self->fronts[pool != 0 ? pool : ull_class_of_bucket[bucket]];
    if (line->shard == NULL)
        return true;
    line->requested = &line->shard->requested[bucket];
    return ull_shard_is_within(line->shard, bytes);
}

struct ull_block *ull_get_any(uint32_t place, uint64_t bytes, uint32_t pool)
{
    struct ull_pool_thread *self = ull_pool_self;
    struct ull_line line;
    void *data;
    if (ull_load_relaxed(&self->busy) || self->until_sample <= 1 || !find_line(self, place, bytes, pool, &line))
        return NULL;
    ull_enter_pool(self); /* also around the line: a signal handler must not find half of it */
    struct ull_block *block = ull_pop(self, line.front, pool != 0 ? ULL_BLOCK_BUILT : 0, &data);
    if (block != NULL) {
        self->until_sample--;
        if (line.shard != NULL) {
            self->lines[place] = line;
            ull_shard_count_get(line.shard, line.requested, bytes);
        }
        ull_store_relaxed(&block->state, (uint32_t)(pool != 0 ? ULL_BLOCK_LIVE | ULL_BLOCK_OBJECT : ULL_BLOCK_LIVE));
        block->site = place;
        block->requested = bytes;
    }
    ull_leave_pool(self);
    return block;
}

static void count_put(struct ull_shard_entry *shard, uint64_t requested, uint64_t used, bool declared)
{
    if (!declared) {
        ull_count_unknown(shard, requested);
        return;
    }
    if (used > requested)
        used = requested;
    ull_shard_count_put(shard, ull_bucket_of(used), requested, used);
    if (ull_shard_is_varied(shard, requested))
        ull_shard_put_varied(shard, requested, used);
}

bool ull_put_any(struct ull_block *block, uint64_t used, bool declared, const void *by, uint32_t live, uint32_t free)
{
    struct ull_pool_thread *self = ull_pool_self;
    uint32_t state = ull_load_relaxed(&block->state);
    if (ull_load_relaxed(&self->busy) || (state & ~(uint32_t)ULL_BLOCK_NOTED) != live)
        return false;
    struct ull_shard_entry *shard = self->lines[block->site].shard;
    if (shard == NULL && !self->untracked)
        return false;
    ull_enter_pool(self);
    if ((state & ULL_BLOCK_NOTED) != 0) {
        used = declared && used > block->used ? used : block->used;
        declared = true;
    }
    uint64_t requested = block->requested;
    block->put_by = by;
    block->dirty = ull_dirty_after(block, used, declared);
    bool pushed = ull_push(&self->fronts[block->cache], block, block->data, free);
    if (pushed && shard != NULL)
        count_put(shard, requested, used, declared);
    ull_leave_pool(self);
    return pushed;
}
