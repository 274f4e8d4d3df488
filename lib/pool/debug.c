/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * debug.c - see debug.h.
 *
 * Under ULLAGE_DEBUG a put fills the whole buffer, so that who reads it later sees nothing plausible, and who writes to it
 * is found at the next get. Before that the part past the declared use is looked at: it must be zero or filling, as it was when
 * the buffer was got, or the declaration was wrong, and whoever gets the buffer zeroed next would have had the difference.
 */
#include "config.h"

#include "pool/debug.h"

#include "base/arith.h"
#include "base/misuse.h"
#include "base/quantity.h"
#include "measure/named.h"
#include "pool/thread.h"

#include <stdio.h>
#include <string.h>

enum { POISON = 0xdb, EDGE_BYTES = ULL_EDGES_BYTES / 2, NAME_BYTES = 256 };

/* Where the filling that begins at @from ends. @zero: zeros count as such too. */
static size_t run_of(const unsigned char *bytes, size_t from, size_t end, bool zero)
{
    while (from < end && (bytes[from] == POISON || (zero && bytes[from] == 0)))
        from++;
    return from;
}

static const char *put_place(const struct ull_block *block, char *to)
{
    if (block->put_by == NULL)
        return "an unknown place";
    ull_named_address(block->put_by, to, NAME_BYTES);
    return to;
}

void ull_debug_put(struct ull_block *block, uint64_t room, uint64_t used, bool declared)
{
    char got[NAME_BYTES], put[NAME_BYTES];
    size_t first = ull_min_u64(used, room), end = declared ? run_of(block->data, first, room, true) : room;
    if (end < room)
        ull_misuse("a buffer got at %s was declared at %s to be used for %zu bytes, but byte %zu was written: declare the "
                   "largest use, or a zeroed buffer shows it to its next owner",
            ull_place_name(block->site, got, sizeof got), put_place(block, put), first, end);
    memset(block->data, POISON, room);
    block->dirty = ULL_DIRTY_UNKNOWN;
    ull_store_relaxed(&block->state, (uint32_t)(ULL_BLOCK_FREE | ULL_BLOCK_POISONED));
}

/* Whether [from, end) of a buffer that lies free is what was put there. */
static void check(const struct ull_block *block, size_t from, size_t room)
{
    char got[NAME_BYTES], put[NAME_BYTES];
    size_t end = run_of(block->data, from, room, false);
    if (end < room)
        ull_misuse("byte %zu of a buffer was written after it was put: got at %s, put at %s: its owner kept a pointer to it",
            end, ull_place_name(block->site, got, sizeof got), put_place(block, put));
}

void ull_debug_cut(struct ull_block *block, uint64_t bytes, uint64_t room)
{
    if (bytes < block->requested)
        memset((char *)block->data + bytes, POISON, room - bytes);
}

void ull_debug_check_poison(struct ull_block *block, uint64_t room)
{
    check(block, 0, room);
}

/* `used` says where the second edge ends, until it is checked. */
void ull_edge_put(struct ull_block *block, uint64_t used)
{
    block->used = ull_min_u64(used, block->requested);
    if (block->used < ULL_EDGES_BYTES)
        return;
    memset(block->data, POISON, EDGE_BYTES);
    memset((char *)block->data + block->used - EDGE_BYTES, POISON, EDGE_BYTES);
    ull_store_release(&block->state, (uint32_t)(ULL_BLOCK_FREE | ULL_BLOCK_POISONED));
}

void ull_edge_check(struct ull_block *block)
{
    check(block, 0, EDGE_BYTES);
    check(block, block->used - EDGE_BYTES, block->used);
}

void ull_misuse_twice(const struct ull_block *block, const void *by)
{
    char got[NAME_BYTES], put[NAME_BYTES], now[NAME_BYTES];
    if (by != NULL)
        ull_named_address(by, now, sizeof now);
    if ((block->state & ULL_BLOCK_STATE_MASK) == ULL_BLOCK_NONE)
        ull_misuse("a buffer is put at %s whose memory has gone back already: it was put before; each get needs one put",
            by != NULL ? now : "an unknown place");
    else
        ull_misuse("a buffer is put twice: got at %s, put at %s, and again at %s; each get needs one put",
            ull_place_name(block->site, got, sizeof got), put_place(block, put), by != NULL ? now : "an unknown place");
}

void ull_misuse_in_flight(const struct ull_block *block, const void *by)
{
    char got[NAME_BYTES], now[NAME_BYTES] = "an unknown place";
    if (by != NULL)
        ull_named_address(by, now, sizeof now);
    ull_misuse("a buffer is put at %s while the kernel has it: got at %s; put it when its request has completed",
        now, ull_place_name(block->site, got, sizeof got));
}

void ull_misuse_foreign(const void *address, const char *what, const void *by)
{
    char now[NAME_BYTES] = "an unknown place";
    if (by != NULL)
        ull_named_address(by, now, sizeof now);
    ull_misuse("%p, %s at %s, is not the beginning of a buffer of ours: give it back to whoever made it", address, what, now);
}

/* ---- oversized sites ---- */

static struct {
    void (*on_oversize)(void *ctx, const struct ullage_oversize *oversize);
    void *ctx;
} tell;

void ull_tell_settings(void (*on_oversize)(void *ctx, const struct ullage_oversize *oversize), void *ctx)
{
    tell.on_oversize = on_oversize;
    tell.ctx = ctx;
}

void ull_tell_oversize(const struct ullage_oversize *o)
{
    char asked[ULL_QUANTITY_BYTES], used[ULL_QUANTITY_BYTES], enough[ULL_QUANTITY_BYTES], where[NAME_BYTES], text[400];
    if (o->file != NULL)
        snprintf(where, sizeof where, "%s:%u %s()", o->file, o->line, o->function != NULL ? o->function : "?");
    else
        ull_named_address(o->address, where, sizeof where);
    snprintf(text, sizeof text, "asks for %s, used at most %s in %llu buffers: %s would do", ull_quantity_size(asked, o->requested_bytes),
        ull_quantity_size(used, o->used_max_bytes), (unsigned long long)o->buffers, ull_quantity_size(enough, o->suggested_bytes));
    ull_named_say(where, text);
    if (tell.on_oversize != NULL)
        tell.on_oversize(tell.ctx, o);
}
