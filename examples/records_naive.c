/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * records_naive.c - story 1: a record reader that reserves the largest record before the first byte has come.
 *
 * CONNECTIONS peers are connected; each reader takes a buffer of the largest record, reads the four bytes of the first
 * marker into it, and waits. Run it as
 *
 *     ullage run -- records_naive [CONNECTIONS [SECONDS]]
 *
 * and the first row is new_record(): 1 MiB asked for, one page used, times 326.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS = 326, SECONDS = 3, RECORD_BYTES_MAX = 1 << 20 };

struct connection {
    int peer, ours;
    unsigned char *record; /* RECORD_BYTES_MAX bytes */
};

/* Where a reader begins: everything that a record could need. */
__attribute__((noinline)) static unsigned char *new_record(void)
{
    unsigned char *record = malloc(RECORD_BYTES_MAX); /* the line that the report names */
    if (record == NULL) {
        perror("records_naive");
        exit(1);
    }
    return record;
}

static void open_connection(struct connection *connection)
{
    static const unsigned char marker[4] = { 0x80, 0x00, 0x01, 0x00 }; /* a last fragment of 256 bytes, announced */
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) {
        perror("records_naive: socketpair");
        exit(1);
    }
    connection->peer = ends[0];
    connection->ours = ends[1];
    connection->record = new_record();
    if (write(connection->peer, marker, sizeof marker) != sizeof marker
        || read(connection->ours, connection->record, sizeof marker) != sizeof marker) {
        perror("records_naive: marker");
        exit(1);
    }
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
        fprintf(stderr, "usage: records_naive [CONNECTIONS [SECONDS]]\n");
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
        free(connections[i].record);
        close(connections[i].peer);
        close(connections[i].ours);
    }
    free(connections);
    return 0;
}
