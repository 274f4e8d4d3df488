/* SPDX-License-Identifier: BSD-2-Clause */
/* test_pools.c - pools and budgets as reports tell them. */
#include "config.h"

#include "counted.h"

TestSuite(pools, .init = set_up, .fini = tear_down);

Test(pools, and_budgets_are_told)
{
    two_pools();
    struct ullage_snapshot *snapshot = take();
    json_t *report = json_of(snapshot);
    json_t *pools = json_object_get(report, "pools"), *budgets = json_object_get(report, "budgets");
    cr_assert_eq(json_array_size(pools), 2, "one is not ready");
    const json_t *pool = json_array_get(pools, 0), *gone = json_array_get(pools, 1);
    cr_assert_str_eq(json_string_value(json_object_get(pool, "name")), "requests", "those in use first");
    static const struct {
        const char *key;
        uint64_t value;
    } numbers[] = { { "object_bytes", 65536 }, { "gets_total", 12 }, { "puts_total", 10 }, { "made_total", 6 },
        { "unmade_total", 1 }, { "slab_bytes", 4 * MIB }, { "retained_bytes", 2 * MIB },
        { "retained_peak_bytes", 3 * MIB }, { "refused_total", 7 }, { "learned_bytes", 20480 } };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        cr_assert_eq(number_in(pool, numbers[i].key), (json_int_t)numbers[i].value, "%s", numbers[i].key);
    cr_assert_str_eq(json_string_value(json_object_get(pool, "budget")), "clients");
    cr_assert(json_is_false(json_object_get(pool, "destroyed")));
    cr_assert(json_is_true(json_object_get(gone, "destroyed")));
    cr_assert(json_is_null(json_object_get(gone, "budget")));
    cr_assert(json_is_null(json_object_get(gone, "learned_bytes")));
    const json_t *budget = json_array_get(budgets, 0), *unnamed = json_array_get(budgets, 1);
    cr_assert_str_eq(json_string_value(json_object_get(budget, "name")), "clients");
    cr_assert_eq(number_in(budget, "max_bytes"), (json_int_t)(64 * MIB));
    cr_assert_eq(number_in(budget, "used_bytes"), (json_int_t)(3 * MIB));
    cr_assert_eq(number_in(budget, "peak_bytes"), (json_int_t)(64 * MIB));
    cr_assert_eq(number_in(budget, "refused_total"), 5);
    cr_assert_eq(number_in(budget, "waits_total"), 2);
    cr_assert(json_is_null(json_object_get(unnamed, "name")));
    cr_assert(json_is_true(json_object_get(unnamed, "destroyed")));
    json_decref(report);
    ullage_snapshot_destroy(snapshot);
}

Test(pools, and_budgets_fit_their_lines)
{
    two_pools();
    struct ull_pool_entry *pool = ull_ledger_at(&ledger, ULL_TABLE_POOLS, 1), *more = add(ULL_TABLE_POOLS);
    *more = *pool;
    more->name = text_in_ledger("a-pool-whose-name-is-as-long-as-the-library-takes-it-sixty-three");
    more->slab_bytes = more->gets_count = more->refused_count = UINT64_MAX;
    struct ullage_snapshot *snapshot = take();
    const char *text = text_of(snapshot);
    cr_assert_not_null(strstr(text, "pool   requests: 2 out, 2.0 MiB idle (peak 3.0 MiB) of 4.0 MiB in slabs"), "%s", text);
    cr_assert_not_null(strstr(text, "learned 20 KiB, 7"), "%s", text);
    cr_assert_not_null(strstr(text, "budget clients: 3.0 MiB used (peak 64.0 MiB) of 64.0 MiB, 5 refused"), "%s", text);
    cr_assert_not_null(strstr(text, "budget (unnamed):"), "%s", text);
    cr_assert_not_null(strstr(text, "pool   a-pool-whose-name-is-as-long-as-the-library-take.."), "%s", text);
    ullage_snapshot_destroy(snapshot);
}

Test(pools, many_are_cut_at_top)
{
    for (int i = 0; i < 30; i++)
        *(struct ull_pool_entry *)add(ULL_TABLE_POOLS) = (struct ull_pool_entry) { .slab_bytes = 1, .ready = 1 };
    struct ullage_snapshot *snapshot = take();
    cr_assert_not_null(strstr(text_of(snapshot), "20 more pools"));
    ullage_snapshot_destroy(snapshot);
}

Test(pools, misuse_and_refusals_are_said)
{
    ledger.header->counters[ULL_COUNTER_pool_misuse_total] = 3;
    ledger.header->counters[ULL_COUNTER_pool_refused_total] = 4;
    struct ullage_snapshot *snapshot = take();
    cr_assert(warned(snapshot, "misused buffers 3 times"));
    cr_assert(warned(snapshot, "signal handlers asked for 4 buffers"));
    ullage_snapshot_destroy(snapshot);
}

Test(pools, that_point_outside_are_said)
{
    two_pools();
    struct ull_pool_entry *pool = ull_ledger_at(&ledger, ULL_TABLE_POOLS, 1);
    pool->name = UINT64_MAX;
    pool->budget = UINT64_MAX;
    pool->puts_count = UINT64_MAX;
    pool->unmade_count = UINT64_MAX;
    struct ull_budget_entry *budget = ull_ledger_at(&ledger, ULL_TABLE_BUDGETS, 1);
    budget->name = UINT64_C(1) << 30;
    struct ullage_snapshot *snapshot = take();
    cr_assert_null(snapshot->pools[0].name);
    cr_assert_null(snapshot->pools[0].budget);
    cr_assert_eq(snapshot->pools[0].puts, 12);
    cr_assert_eq(snapshot->pools[0].unmade, 6);
    cr_assert_null(snapshot->budgets[0].name);
    cr_assert(warned(snapshot, "3 entries point outside"));
    json_t *report = json_of(snapshot);
    cr_assert(json_is_null(json_object_get(json_array_get(json_object_get(report, "pools"), 0), "name")));
    json_decref(report);
    cr_assert_not_null(strstr(text_of(snapshot), "pool   (unnamed): 0 out"));
    ullage_snapshot_destroy(snapshot);
}
