/* SPDX-License-Identifier: BSD-2-Clause */
/* json.c - a snapshot as the JSON object of docs/json.md. What is not known is null. */
#include "config.h"

#include "export/names.h"
#include "ullage/export.h"
#include "view/snapshot.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

/* JSON numbers here are signed 64 bits; a hostile ledger may hold more. */
static json_t *number(uint64_t value)
{
    return json_integer((json_int_t)(value > INT64_MAX ? INT64_MAX : value));
}

static json_t *number_if(bool known, uint64_t value)
{
    return known ? number(value) : json_null();
}

static json_t *text_or_null(const char *text)
{
    return text != NULL && text[0] != '\0' ? json_string(text) : json_null();
}

static void set(json_t *object, const char *key, json_t *value)
{
    json_object_set_new(object, key, value != NULL ? value : json_null());
}

static void set_place(json_t *object, const struct ull_frame *frame)
{
    set(object, "function", text_or_null(frame != NULL ? frame->function : NULL));
    set(object, "file", text_or_null(frame != NULL ? frame->file : NULL));
    set(object, "line", number_if(frame != NULL && frame->line != 0, frame != NULL ? frame->line : 0));
    set(object, "object", text_or_null(frame != NULL ? frame->object : NULL));
}

static json_t *stack_of(const struct ull_site *site)
{
    json_t *stack = json_array();
    for (unsigned i = 0; i < site->frame_count; i++) {
        json_t *frame = json_object();
        set_place(frame, &site->frames[i]);
        char address[32];
        snprintf(address, sizeof address, "0x%" PRIx64, site->frames[i].offset);
        set(frame, "address", json_string(address));
        json_array_append_new(stack, frame);
    }
    return stack;
}

static void set_counts(json_t *object, const struct ull_site *site)
{
    set(object, "allocations_total", number(site->allocations));
    set(object, "frees_total", number(site->frees));
    set(object, "live_count", number(site->live_count));
    set(object, "requested_live_bytes", number(site->requested_live));
    set(object, "requested_peak_bytes", number(site->requested_peak));
    set(object, "requested_total_bytes", number(site->requested_total));
    set(object, "requested_max_bytes", number(site->requested_max));
}

static void set_use(json_t *object, const struct ull_site *site)
{
    const struct ull_known *known = &site->deciding;
    bool any = known->count > 0, live = site->live_read > 0;
    bool live_known = any && (live || site->live_count == 0);
    set(object, "requested_known_bytes", number(known->requested_bytes));
    set(object, "used_total_bytes", number_if(any, known->used_bytes));
    set(object, "used_p50_bytes", number_if(any, site->used_p50));
    set(object, "used_p99_bytes", number_if(any, site->used_p99));
    set(object, "used_max_bytes", number_if(any, known->used_max_bytes));
    set(object, "used_is", json_string(ull_used_is_name(site->used_is)));
    set(object, "used_granularity_bytes", number_if(any, known->granularity_bytes));
    set(object, "used_age_ns", number_if(live || site->used_is == ULL_USED_DECLARED, site->used_age_ns));
    set(object, "touched_p99_bytes", number_if(site->touched_count > 0, site->touched_p99));
    set(object, "touched_max_bytes", number_if(site->touched_count > 0, site->touched_max));
    set(object, "resident_live_bytes", number_if(live || site->live_count == 0, site->resident_live));
    set(object, "ullage_live_bytes", number_if(live_known, site->ullage_live));
    set(object, "ullage_total_bytes", number_if(any, site->ullage_total));
    set(object, "ullage_peak_bytes", number_if(any, site->ullage_peak));
    set(object, "flag", text_or_null(ull_flag_name(site->flag)));
    set(object, "suggested_bytes", number_if(site->suggested != 0, site->suggested));
    json_t *confidence = json_object();
    set(confidence, "buffers", number(known->count));
    set(confidence, "exact_share", json_real(site->exact_share));
    set(object, "confidence", confidence);
}

static json_t *site_of(const struct ull_site *site)
{
    bool declares = site->kind == ULL_KIND_POOL || site->kind == ULL_KIND_BUFFER;
    char id[32];
    json_t *object = json_object();
    snprintf(id, sizeof id, "%016" PRIx64, site->id);
    set(object, "id", json_string(id));
    set(object, "kind", json_string(ull_kind_name(site->kind)));
    set_place(object, site->place);
    set(object, "stack", stack_of(site));
    set_counts(object, site);
    set_use(object, site);
    set(object, "learned_bytes", number_if(site->learned_bytes != 0, site->learned_bytes));
    set(object, "regrows_total", number_if(declares, site->regrows));
    return object;
}

/* One stack of a live profile: what it holds, in pieces. */
static json_t *holder_of(const struct ull_site *site)
{
    char id[32];
    json_t *object = json_object();
    snprintf(id, sizeof id, "%016" PRIx64, site->id);
    set(object, "id", json_string(id));
    set_place(object, site->place);
    set(object, "stack", stack_of(site));
    set(object, "count", number(site->live_count));
    set(object, "peak_count", number(site->requested_peak));
    set(object, "added_total", number(site->allocations));
    set(object, "removed_total", number(site->frees));
    return object;
}

static json_t *profiles_of(const struct ullage_snapshot *snapshot, unsigned top)
{
    json_t *profiles = json_array();
    for (size_t i = 0; i < snapshot->profile_count; i++) {
        const struct ull_profile *profile = &snapshot->profiles[i];
        json_t *object = json_object(), *sites = json_array();
        set(object, "name", json_string(profile->name));
        set(object, "count", number(profile->held));
        set(object, "added_total", number(profile->added));
        set(object, "removed_total", number(profile->removed));
        for (size_t k = 0; k < profile->site_count && (top == 0 || k < top); k++)
            json_array_append_new(sites, holder_of(&profile->sites[k]));
        set(object, "sites", sites);
        json_array_append_new(profiles, object);
    }
    return profiles;
}

static json_t *pools_of(const struct ullage_snapshot *snapshot)
{
    json_t *pools = json_array();
    for (size_t i = 0; i < snapshot->pool_count; i++) {
        const struct ull_pool *pool = &snapshot->pools[i];
        json_t *object = json_object();
        set(object, "name", text_or_null(pool->name));
        set(object, "object_bytes", number(pool->object_bytes));
        set(object, "gets_total", number(pool->gets));
        set(object, "puts_total", number(pool->puts));
        set(object, "made_total", number(pool->made));
        set(object, "unmade_total", number(pool->unmade));
        set(object, "slab_bytes", number(pool->slab_bytes));
        set(object, "retained_bytes", number(pool->retained_bytes));
        set(object, "retained_peak_bytes", number(pool->retained_peak_bytes));
        set(object, "refused_total", number(pool->refused));
        set(object, "learned_bytes", number_if(pool->learned_bytes != 0, pool->learned_bytes));
        set(object, "budget", text_or_null(pool->budget));
        set(object, "destroyed", json_boolean(pool->destroyed));
        json_array_append_new(pools, object);
    }
    return pools;
}

static json_t *budgets_of(const struct ullage_snapshot *snapshot)
{
    json_t *budgets = json_array();
    for (size_t i = 0; i < snapshot->budget_count; i++) {
        const struct ull_budget *budget = &snapshot->budgets[i];
        json_t *object = json_object();
        set(object, "name", text_or_null(budget->name));
        set(object, "max_bytes", number(budget->max_bytes));
        set(object, "used_bytes", number(budget->used_bytes));
        set(object, "peak_bytes", number(budget->peak_bytes));
        set(object, "refused_total", number(budget->refused));
        set(object, "waits_total", number(budget->waits));
        set(object, "destroyed", json_boolean(budget->destroyed));
        json_array_append_new(budgets, object);
    }
    return budgets;
}

static json_t *procedures_of(const struct ullage_snapshot *snapshot)
{
    json_t *procedures = json_array();
    for (size_t i = 0; i < snapshot->procedure_count; i++) {
        const struct ullage_procedure *procedure = &snapshot->procedures[i];
        const struct ullage_sizes *sizes = &procedure->sizes;
        uint64_t cap = ullage_sizes_cap(sizes);
        json_t *object = json_object();
        set(object, "program", number(procedure->program));
        set(object, "version", number(procedure->version));
        set(object, "procedure", number(procedure->procedure));
        set(object, "records_total", number(sizes->count));
        set(object, "bytes_total", number(sizes->bytes));
        set(object, "max_bytes", number_if(sizes->count != 0, sizes->max_bytes));
        set(object, "p50_bytes", number_if(sizes->count != 0, ullage_sizes_quantile(sizes, 0.50)));
        set(object, "p99_bytes", number_if(sizes->count != 0, ullage_sizes_quantile(sizes, 0.99)));
        set(object, "refused_total", number(procedure->refused));
        set(object, "cap_bytes", number_if(procedure->cap_bytes != 0, procedure->cap_bytes));
        set(object, "suggested_cap_bytes", number_if(cap != 0, cap));
        json_array_append_new(procedures, object);
    }
    return procedures;
}

/* How use was measured: by what, and how coarsely at the best. */
static json_t *measuring_of(const struct ullage_snapshot *snapshot)
{
    bool any = snapshot->has_ledger;
    json_t *object = json_object();
    set(object, "method", any ? json_string(snapshot->pages_method) : json_null());
    set(object, "page_bytes", number_if(any, snapshot->page_bytes));
    set(object, "huge_pages_possible", any ? json_boolean(snapshot->huge_pages_possible) : json_null());
    set(object, "min_bytes", number_if(any, snapshot->min_bytes));
    set(object, "sample_bytes", number_if(any, snapshot->sample_bytes));
    return object;
}

static json_t *process_of(const struct ullage_snapshot *snapshot)
{
    json_t *object = json_object();
    set(object, "pid", number(snapshot->pid));
    set(object, "command", json_string(snapshot->command));
    set(object, "state", json_string(ull_state_name(snapshot->state)));
    set(object, "exit_status", snapshot->exit_status >= 0 ? number((uint64_t)snapshot->exit_status) : json_null());
    set(object, "signal", number_if(snapshot->signal != 0, (uint64_t)snapshot->signal));
    set(object, "started_unix_ns", number_if(snapshot->has_ledger, snapshot->started_unix_ns));
    set(object, "uptime_ns", number_if(snapshot->has_ledger, snapshot->uptime_ns));
    return object;
}

static json_t *totals_of(const struct ullage_snapshot *snapshot)
{
    const struct ull_totals *totals = &snapshot->totals;
    bool any = snapshot->has_ledger;
    json_t *object = json_object();
    set(object, "requested_live_bytes", number_if(any, totals->requested_live));
    set(object, "requested_peak_bytes", number_if(any, totals->requested_peak));
    set(object, "requested_total_bytes", number_if(any, totals->requested_total));
    set(object, "ullage_live_bytes", number_if(any, totals->ullage_live));
    set(object, "ullage_peak_bytes", number_if(any, totals->ullage_peak));
    set(object, "allocations_total", number_if(any, totals->allocations));
    set(object, "frees_total", number_if(any, totals->frees));
    return object;
}

static json_t *counters_of(const struct ullage_snapshot *snapshot)
{
    json_t *object = json_object();
#define SET_COUNTER(name, kind, unit, help) set(object, #name, number(snapshot->counters[ULL_COUNTER_##name]));
    if (snapshot->has_ledger) {
        ULL_COUNTERS(SET_COUNTER)
    }
#undef SET_COUNTER
    return object;
}

static json_t *report_of(const struct ullage_snapshot *snapshot, unsigned top)
{
    json_t *object = json_object(), *sites = json_array(), *other = json_object(), *warnings = json_array();
    json_t *children = json_array();
    for (size_t i = 0; i < snapshot->site_count && (top == 0 || i < top); i++)
        json_array_append_new(sites, site_of(&snapshot->sites[i]));
    set_counts(other, &snapshot->other);
    for (size_t i = 0; i < snapshot->warning_count; i++)
        json_array_append_new(warnings, text_or_null(snapshot->warnings[i]));
    for (size_t i = 0; i < snapshot->child_count; i++)
        json_array_append_new(children, report_of(snapshot->children[i], top));
    set(object, "version", json_integer(1));
    set(object, "process", process_of(snapshot));
    set(object, "measuring", measuring_of(snapshot));
    set(object, "totals", totals_of(snapshot));
    set(object, "sites", sites);
    set(object, "other", other);
    set(object, "pools", pools_of(snapshot));
    set(object, "budgets", budgets_of(snapshot));
    set(object, "procedures", procedures_of(snapshot));
    set(object, "profiles", profiles_of(snapshot, top));
    set(object, "counters", counters_of(snapshot));
    set(object, "warnings", warnings);
    set(object, "children", children);
    return object;
}

struct dump {
    const struct ullage_sink *sink;
    int result;
};

static int write_part(const char *bytes, size_t count, void *context)
{
    struct dump *dump = context;
    dump->result = dump->sink->write(dump->sink->context, bytes, count);
    return dump->result == 0 ? 0 : -1;
}

int ullage_export_json(const struct ullage_snapshot *snapshot, const struct ullage_sink *sink, unsigned top)
{
    struct dump dump = { sink, 0 };
    json_t *report = report_of(snapshot, top);
    if (report == NULL)
        return -ENOMEM;
    if (json_dump_callback(report, write_part, &dump, JSON_INDENT(1) | JSON_REAL_PRECISION(6)) != 0 && dump.result == 0)
        dump.result = -ENOMEM;
    if (dump.result == 0)
        dump.result = sink->write(sink->context, "\n", 1);
    json_decref(report);
    return dump.result;
}
