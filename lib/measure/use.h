/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * use.h - used bytes of the program's own buffers: what to ask of the pages, and when to clear them first.
 *
 * Memory that calloc cleared is all touched, whatever the program does with it. Right after calloc its contents are
 * zero by contract, so giving the inner whole pages back to the kernel changes nothing that the program can see, and
 * the next reading is exact. It costs page faults, so it is done for a site's first buffers, then within a hundredth of
 * the process's time, and never where more than half of the memory is used anyway.
 */
#ifndef ULL_MEASURE_USE_H
#define ULL_MEASURE_USE_H

#include "ledger/live.h"
#include "pages/span.h"

/*
 * May pages of a buffer that calloc cleared be given back? They read as zeros again only in private, anonymous memory:
 * libc's always is; that of another known allocator, where the kernel shows no page of a file.
 */
enum ull_clearing { ULL_CLEAR_NEVER, ULL_CLEAR_SEEN_PRIVATE, ULL_CLEAR_ANY };

struct ull_use {
    struct ull_pages pages;
    enum ull_clearing clearing;
    bool clear_malloc;
    uint64_t started_ns;
    uint64_t spent_ns; /* on clearing; atomic */
};

void ull_use_init(struct ull_use *use, enum ull_pages_method forced, enum ull_clearing clearing, bool clear_malloc);
void ull_use_after_fork(struct ull_use *use); /* in the child */
void ull_use_forked(struct ull_use *use);     /* in the parent */

/*
 * Looks at a buffer that was just allocated and fills in its stale part; clears it if that pays. @known: the site's
 * use so far, or NULL. The caller has the buffer to itself.
 */
void ull_use_begin(struct ull_use *use, struct ull_live_buffer *buffer, enum ull_kind kind, struct ull_ledger *ledger,
    const struct ull_use_entry *known);

/* After a realloc that did not move: what was known of the old buffer's pages holds, where nothing stale was added. */
void ull_use_grown_in_place(struct ull_live_buffer *buffer, const struct ull_live_buffer *old);

/* Measures now. 0 or -errno. Threads: any that keeps the buffer from being freed. */
int ull_use_read(struct ull_use *use, const struct ull_live_buffer *buffer, enum ull_span_access access,
    struct ull_reading *out);

#endif
