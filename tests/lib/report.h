/* SPDX-License-Identifier: BSD-2-Clause */
/* report.h - a report of benchmarks made by hand; whatever cannot be added fails the test. */
#ifndef ULL_TESTS_REPORT_H
#define ULL_TESTS_REPORT_H

#include "ullage/bench_result.h"

#include <criterion/criterion.h>

static struct ullage_bench_result *result_of(struct ullage_bench_report *report, const char *name, const char *variant)
{
    struct ullage_bench_result *result = ullage_bench_report_result(report, name, variant);
    cr_assert_not_null(result);
    return result;
}

static void add(struct ullage_bench_result *result, const char *name, int better, bool exact, double value)
{
    cr_assert_eq(ullage_bench_result_sample(result, name, better, exact, value), 0);
}

static void set(char **text, const char *value)
{
    cr_assert_eq(ullage_bench_set_text(text, value), 0);
}

#endif
