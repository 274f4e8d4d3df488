/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * epoll_server.c - ten thousand connections of sunrpc records in one thread, within a budget: each record comes back as it came.
 *
 *   epoll_server [--port N] [--deadline-ms N]          serves on 127.0.0.1 until it is killed
 *   epoll_server [--deadline-ms N] --self-test N       connects N clients to itself, and says what a connection costs
 *
 * What is worth looking at:
 *
 * - A record is written from where the reader holds it, so nothing is copied, and the next one is read when that is done: who does not
 *   read his answers is not read from.
 * - Edge-triggered: a connection is worked on until its reader and its writer say -EAGAIN; after a few records the others have their turn.
 * - Deadlines are all equally long and none is ever put off, so the order in which records began to wait is the order in which they end:
 *   one list, and epoll_wait() waits as long as its first reader says. Answers that are not fetched have a list likewise.
 * - The budget is used up: the reader says -ENOBUFS and has not failed. It waits in a list until the budget's descriptor is readable. Who
 *   holds more than his share then has a timeout of 0, and is called, and refused.
 * - No descriptor is left: no more is accepted until a connection has ended; nothing spins.
 */
#define _GNU_SOURCE /* accept4() */
#include "epoll_clients.h"

#include <ullage/record.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    BUDGET_BYTES = 16 << 20,
    DEADLINE_MS = 10000,
    RECORDS_A_TURN = 16,
    EVENTS = 256,
    SPARE_DESCRIPTORS = 32,
};

/* Which list it is in. */
enum state {
    IDLE,
    PARTIAL,   /* a part of a record has come */
    ANSWERING, /* a part of an answer has gone */
    STARVED,   /* the budget is used up */
    READY,     /* it had its turn, and may have more to do */
    STATES
};

struct connection {
    TAILQ_ENTRY(connection) link;
    struct ullage_reader *reader;
    struct ullage_writer *writer;
    struct iovec answer; /* borrowed by the writer, and lies in the reader */
    uint64_t since_ms;   /* when the answer began to wait */
    int fd;
    enum state state;
};
TAILQ_HEAD(list, connection);

struct server {
    int epoll, listener, budget_event, clients_event;
    struct ullage_budget *budget;
    struct ullage_reader_options options;
    struct list lists[STATES];
    bool accept_later; /* a descriptor was missing */
    bool budget_came_back;
    bool clients_said; /* of the self-test: something */
    unsigned connections, refused;
    unsigned long answers;
};

/* ---- lists ---- */

static void move(struct server *server, struct connection *c, enum state state)
{
    if (c->state == state)
        return; /* its place in the order is kept */
    TAILQ_REMOVE(&server->lists[c->state], c, link);
    c->state = state;
    TAILQ_INSERT_TAIL(&server->lists[state], c, link);
}

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void watch(struct server *server, int fd, uint32_t events, void *what)
{
    struct epoll_event event = { .events = events | EPOLLET, .data = { .ptr = what } };
    if (epoll_ctl(server->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        epoll_clients_give_up("epoll_ctl", errno);
}

/* ---- one connection ---- */

static void close_connection(struct server *server, struct connection *c)
{
    TAILQ_REMOVE(&server->lists[c->state], c, link);
    close(c->fd);
    ullage_reader_destroy(c->reader);
    ullage_writer_destroy(c->writer);
    free(c);
    server->connections--;
}

static void hang_up(struct server *server, struct connection *c)
{
    if (ullage_reader_status(c->reader) != 0) {
        server->refused++;
        fprintf(stderr, "epoll_server: %s\n", ullage_reader_error(c->reader));
    }
    close_connection(server, c);
}

static void open_connection(struct server *server, int fd)
{
    struct connection *c = calloc(1, sizeof *c);
    if (c == NULL || ullage_reader_create(&c->reader, &server->options) != 0 || ullage_writer_create(&c->writer, 0) != 0)
        epoll_clients_give_up("a connection", ENOMEM);
    c->fd = fd;
    TAILQ_INSERT_TAIL(&server->lists[IDLE], c, link);
    server->connections++;
    watch(server, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP, c);
}

/* What the reader said, where that was no record. */
static void no_record(struct server *server, struct connection *c, int result)
{
    if (result == -ENOBUFS && ullage_reader_status(c->reader) == 0)
        move(server, c, STARVED);
    else if (result != -EAGAIN)
        hang_up(server, c);
    else
        move(server, c, ullage_reader_timeout_ms(c->reader) >= 0 ? PARTIAL : IDLE);
}

/* The answer as far as it goes. True: the next record may be read. */
static bool flush(struct server *server, struct connection *c)
{
    int result = ullage_writer_flush_fd(c->writer, c->fd);
    if (result == -EAGAIN)
        move(server, c, ANSWERING);
    else if (result < 0)
        hang_up(server, c);
    return result > 0;
}

static void answer(struct server *server, struct connection *c, const struct ullage_record *record)
{
    c->answer = (struct iovec) { (void *)(uintptr_t)record->data, record->bytes };
    server->answers++;
    c->since_ms = now_ms();
    move(server, c, IDLE); /* what it is timed for next is another record */
    if (ullage_writer_begin(c->writer, &c->answer, 1) != 0)
        epoll_clients_give_up("an answer", EINVAL);
}

static void work_on(struct server *server, struct connection *c)
{
    for (int i = 0; i < RECORDS_A_TURN; i++) {
        struct ullage_record record;
        if (!flush(server, c))
            return;
        int result = ullage_reader_read_fd(c->reader, c->fd, &record);
        if (result == -EINTR)
            continue;
        if (result <= 0) {
            no_record(server, c, result);
            return;
        }
        answer(server, c, &record);
    }
    move(server, c, READY);
}

/* ---- all of them ---- */

static void accept_all(struct server *server)
{
    int fd;
    while ((fd = accept4(server->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0 || errno == ECONNABORTED || errno == EINTR)
        if (fd >= 0)
            open_connection(server, fd);
    server->accept_later = errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
}

/* Each that is in the list now: it may end up at the end of the same one. */
static void work_through(struct server *server, enum state state)
{
    struct connection *last = TAILQ_LAST(&server->lists[state], list), *c, *next;
    for (c = TAILQ_FIRST(&server->lists[state]); c != NULL; c = next) {
        next = c != last ? TAILQ_NEXT(c, link) : NULL;
        move(server, c, IDLE);
        work_on(server, c);
    }
}

/* Until when, in milliseconds from now; -1: no limit. */
static int left_ms(const struct server *server, const struct connection *c)
{
    if (c == NULL)
        return -1;
    if (c->state != ANSWERING)
        return ullage_reader_timeout_ms(c->reader);
    uint64_t waited_ms = now_ms() - c->since_ms;
    return waited_ms < server->options.deadline_ms ? (int)(server->options.deadline_ms - waited_ms) : 0;
}

static void time_is_over(struct server *server, struct connection *c)
{
    if (c->state == ANSWERING) {
        server->refused++;
        hang_up(server, c);
    } else {
        work_on(server, c); /* the reader says what it is */
    }
}

/* The list's order is that of time, so that its first tell; unless @all are to be asked. */
static void look_at_times(struct server *server, enum state state, bool all)
{
    struct connection *c, *next;
    for (c = TAILQ_FIRST(&server->lists[state]); c != NULL; c = next) {
        next = TAILQ_NEXT(c, link);
        if (left_ms(server, c) == 0)
            time_is_over(server, c);
        else if (!all)
            return;
    }
}

/* While somebody starves, anyone may be he who holds too much. */
static void look_at_all_times(struct server *server)
{
    bool starves = !TAILQ_EMPTY(&server->lists[STARVED]);
    look_at_times(server, ANSWERING, false);
    look_at_times(server, PARTIAL, starves);
    look_at_times(server, STARVED, true);
}

static int wait_ms(const struct server *server)
{
    int record = left_ms(server, TAILQ_FIRST(&server->lists[PARTIAL])), answer_left = left_ms(server, TAILQ_FIRST(&server->lists[ANSWERING]));
    if (!TAILQ_EMPTY(&server->lists[READY]))
        return 0;
    return record < 0 || (answer_left >= 0 && answer_left < record) ? answer_left : record;
}

/* An event's own connection alone is closed while events are gone through: the others' may be further down. */
static void handle(struct server *server, const struct epoll_event *event)
{
    uint64_t ignored;
    if (event->data.ptr == &server->listener)
        accept_all(server);
    else if (event->data.ptr == &server->budget_event)
        server->budget_came_back = read(server->budget_event, &ignored, sizeof ignored) > 0;
    else if (event->data.ptr == &server->clients_event)
        server->clients_said = true;
    else
        work_on(server, event->data.ptr);
}

/* One wait, and what came of it. */
static void turn(struct server *server)
{
    struct epoll_event events[EVENTS];
    int count = epoll_wait(server->epoll, events, EVENTS, wait_ms(server));
    if (count < 0 && errno != EINTR)
        epoll_clients_give_up("epoll_wait", errno);
    for (int i = 0; i < count; i++)
        handle(server, &events[i]);
    if (server->budget_came_back)
        work_through(server, STARVED);
    server->budget_came_back = false;
    work_through(server, READY);
    look_at_all_times(server);
    if (server->accept_later)
        accept_all(server);
}

/* ---- the program ---- */

static uint16_t listen_on(struct server *server, uint16_t port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t bytes = sizeof address;
    int yes = 1;
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (server->listener < 0 || setsockopt(server->listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0
        || bind(server->listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(server->listener, SOMAXCONN) != 0
        || getsockname(server->listener, (struct sockaddr *)&address, &bytes) != 0)
        epoll_clients_give_up("listening", errno);
    watch(server, server->listener, EPOLLIN, &server->listener);
    return ntohs(address.sin_port);
}

static void begin(struct server *server, unsigned deadline_ms)
{
    for (int i = 0; i < STATES; i++)
        TAILQ_INIT(&server->lists[i]);
    if (ullage_budget_create(&server->budget, BUDGET_BYTES) != 0 || (server->budget_event = ullage_budget_event_fd(server->budget)) < 0)
        epoll_clients_give_up("a budget", ENOMEM);
    server->options = (struct ullage_reader_options) { .size = sizeof server->options, .deadline_ms = deadline_ms, .budget = server->budget };
    server->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (server->epoll < 0)
        epoll_clients_give_up("epoll", errno);
    watch(server, server->budget_event, EPOLLIN, &server->budget_event);
}

/* Resident, in bytes. */
static double resident_bytes(void)
{
    char line[256];
    double kib = 0;
    FILE *rollup = fopen("/proc/self/smaps_rollup", "r");
    while (rollup != NULL && fgets(line, sizeof line, rollup) != NULL)
        if (strncmp(line, "Rss:", 4) == 0)
            kib = strtod(line + 4, NULL);
    if (rollup != NULL)
        fclose(rollup);
    return kib * 1024;
}

static void end(struct server *server)
{
    for (int state = 0; state < STATES; state++)
        while (!TAILQ_EMPTY(&server->lists[state]))
            close_connection(server, TAILQ_FIRST(&server->lists[state]));
    close(server->epoll);
    close(server->listener);
    ullage_budget_destroy(server->budget);
}

static unsigned as_many_as_may_be(unsigned wanted)
{
    unsigned limit = epoll_clients_raise_limit(), most = limit > SPARE_DESCRIPTORS ? limit - SPARE_DESCRIPTORS : 1;
    if (wanted > most)
        printf("%u descriptors may be open here: %u clients instead of %u\n", limit, most, wanted);
    return wanted < most ? wanted : most;
}

/* What was there before is taken off; the one that was hung up on is not among them. */
static int self_test(struct server *server, unsigned wanted)
{
    unsigned count = as_many_as_may_be(wanted);
    double before = resident_bytes();
    struct epoll_clients clients = epoll_clients_start(count, listen_on(server, 0));
    watch(server, clients.said, EPOLLIN, &server->clients_event);
    while (!server->clients_said)
        turn(server);
    printf("%u connections, %lu answers, %u refused\n", server->connections, server->answers, server->refused);
    (void)ullage_trim(0); /* nothing is to do: what records needed goes back to the kernel */
    printf("%.0f bytes of memory a connection; at most %zu bytes of records at once, of a budget of %zu\n",
        (resident_bytes() - before) / count, ullage_budget_peak(server->budget), ullage_budget_max(server->budget));
    bool well = server->connections == count && server->answers == count && server->refused == 1;
    end(server);
    return epoll_clients_end(&clients) == 0 && well ? 0 : 1;
}

int main(int argc, char **argv)
{
    static struct server server;
    unsigned deadline_ms = DEADLINE_MS, clients = 0;
    uint16_t port = 0;
    for (int i = 1; i < argc; i += 2) {
        unsigned long value = i + 1 < argc ? strtoul(argv[i + 1], NULL, 10) : 0;
        if (value > 0 && value < 65536 && strcmp(argv[i], "--port") == 0)
            port = (uint16_t)value;
        else if (value > 0 && value < 3600000 && strcmp(argv[i], "--deadline-ms") == 0)
            deadline_ms = (unsigned)value;
        else if (value > 0 && value < 1000000 && strcmp(argv[i], "--self-test") == 0)
            clients = (unsigned)value;
        else
            return fprintf(stderr, "usage: epoll_server [--port N] [--deadline-ms N] [--self-test N]\n"), 2;
    }
    begin(&server, deadline_ms);
    if (clients > 0)
        return self_test(&server, clients);
    epoll_clients_raise_limit();
    printf("127.0.0.1:%u\n", listen_on(&server, port));
    fflush(stdout);
    for (;;)
        turn(&server);
}
