/* SPDX-License-Identifier: BSD-2-Clause */
/* gaps.h - warnings about what is missing or coarse in a snapshot. */
#ifndef ULL_VIEW_GAPS_H
#define ULL_VIEW_GAPS_H

#include "view/making.h"

/* Once all is copied; @sidecar_trouble: what is wrong with it, NULL: nothing. */
void ull_gaps_warn(struct ull_making *m, const char *sidecar_trouble);

#endif
