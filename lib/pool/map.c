/* SPDX-License-Identifier: BSD-2-Clause */
/* map.c - entering slabs. Leaves, 128 KiB for each 16 GiB of addresses, are made once and stay. */
#include "config.h"

#include "pool/map.h"

#include "base/arith.h"
#include "base/sys.h"

#include <errno.h>
#include <sys/mman.h>

struct ull_leaf *ull_map_root[1 << ULL_ROOT_BITS];

static struct ull_leaf *leaf_at(uint64_t address)
{
    struct ull_leaf **place = &ull_map_root[address >> (ULL_CHUNK_BITS + ULL_LEAF_BITS)];
    struct ull_leaf *leaf = ull_load_acquire(place), *expected = NULL;
    if (leaf != NULL)
        return leaf;
    leaf = ull_sys_map_books(sizeof *leaf);
    if (leaf != NULL && !ull_cas_acq_rel(place, &expected, leaf)) {
        ull_sys_munmap(leaf, sizeof *leaf);
        leaf = expected;
    }
    return leaf;
}

int ull_map_set(uint64_t start, uint64_t bytes, struct ull_slab *slab)
{
    const uint64_t end = start + bytes;
    if (end < start || (end - 1) >> (ULL_CHUNK_BITS + ULL_LEAF_BITS + ULL_ROOT_BITS) != 0)
        return -ERANGE;
    for (uint64_t at = start; slab != NULL && at < end; at = ull_round_down(at, ULL_CHUNK_BYTES << ULL_LEAF_BITS) + (ULL_CHUNK_BYTES << ULL_LEAF_BITS))
        if (leaf_at(at) == NULL)
            return -ENOMEM;
    for (uint64_t at = start; at < end; at += ULL_CHUNK_BYTES)
        ull_store_release(&leaf_at(at)->slabs[at >> ULL_CHUNK_BITS & ((1 << ULL_LEAF_BITS) - 1)], slab);
    return 0;
}

void ull_map_forget(uint64_t start, uint64_t bytes, const struct ull_slab *slab)
{
    for (uint64_t at = start; at < start + bytes; at += ULL_CHUNK_BYTES) {
        struct ull_leaf *leaf = ull_load_acquire(&ull_map_root[at >> (ULL_CHUNK_BITS + ULL_LEAF_BITS)]);
        struct ull_slab **place = leaf != NULL ? &leaf->slabs[at >> ULL_CHUNK_BITS & ((1 << ULL_LEAF_BITS) - 1)] : NULL;
        if (place != NULL && ull_load_acquire(place) == slab)
            ull_store_release(place, NULL);
    }
}
