/* SPDX-License-Identifier: BSD-2-Clause */
/* test_bench_result.c - reports of benchmarks: what text and numbers they take in, and what is made of the numbers. */
#include "config.h"

#include "report.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Test(bench_result, knows_its_machine)
{
    struct ullage_bench_report *report = ullage_bench_report_new();
    cr_assert_str_not_empty(report->machine);
    cr_assert_eq(strncmp(report->kernel, "Linux ", 6), 0);
    cr_assert_eq(strncmp(report->libc, "glibc 2.", 8), 0);
    cr_assert_str_eq(report->version, PACKAGE_VERSION);
    cr_assert_geq(report->cpus, 1);
    cr_assert_gt(report->unix_s, 1700000000);
    cr_assert_str_empty(report->program);
    cr_assert_str_empty(report->flags);
    ullage_bench_report_free(report);
    ullage_bench_report_free(NULL);
}

Test(bench_result, text_is_cleaned_and_cut)
{
    char *text = NULL, longest[2000];
    set(&text, "a\tb\033[0m\x7f\xc2\x85 \xc3\xa9 \xff \xed\xa0\x80 \xf4\x90\x80\x80 \xc0\x80 \xe0\x9f\xbf\xe3\x83\x86");
    cr_assert_str_eq(text, "a?b?[0m??? \xc3\xa9 ? ??? ???? ?? ???\xe3\x83\x86");
    set(&text, text); /* of itself */
    set(&text, NULL);
    cr_assert_str_eq(text, "");
    memset(longest, 'x', sizeof longest);
    memcpy(longest + 1022, "\xe3\x83\x86", 4);
    set(&text, longest);
    cr_assert_eq(strlen(text), 1022, "no character is cut in its middle");
    memcpy(longest + 1021, "\xe3\x83\x86", 4);
    set(&text, longest);
    cr_assert_eq(strlen(text), 1024);
    set(&text, "truncated \xe3\x83");
    cr_assert_str_eq(text, "truncated ??");
    free(text);
}

Test(bench_result, a_result_is_made_once)
{
    struct ullage_bench_report *report = ullage_bench_report_new();
    cr_assert_eq(result_of(report, "a\tb", ""), result_of(report, "a\tb", NULL), "also if its name was cleaned");
    result_of(report, "a\tb", "other");
    cr_assert_eq(report->result_count, 2);
    for (int i = 0; i < 100; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d", i);
        result_of(report, name, "");
    }
    cr_assert_eq(report->result_count, 102);
    cr_assert_str_eq(report->results[1].variant, "other");
    cr_assert_eq(report->results[5].status, ULLAGE_BENCH_OK);
    cr_assert_str_empty(report->results[5].message);
    ullage_bench_report_free(report);
}

Test(bench_result, samples_are_finite_and_kept_in_order)
{
    struct ullage_bench_report *report = ullage_bench_report_new();
    struct ullage_bench_result *result = result_of(report, "a", "");
    cr_assert_eq(ullage_bench_result_sample(result, "x", 0, false, NAN), -EINVAL);
    cr_assert_eq(ullage_bench_result_sample(result, "x", 0, false, -INFINITY), -EINVAL);
    cr_assert_eq(ullage_bench_result_sample(result, "", 0, false, 1), -EINVAL);
    cr_assert_null(ullage_bench_result_metric(result, "x"), "a refused one leaves nothing behind");
    for (int i = 0; i < 1000; i++)
        add(result, "x", 5, true, 1000 - i);
    const struct ullage_bench_metric *metric = ullage_bench_result_metric(result, "x");
    cr_assert_eq(metric->sample_count, 1000);
    cr_assert_eq(metric->better, 1);
    for (int i = 0; i < 1000; i++)
        cr_assert_eq(metric->samples[i], 1000 - i);
    cr_assert_eq(ullage_bench_metric_median(metric), 500.5);
    add(result, "two words", -7, false, 1);
    add(result, "two words", -7, false, 2);
    cr_assert_eq(ullage_bench_result_metric(result, "two_words")->sample_count, 2);
    cr_assert_eq(ullage_bench_result_metric(result, "two_words")->better, -1);
    ullage_bench_report_free(report);
}

static struct ullage_bench_metric metric_of(double *samples, size_t count)
{
    return (struct ullage_bench_metric){ .exact = true, .samples = samples, .sample_count = count };
}

Test(bench_result, medians_and_spreads)
{
    double odd[] = { 5, 1, 4, 2, 3 }, even[] = { 4, 1, 2, 3 }, one[] = { 7 }, huge[] = { DBL_MAX, DBL_MAX, -DBL_MAX, 1 };
    double zero[] = { 0, 0, 0, 5 }, tiny[] = { 5e-324, 5e-324, 5e-324, DBL_MAX, DBL_MAX }, minus[] = { -1, -2, -3, -4, -5 };
    double ends[] = { DBL_MAX, -DBL_MAX };
    struct ullage_bench_metric none = { 0 }, metric = metric_of(odd, 5);
    cr_assert_eq(ullage_bench_metric_median(&none), 0);
    cr_assert_eq(ullage_bench_metric_spread(&none), 0);
    cr_assert_eq(ullage_bench_metric_median(&metric), 3);
    cr_assert_float_eq(ullage_bench_metric_spread(&metric), 1.0 / 3, 1e-12, "quartiles 2 and 4");
    cr_assert_eq(odd[0], 5, "samples keep their order");
    cr_assert(ullage_bench_metric_is_unstable(&metric));
    metric = metric_of(even, 4);
    cr_assert_eq(ullage_bench_metric_median(&metric), 2.5);
    cr_assert_float_eq(ullage_bench_metric_spread(&metric), 0.75 / 2.5, 1e-12, "quartiles 1.75 and 3.25");
    metric = metric_of(one, 1);
    cr_assert_eq(ullage_bench_metric_median(&metric), 7);
    cr_assert_eq(ullage_bench_metric_spread(&metric), 0);
    cr_assert_not(ullage_bench_metric_is_unstable(&metric));
    metric = metric_of(huge, 4);
    cr_assert(isfinite(ullage_bench_metric_median(&metric)) && isfinite(ullage_bench_metric_spread(&metric)));
    metric = metric_of(ends, 2);
    cr_assert_eq(ullage_bench_metric_median(&metric), 0);
    metric = metric_of(zero, 4);
    cr_assert_eq(ullage_bench_metric_spread(&metric), 0);
    metric = metric_of(tiny, 5);
    cr_assert_eq(ullage_bench_metric_spread(&metric), DBL_MAX);
    metric = metric_of(minus, 5);
    cr_assert_float_eq(ullage_bench_metric_spread(&metric), 1.0 / 3, 1e-12);
    metric.exact = false;
    cr_assert_not(ullage_bench_metric_is_unstable(&metric), "times may differ");
}

Test(bench_result, statuses_have_names)
{
    static const char *const names[] = { "ok", "skipped", "failed", "crashed", "exited", "timed out" };
    for (int i = 0; i <= ULLAGE_BENCH_TIMED_OUT; i++)
        cr_assert_str_eq(ullage_bench_status_name((enum ullage_bench_status)i), names[i]);
}

Test(bench_result, stacks_are_kept)
{
    struct ullage_bench_report *report = ullage_bench_report_new();
    struct ullage_bench_result *result = result_of(report, "a", "");
    for (int i = 0; i < 100; i++) {
        struct ullage_bench_stack *stack = ullage_bench_result_stack(result);
        cr_assert_eq(stack->used_max_bytes, UINT64_MAX, "unknown until it is said");
        cr_assert_null(stack->flag);
        for (int k = 0; k < 20; k++)
            cr_assert_eq(ullage_bench_stack_push(stack, k == 0 ? "inner\n" : "outer"), 0);
    }
    cr_assert_eq(result->stack_count, 100);
    cr_assert_eq(result->stacks[99].function_count, 20);
    cr_assert_str_eq(result->stacks[0].functions[0], "inner?");
    cr_assert_str_eq(result->stacks[0].functions[19], "outer");
    ullage_bench_report_free(report);
}
