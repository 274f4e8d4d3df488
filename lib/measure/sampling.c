/* SPDX-License-Identifier: BSD-2-Clause */
/* sampling.c - the arithmetic of sampling; logarithm and exponential of our own, because libm would be one more
 * library in every program that we look at. Both are good to 1e-9, far finer than any sample. */
#include "config.h"

#include "measure/sampling.h"

#include <string.h>

/* xorshift64*, Vigna 2016: period 2^64 - 1, good high bits. */
uint64_t ull_random_next(uint64_t *state)
{
    uint64_t x = *state != 0 ? *state : UINT64_C(0x9e3779b97f4a7c15);
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    return x * UINT64_C(0x2545f4914f6cdd1d);
}

/* Uniform in (0, 1]. */
static double random_unit(uint64_t *state)
{
    return (double)((ull_random_next(state) >> 11) + 1) * (1.0 / 9007199254740992.0);
}

/* Natural logarithm of a positive normal number: exponent apart, mantissa by the series of atanh. */
static double natural_log(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    double exponent = (double)(int)((bits >> 52) & 0x7ff) - 1023.0;
    bits = (bits & ((UINT64_C(1) << 52) - 1)) | UINT64_C(0x3ff) << 52;
    memcpy(&x, &bits, sizeof x); /* in [1, 2) */
    double y = (x - 1.0) / (x + 1.0), square = y * y, term = y, sum = 0.0;
    for (int i = 1; i <= 21; i += 2) {
        sum += term / i;
        term *= square;
    }
    return exponent * 0.69314718055994530942 + 2.0 * sum;
}

/* 1 - exp(-x) for x >= 0, without cancellation where x is small: halve, take the series, double back. */
static double one_minus_exp(double x)
{
    int halvings = 0;
    if (x > 40.0)
        return 1.0;
    for (; x > 0.25; halvings++)
        x *= 0.5;
    double term = x, sum = 0.0;
    for (int i = 2; i <= 12; i++) {
        sum += term;
        term *= -x / i;
    }
    for (; halvings > 0; halvings--)
        sum = sum * (2.0 - sum); /* 1 - (1 - s)^2 */
    return sum;
}

int64_t ull_sampling_distance(uint64_t *random, uint64_t mean_bytes)
{
    double distance = -natural_log(random_unit(random)) * (double)mean_bytes;
    return distance < 1.0 ? 1 : distance > 4e18 ? INT64_C(4000000000000000000) : (int64_t)distance;
}

uint32_t ull_sampling_weight(uint64_t *random, uint64_t bytes, uint64_t mean_bytes)
{
    double p = one_minus_exp((double)bytes / (double)mean_bytes), weight;
    if (p <= 0.0)
        return 1; /* nothing was asked for: it adds no bytes whatever it stands for */
    weight = 1.0 / p + random_unit(random);
    return weight < 1.0 ? 1 : weight > 4e9 ? UINT32_C(4000000000) : (uint32_t)weight;
}
