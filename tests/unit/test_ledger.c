/* SPDX-License-Identifier: BSD-2-Clause */
/* test_ledger.c - writing a ledger: growth, full disks, sites, live buffers. */
#include "config.h"

#include "base/sys.h"
#include "ledger/live.h"
#include "ledger/sites.h"
#include "ledger/writer.h"
#include "scratch.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <sys/stat.h>

static struct ull_ledger ledger;
static struct ull_sites sites;
static struct ull_live live;

static void set_up(void)
{
    struct ull_ledger_options options = { .run_id = "run-1", .min_bytes = 65536, .sample_bytes = 524288 };
    scratch_make();
    cr_assert_eq(ull_ledger_create(&ledger, &options), 0);
    ull_sites_init(&sites, &ledger);
    ull_live_init(&live, &ledger);
}

static void tear_down(void)
{
    ull_live_fini(&live);
    ull_sites_fini(&sites);
    ull_ledger_close(&ledger);
    scratch_remove();
}

TestSuite(ledger, .init = set_up, .fini = tear_down);

Test(ledger, begins_small_private_and_whole)
{
    struct stat made;
    cr_assert_eq(stat(ledger.path, &made), 0);
    cr_assert_eq(made.st_size, ULL_FIRST_BYTES);
    cr_assert_eq(made.st_mode & 0777, 0600);
    cr_assert_eq(ledger.header->magic, ULL_LEDGER_MAGIC);
    cr_assert_eq(ledger.header->pid, (uint32_t)getpid());
    cr_assert_str_eq(ledger.header->run_id, "run-1");
    cr_assert_gt(ledger.header->process_start_ticks, 0);
    cr_assert_gt(ledger.header->command_bytes, 0);
}

Test(ledger, grows_and_entries_stay_where_they_are)
{
    uint64_t *first = ull_ledger_at(&ledger, ULL_TABLE_FRAMES, (uint64_t)ull_ledger_reserve(&ledger, ULL_TABLE_FRAMES, 1));
    *first = 77;
    for (int i = 0; i < 5000; i++) {
        int64_t index = ull_ledger_reserve(&ledger, ULL_TABLE_FRAMES, 31);
        cr_assert_geq(index, 0);
        uint64_t *run = ull_ledger_at(&ledger, ULL_TABLE_FRAMES, (uint64_t)index);
        uint64_t *last = ull_ledger_at(&ledger, ULL_TABLE_FRAMES, (uint64_t)index + 30);
        cr_assert_eq(last - run, 30, "a run lies in one segment");
        for (int k = 0; k < 31; k++)
            cr_assert_eq(run[k], 0, "new entries are empty");
        run[0] = run[30] = 1;
    }
    cr_assert_eq(*first, 77);
    struct stat made;
    cr_assert_eq(stat(ledger.path, &made), 0);
    cr_assert_eq((uint64_t)made.st_size, ledger.header->file_bytes);
    cr_assert_geq(made.st_blocks * 512, made.st_size, "every block is there: no SIGBUS later");
}

static long no_space(long number)
{
    return number == 285 /* fallocate */ ? -ENOSPC : 0;
}

Test(ledger, full_disk_stops_growth_and_nothing_else)
{
    int64_t index = 0;
    ull_sys_inject = no_space;
    uint32_t frames_full = 0;
    for (uint64_t id = 1; id < 400; id++) {
        uint64_t frame = ull_frame_pack(0, id);
        uint32_t site = ull_sites_add(&sites, id, id, ULL_KIND_MALLOC, 0, &frame, 1);
        ull_sites_count_allocation(&sites, site, 70000, 1);
        frames_full += site == ULL_SITE_OTHER;
    }
    index = ull_ledger_reserve(&ledger, ULL_TABLE_SITES, 1);
    ull_sys_inject = NULL;
    cr_assert_eq(index, -1);
    cr_assert_gt(frames_full, 300);
    const struct ull_site_entry *other = ull_ledger_at(&ledger, ULL_TABLE_SITES, ULL_SITE_OTHER);
    cr_assert_eq(other->allocations_count, frames_full, "counted under other");
    cr_assert_eq(ledger.header->counters[ULL_COUNTER_sites_dropped_total], frames_full);
}

Test(ledger, closed_descriptor_is_found_again)
{
    int number = ledger.fd;
    close(number);
    for (int i = 0; i < 10000; i++)
        cr_assert_geq(ull_ledger_reserve(&ledger, ULL_TABLE_FRAMES, 32), 0);
}

Test(ledger, same_stack_is_one_site_and_id_survives_its_key)
{
    uint64_t frames[2] = { ull_frame_pack(1, 10), ull_frame_pack(1, 20) };
    uint32_t a = ull_sites_add(&sites, 111, 5, ULL_KIND_MALLOC, 0, frames, 2), found = 99;
    cr_assert_neq(a, ULL_SITE_OTHER);
    cr_assert(ull_sites_find(&sites, 111, &found));
    cr_assert_eq(found, a);
    cr_assert_eq(ull_sites_add(&sites, 222, 5, ULL_KIND_MALLOC, 0, frames, 2), a, "loaded elsewhere, the same code");
    ull_sites_forget_keys(&sites);
    cr_assert_not(ull_sites_find(&sites, 111, &found));
    cr_assert_eq(ull_sites_add(&sites, 111, 6, ULL_KIND_MALLOC, 0, frames, 2), a + 1, "other code at the same place");
}

Test(ledger, counts_weights_peaks_and_uses)
{
    uint64_t frame = ull_frame_pack(0, 1);
    uint32_t site = ull_sites_add(&sites, 1, 1, ULL_KIND_MALLOC, 0, &frame, 1);
    ull_sites_count_allocation(&sites, site, 1000, 10);
    ull_sites_count_allocation(&sites, site, 100000, 1);
    ull_sites_count_free(&sites, site, 1000, 10);
    ull_sites_count_allocation(&sites, site, 5000, 1);
    ull_sites_count_use(&sites, site, 100000, 4096, 4096, 4096, ULL_EXACT);
    ull_sites_count_use(&sites, site, 100000, 100000, 50000, 4096, ULL_UPPER_BOUND);
    const struct ull_site_entry *entry = ull_ledger_at(&ledger, ULL_TABLE_SITES, site);
    cr_assert_eq(entry->allocations_count, 12);
    cr_assert_eq(entry->allocations_bytes, 115000);
    cr_assert_eq(entry->frees_count, 10);
    cr_assert_eq(entry->live_bytes, 105000);
    cr_assert_eq(entry->peak_bytes, 110000);
    cr_assert_eq(entry->requested_max_bytes, 100000);
    cr_assert_eq(entry->requested.counts[ull_bucket_of(1000)], 10);
    const struct ull_use_entry *use = ull_sites_use(&sites, site);
    cr_assert_eq(use->used[ULL_EXACT].used_max_bytes, 4096);
    cr_assert_eq(use->used[ULL_EXACT].shares[ull_share_of(4096, 100000)], 1);
    cr_assert_eq(use->used[ULL_UPPER_BOUND].used_bytes, 100000);
    cr_assert_eq(use->touched_max_bytes, 50000);
    cr_assert_eq(ledger.header->counters[ULL_COUNTER_live_peak_bytes], 110000);
}

Test(ledger, histogram_halves_instead_of_overflowing)
{
    struct ull_histogram histogram = { { 0 } };
    for (int i = 0; i < 3; i++) {
        ull_histogram_add(&histogram, 1000, UINT32_C(1) << 30);
        ull_histogram_add(&histogram, 100000, UINT32_C(1) << 29);
    }
    uint32_t small = histogram.counts[ull_bucket_of(1000)], large = histogram.counts[ull_bucket_of(100000)];
    cr_assert_lt(small, UINT32_C(1) << 31);
    cr_assert_gt(large, 0);
    cr_assert(small > large && small < 4 * (double)large, "%u to %u", small, large);
    uint64_t frame = ull_frame_pack(0, 1);
    uint32_t site = ull_sites_add(&sites, 1, 1, ULL_KIND_MALLOC, 0, &frame, 1);
    for (int i = 0; i < 400000; i++)
        ull_sites_count_use(&sites, site, 100000, i % 100 == 0 ? 90000 : 1000, 90000, 4096, ULL_EXACT);
    const struct ull_population *known = &ull_sites_use(&sites, site)->used[ULL_EXACT];
    double share = (double)known->used.counts[ull_bucket_of(90000)] / known->used.counts[ull_bucket_of(1000)];
    cr_assert_float_eq(share, 1.0 / 99, 0.002, "%f", share);
    cr_assert_eq(known->count, 400000);
}

static struct ull_live_buffer buffer_at(uint64_t address, uint64_t bytes)
{
    return (struct ull_live_buffer) { .address = address, .bytes = bytes, .entry = -1, .weight = 1,
        .flags = ULL_LIVE_MEASURABLE };
}

Test(ledger, live_buffers_come_and_go)
{
    struct ull_live_buffer out;
    bool had_older;
    enum { COUNT = 20000 };
    for (uint64_t i = 1; i <= COUNT; i++) {
        struct ull_live_buffer buffer = buffer_at(i * 4096 + 16, i);
        cr_assert_eq(ull_live_insert(&live, &buffer, &out, &had_older), 0);
        cr_assert_not(had_older);
        cr_assert(ull_live_may_have(&live, (void *)(i * 4096 + 16)), "never a false no");
    }
    for (uint64_t i = 1; i <= COUNT; i += 2) {
        cr_assert_eq(ull_live_remove(&live, i * 4096 + 16, &out, true), ULL_LIVE_REMOVED);
        cr_assert_eq(out.bytes, i);
    }
    for (uint64_t i = 1; i <= COUNT; i++) {
        enum ull_live_found found = ull_live_remove(&live, i * 4096 + 16, &out, true);
        cr_assert_eq(found, i % 2 == 0 ? ULL_LIVE_REMOVED : ULL_LIVE_ABSENT, "%lu", i);
    }
    unsigned maybe = 0;
    for (uint64_t i = 1; i <= COUNT; i++)
        maybe += ull_live_may_have(&live, (void *)(i * 4096 + 16));
    cr_assert_lt(maybe, COUNT / 100, "an empty table's filter lets nearly nothing through: %u", maybe);
    uint64_t reserved = ledger.header->tables[ULL_TABLE_LIVE].reserved_count;
    for (uint64_t i = 1; i <= COUNT; i++) {
        struct ull_live_buffer buffer = buffer_at(i * 4096 + 16, i);
        ull_live_insert(&live, &buffer, &out, &had_older);
    }
    cr_assert_eq(ledger.header->tables[ULL_TABLE_LIVE].reserved_count, reserved, "entries are used again");
}

Test(ledger, address_seen_twice_gives_back_the_older)
{
    struct ull_live_buffer out, first = buffer_at(4096, 1), second = buffer_at(4096, 2);
    bool had_older;
    cr_assert_eq(ull_live_insert(&live, &first, &out, &had_older), 0);
    cr_assert_eq(ull_live_insert(&live, &second, &out, &had_older), 0);
    cr_assert(had_older);
    cr_assert_eq(out.bytes, 1);
    cr_assert_eq(ull_live_remove(&live, 4096, &out, true), ULL_LIVE_REMOVED);
    cr_assert_eq(out.bytes, 2);
    cr_assert_eq(ull_live_remove(&live, 4096, &out, true), ULL_LIVE_ABSENT);
}

static bool count_visit(void *context, struct ull_live_buffer *buffer)
{
    ((unsigned *)context)[buffer->address / 4096]++;
    return true;
}

Test(ledger, rounds_visit_every_buffer_equally_often)
{
    static unsigned visits[101];
    uint64_t cursor = 0;
    unsigned visited = 0;
    for (uint64_t i = 1; i <= 100; i++) {
        struct ull_live_buffer out, buffer = buffer_at(i * 4096, i);
        bool had_older;
        ull_live_insert(&live, &buffer, &out, &had_older);
    }
    while (visited < 300)
        visited += ull_live_visit(&live, &cursor, 7, count_visit, visits);
    for (unsigned i = 1; i <= 100; i++)
        cr_assert(visits[i] >= 2 && visits[i] <= 4, "buffer %u: %u visits", i, visits[i]);
}

Test(ledger_making, every_refusal_is_an_errno_and_leaves_nothing, .init = scratch_make, .fini = scratch_remove)
{
    struct ull_ledger_options options = { .min_bytes = 65536 };
    static const long numbers[] = { 257 /* openat */, 285 /* fallocate */, 9 /* mmap */ };
    extern long fail_number(long number);
    extern long failing;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        failing = numbers[i];
        ull_sys_inject = fail_number;
        int result = ull_ledger_create(&ledger, &options);
        ull_sys_inject = NULL;
        cr_assert_eq(result, -ENOSPC, "call %ld: %d", numbers[i], result);
        DIR *directory = opendir(scratch_path);
        unsigned entries = 0;
        while (readdir(directory) != NULL)
            entries++;
        closedir(directory);
        cr_assert_eq(entries, 2, "call %ld left a file", numbers[i]);
    }
    options.directory = "/proc/nowhere";
    cr_assert_lt(ull_ledger_create(&ledger, &options), 0);
}

long failing;
long fail_number(long number);
long fail_number(long number)
{
    return number == failing ? -ENOSPC : 0;
}
