/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sites.h - the table of sites: finding the site of a stack, and counting on it.
 *
 * A stack is looked up twice. First by a key over its raw return addresses, without a lock: that is the common case.
 * A key that is new is resolved to modules and offsets, which give the site's id, and looked up by that: after a
 * dlclose the same code may lie elsewhere, or other code there.
 */
#ifndef ULL_LEDGER_SITES_H
#define ULL_LEDGER_SITES_H

#include "base/map64.h"
#include "ledger/writer.h"

struct ull_sites {
    struct ull_ledger *ledger;
    struct ull_map64 by_key, by_id; /* to site indexes */
    pthread_mutex_t lock;           /* covers insertion into both */
};

void ull_sites_init(struct ull_sites *sites, struct ull_ledger *ledger);
void ull_sites_fini(struct ull_sites *sites);

/* The site that @key was last added for. Threads: any. */
bool ull_sites_find(const struct ull_sites *sites, uint64_t key, uint32_t *site);

/* After a library was unloaded: addresses may mean something else now. The sites stay. Threads: any. */
void ull_sites_forget_keys(struct ull_sites *sites);

/*
 * Finds or makes the site with @id, and remembers @key for it. Returns its index, or ULL_SITE_OTHER when the table is
 * full. @frames are packed, innermost first, at most ULL_STACK_DEPTH_MAX. Threads: any.
 */
uint32_t ull_sites_add(
    struct ull_sites *sites, uint64_t key, uint64_t id, enum ull_kind kind, uint64_t profile, const uint64_t *frames,
    uint32_t count);

/* A resource of a live profile came, or went. */
void ull_sites_count_added(struct ull_sites *sites, uint32_t site);
void ull_sites_count_removed(struct ull_sites *sites, uint32_t site);

/* Counts @weight allocations of @bytes each. */
void ull_sites_count_allocation(struct ull_sites *sites, uint32_t site, uint64_t bytes, uint32_t weight);
/* Counts @weight frees of @bytes each. */
void ull_sites_count_free(struct ull_sites *sites, uint32_t site, uint64_t bytes, uint32_t weight);

/* A buffer of @requested bytes is gone whose use is known: @used, and @touched bytes. */
void ull_sites_count_use(struct ull_sites *sites, uint32_t site, uint64_t requested, uint64_t used, uint64_t touched,
    uint64_t granularity, enum ull_precision precision);

/* What is known of a site's use so far, or NULL: to decide whether another exact reading is worth its price. */
const struct ull_use_entry *ull_sites_use(const struct ull_sites *sites, uint32_t site);

/* Adds to a histogram; see struct ull_histogram. Threads: any. */
void ull_histogram_add(struct ull_histogram *histogram, uint64_t bytes, uint32_t weight);

#endif
