/* SPDX-License-Identifier: BSD-2-Clause */
/* arena.c - a list of blocks, newest first. */
#include "config.h"

#include "view/arena.h"

#include "view/clean.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK_BYTES = 64 * 1024, ALIGN = 16 };

struct ull_arena_block {
    struct ull_arena_block *older;
    size_t filled, room;
    _Alignas(ALIGN) char bytes[];
};

void *ull_arena_alloc(struct ull_arena *arena, size_t count, size_t bytes)
{
    size_t total;
    if (__builtin_mul_overflow(count, bytes, &total) || total > (size_t)1 << 40)
        return NULL;
    total = (total + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    struct ull_arena_block *block = arena->blocks;
    if (block == NULL || block->room - block->filled < total) {
        size_t room = total > BLOCK_BYTES ? total : BLOCK_BYTES;
        block = calloc(1, sizeof *block + room);
        if (block == NULL)
            return NULL;
        block->room = room;
        block->older = arena->blocks;
        arena->blocks = block;
    }
    void *start = block->bytes + block->filled;
    block->filled += total;
    return start;
}

char *ull_arena_text(struct ull_arena *arena, const char *text, size_t bytes)
{
    char *copy = ull_arena_alloc(arena, bytes + 1, ULL_CLEAN_GROWTH);
    if (copy != NULL)
        ull_clean_text(copy, (bytes + 1) * ULL_CLEAN_GROWTH, text, bytes);
    return copy;
}

void ull_arena_fini(struct ull_arena *arena)
{
    for (struct ull_arena_block *block = arena->blocks, *older; block != NULL; block = older) {
        older = block->older;
        free(block);
    }
    arena->blocks = NULL;
}
