/* SPDX-License-Identifier: BSD-2-Clause */
/* arena.h - memory of a snapshot: taken piece by piece, given back at once. */
#ifndef ULL_VIEW_ARENA_H
#define ULL_VIEW_ARENA_H

#include <stddef.h>

struct ull_arena_block;
struct ull_arena {
    struct ull_arena_block *blocks;
};

/* Zeroed, aligned for any type; NULL without memory or where count * bytes overflows. */
void *ull_arena_alloc(struct ull_arena *arena, size_t count, size_t bytes);

/* A copy of @bytes of text as valid UTF-8: control characters and what is not UTF-8 become U+FFFD. NULL: no memory. */
char *ull_arena_text(struct ull_arena *arena, const char *text, size_t bytes);

void ull_arena_fini(struct ull_arena *arena);

#endif
