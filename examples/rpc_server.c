/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rpc_server.c - story 9: procedures called by number with decoded arguments, over TCP, from any sunrpc client.
 *
 *   record reader --> header --> table of procedures --> decoder --> run --> encoder --> record writer
 *
 * Records are read where they lie, arguments are decoded in place by decoders as rpcgen writes them, and results are encoded to a buffer of
 * their size. What a peer may make us hold is bounded three times: a cap on each procedure's records, a budget for all connections
 * together, and limits on what decoding allocates (ullage/xdr.h). A peer that does not read its replies is not read from.
 *
 *     rpc_server [PORT]          prints "port N"; ends, and tells what was called, when its standard input ends
 */
#define _GNU_SOURCE /* accept4() */
#include <ullage/xdr.h>

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    PROGRAM = 0x20000099, /* of the range that is anybody's */
    VERSION = 1,
    CONNECTIONS = 64,
    RECORDS_A_TURN = 16, /* so that no peer keeps the others waiting */
    BUDGET_BYTES = 16 << 20,
};

/* ---- arguments and results, as rpcgen has them ---- */

struct data {
    u_int count;
    char *bytes;
};

struct numbers {
    u_int count;
    int *values;
};

static bool_t decode_data(XDR *xdrs, struct data *data)
{
    return xdr_bytes(xdrs, &data->bytes, &data->count, ~0U);
}

static bool_t decode_numbers(XDR *xdrs, struct numbers *numbers)
{
    return xdr_array(xdrs, (char **)&numbers->values, &numbers->count, ~0U, sizeof(int), (xdrproc_t)xdr_int);
}

static bool_t decode_nothing(XDR *xdrs, void *nothing)
{
    (void)xdrs;
    (void)nothing;
    return TRUE;
}

/* ---- procedures ---- */

union argument {
    struct data data;
    struct numbers numbers;
    char *word;
};

union result {
    struct data data;
    quad_t sum;
    char *word;
};

static void run_nothing(union argument *argument, union result *result)
{
    (void)argument;
    (void)result;
}

static void run_echo(union argument *argument, union result *result)
{
    result->data = argument->data;
}

static void run_sum(union argument *argument, union result *result)
{
    for (u_int i = 0; i < argument->numbers.count; i++)
        result->sum += argument->numbers.values[i];
}

static void run_reverse(union argument *argument, union result *result)
{
    char *from = argument->word, *to = from + strlen(from);
    for (result->word = from; from < --to; from++) {
        char kept = *from;
        *from = *to;
        *to = kept;
    }
}

static struct procedure {
    const char *name;
    xdrproc_t decode;
    void (*run)(union argument *, union result *); /* the result may lie in the argument, which is freed after it is encoded */
    xdrproc_t encode;
    size_t max_record_bytes;
    unsigned calls;
} procedures[] = { /* by number */
    { "nothing", (xdrproc_t)decode_nothing, run_nothing, (xdrproc_t)decode_nothing, 1024, 0 },
    { "echo", (xdrproc_t)decode_data, run_echo, (xdrproc_t)decode_data, 1 << 20, 0 },
    { "sum", (xdrproc_t)decode_numbers, run_sum, (xdrproc_t)xdr_hyper, 1 << 19, 0 },
    { "reverse", (xdrproc_t)xdr_wrapstring, run_reverse, (xdrproc_t)xdr_wrapstring, 4096, 0 },
};
enum { PROCEDURES = sizeof procedures / sizeof *procedures };

/* ---- one call ---- */

/* What is known of a call before its arguments are decoded. */
static enum accept_stat judge(const struct ullage_rpc_header *call)
{
    if (call->program != PROGRAM)
        return PROG_UNAVAIL;
    if (call->version != VERSION)
        return PROG_MISMATCH;
    return call->procedure < PROCEDURES ? SUCCESS : PROC_UNAVAIL;
}

/* A buffer with the reply; NULL: no memory. The XDR's end is its size. */
static struct ullage_buffer *encode_reply(const struct ullage_rpc_header *call, enum accept_stat status, xdrproc_t encode, union result *result,
    size_t *bytes)
{
    struct rpc_msg reply = { .rm_xid = call->xid, .rm_direction = REPLY };
    XDR xdrs;
    reply.rm_reply.rp_stat = MSG_ACCEPTED;
    reply.acpted_rply.ar_verf = _null_auth;
    reply.acpted_rply.ar_stat = status;
    if (status == PROG_MISMATCH)
        reply.acpted_rply.ar_vers.low = reply.acpted_rply.ar_vers.high = VERSION;
    if (status == SUCCESS) {
        reply.acpted_rply.ar_results.proc = encode;
        reply.acpted_rply.ar_results.where = (char *)result;
    }
    size_t room = xdr_sizeof((xdrproc_t)xdr_replymsg, &reply);
    struct ullage_buffer *buffer = room != 0 ? ullage_buffer_get(room) : NULL;
    if (buffer == NULL)
        return NULL;
    struct iovec all = { ullage_buffer_data(buffer), room };
    ullage_xdr_iovec(&xdrs, &all, 1, XDR_ENCODE);
    bool done = xdr_replymsg(&xdrs, &reply);
    *bytes = xdr_getpos(&xdrs);
    xdr_destroy(&xdrs);
    if (!done) {
        ullage_buffer_put(buffer, 0);
        buffer = NULL;
    }
    return buffer;
}

/* The reply to a record; NULL: there is none to give, and the connection ends. */
static struct ullage_buffer *answer(const struct ullage_record *record, size_t *bytes)
{
    struct ullage_rpc_header call;
    union argument argument = { { 0 } };
    union result result = { { 0 } };
    XDR xdrs;
    if (ullage_rpc_peek(&call, record->data, record->bytes) != 0 || call.type != ULLAGE_RPC_CALL)
        return NULL;
    enum accept_stat status = judge(&call);
    if (status != SUCCESS)
        return encode_reply(&call, status, NULL, NULL, bytes);
    struct procedure *procedure = &procedures[call.procedure];
    ullage_xdr_record(&xdrs, record);
    if (xdr_setpos(&xdrs, call.header_bytes) && procedure->decode(&xdrs, &argument)) {
        procedure->run(&argument, &result);
        procedure->calls++;
    } else {
        status = GARBAGE_ARGS;
    }
    struct ullage_buffer *reply = encode_reply(&call, status, procedure->encode, &result, bytes);
    xdr_free(procedure->decode, &argument);
    return reply;
}

/* ---- connections ---- */

struct connection {
    int fd;                      /* -1: this place is free */
    struct ullage_reader *reader;
    struct ullage_writer *writer;
    struct ullage_buffer *reply; /* that is being written; NULL: none */
    struct iovec iov;
    bool has_more;               /* its turn was over before its records were */
};

static struct connection connections[CONNECTIONS];
static struct ullage_budget *budget;

static void close_connection(struct connection *c, int error)
{
    if (error != 0)
        fprintf(stderr, "rpc_server: a connection ends: %s: %s\n", strerror(-error), ullage_reader_error(c->reader));
    ullage_buffer_put(c->reply, c->iov.iov_len);
    ullage_writer_destroy(c->writer);
    ullage_reader_destroy(c->reader);
    close(c->fd);
    *c = (struct connection) { .fd = -1 };
}

static int open_connection(struct connection *c, int fd)
{
    struct ullage_record_cap caps[PROCEDURES];
    struct ullage_reader_options options = ULLAGE_READER_OPTIONS_INIT;
    for (uint32_t i = 0; i < PROCEDURES; i++)
        caps[i] = (struct ullage_record_cap) { PROGRAM, ULLAGE_ANY, i, procedures[i].max_record_bytes };
    options.caps = caps;
    options.cap_count = PROCEDURES;
    options.budget = budget;
    options.flags = ULLAGE_READER_RPC;
    *c = (struct connection) { .fd = fd };
    int error = ullage_reader_create(&c->reader, &options);
    return error != 0 ? error : ullage_writer_create(&c->writer, 0);
}

/* 1 the reply is on its way, or there was none; -EAGAIN: the peer has to read first. */
static int flush(struct connection *c)
{
    int result = ullage_writer_flush_fd(c->writer, c->fd);
    if (result == 1) {
        ullage_buffer_put(c->reply, c->iov.iov_len);
        c->reply = NULL;
    }
    return result;
}

/* One record, and its reply begun. As flush(); 0: the peer has ended. */
static int serve_record(struct connection *c)
{
    struct ullage_record record;
    int result = ullage_reader_read_fd(c->reader, c->fd, &record);
    if (result != 1)
        return result;
    c->reply = answer(&record, &c->iov.iov_len);
    if (c->reply == NULL)
        return -EPROTO;
    c->iov.iov_base = ullage_buffer_data(c->reply);
    result = ullage_writer_begin(c->writer, &c->iov, 1);
    return result != 0 ? result : flush(c);
}

static bool is_to_wait(const struct connection *c, int error)
{
    return error == -EAGAIN || error == -EINTR || (error == -ENOBUFS && ullage_reader_status(c->reader) == 0);
}

static void serve(struct connection *c)
{
    int result = c->reply != NULL ? flush(c) : 1;
    c->has_more = false;
    for (int i = 0; result == 1 && i < RECORDS_A_TURN; i++)
        result = serve_record(c);
    if (result == 1)
        c->has_more = true;
    else if (!is_to_wait(c, result))
        close_connection(c, result);
}

/* ---- waiting ---- */

static struct connection *free_place(void)
{
    for (int i = 0; i < CONNECTIONS; i++)
        if (connections[i].fd < 0)
            return &connections[i];
    return NULL;
}

/* There is a place: nobody is asked to come otherwise. */
static void accept_one(int listener)
{
    struct connection *c = free_place();
    int fd = c != NULL ? accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC) : -1;
    if (fd < 0)
        return;
    int error = open_connection(c, fd);
    if (error != 0)
        close_connection(c, error);
}

static int sooner(int a, int b)
{
    return a < 0 || (b >= 0 && b < a) ? b : a;
}

enum { STDIN, LISTENER, BUDGET, FIRST };

/* What to wait for, and how long. A connection waits to be written to, or to be read from, not both. */
static int prepare(struct pollfd *polled, int listener)
{
    int timeout_ms = -1;
    polled[STDIN] = (struct pollfd) { STDIN_FILENO, POLLIN, 0 };
    polled[LISTENER] = (struct pollfd) { free_place() != NULL ? listener : -1, POLLIN, 0 };
    polled[BUDGET] = (struct pollfd) { ullage_budget_event_fd(budget), POLLIN, 0 };
    for (int i = 0; i < CONNECTIONS; i++) {
        const struct connection *c = &connections[i];
        polled[FIRST + i] = (struct pollfd) { c->fd, c->reply != NULL ? POLLOUT : POLLIN, 0 };
        if (c->fd >= 0)
            timeout_ms = sooner(timeout_ms, c->has_more ? 0 : ullage_reader_timeout_ms(c->reader));
    }
    return timeout_ms;
}

static bool is_due(const struct connection *c, const struct pollfd *polled, bool budget_is_back)
{
    return c->fd >= 0 && (polled->revents != 0 || c->has_more || (budget_is_back && c->reply == NULL) || ullage_reader_timeout_ms(c->reader) == 0);
}

static bool wait_and_serve(int listener)
{
    struct pollfd polled[FIRST + CONNECTIONS];
    uint64_t ignored;
    int timeout_ms = prepare(polled, listener);
    if (poll(polled, FIRST + CONNECTIONS, timeout_ms) < 0)
        return errno == EINTR;
    bool budget_is_back = (polled[BUDGET].revents & POLLIN) != 0 && read(polled[BUDGET].fd, &ignored, sizeof ignored) > 0;
    for (int i = 0; i < CONNECTIONS; i++)
        if (is_due(&connections[i], &polled[FIRST + i], budget_is_back))
            serve(&connections[i]);
    if (polled[LISTENER].revents != 0)
        accept_one(listener);
    char word[64];
    return polled[STDIN].revents == 0 || read(STDIN_FILENO, word, sizeof word) > 0;
}

/* ---- the program ---- */

static int listen_on(int port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port) };
    socklen_t length = sizeof address;
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0
        || listen(fd, CONNECTIONS) != 0 || getsockname(fd, (struct sockaddr *)&address, &length) != 0)
        return -1;
    printf("port %d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

int main(int argc, char **argv)
{
    int port = argc > 1 ? atoi(argv[1]) : 0;
    for (int i = 0; i < CONNECTIONS; i++)
        connections[i].fd = -1;
    int error = ullage_budget_create(&budget, BUDGET_BYTES);
    int listener = error == 0 && port >= 0 && port < 65536 ? listen_on(port) : -1;
    if (listener < 0) {
        fprintf(stderr, "rpc_server: %s\nusage: rpc_server [PORT]\n", strerror(error != 0 ? -error : errno));
        return 1;
    }
    while (wait_and_serve(listener))
        ;
    for (int i = 0; i < CONNECTIONS; i++)
        if (connections[i].fd >= 0)
            close_connection(&connections[i], 0);
    for (int i = 0; i < PROCEDURES; i++)
        printf("%u calls of %s\n", procedures[i].calls, procedures[i].name);
    printf("%zu bytes held at most, of %d\n", ullage_budget_peak(budget), BUDGET_BYTES);
    ullage_budget_destroy(budget);
    close(listener);
    return 0;
}
