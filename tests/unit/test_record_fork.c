/* SPDX-License-Identifier: BSD-2-Clause */
/* Readers in a forked child: its own work, whatever the parent's threads were at. */
#include "config.h"

#include "marked.h"

#include "measure/begin.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(record_fork, .init = scratch_make, .fini = scratch_remove, .timeout = 60);

enum { FORKS = 150, READERS = 60, RECORD = 20000 };

static struct ullage_budget *budget;
static uint32_t stop; /* atomic */

static int count_one(void *ctx, const struct ullage_record *record)
{
    (void)record;
    ++*(int *)ctx;
    return 0;
}

/* 0, or what went wrong. */
static int read_some(void)
{
    static struct ullage_reader *readers[READERS];
    static uint8_t stream[104];
    struct ullage_reader_options options = ULLAGE_READER_OPTIONS_INIT;
    int count = 0;
    size_t taken;
    options.budget = budget;
    options.max_record_bytes = RECORD;
    marked_put_marker(stream, 100, true);
    for (int i = 0; i < READERS; i++)
        if (ullage_reader_create(&readers[i], &options) != 0)
            return 1;
    for (int i = 0; i < READERS; i++)
        if (ullage_reader_feed(readers[i], stream, 60, &taken, count_one, &count) != 0
            || ullage_reader_feed(readers[i], stream + 60, sizeof stream - 60, &taken, count_one, &count) != 0)
            return 2;
    for (int i = 0; i < READERS; i++)
        ullage_reader_destroy(readers[i]);
    return count == READERS ? 0 : 3;
}

static void *read_on(void *unused)
{
    (void)unused;
    struct ullage_reader_options options = ULLAGE_READER_OPTIONS_INIT;
    options.budget = budget;
    options.max_record_bytes = RECORD;
    while (__atomic_load_n(&stop, __ATOMIC_ACQUIRE) == 0) {
        struct ullage_reader *r[50];
        static const uint8_t half[] = { 0x80, 0, 0, 200, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4 };
        size_t taken;
        int count = 0;
        for (int i = 0; i < 50; i++)
            if (ullage_reader_create(&r[i], &options) != 0 || ullage_reader_feed(r[i], half, sizeof half, &taken, count_one, &count) != 0)
                abort();
        for (int i = 0; i < 50; i++)
            ullage_reader_destroy(r[i]);
    }
    return NULL;
}

static int in_a_child(int (*body)(void))
{
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
        alarm(10);
        _exit(body());
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    return status;
}

static void begin(size_t budget_bytes)
{
    ull_begin_if_needed();
    ull_begin_process(); /* what tells a child */
    cr_assert_eq(ullage_budget_create(&budget, budget_bytes), 0);
    cr_assert_eq(read_some(), 0);
}

Test(record_fork, while_another_thread_opens_and_closes_readers)
{
    pthread_t thread;
    begin((size_t)8 << 20);
    cr_assert_eq(pthread_create(&thread, NULL, read_on, NULL), 0);
    for (int i = 0; i < FORKS; i++) {
        int status = in_a_child(read_some);
        cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "child %d: status %x", i, status);
    }
    __atomic_store_n(&stop, 1U, __ATOMIC_RELEASE);
    pthread_join(thread, NULL);
    cr_assert_eq(ullage_budget_used(budget), 0);
}

static struct ullage_reader *inherited;

/* The parent's started record holds back nobody here, where it will never be finished; and its reader may be destroyed. */
static int be_the_oldest(void)
{
    static uint8_t stream[RECORD + 4];
    struct ullage_reader_options options = ULLAGE_READER_OPTIONS_INIT;
    struct ullage_reader *r;
    int count = 0;
    size_t taken;
    options.budget = budget;
    options.max_record_bytes = RECORD;
    marked_put_marker(stream, RECORD, true);
    if (ullage_reader_create(&r, &options) != 0)
        return 1;
    for (size_t at = 0; at < sizeof stream; at += taken)
        if (ullage_reader_feed(r, stream + at, sizeof stream - at < 1000 ? sizeof stream - at : 1000, &taken, count_one, &count) != 0)
            return 2;
    ullage_reader_destroy(inherited);
    ullage_reader_destroy(r);
    return count == 1 && ullage_budget_used(budget) == 0 ? 0 : 3;
}

Test(record_fork, a_record_that_the_parent_started_holds_back_nobody)
{
    static const uint8_t half[1000] = { 0x80, 0, 0x4e, 0x20 };
    struct ullage_reader_options options = ULLAGE_READER_OPTIONS_INIT;
    int count = 0;
    size_t taken;
    begin(60000);
    options.budget = budget;
    options.max_record_bytes = RECORD;
    cr_assert_eq(ullage_reader_create(&inherited, &options), 0);
    cr_assert_eq(ullage_reader_feed(inherited, half, sizeof half, &taken, count_one, &count), 0);
    int status = in_a_child(be_the_oldest);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", status);
    ullage_reader_destroy(inherited);
    cr_assert_eq(ullage_budget_used(budget), 0);
    ullage_budget_destroy(budget);
}
