/* SPDX-License-Identifier: BSD-2-Clause */
/* use.c - measuring the program's own buffers, and clearing some of them to measure them exactly. */
#include "config.h"

#include "measure/use.h"

#include "base/arith.h"
#include "base/atomic.h"
#include "base/sys.h"

#include <sys/mman.h>

enum {
    FIRST_BUFFERS = 12,            /* of a site: exact ones are told apart from eight on */
    TIME_SHARE = 100,              /* then one part in this many of the process's time */
    FIRST_TIME_SHARE = 20,         /* a site's first buffers: five times that, and */
    CLEAR_MALLOC_MIN_BYTES = 256 * 1024,
};
#define FIRST_BUDGET_NS UINT64_C(50000000) /* this much from the start, for programs that have just begun */
#define REFAULT_NS UINT64_C(500)           /* a page given back comes again for 250 to 800 ns; measured, findings */

void ull_use_init(struct ull_use *use, enum ull_pages_method forced, enum ull_clearing clearing, bool clear_malloc)
{
    ull_pages_init(&use->pages, 0, forced);
    use->clearing = clearing;
    use->clear_malloc = clear_malloc;
    use->started_ns = ull_sys_monotonic_ns();
    use->spent_ns = 0;
}

void ull_use_after_fork(struct ull_use *use)
{
    ull_pages_after_fork(&use->pages);
}

void ull_use_forked(struct ull_use *use)
{
    ull_store_relaxed(&use->pages.forked, true);
}

static struct ull_span span_of(const struct ull_live_buffer *buffer)
{
    return (struct ull_span) { buffer->address, buffer->bytes, buffer->stale_end, buffer->stale_bytes, buffer->tail_sum,
        false };
}

/* Pages given back read as zeros again only in private, anonymous memory. */
static bool may_clear(struct ull_use *use, const struct ull_span *span)
{
    bool told = ull_load_relaxed(&use->pages.method) < ULL_PAGES_MINCORE;
    return use->clearing == ULL_CLEAR_ANY || (use->clearing == ULL_CLEAR_SEEN_PRIVATE && told && !span->shared);
}

/* Whether an exact reading of this buffer is worth what it costs. */
static bool clearing_pays(
    const struct ull_use *use, const struct ull_live_buffer *buffer, enum ull_kind kind, const struct ull_use_entry *known)
{
    const struct ull_population *exact = known != NULL ? &known->used[ULL_EXACT] : NULL;
    uint64_t spent = ull_load_relaxed(&use->spent_ns), age = ull_sys_monotonic_ns() - use->started_ns;
    bool asked = kind == ULL_KIND_CALLOC || (use->clear_malloc && kind == ULL_KIND_MALLOC);
    uint64_t least = kind == ULL_KIND_CALLOC ? 0 : CLEAR_MALLOC_MIN_BYTES;
    if (!asked || buffer->bytes < least)
        return false;
    if (exact == NULL || ull_load_relaxed(&exact->count) < FIRST_BUFFERS)
        return spent <= FIRST_BUDGET_NS + age / FIRST_TIME_SHARE;
    if (ull_load_relaxed(&exact->used_bytes) > ull_load_relaxed(&exact->requested_bytes) / 2)
        return false;
    return spent <= age / TIME_SHARE;
}

static void clear(struct ull_use *use, struct ull_span *span, struct ull_ledger *ledger)
{
    uint64_t start = ull_span_whole_start(span), bytes = ull_span_whole_end(span) - start;
    uint64_t before = ull_sys_precise_ns(), stale_bytes = span->stale_bytes;
    /* Refused for all but anonymous memory, also for private pages of a file, which the scan cannot tell once written. */
    if (use->clearing != ULL_CLEAR_ANY && ull_sys_madvise((void *)(uintptr_t)start, bytes, MADV_FREE) != 0)
        return;
    if (ull_sys_madvise((void *)(uintptr_t)start, bytes, MADV_DONTNEED) != 0)
        return; /* locked in memory, or huge pages of another kind: it stays stale */
    ull_span_cleared(span);
    uint64_t cost = ull_sys_precise_ns() - before + stale_bytes / ull_page_bytes() * REFAULT_NS;
    ull_add_relaxed(&use->spent_ns, cost);
    ull_ledger_count(ledger, ULL_COUNTER_cleared_total, 1);
    ull_ledger_count(ledger, ULL_COUNTER_cleared_ns_total, cost);
}

void ull_use_begin(struct ull_use *use, struct ull_live_buffer *buffer, enum ull_kind kind, struct ull_ledger *ledger,
    const struct ull_use_entry *known)
{
    struct ull_span span = span_of(buffer);
    ull_ledger_count(ledger, ULL_COUNTER_scans_total, 1);
    if (ull_span_begin(&use->pages, &span) != 0)
        ull_ledger_count(ledger, ULL_COUNTER_scans_failed_total, 1);
    else if (span.stale_end != 0 && may_clear(use, &span) && clearing_pays(use, buffer, kind, known))
        clear(use, &span, ledger);
    buffer->stale_end = span.stale_end;
    buffer->stale_bytes = span.stale_bytes;
    buffer->tail_sum = span.tail_sum;
    ull_store_relaxed(&ledger->header->pages_method, ull_load_relaxed(&use->pages.method));
}

void ull_use_grown_in_place(struct ull_live_buffer *buffer, const struct ull_live_buffer *old)
{
    if (buffer->stale_end > old->bytes)
        return; /* the part that was added was stale, or shares a page with what followed */
    buffer->stale_end = ull_min_u64(old->stale_end, buffer->stale_end);
    buffer->stale_bytes = ull_min_u64(old->stale_bytes, buffer->stale_bytes);
}

int ull_use_read(struct ull_use *use, const struct ull_live_buffer *buffer, enum ull_span_access access,
    struct ull_reading *out)
{
    struct ull_span span = span_of(buffer);
    return ull_span_read(&use->pages, &span, access, out);
}
