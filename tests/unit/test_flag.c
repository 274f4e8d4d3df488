/* SPDX-License-Identifier: BSD-2-Clause */
/* test_flag.c - the verdict, at and around each threshold. */
#include "config.h"

#include "view/flag.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct ullage_thresholds limits = ULLAGE_THRESHOLDS_INIT;

/* @count buffers of @requested that used @used and touched @touched. */
static void add(struct ull_site *site, enum ull_precision precision, uint64_t count, uint64_t requested, uint64_t used,
    uint64_t touched)
{
    struct ull_known *known = &site->known[precision];
    known->count += count;
    known->requested_bytes += count * requested;
    known->used_bytes += count * used;
    known->used_max_bytes = used > known->used_max_bytes ? used : known->used_max_bytes;
    if (known->requested_min_bytes == 0 || requested < known->requested_min_bytes)
        known->requested_min_bytes = requested;
    known->granularity_bytes = 4096;
    known->shares[ull_share_of(used, requested)] += count;
    known->used[ull_bucket_of(used)] += count;
    site->touched_count += count;
    site->touched_bytes += count * touched;
    site->touched_max = touched > site->touched_max ? touched : site->touched_max;
    site->touched_shares[ull_share_of(touched, requested)] += count;
    site->touched_log2[touched <= 1 ? 0 : 64 - __builtin_clzll(touched - 1)] += count;
    site->allocations += count;
    site->requested_peak += count * requested;
    site->requested_max = requested > site->requested_max ? requested : site->requested_max;
}

#define MIB (UINT64_C(1) << 20)

Test(flag, one_large_buffer_hardly_used_is_oversized)
{
    struct ull_site site = { 0 };
    add(&site, ULL_EXACT, 1, 16 * MIB, 40960, 40960);
    ull_flag_decide(&site, &limits);
    cr_assert_eq(site.flag, ULL_FLAG_OVERSIZED);
    cr_assert_eq(site.suggested, 40960);
    cr_assert_eq(site.used_is, ULL_USED_MEASURED);
    cr_assert_eq(site.ullage_peak, 16 * MIB - 40960);
}

Test(flag, quarter_is_little_and_more_is_not)
{
    struct ull_site at = { 0 }, over = { 0 };
    add(&at, ULL_EXACT, 100, 1 * MIB, MIB / 4, MIB / 4);
    ull_flag_decide(&at, &limits);
    cr_assert_eq(at.flag, ULL_FLAG_OVERSIZED);
    add(&over, ULL_EXACT, 100, 1 * MIB, MIB / 4 + 1, MIB / 4 + 1);
    ull_flag_decide(&over, &limits);
    cr_assert_eq(over.flag, ULL_FLAG_NONE);
}

Test(flag, a_few_that_use_all_make_it_start_small)
{
    struct ull_site site = { 0 };
    add(&site, ULL_EXACT, 990, MIB, 4096, 4096);
    add(&site, ULL_EXACT, 10, MIB, MIB, MIB);
    ull_flag_decide(&site, &limits);
    cr_assert_eq(site.flag, ULL_FLAG_START_SMALL);
    cr_assert_eq(site.suggested, 4096);
    struct ull_site more = { 0 };
    add(&more, ULL_EXACT, 980, MIB, 4096, 4096);
    add(&more, ULL_EXACT, 20, MIB, MIB, MIB);
    ull_flag_decide(&more, &limits);
    cr_assert_eq(more.flag, ULL_FLAG_NONE, "2 %% are more than a few");
}

Test(flag, enough_exact_readings_decide_but_bounds_still_limit)
{
    struct ull_site site = { 0 };
    add(&site, ULL_EXACT, 8, 16 * MIB, 100000, 100000);
    add(&site, ULL_UPPER_BOUND, 1000, 16 * MIB, 16 * MIB, 16 * MIB);
    ull_flag_decide(&site, &limits);
    cr_assert_eq(site.flag, ULL_FLAG_START_SMALL, "an unseen one may have used all");
    cr_assert_eq(site.deciding.count, 8);
    cr_assert_eq(site.used_is, ULL_USED_MEASURED);
    struct ull_site seven = { 0 };
    add(&seven, ULL_EXACT, 7, 16 * MIB, 100000, 100000);
    add(&seven, ULL_UPPER_BOUND, 1000, 16 * MIB, 16 * MIB, 16 * MIB);
    ull_flag_decide(&seven, &limits);
    cr_assert_eq(seven.flag, ULL_FLAG_NONE);
    cr_assert_eq(seven.used_is, ULL_USED_UPPER_BOUND);
}

Test(flag, a_live_buffer_that_was_never_read_may_need_all)
{
    struct ull_site site = { .live_unread = 1 };
    add(&site, ULL_EXACT, 40, MIB, 4096, 4096);
    ull_flag_decide(&site, &limits);
    cr_assert_eq(site.flag, ULL_FLAG_START_SMALL);
}

Test(flag, declared_buffers_that_are_out_are_like_those_that_came_back_while_they_are_fewer)
{
    struct ull_site site = { .declared_count = 40, .live_count = 40 };
    add(&site, ULL_EXACT, 40, MIB, 4096, 4096);
    ull_flag_decide(&site, &limits);
    cr_assert_eq(site.flag, ULL_FLAG_OVERSIZED);
    cr_assert_eq(site.used_is, ULL_USED_DECLARED);
    site.live_count = 41;
    ull_flag_decide(&site, &limits);
    cr_assert_eq(site.flag, ULL_FLAG_START_SMALL);
}

Test(flag, suggestion_is_never_below_a_use)
{
    for (uint64_t used = 1; used < 4 * MIB; used += used / 3 + 1) {
        struct ull_site site = { 0 };
        add(&site, ULL_EXACT, 5, 16 * MIB, used / 2, used / 2);
        add(&site, ULL_UPPER_BOUND, 5, 16 * MIB, used, used);
        ull_flag_decide(&site, &limits);
        if (site.flag == ULL_FLAG_OVERSIZED)
            cr_assert_geq(site.suggested, used);
        cr_assert_neq(site.flag, ULL_FLAG_NONE);
    }
}

Test(flag, scattered_to_the_end_is_sparse)
{
    struct ull_site site = { 0 };
    add(&site, ULL_EXACT, 1, 512 * MIB, 512 * MIB, 132 * 1024);
    ull_flag_decide(&site, &limits);
    cr_assert_eq(site.flag, ULL_FLAG_SPARSE);
    cr_assert_eq(site.suggested, 0, "a smaller one would not serve");
}

Test(flag, small_requests_and_small_sums_are_left_alone)
{
    struct ull_site small = { 0 }, little = { 0 }, total = { 0 }, unknown = { .allocations = 5 };
    add(&small, ULL_EXACT, 1000, 65535, 100, 100);
    ull_flag_decide(&small, &limits);
    cr_assert_eq(small.flag, ULL_FLAG_NONE);
    add(&little, ULL_EXACT, 10, 65536, 100, 100);
    ull_flag_decide(&little, &limits);
    cr_assert_eq(little.flag, ULL_FLAG_NONE, "less than 1 MiB at peak");
    add(&total, ULL_EXACT, 1000, 65536, 100, 100);
    total.requested_peak = 65536; /* one at a time */
    ull_flag_decide(&total, &limits);
    cr_assert_eq(total.flag, ULL_FLAG_OVERSIZED, "but 62 MiB in total");
    ull_flag_decide(&unknown, &limits);
    cr_assert_eq(unknown.flag, ULL_FLAG_NONE, "what was never measured is never flagged");
    cr_assert_eq(unknown.used_is, ULL_USED_UNKNOWN);
}

Test(flag, mixed_requests_are_judged_by_the_smallest)
{
    struct ull_site site = { 0 };
    add(&site, ULL_EXACT, 10, 16 * MIB, 100 * 1024, 100 * 1024);
    add(&site, ULL_EXACT, 10, 128 * 1024, 4096, 4096);
    ull_flag_decide(&site, &limits);
    cr_assert_eq(site.flag, ULL_FLAG_START_SMALL, "112 KiB for all would not shrink those of 128 KiB by half");
}

Test(flag, hostile_sums_do_not_wrap)
{
    struct ull_site site = { 0 };
    add(&site, ULL_EXACT, 1, MIB, 4096, 4096);
    site.known[ULL_EXACT].requested_bytes = UINT64_MAX;
    site.known[ULL_UPPER_BOUND] = site.known[ULL_EXACT];
    site.known[ULL_UPPER_BOUND].used_max_bytes = UINT64_MAX;
    site.requested_peak = UINT64_MAX;
    memset(site.touched_log2, 0xff, sizeof site.touched_log2);
    ull_flag_decide(&site, &limits);
    cr_assert_leq(site.ullage_peak, site.requested_peak);
}

Test(thresholds, are_set_by_name_and_checked)
{
    struct ullage_thresholds mine = ULLAGE_THRESHOLDS_INIT;
    cr_assert_eq(ullage_threshold_set(&mine, "used-share=1/8"), 0);
    cr_assert_float_eq(mine.used_share, 0.125, 1e-9);
    cr_assert_eq(ullage_threshold_set(&mine, "min-peak=10M"), 0);
    cr_assert_eq(mine.min_peak_bytes, 10 * MIB);
    cr_assert_eq(ullage_threshold_set(&mine, "used-share=2"), -ERANGE);
    cr_assert_eq(ullage_threshold_set(&mine, "used-share=nan"), -ERANGE);
    cr_assert_eq(ullage_threshold_set(&mine, "used-share="), -EINVAL);
    cr_assert_eq(ullage_threshold_set(&mine, "quantile"), -EINVAL);
    cr_assert_eq(ullage_threshold_set(&mine, "min-peak=x"), -EINVAL);
    cr_assert_eq(ullage_threshold_set(&mine, "nonsense=1"), -ENOENT);
    cr_assert_eq(ullage_threshold_set(&mine, ""), -ENOENT);
    const char *help, *otherwise, *name;
    for (unsigned i = 0; (name = ullage_threshold_name(i, &help, &otherwise)) != NULL; i++) {
        struct ullage_thresholds defaults = ULLAGE_THRESHOLDS_INIT;
        char assignment[64];
        snprintf(assignment, sizeof assignment, "%s=%s", name, otherwise);
        cr_assert_eq(ullage_threshold_set(&defaults, assignment), 0, "%s", assignment);
        cr_assert_eq(memcmp(&defaults, &limits, sizeof limits), 0, "the stated default of %s is the real one", name);
    }
}
