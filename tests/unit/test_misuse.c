/* SPDX-License-Identifier: BSD-2-Clause */
/* test_misuse.c - what is said of a misuse, to whom, and whether the program ends. Criterion runs each test in a process. */
#include "config.h"

#include "base/misuse.h"

#include "base/sys.h"
#include "ullage/alloc.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

_Static_assert((int)ULL_MISUSE_ABORT == (int)ULLAGE_MISUSE_ABORT, "one meaning");
_Static_assert((int)ULL_MISUSE_REPORT == (int)ULLAGE_MISUSE_REPORT, "one meaning");

struct heard {
    int times;
    char text[600];
};

static void hear(void *ctx, const char *what)
{
    struct heard *heard = ctx;
    heard->times++;
    errno = EPERM;
    strncpy(heard->text, what, sizeof heard->text - 1);
}

/* Runs @body in a child whose standard error is a pipe. Returns what wait(2) says; @said: what it wrote. */
static int in_child(void (*body)(void), char *said, size_t room)
{
    int pipes[2], status;
    cr_assert_eq(pipe(pipes), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(pipes[1], STDERR_FILENO);
        body();
        _exit(7);
    }
    close(pipes[1]);
    ssize_t length = 0, got;
    while ((got = read(pipes[0], said + length, room - 1 - (size_t)length)) > 0)
        length += got;
    said[length] = '\0';
    close(pipes[0]);
    waitpid(child, &status, 0);
    return status;
}

static void misuse_once(void)
{
    ull_misuse("release of %zu bytes, of which %d are charged: release once", (size_t)300, 100);
}

Test(misuse, ends_the_program_with_one_line)
{
    char said[1200];
    int status = in_child(misuse_once, said, sizeof said);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "status %x", status);
    cr_assert_str_eq(said, "ullage: misuse: release of 300 bytes, of which 100 are charged: release once\n");
}

static void report_twice(void)
{
    ull_misuse_policy(ULL_MISUSE_REPORT, NULL, NULL);
    misuse_once();
    misuse_once();
}

Test(misuse, goes_on_where_reports_are_wanted)
{
    char said[1200];
    int status = in_child(report_twice, said, sizeof said);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 7, "status %x", status);
    const char *first_end = strchr(said, '\n');
    cr_assert_not_null(first_end);
    cr_assert_eq(strlen(said), 2 * (size_t)(first_end + 1 - said), "'%s'", said);
}

static void report_with_abort_in_environment(void)
{
    setenv("ULLAGE_MISUSE", "abort", 1);
    report_twice();
}

static void abort_with_report_in_environment(void)
{
    setenv("ULLAGE_MISUSE", "report", 1);
    ull_misuse_policy(ULL_MISUSE_ABORT, NULL, NULL);
    misuse_once();
}

static void environment_that_means_nothing(void)
{
    setenv("ULLAGE_MISUSE", "perhaps", 1);
    misuse_once();
}

Test(misuse, environment_comes_first)
{
    char said[1200];
    cr_assert(WIFSIGNALED(in_child(report_with_abort_in_environment, said, sizeof said)));
    cr_assert(WIFEXITED(in_child(abort_with_report_in_environment, said, sizeof said)));
    cr_assert(WIFSIGNALED(in_child(environment_that_means_nothing, said, sizeof said)), "the policy's default stands");
}

Test(misuse, callback_hears_it_and_standard_error_does_not)
{
    struct heard heard = { 0 };
    uint64_t before = ull_misuse_count;
    ull_misuse_policy(ULL_MISUSE_REPORT, hear, &heard);
    errno = EXDEV;
    ull_misuse("a second free of %p: free it once", (void *)0x1234);
    cr_assert_eq(errno, EXDEV);
    cr_assert_eq(heard.times, 1);
    cr_assert_str_eq(heard.text, "a second free of 0x1234: free it once");
    cr_assert_eq(ull_misuse_count, before + 1);
    ull_misuse_policy(ULL_MISUSE_REPORT, NULL, NULL);
    ull_misuse("unheard: look at standard error");
    cr_assert_eq(heard.times, 1);
}

static void callback_and_abort(void)
{
    static struct heard heard;
    ull_misuse_policy(ULL_MISUSE_ABORT, hear, &heard);
    misuse_once();
}

Test(misuse, callback_alone_does_not_save_the_program)
{
    char said[1200];
    cr_assert(WIFSIGNALED(in_child(callback_and_abort, said, sizeof said)));
    cr_assert_str_eq(said, "");
}

Test(misuse, long_text_is_cut_and_ends_its_line)
{
    struct heard heard = { 0 };
    char text[2000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    ull_misuse_policy(ULL_MISUSE_REPORT, hear, &heard);
    ull_misuse("%s", text);
    cr_assert_eq(strlen(heard.text), 511);
}

static int writes;

static long interrupted_write(long number)
{
    return number == SYS_write && ++writes == 1 ? -EINTR : 0;
}

static void report_through_an_interruption(void)
{
    ull_sys_inject = interrupted_write;
    ull_misuse_policy(ULL_MISUSE_REPORT, NULL, NULL);
    misuse_once();
}

static long no_write(long number)
{
    return number == SYS_write ? -EPIPE : 0;
}

static void report_to_nobody(void)
{
    ull_sys_inject = no_write;
    ull_misuse_policy(ULL_MISUSE_REPORT, NULL, NULL);
    misuse_once();
}

Test(misuse, line_survives_an_interruption_and_a_closed_standard_error_is_no_harm, .timeout = 20)
{
    char said[1200];
    cr_assert(WIFEXITED(in_child(report_through_an_interruption, said, sizeof said)));
    cr_assert_not_null(strstr(said, "release once\n"));
    cr_assert(WIFEXITED(in_child(report_to_nobody, said, sizeof said)));
    cr_assert_str_eq(said, "");
}
