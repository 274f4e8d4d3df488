/* SPDX-License-Identifier: BSD-2-Clause */
/* record_run_fd.h - as record_run.h, from a descriptor: pipe, socket, file; non-blocking, blocking. For record_forms. */
#ifndef ULL_TESTS_RECORD_RUN_FD_H
#define ULL_TESTS_RECORD_RUN_FD_H

#include "record_run.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

enum { SOCKET_BYTES = 65536, SOCKET_PIECES = 100 }; /* that a socket takes with nobody reading */

/* Writes what the walk comes over. Returns false once all is written. */
static inline bool write_piece(struct run *run, int to)
{
    size_t count = run_cut(run);
    if (count == 0)
        return false;
    ssize_t written = write(to, run->stream + run->walk.at, count);
    run_check(run, written > 0, "write: %s", strerror(errno));
    record_walk_over(&run->walk, run->stream + run->walk.at, written > 0 ? (size_t)written : count);
    return true;
}

/* Reads until there is nothing more for now. Returns what it ended with. */
static inline int read_out(struct run *run, int from)
{
    struct ullage_record record;
    int result;
    while ((result = ullage_reader_read_fd(run->reader, from, &record)) == 1 && run->fault[0] == 0)
        run_add(run, &record);
    if (result == -EAGAIN)
        run_check_waiting(run);
    return run->fault[0] == 0 ? result : -ECANCELED;
}

static inline void open_pair(int ends[2], bool is_socket, bool blocking)
{
    int failed = is_socket ? socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) : pipe2(ends, O_CLOEXEC);
    if (failed != 0 || (!blocking && fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0)) {
        perror("record_forms");
        exit(2);
    }
    if (is_socket) { /* pipe2() has the end that reads first */
        shutdown(ends[0], SHUT_WR);
    } else
        (void)fcntl(ends[1], F_SETPIPE_SZ, 1 << 20);
}

static inline void read_by_turns(struct run *run, bool is_socket)
{
    int ends[2], result = -EAGAIN;
    run_begin(run);
    open_pair(ends, is_socket, false);
    (void)fcntl(ends[1], F_SETFL, O_NONBLOCK); /* the reader takes all before the next piece: there is always room for some */
    while (result == -EAGAIN && write_piece(run, ends[1]))
        result = read_out(run, ends[0]);
    close(ends[1]);
    while (result == -EAGAIN)
        result = read_out(run, ends[0]);
    close(ends[0]);
    run_end(run, result);
}

static inline void run_pipe(struct run *run)
{
    read_by_turns(run, false);
}

static inline void run_socket(struct run *run)
{
    read_by_turns(run, true);
}

/* A blocking reader, and a thread that writes. */
struct writing {
    struct run *run; /* its walk is the thread's */
    int to;
};

static inline void *write_all(void *ctx)
{
    struct writing *w = ctx;
    while (write_piece(w->run, w->to) && w->run->fault[0] == 0)
        ;
    close(w->to);
    return NULL;
}

static inline void run_blocking(struct run *run)
{
    struct run other = *run; /* the writer's walk, and its fault: a stream that was refused is not read to its end */
    struct writing writing = { &other, -1 };
    struct ullage_record record;
    pthread_t thread;
    int ends[2], result;
    run_begin(run);
    memset(&other.walk, 0, sizeof other.walk);
    open_pair(ends, true, true);
    writing.to = ends[1];
    if (pthread_create(&thread, NULL, write_all, &writing) != 0)
        abort();
    while ((result = ullage_reader_read_fd(run->reader, ends[0], &record)) == 1)
        run_add(run, &record);
    close(ends[0]);
    pthread_join(thread, NULL);
    run_end(run, result);
}

/*
 * A blocking reader of a socket where all is written already, and each read(2) ends at a cut all the same: what was sent with a
 * descriptor is not read together with what comes behind it.
 */
static inline void send_cut(struct run *run, int to)
{
    char room[CMSG_SPACE(sizeof(int))] = { 0 };
    size_t count = run_cut(run);
    struct iovec iov = { (void *)(uintptr_t)(run->stream + run->walk.at), count };
    struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room };
    struct cmsghdr *control = CMSG_FIRSTHDR(&message);
    control->cmsg_level = SOL_SOCKET;
    control->cmsg_type = SCM_RIGHTS;
    control->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(control), &(int){ STDERR_FILENO }, sizeof(int));
    run_check(run, sendmsg(to, &message, 0) == (ssize_t)count, "sendmsg: %s", strerror(errno));
    record_walk_over(&run->walk, run->stream + run->walk.at, count);
}

static inline void run_socket_cut(struct run *run)
{
    struct ullage_record record;
    int ends[2], result;
    if (run->count > SOCKET_BYTES) {
        run_blocking(run);
        return;
    }
    run_begin(run);
    open_pair(ends, true, true);
    for (int sent = 0; run->walk.at < run->count; sent++) {
        if (sent == SOCKET_PIECES)
            run->cuts = (struct cuts){ .split_at = SIZE_MAX };
        send_cut(run, ends[1]);
    }
    close(ends[1]);
    while ((result = ullage_reader_read_fd(run->reader, ends[0], &record)) == 1 && run->fault[0] == 0) {
        int left = 0;
        uint64_t end = record.offset + record.bytes + 4ull * record.fragments;
        run_add(run, &record);
        ioctl(ends[0], FIONREAD, &left);
        run_check(run, ullage_reader_pending(run->reader) == run->count - (size_t)left - end, "%zu pending after the record that ends at %ju, %d not read",
            ullage_reader_pending(run->reader), (uintmax_t)end, left);
    }
    close(ends[0]);
    run_end(run, run->fault[0] == 0 ? result : -ECANCELED);
}

static inline void run_file(struct run *run)
{
    struct ullage_record record;
    int result, file = memfd_create("stream", MFD_CLOEXEC);
    run_begin(run);
    if (file < 0 || write(file, run->stream, run->count) != (ssize_t)run->count || lseek(file, 0, SEEK_SET) != 0)
        abort();
    while ((result = ullage_reader_read_fd(run->reader, file, &record)) == 1)
        run_add(run, &record);
    close(file);
    run_end(run, result);
}

#endif
