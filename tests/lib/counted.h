/* SPDX-License-Identifier: BSD-2-Clause */
/* counted.h - a ledger with shards and pools in it, written by hand, and what the read side tells of it. */
#ifndef TESTS_COUNTED_H
#define TESTS_COUNTED_H

#include "ledger/sites.h"
#include "ledger/writer.h"
#include "scratch.h"
#include "ullage/export.h"
#include "view/snapshot.h"

#include <criterion/criterion.h>
#include <jansson.h>

#define MIB (UINT64_C(1) << 20)

static struct ull_ledger ledger;
static struct ull_sites sites;
static char error[ULLAGE_ERROR_BYTES];

static inline void set_up(void)
{
    struct ull_ledger_options options = { .min_bytes = 65536 };
    scratch_make();
    cr_assert_eq(ull_ledger_create(&ledger, &options), 0);
    ull_sites_init(&sites, &ledger);
}

static inline void tear_down(void)
{
    ull_sites_fini(&sites);
    ull_ledger_close(&ledger);
    scratch_remove();
}

/* ---- writing ---- */

static inline void *add(enum ull_table table)
{
    int64_t index = ull_ledger_reserve(&ledger, table, 1);
    cr_assert_geq(index, 0);
    return ull_ledger_at(&ledger, table, (uint64_t)index);
}

static inline uint64_t text_in_ledger(const char *text)
{
    return 1 + (uint64_t)ull_ledger_add_string(&ledger, text, (uint32_t)strlen(text));
}

static inline uint32_t make_site(uint64_t id, enum ull_kind kind)
{
    uint64_t frame = ull_frame_pack(ULL_FRAME_NO_MODULE, 0x1000 + id);
    return ull_sites_add(&sites, id, id, kind, 0, &frame, 1);
}

static inline struct ull_site_entry *entry_of(uint32_t site)
{
    return ull_ledger_at(&ledger, ULL_TABLE_SITES, site);
}

static inline struct ull_shard_entry *make_shard(uint32_t site)
{
    struct ull_shard_entry *shard = add(ULL_TABLE_SHARDS);
    shard->site = site;
    shard->owner = 1;
    shard->requested_min_bytes = UINT64_MAX;
    shard->ready = 1;
    return shard;
}

static inline void get(struct ull_shard_entry *shard, uint64_t count, uint64_t bytes)
{
    uint64_t most = shard->requested_min_bytes == UINT64_MAX ? bytes
        : shard->requested_min_bytes + shard->requested_span_bytes;
    most = bytes > most ? bytes : most;
    if (bytes < shard->requested_min_bytes)
        shard->requested_min_bytes = bytes;
    shard->requested_span_bytes = most - shard->requested_min_bytes;
    shard->requested_bytes += count * bytes;
    shard->requested[ull_bucket_of(bytes)] += count;
}

static inline void put(struct ull_shard_entry *shard, uint64_t count, uint64_t bytes, uint64_t used)
{
    shard->freed_bytes += count * bytes;
    shard->used_bytes += count * used;
    shard->used_max_bytes = used > shard->used_max_bytes ? used : shard->used_max_bytes;
    shard->shares[ull_share_of(used, bytes)] += count;
    shard->used[ull_bucket_of(used)] += count;
}

static inline void put_unknown(struct ull_shard_entry *shard, uint64_t count, uint64_t bytes)
{
    shard->freed_bytes += count * bytes;
    shard->unknown_bytes += count * bytes;
    shard->unknown_count += count;
}

/* ---- reading ---- */

static inline struct ullage_snapshot *take(void)
{
    struct ullage_snapshot *snapshot = NULL;
    struct ullage_snapshot_options options = ULLAGE_SNAPSHOT_OPTIONS_INIT;
    options.no_measuring = true;
    int result = ullage_snapshot_take(&snapshot, ledger.path, &options, error);
    cr_assert_eq(result, 0, "%d %s", result, error);
    return snapshot;
}

static inline const struct ull_site *site_with(const struct ullage_snapshot *snapshot, uint64_t id)
{
    size_t i = 0;
    while (i < snapshot->site_count && snapshot->sites[i].id != id)
        i++;
    cr_assert_lt(i, snapshot->site_count, "site %lu is not in the snapshot", id);
    return &snapshot->sites[i];
}

static inline bool warned(const struct ullage_snapshot *snapshot, const char *of)
{
    for (size_t i = 0; i < snapshot->warning_count; i++)
        if (strstr(snapshot->warnings[i], of) != NULL)
            return true;
    return false;
}

struct text {
    char bytes[65536];
    size_t count;
};

static inline int collect(void *context, const void *bytes, size_t count)
{
    struct text *text = context;
    cr_assert_lt(count, sizeof text->bytes - text->count);
    memcpy(text->bytes + text->count, bytes, count);
    text->count += count;
    text->bytes[text->count] = '\0';
    return 0;
}

static inline json_t *json_of(const struct ullage_snapshot *snapshot)
{
    static struct text text;
    struct ullage_sink sink = { collect, &text };
    json_error_t problem;
    text.count = 0;
    cr_assert_eq(ullage_export_json(snapshot, &sink, 0), 0);
    json_t *report = json_loads(text.bytes, 0, &problem);
    cr_assert_not_null(report, "%s", problem.text);
    return report;
}

static inline const char *text_of(const struct ullage_snapshot *snapshot)
{
    static struct text text;
    struct ullage_sink sink = { collect, &text };
    text.count = 0;
    cr_assert_eq(ullage_export_text(snapshot, &sink, NULL), 0);
    unsigned width = 0;
    for (const char *at = text.bytes; *at != '\0'; at++) {
        width = *at == '\n' ? 0 : width + ((*at & 0xc0) != 0x80);
        cr_assert_leq(width, 80, "%s", text.bytes);
    }
    return text.bytes;
}

static inline json_int_t number_in(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    cr_assert(json_is_integer(value), "%s", key);
    return json_integer_value(value);
}

/* One in use, with a budget; and one of each that is gone. */
static inline void two_pools(void)
{
    struct ull_budget_entry *unnamed = add(ULL_TABLE_BUDGETS), *budget = add(ULL_TABLE_BUDGETS);
    *budget = (struct ull_budget_entry) { .name = text_in_ledger("clients"), .max_bytes = 64 * MIB,
        .used_bytes = 3 * MIB, .peak_bytes = 64 * MIB, .refused_count = 5, .waits_count = 2, .ready = 1 };
    *unnamed = (struct ull_budget_entry) { .max_bytes = MIB, .destroyed = 1, .ready = 1 };
    struct ull_pool_entry *gone = add(ULL_TABLE_POOLS), *pool = add(ULL_TABLE_POOLS), *unready = add(ULL_TABLE_POOLS);
    *gone = (struct ull_pool_entry) { .name = text_in_ledger("gone"), .slab_bytes = 99 * MIB, .destroyed = 1, .ready = 1 };
    *pool = (struct ull_pool_entry) { .name = text_in_ledger("requests"), .object_bytes = 65536, .gets_count = 12,
        .puts_count = 10, .made_count = 6, .unmade_count = 1, .slab_bytes = 4 * MIB, .retained_bytes = 2 * MIB,
        .retained_peak_bytes = 3 * MIB, .refused_count = 7, .learned_bytes = 20480, .budget = 2, .ready = 1 };
    unready->gets_count = 1;
}

#endif
