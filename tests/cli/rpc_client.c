/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rpc_client.c - a client of examples/rpc_server.c, and nothing but libtirpc.
 *
 *     rpc_client PORT SENDSIZE BYTES...     an echo of each size, then the other procedures, and calls that must be refused
 *
 * libtirpc sends fragments of SENDSIZE - 4 bytes: 300,000 bytes with 512 are 591 of them.
 */
#include <rpc/rpc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PROGRAM = 0x20000099, VERSION = 1, NOTHING = 0, ECHO = 1, SUM = 2, REVERSE = 3 };

static const struct timeval patience = { 20, 0 };

struct data {
    u_int count;
    char *bytes;
};

struct numbers {
    u_int count;
    int *values;
};

static bool_t xdr_data(XDR *xdrs, struct data *data)
{
    return xdr_bytes(xdrs, &data->bytes, &data->count, ~0U);
}

static bool_t xdr_numbers(XDR *xdrs, struct numbers *numbers)
{
    return xdr_array(xdrs, (char **)&numbers->values, &numbers->count, ~0U, sizeof(int), (xdrproc_t)xdr_int);
}

/* Announces more than it sends. */
static bool_t xdr_lie(XDR *xdrs, u_int *length)
{
    return xdr_u_int(xdrs, length) && xdr_u_int(xdrs, length);
}

static CLIENT *open_client(int port, u_int sendsize, rpcprog_t program, rpcvers_t version)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port) };
    struct netbuf name = { sizeof address, sizeof address, &address };
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CLIENT *client = NULL;
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        client = clnt_vc_create(fd, &name, program, version, sendsize, 0);
    if (client == NULL) {
        clnt_pcreateerror("rpc_client");
        exit(1);
    }
    clnt_control(client, CLSET_FD_CLOSE, NULL);
    return client;
}

static void expect(bool_t holds, const char *what)
{
    if (holds)
        return;
    printf("not so: %s\n", what);
    exit(1);
}

static enum clnt_stat call(CLIENT *client, u_long procedure, void *encode, void *argument, void *decode, void *result)
{
    return clnt_call(client, procedure, (xdrproc_t)encode, argument, (xdrproc_t)decode, result, patience);
}

static void echo(CLIENT *client, u_int count)
{
    struct data sent = { count, malloc(count + 1) }, got = { 0, NULL };
    for (u_int i = 0; i < count; i++)
        sent.bytes[i] = (char)(i * 13 + (i >> 9));
    enum clnt_stat status = call(client, ECHO, xdr_data, &sent, xdr_data, &got);
    if (status != RPC_SUCCESS)
        clnt_perror(client, "echo");
    expect(status == RPC_SUCCESS && got.count == count && (count == 0 || memcmp(got.bytes, sent.bytes, count) == 0), "the same bytes came back");
    printf("%u bytes\n", count);
    free(sent.bytes);
    free(got.bytes);
}

static void others(CLIENT *client)
{
    int values[] = { 2000000000, 2000000000, -5 };
    struct numbers numbers = { 3, values };
    char *word = strdup("ullage"), *back = NULL;
    quad_t sum = 0;
    expect(call(client, NOTHING, xdr_void, NULL, xdr_void, NULL) == RPC_SUCCESS, "nothing");
    expect(call(client, SUM, xdr_numbers, &numbers, xdr_hyper, &sum) == RPC_SUCCESS && sum == 3999999995, "the sum");
    expect(call(client, REVERSE, xdr_wrapstring, &word, xdr_wrapstring, &back) == RPC_SUCCESS && strcmp(back, "egallu") == 0, "the word");
    free(word);
    free(back);
    puts("procedures");
}

static void refusals(CLIENT *client, int port)
{
    u_int lies[] = { 9, 0x7fffffff, 0xfffffffc, 0xffffffff };
    struct data got = { 0, NULL };
    quad_t sum;
    for (int i = 0; i < 4; i++) {
        expect(call(client, ECHO, xdr_lie, &lies[i], xdr_data, &got) == RPC_CANTDECODEARGS, "bytes that are not there");
        expect(call(client, SUM, xdr_lie, &lies[i], xdr_hyper, &sum) == RPC_CANTDECODEARGS, "numbers that are not there");
        expect(call(client, REVERSE, xdr_lie, &lies[i], xdr_data, &got) == RPC_CANTDECODEARGS, "a word that is not there");
    }
    expect(call(client, 4, xdr_void, NULL, xdr_void, NULL) == RPC_PROCUNAVAIL, "no such procedure");
    CLIENT *other = open_client(port, 0, PROGRAM, 7);
    expect(call(other, NOTHING, xdr_void, NULL, xdr_void, NULL) == RPC_PROGVERSMISMATCH, "no such version");
    clnt_destroy(other);
    other = open_client(port, 0, PROGRAM + 1, VERSION);
    expect(call(other, NOTHING, xdr_void, NULL, xdr_void, NULL) == RPC_PROGUNAVAIL, "no such program");
    clnt_destroy(other);
    expect(call(client, NOTHING, xdr_void, NULL, xdr_void, NULL) == RPC_SUCCESS, "the first connection goes on");
    puts("refusals");
}

/* A word of 8 KB: over the procedure's cap, and the server hangs up. */
static void over_cap(CLIENT *client)
{
    char *word = malloc(8193);
    memset(word, 'w', 8192);
    word[8192] = '\0';
    struct data got = { 0, NULL };
    enum clnt_stat status = call(client, REVERSE, xdr_wrapstring, &word, xdr_data, &got);
    expect(status == RPC_CANTRECV || status == RPC_CANTSEND, "a record over the cap");
    free(word);
    puts("cap");
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: rpc_client PORT SENDSIZE BYTES...\n");
        return 2;
    }
    int port = atoi(argv[1]);
    CLIENT *client = open_client(port, (u_int)atoi(argv[2]), PROGRAM, VERSION);
    for (int i = 3; i < argc; i++)
        echo(client, (u_int)strtoul(argv[i], NULL, 10));
    others(client);
    refusals(client, port);
    over_cap(client);
    clnt_destroy(client);
    return 0;
}
