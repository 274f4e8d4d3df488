/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_pool_failures.c - each system call of the allocator fails in its turn: the first, the second, ... until a fixed piece
 * of work makes no more of them. Whatever fails, nobody crashes, a get that cannot be served says ENOMEM, contents stay, and
 * once the kernel gives again all works.
 */
#include "config.h"

#include "base/sys.h"
#include "pooled.h"
#include "scratch.h"
#include "ullage/buffer.h"
#include "ullage/pool.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <sys/syscall.h>

#define MIB ((size_t)1 << 20)

TestSuite(failures, .init = scratch_make, .fini = scratch_remove, .timeout = 120);

/* ---- which call fails ---- */

static struct {
    long number;     /* of the calls that are counted */
    unsigned at;     /* the one that fails, and */
    unsigned many;   /* how many from there on */
    unsigned seen;   /* atomic */
    unsigned failed; /* atomic */
} inject;

static long fail_in_turn(long number)
{
    if (number != inject.number)
        return 0;
    unsigned seen = __atomic_add_fetch(&inject.seen, 1, __ATOMIC_RELAXED);
    if (seen < inject.at || seen - inject.at >= inject.many)
        return 0;
    __atomic_add_fetch(&inject.failed, 1, __ATOMIC_RELAXED);
    return number == SYS_madvise ? -EAGAIN : -ENOMEM;
}

static void begin_to_fail(long number, unsigned at, unsigned many)
{
    inject.number = number;
    inject.at = at;
    inject.many = many;
    inject.seen = inject.failed = 0;
    ull_sys_inject = fail_in_turn;
}

static void end_failing(void)
{
    ull_sys_inject = NULL;
}

/* ---- the work ---- */

enum { HELD = 60 };

static struct {
    unsigned char *p;
    size_t bytes;
} held[HELD];

static size_t bytes_of(int i)
{
    return i == 14 ? 65 * MIB : i % 6 == 5 ? MIB / 2 + 1000 : 300 * (size_t)(i * i + 1) % 200000 + 1;
}

/* A get that fails says why. */
static bool was_given(const void *p)
{
    cr_assert(p != NULL || errno == ENOMEM, "%s", strerror(errno));
    return p != NULL;
}

static void get_all(void)
{
    for (int i = 0; i < HELD; i++) {
        size_t bytes = bytes_of(i);
        errno = 0;
        held[i].p = i % 3 == 0 ? ullage_calloc(1, bytes) : i % 3 == 1 ? ullage_aligned_alloc(4096, bytes) : ullage_malloc(bytes);
        held[i].bytes = bytes;
        if (!was_given(held[i].p))
            continue;
        cr_assert(i % 3 != 0 || is_zero(held[i].p, bytes), "calloc of %zu", bytes);
        stamp(held[i].p, bytes, (uint64_t)i);
    }
}

static void resize_some(void)
{
    for (int i = 0; i < HELD; i += 4) {
        size_t bytes = bytes_of(i) * 3;
        if (held[i].p == NULL)
            continue;
        unsigned char *p = ullage_realloc(held[i].p, bytes);
        if (was_given(p)) {
            uint64_t word;
            memcpy(&word, p, 8);
            cr_assert(bytes_of(i) < 8 || word == stamp_at((uint64_t)i, 0) || bytes_of(i) < 16);
            held[i].p = p;
            held[i].bytes = bytes;
            stamp(p, bytes, (uint64_t)i);
        }
    }
}

static void put_all(void)
{
    for (int i = 0; i < HELD; i++) {
        if (held[i].p == NULL)
            continue;
        cr_assert(is_stamped(held[i].p, held[i].bytes, (uint64_t)i), "%d of %zu", i, held[i].bytes);
        if (i % 2 != 0)
            ullage_free(held[i].p);
        else
            ullage_free_used(held[i].p, held[i].bytes);
    }
}

static void *work_in_thread(void *argument)
{
    void *p[40];
    for (int i = 0; i < 40; i++)
        p[i] = ullage_malloc(3000);
    for (int i = 0; i < 40; i++)
        ullage_free(p[i]);
    pthread_barrier_wait(argument); /* full magazines, whose owner sleeps */
    pthread_barrier_wait(argument);
    return NULL;
}

static int inits, finis;

static int init(void *ctx, void *object)
{
    (void)ctx;
    *(int *)object = 5;
    inits++;
    return 0;
}

static void fini(void *ctx, void *object)
{
    (void)ctx;
    cr_assert_eq(*(int *)object, 5);
    finis++;
}

static void use_pool(void)
{
    struct ullage_pool_options options = ULLAGE_POOL_OPTIONS_INIT;
    struct ullage_pool *pool;
    void *objects[100];
    options.object_bytes = 9000;
    options.init = init;
    options.fini = fini;
    inits = finis = 0;
    int result = ullage_pool_create(&pool, &options);
    if (result != 0) {
        cr_assert_eq(result, -ENOMEM);
        return;
    }
    for (int i = 0; i < 100; i++)
        (void)was_given(objects[i] = ullage_pool_get(pool));
    for (int i = 0; i < 100; i++)
        ullage_pool_put(pool, objects[i]);
    ullage_pool_trim(pool, 200000);
    ullage_pool_destroy(pool);
    cr_assert_eq(inits, finis, "%d made, %d unmade", inits, finis);
}

static void use_buffers(void)
{
    for (int i = 0; i < 30; i++) {
        struct ullage_buffer *b = ullage_buffer_get_zeroed(i % 2 != 0 ? 0 : 30000);
        if (!was_given(b))
            continue;
        cr_assert(is_zero(ullage_buffer_data(b), ullage_buffer_capacity(b)));
        memset(ullage_buffer_data(b), 4, 1000);
        int result = ullage_buffer_grow(&b, 300000, 1000);
        cr_assert(result == 0 || result == -ENOMEM);
        cr_assert_eq(((char *)ullage_buffer_data(b))[999], 4);
        ullage_buffer_put(b, 1000);
    }
}

static void work(void)
{
    pthread_t thread;
    pthread_barrier_t meeting;
    pthread_barrier_init(&meeting, NULL, 2);
    cr_assert_eq(pthread_create(&thread, NULL, work_in_thread, &meeting), 0);
    get_all();
    resize_some();
    use_pool();
    use_buffers();
    put_all();
    pthread_barrier_wait(&meeting);
    ullage_trim(0);
    pthread_barrier_wait(&meeting);
    pthread_join(thread, NULL);
    ullage_trim(0);
}

/* ---- in turn ---- */

/* In a process that has begun already. */
static void fail_each(long number, unsigned many)
{
    unsigned at = 1;
    work();
    for (; at < 5000; at++) {
        begin_to_fail(number, at, many);
        work();
        end_failing();
        ull_pool_check_all();
        if (inject.failed == 0)
            break;
    }
    cr_assert_gt(at, 1, "none was made at all");
    cr_assert_lt(at, 5000);
    work();
    ull_pool_check_all();
    cr_assert_eq(ullage_retained_bytes(), 0);
}

Test(failures, of_mmap)
{
    fail_each(SYS_mmap, 1);
}

Test(failures, of_madvise)
{
    fail_each(SYS_madvise, 1);
}

Test(failures, of_munmap)
{
    fail_each(SYS_munmap, 1);
}

Test(failures, of_membarrier)
{
    fail_each(SYS_membarrier, 1);
}

/* All from some point on. */
Test(failures, of_mmap_for_long)
{
    fail_each(SYS_mmap, 1000000);
}

Test(failures, of_madvise_for_long)
{
    fail_each(SYS_madvise, 1000000);
}

/* Under ULLAGE_DEBUG guard pages are made. */
Test(failures, of_mprotect)
{
    setenv("ULLAGE_DEBUG", "1", 1);
    begin_to_fail(SYS_mprotect, 1, 7);
    work();
    cr_assert_eq(inject.failed, 7);
    end_failing();
    work();
    ull_pool_check_all();
}

/* From the first call of a process on: in a child each, since it begins once. */
static unsigned turn;

static void begin_and_work(void)
{
    begin_to_fail(turn % 2 != 0 ? SYS_mmap : SYS_madvise, 1 + turn / 4, turn / 2 % 2 != 0 ? 1 : 1000000);
    work();
    end_failing();
    work();
    work();
    ull_pool_check_all();
    _exit(inject.failed == 0 ? 8 : 7);
}

Test(failures, of_the_beginning)
{
    char said[4000];
    int without = 0;
    for (turn = 0; turn < 160 && without < 8; turn++) {
        int status = in_child(begin_and_work, said, sizeof said);
        cr_assert(WIFEXITED(status) && (WEXITSTATUS(status) == 7 || WEXITSTATUS(status) == 8), "turn %u: status %x, %s", turn, status, said);
        without = WEXITSTATUS(status) == 8 ? without + 1 : 0;
    }
}

/* ---- forks in the midst of it ---- */

/* A child asks for buffers, gives them back, and finds its books in order; a hang ends in SIGALRM. Returns what wait(2) says. */
static int fork_and_work(void)
{
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
        alarm(5);
        work();
        ull_pool_check_all();
        _exit(0);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    return status;
}

static struct {
    uint32_t reached, go_on; /* atomic */
} first_call;

/* The first call's first mmap: locks are held then, and nothing yet tells a child that it is one. */
static long stop_there(long number)
{
    if (number != SYS_mmap || __atomic_exchange_n(&first_call.reached, 1, __ATOMIC_ACQ_REL) != 0)
        return 0;
    while (__atomic_load_n(&first_call.go_on, __ATOMIC_ACQUIRE) == 0)
        usleep(1000);
    return 0;
}

static void *make_the_first_call(void *unused)
{
    ullage_free(ullage_malloc(1000));
    return unused;
}

Test(failures, a_fork_while_another_thread_is_at_the_first_call, .timeout = 30)
{
    pthread_t thread;
    ull_begin_if_needed();
    ull_begin_process();
    ull_sys_inject = stop_there;
    cr_assert_eq(pthread_create(&thread, NULL, make_the_first_call, NULL), 0);
    while (__atomic_load_n(&first_call.reached, __ATOMIC_ACQUIRE) == 0)
        usleep(1000);
    ull_sys_inject = NULL;
    int status = fork_and_work();
    __atomic_store_n(&first_call.go_on, 1, __ATOMIC_RELEASE);
    pthread_join(thread, NULL);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", status);
    work();
    ull_pool_check_all();
}

static void *begin_and_stay(void *meeting)
{
    void *p = ullage_malloc(1000);
    pthread_barrier_wait(meeting); /* it has begun, before the one that forked came back to us */
    pthread_barrier_wait(meeting);
    ullage_free(p);
    return NULL;
}

/* The memory of the thread that forked is that thread's, also where another one of the child comes first. */
Test(failures, a_new_thread_of_a_child_begins_before_the_one_that_forked)
{
    int status = -1;
    work();
    pid_t child = fork();
    if (child == 0) {
        pthread_t thread;
        pthread_barrier_t meeting;
        alarm(5);
        pthread_barrier_init(&meeting, NULL, 2);
        if (pthread_create(&thread, NULL, begin_and_stay, &meeting) != 0)
            _exit(1);
        pthread_barrier_wait(&meeting);
        const struct ull_pool_thread *others = ull_thread_memory(0)->kind != ULL_THREAD_NONE ? ull_thread_memory(0) : NULL;
        void *p = ullage_malloc(1000);
        if (p == NULL || others == ull_pool_self)
            _exit(2);
        ullage_free(p);
        pthread_barrier_wait(&meeting);
        pthread_join(thread, NULL);
        ull_pool_check_all();
        _exit(0);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", status);
}

/* Books that the kernel will not empty in a child: the child must not go on with its parent's magazines. */
static void begin_without_one_and_fork(void)
{
    begin_to_fail(SYS_madvise, turn, 1);
    ull_begin_if_needed();
    ull_begin_process(); /* what tells a child of fork(3) where the kernel empties nothing */
    work();
    end_failing();
    work();
    _exit(fork_and_work() == 0 ? 7 : 9);
}

Test(failures, a_fork_after_advice_that_was_refused)
{
    char said[4000];
    for (turn = 1; turn < 12; turn++) {
        int status = in_child(begin_without_one_and_fork, said, sizeof said);
        cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 7, "turn %u: status %x, %s", turn, status, said);
    }
}

/* Memory that the kernel does not take back is not as it gave it. */
Test(failures, memory_that_stays_is_not_zero)
{
    static const size_t sizes[] = { 4096, 65536, 300000, MIB };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        unsigned char *stays = ullage_malloc(sizes[i]); /* and its slab */
        void *p[20];
        for (int n = 0; n < 20; n++)
            memset(p[n] = ullage_malloc(sizes[i]), 0x99, sizes[i]);
        for (int n = 0; n < 20; n++)
            ullage_free_used(p[n], n % 2 != 0 ? sizes[i] : 4096);
        begin_to_fail(SYS_madvise, 1, 1000000);
        ullage_trim(0);
        end_failing();
        for (int n = 0; n < 20; n++) {
            p[n] = ullage_calloc(1, sizes[i]);
            cr_assert(is_zero(p[n], sizes[i]), "%zu, %d", sizes[i], n);
        }
        for (int n = 0; n < 20; n++)
            ullage_free(p[n]);
        ullage_free(stays);
    }
    ull_pool_check_all();
}
