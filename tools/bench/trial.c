/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * trial.c - the rule by which a noisy figure is called changed.
 *
 * Looking after each of four batches and stopping at the first that is significant would err four times as often: each
 * look spends a quarter of alpha (Bonferroni). Over trials the correction is Holm's, with those that are decided kept in the
 * family at their last p.
 */
#include "config.h"

#include "trial.h"

#include "stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void ull_trial_init(struct ull_trial *trial, int better, double threshold)
{
    memset(trial, 0, sizeof *trial);
    trial->better = better;
    trial->threshold = threshold > ULL_TRIAL_LEAST ? threshold : ULL_TRIAL_LEAST;
    trial->state = ULL_TRIAL_SEARCHING;
    trial->wanted = ULL_TRIAL_BATCH;
    trial->p = 1;
    trial->detectable = HUGE_VAL;
}

bool ull_trial_is_open(const struct ull_trial *trial)
{
    return trial->state == ULL_TRIAL_SEARCHING || trial->state == ULL_TRIAL_CONFIRMING;
}

void ull_trial_add(struct ull_trial *trial, bool base, double value)
{
    size_t *count = base ? &trial->base_count : &trial->now_count;
    if (ull_trial_is_open(trial) && *count < trial->wanted)
        (base ? trial->base : trial->now)[(*count)++] = value;
}

static bool is_due(const struct ull_trial *trial)
{
    return ull_trial_is_open(trial) && trial->base_count == trial->wanted && trial->now_count == trial->wanted;
}

static void measure(struct ull_trial *trial)
{
    double base = ull_stats_median(trial->base, trial->base_count), now = ull_stats_median(trial->now, trial->now_count);
    double of_base = ull_stats_spread(trial->base, trial->base_count), of_now = ull_stats_spread(trial->now, trial->now_count);
    trial->change = base != 0 ? (now - base) / base : now == 0 ? 0 : HUGE_VAL;
    trial->spread = of_base > of_now ? of_base : of_now;
    trial->p = ull_stats_mann_whitney(trial->base, trial->base_count, trial->now, trial->now_count);
}

static bool moved(const struct ull_trial *trial)
{
    return fabs(trial->change) >= trial->threshold;
}

static void search(struct ull_trial *trial, double adjusted_p, size_t trials)
{
    double alpha = ULL_TRIAL_ALPHA / ULL_TRIAL_LOOKS;
    trial->detectable = ull_stats_detectable(
        trial->spread, trial->base_count, trial->now_count, alpha / (double)trials, ULL_TRIAL_POWER);
    trial->looks++;
    if (adjusted_p <= alpha && moved(trial)) {
        trial->state = ULL_TRIAL_CONFIRMING;
        trial->found_change = trial->change;
        trial->base_count = trial->now_count = 0; /* independent: none of the values that made us look */
    } else if (trial->detectable <= trial->threshold && fabs(trial->change) < trial->threshold * (trial->looks < ULL_TRIAL_LOOKS ? 0.5 : 1)) {
        /* The spread leaves outliers out, and the test does not: medians that lie apart are looked at again. */
        trial->state = ULL_TRIAL_UNCHANGED;
    } else if (trial->looks == ULL_TRIAL_LOOKS) {
        trial->state = ULL_TRIAL_INCONCLUSIVE;
    } else {
        trial->wanted += ULL_TRIAL_BATCH;
    }
}

static void confirm(struct ull_trial *trial, double adjusted_p)
{
    bool same_way = (trial->change > 0) == (trial->found_change > 0);
    if (adjusted_p <= ULL_TRIAL_ALPHA && moved(trial) && same_way)
        trial->state = (trial->change > 0) == (trial->better < 0) ? ULL_TRIAL_WORSE : ULL_TRIAL_BETTER;
    else
        trial->state = ULL_TRIAL_INCONCLUSIVE;
}

void ull_trials_look(struct ull_trial *all, size_t count)
{
    double *searching = calloc(count + 1, sizeof *searching), *confirming = calloc(count + 1, sizeof *confirming);
    bool *due = calloc(count + 1, sizeof *due);
    for (size_t i = 0; due != NULL && i < count; i++) {
        due[i] = is_due(&all[i]);
        if (due[i])
            measure(&all[i]);
    }
    if (searching != NULL && confirming != NULL && due != NULL) {
        for (size_t i = 0; i < count; i++) {
            searching[i] = all[i].p;
            confirming[i] = due[i] && all[i].state == ULL_TRIAL_CONFIRMING ? all[i].p : NAN; /* Holm leaves NaN out */
        }
        ull_stats_holm(searching, count);
        ull_stats_holm(confirming, count);
        for (size_t i = 0; i < count; i++)
            if (due[i] && all[i].state == ULL_TRIAL_SEARCHING)
                search(&all[i], searching[i], count);
            else if (due[i])
                confirm(&all[i], confirming[i]);
    } else {
        for (size_t i = 0; i < count; i++) /* without memory nothing is known */
            all[i].state = ull_trial_is_open(&all[i]) ? ULL_TRIAL_INCONCLUSIVE : all[i].state;
    }
    free(searching);
    free(confirming);
    free(due);
}
