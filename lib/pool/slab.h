/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * slab.h - slabs: a piece of address space cut into buffers of one size, and the blocks that describe them.
 *
 * A cache's slabs that have free blocks form its list `partial`. What lies free in a slab is as the kernel gave it: memory
 * goes back when a block comes back, because only what magazines and depot could not keep comes here. The descriptor
 * (struct ull_slab with its blocks) is never unmapped, only emptied: whoever puts a buffer after its slab has gone finds a
 * block that is not live, and not a hole.
 */
#ifndef ULL_POOL_SLAB_H
#define ULL_POOL_SLAB_H

#include "pool/block.h"
#include "pool/magazine.h"
#include "pool/map.h"

#include <stdbool.h>

struct ull_cache;

enum ull_slab_state { ULL_SLAB_SPARE, ULL_SLAB_USED, ULL_SLAB_GOING, ULL_SLAB_LOST };

struct ull_slab {
    uint64_t base;
    uint64_t inverse; /* 2^64 / stride, rounded up */
    uint64_t stride, bytes;
    uint32_t count;   /* blocks that fit */
    uint32_t carved;  /* of those, described; the rest was never touched */
    uint32_t out;     /* carved and not in the list below */
    uint32_t free;    /* 1 + index of the first free one; their refs link them */
    uint32_t state;   /* enum ull_slab_state; atomic */
    uint32_t cache;
    uint32_t batch;   /* of those that are out, how many a release under way holds */
    uint32_t descriptor_room; /* blocks that the descriptor has room for */
    struct ull_slab *next, *previous; /* of partial, or of spares */
    struct ull_block blocks[];
};

/* The block whose buffer begins at @address, or NULL. @address lies in a piece of the slab's. */
static inline struct ull_block *ull_slab_block(struct ull_slab *slab, const void *address)
{
    uint64_t offset = (uintptr_t)address - slab->base;
    struct ull_block *block = &slab->blocks[(uint64_t)((unsigned __int128)offset * slab->inverse >> 64)];
    return __builtin_expect(block->data == address, 1) ? block : NULL;
}

static inline struct ull_block *ull_block_of(const void *address)
{
    struct ull_slab *slab = ull_map_find(address);
    return __builtin_expect(slab != NULL, 1) ? ull_slab_block(slab, address) : NULL;
}

/*
 * Takes up to @want free blocks, of slabs with some left, or else of a new one. Returns how many; 0: no memory.
 * Each is FREE. Threads: any; takes the cache's lock.
 */
unsigned ull_slab_take(struct ull_cache *cache, struct ull_entry *entries, unsigned want);

/*
 * Gives the buffers of magazines back to their slabs, their memory to the kernel, and the magazines too. @first: linked by
 * next, 0 ends. Slabs that are then empty go. Returns bytes given back. Threads: any; takes the cache's locks.
 */
size_t ull_slab_give(struct ull_cache *cache, uint32_t first);

/* One of any size past the classes: a slab of its own. NULL: no memory. */
struct ull_block *ull_slab_take_large(struct ull_cache *cache, uint64_t bytes);
void ull_slab_give_large(struct ull_cache *cache, struct ull_block *block);

/* In a forked child: every list is made anew from the states of the blocks. */
void ull_slabs_rebuild(void);

/* Recounts a cache that nobody is using; an invariant that does not hold aborts. Returns blocks that are free, and in no slab's list. */
uint64_t ull_slab_check(struct ull_cache *cache);
/* Blocks that are live, of a cache. */
uint64_t ull_slab_live(struct ull_cache *cache, const struct ull_block **example);
/* All slabs that are or were in use, for those who look at every block. */
uint32_t ull_slab_count(void);
struct ull_slab *ull_slab_at(uint32_t index);

#endif
