/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * junit.c - JUnit's XML, as Jenkins' schema has it: a test case a benchmark.
 *
 * Figures stand in system-out, which that schema allows inside a test case, unlike properties. A case's time is how long its
 * repetitions took together; the schema has no exponents.
 */
#include "config.h"

#include "format.h"

#include <inttypes.h>
#include <string.h>

struct tally {
    size_t failures, errors, skipped;
    double seconds;
};

static bool is_error(const struct ullage_bench_result *result)
{
    return result->status == ULLAGE_BENCH_CRASHED || result->status == ULLAGE_BENCH_EXITED
        || result->status == ULLAGE_BENCH_TIMED_OUT;
}

static double seconds_of(const struct ullage_bench_result *result)
{
    const struct ullage_bench_metric *time = ull_measured(result, "ns/op");
    double ns = 0;
    for (size_t i = 0; time != NULL && i < time->sample_count; i++)
        ns += time->samples[i] * (double)result->iterations;
    return ns / 1e9;
}

static struct tally tally_of(const struct ullage_bench_report *report)
{
    struct tally tally = { 0, 0, 0, 0 };
    for (size_t i = 0; i < report->result_count; i++) {
        const struct ullage_bench_result *result = &report->results[i];
        tally.failures += result->status == ULLAGE_BENCH_FAILED;
        tally.errors += is_error(result);
        tally.skipped += result->status == ULLAGE_BENCH_SKIPPED;
        tally.seconds += seconds_of(result);
    }
    return tally;
}

static void put_attribute(FILE *to, const char *name, const char *value)
{
    fprintf(to, " %s=\"", name);
    ull_put_xml(to, value);
    putc('"', to);
}

static void put_tally(FILE *to, const struct ullage_bench_report *report, const struct tally *tally)
{
    char seconds[ULL_NUMBER_BYTES];
    fprintf(to, " tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" time=\"%s\"", report->result_count, tally->failures,
        tally->errors, ull_decimal(seconds, tally->seconds, 6));
}

static void put_property(FILE *to, const char *name, const char *value)
{
    if (value[0] == '\0')
        return;
    fputs("   <property", to);
    put_attribute(to, "name", name);
    put_attribute(to, "value", value);
    fputs("/>\n", to);
}

static void put_properties(FILE *to, const struct ullage_bench_report *report)
{
    fputs("  <properties>\n", to);
    put_property(to, "ullage", report->version);
    put_property(to, "machine", report->machine);
    put_property(to, "cpu", report->cpu);
    put_property(to, "kernel", report->kernel);
    put_property(to, "libc", report->libc);
    put_property(to, "allocator", report->allocator);
    put_property(to, "compiler", report->compiler);
    put_property(to, "flags", report->flags);
    fputs("  </properties>\n", to);
}

static void put_verdict(FILE *to, const struct ullage_bench_result *result)
{
    const char *element = is_error(result) ? "error" : result->status == ULLAGE_BENCH_FAILED ? "failure" : "skipped";
    if (result->status == ULLAGE_BENCH_OK)
        return;
    fprintf(to, "   <%s", element);
    put_attribute(to, "message", result->message);
    put_attribute(to, "type", ullage_bench_status_name(result->status));
    fputs("/>\n", to);
}

/* A line a metric, and what was noted. */
static void put_output(FILE *to, const struct ullage_bench_result *result)
{
    char number[ULL_NUMBER_BYTES], spread[ULL_HUMAN_BYTES];
    if (ull_repetitions(result) == 0 && result->note[0] == '\0')
        return;
    fputs("   <system-out>", to);
    for (size_t i = 0; i < result->metric_count && result->status == ULLAGE_BENCH_OK; i++) {
        const struct ullage_bench_metric *metric = &result->metrics[i];
        if (metric->sample_count == 0)
            continue;
        ull_put_xml(to, metric->name);
        fprintf(to, " %s", ull_number(number, ullage_bench_metric_median(metric)));
        if (ull_human_spread(spread, metric)[0] != '\0') {
            putc(' ', to);
            ull_put_xml(to, spread);
        }
        fprintf(to, " (median of %zu)%s\n", metric->sample_count,
            ullage_bench_metric_is_unstable(metric) ? " counted, yet different from run to run" : "");
    }
    ull_put_xml(to, result->note);
    fputs("</system-out>\n", to);
}

static void put_case(FILE *to, const struct ullage_bench_report *report, const struct ullage_bench_result *result)
{
    char name[ULL_FULL_NAME_BYTES], seconds[ULL_NUMBER_BYTES];
    fputs("  <testcase", to);
    put_attribute(to, "name", ull_full_name(name, result));
    put_attribute(to, "classname", ull_base_name(report->program));
    put_attribute(to, "time", ull_decimal(seconds, seconds_of(result), 6));
    fputs(">\n", to);
    put_verdict(to, result);
    put_output(to, result);
    fputs("  </testcase>\n", to);
}

int ull_format_junit(FILE *to, const struct ullage_bench_report *report, unsigned width)
{
    struct tally tally = tally_of(report);
    char date[32];
    (void)width;
    fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites", to);
    put_tally(to, report, &tally);
    fputs(">\n <testsuite", to);
    put_attribute(to, "name", ull_base_name(report->program));
    put_tally(to, report, &tally);
    fprintf(to, " skipped=\"%zu\"", tally.skipped);
    put_attribute(to, "timestamp", ull_time_text(date, report));
    fputs(">\n", to);
    put_properties(to, report);
    for (size_t i = 0; i < report->result_count; i++)
        put_case(to, report, &report->results[i]);
    fputs(" </testsuite>\n</testsuites>\n", to);
    return 0;
}
