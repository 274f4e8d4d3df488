/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * records_capped.c - story 1 with its end: the connections of records_naive.c, each with a reader that holds what has arrived.
 *
 * CONNECTIONS peers are connected, each announces a record of 256 bytes, and waits. A reader may come to hold a record of
 * 1 MiB, as the naive one; until its bytes come it holds none. Run both as
 *
 *     ullage run -- records_naive [CONNECTIONS [SECONDS]]
 *     ullage run -- records_capped [CONNECTIONS [SECONDS]]
 *
 * and 326 MB are less than one.
 */
#include <ullage/record.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS = 326, SECONDS = 3, RECORD_BYTES_MAX = 1 << 20 };

struct connection {
    int peer, ours;
    struct ullage_reader *reader;
};

static void give_up(const char *what, int error)
{
    fprintf(stderr, "records_capped: %s: %s\n", what, strerror(error));
    exit(1);
}

/* Where a reader begins: with a bound, and no buffer. */
static struct ullage_reader *new_reader(void)
{
    struct ullage_reader_options options = ULLAGE_READER_OPTIONS_INIT;
    struct ullage_reader *reader;
    options.max_record_bytes = RECORD_BYTES_MAX;
    int error = ullage_reader_create(&reader, &options);
    if (error != 0)
        give_up("reader", -error);
    return reader;
}

static void open_connection(struct connection *connection)
{
    static const unsigned char marker[4] = { 0x80, 0x00, 0x01, 0x00 }; /* a last fragment of 256 bytes, announced */
    struct ullage_record record;
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) != 0)
        give_up("socketpair", errno);
    connection->peer = ends[0];
    connection->ours = ends[1];
    connection->reader = new_reader();
    if (write(connection->peer, marker, sizeof marker) != sizeof marker)
        give_up("marker", errno);
    int result = ullage_reader_read_fd(connection->reader, connection->ours, &record);
    if (result != -EAGAIN)
        give_up(ullage_reader_error(connection->reader), -result);
}

static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int main(int argc, char **argv)
{
    int count = argc > 1 ? atoi(argv[1]) : CONNECTIONS;
    double seconds = argc > 2 ? atof(argv[2]) : SECONDS;
    if (count < 1 || count > 100000 || seconds < 0 || seconds > 3600) {
        fprintf(stderr, "usage: records_capped [CONNECTIONS [SECONDS]]\n");
        return 2;
    }
    raise_descriptor_limit();
    struct connection *connections = calloc((size_t)count, sizeof *connections);
    if (connections == NULL)
        return 1;
    for (int i = 0; i < count; i++)
        open_connection(&connections[i]);
    printf("%d connections wait\n", count);
    fflush(stdout);
    struct timespec idle = { (time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9) };
    nanosleep(&idle, NULL);
    for (int i = 0; i < count; i++) {
        ullage_reader_destroy(connections[i].reader);
        close(connections[i].peer);
        close(connections[i].ours);
    }
    free(connections);
    return 0;
}
