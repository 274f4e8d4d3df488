/* SPDX-License-Identifier: BSD-2-Clause */
/* race_profile.c - many threads add to and remove from live profiles, and start and end meanwhile. */
#include "config.h"

#include "measure/begin.h"
#include "measure/state.h"
#include "scratch.h"
#include "ullage/profile.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include "tap.h"

enum { THREADS = 6, KEYS = 4000, ROUNDS = 3 };

/* What libullage.so does in its constructor. */
void ull_begin_if_needed(void)
{
    if (!ull_recorder_is_ready())
        ull_begin(ULL_CLEAR_NEVER, false);
}

static char keys[THREADS][KEYS];

static void *work(void *argument)
{
    uintptr_t number = (uintptr_t)argument;
    char name[16];
    snprintf(name, sizeof name, "kind %u", (unsigned)(number % 3));
    struct ullage_profile *profile = ullage_profile_get(name);
    for (int i = 0; i < KEYS; i++)
        ullage_profile_add(profile, &keys[number][i]);
    for (int i = 0; i < KEYS; i += 2) /* somebody else's may be gone already, or not there yet */
        ullage_profile_remove(profile, &keys[(number + 3) % THREADS][i]);
    for (int i = 0; i < KEYS; i++)
        ullage_profile_remove(profile, &keys[number][i]);
    return NULL;
}

static uint64_t held(void)
{
    uint64_t count = 0, sites = ull_recorder.ledger.header->tables[ULL_TABLE_SITES].reserved_count;
    for (uint64_t i = 0; i < sites; i++) {
        const struct ull_site_entry *site = ull_ledger_at(&ull_recorder.ledger, ULL_TABLE_SITES, i);
        if (site != NULL && site->kind == ULL_KIND_PROFILE)
            count += site->allocations_count - site->frees_count;
    }
    return count;
}

int main(void)
{
    scratch_make();
    ull_begin_if_needed();
    for (int round = 0; round < ROUNDS; round++) {
        pthread_t threads[THREADS];
        for (uintptr_t i = 0; i < THREADS; i++)
            pthread_create(&threads[i], NULL, work, (void *)i);
        for (int i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
    }
    uint64_t dropped = ull_recorder.ledger.header->counters[ULL_COUNTER_profile_dropped_total];
    tap_ok(dropped == 0, "every resource was counted");
    tap_ok(held() == 0, "and each of them is gone");
    scratch_remove();
    return tap_done();
}
