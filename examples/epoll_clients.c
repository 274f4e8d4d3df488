/* SPDX-License-Identifier: BSD-2-Clause */
/* epoll_clients.c - see epoll_clients.h. They are as plain as can be: blocking sockets, one after the other. */
#include "epoll_clients.h"

#include <ullage/record.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RECORD_BYTES_MAX = 3000, MARKER_BYTES = 4 };

void epoll_clients_give_up(const char *what, int error)
{
    fprintf(stderr, "epoll_server: %s: %s\n", what, strerror(error));
    exit(1);
}

unsigned epoll_clients_raise_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        epoll_clients_give_up("descriptors", errno);
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur < 1U << 30 ? (unsigned)limit.rlim_cur : 1U << 30;
}

/* ---- one client ---- */

/* The record of client @i, with its marker. Returns its bytes. */
static size_t make_record(unsigned char *to, unsigned i)
{
    uint32_t bytes = i * 37 % (RECORD_BYTES_MAX + 1), marker = htonl(UINT32_C(0x80000000) | bytes);
    memcpy(to, &marker, MARKER_BYTES);
    for (uint32_t at = 0; at < bytes; at++)
        to[MARKER_BYTES + at] = (unsigned char)(at + i);
    return MARKER_BYTES + bytes;
}

static int open_client(uint16_t port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = { htonl(INADDR_LOOPBACK) } };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        epoll_clients_give_up("a client", errno);
    return fd;
}

static void send_all(int fd, const unsigned char *from, size_t bytes)
{
    while (bytes > 0) {
        ssize_t put = send(fd, from, bytes, MSG_NOSIGNAL);
        if (put < 0)
            epoll_clients_give_up("a client's record", errno);
        from += put;
        bytes -= (size_t)put;
    }
}

/* The second part after all others have sent their first: the server holds all beginnings at once. */
static void send_part(int fd, unsigned i, bool first)
{
    unsigned char record[MARKER_BYTES + RECORD_BYTES_MAX];
    size_t bytes = make_record(record, i), part = bytes / 3;
    send_all(fd, first ? record : record + part, first ? part : bytes - part);
}

static void check_answer(int fd, unsigned i)
{
    unsigned char sent[MARKER_BYTES + RECORD_BYTES_MAX], got[sizeof sent];
    size_t bytes = make_record(sent, i);
    if (recv(fd, got, bytes, MSG_WAITALL) != (ssize_t)bytes || memcmp(sent, got, bytes) != 0)
        epoll_clients_give_up("an answer is not what was sent", EPROTO);
}

/* It announces 100 bytes, sends 6 of them, and stops. */
static int open_stalled(uint16_t port)
{
    static const unsigned char part[] = { 0x80, 0, 0, 100, 'h', 'a', 'l', 'f', ' ', 'a' };
    int fd = open_client(port);
    send_all(fd, part, sizeof part);
    return fd;
}

static void wait_for_end(int fd, const char *what)
{
    char byte;
    ssize_t got = recv(fd, &byte, 1, 0);
    if (got > 0 || (got < 0 && errno != ECONNRESET))
        epoll_clients_give_up(what, got > 0 ? EPROTO : errno);
}

/* ---- all of them ---- */

static void run(unsigned count, uint16_t port, int say)
{
    int *fds = calloc(count, sizeof *fds), stalled = open_stalled(port);
    if (fds == NULL)
        epoll_clients_give_up("clients", errno);
    for (unsigned i = 0; i < count; i++)
        fds[i] = open_client(port);
    for (unsigned i = 0; i < count; i++)
        send_part(fds[i], i, true);
    for (unsigned i = 0; i < count; i++)
        send_part(fds[i], i, false);
    for (unsigned i = 0; i < count; i++)
        check_answer(fds[i], i);
    wait_for_end(stalled, "the one that stopped was not hung up on");
    if (write(say, "", 1) != 1)
        epoll_clients_give_up("clients", errno);
    for (unsigned i = 0; i < count; i++)
        wait_for_end(fds[i], "more than an answer came");
    free(fds);
}

struct epoll_clients epoll_clients_start(unsigned count, uint16_t port)
{
    int ends[2];
    if (pipe(ends) != 0)
        epoll_clients_give_up("pipe", errno);
    struct epoll_clients clients = { fork(), ends[0] };
    if (clients.pid < 0)
        epoll_clients_give_up("fork", errno);
    if (clients.pid == 0) {
        close(ends[0]);
        run(count, port, ends[1]);
        _exit(0);
    }
    close(ends[1]);
    return clients;
}

int epoll_clients_end(struct epoll_clients *clients)
{
    int status = 0;
    close(clients->said);
    return waitpid(clients->pid, &status, 0) == clients->pid && status == 0 ? 0 : -EPROTO;
}
