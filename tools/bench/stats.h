/* SPDX-License-Identifier: BSD-2-Clause */
/* stats.h - is a benchmark's difference more than chance, how large are its swings, and what could so few runs have shown.
 *
 * Run times are not normal: skewed, with outliers, in a few dozen values at most.  So medians, not means; a rank test, not
 * Student's; and its exact distribution, because the usual approximation is poor just where few runs have to decide.
 *
 * No order of the values is needed and none is changed.  A NaN among them, or no memory, makes the answer NaN, which no
 * threshold takes for significant.  Threads: any.  Blocks: no.  Allocates: yes, and frees it before it returns.
 */
#ifndef ULL_BENCH_STATS_H
#define ULL_BENCH_STATS_H

#include <stddef.h>

enum {
    /*
     * Up to this product of the two counts p is exact.  Our choice, because that is 100 values a side, in 16 ms and 16 MB,
     * and past it the approximation errs little, and to the safe side: with 100 a side and no ties it says 0.3 % too much
     * near p = 0.05, 2 % near 0.01, 7 % near 0.001; with 10 and 1,000 it is 2, 15 and 60 %.
     */
    ULL_STATS_EXACT_PRODUCT = 10000,
};

/* The middle value, or halfway between the middle two; 0 for none. */
double ull_stats_median(const double *values, size_t count);

/**
 * ull_stats_spread() - a relative standard deviation that outliers do not move
 * @values: in any one unit
 * @count:  how many
 *
 * 1.4826 times the median distance to the median (MAD), over the median.  Not the interquartile range: the MAD stands until
 * half of the values are outliers, the range until a quarter, and with five runs there are as many answers to where a
 * quartile lies as there are books.
 *
 * Returns: 0.01 for 1 %; 0 for fewer than two values, and where more than half are equal (sizes often are): then it says
 *          nothing about the rest; HUGE_VAL where the median is 0 and the MAD is not
 * Source:  Hampel, The influence curve and its role in robust estimation, JASA 69 (1974); 1.4826 is 1 / the 0.75 quantile of
 *          the normal distribution.  Uncorrected for few values: reads 18 % low on average with 5, 9 % with 10, 4 % with 20
 */
double ull_stats_spread(const double *values, size_t count);

/**
 * ull_stats_mann_whitney() - how often chance alone would set two sides at least so far apart
 * @a, @b:             the values of each side
 * @a_count, @b_count: how many; they may differ
 *
 * The two-sided Mann-Whitney U test.  Equal values share the mean of their ranks, and the distribution is that of the rank
 * sum W over all ways to deal just these ranks to the two sides: exact with ties too.  p is P(|W - E W| >= |w - E W|).
 *
 * With ties and unequal counts W is not symmetric, and this is not twice the smaller tail.  Ours is the permutation test
 * of the one statistic "how far apart": over all ways to deal, p is at most x in a share x of them for each x that p can
 * be, never more, never needlessly less.  Twice the tail charges for a mirror image that these ties do not allow, and can
 * come out above 1.
 *
 * Returns: 0 to 1; 1 where a side is empty or all values are equal
 * Past ULL_STATS_EXACT_PRODUCT: the normal approximation, with the corrections for ties and continuity
 * Source:  Mann and Whitney, On a test of whether one of two random variables is stochastically larger than the other, Ann.
 *          Math. Statist. 18 (1947); Lehmann, Nonparametrics (1975), chapter 1
 */
double ull_stats_mann_whitney(const double *a, size_t a_count, const double *b, size_t b_count);

/*
 * The least p that the test can give for these counts without ties: 2 / C(a_count + b_count, a_count), at most 1.  Ties
 * may raise it; with unequal counts they may also take away one of the two extremes, and leave half of it.
 */
double ull_stats_smallest_p(size_t a_count, size_t b_count);

/**
 * ull_stats_holm() - correct p values for their number, in place
 * @p:     p values of one family of tests; each becomes its adjusted value, at its place
 * @count: how many
 *
 * Calling all up to x significant then errs anywhere in the family with a chance of at most x, however the tests depend on
 * each other.  A NaN stays one and is not counted.  Without memory each is multiplied by the count (Bonferroni), which is
 * never less and just as true.
 *
 * Source: Holm, A simple sequentially rejective multiple test procedure, Scand. J. Statist. 6 (1979)
 */
void ull_stats_holm(double *p, size_t count);

/**
 * ull_stats_detectable() - the least relative change of the median that so many runs are likely to show
 * @relative_sd:       of the values of either side, as ull_stats_spread() gives it
 * @a_count, @b_count: values a side
 * @alpha:             a p up to this is called a change; for the strictest of a Holm family of n, alpha / n
 * @power:             chance to find the change that is asked for, below 1
 *
 * For values that are normal, equally spread and shifted.  With many values this is
 *
 *     relative_sd * (z(1 - alpha / 2) + z(power)) * sqrt((1 / a_count + 1 / b_count) * pi / 3)
 *
 * z the normal quantile: what a z test needs, times the root of the inverse of the U test's asymptotic relative efficiency,
 * 3 / pi.  With few that promises far too much: what it gives for 80 % is found in 58 % of the cases with 5 values a side.
 * So the critical U comes from the exact distribution, and U's mean and variance under the shift are exact; only its
 * shape is taken as normal.  Simulated, the power is within 4 points of the one asked for, for 0.8 to 0.95 at alpha 0.05
 * from 5 + 5 values on.  Where only the most extreme order of the values is significant at all, it is higher.
 *
 * Returns: 0.02 for 2 %; HUGE_VAL where no result whatever could come out at or below @alpha
 * Source:  Lehmann, Nonparametrics (1975), chapter 2; Owen, Tables for computing bivariate normal probabilities, Ann. Math.
 *          Statist. 27 (1956), for two values below the same third
 */
double ull_stats_detectable(double relative_sd, size_t a_count, size_t b_count, double alpha, double power);

#endif
