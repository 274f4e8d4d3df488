/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * slow.c - get and put where the hot path does not do: no thread of its own yet, an empty or full magazine, a buffer that is
 * followed or in flight, a first visit to a place, misuse.
 *
 * Order of a put: judge the block (nobody else may own it), count, mark it free, keep it or give it away. Of a get: a block,
 * then mark, then count. Between the two the calling thread is `busy`, so that its signal handlers are refused.
 */
#include "config.h"

#include "base/arith.h"
#include "base/misuse.h"
#include "base/sys.h"
#include "measure/named.h"
#include "pool/debug.h"
#include "pool/decay.h"
#include "pool/leak.h"
#include "pool/thread.h"

#include <errno.h>
#include <string.h>

/* ---- what signal handlers left behind ---- */

static struct ull_block *deferred; /* linked by put_by; atomic */

static void defer(struct ull_block *block, uint64_t used, bool declared)
{
    struct ull_block *first = ull_load_relaxed(&deferred);
    uint32_t flags = ULL_BLOCK_DEFERRED;
    if (declared && ((block->state & ULL_BLOCK_NOTED) == 0 || used > block->used)) {
        block->used = used;
        flags |= ULL_BLOCK_NOTED;
    }
    ull_store_relaxed(&block->state, block->state | flags);
    do
        block->put_by = first;
    while (!ull_cas_acq_rel(&deferred, &first, block));
}

void ull_deferred_do(void)
{
    if (ull_likely(ull_load_relaxed(&deferred) == NULL))
        return;
    struct ull_block *next, *block = ull_exchange_acq_rel(&deferred, NULL);
    for (; block != NULL; block = next) {
        next = (struct ull_block *)(uintptr_t)block->put_by;
        ull_store_relaxed(&block->state, block->state & ~(uint32_t)ULL_BLOCK_DEFERRED);
        ull_put_slow(block, 0, false, NULL);
    }
}

/* ---- magazines ---- */

static bool load_magazines(struct ull_cache *cache, struct ull_front *front)
{
    unsigned rounds = ull_cache_reserve_rounds(cache);
    struct ull_magazine *loaded = rounds > 0 ? ull_magazine_get() : NULL;
    struct ull_magazine *previous = loaded != NULL ? ull_magazine_get() : NULL;
    if (previous == NULL) {
        if (loaded != NULL)
            ull_magazine_put(loaded);
        ull_cache_release_rounds(cache, rounds);
        return false;
    }
    front->loaded = loaded;
    front->previous = previous;
    front->rounds = rounds;
    ull_store_relaxed(&front->sp, loaded->entries);
    return true;
}

/* Loads @magazine, filled up to @count. */
static void load(struct ull_front *front, struct ull_magazine *magazine, unsigned count)
{
    front->loaded = magazine;
    ull_store_relaxed(&front->sp, magazine->entries + count);
    ull_front_mend(front);
}

static unsigned filled(const struct ull_front *front)
{
    return (unsigned)(ull_load_relaxed(&front->sp) - front->loaded->entries);
}

/* The loaded magazine is empty: the previous one, or one of the depot's, or new ones into it. */
static int refill(struct ull_cache *cache, struct ull_front *front)
{
    struct ull_magazine *empty = front->loaded, *other = front->previous;
    int error = 0;
    if (other->count == 0) {
        struct ull_magazine *full = ull_depot_take(cache);
        if (full == NULL) {
            unsigned taken = ull_cache_take(cache, empty->entries, (front->rounds + 1) / 2, &error);
            load(front, empty, taken);
            return taken > 0 ? 0 : error;
        }
        ull_magazine_put(other);
        other = full;
    }
    empty->count = 0;
    front->previous = empty;
    load(front, other, other->count);
    return 0;
}

/* The loaded magazine is full: the previous one if that is empty; else that one goes to the depot. */
static bool make_room(struct ull_cache *cache, struct ull_front *front)
{
    struct ull_magazine *full = front->loaded, *other = front->previous;
    if (other->count != 0) {
        struct ull_magazine *empty = ull_magazine_get();
        if (empty == NULL)
            return false;
        ull_depot_give(cache, other, false);
        other = empty;
    }
    full->count = filled(front);
    front->previous = full;
    load(front, other, 0);
    return true;
}

/* ---- get ---- */

/* A free block, out of every list. @front NULL: the thread has none. */
static struct ull_block *take(struct ull_cache *cache, struct ull_front *front, uint64_t bytes, int *error)
{
    struct ull_entry entry;
    if (cache->index == ULL_CLASS_LARGE) {
        *error = -ENOMEM;
        return ull_slab_take_large(cache, bytes);
    }
    if (front == NULL || (front->loaded == NULL && !load_magazines(cache, front)))
        return ull_cache_take(cache, &entry, 1, error) == 1 ? entry.block : NULL;
    ull_front_mend(front);
    if (filled(front) == 0) {
        *error = refill(cache, front);
        if (*error != 0)
            return NULL;
    }
    struct ull_entry *sp = ull_load_relaxed(&front->sp) - 1;
    ull_store_relaxed(&front->sp, sp);
    return sp->block;
}

/* Memory may lie idle where it is of no use just now. */
static struct ull_block *take_after_trim(struct ull_cache *cache, struct ull_front *front, uint64_t bytes, int *error)
{
    struct ull_block *block = take(cache, front, bytes, error);
    if (block != NULL || (*error != -ENOMEM && *error != -ENOBUFS))
        return block;
    uint64_t idle = ull_cache_retained(cache);
    if (*error == -ENOBUFS ? idle > 0 : ull_load_relaxed(&ull_pool_settings.held_bytes) > 0) {
        for (uint32_t i = *error == -ENOBUFS ? cache->index : 0; i < (*error == -ENOBUFS ? cache->index + 1 : ull_caches_end); i++)
            ull_depot_trim(&ull_caches[i], 0);
        block = take(cache, front, bytes, error);
    }
    return block;
}

static uint32_t place_of(const struct ull_want *want)
{
    if (want->place != 0)
        return want->place;
    return want->site != NULL ? ull_place_of_site(want->site, want->kind, want->address)
                              : ull_place_of_address(want->address, want->kind);
}

/* The shard of a thread, made if need be. */
static struct ull_shard_entry *shard_of(struct ull_pool_thread *self, uint32_t place)
{
    if (self == NULL || place == 0)
        return NULL;
    if (self->lines[place].shard == NULL && !self->untracked)
        self->lines[place] = (struct ull_line) { .shard = ull_track_shard(place, self->id), .bytes = UINT64_MAX };
    return self->lines[place].shard;
}

static void count_get_common(struct ull_shard_entry *shard, uint64_t bytes)
{
    if (shard == NULL)
        return;
    ull_add_relaxed(&shard->requested[ull_bucket_of(bytes)], UINT64_C(1));
    ull_add_relaxed(&shard->requested_bytes, bytes);
    ull_shard_widen(shard, bytes);
}

static void count_get(struct ull_pool_thread *self, uint32_t place, uint64_t bytes)
{
    struct ull_shard_entry *shard = shard_of(self, place);
    if (shard != NULL) {
        ull_shard_widen(shard, bytes);
        ull_shard_count_get(shard, &shard->requested[ull_bucket_of(bytes)], bytes);
        ull_track_fold(place, shard);
    } else if (!ull_pool_settings.untracked && place != 0) {
        count_get_common(ull_track_common(place), bytes);
    }
}

/* Once in so many gets: its stack, and a look at all counts of its place. */
static bool is_sampled(struct ull_pool_thread *self)
{
    bool each = ull_pool_settings.leaks == ULLAGE_LEAKS_ALL || ull_pool_settings.leaks == ULLAGE_LEAKS_TOUCH;
    if (self == NULL || self->until_sample > 1) {
        if (self != NULL)
            self->until_sample--;
        return each;
    }
    self->until_sample = each ? 1 : ULL_SAMPLE_GETS;
    return true;
}

static struct ull_block *get(struct ull_pool_thread *self, const struct ull_want *want, uint32_t place, int *error)
{
    struct ull_cache *cache = want->cache < ULL_CACHE_FIRST_POOL ? ull_cache_of_class(want->cache) : &ull_caches[want->cache];
    struct ull_front *front = self != NULL ? &self->fronts[want->cache] : NULL;
    struct ull_block *block = take_after_trim(cache, front, want->bytes, error);
    if (block == NULL) {
        ull_add_relaxed(&cache->refused, UINT64_C(1));
        return NULL;
    }
    if ((block->state & ULL_BLOCK_POISONED) != 0)
        ull_debug_check_poison(block, cache->object_bytes);
    block->site = place;
    block->requested = want->bytes;
    block->leak = 0;
    block->flights = 0;
    block->used = 0;
    block->pad = cache->init != NULL && (block->state & ULL_BLOCK_BUILT) == 0;
    ull_store_relaxed(&block->state, (uint32_t)(ULL_BLOCK_LIVE | (want->cache >= ULL_CACHE_FIRST_POOL ? ULL_BLOCK_OBJECT : 0)));
    count_get(self, place, want->bytes);
    return block;
}

/* After the call has left the pool: the program is told, and may call us. */
static void look_around(uint32_t place, struct ull_block *block, bool sampled)
{
    struct ullage_oversize oversize;
    if (!sampled && ull_place_at(place)->learned_bytes != 0)
        return;
    if (sampled && ull_pool_settings.leaks != ULLAGE_LEAKS_OFF && block != NULL)
        ull_leak_follow(block);
    if (ull_track_review(place, &oversize))
        ull_tell_oversize(&oversize);
}

struct ull_block *ull_get_slow(const struct ull_want *want)
{
    int kept = errno, error = -ENOMEM;
    struct ull_block *block = NULL;
    ull_pool_check_fork();
    struct ull_pool_thread *self = ull_thread_get();
    if (self == NULL && ull_pool_self->kind == ULL_THREAD_OWN) {
        ull_named_count(ULL_COUNTER_pool_refused_total, 1);
        errno = EDEADLK;
        return NULL;
    }
    ull_deferred_do();
    if (self != NULL) {
        ull_enter_pool(self);
        pthread_mutex_lock(&self->lock);
    }
    uint32_t place = ull_pool_settings.untracked ? 0 : place_of(want);
    bool sampled = is_sampled(self);
    block = get(self, want, place, &error);
    ull_decay_look(self);
    if (self != NULL) {
        pthread_mutex_unlock(&self->lock);
        ull_leave_pool(self);
    }
    if (place > ULL_PLACE_OTHER)
        look_around(place, block, sampled);
    errno = block != NULL ? kept : -error;
    return block;
}

static void count_put_common(struct ull_shard_entry *shard, uint64_t requested, uint64_t used, bool declared)
{
    if (shard == NULL)
        return;
    if (declared) {
        ull_add_relaxed(&shard->used[ull_bucket_of(used)], UINT64_C(1));
        ull_add_relaxed(&shard->used_bytes, used);
        ull_max_relaxed(&shard->used_max_bytes, used);
        ull_add_relaxed(&shard->shares[ull_share_of(used, requested)], UINT64_C(1));
    } else {
        ull_add_relaxed(&shard->unknown_count, UINT64_C(1));
        ull_add_relaxed(&shard->unknown_bytes, requested);
    }
    ull_add_relaxed(&shard->freed_bytes, requested);
}

void ull_unget(struct ull_block *block)
{
    struct ull_cache *cache = &ull_caches[block->cache];
    if ((block->state & ULL_BLOCK_FOLLOWED) != 0)
        ull_leak_forget(block);
    if (!ull_pool_settings.untracked && block->site != 0)
        count_put_common(ull_track_common(block->site), block->requested, 0, false);
    block->dirty = ULL_DIRTY_UNKNOWN;
    ull_store_relaxed(&block->state, (uint32_t)ULL_BLOCK_FREE);
    ull_cache_give_one(cache, block);
}

/* ---- put ---- */

static void count_put(struct ull_pool_thread *self, const struct ull_block *block, uint64_t used, bool declared)
{
    struct ull_shard_entry *shard = shard_of(self, block->site);
    uint64_t within = ull_min_u64(used, block->requested);
    if (shard == NULL) {
        if (!ull_pool_settings.untracked && block->site != 0)
            count_put_common(ull_track_common(block->site), block->requested, within, declared);
    } else if (declared && block->cache == ULL_CLASS_LARGE) {
        count_put_common(shard, block->requested, within, true); /* past what the hot path's arithmetic is for */
    } else if (declared) {
        ull_shard_count_put(shard, block->requested, within);
    } else {
        ull_count_unknown(shard, block->requested);
    }
    if (shard != NULL)
        ull_track_fold(block->site, shard);
}

static void keep(struct ull_pool_thread *self, struct ull_cache *cache, struct ull_block *block)
{
    struct ull_front *front = self != NULL ? &self->fronts[cache->index] : NULL;
    if (cache->index == ULL_CLASS_LARGE || front == NULL || (front->loaded == NULL && !load_magazines(cache, front))) {
        ull_cache_give_one(cache, block);
        return;
    }
    ull_front_mend(front);
    if (ull_load_relaxed(&front->sp) >= ull_load_relaxed(&front->limit) && !make_room(cache, front)) {
        ull_cache_give_one(cache, block);
        return;
    }
    struct ull_entry *sp = ull_load_relaxed(&front->sp);
    *sp = (struct ull_entry) { block->data, block };
    ull_store_relaxed(&front->sp, sp + 1);
}

/* Whether the block may be put at all; tells of misuse if not. */
static bool may_put(struct ull_block *block, const void *by)
{
    uint32_t state = ull_load_relaxed(&block->state);
    if ((state & ULL_BLOCK_STATE_MASK) != ULL_BLOCK_LIVE || (state & (ULL_BLOCK_DEFERRED | ULL_BLOCK_ORPHANED)) != 0) {
        ull_misuse_twice(block, by);
        return false;
    }
    if ((state & ULL_BLOCK_IN_FLIGHT) != 0) {
        /* Kept until it comes back: the kernel may still write to it. */
        ull_store_relaxed(&block->state, state | ULL_BLOCK_ORPHANED);
        ull_misuse_in_flight(block, by);
        return false;
    }
    return true;
}

void ull_recount(const struct ull_want *want, struct ull_block *block)
{
    struct ull_pool_thread *self = ull_thread_enter();
    bool noted = (block->state & ULL_BLOCK_NOTED) != 0;
    uint64_t used = noted ? block->used : 0;
    if ((block->state & ULL_BLOCK_INHERITED) == 0)
        count_put(self, block, used, noted);
    ull_store_relaxed(&block->state, block->state & ~(uint32_t)ULL_BLOCK_INHERITED);
    block->site = ull_pool_settings.untracked ? 0 : place_of(want);
    block->requested = want->bytes;
    block->used = ull_min_u64(used, want->bytes);
    count_get(self, block->site, want->bytes);
    ull_thread_leave(self);
}

void ull_put_slow(struct ull_block *block, uint64_t used, bool declared, const void *by)
{
    int kept = errno;
    ull_pool_check_fork();
    struct ull_pool_thread *self = ull_thread_get();
    if (!may_put(block, by)) {
        errno = kept;
        return;
    }
    if (self == NULL && ull_pool_self->kind == ULL_THREAD_OWN) {
        ull_named_count(ULL_COUNTER_pool_refused_total, 1);
        defer(block, used, declared);
        errno = kept;
        return;
    }
    ull_deferred_do();
    struct ull_cache *cache = &ull_caches[block->cache];
    if ((block->state & ULL_BLOCK_FOLLOWED) != 0)
        ull_leak_forget(block);
    if ((block->state & ULL_BLOCK_NOTED) != 0) {
        used = declared ? ull_max_u64(used, block->used) : block->used;
        declared = true;
    }
    if (self != NULL) {
        ull_enter_pool(self);
        pthread_mutex_lock(&self->lock);
    }
    if ((block->state & ULL_BLOCK_INHERITED) == 0)
        count_put(self, block, used, declared);
    block->dirty = declared ? ull_max_u64(block->dirty, used == ULL_DIRTY_UNKNOWN ? used : used + 1) : ULL_DIRTY_UNKNOWN;
    block->put_by = by;
    uint32_t state = ULL_BLOCK_FREE | (cache->init != NULL ? ULL_BLOCK_BUILT : 0);
    ull_store_release(&block->state, state);
    if (ull_pool_settings.debug && cache->init == NULL)
        ull_debug_put(block, cache->object_bytes, used, declared);
    keep(self, cache, block);
    ull_decay_look(self);
    if (self != NULL) {
        pthread_mutex_unlock(&self->lock);
        ull_leave_pool(self);
    }
    errno = kept;
}
