/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gate.c - may this program come in? Counts against a baseline, times against a base in the same run, one verdict.
 *
 * In this order: every benchmark is counted, and held against the baseline (or, without one, against what the base
 * counted); then, with a base, batches of repetitions in turn until each trial has its verdict; then the report. The
 * baseline is written in one place, and only when asked to.
 */
#include "config.h"

#include "gate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { COUNT_REPETITIONS = 2, RANGE_REPETITIONS = 10 };

/* ---- set-up ---- */

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static int load_baseline(struct ull_gate *gate)
{
    struct ull_bench_options *options = gate->options;
    if (options->baseline == NULL)
        return 0;
    int outcome = ull_baseline_load(&gate->baseline, options->baseline, gate->error);
    if (outcome == -ENOENT && options->update) /* any other file stays what it is */
        outcome = ull_baseline_new(&gate->baseline, options->baseline);
    if (outcome != 0) {
        ull_bench_complain(options->verb, "%s", gate->error);
        return ULL_BENCH_BASELINE;
    }
    gate->benchmarks = ull_baseline_program(&gate->baseline, gate->program, options->update);
    if (gate->benchmarks == NULL && gate->base.command == NULL) {
        ull_bench_complain(options->verb, "%s: nothing in it is of %s; add it with --update", options->baseline, gate->program);
        return ULL_BENCH_BASELINE;
    }
    json_int_t before = json_integer_value(json_object_get(json_object_get(gate->benchmarks, gate->program), "iterations"));
    json_int_t requests = gate->series->requests > 0 ? (json_int_t)gate->series->requests : 1;
    if (gate->now.whole_program && before > 0 && before != requests && !options->update) {
        ull_bench_complain(options->verb, "%s: it is of runs that answer %lld requests, this is of %lld: give the same --count, or --update", options->baseline,
            (long long)before, (long long)requests);
        return ULL_BENCH_BASELINE;
    }
    return 0;
}

static int set_up(struct ull_gate *gate)
{
    struct ull_bench_options *options = gate->options;
    bool whole = options->verb[0] == 'e';
    gate->series = &options->series;
    gate->program = options->name != NULL ? options->name : base_name(options->command[0]);
    gate->now = options->subjects[0];
    if (options->base != NULL) {
        size_t count = 0;
        for (; options->command[count] != NULL && count + 1 < sizeof gate->base_command / sizeof gate->base_command[0]; count++)
            gate->base_command[count] = options->command[count];
        gate->base_command[0] = (char *)(uintptr_t)options->base;
        gate->base = gate->now;
        gate->base.variant = "base";
        gate->base.command = gate->base_command;
    }
    gate->report = ullage_bench_report_new();
    gate->base_report = ullage_bench_report_new();
    if (gate->report == NULL || gate->base_report == NULL || ullage_bench_set_text(&gate->report->program, options->command[0]) != 0)
        return -ENOMEM;
    if (!whole) {
        int outcome = ullage_bench_list(&gate->now, gate->series->filter, &gate->names, &gate->count, gate->error);
        if (outcome == 0 && gate->base.command != NULL)
            outcome = ullage_bench_list(&gate->base, gate->series->filter, &gate->base_names, &gate->base_count, gate->error);
        if (outcome == 0 && gate->count == 0 && gate->base_count == 0 && gate->series->filter != NULL) {
            snprintf(gate->error, sizeof gate->error, "no benchmark of %s passes the filter %s: see --list", options->command[0],
                gate->series->filter);
            outcome = -ENOENT;
        }
        return outcome;
    }
    gate->names = calloc(1, sizeof *gate->names);
    gate->count = 1;
    return gate->names != NULL ? ullage_bench_set_text(&gate->names[0], gate->program) : -ENOMEM;
}

/* ---- counting ---- */

struct ullage_bench_result *ull_gate_result(struct ull_gate *gate, const char *name, bool base)
{
    return ullage_bench_report_result(base ? gate->base_report : gate->report, name, base ? "base" : "");
}

void ull_gate_show(const struct ull_gate *gate, const char *what, const char *name, size_t done)
{
    if (gate->series->progress != NULL) {
        fprintf(gate->series->progress, "\r%-10s %3zu of %zu  %-44.44s", what, done + 1, gate->count, name);
        fflush(gate->series->progress);
    }
}

void ull_gate_clear(const struct ull_gate *gate)
{
    if (gate->series->progress != NULL)
        fprintf(gate->series->progress, "\r%72s\r", "");
}

/* How often it is run when it is counted: as the baseline says, so that counts can be compared. */
static uint64_t count_iterations(const struct ull_gate *gate, const json_t *entry, const struct ullage_bench_request *calibrated)
{
    json_int_t before = json_integer_value(json_object_get(entry, "iterations"));
    if (gate->now.whole_program)
        return calibrated->iterations;
    return before > 0 ? (uint64_t)before : ullage_bench_count_iterations(calibrated);
}

static int calibrate(struct ull_gate *gate, const struct ullage_bench_subject *subject, struct ullage_bench_request *request,
    struct ullage_bench_result *result)
{
    request->pass = ULLAGE_BENCH_CALIBRATE;
    request->iterations = subject->whole_program && gate->series->requests > 0 ? gate->series->requests : 1;
    request->time_ns = gate->base.command != NULL ? gate->series->time_ns : 10000000;
    return subject->whole_program ? 0 : ullage_bench_sample(subject, request, result, gate->error);
}

static int count(struct ull_gate *gate, const struct ullage_bench_subject *subject, struct ullage_bench_result *result,
    uint64_t iterations, int repetitions)
{
    int outcome = 0;
    for (int i = 0; i < repetitions && outcome == 0 && result->status == ULLAGE_BENCH_OK; i++) {
        struct ullage_bench_request request
            = { .size = sizeof request, .timeout_ms = gate->series->timeout_ms, .iterations = iterations };
        outcome = ullage_bench_count(gate->series, subject, &request, result, gate->error);
    }
    return outcome;
}

/* Threads meet, or do not: a range of ten says more than two that happen to be equal. */
static bool is_range(const struct ullage_bench_result *result)
{
    for (size_t i = 0; i < result->metric_count; i++)
        if (ull_baseline_has(result->metrics[i].name)
            && (!result->metrics[i].exact || ullage_bench_metric_is_unstable(&result->metrics[i])))
            return true;
    return false;
}

static void note_status(struct ull_gate *gate, const struct ullage_bench_result *result)
{
    if (result->status == ULLAGE_BENCH_SKIPPED)
        ull_findings_add(&gate->findings, ULL_FINDING_INCONCLUSIVE, result->name, "", "skipped: %s", result->message);
    else if (result->status != ULLAGE_BENCH_OK)
        ull_findings_add(&gate->findings, ULL_FINDING_BROKEN, result->name, "", "%s: %s",
            ullage_bench_status_name(result->status), result->message);
}

static int count_one(struct ull_gate *gate, struct ull_gated *one)
{
    struct ullage_bench_result *result = ull_gate_result(gate, one->name, false), *base = NULL;
    struct ullage_bench_request request = { .size = sizeof request, .timeout_ms = gate->series->timeout_ms };
    if (result == NULL)
        return -ENOMEM;
    one->entry = json_object_get(gate->benchmarks, one->name);
    int outcome = calibrate(gate, &gate->now, &request, result);
    one->iterations = request.iterations;
    uint64_t iterations = count_iterations(gate, one->entry, &request);
    if (outcome == 0)
        outcome = count(gate, &gate->now, result, iterations, COUNT_REPETITIONS);
    if (outcome == 0 && (gate->options->update ? is_range(result) : one->entry != NULL && ull_findings_need_more(one->entry, result)))
        outcome = count(gate, &gate->now, result, iterations, RANGE_REPETITIONS - COUNT_REPETITIONS);
    note_status(gate, result);
    if (outcome == 0 && result->status == ULLAGE_BENCH_OK && one->entry == NULL && gate->base.command != NULL) {
        base = ull_gate_result(gate, one->name, true);
        outcome = base != NULL ? count(gate, &gate->base, base, iterations, COUNT_REPETITIONS) : -ENOMEM;
        if (outcome == 0 && is_range(base))
            outcome = count(gate, &gate->base, base, iterations, RANGE_REPETITIONS - COUNT_REPETITIONS);
        if (outcome == 0 && base->status == ULLAGE_BENCH_OK) {
            base->threads = result->threads;
            one->entry = ull_baseline_entry(base, NULL);
            one->own_entry = true;
            if (ull_findings_need_more(one->entry, result))
                outcome = count(gate, &gate->now, result, iterations, RANGE_REPETITIONS - COUNT_REPETITIONS);
        } else if (outcome == 0) {
            ull_findings_add(&gate->findings, ULL_FINDING_INCONCLUSIVE, one->name, "", "the base %s: %s",
                ullage_bench_status_name(base->status), base->message);
            return 0;
        }
    }
    if (outcome != 0 || result->status != ULLAGE_BENCH_OK)
        return outcome;
    if (one->entry != NULL && !gate->options->update)
        ull_findings_compare(&gate->findings, one->entry, result);
    else if (!gate->options->update)
        ull_findings_add(&gate->findings, ULL_FINDING_NEW, one->name, "", "new: the baseline does not have it (--update)");
    return 0;
}

bool ull_gate_is_there(const struct ull_gate *gate, const char *name)
{
    for (size_t i = 0; i < gate->count; i++)
        if (strcmp(gate->names[i], name) == 0)
            return true;
    return false;
}

/* "group" is listed alone where the group skips all of itself. */
static bool is_of_skipped_group(const struct ull_gate *gate, const char *name)
{
    for (size_t i = 0; i < gate->count; i++) {
        size_t length = strlen(gate->names[i]);
        if (strncmp(gate->names[i], name, length) == 0 && name[length] == '/')
            return true;
    }
    return false;
}

/* Also a result, so that it is in every format. */
static void note_vanished(struct ull_gate *gate, const char *name, const char *of)
{
    char text[128];
    if (ull_gate_is_there(gate, name) || gate->options->update || is_of_skipped_group(gate, name))
        return;
    snprintf(text, sizeof text, "vanished: %s has it, the program does not%s", of,
        strcmp(of, "the baseline") == 0 ? " (--update, if that is meant)" : "");
    ull_findings_add(&gate->findings, ULL_FINDING_REGRESSION, name, "", "%s", text);
    struct ullage_bench_result *result = ull_gate_result(gate, name, false);
    if (result != NULL && result->status == ULLAGE_BENCH_OK) {
        result->status = ULLAGE_BENCH_FAILED;
        (void)ullage_bench_set_text(&result->message, text);
    }
}

static void look_for_vanished(struct ull_gate *gate)
{
    const char *name;
    json_t *entry;
    json_object_foreach(gate->benchmarks, name, entry)
        if (ullage_bench_passes(name, gate->series->filter))
            note_vanished(gate, name, "the baseline");
    for (size_t i = 0; i < gate->base_count; i++)
        if (json_object_get(gate->benchmarks, gate->base_names[i]) == NULL)
            note_vanished(gate, gate->base_names[i], "the base");
}

/* ---- the baseline, written ---- */

static int update(struct ull_gate *gate)
{
    size_t removed = 0, broken = 0;
    const char *name;
    json_t *entry;
    void *next;
    for (size_t i = 0; i < gate->count; i++) {
        const struct ullage_bench_result *result = ull_gate_result(gate, gate->all[i].name, false);
        broken += result == NULL || (result->status != ULLAGE_BENCH_OK && result->status != ULLAGE_BENCH_SKIPPED)
            || (result->status == ULLAGE_BENCH_OK && ullage_bench_result_metric(result, "allocs/op") == NULL);
    }
    if (broken > 0) {
        (void)ull_gate_print(stdout, gate);
        return ull_bench_complain(gate->options->verb, "%s: left as it was: %zu benchmark%s gave no result", gate->options->baseline,
            broken, broken == 1 ? "" : "s"), ULL_BENCH_BROKEN;
    }
    json_object_foreach_safe(gate->benchmarks, next, name, entry)
        if (!ull_gate_is_there(gate, name) && ullage_bench_passes(name, gate->series->filter)) {
            json_object_del(gate->benchmarks, name);
            removed++;
        }
    size_t written = 0;
    for (size_t i = 0; i < gate->count; i++) {
        const struct ullage_bench_result *result = ull_gate_result(gate, gate->all[i].name, false);
        if (result->status != ULLAGE_BENCH_OK)
            continue;
        entry = ull_baseline_entry(result, json_object_get(gate->benchmarks, result->name));
        if (entry == NULL || json_object_set_new(gate->benchmarks, result->name, entry) != 0)
            return ull_bench_complain(gate->options->verb, "not enough memory");
        written++;
        for (size_t k = 0; k < result->metric_count; k++)
            if (ullage_bench_metric_is_unstable(&result->metrics[k]))
                printf("  unstable: %s, %s: repetitions differ, so that only what is past all of them will fail\n", result->name,
                    result->metrics[k].name);
    }
    if (ull_baseline_save(&gate->baseline, gate->error) != 0)
        return ull_bench_complain(gate->options->verb, "%s", gate->error);
    ull_gate_clear(gate);
    printf("%s: %zu benchmark%s of %s written, %zu removed\n", gate->options->baseline, written, written == 1 ? "" : "s",
        gate->program, removed);
    return ULL_BENCH_FINE;
}

/* ---- all of it ---- */

static int gate_all(struct ull_gate *gate)
{
    gate->all = calloc(gate->count + 1, sizeof *gate->all);
    int outcome = gate->all != NULL ? 0 : -ENOMEM;
    for (size_t i = 0; i < gate->count && outcome == 0; i++) {
        gate->all[i].name = gate->names[i];
        ull_gate_show(gate, "counting", gate->names[i], i);
        outcome = count_one(gate, &gate->all[i]);
    }
    look_for_vanished(gate);
    if (outcome == 0 && gate->base.command != NULL && !gate->options->update)
        outcome = ull_gate_time(gate);
    return outcome == 0 && gate->findings.out_of_memory ? -ENOMEM : outcome;
}

static int finish(struct ull_gate *gate)
{
    const struct ull_bench_options *options = gate->options;
    if (options->update)
        return update(gate);
    bool text = strcmp(options->format, "text") == 0;
    FILE *to = text || options->out != NULL ? stdout : stderr;
    ullage_bench_report_describe(gate->report);
    int verdict = ull_gate_print(to, gate);
    if (fflush(to) != 0 || ferror(to))
        return ull_bench_complain(options->verb, "the verdict could not be written: %s", strerror(errno));
    int written = text && options->out == NULL ? ULL_BENCH_FINE : ull_bench_write_report(options, gate->report);
    return written != ULL_BENCH_FINE ? written : verdict;
}

static void tear_down(struct ull_gate *gate)
{
    for (size_t i = 0; gate->all != NULL && i < gate->count; i++)
        if (gate->all[i].own_entry)
            json_decref(gate->all[i].entry);
    free(gate->all);
    free(gate->trials);
    ull_findings_fini(&gate->findings);
    ullage_bench_names_free(gate->names, gate->names != NULL ? gate->count : 0);
    ullage_bench_names_free(gate->base_names, gate->base_count);
    ullage_bench_report_free(gate->report);
    ullage_bench_report_free(gate->base_report);
    ull_baseline_fini(&gate->baseline);
}

int ull_gate_run(struct ull_bench_options *options)
{
    static struct ull_gate gate; /* static: it is large */
    memset(&gate, 0, sizeof gate);
    gate.options = options;
    if (options->baseline == NULL && options->base == NULL)
        return ull_bench_complain(options->verb, "nothing to hold it against: name --baseline FILE, --base PROGRAM, or both");
    snprintf(gate.error, sizeof gate.error, "not enough memory");
    int status, outcome = set_up(&gate);
    if (outcome == 0 && (status = load_baseline(&gate)) != 0) {
        tear_down(&gate);
        return status;
    }
    if (outcome == 0)
        outcome = gate_all(&gate);
    ull_gate_clear(&gate);
    status = outcome == 0 ? finish(&gate) : ull_bench_complain(options->verb, "%s", gate.error);
    tear_down(&gate);
    return status;
}
