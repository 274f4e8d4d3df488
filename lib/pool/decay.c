/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * decay.c - see decay.h.
 *
 * A period of a cache is over: its victims go, what lies in the depot becomes the victims. Magazines of threads whose stack
 * pointer has not moved since the last look were idle for a period and count as victims. So what is idle is gone after two.
 *
 * Taking magazines from a thread that may run at any moment, without its help, in four steps:
 *   1. its lock is taken, which it needs on slow paths, and base and limit of the front are spoiled;
 *   2. membarrier(2): every CPU passes a full barrier. A thread inside the hot path has told so by `busy` before that, or will
 *      find base and limit spoiled;
 *   3. busy is read. Set: it is inside, perhaps with the old values; the front is mended and left alone. Not set: what the
 *      thread does next ends in the slow path, where it waits for its lock;
 *   4. the magazines are taken, and the lock is given back.
 * One barrier serves all fronts of all threads. Without membarrier (before Linux 4.14, or forbidden) nothing is taken.
 *
 * Locks, in order: `deciding`, which slow paths only try for; the caller's own; threads; others' own, only tried for (but for a
 * pool that ends: nobody is on a slow path of its then for long).
 */
#include "config.h"

#include "pool/decay.h"

#include "base/arith.h"
#include "base/sys.h"
#include "measure/named.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* linux/membarrier.h */
enum { MEMBARRIER_EXPEDITED = 1 << 3, MEMBARRIER_REGISTER = 1 << 4 };

static struct {
    pthread_mutex_t deciding;
    uint64_t next_ns; /* no period ends before; atomic */
    int barrier;      /* 0 untried, 1 there, -1 not; under deciding */
    uint32_t running; /* the background thread */
} decay = { .deciding = PTHREAD_MUTEX_INITIALIZER };

static bool barrier(void)
{
    if (ull_named_is_sandboxed())
        return false; /* a filter may kill the process for it */
    if (decay.barrier == 0)
        decay.barrier = ull_sys_call(SYS_membarrier, MEMBARRIER_REGISTER, 0, 0, 0, 0, 0) == 0 ? 1 : -1;
    return decay.barrier > 0 && ull_sys_call(SYS_membarrier, MEMBARRIER_EXPEDITED, 0, 0, 0, 0, 0) == 0;
}

/* ---- magazines of others ---- */

/* Which fronts of a thread are to be taken: those of [first, end), and if @idle, only those that stood still. */
struct wanted {
    uint32_t first, end;
    bool idle;
    uint64_t now;
};

/* Three quarters of the decay: who looks may come late, and two of these are to be over within two of those. */
static uint64_t period_of(const struct ull_cache *cache)
{
    return (cache->decay_ns != 0 ? cache->decay_ns : ull_pool_settings.decay_ns) / 4 * 3;
}

static bool is_due(const struct ull_cache *cache, uint64_t now)
{
    return now - ull_load_relaxed(&cache->ticked_ns) >= period_of(cache);
}

static bool is_wanted(const struct wanted *wanted, uint32_t index, struct ull_front *front)
{
    uint32_t seen = front->seen, now = (uint32_t)(uintptr_t)ull_load_relaxed(&front->sp);
    if (front->loaded == NULL || !ull_load_acquire(&ull_caches[index].used))
        return false;
    if (!wanted->idle)
        return true;
    if (!is_due(&ull_caches[index], wanted->now))
        return false;
    front->seen = now;
    return seen == now;
}

/* Step 1. Returns how many. */
static unsigned spoil(const struct wanted *wanted, struct ull_pool_thread *thread)
{
    unsigned spoiled = 0;
    for (uint32_t i = wanted->first; i < wanted->end; i++) {
        struct ull_front *front = &thread->fronts[i];
        if (!is_wanted(wanted, i, front))
            continue;
        ull_store_relaxed(&front->base, ULL_POISONED_BASE);
        ull_store_relaxed(&front->limit, NULL);
        spoiled++;
    }
    return spoiled;
}

/* Steps 3 and 4. */
static unsigned take(const struct wanted *wanted, struct ull_pool_thread *thread, bool safe)
{
    unsigned taken = 0;
    bool inside = ull_load_acquire(&thread->busy) != 0;
    for (uint32_t i = wanted->first; i < wanted->end; i++) {
        struct ull_front *front = &thread->fronts[i];
        /* Without magazines it was taken before, and waits for its owner to mend it: not touched, he may be in it. */
        if (front->loaded == NULL || ull_load_relaxed(&front->base) != ULL_POISONED_BASE)
            continue;
        if (safe && !inside) {
            ull_front_empty(&ull_caches[i], front, wanted->idle);
            taken++;
        } else {
            ull_front_mend(front);
        }
    }
    return taken;
}

enum { AT_ONCE = 64 };

/* From @at on, up to AT_ONCE threads under one barrier. */
static void reclaim_some(const struct wanted *wanted, const struct ull_pool_thread *self, uint32_t at, uint32_t count)
{
    struct ull_pool_thread *held[AT_ONCE];
    unsigned threads = 0, spoiled = 0, taken = 0;
    for (uint32_t i = at; i < count && i < at + AT_ONCE; i++) {
        struct ull_pool_thread *thread = ull_thread_at(i);
        if (thread == NULL || thread == self || pthread_mutex_trylock(&thread->lock) != 0)
            continue;
        unsigned here = spoil(wanted, thread);
        if (here == 0)
            pthread_mutex_unlock(&thread->lock);
        else
            held[threads++] = thread;
        spoiled += here;
    }
    bool safe = spoiled > 0 && barrier();
    for (unsigned i = 0; i < threads; i++) {
        taken += take(wanted, held[i], safe);
        pthread_mutex_unlock(&held[i]->lock);
    }
    ull_named_count(ULL_COUNTER_pool_reclaimed_total, taken);
}

static void reclaim(const struct wanted *wanted, const struct ull_pool_thread *self)
{
    ull_threads_lock();
    uint32_t count = ull_threads_count();
    for (uint32_t at = 0; at < count; at += AT_ONCE)
        reclaim_some(wanted, self, at, count);
    ull_threads_unlock();
}

/* ---- periods ---- */

static uint32_t caches_end(void)
{
    return ull_load_acquire(&ull_caches_end);
}

static void publish_pools(uint32_t first, uint32_t end)
{
    for (uint32_t i = first > ULL_CACHE_FIRST_POOL ? first : ULL_CACHE_FIRST_POOL; i < end; i++)
        if (ull_load_acquire(&ull_caches[i].used))
            ull_pool_publish(&ull_caches[i]);
}

static void publish(void)
{
    ull_named_set(ULL_COUNTER_pool_retained_bytes, ull_load_relaxed(&ull_pool_settings.held_bytes));
    ull_named_set(ULL_COUNTER_pool_slab_bytes, ull_load_relaxed(&ull_pool_settings.slab_bytes));
}

/* Under deciding. Ends the periods that are over. */
static void tick(struct ull_pool_thread *self, uint64_t now)
{
    uint64_t next = now + ull_pool_settings.decay_ns / 4 * 3;
    size_t bytes = 0;
    struct wanted wanted = { 0, caches_end(), true, now };
    reclaim(&wanted, self);
    for (uint32_t i = 0; i < wanted.end && self != NULL; i++)
        if (is_wanted(&wanted, i, &self->fronts[i]))
            ull_front_empty(&ull_caches[i], &self->fronts[i], true);
    for (uint32_t i = 0; i < wanted.end; i++) {
        struct ull_cache *cache = &ull_caches[i];
        if (!ull_load_acquire(&cache->used))
            continue;
        if (is_due(cache, now)) {
            ull_store_relaxed(&cache->ticked_ns, now);
            bytes += ull_depot_tick(cache);
            if (cache->name != NULL)
                ull_pool_publish(cache);
        }
        next = ull_min_u64(next, cache->ticked_ns + period_of(cache));
    }
    ull_store_relaxed(&decay.next_ns, next);
    ull_named_count(ULL_COUNTER_pool_released_bytes_total, bytes);
    publish();
}

void ull_decay_look(struct ull_pool_thread *self)
{
    uint64_t now = ull_sys_monotonic_ns();
    if (now < ull_load_relaxed(&decay.next_ns) || pthread_mutex_trylock(&decay.deciding) != 0)
        return;
    if (now >= ull_load_relaxed(&decay.next_ns))
        tick(self, now);
    pthread_mutex_unlock(&decay.deciding);
}

/* Under deciding: all that is idle in these caches, down to @keep_bytes. @self: its lock is held; NULL. */
static size_t trim(struct ull_pool_thread *self, uint32_t first, uint32_t end, uint64_t keep_bytes)
{
    struct wanted wanted = { first, end, false, 0 };
    uint64_t idle = 0;
    size_t bytes = 0;
    for (uint32_t i = first; i < end; i++)
        if (ull_load_acquire(&ull_caches[i].used))
            idle += ull_cache_retained(&ull_caches[i]);
    for (uint32_t i = first; i < end && self != NULL && idle > keep_bytes; i++)
        if (self->fronts[i].loaded != NULL)
            ull_front_empty(&ull_caches[i], &self->fronts[i], false);
    if (idle > keep_bytes)
        reclaim(&wanted, self);
    for (uint32_t i = end; i-- > first && idle > keep_bytes;) {
        if (!ull_load_acquire(&ull_caches[i].used))
            continue;
        uint64_t had = ull_cache_retained(&ull_caches[i]), others = idle - ull_min_u64(idle, had);
        bytes += ull_depot_trim(&ull_caches[i], ull_minus_clamped(keep_bytes, others));
        idle = others + ull_cache_retained(&ull_caches[i]);
    }
    ull_named_count(ULL_COUNTER_pool_released_bytes_total, bytes);
    publish();
    return bytes;
}

void ull_decay_leaving(void)
{
    if (ull_pool_is_untouched() || !ull_slow_enter())
        return;
    if (pthread_mutex_trylock(&decay.deciding) == 0) {
        publish_pools(0, caches_end());
        publish();
        pthread_mutex_unlock(&decay.deciding);
    }
    ull_slow_leave();
}

void ull_decay_hurry(void)
{
    ull_store_relaxed(&decay.next_ns, UINT64_C(0));
}

size_t ull_decay_trim(uint32_t first, uint32_t end, uint64_t keep_bytes)
{
    if (!ull_slow_enter())
        return 0;
    pthread_mutex_lock(&decay.deciding); /* before a lock of a thread, always; those who have one only try */
    struct ull_pool_thread *self = ull_thread_enter();
    size_t bytes = trim(self, first, (uint32_t)ull_min_u64(end, caches_end()), keep_bytes);
    ull_thread_leave(self);
    publish_pools(first, (uint32_t)ull_min_u64(end, caches_end()));
    pthread_mutex_unlock(&decay.deciding);
    ull_slow_leave();
    return bytes;
}

bool ull_decay_squeeze(struct ull_pool_thread *self, uint32_t first, uint32_t end)
{
    if (pthread_mutex_trylock(&decay.deciding) != 0)
        return false;
    size_t bytes = trim(self, first, (uint32_t)ull_min_u64(end, caches_end()), 0);
    pthread_mutex_unlock(&decay.deciding);
    return bytes > 0;
}

bool ull_decay_squeeze_budget(struct ull_pool_thread *self, const struct ullage_budget *budget)
{
    bool any = false;
    for (uint32_t i = ULL_CACHE_FIRST_POOL; i < caches_end(); i++)
        if (ull_load_acquire(&ull_caches[i].used) && ull_caches[i].budget == budget && ull_decay_squeeze(self, i, i + 1))
            any = true;
    return any;
}

bool ull_decay_free_budget(const struct ullage_budget *budget)
{
    if (!ull_slow_enter())
        return false;
    struct ull_pool_thread *self = ull_thread_enter();
    bool any = ull_decay_squeeze_budget(self, budget);
    ull_thread_leave(self);
    ull_slow_leave();
    return any;
}

static void abandon(struct ull_cache *cache, struct ull_pool_thread *thread)
{
    struct ull_front *front = &thread->fronts[cache->index];
    pthread_mutex_lock(&thread->lock); /* it may be about to end, and give its magazines up itself */
    if (front->loaded != NULL)
        ull_front_empty(cache, front, false);
    ull_store_relaxed(&front->gets, UINT64_C(0));
    ull_store_relaxed(&front->puts, UINT64_C(0));
    pthread_mutex_unlock(&thread->lock);
}

/* One lock of a thread at a time, and none of the table's: their memory stays, and one that begins just now has nothing of it. */
void ull_decay_abandon(struct ull_cache *cache)
{
    pthread_mutex_lock(&decay.deciding);
    struct ull_pool_thread *self = ull_thread_get();
    if (self != NULL)
        ull_enter_pool(self);
    ull_threads_lock();
    uint32_t count = ull_threads_count();
    ull_threads_unlock();
    for (uint32_t i = 0; i < count; i++)
        abandon(cache, ull_thread_memory(i));
    ull_depot_trim(cache, 0);
    if (self != NULL)
        ull_leave_pool(self);
    pthread_mutex_unlock(&decay.deciding);
}

/* ---- the background thread ---- */

static void *look_after(void *unused)
{
    (void)unused;
    for (;;) {
        uint64_t pause_ns = ull_pool_settings.decay_ns / 8;
        struct timespec pause = { (time_t)(pause_ns / 1000000000), (long)(pause_ns % 1000000000) };
        nanosleep(&pause, NULL);
        if (!ull_slow_enter())
            continue;
        struct ull_pool_thread *self = ull_thread_enter();
        ull_decay_look(self);
        ull_thread_leave(self);
        ull_slow_leave();
    }
    return NULL;
}

int ull_decay_start(void)
{
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all, before;
    if (ull_exchange_acq_rel(&decay.running, 1U))
        return 0;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, 256 * 1024);
    sigfillset(&all); /* the program's handlers are for its own threads */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&thread, &attributes, look_after, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    if (error != 0)
        ull_store_release(&decay.running, 0U);
    return -error;
}

void ull_decay_hold(void)
{
    pthread_mutex_lock(&decay.deciding);
}

void ull_decay_release(void)
{
    pthread_mutex_unlock(&decay.deciding);
}

void ull_decay_forked(void)
{
    pthread_mutex_init(&decay.deciding, NULL);
    decay.running = 0;
    decay.barrier = 0;
}
