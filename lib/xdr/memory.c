/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * memory.c - an XDR over one piece of memory, and one on which everything fails.
 *
 * As xdrmem, but that it counts what its record made decoders allocate. Nobody has to destroy an xdrmem, so nothing is allocated:
 * x_base is the first byte, x_handy how many are left, x_private two numbers: the place, and the units that are left.
 */
#include "config.h"

#include "kind.h"

#include <string.h>

/* ---- what the XDR holds ---- */

static uint32_t place_of(const XDR *xdrs)
{
    return (uint32_t)(uintptr_t)xdrs->x_private;
}

static uint32_t units_of(const XDR *xdrs)
{
    return (uint32_t)((uintptr_t)xdrs->x_private >> 32);
}

static void set(XDR *xdrs, uint32_t place, uint32_t units)
{
    xdrs->x_private = (void *)((uintptr_t)units << 32 | place);
}

/* The next @bytes, and goes past them; NULL: there are not so many. */
static char *take(XDR *xdrs, u_int bytes)
{
    uint32_t place = place_of(xdrs);
    if (bytes > xdrs->x_handy)
        return NULL;
    set(xdrs, place + bytes, units_of(xdrs));
    xdrs->x_handy -= bytes;
    return xdrs->x_base + place;
}

/* ---- operations ---- */

/* libtirpc's, too, leave the upper half of a long empty: xdr_int() and its kind do not look at it. */
static bool_t get_long(XDR *xdrs, long *value)
{
    const char *from = take(xdrs, BYTES_PER_XDR_UNIT);
    if (from == NULL)
        return FALSE;
    *value = (long)ull_xdr_word(from);
    return TRUE;
}

static bool_t put_long(XDR *xdrs, const long *value)
{
    uint32_t word = htonl((uint32_t)*value);
    char *to = take(xdrs, BYTES_PER_XDR_UNIT);
    if (to == NULL)
        return FALSE;
    memcpy(to, &word, sizeof word);
    return TRUE;
}

static bool_t get_bytes(XDR *xdrs, char *to, u_int bytes)
{
    const char *from = take(xdrs, bytes);
    if (from == NULL)
        return FALSE;
    if (bytes != 0)
        memcpy(to, from, bytes);
    return TRUE;
}

static bool_t put_bytes(XDR *xdrs, const char *from, u_int bytes)
{
    char *to = take(xdrs, bytes);
    if (to == NULL)
        return FALSE;
    if (bytes != 0)
        memcpy(to, from, bytes);
    return TRUE;
}

static u_int get_place(XDR *xdrs)
{
    return place_of(xdrs);
}

static bool_t set_place(XDR *xdrs, u_int place)
{
    uint32_t all = place_of(xdrs) + xdrs->x_handy;
    if (place > all)
        return FALSE;
    xdrs->x_handy = all - place;
    set(xdrs, place, units_of(xdrs));
    return TRUE;
}

static int32_t *in_line(XDR *xdrs, u_int bytes)
{
    return ull_xdr_is_aligned(xdrs->x_base + place_of(xdrs)) ? (int32_t *)(void *)take(xdrs, bytes) : NULL;
}

static void destroy(XDR *xdrs)
{
    (void)xdrs;
}

/* ---- limits ---- */

static u_int left(XDR *xdrs)
{
    return xdrs->x_handy;
}

static bool charge(XDR *xdrs, uint32_t units)
{
    uint32_t have = units_of(xdrs);
    if (units > have)
        return false;
    set(xdrs, place_of(xdrs), have - units);
    return true;
}

static void limit(XDR *xdrs, uint32_t units)
{
    set(xdrs, place_of(xdrs), units != 0 ? units : ull_xdr_units_of(place_of(xdrs) + xdrs->x_handy));
}

bool_t ull_xdr_control(XDR *xdrs, int request, void *info)
{
    struct ullage_xdr_bytesrec *answer = info;
    if (request != ULLAGE_XDR_GET_BYTES_AVAIL)
        return FALSE;
    answer->xc_is_last_record = TRUE;
    answer->xc_num_avail = ull_xdr_kind(xdrs)->left(xdrs);
    return TRUE;
}

const struct ull_xdr_kind ull_xdr_memory = {
    .ops = { get_long, put_long, get_bytes, put_bytes, get_place, set_place, in_line, destroy, ull_xdr_control },
    .left = left, .charge = charge, .limit = limit,
};

void ull_xdr_make_memory(XDR *xdrs, const void *data, uint32_t bytes, enum xdr_op op, uint32_t units)
{
    xdrs->x_op = op;
    xdrs->x_ops = (struct xdr_ops *)(uintptr_t)&ull_xdr_memory.ops;
    xdrs->x_base = (char *)(uintptr_t)data;
    xdrs->x_handy = bytes;
    set(xdrs, 0, units);
}

/* ---- dead ---- */

static bool_t dead_get_long(XDR *xdrs, long *value) { (void)xdrs; (void)value; return FALSE; }
static bool_t dead_put_long(XDR *xdrs, const long *value) { (void)xdrs; (void)value; return FALSE; }
static bool_t dead_get_bytes(XDR *xdrs, char *to, u_int bytes) { (void)xdrs; (void)to; (void)bytes; return FALSE; }
static bool_t dead_put_bytes(XDR *xdrs, const char *from, u_int bytes) { (void)xdrs; (void)from; (void)bytes; return FALSE; }
static u_int dead_get_place(XDR *xdrs) { (void)xdrs; return 0; }
static bool_t dead_set_place(XDR *xdrs, u_int place) { (void)xdrs; (void)place; return FALSE; }
static int32_t *dead_in_line(XDR *xdrs, u_int bytes) { (void)xdrs; (void)bytes; return NULL; }
static u_int dead_left(XDR *xdrs) { (void)xdrs; return 0; }
static bool dead_charge(XDR *xdrs, uint32_t units) { (void)xdrs; (void)units; return false; }
static void dead_limit(XDR *xdrs, uint32_t units) { (void)xdrs; (void)units; }

const struct ull_xdr_kind ull_xdr_dead = {
    .ops = { dead_get_long, dead_put_long, dead_get_bytes, dead_put_bytes, dead_get_place, dead_set_place, dead_in_line, destroy,
        ull_xdr_control },
    .left = dead_left, .charge = dead_charge, .limit = dead_limit,
};

void ull_xdr_make_dead(XDR *xdrs, enum xdr_op op)
{
    xdrs->x_op = op;
    xdrs->x_ops = (struct xdr_ops *)(uintptr_t)&ull_xdr_dead.ops;
    xdrs->x_private = xdrs->x_base = NULL;
    xdrs->x_handy = 0;
}
