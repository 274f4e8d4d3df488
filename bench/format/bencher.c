/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bencher.c - Bencher Metric Format: a JSON object of benchmarks, each an object of measures.
 *
 * Measures go by slug. Nanoseconds an operation are Bencher's own "latency"; its "throughput" is operations a second, which
 * MB/s are not. The bounds are the median less and plus the spread.
 * Source: bencher.dev/docs/reference/bencher-metric-format: slugs have at most 64 characters
 */
#include "config.h"

#include "format.h"

#include <math.h>
#include <string.h>

enum { SLUG_MAX = 64 };

/* "allocs/op" becomes "allocs-per-op", "p99-µs" "p99-us"; "metric" where nothing is left. */
static void slug_of(char to[SLUG_MAX + 1], const char *name)
{
    size_t length = 0;
    uint32_t character;
    if (strcmp(name, "ns/op") == 0)
        name = "latency";
    while ((character = ull_utf8_next(&name)) != 0) {
        const char *piece = "-";
        char letter[2] = { 0 };
        if (character >= 'A' && character <= 'Z')
            character += 'a' - 'A';
        else if (character == 0xb5 || character == 0x3bc) /* both are micro */
            character = 'u';
        if ((character >= 'a' && character <= 'z') || (character >= '0' && character <= '9')) {
            letter[0] = (char)character;
            piece = letter;
        } else if (character == '/')
            piece = "-per-";
        for (; *piece != '\0' && length < SLUG_MAX; piece++)
            if (*piece != '-' || (length > 0 && to[length - 1] != '-'))
                to[length++] = *piece;
    }
    while (length > 0 && to[length - 1] == '-')
        length--;
    to[length] = '\0';
    if (length == 0)
        strcpy(to, "metric");
}

/* Two metrics whose slugs are the same may not share a key: the later ones are numbered. */
static void unique_slug(char to[SLUG_MAX + 1], const struct ullage_bench_result *result, size_t metric)
{
    char other[SLUG_MAX + 1];
    unsigned same = 1;
    slug_of(to, result->metrics[metric].name);
    for (size_t i = 0; i < metric; i++) {
        slug_of(other, result->metrics[i].name);
        same += strcmp(other, to) == 0;
    }
    if (same > 1)
        snprintf(to + (strlen(to) < SLUG_MAX - 5 ? strlen(to) : SLUG_MAX - 5), 6, "-%u", same % 10000);
}

static void put_measure(struct ull_json *json, const struct ullage_bench_result *result, size_t index)
{
    const struct ullage_bench_metric *metric = &result->metrics[index];
    char slug[SLUG_MAX + 1];
    double median = ullage_bench_metric_median(metric), half = ullage_bench_metric_spread(metric) * fabs(median);
    unique_slug(slug, result, index);
    ull_json_open(json, slug, '{');
    ull_json_number(json, "value", median);
    if (metric->sample_count > 1) {
        ull_json_number(json, "lower_value", median - half);
        ull_json_number(json, "upper_value", median + half);
    }
    ull_json_close(json, '}');
}

int ull_format_bencher(FILE *to, const struct ullage_bench_report *report, unsigned width)
{
    struct ull_json json = { to, 0, false };
    char name[ULL_FULL_NAME_BYTES];
    (void)width;
    ull_json_open(&json, NULL, '{');
    for (size_t i = 0; i < report->result_count; i++) {
        const struct ullage_bench_result *result = &report->results[i];
        if (ull_repetitions(result) == 0)
            continue;
        ull_json_open(&json, ull_full_name(name, result), '{');
        for (size_t k = 0; k < result->metric_count; k++)
            if (result->metrics[k].sample_count > 0)
                put_measure(&json, result, k);
        ull_json_close(&json, '}');
    }
    ull_json_close(&json, '}');
    return 0;
}
