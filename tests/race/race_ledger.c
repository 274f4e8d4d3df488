/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * race_ledger.c - threads that record, free, measure and grow at once, and a reader beside them.
 *
 * Plain C, because ThreadSanitizer does not run under Criterion. What it proves: sums are exact once all is quiet, and
 * never wrong in a way that cannot be while it is not (more frees than allocations, a live buffer of no site).
 */
#include "config.h"

#include "ledger/live.h"
#include "ledger/sites.h"
#include "ledger/writer.h"
#include "scratch.h"
#include "ullage/view.h"
#include "view/snapshot.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>

#include "tap.h"

enum { THREADS = 4, ROUNDS = 20000, SITES = 300 };

static struct ull_ledger ledger;
static struct ull_sites sites;
static struct ull_live live;
static uint32_t finished; /* atomic */

static uint32_t site_for(uint64_t number)
{
    uint32_t site;
    uint64_t frame = ull_frame_pack(0, number);
    if (ull_sites_find(&sites, number + 1, &site))
        return site;
    return ull_sites_add(&sites, number + 1, number + 1, ULL_KIND_MALLOC, 0, &frame, 1);
}

/* Each thread has addresses of its own half the time, and fights over the others' the other half. */
static void *record(void *argument)
{
    uint64_t thread = (uint64_t)(uintptr_t)argument, random = thread + 1;
    for (int i = 0; i < ROUNDS; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        uint64_t address = ((random >> 20) % 2000 + 1) << 16;
        struct ull_live_buffer buffer = { .address = address, .bytes = 70000, .entry = -1, .weight = 1,
            .flags = ULL_LIVE_MEASURABLE, .site = site_for((random >> 8) % SITES) };
        struct ull_live_buffer older;
        bool had_older;
        if ((random & 1) != 0) {
            ull_sites_count_allocation(&sites, buffer.site, buffer.bytes, 1);
            if (ull_live_insert(&live, &buffer, &older, &had_older) != 0)
                abort();
            if (had_older)
                ull_sites_count_free(&sites, older.site, older.bytes, 1);
        } else if (ull_live_may_have(&live, (void *)(uintptr_t)address)
            && ull_live_remove(&live, address, &older, (random & 2) != 0) == ULL_LIVE_REMOVED) {
            ull_sites_count_use(&sites, older.site, older.bytes, 4096, 4096, 4096, ULL_EXACT);
            ull_sites_count_free(&sites, older.site, older.bytes, 1);
        }
    }
    ull_add_release(&finished, 1U);
    return NULL;
}

static bool publish(void *context, struct ull_live_buffer *buffer)
{
    (void)context;
    ull_live_publish_reading(&live, buffer, 4096, 4096, 4096, 4096 | ULL_READ_EXACT);
    return true;
}

static void *measure(void *argument)
{
    uint64_t cursor = 0;
    (void)argument;
    while (ull_load_acquire(&finished) < THREADS) {
        ull_live_visit(&live, &cursor, 50, publish, NULL);
        if (cursor % 7 == 0)
            ull_sites_forget_keys(&sites);
    }
    return NULL;
}

/* True if nothing in it is impossible. */
static bool snapshot_is_sane(struct ull_site *sum)
{
    struct ullage_snapshot_options options = ULLAGE_SNAPSHOT_OPTIONS_INIT;
    struct ullage_snapshot *snapshot;
    char error[ULLAGE_ERROR_BYTES];
    bool sane = true;
    options.no_symbols = options.no_measuring = true;
    if (ullage_snapshot_take(&snapshot, ledger.path, &options, error) != 0) {
        printf("# %s\n", error);
        return false;
    }
    *sum = (struct ull_site) { 0 };
    for (size_t i = 0; i < snapshot->site_count; i++) {
        const struct ull_site *site = &snapshot->sites[i];
        sane &= site->frees <= site->allocations && site->requested_live <= site->requested_total;
        sum->allocations += site->allocations;
        sum->frees += site->frees;
        sum->requested_live += site->requested_live;
        sum->live_read += site->live_read;
    }
    ullage_snapshot_destroy(snapshot);
    return sane;
}

int main(void)
{
    struct ull_ledger_options options = { .min_bytes = 65536 };
    struct ull_site sum;
    pthread_t threads[THREADS + 1];
    unsigned reads = 0;
    bool sane = true;
    scratch_make();
    if (ull_ledger_create(&ledger, &options) != 0)
        return 1;
    ull_sites_init(&sites, &ledger);
    ull_live_init(&live, &ledger);
    for (uintptr_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, record, (void *)i);
    pthread_create(&threads[THREADS], NULL, measure, NULL);
    while (ull_load_acquire(&finished) < THREADS) {
        sane &= snapshot_is_sane(&sum);
        reads++;
    }
    for (unsigned i = 0; i <= THREADS; i++)
        pthread_join(threads[i], NULL);
    tap_ok(sane && reads > 0, "%u snapshots beside %d threads, none of them impossible", reads, THREADS);
    tap_ok(snapshot_is_sane(&sum), "a snapshot once all is quiet");
    tap_ok(sum.allocations - sum.frees == live.total, "live is what the table holds: %lu, %lu",
        sum.allocations - sum.frees, live.total);
    tap_ok(sum.requested_live == live.total * 70000, "in bytes too: %lu", sum.requested_live);
    ull_ledger_close(&ledger);
    scratch_remove();
    return tap_done();
}
