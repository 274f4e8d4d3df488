/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * snapshot.c - from untrusted bytes to a snapshot: copy, check, add up, decide, name.
 *
 * The order matters for a live process: sites first (each copied in order of address, frees before allocations), live
 * buffers after them. A live buffer whose site is not in the copy is left out: it is newer than the snapshot.
 */
#include "config.h"

#include "view/snapshot.h"

#include "base/arith.h"
#include "base/sys.h"
#include "pages/scan.h"
#include "view/adopted.h"
#include "view/clean.h"
#include "view/file.h"
#include "view/flag.h"
#include "view/hint.h"
#include "view/measure.h"
#include "view/process.h"
#include "view/profiles.h"
#include "view/sidecar.h"
#include "view/symbolize.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { INLINED_MAX = 64, PATH_MAX_BYTES = 4096 };

/* What the steps of one snapshot share. */
struct making {
    struct ullage_snapshot *snapshot;
    struct ull_file file;
    struct ull_sidecar sidecar;
    struct ull_process process;
    struct ull_symbolizer *symbolizer;
    bool shared_symbolizer;             /* of a whole tree */
    const struct ull_adopted *adopted;  /* of it; NULL */
    uint32_t continued_by;              /* the process that has its buffers now, and no ledger; 0 */
    bool orphaned;                      /* what the process inherited is judged here */
    struct ull_site *resources;         /* sites of live profiles */
    size_t resource_count;
    uint64_t module_count;
    int *module_numbers;      /* by index in the ledger: in the symbolizer, or -1 */
    const char **module_paths; /* clean */
    uint32_t *site_positions; /* by index in the ledger: 1 + position in snapshot->sites; 0: none */
    uint64_t site_indexes;
    uint64_t broken; /* entries that point outside the file */
};

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

static void copy_process(struct making *m)
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
    memcpy(snapshot->counters, header->counters, sizeof snapshot->counters);
}

static void copy_totals(struct making *m)
{
    struct ull_totals *totals = &m->snapshot->totals;
    const uint64_t *counters = m->snapshot->counters;
    totals->frees = counters[ULL_COUNTER_frees_total];
    totals->allocations = counters[ULL_COUNTER_allocations_total];
    totals->requested_total = counters[ULL_COUNTER_requested_bytes_total];
    totals->requested_live = ull_minus_clamped(totals->requested_total, counters[ULL_COUNTER_freed_bytes_total]);
    totals->requested_peak = ull_max_u64(counters[ULL_COUNTER_live_peak_bytes], totals->requested_live);
}

/* ---- modules and frames ---- */

static void add_module(struct making *m, uint64_t index)
{
    struct ull_module_entry entry;
    const void *from = ull_file_entry(&m->file, ULL_TABLE_MODULES, index);
    m->module_numbers[index] = -1;
    if (from == NULL)
        return;
    ull_file_copy(&entry, from, sizeof entry);
    if (entry.ready != 1 || entry.path_bytes == 0)
        return;
    const char *path = entry.path_bytes < PATH_MAX_BYTES
        ? ull_file_run(&m->file, ULL_TABLE_STRINGS, entry.path, entry.path_bytes) : NULL;
    if (path == NULL || entry.build_id_bytes > ULL_BUILD_ID_BYTES) {
        m->broken++;
        return;
    }
    struct ull_symbol_module module = { .build_id_bytes = entry.build_id_bytes,
        .strangers = m->file.owner != geteuid() };
    char *raw = ull_arena_alloc(&m->snapshot->arena, entry.path_bytes + 1, 1);
    module.path = ull_arena_text(&m->snapshot->arena, path, entry.path_bytes);
    if (raw == NULL || module.path == NULL)
        return;
    memcpy(raw, path, entry.path_bytes);
    module.raw_path = raw;
    memcpy(module.build_id, entry.build_id, entry.build_id_bytes);
    m->module_paths[index] = module.path;
    m->module_numbers[index] = ull_symbolizer_add(m->symbolizer, &module);
}

static int copy_modules(struct making *m)
{
    m->module_count = ull_min_u64(ull_file_count(&m->file, ULL_TABLE_MODULES), ULL_FRAME_NO_MODULE);
    m->module_numbers = ull_arena_alloc(&m->snapshot->arena, m->module_count + 1, sizeof m->module_numbers[0]);
    m->module_paths = ull_arena_alloc(&m->snapshot->arena, m->module_count + 1, sizeof m->module_paths[0]);
    if (m->module_numbers == NULL || m->module_paths == NULL)
        return -ENOMEM;
    for (uint64_t i = 0; i < m->module_count; i++)
        add_module(m, i);
    return 0;
}

/* Appends the frames of one packed return address; returns how many. */
static unsigned name_frame(struct making *m, uint64_t packed, struct ull_frame *frames, unsigned room)
{
    unsigned module = ull_frame_module(packed);
    bool known = module < m->module_count;
    return ull_symbolizer_frames(m->symbolizer, known ? m->module_numbers[module] : -1, ull_frame_offset(packed),
        known ? m->module_paths[module] : NULL, &m->snapshot->arena, frames, room);
}

static int name_frames(struct making *m, struct ull_site *site, const struct ull_site_entry *entry)
{
    struct ull_frame frames[ULL_STACK_DEPTH_MAX + INLINED_MAX];
    unsigned filled = 0, room = sizeof frames / sizeof frames[0];
    unsigned count = entry->frame_count <= ULL_STACK_DEPTH_MAX ? entry->frame_count : 0;
    const uint64_t *packed = count > 0 ? ull_file_run(&m->file, ULL_TABLE_FRAMES, entry->frames, count) : NULL;
    if (entry->frame_count > 0 && packed == NULL)
        m->broken++;
    for (unsigned i = 0; packed != NULL && i < count; i++)
        filled += name_frame(m, packed[i], frames + filled, room - filled);
    struct ull_frame *kept = ull_arena_alloc(&m->snapshot->arena, filled + 1, sizeof frames[0]);
    if (kept == NULL)
        return -ENOMEM;
    memcpy(kept, frames, filled * sizeof frames[0]);
    site->frames = kept;
    site->frame_count = filled;
    while (site->shown < filled && ull_symbol_is_wrapper(&kept[site->shown]))
        site->shown++;
    if (site->shown == filled)
        site->shown = 0; /* nothing but libc: its outermost caller is no better */
    return 0;
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

static void copy_use(struct making *m, struct ull_site *site, uint64_t index)
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

static int copy_site(struct making *m, struct ull_site *site, const struct ull_site_entry *entry)
{
    site->id = entry->id;
    site->kind = entry->kind < ULL_KIND_COUNT ? entry->kind : ULL_KIND_OTHER;
    site->frees = ull_min_u64(entry->frees_count, entry->allocations_count);
    site->allocations = entry->allocations_count;
    site->live_count = site->allocations - site->frees;
    site->requested_total = entry->allocations_bytes;
    site->requested_live = ull_minus_clamped(entry->allocations_bytes, entry->frees_bytes);
    site->requested_peak = ull_max_u64(entry->peak_bytes, site->requested_live);
    site->requested_max = entry->requested_max_bytes;
    if (entry->use != 0)
        copy_use(m, site, entry->use - 1);
    return name_frames(m, site, entry);
}

/* A name in the strings, clean; NULL where the ledger does not hold it. */
static const char *copy_name(struct making *m, uint64_t index)
{
    enum { NAME_MAX_BYTES = 64 };
    char name[NAME_MAX_BYTES];
    size_t length = 0;
    for (; length < NAME_MAX_BYTES; length++) {
        const char *at = ull_file_entry(&m->file, ULL_TABLE_STRINGS, index + length);
        if (at == NULL || *at == '\0')
            break;
        name[length] = *at;
    }
    return length > 0 ? ull_arena_text(&m->snapshot->arena, name, length) : NULL;
}

/* Where the next site of this kind goes. */
static struct ull_site *place_for(struct making *m, uint64_t index, const struct ull_site_entry *entry)
{
    struct ullage_snapshot *snapshot = m->snapshot;
    if (entry->kind == ULL_KIND_PROFILE)
        return &m->resources[m->resource_count];
    return index == ULL_SITE_OTHER ? &snapshot->other : &snapshot->sites[snapshot->site_count];
}

static void keep_place(struct making *m, uint64_t index, struct ull_site *site, const struct ull_site_entry *entry)
{
    if (entry->kind == ULL_KIND_PROFILE) {
        site->profile = entry->profile != 0 ? copy_name(m, entry->profile - 1) : NULL;
        if (site->profile != NULL)
            m->resource_count++;
        else
            m->broken++;
    } else if (index != ULL_SITE_OTHER) {
        m->site_positions[index] = (uint32_t)++m->snapshot->site_count;
    }
}

static int copy_sites(struct making *m)
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

/* ---- live buffers ---- */

struct reading {
    uint64_t used, touched, resident, how, read_ns;
};

static void add_reading(struct ull_site *site, const struct ull_live_entry *entry, const struct reading *reading)
{
    struct ull_known *known = &site->known[(reading->how & ULL_READ_EXACT) != 0 ? ULL_EXACT : ULL_UPPER_BOUND];
    uint64_t bytes = entry->bytes, used = ull_min_u64(reading->used, bytes);
    uint64_t touched = ull_min_u64(reading->touched, bytes);
    ull_saturating_add(&known->count, 1);
    ull_saturating_add(&known->requested_bytes, bytes);
    ull_saturating_add(&known->used_bytes, used);
    known->used_max_bytes = ull_max_u64(known->used_max_bytes, used);
    known->granularity_bytes = ull_max_u64(known->granularity_bytes, reading->how & UINT32_MAX);
    if (known->requested_min_bytes == 0 || bytes < known->requested_min_bytes)
        known->requested_min_bytes = bytes;
    ull_saturating_add(&known->shares[ull_share_of(used, bytes)], 1);
    ull_saturating_add(&known->used[ull_bucket_of(used)], 1);
    ull_saturating_add(&site->touched_count, 1);
    ull_saturating_add(&site->touched_bytes, touched);
    site->touched_max = ull_max_u64(site->touched_max, touched);
    ull_saturating_add(&site->touched_shares[ull_share_of(touched, bytes)], 1);
    unsigned bucket = touched <= 1 ? 0 : 64U - (unsigned)__builtin_clzll(touched - 1);
    ull_saturating_add(&site->touched_log2[bucket < 63 ? bucket : 63], 1);
    ull_saturating_add(&site->resident_live, ull_min_u64(reading->resident, bytes));
    ull_saturating_add(&site->ullage_live, bytes - used);
    site->live_read++;
}

/* The newest of what the program, the sidecar and we ourselves measured; false if nobody did. */
static bool newest_reading(
    const struct making *m, uint64_t index, const struct ull_live_entry *entry, struct reading *out)
{
    const struct ull_sidecar_entry *beside = ull_sidecar_find(&m->sidecar, index, entry->state);
    *out = (struct reading) { entry->used, entry->touched, entry->resident, entry->how, entry->read_monotonic_ns };
    if (beside != NULL && beside->read_monotonic_ns > out->read_ns) {
        uint64_t before = out->read_ns != 0 ? out->used : 0; /* what was used once stays used */
        *out = (struct reading) { ull_max_u64(beside->used, before), beside->touched, beside->resident, beside->how,
            beside->read_monotonic_ns };
    }
    return out->read_ns != 0;
}

static void add_live(struct making *m, uint64_t index)
{
    struct ull_live_entry entry;
    struct reading reading;
    const void *from = ull_file_entry(&m->file, ULL_TABLE_LIVE, index);
    if (from == NULL)
        return;
    ull_file_copy(&entry, from, sizeof entry);
    const struct ull_live_entry *again = from;
    if ((entry.state & 1) == 0 || __atomic_load_n(&again->state, __ATOMIC_ACQUIRE) != entry.state || entry.bytes == 0)
        return;
    bool other = entry.site == ULL_SITE_OTHER;
    if (!other && (entry.site >= m->site_indexes || m->site_positions[entry.site] == 0))
        return;
    struct ull_site *site = other ? &m->snapshot->other : &m->snapshot->sites[m->site_positions[entry.site] - 1];
    /* An inherited buffer is its parent's to judge while that lives; a sampled one stands for small ones, which are not measured. */
    if ((entry.flags & ULL_LIVE_SAMPLED) != 0 || ((entry.flags & ULL_LIVE_INHERITED) != 0 && !m->orphaned))
        return;
    if (m->adopted != NULL && m->process.state != ULLAGE_STATE_LIVE
        && (m->continued_by != 0 || ull_adopted_later(m->adopted, &entry, &m->file.header)))
        return;
    if ((entry.flags & ULL_LIVE_MEASURABLE) == 0 || !newest_reading(m, index, &entry, &reading)) {
        site->live_unread++;
        return;
    }
    add_reading(site, &entry, &reading);
    site->used_age_ns
        = ull_max_u64(site->used_age_ns, ull_minus_clamped(m->process.now_monotonic_ns, reading.read_ns));
}

/* ---- deciding ---- */

static int by_waste(const void *a, const void *b)
{
    const struct ull_site *left = a, *right = b;
    if (left->ullage_peak != right->ullage_peak)
        return left->ullage_peak > right->ullage_peak ? -1 : 1;
    if (left->requested_peak != right->requested_peak)
        return left->requested_peak > right->requested_peak ? -1 : 1;
    return left->id < right->id ? -1 : left->id > right->id;
}

static void decide(struct making *m, const struct ullage_thresholds *thresholds)
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

static void warn_about_gaps(struct making *m, const char *sidecar_trouble)
{
    struct ullage_snapshot *snapshot = m->snapshot;
    const uint64_t *counters = snapshot->counters;
    if (m->file.cut)
        ull_snapshot_warn(snapshot, "the ledger is cut off after %zu of %lu bytes: sites and buffers are missing",
            m->file.size, m->file.header.file_bytes);
    if (m->continued_by != 0 && m->process.state != ULLAGE_STATE_LIVE)
        ull_snapshot_warn(snapshot, "buffers that it held at its end went on to process %u, a fork of it that still runs: "
            "they are judged once that has recorded something (ullage report %u)", m->continued_by, m->continued_by);
    if (m->broken > 0)
        ull_snapshot_warn(snapshot, "the ledger is damaged: %lu entries point outside it and were left out", m->broken);
    if (sidecar_trouble != NULL)
        ull_snapshot_warn(snapshot, "the sidecar is %s: what was measured from outside is missing", sidecar_trouble);
    if (counters[ULL_COUNTER_sites_dropped_total] > 0)
        ull_snapshot_warn(snapshot, "the table of sites was full: some stacks are counted under \"other\"");
    if (counters[ULL_COUNTER_live_dropped_total] > 0)
        ull_snapshot_warn(snapshot, "the table of live buffers was full: some could not be measured while they lived");
    if (counters[ULL_COUNTER_sandboxed_total] > 0)
        ull_snapshot_warn(snapshot, "the program sandboxed itself: recording ended there, so that no filter would kill "
            "it for a system call of ours");
    if (m->file.header.pages_method == ULL_PAGES_NONE)
        ull_snapshot_warn(snapshot, "the kernel let no pages be looked at (no /proc, no mincore): use is unknown");
    else if (m->file.header.pages_method == ULL_PAGES_MINCORE)
        ull_snapshot_warn(snapshot, "measured with mincore: pages that were only read count as used");
    for (uint64_t i = 0; i < m->module_count; i++) {
        if (m->module_numbers[i] >= 0 && ull_symbolizer_changed(m->symbolizer, m->module_numbers[i])) {
            ull_snapshot_warn(snapshot, "a binary has changed on disk since it ran: its frames have no names");
            break;
        }
    }
}

static void measure_now(struct making *m)
{
    const char *trouble = NULL;
    const struct ull_measure_budget budget = { UINT64_C(2000000000), 0 };
    if (ull_measure_live(&m->file, &m->sidecar, &budget, NULL) < 0)
        trouble = "it could not be measured now";
    if (trouble != NULL)
        ull_snapshot_warn(m->snapshot, "the process runs, but %s: figures are as old as they say", trouble);
}

static int fill(struct making *m, const struct ullage_snapshot_options *opt, const char *sidecar_trouble)
{
    const struct ullage_thresholds defaults = ULLAGE_THRESHOLDS_INIT;
    struct ullage_snapshot *snapshot = m->snapshot;
    copy_process(m);
    copy_totals(m);
    if (m->process.state == ULLAGE_STATE_LIVE && !opt->no_measuring && m->file.from_file)
        measure_now(m);
    m->orphaned = ull_process_is_orphaned(&m->file.header);
    m->continued_by = m->adopted != NULL ? ull_adopted_continued_by(m->adopted, &m->file.header) : 0;
    int result = copy_modules(m);
    if (result == 0)
        result = copy_sites(m);
    if (result == 0)
        result = ull_profiles_group(m->snapshot, m->resources, m->resource_count);
    if (result != 0)
        return result;
    uint64_t live = ull_file_count(&m->file, ULL_TABLE_LIVE);
    for (uint64_t i = 0; i < live; i++)
        add_live(m, i);
    decide(m, opt->thresholds != NULL ? opt->thresholds : &defaults);
    warn_about_gaps(m, sidecar_trouble);
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

static int finish(struct making *m, int result, struct ullage_snapshot **out, char *error)
{
    if (!m->shared_symbolizer)
        ull_symbolizer_destroy(m->symbolizer);
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

static int make(struct making *m, const struct ullage_snapshot_options *opt, const char *sidecar_trouble)
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
    struct making m = { .symbolizer = shared != NULL ? shared->symbolizer : NULL, .shared_symbolizer = shared != NULL,
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
    struct making m = { 0 };
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
