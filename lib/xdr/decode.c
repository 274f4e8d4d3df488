/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * decode.c - the decoders of libtirpc that allocate, with limits.
 *
 * Each takes what its record can have at most: a length is held against what is left of the record, and all that a record makes us
 * allocate against its units. Where nobody knows what is left (an XDR that is not ours, and no xdrmem) memory is taken as bytes
 * arrive. Encoding and freeing is libtirpc's.
 */
#include "config.h"

#include "kind.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEP_BYTES = 64 * 1024 }; /* where nobody knows what is left: first so much, then twice what has come; a multiple of 4 */

/* ---- refusals ---- */

static _Thread_local char said[160];

const char *ullage_xdr_error(void)
{
    return said;
}

__attribute__((format(printf, 1, 2), cold)) static bool_t refuse(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    vsnprintf(said, sizeof said, format, values);
    va_end(values);
    return FALSE;
}

/* ---- what there is ---- */

/* xdrmem's operations have no name outside of libtirpc; a sample of each kind shows them. */
static bool is_memory(const XDR *xdrs)
{
    _Alignas(8) char sample[8];
    XDR aligned, odd;
    xdrmem_create(&aligned, sample, 4, XDR_DECODE);
    xdrmem_create(&odd, sample + 1, 4, XDR_DECODE);
    return xdrs->x_ops == aligned.x_ops || xdrs->x_ops == odd.x_ops;
}

/* False: nobody knows. */
static bool knows_left(XDR *xdrs, u_int *left)
{
    const struct ull_xdr_kind *kind = ull_xdr_kind(xdrs);
    if (kind == NULL && !is_memory(xdrs))
        return false;
    *left = kind != NULL ? kind->left(xdrs) : xdrs->x_handy;
    return true;
}

static bool_t charge(XDR *xdrs, const char *who, uint64_t bytes)
{
    const struct ull_xdr_kind *kind = ull_xdr_kind(xdrs);
    uint64_t units = bytes / ULL_XDR_UNIT_BYTES + 2; /* rounded up, and the allocator's own */
    if (kind == NULL || (units <= UINT32_MAX && kind->charge(xdrs, (uint32_t)units)))
        return TRUE;
    return refuse("%s: %llu bytes more would be over what this record may cause in all", who, (unsigned long long)bytes);
}

static void *allocate(XDR *xdrs, const char *who, uint64_t bytes)
{
    if (!charge(xdrs, who, bytes))
        return NULL;
    void *p = malloc(bytes);
    if (p == NULL)
        refuse("%s: no memory for %llu bytes", who, (unsigned long long)bytes);
    return p;
}

/* ---- bytes and strings ---- */

/* @bytes and @more behind them, as they arrive. */
static char *take_arriving(XDR *xdrs, const char *who, u_int bytes, u_int more)
{
    char *all = NULL;
    for (u_int have = 0, room = STEP_BYTES;; room = room < UINT32_MAX / 2 ? 2 * room : UINT32_MAX) {
        bool is_last = bytes <= room;
        char *larger = realloc(all, is_last ? (size_t)bytes + more : room);
        if (larger == NULL)
            refuse("%s: no memory for %u bytes", who, is_last ? bytes : room);
        if (larger != NULL)
            all = larger;
        if (larger == NULL || !(is_last ? xdr_opaque(xdrs, all + have, bytes - have) : XDR_GETBYTES(xdrs, all + have, room - have))) {
            free(all);
            return NULL;
        }
        if (is_last)
            return all;
        have = room;
    }
}

/* To a new buffer. NULL: refused, or the stream failed. */
static char *take_new(XDR *xdrs, const char *who, u_int bytes, u_int more)
{
    u_int left;
    if (!knows_left(xdrs, &left))
        return take_arriving(xdrs, who, bytes, more);
    if (bytes > left) {
        refuse("%s: %u bytes announced, %u left in the record", who, bytes, left);
        return NULL;
    }
    char *to = allocate(xdrs, who, (uint64_t)bytes + more);
    if (to != NULL && !xdr_opaque(xdrs, to, bytes)) {
        free(to);
        to = NULL;
    }
    return to;
}

/* To @to, or where that is NULL, to a new buffer. */
static bool_t take_bytes(XDR *xdrs, const char *who, char **to, u_int bytes, u_int more)
{
    if (*to != NULL)
        return xdr_opaque(xdrs, *to, bytes);
    *to = take_new(xdrs, who, bytes, more);
    return *to != NULL;
}

static bool_t take_count(XDR *xdrs, const char *who, u_int *count, u_int max)
{
    if (!xdr_u_int(xdrs, count))
        return FALSE;
    return *count <= max || refuse("%s: %u announced, at most %u declared", who, *count, max);
}

bool_t ullage_xdr_bytes(XDR *xdrs, char **bytes, u_int *count, u_int max)
{
    if (xdrs->x_op != XDR_DECODE)
        return xdr_bytes(xdrs, bytes, count, max);
    if (!take_count(xdrs, "xdr_bytes", count, max))
        return FALSE;
    return *count == 0 || take_bytes(xdrs, "xdr_bytes", bytes, *count, 0);
}

bool_t ullage_xdr_string(XDR *xdrs, char **string, u_int max)
{
    u_int count;
    if (xdrs->x_op != XDR_DECODE)
        return xdr_string(xdrs, string, max);
    if (!take_count(xdrs, "xdr_string", &count, max < UINT32_MAX ? max : max - 1) || !take_bytes(xdrs, "xdr_string", string, count, 1))
        return FALSE;
    (*string)[count] = '\0';
    return TRUE;
}

bool_t ullage_xdr_wrapstring(XDR *xdrs, char **string)
{
    return ullage_xdr_string(xdrs, string, UINT32_MAX);
}

bool_t ullage_xdr_netobj(XDR *xdrs, struct netobj *object)
{
    return ullage_xdr_bytes(xdrs, &object->n_bytes, &object->n_len, MAX_NETOBJ_SZ);
}

/* ---- arrays ---- */

static bool_t take_items(XDR *xdrs, char *to, u_int count, u_int item_bytes, xdrproc_t item)
{
    for (; count != 0; count--, to += item_bytes)
        if (!item(xdrs, to))
            return FALSE;
    return TRUE;
}

/* As they arrive. *count: how many there is room for, so that xdr_free() goes no further. */
static bool_t take_arriving_items(XDR *xdrs, char **items, u_int *count, u_int item_bytes, xdrproc_t item)
{
    u_int all = *count, have = 0, room = STEP_BYTES / item_bytes + 1;
    for (*count = 0; have < all; have = room, room = room < all / 2 ? 2 * room : all) {
        room = room < all ? room : all;
        char *larger = realloc(*items, (size_t)room * item_bytes);
        if (larger == NULL)
            return refuse("xdr_array: no memory for %u items", room);
        memset(larger + (size_t)have * item_bytes, 0, (size_t)(room - have) * item_bytes);
        *items = larger;
        *count = room;
        if (!take_items(xdrs, larger + (size_t)have * item_bytes, room - have, item_bytes, item))
            return FALSE;
    }
    return TRUE;
}

/* An item is four bytes at least: a longer count than that is no array's. */
static bool_t take_new_items(XDR *xdrs, char **items, u_int *count, u_int item_bytes, xdrproc_t item)
{
    u_int left, announced = *count;
    if (!knows_left(xdrs, &left))
        return take_arriving_items(xdrs, items, count, item_bytes, item);
    *count = 0;
    if (announced > left / BYTES_PER_XDR_UNIT)
        return refuse("xdr_array: %u items announced, %u bytes left in the record", announced, left);
    *items = allocate(xdrs, "xdr_array", (uint64_t)announced * item_bytes);
    if (*items == NULL)
        return FALSE;
    memset(*items, 0, (size_t)announced * item_bytes);
    *count = announced;
    return take_items(xdrs, *items, announced, item_bytes, item);
}

bool_t ullage_xdr_array(XDR *xdrs, char **items, u_int *count, u_int max, u_int item_bytes, xdrproc_t item)
{
    if (xdrs->x_op != XDR_DECODE)
        return xdr_array(xdrs, items, count, max, item_bytes, item);
    u_int announced, most = item_bytes != 0 ? UINT32_MAX / item_bytes : 0;
    if (!take_count(xdrs, "xdr_array", &announced, max < most ? max : most)) {
        if (*items == NULL)
            *count = 0;
        return FALSE;
    }
    *count = announced;
    if (*items != NULL)
        return take_items(xdrs, *items, announced, item_bytes, item);
    return announced == 0 || take_new_items(xdrs, items, count, item_bytes, item);
}

/* ---- pointers ---- */

static unsigned max_depth = ULLAGE_XDR_DEPTH;
static _Thread_local unsigned depth;

void ullage_xdr_max_depth(unsigned most)
{
    __atomic_store_n(&max_depth, most != 0 ? most : ULLAGE_XDR_DEPTH, __ATOMIC_RELAXED);
}

bool_t ullage_xdr_reference(XDR *xdrs, char **object, u_int bytes, xdrproc_t proc)
{
    if (xdrs->x_op != XDR_DECODE)
        return xdr_reference(xdrs, object, bytes, proc);
    unsigned most = __atomic_load_n(&max_depth, __ATOMIC_RELAXED);
    if (depth >= most)
        return refuse("xdr_reference: pointers nest over %u deep", most);
    if (*object == NULL && !charge(xdrs, "xdr_reference", bytes))
        return FALSE;
    depth++;
    bool_t done = xdr_reference(xdrs, object, bytes, proc);
    depth--;
    return done;
}

bool_t ullage_xdr_pointer(XDR *xdrs, char **object, u_int bytes, xdrproc_t proc)
{
    bool_t is_there;
    if (xdrs->x_op != XDR_DECODE)
        return xdr_pointer(xdrs, object, bytes, proc);
    if (!xdr_bool(xdrs, &is_there))
        return FALSE;
    if (is_there)
        return ullage_xdr_reference(xdrs, object, bytes, proc);
    *object = NULL;
    return TRUE;
}

/* ---- the total ---- */

int ullage_xdr_limit(XDR *xdrs, size_t bytes)
{
    const struct ull_xdr_kind *kind = ull_xdr_kind(xdrs);
    size_t units = bytes / ULL_XDR_UNIT_BYTES + (bytes % ULL_XDR_UNIT_BYTES != 0);
    if (kind == NULL)
        return -EINVAL;
    kind->limit(xdrs, units < UINT32_MAX ? (uint32_t)units : UINT32_MAX);
    return 0;
}
