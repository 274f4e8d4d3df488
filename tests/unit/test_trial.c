/* SPDX-License-Identifier: BSD-2-Clause */
/* test_trial.c - when a noisy figure is called changed, unchanged, or neither. */
#include "config.h"

#include "bench/trial.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdint.h>

static uint64_t state;

static double uniform(void)
{
    state = state * 6364136223846793005U + 1442695040888963407U;
    return ((double)(state >> 11) + 0.5) / 9007199254740992.0;
}

static double normal(void)
{
    double radius = sqrt(-2 * log(uniform()));
    return radius * cos(2 * M_PI * uniform());
}

/* Feeds @count trials until all are decided; the first one is changed by @change, in each batch or only in the first. */
static void decide(struct ull_trial *trials, size_t count, double spread, double change, bool only_at_first)
{
    for (size_t i = 0; i < count; i++)
        ull_trial_init(&trials[i], -1, 0);
    for (int batch = 0; batch < 2 * ULL_TRIAL_LOOKS; batch++) {
        for (size_t i = 0; i < count; i++)
            for (int k = 0; k < ULL_TRIAL_VALUES; k++) {
                double now = i == 0 && (batch == 0 || !only_at_first) ? 1 + change : 1;
                ull_trial_add(&trials[i], true, 1 + spread * normal());
                ull_trial_add(&trials[i], false, now * (1 + spread * normal()));
            }
        ull_trials_look(trials, count);
    }
}

Test(trial, ten_percent_is_found_at_a_spread_of_three)
{
    unsigned found = 0;
    for (state = 1; state <= 40 * 7919;) {
        struct ull_trial trials[5];
        uint64_t seed = state;
        decide(trials, 5, 0.03, 0.10, false);
        found += trials[0].state == ULL_TRIAL_WORSE;
        for (size_t i = 1; i < 5; i++)
            cr_assert(trials[i].state != ULL_TRIAL_WORSE && trials[i].state != ULL_TRIAL_BETTER);
        state = seed + 7919;
    }
    cr_assert(found >= 36, "%u of 40", found);
}

Test(trial, less_is_better_or_worse_as_the_metric_says)
{
    struct ull_trial trial;
    state = 5;
    decide(&trial, 1, 0.01, -0.2, false);
    cr_assert_eq(trial.state, ULL_TRIAL_BETTER);
    ull_trial_init(&trial, 1, 0);
    for (int batch = 0; batch < 4; batch++) {
        for (int k = 0; k < ULL_TRIAL_VALUES; k++) {
            ull_trial_add(&trial, true, 100 + k % 3);
            ull_trial_add(&trial, false, 80 + k % 3);
        }
        ull_trials_look(&trial, 1);
    }
    cr_assert_eq(trial.state, ULL_TRIAL_WORSE);
}

Test(trial, what_the_second_batch_does_not_show_is_inconclusive)
{
    struct ull_trial trial;
    state = 3;
    decide(&trial, 1, 0.01, 0.3, true);
    cr_assert_eq(trial.state, ULL_TRIAL_INCONCLUSIVE);
    cr_assert_float_eq(trial.found_change, 0.3, 0.05);
}

Test(trial, a_small_change_is_no_change_and_a_wide_spread_no_verdict)
{
    struct ull_trial trial;
    state = 9;
    decide(&trial, 1, 0.005, 0.02, false);
    cr_assert_eq(trial.state, ULL_TRIAL_UNCHANGED);
    decide(&trial, 1, 0.25, 0, false);
    cr_assert_eq(trial.state, ULL_TRIAL_INCONCLUSIVE);
    cr_assert(trial.detectable > 0.05 && isfinite(trial.detectable));
    cr_assert_eq(trial.now_count, (size_t)ULL_TRIAL_VALUES);
}

/* A few slow repetitions, as an interrupted process has them, must hide no change of the rest. */
Test(trial, outliers_do_not_make_a_change_unchanged)
{
    for (unsigned seed = 1; seed <= 30; seed++) {
        struct ull_trial trial;
        state = seed * 7717;
        ull_trial_init(&trial, -1, 0);
        for (int batch = 0; batch < 2 * ULL_TRIAL_LOOKS; batch++) {
            for (int k = 0; k < ULL_TRIAL_VALUES; k++) {
                ull_trial_add(&trial, true, (1 + 0.01 * normal()) * (uniform() < 0.15 ? 1.4 : 1));
                ull_trial_add(&trial, false, 1.1 * (1 + 0.01 * normal()) * (uniform() < 0.15 ? 1.4 : 1));
            }
            ull_trials_look(&trial, 1);
        }
        cr_assert_neq(trial.state, ULL_TRIAL_UNCHANGED, "seed %u", seed);
    }
}

Test(trial, values_past_what_is_wanted_and_degenerate_ones)
{
    struct ull_trial trial;
    ull_trial_init(&trial, -1, 0);
    for (int k = 0; k < 1000; k++)
        ull_trial_add(&trial, true, 0), ull_trial_add(&trial, false, 0);
    cr_assert_eq(trial.base_count, (size_t)ULL_TRIAL_BATCH);
    ull_trials_look(&trial, 1);
    cr_assert_eq(trial.state, ULL_TRIAL_UNCHANGED); /* nothing, as before */
    ull_trial_init(&trial, -1, 0);
    for (int batch = 0; batch < 2 * ULL_TRIAL_LOOKS; batch++) {
        for (int k = 0; k < ULL_TRIAL_VALUES; k++)
            ull_trial_add(&trial, true, 0), ull_trial_add(&trial, false, 5);
        ull_trials_look(&trial, 1);
    }
    cr_assert_eq(trial.state, ULL_TRIAL_WORSE); /* from nothing to something */
}
