/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * format.c - the formats by name, and what their writers ask of a report.
 *
 * A report is written into memory and handed over in one piece: the errno of the file is then known, and a report that
 * cannot be written for want of memory leaves nothing behind.
 */
#include "config.h"

#include "format.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct format {
    const char *name;
    int (*write)(FILE *to, const struct ullage_bench_report *report, unsigned width);
} formats[] = {
    { "text", ull_format_text },
    { "json", ull_format_json },
    { "go", ull_format_go },
    { "google", ull_format_google },
    { "github", ull_format_github },
    { "bencher", ull_format_bencher },
    { "tap", ull_format_tap },
    { "junit", ull_format_junit },
    { "prometheus", ull_format_prometheus },
    { "markdown", ull_format_markdown },
};
enum { FORMAT_COUNT = sizeof formats / sizeof formats[0] };

const char *ullage_bench_format_name(size_t index)
{
    return index < FORMAT_COUNT ? formats[index].name : NULL;
}

bool ullage_bench_format_is_known(const char *name)
{
    for (size_t i = 0; ullage_bench_format_name(i) != NULL; i++)
        if (strcmp(ullage_bench_format_name(i), name) == 0)
            return true;
    return false;
}

static int hand_over(FILE *to, const char *text, size_t bytes)
{
    if (ferror(to))
        return -EIO;
    errno = 0;
    if (fwrite(text, 1, bytes, to) == bytes && fflush(to) == 0)
        return 0;
    return errno != 0 ? -errno : -EIO;
}

int ullage_bench_write(FILE *to, const char *format, const struct ullage_bench_report *report, unsigned width)
{
    size_t index = 0, bytes = 0;
    char *text = NULL;
    while (index < FORMAT_COUNT && strcmp(formats[index].name, format) != 0)
        index++;
    if (index == FORMAT_COUNT)
        return -EINVAL;
    FILE *memory = open_memstream(&text, &bytes);
    if (memory == NULL)
        return -ENOMEM;
    int result = formats[index].write(memory, report, width);
    bool failed = ferror(memory) != 0;
    if ((fclose(memory) != 0 || failed) && result == 0)
        result = -ENOMEM;
    if (result == 0)
        result = hand_over(to, text, bytes);
    free(text);
    return result;
}

/* ---- questions ---- */

char *ull_full_name(char to[ULL_FULL_NAME_BYTES], const struct ullage_bench_result *result)
{
    snprintf(to, ULL_FULL_NAME_BYTES, "%.1024s%s%.1024s", result->name[0] != '\0' ? result->name : "unnamed",
        result->variant[0] != '\0' ? "/variant=" : "", result->variant);
    return to;
}

const struct ullage_bench_metric *ull_measured(const struct ullage_bench_result *result, const char *name)
{
    const struct ullage_bench_metric *metric = ullage_bench_result_metric(result, name);
    return result->status == ULLAGE_BENCH_OK && metric != NULL && metric->sample_count > 0 ? metric : NULL;
}

size_t ull_repetitions(const struct ullage_bench_result *result)
{
    size_t repetitions = 0;
    for (size_t i = 0; i < result->metric_count && result->status == ULLAGE_BENCH_OK; i++)
        if (result->metrics[i].sample_count > repetitions)
            repetitions = result->metrics[i].sample_count;
    return repetitions;
}

const struct ullage_bench_result *ull_first_variant(
    const struct ullage_bench_report *report, const struct ullage_bench_result *result)
{
    for (size_t i = 0; i < report->result_count; i++)
        if (strcmp(report->results[i].name, result->name) == 0)
            return &report->results[i];
    return result;
}

bool ull_ratio(const struct ullage_bench_report *report, const struct ullage_bench_result *result, const char *metric,
    double *ratio)
{
    const struct ullage_bench_result *first = ull_first_variant(report, result);
    const struct ullage_bench_metric *ours = ull_measured(result, metric), *theirs = ull_measured(first, metric);
    if (first == result || ours == NULL || theirs == NULL)
        return false;
    double base = ullage_bench_metric_median(theirs), value = ullage_bench_metric_median(ours);
    if (!(base > 0) || !(value >= 0))
        return false;
    *ratio = value / base;
    return true;
}

bool ull_has_variants(const struct ullage_bench_report *report)
{
    for (size_t i = 0; i < report->result_count; i++)
        if (report->results[i].variant[0] != '\0')
            return true;
    return false;
}

bool ull_is_known_metric(const char *name)
{
    static const char *const names[] = { "ns/op", "cpu-ns/op", "user-ns/op", "sys-ns/op", "MB/s", "allocs/op", "B/op",
        "leaked-B/op", "peak-live-bytes", "peak-rss-bytes", "instructions/op", "cycles/op", "minor-faults/op",
        "major-faults/op", "voluntary-switches/op", "involuntary-switches/op" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

const char *ull_base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

char *ull_time_text(char to[32], const struct ullage_bench_report *report)
{
    struct tm broken;
    time_t seconds = (time_t)report->unix_s;
    if (gmtime_r(&seconds, &broken) == NULL || strftime(to, 32, "%Y-%m-%dT%H:%M:%S", &broken) == 0)
        strcpy(to, "1970-01-01T00:00:00");
    return to;
}
