/* SPDX-License-Identifier: BSD-2-Clause */
/* pools.h - pools and budgets of a snapshot. */
#ifndef ULL_VIEW_POOLS_H
#define ULL_VIEW_POOLS_H

#include "view/making.h"

/* Copies both: those in use first, and of them the largest. 0 or -ENOMEM. */
int ull_pools_copy(struct ull_making *m);

#endif
