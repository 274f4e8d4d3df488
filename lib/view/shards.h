/* SPDX-License-Identifier: BSD-2-Clause */
/* shards.h - what each thread counted of pools, buffers and ullage_malloc(), brought together by site. */
#ifndef ULL_VIEW_SHARDS_H
#define ULL_VIEW_SHARDS_H

#include "view/making.h"

/* The first pass: the frees of all shards, before anything else is copied. 0 or -ENOMEM. */
int ull_shards_take_frees(struct ull_making *m);

/* The second, after the sites: allocations, and both parts to sites and totals. What they are then is still to be settled. */
void ull_shards_add(struct ull_making *m);

/*
 * What was alive at the peak at least: @counted as threads added it up, and @above, which one of them had not added yet;
 * never more than @total. The first is two's complement: a thread may give up what another has not told of yet.
 */
uint64_t ull_shards_peak(uint64_t counted, uint64_t above, uint64_t total);

void ull_shards_fini(struct ull_making *m);

#endif
