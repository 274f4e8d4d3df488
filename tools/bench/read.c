/* SPDX-License-Identifier: BSD-2-Clause */
/* read.c - a report back from our own JSON. The file may be anybody's: what does not fit is an error that names the place. */
#include "config.h"

#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

static uint64_t whole_of(const json_t *object, const char *key)
{
    json_int_t value = json_integer_value(json_object_get(object, key));
    return value > 0 ? (uint64_t)value : 0;
}

static int better_of(const json_t *metric)
{
    const char *better = text_of(metric, "better");
    return strcmp(better, "lower") == 0 ? -1 : strcmp(better, "higher") == 0;
}

static int read_metric(struct ullage_bench_result *result, const json_t *metric, char *error)
{
    const char *name = text_of(metric, "name");
    const json_t *samples = json_object_get(metric, "samples");
    bool exact = json_is_true(json_object_get(metric, "exact"));
    if (name[0] == '\0' || strlen(name) > 200 || strpbrk(name, " \t\n") != NULL || !json_is_array(samples)) {
        snprintf(error, ULLAGE_BENCH_ERROR_BYTES, "%.200s: a metric without a name or without \"samples\"", result->name);
        return -EBADMSG;
    }
    for (size_t i = 0; i < json_array_size(samples); i++) {
        const json_t *sample = json_array_get(samples, i);
        int outcome = json_is_number(sample)
            ? ullage_bench_result_sample(result, name, better_of(metric), exact, json_number_value(sample)) : -EINVAL;
        if (outcome == -EINVAL) {
            snprintf(error, ULLAGE_BENCH_ERROR_BYTES, "%.200s, %.100s: a sample that is no finite number", result->name, name);
            return -EBADMSG;
        }
        if (outcome != 0)
            return outcome;
    }
    return 0;
}

static enum ullage_bench_status status_of(const json_t *object)
{
    const char *name = text_of(object, "status");
    for (int status = ULLAGE_BENCH_OK; status <= ULLAGE_BENCH_TIMED_OUT; status++)
        if (strcmp(ullage_bench_status_name((enum ullage_bench_status)status), name) == 0)
            return (enum ullage_bench_status)status;
    return ULLAGE_BENCH_FAILED;
}

static int read_stack(struct ullage_bench_result *result, const json_t *from)
{
    struct ullage_bench_stack *stack = ullage_bench_result_stack(result);
    const json_t *functions = json_object_get(from, "functions");
    if (stack == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < json_array_size(functions) && i < 256; i++) {
        const char *name = json_string_value(json_array_get(functions, i));
        if (ullage_bench_stack_push(stack, name != NULL ? name : "?") != 0)
            return -ENOMEM;
    }
    stack->iterations = whole_of(from, "iterations");
    stack->allocations = whole_of(from, "allocations");
    stack->bytes = whole_of(from, "bytes");
    stack->peak_bytes = whole_of(from, "peak_bytes");
    stack->leaked_count = whole_of(from, "leaked_count");
    stack->leaked_bytes = whole_of(from, "leaked_bytes");
    stack->ullage_bytes = whole_of(from, "ullage_bytes");
    stack->suggested_bytes = whole_of(from, "suggested_bytes");
    stack->used_max_bytes = json_is_integer(json_object_get(from, "used_max_bytes")) ? whole_of(from, "used_max_bytes") : UINT64_MAX;
    return 0;
}

static int read_result(struct ullage_bench_report *report, const json_t *from, char *error)
{
    const json_t *metrics = json_object_get(from, "metrics"), *stacks = json_object_get(from, "stacks");
    if (text_of(from, "name")[0] == '\0') {
        snprintf(error, ULLAGE_BENCH_ERROR_BYTES, "a result without a name");
        return -EBADMSG;
    }
    struct ullage_bench_result *result = ullage_bench_report_result(report, text_of(from, "name"), text_of(from, "variant"));
    if (result == NULL)
        return -ENOMEM;
    if (result->metric_count > 0) {
        snprintf(error, ULLAGE_BENCH_ERROR_BYTES, "%.200s: it is there twice", result->name);
        return -EBADMSG;
    }
    result->status = status_of(from);
    result->iterations = whole_of(from, "iterations");
    result->count_iterations = whole_of(from, "count_iterations");
    result->threads = (unsigned)whole_of(from, "threads");
    int outcome = ullage_bench_set_text(&result->message, text_of(from, "message"));
    if (outcome == 0)
        outcome = ullage_bench_set_text(&result->note, text_of(from, "note"));
    for (size_t i = 0; i < json_array_size(metrics) && outcome == 0; i++)
        outcome = read_metric(result, json_array_get(metrics, i), error);
    for (size_t i = 0; i < json_array_size(stacks) && outcome == 0; i++)
        outcome = read_stack(result, json_array_get(stacks, i));
    return outcome;
}

static int read_head(struct ullage_bench_report *report, const json_t *root)
{
    const struct {
        char **text;
        const char *key;
    } texts[] = { { &report->program, "program" }, { &report->compiler, "compiler" }, { &report->flags, "flags" },
        { &report->allocator, "allocator" }, { &report->libc, "libc" }, { &report->kernel, "kernel" },
        { &report->machine, "machine" }, { &report->cpu, "cpu" }, { &report->version, "ullage" } };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (ullage_bench_set_text(texts[i].text, text_of(root, texts[i].key)) != 0)
            return -ENOMEM;
    report->optimized = json_is_true(json_object_get(root, "optimized"));
    report->cpus = (unsigned)whole_of(root, "cpus");
    report->unix_s = whole_of(root, "unix_s");
    return 0;
}

json_t *ull_bench_load(const char *path, char *error)
{
    json_error_t where;
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe with nobody at its other end would block */
    if (fd < 0 || fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        snprintf(error, ULLAGE_BENCH_ERROR_BYTES, "%.300s: %s", path, fd < 0 ? strerrordesc_np(errno) : "not a regular file");
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    json_t *root = json_loadfd(fd, JSON_REJECT_DUPLICATES, &where);
    close(fd);
    if (root == NULL)
        snprintf(error, ULLAGE_BENCH_ERROR_BYTES, "%.300s: damaged: line %d: %.300s", path, where.line > 0 ? where.line : 1, where.text);
    return root;
}

int ull_bench_read(struct ullage_bench_report **out, const char *path, char *error)
{
    char what[ULLAGE_BENCH_ERROR_BYTES] = "not enough memory";
    json_t *root = ull_bench_load(path, error);
    int outcome = 0;
    if (root == NULL)
        return -EBADMSG;
    struct ullage_bench_report *report = ullage_bench_report_new();
    if (report == NULL) {
        outcome = -ENOMEM;
    } else if (strcmp(text_of(root, "kind"), "ullage-bench") != 0 || !json_is_array(json_object_get(root, "results"))) {
        snprintf(what, sizeof what, "not a result of ullage bench run --format json");
        outcome = -EBADMSG;
    } else if (whole_of(root, "version") != 1) {
        snprintf(what, sizeof what, "another version (%llu): read it with the ullage that wrote it",
            (unsigned long long)whole_of(root, "version"));
        outcome = -EBADMSG;
    } else {
        const json_t *results = json_object_get(root, "results");
        outcome = read_head(report, root);
        for (size_t i = 0; i < json_array_size(results) && outcome == 0; i++)
            outcome = read_result(report, json_array_get(results, i), what);
    }
    json_decref(root);
    if (outcome == 0) {
        *out = report;
        return 0;
    }
    ullage_bench_report_free(report);
    snprintf(error, ULLAGE_BENCH_ERROR_BYTES, "%.300s: %.600s", path, what);
    return outcome;
}
