/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * live.c - the table of live buffers.
 *
 * Lock order: one shard, then the ledger's own lock; the filter is replaced with all shards locked, in their order.
 * Every wait is bounded (base/lock.h): what cannot be recorded is lost, and the program goes on.
 * The filter that was replaced is kept: a free() may be reading it. It misses nothing by that, because whoever frees a
 * buffer learned its address after it was inserted, and so sees at least the filter of that moment.
 */
#include "config.h"

#include "ledger/live.h"

#include "base/arith.h"
#include "base/check.h"
#include "base/lock.h"
#include "base/sys.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

enum {
    FIRST_SLOTS = 32,         /* a shard: 2.5 KiB */
    FILTER_SLOTS_A_BUFFER = 8, /* so that at most about one free in eight looks further for nothing */
    FILTER_STICKY = 255,
};

struct ull_live_small_filter ull_live_first_filter
    = { .head = { .shift = 64 - ULL_LIVE_FILTER_BITS, .count = 1 << ULL_LIVE_FILTER_BITS } };

void ull_live_init(struct ull_live *live, struct ull_ledger *ledger)
{
    memset(live, 0, sizeof *live);
    live->ledger = ledger;
    live->filter = &ull_live_first_filter.head;
    for (unsigned i = 0; i < ULL_LIVE_SHARDS; i++)
        pthread_mutex_init(&live->shards[i].lock, NULL);
}

static void empty_shard(struct ull_live_shard *shard)
{
    if (shard->slots != NULL)
        ull_sys_munmap(shard->slots, shard->capacity * sizeof shard->slots[0]);
    if (shard->free_entries != NULL)
        ull_sys_munmap(shard->free_entries, shard->free_capacity * sizeof shard->free_entries[0]);
    memset(shard, 0, sizeof *shard);
    pthread_mutex_init(&shard->lock, NULL);
}

void ull_live_fini(struct ull_live *live)
{
    for (unsigned i = 0; i < ULL_LIVE_SHARDS; i++)
        empty_shard(&live->shards[i]);
    if (live->filter != &ull_live_first_filter.head)
        ull_sys_munmap(live->filter, sizeof *live->filter + live->filter->count);
    memset(ull_live_first_filter.slots, 0, sizeof ull_live_first_filter.slots);
    ull_live_init(live, NULL);
}

/* ---- the filter ---- */

static uint8_t *filter_slot(struct ull_live_filter *filter, uint64_t address)
{
    return (uint8_t *)(filter + 1) + ull_live_filter_index(filter, address);
}

/* A slot that reached FILTER_STICKY stays there: it no longer knows how many it stands for. */
static void filter_change(struct ull_live_filter *filter, uint64_t address, int by)
{
    uint8_t *slot = filter_slot(filter, address), seen = ull_load_relaxed(slot);
    while (seen != FILTER_STICKY && !(seen == 0 && by < 0)
        && !ull_cas_acq_rel(slot, &seen, (uint8_t)(seen + by))) {
    }
}

static void unlock_first(struct ull_live *live, unsigned count)
{
    while (count-- > 0)
        ull_unlock(&live->shards[count].lock);
}

/* False, and nothing is locked, where one could not be had. */
static bool lock_all(struct ull_live *live)
{
    for (unsigned i = 0; i < ULL_LIVE_SHARDS; i++) {
        if (!ull_lock(&live->shards[i].lock)) {
            unlock_first(live, i);
            return false;
        }
    }
    return true;
}

static void fill_filter(struct ull_live *live, struct ull_live_filter *filter)
{
    for (unsigned i = 0; i < ULL_LIVE_SHARDS; i++) {
        const struct ull_live_shard *shard = &live->shards[i];
        for (uint64_t at = 0; at < shard->capacity; at++)
            if (shard->slots[at].address != 0)
                filter_change(filter, shard->slots[at].address, 1);
    }
}

/* Before an insertion, no lock held. Without memory the old filter serves on, only less well. */
static void grow_filter(struct ull_live *live)
{
    if (ull_load_relaxed(&live->total) * FILTER_SLOTS_A_BUFFER <= ull_load_acquire(&live->filter)->count)
        return;
    if (!lock_all(live))
        return;
    struct ull_live_filter *old = live->filter;
    if (live->total * FILTER_SLOTS_A_BUFFER > old->count) {
        struct ull_live_filter *filter = ull_sys_map_books(sizeof *filter + (uint64_t)old->count * 4);
        if (filter != NULL) {
            filter->shift = old->shift - 2;
            filter->count = old->count * 4;
            fill_filter(live, filter);
            ull_store_release(&live->filter, filter);
        }
    }
    unlock_first(live, ULL_LIVE_SHARDS);
}

/* ---- a shard's slots ---- */

static uint64_t address_hash(uint64_t address)
{
    return ull_mix64(address >> 4);
}

static struct ull_live_shard *shard_of(struct ull_live *live, uint64_t address)
{
    return &live->shards[address_hash(address) >> 60];
}

/* The slot of @address, or the empty one where it would go. The shard is never full. */
static struct ull_live_buffer *probe(const struct ull_live_shard *shard, uint64_t address)
{
    uint64_t mask = shard->capacity - 1, at = address_hash(address) & mask;
    while (shard->slots[at].address != 0 && shard->slots[at].address != address)
        at = (at + 1) & mask;
    return &shard->slots[at];
}

static bool make_room(struct ull_live_shard *shard)
{
    if (shard->capacity != 0 && (shard->count + 1) * 4 <= shard->capacity * 3)
        return true;
    struct ull_live_shard grown = *shard;
    grown.capacity = shard->capacity == 0 ? FIRST_SLOTS : shard->capacity * 2;
    grown.slots = ull_sys_map_books(grown.capacity * sizeof grown.slots[0]);
    if (grown.slots == NULL)
        return false;
    for (uint64_t at = 0; at < shard->capacity; at++)
        if (shard->slots[at].address != 0)
            *probe(&grown, shard->slots[at].address) = shard->slots[at];
    if (shard->slots != NULL)
        ull_sys_munmap(shard->slots, shard->capacity * sizeof shard->slots[0]);
    shard->slots = grown.slots;
    shard->capacity = grown.capacity;
    return true;
}

/* Empties a slot and moves back what had been displaced past it. */
static void close_gap(struct ull_live_shard *shard, uint64_t gap)
{
    uint64_t mask = shard->capacity - 1;
    for (uint64_t at = (gap + 1) & mask; shard->slots[at].address != 0; at = (at + 1) & mask) {
        uint64_t home = address_hash(shard->slots[at].address) & mask;
        if (((at - home) & mask) >= ((at - gap) & mask)) {
            shard->slots[gap] = shard->slots[at];
            gap = at;
        }
    }
    shard->slots[gap].address = 0;
}

/* ---- entries in the ledger ---- */

static bool grow_free_entries(struct ull_live_shard *shard)
{
    uint64_t capacity = shard->free_capacity == 0 ? 1024 : shard->free_capacity * 2; /* one page at first */
    uint32_t *grown = ull_sys_map_books(capacity * sizeof grown[0]);
    if (grown == NULL)
        return false;
    if (shard->free_entries != NULL) {
        memcpy(grown, shard->free_entries, shard->free_count * sizeof grown[0]);
        ull_sys_munmap(shard->free_entries, shard->free_capacity * sizeof grown[0]);
    }
    shard->free_entries = grown;
    shard->free_capacity = capacity;
    return true;
}

static int64_t take_entry(struct ull_live *live, struct ull_live_shard *shard)
{
    if (live->ledger == NULL)
        return -1;
    if (shard->free_count > 0)
        return shard->free_entries[--shard->free_count];
    int64_t entry = ull_ledger_reserve(live->ledger, ULL_TABLE_LIVE, 1);
    if (entry < 0)
        ull_ledger_count(live->ledger, ULL_COUNTER_live_dropped_total, 1);
    return entry;
}

static void publish(struct ull_live *live, struct ull_live_shard *shard, struct ull_live_buffer *buffer)
{
    bool known_here = buffer->generation == ull_load_relaxed(&live->generation);
    buffer->entry = known_here ? take_entry(live, shard) : -1;
    if (buffer->entry < 0)
        return;
    struct ull_live_entry *entry = ull_ledger_at(live->ledger, ULL_TABLE_LIVE, (uint64_t)buffer->entry);
    ull_debug_check((entry->state & 1) == 0);
    ull_store_relaxed(&entry->address, buffer->address);
    ull_store_relaxed(&entry->bytes, buffer->bytes);
    ull_store_relaxed(&entry->site, buffer->site);
    ull_store_relaxed(&entry->flags, buffer->flags);
    ull_store_relaxed(&entry->weight, buffer->weight);
    ull_store_relaxed(&entry->tail_sum, buffer->tail_sum);
    ull_store_relaxed(&entry->stale_end, buffer->stale_end);
    ull_store_relaxed(&entry->stale_bytes, buffer->stale_bytes);
    ull_store_relaxed(&entry->born_monotonic_ns, buffer->born_monotonic_ns);
    ull_store_relaxed(&entry->read_monotonic_ns, UINT64_C(0));
    ull_store_release(&entry->state, entry->state + 1);
}

static void withdraw(struct ull_live *live, struct ull_live_shard *shard, struct ull_live_buffer *buffer)
{
    if (buffer->entry < 0 || live->ledger == NULL)
        return;
    struct ull_live_entry *entry = ull_ledger_at(live->ledger, ULL_TABLE_LIVE, (uint64_t)buffer->entry);
    /* The owner count goes up at each publishing: live(1) + 1 makes the next even number. */
    (void)ull_exchange_acq_rel(&entry->state, entry->state + 1); /* the next owner's fields come after it */
    if (shard->free_count < shard->free_capacity || grow_free_entries(shard))
        shard->free_entries[shard->free_count++] = (uint32_t)buffer->entry;
    buffer->entry = -1;
}

void ull_live_publish_reading(struct ull_live *live, struct ull_live_buffer *buffer, uint64_t used, uint64_t touched,
    uint64_t resident, uint64_t how)
{
    buffer->used_so_far = used = ull_max_u64(used, buffer->used_so_far);
    if (buffer->entry < 0 || live->ledger == NULL)
        return;
    struct ull_live_entry *entry = ull_ledger_at(live->ledger, ULL_TABLE_LIVE, (uint64_t)buffer->entry);
    ull_store_relaxed(&entry->used, used);
    ull_store_relaxed(&entry->touched, touched);
    ull_store_relaxed(&entry->resident, resident);
    ull_store_relaxed(&entry->how, how);
    ull_store_release(&entry->read_monotonic_ns, ull_sys_monotonic_ns());
}

void ull_live_publish_unknowable(struct ull_live *live, struct ull_live_buffer *buffer)
{
    buffer->flags &= ~(uint32_t)ULL_LIVE_MEASURABLE;
    if (buffer->entry < 0 || live->ledger == NULL)
        return;
    struct ull_live_entry *entry = ull_ledger_at(live->ledger, ULL_TABLE_LIVE, (uint64_t)buffer->entry);
    ull_store_relaxed(&entry->flags, buffer->flags);
}

/* ---- the calls ---- */

int ull_live_insert(
    struct ull_live *live, const struct ull_live_buffer *buffer, struct ull_live_buffer *replaced, bool *had_older)
{
    struct ull_live_shard *shard = shard_of(live, buffer->address);
    *had_older = false;
    grow_filter(live);
    if (!ull_lock(&shard->lock))
        return -EAGAIN;
    if (!make_room(shard)) {
        ull_unlock(&shard->lock);
        return -ENOMEM;
    }
    struct ull_live_buffer *slot = probe(shard, buffer->address);
    if (slot->address != 0) {
        withdraw(live, shard, slot);
        *replaced = *slot;
        *had_older = true;
    } else {
        shard->count++;
        ull_add_relaxed(&live->total, UINT64_C(1));
        filter_change(live->filter, buffer->address, 1);
    }
    *slot = *buffer;
    publish(live, shard, slot);
    ull_unlock(&shard->lock);
    return 0;
}

enum ull_live_found ull_live_remove(struct ull_live *live, uint64_t address, struct ull_live_buffer *out, bool wait)
{
    struct ull_live_shard *shard = shard_of(live, address);
    enum ull_live_found found = ULL_LIVE_ABSENT;
    if (wait ? !ull_lock(&shard->lock) : pthread_mutex_trylock(&shard->lock) != 0)
        return ULL_LIVE_BUSY;
    struct ull_live_buffer *slot = shard->capacity != 0 ? probe(shard, address) : NULL;
    if (slot != NULL && slot->address != 0) {
        withdraw(live, shard, slot);
        *out = *slot;
        close_gap(shard, (uint64_t)(slot - shard->slots));
        shard->count--;
        ull_sub_relaxed(&live->total, UINT64_C(1));
        filter_change(live->filter, address, -1);
        found = ULL_LIVE_REMOVED;
    }
    ull_unlock(&shard->lock);
    return found;
}

unsigned ull_live_visit(struct ull_live *live, uint64_t *cursor, unsigned limit,
    bool (*visit)(void *context, struct ull_live_buffer *buffer), void *context)
{
    unsigned visited = 0, rounds = 0;
    uint64_t shard_index = *cursor >> 32, slot = *cursor & UINT32_MAX;
    bool go_on = true;
    while (go_on && visited < limit && rounds <= ULL_LIVE_SHARDS) {
        struct ull_live_shard *shard = &live->shards[shard_index % ULL_LIVE_SHARDS];
        bool finished = true;
        if (pthread_mutex_trylock(&shard->lock) == 0) {
            for (; go_on && visited < limit && slot < shard->capacity; slot++) {
                if (shard->slots[slot].address == 0)
                    continue;
                visited++;
                go_on = visit(context, &shard->slots[slot]);
            }
            finished = slot >= shard->capacity;
            ull_unlock(&shard->lock);
        }
        if (finished) {
            shard_index = (shard_index + 1) % ULL_LIVE_SHARDS;
            slot = 0;
            rounds++;
        }
    }
    *cursor = shard_index << 32 | slot;
    return visited;
}

/* ---- fork ---- */

void ull_live_after_fork_child(struct ull_live *live)
{
    live->ledger = NULL;
    live->generation++;
    for (unsigned i = 0; i < ULL_LIVE_SHARDS; i++) {
        struct ull_live_shard *shard = &live->shards[i];
        if (pthread_mutex_trylock(&shard->lock) != 0) {
            ull_sub_relaxed(&live->total, ull_min_u64(shard->count, live->total));
            empty_shard(shard);
            continue;
        }
        pthread_mutex_init(&shard->lock, NULL);
        shard->free_count = 0;
        for (uint64_t at = 0; at < shard->capacity; at++)
            shard->slots[at].entry = -1;
    }
}

void ull_live_take_over(struct ull_live *live, struct ull_ledger *ledger,
    uint32_t (*map)(void *context, const struct ull_live_buffer *buffer), void *context)
{
    bool locked = lock_all(live);
    live->ledger = ledger;
    if (!locked)
        return; /* what was inherited stays unpublished */
    for (unsigned i = 0; i < ULL_LIVE_SHARDS; i++) {
        struct ull_live_shard *shard = &live->shards[i];
        for (uint64_t at = 0; at < shard->capacity; at++) {
            struct ull_live_buffer *buffer = &shard->slots[at];
            if (buffer->address == 0 || buffer->generation == live->generation)
                continue;
            buffer->site = map(context, buffer);
            buffer->flags |= ULL_LIVE_INHERITED;
            buffer->generation = live->generation;
            publish(live, shard, buffer);
        }
    }
    unlock_first(live, ULL_LIVE_SHARDS);
}
