/* SPDX-License-Identifier: BSD-2-Clause */
/* test_procedures.c - sizes of RPC calls, the caps that they suggest, and what reports tell of record readers. */
#include "config.h"

#include "counted.h"
#include "ullage/procedures.h"

#include <errno.h>

TestSuite(procedures, .init = set_up, .fini = tear_down);

/* ---- sizes ---- */

static struct ullage_sizes many(uint64_t count, uint64_t bytes)
{
    struct ullage_sizes sizes = { 0 };
    for (uint64_t i = 0; i < count; i++)
        ullage_sizes_add(&sizes, bytes);
    return sizes;
}

Test(sizes, are_counted_by_class)
{
    struct ullage_sizes sizes = many(3, 100);
    ullage_sizes_add(&sizes, 0);
    ullage_sizes_add(&sizes, 1048704);
    ullage_sizes_add(&sizes, UINT64_C(1) << 31);
    cr_assert_eq(sizes.count, 6);
    cr_assert_eq(sizes.bytes, 300 + 1048704 + (UINT64_C(1) << 31));
    cr_assert_eq(sizes.max_bytes, UINT64_C(1) << 31);
    cr_assert_eq(sizes.classes[0], 4);
    cr_assert_eq(sizes.classes[ULLAGE_SIZE_CLASSES - 1], 1);
}

Test(sizes, quantiles_hold_that_share_and_are_at_most_the_largest)
{
    struct ullage_sizes sizes = many(98, 700);
    ullage_sizes_add(&sizes, 5000);
    ullage_sizes_add(&sizes, 70000);
    cr_assert_eq(ullage_sizes_quantile(&sizes, 0.50), 768, "the class of 700");
    cr_assert_eq(ullage_sizes_quantile(&sizes, 0.99), 5120);
    cr_assert_eq(ullage_sizes_quantile(&sizes, 1.0), 70000);
    sizes = many(10, 700);
    cr_assert_eq(ullage_sizes_quantile(&sizes, 0.50), 700);
    sizes = (struct ullage_sizes) { 0 };
    cr_assert_eq(ullage_sizes_quantile(&sizes, 0.99), 0);
}

Test(sizes, a_cap_is_a_quarter_more_and_a_class)
{
    for (uint64_t bytes = 0; bytes < UINT64_C(1) << 40; bytes += bytes / 3 + 1) {
        struct ullage_sizes sizes = { .count = ULLAGE_CAP_LEAST_COUNT, .max_bytes = bytes };
        uint64_t cap = ullage_sizes_cap(&sizes);
        cr_assert_geq(4 * cap, 5 * bytes, "%lu -> %lu", bytes, cap);
        cr_assert_geq(cap, 4096);
        cr_assert_eq(ull_class_of(cap), cap);
        cr_assert(cap == 4096 || cap <= bytes * 5 / 4 * 5 / 4 + 2, "%lu -> %lu: no larger than need be", bytes, cap);
    }
}

Test(sizes, few_records_suggest_no_cap)
{
    struct ullage_sizes sizes = many(99, 5000);
    cr_assert_eq(ullage_sizes_cap(&sizes), 0);
    ullage_sizes_add(&sizes, 5000);
    cr_assert_eq(ullage_sizes_cap(&sizes), 7168, "6250, and up to the class");
}

Test(sizes, any_number_gives_some_cap)
{
    struct ullage_sizes sizes = { UINT64_MAX, UINT64_MAX, UINT64_MAX, { 0 } };
    cr_assert_gt(ullage_sizes_cap(&sizes), UINT64_C(1) << 60);
    ullage_sizes_add(&sizes, 1);
    cr_assert_eq(sizes.bytes, UINT64_MAX, "saturates");
}

Test(sizes, programs_have_names)
{
    cr_assert_str_eq(ullage_program_name(100003), "nfs");
    cr_assert_str_eq(ullage_program_name(100000), "portmapper");
    cr_assert_null(ullage_program_name(100004));
    cr_assert_null(ullage_program_name(0));
}

/* ---- the ledger's table ---- */

static struct ull_procedure_entry *met(uint32_t program, uint32_t procedure, uint64_t count, uint64_t bytes)
{
    struct ull_procedure_entry *entry = add(ULL_TABLE_PROCEDURES);
    *entry = (struct ull_procedure_entry) { .program = program, .version = 3, .procedure = procedure,
        .bytes = count * bytes, .max_bytes = bytes, .ready = 1 };
    entry->sizes[ull_bucket_of(bytes)] = count;
    return entry;
}

static void three_procedures(void)
{
    met(100003, 1, 5000, 120);
    struct ull_procedure_entry *large = met(100003, 7, 300, 1048704);
    large->refused_count = 4;
    large->cap_bytes = 1052672;
    met(77, 2, 99, 60);
    ((struct ull_procedure_entry *)add(ULL_TABLE_PROCEDURES))->bytes = 1; /* not ready */
    uint64_t *counters = ledger.header->counters;
    counters[ULL_COUNTER_records_total] = 5400;
    counters[ULL_COUNTER_record_fragments_total] = 5500;
    counters[ULL_COUNTER_record_bytes_total] = 400 * MIB;
    counters[ULL_COUNTER_record_held_bytes] = 65536;
    counters[ULL_COUNTER_record_held_peak_bytes] = 2 * MIB;
    counters[ULL_COUNTER_record_stalled] = 3;
}

Test(procedures, are_told_most_bytes_first)
{
    three_procedures();
    struct ullage_snapshot *snapshot = take();
    json_t *report = json_of(snapshot), *list = json_object_get(report, "procedures");
    cr_assert_eq(json_array_size(list), 3, "one is not ready");
    static const struct {
        const char *key;
        json_int_t value;
    } numbers[] = { { "program", 100003 }, { "version", 3 }, { "procedure", 7 }, { "records_total", 300 },
        { "bytes_total", 300 * 1048704 }, { "max_bytes", 1048704 }, { "p50_bytes", 1048704 }, { "p99_bytes", 1048704 },
        { "refused_total", 4 }, { "cap_bytes", 1052672 }, { "suggested_cap_bytes", 1572864 } };
    const json_t *first = json_array_get(list, 0), *last = json_array_get(list, 2);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        cr_assert_eq(number_in(first, numbers[i].key), numbers[i].value, "%s", numbers[i].key);
    cr_assert_eq(json_object_size(first), sizeof numbers / sizeof numbers[0]);
    cr_assert_eq(number_in(json_array_get(list, 1), "suggested_cap_bytes"), 4096);
    cr_assert_eq(number_in(last, "program"), 77);
    cr_assert(json_is_null(json_object_get(last, "suggested_cap_bytes")), "99 calls");
    cr_assert(json_is_null(json_object_get(last, "cap_bytes")));
    json_decref(report);
    ullage_snapshot_destroy(snapshot);
}

Test(procedures, have_a_section_in_the_text)
{
    three_procedures();
    ledger.header->counters[ULL_COUNTER_record_refused_size_total] = 7;
    ledger.header->counters[ULL_COUNTER_record_refused_time_total] = 2;
    ledger.header->counters[ULL_COUNTER_record_waits_total] = 11;
    struct ullage_snapshot *snapshot = take();
    const char *text = text_of(snapshot);
    cr_assert_not_null(strstr(text, "5400 in 5500 fragments, 400.0 MiB read"), "%s", text);
    cr_assert_not_null(strstr(text, "peak 2.0 MiB"), "%s", text);
    cr_assert_not_null(strstr(text, "readers refused  9: size 7, time 2; 11 calls"), "%s", text);
    cr_assert_not_null(strstr(text, "nfs               3     7       300    1.0 MiB    1.0 MiB    1.0 MiB   1536 KiB"), "%s", text);
    cr_assert_not_null(strstr(text, "4 refused over the cap for it"), "%s", text);
    cr_assert_not_null(strstr(text, "77                3     2        99       60 B       60 B       60 B          -"), "%s", text);
    ullage_snapshot_destroy(snapshot);
}

Test(procedures, that_nobody_met_are_not_mentioned)
{
    struct ullage_snapshot *snapshot = take();
    json_t *report = json_of(snapshot);
    cr_assert_eq(json_array_size(json_object_get(report, "procedures")), 0);
    cr_assert_null(strstr(text_of(snapshot), "records"));
    json_decref(report);
    ullage_snapshot_destroy(snapshot);
}

Test(procedures, warnings_are_of_what_somebody_should_look_at)
{
    three_procedures();
    struct ullage_snapshot *snapshot = take();
    cr_assert(warned(snapshot, "calls of nfs version 3, procedure 7 were refused over the cap for it (4, over 1.0 MiB); the "
        "largest that was let through had 1.0 MiB"));
    cr_assert_eq(snapshot->warning_count, 1);
    ullage_snapshot_destroy(snapshot);
    for (uint32_t i = 0; i < 6; i++)
        met(5, i, 0, 0)->refused_count = 10 - i;
    uint64_t *counters = ledger.header->counters;
    counters[ULL_COUNTER_record_refused_size_total] = 12;
    counters[ULL_COUNTER_record_refused_budget_total] = 13;
    counters[ULL_COUNTER_record_procedures_dropped_total] = 14;
    snapshot = take();
    cr_assert(warned(snapshot, "calls of 5 version 3, procedure 0 were refused over the cap for it (10, over what is not known); none was let through"));
    cr_assert(warned(snapshot, "calls of 4 more procedures were refused"));
    cr_assert(warned(snapshot, "failed at a cap on bytes or fragments (12)"));
    cr_assert(warned(snapshot, "a budget that was used up (13)"));
    cr_assert(warned(snapshot, "the table of procedures was full: 14 calls"));
    (void)text_of(snapshot);
    ullage_snapshot_destroy(snapshot);
}

static bool warned_at(uint64_t largest, uint64_t cap)
{
    struct ull_procedure_entry *entry = met(100003, 6, 5, largest);
    entry->cap_bytes = cap;
    struct ullage_snapshot *snapshot = take();
    bool near = warned(snapshot, "calls of nfs version 3, procedure 6 come near the cap for it");
    ullage_snapshot_destroy(snapshot);
    entry->ready = 0;
    return near;
}

Test(procedures, near_their_cap_are_warned_of)
{
    cr_assert(warned_at(7001, 8000));
    cr_assert(warned_at(8000, 8000));
    cr_assert_not(warned_at(7000, 8000), "an eighth is left");
    cr_assert_not(warned_at(8000, 0), "no cap is known");
    cr_assert_not(warned_at(1048704, 1052672), "the default cap is made for that");
    cr_assert(warned_at(1048704, 1052673));
    for (uint32_t i = 0; i < 5; i++)
        met(5, i, 1, 100)->cap_bytes = 100;
    struct ullage_snapshot *snapshot = take();
    cr_assert(warned(snapshot, "calls of 2 more procedures come near their caps"));
    ullage_snapshot_destroy(snapshot);
}

Test(procedures, many_are_cut_at_top)
{
    for (uint32_t i = 0; i < 30; i++)
        met(100003, i, 1, 100);
    struct ullage_snapshot *snapshot = take();
    cr_assert_not_null(strstr(text_of(snapshot), "20 more procedures"));
    ullage_snapshot_destroy(snapshot);
}

/* Every word of an entry as large as it can be, and counters too. */
Test(procedures, hostile_numbers_fit_the_page)
{
    struct ull_procedure_entry *entry = add(ULL_TABLE_PROCEDURES);
    memset(entry, 0xff, sizeof *entry);
    entry->ready = 1;
    memset(add(ULL_TABLE_PROCEDURES), 0xff, sizeof *entry); /* ready is all ones: no entry */
    for (unsigned i = 0; i < ULL_COUNTER_COUNT; i++)
        ledger.header->counters[i] = UINT64_MAX;
    struct ullage_snapshot *snapshot = take();
    cr_assert_eq(snapshot->procedure_count, 1);
    (void)text_of(snapshot);
    json_t *report = json_of(snapshot), *first = json_array_get(json_object_get(report, "procedures"), 0);
    cr_assert_eq(number_in(first, "records_total"), INT64_MAX);
    cr_assert_gt(number_in(first, "suggested_cap_bytes"), 0);
    json_decref(report);
    ullage_snapshot_destroy(snapshot);
}

Test(procedures, a_table_outside_the_file_is_none)
{
    three_procedures();
    struct ull_table_head *head = &ledger.header->tables[ULL_TABLE_PROCEDURES];
    uint64_t offset = head->segment_offset[0];
    static const uint64_t wrong[] = { UINT64_MAX, UINT64_C(1) << 40, 8, 4097, ULL_FIRST_BYTES - 8 };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        head->segment_offset[0] = wrong[i];
        struct ullage_snapshot *snapshot = take();
        cr_assert_eq(snapshot->procedure_count, 0, "at %lu", wrong[i]);
        ullage_snapshot_destroy(snapshot);
    }
    head->segment_offset[0] = offset;
    head->reserved_count = UINT64_MAX;
    struct ullage_snapshot *snapshot = take();
    cr_assert_eq(snapshot->procedure_count, 3);
    ullage_snapshot_destroy(snapshot);
    head->entry_bytes = 8;
    cr_assert_eq(ullage_snapshot_take(&snapshot, ledger.path, NULL, error), -EBADMSG, "no writer's table");
    head->entry_bytes = sizeof(struct ull_procedure_entry);
}

Test(procedures, a_cut_ledger_gives_those_that_are_whole)
{
    static unsigned char bytes[ULL_FIRST_BYTES];
    three_procedures();
    memcpy(bytes, ledger.header, sizeof bytes);
    const struct ull_table_head *head = &ledger.header->tables[ULL_TABLE_PROCEDURES];
    for (size_t size = ULL_HEADER_BYTES; size <= sizeof bytes; size += 512) {
        struct ullage_snapshot_options options = ULLAGE_SNAPSHOT_OPTIONS_INIT;
        struct ullage_snapshot *snapshot;
        options.no_symbols = true;
        cr_assert_eq(ullage_snapshot_parse(&snapshot, bytes, size, &options, error), 0, "%zu: %s", size, error);
        bool whole = head->segment_offset[0] + (uint64_t)head->base_count * head->entry_bytes <= size;
        cr_assert_eq(snapshot->procedure_count, whole ? 3 : 0, "%zu", size);
        ullage_snapshot_destroy(snapshot);
    }
}
