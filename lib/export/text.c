/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * text.c - a snapshot on one screen: what was wasted, where, and in a sentence each what to do about it.
 */
#include "config.h"

#include "base/arith.h"
#include "base/quantity.h"
#include "export/names.h"
#include "export/records.h"
#include "export/writer.h"
#include "ullage/export.h"
#include "view/snapshot.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    DEFAULT_TOP = 10,
    DEFAULT_COLUMNS = 80,
    NARROWEST = 60,
    WHERE_COLUMN = 57, /* where the last column begins */
    CHILDREN_SHOWN = 12,
};

struct page {
    struct ull_writer out;
    unsigned top;
    bool colour;
};

static const char *style(const struct page *page, const char *code)
{
    return page->colour ? code : "";
}
#define BOLD "\033[1m"
#define RED "\033[1;31m"
#define YELLOW "\033[33m"
#define DIM "\033[2m"
#define PLAIN "\033[0m"

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

/* "new_record (records_naive.c:41)", "ngx_alloc (nginx)", "dd+0x3f2a", "0x7f31…": as much as is known. */
static void place_text(char *to, size_t room, const struct ull_site *site)
{
    const struct ull_frame *frame = site->place;
    if (frame == NULL)
        snprintf(to, room, "(stack unknown)");
    else if (frame->function != NULL && frame->line != 0 && frame->file != NULL)
        snprintf(to, room, "%s (%s:%" PRIu64 ")", frame->function, base_name(frame->file), frame->line);
    else if (frame->function != NULL && frame->object != NULL)
        snprintf(to, room, "%s (%s)", frame->function, base_name(frame->object));
    else if (frame->object != NULL)
        snprintf(to, room, "%s+0x%" PRIx64, base_name(frame->object), frame->offset);
    else
        snprintf(to, room, "0x%" PRIx64, frame->offset);
}

/* Cuts at @columns characters and ends with dots. */
static void shorten(char *text, unsigned columns)
{
    if (ull_text_width(text) <= columns || columns < 4)
        return;
    unsigned width = 0;
    char *at = text;
    for (; *at != '\0' && width < columns - 2; at++)
        width += (at[1] & 0xc0) != 0x80;
    strcpy(at, "..");
}

/* ---- the head of a process ---- */

static void write_head(struct page *page, const struct ullage_snapshot *snapshot)
{
    char duration[16], ending[64], peak[16], waste[16];
    char command[256];
    snprintf(command, sizeof command, "%.200s", snapshot->command);
    shorten(command, page->out.columns > 44 ? page->out.columns - 42 : 20);
    if (snapshot->state == ULLAGE_STATE_LIVE)
        snprintf(ending, sizeof ending, "runs");
    else if (snapshot->signal != 0)
        snprintf(ending, sizeof ending, "was killed by signal %d", snapshot->signal);
    else if (snapshot->state == ULLAGE_STATE_KILLED)
        snprintf(ending, sizeof ending, "died without a word");
    else if (snapshot->exit_status >= 0)
        snprintf(ending, sizeof ending, "exited with %d", snapshot->exit_status);
    else
        snprintf(ending, sizeof ending, "became another program");
    ull_write(&page->out, "%s%s%s (pid %u) %s", style(page, BOLD), command, style(page, PLAIN), snapshot->pid, ending);
    if (snapshot->has_ledger)
        ull_write(&page->out, snapshot->state == ULLAGE_STATE_LIVE ? ", for %s" : " after %s",
            ull_quantity_duration(duration, snapshot->uptime_ns));
    ull_write(&page->out, "\n");
    const struct ull_totals *totals = &snapshot->totals;
    if (!snapshot->has_ledger)
        ull_write(&page->out, "  no ledger\n");
    else
        ull_write(&page->out, "  %s requested at peak, %s%s of it (%.1f %%) never used%s\n",
            ull_quantity_size(peak, totals->requested_peak), style(page, BOLD), ull_quantity_size(waste, totals->ullage_peak),
            totals->requested_peak > 0 ? 100.0 * (double)totals->ullage_peak / (double)totals->requested_peak : 0.0,
            style(page, PLAIN));
}

/* ---- the table ---- */

static void write_row(struct page *page, const struct ull_site *site)
{
    char waste[16] = "?", peak[16], used[20] = "unknown", size[16], place[512];
    bool known = site->deciding.count > 0;
    const char *flag = ull_flag_name(site->flag), *shade = site->flag == ULL_FLAG_SPARSE ? YELLOW : RED;
    if (known) {
        ull_quantity_size(waste, site->ullage_peak);
        snprintf(used, sizeof used, "%s%s", site->used_is == ULL_USED_UPPER_BOUND ? "<=" : "",
            ull_quantity_size(size, site->deciding.used_max_bytes));
    }
    place_text(place, sizeof place, site);
    shorten(place, page->out.columns - WHERE_COLUMN);
    ull_write(&page->out, "%11s %10s %8" PRIu64 " %11s  %s%-11s%s %s\n", waste, ull_quantity_size(peak, site->requested_peak),
        site->allocations, used, flag != NULL ? style(page, shade) : "", flag != NULL ? flag : "-",
        flag != NULL ? style(page, PLAIN) : "", place);
}

static void write_table(struct page *page, const struct ullage_snapshot *snapshot)
{
    size_t shown = snapshot->site_count < page->top ? snapshot->site_count : page->top;
    if (shown == 0)
        return;
    ull_write(&page->out, "\n%s%11s %10s %8s %11s  %-11s %s%s\n", style(page, DIM), "WASTED", "REQUESTED", "COUNT",
        "MOST USED", "FLAG", "WHERE", style(page, PLAIN));
    for (size_t i = 0; i < shown; i++)
        write_row(page, &snapshot->sites[i]);
    if (snapshot->site_count > shown)
        ull_write(&page->out, "%11s %zu more sites (--top N shows more)\n", "", snapshot->site_count - shown);
}

/* ---- advice ---- */

static void asked_text(char *to, size_t room, const struct ull_site *site)
{
    char size[16];
    bool alike = site->allocations != 0 && site->requested_total / site->allocations == site->requested_max;
    ull_quantity_size(size, site->requested_max);
    if (site->allocations == 1)
        snprintf(to, room, "asked for %s once", size);
    else
        snprintf(to, room, "asked for %s%s %" PRIu64 " times", alike ? "" : "up to ", size, site->allocations);
}

static void confidence_text(char *to, size_t room, const struct ull_site *site)
{
    uint64_t all = site->known[ULL_EXACT].count + site->known[ULL_UPPER_BOUND].count;
    if (site->used_is == ULL_USED_DECLARED)
        snprintf(to, room, " [%" PRIu64 " of %" PRIu64 " declared]", all, site->allocations);
    else
        snprintf(to, room, " [%" PRIu64 " of %" PRIu64 " measured, %.0f %% exactly]", all, site->allocations,
            100.0 * site->exact_share);
}

static void write_advice(struct page *page, const struct ull_site *site)
{
    char text[1536], place[512], asked[64], used[16], suggested[16], saved[16], typical[16], confidence[96];
    const struct ull_known *known = &site->deciding;
    const char *each = site->allocations == 1 ? "it" : "each";
    place_text(place, sizeof place, site);
    asked_text(asked, sizeof asked, site);
    confidence_text(confidence, sizeof confidence, site);
    ull_quantity_size(used, known->used_max_bytes);
    ull_quantity_size(typical, site->used_p99);
    ull_round_size_text(suggested, site->suggested);
    /* At its peak the site held this many buffers of the largest size; each would shrink to the suggestion. */
    uint64_t spared = ull_mul_div(site->requested_peak, ull_minus_clamped(site->requested_max, site->suggested),
        site->requested_max);
    ull_quantity_size(saved, spared);
    if (site->flag == ULL_FLAG_OVERSIZED)
        snprintf(text, sizeof text, "%s %s, used at most %s of %s: %s would do, and save %s.%s", place, asked, used, each,
            suggested, saved, confidence);
    else if (site->flag == ULL_FLAG_START_SMALL)
        snprintf(text, sizeof text, "%s %s; 99 of 100 used at most %s, the largest may need all of it: start with %s and "
            "grow.%s", place, asked, typical, suggested, confidence);
    else
        snprintf(text, sizeof text, "%s %s and touched at most %s, scattered up to the end: a smaller buffer would not "
            "serve; a denser structure, or pages given back, would.%s", place, asked,
            ull_quantity_size(typical, site->touched_max), confidence);
    ull_write_paragraph(&page->out, "  * ", text);
}

static void write_all_advice(struct page *page, const struct ullage_snapshot *snapshot)
{
    size_t written = 0;
    for (size_t i = 0; i < snapshot->site_count && written < page->top; i++) {
        if (snapshot->sites[i].flag == ULL_FLAG_NONE)
            continue;
        if (written++ == 0)
            ull_write(&page->out, "\n");
        write_advice(page, &snapshot->sites[i]);
    }
    if (written == 0 && snapshot->has_ledger)
        ull_write(&page->out, "\n  Nothing is flagged: no site of large buffers used a quarter of them or less.\n");
}

/* ---- the foot ---- */

static void how_measured(char *to, size_t room, const struct ullage_snapshot *snapshot, uint64_t granularity)
{
    uint64_t oldest = 0;
    char age[16], grain[16];
    bool live = false;
    for (size_t i = 0; i < snapshot->site_count; i++) {
        live |= snapshot->sites[i].live_read > 0;
        oldest = ull_max_u64(oldest, snapshot->sites[i].used_age_ns);
    }
    int length = snprintf(to, room, "Measured by %s, to %s. ", snapshot->pages_method,
        ull_round_size_text(grain, granularity));
    if (live && length > 0 && (size_t)length < room)
        snprintf(to + length, room - (size_t)length, "Buffers still held %s: read up to %s %s. ",
            snapshot->state == ULLAGE_STATE_LIVE ? "now" : "at the end", ull_quantity_duration(age, oldest),
            snapshot->state == ULLAGE_STATE_LIVE ? "ago" : "before it");
}

static void write_how(struct page *page, const struct ullage_snapshot *snapshot)
{
    uint64_t granularity = 0;
    char measured[256] = "", text[384];
    bool declared = false;
    for (size_t i = 0; i < snapshot->site_count; i++) {
        const struct ull_site *site = &snapshot->sites[i];
        if (site->used_is == ULL_USED_DECLARED)
            declared = true;
        else
            granularity = ull_max_u64(granularity, site->deciding.granularity_bytes);
    }
    if (granularity == 0 && !declared)
        return;
    if (granularity != 0)
        how_measured(measured, sizeof measured, snapshot, granularity);
    snprintf(text, sizeof text, "%s%s", measured,
        declared ? "Use of libullage's own buffers: as the program declared it." : "");
    ull_write(&page->out, "\n%s", style(page, DIM));
    ull_write_paragraph(&page->out, "  ", text);
    ull_write(&page->out, "%s", style(page, PLAIN));
}

/* ---- live profiles ---- */

static void write_profile(struct page *page, const struct ull_profile *profile, bool now)
{
    char text[512], place[512];
    const struct ull_site *most = &profile->sites[0];
    ull_write(&page->out, "  %s%s%s: %" PRIu64 " held %s, %" PRIu64 " in all%s\n", style(page, BOLD), profile->name,
        style(page, PLAIN), profile->held, now ? "now" : "at the end", profile->added, profile->held > 0 ? ", by" : "");
    for (size_t i = 0; i < profile->site_count && i < page->top && most[i].live_count > 0; i++) {
        place_text(place, sizeof place, &most[i]);
        snprintf(text, sizeof text, "%11" PRIu64 "  %.400s", most[i].live_count, place);
        shorten(text, page->out.columns);
        ull_write(&page->out, "%s\n", text);
    }
}

static void write_profiles(struct page *page, const struct ullage_snapshot *snapshot)
{
    for (size_t i = 0; i < snapshot->profile_count; i++) {
        if (i == 0)
            ull_write(&page->out, "\n");
        write_profile(page, &snapshot->profiles[i], snapshot->state == ULLAGE_STATE_LIVE);
    }
}

/* ---- pools and budgets ---- */

/* What a name may take of a line, so that its first figure still fits. */
static const char *named(const struct page *page, char *to, size_t room, const char *name)
{
    snprintf(to, room, "%s", name != NULL ? name : "(unnamed)");
    shorten(to, page->out.columns - 30);
    return to;
}

static void write_pool(struct page *page, const struct ull_pool *pool)
{
    char text[512], name[256], idle[16], slabs[16], peak[16], size[16], learned[32] = "", refused[48] = "";
    ull_quantity_size(idle, pool->retained_bytes);
    ull_quantity_size(slabs, pool->slab_bytes);
    ull_quantity_size(peak, pool->retained_peak_bytes);
    if (pool->learned_bytes != 0)
        snprintf(learned, sizeof learned, ", learned %s", ull_round_size_text(size, pool->learned_bytes));
    if (pool->refused != 0)
        snprintf(refused, sizeof refused, ", %" PRIu64 " refused", pool->refused);
    snprintf(text, sizeof text, "%s: %" PRIu64 " out, %s idle (peak %s) of %s in slabs%s%s%s",
        named(page, name, sizeof name, pool->name), pool->gets - pool->puts, idle, peak, slabs, learned, refused,
        pool->destroyed ? ", destroyed" : "");
    ull_write_paragraph(&page->out, "  pool   ", text);
}

static void write_budget(struct page *page, const struct ull_budget *budget)
{
    char text[512], name[256], used[16], peak[16], most[16], refused[48] = "", waits[48] = "";
    ull_quantity_size(used, budget->used_bytes);
    ull_quantity_size(peak, budget->peak_bytes);
    ull_quantity_size(most, budget->max_bytes);
    if (budget->refused != 0)
        snprintf(refused, sizeof refused, ", %" PRIu64 " refused", budget->refused);
    if (budget->waits != 0)
        snprintf(waits, sizeof waits, ", %" PRIu64 " waited", budget->waits);
    snprintf(text, sizeof text, "%s: %s used (peak %s) of %s%s%s%s", named(page, name, sizeof name, budget->name), used,
        peak, most, refused, waits, budget->destroyed ? ", destroyed" : "");
    ull_write_paragraph(&page->out, "  budget ", text);
}

static void write_pools(struct page *page, const struct ullage_snapshot *snapshot)
{
    size_t pools = snapshot->pool_count < page->top ? snapshot->pool_count : page->top;
    size_t budgets = snapshot->budget_count < page->top ? snapshot->budget_count : page->top;
    if (pools + budgets > 0)
        ull_write(&page->out, "\n");
    for (size_t i = 0; i < pools; i++)
        write_pool(page, &snapshot->pools[i]);
    if (snapshot->pool_count > pools)
        ull_write(&page->out, "  %zu more pools (--top N shows more)\n", snapshot->pool_count - pools);
    for (size_t i = 0; i < budgets; i++)
        write_budget(page, &snapshot->budgets[i]);
    if (snapshot->budget_count > budgets)
        ull_write(&page->out, "  %zu more budgets (--top N shows more)\n", snapshot->budget_count - budgets);
}

static void write_process(struct page *page, const struct ullage_snapshot *snapshot)
{
    write_head(page, snapshot);
    if (snapshot->has_ledger) {
        write_table(page, snapshot);
        write_all_advice(page, snapshot);
        write_profiles(page, snapshot);
        write_pools(page, snapshot);
        ull_write_records(&page->out, snapshot, page->top, page->colour);
        write_how(page, snapshot);
    }
    for (size_t i = 0; i < snapshot->warning_count; i++)
        if (snapshot->warnings[i] != NULL)
            ull_write_paragraph(&page->out, "  warning: ", snapshot->warnings[i]);
    if (snapshot->hint != NULL)
        ull_write_paragraph(&page->out, "  hint: ", snapshot->hint);
}

static void write_children(struct page *page, const struct ullage_snapshot *snapshot)
{
    for (size_t i = 0; i < snapshot->child_count && i < CHILDREN_SHOWN; i++) {
        ull_write(&page->out, "\n");
        write_process(page, snapshot->children[i]);
        write_children(page, snapshot->children[i]);
    }
    if (snapshot->child_count > CHILDREN_SHOWN)
        ull_write(&page->out, "\n%zu more processes (--json has them all)\n", snapshot->child_count - CHILDREN_SHOWN);
}

int ullage_export_text(const struct ullage_snapshot *snapshot, const struct ullage_sink *sink,
    const struct ullage_text_options *opt)
{
    const struct ullage_text_options defaults = ULLAGE_TEXT_OPTIONS_INIT;
    opt = opt != NULL ? opt : &defaults;
    unsigned columns = opt->columns != 0 ? opt->columns : DEFAULT_COLUMNS;
    struct page page = { { sink, 0, columns < NARROWEST ? NARROWEST : columns },
        opt->top != 0 ? opt->top : DEFAULT_TOP, opt->colour };
    write_process(&page, snapshot);
    write_children(&page, snapshot);
    return page.out.result;
}
