/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * trial.h - has a noisy figure changed? The decision alone: values go in, a verdict comes out.
 *
 * A trial is one metric of one benchmark, measured in turn in the program and in the base that it is held against. It
 * looks at its values after each batch. Changed means all of this: the Mann-Whitney U test is significant, corrected over
 * all trials and all looks; the medians differ by the threshold; and a second batch, as long and independent, shows both
 * again in the same direction. Unchanged means that a change of the threshold would have been seen. What is neither after
 * the last batch is inconclusive, and says which change it could have seen.
 */
#ifndef ULL_TOOLS_TRIAL_H
#define ULL_TOOLS_TRIAL_H

#include <stdbool.h>
#include <stddef.h>

enum {
    ULL_TRIAL_BATCH = 10,  /* repetitions of each side between looks */
    ULL_TRIAL_LOOKS = 4,   /* batches at most */
    ULL_TRIAL_VALUES = ULL_TRIAL_BATCH * ULL_TRIAL_LOOKS,
};
#define ULL_TRIAL_ALPHA 0.05 /* of all trials of a gate together */
#define ULL_TRIAL_POWER 0.8  /* with which a change of the threshold is to be seen, before nothing is called unchanged */
#define ULL_TRIAL_LEAST 0.05 /* no change below 5 % fails: benchmarks of unchanged code move by that */

enum ull_trial_state {
    ULL_TRIAL_SEARCHING,
    ULL_TRIAL_CONFIRMING, /* something was found: a second batch decides */
    ULL_TRIAL_UNCHANGED,
    ULL_TRIAL_WORSE,
    ULL_TRIAL_BETTER,
    ULL_TRIAL_INCONCLUSIVE,
    ULL_TRIAL_ABANDONED, /* a side has no values to give any more: it crashed */
};

struct ull_trial {
    int better;       /* -1 lower, 1 higher */
    double threshold; /* relative change that counts; at least ULL_TRIAL_LEAST */
    enum ull_trial_state state;
    double base[ULL_TRIAL_VALUES], now[ULL_TRIAL_VALUES]; /* of this phase */
    size_t base_count, now_count;
    size_t wanted; /* values a side until the next look */
    unsigned looks;
    /* as of the last look */
    double p, change, spread;
    double detectable; /* relative change that would have been seen; HUGE_VAL: none */
    double found_change; /* when it began to confirm */
};

void ull_trial_init(struct ull_trial *trial, int better, double threshold);
bool ull_trial_is_open(const struct ull_trial *trial);
/* A value of either side; ignored once it has what it wants. */
void ull_trial_add(struct ull_trial *trial, bool base, double value);

/* Looks at all that have as many values as they want. @all: of the gate, open or not, so that p is corrected for each of them. */
void ull_trials_look(struct ull_trial *all, size_t count);

#endif
