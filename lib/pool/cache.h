/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cache.h - one kind of buffer: a size class, or the objects of one pool. Depot in front of slabs.
 *
 * Bonwick and Adams, "Magazines and Vmem" (USENIX 2001): a thread exchanges whole magazines with the depot; the depot's
 * full ones are what lies idle. Here a second stack holds those that were idle for a decay period already, the victims:
 * they are used too, after the others, and what is left of them at the next period goes.
 *
 * Locks, in order: giving, lock. Neither is held while callbacks of the program run, or while a buffer is handed out
 * from a magazine.
 */
#ifndef ULL_POOL_CACHE_H
#define ULL_POOL_CACHE_H

#include "ledger/format.h"
#include "pool/classes.h"
#include "pool/magazine.h"
#include "pool/slab.h"
#include "ullage/alloc.h"
#include "ullage/budget.h"
#include "ullage/pool.h"

#include <pthread.h>

struct ull_cache {
    /* set once */
    uint32_t index;
    uint32_t used; /* 1: in use; atomic */
    uint64_t stride;
    uint64_t slab_bytes;
    uint64_t object_bytes; /* that a buffer has room for: stride, but for what a pool asked for, and for the gap */
    uint64_t gap;          /* under ULLAGE_DEBUG, a page behind each buffer that cannot be touched */
    const char *name; /* of a pool; NULL: a size class */
    uint32_t flags;   /* enum ullage_pool_flags */
    struct ullage_source source;
    struct ullage_budget *budget;
    int (*init)(void *ctx, void *object);
    void (*fini)(void *ctx, void *object);
    void *ctx;
    uint64_t decay_ns;            /* 0: the process's */
    uint64_t max_retained_bytes;  /* 0: the process's alone */
    bool purges;                  /* buffers are whole pages, and the source can give them back */

    /* slabs */
    pthread_mutex_t giving, lock;
    struct ull_slab *partial, *spares; /* under lock */
    uint64_t mapped_bytes;             /* these four atomic, written under lock */
    uint64_t made, unmade;

    /* depot */
    struct ull_stack full, victims;
    struct ull_stack doomed; /* whose objects are to be unmade by fini, as soon as no lock is held */
    uint32_t burying;        /* threads at it; atomic */
    uint64_t depot_blocks;  /* atomic */
    uint64_t front_bytes;   /* room of the magazines that threads have loaded; atomic */
    uint32_t rounds;        /* buffers a magazine; atomic */
    uint32_t contention;    /* retries since it was last raised; atomic */
    uint64_t ticked_ns;     /* atomic */
    uint64_t refused;       /* atomic */
    uint64_t retained_peak; /* atomic */

    /* of threads that ended; pools only */
    uint64_t gets, puts; /* atomic */
    struct ull_pool_entry *entry; /* in the ledger; NULL: not there */
};
extern struct ull_cache ull_caches[ULL_CACHES_MAX] __attribute__((visibility("hidden")));
extern uint32_t ull_caches_end __attribute__((visibility("hidden"))); /* none in use from here on; atomic */

/* What the process set, and what lies idle in all. */
struct ull_pool_settings {
    uint64_t max_retained_bytes, decay_ns;
    struct ullage_source source;
    bool debug, untracked;
    uint32_t leaks; /* enum ullage_leaks */
    uint64_t slab_bytes; /* mapped; atomic */
    uint64_t held_bytes; /* magazines and depots of all caches; atomic */
    uint32_t started;    /* slabs were made; atomic */
};
extern struct ull_pool_settings ull_pool_settings __attribute__((visibility("hidden")));

/* Larger alignments are refused. Our choice: slabs are aligned to 1 MiB, and no device asks for so much. */
enum { ULL_ALIGN_MAX = 65536 };
/* The smallest class whose buffers all have that alignment; past them, a slab of one's own. */
unsigned ull_class_aligned(size_t align, size_t bytes);

/* The cache of a size class, set up at its first use. Threads: any. */
struct ull_cache *ull_cache_of_class(unsigned class);
/* Prepares one: index, stride, slab_bytes, source and the rest of the first group are set by the caller, before `used`. */
void ull_cache_prepare(struct ull_cache *cache);

/* What a magazine holds at most, unless that is less than one buffer. Our choice. */
#define ULL_MAGAZINE_BYTES (UINT64_C(2) << 20)
/* Magazines of a thread: of buffers larger than that only one, of one buffer: what lies idle is dear. */
static inline unsigned ull_cache_magazines(const struct ull_cache *cache)
{
    return cache->stride <= ULL_MAGAZINE_BYTES ? 2 : 1;
}

/* Buffers that each of a thread's magazines may hold so that the bounds hold; 0: none, every buffer is taken and given one by one. */
unsigned ull_cache_reserve_rounds(struct ull_cache *cache, uint64_t most);
void ull_cache_release_rounds(struct ull_cache *cache, unsigned rounds);
/* A thread exchanges magazines of the largest size: after enough of that, and of contention, they may be twice as large. */
void ull_cache_pressed(struct ull_cache *cache);

/* A full magazine from the depot; NULL. */
struct ull_magazine *ull_depot_take(struct ull_cache *cache);
/* Takes a magazine; what the bounds do not allow goes to the slabs at once. @idle: for a period already. */
void ull_depot_give(struct ull_cache *cache, struct ull_magazine *magazine, bool idle);

/* Takes up to @want buffers from the slabs, charged first. Returns how many; 0 and *error: -ENOMEM, -ENOBUFS. */
unsigned ull_cache_take(struct ull_cache *cache, struct ull_entry *entries, unsigned want, int *error);
/* Gives one buffer to the slabs. */
void ull_cache_give_one(struct ull_cache *cache, struct ull_block *block);

/* One period has passed: victims go, and what is idle becomes the victims. Returns bytes given back. */
size_t ull_depot_tick(struct ull_cache *cache);
/* Everything idle in the depot goes, down to @keep_bytes. */
size_t ull_depot_trim(struct ull_cache *cache, uint64_t keep_bytes);

/*
 * Runs fini on what is doomed, and gives its memory to the slabs. Without locks: it is the program's. Cheap where there is
 * nothing.
 */
void ull_caches_bury(void);
/* Waits until others are through with that. */
void ull_cache_await_burial(struct ull_cache *cache);

/* Idle bytes of a cache. */
uint64_t ull_cache_retained(const struct ull_cache *cache);
/* Brings a pool's entry in the ledger up to date; nothing of a size class. */
void ull_cache_publish(struct ull_cache *cache, const struct ullage_pool_counts *counts);

/* Its buffers hold objects of the program's between a put and the next get. */
static inline bool ull_cache_builds(const struct ull_cache *cache)
{
    return cache->init != NULL || cache->fini != NULL;
}

/* In a forked child, before the slabs: depots are empty, locks are open. And after them: what is idle is charged no more. */
void ull_caches_rebuild(void);
void ull_caches_settle(void);

#endif
