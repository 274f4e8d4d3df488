/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cache.c - see cache.h.
 *
 * Bounds: what may lie idle is counted before it can: the room of each magazine that a thread loads, and each buffer in the
 * depot. Where the process's or the cache's bound leaves no room for a magazine, threads get none, and buffers go one by
 * one between their owners and the slabs. So the bound holds at every instant, at the price of speed.
 */
#include "config.h"

#include "pool/cache.h"

#include "base/arith.h"
#include "base/check.h"
#include "ledger/budget.h"
#include "measure/named.h"
#include "pool/settings.h"
#include "pool/source.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

struct ull_cache ull_caches[ULL_CACHES_MAX];
uint32_t ull_caches_end;
static uint32_t doomed; /* magazines, of all caches; atomic */
struct ull_pool_settings ull_pool_settings = { .max_retained_bytes = UINT64_C(256) << 20,
    .decay_ns = UINT64_C(1000000000) };

#define settings ull_pool_settings

/* 5, 6, 7 KiB -> 8; 10 -> 12; 14 -> 16: whole pages. */
const uint8_t ull_class_of_bucket[ULL_BUCKET_COUNT] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 16, 16, 16, 16, 18, 18, 20,
    20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50,
    51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63, 64, 65, 66, 67, 68, 69 };

enum {
    ROUNDS_FIRST = 32,
    CONTENTION_LIMIT = 32, /* retries before magazines grow: our choice */
};
/* Our choices: what a magazine holds at most, and a slab at least; one slab is a few mappings, not a thousand. */
#define MAGAZINE_BYTES_MAX ULL_MAGAZINE_BYTES
#define SLAB_BYTES (UINT64_C(4) << 20)
#define SMALL_SLAB_BYTES (UINT64_C(1) << 20)
#define SMALL_STRIDE UINT64_C(16384)

static unsigned first_rounds(uint64_t stride)
{
    uint64_t fit = MAGAZINE_BYTES_MAX / stride;
    return fit >= ROUNDS_FIRST ? ROUNDS_FIRST : fit >= 1 ? (unsigned)fit : 1;
}

void ull_cache_prepare(struct ull_cache *cache)
{
    uint64_t slab = cache->stride < SMALL_STRIDE ? SMALL_SLAB_BYTES : SLAB_BYTES;
    cache->slab_bytes = ull_round_up(ull_max_u64(slab, cache->stride), ULL_CHUNK_BYTES);
    cache->rounds = first_rounds(cache->stride);
    cache->purges = cache->stride % 4096 == 0 && cache->source.purge != NULL;
    pthread_mutex_init(&cache->giving, NULL);
    pthread_mutex_init(&cache->lock, NULL);
    ull_store_release(&cache->used, 1U);
    uint32_t end = ull_load_relaxed(&ull_caches_end);
    while (end <= cache->index && !ull_cas_acq_rel(&ull_caches_end, &end, cache->index + 1)) {
    }
}

static pthread_mutex_t making = PTHREAD_MUTEX_INITIALIZER;

struct ull_cache *ull_cache_of_class(unsigned class)
{
    struct ull_cache *cache = &ull_caches[class];
    if (ull_likely(ull_load_acquire(&cache->used)))
        return cache;
    ull_settings_begin();
    pthread_mutex_lock(&making);
    if (!cache->used) {
        cache->index = class;
        cache->stride = class == ULL_CLASS_LARGE ? ULL_CHUNK_BYTES : ull_bucket_limit(class);
        cache->object_bytes = cache->stride;
        if (settings.debug && class != ULL_CLASS_LARGE && cache->stride % 4096 == 0)
            cache->stride += cache->gap = 4096;
        cache->source = settings.source.map != NULL ? settings.source : ull_source_mmap;
        ull_cache_prepare(cache);
        ull_store_relaxed(&settings.started, 1U);
    }
    pthread_mutex_unlock(&making);
    return cache;
}

unsigned ull_class_aligned(size_t align, size_t bytes)
{
    unsigned class = ull_class_for(ull_max_u64(align, bytes));
    while (class < ULL_CLASS_LARGE && ull_cache_of_class(class)->stride % align != 0)
        class = ull_class_of_bucket[class + 1];
    return class;
}

/* ---- bounds ---- */

/* Never over the limit, not for an instant: others would be refused for nothing. */
static bool try_add(uint64_t *sum, uint64_t bytes, uint64_t limit)
{
    uint64_t now = ull_load_relaxed(sum);
    do
        if (ull_unlikely(now + bytes > limit))
            return false;
    while (!ull_cas_acq_rel(sum, &now, now + bytes));
    return true;
}

/* Whether so much more may lie idle; it is counted if so. */
static bool hold(struct ull_cache *cache, uint64_t *sum, uint64_t bytes)
{
    uint64_t limit = cache->max_retained_bytes != 0 ? cache->max_retained_bytes : settings.max_retained_bytes;
    uint64_t other = sum == &cache->front_bytes ? ull_load_relaxed(&cache->depot_blocks) * cache->stride
                                                : ull_load_relaxed(&cache->front_bytes);
    uint64_t unit = sum == &cache->front_bytes ? bytes : bytes / cache->stride;
    uint64_t room = ull_minus_clamped(limit, other) / (sum == &cache->front_bytes ? 1 : cache->stride);
    if (!try_add(&settings.held_bytes, bytes, settings.max_retained_bytes))
        return false;
    if (try_add(sum, unit, room))
        return true;
    ull_sub_relaxed(&settings.held_bytes, bytes);
    return false;
}

static void let_go(struct ull_cache *cache, uint64_t *sum, uint64_t bytes)
{
    ull_sub_relaxed(sum, sum == &cache->front_bytes ? bytes : bytes / cache->stride);
    ull_sub_relaxed(&settings.held_bytes, bytes);
}

unsigned ull_cache_reserve_rounds(struct ull_cache *cache, uint64_t most)
{
    if (settings.debug || cache->index == ULL_CLASS_LARGE)
        return 0;
    for (unsigned rounds = (unsigned)ull_min_u64(most, ull_load_relaxed(&cache->rounds)); rounds > 0; rounds /= 2)
        if (hold(cache, &cache->front_bytes, ull_cache_magazines(cache) * rounds * cache->stride))
            return rounds;
    return 0;
}

void ull_cache_release_rounds(struct ull_cache *cache, unsigned rounds)
{
    if (rounds > 0)
        let_go(cache, &cache->front_bytes, ull_cache_magazines(cache) * rounds * cache->stride);
}

uint64_t ull_cache_retained(const struct ull_cache *cache)
{
    return ull_load_relaxed(&cache->depot_blocks) * cache->stride + ull_load_relaxed(&cache->front_bytes);
}

/* ---- depot ---- */

static void note_contention(struct ull_cache *cache, unsigned retries)
{
    unsigned rounds = ull_load_relaxed(&cache->rounds);
    if (ull_likely(retries == 0) || ull_add_relaxed(&cache->contention, retries) + retries < CONTENTION_LIMIT)
        return;
    ull_store_relaxed(&cache->contention, 0U);
    if (rounds < ULL_MAGAZINE_ROOM && rounds * 2 * cache->stride <= MAGAZINE_BYTES_MAX * 2)
        ull_store_relaxed(&cache->rounds, rounds * 2);
}

void ull_cache_pressed(struct ull_cache *cache)
{
    note_contention(cache, 1);
}

struct ull_magazine *ull_depot_take(struct ull_cache *cache)
{
    unsigned retries, more;
    struct ull_magazine *magazine = ull_stack_pop(&cache->full, &retries);
    if (magazine == NULL) {
        magazine = ull_stack_pop(&cache->victims, &more);
        retries += more;
    }
    note_contention(cache, retries);
    if (magazine != NULL)
        let_go(cache, &cache->depot_blocks, magazine->count * cache->stride);
    return magazine;
}

static void forget_object(struct ull_block *block)
{
    /* The edges of one whose pages go need not be looked at. */
    uint32_t kept = ULL_BLOCK_STATE_MASK | (settings.debug ? ULL_BLOCK_POISONED : 0);
    ull_store_relaxed(&block->state, block->state & kept);
}

static size_t give_to_slabs(struct ull_cache *cache, uint32_t first)
{
    uint64_t blocks = 0;
    for (uint32_t at = first; at != 0; at = ull_magazine_at(at)->next) {
        struct ull_magazine *magazine = ull_magazine_at(at);
        blocks += magazine->count;
        for (uint32_t i = 0; i < magazine->count; i++)
            forget_object(magazine->entries[i].block);
    }
    size_t bytes = first != 0 ? ull_slab_give(cache, first) : 0;
    if (cache->budget != NULL && blocks > 0)
        ull_budget_give(cache->budget, blocks * cache->stride);
    return bytes;
}

/* All objects of these magazines are unmade, at once or as soon as fini may run, and their memory is given to the slabs. */
static size_t unmake(struct ull_cache *cache, uint32_t first)
{
    size_t bytes = 0;
    if (cache->fini == NULL)
        return give_to_slabs(cache, first);
    for (uint32_t at = first, next; at != 0; at = next) {
        struct ull_magazine *magazine = ull_magazine_at(at);
        next = ull_load_relaxed(&magazine->next);
        bytes += magazine->count * cache->stride;
        ull_stack_push(&cache->doomed, magazine);
        ull_add_relaxed(&doomed, 1U);
    }
    return bytes;
}

static void bury(struct ull_cache *cache)
{
    unsigned retries;
    struct ull_magazine *magazine;
    ull_add_relaxed(&cache->burying, 1U);
    while ((magazine = ull_stack_pop(&cache->doomed, &retries)) != NULL) {
        ull_sub_relaxed(&doomed, 1U);
        for (uint32_t i = 0; i < magazine->count; i++) {
            bool built = (magazine->entries[i].block->state & ULL_BLOCK_BUILT) != 0;
            forget_object(magazine->entries[i].block); /* first: a child that is forked meanwhile must not believe in it */
            if (built)
                cache->fini(cache->ctx, magazine->entries[i].data);
        }
        ull_store_relaxed(&magazine->next, 0U);
        give_to_slabs(cache, magazine->self);
    }
    __atomic_fetch_sub(&cache->burying, 1, __ATOMIC_RELEASE);
}

void ull_caches_bury(void)
{
    for (uint32_t i = ULL_CACHE_FIRST_POOL; ull_unlikely(ull_load_acquire(&doomed) != 0) && i < ull_load_acquire(&ull_caches_end); i++)
        if (ull_load_acquire(&ull_caches[i].used) && (uint32_t)ull_load_relaxed(&ull_caches[i].doomed.head) != 0)
            bury(&ull_caches[i]);
}

void ull_cache_await_burial(struct ull_cache *cache)
{
    while (ull_load_acquire(&cache->burying) != 0)
        sched_yield();
}

static size_t unmake_magazine(struct ull_cache *cache, struct ull_magazine *magazine)
{
    ull_store_relaxed(&magazine->next, 0U);
    if (magazine->count > 0)
        return unmake(cache, magazine->self);
    ull_magazine_put(magazine);
    return 0;
}

void ull_depot_give(struct ull_cache *cache, struct ull_magazine *magazine, bool idle)
{
    if (magazine->count == 0) {
        ull_magazine_put(magazine);
    } else if (hold(cache, &cache->depot_blocks, magazine->count * cache->stride)) {
        note_contention(cache, ull_stack_push(idle ? &cache->victims : &cache->full, magazine));
    } else {
        unmake_magazine(cache, magazine);
    }
}

void ull_cache_give_one(struct ull_cache *cache, struct ull_block *block)
{
    struct ull_magazine *magazine = ull_magazine_get();
    if (cache->index == ULL_CLASS_LARGE) {
        if (magazine != NULL)
            ull_magazine_put(magazine);
        ull_slab_give_large(cache, block);
        return;
    }
    if (magazine == NULL)
        return; /* no memory for our books: the buffer is lost, which harms nobody */
    magazine->entries[0] = (struct ull_entry) { block->data, block };
    magazine->count = 1;
    unmake_magazine(cache, magazine);
}

static uint64_t buffers_in(uint32_t first)
{
    uint64_t buffers = 0;
    for (uint32_t at = first; at != 0; at = ull_magazine_at(at)->next)
        buffers += ull_magazine_at(at)->count;
    return buffers;
}

size_t ull_depot_tick(struct ull_cache *cache)
{
    uint32_t old = ull_stack_take_all(&cache->victims), idle = ull_stack_take_all(&cache->full), next;
    if (old != 0)
        let_go(cache, &cache->depot_blocks, buffers_in(old) * cache->stride);
    for (uint32_t at = idle; at != 0; at = next) {
        next = ull_load_relaxed(&ull_magazine_at(at)->next);
        ull_stack_push(&cache->victims, ull_magazine_at(at));
    }
    return unmake(cache, old);
}

size_t ull_depot_trim(struct ull_cache *cache, uint64_t keep_bytes)
{
    size_t bytes = 0;
    while (ull_load_relaxed(&cache->depot_blocks) * cache->stride > keep_bytes) {
        uint32_t first = 0;
        struct ull_magazine *magazine;
        /* A slab's worth at a time, so that whole slabs go instead of their pages one by one. */
        for (unsigned i = 0; i < 64 && (i == 0 || ull_load_relaxed(&cache->depot_blocks) * cache->stride > keep_bytes); i++) {
            magazine = ull_depot_take(cache);
            if (magazine == NULL)
                break;
            ull_store_relaxed(&magazine->next, first);
            first = magazine->self;
        }
        if (first == 0)
            break;
        bytes += unmake(cache, first);
    }
    return bytes;
}

/* ---- from the slabs ---- */

static bool charge(struct ull_cache *cache, unsigned *want, int *error)
{
    if (cache->budget == NULL)
        return true;
    /* No more than is free, lest it count as refused. */
    uint64_t left = ull_minus_clamped(ull_budget_max(cache->budget), ull_budget_used(cache->budget)) / cache->stride;
    *want = (unsigned)ull_max_u64(1, ull_min_u64(*want, left));
    *error = ull_budget_try(cache->budget, *want * cache->stride);
    if (*error == -ENOBUFS && *want > 1) { /* others were quicker */
        *want = 1;
        *error = ull_budget_try(cache->budget, cache->stride);
    }
    return *error == 0;
}

unsigned ull_cache_take(struct ull_cache *cache, struct ull_entry *entries, unsigned want, int *error)
{
    if (cache->init != NULL && want > 1)
        want = 1; /* of an object that nobody asked for yet nothing is made */
    if (!charge(cache, &want, error))
        return 0;
    unsigned taken = ull_slab_take(cache, entries, want);
    if (cache->budget != NULL && taken < want)
        ull_budget_give(cache->budget, (want - taken) * cache->stride);
    *error = taken > 0 ? 0 : -ENOMEM;
    return taken;
}

/* ---- reporting; a forked child ---- */

/* The entry of a pool, made if need be: also a forked child's own. */
static struct ull_pool_entry *entry_of(struct ull_cache *cache)
{
    struct ull_pool_entry *entry = ull_load_acquire(&cache->entry);
    if (entry != NULL || cache->name == NULL)
        return entry;
    entry = ull_named_pool(cache->name);
    if (entry == NULL)
        return NULL;
    entry->object_bytes = cache->object_bytes;
    entry->flags = cache->flags;
    ull_store_release(&entry->ready, UINT64_C(1));
    ull_store_release(&cache->entry, entry);
    return entry;
}

void ull_cache_publish(struct ull_cache *cache, const struct ullage_pool_counts *counts)
{
    struct ull_pool_entry *entry = entry_of(cache);
    if (entry == NULL)
        return;
    ull_max_relaxed(&cache->retained_peak, counts->retained_bytes);
    ull_store_relaxed(&entry->puts_count, counts->puts);
    ull_store_relaxed(&entry->gets_count, counts->gets);
    ull_store_relaxed(&entry->unmade_count, counts->unmade);
    ull_store_relaxed(&entry->made_count, counts->made);
    ull_store_relaxed(&entry->slab_bytes, ull_load_relaxed(&cache->mapped_bytes));
    ull_store_relaxed(&entry->retained_bytes, counts->retained_bytes);
    ull_store_relaxed(&entry->retained_peak_bytes, ull_load_relaxed(&cache->retained_peak));
    ull_store_relaxed(&entry->refused_count, ull_load_relaxed(&cache->refused));
    ull_store_relaxed(&entry->learned_bytes, counts->learned_bytes);
    if (cache->budget != NULL)
        ull_store_relaxed(&entry->budget, (uint64_t)ull_budget_index(cache->budget));
}

void ull_caches_rebuild(void)
{
    pthread_mutex_init(&making, NULL);
    ull_magazines_forget();
    settings.held_bytes = 0;
    doomed = 0;
    for (uint32_t i = 0; i < ull_load_acquire(&ull_caches_end); i++) {
        struct ull_cache *cache = &ull_caches[i];
        if (!cache->used)
            continue;
        pthread_mutex_init(&cache->giving, NULL);
        pthread_mutex_init(&cache->lock, NULL);
        cache->full = cache->victims = cache->doomed = (struct ull_stack) { 0, 0 };
        cache->burying = 0;
        cache->depot_blocks = cache->front_bytes = 0;
        cache->contention = 0;
        cache->entry = NULL;
    }
}

/* Blocks of this cache that are out of their slabs' lists: after a rebuild, those that the program has. */
static uint64_t count_out(uint32_t index)
{
    uint64_t out = 0;
    for (uint32_t i = 0; i < ull_slab_count(); i++)
        if (ull_slab_at(i)->cache == index && ull_slab_at(i)->state == ULL_SLAB_USED)
            out += ull_slab_at(i)->out;
    return out;
}

void ull_caches_settle(void)
{
    for (uint32_t i = ULL_CACHE_FIRST_POOL; i < ull_load_acquire(&ull_caches_end); i++) {
        struct ull_cache *cache = &ull_caches[i];
        if (!cache->used || (cache->flags & ULLAGE_POOL_ADAPTIVE) != 0)
            continue;
        uint64_t out = count_out(i), idle = ull_minus_clamped(cache->made - cache->unmade, out);
        if (cache->budget != NULL && idle > 0)
            ull_budget_give(cache->budget, idle * cache->stride);
        cache->unmade += idle;
        cache->gets = out; /* threads' own counts were emptied with them */
        cache->puts = 0;
    }
}
