/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * github.c - input of github-action-benchmark, as its tool "customSmallerIsBetter" reads it: one entry a metric.
 *
 * That tool alarms when a value grows, so metrics of which less is not better are left out. The range is in the value's
 * unit, without a percent sign: the action parses it.
 */
#include "config.h"

#include "format.h"

#include <inttypes.h>
#include <math.h>

static void put_entry(struct ull_json *json, const struct ullage_bench_result *result,
    const struct ullage_bench_metric *metric)
{
    char full[ULL_FULL_NAME_BYTES], name[ULL_FULL_NAME_BYTES + 1024 + 4], range[ULL_NUMBER_BYTES + 8];
    char number[ULL_NUMBER_BYTES], extra[160];
    double median = ullage_bench_metric_median(metric);
    snprintf(name, sizeof name, "%s - %.1024s", ull_full_name(full, result), metric->name);
    snprintf(range, sizeof range, "± %s", ull_number(number, ullage_bench_metric_spread(metric) * fabs(median)));
    snprintf(extra, sizeof extra, "median of %zu\niterations: %" PRIu64 "\nthreads: %u%s", metric->sample_count,
        result->iterations, result->threads,
        ullage_bench_metric_is_unstable(metric) ? "\ncounted, yet different from run to run" : "");
    ull_json_open(json, NULL, '{');
    ull_json_text(json, "name", name);
    ull_json_text(json, "unit", metric->name);
    ull_json_number(json, "value", median);
    ull_json_text(json, "range", range);
    ull_json_text(json, "extra", extra);
    ull_json_close(json, '}');
}

int ull_format_github(FILE *to, const struct ullage_bench_report *report, unsigned width)
{
    struct ull_json json = { to, 0, false };
    (void)width;
    ull_json_open(&json, NULL, '[');
    for (size_t i = 0; i < report->result_count; i++) {
        const struct ullage_bench_result *result = &report->results[i];
        for (size_t k = 0; k < result->metric_count && result->status == ULLAGE_BENCH_OK; k++)
            if (result->metrics[k].better < 0 && result->metrics[k].sample_count > 0)
                put_entry(&json, result, &result->metrics[k]);
    }
    ull_json_close(&json, ']');
    return 0;
}
