/* SPDX-License-Identifier: BSD-2-Clause */
/* marked.h - for tests of record readers and writers: streams with markers, who is told of records, pairs of sockets, what is held. */
#ifndef ULL_TESTS_MARKED_H
#define ULL_TESTS_MARKED_H

#include "pooled.h"
#include "scratch.h"

#include "base/sys.h"
#include "ledger/format.h"
#include "pool/clear.h"
#include "ullage/record.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

/* ---- streams ---- */

/* Bytes of the payload: told apart by record and place. */
static inline uint8_t marked_byte(uint64_t index, uint64_t at)
{
    return (uint8_t)(index * 37 + at * 7 + (at >> 8) * 3 + (at >> 16));
}

struct marked {
    uint8_t *data;
    size_t count, room;
    uint64_t index;     /* records that are whole */
    uint64_t in_record; /* bytes of the one that is not */
};

static inline uint8_t *marked_more(struct marked *m, size_t count)
{
    if (m->count + count > m->room) {
        m->room = 2 * (m->count + count);
        m->data = realloc(m->data, m->room);
        cr_assert_not_null(m->data);
    }
    m->count += count;
    return m->data + m->count - count;
}

static inline void marked_put_marker(uint8_t to[4], uint32_t bytes, bool last)
{
    to[0] = (uint8_t)(bytes >> 24 | (last ? 0x80U : 0));
    to[1] = (uint8_t)(bytes >> 16);
    to[2] = (uint8_t)(bytes >> 8);
    to[3] = (uint8_t)bytes;
}

static inline void marked_add(struct marked *m, const void *bytes, size_t count)
{
    memcpy(marked_more(m, count), bytes, count);
}

static inline void marked_fragment(struct marked *m, uint32_t bytes, bool last)
{
    marked_put_marker(marked_more(m, 4), bytes, last);
    uint8_t *to = marked_more(m, bytes);
    for (uint32_t i = 0; i < bytes; i++)
        to[i] = marked_byte(m->index, m->in_record + i);
    m->in_record = last ? 0 : m->in_record + bytes;
    m->index += last;
}

/* One record of one fragment. */
static inline void marked_record(struct marked *m, uint32_t bytes)
{
    marked_fragment(m, bytes, true);
}

static inline void marked_free(struct marked *m)
{
    free(m->data);
    *m = (struct marked) { NULL, 0, 0, 0, 0 };
}

/* The record, in one piece or several, is the one of that index of a stream that was made here. */
static inline bool marked_holds(const struct ullage_record *record)
{
    uint64_t at = 0;
    struct iovec whole = { (void *)(uintptr_t)record->data, record->bytes };
    const struct iovec *pieces = record->piece_count > 1 ? record->pieces : &whole;
    for (int i = 0; i < (record->piece_count > 1 ? record->piece_count : 1); i++) {
        const uint8_t *data = pieces[i].iov_base;
        for (size_t n = 0; n < pieces[i].iov_len; n++)
            if (data[n] != marked_byte(record->index, at++))
                return false;
    }
    return at == record->bytes;
}

/* ---- who is told ---- */

struct told {
    unsigned count, wrong;
    unsigned stop_at; /* says 1 at the record of that number, from 1 */
    int fails_with;   /* at it, instead */
    struct ullage_record last;
};

static inline int tell(void *ctx, const struct ullage_record *record)
{
    struct told *told = ctx;
    told->wrong += !marked_holds(record) || record->index != told->count;
    told->count++;
    told->last = *record;
    if (told->count == told->stop_at)
        return told->fails_with != 0 ? told->fails_with : 1;
    return 0;
}

/* ---- readers ---- */

static inline struct ullage_reader *reader_with(const struct ullage_reader_options *options)
{
    struct ullage_reader *r = NULL;
    cr_assert_eq(ullage_reader_create(&r, options), 0);
    cr_assert_not_null(r);
    return r;
}

/* Says how it went; all bytes must be taken if that was well. */
static inline int feed(struct ullage_reader *r, const void *bytes, size_t count, struct told *told)
{
    size_t taken = SIZE_MAX;
    int result = ullage_reader_feed(r, bytes, count, &taken, tell, told);
    cr_assert(result != 0 || taken == count, "%zu of %zu", taken, count);
    cr_assert_leq(taken, count);
    return result;
}

/* ---- descriptors ---- */

/* [0] is read from. */
struct pair {
    int fd[2];
};

static inline struct pair pair_of_sockets(bool blocks)
{
    struct pair pair;
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair.fd), 0);
    if (!blocks)
        cr_assert_eq(fcntl(pair.fd[0], F_SETFL, O_NONBLOCK), 0);
    return pair;
}

static inline void pair_close(struct pair *pair)
{
    for (int i = 0; i < 2; i++)
        if (pair->fd[i] >= 0)
            close(pair->fd[i]);
    pair->fd[0] = pair->fd[1] = -1;
}

/* All of it: what is sent here fits the socket's buffer. */
static inline void send_all(int fd, const void *bytes, size_t count)
{
    cr_assert_eq(write(fd, bytes, count), (ssize_t)count, "%s", strerror(errno));
}

/* ---- what is held ---- */

/* Blocks that somebody has, of all caches. What was mapped one by one is not among them. */
static inline uint64_t blocks_in_use(void)
{
    uint64_t live = 0;
    for (uint32_t i = 0; i < ull_slab_count(); i++) {
        const struct ull_slab *slab = ull_slab_at(i);
        for (uint32_t at = 0; slab->state == ULL_SLAB_USED && at < slab->carved; at++)
            live += (slab->blocks[at].state & ULL_BLOCK_STATE_MASK) == ULL_BLOCK_LIVE;
    }
    return live;
}

/* Their memory, and the lines of the table that describes them. */
static inline uint64_t bytes_in_use(void)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < ull_slab_count(); i++) {
        const struct ull_slab *slab = ull_slab_at(i);
        for (uint32_t at = 0; slab->state == ULL_SLAB_USED && at < slab->carved; at++)
            if ((slab->blocks[at].state & ULL_BLOCK_STATE_MASK) == ULL_BLOCK_LIVE)
                bytes += ull_block_room(&slab->blocks[at]) + sizeof slab->blocks[at];
    }
    return bytes;
}

static inline uint64_t counted(enum ull_counter counter)
{
    return ull_recorder.ledger.header != NULL ? ull_recorder.ledger.header->counters[counter] : 0;
}

/* What every test of a reader begins and ends with: nobody misused anything, nothing is held, each buffer is in its place. */
static uint64_t marked_in_use;

static inline void marked_begin(void)
{
    scratch_make();
    signal(SIGPIPE, SIG_DFL);
    listen_for_misuse();
    ullage_reader_destroy(reader_with(NULL)); /* what is made once a process */
    marked_in_use = blocks_in_use();
}

/* Where a test has ended, Criterion 2.4 takes a failed assertion for none; what ends the process it does tell of. */
static inline void marked_must(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "# %s; %lu blocks are in use, before it were %lu; misuse: %s\n", what, (unsigned long)blocks_in_use(), (unsigned long)marked_in_use, heard);
    abort();
}

static inline void marked_end(void)
{
    marked_must(heard_times == 0, "something was misused");
    marked_must(blocks_in_use() == marked_in_use, "not all was given back");
    marked_must(counted(ULL_COUNTER_record_held_bytes) == 0, "the ledger says that something is held");
    marked_must(counted(ULL_COUNTER_record_stalled) == 0, "the ledger says that somebody waits");
    marked_must(every_buffer_is_once(), "a buffer is lost, or there twice");
    scratch_remove();
}

#endif
