/* SPDX-License-Identifier: BSD-2-Clause */
/* profiles.c - live profiles from the sites of a ledger. */
#include "config.h"

#include "view/profiles.h"

#include "base/arith.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int by_profile(const void *a, const void *b)
{
    const struct ull_site *left = a, *right = b;
    int names = strcmp(left->profile, right->profile);
    if (names != 0)
        return names;
    if (left->live_count != right->live_count)
        return left->live_count > right->live_count ? -1 : 1;
    if (left->allocations != right->allocations)
        return left->allocations > right->allocations ? -1 : 1;
    return left->id < right->id ? -1 : left->id > right->id;
}

int ull_profiles_group(struct ullage_snapshot *snapshot, struct ull_site *resources, size_t count)
{
    if (count == 0)
        return 0;
    qsort(resources, count, sizeof resources[0], by_profile);
    snapshot->profiles = ull_arena_alloc(&snapshot->arena, count, sizeof snapshot->profiles[0]);
    if (snapshot->profiles == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        const struct ull_site *site = &resources[i];
        struct ull_profile *profile = i > 0 ? &snapshot->profiles[snapshot->profile_count - 1] : NULL;
        if (profile == NULL || strcmp(profile->name, site->profile) != 0) {
            profile = &snapshot->profiles[snapshot->profile_count++];
            profile->name = site->profile;
            profile->sites = site;
        }
        profile->site_count++;
        ull_saturating_add(&profile->held, site->live_count);
        ull_saturating_add(&profile->added, site->allocations);
        ull_saturating_add(&profile->removed, site->frees);
    }
    return 0;
}
