/* SPDX-License-Identifier: BSD-2-Clause */
/* sizes.c - sizes of records, and the one rule for the caps that they suggest. */
#include "config.h"

#include "base/arith.h"
#include "ledger/format.h"
#include "ullage/procedures.h"
#include "view/flag.h"

_Static_assert(ULLAGE_SIZE_CLASSES == (int)ULL_BUCKET_COUNT, "the classes are the buckets of the ledger");

/* A hostile ledger may hold any number; past this a class is no cap for anybody. */
#define LARGEST (UINT64_C(1) << 60)

void ullage_sizes_add(struct ullage_sizes *sizes, uint64_t bytes)
{
    sizes->count++;
    sizes->classes[ull_bucket_of(bytes)]++;
    sizes->max_bytes = ull_max_u64(sizes->max_bytes, bytes);
    ull_saturating_add(&sizes->bytes, bytes);
}

uint64_t ullage_sizes_quantile(const struct ullage_sizes *sizes, double share)
{
    return ull_flag_quantile(sizes->classes, share, sizes->max_bytes);
}

uint64_t ullage_sizes_cap(const struct ullage_sizes *sizes)
{
    uint64_t largest = ull_min_u64(sizes->max_bytes, LARGEST);
    if (sizes->count < ULLAGE_CAP_LEAST_COUNT)
        return 0;
    return ull_max_u64(ull_class_of(largest + (largest + 3) / 4), ULLAGE_CAP_LEAST_BYTES);
}

int ullage_procedure_compare(const void *a, const void *b)
{
    const struct ullage_procedure *left = a, *right = b;
    if (left->sizes.bytes != right->sizes.bytes)
        return left->sizes.bytes > right->sizes.bytes ? -1 : 1;
    if (left->refused != right->refused)
        return left->refused > right->refused ? -1 : 1;
    if (left->program != right->program)
        return left->program < right->program ? -1 : 1;
    if (left->version != right->version)
        return left->version < right->version ? -1 : 1;
    return left->procedure < right->procedure ? -1 : left->procedure > right->procedure;
}
