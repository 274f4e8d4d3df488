/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ullage/buffer.h - reference-counted I/O buffers, windows on them, and chains of windows for writev(2).
 *
 * A buffer is got with one reference; each further owner takes one with ref and gives it back with put, and says how far
 * the buffer was used: of several puts the largest counts. With the size 0 a place gets what its earlier buffers needed,
 * and grows the few that need more. Memory, counting, errors and misuse are those of alloc.h. Threads: any; one buffer by
 * several as their references allow. Link with: pkg-config --libs ullage. Since: 0.1
 */
#ifndef ULLAGE_BUFFER_H
#define ULLAGE_BUFFER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include <ullage/alloc.h>
#include <ullage/site.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct ullage_buffer;

/**
 * ullage_buffer_get() - a buffer of at least @want_bytes, contents undefined
 * @want_bytes: 0: as this place's earlier buffers needed, 4 KiB before that is known
 * Returns: one reference; NULL and errno: ENOMEM, EDEADLK
 */
struct ullage_buffer *ullage_buffer_get(size_t want_bytes);
struct ullage_buffer *ullage_buffer_get_at(const struct ullage_site *site, size_t want_bytes);

/**
 * The same, all zero, as far as its earlier users declared their use truly: only what they declared is cleared. For buffers
 * whose users are all known; else ullage_calloc(). Under ULLAGE_DEBUG the rest is verified, and a wrong declaration is misuse.
 */
struct ullage_buffer *ullage_buffer_get_zeroed(size_t want_bytes);
struct ullage_buffer *ullage_buffer_get_zeroed_at(const struct ullage_site *site, size_t want_bytes);

#define ullage_buffer_get(want_bytes) ullage_buffer_get_at(ULLAGE_HERE, (want_bytes))
#define ullage_buffer_get_zeroed(want_bytes) ullage_buffer_get_zeroed_at(ULLAGE_HERE, (want_bytes))

/** One more reference; returns @b. */
struct ullage_buffer *ullage_buffer_ref(struct ullage_buffer *b);

/** Gives a reference back, the last one gives the buffer back; NULL is let pass. @used_bytes: how far it was used. */
void ullage_buffer_put(struct ullage_buffer *b, size_t used_bytes);

void *ullage_buffer_data(struct ullage_buffer *b);
/** Bytes that may be used: at least what was asked for. */
size_t ullage_buffer_capacity(const struct ullage_buffer *b);

/**
 * ullage_buffer_grow() - make room for @want_bytes
 * @b:          replaced by a larger buffer where it has to be; @keep_bytes from the front are copied
 * Returns: 0; -EBUSY: it has to move, and others hold references, or a record reader's budget is charged for it; -EINVAL: @keep_bytes over its capacity; -ENOMEM;
 *          -EDEADLK. After an error @b is as it was
 */
int ullage_buffer_grow(struct ullage_buffer **b, size_t want_bytes, size_t keep_bytes);

/** As ullage_in_flight_begin() and _end(). */
int ullage_buffer_in_flight_begin(struct ullage_buffer *b);
int ullage_buffer_in_flight_end(struct ullage_buffer *b);

/* ---- windows ---- */

/** A window on a buffer; holds a reference. A copy of the struct holds none: ullage_slice_cut() makes a second window. */
struct ullage_slice {
    struct ullage_buffer *buffer;
    void *data;
    size_t bytes;
};

/** A window on [@offset, @offset + @bytes) of a buffer. Returns: 0; -ERANGE: it does not lie inside. */
int ullage_slice_of(struct ullage_slice *out, struct ullage_buffer *b, size_t offset, size_t bytes);
/** A window on a part of another window. Returns: 0; -ERANGE. */
int ullage_slice_cut(struct ullage_slice *out, const struct ullage_slice *from, size_t offset, size_t bytes);
/** Gives its reference back; the buffer counts as used up to the window's end. The slice is empty then. */
void ullage_slice_put(struct ullage_slice *slice);

/* ---- chains ---- */

struct ullage_chain; /**< windows in a row: what is still to be written */

/** Returns: 0; -ENOMEM. */
int ullage_chain_create(struct ullage_chain **out);
/** Gives all windows back; NULL is let pass. */
void ullage_chain_destroy(struct ullage_chain *chain);
/** Puts a window at the end, and takes over its reference: @slice is empty then. Returns: 0; -ENOMEM, -EDEADLK: nothing was taken. */
int ullage_chain_append(struct ullage_chain *chain, struct ullage_slice *slice);
/** Bytes in it. */
size_t ullage_chain_bytes(const struct ullage_chain *chain);
/** Fills up to @room entries for writev(2) from the front. Returns how many. Good until the chain changes. */
int ullage_chain_iovec(const struct ullage_chain *chain, struct iovec *iov, int room);
/** Drops @bytes from the front, as writev(2) returned them; windows that are through are given back. Returns 0; -ERANGE. */
int ullage_chain_consume(struct ullage_chain *chain, size_t bytes);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
