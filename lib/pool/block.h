/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * block.h - what is known of one buffer: a line of a table beside the slab, never in the slab.
 *
 * A header in front of the memory would share its page, spoil its alignment, and lie at the same place of the cache for
 * every buffer. A block's line is written by the buffer's owner alone: who got it, until he puts it.
 *
 *   NONE --carved--> FREE <--get, put--> LIVE        and back to NONE when its slab goes
 *
 * FREE says nothing of where it lies: in a slab's list, in a magazine or in the depot. After fork the child rebuilds all three
 * from the states alone.
 */
#ifndef ULL_POOL_BLOCK_H
#define ULL_POOL_BLOCK_H

#include "base/atomic.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ull_block_state {
    ULL_BLOCK_NONE = 0,
    ULL_BLOCK_FREE = 1,
    ULL_BLOCK_LIVE = 2,
    ULL_BLOCK_STATE_MASK = 0xff,
    /* With any of these set, get and put take the slow path; but for OBJECT and NOTED. */
    ULL_BLOCK_FOLLOWED = 0x100,  /* LIVE: in the table of leaks */
    ULL_BLOCK_IN_FLIGHT = 0x200, /* LIVE: the kernel has it */
    ULL_BLOCK_INHERITED = 0x400, /* LIVE: got by the parent of this process, counted there */
    ULL_BLOCK_POISONED = 0x800,  /* FREE: filled, to see whether somebody writes to it */
    ULL_BLOCK_ORPHANED = 0x1000, /* LIVE: put while in flight, and reported; freed when it comes back */
    ULL_BLOCK_BUILT = 0x2000,    /* FREE: holds an object that init made */
    ULL_BLOCK_DEFERRED = 0x4000, /* put by a signal handler that had to be refused; done at the next slow path */
    ULL_BLOCK_SINGLE = 0x8000,   /* LIVE: of a pool without a size of its own, of an ULLAGE_POOL_ADAPTIVE one */
    ULL_BLOCK_OBJECT = 0x10000,  /* LIVE: of a pool; not for ullage_free() */
    ULL_BLOCK_NOTED = 0x20000,   /* LIVE: `used` is not 0 */
    ULL_BLOCK_CHARGED = 0x40000, /* LIVE, of a size class: a budget is charged for it; `pad` says which */
};

struct ull_block {
    void *data;
    uint32_t state;     /* enum ull_block_state */
    uint32_t site;      /* whose it is, or was */
    uint64_t requested; /* bytes */
    uint64_t used;      /* high-water mark that was noted while it is live, if the state says NOTED */
    uint64_t dirty;     /* 0: zero as the kernel gave it; else 1 + how far it was declared used since; all ones: unknown */
    const void *put_by; /* return address of the last put */
    uint32_t refs;      /* of struct ullage_buffer; in a slab's list, 1 + index of the next free one */
    uint32_t leak;      /* 1 + index in the table of leaks */
    uint16_t cache;     /* index of its struct ull_cache */
    uint16_t flights;   /* how often the kernel has it */
    uint32_t pad;       /* pools: theirs; a buffer that is charged: 1 + slot of its budget */
};
_Static_assert(sizeof(struct ull_block) == 64, "a line of the cache, so that owners do not share one");

#define ULL_DIRTY_UNKNOWN UINT64_MAX

/* What `dirty` is when a buffer comes back. */
static inline uint64_t ull_dirty_after(const struct ull_block *block, uint64_t used, bool declared)
{
    if (!declared || used >= ULL_DIRTY_UNKNOWN - 1)
        return ULL_DIRTY_UNKNOWN;
    return block->dirty > used ? block->dirty : used + 1;
}

/* Of several owners one may raise the mark while another hands it to the kernel. */
static inline uint32_t ull_block_set(struct ull_block *block, uint32_t flags)
{
    return __atomic_fetch_or(&block->state, flags, __ATOMIC_RELAXED);
}

static inline uint32_t ull_block_clear(struct ull_block *block, uint32_t flags)
{
    return __atomic_fetch_and(&block->state, ~flags, __ATOMIC_ACQ_REL);
}

static inline uint64_t ull_noted(const struct ull_block *block);

/*
 * A buffer's contents went to another one: that takes over the mark, and counts as written so far whatever its owner will say; the
 * old one's use is not known yet, and it tells nothing.
 */
static inline void ull_block_moved(struct ull_block *to, struct ull_block *from, uint64_t copied)
{
    uint64_t noted = ull_noted(from);
    to->dirty = ull_dirty_after(to, copied, true);
    if (noted != 0) {
        to->used = noted;
        ull_block_set(to, ULL_BLOCK_NOTED);
    }
    ull_block_clear(from, ULL_BLOCK_NOTED);
}

/* The high-water mark that was noted; without the flag, `used` is an earlier owner's. */
static inline uint64_t ull_noted(const struct ull_block *block)
{
    return (ull_load_relaxed(&block->state) & ULL_BLOCK_NOTED) != 0 ? ull_load_relaxed(&block->used) : 0;
}

/* What magazines hold: the address too, so that a pop need not wait for the block's line. */
struct ull_entry {
    void *data;
    struct ull_block *block;
};

#endif
