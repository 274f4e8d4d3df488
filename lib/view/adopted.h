/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * adopted.h - buffers that went from one process to another: a daemon's, whose parent died after the fork.
 *
 * Such a buffer is in both ledgers. What the parent did with it until it ended says little; it is judged in the last
 * process that had it, and the others of the tree leave it out.
 */
#ifndef ULL_VIEW_ADOPTED_H
#define ULL_VIEW_ADOPTED_H

#include "view/file.h"

struct ull_adopted_buffer {
    uint64_t address, born_monotonic_ns;
    uint32_t fork_depth; /* of the process that adopted it */
};

/* A dead process whose image goes on in a fork of it that has no ledger of its own yet. */
struct ull_continued {
    uint64_t made_unix_ns; /* of the dead one's ledger */
    uint32_t by;           /* pid */
};

struct ull_adopted {
    struct ull_adopted_buffer *buffers;
    size_t count, room;
    struct ull_continued continued[16];
    size_t continued_count;
};

/* Adds what this process adopted, if it did. 0 or -ENOMEM. */
int ull_adopted_collect(struct ull_adopted *adopted, const struct ull_file *file);

/* Once all are collected, before the first search. */
void ull_adopted_sort(struct ull_adopted *adopted);

/* A later fork than the process of @header has this buffer. */
bool ull_adopted_later(
    const struct ull_adopted *adopted, const struct ull_live_entry *entry, const struct ull_ledger_header *header);

/* Notes it if @pid still has the ledger of @file mapped, which a fork does until it makes its own. */
void ull_adopted_look_for(struct ull_adopted *adopted, const struct ull_file *file, uint32_t pid);

/* The process in which the image of @header goes on; 0: none that is known. */
uint32_t ull_adopted_continued_by(const struct ull_adopted *adopted, const struct ull_ledger_header *header);

void ull_adopted_fini(struct ull_adopted *adopted);

#endif
