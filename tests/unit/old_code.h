/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * old_code.h - decoders and a conversation as rpcgen and its users write them, for libtirpc.
 *
 * Included twice by xdr_message.h: as it is, and behind <ullage/xdr.h>. OLD(name) names the copy.
 */

static inline bool_t OLD(item)(XDR *xdrs, struct item *item)
{
    return xdr_int(xdrs, &item->number) && xdr_string(xdrs, &item->name, ~0U)
        && xdr_pointer(xdrs, (char **)&item->next, sizeof *item, (xdrproc_t)OLD(item));
}

static inline bool_t OLD(message)(XDR *xdrs, struct message *m)
{
    int32_t *line;
    if (!xdr_int(xdrs, &m->small) || !xdr_long(xdrs, &m->number) || !xdr_hyper(xdrs, &m->large) || !xdr_double(xdrs, &m->real)
        || !xdr_bool(xdrs, &m->flag))
        return FALSE;
    line = xdrs->x_op != XDR_FREE ? XDR_INLINE(xdrs, 2 * BYTES_PER_XDR_UNIT) : NULL;
    if (line == NULL) {
        if (!xdr_u_int(xdrs, &m->pair[0]) || !xdr_u_int(xdrs, &m->pair[1]))
            return FALSE;
    } else if (xdrs->x_op == XDR_ENCODE) {
        IXDR_PUT_U_INT32(line, m->pair[0]);
        IXDR_PUT_U_INT32(line, m->pair[1]);
    } else {
        m->pair[0] = IXDR_GET_U_INT32(line);
        m->pair[1] = IXDR_GET_U_INT32(line);
    }
    return xdr_opaque(xdrs, m->fixed, sizeof m->fixed) && xdr_bytes(xdrs, &m->bytes, &m->byte_count, ~0U)
        && xdr_string(xdrs, &m->text, 1000) && xdr_wrapstring(xdrs, &m->wrapped) && xdr_netobj(xdrs, &m->object)
        && xdr_array(xdrs, (char **)&m->numbers, &m->number_count, ~0U, sizeof(int), (xdrproc_t)xdr_int)
        && xdr_vector(xdrs, (char *)m->vector, 3, sizeof(short), (xdrproc_t)xdr_short)
        && xdr_pointer(xdrs, (char **)&m->items, sizeof *m->items, (xdrproc_t)OLD(item));
}

static inline bool_t OLD(send)(XDR *xdrs, struct message *m, bool_t now)
{
    xdrs->x_op = XDR_ENCODE;
    return OLD(message)(xdrs, m) && xdrrec_endofrecord(xdrs, now);
}

static inline bool_t OLD(receive)(XDR *xdrs, struct message *m)
{
    xdrs->x_op = XDR_DECODE;
    return xdrrec_skiprecord(xdrs) && OLD(message)(xdrs, m);
}

static inline void OLD(open)(XDR *xdrs, u_int sendsize, u_int recvsize, void *handle)
{
    xdrrec_create(xdrs, sendsize, recvsize, handle, wire_read, wire_write);
}

static inline bool_t OLD(eof)(XDR *xdrs)
{
    return xdrrec_eof(xdrs);
}
