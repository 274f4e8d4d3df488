/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * shards.c - the counts of single threads, brought together.
 *
 * One thread may get a buffer and another put it: only the sum over all shards is true. So there are two passes: the
 * frees of all shards, then the sites, then the allocations of all shards, also of those that came meanwhile. What the
 * first pass finds freed was allocated before, so the second finds it allocated.
 *
 * A shard of a running process whose site is not in the copy is newer than that, and left out with all its counts.
 * Every number here may be anything: sums saturate, and whoever has taken both parts settles them (snapshot.c).
 */
#include "config.h"

#include "view/shards.h"

#include "base/arith.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum {
    FREES_BYTES = offsetof(struct ull_shard_entry, requested_bytes),
    ALLOCATIONS_BYTES = sizeof(struct ull_shard_entry) - FREES_BYTES,
};

int ull_shards_take_frees(struct ull_making *m)
{
    uint64_t count = ull_file_count(&m->file, ULL_TABLE_SHARDS);
    m->shards = calloc(count + 1, sizeof m->shards[0]);
    if (m->shards == NULL)
        return -ENOMEM;
    m->shard_count = count;
    for (uint64_t i = 0; i < count; i++) {
        const void *from = ull_file_entry(&m->file, ULL_TABLE_SHARDS, i);
        if (from != NULL)
            ull_file_copy(&m->shards[i], from, FREES_BYTES);
        if (m->shards[i].ready != 1)
            memset(&m->shards[i], 0, sizeof m->shards[i]); /* being made: its first free is yet to come */
    }
    return 0;
}

static uint64_t sum_of(const uint64_t *counts, unsigned count)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < count; i++)
        ull_saturating_add(&sum, counts[i]);
    return sum;
}

/* Use as the program declared it is exact to a byte. What was freed without a word is not known, like what lives. */
static void add_known(struct ull_site *site, const struct ull_shard_entry *shard, uint64_t told)
{
    struct ull_known *known = &site->known[ULL_EXACT];
    uint64_t requested = ull_minus_clamped(shard->freed_bytes, shard->unknown_bytes);
    if (told == 0)
        return;
    ull_saturating_add(&site->declared_count, told);
    ull_saturating_add(&known->count, told);
    ull_saturating_add(&known->requested_bytes, requested);
    ull_saturating_add(&known->used_bytes, ull_min_u64(shard->used_bytes, requested));
    known->used_max_bytes = ull_max_u64(known->used_max_bytes, shard->used_max_bytes);
    known->granularity_bytes = ull_max_u64(known->granularity_bytes, 1);
    uint64_t shares[ULL_SHARE_COUNT];
    ull_shard_shares(shard, shares);
    for (unsigned i = 0; i < ULL_SHARE_COUNT; i++)
        ull_saturating_add(&known->shares[i], shares[i]);
    for (unsigned i = 0; i < ULL_BUCKET_COUNT; i++)
        ull_saturating_add(&known->used[i], shard->used[i]);
}

static void add_frees(struct ull_making *m, struct ull_site *site, const struct ull_shard_entry *shard)
{
    uint64_t told = sum_of(shard->used, ULL_BUCKET_COUNT), frees = told;
    ull_saturating_add(&frees, shard->unknown_count);
    ull_saturating_add(&site->frees, frees);
    ull_saturating_add(&m->snapshot->totals.frees, frees);
    ull_saturating_add(&site->freed_bytes, shard->freed_bytes);
    ull_saturating_add(&m->freed_bytes, shard->freed_bytes);
    add_known(site, shard, told);
}

/* The smallest request bounds what a put told of, too: the thread that put it may not be the one that asked. */
static void add_range(struct ull_site *site, const struct ull_shard_entry *shard)
{
    struct ull_known *known = &site->known[ULL_EXACT];
    uint64_t least = shard->requested_min_bytes, most = least;
    if (least == UINT64_MAX)
        return;
    ull_saturating_add(&most, shard->requested_span_bytes);
    site->requested_max = ull_max_u64(site->requested_max, most);
    least = ull_max_u64(least, 1); /* ullage_malloc(0); 0 stands for none */
    if (known->requested_min_bytes == 0 || least < known->requested_min_bytes)
        known->requested_min_bytes = least;
}

static void add_allocations(struct ull_making *m, struct ull_site *site, const struct ull_shard_entry *shard)
{
    uint64_t allocations = sum_of(shard->requested, ULL_BUCKET_COUNT);
    ull_saturating_add(&site->allocations, allocations);
    ull_saturating_add(&m->snapshot->totals.allocations, allocations);
    ull_saturating_add(&site->requested_total, shard->requested_bytes);
    ull_saturating_add(&m->snapshot->totals.requested_total, shard->requested_bytes);
    if (allocations > 0)
        add_range(site, shard);
    uint64_t above = shard->high_bytes - shard->folded_bytes;
    if ((int64_t)above > 0) {
        site->shards_above = ull_max_u64(site->shards_above, above);
        m->shards_above = ull_max_u64(m->shards_above, above);
    }
}

void ull_shards_add(struct ull_making *m)
{
    uint64_t count = ull_file_count(&m->file, ULL_TABLE_SHARDS);
    for (uint64_t i = 0; i < count; i++) {
        struct ull_shard_entry shard = { .ready = 0 };
        const unsigned char *from = ull_file_entry(&m->file, ULL_TABLE_SHARDS, i);
        if (from != NULL)
            ull_file_copy(&shard, from, offsetof(struct ull_shard_entry, freed_bytes));
        if (shard.ready != 1)
            continue;
        ull_file_copy(&shard.requested_bytes, from + FREES_BYTES, ALLOCATIONS_BYTES);
        struct ull_site *site = ull_making_site(m, shard.site);
        if (site == NULL) {
            m->broken += m->process.state != ULLAGE_STATE_LIVE;
            continue;
        }
        if (i < m->shard_count)
            add_frees(m, site, &m->shards[i]);
        add_allocations(m, site, &shard);
    }
}

uint64_t ull_shards_peak(uint64_t counted, uint64_t above, uint64_t total)
{
    int64_t sum;
    if (__builtin_add_overflow((int64_t)counted, (int64_t)above, &sum))
        return total;
    return sum > 0 ? ull_min_u64((uint64_t)sum, total) : 0;
}

void ull_shards_fini(struct ull_making *m)
{
    free(m->shards);
    m->shards = NULL;
}
