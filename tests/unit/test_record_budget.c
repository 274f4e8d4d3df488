/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_record_budget.c - readers that share a budget: who may go on when it is full, who is refused for now and who for good, who is
 * woken; and that all of it comes back, whatever happens to them.
 */
#include "config.h"

#include "marked.h"

#include "ullage/pool.h"

#include <poll.h>
#include <pthread.h>
#include <sys/syscall.h>

static struct ullage_budget *budget;

static void set_up(void)
{
    marked_begin();
}

static void tear_down(void)
{
    marked_must(ullage_budget_used(budget) == 0, "the budget has not all back");
    ullage_budget_destroy(budget);
    marked_end();
}

TestSuite(record_budget, .init = set_up, .fini = tear_down, .timeout = 60);

static void budget_of(size_t bytes)
{
    cr_assert_eq(ullage_budget_create(&budget, bytes), 0);
}

static struct ullage_reader *member_with(size_t max_record_bytes, uint32_t deadline_ms)
{
    struct ullage_reader_options options = ULLAGE_READER_OPTIONS_INIT;
    options.budget = budget;
    options.max_record_bytes = max_record_bytes;
    options.deadline_ms = deadline_ms;
    return reader_with(&options);
}

static struct ullage_reader *member(size_t max_record_bytes)
{
    return member_with(max_record_bytes, 0);
}

/* A record of its own, of which so much was fed. */
struct peer {
    struct ullage_reader *r;
    struct marked m;
    size_t at;
    struct told told;
    int result;  /* of the last call */
    bool waits;  /* was refused for now, and has not been woken */
    bool done;   /* it is whole, or refused */
};

static struct peer peer_with(struct ullage_reader *r, uint32_t bytes)
{
    struct peer p = { .r = r };
    marked_record(&p.m, bytes);
    return p;
}

static void peer_end(struct peer *p)
{
    ullage_reader_destroy(p->r);
    marked_free(&p->m);
}

/* Up to @until bytes of its stream in steps; true: something has happened. */
static bool go_on(struct peer *p, size_t until, size_t step)
{
    size_t before = p->at;
    p->waits = false;
    while (p->at < until && !p->done && !p->waits) {
        size_t taken, count = until - p->at < step ? until - p->at : step;
        p->result = ullage_reader_feed(p->r, p->m.data + p->at, count, &taken, tell, &p->told);
        p->at += taken;
        p->waits = p->result == -ENOBUFS && ullage_reader_status(p->r) == 0;
        p->done = (p->result != 0 && !p->waits) || p->told.count == 1;
        cr_assert(p->result == 0 || p->result == -ENOBUFS, "%d: %s", p->result, ullage_reader_error(p->r));
        cr_assert(p->result != 0 || taken == count);
        cr_assert_leq(ullage_budget_used(budget), ullage_budget_max(budget));
        size_t arrived = p->at > 4 ? p->at - 4 : 0;
        cr_assert(ullage_reader_held(p->r) <= 2 * arrived + 512, "%zu for %zu", ullage_reader_held(p->r), arrived);
    }
    return p->at != before || p->done;
}

static bool is_told(void)
{
    struct pollfd look = { .fd = ullage_budget_event_fd(budget), .events = POLLIN };
    uint64_t count;
    return poll(&look, 1, 0) == 1 && read(look.fd, &count, sizeof count) == (ssize_t)sizeof count;
}

/* ---- many at once ---- */

/*
 * An event loop: who was refused for now is called again when the event descriptor says so, and not before. The bytes of all peers are
 * there; who takes turns how is the caller's. Returns how many records were whole.
 */
static unsigned run_all(struct peer *peers, unsigned count, size_t step)
{
    unsigned whole = 0, left = 0;
    bool goes;
    do {
        goes = false;
        left = 0;
        for (unsigned i = 0; i < count; i++) {
            struct peer *p = &peers[i];
            if (p->done)
                continue;
            left++;
            if (!p->waits)
                goes |= go_on(p, p->at + step < p->m.count ? p->at + step : p->m.count, step);
            if (p->done) {
                whole += p->told.count;
                cr_assert(p->told.wrong == 0);
                ullage_reader_destroy(p->r);
                p->r = NULL;
            }
        }
        if (is_told()) {
            for (unsigned i = 0; i < count; i++)
                peers[i].waits = false;
            goes = true;
        }
    } while (left > 0 && goes);
    cr_assert_eq(left, 0, "%u wait for ever, %u are whole, %zu of %zu bytes are charged", left, whole, ullage_budget_used(budget), ullage_budget_max(budget));
    return whole;
}

enum { MANY = 1000, RECORD = 20000 };

static void half_of_each(size_t step, size_t first)
{
    static struct peer peers[MANY];
    for (int i = 0; i < MANY; i++) {
        peers[i] = peer_with(member(RECORD), RECORD);
        go_on(&peers[i], first, first);
    }
    unsigned whole = run_all(peers, MANY, step);
    cr_assert_geq(whole, 1);
    cr_assert(peers[0].told.count == 1, "who was first is never refused");
    for (int i = 0; i < MANY; i++)
        peer_end(&peers[i]);
}

Test(record_budget, a_thousand_half_records_and_room_for_ten)
{
    static const size_t steps[] = { 500, 3000, 10000, 20004 }, firsts[] = { 1, 4, 100, 10000 };
    budget_of((size_t)10 * RECORD);
    for (size_t i = 0; i < 4; i++)
        for (size_t n = 0; n < 4; n++)
            half_of_each(steps[i], firsts[n]);
}

Test(record_budget, a_thousand_half_records_and_room_for_hardly_one)
{
    budget_of((size_t)3 * RECORD);
    half_of_each(1000, 4);
    half_of_each(20004, 10000);
}

/* All others stand still, with as much as they were given. */
Test(record_budget, the_oldest_always_finishes)
{
    static const size_t budgets[] = { 4 * RECORD, 6 * RECORD, 20 * RECORD };
    enum { OTHERS = 200 };
    for (size_t n = 0; n < 3; n++)
        for (size_t step = 100; step <= RECORD; step = step * 3 + 41) {
            struct peer others[OTHERS], oldest;
            budget_of(budgets[n]);
            oldest = peer_with(member(RECORD), RECORD);
            cr_assert(go_on(&oldest, 50, 50) && !oldest.waits);
            for (int i = 0; i < OTHERS; i++) {
                others[i] = peer_with(member(RECORD), RECORD);
                go_on(&others[i], RECORD * 9 / 10, step);
            }
            go_on(&oldest, oldest.m.count, step);
            cr_assert(oldest.told.count == 1, "budget %zu, by %zu: %d at %zu, %s", budgets[n], step, oldest.result, oldest.at, ullage_reader_error(oldest.r));
            for (int i = 0; i < OTHERS; i++)
                peer_end(&others[i]);
            peer_end(&oldest);
            cr_assert_eq(ullage_budget_used(budget), 0);
            ullage_budget_destroy(budget);
        }
    budget_of(1);
}

/* A pool's objects stay charged while they lie idle: they are given up before a record is refused. */
Test(record_budget, what_lies_idle_in_a_pool_makes_room)
{
    struct ullage_pool_options options = ULLAGE_POOL_OPTIONS_INIT;
    struct ullage_pool *pool;
    void *objects[1000];
    int count = 0;
    budget_of((size_t)50 * RECORD);
    options.object_bytes = 4096;
    options.budget = budget;
    cr_assert_eq(ullage_pool_create(&pool, &options), 0);
    struct peer oldest = peer_with(member(RECORD), RECORD), other = peer_with(member(RECORD), RECORD);
    cr_assert(go_on(&oldest, 200, 200));
    while (count < 1000 && (objects[count] = ullage_pool_get(pool)) != NULL)
        count++;
    cr_assert(count > 0 && count < 1000);
    for (int i = 0; i < count; i++)
        ullage_pool_put(pool, objects[i]);
    size_t idle = ullage_budget_used(budget);
    cr_assert(idle > (size_t)20 * RECORD);
    go_on(&other, other.m.count, 1000);
    cr_assert(!other.waits, "%d at %zu: %s", other.result, other.at, ullage_reader_error(other.r));
    cr_assert_eq(other.told.count, 1);
    cr_assert_lt(ullage_budget_used(budget), idle);
    peer_end(&oldest);
    peer_end(&other);
    ullage_pool_destroy(pool);
}

/* ---- refused for now ---- */

/* One that is oldest, and holds something; another that takes all that is beside the reserve. */
static void fill_up(struct peer *oldest, struct peer *other, size_t record)
{
    *oldest = peer_with(member(record), (uint32_t)record);
    *other = peer_with(member(record), (uint32_t)record);
    cr_assert(go_on(oldest, 200, 200));
    go_on(other, other->m.count, 100);
    cr_assert(other->waits, "%d at %zu", other->result, other->at);
}

Test(record_budget, who_is_refused_for_now_goes_on_where_it_was)
{
    struct peer oldest, other;
    char sentence[200];
    budget_of(300000);
    fill_up(&oldest, &other, 90000);
    cr_assert_eq(ullage_reader_status(other.r), 0);
    cr_assert_eq(ullage_reader_pending(other.r), other.at - 4, "what was taken is held");
    snprintf(sentence, sizeof sentence, "bytes more do not fit a budget of 300,000 now, at offset %zu: call again once some came back", other.at);
    cr_assert_not_null(strstr(ullage_reader_error(other.r), sentence), "%s", ullage_reader_error(other.r));
    cr_assert_eq(ullage_reader_error_offset(other.r), other.at);
    cr_assert_not(is_told());
    size_t at = other.at;
    go_on(&other, other.m.count, 100);
    cr_assert(other.waits && other.at == at, "nothing came back meanwhile");
    peer_end(&oldest);
    cr_assert(is_told());
    go_on(&other, other.m.count, 100);
    cr_assert(other.done && other.told.count == 1 && other.told.wrong == 0, "%d at %zu: %s", other.result, other.at, ullage_reader_error(other.r));
    cr_assert_str_eq(ullage_reader_error(other.r), "", "it went on");
    peer_end(&other);
}

/* By whatever the oldest ends: finishes in its own bytes, ends with its stream, times out, is destroyed. */
Test(record_budget, who_becomes_the_oldest_is_told)
{
    for (int how = 0; how < 6; how++) {
        struct peer oldest, other;
        budget_of(300000);
        fill_up(&oldest, &other, 90000);
        (void)is_told();
        size_t taken;
        switch (how) {
        case 0: peer_end(&oldest); break;
        case 1: cr_assert_eq(ullage_reader_end(oldest.r), -ECONNRESET); break;
        case 2: cr_assert_eq(ullage_reader_require_clean(oldest.r), -EPROTO); break;
        case 3: /* the record's end; what it lay in comes back at the next call */
            go_on(&oldest, oldest.m.count, 1000);
            cr_assert_eq(oldest.told.count, 1, "%d at %zu, %s", oldest.result, oldest.at, ullage_reader_error(oldest.r));
            break;
        case 4: /* another's record, of which it has a marker */
            oldest.told.stop_at = 1;
            oldest.told.fails_with = -EIO;
            cr_assert_eq(ullage_reader_feed(oldest.r, oldest.m.data + oldest.at, oldest.m.count - oldest.at, &taken, tell, &oldest.told), -EIO);
            break;
        default: /* too large a fragment; and others' budgets are no matter */
            ullage_reader_destroy(oldest.r);
            oldest.r = member(90000);
            break;
        }
        cr_assert(is_told(), "way %d", how);
        other.waits = false;
        go_on(&other, other.m.count, 100);
        cr_assert(other.told.count == 1, "way %d: %d at %zu", how, other.result, other.at);
        if (how != 0)
            peer_end(&oldest);
        peer_end(&other);
        cr_assert_eq(ullage_budget_used(budget), 0);
        ullage_budget_destroy(budget);
    }
    budget_of(1);
}

/* Also where the oldest had nothing yet: it was refused for now, and goes. */
Test(record_budget, who_becomes_the_oldest_is_told_though_nothing_comes_back)
{
    budget_of(300000);
    cr_assert_eq(ullage_budget_charge(budget, 300000), 0, "before there are readers, and a reserve");
    struct peer oldest = peer_with(member(90000), 90000), other = peer_with(member(90000), 90000);
    go_on(&oldest, 1000, 1000);
    go_on(&other, 1000, 1000);
    cr_assert(oldest.waits && other.waits);
    ullage_budget_release(budget, 10000);
    cr_assert(is_told());
    go_on(&other, 1000, 1000);
    cr_assert(other.waits, "what came back is kept for the oldest");
    peer_end(&oldest);
    cr_assert(is_told());
    go_on(&other, 1000, 1000);
    cr_assert(!other.waits && other.result == 0);
    peer_end(&other);
    ullage_budget_release(budget, 290000);
}

/* A marker, and a little of what it announces, are nothing that others have to wait for. */
Test(record_budget, who_holds_nothing_keeps_nobody_waiting)
{
    static const uint8_t part[36] = { 0x80, 0, 0x10, 0 };
    for (size_t count = 1; count <= sizeof part; count++) {
        budget_of(300000);
        struct ullage_reader *stalled[20];
        struct told none = { 0 };
        for (int i = 0; i < 20; i++)
            cr_assert_eq(feed(stalled[i] = member(90000), part, count, &none), 0);
        struct peer p = peer_with(member(90000), 90000);
        go_on(&p, p.m.count, 5000);
        cr_assert(p.told.count == 1, "%d at %zu: %s", p.result, p.at, ullage_reader_error(p.r));
        for (int i = 0; i < 20; i++)
            ullage_reader_destroy(stalled[i]);
        peer_end(&p);
        ullage_budget_destroy(budget);
    }
    budget_of(1);
}

/* Small records that are whole in one read are read while an old one has its part of a small budget. */
Test(record_budget, small_records_pass_by_a_large_one)
{
    static const size_t budgets[] = { 20000, 50000, 100000, 2000000 };
    for (size_t n = 0; n < 4; n++) {
        budget_of(budgets[n]);
        struct peer oldest = peer_with(member(budgets[n] / 2), 4000);
        cr_assert(go_on(&oldest, 3000, 3000));
        struct pair pair = pair_of_sockets(false);
        struct ullage_reader *r = member(budgets[n] / 2);
        struct ullage_record record;
        struct marked m = { 0 };
        for (int i = 0; i < 20; i++) {
            size_t before = m.count;
            marked_record(&m, 100);
            send_all(pair.fd[1], m.data + before, 104);
            cr_assert_eq(ullage_reader_read_fd(r, pair.fd[0], &record), 1, "budget %zu: %s", budgets[n], ullage_reader_error(r));
            cr_assert(marked_holds(&record));
        }
        ullage_reader_destroy(r);
        peer_end(&oldest);
        pair_close(&pair);
        marked_free(&m);
        cr_assert_eq(ullage_budget_used(budget), 0);
        ullage_budget_destroy(budget);
    }
    budget_of(1);
}

/* ---- refused for good ---- */

/* Small ones enough that the share of each is small. */
enum { SMALL = 20 };
static struct peer small[SMALL];

static void many_small(void)
{
    for (int i = 0; i < SMALL; i++) {
        small[i] = peer_with(member(RECORD), RECORD);
        cr_assert(go_on(&small[i], 100, 100));
    }
}

static void end_small(void)
{
    for (int i = 0; i < SMALL; i++)
        peer_end(&small[i]);
}

Test(record_budget, over_its_share_nobody_is_refused_unless_somebody_waits)
{
    budget_of((size_t)10 * RECORD);
    many_small();
    struct peer large = peer_with(member(RECORD), RECORD);
    cr_assert(go_on(&large, 15000, 1000));
    cr_assert_gt(ullage_reader_held(large.r), ullage_budget_max(budget) / (SMALL + 1));
    cr_assert_gt(ullage_reader_timeout_ms(large.r), 0);
    go_on(&large, large.m.count, 1000);
    cr_assert_eq(large.told.count, 1);
    peer_end(&large);
    end_small();
}

/* What is beside the reserve is taken by the program itself, so that somebody has to wait. */
static struct peer one_waits(size_t *charged)
{
    struct peer waits = peer_with(member(RECORD), RECORD);
    *charged = 0;
    while (ullage_budget_charge(budget, 512) == 0)
        *charged += 512;
    go_on(&waits, 2000, 2000);
    cr_assert(waits.waits, "%d at %zu", waits.result, waits.at);
    return waits;
}

Test(record_budget, over_its_share_a_reader_is_refused_at_its_next_call_while_somebody_waits)
{
    size_t charged;
    char sentence[200];
    budget_of((size_t)10 * RECORD);
    many_small();
    struct peer large = peer_with(member(RECORD), RECORD);
    cr_assert(go_on(&large, 15000, 1000));
    size_t held = ullage_reader_held(large.r);
    struct peer waits = one_waits(&charged);
    cr_assert_eq(ullage_reader_status(large.r), 0, "not before its next call");
    cr_assert_eq(ullage_reader_timeout_ms(large.r), 0, "which is to be now");
    cr_assert_gt(ullage_reader_timeout_ms(small[5].r), 0, "small ones have theirs");
    go_on(&large, 15001, 1);
    cr_assert_eq(large.result, -ENOBUFS);
    cr_assert_eq(ullage_reader_status(large.r), -ENOBUFS);
    snprintf(sentence, sizeof sentence, "holds %zu bytes, more than its share of a budget of 200,000 that is used up, at offset 15000", held);
    cr_assert_str_eq(ullage_reader_error(large.r), sentence);
    cr_assert_eq(ullage_reader_held(large.r), 0);
    cr_assert(is_told());
    go_on(&waits, 2000, 2000);
    cr_assert(!waits.waits, "it has what the other one gave back");
    ullage_budget_release(budget, charged);
    peer_end(&large);
    peer_end(&waits);
    end_small();
}

/* In one way or the other it does not wait any more. */
Test(record_budget, who_does_not_wait_any_more_costs_nobody_a_connection)
{
    for (int how = 0; how < 5; how++) {
        size_t charged, taken;
        budget_of((size_t)10 * RECORD);
        many_small();
        struct peer large = peer_with(member(RECORD), RECORD);
        cr_assert(go_on(&large, 15000, 1000));
        struct peer waits = one_waits(&charged);
        cr_assert_eq(ullage_reader_timeout_ms(large.r), 0);
        switch (how) {
        case 0: peer_end(&waits); break;
        case 1: cr_assert_eq(ullage_reader_end(waits.r), -ECONNRESET); break;
        case 2: cr_assert_eq(ullage_reader_require_clean(waits.r), -EPROTO); break;
        case 3: /* there is room again, and it goes on */
            ullage_budget_release(budget, charged);
            charged = 0;
            go_on(&waits, waits.m.count, 1000);
            cr_assert_eq(waits.told.count, 1);
            break;
        default: /* less than it asked for came, for which it has room; it waits for its peer then */
            ullage_budget_release(budget, charged);
            charged = 0;
            cr_assert_eq(ullage_reader_feed(waits.r, waits.m.data + waits.at, 10, &taken, tell, &waits.told), 0);
            break;
        }
        cr_assert_gt(ullage_reader_timeout_ms(large.r), 0, "way %d", how);
        go_on(&large, 16000, 1000);
        cr_assert(large.result == 0, "way %d: %s", how, ullage_reader_error(large.r));
        ullage_budget_release(budget, charged);
        if (how != 0)
            peer_end(&waits);
        peer_end(&large);
        end_small();
        cr_assert_eq(ullage_budget_used(budget), 0);
        ullage_budget_destroy(budget);
    }
    budget_of(1);
}

Test(record_budget, who_timed_out_while_it_waited_waits_no_more)
{
    size_t charged;
    budget_of((size_t)10 * RECORD);
    many_small();
    struct peer large = peer_with(member(RECORD), RECORD), late = peer_with(member_with(RECORD, 20), RECORD);
    cr_assert(go_on(&large, 15000, 1000));
    struct peer waits = one_waits(&charged);
    peer_end(&waits);
    size_t taken;
    int result;
    while ((result = ullage_reader_feed(late.r, late.m.data + late.at, 3000 - late.at, &taken, tell, &late.told)) == -ENOBUFS) {
        late.at += taken;
        cr_assert_eq(ullage_reader_status(late.r), 0);
        poll(NULL, 0, 5);
    }
    cr_assert_eq(result, -ETIMEDOUT);
    cr_assert_gt(ullage_reader_timeout_ms(large.r), 0);
    ullage_budget_release(budget, charged);
    peer_end(&late);
    peer_end(&large);
    end_small();
}

/* It found no room to read to, once: it has no record for which it would want any. */
Test(record_budget, an_idle_reader_does_not_wait)
{
    struct pair pair = pair_of_sockets(false);
    struct ullage_record record;
    size_t charged;
    budget_of((size_t)10 * RECORD);
    many_small();
    struct peer large = peer_with(member(RECORD), RECORD);
    cr_assert(go_on(&large, 15000, 1000));
    struct peer waits = one_waits(&charged);
    peer_end(&waits);
    struct ullage_reader *idle = member(RECORD);
    cr_assert_eq(ullage_reader_read_fd(idle, pair.fd[0], &record), -EAGAIN);
    cr_assert_gt(ullage_reader_timeout_ms(large.r), 0);
    ullage_budget_release(budget, charged);
    ullage_reader_destroy(idle);
    peer_end(&large);
    end_small();
    pair_close(&pair);
}

/* A reader that has read much at once, and has a little of a record left over. */
Test(record_budget, what_a_reader_reads_to_is_not_its_share)
{
    struct pair pair = pair_of_sockets(false);
    struct ullage_record record;
    struct marked m = { 0 };
    size_t charged, sent = 0;
    budget_of((size_t)20 * RECORD);
    struct ullage_reader *busy = member(RECORD);
    for (int i = 0; i < 60; i++)
        marked_record(&m, 1000);
    for (int round = 0; round < 3; round++, sent = 0) {
        send_all(pair.fd[1], m.data, m.count);
        while (ullage_reader_read_fd(busy, pair.fd[0], &record) == 1)
            sent++;
        cr_assert_eq(sent, 60);
    }
    many_small();
    send_all(pair.fd[1], m.data, 1104);
    cr_assert_eq(ullage_reader_read_fd(busy, pair.fd[0], &record), 1);
    struct peer waits = one_waits(&charged);
    cr_assert_eq(ullage_reader_read_fd(busy, pair.fd[0], &record), -EAGAIN, "%s", ullage_reader_error(busy));
    cr_assert_eq(ullage_reader_status(busy), 0);
    cr_assert_leq(ullage_reader_held(busy), 2 * 100 + 512);
    ullage_budget_release(budget, charged);
    send_all(pair.fd[1], m.data + 1104, 904);
    cr_assert_eq(ullage_reader_read_fd(busy, pair.fd[0], &record), 1);
    cr_assert_eq(record.bytes, 1000);
    ullage_reader_destroy(busy);
    peer_end(&waits);
    end_small();
    marked_free(&m);
    pair_close(&pair);
}

/* A thread blocked in it is refused as well, and does not look again and again until then. */
static unsigned polls;

static long count_polls(long number)
{
    polls += number == SYS_ppoll;
    return 0;
}

Test(record_budget, a_reader_that_blocks_is_refused_without_a_spin)
{
    struct pair pair = pair_of_sockets(true);
    struct ullage_record record;
    size_t charged;
    budget_of((size_t)20 * RECORD);
    many_small();
    struct peer large = peer_with(member(RECORD), RECORD);
    struct peer waits = one_waits(&charged);
    /* So much is free again as the large one needs, not as the one who waits does. */
    ullage_budget_release(budget, charged);
    while (ullage_budget_used(budget) < 8 * RECORD - 512 && ullage_budget_charge(budget, 512) == 0)
        ;
    charged = ullage_budget_used(budget);
    for (int i = 0; i < SMALL; i++)
        charged -= ullage_reader_held(small[i].r);
    charged -= ullage_reader_held(waits.r);
    send_all(pair.fd[1], large.m.data, RECORD - 100);
    ull_sys_inject = count_polls;
    int result = ullage_reader_read_fd(large.r, pair.fd[0], &record);
    ull_sys_inject = NULL;
    cr_assert_eq(result, -ENOBUFS, "%s", ullage_reader_error(large.r));
    cr_assert_leq(polls, 20);
    ullage_budget_release(budget, charged);
    peer_end(&waits);
    peer_end(&large);
    end_small();
    pair_close(&pair);
}

/* ---- records over the budget ---- */

Test(record_budget, a_record_over_the_whole_budget_is_refused)
{
    budget_of(10000);
    for (size_t step = 1; step <= 20004; step = step * 4 + 1) {
        struct told told = { 0 };
        struct marked m = { 0 };
        struct ullage_reader *r = member(RECORD);
        int result = 0;
        marked_record(&m, 20000);
        for (size_t at = 0, taken; at < m.count && result == 0; at += taken)
            result = ullage_reader_feed(r, m.data + at, m.count - at < step ? m.count - at : step, &taken, tell, &told);
        /* All at once it lies in the caller's bytes, and costs nothing. */
        cr_assert_eq(result, step == 20004 ? 0 : -EMSGSIZE, "by %zu: %d", step, result);
        cr_assert(result == 0 || strstr(ullage_reader_error(r), "over 10,000, which is the whole budget") != NULL, "%s", ullage_reader_error(r));
        cr_assert_eq(ullage_reader_held(r), 0);
        ullage_reader_destroy(r);
        marked_free(&m);
    }
}

static int read_in_steps(const struct marked *m, size_t step)
{
    struct pair pair = pair_of_sockets(false);
    struct ullage_reader *r = member(RECORD);
    struct ullage_record record;
    int result = -EAGAIN;
    for (size_t at = 0; at < m->count && result == -EAGAIN; at += step) {
        send_all(pair.fd[1], m->data + at, m->count - at < step ? m->count - at : step);
        result = ullage_reader_read_fd(r, pair.fd[0], &record);
    }
    ullage_reader_destroy(r);
    pair_close(&pair);
    return result;
}

static int feed_in_steps(const struct marked *m, size_t step)
{
    struct ullage_reader *r = member(RECORD);
    struct told told = { 0 };
    int result = 0;
    for (size_t at = 0, taken; at < m->count && result == 0; at += taken)
        result = ullage_reader_feed(r, m->data + at, m->count - at < step ? m->count - at : step, &taken, tell, &told);
    ullage_reader_destroy(r);
    return result != 0 ? result : (int)told.count;
}

/* Alone in it, nobody is told to wait; and two and a half largest records are enough, however they come. */
Test(record_budget, two_and_a_half_records_are_enough_for_one)
{
    struct marked m = { 0 };
    marked_record(&m, 12000);
    for (size_t bytes = 1000; bytes <= 60000; bytes += 1313)
        for (size_t step = 700; step < 12004; step += 1900) {
            budget_of(bytes);
            int fed = feed_in_steps(&m, step), was_read = read_in_steps(&m, step);
            cr_assert(fed == 1 || (fed == -EMSGSIZE && bytes < 30000), "a budget of %zu, by %zu: %d", bytes, step, fed);
            cr_assert(was_read == 1 || (was_read == -EMSGSIZE && bytes < 30000), "a budget of %zu, by %zu: %d", bytes, step, was_read);
            cr_assert_eq(ullage_budget_used(budget), 0);
            ullage_budget_destroy(budget);
        }
    budget_of(1);
    marked_free(&m);
}

/* ---- all comes back ---- */

static ssize_t fails(void *ctx, void *to, size_t bytes)
{
    (void)to;
    (void)bytes;
    return *(ssize_t *)ctx;
}

Test(record_budget, comes_back_after_each_failure)
{
    static const uint8_t too_large[4] = { 0x7f, 0, 0, 0 };
    struct ullage_record record;
    budget_of((size_t)10 * RECORD);
    for (int how = 0; how < 8; how++) {
        struct peer p = { 0 };
        ssize_t says = how == 0 ? -EIO : 0;
        size_t taken;
        p = peer_with(member_with(RECORD, how == 6 ? 1 : 0), 3000);
        marked_fragment(&p.m, 3000, false);
        go_on(&p, 5000, 2500);
        p.done = false;
        cr_assert_neq(ullage_budget_used(budget), 0);
        int result = 0;
        switch (how) {
        case 0: case 1: result = ullage_reader_read(p.r, fails, &says, &record); break;
        case 2: result = ullage_reader_end(p.r); break;
        case 3: result = ullage_reader_require_clean(p.r); break;
        case 4: result = ullage_reader_read_fd(p.r, 1 << 20, &record); break;
        case 5: /* the fragment's rest, and a marker that is over the cap */
            result = ullage_reader_feed(p.r, p.m.data + 5000, p.m.count - 5000, &taken, tell, &p.told);
            cr_assert_eq(result, 0);
            result = ullage_reader_feed(p.r, too_large, 4, &taken, tell, &p.told);
            break;
        case 6:
            poll(NULL, 0, 2);
            result = ullage_reader_feed(p.r, NULL, 0, &taken, tell, &p.told);
            break;
        default: break;
        }
        cr_assert(how == 7 || result < 0);
        cr_assert(how == 7 || ullage_budget_used(budget) == 0, "way %d: %zu", how, ullage_budget_used(budget));
        peer_end(&p);
        cr_assert_eq(ullage_budget_used(budget), 0, "way %d", how);
    }
}

static void *put_it(void *b)
{
    ullage_buffer_put(b, 100);
    return NULL;
}

Test(record_budget, taken_records_are_charged_until_they_are_put)
{
    static const uint32_t sizes[] = { 0, 100, 10000, 19000 };
    budget_of((size_t)10 * RECORD);
    for (int form = 0; form < 2; form++)
        for (size_t i = 0; i < 4; i++) {
            struct marked m = { 0 };
            struct pair pair = pair_of_sockets(false);
            struct ullage_record record;
            pthread_t thread;
            marked_fragment(&m, sizes[i] / 2, form == 0 && sizes[i] == 0);
            if (form == 1 || sizes[i] != 0)
                marked_fragment(&m, sizes[i] - sizes[i] / 2, true);
            struct ullage_reader *r = member(RECORD);
            send_all(pair.fd[1], m.data, m.count);
            cr_assert_eq(ullage_reader_read_fd(r, pair.fd[0], &record), 1);
            struct ullage_buffer *b = ullage_reader_take(r, &record);
            cr_assert_not_null(b);
            ullage_reader_destroy(r);
            cr_assert_eq(ullage_budget_used(budget), ullage_buffer_capacity(b));
            ullage_buffer_ref(b);
            ullage_buffer_put(b, 0);
            cr_assert_eq(ullage_budget_used(budget), ullage_buffer_capacity(b), "somebody has it still");
            struct ullage_buffer *grown = b;
            cr_assert_eq(ullage_buffer_grow(&grown, 1000000, 0), -EBUSY);
            (void)is_told();
            cr_assert_eq(ullage_budget_charge(budget, (size_t)10 * RECORD), -ENOBUFS);
            cr_assert_eq(pthread_create(&thread, NULL, put_it, b), 0);
            pthread_join(thread, NULL);
            cr_assert_eq(ullage_budget_used(budget), 0);
            cr_assert(is_told(), "its put is a release as any other");
            pair_close(&pair);
            marked_free(&m);
        }
}

/* No room for a copy: errno says so, the record is where it was, and later it can be taken. */
Test(record_budget, a_record_that_cannot_be_copied_stays)
{
    struct marked m = { 0 };
    struct pair pair = pair_of_sockets(false);
    struct ullage_record record;
    budget_of(20000);
    for (int i = 0; i < 2; i++)
        marked_record(&m, 1000);
    struct ullage_reader *r = member(4000);
    send_all(pair.fd[1], m.data, m.count);
    cr_assert_eq(ullage_reader_read_fd(r, pair.fd[0], &record), 1);
    const struct ullage_record before = record;
    size_t charged = 0;
    while (ullage_budget_charge(budget, 256) == 0)
        charged += 256;
    struct peer oldest = peer_with(member(4000), 4000);
    cr_assert(go_on(&oldest, 3000, 3000));
    errno = 0;
    cr_assert_null(ullage_reader_take(r, &record));
    cr_assert_eq(errno, ENOBUFS);
    cr_assert_eq(memcmp(&record, &before, sizeof record), 0);
    cr_assert(marked_holds(&record));
    cr_assert_eq(ullage_reader_status(r), 0);
    peer_end(&oldest);
    ullage_budget_release(budget, charged);
    struct ullage_buffer *b = ullage_reader_take(r, &record);
    cr_assert_not_null(b);
    ullage_buffer_put(b, 1000);
    ullage_reader_destroy(r);
    pair_close(&pair);
    marked_free(&m);
}

/* ---- with others ---- */

Test(record_budget, readers_can_be_made_while_it_is_full)
{
    static const size_t budgets[] = { 1000, 100000, 1000000, 10000000 };
    for (size_t i = 0; i < 4; i++) {
        budget_of(budgets[i]);
        struct peer oldest = peer_with(member(0), 500);
        cr_assert(go_on(&oldest, 300, 300), "%s", ullage_reader_error(oldest.r));
        size_t charged = 0;
        while (ullage_budget_charge(budget, 100) == 0)
            charged += 100;
        struct ullage_reader *r = member(0);
        ullage_reader_destroy(r);
        ullage_budget_release(budget, charged);
        peer_end(&oldest);
        ullage_budget_destroy(budget);
    }
    budget_of(1);
}

Test(record_budget, is_shared_with_a_pool)
{
    struct ullage_pool_options options = ULLAGE_POOL_OPTIONS_INIT;
    struct ullage_pool *pool;
    void *objects[100];
    int count = 0;
    budget_of((size_t)10 * RECORD);
    options.object_bytes = 4096;
    options.budget = budget;
    cr_assert_eq(ullage_pool_create(&pool, &options), 0);
    struct peer oldest = peer_with(member(RECORD), RECORD), other = peer_with(member(RECORD), RECORD);
    cr_assert(go_on(&oldest, 200, 200));
    while (count < 100 && (objects[count] = ullage_pool_get(pool)) != NULL)
        count++;
    cr_assert(count > 0 && count < 100);
    go_on(&other, other.m.count, 1000);
    cr_assert(other.waits, "%d at %zu", other.result, other.at);
    go_on(&oldest, oldest.m.count, 1000);
    cr_assert_eq(oldest.told.count, 1, "what is kept for it is no pool's: %d at %zu, %s", oldest.result, oldest.at, ullage_reader_error(oldest.r));
    for (int i = 0; i < count; i++)
        ullage_pool_put(pool, objects[i]);
    ullage_pool_trim(pool, 0);
    cr_assert(is_told());
    go_on(&other, other.m.count, 1000);
    cr_assert_eq(other.told.count, 1);
    peer_end(&oldest);
    peer_end(&other);
    ullage_pool_destroy(pool);
}

Test(record_budget, cannot_be_destroyed_before_what_it_was_charged_for)
{
    struct marked m = { 0 };
    struct pair pair = pair_of_sockets(false);
    struct ullage_record record;
    budget_of((size_t)10 * RECORD);
    marked_record(&m, 10000);
    struct ullage_reader *r = member(RECORD);
    send_all(pair.fd[1], m.data, m.count);
    cr_assert_eq(ullage_reader_read_fd(r, pair.fd[0], &record), 1);
    ullage_budget_destroy(budget);
    cr_assert_eq(heard_times, 1, "misuse");
    struct ullage_buffer *b = ullage_reader_take(r, &record);
    ullage_reader_destroy(r);
    ullage_budget_destroy(budget);
    cr_assert_eq(heard_times, 2);
    ullage_buffer_put(b, 10000);
    ullage_budget_destroy(budget);
    cr_assert_eq(heard_times, 2);
    heard_times = 0;
    budget_of(1);
    pair_close(&pair);
    marked_free(&m);
}

/* In a slot that another budget had, and its readers. */
Test(record_budget, begins_anew_where_another_one_was)
{
    for (int i = 0; i < 2500; i++) {
        budget_of((size_t)10 * RECORD);
        struct peer p = peer_with(member(RECORD), 1000);
        go_on(&p, p.m.count, 300);
        cr_assert_eq(p.told.count, 1);
        peer_end(&p);
        cr_assert_eq(ullage_budget_charge(budget, (size_t)10 * RECORD), 0, "no reserve without readers");
        ullage_budget_release(budget, (size_t)10 * RECORD);
        ullage_budget_destroy(budget);
    }
    budget_of(1);
}

/* ---- a forked child ---- */

static struct peer inherited;

static void go_on_in_the_child(void)
{
    alarm(20);
    go_on(&inherited, inherited.m.count, 100);
    if (inherited.told.count != 1)
        _exit(1);
    struct peer p = peer_with(member(RECORD), RECORD);
    peer_end(&inherited);
    go_on(&p, p.m.count, 100);
    if (p.told.count != 1)
        _exit(2);
    peer_end(&p);
    _exit(ullage_budget_used(budget) == 0 ? 7 : 3);
}

Test(record_budget, a_child_goes_on_with_what_it_inherited)
{
    char said[1000];
    budget_of((size_t)10 * RECORD);
    inherited = peer_with(member(RECORD), RECORD);
    cr_assert(go_on(&inherited, 1000, 1000));
    int status = in_child(go_on_in_the_child, said, sizeof said);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 7, "%x: %s", status, said);
    go_on(&inherited, inherited.m.count, 100);
    cr_assert_eq(inherited.told.count, 1);
    peer_end(&inherited);
}
