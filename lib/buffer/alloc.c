/* SPDX-License-Identifier: BSD-2-Clause */
/* alloc.c - the malloc-shaped calls. */
#include "config.h"

#include "ullage/alloc.h"

#include "base/arith.h"
#include "pool/clear.h"
#include "pool/debug.h"
#include "pool/decay.h"
#include "pool/hot.h"
#include "pool/leak.h"

#include <errno.h>
#include <string.h>

/* The public names are macros too. */
#undef ullage_malloc
#undef ullage_calloc
#undef ullage_realloc
#undef ullage_aligned_alloc

#define CALLER __builtin_return_address(0)

/* Whatever the hot path does not do. */
static __attribute__((noinline)) struct ull_block *get_other(
    const struct ullage_site *site, const void *address, enum ull_kind kind, uint64_t bytes)
{
    if (bytes > PTRDIFF_MAX) {
        errno = ENOMEM;
        return NULL;
    }
    struct ull_block *block = ull_get_any(ull_place_known(site, address, kind), bytes, 0);
    if (ull_likely(block != NULL))
        return block;
    const struct ull_want want
        = { .site = site, .address = address, .kind = kind, .cache = ull_class_for(bytes), .bytes = bytes };
    return ull_get_slow(&want);
}

static __attribute__((noinline)) void *malloc_other(const struct ullage_site *site, size_t bytes, const void *address)
{
    struct ull_block *block = get_other(site, address, ULL_KIND_MALLOC, bytes);
    return block != NULL ? block->data : NULL;
}

void *ullage_malloc_at(const struct ullage_site *site, size_t bytes)
{
    void *data;
    if (ull_likely(site != NULL && ull_get_hot(ull_load_relaxed(&site->index), bytes, 0, &data) != NULL))
        return data;
    return malloc_other(site, bytes, CALLER);
}

static inline __attribute__((always_inline)) struct ull_block *get(
    const struct ullage_site *site, const void *address, enum ull_kind kind, uint64_t bytes, void **data)
{
    struct ull_block *block = ull_get_hot(ull_place_known(site, address, kind), bytes, 0, data);
    if (ull_unlikely(block == NULL)) {
        block = get_other(site, address, kind, bytes);
        *data = block != NULL ? block->data : NULL;
    }
    return block;
}

void *ullage_malloc(size_t bytes)
{
    void *data;
    get(NULL, CALLER, ULL_KIND_MALLOC, bytes, &data);
    return data;
}

static void *get_clear(const struct ullage_site *site, const void *address, size_t count, size_t bytes)
{
    void *data;
    uint64_t total;
    if (!ull_mul_fits(count, bytes, &total)) {
        errno = ENOMEM;
        return NULL;
    }
    struct ull_block *block = get(site, address, ULL_KIND_CALLOC, total, &data);
    if (block != NULL && block->dirty != 0)
        ull_clear(data, total);
    return data;
}

void *ullage_calloc_at(const struct ullage_site *site, size_t count, size_t bytes)
{
    return get_clear(site, CALLER, count, bytes);
}

void *ullage_calloc(size_t count, size_t bytes)
{
    return get_clear(NULL, CALLER, count, bytes);
}

static void *get_aligned(const struct ullage_site *site, const void *address, size_t align, size_t bytes)
{
    if (align == 0 || (align & (align - 1)) != 0 || align > ULL_ALIGN_MAX) {
        errno = EINVAL;
        return NULL;
    }
    if (bytes > PTRDIFF_MAX) {
        errno = ENOMEM;
        return NULL;
    }
    const struct ull_want want = { .site = site, .address = address, .kind = ULL_KIND_ALIGNED, .align = align, .bytes = bytes };
    struct ull_block *block = ull_get_slow(&want);
    return block != NULL ? block->data : NULL;
}

void *ullage_aligned_alloc_at(const struct ullage_site *site, size_t align, size_t bytes)
{
    return get_aligned(site, CALLER, align, bytes);
}

void *ullage_aligned_alloc(size_t align, size_t bytes)
{
    return get_aligned(NULL, CALLER, align, bytes);
}

/* ---- put ---- */

/* A pool's object, also an adaptive one's, is not ours to free. */
static bool is_foreign(const struct ull_block *block)
{
    return block == NULL || block->cache >= ULL_CACHE_FIRST_POOL
        || (ull_load_relaxed(&block->state) & (ULL_BLOCK_OBJECT | ULL_BLOCK_SINGLE)) != 0;
}

/* Whatever the hot path does not do. */
static __attribute__((noinline)) void put_other(void *p, struct ull_block *block, uint64_t used, bool declared, const void *by)
{
    if (p == NULL || (block != NULL && ull_put_any(block, used, declared, by, ULL_BLOCK_LIVE, ULL_BLOCK_FREE)))
        return;
    if (is_foreign(block))
        ull_misuse_foreign(p, "freed", by);
    else
        ull_put_slow(block, used, declared, by);
}

void ullage_free(void *p)
{
    struct ull_block *block = ull_block_quickly(p);
    if (ull_likely(block != NULL && ull_put_hot(block, p, 0, false, CALLER, ULL_BLOCK_LIVE, ULL_BLOCK_FREE)))
        return;
    put_other(p, block, 0, false, CALLER);
}

void ullage_free_used(void *p, size_t used_bytes)
{
    struct ull_block *block = ull_block_quickly(p);
    if (ull_likely(block != NULL && ull_put_hot(block, p, used_bytes, true, CALLER, ULL_BLOCK_LIVE, ULL_BLOCK_FREE)))
        return;
    put_other(p, block, used_bytes, true, CALLER);
}

/* ---- what is asked of a live buffer ---- */

static struct ull_block *live_block(const void *p)
{
    struct ull_block *block = p != NULL ? ull_block_of(p) : NULL;
    return block != NULL && (ull_load_relaxed(&block->state) & ULL_BLOCK_STATE_MASK) == ULL_BLOCK_LIVE ? block : NULL;
}

void ullage_note_used(void *p, size_t used_bytes)
{
    struct ull_block *block = live_block(p);
    if (block == NULL) {
        if (p != NULL)
            ull_misuse_foreign(p, "noted as used", CALLER);
        return;
    }
    if (used_bytes > ull_noted(block)) {
        block->used = used_bytes;
        ull_block_set(block, ULL_BLOCK_NOTED);
    }
    if (ull_unlikely((block->state & ULL_BLOCK_FOLLOWED) != 0))
        ull_leak_touch(block, CALLER);
}

size_t ullage_usable_size(const void *p)
{
    const struct ull_block *block = live_block(p);
    return block != NULL ? ull_block_room(block) : 0;
}

static void *move(const struct ullage_site *site, const void *address, struct ull_block *from, size_t bytes)
{
    void *data;
    struct ull_block *to = get(site, address, ULL_KIND_REALLOC, bytes, &data);
    if (to == NULL)
        return NULL;
    uint64_t copied = ull_min_u64(ull_block_room(from), bytes);
    memcpy(data, from->data, copied);
    ull_block_moved(to, from, copied);
    put_other(from->data, from, 0, false, address);
    return data;
}

static void *resize(const struct ullage_site *site, const void *address, void *p, size_t bytes)
{
    struct ull_block *block = live_block(p);
    if (p == NULL) {
        void *data;
        get(site, address, ULL_KIND_REALLOC, bytes, &data);
        return data;
    }
    if (is_foreign(block)) {
        ull_misuse_foreign(p, "to be resized", address);
        errno = EINVAL;
        return NULL;
    }
    if (bytes == 0) {
        put_other(p, block, 0, false, address);
        return NULL;
    }
    if ((ull_load_relaxed(&block->state) & (ULL_BLOCK_IN_FLIGHT | ULL_BLOCK_DEFERRED | ULL_BLOCK_ORPHANED)) != 0) {
        if ((ull_load_relaxed(&block->state) & ULL_BLOCK_IN_FLIGHT) != 0)
            ull_misuse_in_flight(block, address);
        else
            ull_misuse_twice(block, address);
        errno = EBUSY;
        return NULL;
    }
    /* In place: it fits, and a smaller class would save less than half. */
    if (bytes > ull_block_room(block) || bytes < ull_block_room(block) / 2)
        return move(site, address, block, bytes);
    const struct ull_want want = { .site = site, .address = address, .kind = ULL_KIND_REALLOC, .cache = block->cache,
        .bytes = bytes };
    ull_recount(&want, block);
    return p;
}

void *ullage_realloc_at(const struct ullage_site *site, void *p, size_t bytes)
{
    return resize(site, CALLER, p, bytes);
}

void *ullage_realloc(void *p, size_t bytes)
{
    return resize(NULL, CALLER, p, bytes);
}

/* ---- in flight ---- */

int ullage_in_flight_begin(void *p)
{
    struct ull_block *block = live_block(p);
    if (block == NULL)
        return -EINVAL;
    uint16_t flights = ull_load_relaxed(&block->flights);
    do
        if (flights == UINT16_MAX)
            return -EOVERFLOW;
    while (!ull_cas_acq_rel(&block->flights, &flights, (uint16_t)(flights + 1)));
    ull_block_set(block, ULL_BLOCK_IN_FLIGHT);
    return 0;
}

int ullage_in_flight_end(void *p)
{
    struct ull_block *block = live_block(p);
    uint16_t flights = block != NULL ? ull_load_relaxed(&block->flights) : 0;
    do
        if (flights == 0)
            return -EINVAL;
    while (!ull_cas_acq_rel(&block->flights, &flights, (uint16_t)(flights - 1)));
    if (flights > 1)
        return 0;
    uint32_t state = ull_block_clear(block, ULL_BLOCK_IN_FLIGHT | ULL_BLOCK_ORPHANED);
    if ((state & ULL_BLOCK_ORPHANED) == 0)
        return 0;
    if (is_foreign(block))
        ull_pool_came_back(block);
    else
        ull_put_slow(block, 0, false, block->put_by);
    return 0;
}

/* ---- idle memory ---- */

size_t ullage_trim(size_t keep_bytes)
{
    return ull_decay_trim(0, ULL_CACHES_MAX, keep_bytes);
}

size_t ullage_retained_bytes(void)
{
    return ull_load_relaxed(&ull_pool_settings.held_bytes);
}
