/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stream.c - what xdrrec_create() makes, with a record reader below it.
 *
 * libtirpc's decodes bytes as they arrive, and asks for the next record only when something of it is decoded; so does this one, but
 * that it waits for all of the record, which then is an XDR of its own (in).
 */
#include "config.h"

#include "kind.h"
#include "out.h"

#include "ullage/alloc.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

enum {
    RECEIVE_LEAST = 4096, /* what a reader takes as chunk_bytes */
    RECEIVE_MOST = 1 << 20,
};

enum state {
    STATE_IN_RECORD, /* or behind its end, or before the first */
    STATE_SKIPPED,   /* the next record is read when something of it is decoded */
    STATE_TRIED,     /* it was tried, and has not come yet */
};

struct stream {
    struct ullage_reader *reader;
    int (*readit)(void *handle, void *to, int bytes);
    void *handle;
    XDR in;
    enum state state;
    bool has_read;
    int status;     /* of reading: the last call's */
    uint32_t units; /* that a record may cost; 0: the default */
    struct ull_xdr_out out;
};

static struct stream *of(const XDR *xdrs)
{
    return xdrs->x_private;
}

/* ---- records ---- */

static ssize_t read_some(void *ctx, void *to, size_t bytes)
{
    struct stream *s = ctx;
    errno = 0;
    int got = s->readit(s->handle, to, bytes < INT_MAX ? (int)bytes : INT_MAX);
    if (got > 0 || (got == 0 && errno != EAGAIN && errno != EWOULDBLOCK))
        return got;
    return errno != 0 ? -errno : -EIO;
}

static void leave_record(struct stream *s)
{
    xdr_destroy(&s->in);
    ull_xdr_make_memory(&s->in, "", 0, XDR_DECODE, 0);
    s->state = STATE_IN_RECORD;
}

/* The next record is the one that is decoded. */
static bool enter_record(struct stream *s)
{
    struct ullage_record record;
    int kept = errno;
    leave_record(s);
    s->has_read = true;
    s->status = ullage_reader_read(s->reader, read_some, s, &record);
    errno = kept;
    if (s->status == 0)
        s->status = -ECONNRESET; /* somebody waits for a record */
    if (s->status < 0) {
        s->state = STATE_TRIED;
        return false;
    }
    s->status = 0;
    ullage_xdr_record(&s->in, &record);
    if (s->units != 0)
        ull_xdr_kind(&s->in)->limit(&s->in, s->units);
    return true;
}

/* The record to decode; one of no bytes where there is none. */
static XDR *in(XDR *xdrs)
{
    struct stream *s = of(xdrs);
    if (s->state != STATE_IN_RECORD)
        enter_record(s);
    return &s->in;
}

/* ---- operations ---- */

static bool_t get_long(XDR *xdrs, long *value)
{
    XDR *record = in(xdrs);
    return XDR_GETLONG(record, value);
}

static bool_t get_bytes(XDR *xdrs, char *to, u_int bytes)
{
    if (bytes == 0)
        return TRUE;
    XDR *record = in(xdrs);
    return XDR_GETBYTES(record, to, bytes);
}

static bool_t put_long(XDR *xdrs, const long *value)
{
    uint32_t word = htonl((uint32_t)*value);
    return ull_xdr_out_put(&of(xdrs)->out, &word, sizeof word);
}

static bool_t put_bytes(XDR *xdrs, const char *from, u_int bytes)
{
    return ull_xdr_out_put(&of(xdrs)->out, from, bytes);
}

static u_int get_place(XDR *xdrs)
{
    if (xdrs->x_op == XDR_ENCODE)
        return ull_xdr_out_place(&of(xdrs)->out);
    return XDR_GETPOS(&of(xdrs)->in);
}

static bool_t set_place(XDR *xdrs, u_int place)
{
    if (xdrs->x_op == XDR_ENCODE)
        return ull_xdr_out_set_place(&of(xdrs)->out, place);
    return XDR_SETPOS(&of(xdrs)->in, place);
}

static int32_t *in_line(XDR *xdrs, u_int bytes)
{
    if (xdrs->x_op == XDR_ENCODE)
        return ull_xdr_out_take(&of(xdrs)->out, bytes);
    XDR *record = in(xdrs);
    return XDR_INLINE(record, bytes);
}

static void destroy(XDR *xdrs)
{
    struct stream *s = of(xdrs);
    leave_record(s);
    ull_xdr_out_fini(&s->out);
    ullage_reader_destroy(s->reader);
    ullage_free(s);
    ull_xdr_make_dead(xdrs, xdrs->x_op);
}

static u_int left(XDR *xdrs)
{
    XDR *record = in(xdrs);
    return ull_xdr_kind(record)->left(record);
}

static bool charge(XDR *xdrs, uint32_t units)
{
    XDR *record = in(xdrs);
    return ull_xdr_kind(record)->charge(record, units);
}

static void limit(XDR *xdrs, uint32_t units)
{
    of(xdrs)->units = units;
}

static bool_t control(XDR *xdrs, int request, void *info)
{
    struct ullage_xdr_bytesrec *answer = info;
    if (request != ULLAGE_XDR_GET_BYTES_AVAIL)
        return FALSE;
    answer->xc_num_avail = left(xdrs);
    answer->xc_is_last_record = ullage_reader_pending(of(xdrs)->reader) == 0;
    return TRUE;
}

const struct ull_xdr_kind ull_xdr_stream = {
    .ops = { get_long, put_long, get_bytes, put_bytes, get_place, set_place, in_line, destroy, control },
    .left = left, .charge = charge, .limit = limit,
};

/* ---- making ---- */

void ullage_xdrrec_create(XDR *xdrs, u_int sendsize, u_int recvsize, void *handle, int (*readit)(void *, void *, int),
    int (*writeit)(void *, void *, int))
{
    struct ullage_reader_options options = ULLAGE_READER_OPTIONS_INIT;
    int kept = errno;
    if (recvsize != 0)
        options.chunk_bytes = recvsize < RECEIVE_LEAST ? RECEIVE_LEAST : recvsize > RECEIVE_MOST ? RECEIVE_MOST : recvsize;
    struct stream *s = ullage_calloc(1, sizeof *s);
    errno = kept;
    if (s == NULL || ullage_reader_create(&s->reader, &options) != 0) {
        ullage_free(s);
        ull_xdr_make_dead(xdrs, XDR_DECODE);
        return;
    }
    s->readit = readit;
    s->handle = handle;
    ull_xdr_make_memory(&s->in, "", 0, XDR_DECODE, 0);
    ull_xdr_out_init(&s->out, sendsize, handle, writeit);
    xdrs->x_ops = (struct xdr_ops *)(uintptr_t)&ull_xdr_stream.ops;
    xdrs->x_private = s;
}

static bool is_stream(const XDR *xdrs)
{
    return ull_xdr_kind(xdrs) == &ull_xdr_stream;
}

int ullage_xdrrec_limit(XDR *xdrs, const struct ullage_reader_options *opt)
{
    struct ullage_reader *reader;
    if (!is_stream(xdrs))
        return -EINVAL;
    if (of(xdrs)->has_read)
        return -EBUSY;
    int error = ullage_reader_create(&reader, opt);
    if (error != 0)
        return error;
    ullage_reader_destroy(of(xdrs)->reader);
    of(xdrs)->reader = reader;
    return 0;
}

int ullage_xdrrec_status(const XDR *xdrs)
{
    if (!is_stream(xdrs))
        return ull_xdr_kind(xdrs) == &ull_xdr_dead ? -ENOMEM : 0;
    return xdrs->x_op == XDR_ENCODE ? of(xdrs)->out.status : of(xdrs)->status;
}

const char *ullage_xdrrec_error(const XDR *xdrs)
{
    return is_stream(xdrs) ? ullage_reader_error(of(xdrs)->reader) : "";
}

/* ---- between records ---- */

/* What is left of the record, or all of one that was asked for and not looked at. */
static bool drop_record(struct stream *s)
{
    bool is_there = s->state == STATE_IN_RECORD || enter_record(s);
    if (is_there)
        leave_record(s);
    return is_there;
}

static bool may_still_come(const struct stream *s)
{
    return s->status != -ECONNRESET && ullage_reader_status(s->reader) == 0;
}

bool_t ullage_xdrrec_skiprecord(XDR *xdrs)
{
    if (!is_stream(xdrs))
        return ull_xdr_kind(xdrs) == NULL && xdrrec_skiprecord(xdrs);
    struct stream *s = of(xdrs);
    if (s->state == STATE_TRIED)
        return may_still_come(s);
    if (!drop_record(s))
        return FALSE;
    s->state = STATE_SKIPPED;
    return TRUE;
}

bool_t ullage_xdrrec_eof(XDR *xdrs)
{
    if (!is_stream(xdrs))
        return ull_xdr_kind(xdrs) != NULL || xdrrec_eof(xdrs);
    return !drop_record(of(xdrs)) || ullage_reader_pending(of(xdrs)->reader) == 0;
}

bool_t ullage_xdrrec_endofrecord(XDR *xdrs, bool_t sendnow)
{
    if (!is_stream(xdrs))
        return ull_xdr_kind(xdrs) == NULL && xdrrec_endofrecord(xdrs, sendnow);
    return ull_xdr_out_end(&of(xdrs)->out, sendnow);
}
