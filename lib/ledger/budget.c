/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * budget.c - bytes that are charged before they are taken, in one atomic word.
 *
 *      63      62     61   60 ......... 0
 *   +-------+--------+----+---------------+
 *   | sleep | refused| was| bytes charged |
 *   +-------+--------+----+---------------+
 *
 * Who finds too few bytes free leaves a bit behind in the same compare-and-swap that saw it, and a release takes bits and
 * bytes away in one: whoever set a bit is told of a release that came after it, because there is no instant between
 * looking and leaving the bit. `sleep` is for those in ull_budget_wait(): `changes` goes up and all are woken, to try
 * again. They read `changes` before they leave the bit, so that a wake before they sleep is seen by the futex. `refused`
 * is for event loops: the event descriptor is written to. `was` is never taken away: something was refused once. So a
 * release that nobody waits for makes no system call, and there is no lock. Who sleeps is served in no order: under many
 * small charges a large one may wait for long.
 */
#include "config.h"

#include "ledger/budgets.h"

#include "base/atomic.h"
#include "base/lock.h"
#include "base/misuse.h"
#include "base/sys.h"

#include <errno.h>
#include <sched.h>

#define SLEEPS (UINT64_C(1) << 63)
#define REFUSED (UINT64_C(1) << 62)
#define WAS_REFUSED (UINT64_C(1) << 61)
_Static_assert(WAS_REFUSED - 1 == ULL_BUDGET_USED_MASK, "the rest is bytes");

static uint64_t used_of(uint64_t word)
{
    return word & ULL_BUDGET_USED_MASK;
}

/* ---- charging ---- */

/* What it has for those who may not use the reserve. */
static uint64_t beside_reserve(const struct ullage_budget *b)
{
    return b->max_bytes - ull_load_relaxed(&b->reserve_bytes);
}

/* Takes @bytes of the first @max, or leaves @bits behind; both are decided by one look. */
static bool take_or_leave(struct ullage_budget *b, uint64_t bytes, uint64_t bits, uint64_t max)
{
    uint64_t word = ull_load_relaxed(&b->word), wanted;
    bool fits;
    do {
        fits = used_of(word) <= max && bytes <= max - used_of(word);
        wanted = fits ? word + bytes : word | bits;
    } while (!ull_cas_acq_rel(&b->word, &word, wanted));
    if (fits)
        ull_max_relaxed(&b->peak_bytes, used_of(wanted));
    return fits;
}

static int try_at_once(struct ullage_budget *b, uint64_t bytes, int error, uint64_t max)
{
    if (take_or_leave(b, bytes, REFUSED | WAS_REFUSED, max))
        return 0;
    ull_add_relaxed(&b->refused_count, 1U);
    return error;
}

/* @bytes of the first @max; -EMSGSIZE: more than @most, which will never be free. */
static int try_within(struct ullage_budget *b, size_t bytes, uint64_t max, uint64_t most)
{
    int result = -EMSGSIZE;
    ull_budget_settle(b);
    if (bytes <= most)
        result = try_at_once(b, bytes, -ENOBUFS, max);
    else
        ull_add_relaxed(&b->refused_count, 1U);
    ull_budget_publish(b);
    return result;
}

int ull_budget_try(struct ullage_budget *b, size_t bytes)
{
    if (!ull_budget_is_live(b, "charge"))
        return -EINVAL;
    uint64_t max = beside_reserve(b);
    return try_within(b, bytes, max, max);
}

int ull_budget_try_beside_reserve(struct ullage_budget *b, size_t bytes)
{
    if (!ull_budget_is_live(b, "charge"))
        return -EINVAL;
    return try_within(b, bytes, beside_reserve(b), b->max_bytes);
}

int ull_budget_try_reserve(struct ullage_budget *b, size_t bytes)
{
    if (!ull_budget_is_live(b, "charge"))
        return -EINVAL;
    return try_within(b, bytes, b->max_bytes, b->max_bytes);
}

void ull_budget_reserve(struct ullage_budget *b, size_t bytes)
{
    ull_store_relaxed(&b->reserve_bytes, bytes < b->max_bytes ? (uint64_t)bytes : b->max_bytes);
}

/* Until it fits, or the time is over: -ETIMEDOUT. Anything else is the kernel's refusal to let us sleep. */
static int sleep_until_taken(struct ullage_budget *b, uint64_t bytes, uint64_t until_ns)
{
    for (;;) {
        uint32_t seen = ull_load_acquire(&b->changes);
        if (take_or_leave(b, bytes, SLEEPS, beside_reserve(b)))
            return 0;
        int woken = ull_sys_futex_wait(&b->changes, seen, until_ns);
        if (woken < 0 && woken != -EAGAIN && woken != -EINTR)
            return woken;
        if (until_ns != 0 && ull_sys_precise_ns() >= until_ns)
            return -ETIMEDOUT; /* the kernel says so only to who sleeps, and where much is released nobody does */
    }
}

int ull_budget_wait(struct ullage_budget *b, size_t bytes, int timeout_ms)
{
    if (!ull_budget_is_live(b, "charge"))
        return -EINVAL;
    if (bytes > beside_reserve(b))
        return ull_budget_try(b, bytes);
    ull_budget_settle(b);
    int result = take_or_leave(b, bytes, 0, beside_reserve(b)) ? 0 : -ETIMEDOUT;
    if (result != 0 && timeout_ms != 0) {
        uint64_t until_ns = timeout_ms < 0 ? 0 : ull_sys_precise_ns() + (uint64_t)timeout_ms * 1000000;
        ull_add_relaxed(&b->waits_count, 1U);
        ull_budget_publish(b);
        result = sleep_until_taken(b, bytes, until_ns);
    }
    if (result != 0) /* what came back at the last instant is taken, and the next release is told of as after any refusal */
        result = try_at_once(b, bytes, result, beside_reserve(b));
    ull_budget_publish(b);
    return result;
}

/* ---- releasing ---- */

/* An eventfd has no file type. So a program that closed ours finds nothing written into a file that got its number. */
static bool is_event_descriptor(int fd)
{
    struct stat now;
    return ull_sys_fstat(fd, &now) == 0 && (now.st_mode & S_IFMT) == 0;
}

static void write_event(const struct ullage_budget *b)
{
    uint64_t one = 1;
    int fd = (int)ull_load_acquire(&b->event) - 1;
    if (fd >= 0 && is_event_descriptor(fd))
        (void)ull_sys_write(fd, &one, sizeof one); /* -EAGAIN: it is readable as it is */
}

__attribute__((cold, noinline)) static void say_too_much(const struct ullage_budget *b, size_t bytes, uint64_t used)
{
    char name[ULL_BUDGET_NAME_BYTES];
    ull_budget_get_name(b, name);
    ull_misuse("release of %zu bytes of the budget \"%s\", of which %llu are charged; nothing was released: release once, and "
               "as much, what was charged", bytes, name, (unsigned long long)used);
}

/*
 * The word as it was, with the bits that were left behind; 0: so much is not charged. Who is about to write to the
 * descriptor is counted before the bytes are free, because from then on somebody else may destroy the budget.
 */
static uint64_t take_away(struct ullage_budget *b, uint64_t bytes)
{
    uint64_t word = ull_load_relaxed(&b->word);
    bool tells = false;
    do {
        if (bytes > used_of(word)) {
            say_too_much(b, bytes, used_of(word));
            word = 0;
            break;
        }
        if (!tells && (word & REFUSED) != 0) {
            ull_add_relaxed(&b->telling, 1U);
            tells = true;
        }
    } while (!ull_cas_acq_rel(&b->word, &word, (word & ~(SLEEPS | REFUSED)) - bytes));
    if (tells && (word & REFUSED) != 0)
        write_event(b);
    if (tells)
        ull_sub_release(&b->telling, 1U);
    return word;
}

static void give(struct ullage_budget *b, uint64_t bytes)
{
    if ((take_away(b, bytes) & SLEEPS) != 0) {
        ull_add_release(&b->changes, 1U);
        (void)ull_sys_futex_wake(&b->changes);
    }
}

void ull_budget_give(struct ullage_budget *b, size_t bytes)
{
    if (!ull_budget_is_live(b, "release"))
        return;
    ull_budget_settle(b);
    if (bytes == 0)
        return;
    give(b, bytes);
    ull_budget_publish(b);
}

void ull_budget_tell(struct ullage_budget *b)
{
    if (ull_budget_is_live(b, "release"))
        give(b, 0);
}

/*
 * What was refused and came back before there was a descriptor is told at once. The look is a compare-and-swap: either it
 * comes before a release's own, which then sees the descriptor, or it finds the bit taken away.
 */
static void tell_of_earlier(struct ullage_budget *b)
{
    uint64_t word = ull_load_relaxed(&b->word);
    while (!ull_cas_acq_rel(&b->word, &word, word)) {
    }
    if ((word & (REFUSED | WAS_REFUSED)) == WAS_REFUSED)
        write_event(b);
}

int ull_budget_event_fd(struct ullage_budget *b)
{
    uint32_t none = 0;
    if (!ull_budget_is_live(b, "event descriptor"))
        return -EINVAL;
    ull_budget_settle(b); /* in a forked child the descriptor is the parent's: forgotten there */
    uint32_t event = ull_load_acquire(&b->event);
    if (event != 0)
        return (int)event - 1;
    int fd = ull_sys_eventfd();
    if (fd < 0)
        return fd;
    if (!ull_cas_acq_rel(&b->event, &none, (uint32_t)fd + 1)) {
        ull_sys_close(fd);
        return (int)none - 1;
    }
    tell_of_earlier(b);
    return fd;
}

/* False: a release is still about to write to the descriptor, and has been stopped there, maybe for good. */
static bool wait_for_tellers(const struct ullage_budget *b)
{
    uint64_t until_ns = ull_sys_precise_ns() + LOCK_PATIENCE_NS;
    while (ull_load_acquire(&b->telling) != 0) {
        if (ull_sys_precise_ns() > until_ns)
            return false;
        sched_yield();
    }
    return true;
}

void ull_budget_close_event(struct ullage_budget *b)
{
    int fd = (int)ull_exchange_acq_rel(&b->event, 0U) - 1;
    if (wait_for_tellers(b) && fd >= 0 && is_event_descriptor(fd))
        ull_sys_close(fd);
}

/* ---- what it holds ---- */

size_t ull_budget_used(const struct ullage_budget *b)
{
    return ull_budget_is_live(b, "used bytes") ? used_of(ull_load_acquire(&b->word)) : 0;
}

size_t ull_budget_peak(const struct ullage_budget *b)
{
    return ull_budget_is_live(b, "peak") ? ull_load_relaxed(&b->peak_bytes) : 0;
}

size_t ull_budget_max(const struct ullage_budget *b)
{
    return ull_budget_is_live(b, "size") ? b->max_bytes : 0;
}
