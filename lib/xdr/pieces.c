/* SPDX-License-Identifier: BSD-2-Clause */
/* pieces.c - an XDR over several pieces of memory; an item may lie across their borders. */
#include "config.h"

#include "kind.h"

#include "ullage/alloc.h"

#include <errno.h>
#include <string.h>

struct pieces {
    const struct iovec *first, *at, *end; /* at: where the next byte lies; end if there is none */
    size_t skip;     /* bytes of *at that are through; less than it has */
    uint32_t bytes;  /* in all */
    uint32_t left;
    uint32_t units;
};

static struct pieces *of(const XDR *xdrs)
{
    return xdrs->x_private;
}

/* ---- going on ---- */

static void skip_empty(struct pieces *p)
{
    while (p->at != p->end && p->skip == p->at->iov_len) {
        p->at++;
        p->skip = 0;
    }
}

/* The next bytes that lie together, at most @most; there is at least one. Goes past them. */
static char *take_some(struct pieces *p, u_int most, u_int *bytes)
{
    char *at = (char *)p->at->iov_base + p->skip;
    size_t here = p->at->iov_len - p->skip;
    *bytes = here < most ? (u_int)here : most;
    p->skip += *bytes;
    p->left -= *bytes;
    skip_empty(p);
    return at;
}

static bool get(struct pieces *p, void *to, u_int bytes)
{
    char *next = to;
    u_int some;
    if (bytes > p->left)
        return false;
    for (; bytes != 0; bytes -= some, next += some) {
        const char *from = take_some(p, bytes, &some);
        memcpy(next, from, some);
    }
    return true;
}

static bool put(struct pieces *p, const void *from, u_int bytes)
{
    const char *next = from;
    u_int some;
    if (bytes > p->left)
        return false;
    for (; bytes != 0; bytes -= some, next += some) {
        char *to = take_some(p, bytes, &some);
        memcpy(to, next, some);
    }
    return true;
}

/* ---- operations ---- */

static bool_t get_long(XDR *xdrs, long *value)
{
    uint32_t word;
    if (!get(of(xdrs), &word, sizeof word))
        return FALSE;
    *value = (long)ntohl(word);
    return TRUE;
}

static bool_t put_long(XDR *xdrs, const long *value)
{
    uint32_t word = htonl((uint32_t)*value);
    return put(of(xdrs), &word, sizeof word);
}

static bool_t get_bytes(XDR *xdrs, char *to, u_int bytes)
{
    return get(of(xdrs), to, bytes);
}

static bool_t put_bytes(XDR *xdrs, const char *from, u_int bytes)
{
    return put(of(xdrs), from, bytes);
}

static u_int get_place(XDR *xdrs)
{
    return of(xdrs)->bytes - of(xdrs)->left;
}

static bool_t set_place(XDR *xdrs, u_int place)
{
    struct pieces *p = of(xdrs);
    if (place > p->bytes)
        return FALSE;
    p->left = p->bytes - place;
    p->at = p->first;
    for (p->skip = place; p->at != p->end && p->skip >= p->at->iov_len; p->at++)
        p->skip -= p->at->iov_len;
    return TRUE;
}

static int32_t *in_line(XDR *xdrs, u_int bytes)
{
    struct pieces *p = of(xdrs);
    u_int some;
    if (p->at == p->end || bytes > p->at->iov_len - p->skip || !ull_xdr_is_aligned((char *)p->at->iov_base + p->skip))
        return NULL;
    return (int32_t *)(void *)take_some(p, bytes, &some);
}

static void destroy(XDR *xdrs)
{
    ullage_free(of(xdrs));
    ull_xdr_make_dead(xdrs, xdrs->x_op);
}

/* ---- limits ---- */

static u_int left(XDR *xdrs)
{
    return of(xdrs)->left;
}

static bool charge(XDR *xdrs, uint32_t units)
{
    struct pieces *p = of(xdrs);
    if (units > p->units)
        return false;
    p->units -= units;
    return true;
}

static void limit(XDR *xdrs, uint32_t units)
{
    of(xdrs)->units = units != 0 ? units : ull_xdr_units_of(of(xdrs)->bytes);
}

const struct ull_xdr_kind ull_xdr_pieces = {
    .ops = { get_long, put_long, get_bytes, put_bytes, get_place, set_place, in_line, destroy, ull_xdr_control },
    .left = left, .charge = charge, .limit = limit,
};

/* ---- making ---- */

static bool sum(const struct iovec *iov, int count, uint32_t *bytes)
{
    *bytes = 0;
    for (int i = 0; i < count; i++)
        if (__builtin_add_overflow(*bytes, iov[i].iov_len, bytes))
            return false;
    return count >= 0;
}

void ullage_xdr_iovec(XDR *xdrs, const struct iovec *iov, int count, enum xdr_op op)
{
    uint32_t bytes;
    int kept = errno;
    struct pieces *p = sum(iov, count, &bytes) ? ullage_malloc(sizeof *p) : NULL;
    errno = kept;
    if (p == NULL) {
        ull_xdr_make_dead(xdrs, op);
        return;
    }
    *p = (struct pieces) { .first = iov, .at = iov, .end = iov + count, .bytes = bytes, .left = bytes, .units = ull_xdr_units_of(bytes) };
    skip_empty(p);
    xdrs->x_op = op;
    xdrs->x_ops = (struct xdr_ops *)(uintptr_t)&ull_xdr_pieces.ops;
    xdrs->x_private = p;
    xdrs->x_base = NULL;
    xdrs->x_handy = 0;
}

void ullage_xdr_record(XDR *xdrs, const struct ullage_record *record)
{
    if (record->piece_count > 1)
        ullage_xdr_iovec(xdrs, record->pieces, record->piece_count, XDR_DECODE);
    else if (record->bytes > UINT32_MAX)
        ull_xdr_make_dead(xdrs, XDR_DECODE);
    else
        ull_xdr_make_memory(xdrs, record->data, (uint32_t)record->bytes, XDR_DECODE, ull_xdr_units_of((uint32_t)record->bytes));
}
