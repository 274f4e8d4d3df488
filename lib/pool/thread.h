/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * thread.h - what a thread has of its own: two magazines of each cache, and its shards. And the hot path.
 *
 * A get pops the loaded magazine by its stack pointer, a put pushes; no lock, no atomic read-modify-write. `busy` is set
 * around both, for two who may come in between: a signal handler of the same thread, which is refused; and a reclaimer in
 * another thread, which wants the magazines of one that sleeps (decay.c). It first makes base and limit such that both
 * compares below fail, then has all CPUs pass a barrier (membarrier), then looks at busy: a thread that was not inside then
 * will find the compares failing, and wait for the reclaimer in the slow path.
 *
 *   states of a thread's pointer: cold (busy, the first call makes one) -> its own -> dead (busy: TLS destructors, late frees)
 *
 * The memory is emptied by the kernel in a forked child: all of it zero is a thread that has nothing, and takes the slow path.
 */
#ifndef ULL_POOL_THREAD_H
#define ULL_POOL_THREAD_H

#include "base/check.h"
#include "pool/cache.h"
#include "pool/track.h"

#include <pthread.h>
#include <stdbool.h>

struct ull_front {
    struct ull_entry *sp;    /* next free place of the loaded magazine; atomic, as the next two */
    struct ull_entry *base;  /* sp down here: empty. All ones: reclaimed, or being so */
    struct ull_entry *limit; /* sp up here: full. NULL: as above */
    struct ull_magazine *loaded, *previous; /* NULL: none; its entries are counted in `count`, those of loaded by sp */
    uint32_t rounds;         /* reserved for each of both */
    uint32_t seen;           /* low bits of sp at the last look of the reclaimer */
    uint64_t gets, puts;     /* of pools; single writer */
};
_Static_assert(sizeof(struct ull_front) == 64, "a line of the cache each");
#define ULL_POISONED_BASE ((struct ull_entry *)~(uintptr_t)0xf)

enum ull_thread_kind { ULL_THREAD_NONE, ULL_THREAD_COLD, ULL_THREAD_OWN, ULL_THREAD_DEAD };

/* What a thread remembers of a place: nearly all ask for the same size each time. */
struct ull_line {
    struct ull_shard_entry *shard; /* NULL: not met yet */
    uint64_t bytes;                /* the last size that it asked for, */
    struct ull_front *front;       /* where that comes from, */
    uint64_t *requested;           /* and where it is counted */
};

struct ull_pool_thread {
    uint8_t busy; /* atomic */
    uint8_t kind; /* enum ull_thread_kind */
    uint8_t untracked;
    uint32_t until_sample;  /* gets to the next one that is looked at */
    struct ull_front *last; /* that was popped; NULL: none */
    uint32_t id;
    uint32_t index;        /* in the table of threads */
    pthread_mutex_t lock;  /* of the magazines on slow paths, against the reclaimer */
    _Alignas(64) struct ull_front fronts[ULL_CACHES_MAX];
    struct ull_line lines[ULL_PLACES_MAX]; /* by place */
};
extern __thread struct ull_pool_thread *ull_pool_self __attribute__((tls_model("initial-exec"), visibility("hidden")));

/* One get in so many is looked at: Netty's figure for its leak detection. */
enum { ULL_SAMPLE_GETS = 128 };

/* What is asked for, where the hot path did not do. */
struct ull_want {
    const struct ullage_site *site; /* NULL: the place is `address` */
    const void *address;
    enum ull_kind kind;
    uint32_t cache;
    uint32_t place; /* 0: to be found by the above */
    uint64_t bytes;
};

/* The slow paths. Get: NULL and errno. @by: return address of who puts. @declared: @used is his word; else it is unknown. */
struct ull_block *ull_get_slow(const struct ull_want *want);
void ull_put_slow(struct ull_block *block, uint64_t used, bool declared, const void *by);
/* A live buffer is another one from now on, in the same place: counted as put, and as got. */
void ull_recount(const struct ull_want *want, struct ull_block *block);
/*
 * A block that ull_get_slow() returned for a cache with init, and whose `pad` is set, holds no object yet: the caller builds one
 * outside of all locks, and clears it. Where that failed, this takes the block back.
 */
void ull_unget(struct ull_block *block);

static inline void ull_enter_pool(struct ull_pool_thread *self)
{
    ull_store_relaxed(&self->busy, (uint8_t)1);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static inline void ull_leave_pool(struct ull_pool_thread *self)
{
    ull_store_release(&self->busy, (uint8_t)0);
}

static inline __attribute__((always_inline)) struct ull_block *ull_pop(
    struct ull_pool_thread *self, struct ull_front *front, void **data)
{
    struct ull_entry *sp = ull_load_relaxed(&front->sp);
    if (ull_unlikely(sp <= ull_load_relaxed(&front->base)))
        return NULL;
    struct ull_block *block = sp[-1].block;
    *data = sp[-1].data;
    if (ull_unlikely((block->state & ~(uint32_t)ULL_BLOCK_BUILT) != ULL_BLOCK_FREE))
        return NULL;
    ull_store_relaxed(&front->sp, sp - 1);
    self->last = front;
    return block;
}

/* The block is the caller's now, and counted. @requested: where in the shard. */
static inline __attribute__((always_inline)) void ull_hand_out(
    struct ull_block *block, uint32_t place, uint64_t bytes, struct ull_shard_entry *shard, uint64_t *requested, uint32_t live)
{
    if (ull_likely(shard != NULL))
        ull_shard_count_get(shard, requested, bytes);
    ull_store_relaxed(&block->state, live);
    block->site = place;
    block->requested = bytes;
}

/*
 * A buffer of a size class, or of the cache @pool with the bucket @bucket if that is not 0. NULL: take the slow path. @place 0:
 * unknown yet.
 */
static inline __attribute__((always_inline)) struct ull_block *ull_get_fast(
    uint32_t place, uint64_t bytes, unsigned pool, unsigned bucket, void **data)
{
    struct ull_pool_thread *self = ull_pool_self;
    if (ull_unlikely(ull_load_relaxed(&self->busy)))
        return NULL;
    struct ull_line *line = &self->lines[place];
    struct ull_shard_entry *shard = line->shard;
    struct ull_front *front = line->front;
    uint64_t *requested = line->requested;
    uint32_t left = self->until_sample - 1;
    if (ull_unlikely(left == 0 || (shard == NULL && !self->untracked)))
        return NULL;
    if (pool != 0 || ull_unlikely(line->bytes != bytes) || shard == NULL) {
        const uint64_t most = bytes - 1, least = (1 << ULL_CLASS_MIN_BITS) - 1;
        if (pool == 0) {
            if (most >= UINT64_C(1) << ULL_CLASS_MAX_BITS) /* also 0 */
                return NULL;
            bucket = ull_bucket_within(most > least ? most : least);
        }
        if (shard != NULL && !ull_shard_is_within(shard, bytes))
            return NULL;
        front = &self->fronts[pool != 0 ? pool : ull_class_of_bucket[bucket]];
        requested = shard != NULL ? &shard->requested[bucket] : NULL;
        if (pool == 0 && shard != NULL)
            *line = (struct ull_line) { shard, bytes, front, requested };
    }
    ull_enter_pool(self);
    struct ull_block *block = ull_pop(self, front, data);
    if (ull_likely(block != NULL)) {
        self->until_sample = left;
        ull_hand_out(block, place, bytes, shard, requested, pool != 0 ? ULL_BLOCK_LIVE | ULL_BLOCK_OBJECT : ULL_BLOCK_LIVE);
    }
    ull_leave_pool(self);
    return block;
}

/* The block of @address: nearly always the one that this thread popped last, and whose entry is still where it was. */
static inline __attribute__((always_inline)) struct ull_block *ull_block_quickly(const void *address)
{
    const struct ull_front *last = ull_pool_self->last;
    if (ull_likely(last != NULL)) {
        /* Somebody else may have the magazine now, and change it: the block says itself whether it is the one. */
        const struct ull_entry *above = ull_load_relaxed(&last->sp);
        struct ull_block *block = above->block;
        if (above->data == address && block->data == address)
            return block;
    }
    return ull_block_of(address);
}

static inline __attribute__((always_inline)) void ull_count_unknown(struct ull_shard_entry *shard, uint64_t requested)
{
    ull_count(&shard->freed_bytes, requested);
    ull_count(&shard->unknown_count, 1);
    ull_count(&shard->unknown_bytes, requested);
}

/* False: take the slow path. @live: the state that it must have; @free: the one that it has then. */
static inline __attribute__((always_inline)) bool ull_put_fast(
    struct ull_block *block, void *data, uint64_t used, bool declared, const void *by, uint32_t live, uint32_t free)
{
    struct ull_pool_thread *self = ull_pool_self;
    uint32_t state = ull_load_relaxed(&block->state);
    if (ull_unlikely(ull_load_relaxed(&self->busy)))
        return false;
    if (ull_unlikely(state != live)) {
        if (state != (live | ULL_BLOCK_NOTED))
            return false;
        used = declared && used > block->used ? used : block->used;
        declared = true;
    }
    struct ull_front *front = &self->fronts[block->cache];
    struct ull_shard_entry *shard = self->lines[block->site].shard;
    if (ull_unlikely(shard == NULL && !self->untracked))
        return false;
    ull_enter_pool(self);
    struct ull_entry *sp = ull_load_relaxed(&front->sp);
    if (ull_unlikely(sp >= ull_load_relaxed(&front->limit))) {
        ull_leave_pool(self);
        return false;
    }
    block->put_by = by;
    if (ull_likely(shard != NULL)) {
        uint64_t requested = block->requested;
        if (declared)
            ull_shard_count_put(shard, requested, used < requested ? used : requested);
        else
            ull_count_unknown(shard, requested);
    }
    if (!declared)
        block->dirty = ULL_DIRTY_UNKNOWN;
    else if (ull_unlikely(block->dirty <= used))
        block->dirty = used + 1;
    ull_store_release(&block->state, free); /* after dirty: a forked child believes it */
    *sp = (struct ull_entry) { data, block };
    ull_store_relaxed(&front->sp, sp + 1);
    ull_leave_pool(self);
    return true;
}

/* ---- threads ---- */

/* All that are, for the reclaimer: NULL where one ended. Under ull_threads_lock(). */
void ull_threads_lock(void);
void ull_threads_unlock(void);
uint32_t ull_threads_count(void);
struct ull_pool_thread *ull_thread_at(uint32_t index);

/* Makes the front usable again after the reclaimer, or after base and limit were spoiled; the thread's lock is held. */
void ull_front_mend(struct ull_front *front);
/*
 * Takes all that a front has, into the cache's depot, among the victims if it was @idle. The thread's lock is held, and it is
 * not in the hot path.
 */
void ull_front_empty(struct ull_cache *cache, struct ull_front *front, bool idle);

/*
 * For those who are no get and no put (trim, the background thread): this thread, busy, its lock held, so that what
 * callbacks of the program free meanwhile is deferred. NULL: it has none; leave takes that.
 */
struct ull_pool_thread *ull_thread_enter(void);
void ull_thread_leave(struct ull_pool_thread *self);

/* This thread's own, made if need be. NULL: cold for want of memory, dead, or busy. Clears errno never. */
struct ull_pool_thread *ull_thread_get(void);

/* Does what a signal handler left behind. */
void ull_deferred_do(void);

/* 0, or this process was forked by one that had pools, and has now made its own of what it found. Cheap. */
void ull_pool_check_fork(void);

/* Recounts everything, nobody using it: an invariant that does not hold aborts. */
void ull_pool_check_all(void);

#endif
