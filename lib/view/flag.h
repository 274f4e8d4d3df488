/* SPDX-License-Identifier: BSD-2-Clause */
/* flag.h - the verdict on a site. Pure: numbers in, verdict out. */
#ifndef ULL_VIEW_FLAG_H
#define ULL_VIEW_FLAG_H

#include "view/snapshot.h"

/* Fills deciding, used_*, ullage_*, touched_p99, flag, suggested and exact_share from what was counted. */
void ull_flag_decide(struct ull_site *site, const struct ullage_thresholds *thresholds);

/* The upper limit of the bucket that holds the @share-quantile of @counts, at most @largest. */
uint64_t ull_flag_quantile(const uint64_t counts[ULL_BUCKET_COUNT], double share, uint64_t largest);

#endif
