/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * snapshot.h - what a snapshot holds: the one thing that exporters see.
 *
 * All sums saturate, all strings are clean (clean.h), every share of a site is decided. Nothing points into the ledger.
 */
#ifndef ULL_VIEW_SNAPSHOT_H
#define ULL_VIEW_SNAPSHOT_H

#include "ledger/format.h"
#include "ullage/procedures.h"
#include "ullage/view.h"
#include "view/arena.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ull_frame {
    const char *function; /* NULL: unknown */
    const char *file;     /* whole path; NULL */
    const char *object;   /* path of the mapped file; NULL: none */
    uint64_t line;        /* 0: unknown */
    uint64_t offset;      /* virtual address of the call in the object; the process's address without one */
    bool inlined;         /* shares its address with the frame after it */
};

/* Buffers whose use is known, one way or the other: what a ledger's population holds, plus live ones. */
struct ull_known {
    uint64_t count, requested_bytes, used_bytes, used_max_bytes;
    uint64_t requested_min_bytes; /* 0: none */
    uint64_t granularity_bytes;
    uint64_t shares[ULL_SHARE_COUNT];
    uint64_t used[ULL_BUCKET_COUNT];
};

enum ull_used_is { ULL_USED_UNKNOWN, ULL_USED_MEASURED, ULL_USED_UPPER_BOUND, ULL_USED_DECLARED };
enum ull_flag { ULL_FLAG_NONE, ULL_FLAG_OVERSIZED, ULL_FLAG_START_SMALL, ULL_FLAG_SPARSE };

struct ull_site {
    uint64_t id;
    uint32_t kind;
    const char *profile; /* name of the live profile that it is of; NULL: of none. Requested bytes are counts then */
    const struct ull_frame *frames;
    unsigned frame_count;
    unsigned shown; /* index of the frame that names the site */
    const struct ull_frame *place; /* that frame; without frames, what the source says alone; NULL: unknown */
    uint64_t allocations, frees, live_count;
    uint64_t requested_live, requested_peak, requested_total, requested_max;
    uint64_t freed_bytes;   /* requested for what was freed */
    uint64_t counted_live;  /* as threads added it up, two's complement: with shards_above it bounds the peak from below */
    uint64_t shards_above;
    uint64_t learned_bytes; /* size that is handed out for 0; 0: none */
    uint64_t regrows;       /* of those, buffers that had to grow */

    struct ull_known known[ULL_PRECISION_COUNT]; /* both kinds of reading, live ones merged in */
    struct ull_known deciding;                   /* those that decide: exact ones if there are enough, else all */
    enum ull_used_is used_is;
    uint64_t used_p50, used_p99;
    uint64_t used_age_ns; /* of the oldest reading of a live buffer */
    uint64_t touched_count, touched_bytes, touched_max, touched_p99;
    uint64_t touched_shares[ULL_SHARE_COUNT];
    uint64_t touched_log2[64];
    uint64_t resident_live;
    uint64_t live_read;   /* live buffers with a reading */
    uint64_t live_unread; /* and without one: any of them may have been used to its end */
    uint64_t declared_count; /* of those known exactly: freed by a program that said how much it used */
    uint64_t ullage_live, ullage_total, ullage_peak;

    enum ull_flag flag;
    uint64_t suggested; /* 0: none */
    double exact_share; /* of the buffers known */
};

/* A live profile: what is held now of some kind of resource, by the stacks that took it. */
struct ull_profile {
    const char *name;
    const struct ull_site *sites; /* most held first */
    size_t site_count;
    uint64_t held, added, removed;
};

/* Counts as of its last slow path. */
struct ull_pool {
    const char *name;   /* NULL: unknown, as in budgets */
    const char *budget; /* its name; NULL: none */
    uint64_t object_bytes; /* 0: of any size */
    uint64_t gets, puts, made, unmade;
    uint64_t slab_bytes, retained_bytes, retained_peak_bytes;
    uint64_t refused;
    uint64_t learned_bytes; /* 0: none */
    bool destroyed;
};

struct ull_budget {
    const char *name;
    uint64_t max_bytes, used_bytes, peak_bytes;
    uint64_t refused, waits;
    bool destroyed;
};

struct ull_totals {
    uint64_t allocations, frees;
    uint64_t requested_live, requested_peak, requested_total;
    uint64_t ullage_live, ullage_peak;
};

struct ullage_snapshot {
    struct ull_arena arena;
    bool has_ledger;

    uint32_t pid, parent_pid;
    const char *command;
    enum ullage_state state;
    int exit_status; /* -1: unknown */
    int signal;      /* 0: none known */
    uint64_t started_unix_ns, uptime_ns;
    const char *pages_method;
    uint64_t min_bytes, sample_bytes, page_bytes;
    bool huge_pages_possible;

    struct ull_totals totals;
    struct ull_site *sites; /* by ullage_peak, largest first */
    size_t site_count;
    struct ull_site other;
    struct ull_profile *profiles; /* by name */
    size_t profile_count;
    struct ull_pool *pools; /* those in use first, most slabs first */
    size_t pool_count;
    struct ull_budget *budgets; /* those in use first, largest peak first */
    size_t budget_count;
    struct ullage_procedure *procedures; /* most bytes first */
    size_t procedure_count;
    uint64_t counters[ULL_COUNTER_COUNT];
    const char **warnings;
    size_t warning_count, warning_room;
    const char *hint; /* how to get names; NULL */
    struct ullage_snapshot **children;
    size_t child_count;
};

struct ull_adopted;
struct ull_symbolizer;

/* What the snapshots of one tree share. */
struct ull_shared {
    struct ull_symbolizer *symbolizer;
    const struct ull_adopted *adopted;
};

/* As ullage_snapshot_take(), of one process of a tree; @shared NULL: it stands alone. */
int ull_snapshot_take_with(struct ullage_snapshot **out, const char *path, const struct ullage_snapshot_options *opt,
    const struct ull_shared *shared, char *error);

/* Adds a line to the warnings, as printf. Without memory it is lost. */
__attribute__((format(printf, 2, 3))) void ull_snapshot_warn(struct ullage_snapshot *snapshot, const char *format, ...);

/* Sums that stay at the top instead of wrapping: a hostile ledger may hold any number. */
static inline void ull_saturating_add(uint64_t *sum, uint64_t value)
{
    if (__builtin_add_overflow(*sum, value, sum))
        *sum = UINT64_MAX;
}

#endif
