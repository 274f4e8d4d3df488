/* SPDX-License-Identifier: BSD-2-Clause */
/* uncounted.c - see uncounted.h. Place 0 has a shard in private memory, so that the hot path is the same for all. */
#include "config.h"

#include "pool/uncounted.h"

#include "pool/clear.h"
#include "pool/debug.h"
#include "pool/hot.h"

#include <errno.h>
#include <stdint.h>

static struct ull_block *get(size_t bytes, size_t align)
{
    int kept = errno;
    if (bytes > PTRDIFF_MAX || align > ULL_ALIGN_MAX || align == 0 || (align & (align - 1)) != 0)
        return NULL;
    struct ull_block *block = align <= 4096 ? ull_get_any(ULL_PLACE_UNCOUNTED, bytes, 0) : NULL;
    if (block == NULL) {
        const struct ull_want want = { .uncounted = true, .align = align, .bytes = bytes };
        block = ull_get_slow(&want);
    }
    errno = kept;
    return block;
}

void *ull_uncounted_get(size_t bytes, size_t align)
{
    struct ull_block *block = get(bytes, align);
    return block != NULL ? block->data : NULL;
}

void *ull_uncounted_get_zeroed(size_t bytes)
{
    struct ull_block *block = get(bytes, 1);
    if (block == NULL)
        return NULL;
    if (block->dirty != 0)
        ull_clear(block->data, bytes);
    return block->data;
}

bool ull_uncounted_put(void *buffer)
{
    struct ull_slab *slab = ull_map_find(buffer);
    if (slab == NULL)
        return false;
    struct ull_block *block = ull_slab_block(slab, buffer);
    if (block == NULL)
        ull_misuse_foreign(buffer, "freed", __builtin_return_address(0));
    else if (!ull_put_any(block, 0, false, NULL, ULL_BLOCK_LIVE, ULL_BLOCK_FREE))
        ull_put_slow(block, 0, false, NULL);
    return true;
}

size_t ull_uncounted_room(const void *buffer)
{
    const struct ull_block *block = ull_block_of(buffer);
    return block != NULL ? ull_block_room(block) : 0;
}
