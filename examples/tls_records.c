/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls_records.c - story 3: what a heartbeat costs in plaintext, over TLS, and over TLS that a pair of proxy threads takes off.
 *
 *   tls_records [HEARTBEATS]     2,000 of each, one after the other
 *
 * A heartbeat is a record of 64 bytes and its answer. Three servers, each in a process of its own that one client talks to:
 *
 *   plain         ullage_reader_read_fd()
 *   TLS in place  ullage_reader_read() with a callback that is SSL_read(): records are parsed where OpenSSL puts their bytes, by the thread that
 *                 answers them
 *   TLS, proxied  two threads carry bytes between the TLS connection and a socket pair, whose other end is read as in plaintext
 *
 * TLS begins inside the stream of records, as RFC 9289 has it: a record asks for it, a record says yes, then comes the handshake. Whoever sits on the wire
 * could have put more plaintext behind the request, and it would be taken for what came through TLS: ullage_reader_require_clean() refuses that. It is
 * tried first.
 */
#define _GNU_SOURCE /* sched_setaffinity() */
#include "tls_setup.h"

#include <ullage/record.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { HEARTBEATS = 2000, WARM_UP = 100, PROXY_BYTES = 16384, TOGETHER_BYTES = 4096 };

enum way { PLAIN, IN_PLACE, PROXIED, WAYS };

static const char *const way_names[] = { "plain", "TLS in place", "TLS, proxied" };

/* Where a server's records come from and go to. */
struct stream {
    int fd;
    SSL *ssl; /* NULL: as they are */
};

/* ---- what a reader and a writer need of OpenSSL ---- */

static ssize_t error_of(SSL *ssl, int result)
{
    switch (SSL_get_error(ssl, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE: return -EAGAIN;
    case SSL_ERROR_ZERO_RETURN: return 0; /* the peer said that it is the end: somebody who cuts the wire cannot */
    case SSL_ERROR_SYSCALL: return errno != 0 ? -errno : -ECONNRESET;
    default: return -EPROTO;
    }
}

/* The read callback. It is asked until it says -EAGAIN, so that nothing stays behind in OpenSSL when the descriptor is waited for. */
static ssize_t read_tls(void *ctx, void *to, size_t bytes)
{
    SSL *ssl = ctx;
    ERR_clear_error();
    int result = SSL_read(ssl, to, bytes < INT32_MAX ? (int)bytes : INT32_MAX);
    return result > 0 ? result : error_of(ssl, result);
}

/* Marker and record in one TLS record, where they are small. */
static ssize_t write_tls(void *ctx, const struct iovec *iov, int count)
{
    unsigned char together[TOGETHER_BYTES];
    size_t bytes = 0;
    SSL *ssl = ctx;
    const void *from = iov[0].iov_base;
    if (iov[0].iov_len < sizeof together) {
        for (int i = 0; i < count && iov[i].iov_len <= sizeof together - bytes; bytes += iov[i++].iov_len)
            memcpy(together + bytes, iov[i].iov_base, iov[i].iov_len);
        from = together;
    } else {
        bytes = iov[0].iov_len < INT32_MAX ? iov[0].iov_len : INT32_MAX;
    }
    ERR_clear_error();
    int result = SSL_write(ssl, from, (int)bytes);
    return result > 0 ? result : error_of(ssl, result);
}

/* ---- a server ---- */

static int wait_for(int fd, short events, int timeout_ms)
{
    struct pollfd one = { .fd = fd, .events = events };
    return poll(&one, 1, timeout_ms) >= 0 || errno == EINTR ? 0 : -errno;
}

static int next_record(struct ullage_reader *reader, const struct stream *from, struct ullage_record *record)
{
    for (;;) {
        int result = from->ssl != NULL ? ullage_reader_read(reader, read_tls, from->ssl, record) : ullage_reader_read_fd(reader, from->fd, record);
        if (result != -EAGAIN)
            return result;
        int error = wait_for(from->fd, POLLIN, ullage_reader_timeout_ms(reader));
        if (error != 0)
            return error;
    }
}

static int answer(struct ullage_writer *writer, const struct stream *to, const void *data, size_t bytes)
{
    struct iovec piece = { (void *)(uintptr_t)data, bytes };
    int result = ullage_writer_begin(writer, &piece, 1);
    while (result == 0 || result == -EAGAIN) {
        if (result == -EAGAIN && (result = wait_for(to->fd, POLLOUT, -1)) != 0)
            break;
        result = to->ssl != NULL ? ullage_writer_flush(writer, write_tls, to->ssl) : ullage_writer_flush_fd(writer, to->fd);
    }
    return result > 0 ? 0 : result;
}

/* The request in plaintext, and nothing behind it; the handshake is the caller's. */
static int agree_on_tls(struct ullage_reader *reader, struct ullage_writer *writer, const struct stream *stream)
{
    struct ullage_record record;
    int result = next_record(reader, stream, &record);
    if (result <= 0)
        return result < 0 ? result : -ECONNRESET;
    if (record.bytes != sizeof TLS_REQUEST || memcmp(record.data, TLS_REQUEST, sizeof TLS_REQUEST) != 0)
        return -EPROTO;
    int error = ullage_reader_require_clean(reader);
    return error != 0 ? error : answer(writer, stream, TLS_YES, sizeof TLS_YES);
}

/* ---- the proxy: two threads and a socket pair ---- */

/* An SSL object is for one thread at a time: it never blocks, and the lock is held for the call alone. */
struct proxy {
    pthread_mutex_t lock;
    SSL *ssl;
    int fd, inner;
    pthread_t in, out;
};

static ssize_t read_locked(struct proxy *proxy, void *to, size_t bytes)
{
    pthread_mutex_lock(&proxy->lock);
    ssize_t got = read_tls(proxy->ssl, to, bytes);
    pthread_mutex_unlock(&proxy->lock);
    return got;
}

static ssize_t write_locked(struct proxy *proxy, const struct iovec *piece)
{
    pthread_mutex_lock(&proxy->lock);
    ssize_t put = write_tls(proxy->ssl, piece, 1);
    pthread_mutex_unlock(&proxy->lock);
    return put;
}

static void *carry_in(void *ctx)
{
    struct proxy *proxy = ctx;
    char bytes[PROXY_BYTES];
    ssize_t got;
    while ((got = read_locked(proxy, bytes, sizeof bytes)) > 0 || got == -EAGAIN) {
        if (got == -EAGAIN)
            (void)wait_for(proxy->fd, POLLIN, -1);
        else if (send(proxy->inner, bytes, (size_t)got, MSG_NOSIGNAL) != got)
            break;
    }
    shutdown(proxy->inner, SHUT_WR);
    return NULL;
}

static void *carry_out(void *ctx)
{
    struct proxy *proxy = ctx;
    char bytes[PROXY_BYTES];
    ssize_t got;
    while ((got = recv(proxy->inner, bytes, sizeof bytes, 0)) > 0) {
        struct iovec piece = { bytes, (size_t)got };
        while (piece.iov_len > 0) {
            ssize_t put = write_locked(proxy, &piece);
            if (put < 0 && (put != -EAGAIN || wait_for(proxy->fd, POLLOUT, -1) != 0))
                return NULL;
            piece.iov_base = (char *)piece.iov_base + (put > 0 ? put : 0);
            piece.iov_len -= (size_t)(put > 0 ? put : 0);
        }
    }
    return NULL;
}

static struct stream start_proxy(struct proxy *proxy, const struct stream *tls)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0 || fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0)
        tls_give_up("a socket pair");
    *proxy = (struct proxy) { .lock = PTHREAD_MUTEX_INITIALIZER, .ssl = tls->ssl, .fd = tls->fd, .inner = ends[1] };
    if (pthread_create(&proxy->in, NULL, carry_in, proxy) != 0 || pthread_create(&proxy->out, NULL, carry_out, proxy) != 0)
        tls_give_up("threads");
    return (struct stream) { ends[0], NULL };
}

static void end_proxy(struct proxy *proxy, const struct stream *stream)
{
    close(stream->fd);
    pthread_join(proxy->in, NULL);
    pthread_join(proxy->out, NULL);
    close(proxy->inner);
}

/* ---- what it costs ---- */

struct cost {
    double cpu_us, faults, switches; /* of the server, a heartbeat */
    int error;
    char why[200];
};

static double us_of(const struct rusage *usage)
{
    return (double)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * 1e6 + (double)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec);
}

static void take_cost(struct cost *cost, const struct rusage *before, unsigned heartbeats)
{
    struct rusage after;
    getrusage(RUSAGE_SELF, &after);
    cost->cpu_us = (us_of(&after) - us_of(before)) / heartbeats;
    cost->faults = (double)(after.ru_minflt + after.ru_majflt - before->ru_minflt - before->ru_majflt) / heartbeats;
    cost->switches = (double)(after.ru_nvcsw + after.ru_nivcsw - before->ru_nvcsw - before->ru_nivcsw) / heartbeats;
}

/* The first ones pay for what is there from then on. */
static int answer_all(struct ullage_reader *reader, struct ullage_writer *writer, const struct stream *stream, unsigned heartbeats, struct cost *cost)
{
    struct ullage_record record;
    struct rusage before;
    unsigned answers = 0;
    int result;
    while ((result = next_record(reader, stream, &record)) > 0) {
        int error = answer(writer, stream, record.data, record.bytes);
        if (error != 0)
            return error;
        if (++answers == WARM_UP)
            getrusage(RUSAGE_SELF, &before);
    }
    if (answers != WARM_UP + heartbeats)
        return result != 0 ? result : -EPROTO;
    take_cost(cost, &before, heartbeats);
    return result;
}

static int handshake(struct stream *stream, SSL_CTX *tls)
{
    int result;
    stream->ssl = tls_on(tls, stream->fd);
    SSL_set_accept_state(stream->ssl);
    while ((result = SSL_do_handshake(stream->ssl)) != 1) {
        ssize_t error = error_of(stream->ssl, result);
        if (error != -EAGAIN)
            return error < 0 ? (int)error : -EPROTO;
        if (wait_for(stream->fd, SSL_want_write(stream->ssl) ? POLLOUT : POLLIN, -1) != 0)
            return -EIO;
    }
    return 0;
}

/* One connection, to its end. */
static int serve(struct ullage_reader *reader, int fd, enum way way, SSL_CTX *tls, unsigned heartbeats, struct cost *cost)
{
    struct stream stream = { fd, NULL }, inner;
    struct ullage_writer *writer;
    struct proxy proxy;
    int error = ullage_writer_create(&writer, 0);
    if (error == 0 && way != PLAIN)
        error = agree_on_tls(reader, writer, &stream);
    if (error == 0 && way != PLAIN)
        error = handshake(&stream, tls);
    if (error == 0 && way != PROXIED)
        error = answer_all(reader, writer, &stream, heartbeats, cost);
    if (error == 0 && way == PROXIED) {
        inner = start_proxy(&proxy, &stream);
        error = answer_all(reader, writer, &inner, heartbeats, cost);
        end_proxy(&proxy, &inner);
    }
    SSL_free(stream.ssl);
    ullage_writer_destroy(writer);
    return error;
}

/* In a process of its own; what it found goes to @say. */
__attribute__((noreturn)) static void run_server(int fd, enum way way, unsigned heartbeats, int say)
{
    struct cost cost = { .error = 0 };
    struct ullage_reader *reader;
    SSL_CTX *tls = tls_server();
    if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0 || ullage_reader_create(&reader, NULL) != 0)
        tls_give_up("a reader");
    cost.error = serve(reader, fd, way, tls, heartbeats, &cost);
    snprintf(cost.why, sizeof cost.why, "%s", ullage_reader_error(reader));
    ullage_reader_destroy(reader);
    SSL_CTX_free(tls);
    _exit(write(say, &cost, sizeof cost) != sizeof cost);
}

/* ---- the program ---- */

/* What the server of one way had to say; with @inject the client does what it must not. */
static struct cost run(enum way way, unsigned heartbeats, bool inject)
{
    struct cost cost = { .error = -EIO };
    int ends[2], said[2], status;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0 || pipe(said) != 0)
        tls_give_up("a connection");
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        run_server(ends[1], way, heartbeats, said[1]);
    }
    close(ends[1]);
    close(said[1]);
    if (inject)
        tls_client_inject(ends[0]);
    else if (pid < 0 || !tls_client_run(ends[0], way != PLAIN, WARM_UP + heartbeats))
        fprintf(stderr, "tls_records: %s: an answer was wrong\n", way_names[way]);
    close(ends[0]);
    if (read(said[0], &cost, sizeof cost) != sizeof cost || waitpid(pid, &status, 0) != pid || status != 0)
        cost.error = -EIO;
    close(said[0]);
    return cost;
}

/* All on one processor: what is counted is work then, and not where the scheduler has put whom, by which it varied tenfold. */
static void stay_on_one_processor(void)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET((unsigned)sched_getcpu(), &one);
    (void)sched_setaffinity(0, sizeof one, &one); /* refused: as it was */
}

static void try_injection(void)
{
    struct cost cost = run(IN_PLACE, 0, true);
    if (cost.error != -EPROTO)
        tls_give_up(cost.error == -EIO ? "the server did not end well" : "plaintext behind the request for TLS was let through");
    printf("plaintext behind the request for TLS is refused: %s\n", cost.why);
}

int main(int argc, char **argv)
{
    unsigned long heartbeats = argc > 1 ? strtoul(argv[1], NULL, 10) : HEARTBEATS;
    if (heartbeats < 1 || heartbeats > 10000000)
        return fprintf(stderr, "usage: tls_records [HEARTBEATS]\n"), 2;
    stay_on_one_processor();
    try_injection();
    printf("%lu heartbeats, each costs its server:\n%-14s %8s %8s %8s\n", heartbeats, "", "CPU us", "faults", "switches");
    fflush(stdout); /* before the fork: the child has a copy of what was not written */
    for (int way = 0; way < WAYS; way++) {
        struct cost cost = run((enum way)way, (unsigned)heartbeats, false);
        if (cost.error != 0) {
            fprintf(stderr, "tls_records: %s: %s: %s\n", way_names[way], strerror(-cost.error), cost.why);
            return 1;
        }
        printf("%-14s %8.1f %8.3f %8.2f\n", way_names[way], cost.cpu_us, cost.faults, cost.switches);
        fflush(stdout);
    }
    return 0;
}
