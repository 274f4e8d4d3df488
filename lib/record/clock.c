/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * clock.c - deadlines. The clock is read only when a call returns without a record: what comes whole costs none.
 *
 * What is timed begins when a call first leaves it waiting, and later bytes do not begin it anew: a peer that sends a byte a
 * second does not hold a buffer for ever.
 */
#include "config.h"

#include "record/reader.h"

#include "base/arith.h"
#include "base/sys.h"

#include <errno.h>
#include <limits.h>

#define NEVER UINT64_MAX
enum { RATE_FROM_MS = 1000 };

static uint64_t or_never(uint32_t ms)
{
    return ms != ULLAGE_NEVER ? ms : NEVER;
}

/* Of the record that is waited for. */
static uint64_t arrived(const struct ullage_reader *r)
{
    return ull_reader_arrived(r) + (uint64_t)(r->end - r->at);
}

/* Milliseconds from its beginning until what has arrived is too little. */
static uint64_t rate_ms(const struct ullage_reader *r)
{
    uint64_t rate = r->settings->min_bytes_per_s;
    return rate == 0 ? NEVER : ull_max_u64(RATE_FROM_MS, ull_mul_div(arrived(r), 1000, rate));
}

/* How long what is timed may take. */
static uint64_t limit_ms(const struct ullage_reader *r)
{
    if (r->timing == ULL_TIMING_IDLE)
        return or_never(r->settings->idle_ms);
    return ull_min_u64(or_never(r->settings->deadline_ms), rate_ms(r));
}

static int refuse(struct ullage_reader *r, uint64_t elapsed_ms)
{
    uint64_t offset = ull_reader_offset(r);
    if (r->timing == ULL_TIMING_IDLE)
        return ull_refuse(r, -ETIMEDOUT, ULL_LIMIT_IDLE, elapsed_ms, r->settings->idle_ms, offset, NULL, 0);
    if (elapsed_ms >= or_never(r->settings->deadline_ms))
        return ull_refuse(r, -ETIMEDOUT, ULL_LIMIT_DEADLINE, arrived(r), r->settings->deadline_ms, offset, NULL, 0);
    return ull_refuse(r, -ETIMEDOUT, ULL_LIMIT_RATE, ull_mul_div(arrived(r), 1000, elapsed_ms), r->settings->min_bytes_per_s, offset, NULL, 0);
}

int ull_clock_look(struct ullage_reader *r)
{
    bool started = (r->slow & ULL_SLOW_STARTED) != 0 || r->at != r->end;
    enum ull_timing timing = started ? ULL_TIMING_RECORD : ULL_TIMING_IDLE;
    bool begins = r->timing != timing;
    r->timing = (uint8_t)timing;
    uint64_t limit = limit_ms(r);
    if (limit == NEVER)
        return 0;
    uint64_t now = ull_sys_precise_ns();
    if (begins)
        r->timed_ns = now;
    uint64_t elapsed_ms = ull_minus_clamped(now, r->timed_ns) / 1000000;
    return elapsed_ms >= limit ? refuse(r, elapsed_ms) : 0;
}

int ullage_reader_timeout_ms(const struct ullage_reader *r)
{
    if ((r->slow & ULL_SLOW_FAILED) != 0 || ull_memory_is_over_share(r))
        return 0;
    uint64_t limit = r->timing == ULL_TIMING_NOT ? NEVER : limit_ms(r);
    if (limit == NEVER)
        return -1;
    /* Rounded up, so that the limit has passed when the caller is back. */
    uint64_t left_ns = ull_minus_clamped(r->timed_ns + limit * 1000000, ull_sys_precise_ns());
    return (int)ull_min_u64((left_ns + 999999) / 1000000, INT_MAX);
}
