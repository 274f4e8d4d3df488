/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fill.c - one read, to where its bytes can stay.
 *
 *   of a large fragment         its rest, to the body and never past the fragment's end;
 *   of a small record           its rest to the body, and what follows to the chunk, in one call;
 *   after a large record        a marker, and as many bytes as the last record had, to a buffer that becomes the body or is a window;
 *   after small ones            the chunk, behind the beginning of a record that it has already;
 *   else                        the chunk.
 *
 * A reader that waits holds no chunk. So a read never blocks: sockets are told so, of other descriptors poll(2) is asked first; where
 * nothing is there the chunk goes back, and only then is waited.
 */
#include "config.h"

#include "record/fill.h"

#include "base/arith.h"
#include "base/sys.h"
#include "record/marker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

enum {
    CHUNK_LEAST_BITS = 12,
    COUNTED_BYTES = 1 << 20, /* so far may the ledger be behind a reader that is never out of bytes */
    GRACE_MS = 10,   /* so long a body may be larger than what has arrived, while we wait for more */
    SLICE_MS = 1000, /* so often who waits for its peer looks whether others wait for what it holds */
};

/* ---- reading ---- */

static bool would_block(int fd)
{
    return (ull_sys_file_flags(fd) & O_NONBLOCK) == 0 && ull_sys_poll(fd, POLLIN, 0) == 0;
}

static ssize_t read_other(int fd, const struct iovec *iov, int count)
{
    return would_block(fd) ? -EAGAIN : ull_sys_readv(fd, iov, count);
}

static ssize_t read_fd(struct ullage_reader *r, int fd, const struct iovec *iov, int count)
{
    ssize_t got = -ENOTSOCK;
    if (!r->is_not_socket)
        got = count == 1 ? ull_sys_recv(fd, iov[0].iov_base, iov[0].iov_len, MSG_DONTWAIT) : ull_sys_recv_pieces(fd, iov, count, MSG_DONTWAIT);
    if (got == -ENOTSOCK) {
        r->is_not_socket = true;
        got = read_other(fd, iov, count);
    }
    return got;
}

/* A callback gets the first piece alone. */
static ssize_t read_some(struct ullage_reader *r, const struct ull_source_of_bytes *from, const struct iovec *iov, int count)
{
    ssize_t got = from->fd >= 0 ? read_fd(r, from->fd, iov, count) : from->read(from->ctx, iov[0].iov_base, iov[0].iov_len);
    uint64_t room = 0;
    for (int i = 0; i < count; i++)
        room += iov[i].iov_len;
    return got > 0 && (uint64_t)got > room ? -EOVERFLOW : got;
}

static ssize_t failed(struct ullage_reader *r, ssize_t error)
{
    if (error == -EWOULDBLOCK)
        error = -EAGAIN;
    if (error >= 0 || error == -EAGAIN || error == -EINTR)
        return error;
    return ull_refuse(r, (int)error, ULL_LIMIT_READ, 0, 0, ull_reader_offset(r), NULL, 0);
}

/* ---- chunks ---- */

/* The next chunk: what the last read brought, and as much again. */
static void learn_chunk(struct ullage_reader *r, uint64_t got, uint64_t room)
{
    unsigned most = 63U - (unsigned)__builtin_clzll(r->settings->chunk_bytes);
    if (got == room && r->chunk_bits < most)
        r->chunk_bits = (uint8_t)ull_min_u64(r->chunk_bits + 2U, most);
    else if (got < room / 4 && r->chunk_bits > CHUNK_LEAST_BITS)
        r->chunk_bits--;
}

/* Of a small budget no more than an eighth. */
static uint64_t chunk_bytes(const struct ullage_reader *r)
{
    uint64_t bytes = UINT64_C(1) << (r->chunk_bits != 0 ? r->chunk_bits : CHUNK_LEAST_BITS);
    const struct ull_party *party = r->settings->party;
    return party != NULL ? ull_min_u64(bytes, ull_max_u64(ullage_budget_max(ull_party_budget(party)) / 8, 1)) : bytes;
}

/* A chunk to read to, the one that is there if it is of that size. 0; else there is none to be had now. */
static int have_chunk(struct ullage_reader *r, uint64_t bytes)
{
    if (r->chunk != NULL && ull_memory_room(r->chunk) >= bytes && ull_memory_room(r->chunk) <= 4 * bytes)
        return 0;
    ull_memory_put_chunk(r);
    if (r->chunk_bits == 0)
        r->chunk_bits = CHUNK_LEAST_BITS;
    return ull_memory_chunk(r, bytes);
}

static struct iovec all_of(const struct ullage_buffer *b, uint64_t most)
{
    return (struct iovec) { ullage_buffer_data((struct ullage_buffer *)(uintptr_t)b), ull_min_u64(ull_memory_room(b), most) };
}

static void chunk_arrived(struct ullage_reader *r, uint64_t bytes)
{
    ull_reader_window(r, ullage_buffer_data(r->chunk), bytes);
}

/* ---- behind what is there ---- */

bool ull_fill_may_stay(const struct ullage_reader *r)
{
    uint64_t here = (uint64_t)(r->end - r->at), bytes = 0;
    if (r->slow != 0 || r->chunk == NULL || here == 0)
        return false;
    if (here >= ULL_MARKER_BYTES) {
        uint32_t marker = ull_word(r->at);
        bytes = marker & ULL_FRAGMENT_BYTES_MAX;
        if ((marker & ULL_MARKER_LAST) == 0 || bytes > r->settings->quick_bytes || bytes <= here - ULL_MARKER_BYTES)
            return false; /* it is for the assembler, or whole */
    }
    return ULL_MARKER_BYTES + bytes <= ull_memory_room(r->chunk) / 2;
}

/* The beginning of a record goes to the chunk's, more is read behind it. */
static ssize_t fill_behind(struct ullage_reader *r, const struct ull_source_of_bytes *from)
{
    if (ull_memory_room(r->chunk) < chunk_bytes(r))
        ull_memory_change_chunk(r, chunk_bytes(r));
    uint8_t *data = ullage_buffer_data(r->chunk);
    uint64_t here = (uint64_t)(r->end - r->at);
    if (data != r->at)
        memmove(data, r->at, here);
    ull_reader_window(r, data, here);
    struct iovec iov = { data + here, ull_memory_room(r->chunk) - here };
    ssize_t got = read_some(r, from, &iov, 1);
    if (got <= 0)
        return failed(r, got);
    learn_chunk(r, (uint64_t)got, iov.iov_len);
    r->end += got;
    return got;
}

/* ---- to the body ---- */

/* The rest of a fragment; and of a small record, what follows it. After a large one comes another, which is read to where it stays. */
static ssize_t fill_body(struct ullage_reader *r, const struct ull_source_of_bytes *from)
{
    struct iovec iov[2];
    int count = 1;
    uint64_t before = ull_reader_arrived(r);
    int error = ull_memory_body(r, before + 1, r->announced);
    if (error != 0)
        return error;
    iov[0].iov_base = (uint8_t *)ullage_buffer_data(r->body) + before;
    iov[0].iov_len = ull_min_u64(r->left, ull_memory_room(r->body) - before);
    if (r->announced < ULL_LARGE_BYTES && iov[0].iov_len == r->left && from->fd >= 0 && have_chunk(r, chunk_bytes(r)) == 0)
        iov[count++] = all_of(r->chunk, chunk_bytes(r));
    ssize_t got = read_some(r, from, iov, count);
    if (got <= 0)
        return failed(r, got);
    uint64_t here = ull_min_u64((uint64_t)got, iov[0].iov_len);
    r->left -= (uint32_t)here;
    r->shift += here;
    if ((uint64_t)got > here)
        chunk_arrived(r, (uint64_t)got - here);
    if (count == 2)
        learn_chunk(r, (uint64_t)got, iov[0].iov_len + iov[1].iov_len);
    error = ull_assembler_arrived(r, before);
    return error != 0 ? error : got;
}

/* ---- to the chunk ---- */

static ssize_t fill_chunk(struct ullage_reader *r, const struct ull_source_of_bytes *from)
{
    struct iovec iov = all_of(r->chunk, chunk_bytes(r));
    ssize_t got = read_some(r, from, &iov, 1);
    if (got <= 0)
        return failed(r, got);
    learn_chunk(r, (uint64_t)got, iov.iov_len);
    chunk_arrived(r, (uint64_t)got);
    return got;
}

/* ---- a marker first ---- */

/* A marker's rest; with @after, what follows it goes to the chunk. */
static ssize_t fill_head(struct ullage_reader *r, const struct ull_source_of_bytes *from, uint64_t after)
{
    struct iovec iov[2] = { { r->head + r->head_bytes, ULL_MARKER_BYTES - (size_t)r->head_bytes } };
    int count = 1;
    if (r->fragments == 0 && r->head_bytes == 0)
        r->record_offset = ull_reader_offset(r);
    if (after != 0)
        iov[count++] = all_of(r->chunk, after);
    ssize_t got = read_some(r, from, iov, count);
    if (got <= 0)
        return failed(r, got);
    uint64_t here = ull_min_u64((uint64_t)got, iov[0].iov_len);
    r->head_bytes = (uint8_t)(r->head_bytes + here);
    r->slow |= ULL_SLOW_STARTED;
    r->shift += here;
    if ((uint64_t)got > here)
        chunk_arrived(r, (uint64_t)got - here);
    return got;
}

/* ---- where to ---- */

/* A small piece of a record goes through the chunk where the record may be whole in it. */
static bool goes_to_body(const struct ullage_reader *r)
{
    return r->in_fragment && (r->left >= ULL_LARGE_BYTES || r->body != NULL);
}

ssize_t ull_fill(struct ullage_reader *r, const struct ull_source_of_bytes *from)
{
    bool marker = !r->in_fragment && (r->slow & ULL_SLOW_PREAMBLE) == 0;
    if ((uint32_t)ull_reader_offset(r) - r->run.counted_offset >= COUNTED_BYTES)
        ull_count_flush(r);
    if (r->at != r->end)
        return fill_behind(r, from);
    if (goes_to_body(r))
        return fill_body(r, from);
    if (marker && r->expected != 0) {
        if (r->expects_one && r->fragments == 0 && from->fd >= 0 && have_chunk(r, r->expected) == 0)
            return fill_head(r, from, r->expected);
        return fill_head(r, from, 0);
    }
    int error = have_chunk(r, chunk_bytes(r));
    if (error == 0)
        return fill_chunk(r, from);
    /* The budget is used up. What is small enough to lie in the reader itself tells whether there is anything, and begins the record. */
    if (marker)
        return fill_head(r, from, 0);
    return r->in_fragment ? fill_body(r, from) : ull_memory_refuse(r, error, chunk_bytes(r));
}

/* ---- waiting ---- */

static int wait_for(struct ullage_reader *r, int fd, int timeout_ms)
{
    int ready = ull_sys_poll(fd, POLLIN, timeout_ms);
    if (ready >= 0 || ready == -EINTR)
        return ready;
    return (int)failed(r, ready);
}

/* The shorter of two waits; -1 is for ever. */
static int at_most(int ms, int other_ms)
{
    return ms < 0 || (other_ms >= 0 && other_ms < ms) ? other_ms : ms;
}

/* From now on its record is one that waits for its rest. */
static void start_waiting(struct ullage_reader *r)
{
    if (r->body != NULL && r->settings->party != NULL)
        ull_party_start(r->settings->party, &r->member);
    ull_count_stalled(r, (r->slow & ULL_SLOW_STARTED) != 0);
}

int ull_fill_wait(struct ullage_reader *r, const struct ull_source_of_bytes *from)
{
    if (from->fd < 0 || (ull_sys_file_flags(from->fd) & O_NONBLOCK) != 0)
        return -EAGAIN;
    ull_count_flush(r);
    ull_memory_put_chunk(r);
    ull_memory_wait_no_more(r);
    int error = ull_clock_look(r), ready = 0;
    if (error == 0 && ull_memory_is_over_share(r))
        error = ull_memory_refuse_share(r);
    if (error != 0)
        return error;
    if (r->body != NULL)
        ready = wait_for(r, from->fd, at_most(ullage_reader_timeout_ms(r), GRACE_MS));
    if (ready == 0) {
        ull_memory_settle(r);
        start_waiting(r);
        ready = wait_for(r, from->fd, at_most(ullage_reader_timeout_ms(r), r->settings->party != NULL ? SLICE_MS : -1));
    }
    if (ready != 0)
        return ready;
    error = ull_clock_look(r);
    return error != 0 ? error : 1;
}
