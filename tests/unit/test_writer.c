/* SPDX-License-Identifier: BSD-2-Clause */
/* test_writer.c - records written: at every place where a write may be cut short, in fragments, from many pieces, to peers that went. */
#include "config.h"

#include "marked.h"

#include <limits.h>
#include <pthread.h>
#include <sys/syscall.h>

TestSuite(writer, .init = marked_begin, .fini = marked_end, .timeout = 60);

/* ---- what has to come out ---- */

struct pieces {
    struct iovec iov[4000];
    int count;
};

static uint8_t contents[1 << 20];

/* The bytes of record @index, @bytes of them, in @count pieces; each third is empty where there is room for that. */
static struct pieces *cut(struct pieces *pieces, uint64_t index, size_t bytes, int count)
{
    size_t at = 0;
    for (size_t i = 0; i < bytes; i++)
        contents[i] = marked_byte(index, i);
    pieces->count = count;
    for (int i = 0; i < count; i++) {
        size_t left = bytes - at, each = i == count - 1 ? left : i % 3 == 1 ? 0 : bytes / (size_t)count + (size_t)(i % 2);
        each = each < left ? each : left;
        pieces->iov[i] = (struct iovec) { contents + at, each };
        at += each;
    }
    return pieces;
}

static struct marked in_fragments(size_t bytes, size_t most)
{
    struct marked m = { 0 };
    for (; bytes > most; bytes -= most)
        marked_fragment(&m, (uint32_t)most, false);
    marked_fragment(&m, (uint32_t)bytes, true);
    return m;
}

/* A peer that takes @most bytes at a time, and says no in between. */
struct sink {
    uint8_t *bytes;
    size_t count, room, most;
    size_t first; /* taken of the first write; 0: as @most says */
    ssize_t then; /* said at each second call; 0: it is not */
    unsigned calls;
};

static ssize_t take_some(void *ctx, const struct iovec *iov, int count)
{
    struct sink *s = ctx;
    size_t left = s->first != 0 ? s->first : s->most, before = s->count;
    if (s->calls++ % 2 == 1 && s->then != 0)
        return s->then;
    cr_assert(count > 0 && count <= IOV_MAX);
    for (int i = 0; i < count && left > 0; i++) {
        size_t each = iov[i].iov_len < left ? iov[i].iov_len : left;
        cr_assert_neq(iov[i].iov_len, 0, "empty pieces are left out");
        cr_assert_leq(s->count + each, s->room, "more than there is");
        memcpy(s->bytes + s->count, iov[i].iov_base, each);
        s->count += each;
        left -= each;
    }
    s->first = 0;
    return (ssize_t)(s->count - before);
}

static struct sink sink_for(const struct marked *m, size_t most)
{
    struct sink s = { .room = m->count, .most = most };
    s.bytes = malloc(m->count);
    return s;
}

static void is_written(struct ullage_writer *w, const struct pieces *pieces, const struct marked *expected, struct sink *s)
{
    int result;
    cr_assert_eq(ullage_writer_begin(w, pieces->iov, pieces->count), 0);
    cr_assert_eq(ullage_writer_pending(w), expected->count);
    while ((result = ullage_writer_flush(w, take_some, s)) == s->then && s->then != 0) {
        cr_assert_eq(ullage_writer_pending(w), expected->count - s->count, "after %zu", s->count);
        cr_assert(s->count == expected->count || ullage_writer_begin(w, pieces->iov, pieces->count) == -EBUSY);
    }
    cr_assert_eq(result, 1);
    cr_assert_eq(ullage_writer_pending(w), 0);
    cr_assert_eq(s->count, expected->count);
    cr_assert_eq(memcmp(s->bytes, expected->data, s->count), 0);
    free(s->bytes);
}

static struct ullage_writer *writer_with(uint32_t max_fragment_bytes)
{
    struct ullage_writer *w = NULL;
    cr_assert_eq(ullage_writer_create(&w, max_fragment_bytes), 0);
    cr_assert_eq(ullage_writer_pending(w), 0);
    cr_assert_eq(ullage_writer_flush(w, NULL, NULL), 1, "nothing was begun");
    return w;
}

/* ---- short writes ---- */

Test(writer, goes_on_at_the_right_byte)
{
    static struct pieces pieces;
    static const uint32_t maxima[] = { 1, 3, 10, 64, 1000 };
    for (size_t n = 0; n < sizeof maxima / sizeof maxima[0]; n++) {
        struct ullage_writer *w = writer_with(maxima[n]);
        struct marked expected = in_fragments(100, maxima[n]);
        for (size_t first = 1; first <= expected.count; first++) {
            struct sink s = sink_for(&expected, SIZE_MAX);
            s.first = first;
            s.then = first % 2 != 0 ? -EAGAIN : 0;
            is_written(w, cut(&pieces, 0, 100, 1 + (int)(first % 7)), &expected, &s);
        }
        for (size_t most = 1; most <= expected.count; most++) {
            struct sink s = sink_for(&expected, most);
            s.then = most % 2 != 0 ? -EINTR : 0;
            is_written(w, cut(&pieces, 0, 100, 1 + (int)(most % 9)), &expected, &s);
        }
        ullage_writer_destroy(w);
        marked_free(&expected);
    }
}

Test(writer, cuts_fragments_at_their_maximum)
{
    static struct pieces pieces;
    static const size_t maxima[] = { 1, 2, 100, 4096, 70000 };
    for (size_t n = 0; n < sizeof maxima / sizeof maxima[0]; n++) {
        struct ullage_writer *w = writer_with((uint32_t)maxima[n]);
        size_t most = maxima[n], sizes[] = { 0, 1, most - 1, most, most + 1, 2 * most - 1, 2 * most, 2 * most + 1, 5 * most };
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            struct marked expected = in_fragments(sizes[i], most);
            struct sink s = sink_for(&expected, SIZE_MAX);
            is_written(w, cut(&pieces, 0, sizes[i], 1 + (int)i), &expected, &s);
            marked_free(&expected);
        }
        ullage_writer_destroy(w);
    }
}

Test(writer, has_a_default_maximum)
{
    static struct pieces pieces;
    struct marked expected = in_fragments(1 << 20, ULLAGE_RECORD_BYTES);
    struct ullage_writer *w = writer_with(0);
    struct sink s = sink_for(&expected, SIZE_MAX);
    is_written(w, cut(&pieces, 0, 1 << 20, 3), &expected, &s);
    cr_assert_eq(s.calls, 1, "one write");
    ullage_writer_destroy(w);
    marked_free(&expected);
}

Test(writer, takes_any_number_of_pieces)
{
    static struct pieces pieces;
    static const int counts[] = { 1, 2, 63, 64, 65, 127, 128, 1023, 1024, 1025, 4000 };
    struct ullage_writer *w = writer_with(1000);
    struct marked expected = in_fragments(50000, 1000);
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        struct sink whole = sink_for(&expected, SIZE_MAX), parts = sink_for(&expected, 777);
        is_written(w, cut(&pieces, 0, 50000, counts[i]), &expected, &whole);
        parts.then = -EAGAIN;
        is_written(w, &pieces, &expected, &parts);
    }
    ullage_writer_destroy(w);
    marked_free(&expected);
}

Test(writer, empty_records_are_a_marker)
{
    static struct pieces pieces;
    struct ullage_writer *w = writer_with(0);
    struct marked expected = in_fragments(0, 10);
    for (int count = 0; count <= 200; count += 40) {
        struct sink s = sink_for(&expected, 1);
        is_written(w, cut(&pieces, 0, 0, count), &expected, &s);
    }
    struct sink s = sink_for(&expected, 3);
    pieces.count = 0;
    cr_assert_eq(ullage_writer_begin(w, NULL, 0), 0);
    cr_assert_eq(ullage_writer_flush(w, take_some, &s), 1);
    cr_assert_eq(memcmp(s.bytes, "\x80\0\0\0", 4), 0);
    free(s.bytes);
    ullage_writer_destroy(w);
    marked_free(&expected);
}

/* Over 2^31 bytes: nobody copies them here. */
static size_t passed_over;
static uint8_t markers_seen[8];

static ssize_t pass_over(void *ctx, const struct iovec *iov, int count)
{
    size_t sum = 0;
    unsigned *seen = ctx;
    for (int i = 0; i < count; i++) {
        sum += iov[i].iov_len;
        if (iov[i].iov_len == 4 && *seen < 2)
            memcpy(markers_seen + (size_t)4 * (*seen)++, iov[i].iov_base, 4);
    }
    passed_over += sum;
    return (ssize_t)sum;
}

Test(writer, cuts_records_that_no_marker_can_announce)
{
    static struct pieces pieces;
    struct ullage_writer *w = writer_with((UINT32_C(1) << 31) - 1);
    unsigned seen = 0;
    pieces.count = 2500;
    for (int i = 0; i < pieces.count; i++)
        pieces.iov[i] = (struct iovec) { contents, sizeof contents };
    cr_assert_eq(ullage_writer_begin(w, pieces.iov, pieces.count), 0);
    cr_assert_eq(ullage_writer_pending(w), 2500 * sizeof contents + 8);
    cr_assert_eq(ullage_writer_flush(w, pass_over, &seen), 1);
    cr_assert_eq(passed_over, 2500 * sizeof contents + 8);
    cr_assert_eq(memcmp(markers_seen, "\x7f\xff\xff\xff\x9c\x40\0\x01", 8), 0, "2^31 - 1, and the rest is the last");
    ullage_writer_destroy(w);
}

/* ---- what is refused ---- */

Test(writer, what_cannot_be_is_refused)
{
    static struct iovec piece = { contents, 1 }, vast[2] = { { contents, SSIZE_MAX }, { contents, 1 } }, over[2] = { { contents, SIZE_MAX }, { contents, 2 } };
    struct ullage_writer *w = NULL;
    struct pair pair = pair_of_sockets(true);
    cr_assert_eq(ullage_writer_create(&w, UINT32_C(1) << 31), -EINVAL);
    cr_assert_eq(ullage_writer_create(&w, UINT32_MAX), -EINVAL);
    cr_assert_null(w);
    w = writer_with(0);
    cr_assert_eq(ullage_writer_begin(w, &piece, -1), -EINVAL);
    cr_assert_eq(ullage_writer_begin(w, NULL, 1), -EINVAL);
    cr_assert_eq(ullage_writer_begin(w, vast, 2), -EINVAL);
    cr_assert_eq(ullage_writer_begin(w, over, 2), -EINVAL);
    cr_assert_eq(ullage_writer_pending(w), 0, "nothing was begun");
    cr_assert_eq(ullage_writer_flush(w, NULL, NULL), 1);
    cr_assert_eq(ullage_record_writev(pair.fd[1], &piece, -1, 0), -EINVAL);
    cr_assert_eq(ullage_record_writev(pair.fd[1], NULL, 1, 0), -EINVAL);
    cr_assert_eq(ullage_record_writev(pair.fd[1], vast, 2, 0), -EINVAL);
    cr_assert_eq(ullage_record_writev(pair.fd[1], over, 2, 0), -EINVAL);
    cr_assert_eq(ullage_record_writev(pair.fd[1], &piece, 1, UINT32_C(1) << 31), -EINVAL);
    cr_assert_eq(recv(pair.fd[0], contents, 1, MSG_DONTWAIT), -1, "nothing was written");
    ullage_writer_destroy(w);
    ullage_writer_destroy(NULL);
    pair_close(&pair);
}

struct answer {
    ssize_t says; /* SSIZE_MAX: one more than it was given */
};

static ssize_t answer(void *ctx, const struct iovec *iov, int count)
{
    const struct answer *a = ctx;
    size_t sum = 0;
    for (int i = 0; i < count; i++)
        sum += iov[i].iov_len;
    return a->says == SSIZE_MAX ? (ssize_t)sum + 1 : a->says;
}

Test(writer, what_a_callback_fails_with_stays)
{
    static struct pieces pieces;
    static const ssize_t errors[] = { -EIO, -EPIPE, -ECONNRESET, SSIZE_MAX };
    cut(&pieces, 0, 1000, 500);
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        struct ullage_writer *w = writer_with(0);
        struct answer fails = { errors[i] }, none = { 0 };
        int expected = errors[i] == SSIZE_MAX ? -EOVERFLOW : (int)errors[i];
        cr_assert_eq(ullage_writer_begin(w, pieces.iov, pieces.count), 0);
        cr_assert_eq(ullage_writer_flush(w, answer, &none), -EAGAIN, "nothing was taken");
        cr_assert_eq(ullage_writer_flush(w, answer, &fails), expected);
        cr_assert_eq(ullage_writer_flush(w, answer, &none), expected, "for good");
        cr_assert_eq(ullage_writer_flush_fd(w, STDOUT_FILENO), expected);
        cr_assert_eq(ullage_writer_begin(w, pieces.iov, pieces.count), expected);
        ullage_writer_destroy(w);
    }
}

/* ---- descriptors ---- */

static void shrink(const struct pair *pair)
{
    int least = 1;
    cr_assert_eq(setsockopt(pair->fd[1], SOL_SOCKET, SO_SNDBUF, &least, sizeof least), 0);
}

/* What it may take is what a socket has room for: small, and read from in small parts. */
Test(writer, fills_a_socket_again_and_again)
{
    static struct pieces pieces;
    struct pair pair = pair_of_sockets(false);
    struct marked expected = in_fragments(200000, 3000);
    struct ullage_writer *w = writer_with(3000);
    uint8_t *got = malloc(expected.count);
    size_t count = 0;
    int result, full = 0;
    shrink(&pair);
    cr_assert_eq(fcntl(pair.fd[1], F_SETFL, O_NONBLOCK), 0);
    cut(&pieces, 0, 200000, 97);
    cr_assert_eq(ullage_writer_begin(w, pieces.iov, pieces.count), 0);
    while ((result = ullage_writer_flush_fd(w, pair.fd[1])) != 1 || count < expected.count) {
        cr_assert(result == -EAGAIN || result == 1, "%d", result);
        full += result == -EAGAIN;
        ssize_t here = read(pair.fd[0], got + count, count % 2 != 0 ? 501 : 4000);
        cr_assert(here > 0, "%s at %zu of %zu, %d, pending %zu", strerror(errno), count, expected.count, result, ullage_writer_pending(w));
        count += (size_t)here;
        cr_assert_leq(ullage_writer_pending(w), expected.count - count);
    }
    cr_assert_gt(full, 10);
    cr_assert(count == expected.count && memcmp(got, expected.data, count) == 0);
    free(got);
    ullage_writer_destroy(w);
    pair_close(&pair);
    marked_free(&expected);
}

struct reads {
    int fd;
    unsigned count, wrong;
    uint64_t bytes;
    int result;
};

/* Record for record. */
static void *read_back(void *argument)
{
    struct reads *reads = argument;
    struct ullage_reader_options options = ULLAGE_READER_OPTIONS_INIT;
    struct ullage_reader *r = NULL;
    struct ullage_record record;
    options.max_fragments = 100000;
    options.min_average_fragment_bytes = 1;
    if (ullage_reader_create(&r, &options) != 0)
        return NULL;
    while ((reads->result = ullage_reader_read_fd(r, reads->fd, &record)) == 1) {
        reads->wrong += !marked_holds(&record) || record.index != reads->count;
        reads->count++;
        reads->bytes += record.bytes;
    }
    ullage_reader_destroy(r);
    return NULL;
}

/* A socket that blocks, one that does not, a pipe, a pipe that does not: all of it is written at each call. */
Test(writer, what_it_writes_is_what_a_reader_reads)
{
    static const size_t sizes[] = { 0, 1, 100, 5000, 65536, 300000, 1000000 };
    static const uint32_t maxima[] = { 0, 7, 512, 65536 };
    for (int kind = 0; kind < 4; kind++) {
        struct pair pair = pair_of_sockets(true);
        struct reads reads = { .result = 99 };
        static struct pieces pieces;
        pthread_t thread;
        uint64_t index = 0, bytes = 0;
        shrink(&pair);
        if (kind >= 2) {
            pair_close(&pair);
            cr_assert_eq(pipe(pair.fd), 0);
        }
        cr_assert_eq(fcntl(pair.fd[1], F_SETFL, kind % 2 != 0 ? O_NONBLOCK : 0), 0);
        reads.fd = pair.fd[0];
        cr_assert_eq(pthread_create(&thread, NULL, read_back, &reads), 0);
        for (size_t n = 0; n < sizeof maxima / sizeof maxima[0]; n++)
            for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
                if (maxima[n] == 7 && sizes[i] > 100000)
                    continue;
                cut(&pieces, index++, sizes[i], 1 + (int)(i * 41));
                cr_assert_eq(ullage_record_writev(pair.fd[1], pieces.iov, pieces.count, maxima[n]), 0);
                bytes += sizes[i];
            }
        close(pair.fd[1]);
        pair.fd[1] = -1;
        pthread_join(thread, NULL);
        cr_assert_eq(reads.result, 0);
        cr_assert(reads.count == index && reads.bytes == bytes && reads.wrong == 0, "kind %d: %u of %lu, %u wrong", kind, reads.count, (unsigned long)index, reads.wrong);
        pair_close(&pair);
    }
}

Test(writer, a_peer_that_went_raises_no_signal)
{
    static struct pieces pieces;
    struct ullage_writer *w = writer_with(0);
    struct pair pair = pair_of_sockets(true), second = pair_of_sockets(true);
    int ends[2];
    cut(&pieces, 0, 1000, 3);
    close(pair.fd[0]);
    pair.fd[0] = -1;
    cr_assert_eq(ullage_record_writev(pair.fd[1], pieces.iov, pieces.count, 0), -EPIPE);
    /* Also where the writer wrote to a pipe before. */
    cr_assert_eq(pipe(ends), 0);
    cr_assert_eq(ullage_writer_begin(w, pieces.iov, pieces.count), 0);
    cr_assert_eq(ullage_writer_flush_fd(w, ends[1]), 1);
    cr_assert_eq(ullage_writer_begin(w, pieces.iov, pieces.count), 0);
    cr_assert_eq(ullage_writer_flush_fd(w, pair.fd[1]), -EPIPE);
    cr_assert_eq(ullage_writer_flush_fd(w, second.fd[1]), -EPIPE, "for good");
    ullage_writer_destroy(w);
    close(ends[0]);
    close(ends[1]);
    pair_close(&pair);
    pair_close(&second);
}

Test(writer, descriptors_that_are_none_are_told)
{
    static struct pieces pieces;
    struct ullage_writer *w = writer_with(0);
    cut(&pieces, 0, 1000, 3);
    cr_assert_eq(ullage_record_writev(-1, pieces.iov, pieces.count, 0), -EBADF);
    cr_assert_eq(ullage_writer_begin(w, pieces.iov, pieces.count), 0);
    cr_assert_eq(ullage_writer_flush_fd(w, 1 << 20), -EBADF);
    ullage_writer_destroy(w);
}

/* ---- signals ---- */

static unsigned calls_seen;

static long every_other_one_is_interrupted(long number)
{
    if (number == SYS_sendmsg || number == SYS_writev || number == SYS_ppoll)
        return calls_seen++ % 2 == 0 ? -EINTR : 0;
    return 0;
}

Test(writer, signals_do_not_interrupt_a_whole_write_and_are_told_of_in_a_flush)
{
    static struct pieces pieces;
    struct marked expected = in_fragments(1000, 100);
    uint8_t got[2000];
    for (int is_pipe = 0; is_pipe < 2; is_pipe++) {
        struct pair pair = pair_of_sockets(true);
        struct ullage_writer *w = writer_with(100);
        if (is_pipe) {
            pair_close(&pair);
            cr_assert_eq(pipe(pair.fd), 0);
        }
        cut(&pieces, 0, 1000, 5);
        calls_seen = 0;
        ull_sys_inject = every_other_one_is_interrupted;
        cr_assert_eq(ullage_record_writev(pair.fd[1], pieces.iov, pieces.count, 100), 0);
        calls_seen = 0;
        cr_assert_eq(ullage_writer_begin(w, pieces.iov, pieces.count), 0);
        cr_assert_eq(ullage_writer_flush_fd(w, pair.fd[1]), -EINTR);
        cr_assert_eq(ullage_writer_pending(w), expected.count);
        cr_assert_eq(ullage_writer_flush_fd(w, pair.fd[1]), is_pipe ? -EINTR : 1);
        ull_sys_inject = NULL;
        cr_assert_eq(ullage_writer_flush_fd(w, pair.fd[1]), 1);
        for (int i = 0; i < 2; i++) {
            size_t count = 0;
            while (count < expected.count)
                count += (size_t)read(pair.fd[0], got + count, expected.count - count);
            cr_assert_eq(memcmp(got, expected.data, expected.count), 0);
        }
        ullage_writer_destroy(w);
        pair_close(&pair);
    }
    marked_free(&expected);
}
