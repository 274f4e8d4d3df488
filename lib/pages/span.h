/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * span.h - how far into a buffer the program went, from the pages that were written.
 *
 * A buffer rarely begins or ends at a page edge, and the pages at its edges are shared with its neighbours:
 *
 *        address                                                      address + bytes
 *           |                                                               |
 *   |-------*=======|===============|===============| ... |===============|=*-----|
 *           < head  ><        whole pages, asked of the kernel           >< tail >
 *
 *   head   counts as used: the allocator's own header lies in its page, so the kernel cannot tell.
 *   whole  pages are the buffer's alone: written means that the program (or an earlier owner) wrote.
 *   tail   counts if the page before it is touched, or its own bytes changed since allocation (a checksum). Zeros
 *          that are written only there, where zeros were, are the one case that is missed. Where the tail holds an
 *          earlier owner's bytes unchanged, the same may have been written again: then it counts, as an upper bound.
 *
 * Reused memory holds pages that an earlier owner wrote ("stale"): they are looked up at allocation. A use that ends
 * past the stale part is exact to a page; one that ends within it is an upper bound.
 */
#ifndef ULL_PAGES_SPAN_H
#define ULL_PAGES_SPAN_H

#include "pages/scan.h"

#include <stdbool.h>
#include <stdint.h>

/* A buffer, and what was known of its pages when the program got it. All but the first two are set by begin. */
struct ull_span {
    uint64_t address;
    uint64_t bytes;
    uint64_t stale_end;   /* offset past the last page that was touched already; 0 for none */
    uint64_t stale_bytes; /* touched already, tail included if its page was */
    uint32_t tail_sum;    /* of the tail's bytes; 0 for all zeros */
    bool shared;          /* pages of a file or of shared memory were among them */
};

struct ull_reading {
    uint64_t used;        /* high-water offset, bytes; never under the truth */
    uint64_t touched;     /* bytes in pages written; an upper bound where memory was reused */
    uint64_t resident;    /* bytes in memory now */
    uint64_t granularity; /* how coarse `used` is: 1, a page, a huge page */
    bool exact;           /* `used` is exact to the granularity, and not an upper bound */
};

/* True if a buffer has whole pages to ask about. Smaller ones are not measured. */
bool ull_span_measurable(uint64_t address, uint64_t bytes);

/*
 * Who may free the buffer meanwhile: nobody but the caller, whose memory it is, or somebody else. In the second case
 * its bytes are read through the kernel, which does not fault. Briefly: shared, and -E2BIG rather than count for long. New:
 * owned, and just from the allocator, so that it can be read for sure.
 */
enum ull_span_access { ULL_SPAN_NEW, ULL_SPAN_OWNED, ULL_SPAN_SHARED, ULL_SPAN_BRIEFLY };

/*
 * ull_span_begin() - look at a buffer that was just allocated, and that nobody else knows yet
 * @span: address and bytes set; the rest is filled in
 * Returns 0, or -errno when nothing could be asked: the buffer then counts as stale throughout.
 */
int ull_span_begin(struct ull_pages *pages, struct ull_span *span);

/* The whole pages were given back to the kernel (MADV_DONTNEED) since begin: nothing in them is stale any more. */
void ull_span_cleared(struct ull_span *span);

/* The whole pages of a span, for madvise. */
uint64_t ull_span_whole_start(const struct ull_span *span);
uint64_t ull_span_whole_end(const struct ull_span *span);

/*
 * ull_span_read() - measure now
 * Returns 0 and fills @out; -errno when nothing could be asked (@out is untouched).
 * Threads: any. The buffer may belong to another process, @pages says which; it may be written meanwhile.
 */
int ull_span_read(struct ull_pages *pages, const struct ull_span *span, enum ull_span_access access,
    struct ull_reading *out);

#endif
