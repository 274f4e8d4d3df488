/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pool.h - what a pool is, for the three files that make it: pool.c (get and put), adaptive.c (sizes that are learned),
 * pools.c (all of them: create, count, destroy).
 *
 * A pool is a cache of its own: its objects stay built while they lie idle, its slabs are cut to their size, its bounds and
 * its budget are kept where magazines and slabs are. An adaptive one has no objects of its own, because what it hands out has
 * a size that changes: it takes buffers of the size classes, of the size that its uses have taught it.
 */
#ifndef ULL_POOL_POOL_H
#define ULL_POOL_POOL_H

#include "pool/thread.h"
#include "ullage/pool.h"

#define ULL_POOL_MAGIC UINT32_C(0x756c6c70)
enum {
    ULL_POOL_NAME_BYTES = 64,
    /*
     * Who waits for a budget looks again so often: what is put stays charged, in the magazine of whoever put it, until the next get
     * squeezes it out. Our choice.
     */
    ULL_POOL_WAIT_MS = 10,
};

struct ullage_pool {
    uint32_t magic; /* 0 where it was destroyed: its memory stays, so that a later use is told */
    uint32_t flags;
    struct ull_cache *cache; /* also of an adaptive one, which leaves it empty: for its index, name and budget */
    uint32_t index;
    uint32_t free_state;     /* of an object that was put */
    bool plain;              /* neither adaptive nor with a reset: its puts may take the hot path */
    uint32_t place;          /* adaptive: where its uses are counted */
    uint64_t object_bytes, align;
    void (*reset)(void *ctx, void *object);
    int (*init)(void *ctx, void *object); /* these two of an adaptive one; else the cache's */
    void (*fini)(void *ctx, void *object);
    void *ctx;
    char name[ULL_POOL_NAME_BYTES];
};

/* Whether it is one; tells of misuse if not. @by: return address of who asks. */
__attribute__((cold)) bool ull_pool_is_one(const struct ullage_pool *pool, const void *by);

/* The pool that has the cache with this index. */
struct ullage_pool *ull_pool_at(uint32_t index);

/* ---- adaptive.c ---- */

/* As ullage_pool_get(), and put. */
void *ull_adaptive_get(struct ullage_pool *pool);
void ull_adaptive_put(struct ullage_pool *pool, struct ull_block *block, uint64_t used, bool declared, const void *by);
/* Bytes that the next object has. */
uint64_t ull_adaptive_bytes(const struct ullage_pool *pool);

#endif
