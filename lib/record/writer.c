/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * writer.c - records out: the caller's pieces, with a marker before each fragment, in as few calls as may be.
 *
 * A place in the record is a piece and an offset in it, and how much is left of fragment and record; what is written next is made
 * from that alone, each time anew, so that a short write goes on at the right byte, inside a marker too.
 */
#include "config.h"

#include "ullage/record.h"

#include "base/arith.h"
#include "base/sys.h"
#include "record/marker.h"
#include "ullage/alloc.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/socket.h>

enum { PIECES = 64 }; /* of one call: our choice, 1 KiB of stack; IOV_MAX is 1,024 */

/* Where a record stands. */
struct place {
    const struct iovec *iov;
    int count;
    uint64_t skip;         /* of the first piece, written already */
    uint64_t record_left;  /* bytes of the record without its markers */
    uint32_t fragment_left;
    uint32_t marker_left;  /* bytes of the fragment's marker */
    uint32_t max_fragment_bytes;
};

struct ullage_writer {
    struct place place;
    int32_t status;
};

/* ---- fragments ---- */

static void begin_fragment(struct place *p)
{
    p->fragment_left = (uint32_t)ull_min_u64(p->record_left, p->max_fragment_bytes);
    p->marker_left = ULL_MARKER_BYTES;
}

static bool is_done(const struct place *p)
{
    return p->record_left == 0 && p->marker_left == 0;
}

static int begin_record(struct place *p, const struct iovec *iov, int count, uint32_t max_fragment_bytes)
{
    uint64_t bytes = 0;
    if (count < 0 || max_fragment_bytes > ULL_FRAGMENT_BYTES_MAX || (count != 0 && iov == NULL))
        return -EINVAL;
    for (int i = 0; i < count; i++)
        if (!ull_add_fits(bytes, iov[i].iov_len, &bytes) || bytes > SSIZE_MAX)
            return -EINVAL;
    *p = (struct place) { .iov = iov, .count = count, .record_left = bytes,
        .max_fragment_bytes = max_fragment_bytes != 0 ? max_fragment_bytes : ULLAGE_RECORD_BYTES };
    begin_fragment(p);
    return 0;
}

/* Goes on by @bytes of the caller's pieces. */
static void skip_pieces(struct place *p, uint64_t bytes)
{
    p->record_left -= bytes;
    p->fragment_left -= (uint32_t)bytes;
    p->skip += bytes;
    while (p->count > 0 && p->skip >= p->iov[0].iov_len) {
        p->skip -= p->iov[0].iov_len;
        p->iov++;
        p->count--;
    }
}

/* @bytes were written from here on. */
static void advance(struct place *p, uint64_t bytes)
{
    while (bytes != 0) {
        uint64_t marker = ull_min_u64(bytes, p->marker_left);
        p->marker_left -= (uint32_t)marker;
        bytes -= marker;
        uint64_t data = ull_min_u64(bytes, p->fragment_left);
        skip_pieces(p, data);
        bytes -= data;
        if (p->marker_left == 0 && p->fragment_left == 0 && p->record_left != 0)
            begin_fragment(p);
    }
}

/* What comes next, as far as there is room. @markers has PIECES of them. Returns how many pieces. */
static int fill(struct place p, struct iovec *out, uint8_t (*markers)[ULL_MARKER_BYTES])
{
    int count = 0;
    while (count < PIECES && !is_done(&p)) {
        if (p.marker_left != 0) {
            ull_put_word(*markers, p.fragment_left | (p.fragment_left == p.record_left ? ULL_MARKER_LAST : 0));
            out[count++] = (struct iovec) { *markers + ULL_MARKER_BYTES - p.marker_left, p.marker_left };
            markers++;
            advance(&p, p.marker_left);
            continue;
        }
        skip_pieces(&p, 0); /* past empty ones */
        uint64_t bytes = ull_min_u64(p.iov[0].iov_len - p.skip, p.fragment_left);
        out[count++] = (struct iovec) { (uint8_t *)p.iov[0].iov_base + p.skip, bytes };
        advance(&p, bytes);
    }
    return count;
}

/* ---- writing ---- */

static ssize_t write_some(int fd, bool *is_not_socket, const struct iovec *iov, int count)
{
    ssize_t put = -ENOTSOCK;
    if (!*is_not_socket)
        put = ull_sys_send_pieces(fd, iov, count, MSG_NOSIGNAL);
    if (put == -ENOTSOCK) {
        *is_not_socket = true;
        put = ull_sys_writev(fd, iov, count);
    }
    return put;
}

int ullage_record_writev(int fd, const struct iovec *iov, int count, uint32_t max_fragment_bytes)
{
    struct place place;
    bool is_not_socket = false;
    int error = begin_record(&place, iov, count, max_fragment_bytes);
    while (error == 0 && !is_done(&place)) {
        struct iovec pieces[PIECES];
        uint8_t markers[PIECES][ULL_MARKER_BYTES];
        ssize_t put = write_some(fd, &is_not_socket, pieces, fill(place, pieces, markers));
        if (put > 0)
            advance(&place, (uint64_t)put);
        else if (put == -EAGAIN)
            put = ull_sys_poll(fd, POLLOUT, -1);
        if (put < 0 && put != -EINTR)
            error = (int)put;
    }
    return error;
}

/* ---- piece by piece ---- */

int ullage_writer_create(struct ullage_writer **out, uint32_t max_fragment_bytes)
{
    int kept = errno;
    if (max_fragment_bytes > ULL_FRAGMENT_BYTES_MAX)
        return -EINVAL;
    struct ullage_writer *w = ullage_calloc(1, sizeof *w);
    if (w == NULL) {
        int error = -errno;
        errno = kept;
        return error;
    }
    w->place.max_fragment_bytes = max_fragment_bytes;
    *out = w;
    return 0;
}

void ullage_writer_destroy(struct ullage_writer *w)
{
    ullage_free(w);
}

int ullage_writer_begin(struct ullage_writer *w, const struct iovec *iov, int count)
{
    if (w->status != 0)
        return w->status;
    return is_done(&w->place) ? begin_record(&w->place, iov, count, w->place.max_fragment_bytes) : -EBUSY;
}

static uint64_t sum_of(const struct iovec *pieces, int count)
{
    uint64_t sum = 0;
    for (int i = 0; i < count; i++)
        sum += pieces[i].iov_len;
    return sum;
}

/* Until it is done, or no more can be written; what of it was done is done. */
static int flush(struct ullage_writer *w, int fd, ullage_writev_fn writev, void *ctx)
{
    bool is_not_socket = false;
    struct iovec pieces[PIECES];
    uint8_t markers[PIECES][ULL_MARKER_BYTES];
    while (w->status == 0 && !is_done(&w->place)) {
        int count = fill(w->place, pieces, markers);
        ssize_t put = writev != NULL ? writev(ctx, pieces, count) : write_some(fd, &is_not_socket, pieces, count);
        uint64_t most = sum_of(pieces, count);
        if (put == 0 || put == -EAGAIN || put == -EINTR)
            return put == 0 ? -EAGAIN : (int)put;
        if (put < 0 || (uint64_t)put > most)
            w->status = put < 0 ? (int)put : -EOVERFLOW;
        else
            advance(&w->place, (uint64_t)put);
    }
    return w->status != 0 ? w->status : 1;
}

int ullage_writer_flush_fd(struct ullage_writer *w, int fd)
{
    return flush(w, fd, NULL, NULL);
}

int ullage_writer_flush(struct ullage_writer *w, ullage_writev_fn writev, void *ctx)
{
    return flush(w, -1, writev, ctx);
}

size_t ullage_writer_pending(const struct ullage_writer *w)
{
    const struct place *p = &w->place;
    if (is_done(p))
        return 0;
    uint64_t later = p->record_left - p->fragment_left, fragments = p->max_fragment_bytes != 0 ? (later + p->max_fragment_bytes - 1) / p->max_fragment_bytes : 0;
    return (size_t)(p->marker_left + p->record_left + fragments * ULL_MARKER_BYTES);
}
