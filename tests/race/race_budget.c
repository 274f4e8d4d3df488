/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * race_budget.c - threads charge, wait and release at random: the sum never passes the maximum, nobody who waits is
 * forgotten, and the ledger says the same in the end. Each part ends by the clock; who hangs is told of by an alarm.
 */
#include "config.h"

#include "ledger/budget.h"

#include "base/sys.h"
#include "measure/begin.h"
#include "measure/state.h"
#include "scratch.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include "tap.h"

enum { THREADS = 6, MAX_BYTES = 1000, PART_MS = 700, HUNG_SECONDS = 100, POLL_MS = 20000 };

/* What libullage.so does in its constructor. */
void ull_begin_if_needed(void)
{
    if (!ull_recorder_is_ready())
        ull_begin(ULL_CLEAR_NEVER, false);
}

static struct {
    struct ullage_budget *b;
    uint64_t until_ns;
    uint64_t held;      /* as the threads count it: added after a charge, taken off before a release; atomic */
    uint64_t too_much;  /* times that held was over the maximum; atomic */
    uint64_t done;      /* turns; atomic */
    uint64_t strange;   /* results that must not be; atomic */
} all;

static void begin_part(size_t max_bytes)
{
    ullage_budget_create(&all.b, max_bytes);
    all.until_ns = ull_sys_precise_ns() + PART_MS * UINT64_C(1000000);
    all.held = all.too_much = all.done = all.strange = 0;
}

static bool goes_on(void)
{
    return ull_sys_precise_ns() < all.until_ns;
}

static void run(unsigned count, void *(*work)(void *))
{
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < count; i++)
        pthread_create(&threads[i], NULL, work, (void *)(i + 1));
    for (unsigned i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
}

static uint32_t draw(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*state >> 33);
}

static void took(size_t bytes)
{
    if (ull_add_relaxed(&all.held, bytes) + bytes > MAX_BYTES)
        ull_add_relaxed(&all.too_much, 1U);
    ull_add_relaxed(&all.done, 1U);
}

static void give_back(size_t bytes)
{
    ull_sub_relaxed(&all.held, bytes);
    ullage_budget_release(all.b, bytes);
}

/* ---- the sum ---- */

static int charge_somehow(uint64_t *state, size_t bytes)
{
    switch (draw(state) % 3) {
    case 0: return ullage_budget_charge(all.b, bytes);
    case 1: return ullage_budget_charge_wait(all.b, bytes, (int)(draw(state) % 3));
    default: return ullage_budget_charge_wait(all.b, bytes, -1);
    }
}

/* Holds one amount at a time, so that waiting for ever ends. */
static void *at_random(void *argument)
{
    uint64_t state = (uintptr_t)argument;
    while (goes_on()) {
        size_t bytes = 1 + draw(&state) % (MAX_BYTES / 2);
        int result = charge_somehow(&state, bytes);
        if (result == 0) {
            took(bytes);
            if (draw(&state) % 4 == 0)
                sched_yield();
            give_back(bytes);
        } else if (result != -ENOBUFS && result != -ETIMEDOUT) {
            ull_add_relaxed(&all.strange, 1U);
        }
    }
    return NULL;
}

static void sum_stays_below(void)
{
    begin_part(MAX_BYTES);
    run(THREADS, at_random);
    const struct ull_budget_entry *entry = all.b->entry;
    tap_ok(all.too_much == 0 && ullage_budget_peak(all.b) <= MAX_BYTES, "%llu charges, never over the maximum",
        (unsigned long long)all.done);
    tap_ok(all.strange == 0 && ullage_budget_used(all.b) == 0, "all came back");
    tap_ok(entry != NULL && entry->peak_bytes == ullage_budget_peak(all.b)
            && entry->refused_count == all.b->refused_count && entry->waits_count == all.b->waits_count,
        "the ledger says the same: %llu refused, %llu waits", (unsigned long long)all.b->refused_count,
        (unsigned long long)all.b->waits_count);
    ullage_budget_destroy(all.b);
}

/* ---- the ledger ---- */

static pthread_barrier_t all_here;
static uint64_t rounds; /* of the thread that compares, which is the first */

/* A few charges at the same time, then all stand still and the first compares: no later one may cover up for a wrong one. */
static void *in_step(void *argument)
{
    bool compares = (uintptr_t)argument == 1, goes = true;
    while (goes) {
        for (int i = 0; i < 3; i++) {
            if (ullage_budget_charge(all.b, 1 + (uintptr_t)argument) == 0 && i > 0)
                ullage_budget_release(all.b, 1 + (uintptr_t)argument);
        }
        pthread_barrier_wait(&all_here);
        if (compares) {
            all.strange += all.b->entry->used_bytes != ullage_budget_used(all.b);
            ullage_budget_release(all.b, ullage_budget_used(all.b));
            all.done = goes_on();
            rounds++;
        }
        pthread_barrier_wait(&all_here);
        goes = all.done;
    }
    return NULL;
}

static void ledger_follows(void)
{
    begin_part(MAX_BYTES);
    pthread_barrier_init(&all_here, NULL, THREADS);
    run(THREADS, in_step);
    pthread_barrier_destroy(&all_here);
    tap_ok(all.strange == 0, "the ledger has the same bytes whenever all stand still: %llu times", (unsigned long long)rounds);
    ullage_budget_destroy(all.b);
}

/* ---- sleepers ---- */

/* All of it each time: whoever is not woken by the one who has it stands still, and soon all do. */
static void *in_turns(void *argument)
{
    (void)argument;
    while (goes_on()) {
        if (ullage_budget_charge_wait(all.b, MAX_BYTES, -1) != 0) {
            ull_add_relaxed(&all.strange, 1U);
            return NULL;
        }
        took(MAX_BYTES);
        sched_yield();
        give_back(MAX_BYTES);
    }
    return NULL;
}

static void nobody_sleeps_for_ever(void)
{
    begin_part(MAX_BYTES);
    run(THREADS, in_turns);
    tap_ok(all.too_much == 0 && all.strange == 0 && all.done > THREADS, "%llu turns with all of it, one at a time",
        (unsigned long long)all.done);
    ullage_budget_destroy(all.b);
}

/* ---- the event descriptor ---- */

/* Half the time it asks for the descriptor after the refusal, which the release may have come before. */
static void *event_loop(void *argument)
{
    struct ullage_budget *b = all.b;
    bool late = (uintptr_t)argument % 2 == 0;
    int fd = late ? -1 : ullage_budget_event_fd(b);
    uint64_t count;
    while (ullage_budget_charge(b, MAX_BYTES) == -ENOBUFS) {
        fd = ullage_budget_event_fd(b);
        struct pollfd look = { .fd = fd, .events = POLLIN };
        if (poll(&look, 1, POLL_MS) != 1 || read(fd, &count, sizeof count) != (ssize_t)sizeof count) {
            ull_add_relaxed(&all.strange, 1U);
            return NULL;
        }
    }
    ullage_budget_release(b, MAX_BYTES);
    return NULL;
}

static void events_are_not_lost(void)
{
    uint64_t until_ns = ull_sys_precise_ns() + PART_MS * UINT64_C(1000000), strange = 0;
    uintptr_t turns = 0;
    while (strange == 0 && ull_sys_precise_ns() < until_ns) {
        pthread_t thread;
        begin_part(MAX_BYTES);
        ullage_budget_charge(all.b, MAX_BYTES);
        pthread_create(&thread, NULL, event_loop, (void *)++turns);
        while (ull_load_relaxed(&all.b->refused_count) == 0)
            sched_yield();
        for (volatile unsigned wait = 0; wait < turns * 37 % 2000; wait++) {
        }
        for (size_t i = 0; i < 10; i++)
            ullage_budget_release(all.b, MAX_BYTES / 10);
        pthread_join(thread, NULL);
        strange += all.strange;
        ullage_budget_destroy(all.b);
    }
    tap_ok(strange == 0, "an event loop heard of the last release each time: %llu rounds", (unsigned long long)turns);
}

/* ---- making and destroying ---- */

static void *make_and_destroy(void *argument)
{
    uint64_t state = (uintptr_t)argument;
    while (goes_on()) {
        struct ullage_budget *b;
        if (ullage_budget_create(&b, 100) != 0 || ullage_budget_name(b, "short-lived") != 0
            || ullage_budget_charge(b, 60) != 0 || ullage_budget_charge(b, 60) != -ENOBUFS
            || (draw(&state) % 4 == 0 && ullage_budget_event_fd(b) < 0)) {
            ull_add_relaxed(&all.strange, 1U);
            return NULL;
        }
        ullage_budget_release(b, 60);
        ullage_budget_destroy(b);
        ull_add_relaxed(&all.done, 1U);
    }
    return NULL;
}

static void they_come_and_go(void)
{
    begin_part(MAX_BYTES);
    run(THREADS, make_and_destroy);
    uint64_t listed = ull_recorder.ledger.reserved[ULL_TABLE_BUDGETS];
    tap_ok(all.strange == 0 && listed <= ULL_BUDGETS_MAX, "%llu budgets came and went in %llu places",
        (unsigned long long)all.done, (unsigned long long)listed);
    ullage_budget_destroy(all.b);
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
    sum_stays_below();
    ledger_follows();
    nobody_sleeps_for_ever();
    events_are_not_lost();
    they_come_and_go();
    scratch_remove();
    return tap_done();
}
