/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * thread.h - what a thread has of its own: two magazines of each cache, and its shards. The hot path is in hot.h.
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
#include <stddef.h>

struct ull_front {
    struct ull_entry *sp;    /* next free place of the loaded magazine; atomic, as the next two */
    struct ull_entry *base;  /* sp down here: empty. All ones: reclaimed, or being so */
    struct ull_entry *limit; /* sp up here: full. NULL: as above */
    struct ull_magazine *loaded, *previous; /* NULL: none; previous's entries are counted in `count`, those of loaded by sp */
    uint32_t rounds;         /* reserved for each of both */
    uint32_t seen;           /* low bits of sp at the last look of the reclaimer */
    uint64_t gets, puts;     /* of pools; single writer */
};
_Static_assert(sizeof(struct ull_front) == 64, "a line of the cache each");
#define ULL_POISONED_BASE ((struct ull_entry *)~(uintptr_t)0xf)

enum ull_thread_kind { ULL_THREAD_NONE, ULL_THREAD_BEGINNING, ULL_THREAD_COLD, ULL_THREAD_OWN, ULL_THREAD_DEAD };

extern struct ull_front ull_no_front __attribute__((visibility("hidden"))); /* always empty, and always full */

/* What a thread remembers of a place: nearly all ask for the same size each time. */
struct ull_line {
    struct ull_shard_entry *shard; /* NULL: not met yet */
    uint64_t bytes;                /* the last size that it asked for, */
    struct ull_front *front;       /* where that comes from, */
    uint64_t *requested;           /* and where it is counted */
};

struct ull_thread_head {
    uint8_t busy; /* atomic */
    uint8_t kind; /* enum ull_thread_kind; atomic */
    uint8_t untracked;
    uint32_t until_sample;  /* gets to the next one that is looked at */
    struct ull_front *last; /* that was popped; NULL: none */
};

struct ull_pool_thread {
    uint8_t busy; /* these five as in struct ull_thread_head, which a cold and a dead thread have instead */
    uint8_t kind;
    uint8_t untracked;
    uint32_t until_sample;
    struct ull_front *last;
    uint32_t id;
    pthread_mutex_t lock;  /* of the magazines on slow paths, against the reclaimer */
    _Alignas(64) struct ull_front fronts[ULL_CACHES_MAX];
    struct ull_line lines[ULL_PLACES_MAX]; /* by place */
};
_Static_assert(offsetof(struct ull_pool_thread, last) == offsetof(struct ull_thread_head, last), "the same head");
_Static_assert(offsetof(struct ull_pool_thread, fronts) % 64 == 0, "fronts in lines of the cache");
extern __thread struct ull_pool_thread *ull_pool_self __attribute__((tls_model("initial-exec"), visibility("hidden")));

/* One get in so many is looked at: Netty's figure for its leak detection. */
enum { ULL_SAMPLE_GETS = 128 };

/* What is asked for, where the hot path did not do. */
struct ull_want {
    const struct ullage_site *site; /* NULL: the place is `address` */
    const void *address;
    enum ull_kind kind;
    uint32_t cache; /* with @align: found by that */
    uint64_t align; /* 0: the cache's */
    uint32_t place; /* 0: to be found by the above */
    bool uncounted; /* by whoever asks: no place */
    uint64_t bytes;
};

/* The slow paths. Get: NULL and errno. @by: return address of who puts. @declared: @used is his word; else it is unknown. */
struct ull_block *ull_get_slow(const struct ull_want *want);
void ull_put_slow(struct ull_block *block, uint64_t used, bool declared, const void *by);
/* Whether a block may be put at all; tells of misuse if not. */
bool ull_may_put(struct ull_block *block, const void *by);
/* A live buffer is another one from now on, in the same place: counted as put, and as got. */
void ull_recount(const struct ull_want *want, struct ull_block *block);
/*
 * A block that ull_get_slow() returned for a cache with init, and whose `pad` is set, holds no object yet: the caller builds one
 * outside of all locks, and clears it. Where that fails, he puts it as it is.
 */

static inline void ull_enter_pool(struct ull_pool_thread *self)
{
    ull_store_relaxed(&self->busy, (uint8_t)1);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static inline void ull_leave_pool(struct ull_pool_thread *self)
{
    ull_store_release(&self->busy, (uint8_t)0);
}

/* ---- threads ---- */

/* All that are, for the reclaimer: NULL where one ended. Under ull_threads_lock(). */
void ull_threads_lock(void);
void ull_threads_unlock(void);
uint32_t ull_threads_count(void);
struct ull_pool_thread *ull_thread_at(uint32_t index);
/* Also of one that has ended. Needs no lock: it stays. */
struct ull_pool_thread *ull_thread_memory(uint32_t index);

/* Makes the front usable again after the reclaimer, or after base and limit were spoiled; the thread's lock is held. */
void ull_front_mend(struct ull_front *front);
/*
 * Takes all that a front has, into the cache's depot, among the victims if it was @idle. The thread's lock is held, and it is
 * not in the hot path.
 */
void ull_front_empty(struct ull_cache *cache, struct ull_front *front, bool idle);

/*
 * Around each slow path: false in a signal handler that interrupted one, or the hot path, in its own thread. Leaving, objects
 * are unmade whose time has come, without any lock.
 */
bool ull_slow_enter(void);
void ull_slow_leave(void);

/* In between: this thread's own, busy, its lock held. NULL: it has none; leave takes that. */
struct ull_pool_thread *ull_thread_enter(void);
void ull_thread_leave(struct ull_pool_thread *self);

/* This thread's own, made if need be. NULL: cold for want of memory, dead, or busy. Clears errno never. */
struct ull_pool_thread *ull_thread_get(void);

/* Where this process was forked by one that had pools: makes its own of what it finds. Cheap. */
void ull_pool_check_fork(void);
/* A forked child that has not asked for anything yet. */
bool ull_pool_is_untouched(void);

/* pool.c's part of that. */
void ull_pools_forked(void);
/* Also pool.c's: an object that was put while the kernel had it is back. */
void ull_pool_came_back(struct ull_block *block);

/* Does what signal handlers left behind. */
void ull_deferred_do(void);

/* Recounts everything, nobody using it: an invariant that does not hold aborts. */
void ull_pool_check_all(void);

#endif
