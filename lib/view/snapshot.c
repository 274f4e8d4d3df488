/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * snapshot.c - from untrusted bytes to a snapshot: copy, check, add up, decide, name.
 *
 * The order matters for a live process: the frees of shards first, then sites (each copied in order of address, frees
 * before allocations), the allocations of shards, and live buffers. A live buffer whose site is not in the copy is left
 * out: it is newer than the snapshot.
 */
#include "config.h"

#include "view/snapshot.h"

#include "base/arith.h"
#include "base/sys.h"
#include "pages/scan.h"
#include "pages/scan.h"
#include "view/adopted.h"
#include "view/flag.h"
#include "view/frames.h"
#include "view/gaps.h"
#include "view/hint.h"
#include "view/making.h"
#include "view/measure.h"
#include "view/pools.h"
#include "view/procedures.h"
#include "view/profiles.h"
#include "view/readings.h"
#include "view/shards.h"
#include "view/symbolize.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void ull_snapshot_warn(struct ullage_snapshot *snapshot, const char *format, ...)
{
    char line[ULLAGE_ERROR_BYTES];
    va_list arguments;
    if (snapshot->warning_count == snapshot->warning_room)
        return;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (length > 0)
        snapshot->warnings[snapshot->warning_count++] = ull_arena_text(&snapshot->arena, line, strlen(line));
}

/* ---- the process ---- */

static void copy_process(struct ull_making *m)
{
    struct ullage_snapshot *snapshot = m->snapshot;
    const struct ull_ledger_header *header = &m->file.header;
    char command[ULL_COMMAND_BYTES];
    size_t length = ull_file_command(&m->file, command);
    snapshot->has_ledger = true;
    snapshot->pid = header->pid;
    snapshot->parent_pid = header->parent_pid;
    snapshot->command = ull_arena_text(&snapshot->arena, command, length);
    snapshot->state = m->process.state;
    snapshot->exit_status = m->process.exit_status;
    snapshot->signal = m->process.signal;
    uint64_t ran = ull_minus_clamped(m->process.now_monotonic_ns, header->start_monotonic_ns);
    snapshot->started_unix_ns
        = header->process_start_unix_ns != 0 ? header->process_start_unix_ns : header->start_unix_ns;
    snapshot->uptime_ns = ran + ull_minus_clamped(header->start_unix_ns, snapshot->started_unix_ns);
    snapshot->min_bytes = header->min_bytes;
    snapshot->sample_bytes = header->sample_bytes;
    snapshot->page_bytes = header->page_bytes;
    snapshot->huge_pages_possible = header->huge_pages_possible != 0;
    const char *method = ull_pages_method_name(header->pages_method);
    snapshot->pages_method = method != NULL ? method : "unknown";
}

/* Without the shards, which add their counts later. */
static void copy_totals(struct ull_making *m)
{
    struct ull_totals *totals = &m->snapshot->totals;
    uint64_t *counters = m->snapshot->counters;
    memcpy(counters, m->file.header.counters, sizeof m->snapshot->counters);
    totals->frees = counters[ULL_COUNTER_frees_total];
    totals->allocations = counters[ULL_COUNTER_allocations_total];
    totals->requested_total = counters[ULL_COUNTER_requested_bytes_total];
    m->freed_bytes = counters[ULL_COUNTER_freed_bytes_total];
}

/* ---- sites ---- */

static void copy_population(struct ull_known *to, const struct ull_population *from)
{
    to->count = from->count;
    to->requested_bytes = from->requested_bytes;
    to->used_bytes = ull_min_u64(from->used_bytes, from->requested_bytes);
    to->used_max_bytes = from->used_max_bytes;
    to->requested_min_bytes = from->requested_min_bytes;
    to->granularity_bytes = from->granularity_bytes;
    memcpy(to->shares, from->shares, sizeof to->shares);
    for (unsigned i = 0; i < ULL_BUCKET_COUNT; i++)
        to->used[i] = from->used.counts[i];
}

static void copy_use(struct ull_making *m, struct ull_site *site, uint64_t index)
{
    struct ull_use_entry use;
    const void *from = ull_file_entry(&m->file, ULL_TABLE_USES, index);
    if (from == NULL) {
        m->broken++;
        return;
    }
    ull_file_copy(&use, from, sizeof use);
    for (unsigned precision = 0; precision < ULL_PRECISION_COUNT; precision++)
        copy_population(&site->known[precision], &use.used[precision]);
    site->touched_count = use.touched_count;
    site->touched_bytes = use.touched_bytes;
    site->touched_max = use.touched_max_bytes;
    memcpy(site->touched_shares, use.touched_shares, sizeof site->touched_shares);
    for (unsigned i = 0; i < sizeof use.touched_log2 / sizeof use.touched_log2[0]; i++)
        site->touched_log2[i] = use.touched_log2[i];
}

static int copy_site(struct ull_making *m, struct ull_site *site, const struct ull_site_entry *entry)
{
    site->id = entry->id;
    site->kind = entry->kind < ULL_KIND_COUNT ? entry->kind : ULL_KIND_OTHER;
    site->frees = entry->frees_count;
    site->allocations = entry->allocations_count;
    site->requested_total = entry->allocations_bytes;
    site->freed_bytes = entry->frees_bytes;
    site->counted_live = entry->live_bytes;
    site->requested_peak = entry->peak_bytes;
    site->requested_max = entry->requested_max_bytes;
    site->learned_bytes = entry->learned_bytes;
    site->regrows = entry->regrows_count;
    if (entry->use != 0)
        copy_use(m, site, entry->use - 1);
    return ull_frames_name(m, site, entry);
}

/* Where the next site of this kind goes. */
static struct ull_site *place_for(struct ull_making *m, uint64_t index, const struct ull_site_entry *entry)
{
    struct ullage_snapshot *snapshot = m->snapshot;
    if (entry->kind == ULL_KIND_PROFILE)
        return &m->resources[m->resource_count];
    return index == ULL_SITE_OTHER ? &snapshot->other : &snapshot->sites[snapshot->site_count];
}

enum { PROFILE_NAME_BYTES = 64 };

static void keep_place(struct ull_making *m, uint64_t index, struct ull_site *site, const struct ull_site_entry *entry)
{
    if (entry->kind == ULL_KIND_PROFILE) {
        site->profile = ull_making_text(m, entry->profile, PROFILE_NAME_BYTES);
        if (site->profile != NULL)
            m->resource_count++;
        else
            m->broken += entry->profile == 0;
    } else if (index != ULL_SITE_OTHER) {
        m->site_positions[index] = (uint32_t)++m->snapshot->site_count;
    }
}

static int copy_sites(struct ull_making *m)
{
    struct ullage_snapshot *snapshot = m->snapshot;
    m->site_indexes = ull_file_count(&m->file, ULL_TABLE_SITES);
    snapshot->sites = ull_arena_alloc(&snapshot->arena, m->site_indexes + 1, sizeof snapshot->sites[0]);
    m->resources = ull_arena_alloc(&snapshot->arena, m->site_indexes + 1, sizeof m->resources[0]);
    m->site_positions = ull_arena_alloc(&snapshot->arena, m->site_indexes + 1, sizeof m->site_positions[0]);
    if (snapshot->sites == NULL || m->resources == NULL || m->site_positions == NULL)
        return -ENOMEM;
    for (uint64_t i = 0; i < m->site_indexes; i++) {
        struct ull_site_entry entry;
        const void *from = ull_file_entry(&m->file, ULL_TABLE_SITES, i);
        if (from == NULL)
            break;
        ull_file_copy(&entry, from, sizeof entry);
        if (entry.ready != 1)
            continue;
        struct ull_site *site = place_for(m, i, &entry);
        memset(site, 0, sizeof *site); /* a resource without a name was dropped here */
        int result = copy_site(m, site, &entry);
        if (result != 0)
            return result;
        keep_place(m, i, site, &entry);
    }
    return 0;
}

/* ---- deciding ---- */

/* Once site and shards are added up. What is freed was allocated before, whatever a damaged ledger says. */
static void settle(struct ull_site *site)
{
    site->frees = ull_min_u64(site->frees, site->allocations);
    site->live_count = site->allocations - site->frees;
    site->requested_live = ull_minus_clamped(site->requested_total, site->freed_bytes);
    site->requested_peak = ull_max_u64(site->requested_peak, site->requested_live);
    if (site->shards_above > 0)
        site->requested_peak = ull_max_u64(site->requested_peak,
            ull_shards_peak(site->counted_live, site->shards_above, site->requested_total));
}

static void settle_all(struct ull_making *m)
{
    struct ullage_snapshot *snapshot = m->snapshot;
    struct ull_totals *totals = &snapshot->totals;
    const uint64_t *counters = snapshot->counters;
    settle(&snapshot->other);
    for (size_t i = 0; i < snapshot->site_count; i++)
        settle(&snapshot->sites[i]);
    for (size_t i = 0; i < m->resource_count; i++)
        settle(&m->resources[i]);
    totals->frees = ull_min_u64(totals->frees, totals->allocations);
    totals->requested_live = ull_minus_clamped(totals->requested_total, m->freed_bytes);
    totals->requested_peak = ull_max_u64(counters[ULL_COUNTER_live_peak_bytes], totals->requested_live);
    if (m->shards_above > 0)
        totals->requested_peak = ull_max_u64(totals->requested_peak,
            ull_shards_peak(counters[ULL_COUNTER_live_bytes], m->shards_above, totals->requested_total));
}

static int by_waste(const void *a, const void *b)
{
    const struct ull_site *left = a, *right = b;
    if (left->ullage_peak != right->ullage_peak)
        return left->ullage_peak > right->ullage_peak ? -1 : 1;
    if (left->requested_peak != right->requested_peak)
        return left->requested_peak > right->requested_peak ? -1 : 1;
    return left->id < right->id ? -1 : left->id > right->id;
}

static void decide(struct ull_making *m, const struct ullage_thresholds *thresholds)
{
    struct ullage_snapshot *snapshot = m->snapshot;
    struct ull_totals *totals = &snapshot->totals;
    for (size_t i = 0; i < snapshot->site_count; i++) {
        ull_flag_decide(&snapshot->sites[i], thresholds);
        ull_saturating_add(&totals->ullage_live, snapshot->sites[i].ullage_live);
        ull_saturating_add(&totals->ullage_peak, snapshot->sites[i].ullage_peak);
    }
    /* Sites peak at different times: together they never held more than the process did. */
    totals->ullage_peak = ull_min_u64(totals->ullage_peak, totals->requested_peak);
    totals->ullage_live = ull_min_u64(totals->ullage_live, totals->requested_live);
    if (snapshot->site_count > 0)
        qsort(snapshot->sites, snapshot->site_count, sizeof snapshot->sites[0], by_waste);
}

static void measure_now(struct ull_making *m)
{
    const char *trouble = NULL;
    const struct ull_measure_budget budget = { UINT64_C(2000000000), 0 };
    if (ull_measure_live(&m->file, &m->sidecar, &budget, NULL) < 0)
        trouble = "it could not be measured now";
    if (trouble != NULL)
        ull_snapshot_warn(m->snapshot, "the process runs, but %s: figures are as old as they say", trouble);
}

/* The frees of shards are counted apart from the allocations that they end: they come first, and allocations last. */
static int copy_counts(struct ull_making *m)
{
    int result = ull_shards_take_frees(m);
    ull_file_refresh(&m->file); /* measuring took its time, and a thread may have come */
    copy_totals(m);
    if (result == 0)
        result = ull_frames_copy_modules(m);
    if (result == 0)
        result = copy_sites(m);
    if (result != 0)
        return result;
    ull_shards_add(m);
    settle_all(m);
    return 0;
}

static int fill(struct ull_making *m, const struct ullage_snapshot_options *opt, const char *sidecar_trouble)
{
    const struct ullage_thresholds defaults = ULLAGE_THRESHOLDS_INIT;
    struct ullage_snapshot *snapshot = m->snapshot;
    copy_process(m);
    if (m->process.state == ULLAGE_STATE_LIVE && !opt->no_measuring && m->file.from_file)
        measure_now(m);
    m->orphaned = ull_process_is_orphaned(&m->file.header);
    m->continued_by = m->adopted != NULL ? ull_adopted_continued_by(m->adopted, &m->file.header) : 0;
    int result = copy_counts(m);
    if (result == 0)
        result = ull_profiles_group(m->snapshot, m->resources, m->resource_count);
    if (result == 0)
        result = ull_pools_copy(m);
    if (result == 0)
        result = ull_procedures_copy(m);
    if (result != 0)
        return result;
    ull_readings_add(m);
    decide(m, opt->thresholds != NULL ? opt->thresholds : &defaults);
    ull_gaps_warn(m, sidecar_trouble);
    ull_procedures_warn(snapshot);
    if (!opt->no_symbols)
        snapshot->hint = ull_hint_find(snapshot, m->symbolizer);
    return 0;
}

static struct ullage_snapshot *new_snapshot(void)
{
    struct ullage_snapshot *snapshot = calloc(1, sizeof *snapshot);
    if (snapshot == NULL)
        return NULL;
    snapshot->exit_status = -1;
    snapshot->pages_method = "unknown";
    snapshot->command = "";
    snapshot->warning_room = 32;
    snapshot->warnings = ull_arena_alloc(&snapshot->arena, snapshot->warning_room, sizeof snapshot->warnings[0]);
    if (snapshot->warnings == NULL)
        snapshot->warning_room = 0;
    return snapshot;
}

static int finish(struct ull_making *m, int result, struct ullage_snapshot **out, char *error)
{
    if (!m->shared_symbolizer)
        ull_symbolizer_destroy(m->symbolizer);
    ull_shards_fini(m);
    ull_sidecar_fini(&m->sidecar);
    ull_file_close(&m->file);
    if (result == 0) {
        *out = m->snapshot;
        return 0;
    }
    if (result == -ENOMEM)
        snprintf(error, ULLAGE_ERROR_BYTES, "not enough memory to read it");
    ullage_snapshot_destroy(m->snapshot);
    return result;
}

static int make(struct ull_making *m, const struct ullage_snapshot_options *opt, const char *sidecar_trouble)
{
    m->snapshot = new_snapshot();
    if (m->symbolizer == NULL)
        m->symbolizer = ull_symbolizer_create(opt->debug_directory, !opt->no_symbols);
    if (m->snapshot == NULL || m->symbolizer == NULL)
        return -ENOMEM;
    ull_symbolizer_begin_snapshot(m->symbolizer);
    return fill(m, opt, sidecar_trouble);
}

int ullage_snapshot_take(struct ullage_snapshot **out, const char *path, const struct ullage_snapshot_options *opt,
    char *error)
{
    return ull_snapshot_take_with(out, path, opt, NULL, error);
}

int ull_snapshot_take_with(struct ullage_snapshot **out, const char *path, const struct ullage_snapshot_options *opt,
    const struct ull_shared *shared, char *error)
{
    const struct ullage_snapshot_options defaults = ULLAGE_SNAPSHOT_OPTIONS_INIT;
    struct ull_making m = { .symbolizer = shared != NULL ? shared->symbolizer : NULL, .shared_symbolizer = shared != NULL,
        .adopted = shared != NULL ? shared->adopted : NULL };
    int result = ull_file_open(&m.file, path, error);
    if (result != 0)
        return result;
    const char *trouble = ull_sidecar_read(&m.sidecar, path, &m.file) == -EBADMSG ? "damaged" : NULL;
    if (m.sidecar.header.magic == 0)
        ull_sidecar_init(&m.sidecar, &m.file);
    m.process = ull_process_judge(&m.file.header, &m.sidecar.header);
    return finish(&m, make(&m, opt != NULL ? opt : &defaults, trouble), out, error);
}

int ullage_snapshot_parse(struct ullage_snapshot **out, const void *bytes, size_t count,
    const struct ullage_snapshot_options *opt, char *error)
{
    const struct ullage_snapshot_options defaults = ULLAGE_SNAPSHOT_OPTIONS_INIT;
    struct ull_making m = { 0 };
    uint64_t *aligned = malloc(count + sizeof *aligned);
    if (aligned == NULL) {
        snprintf(error, ULLAGE_ERROR_BYTES, "not enough memory to read it");
        return -ENOMEM;
    }
    memcpy(aligned, bytes, count);
    int result = ull_file_parse(&m.file, aligned, count, error);
    if (result == 0) {
        m.process = (struct ull_process) { ULLAGE_STATE_KILLED, -1, 0, m.file.header.last_event_monotonic_ns };
        result = finish(&m, make(&m, opt != NULL ? opt : &defaults, NULL), out, error);
    }
    free(aligned);
    return result;
}

void ullage_snapshot_destroy(struct ullage_snapshot *snapshot)
{
    if (snapshot == NULL)
        return;
    for (size_t i = 0; i < snapshot->child_count; i++)
        ullage_snapshot_destroy(snapshot->children[i]);
    free(snapshot->children);
    ull_arena_fini(&snapshot->arena);
    free(snapshot);
}
