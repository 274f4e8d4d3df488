/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * record.c - what reading a stream of records costs the reading thread, by each way there is. See make bench-record.
 *
 * The stream comes over a pair of UNIX sockets or TCP's loopback, from a process that writes 256 KiB of whole records at a time: so the processor's
 * time of this process (cpu-ns/op) is the reader's alone. An iteration is a record; for the raw way, as many bytes. What holds memory is in
 * record_memory.c.
 *
 * BENCH_WRITER=here: on the reader's processor, where the bytes come out of its cache; nothing makes read(2) cheaper, so it is where a reader's
 * own work weighs most. apart: on another one, if there is one. TCP is to be measured so: on one processor its loopback does a part of the
 * sender's work in the time of the receiver.
 */
#define _GNU_SOURCE /* sched_setaffinity() */
#include "record_api.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BATCH_BYTES = 256 << 10, WARM_UP_BYTES = 4 << 20, PROGRAM_NFS = 100003 };

/* ---- which way ---- */

static const char *const way_names[] = { "raw", "placed", "naive", "xdrrec", "ullage" };

enum way chosen_way(void)
{
    const char *name = getenv("BENCH_READER");
    for (unsigned i = 0; name != NULL && i < sizeof way_names / sizeof way_names[0]; i++)
        if (strcmp(name, way_names[i]) == 0)
            return (enum way)i;
    if (name != NULL) {
        fprintf(stderr, "bench_record: BENCH_READER is raw, placed, naive, xdrrec or ullage, not '%s'\n", name);
        exit(1);
    }
    return WAY_ULLAGE;
}

static long nothing(void *ctx, void *to, long bytes)
{
    (void)ctx;
    (void)to;
    (void)bytes;
    return -1;
}

bool skip_unless(struct ullage_bench *b, unsigned ways)
{
    if ((ways & BIT(chosen_way())) == 0) {
        ullage_bench_skip(b, "there is no such thing by way of %s", way_names[chosen_way()]);
        return true;
    }
    if (chosen_way() != WAY_XDRREC)
        return false;
    struct xdrrec *probe = xdrrec_open(nothing, NULL);
    if (probe != NULL)
        xdrrec_close(probe);
    else
        ullage_bench_skip(b, "built without libtirpc");
    return probe == NULL;
}

/* ---- the stream ---- */

static void put_word(unsigned char *to, uint32_t value)
{
    value = htonl(value);
    memcpy(to, &value, sizeof value);
}

size_t make_record(unsigned char *to, size_t bytes)
{
    static const uint32_t call[] = { 4711, 0, 2, PROGRAM_NFS, 3, 6 }; /* xid, CALL, RPC 2, NFS 3, READ */
    put_word(to, UINT32_C(0x80000000) | (uint32_t)bytes);
    memset(to + MARKER_BYTES, 'r', bytes);
    for (size_t i = 0; i < sizeof call / sizeof call[0] && (i + 1) * sizeof call[0] <= bytes; i++)
        put_word(to + MARKER_BYTES + i * sizeof call[0], call[i]);
    return MARKER_BYTES + bytes;
}

/* As many whole records as a batch has, at least one. */
static unsigned char *make_batch(size_t record_bytes, uint64_t *records)
{
    size_t whole = MARKER_BYTES + record_bytes;
    *records = BATCH_BYTES / whole > 0 ? BATCH_BYTES / whole : 1;
    unsigned char *batch = malloc(*records * whole);
    for (uint64_t i = 0; batch != NULL && i < *records; i++)
        make_record(batch + i * whole, record_bytes);
    return batch;
}

static void write_all(int fd, const unsigned char *from, size_t bytes)
{
    while (bytes > 0) {
        ssize_t put = write(fd, from, bytes);
        if (put < 0 && errno != EINTR)
            _exit(1);
        from += put > 0 ? put : 0;
        bytes -= put > 0 ? (size_t)put : 0;
    }
}

/* Where the reader is not. The harness has put both of us on one; where there is no other that we may have, it stays so. */
static void stand_apart(void)
{
    const char *where = getenv("BENCH_WRITER");
    cpu_set_t others;
    if (where == NULL || strcmp(where, "apart") != 0)
        return;
    memset(&others, 0xff, sizeof others);
    CPU_CLR((unsigned)sched_getcpu(), &others);
    (void)sched_setaffinity(0, sizeof others, &others);
}

__attribute__((noreturn)) static void run_writer(int fd, size_t record_bytes, uint64_t records)
{
    uint64_t of_batch;
    unsigned char *batch = make_batch(record_bytes, &of_batch);
    stand_apart();
    for (uint64_t left = records; batch != NULL && left > 0;) {
        uint64_t now = left < of_batch ? left : of_batch;
        write_all(fd, batch, now * (MARKER_BYTES + record_bytes));
        left -= now;
    }
    _exit(0);
}

static void open_unix(int ends[2])
{
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        abort();
}

static void open_tcp(int ends[2])
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t bytes = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ends[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || ends[1] < 0 || bind(listener, (struct sockaddr *)&address, bytes) != 0 || listen(listener, 1) != 0
        || getsockname(listener, (struct sockaddr *)&address, &bytes) != 0 || connect(ends[1], (struct sockaddr *)&address, bytes) != 0
        || (ends[0] = accept(listener, NULL, NULL)) < 0)
        abort();
    close(listener);
}

static pid_t start_writer(const int ends[2], size_t record_bytes, uint64_t records)
{
    pid_t pid = fork();
    if (pid < 0)
        abort();
    if (pid == 0) {
        close(ends[0]);
        run_writer(ends[1], record_bytes, records);
    }
    close(ends[1]);
    return pid;
}

/* ---- reading it ---- */

struct reading {
    int fd;
    size_t record_bytes;
    unsigned char *buffer; /* of RAW_BYTES, or for one record */
    struct ullage_reader *reader;
    struct xdrrec *xdrrec;
};

/* What ended early would look fast. */
static void read_raw(const struct reading *reading, uint64_t bytes)
{
    while (bytes > 0) {
        ssize_t got = read(reading->fd, reading->buffer, bytes < RAW_BYTES ? bytes : RAW_BYTES);
        if (got <= 0)
            abort();
        ullage_bench_keep(reading->buffer);
        bytes -= (uint64_t)got;
    }
}

/* The place of each record is that of the last one: where a pool would put it. */
static void read_placed(const struct reading *reading, uint64_t bytes)
{
    size_t room = MARKER_BYTES + reading->record_bytes;
    for (size_t at = 0; bytes > 0;) {
        size_t want = room - at < RAW_BYTES ? room - at : RAW_BYTES;
        ssize_t got = read(reading->fd, reading->buffer + at, want);
        if (got <= 0)
            abort();
        ullage_bench_keep(reading->buffer);
        at = (at + (size_t)got) % room;
        bytes -= (uint64_t)got;
    }
}

static void read_exactly(int fd, unsigned char *to, size_t bytes)
{
    for (size_t at = 0; at < bytes;) {
        ssize_t got = read(fd, to + at, bytes - at);
        if (got <= 0)
            abort();
        at += (size_t)got;
    }
}

static void read_naively(const struct reading *reading)
{
    uint32_t marker;
    unsigned char *record = calloc(1, NAIVE_BYTES);
    if (record == NULL)
        abort();
    read_exactly(reading->fd, (unsigned char *)&marker, sizeof marker);
    if ((ntohl(marker) & 0x7fffffff) != reading->record_bytes)
        abort();
    read_exactly(reading->fd, record, reading->record_bytes);
    ullage_bench_keep(record);
    free(record);
}

static void read_by_ullage(const struct reading *reading, uint64_t count)
{
    struct ullage_record record;
    while (count-- > 0) {
        if (ullage_reader_read_fd(reading->reader, reading->fd, &record) != 1 || record.bytes != reading->record_bytes)
            abort();
        ullage_bench_keep(record.data);
    }
}

static void read_by_xdrrec(const struct reading *reading, uint64_t count)
{
    while (count-- > 0) {
        if (!xdrrec_read(reading->xdrrec, reading->buffer, reading->record_bytes))
            abort();
        ullage_bench_keep(reading->buffer);
    }
}

static void read_records(const struct reading *reading, uint64_t count)
{
    switch (chosen_way()) {
    case WAY_RAW: read_raw(reading, count * (MARKER_BYTES + reading->record_bytes)); break;
    case WAY_PLACED: read_placed(reading, count * (MARKER_BYTES + reading->record_bytes)); break;
    case WAY_XDRREC: read_by_xdrrec(reading, count); break;
    case WAY_ULLAGE: read_by_ullage(reading, count); break;
    case WAY_NAIVE:
        while (count-- > 0)
            read_naively(reading);
    }
}

/* ---- one benchmark ---- */

static long read_for_xdrrec(void *ctx, void *to, long bytes)
{
    const struct reading *reading = ctx;
    ssize_t got = read(reading->fd, to, (size_t)bytes);
    return got > 0 ? got : -1;
}

static void begin(struct reading *reading)
{
    reading->buffer = malloc(MARKER_BYTES + (reading->record_bytes > RAW_BYTES ? reading->record_bytes : RAW_BYTES));
    if (reading->buffer == NULL || (chosen_way() == WAY_ULLAGE && ullage_reader_create(&reading->reader, NULL) != 0))
        abort();
    if (chosen_way() == WAY_XDRREC)
        reading->xdrrec = xdrrec_open(read_for_xdrrec, reading);
}

static void end(struct reading *reading)
{
    if (reading->reader != NULL)
        ullage_reader_destroy(reading->reader);
    if (reading->xdrrec != NULL)
        xdrrec_close(reading->xdrrec);
    free(reading->buffer);
    close(reading->fd);
}

static void run_stream(struct ullage_bench *b, void (*open_pair)(int ends[2]))
{
    size_t record_bytes = (size_t)b->argument;
    uint64_t warm_up = WARM_UP_BYTES / (MARKER_BYTES + record_bytes) + 1;
    int ends[2], status;
    unsigned placed = record_bytes >= RAW_BYTES ? BIT(WAY_PLACED) : 0; /* small ones lie in what raw reads to */
    if (skip_unless(b, BIT(WAY_RAW) | placed | BIT(WAY_NAIVE) | BIT(WAY_XDRREC) | BIT(WAY_ULLAGE)))
        return;
    warm_up = chosen_way() == WAY_NAIVE ? 4 : warm_up;
    open_pair(ends);
    pid_t writer = start_writer(ends, record_bytes, warm_up + b->iterations);
    struct reading reading = { .fd = ends[0], .record_bytes = record_bytes };
    begin(&reading);
    ullage_bench_bytes(b, MARKER_BYTES + record_bytes);
    read_records(&reading, warm_up);
    ullage_bench_reset_clock(b);
    read_records(&reading, b->iterations);
    ullage_bench_stop_clock(b);
    end(&reading);
    if (waitpid(writer, &status, 0) != writer || status != 0)
        ullage_bench_fail(b, "the writer ended with %#x", (unsigned)status);
}

ULLAGE_BENCH_ARGS(unix_socket, 128, 1024, 65536, 1048576)
{
    run_stream(b, open_unix);
}

ULLAGE_BENCH_ARGS(tcp_socket, 128, 1024, 65536, 1048576)
{
    run_stream(b, open_tcp);
}

/* ---- parsing alone ---- */

struct parsed {
    const unsigned char *bytes;
    size_t count, at;
    uint64_t records;
};

static int on_record(void *ctx, const struct ullage_record *record)
{
    struct parsed *parsed = ctx;
    parsed->records++;
    ullage_bench_keep(record->data);
    return 0;
}

static long copy_for_xdrrec(void *ctx, void *to, long bytes)
{
    struct parsed *parsed = ctx;
    size_t left = parsed->count - parsed->at, now = (size_t)bytes < left ? (size_t)bytes : left;
    memcpy(to, parsed->bytes + parsed->at, now);
    parsed->at = (parsed->at + now) % parsed->count;
    return (long)now;
}

/* Bytes that are there already, over and over; libtirpc has no other way than to copy them first. */
static void parse(struct parsed *parsed, struct ullage_reader *reader, struct xdrrec *xdrrec, size_t whole, uint64_t records)
{
    for (uint64_t left = records; left > 0 && reader != NULL;) {
        size_t taken, count = left * whole < parsed->count ? left * whole : parsed->count;
        if (ullage_reader_feed(reader, parsed->bytes, count, &taken, on_record, parsed) != 0 || taken != count)
            abort();
        left -= count / whole;
    }
    for (uint64_t left = records; left > 0 && xdrrec != NULL; left--)
        if (!xdrrec_skip(xdrrec))
            abort();
}

ULLAGE_BENCH_ARGS(parse, 128, 1024)
{
    size_t record_bytes = (size_t)b->argument, whole = MARKER_BYTES + record_bytes;
    uint64_t of_batch;
    if (skip_unless(b, BIT(WAY_XDRREC) | BIT(WAY_ULLAGE)))
        return;
    struct parsed parsed = { .bytes = make_batch(record_bytes, &of_batch) };
    struct ullage_reader *reader = NULL;
    struct xdrrec *xdrrec = chosen_way() == WAY_XDRREC ? xdrrec_open(copy_for_xdrrec, &parsed) : NULL;
    if (parsed.bytes == NULL || (xdrrec == NULL && ullage_reader_create(&reader, NULL) != 0))
        abort();
    parsed.count = of_batch * whole;
    parse(&parsed, reader, xdrrec, whole, 4 * of_batch);
    parsed.records = 0;
    ullage_bench_reset_clock(b);
    parse(&parsed, reader, xdrrec, whole, b->iterations);
    ullage_bench_stop_clock(b);
    if (reader != NULL && parsed.records != b->iterations)
        ullage_bench_fail(b, "%llu records, not as many as iterations", (unsigned long long)parsed.records);
    ullage_reader_destroy(reader);
    if (xdrrec != NULL)
        xdrrec_close(xdrrec);
    free((void *)(uintptr_t)parsed.bytes);
}

ULLAGE_BENCH_MAIN()
