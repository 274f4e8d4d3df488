/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * out.h - what a stream encodes, collected into fragments.
 *
 *   buffer:  [marker][whole record] ... [marker][record so far      ]
 *                                        ^fragment       at^   most^
 *
 * A record that does not fit is sent in fragments; records may wait behind one another until one is to be sent now. The buffer grows
 * with what is in it, up to a fragment, and is given back when it is empty.
 */
#ifndef ULL_XDR_OUT_H
#define ULL_XDR_OUT_H

#include "kind.h"

struct ull_xdr_out {
    int (*writeit)(void *handle, void *bytes, int count);
    void *handle;
    struct ullage_buffer *buffer; /* NULL: nothing is collected */
    uint32_t fragment_bytes; /* at most, with the marker */
    uint32_t fragment;       /* where the current marker lies */
    uint32_t at;             /* the next byte goes here */
    uint32_t most;           /* as far as this fragment was written */
    uint32_t sent;           /* bytes of this record that went in earlier fragments */
    bool in_record;          /* a fragment of it did */
    int status;              /* 0, or what it failed with, for good */
};

void ull_xdr_out_init(struct ull_xdr_out *out, u_int sendsize, void *handle, int (*writeit)(void *, void *, int));
void ull_xdr_out_fini(struct ull_xdr_out *out);
bool ull_xdr_out_put(struct ull_xdr_out *out, const void *from, u_int bytes);
/* Room for @bytes together, in this fragment; NULL. */
void *ull_xdr_out_take(struct ull_xdr_out *out, u_int bytes);
u_int ull_xdr_out_place(const struct ull_xdr_out *out);
bool ull_xdr_out_set_place(struct ull_xdr_out *out, u_int place);
/* The record is whole; @now: it and those before it are sent. */
bool ull_xdr_out_end(struct ull_xdr_out *out, bool now);

#endif
