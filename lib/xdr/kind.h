/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kind.h - what this library's XDRs can do beside what every XDR can.
 *
 * x_ops points to the operations at the beginning of a kind: an XDR whose x_ops is none of these is somebody else's.
 *
 *   memory.c  one piece; all that it knows lies in the XDR itself
 *   pieces.c  several
 *   stream.c  reads records, each decoded as one of the above; what is encoded is collected by out.c
 */
#ifndef ULL_XDR_KIND_H
#define ULL_XDR_KIND_H

#define ULLAGE_XDR_NO_MACROS
#include "ullage/xdr.h"

#include <stdbool.h>
#include <stdint.h>

/* Memory that decoding may take is counted in units: a record gets one for each byte, and an allocation costs one more than its size. */
enum {
    ULL_XDR_UNIT_BYTES = 16,
    ULL_XDR_UNITS_LEAST = 4096, /* 64 KiB */
};

struct ull_xdr_kind {
    struct xdr_ops ops; /* first */
    u_int (*left)(XDR *);                    /* bytes of the record that are still to be decoded */
    bool (*charge)(XDR *, uint32_t units);   /* false: more than the record may cause */
    void (*limit)(XDR *, uint32_t units);    /* 0: the default */
};

extern const struct ull_xdr_kind ull_xdr_memory, ull_xdr_pieces, ull_xdr_stream, ull_xdr_dead;

/* NULL: somebody else's. Not to be asked of an XDR that frees: its x_ops is not set. */
static inline const struct ull_xdr_kind *ull_xdr_kind(const XDR *xdrs)
{
    const struct ull_xdr_kind *kind = (const struct ull_xdr_kind *)(const void *)xdrs->x_ops;
    return kind == &ull_xdr_memory || kind == &ull_xdr_pieces || kind == &ull_xdr_stream || kind == &ull_xdr_dead ? kind : NULL;
}

static inline uint32_t ull_xdr_units_of(uint32_t record_bytes)
{
    return record_bytes > ULL_XDR_UNITS_LEAST ? record_bytes : ULL_XDR_UNITS_LEAST;
}

/* Every call on it fails. */
void ull_xdr_make_dead(XDR *xdrs, enum xdr_op op);
/* One piece; @units that decoding may take. */
void ull_xdr_make_memory(XDR *xdrs, const void *data, uint32_t bytes, enum xdr_op op, uint32_t units);

/* For x_control of those that hold one record. */
bool_t ull_xdr_control(XDR *xdrs, int request, void *info);

static inline uint32_t ull_xdr_word(const void *bytes)
{
    uint32_t word;
    __builtin_memcpy(&word, bytes, sizeof word);
    return ntohl(word);
}

static inline bool ull_xdr_is_aligned(const void *at)
{
    return (uintptr_t)at % BYTES_PER_XDR_UNIT == 0;
}

#endif
