/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * classes.h - the size classes: the steps of the ledger's histograms, so that one look-up gives both.
 *
 * From 4 KiB up a class is whole pages, because two owners must not share one: 5, 6 and 7 KiB are served by 8, 10 by 12
 * and 14 by 16. The alignment of a class is the largest power of two that divides it, slabs being aligned to 1 MiB.
 */
#ifndef ULL_POOL_CLASSES_H
#define ULL_POOL_CLASSES_H

#include "ledger/format.h"

enum {
    ULL_CLASS_LARGE = ULL_BUCKET_COUNT - 1, /* over 64 MiB: mapped one by one */
    ULL_CACHE_FIRST_POOL = ULL_BUCKET_COUNT,
    ULL_CACHES_MAX = 1024,
};

/* The class that serves each bucket. */
extern const uint8_t ull_class_of_bucket[ULL_BUCKET_COUNT] __attribute__((visibility("hidden")));

static inline unsigned ull_class_for(size_t bytes)
{
    return ull_class_of_bucket[ull_bucket_of(bytes)];
}

#endif
