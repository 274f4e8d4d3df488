/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * thread.c - threads come and go, and processes fork.
 *
 * A thread's memory is mapped once and emptied by the kernel in a forked child. There, whoever comes first to a slow path
 * makes everything anew: slabs' lists from the states of their blocks, depots and magazines empty, shards of its own. What
 * other threads of the parent had in their magazines is free in the child, because nothing but the states says where a block
 * is. Nobody else runs in the child before that, so nothing needs to be locked around fork.
 */
#include "config.h"

#include "pool/thread.h"

#include "base/sys.h"
#include "measure/named.h"
#include "pool/decay.h"
#include "pool/leak.h"
#include "pool/settings.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { THREADS_MAX = 1 << 16 };

/* What a thread's pointer shows before it has its own, and after: only the head is looked at. */
static _Alignas(64) struct ull_thread_head cold = { .busy = 1, .kind = ULL_THREAD_COLD };
static _Alignas(64) struct ull_thread_head dead = { .busy = 1, .kind = ULL_THREAD_DEAD };

__thread struct ull_pool_thread *ull_pool_self = (struct ull_pool_thread *)(void *)&cold;
static __thread bool inside __attribute__((tls_model("initial-exec"))); /* on a slow path, with or without a thread of its own */

enum { ALIVE = 1, REBUILDING = 2 };

static struct {
    pthread_mutex_t lock;
    struct ull_pool_thread **threads; /* kept for the next one where theirs ended */
    uint32_t count;
    uint32_t inherited; /* the first ones, of which one is that of the thread that forked: not for others */
    uint32_t *alive; /* on a page that the kernel empties in a child; atomic */
    uint32_t alive_otherwise;
    pthread_key_t key;
    bool has_key;
} all = { .lock = PTHREAD_MUTEX_INITIALIZER };

void ull_threads_lock(void)
{
    pthread_mutex_lock(&all.lock);
}

void ull_threads_unlock(void)
{
    pthread_mutex_unlock(&all.lock);
}

uint32_t ull_threads_count(void)
{
    return all.count;
}

struct ull_pool_thread *ull_thread_at(uint32_t index)
{
    return ull_load_acquire(&all.threads[index]->kind) == ULL_THREAD_OWN ? all.threads[index] : NULL;
}

struct ull_pool_thread *ull_thread_memory(uint32_t index)
{
    return all.threads[index];
}

/* ---- fronts ---- */

/* Where the stack pointer of an empty front points: whoever looks above it finds no buffer. */
static struct ull_entry nothing;
struct ull_front ull_no_front = { .sp = &nothing, .base = &nothing, .limit = &nothing };

void ull_front_mend(struct ull_front *front)
{
    struct ull_magazine *loaded = front->loaded;
    ull_store_relaxed(&front->base, loaded != NULL ? loaded->entries : &nothing);
    ull_store_relaxed(&front->limit, loaded != NULL ? loaded->entries + front->rounds : &nothing);
    if (loaded == NULL)
        ull_store_relaxed(&front->sp, &nothing);
}

void ull_front_empty(struct ull_cache *cache, struct ull_front *front, bool idle)
{
    struct ull_magazine *loaded = front->loaded, *previous = front->previous;
    if (loaded != NULL) {
        loaded->count = (uint32_t)(ull_load_relaxed(&front->sp) - loaded->entries);
        ull_cache_release_rounds(cache, front->rounds);
        front->loaded = front->previous = NULL;
        ull_depot_give(cache, loaded, idle);
        if (previous != NULL)
            ull_depot_give(cache, previous, idle);
    }
    front->rounds = 0;
    /* Spoiled ones stay so: their owner mends them on its slow path, under its lock. */
    if (ull_load_relaxed(&front->base) != ULL_POISONED_BASE)
        ull_front_mend(front);
}

/* ---- the end of a thread ---- */

/* Under the lock of threads: whoever adds up finds them here or there. */
static void pass_on_counts(struct ull_pool_thread *self)
{
    pthread_mutex_lock(&all.lock);
    for (uint32_t i = ULL_CACHE_FIRST_POOL; i < ull_load_acquire(&ull_caches_end); i++) {
        struct ull_front *front = &self->fronts[i];
        ull_add_relaxed(&ull_caches[i].gets, front->gets);
        ull_add_relaxed(&ull_caches[i].puts, front->puts);
        ull_store_relaxed(&front->gets, UINT64_C(0));
        ull_store_relaxed(&front->puts, UINT64_C(0));
    }
    pthread_mutex_unlock(&all.lock);
}

static void leave(struct ull_pool_thread *self)
{
    ull_enter_pool(self);
    pthread_mutex_lock(&self->lock);
    for (uint32_t i = 0; i < ull_load_acquire(&ull_caches_end); i++) {
        struct ull_front *front = &self->fronts[i];
        if (front->loaded != NULL)
            ull_front_empty(&ull_caches[i], front, false);
    }
    pass_on_counts(self);
    for (uint32_t place = 0; place < ull_place_count(); place++)
        if (self->lines[place].shard != NULL) {
            ull_track_fold(place, self->lines[place].shard);
            ull_track_leave(place, self->lines[place].shard);
        }
    pthread_mutex_unlock(&self->lock);
}

/* Of the key: late, but other destructors may come after it. They find the thread dead, and are served without magazines. */
static void at_thread_end(void *thread)
{
    struct ull_pool_thread *self = thread;
    if (self != ull_pool_self || self->kind != ULL_THREAD_OWN)
        return;
    inside = true; /* a signal handler of this thread is refused */
    leave(self);
    ull_pool_self = (struct ull_pool_thread *)(void *)&dead;
    pthread_mutex_lock(&all.lock);
    if (ull_sys_madvise(self->lines, sizeof self->lines, MADV_DONTNEED) != 0)
        memset(self->lines, 0, sizeof self->lines);
    self->last = NULL;
    ull_leave_pool(self);
    ull_store_release(&self->kind, (uint8_t)ULL_THREAD_NONE); /* from here on it is another's */
    pthread_mutex_unlock(&all.lock);
    ull_slow_leave();
}

/* ---- its beginning ---- */

static struct ull_pool_thread *map_thread(void)
{
    struct ull_pool_thread *thread = all.count < THREADS_MAX ? ull_sys_map_books(sizeof *thread) : NULL;
    if (thread == NULL)
        return NULL;
    (void)ull_sys_madvise(thread, sizeof *thread, MADV_NOHUGEPAGE);
    /* A kernel without it has forked() do the same. One that has it and fails has no memory for us: a child would go on with ours. */
    if (ull_sys_madvise(thread, sizeof *thread, MADV_WIPEONFORK) != 0 && all.alive != &all.alive_otherwise) {
        ull_sys_munmap(thread, sizeof *thread);
        return NULL;
    }
    pthread_mutex_init(&thread->lock, NULL);
    all.threads[all.count++] = thread;
    return thread;
}

static void make_alive_page(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint32_t *alive = ull_sys_map_books(page);
    if (alive == NULL || ull_sys_madvise(alive, page, MADV_WIPEONFORK) != 0)
        alive = &all.alive_otherwise;
    ull_store_relaxed(alive, (uint32_t)ALIVE); /* before anybody sees it: a 0 there means a forked child */
    ull_store_release(&all.alive, alive);
}

/* Under the lock. */
static bool prepare(void)
{
    if (all.threads != NULL)
        return true;
    if (all.alive == NULL)
        make_alive_page();
    if (!all.has_key)
        all.has_key = pthread_key_create(&all.key, at_thread_end) == 0;
    all.threads = ull_sys_map_books(THREADS_MAX * sizeof all.threads[0]);
    return all.threads != NULL;
}

/* Its own, which the fork emptied; or that of a thread that ended, or new. Nobody else takes it then. */
static struct ull_pool_thread *find_memory(void)
{
    struct ull_pool_thread *self = ull_pool_self, *thread = self->kind == ULL_THREAD_NONE ? self : NULL;
    pthread_mutex_lock(&all.lock);
    ull_settings_begin();
    bool first = all.threads == NULL;
    if (prepare() && all.has_key) {
        for (uint32_t i = all.inherited; i < all.count && thread == NULL; i++)
            if (ull_load_relaxed(&all.threads[i]->kind) == ULL_THREAD_NONE)
                thread = all.threads[i];
        if (thread == NULL)
            thread = map_thread();
        if (thread != NULL)
            ull_store_relaxed(&thread->kind, (uint8_t)ULL_THREAD_BEGINNING);
    }
    pthread_mutex_unlock(&all.lock);
    if (first)
        ull_named_leaving(ull_decay_leaving);
    return thread;
}

static struct ull_pool_thread *begin(void)
{
    struct ull_pool_thread *thread = find_memory();
    bool each = ull_pool_settings.leaks == ULLAGE_LEAKS_ALL || ull_pool_settings.leaks == ULLAGE_LEAKS_TOUCH;
    if (thread == NULL)
        return NULL;
    if (pthread_setspecific(all.key, thread) != 0) { /* its end would go unseen: served without magazines */
        ull_store_release(&thread->kind, (uint8_t)ULL_THREAD_NONE);
        return NULL;
    }
    pthread_mutex_lock(&thread->lock);
    memset(thread->fronts, 0, ull_load_acquire(&ull_caches_end) * sizeof thread->fronts[0]);
    pthread_mutex_unlock(&thread->lock);
    thread->last = NULL;
    thread->id = (uint32_t)ull_sys_call(SYS_gettid, 0, 0, 0, 0, 0, 0);
    thread->untracked = ull_pool_settings.untracked;
    thread->until_sample = each ? 1 : ULL_SAMPLE_GETS;
    ull_store_release(&thread->kind, (uint8_t)ULL_THREAD_OWN);
    ull_pool_self = thread;
    return thread;
}

struct ull_pool_thread *ull_thread_get(void)
{
    struct ull_pool_thread *self = ull_pool_self;
    switch ((enum ull_thread_kind)self->kind) {
    case ULL_THREAD_OWN:
        return ull_load_relaxed(&self->busy) ? NULL : self;
    case ULL_THREAD_COLD:
    case ULL_THREAD_NONE: /* a forked child, whose thread was emptied */
        return begin();
    default:
        return NULL;
    }
}

bool ull_slow_enter(void)
{
    const struct ull_pool_thread *self = ull_pool_self;
    if (inside || (self->kind == ULL_THREAD_OWN && ull_load_relaxed(&self->busy)))
        return false;
    inside = true;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    ull_pool_check_fork();
    return true;
}

void ull_slow_leave(void)
{
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    inside = false;
    ull_caches_bury();
}

struct ull_pool_thread *ull_thread_enter(void)
{
    struct ull_pool_thread *self = ull_thread_get();
    if (self != NULL) {
        ull_enter_pool(self);
        pthread_mutex_lock(&self->lock);
    }
    return self;
}

void ull_thread_leave(struct ull_pool_thread *self)
{
    if (self != NULL) {
        pthread_mutex_unlock(&self->lock);
        ull_leave_pool(self);
    }
}

/* ---- fork ---- */

static void rebuild(void)
{
    pthread_mutex_init(&all.lock, NULL);
    all.inherited = all.count;
    for (uint32_t i = 0; i < all.count; i++)
        pthread_mutex_init(&all.threads[i]->lock, NULL);
    ull_caches_rebuild();
    ull_slabs_rebuild();
    ull_caches_settle();
    ull_track_forget();
    ull_leak_forked();
    ull_decay_forked();
    ull_pools_forked();
}

/*
 * By libc's handlers, where the child was made by fork(3). Nearly always it only says so: most children exec, and need none of
 * this. But where another thread was just at the very first call, nothing tells the child later, and a lock may be held.
 */
static void forked(void)
{
    if (all.alive == NULL)
        rebuild();
    if (all.alive == &all.alive_otherwise) {
        all.alive_otherwise = 0;
        for (uint32_t i = 0; i < all.count; i++)
            memset(all.threads[i], 0, sizeof *all.threads[i]);
    }
}

/* Before the first call, which another thread may be in when the process forks. */
__attribute__((constructor)) static void expect_forks(void)
{
    ull_named_forked(ULL_NAMED_POOLS, forked);
}

bool ull_pool_is_untouched(void)
{
    const uint32_t *alive = ull_load_acquire(&all.alive);
    return alive != NULL && ull_load_acquire(alive) == 0;
}

void ull_pool_check_fork(void)
{
    uint32_t *alive = ull_load_acquire(&all.alive), state;
    if (ull_likely(alive == NULL || (state = ull_load_acquire(alive)) == ALIVE))
        return;
    if (state == 0 && ull_cas_acq_rel(alive, &state, (uint32_t)REBUILDING)) {
        ull_named_check_fork();
        rebuild();
        ull_store_release(alive, (uint32_t)ALIVE);
        return;
    }
    while (ull_load_acquire(alive) != ALIVE)
        sched_yield();
}

/* ---- recounting ---- */

static uint64_t check_entries(const struct ull_entry *entries, uint64_t count)
{
    ull_invariant(count <= ULL_MAGAZINE_ROOM);
    for (uint64_t i = 0; i < count; i++)
        ull_invariant((entries[i].block->state & ULL_BLOCK_STATE_MASK) == ULL_BLOCK_FREE && entries[i].data == entries[i].block->data);
    return count;
}

static uint64_t check_front(const struct ull_front *front)
{
    if (front->loaded == NULL) {
        ull_invariant(front->previous == NULL && front->rounds == 0);
        return 0;
    }
    uint64_t here = check_entries(front->loaded->entries, (uint64_t)(front->sp - front->loaded->entries));
    return here + (front->previous != NULL ? check_entries(front->previous->entries, front->previous->count) : 0);
}

static uint64_t check_stack(const struct ull_stack *stack)
{
    uint64_t blocks = 0;
    for (uint32_t at = (uint32_t)stack->head; at != 0; at = ull_magazine_at(at)->next)
        blocks += check_entries(ull_magazine_at(at)->entries, ull_magazine_at(at)->count);
    return blocks;
}

static void check_cache(struct ull_cache *cache)
{
    uint64_t reserved = 0, depot = check_stack(&cache->full) + check_stack(&cache->victims), idle = depot;
    for (uint32_t at = 0; at < all.count; at++) {
        const struct ull_front *front = &all.threads[at]->fronts[cache->index];
        idle += check_front(front);
        reserved += ull_cache_magazines(cache) * front->rounds * cache->stride;
    }
    ull_invariant(depot == cache->depot_blocks && reserved == cache->front_bytes);
    ull_invariant(ull_slab_check(cache) == idle); /* no buffer is lost, none is there twice */
}

void ull_pool_check_all(void)
{
    ull_decay_hold();
    pthread_mutex_lock(&all.lock);
    for (uint32_t i = 0; i < ull_load_acquire(&ull_caches_end); i++)
        if (ull_caches[i].used)
            check_cache(&ull_caches[i]);
    pthread_mutex_unlock(&all.lock);
    ull_decay_release();
}
