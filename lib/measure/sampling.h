/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sampling.h - which small allocations stand for the others.
 *
 * As in tcmalloc and jemalloc: sample points lie on the stream of allocated bytes, the distances between them are
 * exponential with a given mean, and an allocation is sampled if it covers a point. So one of s bytes is sampled with
 * p = 1 - exp(-s / mean) and stands for 1 / p of its size: totals are unbiased.
 */
#ifndef ULL_MEASURE_SAMPLING_H
#define ULL_MEASURE_SAMPLING_H

#include <stdint.h>

/* A thread's generator; seed it with anything but 0. */
uint64_t ull_random_next(uint64_t *state);

/* Bytes to the next sample point, at least 1. @mean_bytes > 0. */
int64_t ull_sampling_distance(uint64_t *random, uint64_t mean_bytes);

/* How many allocations a sampled one of @bytes stands for: 1 / p, rounded at random so that its mean is right. */
uint32_t ull_sampling_weight(uint64_t *random, uint64_t bytes, uint64_t mean_bytes);

#endif
