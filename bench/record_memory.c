/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * record_memory.c - what readers hold: many idle ones, many that are lied to, many that want more than there is, many small fragments.
 *
 * An iteration is all of it: thousands of readers. Bytes are of the process, so that nothing is left out: what is resident over what was
 * resident before the first of them. One more has done the same before that, so that what there is once is not counted for each.
 */
#include "record_api.h"

#include "resident.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    IDLE = 10000,
    IDLE_XDRREC = 1000, /* of them, because that is enough to see: 10,000 would be over a GB */
    IDLE_RECORD_BYTES = 32 << 10,
    LIARS = 10000,
    PEERS = 1000,
    PEER_RECORD_BYTES = 64 << 10,
    PEERS_AT_ONCE = 10,
    STORY_CONNECTIONS = 326,
    STORY_RECORD_BYTES = 1 << 20,
};

/* ---- a connection for all: what a reader has read whole is out of the way of the next ---- */

struct wire {
    int peer, ours;
};

static struct wire open_wire(void)
{
    int ends[2], bytes = 1 << 20;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0)
        abort();
    (void)setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    return (struct wire) { ends[0], ends[1] };
}

static void close_wire(struct wire wire)
{
    close(wire.peer);
    close(wire.ours);
}

static void put(struct wire wire, const void *from, size_t bytes)
{
    if (write(wire.peer, from, bytes) != (ssize_t)bytes)
        abort();
}

static struct ullage_reader *new_reader(const struct ullage_reader_options *options)
{
    struct ullage_reader *reader;
    if (ullage_reader_create(&reader, options) != 0)
        abort();
    return reader;
}

/* What there was before; the harness calls a body more than once, and memory stays in pools. */
static uint64_t resident_at_first(void)
{
    static uint64_t before;
    if (before == 0)
        before = resident_now();
    return before;
}

/* Nothing is there any more. */
static void read_until_again(struct ullage_reader *reader, int fd)
{
    struct ullage_record record;
    int result;
    while ((result = ullage_reader_read_fd(reader, fd, &record)) == 1)
        ullage_bench_keep(record.data);
    if (result != -EAGAIN)
        abort();
}

/* ---- 10,000 idle connections: each has had a request of 32 KiB, and sent as much ---- */

static unsigned char request[MARKER_BYTES + IDLE_RECORD_BYTES];

static void serve_once(struct ullage_reader *reader, struct wire wire, int nowhere)
{
    struct iovec answer = { request + MARKER_BYTES, IDLE_RECORD_BYTES };
    put(wire, request, sizeof request);
    read_until_again(reader, wire.ours);
    if (ullage_record_writev(nowhere, &answer, 1, 0) != 0)
        abort();
}

static void idle_by_ullage(struct ullage_bench *b)
{
    static struct ullage_reader *readers[IDLE];
    struct wire wire = open_wire();
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    struct ullage_reader *first = new_reader(NULL);
    uint64_t held = 0;
    serve_once(first, wire, nowhere);
    memset(readers, 0xff, sizeof readers); /* not its pages either */
    uint64_t before = resident_at_first();
    for (int i = 0; i < IDLE; i++) {
        readers[i] = new_reader(NULL);
        serve_once(readers[i], wire, nowhere);
    }
    ullage_bench_metric(b, "idle-bytes", (double)resident_over(resident_now(), before) / IDLE, -1);
    for (int i = 0; i < IDLE; i++) {
        held += ullage_reader_held(readers[i]);
        ullage_reader_destroy(readers[i]);
    }
    ullage_bench_metric(b, "buffer-bytes", (double)held / IDLE, -1);
    ullage_reader_destroy(first);
    close(nowhere);
    close_wire(wire);
}

static long take_from(void *ctx, void *to, long bytes)
{
    const struct wire *wire = ctx;
    ssize_t got = read(wire->ours, to, (size_t)bytes);
    return got > 0 ? got : -1;
}

static void serve_once_by_xdrrec(struct xdrrec *stream, struct wire wire)
{
    static unsigned char room[IDLE_RECORD_BYTES];
    put(wire, request, sizeof request);
    if (!xdrrec_read(stream, room, sizeof room) || !xdrrec_write(stream, room, sizeof room))
        abort();
}

static void idle_by_xdrrec(struct ullage_bench *b)
{
    static struct xdrrec *streams[IDLE_XDRREC];
    struct wire wire = open_wire();
    uint64_t before = resident_at_first();
    for (int i = 0; i < IDLE_XDRREC; i++) {
        streams[i] = xdrrec_open(take_from, &wire);
        serve_once_by_xdrrec(streams[i], wire);
    }
    ullage_bench_metric(b, "idle-bytes", (double)resident_over(resident_now(), before) / IDLE_XDRREC, -1);
    for (int i = 0; i < IDLE_XDRREC; i++)
        xdrrec_close(streams[i]);
    close_wire(wire);
}

ULLAGE_BENCH(idle_10000)
{
    if (skip_unless(b, BIT(WAY_XDRREC) | BIT(WAY_ULLAGE)))
        return;
    make_record(request, IDLE_RECORD_BYTES);
    for (uint64_t i = 0; i < b->iterations; i++)
        chosen_way() == WAY_ULLAGE ? idle_by_ullage(b) : idle_by_xdrrec(b);
}

/* ---- 10,000 peers that announce 2 GiB and send 4 bytes, where that is allowed ---- */

static const struct ullage_reader_options *everything_allowed(void)
{
    static struct ullage_reader_options options = ULLAGE_READER_OPTIONS_INIT;
    options.max_fragment_bytes = 0x7fffffff;
    options.max_record_bytes = SIZE_MAX / 8 < UINT32_MAX ? 0x7fffffff : UINT32_MAX;
    return &options;
}

static void lie(struct ullage_reader *reader, struct wire wire, size_t bytes)
{
    static const unsigned char lie_bytes[] = { 0xff, 0xff, 0xff, 0xff, 'm', 'o', 'r', 'e' };
    put(wire, lie_bytes, MARKER_BYTES + bytes);
    read_until_again(reader, wire.ours);
}

static void lie_all(struct ullage_bench *b, struct ullage_reader **readers, struct wire wire)
{
    uint64_t held = 0, before = resident_at_first();
    for (int i = 0; i < LIARS; i++) {
        readers[i] = new_reader(everything_allowed());
        lie(readers[i], wire, (size_t)b->argument);
    }
    ullage_bench_metric(b, "rss-bytes", (double)resident_over(resident_now(), before), -1);
    for (int i = 0; i < LIARS; i++) {
        held += ullage_reader_held(readers[i]);
        ullage_reader_destroy(readers[i]);
    }
    ullage_bench_metric(b, "held-bytes", (double)held, -1);
}

/* The argument: bytes that come after the marker. */
ULLAGE_BENCH_ARGS(announced_10000, 0, 4)
{
    static struct ullage_reader *readers[LIARS];
    if (skip_unless(b, BIT(WAY_ULLAGE)))
        return;
    memset(readers, 0xff, sizeof readers);
    struct wire wire = open_wire();
    struct ullage_reader *first = new_reader(everything_allowed());
    lie(first, wire, (size_t)b->argument);
    for (uint64_t i = 0; i < b->iterations; i++)
        lie_all(b, readers, wire);
    ullage_reader_destroy(first);
    close_wire(wire);
}

/* ---- 1,000 half-records and a budget for ten ---- */

struct peer {
    struct ullage_reader *reader;
    size_t at, sent; /* of its record: read, and there to be read */
    bool over;
};

struct crowd {
    struct peer peers[PEERS];
    unsigned whole, refused;
};

static unsigned char peer_record[MARKER_BYTES + PEER_RECORD_BYTES];

static ssize_t read_peer(void *ctx, void *to, size_t bytes)
{
    struct peer *peer = ctx;
    size_t left = peer->sent - peer->at, now = bytes < left ? bytes : left;
    if (now == 0)
        return -EAGAIN;
    memcpy(to, peer_record + peer->at, now);
    peer->at += now;
    return (ssize_t)now;
}

/* True: something happened. */
static bool call(struct crowd *crowd, struct peer *peer)
{
    struct ullage_record record;
    size_t at = peer->at;
    int result = ullage_reader_read(peer->reader, read_peer, peer, &record);
    if (result == -EAGAIN || (result == -ENOBUFS && ullage_reader_status(peer->reader) == 0))
        return peer->at != at;
    if (result == 1 && (record.bytes != PEER_RECORD_BYTES || memcmp(record.data, peer_record + MARKER_BYTES, record.bytes) != 0))
        abort();
    peer->over = true;
    crowd->whole += result == 1;
    crowd->refused += result != 1;
    ullage_reader_destroy(peer->reader);
    peer->reader = NULL;
    return true;
}

/* Returns how many are neither whole nor refused when nothing happens any more. */
static unsigned run_crowd(struct crowd *crowd, struct ullage_budget *budget)
{
    struct ullage_reader_options options = ULLAGE_READER_OPTIONS_INIT;
    options.max_record_bytes = PEER_RECORD_BYTES;
    options.budget = budget;
    memset(crowd, 0, sizeof *crowd);
    for (struct peer *peer = crowd->peers; peer < crowd->peers + PEERS; peer++) {
        peer->reader = new_reader(&options);
        peer->sent = sizeof peer_record / 2;
    }
    bool goes_on = true;
    for (int turn = 0; goes_on && turn <= 2 * PEERS; turn++) {
        goes_on = turn == 0;
        for (struct peer *peer = crowd->peers; peer < crowd->peers + PEERS; peer++) {
            goes_on |= !peer->over && call(crowd, peer);
            peer->sent = turn == 0 ? peer->sent : sizeof peer_record;
        }
        goes_on |= turn == 1;
    }
    for (struct peer *peer = crowd->peers; peer < crowd->peers + PEERS; peer++)
        ullage_reader_destroy(peer->reader);
    return PEERS - crowd->whole - crowd->refused;
}

ULLAGE_BENCH(half_records_1000)
{
    static struct crowd crowd;
    struct ullage_budget *budget;
    if (skip_unless(b, BIT(WAY_ULLAGE)))
        return;
    make_record(peer_record, PEER_RECORD_BYTES);
    if (ullage_budget_create(&budget, PEERS_AT_ONCE * PEER_RECORD_BYTES) != 0)
        abort();
    for (uint64_t i = 0; i < b->iterations; i++)
        ullage_bench_metric(b, "hung", run_crowd(&crowd, budget), -1);
    ullage_bench_metric(b, "whole", crowd.whole, 1);
    ullage_bench_metric(b, "refused", crowd.refused, 0);
    if (ullage_budget_peak(budget) > ullage_budget_max(budget) || ullage_budget_used(budget) != 0)
        ullage_bench_fail(b, "the budget was not kept: %zu at most, %zu left", ullage_budget_peak(budget), ullage_budget_used(budget));
    ullage_budget_destroy(budget);
}

/* ---- a record in fragments of a byte ---- */

static int count_record(void *ctx, const struct ullage_record *record)
{
    *(size_t *)ctx += record->bytes;
    return 0;
}

static unsigned char *make_fragments(size_t bytes)
{
    unsigned char *stream = malloc(bytes * (MARKER_BYTES + 1));
    for (size_t i = 0; stream != NULL && i < bytes; i++)
        memcpy(stream + i * (MARKER_BYTES + 1), (unsigned char[]) { i + 1 == bytes ? 0x80 : 0, 0, 0, 1, 'f' }, MARKER_BYTES + 1);
    return stream;
}

/* What the reader says in the end; @record_bytes: of the record that came out. */
static int read_fragments(const struct ullage_reader_options *options, const unsigned char *stream, size_t bytes, size_t *record_bytes)
{
    struct ullage_reader *reader = new_reader(options);
    size_t taken;
    *record_bytes = 0;
    int result = ullage_reader_feed(reader, stream, bytes * (MARKER_BYTES + 1), &taken, count_record, record_bytes);
    ullage_reader_destroy(reader);
    return result;
}

ULLAGE_BENCH_ARGS(fragments, 262144, 1048576, 4194304)
{
    struct ullage_reader_options options = ULLAGE_READER_OPTIONS_INIT;
    size_t bytes = (size_t)b->argument, got;
    if (skip_unless(b, BIT(WAY_ULLAGE)))
        return;
    options.max_record_bytes = bytes;
    options.max_fragments = (uint32_t)bytes;
    unsigned char *stream = make_fragments(bytes);
    ullage_bench_reset_clock(b);
    for (uint64_t i = 0; i < b->iterations; i++)
        if (read_fragments(&options, stream, bytes, &got) != 0 || got != bytes)
            ullage_bench_fail(b, "a record of %zu bytes", got);
    ullage_bench_stop_clock(b);
    free(stream);
}

/* The same by default: how long until it is refused. */
ULLAGE_BENCH(fragments_refused)
{
    size_t got;
    if (skip_unless(b, BIT(WAY_ULLAGE)))
        return;
    unsigned char *stream = make_fragments(STORY_RECORD_BYTES);
    ullage_bench_reset_clock(b);
    for (uint64_t i = 0; i < b->iterations; i++)
        if (read_fragments(NULL, stream, STORY_RECORD_BYTES, &got) != -EMSGSIZE)
            ullage_bench_fail(b, "it was let through: %zu bytes", got);
    ullage_bench_stop_clock(b);
    free(stream);
}

/* ---- story 1 ---- */

/* What the naive ones asked for: touched or not, it is what the published case counted. Ours: all that is resident now, and was not. */
static double story_naive(struct wire wire)
{
    static unsigned char *records[STORY_CONNECTIONS];
    struct mallinfo2 before = mallinfo2();
    for (int i = 0; i < STORY_CONNECTIONS; i++) {
        records[i] = malloc(STORY_RECORD_BYTES);
        put(wire, "\x80\0\1", MARKER_BYTES);
        if (records[i] == NULL || read(wire.ours, records[i], MARKER_BYTES) != MARKER_BYTES)
            abort();
    }
    struct mallinfo2 after = mallinfo2();
    for (int i = 0; i < STORY_CONNECTIONS; i++)
        free(records[i]);
    return (double)(after.uordblks + after.hblkhd) - (double)(before.uordblks + before.hblkhd);
}

static double story_ullage(struct wire wire)
{
    static struct ullage_reader *readers[STORY_CONNECTIONS];
    uint64_t before = resident_before();
    for (int i = 0; i < STORY_CONNECTIONS; i++) {
        readers[i] = new_reader(NULL);
        put(wire, "\x80\0\1", MARKER_BYTES);
        read_until_again(readers[i], wire.ours);
    }
    uint64_t after = resident_now();
    for (int i = 0; i < STORY_CONNECTIONS; i++)
        ullage_reader_destroy(readers[i]);
    return (double)resident_over(after, before);
}

ULLAGE_BENCH(story_326)
{
    double bytes = 0;
    (void)resident_before();
    if (skip_unless(b, BIT(WAY_NAIVE) | BIT(WAY_ULLAGE)))
        return;
    struct wire wire = open_wire();
    for (uint64_t i = 0; i < b->iterations; i++)
        bytes = chosen_way() == WAY_ULLAGE ? story_ullage(wire) : story_naive(wire);
    ullage_bench_metric(b, "held-bytes", bytes, -1);
    close_wire(wire);
}
