/* SPDX-License-Identifier: BSD-2-Clause */
/* profiles.h - live profiles: the sites that hold resources, grouped by the name of their kind. */
#ifndef ULL_VIEW_PROFILES_H
#define ULL_VIEW_PROFILES_H

#include "view/snapshot.h"

/* Orders @resources, which the snapshot keeps, and fills in its profiles. 0 or -ENOMEM. */
int ull_profiles_group(struct ullage_snapshot *snapshot, struct ull_site *resources, size_t count);

#endif
