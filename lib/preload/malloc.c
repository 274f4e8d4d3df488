/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * malloc.c - the interposed allocation functions.
 *
 * Each asks the real allocator first and records afterwards, and takes a buffer out of the books before its memory is
 * given back: from then on another thread may have the same address. Sizes, alignment, errors and errno are the real
 * allocator's own.
 */
#include "config.h"

#include "preload/real.h"
#include "preload/record.h"

#include <errno.h>
#include <malloc.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

void *ull_recorded(void *buffer, size_t bytes, enum ull_kind kind)
{
    ull_begin_if_needed();
    if (buffer != NULL)
        ull_recorder_allocated(buffer, bytes, kind);
    return buffer;
}

EXPORT void *malloc(size_t bytes)
{
    if (!ull_recorder_wants(bytes))
        return ull_real.malloc(bytes);
    return ull_recorded(ull_real.malloc(bytes), bytes, ULL_KIND_MALLOC);
}

EXPORT void *calloc(size_t count, size_t bytes)
{
    size_t total;
    if (__builtin_mul_overflow(count, bytes, &total) || !ull_recorder_wants(total))
        return ull_real.calloc(count, bytes); /* the real one refuses an overflow in its own way */
    return ull_recorded(ull_real.calloc(count, bytes), total, ULL_KIND_CALLOC);
}

COLD static void free_known(void *buffer)
{
    ull_recorder_freed(buffer);
    ull_real.free(buffer);
}

EXPORT void free(void *buffer)
{
    if (ull_recorder_may_know(buffer))
        free_known(buffer);
    else
        ull_real.free(buffer);
}

COLD static void *realloc_known(void *buffer, size_t bytes)
{
    struct ull_recorder_move move;
    ull_recorder_move_begin(buffer, &move);
    void *moved = ull_real.realloc(buffer, bytes);
    /* realloc(p, 0) of glibc frees p and returns NULL without an error. */
    ull_recorder_move_end(&move, moved, bytes, moved == NULL && bytes == 0);
    return moved;
}

EXPORT void *realloc(void *buffer, size_t bytes)
{
    if (buffer != NULL && ull_recorder_may_know(buffer))
        return realloc_known(buffer, bytes);
    if (!ull_recorder_wants(bytes))
        return ull_real.realloc(buffer, bytes);
    return ull_recorded(ull_real.realloc(buffer, bytes), bytes, ULL_KIND_REALLOC);
}

EXPORT void *reallocarray(void *buffer, size_t count, size_t bytes)
{
    size_t total;
    if (__builtin_mul_overflow(count, bytes, &total)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(buffer, total);
}

EXPORT void *memalign(size_t align, size_t bytes)
{
    if (!ull_recorder_wants(bytes))
        return ull_real.memalign(align, bytes);
    return ull_recorded(ull_real.memalign(align, bytes), bytes, ULL_KIND_ALIGNED);
}

EXPORT int posix_memalign(void **out, size_t align, size_t bytes)
{
    int result = ull_real.posix_memalign(out, align, bytes);
    if (result == 0 && ull_recorder_wants(bytes))
        ull_recorded(*out, bytes, ULL_KIND_ALIGNED);
    return result;
}

EXPORT void *aligned_alloc(size_t align, size_t bytes)
{
    if (!ull_recorder_wants(bytes))
        return ull_real.aligned_alloc(align, bytes);
    return ull_recorded(ull_real.aligned_alloc(align, bytes), bytes, ULL_KIND_ALIGNED);
}

EXPORT void *valloc(size_t bytes)
{
    if (!ull_recorder_wants(bytes))
        return ull_real.valloc(bytes);
    return ull_recorded(ull_real.valloc(bytes), bytes, ULL_KIND_ALIGNED);
}

EXPORT void *pvalloc(size_t bytes)
{
    if (!ull_recorder_wants(bytes))
        return ull_real.pvalloc(bytes);
    return ull_recorded(ull_real.pvalloc(bytes), bytes, ULL_KIND_ALIGNED);
}

/* Only so that every name of the family comes from one place; what it returns is the real allocator's. */
EXPORT size_t malloc_usable_size(void *buffer)
{
    return ull_real.malloc_usable_size(buffer);
}
