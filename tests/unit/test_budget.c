/* SPDX-License-Identifier: BSD-2-Clause */
/* test_budget.c - charging, waiting, the event descriptor, misuse, the ledger's entry, fork. */
#include "config.h"

#include "ledger/budget.h"

#include "base/misuse.h"
#include "base/sys.h"
#include "measure/begin.h"
#include "measure/state.h"
#include "scratch.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* What libullage.so does in its constructor; off, so that budgets are seen without a recorder, until a test wants it. */
static bool recorder_wanted;

void ull_begin_if_needed(void)
{
    if (recorder_wanted && !ull_recorder_is_ready())
        ull_begin(ULL_CLEAR_NEVER, false);
}

static char heard[600];
static int heard_times;

static void hear(void *ctx, const char *what)
{
    (void)ctx;
    heard_times++;
    snprintf(heard, sizeof heard, "%s", what);
}

static void listen_for_misuse(void)
{
    ull_misuse_policy(ULL_MISUSE_REPORT, hear, NULL);
}

static struct ullage_budget *make(size_t max_bytes)
{
    struct ullage_budget *b = NULL;
    cr_assert_eq(ullage_budget_create(&b, max_bytes), 0);
    cr_assert_not_null(b);
    return b;
}

/* ---- counting ---- */

Test(budget, charges_all_or_nothing)
{
    struct ullage_budget *b = make(100);
    cr_assert_eq(ullage_budget_charge(b, 60), 0);
    cr_assert_eq(ullage_budget_charge(b, 41), -ENOBUFS);
    cr_assert_eq(ullage_budget_used(b), 60, "a refusal takes nothing");
    cr_assert_eq(ullage_budget_charge(b, 40), 0, "to the last byte");
    cr_assert_eq(ullage_budget_charge(b, 0), 0);
    cr_assert_eq(ullage_budget_charge(b, 101), -EMSGSIZE, "never, not even empty");
    cr_assert_eq(ullage_budget_charge(b, SIZE_MAX), -EMSGSIZE);
    ullage_budget_release(b, 70);
    cr_assert_eq(ullage_budget_used(b), 30);
    cr_assert_eq(ullage_budget_peak(b), 100);
    cr_assert_eq(ullage_budget_max(b), 100);
    cr_assert_eq(b->refused_count, 3);
    ullage_budget_release(b, 30);
    cr_assert_eq(ullage_budget_charge(b, 100), 0, "all of it again");
    ullage_budget_release(b, 100);
    ullage_budget_destroy(b);
    ullage_budget_destroy(NULL);
}

Test(budget, holds_whatever_size_is_named)
{
    struct ullage_budget *b = make(SIZE_MAX);
    cr_assert_eq(ullage_budget_charge(b, (size_t)1 << 60), 0);
    cr_assert_eq(ullage_budget_charge(b, (size_t)1 << 60), -ENOBUFS, "2^61 - 1 is the most that is counted");
    cr_assert_eq(ullage_budget_used(b), (size_t)1 << 60, "marks of refusals are no bytes");
    ullage_budget_release(b, (size_t)1 << 60);
    ullage_budget_destroy(b);
}

Test(budget, needs_a_size_and_says_when_there_are_too_many)
{
    struct ullage_budget *all[ULL_BUDGETS_MAX], *more = NULL;
    cr_assert_eq(ullage_budget_create(&more, 0), -EINVAL);
    for (size_t i = 0; i < ULL_BUDGETS_MAX; i++)
        all[i] = make(i + 1);
    cr_assert_eq(ullage_budget_create(&more, 1), -ENOSPC);
    cr_assert_null(more);
    ullage_budget_destroy(all[500]);
    cr_assert_eq(make(9), all[500], "the one that is free");
    for (size_t i = 0; i < ULL_BUDGETS_MAX; i++)
        ullage_budget_destroy(all[i]);
}

static long no_memory(long number)
{
    return number == SYS_mmap ? -ENOMEM : 0;
}

Test(budget, says_when_there_is_no_memory)
{
    struct ullage_budget *b = NULL;
    ull_sys_inject = no_memory;
    cr_assert_eq(ullage_budget_create(&b, 1), -ENOMEM);
    ull_sys_inject = NULL;
    make(1);
}

Test(budget, names_are_short_and_printable)
{
    struct ullage_budget *b = make(1);
    char longest[65];
    memset(longest, 'n', 64);
    longest[64] = '\0';
    cr_assert_str_eq(b->name, "");
    cr_assert_eq(ullage_budget_name(b, "readers"), 0);
    cr_assert_eq(ullage_budget_name(b, NULL), -EINVAL);
    cr_assert_eq(ullage_budget_name(b, ""), -EINVAL);
    cr_assert_eq(ullage_budget_name(b, "two\nlines"), -EINVAL);
    cr_assert_eq(ullage_budget_name(b, longest), -EINVAL, "64");
    cr_assert_str_eq(b->name, "readers");
    cr_assert_eq(ullage_budget_name(b, longest + 1), 0, "63");
    cr_assert_str_eq(b->name, longest + 1);
}

/* ---- misuse ---- */

Test(budget, destroy_while_charged_destroys_nothing)
{
    struct ullage_budget *b = make(100);
    listen_for_misuse();
    ullage_budget_name(b, "readers");
    ullage_budget_charge(b, 60);
    ullage_budget_destroy(b);
    cr_assert_eq(heard_times, 1);
    cr_assert_not_null(strstr(heard, "\"readers\" while 60 bytes are charged"), "%s", heard);
    cr_assert_eq(ullage_budget_charge(b, 40), 0, "it lives");
    ullage_budget_release(b, 100);
    ullage_budget_destroy(b);
    cr_assert_eq(heard_times, 1);
}

Test(budget, release_of_more_than_is_charged_releases_nothing)
{
    struct ullage_budget *b = make(100);
    listen_for_misuse();
    ullage_budget_charge(b, 60);
    ullage_budget_release(b, 61);
    cr_assert_eq(heard_times, 1);
    cr_assert_not_null(strstr(heard, "release of 61 bytes of the budget \"(unnamed)\""), "%s", heard);
    cr_assert_not_null(strstr(heard, "60 are charged"), "%s", heard);
    cr_assert_eq(ullage_budget_used(b), 60);
    ullage_budget_release(b, SIZE_MAX);
    cr_assert_eq(heard_times, 2);
    cr_assert_eq(ullage_budget_used(b), 60);
    /* Also where somebody is to be told of a release. */
    cr_assert_eq(ullage_budget_charge(b, 41), -ENOBUFS);
    ullage_budget_release(b, 61);
    cr_assert_eq(b->telling, 0);
    ullage_budget_release(b, 60);
    ullage_budget_destroy(b);
    cr_assert_eq(heard_times, 3);
}

Test(budget, use_after_destroy_is_known)
{
    struct ullage_budget *b = make(100);
    listen_for_misuse();
    ullage_budget_name(b, "gone");
    ullage_budget_destroy(b);
    cr_assert_eq(ullage_budget_charge(b, 1), -EINVAL);
    cr_assert_not_null(strstr(heard, "charge of the budget \"gone\" after it was destroyed"), "%s", heard);
    cr_assert_eq(ullage_budget_charge_wait(b, 1, -1), -EINVAL);
    ullage_budget_release(b, 1);
    ullage_budget_destroy(b);
    cr_assert_eq(ullage_budget_name(b, "again"), -EINVAL);
    cr_assert_eq(ullage_budget_event_fd(b), -EINVAL);
    cr_assert_eq(ullage_budget_used(b), 0);
    cr_assert_eq(ullage_budget_peak(b), 0);
    cr_assert_eq(ullage_budget_max(b), 0);
    cr_assert_eq(heard_times, 9);
    for (size_t i = 1; i < ULL_BUDGETS_MAX; i++) {
        struct ullage_budget *other = make(1);
        cr_assert_neq(other, b, "its place rests");
        ullage_budget_destroy(other);
    }
    cr_assert_eq(ullage_budget_charge(b, 1), -EINVAL, "still known after 1,023 others");
}

Test(budget, strange_pointers_are_known)
{
    struct ullage_budget *b = make(100), own;
    listen_for_misuse();
    memset(&own, 0, sizeof own);
    cr_assert_eq(ullage_budget_charge(&own, 1), -EINVAL);
    cr_assert_not_null(strstr(heard, "no budget"), "%s", heard);
    cr_assert_eq(ullage_budget_charge((struct ullage_budget *)((char *)b + 8), 1), -EINVAL);
    cr_assert_eq(ullage_budget_charge(NULL, 1), -EINVAL);
    cr_assert_eq(ullage_budget_charge(b + 5, 1), -EINVAL, "a place that was never one");
    cr_assert_eq(heard_times, 4);
}

/* ---- waiting ---- */

static uint64_t elapsed_ms(uint64_t since_ns)
{
    return (ull_sys_precise_ns() - since_ns) / 1000000;
}

Test(budget, wait_gives_up_in_time, .timeout = 20)
{
    struct ullage_budget *b = make(100);
    cr_assert_eq(ullage_budget_charge_wait(b, 60, -1), 0, "at once");
    uint64_t begun = ull_sys_precise_ns();
    cr_assert_eq(ullage_budget_charge_wait(b, 60, 50), -ETIMEDOUT);
    cr_assert_geq(elapsed_ms(begun), 50);
    cr_assert_leq(elapsed_ms(begun), 5000);
    cr_assert_eq(ullage_budget_charge_wait(b, 60, 0), -ETIMEDOUT);
    cr_assert_eq(ullage_budget_charge_wait(b, 101, -1), -EMSGSIZE, "for ever in vain");
    cr_assert_eq(b->waits_count, 1);
    cr_assert_eq(b->refused_count, 3);
    cr_assert_eq(ullage_budget_used(b), 60);
}

static long no_sleep(long number)
{
    return number == SYS_futex ? -ENOSYS : 0;
}

Test(budget, wait_says_when_the_kernel_lets_nobody_sleep, .timeout = 20)
{
    struct ullage_budget *b = make(100);
    ullage_budget_charge(b, 100);
    ull_sys_inject = no_sleep;
    cr_assert_eq(ullage_budget_charge_wait(b, 1, -1), -ENOSYS);
}

static long never_asleep(long number)
{
    return number == SYS_futex ? -EAGAIN : 0;
}

Test(budget, wait_ends_in_time_also_where_it_never_gets_to_sleep, .timeout = 20)
{
    struct ullage_budget *b = make(100);
    ullage_budget_charge(b, 100);
    ull_sys_inject = never_asleep;
    cr_assert_eq(ullage_budget_charge_wait(b, 1, 20), -ETIMEDOUT);
}

struct waiter {
    pthread_t thread;
    struct ullage_budget *b;
    size_t bytes;
    int result;
};

static void *wait_for_ever(void *argument)
{
    struct waiter *waiter = argument;
    waiter->result = ullage_budget_charge_wait(waiter->b, waiter->bytes, -1);
    return NULL;
}

static void until_waits(struct ullage_budget *b, uint64_t count)
{
    while (ull_load_relaxed(&b->waits_count) < count)
        usleep(1000);
    usleep(20000); /* as a rule it sleeps by now; the race test has the other cases */
}

Test(budget, release_wakes_all_who_wait, .timeout = 20)
{
    struct ullage_budget *b = make(100);
    struct waiter waiters[] = { { .b = b, .bytes = 10 }, { .b = b, .bytes = 20 }, { .b = b, .bytes = 70 } };
    ullage_budget_charge(b, 100);
    for (int i = 0; i < 3; i++)
        pthread_create(&waiters[i].thread, NULL, wait_for_ever, &waiters[i]);
    until_waits(b, 3);
    ullage_budget_release(b, 100);
    for (int i = 0; i < 3; i++) {
        pthread_join(waiters[i].thread, NULL);
        cr_assert_eq(waiters[i].result, 0);
    }
    cr_assert_eq(ullage_budget_used(b), 100);
}

Test(budget, who_waits_for_much_does_not_wake_for_little, .timeout = 20)
{
    struct ullage_budget *b = make(100);
    struct waiter waiter = { .b = b, .bytes = 50 };
    ullage_budget_charge(b, 100);
    pthread_create(&waiter.thread, NULL, wait_for_ever, &waiter);
    until_waits(b, 1);
    for (int i = 0; i < 49; i++)
        ullage_budget_release(b, 1);
    usleep(20000);
    cr_assert_eq(ullage_budget_used(b), 51);
    ullage_budget_release(b, 1);
    pthread_join(waiter.thread, NULL);
    cr_assert_eq(ullage_budget_used(b), 100);
}

static struct ullage_budget *releases_late;

/* Stands between the last look and the sleep. */
static long release_just_before_the_sleep(long number)
{
    if (number == SYS_futex) {
        ull_sys_inject = NULL;
        ullage_budget_release(releases_late, 100);
    }
    return 0;
}

Test(budget, release_just_before_the_sleep_is_not_slept_through, .timeout = 20)
{
    struct ullage_budget *b = releases_late = make(100);
    ullage_budget_charge(b, 100);
    ull_sys_inject = release_just_before_the_sleep;
    cr_assert_eq(ullage_budget_charge_wait(b, 1, -1), 0);
    cr_assert_eq(ullage_budget_used(b), 1);
}

/* ---- the event descriptor ---- */

static bool readable(int fd)
{
    struct pollfd look = { .fd = fd, .events = POLLIN };
    return poll(&look, 1, 0) == 1 && (look.revents & POLLIN) != 0;
}

static void drain(int fd)
{
    uint64_t count;
    cr_assert_eq(read(fd, &count, sizeof count), (ssize_t)sizeof count);
}

Test(budget, event_descriptor_tells_of_releases_after_a_refusal_only)
{
    struct ullage_budget *b = make(100);
    int fd = ullage_budget_event_fd(b);
    cr_assert_geq(fd, 0);
    cr_assert_eq(ullage_budget_event_fd(b), fd);
    cr_assert_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    cr_assert_eq(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    ullage_budget_charge(b, 100);
    ullage_budget_release(b, 100);
    cr_assert_not(readable(fd), "nothing was refused");
    ullage_budget_charge(b, 100);
    cr_assert_eq(ullage_budget_charge(b, 1), -ENOBUFS);
    cr_assert_not(readable(fd));
    ullage_budget_release(b, 0);
    cr_assert_not(readable(fd), "nothing came back");
    ullage_budget_release(b, 1);
    cr_assert(readable(fd));
    drain(fd);
    ullage_budget_release(b, 1);
    cr_assert_not(readable(fd), "told once a refusal");
    ullage_budget_release(b, 98);
    ullage_budget_destroy(b);
    cr_assert_eq(fcntl(fd, F_GETFD), -1, "closed by destroy");
}

Test(budget, event_descriptor_that_comes_after_the_release_is_readable)
{
    struct ullage_budget *b = make(100);
    ullage_budget_charge(b, 100);
    cr_assert_eq(ullage_budget_charge(b, 1), -ENOBUFS);
    ullage_budget_release(b, 100);
    cr_assert(readable(ullage_budget_event_fd(b)));
}

Test(budget, event_descriptor_that_comes_before_the_release_is_not_readable_yet)
{
    struct ullage_budget *b = make(100);
    ullage_budget_charge(b, 100);
    cr_assert_eq(ullage_budget_charge(b, 1), -ENOBUFS);
    int fd = ullage_budget_event_fd(b);
    cr_assert_not(readable(fd));
    ullage_budget_release(b, 100);
    cr_assert(readable(fd));
}

static long no_descriptor(long number)
{
    return number == SYS_eventfd2 ? -EMFILE : 0;
}

Test(budget, event_descriptor_fails_as_the_kernel_does)
{
    struct ullage_budget *b = make(100);
    ull_sys_inject = no_descriptor;
    cr_assert_eq(ullage_budget_event_fd(b), -EMFILE);
    ull_sys_inject = NULL;
    cr_assert_geq(ullage_budget_event_fd(b), 0);
}

Test(budget, what_the_program_opened_in_the_descriptors_place_is_left_alone)
{
    char name[] = "/tmp/ullage-test-XXXXXX";
    struct stat now;
    struct ullage_budget *b = make(100);
    int fd = ullage_budget_event_fd(b), file = mkstemp(name);
    unlink(name);
    cr_assert_eq(dup2(file, fd), fd);
    ullage_budget_charge(b, 100);
    cr_assert_eq(ullage_budget_charge(b, 1), -ENOBUFS);
    ullage_budget_release(b, 100);
    cr_assert_eq(fstat(fd, &now), 0);
    cr_assert_eq(now.st_size, 0, "nothing was written");
    ullage_budget_destroy(b);
    cr_assert_geq(fcntl(fd, F_GETFD), 0, "nor closed");
}

static struct ullage_budget *ends_meanwhile;
static pthread_t ender;

static void *destroy(void *b)
{
    ullage_budget_destroy(b);
    return NULL;
}

/* Stands between a release, after which the budget may be destroyed, and its word to the event descriptor. */
static long destroy_before_it_is_told(long number)
{
    if (number == SYS_newfstatat) {
        int fd = (int)ends_meanwhile->event - 1;
        ull_sys_inject = NULL;
        pthread_create(&ender, NULL, destroy, ends_meanwhile);
        usleep(20000);
        cr_assert_geq(fcntl(fd, F_GETFD), 0, "nobody may get its number yet");
    }
    return 0;
}

Test(budget, destroy_waits_for_who_is_about_to_tell_of_a_release, .timeout = 20)
{
    struct ullage_budget *b = ends_meanwhile = make(100);
    int fd = ullage_budget_event_fd(b);
    ullage_budget_charge(b, 100);
    cr_assert_eq(ullage_budget_charge(b, 1), -ENOBUFS);
    ull_sys_inject = destroy_before_it_is_told;
    ullage_budget_release(b, 100);
    pthread_join(ender, NULL);
    cr_assert_eq(fcntl(fd, F_GETFD), -1);
}

/* ---- the ledger ---- */

static const struct ull_budget_entry *entry_of(struct ullage_budget *b)
{
    cr_assert_neq(ull_budget_index(b), 0, "it is listed");
    const struct ull_budget_entry *entry
        = ull_ledger_at(&ull_recorder.ledger, ULL_TABLE_BUDGETS, ull_budget_index(b) - 1);
    cr_assert_not_null(entry);
    return entry;
}

static const char *name_in_ledger(const struct ull_budget_entry *entry)
{
    return ull_ledger_at(&ull_recorder.ledger, ULL_TABLE_STRINGS, entry->name - 1);
}

static void begin_recorder(void)
{
    scratch_make();
    recorder_wanted = true;
}

Test(budget, without_a_recorder_it_counts_and_is_listed_nowhere)
{
    struct ullage_budget *b = make(100);
    cr_assert_eq(ullage_budget_charge(b, 60), 0);
    cr_assert_eq(ull_budget_index(b), 0);
}

Test(budget, ledger_says_what_it_does, .init = begin_recorder, .fini = scratch_remove)
{
    struct ullage_budget *other = make(7), *b = make(100);
    const struct ull_budget_entry *entry = entry_of(b);
    cr_assert_neq(ull_budget_index(other), ull_budget_index(b));
    cr_assert_eq(entry->ready, 1);
    cr_assert_eq(entry->name, 0, "none yet");
    ullage_budget_name(b, "readers");
    cr_assert_str_eq(name_in_ledger(entry), "readers");
    cr_assert_eq(entry_of(other)->name, 0);
    ullage_budget_charge(b, 60);
    ullage_budget_charge(b, 60);
    ullage_budget_charge_wait(b, 60, 1);
    ullage_budget_charge(b, 101);
    ullage_budget_release(b, 20);
    cr_assert_eq(entry->max_bytes, 100);
    cr_assert_eq(entry->used_bytes, 40);
    cr_assert_eq(entry->peak_bytes, 60);
    cr_assert_eq(entry->refused_count, 3);
    cr_assert_eq(entry->waits_count, 1);
    cr_assert_eq(entry->destroyed, 0);
    ullage_budget_release(b, 40);
    ullage_budget_destroy(b);
    cr_assert_eq(entry->used_bytes, 0);
    cr_assert_eq(entry->destroyed, 1);
}

static struct ullage_budget *changes_meanwhile;
static void *page_of_entry;

/* Stands between the look at the bytes and the writing of them. */
static void change_meanwhile(int signal)
{
    (void)signal;
    mprotect(page_of_entry, 4096, PROT_READ | PROT_WRITE);
    ullage_budget_charge(changes_meanwhile, 20);
}

Test(budget, ledger_is_right_also_where_two_change_it_at_once, .init = begin_recorder, .fini = scratch_remove)
{
    struct ullage_budget *b = changes_meanwhile = make(100);
    ullage_budget_charge(b, 60);
    ullage_budget_release(b, 60);
    page_of_entry = (void *)((uintptr_t)entry_of(b) & ~(uintptr_t)4095);
    signal(SIGSEGV, change_meanwhile);
    mprotect(page_of_entry, 4096, PROT_READ);
    ullage_budget_charge(b, 10);
    cr_assert_eq(ullage_budget_used(b), 30, "the other one came in between");
    cr_assert_eq(entry_of(b)->used_bytes, 30);
}

/* The recorder may begin after the first budgets: what they hold by then is said too. */
Test(budget, is_listed_once_there_is_a_recorder)
{
    struct ullage_budget *b = make(100);
    ullage_budget_charge(b, 60);
    ullage_budget_charge(b, 60);
    begin_recorder();
    ull_begin_if_needed();
    ullage_budget_release(b, 20);
    cr_assert_eq(entry_of(b)->used_bytes, 40);
    cr_assert_eq(entry_of(b)->peak_bytes, 60);
    cr_assert_eq(entry_of(b)->refused_count, 1);
    scratch_remove();
}

/* A program may make one a connection: the ledger does not grow with them. */
Test(budget, used_places_are_used_again_in_the_ledger, .init = begin_recorder, .fini = scratch_remove)
{
    for (int i = 0; i < 3 * ULL_BUDGETS_MAX; i++) {
        struct ullage_budget *b = make(100);
        char name[32];
        snprintf(name, sizeof name, "connection %d", i);
        cr_assert_eq(entry_of(b)->name, 0);
        ullage_budget_name(b, name);
        ullage_budget_charge(b, 60);
        ullage_budget_charge(b, 60);
        cr_assert_eq(entry_of(b)->destroyed, 0);
        cr_assert_eq(entry_of(b)->refused_count, 1, "its own, and not of who was there before");
        cr_assert_str_eq(name_in_ledger(entry_of(b)), name);
        ullage_budget_release(b, 60);
        ullage_budget_destroy(b);
    }
    cr_assert_eq(ull_recorder.ledger.reserved[ULL_TABLE_BUDGETS], ULL_BUDGETS_MAX);
    cr_assert_lt(ull_recorder.ledger.reserved[ULL_TABLE_STRINGS], 2 * ULL_BUDGETS_MAX * ULL_BUDGET_NAME_BYTES);
}

static long no_room(long number)
{
    return number == SYS_fallocate ? -ENOSPC : 0;
}

Test(budget, full_ledger_is_no_harm, .init = begin_recorder, .fini = scratch_remove)
{
    struct ullage_budget *all[100];
    all[0] = make(100);
    ull_sys_inject = no_room;
    for (int i = 1; i < 100; i++) {
        all[i] = make(100);
        cr_assert_eq(ullage_budget_charge(all[i], 100), 0);
    }
    ull_sys_inject = NULL;
    cr_assert_neq(ull_budget_index(all[0]), 0);
    cr_assert_eq(ull_budget_index(all[99]), 0);
    cr_assert_eq(all[99]->listing, ULL_BUDGET_UNLISTABLE);
}

/* ---- fork ---- */

static int status_of(pid_t child)
{
    int status = -1;
    waitpid(child, &status, 0);
    return status;
}

/* In the child: what is charged stays, the parent's entry and descriptor are left alone. Returns its exit status. */
static int child_of(struct ullage_budget *b, int parents_fd, const struct ull_budget_entry *parents)
{
    int first = ullage_budget_event_fd(b);
    ullage_budget_release(b, 10);
    if (ullage_budget_used(b) != 90 || ullage_budget_peak(b) != 100)
        return 1;
    if (!readable(first) || readable(parents_fd)) /* the parent was refused just before it forked */
        return 2;
    drain(first);
    if (b->entry == parents || b->entry == NULL || b->entry->used_bytes != 90 || b->entry->peak_bytes != 100)
        return 3;
    int fd = ullage_budget_event_fd(b);
    if (fd != first || fd == parents_fd || ullage_budget_charge(b, 11) != -ENOBUFS)
        return 4;
    ullage_budget_release(b, 1);
    if (!readable(fd) || readable(parents_fd))
        return 5;
    return ullage_budget_charge_wait(b, 50, 10) == -ETIMEDOUT ? 0 : 6;
}

static void forks(pid_t (*fork_now)(void))
{
    struct ullage_budget *b = make(100);
    const struct ull_budget_entry *entry = entry_of(b);
    int fd = ullage_budget_event_fd(b);
    struct waiter waiter = { .b = b, .bytes = 1 };
    ullage_budget_charge(b, 100);
    cr_assert_eq(ullage_budget_charge(b, 1), -ENOBUFS);
    pthread_create(&waiter.thread, NULL, wait_for_ever, &waiter); /* nobody waits in the child */
    until_waits(b, 1);
    pid_t child = fork_now();
    if (child == 0)
        _exit(child_of(b, fd, entry));
    int status = status_of(child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", status);
    cr_assert_eq(entry->used_bytes, 100, "the child does not write the parent's entry");
    cr_assert_not(readable(fd));
    ullage_budget_release(b, 1);
    pthread_join(waiter.thread, NULL);
    cr_assert(readable(fd));
}

static pid_t fork_with_handlers(void)
{
    pthread_atfork(NULL, ull_recorder_after_fork_parent, ull_recorder_after_fork_child); /* as ull_begin_process() */
    return fork();
}

static pid_t fork_bare(void)
{
    return (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}

Test(budget, forked_child_has_the_charges_and_its_own_ledger, .init = begin_recorder, .fini = scratch_remove, .timeout = 20)
{
    forks(fork_with_handlers);
}

Test(budget, child_that_no_handler_told_of_its_fork_finds_out, .init = begin_recorder, .fini = scratch_remove, .timeout = 20)
{
    forks(fork_bare);
}

static long no_files(long number)
{
    return number == SYS_openat ? -EACCES : 0;
}

Test(budget, child_that_has_no_ledger_leaves_the_parents_alone, .init = begin_recorder, .fini = scratch_remove, .timeout = 20)
{
    struct ullage_budget *b = make(100);
    const struct ull_budget_entry *entry = entry_of(b);
    ullage_budget_charge(b, 60);
    pid_t child = fork_with_handlers();
    if (child == 0) {
        ull_sys_inject = no_files;
        ullage_budget_release(b, 20);
        _exit(ullage_budget_used(b) == 40 && ull_budget_index(b) == 0 ? 0 : 1);
    }
    int status = status_of(child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", status);
    cr_assert_eq(entry->used_bytes, 60);
}
