/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * map.h - from an address to its slab: two levels over 1 MiB pieces of the 48-bit address space.
 *
 * Look-ups take no lock. An entry is set before the first block of its slab is handed out, and cleared before the memory
 * goes: an address of somebody else finds nothing.
 */
#ifndef ULL_POOL_MAP_H
#define ULL_POOL_MAP_H

#include "base/atomic.h"
#include "pool/block.h"

#include <stdint.h>

enum { ULL_CHUNK_BITS = 20, ULL_LEAF_BITS = 14, ULL_ROOT_BITS = 14 };
#define ULL_CHUNK_BYTES ((uint64_t)1 << ULL_CHUNK_BITS)

struct ull_slab;

struct ull_leaf {
    struct ull_slab *slabs[1 << ULL_LEAF_BITS];
};
extern struct ull_leaf *ull_map_root[1 << ULL_ROOT_BITS] __attribute__((visibility("hidden")));

static inline struct ull_slab *ull_map_find(const void *address)
{
    uint64_t at = (uintptr_t)address;
    if (__builtin_expect(at >> (ULL_CHUNK_BITS + ULL_LEAF_BITS + ULL_ROOT_BITS) != 0, 0))
        return NULL;
    struct ull_leaf *leaf = ull_load_acquire(&ull_map_root[at >> (ULL_CHUNK_BITS + ULL_LEAF_BITS)]);
    if (__builtin_expect(leaf == NULL, 0))
        return NULL;
    return ull_load_acquire(&leaf->slabs[at >> ULL_CHUNK_BITS & ((1 << ULL_LEAF_BITS) - 1)]);
}

/*
 * Enters a slab for all pieces of [start, start + bytes); @slab NULL takes them out. 0, -ENOMEM, or -ERANGE: past 48 bits.
 * Threads: any; the caller alone has that range.
 */
int ull_map_set(uint64_t start, uint64_t bytes, struct ull_slab *slab);
/* Takes a slab out where it is entered; what others entered meanwhile stays. */
void ull_map_forget(uint64_t start, uint64_t bytes, const struct ull_slab *slab);

#endif
