/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * record_caller.c - calls the echo of a server in records that our writer writes, and reads the replies with our reader.
 *
 *     record_caller PORT FRAGMENT BYTES...     echoes of those sizes; FRAGMENT is the most that one of ours has (0: the default)
 *     record_caller --xdrrec PORT SENDSIZE BYTES...     the same, in code for libtirpc's streams; built with OLD_STREAMS, it is libtirpc's
 */
#ifdef OLD_STREAMS
#include <rpc/rpc.h>
#else
#include <ullage/xdr.h>
#endif

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PROGRAM = 0x20000099, VERSION = 1, ECHO = 1 };

static void expect(bool_t holds, const char *what)
{
    if (holds)
        return;
    printf("not so: %s\n", what);
    exit(1);
}

static int open_socket(int port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port) };
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    expect(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0, "a connection");
    return fd;
}

static char *filled(u_int count)
{
    char *bytes = malloc(count + 4);
    for (u_int i = 0; i < count; i++)
        bytes[i] = (char)(i * 13 + (i >> 9));
    memset(bytes + count, 0, 4);
    return bytes;
}

static struct rpc_msg call_of(uint32_t xid)
{
    struct rpc_msg call = { .rm_xid = xid, .rm_direction = CALL };
    call.rm_call.cb_rpcvers = RPC_MSG_VERSION;
    call.rm_call.cb_prog = PROGRAM;
    call.rm_call.cb_vers = VERSION;
    call.rm_call.cb_proc = ECHO;
    return call;
}

static bool_t get_reply(XDR *xdrs, uint32_t xid, const char *bytes, u_int count)
{
    struct rpc_msg reply = { .rm_direction = REPLY };
    char *back = NULL;
    u_int got = 0;
    reply.acpted_rply.ar_verf = _null_auth;
    reply.acpted_rply.ar_results.proc = (xdrproc_t)xdr_void;
    bool_t same = xdr_replymsg(xdrs, &reply) && reply.rm_xid == xid && reply.acpted_rply.ar_stat == SUCCESS
        && xdr_bytes(xdrs, &back, &got, ~0U) && got == count && (count == 0 || memcmp(back, bytes, count) == 0);
    free(back);
    return same;
}

/* ---- as it was always done ---- */

static int from_socket(void *handle, void *to, int count)
{
    ssize_t got = read(*(int *)handle, to, (size_t)count);
    return got > 0 ? (int)got : -1;
}

static int to_socket(void *handle, void *from, int count)
{
    return (int)write(*(int *)handle, from, (size_t)count);
}

static void old_echo(XDR *xdrs, uint32_t xid, u_int count)
{
    struct rpc_msg call = call_of(xid);
    char *bytes = filled(count);
    xdrs->x_op = XDR_ENCODE;
    expect(xdr_callmsg(xdrs, &call) && xdr_bytes(xdrs, &bytes, &count, ~0U) && xdrrec_endofrecord(xdrs, TRUE), "the call was sent");
    xdrs->x_op = XDR_DECODE;
    expect(xdrrec_skiprecord(xdrs) && get_reply(xdrs, xid, bytes, count), "the same bytes came back");
    expect(xdrrec_eof(xdrs), "and nothing else");
    free(bytes);
}

static void old_streams(int fd, int sendsize, char **sizes)
{
    XDR xdrs;
    xdrrec_create(&xdrs, (u_int)sendsize, 0, &fd, from_socket, to_socket);
    for (uint32_t xid = 1; *sizes != NULL; xid++, sizes++) {
        old_echo(&xdrs, xid, (u_int)strtoul(*sizes, NULL, 10));
        printf("%s bytes\n", *sizes);
    }
    xdr_destroy(&xdrs);
}

/* ---- by records ---- */

#ifndef OLD_STREAMS
static void echo(int fd, struct ullage_reader *reader, uint32_t xid, u_int count, uint32_t fragment)
{
    struct rpc_msg call = call_of(xid);
    struct ullage_record record;
    char head[64], *bytes = filled(count);
    struct iovec iov[2] = { { head, sizeof head }, { bytes, RNDUP(count) } };
    XDR xdrs;
    ullage_xdr_iovec(&xdrs, iov, 1, XDR_ENCODE);
    expect(xdr_callmsg(&xdrs, &call) && xdr_u_int(&xdrs, &count), "the call");
    iov[0].iov_len = xdr_getpos(&xdrs);
    xdr_destroy(&xdrs);
    expect(ullage_record_writev(fd, iov, 2, fragment) == 0, "the call was sent");
    int result = ullage_reader_read_fd(reader, fd, &record);
    expect(result == 1, ullage_reader_error(reader));
    ullage_xdr_record(&xdrs, &record);
    expect(get_reply(&xdrs, xid, bytes, count), "the same bytes came back");
    printf("%u bytes, %u fragments\n", count, record.fragments);
    xdr_destroy(&xdrs);
    free(bytes);
}

static void records(int fd, int fragment, char **sizes)
{
    struct ullage_reader *reader;
    expect(ullage_reader_create(&reader, NULL) == 0, "a reader");
    for (uint32_t xid = 1; *sizes != NULL; xid++, sizes++)
        echo(fd, reader, xid, (u_int)strtoul(*sizes, NULL, 10), (uint32_t)fragment);
    ullage_reader_destroy(reader);
}
#else
static void records(int fd, int fragment, char **sizes)
{
    (void)fd, (void)fragment, (void)sizes;
    expect(FALSE, "--xdrrec is all that this one can do");
}
#endif

int main(int argc, char **argv)
{
    bool_t old = argc > 1 && strcmp(argv[1], "--xdrrec") == 0;
    if (argc < 4 + old) {
        fprintf(stderr, "usage: record_caller [--xdrrec] PORT FRAGMENT BYTES...\n");
        return 2;
    }
    argv += old;
    int fd = open_socket(atoi(argv[1]));
    (old ? old_streams : records)(fd, atoi(argv[2]), argv + 3);
    close(fd);
    return 0;
}
