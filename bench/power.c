/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * power.c - what the rule of `ullage bench gate --base` is worth, by simulation: how often it alarms falsely, and how often
 * it finds a change, at spreads that benchmarks have.
 *
 *     bench_power [GATES [BENCHMARKS]]      300 simulated gates of 10 benchmarks
 *
 * Values are lognormal around 1 (times are skewed); in a gate with a change one benchmark has it. A tenth of the values
 * gets an outlier of up to +30 %, as an interrupted repetition has.
 */
#include "trial.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { BENCHMARKS_MAX = 200 };

static uint64_t state = 88172645463325252U;

static double uniform(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return ((double)(state >> 11) + 0.5) / 9007199254740992.0;
}

static double value(double spread, double change)
{
    double normal = sqrt(-2 * log(uniform())) * cos(2 * M_PI * uniform());
    double outlier = uniform() < 0.1 ? 1 + 0.3 * uniform() : 1;
    return exp(spread * normal) * (1 + change) * outlier;
}

struct outcome {
    unsigned found, false_alarms, inconclusive;
    double values;
};

static void gate(struct outcome *sum, unsigned benchmarks, double spread, double change)
{
    static struct ull_trial trials[BENCHMARKS_MAX];
    bool open = true;
    for (unsigned i = 0; i < benchmarks; i++)
        ull_trial_init(&trials[i], -1, 0);
    while (open) {
        open = false;
        for (unsigned i = 0; i < benchmarks; i++)
            for (int k = 0; k < ULL_TRIAL_BATCH && ull_trial_is_open(&trials[i]); k++) {
                ull_trial_add(&trials[i], true, value(spread, 0));
                ull_trial_add(&trials[i], false, value(spread, i == 0 ? change : 0));
                sum->values += 1.0 / benchmarks;
                open = true;
            }
        ull_trials_look(trials, benchmarks);
    }
    sum->found += change != 0 && trials[0].state == ULL_TRIAL_WORSE;
    for (unsigned i = change != 0 ? 1 : 0; i < benchmarks; i++)
        sum->false_alarms += trials[i].state == ULL_TRIAL_WORSE || trials[i].state == ULL_TRIAL_BETTER;
    for (unsigned i = 0; i < benchmarks; i++)
        sum->inconclusive += trials[i].state == ULL_TRIAL_INCONCLUSIVE;
}

int main(int argc, char **argv)
{
    static const double spreads[] = { 0.01, 0.02, 0.03, 0.05, 0.10, 0.15 }, changes[] = { 0, 0.05, 0.10, 0.20, 0.50 };
    int gates = argc > 1 ? atoi(argv[1]) : 300;
    unsigned benchmarks = argc > 2 ? (unsigned)atoi(argv[2]) : 10;
    if (gates < 1 || benchmarks < 1 || benchmarks > BENCHMARKS_MAX)
        return fprintf(stderr, "usage: bench_power [GATES [BENCHMARKS]], at most %d benchmarks\n", BENCHMARKS_MAX), 2;
    printf("%d gates of %u benchmarks for each line\n\n", gates, benchmarks);
    printf("| spread | change | found | false alarms (of all benchmarks) | inconclusive | repetitions a side |\n|---|---|---|---|---|---|\n");
    for (unsigned s = 0; s < sizeof spreads / sizeof spreads[0]; s++)
        for (unsigned c = 0; c < sizeof changes / sizeof changes[0]; c++) {
            struct outcome sum = { 0, 0, 0, 0 };
            for (int i = 0; i < gates; i++)
                gate(&sum, benchmarks, spreads[s], changes[c]);
            char found[16] = "-";
            if (changes[c] != 0)
                snprintf(found, sizeof found, "%.0f %%", 100.0 * sum.found / gates);
            printf("| %.0f %% | %+.0f %% | %s | %u of %u | %.0f %% | %.0f |\n", spreads[s] * 100, changes[c] * 100, found, sum.false_alarms,
                (unsigned)gates * (benchmarks - (changes[c] != 0)), 100.0 * sum.inconclusive / gates / benchmarks, sum.values / gates);
        }
    return 0;
}
