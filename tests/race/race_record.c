/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * race_record.c - readers of many threads on one budget: fast peers and slow ones, some that go in the middle of a record, records that
 * other threads put. Every record is right, the budget is never passed and has all back, nobody who waits is forgotten, and what the
 * ledger counts is what was read. Each part ends by the clock; who hangs is told of by an alarm.
 */
#include "config.h"

#include "base/atomic.h"
#include "base/sys.h"
#include "ledger/budget.h"
#include "measure/begin.h"
#include "measure/state.h"
#include "scratch.h"
#include "ullage/record.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>

#include "tap.h"

enum { THREADS = 5, PEERS = 6, RECORD_MAX = 20000, PART_MS = 1200, HUNG_SECONDS = 200, POLL_MS = 20000, SHELF = 64 };

/* What libullage.so does in its constructor. */
void ull_begin_if_needed(void)
{
    if (!ull_recorder_is_ready())
        ull_begin(ULL_CLEAR_NEVER, false);
}

static struct {
    struct ullage_budget *budget;
    uint64_t until_ns;
    uint64_t whole, wrong, strange, refused, waits, gone, taken; /* atomic */
    struct ullage_buffer *shelf[SHELF]; /* records that one thread took and another puts; atomic */
} all;

static void begin_part(size_t max_bytes)
{
    ullage_budget_create(&all.budget, max_bytes);
    all.until_ns = ull_sys_precise_ns() + PART_MS * UINT64_C(1000000);
    all.whole = all.wrong = all.strange = all.refused = all.waits = all.gone = all.taken = 0;
}

static bool goes_on(void)
{
    return ull_sys_precise_ns() < all.until_ns;
}

static void count(uint64_t *what)
{
    ull_add_relaxed(what, UINT64_C(1));
}

static void run(unsigned threads, void *(*work)(void *))
{
    pthread_t all_threads[THREADS];
    for (uintptr_t i = 0; i < threads; i++)
        pthread_create(&all_threads[i], NULL, work, (void *)(i + 1));
    for (unsigned i = 0; i < threads; i++)
        pthread_join(all_threads[i], NULL);
}

static uint32_t draw(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*state >> 33);
}

/* ---- peers ---- */

/* One connection: its bytes are made as they are needed, two fragments a record. */
struct peer {
    struct ullage_reader *r;
    int fd[2];       /* [0] is read from; -1: it is fed */
    uint8_t record[RECORD_MAX + 8];
    size_t bytes, at; /* of its stream's present record, with markers; gone */
    size_t step;     /* at once; few: a slow one */
    unsigned seed;
    bool has_it;     /* the record was handed out */
    uint64_t *random;
};

static void next_record(struct peer *p)
{
    size_t first = draw(p->random) % (RECORD_MAX / 2), second = draw(p->random) % (RECORD_MAX / 2);
    p->seed = draw(p->random);
    p->bytes = first + second + 8;
    p->at = 0;
    p->has_it = false;
    memset(p->record, (int)(p->seed & 0xff), p->bytes);
    p->record[0] = 0;
    p->record[1] = 0;
    p->record[2] = (uint8_t)(first >> 8);
    p->record[3] = (uint8_t)first;
    uint8_t *marker = p->record + 4 + first;
    marker[0] = 0x80;
    marker[1] = 0;
    marker[2] = (uint8_t)(second >> 8);
    marker[3] = (uint8_t)second;
}

static bool is_right(const struct peer *p, const struct ullage_record *record)
{
    const uint8_t *data = record->data;
    bool right = record->bytes == p->bytes - 8 && record->fragments == 2;
    for (size_t i = 0; right && i < record->bytes; i += 61)
        right = data[i] == (p->seed & 0xff);
    return right && (record->bytes == 0 || data[record->bytes - 1] == (p->seed & 0xff));
}

/* What lay there is somebody else's, and is put here. */
static void shelve(struct peer *p, struct ullage_buffer *b)
{
    b = ull_exchange_acq_rel(&all.shelf[draw(p->random) % SHELF], b);
    ullage_buffer_put(b, 100);
}

static int on_record(void *ctx, const struct ullage_record *record)
{
    struct peer *p = ctx;
    struct ullage_record mine = *record;
    count(is_right(p, record) ? &all.whole : &all.wrong);
    p->has_it = true;
    if (draw(p->random) % 4 == 0) {
        struct ullage_buffer *b = ullage_reader_take(p->r, &mine);
        if (b == NULL && errno != ENOBUFS)
            count(&all.strange);
        if (b != NULL) {
            count(is_right(p, &mine) ? &all.taken : &all.wrong);
            shelve(p, b);
        }
    }
    return 0;
}

static void open_peer(struct peer *p, uint64_t *random, unsigned number)
{
    struct ullage_reader_options options = ULLAGE_READER_OPTIONS_INIT;
    options.budget = all.budget;
    options.max_record_bytes = RECORD_MAX;
    p->random = random;
    p->step = number == 0 ? 40 : 1 + draw(random) % 8000;
    p->fd[0] = p->fd[1] = -1;
    if (number % 2 != 0 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, p->fd) != 0)
        abort();
    if (ullage_reader_create(&p->r, &options) != 0)
        abort();
    next_record(p);
}

static void close_peer(struct peer *p)
{
    ullage_reader_destroy(p->r);
    if (p->fd[0] >= 0) {
        close(p->fd[0]);
        close(p->fd[1]);
    }
}

static int read_some(struct peer *p, size_t bytes)
{
    struct ullage_record record;
    ssize_t put = bytes != 0 ? send(p->fd[1], p->record + p->at, bytes, MSG_NOSIGNAL) : 0;
    p->at += put > 0 ? (size_t)put : 0;
    int result = ullage_reader_read_fd(p->r, p->fd[0], &record);
    if (result == 1)
        return on_record(p, &record);
    return result == -EAGAIN ? 0 : result;
}

static int feed_some(struct peer *p, size_t bytes)
{
    size_t taken;
    int result = ullage_reader_feed(p->r, p->record + p->at, bytes, &taken, on_record, p);
    p->at += taken;
    return result;
}

/* A step; the connection begins anew where it was refused, or by chance. */
static void step(struct peer *p, unsigned number)
{
    size_t left = p->bytes - p->at, bytes = left < p->step ? left : p->step;
    int result = p->fd[0] >= 0 ? read_some(p, bytes) : feed_some(p, bytes);
    bool for_now = result == -ENOBUFS && ullage_reader_status(p->r) == 0;
    if (for_now)
        count(&all.waits);
    else if (result == -ENOBUFS)
        count(&all.refused);
    else if (result != 0)
        count(&all.strange);
    if ((result != 0 && !for_now) || draw(p->random) % 500 == 0) {
        count(&all.gone);
        close_peer(p);
        open_peer(p, p->random, number);
    } else if (p->has_it) {
        next_record(p);
    }
    if (ullage_budget_used(all.budget) > ullage_budget_max(all.budget))
        count(&all.strange);
    shelve(p, NULL); /* workers come to an end with records, too */
}

static void *serve(void *argument)
{
    static _Thread_local struct peer peers[PEERS];
    uint64_t random = (uintptr_t)argument;
    for (unsigned i = 0; i < PEERS; i++)
        open_peer(&peers[i], &random, i);
    while (goes_on())
        for (unsigned i = 0; i < PEERS; i++)
            step(&peers[i], i);
    for (unsigned i = 0; i < PEERS; i++)
        close_peer(&peers[i]);
    return NULL;
}

static void records_are_right(size_t budget_bytes, const char *what)
{
    begin_part(budget_bytes);
    uint64_t *counters = NULL, before = 0;
    if (ull_recorder.ledger.header != NULL) {
        counters = ull_recorder.ledger.header->counters;
        before = counters[ULL_COUNTER_records_total];
    }
    run(THREADS, serve);
    for (int i = 0; i < SHELF; i++)
        ullage_buffer_put(ull_exchange_acq_rel(&all.shelf[i], NULL), 100);
    tap_ok(all.wrong == 0 && all.whole > 0 && all.taken > 0, "%s: %llu records are right, %llu of them taken", what, (unsigned long long)all.whole,
        (unsigned long long)all.taken);
    tap_ok(all.strange == 0 && ullage_budget_used(all.budget) == 0 && ullage_budget_peak(all.budget) <= budget_bytes,
        "%s: all came back; %llu waits, %llu refused, %llu connections went", what, (unsigned long long)all.waits, (unsigned long long)all.refused,
        (unsigned long long)all.gone);
    tap_ok(counters == NULL || (counters[ULL_COUNTER_records_total] - before == all.whole && counters[ULL_COUNTER_record_held_bytes] == 0
            && counters[ULL_COUNTER_record_stalled] == 0), "%s: the ledger says the same", what);
    ullage_budget_destroy(all.budget);
}

/* ---- nobody is forgotten ---- */

/* Half a record, so that it is the oldest; then it ends in one way or the other. */
static struct ullage_reader *oldest;
static uint32_t is_waiting; /* atomic: the other one was refused */

static struct ullage_reader *make(void)
{
    struct ullage_reader_options options = ULLAGE_READER_OPTIONS_INIT;
    struct ullage_reader *r;
    options.budget = all.budget;
    options.max_record_bytes = RECORD_MAX;
    if (ullage_reader_create(&r, &options) != 0)
        abort();
    return r;
}

static int nothing(void *ctx, const struct ullage_record *record)
{
    (void)record;
    *(bool *)ctx = true;
    return 0;
}

static const uint8_t *whole_record(void)
{
    static uint8_t bytes[RECORD_MAX + 4] = { 0x80, 0, RECORD_MAX >> 8, RECORD_MAX & 0xff };
    return bytes;
}

/* Is refused, sleeps until the event descriptor tells, and goes on. */
static void *wait_for_room(void *unused)
{
    struct ullage_reader *r = make();
    size_t at = 0, taken;
    bool done = false;
    while (!done) {
        size_t left = RECORD_MAX + 4 - at;
        int result = ullage_reader_feed(r, whole_record() + at, left < 500 ? left : 500, &taken, nothing, &done);
        at += taken;
        if (result != 0 && (result != -ENOBUFS || ullage_reader_status(r) != 0))
            break;
        if (result != 0) {
            struct pollfd look = { .fd = ullage_budget_event_fd(all.budget), .events = POLLIN };
            uint64_t events;
            ull_store_release(&is_waiting, 1U);
            if (poll(&look, 1, POLL_MS) != 1 || read(look.fd, &events, sizeof events) != (ssize_t)sizeof events)
                break;
        }
    }
    if (!done)
        count(&all.strange);
    ull_store_release(&is_waiting, 1U);
    ullage_reader_destroy(r);
    return unused;
}

static void end_oldest(uintptr_t how)
{
    size_t taken;
    bool done = false;
    if (how % 3 == 1)
        (void)ullage_reader_end(oldest);
    if (how % 3 == 2)
        (void)ullage_reader_feed(oldest, whole_record() + 2000, RECORD_MAX + 4 - 2000, &taken, nothing, &done);
    ullage_reader_destroy(oldest);
}

static void nobody_waits_for_ever(void)
{
    uint64_t until_ns = ull_sys_precise_ns() + PART_MS * UINT64_C(1000000), strange = 0;
    uintptr_t turns = 0;
    while (strange == 0 && ull_sys_precise_ns() < until_ns) {
        pthread_t thread;
        size_t taken;
        bool done = false;
        begin_part((size_t)3 * RECORD_MAX);
        is_waiting = 0;
        oldest = make();
        (void)ullage_reader_feed(oldest, whole_record(), 2000, &taken, nothing, &done);
        pthread_create(&thread, NULL, wait_for_room, NULL);
        while (ull_load_acquire(&is_waiting) == 0)
            sched_yield();
        for (volatile unsigned wait = 0; wait < turns * 37 % 5000; wait++) {
        }
        end_oldest(turns++);
        pthread_join(thread, NULL);
        strange += all.strange + (ullage_budget_used(all.budget) != 0);
        ullage_budget_destroy(all.budget);
    }
    tap_ok(strange == 0, "who waited was told each time that it became the oldest: %llu rounds", (unsigned long long)turns);
}

/* ---- they come and go ---- */

static void *make_and_destroy(void *argument)
{
    uint64_t random = (uintptr_t)argument;
    struct ullage_reader *some[50] = { NULL };
    while (goes_on()) {
        struct ullage_reader_options options = ULLAGE_READER_OPTIONS_INIT;
        unsigned at = draw(&random) % 50;
        size_t taken;
        bool done = false;
        ullage_reader_destroy(some[at]);
        some[at] = NULL;
        options.budget = draw(&random) % 2 != 0 ? all.budget : NULL;
        options.max_record_bytes = RECORD_MAX - draw(&random) % 5;
        if (ullage_reader_create(&some[at], &options) != 0
            || (draw(&random) % 2 != 0 && ullage_reader_feed(some[at], whole_record(), 3, &taken, nothing, &done) != 0))
            count(&all.strange);
        count(&all.gone);
    }
    for (unsigned i = 0; i < 50; i++)
        ullage_reader_destroy(some[i]);
    return NULL;
}

static void readers_come_and_go(void)
{
    begin_part((size_t)10 * RECORD_MAX);
    run(THREADS, make_and_destroy);
    tap_ok(all.strange == 0 && ullage_budget_used(all.budget) == 0, "%llu readers came and went", (unsigned long long)all.gone);
    ullage_budget_destroy(all.budget);
}

static void hung(int signal)
{
    static const char text[] = "not ok 99 - somebody waits for ever\n1..99\n";
    (void)signal;
    (void)!write(STDOUT_FILENO, text, sizeof text - 1);
    _exit(1);
}

int main(void)
{
    signal(SIGALRM, hung);
    alarm(HUNG_SECONDS);
    scratch_make();
    records_are_right((size_t)100 * RECORD_MAX, "room for all");
    records_are_right((size_t)6 * RECORD_MAX, "room for some");
    records_are_right((size_t)5 * RECORD_MAX / 2, "room for one");
    nobody_waits_for_ever();
    readers_come_and_go();
    scratch_remove();
    return tap_done();
}
