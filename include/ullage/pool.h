/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ullage/pool.h - objects of one kind that are used over and over, as Go's sync.Pool.
 *
 * An object that was put is handed out again, by the same thread first; one that lies idle for two decay periods leaves,
 * and its memory goes back to the kernel. Objects may be got by one thread and put by another. Each place that gets is
 * counted as in alloc.h, and misuse is treated as there. Threads: any, but for destroy. Link with: pkg-config --libs ullage.
 * Since: 0.1
 */
#ifndef ULLAGE_POOL_H
#define ULLAGE_POOL_H

#include <stddef.h>
#include <stdint.h>
#include <ullage/alloc.h>
#include <ullage/budget.h>
#include <ullage/site.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct ullage_pool;

enum ullage_pool_flags {
    /**
     * The size is learned from the uses that are declared at put: object_bytes is where it begins, and the largest that is
     * handed out. Ask ullage_pool_object_bytes() what an object has room for; where that was not enough, declare at put what would
     * have been. init and fini run at each get and put then.
     */
    ULLAGE_POOL_ADAPTIVE = 1,
    ULLAGE_POOL_WAIT = 2, /**< where the budget is used up, get waits instead of failing */
};

/** Zero means default. Callbacks run without locks of the library's, and must not call the same pool. */
struct ullage_pool_options {
    size_t size;
    const char *name;     /**< in reports; up to 63 bytes; copied. NULL: "pool" */
    size_t object_bytes;  /**< 1 B to 64 MiB */
    size_t align;         /**< a power of two up to 64 KiB; 0: 16, from 4 KiB of object_bytes up 4096 */
    uint32_t flags;       /**< enum ullage_pool_flags */
    int (*init)(void *ctx, void *object);   /**< a new object; negative errno: get fails with it. NULL: contents are undefined */
    void (*reset)(void *ctx, void *object); /**< at put, by who puts */
    void (*fini)(void *ctx, void *object);  /**< before its memory goes, by any thread */
    void *ctx;
    size_t max_retained_bytes; /**< idle, magazines included; 0: as much as ullage_alloc_options allows in all */
    uint32_t decay_ms;         /**< 0: as ullage_alloc_options */
    struct ullage_budget *budget; /**< charged for what the pool holds, idle or not, before it is taken (adaptive: for what is out); NULL: none */
    const struct ullage_source *source; /**< of slabs; copied; NULL: the allocator's */
};
#define ULLAGE_POOL_OPTIONS_INIT { .size = sizeof(struct ullage_pool_options) }

/**
 * ullage_pool_create() - an empty pool
 * Returns: 0; -EINVAL: a field out of range, or a size that no version had; -ENOSPC: 900 pools already; -ENOMEM
 */
int ullage_pool_create(struct ullage_pool **out, const struct ullage_pool_options *opt);

/**
 * ullage_pool_destroy() - give everything back; NULL is let pass
 * Nobody may be using the pool. Misuse while objects are out: they are named, and nothing is destroyed.
 */
void ullage_pool_destroy(struct ullage_pool *pool);

/**
 * ullage_pool_get() - an object, put before or new
 * Returns: NULL and errno: ENOMEM; ENOBUFS, EMSGSIZE (budget); EDEADLK (see alloc.h); what init failed with
 */
void *ullage_pool_get(struct ullage_pool *pool);
void *ullage_pool_get_at(const struct ullage_site *site, struct ullage_pool *pool);
#define ullage_pool_get(pool) ullage_pool_get_at(ULLAGE_HERE, (pool))

/** Gives an object back; NULL is let pass. Of another pool, or put already: misuse. */
void ullage_pool_put(struct ullage_pool *pool, void *object);
/** The same, and says how far into it the program went. */
void ullage_pool_put_used(struct ullage_pool *pool, void *object, size_t used_bytes);

/** Bytes that an object has room for. */
size_t ullage_pool_object_bytes(const struct ullage_pool *pool, const void *object);

/** Gives idle objects back to the kernel until at most @keep_bytes are left. Returns bytes given back. */
size_t ullage_pool_trim(struct ullage_pool *pool, size_t keep_bytes);

/** What a pool holds and did. Exact while nobody uses it. */
struct ullage_pool_counts {
    size_t size; /**< set by the caller: sizeof of this */
    uint64_t gets, puts;
    uint64_t out;            /**< objects that are out */
    uint64_t made, unmade;   /**< objects that were carved from slabs, and given back */
    uint64_t retained_bytes; /**< idle; upper bound */
    uint64_t learned_bytes;  /**< adaptive: the size that is handed out now */
};
/** Returns: 0; -EINVAL: @out's size. */
int ullage_pool_counts(const struct ullage_pool *pool, struct ullage_pool_counts *out);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
