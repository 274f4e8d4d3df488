/* SPDX-License-Identifier: BSD-2-Clause */
/* epoll_clients.h - the peers of epoll_server --self-test, in a process of their own. */
#ifndef EXAMPLES_EPOLL_CLIENTS_H
#define EXAMPLES_EPOLL_CLIENTS_H

#include <stdint.h>
#include <sys/types.h>

struct epoll_clients {
    pid_t pid;
    int said; /* a byte comes from here when all have their answers; end of file: they failed */
};

/*
 * @count clients of 127.0.0.1:@port: each sends one record, in two parts, and checks its answer. One more stops in the middle of a record, and has
 * to be hung up on. Then all of them wait until the server has gone.
 */
struct epoll_clients epoll_clients_start(unsigned count, uint16_t port);
/* 0: all went well. */
int epoll_clients_end(struct epoll_clients *clients);

/* As many descriptors as this process may have. */
unsigned epoll_clients_raise_limit(void);

__attribute__((noreturn)) void epoll_clients_give_up(const char *what, int error);

#endif
