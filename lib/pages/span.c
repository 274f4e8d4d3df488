/* SPDX-License-Identifier: BSD-2-Clause */
/* span.c - the edges of a buffer, and what its pages say about use. The picture is in span.h. */
#include "config.h"

#include "pages/span.h"

#include "base/arith.h"
#include "base/sys.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum {
    TAIL_CHUNK_BYTES = 512, /* of stack, when the tail is copied in pieces */
    BRIEF_PAGES = 4096,     /* touched pages that are counted in about 60 us; measured */
};

uint64_t ull_span_whole_start(const struct ull_span *span)
{
    return ull_round_up(span->address, ull_page_bytes());
}

uint64_t ull_span_whole_end(const struct ull_span *span)
{
    return ull_round_down(span->address + span->bytes, ull_page_bytes());
}

bool ull_span_measurable(uint64_t address, uint64_t bytes)
{
    struct ull_span span = { .address = address, .bytes = bytes };
    uint64_t end;
    return ull_add_fits(address, bytes, &end) && end < UINT64_MAX - ull_page_bytes()
        && ull_span_whole_start(&span) < ull_span_whole_end(&span);
}

static uint64_t tail_bytes(const struct ull_span *span)
{
    return span->address + span->bytes - ull_span_whole_end(span);
}

/* A checksum, and whether any byte was not zero: the sum alone may come to zero by chance. */
struct tail_sum {
    uint64_t sum, any;
};

static void sum_word(struct tail_sum *sum, uint64_t word, uint64_t position)
{
    uint64_t mixed = (word ^ (word >> 29)) * UINT64_C(0xbf58476d1ce4e5b9);
    sum->any |= word;
    sum->sum += (mixed ^ (mixed >> 32)) * (2 * position + 1);
}

static void sum_bytes(struct tail_sum *sum, uint64_t position, const unsigned char *bytes, size_t count)
{
    uint64_t word = 0;
    for (; count >= sizeof word; count -= sizeof word) {
        memcpy(&word, bytes, sizeof word);
        sum_word(sum, word, position);
        position += sizeof word;
        bytes += sizeof word;
    }
    word = 0;
    memcpy(&word, bytes, count);
    sum_word(sum, word, position);
}

/* To 32 bits; 0 only where every byte is zero. */
static uint32_t fold(const struct tail_sum *sum)
{
    uint32_t folded = (uint32_t)(sum->sum ^ (sum->sum >> 32));
    return sum->any == 0 ? 0 : folded == 0 ? 1 : folded;
}

/* Of the tail's bytes, read without the risk of a fault: the buffer may be gone, or another process's. */
static int sum_tail_safely(const struct ull_pages *pages, const struct ull_span *span, struct tail_sum *sum)
{
    unsigned char chunk[TAIL_CHUNK_BYTES];
    uint64_t from = ull_span_whole_end(span), left = tail_bytes(span), position = 0;
    pid_t pid = pages->pid != 0 ? pages->pid : getpid();
    while (left > 0) {
        size_t step = (size_t)ull_min_u64(left, sizeof chunk);
        ssize_t got = ull_sys_read_memory(pid, (uintptr_t)from, chunk, step);
        if (got != (ssize_t)step)
            return got < 0 ? (int)got : -EFAULT;
        sum_bytes(sum, position, chunk, step);
        from += step;
        position += step;
        left -= step;
    }
    return 0;
}

/*
 * The tail lies in one page, so one byte tells whether it can be read: a program may have taken the right to read its
 * own buffer away. Other errors say nothing about the page.
 */
static bool can_be_read(const struct ull_span *span)
{
    return ull_sys_is_readable((uintptr_t)ull_span_whole_end(span));
}

static int sum_tail(
    const struct ull_pages *pages, const struct ull_span *span, enum ull_span_access access, uint32_t *out)
{
    struct tail_sum sum = { 0, 0 };
    int result = 0;
    if ((access != ULL_SPAN_OWNED && access != ULL_SPAN_NEW) || pages->pid != 0)
        result = sum_tail_safely(pages, span, &sum);
    else if (access == ULL_SPAN_NEW || can_be_read(span))
        sum_bytes(&sum, 0, (const unsigned char *)(uintptr_t)ull_span_whole_end(span), tail_bytes(span));
    else
        result = -EFAULT;
    *out = fold(&sum);
    return result;
}

/* Scans the whole pages and, where there is a tail, its page. */
static int scan_span(
    struct ull_pages *pages, const struct ull_span *span, uint64_t most_pages, struct ull_extents *out)
{
    uint64_t start = ull_span_whole_start(span), end = ull_round_up(span->address + span->bytes, ull_page_bytes());
    int result = ull_pages_scan(pages, start, end, most_pages, out);
    if (result == 0 && tail_bytes(span) == 0) { /* the last page is a whole one */
        out->end_before_last = out->end;
        out->end_before_last_granularity = out->end_granularity;
        out->last_page_touched = false;
    }
    return result;
}

static uint64_t head_bytes(const struct ull_span *span)
{
    return ull_span_whole_start(span) - span->address;
}

/* The offset in the buffer past its last touched whole page; 0 for none. */
static uint64_t whole_end_offset(const struct ull_span *span, const struct ull_extents *extents)
{
    return extents->end_before_last != 0 ? head_bytes(span) + extents->end_before_last : 0;
}

int ull_span_begin(struct ull_pages *pages, struct ull_span *span)
{
    struct ull_extents extents;
    int result = scan_span(pages, span, 0, &extents);
    if (result == 0 && extents.last_page_touched)
        result = sum_tail(pages, span, ULL_SPAN_NEW, &span->tail_sum);
    else
        span->tail_sum = 0; /* a page that nobody wrote holds zeros */
    if (result != 0) {
        span->stale_end = span->stale_bytes = span->bytes;
        return result;
    }
    span->shared = extents.shared || extents.partial;
    span->stale_end = whole_end_offset(span, &extents);
    span->stale_bytes = ull_min_u64(extents.touched_bytes, span->bytes);
    return 0;
}

void ull_span_cleared(struct ull_span *span)
{
    span->stale_end = 0;
    span->stale_bytes = 0;
}

int ull_span_read(struct ull_pages *pages, const struct ull_span *span, enum ull_span_access access,
    struct ull_reading *out)
{
    struct ull_extents extents;
    uint32_t tail_sum = 0;
    int result = scan_span(pages, span, access == ULL_SPAN_BRIEFLY ? BRIEF_PAGES : 0, &extents);
    if (result == 0 && extents.last_page_touched)
        result = sum_tail(pages, span, access, &tail_sum);
    bool unreadable = result == -EFAULT && access == ULL_SPAN_OWNED;
    if (result != 0 && !unreadable)
        return result;

    uint64_t page = ull_page_bytes(), whole = whole_end_offset(span, &extents), tail = tail_bytes(span);
    bool tail_changed = tail > 0 && !unreadable && extents.last_page_touched && tail_sum != span->tail_sum;
    bool tail_follows = tail > 0 && whole != 0 && whole == span->bytes - tail;
    /* An earlier owner's bytes, and the same now: nobody wrote there, or somebody wrote the same once more. */
    bool tail_stale = tail > 0 && (unreadable || (!tail_changed && span->tail_sum != 0));

    bool tail_used = tail_changed || tail_follows || tail_stale;
    out->used = tail_used ? span->bytes : whole != 0 ? whole : head_bytes(span);
    out->granularity = tail_changed ? page : whole != 0 ? extents.end_before_last_granularity : page;
    out->exact = tail_changed
        || (!tail_stale && !extents.doubtful && !extents.partial && out->granularity <= page
            && (whole > span->stale_end || span->stale_end == 0));

    /* The page of the tail is shared: it counts with its own bytes, and only where they were used. */
    uint64_t tail_page = extents.last_page_touched ? page : 0;
    out->touched = ull_minus_clamped(extents.touched_bytes, tail_page) + (tail_used ? tail : 0)
        + ull_min_u64(head_bytes(span), span->bytes);
    out->resident = ull_minus_clamped(extents.resident_bytes, tail_page) + (tail_used ? tail : 0)
        + ull_min_u64(head_bytes(span), span->bytes);
    out->touched = ull_min_u64(out->touched, span->bytes);
    out->resident = ull_min_u64(out->resident, span->bytes);
    return 0;
}
