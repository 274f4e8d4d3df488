/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * buffer.c - reference-counted buffers.
 *
 * A struct ullage_buffer is the block itself, the line of the table beside the slab that says whose the memory is: a buffer
 * costs nothing that malloc-shaped calls do not. Its count is in the block; one owner's put needs no atomic operation.
 */
#include "config.h"

#include "ullage/buffer.h"

#include "base/arith.h"
#include "buffer/charge.h"
#include "ledger/budget.h"
#include "pool/clear.h"
#include "pool/debug.h"
#include "pool/hot.h"

#include <errno.h>
#include <string.h>

#undef ullage_buffer_get
#undef ullage_buffer_get_zeroed

#define CALLER __builtin_return_address(0)
enum { FIRST_LEARNED_BYTES = 4096 }; /* our choice: a page */

struct ullage_buffer {
    struct ull_block block;
};

static inline struct ullage_buffer *buffer_of(struct ull_block *block)
{
    return (struct ullage_buffer *)(void *)block;
}

static uint64_t learned(uint32_t place)
{
    uint64_t bytes = ull_place_learned(place);
    return bytes != 0 ? bytes : FIRST_LEARNED_BYTES;
}

/* Whatever the hot path does not do. */
static __attribute__((noinline)) struct ull_block *get_other(const struct ullage_site *site, const void *address, uint64_t bytes)
{
    uint32_t place = ull_place_known(site, address, ULL_KIND_BUFFER);
    if (bytes > PTRDIFF_MAX) {
        errno = ENOMEM;
        return NULL;
    }
    bool learns = bytes == 0;
    if (learns)
        bytes = learned(place);
    struct ull_block *block = ull_get_any(place, bytes, 0);
    if (block == NULL) {
        const struct ull_want want = { .site = site, .address = address, .kind = ULL_KIND_BUFFER,
            .cache = ull_class_for(bytes), .bytes = bytes };
        block = ull_get_slow(&want);
        if (learns && block != NULL && block->site > ULL_PLACE_OTHER)
            ull_store_relaxed(&ull_place_at(block->site)->learns, 1U);
    }
    if (block != NULL)
        ull_store_relaxed(&block->refs, 1U);
    return block;
}

static inline __attribute__((always_inline)) struct ull_block *get(
    const struct ullage_site *site, const void *address, uint64_t bytes)
{
    void *data;
    uint32_t place = ull_place_known(site, address, ULL_KIND_BUFFER);
    struct ull_block *block = ull_get_hot(place, bytes != 0 ? bytes : learned(place), 0, &data);
    if (ull_unlikely(block == NULL))
        return get_other(site, address, bytes);
    ull_store_relaxed(&block->refs, 1U);
    return block;
}

struct ullage_buffer *ullage_buffer_get_at(const struct ullage_site *site, size_t want_bytes)
{
    return buffer_of(get(site, CALLER, want_bytes));
}

struct ullage_buffer *ullage_buffer_get(size_t want_bytes)
{
    return buffer_of(get(NULL, CALLER, want_bytes));
}

static inline __attribute__((always_inline)) struct ullage_buffer *get_zeroed(
    const struct ullage_site *site, const void *address, size_t want_bytes)
{
    struct ull_block *block = get(site, address, want_bytes);
    if (block == NULL)
        return NULL;
    /* The whole buffer, not only what was asked for: whoever has it next must find zeros past its use. */
    if (block->dirty != 0)
        memset(block->data, 0, ull_min_u64(block->dirty - 1, ull_block_room(block)));
    block->dirty = 0;
    return buffer_of(block);
}

struct ullage_buffer *ullage_buffer_get_zeroed_at(const struct ullage_site *site, size_t want_bytes)
{
    return get_zeroed(site, CALLER, want_bytes);
}

struct ullage_buffer *ullage_buffer_get_zeroed(size_t want_bytes)
{
    return get_zeroed(NULL, CALLER, want_bytes);
}

static bool is_live(const struct ull_block *block)
{
    return (ull_load_relaxed(&block->state) & ULL_BLOCK_STATE_MASK) == ULL_BLOCK_LIVE;
}

struct ullage_buffer *ullage_buffer_ref(struct ullage_buffer *b)
{
    struct ull_block *block = &b->block;
    if (ull_unlikely(!is_live(block))) {
        ull_misuse_twice(block, CALLER);
        return b;
    }
    if (ull_load_acquire(&block->refs) == 1 && (block->state & ULL_BLOCK_NOTED) == 0) {
        /* Its one owner: from here on several may raise the mark, which begins at 0. */
        ull_store_relaxed(&block->used, UINT64_C(0));
        ull_block_set(block, ULL_BLOCK_NOTED);
    }
    ull_add_relaxed(&block->refs, 1U);
    return b;
}

/* Of several owners: true for the last one. The mark, which the first ref began, is raised before the reference is given up. */
static bool put_shared(struct ull_block *block, uint64_t used)
{
    ull_max_relaxed(&block->used, used);
    return __atomic_fetch_sub(&block->refs, 1, __ATOMIC_ACQ_REL) == 1;
}

static __attribute__((noinline)) void put_other(struct ull_block *block, uint64_t used, const void *by)
{
    if (!ull_put_any(block, used, true, by, ULL_BLOCK_LIVE, ULL_BLOCK_FREE))
        ull_put_slow(block, used, true, by);
}

void ullage_buffer_put(struct ullage_buffer *b, size_t used_bytes)
{
    if (ull_unlikely(b == NULL))
        return;
    struct ull_block *block = &b->block;
    if (ull_unlikely(ull_load_acquire(&block->refs) != 1)) {
        if (!is_live(block)) {
            ull_misuse_twice(block, CALLER);
            return;
        }
        if (!put_shared(block, used_bytes))
            return;
    }
    if (ull_unlikely(!ull_put_hot(block, block->data, used_bytes, true, CALLER, ULL_BLOCK_LIVE, ULL_BLOCK_FREE)))
        put_other(block, used_bytes, CALLER);
}

void *ullage_buffer_data(struct ullage_buffer *b)
{
    return b->block.data;
}

size_t ullage_buffer_capacity(const struct ullage_buffer *b)
{
    return ull_block_room(&b->block);
}

/* The same place gets the larger one: what it learns is what its buffers need in the end. */
static int grow(struct ullage_buffer **b, size_t want_bytes, size_t keep_bytes)
{
    struct ull_block *old = &(*b)->block;
    const struct ull_want want = { .kind = ULL_KIND_BUFFER, .cache = ull_class_for(want_bytes), .place = old->site,
        .bytes = want_bytes };
    struct ull_block *block = ull_get_any(old->site, want_bytes, 0);
    if (block == NULL)
        block = ull_get_slow(&want);
    if (block == NULL)
        return -errno;
    ull_store_relaxed(&block->refs, 1U);
    memcpy(block->data, old->data, keep_bytes);
    if (block->site > ULL_PLACE_OTHER)
        ull_track_regrown(block->site);
    ull_block_moved(block, old, keep_bytes);
    ull_put_slow(old, 0, false, NULL);
    *b = buffer_of(block);
    return 0;
}

int ullage_buffer_grow(struct ullage_buffer **b, size_t want_bytes, size_t keep_bytes)
{
    int kept = errno, result;
    if (keep_bytes > ullage_buffer_capacity(*b))
        return -EINVAL;
    if (want_bytes <= ullage_buffer_capacity(*b))
        return 0;
    if (want_bytes > PTRDIFF_MAX)
        return -ENOMEM;
    if (ull_load_acquire(&(*b)->block.refs) != 1 || (ull_load_relaxed(&(*b)->block.state) & ULL_BLOCK_CHARGED) != 0)
        return -EBUSY;
    result = grow(b, want_bytes, keep_bytes);
    errno = kept;
    return result;
}

uint64_t ull_buffer_room_for(uint64_t bytes)
{
    return ull_room_for(bytes);
}

void ull_buffer_charge(struct ullage_buffer *b, const struct ullage_budget *budget)
{
    b->block.pad = ull_budget_slot(budget) + 1;
    ull_block_set(&b->block, ULL_BLOCK_CHARGED);
}

int ullage_buffer_in_flight_begin(struct ullage_buffer *b)
{
    return ullage_in_flight_begin(b->block.data);
}

int ullage_buffer_in_flight_end(struct ullage_buffer *b)
{
    return ullage_in_flight_end(b->block.data);
}
