/* SPDX-License-Identifier: BSD-2-Clause */
/* stats.c - medians, an exact rank test, and how much it can see.
 *
 * The rank test counts, it does not approximate.  Ranks are doubled, so that the mean rank of tied values is an integer too,
 * and what is compared is never rounded.  Let r[0] <= r[1] <= ... be the doubled ranks of both sides together.
 * ways[k][s] is in how many ways k of the values looked at so far can be chosen so that their ranks sum up to s more than
 * those of the k smallest.  One more value, r[i], as the greatest of k chosen:
 *
 *     ways[k][s + r[i] - r[k - 1]] += ways[k - 1][s]
 *
 * because the k smallest sum up to r[k - 1] more than the k - 1 smallest.  No s exceeds twice the product of the counts,
 * the range of a doubled U.  The ways outgrow 2^53 and are doubles, but only ever added: each is right to some 1e-14.
 */
#include "config.h"

#include "stats.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static int compare_doubles(const void *left, const void *right)
{
    const double *a = left, *b = right;
    return (*a > *b) - (*a < *b);
}

double ull_stats_median(const double *values, size_t count)
{
    if (count == 0)
        return 0;
    double *sorted = calloc(count, sizeof *sorted);
    if (sorted == NULL)
        return NAN;
    bool comparable = true;
    for (size_t i = 0; i < count; i++) {
        sorted[i] = values[i];
        comparable = comparable && !isnan(values[i]);
    }
    qsort(sorted, count, sizeof *sorted, compare_doubles);
    double low = sorted[(count - 1) / 2], high = sorted[count / 2];
    free(sorted);
    return comparable ? (low + high) / 2 : NAN;
}

double ull_stats_spread(const double *values, size_t count)
{
    /* 1 / 0.67449, the 0.75 quantile: half of all normal values lie that many deviations around their median. */
    static const double deviations_a_mad = 1.4826;
    if (count < 2)
        return 0;
    double *distances = calloc(count, sizeof *distances);
    if (distances == NULL)
        return NAN;
    double median = ull_stats_median(values, count);
    for (size_t i = 0; i < count; i++)
        distances[i] = fabs(values[i] - median);
    double mad = ull_stats_median(distances, count);
    free(distances);
    if (mad == 0)
        return 0;
    return median == 0 ? HUGE_VAL : deviations_a_mad * mad / fabs(median);
}

/* A value of either side, in the order of both together. */
struct ranked {
    double value;
    size_t rank;  /* doubled; tied values have the mean of their places, so first place + last place, from 1 */
    size_t below; /* sum of the doubled ranks of all values before this one */
    bool summed;  /* of the side whose ranks are summed: the smaller one, for the shorter table */
};

static int compare_ranked(const void *left, const void *right)
{
    const struct ranked *a = left, *b = right;
    return compare_doubles(&a->value, &b->value);
}

/* The index after the last value that is tied with the one at @first. */
static size_t tied_until(const struct ranked *pool, size_t total, size_t first)
{
    size_t end = first + 1;
    while (end < total && !(pool[first].value < pool[end].value))
        end++;
    return end;
}

static void set_ranks(struct ranked *pool, size_t total)
{
    size_t below = 0;
    for (size_t first = 0, end; first < total; first = end) {
        end = tied_until(pool, total, first);
        for (size_t i = first; i < end; i++) {
            pool[i].rank = first + 1 + end;
            pool[i].below = below;
            below += pool[i].rank;
        }
    }
}

/* Both sides in one order; NULL if there is none, or no memory.  The caller frees it. */
static struct ranked *pool_sides(const double *few, size_t few_count, const double *many, size_t many_count)
{
    size_t total = few_count + many_count;
    struct ranked *pool = calloc(total, sizeof *pool);
    if (pool == NULL)
        return NULL;
    bool comparable = true;
    for (size_t i = 0; i < total; i++) {
        pool[i].summed = i < few_count;
        pool[i].value = pool[i].summed ? few[i] : many[i - few_count];
        comparable = comparable && !isnan(pool[i].value);
    }
    if (!comparable) {
        free(pool);
        return NULL;
    }
    qsort(pool, total, sizeof *pool, compare_ranked);
    set_ranks(pool, total);
    return pool;
}

static size_t distance(size_t a, size_t b)
{
    return a > b ? a - b : b - a;
}

/* How far the summed side's doubled rank sum lies from its expectation, @few * (total + 1). */
static size_t deviation_of(const struct ranked *pool, size_t few, size_t total)
{
    size_t sum = 0;
    for (size_t i = 0; i < total; i++)
        sum += pool[i].summed ? pool[i].rank : 0;
    return distance(sum, few * (total + 1));
}

/* One value more, the one at @i: see the head of this file. */
static void add_value(double *ways, size_t stride, const struct ranked *pool, size_t i, size_t few, size_t total)
{
    size_t left = total - i - 1;
    size_t least = few > left ? few - left : 1; /* with fewer by now the rest cannot make up @few */
    for (size_t k = i < few ? i + 1 : few; k >= least; k--) { /* downwards: row k - 1 is still without this value */
        const double *from = ways + (k - 1) * stride;
        double *to = ways + k * stride + (pool[i].rank - pool[k - 1].rank);
        size_t reach = pool[i].below - pool[i + 1 - k].below - pool[k - 1].below; /* of the k - 1 greatest so far */
        for (size_t s = 0; s <= reach; s++)
            to[s] += from[s];
    }
}

/* How many entries a row of ways has. */
static size_t row_length(size_t few, size_t total)
{
    return 2 * few * (total - few) + 1;
}

/* In how many ways @few of the values sum up to each s above the least sum; NULL without memory.  The caller frees it. */
static double *count_ways(const struct ranked *pool, size_t few, size_t total)
{
    size_t stride = row_length(few, total);
    double *ways = calloc((few + 1) * stride, sizeof *ways);
    if (ways == NULL)
        return NULL;
    ways[0] = 1;
    for (size_t i = 0; i < total; i++)
        add_value(ways, stride, pool, i, few, total);
    memcpy(ways, ways + few * stride, stride * sizeof *ways);
    return ways;
}

static double exact_p(const struct ranked *pool, size_t few, size_t total)
{
    double *ways = count_ways(pool, few, total);
    if (ways == NULL)
        return NAN;
    size_t deviation = deviation_of(pool, few, total);
    double all = 0, as_far = 0;
    for (size_t s = 0; s < row_length(few, total); s++) {
        all += ways[s];
        if (distance(pool[few].below + s, few * (total + 1)) >= deviation)
            as_far += ways[s];
    }
    free(ways);
    return as_far / all;
}

/* Lehmann, chapter 1: ties of t values take (t^3 - t) / (total (total - 1)) from the variance's factor total + 1. */
static double approximate_p(const struct ranked *pool, size_t few, size_t total)
{
    double ties = 0, n = (double)total;
    for (size_t first = 0, end; first < total; first = end) {
        end = tied_until(pool, total, first);
        double t = (double)(end - first);
        ties += t * (t * t - 1);
    }
    double variance = (double)few * (n - (double)few) / 12 * (n + 1 - ties / (n * (n - 1)));
    if (!(variance > 0))
        return 1;
    double z = ((double)deviation_of(pool, few, total) - 1) / 2 / sqrt(variance); /* - 1 / 2: continuity */
    return fmin(1, erfc(z / sqrt(2)));
}

/* Neither count is 0. */
static bool counts_exactly(size_t a_count, size_t b_count)
{
    return a_count <= ULL_STATS_EXACT_PRODUCT / b_count;
}

double ull_stats_mann_whitney(const double *a, size_t a_count, const double *b, size_t b_count)
{
    if (a_count > b_count)
        return ull_stats_mann_whitney(b, b_count, a, a_count);
    if (a_count == 0)
        return 1;
    struct ranked *pool = pool_sides(a, a_count, b, b_count);
    if (pool == NULL)
        return NAN;
    double p = (counts_exactly(a_count, b_count) ? exact_p : approximate_p)(pool, a_count, a_count + b_count);
    free(pool);
    return p;
}

double ull_stats_smallest_p(size_t a_count, size_t b_count)
{
    size_t few = a_count < b_count ? a_count : b_count, many = a_count < b_count ? b_count : a_count;
    double ways = 1;
    for (size_t i = 1; i <= few && ways < HUGE_VAL; i++)
        ways = ways * ((double)many + (double)i) / (double)i; /* in this order no step rounds below 2^53, and 2/20 is 0.1 */
    return fmin(1, 2 / ways);
}

static int compare_pointed(const void *left, const void *right)
{
    double *const *a = left, *const *b = right;
    return compare_doubles(*a, *b);
}

void ull_stats_holm(double *p, size_t count)
{
    double **order = calloc(count == 0 ? 1 : count, sizeof *order);
    size_t tests = 0;
    for (size_t i = 0; i < count; i++) {
        if (order == NULL)
            p[i] = p[i] * (double)count > 1 ? 1 : p[i] * (double)count;
        else if (!isnan(p[i]))
            order[tests++] = &p[i];
    }
    if (order != NULL)
        qsort(order, tests, sizeof *order, compare_pointed);
    double highest = 0;
    for (size_t i = 0; i < tests; i++) {
        highest = fmin(1, fmax(highest, *order[i] * (double)(tests - i)));
        *order[i] = highest;
    }
    free(order);
}

/* The z that a normal value exceeds with chance @upper.  Halving, because it needs no table and nobody waits for it. */
static double normal_exceeded(double upper)
{
    double low = -40, high = 40; /* past 38 erfc() of a double is 0 */
    if (!(upper > 0 && upper < 1))
        return upper > 0 ? -HUGE_VAL : HUGE_VAL;
    for (int i = 0; i < 64; i++) { /* 80 / 2^64 is below the last bit of any result that matters */
        double middle = (low + high) / 2;
        if (erfc(middle / sqrt(2)) / 2 > upper)
            low = middle;
        else
            high = middle;
    }
    return high;
}

/* The least significant distance of a doubled U from its mean, where no values are tied; NaN without memory. */
static double critical_deviation(size_t few, size_t many, double alpha)
{
    size_t total = few + many, product = few * many;
    if (!counts_exactly(few, many))
        return 2 * normal_exceeded(alpha / 2) * sqrt((double)product * (double)(total + 1) / 12) + 1;
    struct ranked *pool = calloc(total, sizeof *pool);
    for (size_t i = 0; pool != NULL && i < total; i++)
        pool[i] = (struct ranked){ .rank = 2 * (i + 1), .below = i * (i + 1) };
    double *ways = pool == NULL ? NULL : count_ways(pool, few, total);
    free(pool);
    if (ways == NULL)
        return NAN;
    double all = 0, tail = 0;
    for (size_t s = 0; s <= 2 * product; s++)
        all += ways[s];
    size_t s = 0;
    while (s <= product && 2 * (tail + ways[s]) / all <= alpha) {
        tail += ways[s];
        s += 2; /* of untied values each doubled U is even */
    }
    free(ways);
    return (double)product - (double)s + 2;
}

/* Owen's T(h, 1 / sqrt(3)): twice it is what P(both below h) lacks of P(one below h), of normals correlated by 1/2. */
static double owen_t(double h)
{
    enum { STEPS = 64 }; /* our choice, because the error is then below 1e-5, and power is asked for in percent */
    double sum = 0, step = 1 / sqrt(3) / STEPS;
    for (int i = 0; i < STEPS; i++) {
        double x = step * (i + 0.5), square = 1 + x * x;
        sum += exp(-h * h * square / 2) / square;
    }
    return sum * step / (2 * acos(-1));
}

/*
 * The chance that U comes out at least @critical / 2 above its mean, where one side is @shift standard deviations up: U's
 * mean and variance are exact for normal values (one of a below one of b: p; two of a below the same b, or the reverse:
 * p - 2 T), its shape is taken as normal.
 */
static double power_at(double shift, double critical, double few, double many)
{
    double h = shift / sqrt(2), above = erfc(h / sqrt(2)) / 2, below = 1 - above;
    double product = few * many;
    double variance = product * (below * above + (few + many - 2) * fmax(0, below * above - 2 * owen_t(h)));
    double margin = product * (below - 0.5) - (critical - 1) / 2;
    return variance > 0 ? erfc(-margin / sqrt(2 * variance)) / 2 : margin > 0;
}

double ull_stats_detectable(double relative_sd, size_t a_count, size_t b_count, double alpha, double power)
{
    size_t few = a_count < b_count ? a_count : b_count, many = a_count < b_count ? b_count : a_count;
    if (few == 0 || ull_stats_smallest_p(few, many) > alpha || power >= 1)
        return HUGE_VAL;
    double critical = critical_deviation(few, many, alpha);
    double low = 0, high = 40; /* standard deviations: there two sides never overlap, as far as a double can tell */
    if (isnan(critical))
        return NAN;
    if (power_at(high, critical, (double)few, (double)many) < power)
        return HUGE_VAL;
    for (int i = 0; i < 50; i++) { /* 40 / 2^50 is nothing beside what a spread is known to */
        double middle = (low + high) / 2;
        if (power_at(middle, critical, (double)few, (double)many) < power)
            low = middle;
        else
            high = middle;
    }
    return relative_sd * high;
}
