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
#include "ledger/budget.h"
#include "measure/named.h"
#include "pool/clear.h"
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

static void do_deferred(void);

/* ---- magazines ---- */

enum { FIRST_ROUNDS = 2 }; /* our choice: many threads keep a buffer or two, and what they may keep is reserved */

static bool load_magazines(struct ull_cache *cache, struct ull_front *front)
{
    unsigned rounds = ull_cache_reserve_rounds(cache, FIRST_ROUNDS);
    struct ull_magazine *loaded = rounds > 0 ? ull_magazine_get() : NULL;
    bool two = ull_cache_magazines(cache) == 2;
    struct ull_magazine *previous = two && loaded != NULL ? ull_magazine_get() : NULL;
    if (loaded == NULL || (two && previous == NULL)) {
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

/* A thread that comes here often keeps more, as far as the bounds let it; if many press for more than that, all may. */
static void grow_rounds(struct ull_cache *cache, struct ull_front *front)
{
    unsigned most = ull_load_relaxed(&cache->rounds);
    if (front->rounds < most)
        front->rounds += ull_cache_reserve_rounds(cache, ull_min_u64(front->rounds, most - front->rounds));
    else
        ull_cache_pressed(cache);
}

/* What a magazine from elsewhere has over what was reserved goes back. */
static void cut(struct ull_cache *cache, struct ull_magazine *magazine, struct ull_magazine *empty, unsigned rounds)
{
    if (magazine->count <= rounds) {
        ull_magazine_put(empty);
        return;
    }
    empty->count = magazine->count - rounds;
    memcpy(empty->entries, magazine->entries + rounds, empty->count * sizeof empty->entries[0]);
    magazine->count = rounds;
    ull_depot_give(cache, empty, false);
}

/* The loaded magazine is empty: the previous one, or one of the depot's, or new ones into it. */
static int refill(struct ull_cache *cache, struct ull_front *front)
{
    struct ull_magazine *empty = front->loaded, *other = front->previous;
    int error = 0;
    empty->count = 0;
    if (other == NULL || other->count == 0) {
        grow_rounds(cache, front);
        struct ull_magazine *full = ull_depot_take(cache);
        if (full == NULL) {
            unsigned taken = ull_cache_take(cache, empty->entries, (front->rounds + 1) / 2, &error);
            load(front, empty, taken);
            return taken > 0 ? 0 : error;
        }
        cut(cache, full, other != NULL ? other : empty, front->rounds);
        front->previous = other != NULL ? empty : NULL;
        load(front, full, full->count);
        /* Another thread may have put them: their lines are on the way while the first is handed out. */
        for (uint32_t i = full->count; i-- > 0;)
            __builtin_prefetch(full->entries[i].block, 1);
        return 0;
    }
    front->previous = empty;
    load(front, other, other->count);
    return 0;
}

/* The loaded magazine is full: the previous one if that is empty; else that one goes to the depot. */
static bool make_room(struct ull_cache *cache, struct ull_front *front)
{
    struct ull_magazine *full = front->loaded, *other = front->previous;
    full->count = filled(front);
    if (other == NULL || other->count != 0) {
        struct ull_magazine *empty = ull_magazine_get();
        if (empty == NULL)
            return false;
        ull_depot_give(cache, other != NULL ? other : full, false);
        grow_rounds(cache, front);
        front->previous = other != NULL ? full : NULL;
        load(front, empty, 0);
        return true;
    }
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

#define ENORMOUS_BYTES (UINT64_C(1) << 40)

/* Memory may lie idle where it is of no use just now: in the same cache if a budget is short, else in any. */
static struct ull_block *take_after_trim(
    struct ull_pool_thread *self, struct ull_cache *cache, struct ull_front *front, uint64_t bytes, int *error)
{
    struct ull_block *block = take(cache, front, bytes, error);
    if (block != NULL || (*error != -ENOMEM && *error != -ENOBUFS))
        return block;
    if (*error == -ENOMEM && bytes > ENORMOUS_BYTES)
        return NULL; /* no idle memory makes room for that */
    if (*error == -ENOMEM ? ull_decay_squeeze(self, 0, ULL_CACHES_MAX) : ull_decay_squeeze_budget(self, cache->budget))
        block = take(cache, front, bytes, error);
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
    if (self == NULL)
        return NULL;
    if (self->lines[place].shard == NULL && !self->untracked)
        self->lines[place] = (struct ull_line) { .shard = ull_track_shard(place, self->id), .bytes = UINT64_MAX,
            .front = &ull_no_front }; /* also for who asks for so much */
    return self->lines[place].shard;
}

static void count_get_common(struct ull_shard_entry *shard, uint64_t bytes)
{
    if (shard == NULL)
        return;
    ull_add_relaxed(&shard->requested[ull_bucket_of(bytes)], UINT64_C(1));
    ull_add_relaxed(&shard->requested_bytes, bytes);
    ull_track_widen(shard, bytes);
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

static struct ull_cache *cache_of(const struct ull_want *want)
{
    if (want->align != 0)
        return ull_cache_of_class(ull_class_aligned(want->align, want->bytes));
    return want->cache < ULL_CACHE_FIRST_POOL ? ull_cache_of_class(want->cache) : &ull_caches[want->cache];
}

static struct ull_block *get(struct ull_pool_thread *self, const struct ull_want *want, uint32_t place, int *error)
{
    struct ull_cache *cache = cache_of(want);
    struct ull_front *front = self != NULL ? &self->fronts[cache->index] : NULL;
    struct ull_block *block = take_after_trim(self, cache, front, want->bytes, error);
    if (block == NULL) {
        ull_add_relaxed(&cache->refused, UINT64_C(1));
        return NULL;
    }
    if ((block->state & ULL_BLOCK_POISONED) != 0) {
        if (ull_pool_settings.debug)
            ull_debug_check_poison(block, cache->object_bytes);
        else
            ull_edge_check(block);
    }
    block->site = place;
    block->requested = want->bytes;
    block->leak = 0;
    block->flights = 0;
    block->used = 0;
    block->pad = cache->init != NULL && (block->state & ULL_BLOCK_BUILT) == 0;
    ull_store_relaxed(&block->state, (uint32_t)(ULL_BLOCK_LIVE | (cache->index >= ULL_CACHE_FIRST_POOL ? ULL_BLOCK_OBJECT : 0)));
    count_get(self, place, want->bytes);
    return block;
}

/* Follows a sampled buffer, and judges its place. True: *oversize is to be told. */
static bool look_around(uint32_t place, struct ull_block *block, bool sampled, struct ullage_oversize *oversize)
{
    if (!sampled && ull_load_relaxed(&ull_place_at(place)->learned_bytes) != 0)
        return false;
    if (sampled && ull_pool_settings.leaks != ULLAGE_LEAKS_OFF && block != NULL)
        ull_leak_follow(block);
    return ull_track_review(place, oversize);
}

struct ull_block *ull_get_slow(const struct ull_want *want)
{
    int kept = errno, error = -ENOMEM;
    struct ullage_oversize oversize;
    if (!ull_slow_enter()) {
        ull_named_count(ULL_COUNTER_pool_refused_total, 1);
        errno = EDEADLK;
        return NULL;
    }
    do_deferred();
    struct ull_pool_thread *self = ull_thread_enter();
    uint32_t place = ull_pool_settings.untracked || want->uncounted ? ULL_PLACE_UNCOUNTED : place_of(want);
    bool sampled = is_sampled(self);
    struct ull_block *block = get(self, want, place, &error);
    ull_decay_look(self);
    ull_thread_leave(self);
    bool tell = place > ULL_PLACE_OTHER && look_around(place, block, sampled, &oversize);
    ull_slow_leave();
    if (tell)
        ull_tell_oversize(&oversize);
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
        ull_store_relaxed(&shard->put_bytes, UINT64_MAX); /* several threads: counted always */
    } else {
        ull_add_relaxed(&shard->unknown_count, UINT64_C(1));
        ull_add_relaxed(&shard->unknown_bytes, requested);
    }
    ull_add_relaxed(&shard->freed_bytes, requested);
}

/* ---- put ---- */

static void count_put(struct ull_pool_thread *self, const struct ull_block *block, uint64_t used, bool declared)
{
    struct ull_shard_entry *shard = shard_of(self, block->site);
    uint64_t within = ull_min_u64(used, block->requested);
    if (shard == NULL) {
        if (!ull_pool_settings.untracked && block->site != 0)
            count_put_common(ull_track_common(block->site), block->requested, within, declared);
    } else if (declared) {
        ull_shard_count_put(shard, ull_bucket_of(within), block->requested, within);
        if (ull_shard_is_varied(shard, block->requested))
            ull_shard_put_varied(shard, block->requested, within);
    } else {
        ull_count_unknown(shard, block->requested);
    }
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

bool ull_may_put(struct ull_block *block, const void *by)
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

/* A live block of nobody any more: counted, marked, filled where it is to be watched. */
static void set_free(struct ull_pool_thread *self, struct ull_cache *cache, struct ull_block *block, uint64_t used, bool declared)
{
    bool followed = (block->state & ULL_BLOCK_FOLLOWED) != 0, built = ull_cache_builds(cache) && block->pad == 0;
    if ((block->state & ULL_BLOCK_NOTED) != 0) {
        used = declared ? ull_max_u64(used, block->used) : block->used;
        declared = true;
    }
    if ((block->state & ULL_BLOCK_INHERITED) == 0)
        count_put(self, block, used, declared);
    block->dirty = ull_dirty_after(block, used, declared);
    ull_store_release(&block->state, (uint32_t)(ULL_BLOCK_FREE | (built ? ULL_BLOCK_BUILT : 0)));
    if (ull_pool_settings.debug && !ull_cache_builds(cache))
        ull_debug_put(block, ull_block_room(block), used, declared);
    else if (followed && !ull_cache_builds(cache))
        ull_edge_put(block, declared ? used : ULL_EDGES_BYTES);
}

/* Between ull_slow_enter() and leave. */
static void put(struct ull_block *block, uint64_t used, bool declared)
{
    struct ull_cache *cache = &ull_caches[block->cache];
    if ((block->state & ULL_BLOCK_FOLLOWED) != 0)
        ull_leak_forget(block);
    uint32_t charged = (block->state & ULL_BLOCK_CHARGED) != 0 ? block->pad : 0;
    uint64_t room = charged != 0 ? ull_block_room(block) : 0;
    struct ull_pool_thread *self = ull_thread_enter();
    set_free(self, cache, block, used, declared);
    if (ull_unlikely(cache->init != NULL && block->pad != 0))
        ull_cache_give_one(cache, block); /* init failed: magazines hold objects alone, because the hot path does not look */
    else
        keep(self, cache, block);
    ull_decay_look(self);
    ull_thread_leave(self);
    if (charged != 0)
        ull_budget_give(ull_budget_at(charged - 1), room);
}

static void do_deferred(void)
{
    if (ull_likely(ull_load_relaxed(&deferred) == NULL))
        return;
    struct ull_block *next, *block = ull_exchange_acq_rel(&deferred, NULL);
    for (; block != NULL; block = next) {
        next = (struct ull_block *)(uintptr_t)block->put_by;
        block->put_by = NULL;
        put(block, 0, false);
    }
}

void ull_deferred_do(void)
{
    if (!ull_slow_enter())
        return;
    do_deferred();
    ull_slow_leave();
}

void ull_put_slow(struct ull_block *block, uint64_t used, bool declared, const void *by)
{
    int kept = errno;
    if (!ull_may_put(block, by)) {
        errno = kept;
        return;
    }
    if (!ull_slow_enter()) {
        ull_named_count(ULL_COUNTER_pool_refused_total, 1);
        defer(block, used, declared);
        errno = kept;
        return;
    }
    do_deferred();
    block->put_by = by;
    put(block, used, declared);
    ull_slow_leave();
    errno = kept;
}

void ull_recount(const struct ull_want *want, struct ull_block *block)
{
    bool noted = (block->state & ULL_BLOCK_NOTED) != 0;
    if (!ull_slow_enter())
        return; /* a signal handler: it stays counted as it was */
    struct ull_pool_thread *self = ull_thread_enter();
    uint64_t used = noted ? block->used : 0;
    if ((block->state & ULL_BLOCK_INHERITED) == 0)
        count_put(self, block, used, noted);
    ull_store_relaxed(&block->state, block->state & ~(uint32_t)ULL_BLOCK_INHERITED);
    block->site = ull_pool_settings.untracked ? ULL_PLACE_UNCOUNTED : place_of(want);
    block->dirty = ULL_DIRTY_UNKNOWN; /* a note is what was noted so far; its owner goes on */
    block->used = ull_min_u64(used, want->bytes);
    if (ull_pool_settings.debug)
        ull_debug_cut(block, want->bytes, ull_block_room(block));
    block->requested = want->bytes;
    count_get(self, block->site, want->bytes);
    ull_thread_leave(self);
    ull_slow_leave();
}
