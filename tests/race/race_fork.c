/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * race_fork.c - forks while all threads are in the allocator, and signal handlers that call it.
 *
 * A child finds every lock of the allocator as some thread of its parent left it, and magazines half changed. It must find
 * its buffers with what was in them, be able to free them, and get new ones; so must its own children and threads, and
 * children that no handler of libc's runs in. Whoever hangs is ended by an alarm, and told of.
 */
#include "config.h"

#include "base/sys.h"
#include "pooled.h"
#include "scratch.h"
#include "ullage/buffer.h"
#include "ullage/pool.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

#include "tap.h"

#ifdef ULL_DEBUG_CHECKS
enum { FORKS = 40, CLONES = 20, HANDLERS_MS = 1500 }; /* sanitizers */
#else
enum { FORKS = 210, CLONES = 150, HANDLERS_MS = 2000 };
#endif
#ifdef __SANITIZE_THREAD__
enum { CHILDREN = false }; /* ThreadSanitizer takes the parent's threads for theirs */
#else
enum { CHILDREN = true };
#endif
enum { THREADS = 4, KEPT = 64, CHILD_SECONDS = 20, HUNG_SECONDS = 280 };

static uint32_t stop;    /* atomic */
static uint64_t spoiled; /* buffers of threads whose pattern was not theirs; atomic */
static struct ullage_pool *pool;

static uint32_t draw(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*state >> 33);
}

/* ---- those who are in the allocator when others fork ---- */

static size_t draw_bytes(uint64_t *state)
{
    return draw(state) % 10 != 0 ? 64 + draw(state) % 20000 : 100000 + draw(state) % 400000;
}

static void *churn(void *argument)
{
    struct {
        void *p;
        size_t bytes;
    } held[50] = { 0 };
    uint64_t state = (uintptr_t)argument;
    while (!ull_load_relaxed(&stop)) {
        uint32_t i = draw(&state) % 50, what = draw(&state) % 500;
        if (held[i].p != NULL && !is_stamped(held[i].p, held[i].bytes, i))
            ull_add_relaxed(&spoiled, UINT64_C(1));
        if (held[i].p != NULL)
            ullage_free(held[i].p);
        held[i].bytes = draw_bytes(&state);
        held[i].p = ullage_malloc(held[i].bytes);
        if (held[i].p != NULL)
            stamp(held[i].p, held[i].bytes, i);
        ullage_pool_put(pool, ullage_pool_get(pool));
        if (what == 0)
            ullage_trim(draw(&state) % 1000000);
    }
    for (int i = 0; i < 50; i++)
        ullage_free(held[i].p);
    return NULL;
}

static pthread_t churners[THREADS];

static void start_churning(void)
{
    ull_store_relaxed(&stop, 0U);
    for (uintptr_t i = 0; i < THREADS; i++)
        pthread_create(&churners[i], NULL, churn, (void *)(i + 1));
}

static void end_churning(void)
{
    ull_store_relaxed(&stop, 1U);
    for (int i = 0; i < THREADS; i++)
        pthread_join(churners[i], NULL);
}

/* ---- what a child does ---- */

/* What it inherits. */
static struct {
    char *p;
    size_t bytes;
} kept[KEPT];

static void get_kept(uint64_t seed)
{
    uint64_t state = seed;
    for (int i = 0; i < KEPT; i++) {
        kept[i].bytes = draw_bytes(&state);
        kept[i].p = ullage_malloc(kept[i].bytes);
        stamp(kept[i].p, kept[i].bytes, (uint64_t)i);
    }
}

static void put_kept(void)
{
    for (int i = 0; i < KEPT; i++)
        ullage_free(kept[i].p);
}

enum { WELL, LOST_CONTENTS, GOT_NONE, GOT_TWICE, NOT_ZERO, BOOKS_WRONG, THREAD_FAILED, CHILD_FAILED };

static int find_kept(void)
{
    for (int i = 0; i < KEPT; i++)
        if (!is_stamped(kept[i].p, kept[i].bytes, (uint64_t)i))
            return LOST_CONTENTS;
    return WELL;
}

/* Many at once, so that two places that have one buffer show. */
static int get_many(uint64_t seed)
{
    enum { MANY = 300 };
    static __thread char *p[MANY];
    static __thread size_t bytes[MANY];
    uint64_t state = seed;
    for (int i = 0; i < MANY; i++) {
        bytes[i] = 64 + draw(&state) % (i % 60 == 0 ? 400000 : 12000);
        p[i] = i % 5 == 0 ? ullage_calloc(1, bytes[i]) : ullage_malloc(bytes[i]);
        if (p[i] == NULL)
            return GOT_NONE;
        if (i % 5 == 0 && !is_zero(p[i], bytes[i]))
            return NOT_ZERO;
        stamp(p[i], bytes[i], seed + (uint64_t)i);
    }
    for (int i = 0; i < MANY; i++)
        if (!is_stamped(p[i], bytes[i], seed + (uint64_t)i))
            return GOT_TWICE;
    for (int i = 0; i < MANY; i++)
        ullage_free(p[i]);
    return WELL;
}

static void *get_many_in_thread(void *argument)
{
    return (void *)(intptr_t)get_many((uintptr_t)argument);
}

static int get_many_in_threads(void)
{
    pthread_t threads[3];
    void *result = NULL;
    int worst = WELL;
    for (uintptr_t i = 0; i < 3; i++)
        if (pthread_create(&threads[i], NULL, get_many_in_thread, (void *)(i + 77)) != 0)
            return THREAD_FAILED;
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], &result);
        if (result != NULL)
            worst = (int)(intptr_t)result;
    }
    return worst;
}

static int be_a_child(unsigned number, bool may_fork, bool may_thread);

static int fork_again(unsigned number)
{
    int status = -1;
    pid_t child = fork();
    if (child == 0)
        _exit(be_a_child(number, false, true));
    if (child < 0 || waitpid(child, &status, 0) != child)
        return CHILD_FAILED;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? WELL : CHILD_FAILED;
}

/* In another order each time: what comes first is what finds the books of the parent. */
static int be_a_child(unsigned number, bool may_fork, bool may_thread)
{
    int result = WELL;
#if defined(__SANITIZE_ADDRESS__)
    may_thread = false; /* pthread_create() calls calloc, whose lock another thread of the parent may have held */
#endif
    alarm(CHILD_SECONDS);
    if (number % 5 == 1 && may_thread)
        result = get_many_in_threads();
    if (result == WELL && number % 5 == 2 && may_fork)
        result = fork_again(number);
    if (result == WELL && number % 5 == 3)
        ullage_trim(0);
    if (result == WELL && number % 5 == 4)
        result = get_many(number);
    if (result == WELL)
        result = find_kept();
    put_kept();
    ullage_pool_put(pool, ullage_pool_get(pool));
    if (result == WELL)
        result = get_many(number + 1);
    if (result == WELL && number % 7 == 0 && may_thread)
        result = get_many_in_threads();
    return result != WELL ? result : every_buffer_is_once() ? WELL : BOOKS_WRONG;
}

/* ---- children, one after the other ---- */

static struct {
    unsigned ended, hung, killed, by_result[CHILD_FAILED + 1];
} children;

static void wait_for(pid_t child)
{
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    children.ended++;
    if (WIFSIGNALED(status)) {
        children.hung += WTERMSIG(status) == SIGALRM;
        children.killed += WTERMSIG(status) != SIGALRM;
    } else {
        children.by_result[WEXITSTATUS(status) <= CHILD_FAILED ? WEXITSTATUS(status) : CHILD_FAILED]++;
    }
}

static void tell(const char *of)
{
    tap_ok(children.by_result[WELL] == children.ended && children.ended > 0,
        "%u %s: %u hung, %u were killed, %u lost contents, %u got none, %u got one twice, %u not zero, books of %u are wrong, "
        "%u failed otherwise", children.ended, of, children.hung, children.killed, children.by_result[LOST_CONTENTS],
        children.by_result[GOT_NONE], children.by_result[GOT_TWICE], children.by_result[NOT_ZERO],
        children.by_result[BOOKS_WRONG], children.by_result[THREAD_FAILED] + children.by_result[CHILD_FAILED]);
    memset(&children, 0, sizeof children);
}

static void fork_part(void)
{
    start_churning();
    for (unsigned i = 0; i < FORKS && children.hung < 3; i++) {
        get_kept(i);
        fflush(stdout);
        pid_t child = fork();
        if (child == 0)
            _exit(be_a_child(i, true, true));
        put_kept();
        wait_for(child);
    }
    end_churning();
    tell("children of fork(2)");
    tap_ok(spoiled == 0 && every_buffer_is_once(), "their parent has every buffer in one place");
}

/* No handler of libc's runs, nor of ours: only the kernel tells, by the pages that it empties. */
static void clone_part(void)
{
    start_churning();
    for (unsigned i = 0; i < CLONES && children.hung < 3; i++) {
        get_kept(i);
        fflush(stdout);
        pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
        if (child == 0)
            syscall(SYS_exit_group, be_a_child(i, false, false));
        put_kept();
        wait_for(child);
    }
    end_churning();
    tell("children of bare clone(2)");
    tap_ok(spoiled == 0 && every_buffer_is_once(), "their parent has every buffer in one place");
}

/* Several threads fork at once. */
static void *fork_some(void *argument)
{
    intptr_t failed = 0;
    uint64_t state = (uintptr_t)argument;
    for (int i = 0; i < FORKS / 8; i++) {
        size_t bytes = draw_bytes(&state);
        char *mine = ullage_malloc(bytes);
        int status = -1;
        stamp(mine, bytes, bytes);
        pid_t child = fork();
        if (child == 0) {
            alarm(CHILD_SECONDS);
            int result = is_stamped(mine, bytes, bytes) ? get_many((uintptr_t)argument) : LOST_CONTENTS;
            ullage_free(mine);
            _exit(result);
        }
        ullage_free(mine);
        failed += waitpid(child, &status, 0) != child || status != 0;
    }
    return (void *)failed;
}

static void fork_at_once_part(void)
{
    pthread_t threads[THREADS];
    intptr_t failed = 0;
    void *result;
    start_churning();
    for (uintptr_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, fork_some, (void *)(i + 1));
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], &result);
        failed += (intptr_t)result;
    }
    end_churning();
    tap_ok(failed == 0, "%d children of threads that fork at once: %ld failed", THREADS * (FORKS / 8), (long)failed);
    tap_ok(spoiled == 0 && every_buffer_is_once(), "their parent has every buffer in one place");
}

/* ---- signal handlers ---- */

static struct {
    uint64_t calls, gets, refused, other; /* atomic */
    void *left;                           /* got by a handler, for another to put; atomic */
} handled;

static void take_and_leave(void *p)
{
    if (p != NULL) {
        *(volatile char *)p = 1;
        ull_add_relaxed(&handled.gets, UINT64_C(1));
    } else {
        ull_add_relaxed(errno == EDEADLK ? &handled.refused : &handled.other, UINT64_C(1));
    }
    ullage_free(ull_exchange_acq_rel(&handled.left, p));
}

static void on_alarm(int number)
{
    int kept_errno = errno;
    uint64_t turn = ull_add_relaxed(&handled.calls, UINT64_C(1));
    (void)number;
    switch (turn % 6) {
    case 0:
        take_and_leave(ullage_malloc(1000 + turn % 5000)); /* other sizes at one place */
        break;
    case 1:
        take_and_leave(ullage_calloc(1, 70000));
        break;
    case 2:
        take_and_leave(ullage_realloc(NULL, 200));
        break;
    case 3:
        ullage_free_used(ullage_malloc(5000), 10);
        break;
    case 4:
        ullage_pool_put(pool, ullage_pool_get(pool));
        break;
    default:
        if (turn % 60 == 5)
            ullage_trim(0);
        ullage_note_used(NULL, 0);
        ullage_buffer_put(ullage_buffer_get(0), 100);
    }
    errno = kept_errno;
}

static void set_timer(long microseconds)
{
    const struct itimerval timer = { { 0, microseconds }, { 0, microseconds } };
    setitimer(ITIMER_REAL, &timer, NULL);
}

static void block_alarms(int how)
{
    sigset_t alarms;
    sigemptyset(&alarms);
    sigaddset(&alarms, SIGALRM);
    pthread_sigmask(how, &alarms, NULL);
}

/* Threads that begin and end, so that handlers come while books are made and left too. */
static void *churn_shortly(void *argument)
{
    uint64_t state = (uintptr_t)argument;
    void *p[60];
    for (int i = 0; i < 60; i++)
        p[i] = ullage_malloc(draw_bytes(&state));
    for (int i = 0; i < 60; i++)
        ullage_free(p[i]);
    return NULL;
}

static void handler_part(void)
{
    struct sigaction action = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
    struct ullage_pool_counts counts = { .size = sizeof counts };
    uint64_t until = ull_sys_precise_ns() + HANDLERS_MS * UINT64_C(1000000), state = 9;
    sigaction(SIGALRM, &action, NULL);
    start_churning();
    set_timer(50);
    while (ull_sys_precise_ns() < until) {
        pthread_t threads[3];
        for (uintptr_t i = 0; i < 3; i++)
            pthread_create(&threads[i], NULL, churn_shortly, (void *)(uintptr_t)draw(&state));
        for (int i = 0; i < 3; i++)
            pthread_join(threads[i], NULL);
        get_kept(draw(&state));
        ullage_pool_counts(pool, &counts);
        put_kept();
        for (int i = 0; i < 20 * THREADS; i++)
            pthread_kill(churners[i % THREADS], SIGALRM);
        block_alarms(draw(&state) % 2 != 0 ? SIG_BLOCK : SIG_UNBLOCK); /* the timer's go to this thread else */
    }
    set_timer(0);
    block_alarms(SIG_UNBLOCK);
    end_churning();
    ullage_free(ull_exchange_acq_rel(&handled.left, NULL));
    for (int i = 0; i < 1000; i++) /* what handlers had to leave behind is done by slow paths */
        ullage_free(ullage_malloc(200000));
    ullage_trim(0);
    tap_ok(handled.gets > 0 && handled.other == 0, "%lu signal handlers: %lu got buffers, %lu were refused, %lu failed otherwise",
        (unsigned long)handled.calls, (unsigned long)handled.gets, (unsigned long)handled.refused, (unsigned long)handled.other);
    ullage_pool_counts(pool, &counts);
    tap_ok(counts.out == 0, "%lu objects are out", (unsigned long)counts.out);
    tap_ok(spoiled == 0 && every_buffer_is_once() && ullage_retained_bytes() == 0, "every buffer is in one place, %zu idle",
        ullage_retained_bytes());
}

/* Who hangs is told by name: SIGALRM is a part's own. */
static void *watch_over(void *argument)
{
    const struct timespec patience = { HUNG_SECONDS, 0 };
    (void)argument;
    nanosleep(&patience, NULL);
    printf("Bail out! hung after %d results\n", tap_count);
    fflush(stdout);
    _exit(1);
}

int main(void)
{
    struct ullage_pool_options options = ULLAGE_POOL_OPTIONS_INIT;
    pthread_t watcher;
    options.object_bytes = 3000;
    scratch_make();
    block_alarms(SIG_BLOCK);
    pthread_create(&watcher, NULL, watch_over, NULL);
    block_alarms(SIG_UNBLOCK);
    if (!CHILDREN) /* libunwind's own destructors come after ThreadSanitizer's */
        setenv("ULLAGE_UNWINDER", "libgcc", 1);
    ull_begin_if_needed();
    ull_begin_process();
    if (ullage_pool_create(&pool, &options) != 0)
        return 1;
    if (CHILDREN) {
        fork_part();
        clone_part();
        fork_at_once_part();
    }
    handler_part();
    scratch_remove();
    return tap_done();
}
