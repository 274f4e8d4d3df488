/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * record_api.h - the ways to read a stream of records that are compared: one program, and which way by the environment.
 *
 * The raw one knows nothing of records: it is what the bytes cost, and no reader can be below it. libtirpc's is left out where it
 * was not there to build against.
 */
#ifndef ULLAGE_BENCH_RECORD_API_H
#define ULLAGE_BENCH_RECORD_API_H

#include <ullage/bench.h>
#include <ullage/record.h>

#include <stdbool.h>
#include <stdint.h>

enum way {
    WAY_RAW,    /* read(2) into one buffer of 64 KiB */
    WAY_PLACED, /* read(2) of 64 KiB to one after the other place of a record's: what it costs at the least if the record is to lie together */
    WAY_NAIVE,  /* a buffer of 1 MiB a record, cleared, before its marker's bytes are looked at */
    WAY_XDRREC, /* libtirpc's xdrrec streams with 64 KiB, as its server and client have them */
    WAY_ULLAGE,
};

enum { RAW_BYTES = 65536, NAIVE_BYTES = 1 << 20, XDRREC_BYTES = 65536, MARKER_BYTES = 4 };

/* BENCH_READER: raw, placed, naive, xdrrec or ullage (which is what it is if there is none). */
enum way chosen_way(void);

/* True: it is another way than those, and that was said. */
bool skip_unless(struct ullage_bench *b, unsigned ways);
#define BIT(way) (1U << (way))

/* Writes marker and contents of a record: a call of NFS 3, procedure READ, where there is room for its header. Returns their bytes. */
size_t make_record(unsigned char *to, size_t bytes);

/* ---- record_xdrrec.c ---- */

struct xdrrec;
typedef long (*xdrrec_source_fn)(void *ctx, void *to, long bytes); /* >0, or -1 */
/* NULL: there is no libtirpc. */
struct xdrrec *xdrrec_open(xdrrec_source_fn source, void *ctx);
void xdrrec_close(struct xdrrec *stream);
/* The next record's bytes, copied as xdr_opaque() does. */
bool xdrrec_read(struct xdrrec *stream, void *to, size_t bytes);
/* Past the next record. */
bool xdrrec_skip(struct xdrrec *stream);
/* A record the other way, to nowhere. */
bool xdrrec_write(struct xdrrec *stream, const void *from, size_t bytes);

#endif
