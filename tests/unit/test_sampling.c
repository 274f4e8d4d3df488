/* SPDX-License-Identifier: BSD-2-Clause */
/* test_sampling.c - estimates from samples are unbiased. Fixed seeds: the bounds are four standard errors wide. */
#include "config.h"

#include "measure/sampling.h"

#include <criterion/criterion.h>
#include <math.h>

Test(sampling, distances_are_exponential_with_the_mean)
{
    uint64_t random = 42;
    double sum = 0, squares = 0, count = 200000, mean = 524288;
    for (int i = 0; i < (int)count; i++) {
        double d = (double)ull_sampling_distance(&random, 524288);
        cr_assert_geq(d, 1);
        sum += d;
        squares += d * d;
    }
    double found = sum / count, deviation = sqrt(squares / count - found * found);
    cr_assert_lt(fabs(found - mean), 4 * mean / sqrt(count), "mean %f", found);
    cr_assert_lt(fabs(deviation / mean - 1), 0.02, "an exponential deviates by its mean, not %f", deviation);
}

/* What the recorder does, over a stream of allocations: the estimate against the truth. */
static void check_stream(uint64_t bytes, unsigned allocations)
{
    uint64_t random = bytes * 7 + 1;
    int64_t until = ull_sampling_distance(&random, 524288);
    double estimate = 0, truth = (double)bytes * allocations;
    for (unsigned i = 0; i < allocations; i++) {
        until -= (int64_t)bytes;
        if (until < 0) {
            estimate += (double)bytes * ull_sampling_weight(&random, bytes, 524288);
            until = ull_sampling_distance(&random, 524288);
        }
    }
    double samples = truth / 524288;
    cr_assert_lt(fabs(estimate / truth - 1), 4 / sqrt(samples), "%lu bytes: %f of the truth", bytes, estimate / truth);
}

Test(sampling, totals_are_unbiased_for_every_size)
{
    check_stream(16, 200000000);
    check_stream(100, 50000000);
    check_stream(4096, 2000000);
    check_stream(65535, 200000);
    check_stream(1000000, 20000);
}

Test(sampling, nothing_asked_for_weighs_one)
{
    uint64_t random = 1;
    cr_assert_eq(ull_sampling_weight(&random, 0, 524288), 1);
    cr_assert_eq(ull_sampling_distance(&random, 1) >= 1, true);
}
