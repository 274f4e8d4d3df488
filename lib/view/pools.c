/* SPDX-License-Identifier: BSD-2-Clause */
/* pools.c - pools and budgets as the ledger has them; an entry copied in order has its puts before its gets. */
#include "config.h"

#include "view/pools.h"

#include "base/arith.h"

#include <errno.h>
#include <stdlib.h>

/* Of a pool, a budget; ullage/pool.h. */
enum { NAME_BYTES = 64 };

/* The name of a budget, named by 1 + its index. NULL: it has none, or is not there. */
static const char *budget_name(struct ull_making *m, uint64_t budget)
{
    struct ull_budget_entry entry = { .ready = 0 };
    if (budget == 0)
        return NULL;
    const void *from = ull_file_entry(&m->file, ULL_TABLE_BUDGETS, budget - 1);
    if (from != NULL)
        ull_file_copy(&entry, from, sizeof entry);
    if (entry.ready != 1) {
        m->broken++;
        return NULL;
    }
    return ull_making_text(m, entry.name, NAME_BYTES);
}

static void copy_pool(struct ull_making *m, const struct ull_pool_entry *entry)
{
    struct ull_pool *pool = &m->snapshot->pools[m->snapshot->pool_count++];
    *pool = (struct ull_pool) { .name = ull_making_text(m, entry->name, NAME_BYTES),
        .budget = budget_name(m, entry->budget), .object_bytes = entry->object_bytes, .gets = entry->gets_count,
        .puts = ull_min_u64(entry->puts_count, entry->gets_count), .made = entry->made_count,
        .unmade = ull_min_u64(entry->unmade_count, entry->made_count), .slab_bytes = entry->slab_bytes,
        .retained_bytes = entry->retained_bytes,
        .retained_peak_bytes = ull_max_u64(entry->retained_peak_bytes, entry->retained_bytes),
        .refused = entry->refused_count, .learned_bytes = entry->learned_bytes, .destroyed = entry->destroyed != 0 };
}

static void copy_budget(struct ull_making *m, const struct ull_budget_entry *entry)
{
    struct ull_budget *budget = &m->snapshot->budgets[m->snapshot->budget_count++];
    *budget = (struct ull_budget) { .name = ull_making_text(m, entry->name, NAME_BYTES), .max_bytes = entry->max_bytes,
        .used_bytes = entry->used_bytes, .peak_bytes = ull_max_u64(entry->peak_bytes, entry->used_bytes),
        .refused = entry->refused_count, .waits = entry->waits_count, .destroyed = entry->destroyed != 0 };
}

static int by_slabs(const void *a, const void *b)
{
    const struct ull_pool *left = a, *right = b;
    if (left->destroyed != right->destroyed)
        return left->destroyed ? 1 : -1;
    if (left->slab_bytes != right->slab_bytes)
        return left->slab_bytes > right->slab_bytes ? -1 : 1;
    return left->gets > right->gets ? -1 : left->gets < right->gets;
}

static int by_peak(const void *a, const void *b)
{
    const struct ull_budget *left = a, *right = b;
    if (left->destroyed != right->destroyed)
        return left->destroyed ? 1 : -1;
    if (left->peak_bytes != right->peak_bytes)
        return left->peak_bytes > right->peak_bytes ? -1 : 1;
    return left->max_bytes > right->max_bytes ? -1 : left->max_bytes < right->max_bytes;
}

static void copy_pools(struct ull_making *m, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        struct ull_pool_entry entry = { .ready = 0 };
        const void *from = ull_file_entry(&m->file, ULL_TABLE_POOLS, i);
        if (from != NULL)
            ull_file_copy(&entry, from, sizeof entry);
        if (entry.ready == 1)
            copy_pool(m, &entry);
    }
    if (m->snapshot->pool_count > 1)
        qsort(m->snapshot->pools, m->snapshot->pool_count, sizeof m->snapshot->pools[0], by_slabs);
}

static void copy_budgets(struct ull_making *m, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        struct ull_budget_entry entry = { .ready = 0 };
        const void *from = ull_file_entry(&m->file, ULL_TABLE_BUDGETS, i);
        if (from != NULL)
            ull_file_copy(&entry, from, sizeof entry);
        if (entry.ready == 1)
            copy_budget(m, &entry);
    }
    if (m->snapshot->budget_count > 1)
        qsort(m->snapshot->budgets, m->snapshot->budget_count, sizeof m->snapshot->budgets[0], by_peak);
}

int ull_pools_copy(struct ull_making *m)
{
    struct ullage_snapshot *snapshot = m->snapshot;
    uint64_t pools = ull_file_count(&m->file, ULL_TABLE_POOLS), budgets = ull_file_count(&m->file, ULL_TABLE_BUDGETS);
    snapshot->pools = ull_arena_alloc(&snapshot->arena, pools + 1, sizeof snapshot->pools[0]);
    snapshot->budgets = ull_arena_alloc(&snapshot->arena, budgets + 1, sizeof snapshot->budgets[0]);
    if (snapshot->pools == NULL || snapshot->budgets == NULL)
        return -ENOMEM;
    copy_pools(m, pools);
    copy_budgets(m, budgets);
    return 0;
}
