/* SPDX-License-Identifier: BSD-2-Clause */
/* hint.h - one line on how to get the names that are missing. */
#ifndef ULL_VIEW_HINT_H
#define ULL_VIEW_HINT_H

#include "view/snapshot.h"
#include "view/symbolize.h"

/* For the worst site that has no line; NULL if none needs one. Asks dpkg-query(1) once, where there is one. */
const char *ull_hint_find(struct ullage_snapshot *snapshot, const struct ull_symbolizer *symbolizer);

#endif
