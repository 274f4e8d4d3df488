/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * flag.c - when is a site oversized, and what would do?
 *
 * A buffer's use is known exactly (to a page) or as an upper bound, where its memory was reused. With enough exact
 * readings these decide which buffers used little, because an upper bound in stale memory says nothing about the
 * program. But the largest use is always taken over all of them, and a live buffer that nobody measured yet counts as
 * one that may need everything: a suggestion may be too generous, never too small. Use that the program declares
 * is told when a buffer is given back: those that are out are taken to be like those that came back, while they are fewer.
 * docs/flags.md has the reasons for each threshold.
 */
#include "config.h"

#include "view/flag.h"

#include "base/arith.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void add_known(struct ull_known *to, const struct ull_known *from)
{
    ull_saturating_add(&to->count, from->count);
    ull_saturating_add(&to->requested_bytes, from->requested_bytes);
    ull_saturating_add(&to->used_bytes, from->used_bytes);
    to->used_max_bytes = ull_max_u64(to->used_max_bytes, from->used_max_bytes);
    to->granularity_bytes = ull_max_u64(to->granularity_bytes, from->granularity_bytes);
    if (from->requested_min_bytes != 0
        && (to->requested_min_bytes == 0 || from->requested_min_bytes < to->requested_min_bytes))
        to->requested_min_bytes = from->requested_min_bytes;
    for (unsigned i = 0; i < ULL_SHARE_COUNT; i++)
        ull_saturating_add(&to->shares[i], from->shares[i]);
    for (unsigned i = 0; i < ULL_BUCKET_COUNT; i++)
        ull_saturating_add(&to->used[i], from->used[i]);
}

uint64_t ull_flag_quantile(const uint64_t counts[ULL_BUCKET_COUNT], double share, uint64_t largest)
{
    double total = 0, passed = 0;
    for (unsigned i = 0; i < ULL_BUCKET_COUNT; i++)
        total += (double)counts[i];
    for (unsigned i = 0; i < ULL_BUCKET_COUNT; i++) {
        passed += (double)counts[i];
        if (counts[i] != 0 && passed >= share * total)
            return ull_min_u64(ull_bucket_limit(i), largest);
    }
    return largest;
}

static uint64_t touched_quantile(const struct ull_site *site, double share)
{
    double total = 0, passed = 0;
    for (unsigned i = 0; i < 64; i++)
        total += (double)site->touched_log2[i];
    for (unsigned i = 0; i < 63; i++) {
        passed += (double)site->touched_log2[i];
        if (site->touched_log2[i] != 0 && passed >= share * total)
            return ull_min_u64(UINT64_C(1) << i, site->touched_max);
    }
    return site->touched_max;
}

/* The part of the buffers that used at most @share of their request. */
static double part_within(const uint64_t shares[ULL_SHARE_COUNT], double share)
{
    double within = 0, total = 0;
    for (unsigned i = 0; i < ULL_SHARE_COUNT; i++) {
        total += (double)shares[i];
        if (ull_share_limit_64ths(i) <= share * 64.0 + 1e-9)
            within += (double)shares[i];
    }
    return total > 0 ? within / total : 0;
}

static void summarize(struct ull_site *site, const struct ullage_thresholds *limits)
{
    const struct ull_known *exact = &site->known[ULL_EXACT], *bound = &site->known[ULL_UPPER_BOUND];
    memset(&site->deciding, 0, sizeof site->deciding);
    add_known(&site->deciding, exact);
    if (exact->count < limits->min_exact_count)
        add_known(&site->deciding, bound);
    const struct ull_known *known = &site->deciding;
    site->exact_share = exact->count == 0 ? 0 : (double)exact->count / ((double)exact->count + (double)bound->count);
    if (known->count == 0) {
        site->used_is = ULL_USED_UNKNOWN;
        return;
    }
    if (exact->count < limits->min_exact_count && bound->count != 0)
        site->used_is = ULL_USED_UPPER_BOUND;
    else
        site->used_is = site->declared_count != 0 ? ULL_USED_DECLARED : ULL_USED_MEASURED;
    site->used_p50 = ull_flag_quantile(known->used, 0.50, known->used_max_bytes);
    site->used_p99 = ull_flag_quantile(known->used, 0.99, known->used_max_bytes);
    site->touched_p99 = touched_quantile(site, 0.99);
    site->ullage_total = ull_minus_clamped(known->requested_bytes, known->used_bytes);
    site->ullage_peak = ull_mul_div(site->requested_peak, site->ullage_total, known->requested_bytes);
}

/* Enough bytes to be worth a person's time? */
static bool matters(const struct ullage_thresholds *limits, uint64_t at_peak, uint64_t in_total)
{
    return at_peak >= limits->min_peak_bytes || in_total >= limits->min_total_bytes;
}

/* Is there a live buffer that may, for all that is known, be used to its end? */
static bool may_need_all(const struct ull_site *site)
{
    if (site->declared_count != 0 && site->live_count > site->declared_count)
        return true;
    return site->live_unread != 0;
}

static void decide_by_use(struct ull_site *site, const struct ullage_thresholds *limits)
{
    const struct ull_known *bound = &site->known[ULL_UPPER_BOUND];
    uint64_t largest = ull_max_u64(site->known[ULL_EXACT].used_max_bytes, bound->used_max_bytes);
    uint64_t smallest_request = site->deciding.requested_min_bytes;
    if (bound->requested_min_bytes != 0)
        smallest_request = ull_min_u64(smallest_request, bound->requested_min_bytes);
    uint64_t fits_all = ull_class_of(ull_min_u64(largest, UINT64_C(1) << 60));
    if (!may_need_all(site) && (double)fits_all <= limits->shrink_share * (double)smallest_request) {
        site->flag = ULL_FLAG_OVERSIZED;
        site->suggested = fits_all;
    } else {
        site->flag = ULL_FLAG_START_SMALL;
        site->suggested = ull_class_of(ull_min_u64(
            ull_flag_quantile(site->deciding.used, limits->quantile, site->deciding.used_max_bytes), UINT64_C(1) << 60));
    }
}

static void decide_sparse(struct ull_site *site, const struct ullage_thresholds *limits)
{
    uint64_t untouched = ull_minus_clamped(site->deciding.requested_bytes,
        ull_mul_div(site->touched_bytes, site->deciding.count, site->touched_count));
    uint64_t at_peak = ull_mul_div(site->requested_peak, untouched, site->deciding.requested_bytes);
    if (site->touched_count != 0 && part_within(site->touched_shares, limits->used_share) >= limits->quantile
        && matters(limits, at_peak, untouched))
        site->flag = ULL_FLAG_SPARSE;
}

void ull_flag_decide(struct ull_site *site, const struct ullage_thresholds *limits)
{
    site->flag = ULL_FLAG_NONE;
    site->suggested = 0;
    summarize(site, limits);
    if (site->deciding.count == 0 || site->deciding.requested_min_bytes < limits->min_request_bytes)
        return;
    if (part_within(site->deciding.shares, limits->used_share) < limits->quantile)
        decide_sparse(site, limits);
    else if (matters(limits, site->ullage_peak, site->ullage_total))
        decide_by_use(site, limits);
}
