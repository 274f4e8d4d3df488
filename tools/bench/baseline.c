/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * baseline.c - the file that is checked in: for each program and benchmark its exact metrics, how much they may grow, and
 * the stacks that asked for most, by function name, so that it means the same in another build.
 *
 * Keys are sorted and numbers are whole where they can be: a change of one benchmark is a change of a few lines.
 */
#include "config.h"

#include "bench.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STACKS_KEPT = 50 };
#define KIND "ullage-bench-baseline"

/* ---- checking ---- */

static int refuse(char *error, const char *path, const char *what, const char *detail)
{
    snprintf(error, ULLAGE_BENCH_ERROR_BYTES, "%.300s: %s%s%.300s; mend it, or remove it and write it anew with --update", path, what,
        detail != NULL ? ": " : "", detail != NULL ? detail : "");
    return -EBADMSG;
}

static bool is_tolerance(const json_t *value)
{
    return value == NULL || (json_is_number(value) && json_number_value(value) >= 0 && isfinite(json_number_value(value)));
}

static bool is_metric(const json_t *metric)
{
    const json_t *value = json_object_get(metric, "value"), *lowest = json_object_get(metric, "lowest");
    return json_is_object(metric) && json_is_number(value) && isfinite(json_number_value(value))
        && (lowest == NULL || json_is_number(lowest)) && is_tolerance(json_object_get(metric, "relative"))
        && is_tolerance(json_object_get(metric, "absolute"));
}

static bool is_stack(const json_t *stack)
{
    const json_t *functions = json_object_get(stack, "functions");
    if (!json_is_array(functions) || !json_is_integer(json_object_get(stack, "bytes"))
        || !json_is_integer(json_object_get(stack, "allocations")))
        return false;
    for (size_t i = 0; i < json_array_size(functions); i++)
        if (!json_is_string(json_array_get(functions, i)))
            return false;
    return true;
}

static bool is_entry(json_t *entry)
{
    const char *name;
    json_t *metric, *stacks = json_object_get(entry, "stacks");
    json_int_t iterations = json_integer_value(json_object_get(entry, "iterations"));
    if (!json_is_object(json_object_get(entry, "metrics")) || iterations < 1 || iterations > 1000000000000
        || (stacks != NULL && !json_is_array(stacks)))
        return false;
    json_object_foreach(json_object_get(entry, "metrics"), name, metric)
        if (!is_metric(metric))
            return false;
    for (size_t i = 0; i < json_array_size(stacks); i++)
        if (!is_stack(json_array_get(stacks, i)))
            return false;
    return true;
}

static int check(json_t *root, const char *path, char *error)
{
    const char *kind = json_string_value(json_object_get(root, "kind")), *name, *program_name;
    json_t *program, *entry, *programs = json_object_get(root, "programs");
    if (kind == NULL || strcmp(kind, KIND) != 0)
        return refuse(error, path, "not a baseline of ullage bench gate", NULL);
    if (json_integer_value(json_object_get(root, "version")) != 1)
        return refuse(error, path, "a baseline of another version of ullage", NULL);
    if (!json_is_object(programs))
        return refuse(error, path, "damaged: \"programs\" is missing", NULL);
    json_object_foreach(programs, program_name, program) {
        if (!json_is_object(json_object_get(program, "benchmarks")))
            return refuse(error, path, "damaged: \"benchmarks\" is missing", program_name);
        json_object_foreach(json_object_get(program, "benchmarks"), name, entry)
            if (!is_entry(entry))
                return refuse(error, path, "damaged: a benchmark's iterations, metrics or stacks are not what they should be", name);
    }
    return 0;
}

/* ---- loading and saving ---- */

int ull_baseline_load(struct ull_baseline *baseline, const char *path, char *error)
{
    baseline->root = NULL;
    baseline->path = realpath(path, NULL); /* a link stays one */
    if (baseline->path == NULL) {
        int number = errno;
        snprintf(error, ULLAGE_BENCH_ERROR_BYTES, number == ENOENT ? "%.300s: there is no baseline; write it with --update" : "%.300s: %s", path,
            strerrordesc_np(number));
        return -number;
    }
    baseline->root = ull_bench_load(baseline->path, error);
    int outcome = baseline->root != NULL ? check(baseline->root, path, error) : -EBADMSG;
    if (outcome != 0)
        ull_baseline_fini(baseline);
    return outcome;
}

int ull_baseline_new(struct ull_baseline *baseline, const char *path)
{
    baseline->path = strdup(path);
    baseline->root = json_pack("{s:s, s:i, s:{}}", "kind", KIND, "version", 1, "programs");
    return baseline->root != NULL && baseline->path != NULL ? 0 : -ENOMEM;
}

void ull_baseline_fini(struct ull_baseline *baseline)
{
    json_decref(baseline->root);
    free(baseline->path);
    baseline->root = NULL;
    baseline->path = NULL;
}

bool ull_baseline_has(const char *metric)
{
    static const char *const counted[] = { "allocs/op", "B/op", "peak-live-bytes", "leaked-B/op" };
    for (size_t i = 0; i < sizeof counted / sizeof counted[0]; i++)
        if (strcmp(counted[i], metric) == 0)
            return true;
    return false;
}

json_t *ull_baseline_program(const struct ull_baseline *baseline, const char *program, bool make)
{
    json_t *programs = json_object_get(baseline->root, "programs");
    json_t *found = json_object_get(json_object_get(programs, program), "benchmarks");
    if (found == NULL && make && json_object_set_new(programs, program, json_pack("{s:{}}", "benchmarks")) == 0)
        found = json_object_get(json_object_get(programs, program), "benchmarks");
    return found;
}

int ull_baseline_save(const struct ull_baseline *baseline, char *error)
{
    char beside[4096];
    int length = snprintf(beside, sizeof beside, "%s.new-%d", baseline->path, (int)getpid());
    int outcome = length > 0 && (size_t)length < sizeof beside ? 0 : -ENAMETOOLONG;
    FILE *to = outcome == 0 ? fopen(beside, "we") : NULL;
    if (outcome == 0 && to == NULL)
        outcome = -errno;
    if (to != NULL) {
        bool written = json_dumpf(baseline->root, to, JSON_INDENT(1) | JSON_SORT_KEYS | JSON_REAL_PRECISION(17)) == 0
            && fputc('\n', to) != EOF && fflush(to) == 0 && fsync(fileno(to)) == 0;
        outcome = written ? 0 : -(errno != 0 ? errno : EIO);
        if (fclose(to) != 0 && outcome == 0)
            outcome = -errno;
        if (outcome == 0 && rename(beside, baseline->path) != 0)
            outcome = -errno;
        if (outcome != 0)
            unlink(beside);
    }
    if (outcome != 0)
        snprintf(error, ULLAGE_BENCH_ERROR_BYTES, "%.300s: %s; it is as it was", baseline->path, strerror(-outcome));
    return outcome;
}

/* ---- an entry ---- */

static json_t *number(double value)
{
    return value == floor(value) && fabs(value) < 9e15 ? json_integer((json_int_t)value) : json_real(value);
}

static json_t *metric_entry(const struct ullage_bench_metric *metric, const json_t *old)
{
    json_t *made = json_object();
    double low = metric->samples[0], high = low;
    for (size_t i = 1; i < metric->sample_count; i++) {
        low = metric->samples[i] < low ? metric->samples[i] : low;
        high = metric->samples[i] > high ? metric->samples[i] : high;
    }
    json_object_set_new(made, "value", number(high));
    if (low < high || !metric->exact)
        json_object_set_new(made, "lowest", number(low)); /* anything in between was seen, and more may be */
    const json_t *relative = json_object_get(old, "relative"), *absolute = json_object_get(old, "absolute");
    json_object_set_new(made, "relative", relative != NULL ? json_copy((json_t *)(uintptr_t)relative) : json_integer(0));
    json_object_set_new(made, "absolute", absolute != NULL ? json_copy((json_t *)(uintptr_t)absolute) : json_integer(0));
    return made;
}

static json_t *stack_entry(const struct ullage_bench_stack *stack)
{
    json_t *made = json_object(), *functions = json_array();
    for (size_t i = 0; i < stack->function_count; i++)
        json_array_append_new(functions, json_string(stack->functions[i]));
    json_object_set_new(made, "functions", functions);
    json_object_set_new(made, "allocations", json_integer((json_int_t)stack->allocations));
    json_object_set_new(made, "bytes", json_integer((json_int_t)stack->bytes));
    json_object_set_new(made, "peak_bytes", json_integer((json_int_t)stack->peak_bytes));
    json_object_set_new(made, "leaked_bytes", json_integer((json_int_t)stack->leaked_bytes));
    return made;
}

json_t *ull_baseline_entry(const struct ullage_bench_result *result, const json_t *old)
{
    json_t *entry = json_object(), *metrics = json_object(), *stacks = json_array();
    const json_t *old_metrics = json_object_get(old, "metrics");
    if (entry == NULL || metrics == NULL || stacks == NULL) {
        json_decref(entry);
        json_decref(metrics);
        json_decref(stacks);
        return NULL;
    }
    for (size_t i = 0; i < result->metric_count; i++)
        if (ull_baseline_has(result->metrics[i].name) && result->metrics[i].sample_count > 0)
            json_object_set_new(metrics, result->metrics[i].name,
                metric_entry(&result->metrics[i], json_object_get(old_metrics, result->metrics[i].name)));
    for (size_t i = 0; i < result->stack_count && i < STACKS_KEPT; i++)
        json_array_append_new(stacks, stack_entry(&result->stacks[i]));
    json_object_set_new(entry, "iterations", json_integer((json_int_t)result->count_iterations));
    json_object_set_new(entry, "threads", json_integer((json_int_t)result->threads));
    json_object_set_new(entry, "metrics", metrics);
    json_object_set_new(entry, "stacks", stacks);
    return entry;
}
