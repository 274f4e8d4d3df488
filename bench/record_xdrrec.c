/* SPDX-License-Identifier: BSD-2-Clause */
/* record_xdrrec.c - see record_api.h: records by libtirpc. */
#include "record_api.h"

#ifdef WITH_TIRPC
#include <rpc/rpc.h>
#include <stdlib.h>

struct xdrrec {
    XDR xdr;
    xdrrec_source_fn source;
    void *ctx;
};

static int read_it(void *handle, void *to, int bytes)
{
    struct xdrrec *stream = handle;
    return (int)stream->source(stream->ctx, to, bytes);
}

static int write_it(void *handle, void *from, int bytes)
{
    (void)handle;
    (void)from;
    return bytes;
}

struct xdrrec *xdrrec_open(xdrrec_source_fn source, void *ctx)
{
    struct xdrrec *stream = calloc(1, sizeof *stream);
    if (stream == NULL)
        abort();
    stream->source = source;
    stream->ctx = ctx;
    xdrrec_create(&stream->xdr, XDRREC_BYTES, XDRREC_BYTES, stream, read_it, write_it);
    if (stream->xdr.x_ops == NULL)
        abort();
    stream->xdr.x_op = XDR_DECODE;
    return stream;
}

void xdrrec_close(struct xdrrec *stream)
{
    XDR_DESTROY(&stream->xdr);
    free(stream);
}

bool xdrrec_read(struct xdrrec *stream, void *to, size_t bytes)
{
    return xdrrec_skiprecord(&stream->xdr) && xdr_opaque(&stream->xdr, to, (u_int)bytes);
}

bool xdrrec_skip(struct xdrrec *stream)
{
    return xdrrec_skiprecord(&stream->xdr);
}

bool xdrrec_write(struct xdrrec *stream, const void *from, size_t bytes)
{
    stream->xdr.x_op = XDR_ENCODE;
    bool well = xdr_opaque(&stream->xdr, (char *)(uintptr_t)from, (u_int)bytes) && xdrrec_endofrecord(&stream->xdr, TRUE);
    stream->xdr.x_op = XDR_DECODE;
    return well;
}
#else
struct xdrrec *xdrrec_open(xdrrec_source_fn source, void *ctx)
{
    (void)source;
    (void)ctx;
    return NULL;
}

void xdrrec_close(struct xdrrec *stream)
{
    (void)stream;
}

bool xdrrec_read(struct xdrrec *stream, void *to, size_t bytes)
{
    (void)stream;
    (void)to;
    (void)bytes;
    return false;
}

bool xdrrec_skip(struct xdrrec *stream)
{
    (void)stream;
    return false;
}

bool xdrrec_write(struct xdrrec *stream, const void *from, size_t bytes)
{
    (void)stream;
    (void)from;
    (void)bytes;
    return false;
}
#endif
