/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * magazine.h - magazines, and stacks of them that any thread may push and pop without a lock.
 *
 * A stack's head is the index of its first magazine and a tag that changes with each pop, so that a head that was taken
 * and put back in between is not mistaken for the same. Indexes, not pointers: 57-bit addresses leave no room for a tag.
 * Magazines are never unmapped; a pop may read the link of one that somebody else has just taken, and its tag is stale then.
 */
#ifndef ULL_POOL_MAGAZINE_H
#define ULL_POOL_MAGAZINE_H

#include "pool/block.h"

enum { ULL_MAGAZINE_ROOM = 64 };

struct ull_magazine {
    uint32_t self; /* 1 + index */
    uint32_t next; /* in a stack; atomic */
    uint32_t count;
    uint32_t pad;
    struct ull_entry entries[ULL_MAGAZINE_ROOM + 1]; /* above a full one's stack pointer too may be looked */
};

struct ull_stack {
    uint64_t head;  /* tag << 32 | 1 + index; atomic */
    uint64_t count; /* magazines, roughly; atomic */
};

/* An empty magazine, or NULL: no memory. */
struct ull_magazine *ull_magazine_get(void);
void ull_magazine_put(struct ull_magazine *magazine);
struct ull_magazine *ull_magazine_at(uint32_t self);
/* In a forked child: all of them are free again. */
void ull_magazines_forget(void);

/* Returns how often it had to try again: a measure of contention. */
unsigned ull_stack_push(struct ull_stack *stack, struct ull_magazine *magazine);
struct ull_magazine *ull_stack_pop(struct ull_stack *stack, unsigned *retries);
/* Takes all of them: linked by `next`, 0 at the end; returns the first's index + 1. */
uint32_t ull_stack_take_all(struct ull_stack *stack);

#endif
