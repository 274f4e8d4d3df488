/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pooled.c - see pooled.h.
 *
 * The table of the real allocator gets functions of ours, which pass on what is small. Whose a pointer is, the map of slabs
 * says at free: buffers of before, and what we could not serve, go back to where they came from. What is recorded stays with
 * the recorder, by stack; here nothing is counted.
 */
#include "config.h"

#include "preload/pooled.h"

#include "base/arith.h"
#include "base/quantity.h"
#include "pool/clear.h"
#include "pool/uncounted.h"
#include "preload/real.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static struct ull_real under;
static size_t least_bytes;

static void *pooled_malloc(size_t bytes)
{
    void *buffer = bytes >= least_bytes ? ull_uncounted_get(bytes, 1) : NULL;
    return buffer != NULL ? buffer : under.malloc(bytes);
}

static void pooled_free(void *buffer)
{
    if (buffer != NULL && !ull_uncounted_put(buffer))
        under.free(buffer);
}

static void *pooled_calloc(size_t count, size_t bytes)
{
    uint64_t total;
    void *buffer = ull_mul_fits(count, bytes, &total) && total >= least_bytes ? ull_uncounted_get_zeroed(total) : NULL;
    return buffer != NULL ? buffer : under.calloc(count, bytes);
}

static void *pooled_realloc(void *buffer, size_t bytes)
{
    size_t room = buffer != NULL ? ull_uncounted_room(buffer) : 0;
    if (room == 0)
        return buffer == NULL ? pooled_malloc(bytes) : under.realloc(buffer, bytes);
    if (bytes == 0) {
        pooled_free(buffer);
        return NULL;
    }
    if (bytes <= room && bytes >= room / 2)
        return buffer;
    void *moved = pooled_malloc(bytes);
    if (moved == NULL)
        return NULL;
    memcpy(moved, buffer, bytes < room ? bytes : room);
    pooled_free(buffer);
    return moved;
}

static void *pooled_memalign(size_t align, size_t bytes)
{
    void *buffer = bytes >= least_bytes ? ull_uncounted_get(bytes, align) : NULL;
    return buffer != NULL ? buffer : under.memalign(align, bytes);
}

static int pooled_posix_memalign(void **out, size_t align, size_t bytes)
{
    void *buffer = bytes >= least_bytes && align % sizeof(void *) == 0 ? ull_uncounted_get(bytes, align) : NULL;
    if (buffer == NULL)
        return under.posix_memalign(out, align, bytes);
    *out = buffer;
    return 0;
}

static void *pooled_aligned_alloc(size_t align, size_t bytes)
{
    void *buffer = bytes >= least_bytes ? ull_uncounted_get(bytes, align) : NULL;
    return buffer != NULL ? buffer : under.aligned_alloc(align, bytes);
}

static void *pooled_valloc(size_t bytes)
{
    void *buffer = bytes >= least_bytes ? ull_uncounted_get(bytes, 4096) : NULL;
    return buffer != NULL ? buffer : under.valloc(bytes);
}

static void *pooled_pvalloc(size_t bytes)
{
    void *buffer = bytes >= least_bytes ? ull_uncounted_get(bytes, 4096) : NULL;
    return buffer != NULL ? buffer : under.pvalloc(bytes);
}

static size_t pooled_usable_size(void *buffer)
{
    size_t room = buffer != NULL ? ull_uncounted_room(buffer) : 0;
    return room != 0 ? room : under.malloc_usable_size(buffer);
}

void ull_pooled_begin(void)
{
    const char *text = secure_getenv("ULLAGE_POOL");
    uint64_t bytes;
    if (text == NULL || ull_quantity_parse(text, &bytes) != 0)
        return;
    least_bytes = ull_max_u64(bytes, 4096); /* smaller ones are what the program's own allocator is good at */
    under = ull_real;
    ull_real = (struct ull_real) {
        .malloc = pooled_malloc,
        .free = pooled_free,
        .calloc = pooled_calloc,
        .realloc = pooled_realloc,
        .memalign = pooled_memalign,
        .posix_memalign = pooled_posix_memalign,
        .aligned_alloc = pooled_aligned_alloc,
        .valloc = pooled_valloc,
        .pvalloc = pooled_pvalloc,
        .malloc_usable_size = pooled_usable_size,
    };
}
