/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * slab.c - see slab.h.
 *
 * Giving back has two halves, because the kernel is asked in between and no lock is held then: first it is decided which
 * slabs will be empty; their pages need no care, the others' are purged block by block; then the blocks are entered in
 * the lists. `giving` is held all along, so that nobody else's half-given blocks are taken for live ones; `lock` is not,
 * so that others can take.
 */
#include "config.h"

#include "pool/slab.h"

#include "base/arith.h"
#include "base/check.h"
#include "base/sys.h"
#include "measure/named.h"
#include "pool/cache.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

/* A gap is a mapping of its own, of which a process has 65,530 by default: vm.max_map_count. */
enum { SLABS_MAX = 1 << 20, GAPS_MAX = 16000 };
static uint32_t gaps; /* atomic */

/* Every descriptor that was ever made. */
static struct {
    struct ull_slab **slabs;
    uint32_t count; /* atomic */
    pthread_mutex_t lock;
} registry = { .lock = PTHREAD_MUTEX_INITIALIZER };

uint32_t ull_slab_count(void)
{
    return ull_load_acquire(&registry.count);
}

struct ull_slab *ull_slab_at(uint32_t index)
{
    return registry.slabs[index];
}

static bool enter_in_registry(struct ull_slab *slab)
{
    bool room = false;
    pthread_mutex_lock(&registry.lock);
    if (registry.slabs == NULL)
        registry.slabs = ull_sys_map_books(SLABS_MAX * sizeof registry.slabs[0]);
    if (registry.slabs != NULL && registry.count < SLABS_MAX) {
        registry.slabs[registry.count] = slab;
        ull_store_release(&registry.count, registry.count + 1);
        room = true;
    }
    pthread_mutex_unlock(&registry.lock);
    return room;
}

/* ---- making and unmaking; under the cache's lock ---- */

static void link_first(struct ull_slab **list, struct ull_slab *slab)
{
    slab->previous = NULL;
    slab->next = *list;
    if (*list != NULL)
        (*list)->previous = slab;
    *list = slab;
}

static void unlink_slab(struct ull_slab **list, struct ull_slab *slab)
{
    if (slab->previous != NULL)
        slab->previous->next = slab->next;
    else if (*list == slab)
        *list = slab->next;
    if (slab->next != NULL)
        slab->next->previous = slab->previous;
    slab->next = slab->previous = NULL;
}

static uint64_t descriptor_bytes(uint32_t count)
{
    /* One block more: an offset in what is left at the end finds one whose data is NULL. */
    return ull_round_up(sizeof(struct ull_slab) + (count + UINT64_C(1)) * sizeof(struct ull_block), 4096);
}

static struct ull_slab *get_descriptor(struct ull_cache *cache, uint32_t count)
{
    struct ull_slab *slab = cache->spares;
    while (slab != NULL && slab->descriptor_room < count)
        slab = slab->next; /* of a pool that had this cache before */
    if (slab != NULL) {
        unlink_slab(&cache->spares, slab);
        return slab;
    }
    slab = ull_sys_map_books(descriptor_bytes(count));
    if (slab == NULL)
        return NULL;
    slab->descriptor_room = count;
    slab->cache = cache->index;
    if (!enter_in_registry(slab)) {
        ull_sys_munmap(slab, descriptor_bytes(count));
        return NULL;
    }
    return slab;
}

static struct ull_slab *make_slab(struct ull_cache *cache, uint64_t stride, uint64_t bytes)
{
    uint32_t count = (uint32_t)(bytes / stride);
    struct ull_slab *slab = get_descriptor(cache, count);
    void *base = slab != NULL ? cache->source.map(cache->source.ctx, bytes, ULL_CHUNK_BYTES) : NULL;
    if (slab != NULL) { /* before the map knows it: a forked child takes out of the map what is not in use */
        slab->base = (uintptr_t)base;
        slab->bytes = bytes;
    }
    if (base == NULL || ((uintptr_t)base & (ULL_CHUNK_BYTES - 1)) != 0 || ull_map_set((uintptr_t)base, bytes, slab) != 0) {
        if (base != NULL)
            cache->source.unmap(cache->source.ctx, base, bytes);
        if (slab != NULL)
            link_first(&cache->spares, slab);
        return NULL;
    }
    slab->inverse = UINT64_MAX / stride + 1;
    slab->stride = stride;
    slab->count = count;
    slab->carved = slab->out = slab->free = slab->batch = 0;
    ull_store_release(&slab->state, (uint32_t)ULL_SLAB_USED);
    ull_store_relaxed(&cache->mapped_bytes, cache->mapped_bytes + bytes);
    ull_named_set(ULL_COUNTER_pool_slab_bytes, ull_add_relaxed(&ull_pool_settings.slab_bytes, bytes) + bytes);
    ull_store_relaxed(&ull_pool_settings.started, 1U);
    return slab;
}

/* All of them NONE. The descriptor's own pages go too: of 512 B buffers it is an eighth. */
static void forget_blocks(struct ull_slab *slab)
{
    uintptr_t start = (uintptr_t)slab->blocks, end = (uintptr_t)&slab->blocks[slab->carved];
    uintptr_t first = ull_round_up(start, 4096), last = ull_round_down(end, 4096);
    if (first < last && ull_sys_madvise((void *)first, last - first, MADV_DONTNEED) != 0)
        memset((void *)first, 0, last - first);
    memset((void *)start, 0, ull_min_u64(first, end) - start);
    if (last >= first && last < end)
        memset((void *)last, 0, end - last);
}

/*
 * Out of every list already. The blocks are forgotten first: once the addresses are free somebody else may have them, and his
 * buffers must not be taken for ours.
 */
static void unmake_slab(struct ull_cache *cache, struct ull_slab *slab)
{
    ull_map_set(slab->base, slab->bytes, NULL);
    forget_blocks(slab);
    cache->source.unmap(cache->source.ctx, (void *)(uintptr_t)slab->base, slab->bytes);
    ull_store_release(&slab->state, (uint32_t)ULL_SLAB_SPARE);
}

/* ---- taking ---- */

static struct ull_block *carve(struct ull_cache *cache, struct ull_slab *slab)
{
    uint32_t at = slab->carved;
    struct ull_block *block = &slab->blocks[at];
    *block = (struct ull_block) { .data = (char *)(uintptr_t)slab->base + at * slab->stride,
        .cache = (uint16_t)cache->index, .dirty = cache->source.zeroed ? 0 : ULL_DIRTY_UNKNOWN };
    if (cache->gap != 0 && ull_add_relaxed(&gaps, 1U) < GAPS_MAX)
        (void)ull_sys_mprotect((char *)block->data + slab->stride - cache->gap, cache->gap, PROT_NONE);
    ull_store_release(&block->state, (uint32_t)ULL_BLOCK_FREE);
    ull_store_release(&slab->carved, at + 1);
    return block;
}

static struct ull_block *take_one(struct ull_cache *cache, struct ull_slab *slab)
{
    struct ull_block *block;
    if (slab->free != 0) {
        block = &slab->blocks[slab->free - 1];
        slab->free = block->refs;
    } else {
        block = carve(cache, slab);
    }
    slab->out++;
    if (slab->free == 0 && slab->carved == slab->count)
        unlink_slab(&cache->partial, slab);
    return block;
}

unsigned ull_slab_take(struct ull_cache *cache, struct ull_entry *entries, unsigned want)
{
    unsigned taken = 0;
    pthread_mutex_lock(&cache->lock);
    while (taken < want) {
        if (cache->partial == NULL) {
            struct ull_slab *slab = taken == 0 ? make_slab(cache, cache->stride, cache->slab_bytes) : NULL;
            if (slab == NULL)
                break;
            link_first(&cache->partial, slab);
        }
        struct ull_block *block = take_one(cache, cache->partial);
        entries[taken++] = (struct ull_entry) { block->data, block };
    }
    ull_store_relaxed(&cache->made, cache->made + taken);
    pthread_mutex_unlock(&cache->lock);
    return taken;
}

struct ull_block *ull_slab_take_large(struct ull_cache *cache, uint64_t bytes)
{
    uint64_t whole = ull_round_up(ull_max_u64(bytes, 1), ULL_CHUNK_BYTES);
    struct ull_block *block = NULL;
    pthread_mutex_lock(&cache->lock);
    struct ull_slab *slab = make_slab(cache, whole, whole);
    if (slab != NULL) {
        block = carve(cache, slab);
        slab->out = 1;
        ull_store_relaxed(&cache->made, cache->made + 1);
    }
    pthread_mutex_unlock(&cache->lock);
    return block;
}

/* ---- giving ---- */

static void retire(struct ull_cache *cache, struct ull_slab *slab)
{
    unmake_slab(cache, slab);
    pthread_mutex_lock(&cache->lock);
    ull_store_relaxed(&cache->mapped_bytes, cache->mapped_bytes - slab->bytes);
    ull_named_set(ULL_COUNTER_pool_slab_bytes, ull_sub_relaxed(&ull_pool_settings.slab_bytes, slab->bytes) - slab->bytes);
    link_first(&cache->spares, slab);
    pthread_mutex_unlock(&cache->lock);
}

void ull_slab_give_large(struct ull_cache *cache, struct ull_block *block)
{
    struct ull_slab *slab = ull_map_find(block->data);
    ull_store_relaxed(&block->state, (uint32_t)ULL_BLOCK_NONE);
    ull_store_release(&slab->state, (uint32_t)ULL_SLAB_GOING);
    retire(cache, slab);
    ull_add_relaxed(&cache->unmade, UINT64_C(1));
}

/* First half, under lock: slabs that these buffers leave empty are taken out of sight. Returns them, linked. */
static struct ull_slab *find_emptied(struct ull_cache *cache, uint32_t first)
{
    struct ull_slab *emptied = NULL;
    for (uint32_t at = first; at != 0; at = ull_magazine_at(at)->next) {
        struct ull_magazine *magazine = ull_magazine_at(at);
        for (uint32_t i = 0; i < magazine->count; i++) {
            struct ull_slab *slab = ull_map_find(magazine->entries[i].data);
            if (++slab->batch != slab->out || ull_pool_settings.debug)
                continue; /* or not at all: who writes to what he put should be told so, and not find a hole */
            if (slab->free != 0 || slab->carved != slab->count)
                unlink_slab(&cache->partial, slab);
            ull_store_release(&slab->state, (uint32_t)ULL_SLAB_GOING);
            link_first(&emptied, slab);
        }
    }
    return emptied;
}

/* Between the halves: pages go back. A buffer whose pages are gone is as the kernel gave it. */
static size_t purge(struct ull_cache *cache, uint32_t first)
{
    size_t bytes = 0;
    for (uint32_t at = first; at != 0; at = ull_magazine_at(at)->next) {
        struct ull_magazine *magazine = ull_magazine_at(at);
        for (uint32_t i = 0; i < magazine->count; i++) {
            struct ull_block *block = magazine->entries[i].block;
            bytes += cache->stride;
            if (!cache->purges || block->dirty == 0 || (block->state & ULL_BLOCK_POISONED) != 0 || ull_map_find(block->data)->state == ULL_SLAB_GOING)
                continue;
            if (cache->source.purge(cache->source.ctx, block->data, cache->stride) == 0 && cache->source.zeroed)
                block->dirty = 0;
        }
    }
    return bytes;
}

/* Second half, under lock: into the lists of their slabs. */
static void enter(struct ull_cache *cache, struct ull_magazine *magazine)
{
    for (uint32_t i = 0; i < magazine->count; i++) {
        struct ull_block *block = magazine->entries[i].block;
        struct ull_slab *slab = ull_map_find(block->data);
        slab->batch--;
        if (slab->state == ULL_SLAB_GOING)
            continue;
        if (slab->free == 0 && slab->carved == slab->count)
            link_first(&cache->partial, slab);
        block->refs = slab->free;
        slab->free = (uint32_t)(block - slab->blocks) + 1;
        slab->out--;
    }
}

size_t ull_slab_give(struct ull_cache *cache, uint32_t first)
{
    uint64_t blocks = 0;
    pthread_mutex_lock(&cache->giving);
    pthread_mutex_lock(&cache->lock);
    struct ull_slab *emptied = find_emptied(cache, first);
    pthread_mutex_unlock(&cache->lock);
    size_t bytes = purge(cache, first);
    pthread_mutex_lock(&cache->lock);
    for (uint32_t at = first, next; at != 0; at = next) {
        struct ull_magazine *magazine = ull_magazine_at(at);
        next = magazine->next;
        blocks += magazine->count;
        enter(cache, magazine);
        ull_magazine_put(magazine);
    }
    ull_store_relaxed(&cache->unmade, cache->unmade + blocks);
    pthread_mutex_unlock(&cache->lock);
    for (struct ull_slab *slab = emptied, *next; slab != NULL; slab = next) {
        next = slab->next;
        slab->next = slab->previous = NULL;
        retire(cache, slab);
    }
    pthread_mutex_unlock(&cache->giving);
    return bytes;
}

/* ---- a forked child ---- */

/* Large ones have one block: without an owner its slab was about to go, and nobody would ask for it again. */
static bool is_abandoned(const struct ull_slab *slab)
{
    return slab->cache == ULL_CLASS_LARGE && (slab->blocks[0].state & ULL_BLOCK_STATE_MASK) != ULL_BLOCK_LIVE;
}

static void list_blocks(struct ull_slab *slab)
{
    slab->out = slab->free = slab->batch = 0;
    for (uint32_t i = 0; i < slab->carved; i++) {
        struct ull_block *block = &slab->blocks[i];
        if ((block->state & ULL_BLOCK_STATE_MASK) == ULL_BLOCK_LIVE) {
            block->state |= ULL_BLOCK_INHERITED;
            slab->out++;
        } else {
            block->refs = slab->free;
            slab->free = i + 1;
        }
    }
}

/*
 * A slab that was going when the process forked may be unmapped already, and its addresses another's, perhaps a newer slab's:
 * they are left alone, and it is forgotten.
 */
static void rebuild(struct ull_slab *slab)
{
    struct ull_cache *cache = &ull_caches[slab->cache];
    slab->next = slab->previous = NULL;
    if (slab->state != ULL_SLAB_USED)
        ull_map_forget(slab->base, slab->bytes, slab);
    if (slab->state == ULL_SLAB_GOING)
        slab->state = ULL_SLAB_LOST;
    if (slab->state == ULL_SLAB_USED && is_abandoned(slab))
        unmake_slab(cache, slab);
    if (slab->state == ULL_SLAB_SPARE)
        link_first(&cache->spares, slab);
    if (slab->state != ULL_SLAB_USED)
        return;
    list_blocks(slab);
    cache->mapped_bytes += slab->bytes;
    if (slab->free != 0 || slab->carved != slab->count)
        link_first(&cache->partial, slab);
}

void ull_slabs_rebuild(void)
{
    pthread_mutex_init(&registry.lock, NULL);
    for (uint32_t i = 0; i < ull_load_acquire(&ull_caches_end); i++) {
        struct ull_cache *cache = &ull_caches[i];
        cache->partial = cache->spares = NULL;
        cache->mapped_bytes = 0;
    }
    for (uint32_t i = 0; i < registry.count; i++)
        rebuild(registry.slabs[i]);
}

/* ---- looking at all of them ---- */

static uint64_t check_slab(const struct ull_cache *cache, struct ull_slab *slab)
{
    uint32_t listed = 0, live = 0;
    for (uint32_t at = slab->free; at != 0; at = slab->blocks[at - 1].refs) {
        ull_invariant(at <= slab->carved && ++listed <= slab->carved);
        ull_invariant((slab->blocks[at - 1].state & ULL_BLOCK_STATE_MASK) == ULL_BLOCK_FREE);
    }
    ull_invariant(slab->carved <= slab->count && listed + slab->out == slab->carved && slab->batch == 0);
    for (uint32_t i = 0; i < slab->carved; i++) {
        const struct ull_block *block = &slab->blocks[i];
        ull_invariant(ull_block_of(block->data) == block && block->cache == cache->index);
        ull_invariant((block->state & ULL_BLOCK_STATE_MASK) == ULL_BLOCK_FREE
            || (block->state & ULL_BLOCK_STATE_MASK) == ULL_BLOCK_LIVE);
        ull_invariant((block->state & ULL_BLOCK_STATE_MASK) != ULL_BLOCK_LIVE || block->requested <= slab->stride);
        live += (block->state & ULL_BLOCK_STATE_MASK) == ULL_BLOCK_LIVE;
    }
    return slab->out - live;
}

uint64_t ull_slab_check(struct ull_cache *cache)
{
    uint64_t bytes = 0, idle = 0;
    pthread_mutex_lock(&cache->lock);
    for (uint32_t i = 0; i < ull_slab_count(); i++) {
        struct ull_slab *slab = registry.slabs[i];
        if (slab->cache != cache->index || slab->state != ULL_SLAB_USED)
            continue;
        idle += check_slab(cache, slab);
        bytes += slab->bytes;
    }
    ull_invariant(bytes == cache->mapped_bytes);
    pthread_mutex_unlock(&cache->lock);
    return idle;
}

uint64_t ull_slab_live(struct ull_cache *cache, const struct ull_block **example)
{
    uint64_t live = 0;
    pthread_mutex_lock(&cache->lock);
    for (uint32_t i = 0; i < ull_slab_count(); i++) {
        const struct ull_slab *slab = registry.slabs[i];
        for (uint32_t at = 0; slab->cache == cache->index && ull_load_acquire(&slab->state) == ULL_SLAB_USED && at < slab->carved; at++) {
            if ((ull_load_relaxed(&slab->blocks[at].state) & ULL_BLOCK_STATE_MASK) != ULL_BLOCK_LIVE)
                continue;
            *example = &slab->blocks[at];
            live++;
        }
    }
    pthread_mutex_unlock(&cache->lock);
    return live;
}
