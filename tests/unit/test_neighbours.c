/* SPDX-License-Identifier: BSD-2-Clause */
/* What a slow peer costs those who are served beside it: a few system calls a call, and nothing that grows with what it has sent. */
#include "config.h"

#include "marked.h"

#include <unistd.h>

TestSuite(neighbours, .init = marked_begin, .fini = marked_end, .timeout = 60);

enum { RECORD = 1 << 20, SLOW = 300, FAST = 2000 };

static unsigned calls;

static long count_call(long number)
{
    (void)number;
    calls++;
    return 0;
}

struct connection {
    int ours, peer;
    struct ullage_reader *r;
};

static struct connection connect_two(const struct ullage_reader_options *options)
{
    struct connection made;
    int ends[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    cr_assert_eq(ullage_reader_create(&made.r, options), 0);
    made.ours = ends[0];
    made.peer = ends[1];
    return made;
}

static void hang_up(struct connection *c)
{
    ullage_reader_destroy(c->r);
    close(c->ours);
    close(c->peer);
}

/* Wherever it stands in its record, a byte costs as many calls: recv twice, F_GETFL. */
Test(neighbours, a_byte_costs_a_few_system_calls_wherever_it_comes)
{
    static const size_t jumps[] = { 1, 1, 1, 1, 1, 20, 1, 500, 1, 4000, 1, 30000, 1, 70000, 1, 100000, 1 };
    static const char bytes[100000];
    struct connection slow = connect_two(NULL);
    struct ullage_record record;
    uint8_t marker[4];
    marked_put_marker(marker, RECORD, true);
    send_all(slow.peer, marker, sizeof marker);
    cr_assert_eq(ullage_reader_read_fd(slow.r, slow.ours, &record), -EAGAIN);
    for (size_t i = 0; i < sizeof jumps / sizeof jumps[0]; i++) {
        send_all(slow.peer, bytes, jumps[i]);
        calls = 0;
        ull_sys_inject = count_call;
        cr_assert_eq(ullage_reader_read_fd(slow.r, slow.ours, &record), -EAGAIN);
        ull_sys_inject = NULL;
        cr_assert(jumps[i] != 1 || calls <= 3, "%u calls for a byte", calls); /* more bytes may ask for the first slab of a class */
    }
    hang_up(&slow);
}

/* The part of a record that has come is copied as often as it doubles, not with each byte. */
Test(neighbours, what_has_come_is_not_copied_with_each_byte)
{
    static const char bytes[256];
    struct connection slow = connect_two(NULL);
    size_t held = 0, moves = 0, taken;
    uint8_t marker[4];
    marked_put_marker(marker, RECORD, true);
    cr_assert_eq(ullage_reader_feed(slow.r, marker, sizeof marker, &taken, NULL, NULL), 0);
    for (size_t at = 0; at + sizeof bytes < RECORD; at += sizeof bytes) {
        cr_assert_eq(ullage_reader_feed(slow.r, bytes, sizeof bytes, &taken, NULL, NULL), 0);
        moves += ullage_reader_held(slow.r) != held;
        held = ullage_reader_held(slow.r);
    }
    cr_assert(moves <= 30, "%zu moves of a record of 1 MiB", moves); /* a size class is a quarter more: 44 of them; a doubling is 12 */
    hang_up(&slow);
}

/* Hundreds that stopped in their records, under one budget: each record of another peer is handed out at the first call. */
Test(neighbours, records_of_others_come_at_the_first_call)
{
    static struct connection slow[SLOW];
    struct ullage_reader_options options = ULLAGE_READER_OPTIONS_INIT;
    struct ullage_record record;
    struct marked m = { 0 };
    cr_assert_eq(ullage_budget_create(&options.budget, (size_t)8 << 20), 0);
    for (int i = 0; i < SLOW; i++) {
        uint8_t half[1004];
        slow[i] = connect_two(&options);
        memset(half, 0, sizeof half);
        marked_put_marker(half, 2000, true);
        send_all(slow[i].peer, half, sizeof half);
        cr_assert_eq(ullage_reader_read_fd(slow[i].r, slow[i].ours, &record), -EAGAIN);
    }
    struct connection fast = connect_two(&options);
    marked_fragment(&m, 128, true);
    for (int i = 0; i < FAST; i++) {
        send_all(fast.peer, m.data, m.count);
        cr_assert_eq(ullage_reader_read_fd(fast.r, fast.ours, &record), 1, "%d: %s", i, ullage_reader_error(fast.r));
        cr_assert_eq(record.bytes, 128);
        calls = 0;
        ull_sys_inject = count_call;
        cr_assert_eq(ullage_reader_read_fd(fast.r, fast.ours, &record), -EAGAIN);
        ull_sys_inject = NULL;
        cr_assert(calls <= 2, "%u calls", calls);
    }
    hang_up(&fast);
    for (int i = 0; i < SLOW; i++)
        hang_up(&slow[i]);
    ullage_budget_destroy(options.budget);
    marked_free(&m);
}
