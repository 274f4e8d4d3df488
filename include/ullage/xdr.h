/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ullage/xdr.h - records as XDR streams of libtirpc, and decoders that believe no length.
 *
 * Three things, in a library of their own (libullage-xdr; libullage itself knows nothing of XDR):
 *
 *   ullage_xdr_record()      an XDR over a record that a reader handed out, in place, in one piece or in several;
 *   ullage_xdrrec_create()   what xdrrec_create() makes, with Ullage's reader below it;
 *   decoders with limits     for what rpcgen makes, and for decoders written by hand.
 *
 * Old code changes one line: it includes this header after, or instead of, <rpc/rpc.h> (rpcgen's code: compile it with
 * -include ullage/xdr.h). From there on the names xdrrec_* and those of the decoders below mean this library's. What they do with an
 * XDR of libtirpc's own is what libtirpc does, within the limits below. ULLAGE_XDR_NO_MACROS before the include leaves all names alone.
 *
 * The limits, against CVE-2017-8779 and its kind (a record of 40 bytes that says "a string of 4 GiB"):
 *
 *   in an XDR of               a length over what is left     memory that one record may cause in all
 *   this library               is refused                     16 times its bytes, at least 64 KiB; ullage_xdr_limit()
 *   libtirpc, memory (UDP)     is refused                     not limited
 *   anybody else (TCP)         costs what has arrived, twice  not limited
 *
 *   and in all of them xdr_pointer and xdr_reference nest at most ULLAGE_XDR_DEPTH deep; ullage_xdr_max_depth().
 *
 * Covered: xdr_bytes, xdr_string, xdr_wrapstring, xdr_netobj, xdr_array, xdr_pointer, xdr_reference in code that was compiled with this
 * header. Not covered: code that was not, libtirpc's own included (credentials have their cap of 400 bytes there); memory that a
 * decoder takes by itself; loops in which each turn decodes nothing; recursion that passes through none of the seven.
 *
 * Threads: one at a time an XDR. Link with: pkg-config --libs ullage-xdr. Since: 0.1
 */
#ifndef ULLAGE_XDR_H
#define ULLAGE_XDR_H

#include <rpc/rpc.h>
#include <stddef.h>
#include <sys/uio.h>
#include <ullage/record.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* ---- records ---- */

/**
 * ullage_xdr_record() - decode a record where it lies
 * @xdrs:   made; x_public is left alone
 * @record: as a reader handed it out. Its bytes are borrowed, the struct is not: an XDR is good as long as the record is
 *
 * A record in one piece takes no memory. One in pieces (ULLAGE_READER_PIECES) takes 64 bytes until xdr_destroy(); where there are
 * none, or the record has over 2^32 - 1 bytes, every call on the XDR fails. XDR_INLINE gives NULL, as xdrmem does, where the bytes are not
 * aligned, and where they lie in two pieces.
 */
void ullage_xdr_record(XDR *xdrs, const struct ullage_record *record);

/** The same over any pieces, to decode or to encode; @iov is borrowed too. To be destroyed. xdr_getpos(): bytes from the first on. */
void ullage_xdr_iovec(XDR *xdrs, const struct iovec *iov, int count, enum xdr_op op);

/* ---- streams ---- */

/**
 * ullage_xdrrec_create() - xdrrec_create() with memory by what arrives
 * @sendsize: bytes of a fragment that is sent, its marker included; 0, or under 100: 4000, as libtirpc
 * @recvsize: most bytes of one read; 0: 64 KiB. 4 KiB to 1 MiB
 * @readit:   >0 bytes read; 0 end of stream (with errno EAGAIN: nothing there now); -1 and errno. EAGAIN and EINTR are no failure: call again
 * @writeit:  bytes written; what is short is written on; 0 or -1: the stream has failed
 *
 * As libtirpc's: xdrrec_skiprecord() before each record that is decoded, xdrrec_endofrecord() after each that is encoded.
 * Otherwise than libtirpc's: a record is decoded when all of it has come, and is at most ULLAGE_RECORD_BYTES long unless
 * ullage_xdrrec_limit() says otherwise; end of stream is a failure at once; xdr_getpos() is the place in the record, and xdr_setpos()
 * goes anywhere in it, encoding within the fragment; between records a stream holds no buffers (libtirpc: @sendsize + @recvsize).
 */
void ullage_xdrrec_create(XDR *xdrs, u_int sendsize, u_int recvsize, void *handle, int (*readit)(void *, void *, int),
    int (*writeit)(void *, void *, int));

/** Other caps, a budget, deadlines. Returns: 0; -EBUSY: something was read already; -EINVAL: also where @xdrs is none of ours; -ENOMEM. */
int ullage_xdrrec_limit(XDR *xdrs, const struct ullage_reader_options *opt);

/**
 * Why the stream gave or took nothing (x_op says which is meant): as ullage_reader_read() says it, and -ECONNRESET also for a stream that
 * ended before the record that was asked for; -errno of writeit. 0: it did; what failed was a decoder.
 */
int ullage_xdrrec_status(const XDR *xdrs);
/** The same in a sentence; "" if there is none. */
const char *ullage_xdrrec_error(const XDR *xdrs);

/* What the macros below put in place of libtirpc's. */
bool_t ullage_xdrrec_skiprecord(XDR *xdrs);
bool_t ullage_xdrrec_eof(XDR *xdrs);
bool_t ullage_xdrrec_endofrecord(XDR *xdrs, bool_t sendnow);

/* ---- limits ---- */

/** Our choice: some 2 MiB of stack with rpcgen's code, a quarter of what a thread has. */
enum { ULLAGE_XDR_DEPTH = 8192 };

/**
 * ullage_xdr_limit() - what decoding may allocate from now on; of a stream: for each later record
 * @bytes: 0: 16 times the record's, at least 64 KiB, because the C form of a small item is larger than its four bytes on the wire
 * Returns: 0; -EINVAL: an XDR that is none of ours
 */
int ullage_xdr_limit(XDR *xdrs, size_t bytes);

/** How deep pointers may nest, for all threads; 0: ULLAGE_XDR_DEPTH. */
void ullage_xdr_max_depth(unsigned depth);

/** What a decoder refused last in this thread, with its length and what was left; "" if there was nothing. */
const char *ullage_xdr_error(void);

/* As libtirpc's. After a failure xdr_free() gives back what was decoded so far. */
bool_t ullage_xdr_bytes(XDR *xdrs, char **bytes, u_int *count, u_int max);
bool_t ullage_xdr_string(XDR *xdrs, char **string, u_int max);
bool_t ullage_xdr_wrapstring(XDR *xdrs, char **string);
bool_t ullage_xdr_netobj(XDR *xdrs, struct netobj *object);
bool_t ullage_xdr_array(XDR *xdrs, char **items, u_int *count, u_int max, u_int item_bytes, xdrproc_t item);
bool_t ullage_xdr_reference(XDR *xdrs, char **object, u_int bytes, xdrproc_t proc);
bool_t ullage_xdr_pointer(XDR *xdrs, char **object, u_int bytes, xdrproc_t proc);

/** xdr_control(): as Solaris and FreeBSD have it. */
enum { ULLAGE_XDR_GET_BYTES_AVAIL = 1 };
struct ullage_xdr_bytesrec {
    bool_t xc_is_last_record; /**< nothing after this record has come yet */
    size_t xc_num_avail;      /**< bytes of it that are left */
};

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#ifndef ULLAGE_XDR_NO_MACROS
#define xdrrec_create ullage_xdrrec_create
#define xdrrec_skiprecord ullage_xdrrec_skiprecord
#define xdrrec_eof ullage_xdrrec_eof
#define xdrrec_endofrecord ullage_xdrrec_endofrecord
#define xdr_bytes ullage_xdr_bytes
#define xdr_string ullage_xdr_string
#define xdr_wrapstring ullage_xdr_wrapstring
#define xdr_netobj ullage_xdr_netobj
#define xdr_array ullage_xdr_array
#define xdr_reference ullage_xdr_reference
#define xdr_pointer ullage_xdr_pointer
#endif

#endif
