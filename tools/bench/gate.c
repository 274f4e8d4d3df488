/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gate.c - may this program come in? Counts against a baseline, times against a base in the same run, one verdict.
 *
 * In this order: every benchmark is counted, and held against the baseline (or, without one, against what the base
 * counted); then, with a base, batches of repetitions in turn until each trial has its verdict; then the report. The
 * baseline is written in one place, and only when asked to.
 */
#include "config.h"

#include "bench.h"

#include "trial.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TRIALS_EACH = 2, COUNT_REPETITIONS = 2, RANGE_REPETITIONS = 10 };
static const char *const noisy_metrics[TRIALS_EACH] = { "cpu-ns/op", "instructions/op" };

struct gated {
    const char *name;
    json_t *entry;    /* what its counts are held against; NULL: new */
    bool own_entry;   /* made of the base's counts */
    uint64_t iterations; /* of a timed repetition */
    unsigned trial_count;
    unsigned trials[TRIALS_EACH]; /* places in the gate's list */
    const char *trial_metrics[TRIALS_EACH];
};

struct gate {
    struct ull_bench_options *options;
    struct ullage_bench_series *series;
    struct ull_baseline baseline;
    const char *program; /* its key in the baseline */
    json_t *benchmarks;  /* of it; NULL: none */
    struct ullage_bench_subject now, base; /* base.command NULL: none */
    char *base_command[1024];
    struct ullage_bench_report *report, *base_report;
    char **names, **base_names;
    size_t count, base_count;
    struct gated *all;
    struct ull_trial *trials;
    size_t trial_count;
    struct ull_findings findings;
    char error[ULLAGE_BENCH_ERROR_BYTES];
};

/* ---- set-up ---- */

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static int load_baseline(struct gate *gate)
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

static int set_up(struct gate *gate)
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

static struct ullage_bench_result *result_of(struct gate *gate, const char *name, bool base)
{
    return ullage_bench_report_result(base ? gate->base_report : gate->report, name, base ? "base" : "");
}

static void show(const struct gate *gate, const char *what, const char *name, size_t done)
{
    if (gate->series->progress != NULL) {
        fprintf(gate->series->progress, "\r%-10s %3zu of %zu  %-44.44s", what, done + 1, gate->count, name);
        fflush(gate->series->progress);
    }
}

static void clear(const struct gate *gate)
{
    if (gate->series->progress != NULL)
        fprintf(gate->series->progress, "\r%72s\r", "");
}

/* How often it is run when it is counted: as the baseline says, so that counts can be compared. */
static uint64_t count_iterations(const struct gate *gate, const json_t *entry, const struct ullage_bench_request *calibrated)
{
    json_int_t before = json_integer_value(json_object_get(entry, "iterations"));
    if (gate->now.whole_program)
        return calibrated->iterations;
    return before > 0 ? (uint64_t)before : ullage_bench_count_iterations(calibrated);
}

static int calibrate(struct gate *gate, const struct ullage_bench_subject *subject, struct ullage_bench_request *request,
    struct ullage_bench_result *result)
{
    request->pass = ULLAGE_BENCH_CALIBRATE;
    request->iterations = subject->whole_program && gate->series->requests > 0 ? gate->series->requests : 1;
    request->time_ns = gate->base.command != NULL ? gate->series->time_ns : 10000000;
    return subject->whole_program ? 0 : ullage_bench_sample(subject, request, result, gate->error);
}

static int count(struct gate *gate, const struct ullage_bench_subject *subject, struct ullage_bench_result *result,
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

static void note_status(struct gate *gate, const struct ullage_bench_result *result)
{
    if (result->status == ULLAGE_BENCH_SKIPPED)
        ull_findings_add(&gate->findings, ULL_FINDING_INCONCLUSIVE, result->name, "", "skipped: %s", result->message);
    else if (result->status != ULLAGE_BENCH_OK)
        ull_findings_add(&gate->findings, ULL_FINDING_BROKEN, result->name, "", "%s: %s",
            ullage_bench_status_name(result->status), result->message);
}

static int count_one(struct gate *gate, struct gated *one)
{
    struct ullage_bench_result *result = result_of(gate, one->name, false), *base = NULL;
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
        base = result_of(gate, one->name, true);
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

static bool is_there(const struct gate *gate, const char *name)
{
    for (size_t i = 0; i < gate->count; i++)
        if (strcmp(gate->names[i], name) == 0)
            return true;
    return false;
}

/* "group" is listed alone where the group skips all of itself. */
static bool is_of_skipped_group(const struct gate *gate, const char *name)
{
    for (size_t i = 0; i < gate->count; i++) {
        size_t length = strlen(gate->names[i]);
        if (strncmp(gate->names[i], name, length) == 0 && name[length] == '/')
            return true;
    }
    return false;
}

/* Also a result, so that it is in every format. */
static void note_vanished(struct gate *gate, const char *name, const char *of)
{
    char text[128];
    if (is_there(gate, name) || gate->options->update || is_of_skipped_group(gate, name))
        return;
    snprintf(text, sizeof text, "vanished: %s has it, the program does not%s", of,
        strcmp(of, "the baseline") == 0 ? " (--update, if that is meant)" : "");
    ull_findings_add(&gate->findings, ULL_FINDING_REGRESSION, name, "", "%s", text);
    struct ullage_bench_result *result = result_of(gate, name, false);
    if (result != NULL && result->status == ULLAGE_BENCH_OK) {
        result->status = ULLAGE_BENCH_FAILED;
        (void)ullage_bench_set_text(&result->message, text);
    }
}

static void look_for_vanished(struct gate *gate)
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

/* ---- timing, against the base ---- */

static int time_once(struct gate *gate, struct gated *one, bool base)
{
    struct ullage_bench_result *result = result_of(gate, one->name, base);
    struct ullage_bench_request request = { .size = sizeof request, .timeout_ms = gate->series->timeout_ms,
        .pass = ULLAGE_BENCH_TIME, .iterations = one->iterations,
        .cpu_count = gate->series->pinned ? result_of(gate, one->name, false)->threads : 0 };
    if (result == NULL)
        return -ENOMEM;
    if (result->status != ULLAGE_BENCH_OK)
        return 0;
    int outcome = ullage_bench_sample(base ? &gate->base : &gate->now, &request, result, gate->error);
    if (outcome == 0 && result->status != ULLAGE_BENCH_OK)
        ull_findings_add(&gate->findings, base ? ULL_FINDING_INCONCLUSIVE : ULL_FINDING_BROKEN, one->name, "", "%s%s: %s",
            base ? "the base " : "", ullage_bench_status_name(result->status), result->message);
    for (unsigned i = 0; outcome == 0 && i < one->trial_count; i++) {
        const struct ullage_bench_metric *metric = ullage_bench_result_metric(result, one->trial_metrics[i]);
        struct ull_trial *trial = &gate->trials[one->trials[i]];
        if (result->status != ULLAGE_BENCH_OK || metric == NULL)
            trial->state = ULL_TRIAL_ABANDONED;
        else
            ull_trial_add(trial, base, metric->samples[metric->sample_count - 1]);
    }
    return outcome;
}

static bool is_open(const struct gate *gate, const struct gated *one)
{
    for (unsigned i = 0; i < one->trial_count; i++)
        if (ull_trial_is_open(&gate->trials[one->trials[i]]))
            return true;
    return false;
}

/* One repetition of each side tells which metrics there are; it is thrown away, being the first. */
static int begin_trials(struct gate *gate)
{
    gate->trials = calloc(gate->count * TRIALS_EACH + 1, sizeof *gate->trials);
    if (gate->trials == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < gate->count; i++) {
        struct gated *one = &gate->all[i];
        struct ullage_bench_result *now = result_of(gate, one->name, false), *base = result_of(gate, one->name, true);
        if (now == NULL || base == NULL)
            return -ENOMEM;
        int outcome = time_once(gate, one, true);
        if (outcome == 0)
            outcome = time_once(gate, one, false);
        if (outcome != 0)
            return outcome;
        for (unsigned k = 0; k < TRIALS_EACH; k++) {
            if (now->status != ULLAGE_BENCH_OK || base->status != ULLAGE_BENCH_OK
                || ullage_bench_result_metric(now, noisy_metrics[k]) == NULL || ullage_bench_result_metric(base, noisy_metrics[k]) == NULL)
                continue;
            ull_trial_init(&gate->trials[gate->trial_count], -1, gate->options->tolerance);
            one->trial_metrics[one->trial_count] = noisy_metrics[k];
            one->trials[one->trial_count++] = (unsigned)gate->trial_count++;
        }
    }
    return 0;
}

static int run_trials(struct gate *gate)
{
    int outcome = begin_trials(gate);
    bool open = true;
    while (outcome == 0 && open) {
        open = false;
        for (size_t i = 0; i < gate->count && outcome == 0; i++) {
            struct gated *one = &gate->all[i];
            for (int round = 0; round < ULL_TRIAL_BATCH && outcome == 0 && is_open(gate, one); round++) {
                open = true;
                show(gate, "timing", one->name, i);
                outcome = time_once(gate, one, round % 2 == 0);
                if (outcome == 0)
                    outcome = time_once(gate, one, round % 2 != 0);
            }
        }
        ull_trials_look(gate->trials, gate->trial_count);
    }
    return outcome;
}

static void conclude(struct gate *gate, const struct gated *one, unsigned place)
{
    const struct ull_trial *trial = &gate->trials[one->trials[place]];
    const char *metric = one->trial_metrics[place];
    switch (trial->state) {
    case ULL_TRIAL_WORSE:
    case ULL_TRIAL_BETTER:
        ull_findings_add(&gate->findings, trial->state == ULL_TRIAL_WORSE ? ULL_FINDING_REGRESSION : ULL_FINDING_IMPROVEMENT,
            one->name, metric, "%+.1f %% against the base (p = %.2g, confirmed by a second batch of %zu; spread %.1f %%)",
            trial->change * 100, trial->p, trial->now_count, trial->spread * 100);
        break;
    case ULL_TRIAL_INCONCLUSIVE:
        if (trial->found_change != 0)
            ull_findings_add(&gate->findings, ULL_FINDING_INCONCLUSIVE, one->name, metric,
                "inconclusive: %+.1f %% in one batch, %+.1f %% in the next", trial->found_change * 100, trial->change * 100);
        else if (isfinite(trial->detectable))
            ull_findings_add(&gate->findings, ULL_FINDING_INCONCLUSIVE, one->name, metric,
                "inconclusive: with a spread of %.1f %% only a change of %.0f %% could have been seen", trial->spread * 100,
                trial->detectable * 100);
        else
            ull_findings_add(&gate->findings, ULL_FINDING_INCONCLUSIVE, one->name, metric,
                "inconclusive: with so many benchmarks no change could have been seen; gate fewer at once (--filter)");
        break;
    default:
        break;
    }
}

/* ---- saying it ---- */

static const char *label(enum ull_finding_kind kind)
{
    static const char *const labels[] = { "ok", "new", "improvement", "inconclusive", "BROKEN", "REGRESSION" };
    return labels[kind];
}

static void print_counts(FILE *to, const struct ullage_bench_result *result)
{
    static const char *const shown[] = { "allocs/op", "B/op", "peak-live-bytes" };
    static const char *const units[] = { "allocs/op", "B/op", "B peak" };
    char text[48];
    for (unsigned i = 0; i < 3; i++) {
        const struct ullage_bench_metric *metric = ullage_bench_result_metric(result, shown[i]);
        if (metric != NULL)
            fprintf(to, "%s%s %s", i > 0 ? ", " : "", ull_bench_number(ullage_bench_metric_median(metric), text), units[i]);
    }
}

static bool grew_in_memory(const struct ull_findings *findings, const char *name)
{
    for (size_t i = 0; i < findings->count; i++) {
        const struct ull_finding *finding = &findings->all[i];
        if (strcmp(finding->benchmark, name) == 0 && finding->kind >= ULL_FINDING_INCONCLUSIVE && finding->metric[0] != '\0'
            && strcmp(finding->metric, noisy_metrics[0]) != 0 && strcmp(finding->metric, noisy_metrics[1]) != 0)
            return true;
    }
    return false;
}

/* Also puts it into the result, for formats other than text. */
static void print_findings(FILE *to, struct gate *gate, const char *name, struct ullage_bench_result *result)
{
    enum ull_finding_kind worst = ull_findings_worst(&gate->findings, name);
    char all[1024] = "";
    for (size_t i = 0; i < gate->findings.count; i++) {
        const struct ull_finding *finding = &gate->findings.all[i];
        if (strcmp(finding->benchmark, name) != 0)
            continue;
        const char *colon = finding->metric[0] != '\0' ? ": " : "";
        fprintf(to, "      %s%s%s\n", finding->metric, colon, finding->text);
        size_t filled = strlen(all);
        snprintf(all + filled, sizeof all - filled, "%s%s%s%s", filled > 0 ? "; " : "", finding->metric, colon, finding->text);
    }
    if (result == NULL)
        return;
    if (worst == ULL_FINDING_REGRESSION && result->status == ULLAGE_BENCH_OK) {
        result->status = ULLAGE_BENCH_FAILED;
        (void)ullage_bench_set_text(&result->message, all);
    } else if (all[0] != '\0' && worst < ULL_FINDING_BROKEN) {
        (void)ullage_bench_set_text(&result->note, all);
    }
}

static void print_one(FILE *to, struct gate *gate, const struct gated *one)
{
    struct ullage_bench_result *result = result_of(gate, one->name, false);
    fprintf(to, "  %-12s  %s", label(ull_findings_worst(&gate->findings, one->name)), one->name);
    if (result != NULL && result->status == ULLAGE_BENCH_OK && result->metric_count > 0) {
        fprintf(to, "  (");
        print_counts(to, result);
        fprintf(to, ")");
    }
    fprintf(to, "\n");
    print_findings(to, gate, one->name, result);
    if (result == NULL || !grew_in_memory(&gate->findings, one->name))
        return;
    if (one->entry == NULL || json_array_size(json_object_get(one->entry, "stacks")) == 0)
        fprintf(to, "      the baseline has no stacks of it: all of its stacks follow\n");
    if (one->entry != NULL && ull_findings_explain(to, one->entry, result) == 0)
        fprintf(to, "      no stack grew\n");
}

static int print_all(FILE *to, struct gate *gate)
{
    size_t counts[ULL_FINDING_REGRESSION + 1] = { 0 }, vanished = 0;
    const struct ull_bench_options *options = gate->options;
    clear(gate);
    fprintf(to, "%s %s%s%s%s\n", gate->program, options->baseline != NULL ? "against " : "against base ",
        options->baseline != NULL ? options->baseline : options->base, options->baseline != NULL && options->base != NULL ? " and base " : "",
        options->baseline != NULL && options->base != NULL ? options->base : "");
    for (size_t i = 0; i < gate->count; i++) {
        print_one(to, gate, &gate->all[i]);
        counts[ull_findings_worst(&gate->findings, gate->all[i].name)]++;
    }
    for (size_t i = 0; i < gate->findings.count; i++)
        if (!is_there(gate, gate->findings.all[i].benchmark)) { /* vanished */
            fprintf(to, "  %-12s  %s\n      %s\n", label(ULL_FINDING_REGRESSION), gate->findings.all[i].benchmark, gate->findings.all[i].text);
            vanished++;
        }
    counts[ULL_FINDING_REGRESSION] += vanished;
    fprintf(to, "%zu benchmark%s:", gate->count + vanished, gate->count + vanished == 1 ? "" : "s");
    for (int kind = ULL_FINDING_REGRESSION, first = 1; kind >= 0; kind--)
        if (counts[kind] > 0) {
            fprintf(to, "%s %zu %s", first ? "" : ",", counts[kind], label((enum ull_finding_kind)kind));
            first = 0;
        }
    fprintf(to, "\n");
    if (counts[ULL_FINDING_REGRESSION] > 0)
        return ULL_BENCH_REGRESSION;
    if (counts[ULL_FINDING_BROKEN] > 0)
        return ULL_BENCH_BROKEN;
    if (counts[ULL_FINDING_INCONCLUSIVE] > 0 && options->fail_on_inconclusive)
        return ULL_BENCH_INCONCLUSIVE;
    return counts[ULL_FINDING_IMPROVEMENT] > 0 && options->fail_on_improvement ? ULL_BENCH_IMPROVEMENT : ULL_BENCH_FINE;
}

/* ---- the baseline, written ---- */

static int update(struct gate *gate)
{
    size_t removed = 0, broken = 0;
    const char *name;
    json_t *entry;
    void *next;
    for (size_t i = 0; i < gate->count; i++) {
        const struct ullage_bench_result *result = result_of(gate, gate->all[i].name, false);
        broken += result == NULL || (result->status != ULLAGE_BENCH_OK && result->status != ULLAGE_BENCH_SKIPPED)
            || (result->status == ULLAGE_BENCH_OK && ullage_bench_result_metric(result, "allocs/op") == NULL);
    }
    if (broken > 0) {
        (void)print_all(stdout, gate);
        return ull_bench_complain(gate->options->verb, "%s: left as it was: %zu benchmark%s gave no result", gate->options->baseline,
            broken, broken == 1 ? "" : "s"), ULL_BENCH_BROKEN;
    }
    json_object_foreach_safe(gate->benchmarks, next, name, entry)
        if (!is_there(gate, name) && ullage_bench_passes(name, gate->series->filter)) {
            json_object_del(gate->benchmarks, name);
            removed++;
        }
    size_t written = 0;
    for (size_t i = 0; i < gate->count; i++) {
        const struct ullage_bench_result *result = result_of(gate, gate->all[i].name, false);
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
    clear(gate);
    printf("%s: %zu benchmark%s of %s written, %zu removed\n", gate->options->baseline, written, written == 1 ? "" : "s",
        gate->program, removed);
    return ULL_BENCH_FINE;
}

/* ---- all of it ---- */

static int gate_all(struct gate *gate)
{
    gate->all = calloc(gate->count + 1, sizeof *gate->all);
    int outcome = gate->all != NULL ? 0 : -ENOMEM;
    for (size_t i = 0; i < gate->count && outcome == 0; i++) {
        gate->all[i].name = gate->names[i];
        show(gate, "counting", gate->names[i], i);
        outcome = count_one(gate, &gate->all[i]);
    }
    look_for_vanished(gate);
    if (outcome == 0 && gate->base.command != NULL && !gate->options->update)
        outcome = run_trials(gate);
    for (size_t i = 0; outcome == 0 && i < gate->count; i++)
        for (unsigned k = 0; k < gate->all[i].trial_count; k++)
            conclude(gate, &gate->all[i], k);
    return outcome == 0 && gate->findings.out_of_memory ? -ENOMEM : outcome;
}

static int finish(struct gate *gate)
{
    const struct ull_bench_options *options = gate->options;
    if (options->update)
        return update(gate);
    bool text = strcmp(options->format, "text") == 0;
    FILE *to = text || options->out != NULL ? stdout : stderr;
    ullage_bench_report_describe(gate->report);
    int verdict = print_all(to, gate);
    if (fflush(to) != 0 || ferror(to))
        return ull_bench_complain(options->verb, "the verdict could not be written: %s", strerror(errno));
    int written = text && options->out == NULL ? ULL_BENCH_FINE : ull_bench_write_report(options, gate->report);
    return written != ULL_BENCH_FINE ? written : verdict;
}

static void tear_down(struct gate *gate)
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

int ull_gate(struct ull_bench_options *options)
{
    static struct gate gate; /* static: it is large */
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
    clear(&gate);
    status = outcome == 0 ? finish(&gate) : ull_bench_complain(options->verb, "%s", gate.error);
    tear_down(&gate);
    return status;
}
