/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * google.c - Google Benchmark's JSON, for its compare.py and for all that plot it.
 *
 * Each repetition is an entry, as compare.py needs for its U test; then mean, median, stddev and cv as entries of their
 * own. Memory is said as its memory manager says it. A benchmark that failed has times of 0 and an error, as there: without
 * times compare.py would end in an exception.
 */
#include "config.h"

#include "format.h"

#include <math.h>
#include <string.h>

enum statistic { MEAN, MEDIAN, STDDEV, CV, STATISTICS };
static const char *const statistic_names[STATISTICS] = { "mean", "median", "stddev", "cv" };

static double mean_of(const struct ullage_bench_metric *metric)
{
    double mean = 0;
    for (size_t i = 0; i < metric->sample_count; i++)
        mean += metric->samples[i] / (double)metric->sample_count;
    return mean;
}

static double stddev_of(const struct ullage_bench_metric *metric)
{
    double mean = mean_of(metric), length = 0;
    for (size_t i = 0; i < metric->sample_count; i++)
        length = hypot(length, metric->samples[i] - mean); /* squares of large values would overflow */
    return metric->sample_count > 1 ? length / sqrt((double)(metric->sample_count - 1)) : 0;
}

static double statistic_of(const struct ullage_bench_metric *metric, enum statistic statistic)
{
    switch (statistic) {
    case MEAN: return mean_of(metric);
    case MEDIAN: return ullage_bench_metric_median(metric);
    case STDDEV: return stddev_of(metric);
    default: return mean_of(metric) != 0 ? stddev_of(metric) / mean_of(metric) : 0;
    }
}

/* ---- a result's own entry and its keys ---- */

struct entry {
    const struct ullage_bench_result *result;
    size_t repetitions;
    size_t family, instance; /* place among the names, and among its variants */
};

/* Keys that no counter may take. */
static bool is_reserved(const char *name)
{
    static const char *const keys[] = { "name", "family_index", "per_family_instance_index", "run_name", "run_type",
        "repetitions", "repetition_index", "threads", "aggregate_name", "aggregate_unit", "error_occurred", "error_message",
        "iterations", "real_time", "cpu_time", "time_unit", "label", "bytes_per_second", "allocs_per_iter",
        "max_bytes_used", "total_allocated_bytes", "net_heap_growth", "skipped", "skip_message" };
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (strcmp(keys[i], name) == 0)
            return true;
    return false;
}

/* Metrics that this format has a key for. */
static bool has_own_key(const char *name)
{
    static const char *const names[] = { "ns/op", "cpu-ns/op", "MB/s", "allocs/op", "peak-live-bytes" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static void put_counter(struct ull_json *json, const char *name, double value)
{
    char key[ULL_FULL_NAME_BYTES];
    snprintf(key, sizeof key, "%.1024s%s", name, is_reserved(name) ? "_" : "");
    ull_json_number(json, key, value);
}

static void put_head(struct ull_json *json, const struct entry *entry, const char *suffix)
{
    char name[ULL_FULL_NAME_BYTES], with_suffix[ULL_FULL_NAME_BYTES + 16];
    ull_full_name(name, entry->result);
    snprintf(with_suffix, sizeof with_suffix, "%s%s%s", name, suffix != NULL ? "_" : "", suffix != NULL ? suffix : "");
    ull_json_open(json, NULL, '{');
    ull_json_text(json, "name", with_suffix);
    ull_json_count(json, "family_index", entry->family);
    ull_json_count(json, "per_family_instance_index", entry->instance);
    ull_json_text(json, "run_name", name);
    ull_json_text(json, "run_type", suffix != NULL ? "aggregate" : "iteration");
    ull_json_count(json, "repetitions", entry->repetitions);
}

/* ---- entries ---- */

static double sample_of(const struct ullage_bench_result *result, const char *name, size_t repetition)
{
    const struct ullage_bench_metric *metric = ull_measured(result, name);
    return metric != NULL && repetition < metric->sample_count ? metric->samples[repetition] : 0;
}

/* Memory is counted in a pass of its own: the same median in each repetition. */
static void put_memory(struct ull_json *json, const struct ullage_bench_result *result)
{
    static const struct { const char *metric, *key; bool in_all; } keys[] = {
        { "allocs/op", "allocs_per_iter", false },
        { "peak-live-bytes", "max_bytes_used", false },
        { "B/op", "total_allocated_bytes", true },
        { "leaked-B/op", "net_heap_growth", true },
    };
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const struct ullage_bench_metric *metric = ull_measured(result, keys[i].metric);
        if (metric == NULL || (keys[i].in_all && result->count_iterations == 0))
            continue;
        double median = ullage_bench_metric_median(metric);
        ull_json_number(json, keys[i].key, keys[i].in_all ? round(median * (double)result->count_iterations) : median);
    }
}

static void put_repetition(struct ull_json *json, const struct entry *entry, size_t repetition)
{
    const struct ullage_bench_result *result = entry->result;
    put_head(json, entry, NULL);
    ull_json_count(json, "repetition_index", repetition);
    ull_json_count(json, "threads", result->threads);
    ull_json_count(json, "iterations", result->iterations);
    ull_json_number(json, "real_time", sample_of(result, "ns/op", repetition));
    ull_json_number(json, "cpu_time", sample_of(result, "cpu-ns/op", repetition));
    ull_json_text(json, "time_unit", "ns");
    for (size_t i = 0; i < result->metric_count; i++) {
        const struct ullage_bench_metric *metric = &result->metrics[i];
        if (repetition >= metric->sample_count || has_own_key(metric->name))
            continue;
        put_counter(json, metric->name, metric->samples[repetition]);
    }
    if (ull_measured(result, "MB/s") != NULL)
        ull_json_number(json, "bytes_per_second", 1e6 * sample_of(result, "MB/s", repetition));
    put_memory(json, result);
    ull_json_close(json, '}');
}

static double aggregate_of(const struct ullage_bench_result *result, const char *name, enum statistic statistic)
{
    const struct ullage_bench_metric *metric = ull_measured(result, name);
    return metric != NULL ? statistic_of(metric, statistic) : 0;
}

static void put_aggregate(struct ull_json *json, const struct entry *entry, enum statistic statistic)
{
    const struct ullage_bench_result *result = entry->result;
    put_head(json, entry, statistic_names[statistic]);
    ull_json_count(json, "threads", result->threads);
    ull_json_text(json, "aggregate_name", statistic_names[statistic]);
    ull_json_text(json, "aggregate_unit", statistic == CV ? "percentage" : "time");
    ull_json_count(json, "iterations", entry->repetitions);
    ull_json_number(json, "real_time", aggregate_of(result, "ns/op", statistic));
    ull_json_number(json, "cpu_time", aggregate_of(result, "cpu-ns/op", statistic));
    ull_json_text(json, "time_unit", "ns");
    for (size_t i = 0; i < result->metric_count; i++) {
        const struct ullage_bench_metric *metric = &result->metrics[i];
        if (metric->sample_count > 0 && !has_own_key(metric->name))
            put_counter(json, metric->name, statistic_of(metric, statistic));
    }
    if (ull_measured(result, "MB/s") != NULL)
        ull_json_number(json, "bytes_per_second", (statistic == CV ? 1 : 1e6) * aggregate_of(result, "MB/s", statistic));
    ull_json_close(json, '}');
}

static void put_error(struct ull_json *json, const struct entry *entry)
{
    const struct ullage_bench_result *result = entry->result;
    char message[ULL_FULL_NAME_BYTES];
    snprintf(message, sizeof message, "%s%s%.1024s", ullage_bench_status_name(result->status),
        result->message[0] != '\0' ? ": " : "", result->message);
    put_head(json, entry, NULL);
    ull_json_count(json, "repetition_index", 0);
    ull_json_count(json, "threads", result->threads);
    ull_json_bool(json, "error_occurred", true);
    ull_json_text(json, "error_message", message);
    ull_json_count(json, "iterations", 0);
    ull_json_number(json, "real_time", 0);
    ull_json_number(json, "cpu_time", 0);
    ull_json_text(json, "time_unit", "ns");
    ull_json_close(json, '}');
}

static void put_result(struct ull_json *json, struct entry *entry)
{
    const struct ullage_bench_metric *time = ull_measured(entry->result, "ns/op");
    if (entry->result->status != ULLAGE_BENCH_OK) {
        put_error(json, entry);
        return;
    }
    entry->repetitions = time != NULL ? time->sample_count : ull_repetitions(entry->result);
    for (size_t i = 0; i < entry->repetitions; i++)
        put_repetition(json, entry, i);
    for (enum statistic i = MEAN; i < STATISTICS && entry->repetitions > 1; i++)
        put_aggregate(json, entry, i);
}

/* ---- the whole ---- */

static void put_context(struct ull_json *json, const struct ullage_bench_report *report)
{
    char date[32], with_zone[40];
    snprintf(with_zone, sizeof with_zone, "%s+00:00", ull_time_text(date, report));
    ull_json_open(json, "context", '{');
    ull_json_text(json, "date", with_zone);
    ull_json_text(json, "executable", report->program);
    ull_json_count(json, "num_cpus", report->cpus);
    ull_json_open(json, "caches", '['); /* some readers insist on it */
    ull_json_close(json, ']');
    ull_json_open(json, "load_avg", '[');
    ull_json_close(json, ']');
    ull_json_text(json, "library_build_type", report->optimized ? "release" : "debug");
    ull_json_text(json, "cpu_model", report->cpu);
    ull_json_text(json, "ullage_version", report->version);
    ull_json_close(json, '}');
}

int ull_format_google(FILE *to, const struct ullage_bench_report *report, unsigned width)
{
    struct ull_json json = { to, 0, false };
    (void)width;
    ull_json_open(&json, NULL, '{');
    put_context(&json, report);
    ull_json_open(&json, "benchmarks", '[');
    for (size_t i = 0; i < report->result_count; i++) {
        struct entry entry = { &report->results[i], 0, 0, 0 };
        const struct ullage_bench_result *first = ull_first_variant(report, entry.result);
        entry.family = (size_t)(first - report->results);
        for (const struct ullage_bench_result *other = first; other < entry.result; other++)
            entry.instance += strcmp(other->name, first->name) == 0;
        put_result(&json, &entry);
    }
    ull_json_close(&json, ']');
    ull_json_close(&json, '}');
    return 0;
}
