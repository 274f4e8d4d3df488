/* SPDX-License-Identifier: BSD-2-Clause */
/* test_stats.c - the rank test against scipy and against every deal of the values, the rest against hand and simulation. */
#include "config.h"

#include "bench/stats.h"

#include "base/arith.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Of a value of any size; what the sums in doubles may lose is a hundredth of this. */
static bool near(double a, double b)
{
    return fabs(a - b) <= 1e-12 * fmax(fabs(a), fabs(b));
}

static uint64_t random_state;

static uint64_t random_u64(void)
{
    return ull_mix64(random_state += UINT64_C(0x9e3779b97f4a7c15)); /* 2^64 over the golden ratio, as splitmix64 steps */
}

static double random_uniform(void)
{
    return ((double)(random_u64() >> 11) + 0.5) / 9007199254740992.0; /* 2^53 */
}

static double random_normal(void)
{
    double radius = sqrt(-2 * log(random_uniform())); /* Box and Muller (1958) */
    return radius * cos(2 * acos(-1) * random_uniform());
}

Test(stats, median_is_the_middle_of_any_order)
{
    const double odd[] = { 9, 1, 5 }, even[] = { 8, 1, 2, 4 }, one[] = { 7 };
    double kept[] = { 9, 1, 5 };
    cr_assert_eq(ull_stats_median(kept, 3), 5);
    cr_assert_eq(memcmp(kept, odd, sizeof odd), 0, "the input keeps its order");
    cr_assert_eq(ull_stats_median(even, 4), 3);
    cr_assert_eq(ull_stats_median(one, 1), 7);
    cr_assert_eq(ull_stats_median(NULL, 0), 0);
    for (size_t i = 0; i < 5; i++) {
        double unknown[] = { 1, 2, 3, 4, 5 };
        unknown[i] = NAN;
        cr_assert(isnan(ull_stats_median(unknown, 5)), "wherever it stands");
    }
}

Test(stats, spread_is_that_of_most_values)
{
    const double values[] = { 6, 1, 2, 9, 1, 4, 2 }, negative[] = { -6, -1, -2, -9, -1, -4, -2 };
    const double outlier[] = { 6, 1, 2, 1e9, 1, 4, 2 }, equal[] = { 3, 3, 3, 4 }, around_zero[] = { -1, 0, 1 };
    cr_assert(near(ull_stats_spread(values, 7), 1.4826 / 2), "median 2; distances 0 0 1 1 2 4 7");
    cr_assert(near(ull_stats_spread(negative, 7), 1.4826 / 2));
    cr_assert(near(ull_stats_spread(outlier, 7), 1.4826 / 2), "one outlier changes nothing");
    cr_assert_eq(ull_stats_spread(equal, 4), 0);
    cr_assert_eq(ull_stats_spread(values, 1), 0);
    cr_assert_eq(ull_stats_spread(NULL, 0), 0);
    cr_assert_eq(ull_stats_spread(around_zero, 3), HUGE_VAL);
    double normal[1001];
    random_state = 1;
    for (size_t i = 0; i < 1001; i++)
        normal[i] = 100 + 3 * random_normal();
    cr_assert_float_eq(ull_stats_spread(normal, 1001), 0.03, 0.002, "of normal values it is the standard deviation");
}

/*
 * Python 3.11, scipy 1.10.1:
 *
 *     import itertools, random
 *     from fractions import Fraction
 *     from scipy.stats import mannwhitneyu
 *
 *     def far(a, b): return abs(sum((x > y) - (x < y) for x in a for y in b))
 *     def every(a, b):    # all ways to deal the values
 *         v = a + b; sides = [set(c) for c in itertools.combinations(range(len(v)), len(a))]
 *         fars = [far([v[i] for i in s], [v[i] for i in range(len(v)) if i not in s]) for s in sides]
 *         return sum(f >= far(a, b) for f in fars) / len(sides)
 *     def counted(a, b):  # sums of signs instead of ranks: {(chosen, W): ways}, in integers of any size
 *         v = a + b; score = [sum((x > y) - (x < y) for y in v) for x in v]; ways = {(0, 0): 1}
 *         for s in score:
 *             for (k, w), n in list(ways.items()):
 *                 if k < len(a): ways[k + 1, w + s] = ways.get((k + 1, w + s), 0) + n
 *         last = {w: n for (k, w), n in ways.items() if k == len(a)}
 *         return float(Fraction(sum(n for w, n in last.items() if abs(w) >= abs(sum(score[:len(a)]))), sum(last.values())))
 *     def untied(n, m, shift):
 *         v = r.sample(range(0, 1000, 2), n + m); return v[:n], [x + shift for x in v[n:]]
 *     def tied(n, m, shift): return [r.randrange(4) for _ in range(n)], [r.randrange(4) + shift for _ in range(m)]
 *     def scipy(a, b): return mannwhitneyu(a, b, alternative="two-sided", method="exact").pvalue
 *
 *     r = random.Random(1947)
 *     for make, p, sizes in (
 *         (untied, scipy, ((1, 1, 1), (1, 9, 1), (2, 2, 901), (3, 3, 1001), (4, 3, 501), (5, 5, 1001), (5, 5, 301),
 *             (1, 40, 601), (6, 8, 401), (7, 7, 301), (10, 10, 201), (8, 12, 401), (12, 5, 1), (15, 15, 101), (20, 3, 701),
 *             (20, 20, 301), (13, 29, 201), (30, 30, 101), (25, 40, 301), (40, 31, 51), (40, 40, 1), (40, 40, 151))),
 *         (tied, every, ((1, 3, 1), (2, 2, 1), (2, 3, 2), (3, 3, 1), (2, 7, 2), (4, 4, 1), (3, 6, 2), (5, 3, 1), (5, 5, 0),
 *             (5, 5, 2), (4, 7, 1), (6, 6, 1), (8, 4, 2), (7, 6, 0))),
 *         (tied, counted, ((10, 10, 1), (9, 17, 2), (20, 20, 1), (31, 8, 1), (25, 25, 1), (40, 12, 1), (40, 40, 0),
 *             (40, 40, 1)))):
 *         for n, m, shift in sizes:
 *             a, b = make(n, m, shift)
 *             print(f"    {{ {n}, {m}, {p(a, b)!r}, V({str(a)[1:-1]}, {str(b)[1:-1]}) }},")
 */
#define V(...) ((const short[]){ __VA_ARGS__ })
static const struct {
    size_t a_count, b_count;
    double p;
    const short *values; /* of a, then of b */
} exact_cases[] = {
    /* untied, scipy */
    { 1, 1, 1.0, V(748, 697) },
    { 1, 9, 1.0, V(568, 611, 65, 579, 363, 487, 665, 369, 607, 361) },
    { 2, 2, 0.3333333333333333, V(0, 660, 1079, 1467) },
    { 3, 3, 0.1, V(582, 386, 850, 1751, 1893, 1109) },
    { 4, 3, 0.8571428571428571, V(176, 822, 424, 622, 503, 551, 701) },
    { 5, 5, 0.007936507936507936, V(672, 418, 764, 636, 890, 1129, 1201, 1351, 1617, 1749) },
    { 5, 5, 0.05555555555555555, V(796, 546, 182, 188, 882, 1125, 1041, 501, 909, 1253) },
    { 1, 40, 0.04878048780487805,
        V(368, 783, 869, 979, 1561, 859, 1319, 977, 645, 1205, 1485, 1103, 887, 765, 1133, 1353, 1323, 1177, 1563, 1093, 795,
        659, 885, 719, 1163, 727, 1583, 945, 1059, 1463, 951, 1229, 1335, 817, 1007, 861, 1127, 1135, 1303, 995, 941) },
    { 6, 8, 0.22843822843822847, V(510, 956, 328, 250, 480, 892, 1325, 419, 425, 925, 1381, 517, 913, 861) },
    { 7, 7, 0.45571095571095577, V(226, 574, 600, 956, 734, 610, 860, 975, 589, 333, 925, 1101, 1109, 549) },
    { 10, 10, 0.035462989023360536,
        V(286, 540, 522, 284, 364, 126, 220, 624, 968, 78, 539, 345, 467, 913, 933, 683, 613, 395, 1155, 763) },
    { 8, 12, 0.038707628800508063,
        V(120, 964, 248, 212, 886, 938, 86, 46, 855, 1329, 883, 847, 969, 925, 743, 1279, 945, 1119, 751, 781) },
    { 12, 5, 1.0, V(914, 206, 172, 196, 556, 966, 438, 0, 66, 616, 634, 482, 509, 497, 167, 539, 513) },
    { 15, 15, 0.012799031340882706,
        V(622, 280, 546, 266, 558, 356, 596, 44, 764, 538, 36, 188, 462, 276, 8, 909, 197, 959, 621, 515, 1039, 693, 247,
        195, 979, 1013, 899, 213, 1063, 837) },
    { 20, 3, 0.002258610954263128,
        V(840, 658, 762, 874, 108, 164, 722, 576, 790, 288, 740, 172, 348, 208, 826, 802, 948, 870, 858, 642, 1215, 1643,
        919) },
    { 20, 20, 0.04595422986872423,
        V(34, 946, 604, 682, 98, 702, 88, 678, 772, 366, 882, 958, 730, 82, 374, 36, 172, 788, 66, 84, 393, 395, 561, 917,
        487, 499, 325, 1149, 329, 989, 483, 463, 1117, 493, 755, 973, 1023, 941, 847, 589) },
    { 13, 29, 0.0003665330340043456,
        V(978, 138, 306, 98, 902, 162, 722, 246, 232, 4, 278, 332, 330, 949, 1109, 1035, 403, 601, 675, 523, 233, 763, 789,
        443, 395, 1193, 905, 1033, 845, 219, 475, 1167, 1079, 373, 655, 561, 1041, 1115, 1057, 517, 1087, 321) },
    { 30, 30, 0.2860547139288691,
        V(306, 76, 850, 904, 180, 710, 604, 318, 558, 434, 644, 252, 110, 590, 642, 646, 858, 562, 210, 688, 978, 866, 272,
        372, 938, 160, 204, 544, 58, 418, 439, 549, 157, 401, 485, 387, 1057, 981, 389, 115, 833, 697, 341, 843, 605, 205,
        791, 493, 847, 603, 975, 179, 795, 273, 957, 875, 629, 1099, 565, 147) },
    { 25, 40, 0.0002470663518663601,
        V(406, 914, 370, 160, 394, 788, 206, 182, 718, 6, 304, 692, 120, 580, 432, 30, 522, 532, 832, 520, 552, 60, 246, 136,
        688, 1153, 855, 435, 1049, 867, 1065, 311, 909, 681, 537, 1033, 1057, 495, 637, 453, 395, 759, 1109, 585, 871, 945,
        771, 433, 635, 959, 399, 347, 523, 1139, 513, 335, 323, 581, 529, 917, 815, 1123, 309, 1043, 519) },
    { 40, 31, 0.8222725825902591,
        V(682, 456, 170, 222, 462, 334, 226, 784, 948, 246, 38, 390, 392, 336, 820, 588, 174, 464, 448, 850, 730, 968, 48,
        728, 822, 432, 894, 810, 380, 244, 198, 984, 312, 116, 794, 836, 570, 952, 640, 304, 357, 165, 949, 723, 179, 279,
        819, 271, 457, 227, 799, 337, 1033, 1039, 689, 219, 469, 585, 187, 775, 605, 55, 205, 729, 837, 417, 867, 683, 1005,
        137, 769) },
    { 40, 40, 0.6562623545832461,
        V(282, 152, 540, 298, 810, 104, 822, 986, 248, 90, 264, 126, 950, 212, 830, 520, 206, 376, 296, 608, 738, 722, 442,
        718, 828, 34, 984, 488, 486, 752, 180, 530, 906, 558, 178, 538, 234, 120, 912, 168, 421, 903, 7, 637, 657, 237, 701,
        621, 889, 187, 513, 449, 705, 841, 327, 329, 209, 289, 743, 59, 447, 417, 339, 135, 139, 799, 55, 517, 291, 331, 21,
        439, 431, 419, 577, 973, 869, 617, 77, 275) },
    { 40, 40, 0.002670976932049286,
        V(40, 204, 564, 376, 262, 852, 724, 622, 832, 846, 474, 386, 60, 662, 656, 730, 190, 660, 30, 808, 318, 390, 610,
        198, 496, 752, 502, 796, 620, 744, 280, 680, 476, 572, 136, 708, 334, 440, 870, 862, 991, 799, 891, 967, 223, 463,
        933, 389, 397, 941, 853, 645, 269, 1071, 251, 619, 837, 555, 615, 407, 965, 847, 453, 471, 869, 971, 479, 953, 747,
        1033, 683, 249, 1045, 291, 769, 359, 1037, 1065, 1075, 795) },
    /* tied, every deal */
    { 1, 3, 1.0, V(3, 1, 3, 3) },
    { 2, 2, 1.0, V(3, 3, 2, 3) },
    { 2, 3, 0.1, V(0, 0, 3, 5, 3) },
    { 3, 3, 1.0, V(1, 2, 3, 4, 1, 1) },
    { 2, 7, 0.4722222222222222, V(3, 1, 2, 5, 4, 2, 2, 2, 4) },
    { 4, 4, 1.0, V(3, 3, 3, 1, 1, 4, 1, 4) },
    { 3, 6, 0.20238095238095238, V(2, 0, 3, 5, 2, 2, 3, 4, 5) },
    { 5, 3, 0.23214285714285715, V(3, 2, 3, 1, 2, 2, 1, 1) },
    { 5, 5, 0.4444444444444444, V(2, 2, 2, 2, 2, 3, 1, 2, 2, 1) },
    { 5, 5, 0.007936507936507936, V(1, 2, 2, 1, 2, 4, 4, 4, 4, 3) },
    { 4, 7, 0.012121212121212121, V(2, 0, 1, 2, 4, 3, 4, 4, 2, 3, 4) },
    { 6, 6, 0.35064935064935066, V(1, 3, 1, 1, 0, 3, 2, 1, 1, 2, 3, 4) },
    { 8, 4, 0.044444444444444446, V(3, 3, 2, 1, 2, 3, 1, 2, 2, 4, 4, 4) },
    { 7, 6, 0.3956876456876457, V(0, 3, 0, 3, 2, 1, 3, 0, 0, 2, 2, 1, 2) },
    /* tied, counted */
    { 10, 10, 0.12941392972352725, V(0, 3, 1, 2, 0, 1, 0, 1, 3, 2, 4, 2, 1, 4, 2, 1, 1, 1, 3, 3) },
    { 9, 17, 0.00533868877118305, V(3, 3, 0, 3, 0, 2, 1, 3, 1, 2, 3, 4, 3, 4, 3, 4, 2, 3, 4, 2, 5, 2, 3, 5, 5, 4) },
    { 20, 20, 0.00016266144814773727,
        V(0, 1, 3, 0, 1, 2, 0, 1, 2, 1, 3, 1, 3, 1, 0, 0, 3, 0, 3, 2, 3, 4, 3, 4, 4, 4, 2, 2, 4, 2, 2, 2, 4, 4, 2, 3, 3, 2,
        1, 3) },
    { 31, 8, 0.045533653118792435,
        V(2, 1, 0, 0, 2, 2, 2, 0, 0, 3, 2, 2, 0, 2, 1, 3, 0, 1, 2, 2, 1, 0, 0, 0, 0, 3, 3, 1, 0, 0, 1, 3, 4, 1, 2, 2, 2, 2,
        1) },
    { 25, 25, 0.9350269680411,
        V(2, 2, 3, 0, 3, 2, 1, 2, 3, 1, 3, 2, 0, 3, 2, 3, 2, 2, 3, 1, 2, 1, 3, 3, 3, 1, 2, 2, 1, 4, 3, 1, 4, 3, 4, 2, 1, 2,
        4, 1, 4, 1, 3, 1, 1, 3, 1, 3, 1, 2) },
    { 40, 12, 0.0003590684173575462,
        V(0, 1, 1, 0, 2, 2, 2, 0, 3, 2, 3, 0, 3, 3, 0, 2, 3, 3, 1, 0, 2, 0, 3, 2, 2, 1, 1, 2, 2, 2, 0, 1, 1, 3, 0, 1, 2, 2,
        2, 0, 4, 3, 4, 2, 2, 2, 3, 4, 2, 4, 2, 3) },
    { 40, 40, 0.3885327632837807,
        V(2, 1, 3, 3, 2, 0, 0, 0, 0, 1, 1, 3, 1, 3, 1, 1, 1, 2, 2, 1, 3, 2, 2, 3, 2, 0, 0, 2, 1, 0, 2, 1, 0, 3, 2, 2, 2, 1,
        0, 3, 2, 2, 2, 0, 1, 2, 3, 3, 2, 0, 0, 2, 2, 1, 2, 1, 2, 2, 1, 1, 3, 2, 2, 3, 1, 2, 0, 1, 0, 3, 1, 2, 3, 1, 2, 3, 3,
        0, 2, 2) },
    { 40, 40, 5.3873561634324806e-05,
        V(2, 2, 0, 1, 1, 3, 3, 2, 1, 0, 0, 1, 2, 0, 1, 2, 3, 1, 0, 1, 1, 0, 3, 1, 2, 3, 0, 2, 2, 0, 1, 2, 1, 2, 1, 0, 3, 1,
        0, 1, 3, 1, 1, 1, 4, 3, 3, 2, 1, 2, 4, 1, 1, 1, 4, 1, 4, 1, 4, 1, 4, 4, 3, 4, 1, 3, 1, 2, 4, 3, 1, 2, 3, 3, 1, 3, 2,
        4, 4, 4) },
};

Test(stats, rank_test_is_exact_with_and_without_ties)
{
    for (size_t c = 0; c < sizeof exact_cases / sizeof exact_cases[0]; c++) {
        size_t n = exact_cases[c].a_count, m = exact_cases[c].b_count;
        double a[40], b[40];
        for (size_t i = 0; i < n; i++)
            a[i] = exact_cases[c].values[i];
        for (size_t i = 0; i < m; i++)
            b[i] = exact_cases[c].values[n + i];
        double p = ull_stats_mann_whitney(a, n, b, m);
        cr_expect(near(p, exact_cases[c].p), "case %zu, %zu + %zu: %.17g, not %.17g", c, n, m, p, exact_cases[c].p);
        cr_expect_eq(ull_stats_mann_whitney(b, m, a, n), p, "case %zu: the sides are alike", c);
    }
}

/*
 * Past the exact limit, from a generator that both languages have:
 *
 *     from scipy.stats import mannwhitneyu
 *     def drawn(seed, count, modulus, shift):
 *         for _ in range(count):
 *             seed = (seed * 1103515245 + 12345) % 2**31
 *             yield (seed >> 16) % modulus + shift
 *     for n, m, modulus, shift in ((101, 100, 32768, 3000), (100, 101, 5, 1), (200, 150, 32768, 2000), (300, 40, 7, 0),
 *             (11, 1000, 3, 1), (1000, 1000, 32768, 400), (1000, 1000, 4, 0), (1, 10001, 32768, 16000), (150, 150, 1, 0)):
 *         p = mannwhitneyu([*drawn(n, n, modulus, 0)], [*drawn(m + 1, m, modulus, shift)], alternative="two-sided",
 *             method="asymptotic").pvalue
 *         print(f"    {{ {n}, {m}, {modulus}, {shift}, {p!r} }},")
 */
static const struct {
    size_t a_count, b_count;
    unsigned modulus, shift;
    double p;
} large_cases[] = {
    { 101, 100, 32768, 3000, 0.03352640360512157 },
    { 100, 101, 5, 1, 0.0004183413255708166 },
    { 200, 150, 32768, 2000, 0.0007556110798733631 },
    { 300, 40, 7, 0, 0.3724174636959836 },
    { 11, 1000, 3, 1, 0.0010359566045769024 },
    { 1000, 1000, 32768, 400, 0.36552364845877594 },
    { 1000, 1000, 4, 0, 0.3897663754477837 },
    { 1, 10001, 32768, 16000, 0.10015962971791482 },
    { 150, 150, 1, 0, 1.0 },
};

/* The same numbers as drawn() above; the caller frees them. */
static double *drawn(size_t seed, size_t count, unsigned modulus, unsigned shift)
{
    double *values = calloc(count, sizeof *values);
    cr_assert_not_null(values);
    for (size_t i = 0; i < count; i++) {
        seed = (seed * 1103515245 + 12345) % (UINT64_C(1) << 31); /* rand() in the C standard's example */
        values[i] = (double)((seed >> 16) % modulus + shift);
    }
    return values;
}

Test(stats, rank_test_of_many_is_the_normal_approximation)
{
    for (size_t c = 0; c < sizeof large_cases / sizeof large_cases[0]; c++) {
        size_t n = large_cases[c].a_count, m = large_cases[c].b_count;
        double *a = drawn(n, n, large_cases[c].modulus, 0);
        double *b = drawn(m + 1, m, large_cases[c].modulus, large_cases[c].shift);
        double p = ull_stats_mann_whitney(a, n, b, m);
        cr_expect(near(p, large_cases[c].p), "case %zu, %zu + %zu: %.17g, not %.17g", c, n, m, p, large_cases[c].p);
        cr_expect_eq(ull_stats_mann_whitney(b, m, a, n), p, "case %zu: the sides are alike", c);
        free(a);
        free(b);
    }
}

Test(stats, rank_test_meets_its_approximation_at_the_limit)
{
    cr_assert_eq(ULL_STATS_EXACT_PRODUCT, 100 * 100);
    double *a = drawn(3, 100, 32768, 0), *b = drawn(4, 101, 32768, 3000);
    b[100] = ull_stats_median(b, 100); /* one that hardly matters, but is one too many */
    double exact = ull_stats_mann_whitney(a, 100, b, 100), approximate = ull_stats_mann_whitney(a, 100, b, 101);
    cr_assert_neq(exact, approximate);
    cr_assert_float_eq(exact / approximate, 1, 0.05, "%g %g", exact, approximate);
    for (size_t i = 0; i < 100; i++)
        b[i] += 32768;
    cr_assert(near(ull_stats_mann_whitney(a, 100, b, 100), ull_stats_smallest_p(100, 100)), "the limit itself is exact");
    free(a);
    free(b);
}

enum { FEW = 10 }; /* 2^10 deals take no time */

/* How far apart the values in @deal, a bit each, are from the others: twice the distance of U from its mean. */
static int apart(const double *values, unsigned count, unsigned deal)
{
    int wins = 0;
    for (unsigned i = 0; i < count; i++) {
        for (unsigned j = 0; j < count; j++) {
            if ((deal >> i & 1) && !(deal >> j & 1))
                wins += (values[i] > values[j]) - (values[i] < values[j]);
        }
    }
    return abs(wins);
}

static double p_of_deal(const double *values, unsigned count, unsigned deal)
{
    double sides[2][FEW];
    size_t counts[2] = { 0, 0 };
    for (unsigned i = 0; i < count; i++) {
        unsigned side = deal >> i & 1;
        sides[side][counts[side]++] = values[i];
    }
    return ull_stats_mann_whitney(sides[1], counts[1], sides[0], counts[0]);
}

/* The share of all deals with as many on each side whose values are at least as far apart as those of @deal. */
static double share_as_far(const double *values, unsigned count, unsigned deal)
{
    unsigned deals = 0, as_far = 0;
    for (unsigned other = 0; other < 1u << count; other++) {
        if (__builtin_popcount(other) != __builtin_popcount(deal))
            continue;
        deals++;
        as_far += apart(values, count, other) >= apart(values, count, deal);
    }
    return (double)as_far / deals;
}

Test(stats, rank_test_counts_every_deal)
{
    random_state = 2;
    for (unsigned round = 0; round < 400; round++) {
        unsigned count = 2 + (unsigned)(random_u64() % (FEW - 1)), kinds = 1 + (unsigned)(random_u64() % 6);
        unsigned deal = 1 + (unsigned)(random_u64() % ((1u << count) - 2));
        double values[FEW];
        for (unsigned i = 0; i < count; i++)
            values[i] = (double)(random_u64() % kinds) - 2.5;
        double p = p_of_deal(values, count, deal), share = share_as_far(values, count, deal);
        cr_assert(near(p, share), "round %u: %u values of %u kinds, deal %x: %.17g, not %.17g", round, count, kinds, deal, p,
            share);
    }
}

Test(stats, chance_gives_each_p_as_often_as_it_says)
{
    const double values[] = { 0, 0, 1, 2, 2, 2, 2, 3 }; /* with three against five the sums are skewed */
    for (unsigned deal = 0; deal < 1u << 8; deal++) {
        if (__builtin_popcount(deal) != 3)
            continue;
        double p = p_of_deal(values, 8, deal);
        unsigned deals = 0, as_small = 0;
        for (unsigned other = 0; other < 1u << 8; other++) {
            if (__builtin_popcount(other) != 3)
                continue;
            deals++;
            as_small += p_of_deal(values, 8, other) <= p;
        }
        cr_assert(near(p, (double)as_small / deals), "deal %x: %g, but %u of %u", deal, p, as_small, deals);
    }
}

Test(stats, rank_test_sees_only_the_order)
{
    const double a[] = { 1, 3, 3, 8, 9 }, b[] = { 2, 3, 7, 7, 9, 20, 21 };
    double up_a[5], up_b[7], down_a[5], down_b[7];
    for (size_t i = 0; i < 5; i++) {
        up_a[i] = exp(a[i]);
        down_a[i] = -a[i];
    }
    for (size_t i = 0; i < 7; i++) {
        up_b[i] = exp(b[i]);
        down_b[i] = -b[i];
    }
    up_b[6] = HUGE_VAL;
    double p = ull_stats_mann_whitney(a, 5, b, 7);
    cr_assert_eq(ull_stats_mann_whitney(up_a, 5, up_b, 7), p);
    cr_assert_eq(ull_stats_mann_whitney(down_a, 5, down_b, 7), p, "faster or slower by as much is as much");
}

Test(stats, rank_test_of_nothing_finds_nothing)
{
    const double some[] = { 1, 2, 3 }, unknown[] = { 1, NAN }, equal[] = { 5, 5, 5, 5 };
    double zeros[200] = { 0 }, around[200];
    for (size_t i = 0; i < 200; i++)
        around[i] = i % 2 == 0 ? -1 : 1;
    cr_assert_eq(ull_stats_mann_whitney(some, 3, NULL, 0), 1);
    cr_assert_eq(ull_stats_mann_whitney(NULL, 0, some, 3), 1);
    cr_assert_eq(ull_stats_mann_whitney(NULL, 0, NULL, 0), 1);
    cr_assert_eq(ull_stats_mann_whitney(equal, 2, equal + 1, 3), 1);
    cr_assert_eq(ull_stats_mann_whitney(zeros, 200, zeros, 199), 1);
    cr_assert_eq(ull_stats_mann_whitney(around, 200, zeros, 200), 1, "as many wins as losses");
    zeros[0] = -0.0;
    cr_assert_eq(ull_stats_mann_whitney(zeros, 1, zeros + 1, 30), 1, "-0.0 is 0.0");
    cr_assert(isnan(ull_stats_mann_whitney(some, 3, unknown, 2)));
    cr_assert(isnan(ull_stats_mann_whitney(unknown, 2, some, 3)));
}

Test(stats, smallest_p_is_that_of_sides_that_do_not_overlap)
{
    double low[12], high[12];
    for (size_t i = 0; i < 12; i++) {
        low[i] = (double)i;
        high[i] = low[i] + 100;
    }
    for (size_t n = 1; n <= 12; n++) {
        for (size_t m = 1; m <= 12; m++)
            cr_assert_eq(ull_stats_smallest_p(n, m), ull_stats_mann_whitney(low, n, high, m), "%zu + %zu", n, m);
    }
    cr_assert_eq(ull_stats_smallest_p(3, 3), 0.1, "not a bit more, or p <= 0.1 would fail");
    cr_assert(near(ull_stats_smallest_p(4, 4), 2.0 / 70));
    cr_assert(near(ull_stats_smallest_p(40, 40), 2 / 1.0750720873333364e23), "C(80, 40), Python's math.comb");
    cr_assert_eq(ull_stats_smallest_p(0, 9), 1);
    cr_assert_eq(ull_stats_smallest_p(1000, 1000), 0, "C(2000, 1000) is past a double");
    cr_assert_eq(ull_stats_smallest_p(SIZE_MAX, SIZE_MAX), 0, "and this ends");
}

Test(stats, holm_by_hand)
{
    /* in order 0.005 * 4, 0.01 * 3, 0.03 * 2, then 0.04 * 1, which is held at 0.06 */
    double p[] = { 0.01, 0.04, 0.03, 0.005 };
    ull_stats_holm(p, 4);
    cr_assert(near(p[0], 0.03) && near(p[1], 0.06) && near(p[2], 0.06) && near(p[3], 0.02));
    double large[] = { 0.9, 0.2, 0.8 }, tied[] = { 0.02, 0.3, 0.02 }, unknown[] = { 0.03, NAN, 0.02 }, one[] = { 0.04 };
    ull_stats_holm(large, 3);
    cr_assert(large[0] == 1 && near(large[1], 0.6) && large[2] == 1);
    ull_stats_holm(tied, 3);
    cr_assert(near(tied[0], 0.06) && near(tied[1], 0.3) && tied[2] == tied[0]);
    ull_stats_holm(unknown, 3);
    cr_assert(near(unknown[0], 0.04) && isnan(unknown[1]) && near(unknown[2], 0.04), "a NaN is no test");
    ull_stats_holm(one, 1);
    cr_assert_eq(one[0], 0.04);
    ull_stats_holm(NULL, 0);
}

/* Holm's own procedure: the smallest p first, each against @alpha over the tests that are left, until one fails. */
static void reject_in_steps(const double *p, size_t count, double alpha, bool *rejected)
{
    for (size_t left = count; left > 0; left--) {
        size_t least = count;
        for (size_t i = 0; i < count; i++) {
            if (!rejected[i] && (least == count || p[i] < p[least]))
                least = i;
        }
        if (p[least] * (double)left > alpha)
            return;
        rejected[least] = true;
    }
}

Test(stats, holm_rejects_what_its_steps_reject)
{
    random_state = 3;
    for (unsigned round = 0; round < 500; round++) {
        double p[12], adjusted[12];
        size_t count = 1 + random_u64() % 12;
        for (size_t i = 0; i < count; i++)
            adjusted[i] = p[i] = random_uniform() * random_uniform() * 0.1;
        ull_stats_holm(adjusted, count);
        bool rejected[12] = { false };
        reject_in_steps(p, count, 0.05, rejected);
        for (size_t i = 0; i < count; i++)
            cr_assert_eq(adjusted[i] <= 0.05, rejected[i], "round %u: %g became %g", round, p[i], adjusted[i]);
    }
}

Test(stats, detectable_is_infinite_where_no_result_could_show_it)
{
    cr_assert_eq(ull_stats_detectable(0.01, 3, 3, 0.05, 0.8), HUGE_VAL, "0.1 is the least that three and three can give");
    cr_assert_lt(ull_stats_detectable(0.01, 3, 3, 0.1, 0.8), 0.1, "and it is enough where 0.1 is");
    cr_assert_lt(ull_stats_detectable(0.01, 4, 4, 0.05, 0.8), 0.1);
    cr_assert_eq(ull_stats_detectable(0.01, 4, 4, 0.05 / 2, 0.8), HUGE_VAL);
    cr_assert_eq(ull_stats_detectable(0.01, 0, 40, 0.05, 0.8), HUGE_VAL);
    cr_assert_eq(ull_stats_detectable(0.01, 40, 40, 0, 0.8), HUGE_VAL);
    cr_assert_eq(ull_stats_detectable(0.01, 1000, 1000, 0, 0.8), HUGE_VAL);
    cr_assert_eq(ull_stats_detectable(0.01, 40, 40, 0.05, 1), HUGE_VAL);
    cr_assert_eq(ull_stats_detectable(0.01, 1, 20000, 0.05, 0.8), HUGE_VAL, "nor can the approximation, with one value");
    cr_assert_eq(ull_stats_detectable(0, 5, 5, 0.05, 0.8), 0);
}

Test(stats, detectable_shrinks_with_more_values_and_grows_with_demands)
{
    double before = HUGE_VAL;
    for (size_t n = 4; n <= 100; n += n / 10 + 1) {
        double here = ull_stats_detectable(0.03, n, n, 0.05, 0.8);
        cr_assert_lt(here, before, "%zu + %zu", n, n);
        cr_assert(near(ull_stats_detectable(0.06, n, n, 0.05, 0.8), 2 * here));
        cr_assert_gt(ull_stats_detectable(0.03, n, n, 0.05, 0.9), here);
        cr_assert_gt(ull_stats_detectable(0.03, n, n, 0.01, 0.8), here);
        cr_assert_lt(ull_stats_detectable(0.03, n, 2 * n, 0.05, 0.8), here);
        cr_assert_eq(ull_stats_detectable(0.03, n, 2 * n, 0.05, 0.8), ull_stats_detectable(0.03, 2 * n, n, 0.05, 0.8));
        before = here;
    }
}

Test(stats, detectable_of_many_values_is_the_textbook_formula)
{
    /* z(0.975) + z(0.8) from a table of the normal distribution */
    double textbook = 0.03 * (1.959964 + 0.841621) * sqrt((1 / 1000.0 + 1 / 1000.0) * acos(-1) / 3);
    cr_assert_float_eq(ull_stats_detectable(0.03, 1000, 1000, 0.05, 0.8) / textbook, 1, 0.002);
    double exact = ull_stats_detectable(0.03, 100, 100, 0.05, 0.8);
    double approximate = ull_stats_detectable(0.03, 100, 101, 0.05, 0.8);
    cr_assert_float_eq(exact / approximate, 1, 0.01, "%g %g", exact, approximate);
}

/* How often the test calls a change of @change, in 2,000 benchmarks that swing by 3 %. */
static double simulated_power(size_t a_count, size_t b_count, double alpha, double change)
{
    enum { BENCHMARKS = 2000 }; /* our choice, because the standard error is then below one percent */
    unsigned found = 0;
    for (unsigned i = 0; i < BENCHMARKS; i++) {
        double a[40], b[40];
        for (size_t k = 0; k < a_count; k++)
            a[k] = 100 * (1 + 0.03 * random_normal());
        for (size_t k = 0; k < b_count; k++)
            b[k] = 100 * (1 + change + 0.03 * random_normal());
        found += ull_stats_mann_whitney(a, a_count, b, b_count) <= alpha;
    }
    return (double)found / BENCHMARKS;
}

Test(stats, detectable_changes_are_detected_that_often)
{
    static const struct {
        size_t a_count, b_count;
        double alpha, power;
    } cases[] = {
        { 5, 5, 0.05, 0.8 }, { 6, 6, 0.05, 0.95 }, { 8, 8, 0.05, 0.8 }, { 8, 8, 0.01, 0.9 }, { 10, 10, 0.05, 0.8 },
        { 5, 20, 0.05, 0.8 }, { 10, 30, 0.01, 0.9 }, { 20, 20, 0.05, 0.8 }, { 20, 20, 0.005, 0.9 },
    };
    random_state = 4;
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        double change = ull_stats_detectable(0.03, cases[c].a_count, cases[c].b_count, cases[c].alpha, cases[c].power);
        double power = simulated_power(cases[c].a_count, cases[c].b_count, cases[c].alpha, change);
        cr_expect_float_eq(power, cases[c].power, 0.05, "%zu + %zu at %g: %g, not %g", cases[c].a_count, cases[c].b_count,
            cases[c].alpha, power, cases[c].power);
    }
    double change = ull_stats_detectable(0.03, 4, 4, 0.05, 0.8), power = simulated_power(4, 4, 0.05, change);
    cr_assert_gt(power, 0.8, "where only full separation counts, rather more: %g", power);
}
