/* SPDX-License-Identifier: BSD-2-Clause */
/* sites.c - the table of sites. Shared relaxed atomics: beside a page scan their cost is noise. */
#include "config.h"

#include "ledger/sites.h"

#include "base/arith.h"
#include "base/atomic.h"
#include "base/lock.h"

#include <string.h>

/* Keys that are remembered: past it a new stack is resolved each time. Our choice: 8 MiB of keys at the most. */
enum { KEYS_MAX = 1 << 18 };

void ull_sites_init(struct ull_sites *sites, struct ull_ledger *ledger)
{
    memset(sites, 0, sizeof *sites);
    sites->ledger = ledger;
    pthread_mutex_init(&sites->lock, NULL);
}

void ull_sites_fini(struct ull_sites *sites)
{
    ull_map64_fini(&sites->by_key);
    ull_map64_fini(&sites->by_id);
    pthread_mutex_destroy(&sites->lock);
}

bool ull_sites_find(const struct ull_sites *sites, uint64_t key, uint32_t *site)
{
    uint64_t value;
    if (!ull_map64_find(&sites->by_key, key, &value))
        return false;
    *site = (uint32_t)(value - 1);
    return true;
}

void ull_sites_forget_keys(struct ull_sites *sites)
{
    if (!ull_lock(&sites->lock))
        return;
    ull_map64_clear(&sites->by_key);
    ull_unlock(&sites->lock);
}

static struct ull_site_entry *site_at(const struct ull_sites *sites, uint32_t site)
{
    return ull_ledger_at(sites->ledger, ULL_TABLE_SITES, site);
}

/* Under the lock. */
static uint32_t make_site(struct ull_sites *sites, uint64_t id, enum ull_kind kind, uint64_t profile,
    const uint64_t *frames, uint32_t count)
{
    int64_t at = count > 0 ? ull_ledger_reserve(sites->ledger, ULL_TABLE_FRAMES, count) : 0;
    int64_t index = at >= 0 ? ull_ledger_reserve(sites->ledger, ULL_TABLE_SITES, 1) : -1;
    if (index < 0)
        return ULL_SITE_OTHER;
    if (count > 0)
        memcpy(ull_ledger_at(sites->ledger, ULL_TABLE_FRAMES, (uint64_t)at), frames, count * sizeof frames[0]);
    struct ull_site_entry *site = site_at(sites, (uint32_t)index);
    site->id = id;
    site->kind = kind;
    site->frame_count = count;
    site->frames = (uint64_t)at;
    site->profile = profile;
    ull_store_release(&site->ready, 1);
    return (uint32_t)index;
}

uint32_t ull_sites_add(
    struct ull_sites *sites, uint64_t key, uint64_t id, enum ull_kind kind, uint64_t profile, const uint64_t *frames,
    uint32_t count)
{
    uint64_t found; /* in the maps: 1 + index */
    if (!ull_lock(&sites->lock))
        return ULL_SITE_OTHER;
    if (!ull_map64_find(&sites->by_key, key, &found)) {
        if (!ull_map64_find(&sites->by_id, id, &found)) {
            found = UINT64_C(1) + make_site(sites, id, kind, profile, frames, count);
            if (found != 1 + ULL_SITE_OTHER)
                ull_map64_insert(&sites->by_id, id, found);
            else
                ull_ledger_count(sites->ledger, ULL_COUNTER_sites_dropped_total, 1);
        }
        /* Also for ULL_SITE_OTHER: a full table is not asked again for the same stack. */
        if (sites->by_key.count < KEYS_MAX)
            ull_map64_insert(&sites->by_key, key, found);
    }
    ull_unlock(&sites->lock);
    return (uint32_t)(found - 1);
}

/* Near overflow all counts are halved, so that shares stay true. */
void ull_histogram_add(struct ull_histogram *histogram, uint64_t bytes, uint32_t weight)
{
    const uint32_t half = UINT32_C(1) << 31;
    uint32_t *counts = histogram->counts;
    if (ull_add_relaxed(&counts[ull_bucket_of(bytes)], weight < half ? weight : half) < half - 1)
        return;
    for (unsigned i = 0; i < ULL_BUCKET_COUNT; i++) {
        uint32_t seen = ull_load_relaxed(&counts[i]);
        while (!ull_cas_acq_rel(&counts[i], &seen, seen - seen / 2)) { /* others may be halving too */
        }
    }
}

/* The same for small counts, one at a time. */
static void count_one(uint16_t *counts, unsigned count, unsigned at)
{
    const uint16_t half = 1 << 15;
    if (ull_add_relaxed(&counts[at], 1) < half - 1)
        return;
    for (unsigned i = 0; i < count; i++) {
        uint16_t seen = ull_load_relaxed(&counts[i]);
        while (!ull_cas_acq_rel(&counts[i], &seen, (uint16_t)(seen - seen / 2))) {
        }
    }
}

void ull_sites_count_allocation(struct ull_sites *sites, uint32_t index, uint64_t bytes, uint32_t weight)
{
    struct ull_site_entry *site = site_at(sites, index);
    uint64_t *counters = sites->ledger->header->counters, total = bytes * weight;
    ull_add_release(&site->allocations_count, (uint64_t)weight);
    ull_add_release(&site->allocations_bytes, total);
    ull_max_relaxed(&site->peak_bytes, ull_add_relaxed(&site->live_bytes, total) + total);
    ull_max_relaxed(&site->requested_max_bytes, bytes);
    ull_histogram_add(&site->requested, bytes, weight);
    ull_add_release(&counters[ULL_COUNTER_allocations_total], (uint64_t)weight);
    ull_add_release(&counters[ULL_COUNTER_requested_bytes_total], total);
    ull_max_relaxed(&counters[ULL_COUNTER_live_peak_bytes],
        ull_add_relaxed(&counters[ULL_COUNTER_live_bytes], total) + total);
}

void ull_sites_count_free(struct ull_sites *sites, uint32_t index, uint64_t bytes, uint32_t weight)
{
    struct ull_site_entry *site = site_at(sites, index);
    uint64_t *counters = sites->ledger->header->counters, total = bytes * weight;
    ull_sub_relaxed(&site->live_bytes, total);
    ull_sub_relaxed(&counters[ULL_COUNTER_live_bytes], total);
    ull_add_release(&site->frees_count, (uint64_t)weight);
    ull_add_release(&site->frees_bytes, total);
    ull_add_release(&counters[ULL_COUNTER_frees_total], (uint64_t)weight);
    ull_add_release(&counters[ULL_COUNTER_freed_bytes_total], total);
}

void ull_sites_count_added(struct ull_sites *sites, uint32_t index)
{
    struct ull_site_entry *site = site_at(sites, index);
    ull_add_release(&site->allocations_count, UINT64_C(1));
    ull_max_relaxed(&site->peak_bytes, ull_add_relaxed(&site->live_bytes, UINT64_C(1)) + 1);
}

void ull_sites_count_removed(struct ull_sites *sites, uint32_t index)
{
    struct ull_site_entry *site = site_at(sites, index);
    ull_sub_relaxed(&site->live_bytes, UINT64_C(1));
    ull_add_release(&site->frees_count, UINT64_C(1));
}

/* The use entry of a site, made at its first measured buffer; NULL when the table is full. */
static struct ull_use_entry *use_of(struct ull_sites *sites, struct ull_site_entry *site)
{
    uint64_t use = ull_load_acquire(&site->use);
    if (use == 0 && ull_lock(&sites->lock)) {
        use = site->use;
        if (use == 0) {
            int64_t index = ull_ledger_reserve(sites->ledger, ULL_TABLE_USES, 1);
            use = index >= 0 ? (uint64_t)index + 1 : 0;
            ull_store_release(&site->use, use);
        }
        ull_unlock(&sites->lock);
    }
    return use != 0 ? ull_ledger_at(sites->ledger, ULL_TABLE_USES, use - 1) : NULL;
}

static unsigned log2_ceiling(uint64_t bytes)
{
    return bytes <= 1 ? 0 : 64U - (unsigned)__builtin_clzll(bytes - 1);
}

void ull_sites_count_use(struct ull_sites *sites, uint32_t index, uint64_t requested, uint64_t used, uint64_t touched,
    uint64_t granularity, enum ull_precision precision)
{
    struct ull_use_entry *use = use_of(sites, site_at(sites, index));
    if (use == NULL)
        return;
    struct ull_population *population = &use->used[precision];
    /* Bytes before counts, and maxima before both: a reader never finds a count whose maximum is missing. */
    ull_max_relaxed(&population->used_max_bytes, used);
    ull_max_relaxed(&population->granularity_bytes, granularity);
    ull_min_nonzero_relaxed(&population->requested_min_bytes, requested);
    ull_add_relaxed(&population->requested_bytes, requested);
    ull_add_relaxed(&population->used_bytes, used);
    ull_add_relaxed(&population->shares[ull_share_of(used, requested)], UINT64_C(1));
    count_one(population->used.counts, ULL_BUCKET_COUNT, ull_bucket_of(used));
    ull_max_relaxed(&use->touched_max_bytes, touched);
    ull_add_relaxed(&use->touched_bytes, touched);
    ull_add_relaxed(&use->touched_shares[ull_share_of(touched, requested)], UINT64_C(1));
    unsigned buckets = sizeof use->touched_log2 / sizeof use->touched_log2[0], bucket = log2_ceiling(touched);
    count_one(use->touched_log2, buckets, bucket < buckets ? bucket : buckets - 1);
    ull_add_release(&use->touched_count, UINT64_C(1));
    ull_add_release(&population->count, UINT64_C(1));
}

const struct ull_use_entry *ull_sites_use(const struct ull_sites *sites, uint32_t index)
{
    uint64_t use = ull_load_acquire(&site_at(sites, index)->use);
    return use != 0 ? ull_ledger_at(sites->ledger, ULL_TABLE_USES, use - 1) : NULL;
}
