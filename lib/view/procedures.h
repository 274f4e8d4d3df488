/* SPDX-License-Identifier: BSD-2-Clause */
/* procedures.h - RPC procedures of a snapshot, as record readers met them. */
#ifndef ULL_VIEW_PROCEDURES_H
#define ULL_VIEW_PROCEDURES_H

#include "view/making.h"

/* Copies them, most bytes first. 0 or -ENOMEM. */
int ull_procedures_copy(struct ull_making *m);

/* What of records somebody should look at: refusals over caps, a budget that was too small, a table that was full. */
void ull_procedures_warn(struct ullage_snapshot *snapshot);

#endif
