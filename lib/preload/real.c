/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * real.c - finding the real allocator.
 *
 * The table starts out with functions that look everything up and then call what they found, so that the hot paths
 * test nothing. dlsym() may itself ask for memory: what is asked for meanwhile comes from a small static arena, whose
 * blocks are recognized by address and never freed.
 */
#include "config.h"

#include "preload/real.h"

#include "base/arith.h"
#include "base/sys.h"
#include "preload/record.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ARENA_BYTES = 2048, ARENA_ALIGN = 16 };

static struct {
    _Alignas(ARENA_ALIGN) char bytes[ARENA_BYTES];
    size_t filled;
} arena;
static bool looking;

static void *arena_malloc(size_t bytes)
{
    size_t taken = (size_t)ull_round_up(bytes, ARENA_ALIGN);
    if (bytes > ARENA_BYTES || taken > ARENA_BYTES - arena.filled)
        return NULL;
    void *block = arena.bytes + arena.filled;
    arena.filled += taken;
    return block;
}

static bool in_arena(const void *block)
{
    return (const char *)block >= arena.bytes && (const char *)block < arena.bytes + ARENA_BYTES;
}

/* ---- once something came from the arena, frees and reallocs have to look where a block is from ---- */

static struct ull_real found;

static void free_checking(void *block)
{
    if (!in_arena(block))
        found.free(block);
}

static void *realloc_checking(void *block, size_t bytes)
{
    if (!in_arena(block))
        return found.realloc(block, bytes);
    size_t room = (size_t)(arena.bytes + ARENA_BYTES - (char *)block);
    void *moved = found.malloc(bytes);
    if (moved != NULL)
        memcpy(moved, block, bytes < room ? bytes : room);
    return moved;
}

__attribute__((noreturn)) static void no_allocator(void)
{
    static const char text[] = "ullage: no allocator behind libullage-preload.so; is it loaded without libc?\n";
    (void)ull_sys_write(STDERR_FILENO, text, sizeof text - 1);
    abort();
}

static void look_up(void)
{
    looking = true;
#define FIND(name) *(void **)(void *)&found.name = dlsym(RTLD_NEXT, #name)
    FIND(malloc);
    FIND(free);
    FIND(calloc);
    FIND(realloc);
    FIND(memalign);
    FIND(posix_memalign);
    FIND(aligned_alloc);
    FIND(valloc);
    FIND(pvalloc);
    FIND(malloc_usable_size);
#undef FIND
    if (found.malloc == NULL || found.free == NULL || found.calloc == NULL || found.realloc == NULL)
        no_allocator();
    struct ull_real table = found;
    if (arena.filled > 0) {
        table.free = free_checking;
        table.realloc = realloc_checking;
    }
    ull_real = table;
    looking = false;
}

static void *first_malloc(size_t bytes)
{
    if (looking)
        return arena_malloc(bytes);
    look_up();
    return ull_real.malloc(bytes);
}

static void first_free(void *block)
{
    if (block == NULL || looking || in_arena(block))
        return;
    look_up();
    ull_real.free(block);
}

static void *first_calloc(size_t count, size_t bytes)
{
    uint64_t product;
    if (looking) /* the arena is zero and handed out once */
        return ull_mul_fits(count, bytes, &product) ? arena_malloc(product) : NULL;
    look_up();
    return ull_real.calloc(count, bytes);
}

static void *first_realloc(void *block, size_t bytes)
{
    if (looking)
        return block == NULL ? arena_malloc(bytes) : NULL;
    look_up();
    return ull_real.realloc(block, bytes);
}

static void *first_memalign(size_t align, size_t bytes)
{
    look_up();
    return ull_real.memalign(align, bytes);
}

static int first_posix_memalign(void **out, size_t align, size_t bytes)
{
    look_up();
    return ull_real.posix_memalign(out, align, bytes);
}

static void *first_aligned_alloc(size_t align, size_t bytes)
{
    look_up();
    return ull_real.aligned_alloc(align, bytes);
}

static void *first_valloc(size_t bytes)
{
    look_up();
    return ull_real.valloc(bytes);
}

static void *first_pvalloc(size_t bytes)
{
    look_up();
    return ull_real.pvalloc(bytes);
}

static size_t first_usable_size(void *block)
{
    look_up();
    return ull_real.malloc_usable_size(block);
}

struct ull_real ull_real = {
    .malloc = first_malloc,
    .free = first_free,
    .calloc = first_calloc,
    .realloc = first_realloc,
    .memalign = first_memalign,
    .posix_memalign = first_posix_memalign,
    .aligned_alloc = first_aligned_alloc,
    .valloc = first_valloc,
    .pvalloc = first_pvalloc,
    .malloc_usable_size = first_usable_size,
};

bool ull_real_is_libc(void)
{
    if (found.calloc == NULL)
        look_up();
    return ull_same_library(*(void **)(void *)&found.calloc, dlsym(RTLD_NEXT, "gnu_get_libc_version"));
}
