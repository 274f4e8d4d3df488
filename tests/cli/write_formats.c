/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * write_formats.c - a report as benchmarks might have made it, for bench_formats.bats to lay before the readers of each
 * format: write_formats FORMAT [PERCENT [WIDTH]]. Times are PERCENT of what they are without it.
 *
 * Names and messages are as bad as a report may hold; the figures are as tame as those of a quiet machine.
 */
#include "config.h"

#include "ullage/bench_result.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double factor = 1;

static void need(bool fine)
{
    if (!fine) {
        fputs("write_formats: out of memory\n", stderr);
        exit(1);
    }
}

static void add(struct ullage_bench_result *result, const char *name, int better, bool exact, double value)
{
    need(ullage_bench_result_sample(result, name, better, exact, value) == 0);
}

static struct ullage_bench_result *benchmark(struct ullage_bench_report *report, const char *name, const char *variant)
{
    struct ullage_bench_result *result = ullage_bench_report_result(report, name, variant);
    need(result != NULL);
    return result;
}

/* Ten repetitions around @ns, and a counting run. */
static struct ullage_bench_result *measured(struct ullage_bench_report *report, const char *name, const char *variant,
    double ns, double allocations, double bytes)
{
    static const double swing[] = { 1, 1.02, 0.99, 1.01, 0.98, 1.03, 1, 0.97, 1.015, 0.995 };
    struct ullage_bench_result *result = benchmark(report, name, variant);
    result->iterations = ns < 1e9 ? (uint64_t)(1e9 / ns) : 1;
    result->count_iterations = 1000;
    for (size_t i = 0; i < sizeof swing / sizeof swing[0]; i++) {
        add(result, "ns/op", -1, false, ns * swing[i] * factor);
        add(result, "cpu-ns/op", -1, false, ns * swing[i] * factor * 0.98);
    }
    add(result, "allocs/op", -1, true, allocations);
    add(result, "B/op", -1, true, bytes);
    add(result, "peak-live-bytes", -1, true, bytes * 4);
    add(result, "leaked-B/op", -1, true, 0);
    return result;
}

static void add_stack(struct ullage_bench_result *result)
{
    struct ullage_bench_stack *stack = ullage_bench_result_stack(result);
    need(stack != NULL && ullage_bench_stack_push(stack, "new_record") == 0
        && ullage_bench_stack_push(stack, "operator<(char const*, \"q\")") == 0);
    stack->iterations = 1000;
    stack->allocations = 1000;
    stack->bytes = UINT64_C(16) << 30;
    stack->peak_bytes = 16 << 20;
    stack->used_max_bytes = 40960;
    stack->ullage_bytes = (16 << 20) - 40960;
    stack->suggested_bytes = 40960;
    stack->flag = "oversized";
}

static void add_unmeasured(struct ullage_bench_report *report)
{
    struct ullage_bench_result *result = benchmark(report, "tree/remove", "");
    result->status = ULLAGE_BENCH_CRASHED;
    need(ullage_bench_set_text(&result->message, "by signal 11 (Segmentation fault) after \"3\" of 10 <repetitions>") == 0);
    add(result, "ns/op", -1, false, 812);
    result = benchmark(report, "needs#root | a & b \\ \"c\" <d> 'e' `f` %20", "");
    result->status = ULLAGE_BENCH_SKIPPED;
    /* TAP's other directive, in a text: who takes it for one lets a failure pass. */
    need(ullage_bench_set_text(&result->message, "no root # TO" "DO here | `x` 100%") == 0);
    result = benchmark(report, "sum_is_right", "");
    result->status = ULLAGE_BENCH_FAILED;
    need(ullage_bench_set_text(&result->message, "expected 4096, got -1: ]]> */ {{7*7}} @user #1") == 0);
    result = benchmark(report, "waits", "");
    result->status = ULLAGE_BENCH_TIMED_OUT;
    benchmark(report, "leaves", "")->status = ULLAGE_BENCH_EXITED;
}

static struct ullage_bench_report *sample(void)
{
    struct ullage_bench_report *report = ullage_bench_report_new();
    need(report != NULL);
    need(ullage_bench_set_text(&report->program, "/tmp/build 1/bench_sample") == 0);
    need(ullage_bench_set_text(&report->compiler, "gcc 12.2.0") == 0);
    need(ullage_bench_set_text(&report->flags, "-O2 -DTEXT=\"a|b\"") == 0);
    need(ullage_bench_set_text(&report->allocator, "malloc of glibc") == 0);
    report->optimized = true;
    report->unix_s = 1767225600;
    measured(report, "parse/json", "", 1234.5, 12, 4096);
    struct ullage_bench_result *result = measured(report, "parse/json", "jemalloc", 1010, 12, 4096.5);
    add(result, "allocs/op", -1, true, 13); /* unstable */
    result = measured(report, "copy/1048576", "", 52000, 1, 1 << 20);
    add(result, "MB/s", 1, false, 20164.9);
    add(result, "p99-µs", -1, false, 61.5);
    add(result, "hits|misses/op", 0, false, 0.25);
    add_stack(result);
    need(ullage_bench_set_text(&result->note, "left 2 threads running & a <file> open | here") == 0);
    result = measured(report, "größe_テスト ein Name", "a|b \"c\"/d", 0.27, 0, 0);
    add(result, "iterations", 0, false, 7);
    measured(report, "queue/threads:2", "", 3.2e9, 1234567, 123456789)->threads = 2;
    add_unmeasured(report);
    return report;
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    setlocale(LC_ALL, ""); /* as a program might have that reports: its decimal point is not to be seen */
    factor = argc > 2 ? strtod(argv[2], NULL) / 100 : 1;
    struct ullage_bench_report *report = sample();
    int result = ullage_bench_write(stdout, argv[1], report, argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 0);
    if (result < 0)
        fprintf(stderr, "write_formats: %s\n", strerror(-result));
    ullage_bench_report_free(report);
    return result < 0;
}
