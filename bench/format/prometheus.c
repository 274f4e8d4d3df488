/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * prometheus.c - the text exposition format, as node_exporter's textfile collector reads it: gauges, medians, base units.
 *
 * A series is named by program, benchmark and variant, of which a project has few; never by a stack. The program is among
 * the labels because the collector refuses two files that have the same series. What benchmarks measure of their own is one
 * family with the name as a label: their names need not fit into Prometheus' rules. "instance" and "job" are the scraper's.
 */
#include "config.h"

#include "format.h"

#include <inttypes.h>
#include <string.h>

static const struct family {
    const char *metric, *name, *help;
    double times, over; /* to base units; two, so that either is exact */
} families[] = {
    { "ns/op", "op_seconds", "Time of an operation.", 1, 1e9 },
    { "cpu-ns/op", "op_cpu_seconds", "Processor time of an operation.", 1, 1e9 },
    { "user-ns/op", "op_user_seconds", "Processor time of an operation, outside the kernel.", 1, 1e9 },
    { "sys-ns/op", "op_system_seconds", "Processor time of an operation, inside the kernel.", 1, 1e9 },
    { "MB/s", "bytes_per_second", "Bytes that operations went through in a second.", 1e6, 1 },
    { "allocs/op", "op_allocations", "Allocations of an operation.", 1, 1 },
    { "B/op", "op_allocated_bytes", "Bytes that an operation asked for.", 1, 1 },
    { "leaked-B/op", "op_leaked_bytes", "Bytes that an operation did not give back.", 1, 1 },
    { "peak-live-bytes", "peak_live_bytes", "Most bytes held at once while the clock ran.", 1, 1 },
    { "peak-rss-bytes", "peak_resident_bytes", "Most resident memory of the process.", 1, 1 },
    { "instructions/op", "op_instructions", "Instructions of an operation.", 1, 1 },
    { "cycles/op", "op_cycles", "Processor cycles of an operation.", 1, 1 },
    { "minor-faults/op", "op_minor_faults", "Page faults of an operation that needed no disk.", 1, 1 },
    { "major-faults/op", "op_major_faults", "Page faults of an operation that needed the disk.", 1, 1 },
    { "voluntary-switches/op", "op_voluntary_switches", "Context switches of an operation that waited.", 1, 1 },
    { "involuntary-switches/op", "op_involuntary_switches", "Context switches of an operation that was preempted.", 1, 1 },
};
enum { FAMILY_COUNT = sizeof families / sizeof families[0] };

static bool has_family(const char *metric)
{
    for (size_t i = 0; i < FAMILY_COUNT; i++)
        if (strcmp(families[i].metric, metric) == 0)
            return true;
    return false;
}

static void put_head(FILE *to, const char *name, const char *help)
{
    fprintf(to, "# HELP ullage_bench_%s %s\n# TYPE ullage_bench_%s gauge\n", name, help, name);
}

static void put_label(FILE *to, const char *name, const char *value)
{
    uint32_t character;
    fprintf(to, "%s=\"", name);
    while ((character = ull_utf8_next(&value)) != 0) {
        if (character == '\\' || character == '"')
            fprintf(to, "\\%c", (int)character);
        else if (character == '\n')
            fputs("\\n", to);
        else
            ull_put_utf8(to, character);
    }
    putc('"', to);
}

/* @metric: NULL outside the family of own metrics. */
static void put_series(FILE *to, const char *name, const struct ullage_bench_report *report,
    const struct ullage_bench_result *result, const char *metric, double value)
{
    char number[ULL_NUMBER_BYTES];
    fprintf(to, "ullage_bench_%s{", name);
    put_label(to, "program", ull_base_name(report->program));
    putc(',', to);
    put_label(to, "benchmark", result->name);
    putc(',', to);
    put_label(to, "variant", result->variant);
    if (metric != NULL) {
        putc(',', to);
        put_label(to, "metric", metric);
    }
    fprintf(to, "} %s\n", ull_number(number, value));
}

static void put_family(FILE *to, const struct ullage_bench_report *report, const struct family *family)
{
    bool first = true;
    for (size_t i = 0; i < report->result_count; i++) {
        const struct ullage_bench_metric *metric = ull_measured(&report->results[i], family->metric);
        if (metric == NULL)
            continue;
        if (first)
            put_head(to, family->name, family->help);
        first = false;
        put_series(to, family->name, report, &report->results[i], NULL,
            ullage_bench_metric_median(metric) * family->times / family->over);
    }
}

static void put_own(FILE *to, const struct ullage_bench_report *report)
{
    bool first = true;
    for (size_t i = 0; i < report->result_count; i++) {
        const struct ullage_bench_result *result = &report->results[i];
        for (size_t k = 0; k < result->metric_count && result->status == ULLAGE_BENCH_OK; k++) {
            const struct ullage_bench_metric *metric = &result->metrics[k];
            if (metric->sample_count == 0 || has_family(metric->name))
                continue;
            if (first)
                put_head(to, "own", "What a benchmark measures of its own, in the unit that the metric's name says.");
            first = false;
            put_series(to, "own", report, result, metric->name, ullage_bench_metric_median(metric));
        }
    }
}

static void put_spreads(FILE *to, const struct ullage_bench_report *report)
{
    bool first = true;
    for (size_t i = 0; i < report->result_count; i++) {
        const struct ullage_bench_metric *metric = ull_measured(&report->results[i], "ns/op");
        if (metric == NULL || metric->sample_count < 2)
            continue;
        if (first)
            put_head(to, "op_seconds_spread_ratio", "Half the distance of the time's quartiles, as a share of the median.");
        first = false;
        put_series(to, "op_seconds_spread_ratio", report, &report->results[i], NULL, ullage_bench_metric_spread(metric));
    }
}

static unsigned unstable_metrics(const struct ullage_bench_result *result)
{
    unsigned unstable = 0;
    for (size_t i = 0; i < result->metric_count; i++)
        unstable += ullage_bench_metric_is_unstable(&result->metrics[i]);
    return unstable;
}

static void put_states(FILE *to, const struct ullage_bench_report *report)
{
    if (report->result_count == 0)
        return;
    put_head(to, "ok", "1: it was measured; 0: it was skipped, or failed.");
    for (size_t i = 0; i < report->result_count; i++)
        put_series(to, "ok", report, &report->results[i], NULL, report->results[i].status == ULLAGE_BENCH_OK);
    put_head(to, "unstable_metrics", "Metrics that are counted, and yet differed from run to run.");
    for (size_t i = 0; i < report->result_count; i++)
        put_series(to, "unstable_metrics", report, &report->results[i], NULL, unstable_metrics(&report->results[i]));
}

int ull_format_prometheus(FILE *to, const struct ullage_bench_report *report, unsigned width)
{
    (void)width;
    for (size_t i = 0; i < FAMILY_COUNT; i++)
        put_family(to, report, &families[i]);
    put_spreads(to, report);
    put_own(to, report);
    put_states(to, report);
    put_head(to, "last_run_timestamp_seconds", "When the benchmarks were run.");
    fputs("ullage_bench_last_run_timestamp_seconds{", to);
    put_label(to, "program", ull_base_name(report->program));
    fprintf(to, "} %" PRIu64 "\n", report->unix_s);
    return 0;
}
