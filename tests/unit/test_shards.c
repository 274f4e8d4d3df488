/* SPDX-License-Identifier: BSD-2-Clause */
/* test_shards.c - what threads counted of pools and buffers: sums, peaks, verdicts, names, and hostile ones. */
#include "config.h"

#include "counted.h"
#include "view/shards.h"

TestSuite(shards, .init = set_up, .fini = tear_down);

/* ---- sums ---- */

/* One thread gets and another puts: ten of 1 MiB, eight of them come back used to 4 KiB at most, one without a word. */
static uint32_t ten_buffers(void)
{
    uint32_t site = make_site(7, ULL_KIND_BUFFER);
    struct ull_shard_entry *gets = make_shard(site), *puts = make_shard(site);
    get(gets, 10, MIB);
    put(puts, 7, MIB, 1000);
    put(puts, 1, MIB, 4096);
    put_unknown(puts, 1, MIB);
    return site;
}

Test(shards, of_all_threads_make_the_site)
{
    ten_buffers();
    struct ullage_snapshot *snapshot = take();
    const struct ull_site *site = site_with(snapshot, 7);
    cr_assert_eq(site->allocations, 10);
    cr_assert_eq(site->frees, 9);
    cr_assert_eq(site->live_count, 1);
    cr_assert_eq(site->requested_total, 10 * MIB);
    cr_assert_eq(site->requested_live, MIB);
    cr_assert_eq(site->requested_max, MIB);
    const struct ull_known *known = &site->deciding;
    cr_assert_eq(known->count, 8);
    cr_assert_eq(known->requested_bytes, 8 * MIB);
    cr_assert_eq(known->requested_min_bytes, MIB);
    cr_assert_eq(known->used_bytes, 7 * 1000 + 4096);
    cr_assert_eq(known->used_max_bytes, 4096);
    cr_assert_eq(known->granularity_bytes, 1);
    cr_assert_eq(site->used_p50, 1024);
    cr_assert_eq(site->ullage_total, 8 * MIB - 11096);
    cr_assert_eq(snapshot->totals.allocations, 10);
    cr_assert_eq(snapshot->totals.frees, 9);
    cr_assert_eq(snapshot->totals.requested_total, 10 * MIB);
    cr_assert_eq(snapshot->totals.requested_live, MIB);
    ullage_snapshot_destroy(snapshot);
}

Test(shards, add_to_what_the_site_counted_itself)
{
    uint32_t site = ten_buffers();
    ull_sites_count_allocation(&sites, site, 2 * MIB, 3);
    ull_sites_count_free(&sites, site, MIB, 1); /* the tenth, by a thread that has no shard */
    struct ullage_snapshot *snapshot = take();
    const struct ull_site *found = site_with(snapshot, 7);
    cr_assert_eq(found->allocations, 13);
    cr_assert_eq(found->frees, 10);
    cr_assert_eq(found->requested_live, 6 * MIB);
    cr_assert_eq(found->requested_max, 2 * MIB);
    cr_assert_eq(snapshot->totals.allocations, 13);
    cr_assert_eq(snapshot->totals.frees, 10);
    cr_assert_eq(snapshot->totals.requested_live, 6 * MIB);
    ullage_snapshot_destroy(snapshot);
}

Test(shards, free_of_a_shard_s_buffer_counts_also_where_the_site_allocated_none)
{
    uint32_t site = make_site(7, ULL_KIND_BUFFER);
    get(make_shard(site), 4, MIB);
    ull_sites_count_free(&sites, site, MIB, 3);
    struct ullage_snapshot *snapshot = take();
    cr_assert_eq(site_with(snapshot, 7)->frees, 3);
    cr_assert_eq(site_with(snapshot, 7)->live_count, 1);
    ullage_snapshot_destroy(snapshot);
}

Test(shards, peak_is_what_was_told_and_what_one_of_them_had_not_told_yet)
{
    uint32_t site = make_site(7, ULL_KIND_POOL);
    struct ull_shard_entry *one = make_shard(site), *other = make_shard(site);
    uint64_t *counters = ledger.header->counters;
    get(one, 10, MIB);
    put(one, 10, MIB, 100);
    entry_of(site)->live_bytes = counters[ULL_COUNTER_live_bytes] = 3 * MIB;
    entry_of(site)->peak_bytes = counters[ULL_COUNTER_live_peak_bytes] = 4 * MIB;
    one->folded_bytes = 3 * MIB;
    one->high_bytes = 8 * MIB; /* 3 MiB were told, then 5 MiB more */
    other->folded_bytes = (uint64_t)0 - 2 * MIB; /* it puts what others get */
    other->high_bytes = (uint64_t)0 - MIB;
    struct ull_shard_entry *torn = make_shard(site); /* read while it told of something */
    torn->folded_bytes = MIB;
    struct ullage_snapshot *snapshot = take();
    cr_assert_eq(site_with(snapshot, 7)->requested_peak, 8 * MIB);
    cr_assert_eq(snapshot->totals.requested_peak, 8 * MIB);
    ullage_snapshot_destroy(snapshot);
    entry_of(site)->peak_bytes = counters[ULL_COUNTER_live_peak_bytes] = 9 * MIB;
    snapshot = take();
    cr_assert_eq(site_with(snapshot, 7)->requested_peak, 9 * MIB, "what was told stands");
    ullage_snapshot_destroy(snapshot);
    one->high_bytes = 3 * MIB;
    entry_of(site)->live_bytes = (uint64_t)0 - MIB; /* a put was told before its get */
    entry_of(site)->peak_bytes = 0;
    snapshot = take();
    cr_assert_eq(site_with(snapshot, 7)->requested_peak, 0);
    ullage_snapshot_destroy(snapshot);
}

Test(shards, peak_stays_within_what_was_requested)
{
    cr_assert_eq(ull_shards_peak(5, 3, 100), 8);
    cr_assert_eq(ull_shards_peak(5, 3, 7), 7);
    cr_assert_eq(ull_shards_peak((uint64_t)-5, 3, 100), 0);
    cr_assert_eq(ull_shards_peak((uint64_t)-5, 8, 100), 3);
    cr_assert_eq(ull_shards_peak(INT64_MAX, INT64_MAX, 100), 100);
}

/* Between the passes a buffer is got and put, by a thread that was not there before. */
Test(shards, what_is_freed_was_allocated_also_when_it_came_between_the_passes)
{
    struct ullage_snapshot snapshot = { .pid = 0 };
    struct ull_making m = { .snapshot = &snapshot };
    struct ull_shard_entry *old = make_shard(ULL_SITE_OTHER);
    struct ull_shard_entry *beginning = make_shard(ULL_SITE_OTHER);
    get(old, 2, MIB);
    put(old, 1, MIB, 10);
    beginning->ready = 0;
    put(beginning, 1, MIB, 10);
    cr_assert_eq(ull_file_open(&m.file, ledger.path, error), 0);
    cr_assert_eq(ull_shards_take_frees(&m), 0);
    struct ull_shard_entry *fresh = make_shard(ULL_SITE_OTHER);
    get(fresh, 3, MIB);
    put(old, 4, MIB, 10);
    put(fresh, 1, MIB, 10);
    beginning->ready = 1;
    ull_file_refresh(&m.file);
    ull_shards_add(&m);
    cr_assert_eq(snapshot.other.frees, 1, "as of the first pass");
    cr_assert_eq(snapshot.other.allocations, 5, "as of the second");
    ull_shards_fini(&m);
    ull_file_close(&m.file);
}

/* ---- verdicts ---- */

Test(shards, declared_use_is_judged_to_the_byte)
{
    ten_buffers();
    entry_of(1)->peak_bytes = 10 * MIB;
    struct ullage_snapshot *snapshot = take();
    const struct ull_site *site = site_with(snapshot, 7);
    cr_assert_eq(site->used_is, ULL_USED_DECLARED);
    cr_assert_eq(site->used_age_ns, 0);
    cr_assert_eq(site->flag, ULL_FLAG_OVERSIZED, "one that is out does not hinder: nine came back");
    cr_assert_eq(site->suggested, 4096);
    json_t *report = json_of(snapshot), *found = json_array_get(json_object_get(report, "sites"), 0);
    cr_assert_str_eq(json_string_value(json_object_get(found, "used_is")), "declared");
    cr_assert_str_eq(json_string_value(json_object_get(found, "kind")), "buffer");
    cr_assert_eq(number_in(found, "used_age_ns"), 0);
    cr_assert_eq(number_in(found, "used_granularity_bytes"), 1);
    cr_assert_eq(number_in(found, "requested_known_bytes"), (json_int_t)(8 * MIB));
    cr_assert(json_is_null(json_object_get(found, "ullage_live_bytes")), "what is out is not known yet");
    cr_assert(json_is_null(json_object_get(found, "resident_live_bytes")));
    cr_assert(json_is_null(json_object_get(found, "touched_max_bytes")));
    json_decref(report);
    const char *text = text_of(snapshot);
    cr_assert_not_null(strstr(text, "[8 of 10 declared]"), "%s", text);
    cr_assert_null(strstr(text, "Measured by"), "%s", text);
    cr_assert_not_null(strstr(text, "as the program declared it"), "%s", text);
    ullage_snapshot_destroy(snapshot);
}

Test(shards, none_that_came_back_is_a_use_that_nobody_knows)
{
    struct ull_shard_entry *shard = make_shard(make_site(7, ULL_KIND_POOL));
    get(shard, 100, MIB);
    put_unknown(shard, 50, MIB);
    struct ullage_snapshot *snapshot = take();
    const struct ull_site *site = site_with(snapshot, 7);
    cr_assert_eq(site->used_is, ULL_USED_UNKNOWN);
    cr_assert_eq(site->flag, ULL_FLAG_NONE);
    cr_assert_eq(site->live_count, 50);
    json_t *report = json_of(snapshot), *found = json_array_get(json_object_get(report, "sites"), 0);
    cr_assert(json_is_null(json_object_get(found, "used_max_bytes")));
    cr_assert(json_is_null(json_object_get(found, "used_age_ns")));
    cr_assert(json_is_null(json_object_get(found, "ullage_peak_bytes")));
    json_decref(report);
    ullage_snapshot_destroy(snapshot);
}

Test(shards, more_out_than_came_back_may_need_all)
{
    uint32_t site = make_site(7, ULL_KIND_POOL);
    struct ull_shard_entry *shard = make_shard(site);
    entry_of(site)->peak_bytes = 20 * MIB;
    get(shard, 20, MIB);
    put(shard, 9, MIB, 5000);
    struct ullage_snapshot *snapshot = take();
    cr_assert_eq(site_with(snapshot, 7)->flag, ULL_FLAG_START_SMALL);
    ullage_snapshot_destroy(snapshot);
    put(shard, 1, MIB, 5000);
    snapshot = take();
    cr_assert_eq(site_with(snapshot, 7)->flag, ULL_FLAG_OVERSIZED);
    ullage_snapshot_destroy(snapshot);
}

Test(shards, request_of_nothing_is_the_smallest_of_all)
{
    struct ull_shard_entry *shard = make_shard(make_site(7, ULL_KIND_MALLOC));
    get(shard, 20, 16 * MIB);
    get(shard, 1, 0);
    put(shard, 20, 16 * MIB, 100);
    struct ullage_snapshot *snapshot = take();
    cr_assert_eq(site_with(snapshot, 7)->deciding.requested_min_bytes, 1);
    cr_assert_eq(site_with(snapshot, 7)->requested_max, 16 * MIB);
    cr_assert_eq(site_with(snapshot, 7)->flag, ULL_FLAG_NONE);
    ullage_snapshot_destroy(snapshot);
}

/* ---- names ---- */

Test(shards, place_is_named_by_the_source)
{
    struct ull_site_entry *entry = entry_of(ten_buffers());
    entry->file = text_in_ledger("src/requests.c");
    entry->function = text_in_ledger("read_\x1b[31mrequest");
    entry->line = 123;
    entry->peak_bytes = 10 * MIB;
    entry->learned_bytes = 20480;
    entry->regrows_count = 3;
    struct ullage_snapshot *snapshot = take();
    json_t *report = json_of(snapshot), *found = json_array_get(json_object_get(report, "sites"), 0);
    cr_assert_str_eq(json_string_value(json_object_get(found, "function")), "read_\xef\xbf\xbd[31mrequest");
    cr_assert_str_eq(json_string_value(json_object_get(found, "file")), "src/requests.c");
    cr_assert_eq(number_in(found, "line"), 123);
    cr_assert_eq(number_in(found, "learned_bytes"), 20480);
    cr_assert_eq(number_in(found, "regrows_total"), 3);
    const json_t *stack = json_object_get(found, "stack");
    cr_assert_eq(json_array_size(stack), 1);
    cr_assert_str_eq(json_string_value(json_object_get(json_array_get(stack, 0), "address")), "0x1007");
    json_decref(report);
    cr_assert_not_null(strstr(text_of(snapshot), "(requests.c:123)"));
    ullage_snapshot_destroy(snapshot);
}

Test(shards, place_without_a_stack_has_its_name_still)
{
    uint32_t site = ull_sites_add(&sites, 9, 9, ULL_KIND_POOL, 0, NULL, 0);
    entry_of(site)->function = text_in_ledger("start");
    make_site(10, ULL_KIND_MALLOC);
    struct ullage_snapshot *snapshot = take();
    cr_assert_eq(site_with(snapshot, 9)->frame_count, 0);
    cr_assert_str_eq(site_with(snapshot, 9)->place->function, "start");
    json_t *report = json_of(snapshot);
    json_t *found = json_object_get(report, "sites");
    for (size_t i = 0; i < json_array_size(found); i++)
        if (strcmp(json_string_value(json_object_get(json_array_get(found, i), "kind")), "malloc") == 0)
            cr_assert(json_is_null(json_object_get(json_array_get(found, i), "regrows_total")), "malloc learns nothing");
    json_decref(report);
    ullage_snapshot_destroy(snapshot);
}

Test(shards, names_outside_the_file_are_said_and_left_out)
{
    struct ull_site_entry *entry = entry_of(ten_buffers());
    entry->file = UINT64_MAX;
    entry->function = UINT64_C(1) << 40;
    entry->line = 5;
    ull_sites_add(&sites, 8, 8, ULL_KIND_PROFILE, UINT64_MAX, NULL, 0);
    struct ullage_snapshot *snapshot = take();
    const struct ull_site *site = site_with(snapshot, 7);
    cr_assert_null(site->place->function);
    cr_assert_null(site->place->file);
    cr_assert_eq(site->place->line, 0);
    cr_assert(warned(snapshot, "3 entries point outside"));
    ullage_snapshot_destroy(snapshot);
}

Test(shards, name_without_an_end_is_cut)
{
    char *strings = ull_ledger_at(&ledger, ULL_TABLE_STRINGS, 0);
    memset(strings, 'x', 4096);
    entry_of(ten_buffers())->function = 1;
    struct ullage_snapshot *snapshot = take();
    cr_assert_eq(strlen(site_with(snapshot, 7)->place->function), 256);
    ullage_snapshot_destroy(snapshot);
}

/* ---- hostile ---- */

Test(shards, of_no_site_are_left_out_and_said_of_a_dead_process)
{
    ten_buffers();
    get(make_shard(2), 5, MIB);
    get(make_shard(UINT32_MAX), 5, MIB);
    struct ullage_snapshot *snapshot = take();
    cr_assert_eq(snapshot->totals.allocations, 10);
    cr_assert_eq(snapshot->warning_count, 0, "of a live process they are newer than the copy: %s", snapshot->warnings[0]);
    ullage_snapshot_destroy(snapshot);
    ull_ledger_mark_ended(&ledger, 0);
    snapshot = take();
    cr_assert_eq(snapshot->totals.allocations, 10);
    cr_assert(warned(snapshot, "2 entries point outside"));
    ullage_snapshot_destroy(snapshot);
}

Test(shards, of_a_live_profile_s_site_are_left_out)
{
    get(make_shard(make_site(7, ULL_KIND_PROFILE)), 5, MIB);
    struct ullage_snapshot *snapshot = take();
    cr_assert_eq(snapshot->totals.allocations, 0);
    ullage_snapshot_destroy(snapshot);
}

Test(shards, that_are_not_ready_do_not_count)
{
    uint32_t site = ten_buffers();
    struct ull_shard_entry *unready = make_shard(site), *strange = make_shard(site);
    get(unready, 5, MIB);
    put(unready, 5, MIB, MIB);
    *strange = *unready;
    unready->ready = 0;
    strange->ready = 2;
    struct ullage_snapshot *snapshot = take();
    cr_assert_eq(site_with(snapshot, 7)->allocations, 10);
    cr_assert_eq(site_with(snapshot, 7)->frees, 9);
    cr_assert_eq(site_with(snapshot, 7)->deciding.used_max_bytes, 4096);
    ullage_snapshot_destroy(snapshot);
}

Test(shards, huge_counts_stay_at_the_top)
{
    uint32_t site = make_site(7, ULL_KIND_BUFFER);
    for (int i = 0; i < 2; i++) {
        struct ull_shard_entry *shard = make_shard(site);
        uint32_t index = shard->site;
        memset(shard, 0xff, sizeof *shard);
        shard->site = index;
        shard->ready = 1;
        shard->requested_min_bytes = MIB;
        shard->unknown_bytes = 0;
        shard->high_bytes = INT64_MAX;
        shard->folded_bytes = 0;
    }
    entry_of(site)->live_bytes = INT64_MAX;
    struct ullage_snapshot *snapshot = take();
    const struct ull_site *found = site_with(snapshot, 7);
    cr_assert_eq(found->allocations, UINT64_MAX);
    cr_assert_eq(found->frees, UINT64_MAX);
    cr_assert_eq(found->live_count, 0);
    cr_assert_eq(found->requested_max, UINT64_MAX);
    cr_assert_eq(found->requested_live, 0);
    cr_assert_eq(found->deciding.count, UINT64_MAX);
    cr_assert_leq(found->deciding.used_bytes, found->deciding.requested_bytes);
    cr_assert_leq(found->ullage_peak, found->requested_peak);
    cr_assert_eq(snapshot->totals.allocations, UINT64_MAX);
    cr_assert_eq(snapshot->totals.requested_live, 0);
    json_decref(json_of(snapshot));
    text_of(snapshot);
    ullage_snapshot_destroy(snapshot);
}

Test(shards, more_frees_than_allocations_are_none)
{
    struct ull_shard_entry *shard = make_shard(make_site(7, ULL_KIND_BUFFER));
    get(shard, 1, MIB);
    put(shard, 5, MIB, 100);
    shard->unknown_bytes = UINT64_MAX;
    struct ullage_snapshot *snapshot = take();
    const struct ull_site *found = site_with(snapshot, 7);
    cr_assert_eq(found->frees, 1);
    cr_assert_eq(found->live_count, 0);
    cr_assert_eq(found->requested_live, 0);
    cr_assert_eq(found->deciding.requested_bytes, 0);
    cr_assert_eq(found->deciding.used_bytes, 0);
    cr_assert_eq(snapshot->totals.frees, 1);
    ullage_snapshot_destroy(snapshot);
}

Test(shards, of_a_cut_file_are_those_that_are_whole)
{
    uint32_t site = make_site(7, ULL_KIND_BUFFER);
    for (int i = 0; i < 9; i++) /* the ninth lies in a segment of its own */
        get(make_shard(site), 1, MIB);
    struct ullage_snapshot *snapshot = take();
    cr_assert_eq(site_with(snapshot, 7)->allocations, 9);
    ullage_snapshot_destroy(snapshot);
    cr_assert_eq(truncate(ledger.path, ULL_FIRST_BYTES), 0);
    snapshot = take();
    cr_assert_eq(site_with(snapshot, 7)->allocations, 8);
    cr_assert(warned(snapshot, "cut off"));
    ullage_snapshot_destroy(snapshot);
    off_t within = (off_t)ledger.header->tables[ULL_TABLE_SHARDS].segment_offset[0] + 8;
    cr_assert_eq(truncate(ledger.path, within), 0);
    snapshot = take();
    cr_assert_eq(site_with(snapshot, 7)->allocations, 0);
    cr_assert_eq(snapshot->pool_count, 0);
    ullage_snapshot_destroy(snapshot);
}

/* With segments of one entry, the largest index of all would wrap to the first. */
Test(shards, largest_index_is_no_index)
{
    struct ull_site_entry *entry = entry_of(make_site(7, ULL_KIND_MALLOC));
    ledger.header->tables[ULL_TABLE_FRAMES].base_count = 1;
    entry->frames = UINT64_MAX;
    struct ullage_snapshot *snapshot = take();
    cr_assert_eq(site_with(snapshot, 7)->frame_count, 0);
    cr_assert(warned(snapshot, "1 entries point outside"));
    ullage_snapshot_destroy(snapshot);
}

static size_t offset_of(enum ull_table table)
{
    return (size_t)ledger.header->tables[table].segment_offset[0];
}

/* 20,000 damaged copies, in the tables that are new here; run it under the sanitizers. */
Test(shards, no_damage_is_a_crash, .timeout = 300)
{
    static unsigned char copy[ULL_FIRST_BYTES];
    struct ullage_snapshot_options options = ULLAGE_SNAPSHOT_OPTIONS_INIT;
    struct ullage_thresholds all = ULLAGE_THRESHOLDS_INIT;
    uint64_t random = 88172645463325252U;
    ten_buffers();
    two_pools();
    all.min_peak_bytes = all.min_request_bytes = 0;
    options.no_symbols = true;
    options.thresholds = &all;
    for (int i = 0; i < 20000; i++) {
        memcpy(copy, ledger.header, sizeof copy);
        for (int flips = 1 + i % 12; flips > 0; flips--) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            size_t table = offset_of(ULL_TABLE_SHARDS + random % 3), sites_at = offset_of(ULL_TABLE_SITES);
            size_t at = (flips % 4 == 0 ? sites_at : table) + (random >> 8) % (2 * sizeof(struct ull_shard_entry));
            copy[at] = (unsigned char)(flips % 2 ? random >> 32 : random & 64 ? 0xff : 0);
        }
        size_t size = i % 5 == 0 ? (random >> 20) % sizeof copy : sizeof copy, written = 0;
        struct ullage_snapshot *snapshot;
        struct text *text = calloc(1, sizeof *text);
        struct ullage_sink sink = { collect, text };
        if (ullage_snapshot_parse(&snapshot, copy, size, &options, error) == 0) {
            cr_assert_eq(ullage_export_text(snapshot, &sink, NULL), 0);
            written = text->count;
            cr_assert_eq(ullage_export_json(snapshot, &sink, 0), 0);
            cr_assert_gt(text->count, written);
            ullage_snapshot_destroy(snapshot);
        }
        free(text);
    }
}
