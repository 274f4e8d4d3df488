/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mallocx.c - jemalloc's own interface.
 *
 * A program may look for these names to learn whether jemalloc is there (a weak reference, dlsym), and finds ours. So
 * they work also without jemalloc, on the allocator that is there; mallctl, which cannot, is not defined, and whoever
 * asks for all of the family learns the truth.
 */
#include "config.h"

#include "preload/next.h"
#include "preload/record.h"

#include <malloc.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* From jemalloc's manual: the low six bits are the logarithm of the alignment. */
enum { FLAG_ALIGN_MASK = 0x3f, FLAG_ZERO = 0x40, MALLOC_ALIGN = 16 };

/* ---- the same without jemalloc; malloc, free, … are ours, and record ---- */

static size_t alignment(int flags)
{
    return (size_t)1 << (flags & FLAG_ALIGN_MASK);
}

static void *plain_mallocx(size_t bytes, int flags)
{
    bool zero = (flags & FLAG_ZERO) != 0;
    void *buffer = NULL;
    if (alignment(flags) <= MALLOC_ALIGN)
        return zero ? calloc(1, bytes) : malloc(bytes);
    if (posix_memalign(&buffer, alignment(flags), bytes) != 0)
        return NULL;
    if (zero)
        memset(buffer, 0, bytes);
    return buffer;
}

static void *plain_rallocx(void *old, size_t bytes, int flags)
{
    if (alignment(flags) <= MALLOC_ALIGN && (flags & FLAG_ZERO) == 0)
        return realloc(old, bytes);
    size_t had = malloc_usable_size(old);
    void *moved = plain_mallocx(bytes, flags);
    if (moved != NULL) {
        memcpy(moved, old, had < bytes ? had : bytes);
        free(old);
    }
    return moved;
}

static size_t plain_xallocx(void *buffer, size_t bytes, size_t extra, int flags)
{
    (void)bytes, (void)extra, (void)flags;
    return malloc_usable_size(buffer); /* it stays as it is, which the interface allows */
}

static size_t plain_sallocx(const void *buffer, int flags)
{
    (void)flags;
    return malloc_usable_size((void *)(uintptr_t)buffer);
}

static void plain_dallocx(void *buffer, int flags)
{
    (void)flags;
    free(buffer);
}

static void plain_sdallocx(void *buffer, size_t bytes, int flags)
{
    (void)bytes, (void)flags;
    free(buffer);
}

/* No more than is promised: a program may write as many bytes as this says. */
static size_t plain_nallocx(size_t bytes, int flags)
{
    (void)flags;
    return bytes;
}

/* Without jemalloc in the global scope: the plain ones. */
static struct {
    void *(*mallocx)(size_t, int);
    void *(*rallocx)(void *, size_t, int);
    size_t (*xallocx)(void *, size_t, size_t, int);
    size_t (*sallocx)(const void *, int);
    void (*dallocx)(void *, int);
    void (*sdallocx)(void *, size_t, int);
    size_t (*nallocx)(size_t, int);
} real = { plain_mallocx, plain_rallocx, plain_xallocx, plain_sallocx, plain_dallocx, plain_sdallocx, plain_nallocx };
static uint32_t looked_up; /* atomic */

/* All of the family, or none: a buffer of one must not go to the other. */
void ull_mallocx_begin(void)
{
    static struct ull_next family[] = { { "mallocx", NULL, false }, { "rallocx", NULL, false }, { "xallocx", NULL, false },
        { "sallocx", NULL, false }, { "dallocx", NULL, false }, { "sdallocx", NULL, false }, { "nallocx", NULL, false } };
    enum { FAMILY = sizeof family / sizeof family[0] };
    if (ull_exchange_acq_rel(&looked_up, 1U))
        return;
    ull_next_look_up(family, FAMILY);
    for (unsigned i = 0; i < FAMILY; i++)
        if (family[i].function == NULL)
            return;
    *(void **)(void *)&real.mallocx = family[0].function;
    *(void **)(void *)&real.rallocx = family[1].function;
    *(void **)(void *)&real.xallocx = family[2].function;
    *(void **)(void *)&real.sallocx = family[3].function;
    *(void **)(void *)&real.dallocx = family[4].function;
    *(void **)(void *)&real.sdallocx = family[5].function;
    *(void **)(void *)&real.nallocx = family[6].function;
}

#define LOOK_UP_ONCE() \
    do { \
        if (__builtin_expect(!ull_load_acquire(&looked_up), 0)) \
            ull_mallocx_begin(); /* a constructor that runs before ours */ \
    } while (0)

/* ---- interposed ---- */

EXPORT void *mallocx(size_t bytes, int flags);
EXPORT void *mallocx(size_t bytes, int flags)
{
    LOOK_UP_ONCE();
    if (real.mallocx == plain_mallocx || !ull_recorder_wants(bytes))
        return real.mallocx(bytes, flags);
    return ull_recorded(real.mallocx(bytes, flags), bytes, ULL_KIND_MALLOCX);
}

COLD static void *rallocx_known(void *old, size_t bytes, int flags)
{
    struct ull_recorder_move move;
    ull_recorder_move_begin(old, &move);
    void *moved = real.rallocx(old, bytes, flags);
    ull_recorder_move_end(&move, moved, bytes, false);
    return moved;
}

EXPORT void *rallocx(void *old, size_t bytes, int flags);
EXPORT void *rallocx(void *old, size_t bytes, int flags)
{
    LOOK_UP_ONCE();
    if (real.rallocx == plain_rallocx)
        return real.rallocx(old, bytes, flags);
    if (ull_recorder_may_know(old))
        return rallocx_known(old, bytes, flags);
    if (!ull_recorder_wants(bytes))
        return real.rallocx(old, bytes, flags);
    return ull_recorded(real.rallocx(old, bytes, flags), bytes, ULL_KIND_MALLOCX);
}

/* Resizes in place or not at all. What the program then has asked for is between bytes and bytes + extra. */
EXPORT size_t xallocx(void *buffer, size_t bytes, size_t extra, int flags);
EXPORT size_t xallocx(void *buffer, size_t bytes, size_t extra, int flags)
{
    LOOK_UP_ONCE();
    if (real.xallocx == plain_xallocx || (!ull_recorder_may_know(buffer) && !ull_recorder_wants(bytes)))
        return real.xallocx(buffer, bytes, extra, flags);
    struct ull_recorder_move move;
    ull_recorder_move_begin(buffer, &move);
    size_t now = real.xallocx(buffer, bytes, extra, flags), most = bytes + extra < bytes ? SIZE_MAX : bytes + extra;
    size_t asked = now < most ? now : most;
    bool resized = now >= bytes && !(move.known && asked == move.old.bytes);
    ull_recorder_move_end(&move, resized ? buffer : NULL, asked, false);
    return now;
}

EXPORT size_t sallocx(const void *buffer, int flags);
EXPORT size_t sallocx(const void *buffer, int flags)
{
    LOOK_UP_ONCE();
    return real.sallocx(buffer, flags);
}

EXPORT void dallocx(void *buffer, int flags);
EXPORT void dallocx(void *buffer, int flags)
{
    LOOK_UP_ONCE();
    if (real.dallocx != plain_dallocx && ull_recorder_may_know(buffer))
        ull_recorder_freed(buffer);
    real.dallocx(buffer, flags);
}

EXPORT void sdallocx(void *buffer, size_t bytes, int flags);
EXPORT void sdallocx(void *buffer, size_t bytes, int flags)
{
    LOOK_UP_ONCE();
    if (real.sdallocx != plain_sdallocx && ull_recorder_may_know(buffer))
        ull_recorder_freed(buffer);
    real.sdallocx(buffer, bytes, flags);
}

EXPORT size_t nallocx(size_t bytes, int flags);
EXPORT size_t nallocx(size_t bytes, int flags)
{
    LOOK_UP_ONCE();
    return real.nallocx(bytes, flags);
}
