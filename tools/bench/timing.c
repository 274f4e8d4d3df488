/* SPDX-License-Identifier: BSD-2-Clause */
/* timing.c - the gate by time: batches of program and base in turn, and what their trials say. */
#include "config.h"

#include "gate.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const noisy_metrics[ULL_TRIALS_EACH] = { "cpu-ns/op", "instructions/op" };

static int time_once(struct ull_gate *gate, struct ull_gated *one, bool base)
{
    struct ullage_bench_result *result = ull_gate_result(gate, one->name, base);
    struct ullage_bench_request request = { .size = sizeof request, .timeout_ms = gate->series->timeout_ms,
        .pass = ULLAGE_BENCH_TIME, .iterations = one->iterations,
        .cpu_count = gate->series->pinned ? ull_gate_result(gate, one->name, false)->threads : 0 };
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

static bool is_open(const struct ull_gate *gate, const struct ull_gated *one)
{
    for (unsigned i = 0; i < one->trial_count; i++)
        if (ull_trial_is_open(&gate->trials[one->trials[i]]))
            return true;
    return false;
}

/* One repetition of each side tells which metrics there are; it is thrown away, being the first. */
static int begin_trials(struct ull_gate *gate)
{
    gate->trials = calloc(gate->count * ULL_TRIALS_EACH + 1, sizeof *gate->trials);
    if (gate->trials == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < gate->count; i++) {
        struct ull_gated *one = &gate->all[i];
        struct ullage_bench_result *now = ull_gate_result(gate, one->name, false), *base = ull_gate_result(gate, one->name, true);
        if (now == NULL || base == NULL)
            return -ENOMEM;
        int outcome = time_once(gate, one, true);
        if (outcome == 0)
            outcome = time_once(gate, one, false);
        if (outcome != 0)
            return outcome;
        for (unsigned k = 0; k < ULL_TRIALS_EACH; k++) {
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

static void conclude(struct ull_gate *gate, const struct ull_gated *one, unsigned place)
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

int ull_gate_time(struct ull_gate *gate)
{
    int outcome = begin_trials(gate);
    bool open = true;
    while (outcome == 0 && open) {
        open = false;
        for (size_t i = 0; i < gate->count && outcome == 0; i++) {
            struct ull_gated *one = &gate->all[i];
            for (int round = 0; round < ULL_TRIAL_BATCH && outcome == 0 && is_open(gate, one); round++) {
                open = true;
                ull_gate_show(gate, "timing", one->name, i);
                outcome = time_once(gate, one, round % 2 == 0);
                if (outcome == 0)
                    outcome = time_once(gate, one, round % 2 != 0);
            }
        }
        ull_trials_look(gate->trials, gate->trial_count);
    }
    for (size_t i = 0; outcome == 0 && i < gate->count; i++)
        for (unsigned k = 0; k < gate->all[i].trial_count; k++)
            conclude(gate, &gate->all[i], k);
    return outcome;
}
