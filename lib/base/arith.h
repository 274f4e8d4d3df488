/* SPDX-License-Identifier: BSD-2-Clause */
/* arith.h - checked arithmetic on byte counts, and rounding to powers of two. */
#ifndef ULL_BASE_ARITH_H
#define ULL_BASE_ARITH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Each returns true when the result fits and stores it in *out. */
static inline bool ull_add_fits(uint64_t a, uint64_t b, uint64_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

static inline bool ull_mul_fits(uint64_t a, uint64_t b, uint64_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

static inline uint64_t ull_round_down(uint64_t value, uint64_t power_of_two)
{
    return value & ~(power_of_two - 1);
}

/* The caller knows that value + power_of_two - 1 does not overflow. */
static inline uint64_t ull_round_up(uint64_t value, uint64_t power_of_two)
{
    return ull_round_down(value + power_of_two - 1, power_of_two);
}

static inline uint64_t ull_min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t ull_max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* a - b, or 0 where that would be negative. */
static inline uint64_t ull_minus_clamped(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

/* a * b / c without overflow in between; saturates; 0 where c is 0. */
static inline uint64_t ull_mul_div(uint64_t a, uint64_t b, uint64_t c)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    if (c == 0)
        return 0;
    product /= c;
    return product > UINT64_MAX ? UINT64_MAX : (uint64_t)product;
}

/* A 64-bit mixer (the finalizer of MurmurHash3, public domain): every input bit reaches every output bit. */
static inline uint64_t ull_mix64(uint64_t x)
{
    x ^= x >> 33;
    x *= UINT64_C(0xff51afd7ed558ccd);
    x ^= x >> 33;
    x *= UINT64_C(0xc4ceb9fe1a85ec53);
    x ^= x >> 33;
    return x;
}

#endif
