/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rpc_tirpc_server.c - the echo of examples/rpc_server.c as libtirpc serves it: what reads our records here is libtirpc's.
 *
 *     rpc_tirpc_server     prints "port N"; ends when its standard input ends
 */
#include <poll.h>
#include <rpc/rpc.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { PROGRAM = 0x20000099, VERSION = 1, NOTHING = 0, ECHO = 1 };

struct data {
    u_int count;
    char *bytes;
};

static bool_t xdr_data(XDR *xdrs, struct data *data)
{
    return xdr_bytes(xdrs, &data->bytes, &data->count, ~0U);
}

static void dispatch(struct svc_req *request, SVCXPRT *transport)
{
    struct data data = { 0, NULL };
    if (request->rq_proc == NOTHING) {
        svc_sendreply(transport, (xdrproc_t)xdr_void, NULL);
    } else if (request->rq_proc != ECHO) {
        svcerr_noproc(transport);
    } else if (!svc_getargs(transport, (xdrproc_t)xdr_data, (caddr_t)&data)) {
        svcerr_decode(transport);
    } else {
        svc_sendreply(transport, (xdrproc_t)xdr_data, (caddr_t)&data);
        svc_freeargs(transport, (xdrproc_t)xdr_data, (caddr_t)&data);
    }
}

static int listen_on_loopback(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 16) != 0
        || getsockname(fd, (struct sockaddr *)&address, &length) != 0)
        return -1;
    printf("port %d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

/* libtirpc's own list of what to wait for, and standard input. False: that has ended. */
static bool_t wait_and_serve(void)
{
    int count = svc_max_pollfd + 1;
    struct pollfd *polled = calloc((size_t)count + 1, sizeof *polled);
    for (int i = 0; i < count; i++)
        polled[i] = svc_pollfd[i];
    polled[count] = (struct pollfd) { STDIN_FILENO, POLLIN, 0 };
    int ready = poll(polled, (nfds_t)count + 1, -1);
    bool_t ended = polled[count].revents != 0;
    if (ready > 0 && !ended)
        svc_getreq_poll(polled, ready);
    free(polled);
    return ready > 0 && !ended;
}

int main(void)
{
    int fd = listen_on_loopback();
    SVCXPRT *transport = fd >= 0 ? svc_vc_create(fd, 0, 0) : NULL;
    if (transport == NULL || !svc_reg(transport, PROGRAM, VERSION, dispatch, NULL)) {
        fprintf(stderr, "rpc_tirpc_server: cannot serve\n");
        return 1;
    }
    while (wait_and_serve())
        ;
    return 0;
}
