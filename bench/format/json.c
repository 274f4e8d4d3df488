/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * json.c - all that a report holds, for programs that read it again: every sample, every stack, and the machine.
 *
 * Keys are the fields of ullage/bench_result.h. "version" changes when a reader of the last one would go wrong.
 */
#include "config.h"

#include "format.h"

enum { SCHEMA_VERSION = 1 };

static void put_machine(struct ull_json *json, const struct ullage_bench_report *report)
{
    ull_json_text(json, "program", report->program);
    ull_json_text(json, "ullage", report->version);
    ull_json_text(json, "machine", report->machine);
    ull_json_text(json, "cpu", report->cpu);
    ull_json_count(json, "cpus", report->cpus);
    ull_json_text(json, "kernel", report->kernel);
    ull_json_text(json, "libc", report->libc);
    ull_json_text(json, "allocator", report->allocator);
    ull_json_text(json, "compiler", report->compiler);
    ull_json_text(json, "flags", report->flags);
    ull_json_bool(json, "optimized", report->optimized);
    ull_json_count(json, "unix_s", report->unix_s);
}

/* Without samples there is neither median nor spread. */
static void put_metric(struct ull_json *json, const struct ullage_bench_metric *metric)
{
    ull_json_open(json, NULL, '{');
    ull_json_text(json, "name", metric->name);
    ull_json_text(json, "better", metric->better < 0 ? "lower" : metric->better > 0 ? "higher" : "neither");
    ull_json_bool(json, "exact", metric->exact);
    ull_json_bool(json, "unstable", ullage_bench_metric_is_unstable(metric));
    if (metric->sample_count > 0) {
        ull_json_number(json, "median", ullage_bench_metric_median(metric));
        ull_json_number(json, "spread", ullage_bench_metric_spread(metric));
    } else {
        ull_json_null(json, "median");
        ull_json_null(json, "spread");
    }
    ull_json_numbers(json, "samples", metric->samples, metric->sample_count);
    ull_json_close(json, '}');
}

static void put_stack(struct ull_json *json, const struct ullage_bench_stack *stack)
{
    ull_json_open(json, NULL, '{');
    ull_json_open(json, "functions", '[');
    for (size_t i = 0; i < stack->function_count; i++)
        ull_json_text(json, NULL, stack->functions[i]);
    ull_json_close(json, ']');
    ull_json_count(json, "iterations", stack->iterations);
    ull_json_count(json, "allocations", stack->allocations);
    ull_json_count(json, "bytes", stack->bytes);
    ull_json_count(json, "peak_bytes", stack->peak_bytes);
    ull_json_count(json, "leaked_count", stack->leaked_count);
    ull_json_count(json, "leaked_bytes", stack->leaked_bytes);
    if (stack->used_max_bytes != UINT64_MAX)
        ull_json_count(json, "used_max_bytes", stack->used_max_bytes);
    else
        ull_json_null(json, "used_max_bytes");
    ull_json_count(json, "ullage_bytes", stack->ullage_bytes);
    if (stack->suggested_bytes != 0)
        ull_json_count(json, "suggested_bytes", stack->suggested_bytes);
    else
        ull_json_null(json, "suggested_bytes");
    ull_json_text(json, "flag", stack->flag);
    ull_json_close(json, '}');
}

static void put_result(struct ull_json *json, const struct ullage_bench_result *result)
{
    ull_json_open(json, NULL, '{');
    ull_json_text(json, "name", result->name);
    ull_json_text(json, "variant", result->variant);
    ull_json_text(json, "status", ullage_bench_status_name(result->status));
    ull_json_text(json, "message", result->message);
    ull_json_text(json, "note", result->note);
    ull_json_count(json, "iterations", result->iterations);
    ull_json_count(json, "count_iterations", result->count_iterations);
    ull_json_count(json, "threads", result->threads);
    ull_json_text(json, "allocator", result->allocator);
    ull_json_open(json, "metrics", '[');
    for (size_t i = 0; i < result->metric_count; i++)
        put_metric(json, &result->metrics[i]);
    ull_json_close(json, ']');
    ull_json_open(json, "stacks", '[');
    for (size_t i = 0; i < result->stack_count; i++)
        put_stack(json, &result->stacks[i]);
    ull_json_close(json, ']');
    ull_json_close(json, '}');
}

int ull_format_json(FILE *to, const struct ullage_bench_report *report, unsigned width)
{
    struct ull_json json = { to, 0, false };
    (void)width;
    ull_json_open(&json, NULL, '{');
    ull_json_count(&json, "version", SCHEMA_VERSION);
    ull_json_text(&json, "kind", "ullage-bench");
    put_machine(&json, report);
    ull_json_open(&json, "results", '[');
    for (size_t i = 0; i < report->result_count; i++)
        put_result(&json, &report->results[i]);
    ull_json_close(&json, ']');
    ull_json_close(&json, '}');
    return 0;
}
