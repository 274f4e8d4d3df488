/* SPDX-License-Identifier: BSD-2-Clause */
/* difficult.h - a report with the worst text and numbers that one may hold: what every format has to survive. */
#ifndef ULL_TESTS_DIFFICULT_H
#define ULL_TESTS_DIFFICULT_H

#include "report.h"

#include <float.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define NASTY "a \"b\" <c> & 'd' | e \\ f # g `h` *i* _j_ [k](l) {m} @n %o $p ~q"
#define FORTY "0123456789012345678901234567890123456789"

/* As nobody should: past the cleaning. */
static void set_raw(char **text, const char *value)
{
    free(*text);
    *text = strdup(value);
}

static void add_variants(struct ullage_bench_report *report)
{
    static const double times[] = { 1000.1, 1010.2, 990.3, 1005.4, 995.5 };
    struct ullage_bench_result *plain = result_of(report, NASTY, "");
    for (size_t i = 0; i < 5; i++)
        add(plain, "ns/op", -1, false, times[i]);
    for (size_t i = 0; i < 5; i++)
        add(plain, "cpu-ns/op", -1, false, times[i] / 2);
    add(plain, "MB/s", 1, false, 1234.5);
    add(plain, "allocs/op", -1, true, 12);
    add(plain, "allocs/op", -1, true, 13);
    add(plain, "B/op", -1, true, 4096);
    add(plain, "a/b", -1, false, 1);
    add(plain, "a-per-b", -1, false, 2);
    add(plain, "x/-Y", 1, false, 3);
    plain->iterations = 1000;
    plain->count_iterations = 100;
    set(&plain->note, "left | 2 threads & <a file>");
    struct ullage_bench_result *other = result_of(report, NASTY, "x|y/z \"w\"");
    for (size_t i = 0; i < 5; i++)
        add(other, "ns/op", -1, false, 2 * times[i]);
    add(other, "leaked-B/op", -1, true, 16);
}

static void add_numbers(struct ullage_bench_report *report)
{
    static const double values[] = { 0.1, 1e300, 5e-324, DBL_MAX, 1.0 / 3, 123456789012345678.0, 0, -0.25 };
    struct ullage_bench_result *result = result_of(report, "größe/テスト", "");
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        add(result, "any", 0, false, values[i]);
    add(result, "ns/op", -1, false, 1e300);
    add(result, "allocs/op", -1, true, 5e-324);
    add(result, "B/op", -1, true, DBL_MAX);
    add(result, "peak-live-bytes", -1, true, 1e18);
    add(result, "MB/s", 1, false, 5e-324);
    add(result, "real_time", 0, false, 7); /* a key of the Google format's own */
    add(result, "has space", 0, false, 1);
    result->iterations = UINT64_MAX;
    result->threads = 64;
    struct ullage_bench_stack *stack = ullage_bench_result_stack(result);
    cr_assert_not_null(stack);
    cr_assert_eq(ullage_bench_stack_push(stack, "operator<<\"\n"), 0);
    stack->bytes = UINT64_MAX;
    stack->flag = "oversized";
    stack = ullage_bench_result_stack(result);
    stack->used_max_bytes = 40;
    stack->suggested_bytes = 64;
}

static void add_unmeasured(struct ullage_bench_report *report)
{
    struct ullage_bench_result *result = result_of(report, "crash", "");
    result->status = ULLAGE_BENCH_CRASHED;
    set(&result->message, "by signal 11 <\"&'>: BenchmarkX 1 1 ns/op");
    add(result, "ns/op", -1, false, 42);
    result = result_of(report, "skip # SKIP", "");
    result->status = ULLAGE_BENCH_SKIPPED;
    set(&result->message, "no # root");
    result = result_of(report, "fail", "");
    result->status = ULLAGE_BENCH_FAILED;
    char word[400];
    memset(word, 'w', sizeof word - 1);
    word[sizeof word - 1] = '\0';
    set(&result->message, word);
    result_of(report, "exit", "")->status = ULLAGE_BENCH_EXITED;
    result_of(report, "time", "")->status = ULLAGE_BENCH_TIMED_OUT;
    result_of(report, "no metrics", "");
    result = result_of(report, "no samples", "");
    add(result, "ns/op", -1, false, 1);
    result->metrics[0].sample_count = 0;
    result_of(report, "", "");
}

static struct ullage_bench_report *difficult(void)
{
    char longest[300];
    memset(longest, 'n', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    struct ullage_bench_report *report = ullage_bench_report_new();
    cr_assert_not_null(report);
    set(&report->program, "/a dir/<prog|ram>");
    set(&report->compiler, "gcc \"12\"");
    add_variants(report);
    add_numbers(report);
    add_unmeasured(report);
    add(result_of(report, FORTY, ""), "ns/op", -1, false, 3);
    add(result_of(report, longest, ""), "ns/op", -1, false, 3);
    add(result_of(report, "lower", ""), "ns/op", -1, false, 3);
    struct ullage_bench_result *raw = result_of(report, "raw", "");
    add(raw, "ns/op", -1, false, 3);
    set_raw(&raw->name, "\xff\x1b[31m\xc3\xed\xa0\x80\x01\r\n\x7f\xe2\x80\xa8\xc2\xa0");
    set_raw(&raw->note, "\x1b]0;title\x07\xf5");
    return report;
}

#endif
