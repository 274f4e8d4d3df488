/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_clock.c - deadlines, idle limits, a least rate, signals. The limits are short and real; nothing here rests on being quick: what is
 * asked is that a limit holds, and that it does not hold too early.
 */
#include "config.h"

#include "marked.h"

#include "base/atomic.h"

#include <poll.h>
#include <pthread.h>
#include <sys/syscall.h>

TestSuite(clock, .init = marked_begin, .fini = marked_end, .timeout = 60);

enum { LIMIT_MS = 40 };

static const uint8_t part[10] = { 0x80, 0, 0, 100, 1, 2, 3, 4, 5, 6 };

static struct ullage_reader *reader_in_time(uint32_t deadline_ms, uint32_t idle_ms, uint32_t rate)
{
    struct ullage_reader_options options = ULLAGE_READER_OPTIONS_INIT;
    options.deadline_ms = deadline_ms;
    options.idle_ms = idle_ms;
    options.min_bytes_per_s = rate;
    return reader_with(&options);
}

static uint64_t ms_since(uint64_t begun_ns)
{
    return (ull_sys_precise_ns() - begun_ns) / 1000000;
}

/* As an event loop does: until the time that the reader names, and then the call. */
static int feed_nothing_in_time(struct ullage_reader *r)
{
    struct told told = { 0 };
    int timeout = ullage_reader_timeout_ms(r);
    cr_assert(timeout >= 0 && timeout <= LIMIT_MS, "%d", timeout);
    poll(NULL, 0, timeout);
    return feed(r, NULL, 0, &told);
}

/* ---- a record's deadline ---- */

Test(clock, the_call_at_the_end_of_the_time_that_is_named_fails)
{
    for (size_t count = 1; count <= sizeof part; count += 3) {
        struct ullage_reader *r = reader_in_time(LIMIT_MS, 0, 0);
        struct told told = { 0 };
        char sentence[160];
        cr_assert_eq(ullage_reader_timeout_ms(r), -1, "nothing is timed yet");
        uint64_t begun = ull_sys_precise_ns();
        cr_assert_eq(feed(r, part, count, &told), 0);
        cr_assert_eq(feed_nothing_in_time(r), -ETIMEDOUT);
        cr_assert_geq(ms_since(begun), LIMIT_MS);
        snprintf(sentence, sizeof sentence, "a record was not whole after %d ms, %zu bytes of it had come, at offset %zu", LIMIT_MS, count > 4 ? count - 4 : 0, count);
        cr_assert_str_eq(ullage_reader_error(r), sentence);
        cr_assert_eq(ullage_reader_timeout_ms(r), 0, "there is something to be told");
        cr_assert_eq(ullage_reader_status(r), -ETIMEDOUT);
        cr_assert_eq(ullage_reader_held(r), 0);
        cr_assert_eq(feed(r, part, sizeof part, &told), -ETIMEDOUT);
        ullage_reader_destroy(r);
    }
}

Test(clock, before_the_deadline_nothing_fails)
{
    struct ullage_reader *r = reader_in_time(1000000, 0, 0);
    struct told told = { 0 };
    for (size_t at = 0; at < sizeof part; at++) {
        cr_assert_eq(feed(r, part + at, 1, &told), 0);
        cr_assert_eq(feed(r, NULL, 0, &told), 0);
        int timeout = ullage_reader_timeout_ms(r);
        cr_assert(timeout > 900000 && timeout <= 1000000, "%d", timeout);
    }
    ullage_reader_destroy(r);
}

/* A byte each few milliseconds: by far not enough of them to make it whole. */
Test(clock, bytes_that_trickle_in_do_not_put_the_deadline_off)
{
    struct pair pair = pair_of_sockets(false);
    for (int form = 0; form < 2; form++) {
        struct ullage_reader *r = reader_in_time(LIMIT_MS, 0, 0);
        struct ullage_record record;
        struct told told = { 0 };
        uint64_t begun = ull_sys_precise_ns();
        int result = feed(r, (const uint8_t[]) { 0x80, 0x10, 0, 0 }, 4, &told), bytes = 0;
        while (result == 0 || result == -EAGAIN) {
            poll(NULL, 0, 3);
            send_all(pair.fd[1], "x", form == 0);
            result = form == 0 ? ullage_reader_read_fd(r, pair.fd[0], &record) : feed(r, "x", 1, &told);
            cr_assert_lt(++bytes, 1000);
        }
        cr_assert_eq(result, -ETIMEDOUT);
        cr_assert_geq(ms_since(begun), LIMIT_MS);
        ullage_reader_destroy(r);
    }
    pair_close(&pair);
}

struct slow {
    uint8_t marker[4];
    unsigned calls;
};

static ssize_t slow_byte(void *ctx, void *to, size_t bytes)
{
    struct slow *slow = ctx;
    (void)bytes;
    poll(NULL, 0, 2);
    *(uint8_t *)to = slow->calls < 4 ? slow->marker[slow->calls] : 1;
    return ++slow->calls < 5000 ? 1 : 0;
}

/* TLS over a blocking descriptor: it waits by itself, and never says that it would. */
Test(clock, a_callback_that_blocks_does_not_put_the_deadline_off)
{
    struct slow peers[] = { { .marker = { 0x80, 0x10, 0, 0 } }, { .marker = { 0x80, 0, 3, 0 } }, { .marker = { 0x80, 0, 0x13, 0x88 } },
        { .marker = { 0, 0, 2, 0 } } };
    for (size_t i = 0; i < sizeof peers / sizeof peers[0]; i++) {
        struct ullage_reader *r = reader_in_time(LIMIT_MS, 0, 0);
        struct ullage_record record;
        cr_assert_eq(ullage_reader_read(r, slow_byte, &peers[i], &record), -ETIMEDOUT, "peer %zu", i);
        cr_assert_lt(peers[i].calls, 700);
        ullage_reader_destroy(r);
    }
}

Test(clock, each_record_has_a_deadline_of_its_own)
{
    struct ullage_reader *r = reader_in_time(LIMIT_MS, 0, 0);
    struct told told = { 0 };
    static const uint8_t record[6] = { 0x80, 0, 0, 2, 0, 0 };
    uint64_t begun = ull_sys_precise_ns();
    while (ms_since(begun) < 3 * LIMIT_MS) {
        cr_assert_eq(feed(r, record, 3, &told), 0);
        size_t taken;
        int result = ullage_reader_feed(r, record + 3, 3, &taken, tell, &told);
        cr_assert_eq(result, 0);
        cr_assert_eq(ullage_reader_timeout_ms(r), -1, "idle connections are normal");
    }
    cr_assert_gt(told.count, 0);
    ullage_reader_destroy(r);
}

Test(clock, never_is_never)
{
    struct ullage_reader *r = reader_in_time(ULLAGE_NEVER, ULLAGE_NEVER, 0);
    struct told told = { 0 };
    cr_assert_eq(feed(r, part, sizeof part, &told), 0);
    cr_assert_eq(ullage_reader_timeout_ms(r), -1);
    ullage_reader_destroy(r);
}

/* ---- between records ---- */

Test(clock, an_idle_reader_fails_in_time)
{
    struct pair pair = pair_of_sockets(false);
    struct ullage_reader *r = reader_in_time(0, LIMIT_MS, 0);
    struct ullage_record record;
    static const uint8_t one[4] = { 0x80, 0, 0, 0 };
    uint64_t begun = ull_sys_precise_ns();
    cr_assert_eq(ullage_reader_read_fd(r, pair.fd[0], &record), -EAGAIN);
    poll(NULL, 0, LIMIT_MS / 2);
    send_all(pair.fd[1], one, 4);
    cr_assert_eq(ullage_reader_read_fd(r, pair.fd[0], &record), 1, "it is looked at what came first");
    begun = ull_sys_precise_ns();
    cr_assert_eq(ullage_reader_read_fd(r, pair.fd[0], &record), -EAGAIN);
    int timeout = ullage_reader_timeout_ms(r);
    cr_assert(timeout >= 0 && timeout <= LIMIT_MS);
    poll(NULL, 0, timeout);
    cr_assert_eq(ullage_reader_read_fd(r, pair.fd[0], &record), -ETIMEDOUT);
    cr_assert_geq(ms_since(begun), LIMIT_MS);
    cr_assert_str_eq(ullage_reader_error(r), "no record began for 40 ms, at offset 4");
    ullage_reader_destroy(r);
    pair_close(&pair);
}

/* A marker's first byte is a record that began: from there on it has the deadline's time. */
Test(clock, a_record_that_began_is_not_idle)
{
    struct ullage_reader *r = reader_in_time(1000000, LIMIT_MS, 0);
    struct told told = { 0 };
    cr_assert_eq(feed(r, NULL, 0, &told), 0);
    cr_assert_leq(ullage_reader_timeout_ms(r), LIMIT_MS);
    cr_assert_eq(feed(r, part, 1, &told), 0);
    cr_assert_gt(ullage_reader_timeout_ms(r), 900000);
    ullage_reader_destroy(r);
}

/* ---- a least rate ---- */

Test(clock, a_record_that_comes_too_slowly_fails_from_its_second_second_on)
{
    struct ullage_reader *r = reader_in_time(0, 0, 1000);
    struct told told = { 0 };
    uint64_t begun = ull_sys_precise_ns();
    cr_assert_eq(feed(r, part, sizeof part, &told), 0);
    int timeout = ullage_reader_timeout_ms(r);
    cr_assert(timeout > 0 && timeout <= 1000, "%d", timeout);
    poll(NULL, 0, timeout);
    cr_assert_eq(feed(r, NULL, 0, &told), -ETIMEDOUT);
    cr_assert_geq(ms_since(begun), 1000);
    cr_assert_not_null(strstr(ullage_reader_error(r), "bytes a second, under 1,000, at offset 10"), "%s", ullage_reader_error(r));
    ullage_reader_destroy(r);
}

/* 60,000 bytes that are there already pay for a minute. */
Test(clock, bytes_that_came_pay_for_time)
{
    struct ullage_reader *r = reader_in_time(ULLAGE_NEVER, 0, 1000);
    struct marked m = { 0 };
    struct told told = { 0 };
    marked_record(&m, 100000);
    cr_assert_eq(feed(r, m.data, 60004, &told), 0);
    int timeout = ullage_reader_timeout_ms(r);
    cr_assert(timeout > 50000 && timeout <= 60000, "%d", timeout);
    ullage_reader_destroy(r);
    marked_free(&m);
}

/* ---- descriptors that block ---- */

Test(clock, a_blocking_descriptor_has_the_same_limits)
{
    for (int kind = 0; kind < 4; kind++) {
        struct pair pair = pair_of_sockets(true);
        struct ullage_record record;
        if (kind % 2 != 0) {
            pair_close(&pair);
            cr_assert_eq(pipe(pair.fd), 0);
        }
        struct ullage_reader *r = kind < 2 ? reader_in_time(LIMIT_MS, 0, 0) : reader_in_time(0, LIMIT_MS, 0);
        if (kind < 2)
            send_all(pair.fd[1], part, sizeof part);
        uint64_t begun = ull_sys_precise_ns();
        cr_assert_eq(ullage_reader_read_fd(r, pair.fd[0], &record), -ETIMEDOUT);
        cr_assert_geq(ms_since(begun), LIMIT_MS);
        cr_assert_eq(ullage_reader_held(r), 0);
        ullage_reader_destroy(r);
        pair_close(&pair);
    }
}

static unsigned polls;

static long count_polls(long number)
{
    polls += number == SYS_ppoll;
    return 0;
}

/* It sleeps, and does not look again and again. */
Test(clock, who_waits_sleeps)
{
    struct pair pair = pair_of_sockets(true);
    struct ullage_reader *r = reader_in_time(LIMIT_MS, 0, 0);
    struct ullage_record record;
    send_all(pair.fd[1], part, sizeof part);
    ull_sys_inject = count_polls;
    cr_assert_eq(ullage_reader_read_fd(r, pair.fd[0], &record), -ETIMEDOUT);
    ull_sys_inject = NULL;
    cr_assert_leq(polls, 10, "%u", polls);
    ullage_reader_destroy(r);
    pair_close(&pair);
}

/* ---- signals ---- */

static struct {
    pthread_t reader;
    uint32_t done; /* atomic */
} signals;

static void ignore(int signal)
{
    (void)signal;
}

static void *send_signals(void *unused)
{
    while (ull_load_acquire(&signals.done) == 0) {
        pthread_kill(signals.reader, SIGUSR1);
        poll(NULL, 0, 1);
    }
    return unused;
}

Test(clock, a_signal_interrupts_and_what_has_come_is_kept)
{
    struct sigaction action = { .sa_handler = ignore };
    struct marked m = { 0 };
    struct ullage_record record;
    pthread_t thread;
    marked_fragment(&m, 30, false);
    marked_fragment(&m, 70, true);
    sigaction(SIGUSR1, &action, NULL);
    signals.reader = pthread_self();
    cr_assert_eq(pthread_create(&thread, NULL, send_signals, NULL), 0);
    for (int is_pipe = 0; is_pipe < 2; is_pipe++) {
        struct pair pair = pair_of_sockets(true);
        if (is_pipe) {
            pair_close(&pair);
            cr_assert_eq(pipe(pair.fd), 0);
        }
        struct ullage_reader *r = reader_with(NULL);
        for (size_t at = 0; at < m.count; at++) {
            cr_assert_eq(ullage_reader_read_fd(r, pair.fd[0], &record), -EINTR);
            cr_assert_eq(ullage_reader_status(r), 0);
            cr_assert_str_eq(ullage_reader_error(r), "");
            send_all(pair.fd[1], m.data + at, 1);
        }
        int result;
        while ((result = ullage_reader_read_fd(r, pair.fd[0], &record)) == -EINTR)
            ;
        cr_assert_eq(result, 1);
        cr_assert(marked_holds(&record) && record.bytes == 100 && record.fragments == 2);
        ullage_reader_destroy(r);
        pair_close(&pair);
    }
    ull_store_release(&signals.done, 1U);
    pthread_join(thread, NULL);
    marked_free(&m);
}
