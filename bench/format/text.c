/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * text.c - a report for a terminal: a line a benchmark, its variants below it, then what is to be said of some.
 *
 * Columns are taken in the order of their worth as long as names keep room; those that no benchmark has are left out. A
 * name that is too long for its column gets a line of its own. No line is wider than the terminal.
 */
#include "config.h"

#include "format.h"

#include <stdlib.h>
#include <string.h>

enum {
    DEFAULT_WIDTH = 80,
    NARROWEST = 40, /* our choice: a name column and the time */
    WIDEST = 1000,
    NAME_SHORT = 16, /* names get at least that, if one is as long, before a second column is shown */
    NAME_LONG = 40,  /* and up to that before a column of the second rank is */
    STACKS_SHOWN = 3, /* a benchmark */
};

/*
 * Where it stands is also what it is worth, but for @extra: those are shown where there is room to spare. A space is before
 * the value, and one after it for the mark of the unstable. A title may be one wider than the value.
 */
static const struct column {
    const char *title, *metric;
    unsigned width; /* of the value */
    char *(*text)(char to[ULL_HUMAN_BYTES], double value); /* NULL: the ratio of the times */
    bool spread, extra;
} columns[] = {
    { "TIME/OP", "ns/op", 8, ull_human_time, true, false },
    { "RATIO", "ns/op", 6, NULL, false, false },
    { "ALLOCS/OP", "allocs/op", 8, ull_human_count, false, false },
    { "B/OP", "B/op", 8, ull_human_bytes, false, false },
    { "PEAK LIVE", "peak-live-bytes", 8, ull_human_bytes, false, false },
    { "MB/S", "MB/s", 7, ull_human_count, false, false },
    { "CPU/OP", "cpu-ns/op", 8, ull_human_time, false, true },
    { "PEAK RSS", "peak-rss-bytes", 8, ull_human_bytes, false, true },
    { "INSTR/OP", "instructions/op", 8, ull_human_count, false, true },
    { "FAULTS/OP", "minor-faults/op", 8, ull_human_count, false, true },
};
enum { COLUMN_COUNT = sizeof columns / sizeof columns[0], SPREAD_WIDTH = 6 };

struct page {
    FILE *to;
    const struct ullage_bench_report *report;
    unsigned width, name_width;
    bool shown[COLUMN_COUNT];
    bool variants;
};

/* ---- text in columns ---- */

static void put_spaces(struct page *page, unsigned from, unsigned to)
{
    if (from < to)
        fprintf(page->to, "%*s", (int)(to - from), "");
}

/* At most @width columns of @text, dots at the end where it was cut. Returns the columns. */
static unsigned put_cut(struct page *page, const char *text, unsigned width)
{
    bool fits = ull_columns(text) <= width;
    unsigned room = fits || width < 4 ? width : width - 2, used = 0;
    uint32_t character;
    while ((character = ull_utf8_next(&text)) != 0 && used + ull_character_columns(character) <= room) {
        ull_put_utf8(page->to, character < ' ' ? ' ' : character);
        used += ull_character_columns(character);
    }
    if (!fits && width >= 4) {
        fputs("..", page->to);
        used += 2;
    }
    return used;
}

/* Breaks @text at spaces; the first line begins at column @at, the others with @indent spaces. A word too long is cut. */
static void put_paragraph(struct page *page, unsigned at, unsigned indent, const char *text)
{
    bool begun = false;
    while (*text != '\0') {
        char word[2 * ULL_FULL_NAME_BYTES];
        size_t length = strcspn(text, " ");
        snprintf(word, sizeof word, "%.*s", (int)(length < sizeof word ? length : sizeof word - 1), text);
        if (begun && at + 1 + ull_columns(word) > page->width) {
            putc('\n', page->to);
            put_spaces(page, 0, indent);
            at = indent;
        } else if (begun) {
            putc(' ', page->to);
            at++;
        }
        at += put_cut(page, word, page->width - at);
        begun = true;
        text += length;
        text += strspn(text, " ");
    }
    putc('\n', page->to);
}

/* ---- which columns there are ---- */

static unsigned column_width(size_t column)
{
    return 2 + columns[column].width + (columns[column].spread ? SPREAD_WIDTH : 0);
}

static bool any_has(const struct page *page, size_t column)
{
    if (columns[column].text == NULL && !page->variants)
        return false;
    for (size_t i = 0; i < page->report->result_count; i++)
        if (ull_measured(&page->report->results[i], columns[column].metric) != NULL)
            return true;
    return false;
}

/* What stands in the first column: the name, or below it a variant. */
static const char *label_of(const struct ullage_bench_result *result, bool is_variant)
{
    if (is_variant)
        return result->variant[0] != '\0' ? result->variant : "(plain)";
    return result->name[0] != '\0' ? result->name : "unnamed";
}

static unsigned longest_label(const struct page *page)
{
    unsigned longest = NAME_SHORT;
    for (size_t i = 0; i < page->report->result_count; i++) {
        unsigned name = ull_columns(label_of(&page->report->results[i], false));
        unsigned variant = 2 + ull_columns(label_of(&page->report->results[i], true));
        longest = name > longest && name <= NAME_LONG ? name : longest;
        longest = page->variants && variant > longest && variant <= NAME_LONG ? variant : longest;
    }
    return longest;
}

static void choose_columns(struct page *page)
{
    unsigned longest = longest_label(page), taken = 0;
    bool full = false;
    for (size_t i = 0; i < COLUMN_COUNT; i++) {
        unsigned name = columns[i].extra ? longest : NAME_SHORT;
        if (full || !any_has(page, i))
            continue;
        full = name + taken + column_width(i) > page->width; /* nothing of less worth instead */
        page->shown[i] = !full;
        taken += full ? 0 : column_width(i);
    }
    page->name_width = longest < page->width - taken ? longest : page->width - taken;
}

/* ---- the table ---- */

static void put_titles(struct page *page)
{
    unsigned used = put_cut(page, "BENCHMARK", page->name_width), stop = page->name_width;
    for (size_t i = 0; i < COLUMN_COUNT; i++) {
        if (!page->shown[i])
            continue;
        stop += 1 + columns[i].width;
        put_spaces(page, used, stop - (unsigned)strlen(columns[i].title));
        fputs(columns[i].title, page->to);
        used = stop;
        stop = stop + 1 + (columns[i].spread ? SPREAD_WIDTH : 0);
    }
    putc('\n', page->to);
}

/* The value of a column, "" where there is none; the mark or the spread that follows it. */
static void cell_text(const struct page *page, const struct ullage_bench_result *result, const struct column *column,
    char value[ULL_HUMAN_BYTES], char after[ULL_HUMAN_BYTES])
{
    const struct ullage_bench_metric *metric = ull_measured(result, column->metric);
    double ratio;
    value[0] = after[0] = '\0';
    if (metric == NULL)
        return;
    if (column->text == NULL) {
        if (ull_ratio(page->report, result, column->metric, &ratio))
            ull_human_ratio(value, ratio);
        return;
    }
    column->text(value, ullage_bench_metric_median(metric));
    if (ullage_bench_metric_is_unstable(metric))
        strcpy(after, "*");
    else if (column->spread) {
        char spread[ULL_HUMAN_BYTES];
        if (ull_human_spread(spread, metric)[0] != '\0')
            snprintf(after, ULL_HUMAN_BYTES, " %.20s", spread);
    }
}

static void put_figures(struct page *page, const struct ullage_bench_result *result, unsigned used)
{
    char value[ULL_HUMAN_BYTES], after[ULL_HUMAN_BYTES];
    unsigned stop = page->name_width;
    for (size_t i = 0; i < COLUMN_COUNT; i++) {
        if (!page->shown[i])
            continue;
        stop += 1 + columns[i].width;
        cell_text(page, result, &columns[i], value, after);
        if (value[0] != '\0') {
            put_spaces(page, used, stop - ull_columns(value));
            fprintf(page->to, "%s%s", value, after);
            used = stop + ull_columns(after);
        }
        stop = stop + 1 + (columns[i].spread ? SPREAD_WIDTH : 0);
    }
    putc('\n', page->to);
}

/* On the line that the label began where it fits, else below it. */
static void put_status(struct page *page, const struct ullage_bench_result *result, unsigned used)
{
    char text[ULL_FULL_NAME_BYTES];
    unsigned at = page->name_width + 2;
    snprintf(text, sizeof text, "%s%s%.1024s", ullage_bench_status_name(result->status),
        result->message[0] != '\0' ? ": " : "", result->message);
    if (used >= at || at + ull_columns(text) > page->width) {
        if (used > 0)
            putc('\n', page->to);
        at = 4;
        used = 0;
    }
    put_spaces(page, used, at);
    put_paragraph(page, at, 4, text);
}

/* What only this benchmark measures: "p99-ns 812 ±3 %, misses/op 0.25". */
static void put_own(struct page *page, const struct ullage_bench_result *result)
{
    char text[4096], value[ULL_HUMAN_BYTES], spread[ULL_HUMAN_BYTES];
    size_t length = 0;
    for (size_t i = 0; i < result->metric_count && length < sizeof text / 2; i++) {
        const struct ullage_bench_metric *metric = ull_measured(result, result->metrics[i].name);
        if (metric == NULL || ull_is_known_metric(metric->name))
            continue;
        ull_human_spread(spread, metric);
        length += (size_t)snprintf(text + length, sizeof text - length, "%s%.1024s %s%s%s%s", length > 0 ? ", " : "",
            metric->name, ull_human_count(value, ullage_bench_metric_median(metric)),
            ullage_bench_metric_is_unstable(metric) ? "*" : "", spread[0] != '\0' ? " " : "", spread);
    }
    if (length == 0)
        return;
    put_spaces(page, 0, 4);
    put_paragraph(page, 4, 4, text);
}

static void put_row(struct page *page, const struct ullage_bench_result *result, bool is_variant)
{
    const char *label = label_of(result, is_variant);
    unsigned indent = is_variant ? 2 : 0, used;
    put_spaces(page, 0, indent);
    used = indent + put_cut(page, label, page->width - indent);
    if (result->status != ULLAGE_BENCH_OK) {
        put_status(page, result, used);
        return;
    }
    if (used > page->name_width) {
        putc('\n', page->to);
        used = 0;
    }
    put_figures(page, result, used);
    put_own(page, result);
}

/* All results of the name of @first, which is the first of them. */
static void put_group(struct page *page, const struct ullage_bench_result *first)
{
    const struct ullage_bench_report *report = page->report;
    if (first->variant[0] != '\0') {
        put_cut(page, label_of(first, false), page->width);
        putc('\n', page->to);
    }
    for (size_t i = (size_t)(first - report->results); i < report->result_count; i++)
        if (strcmp(report->results[i].name, first->name) == 0)
            put_row(page, &report->results[i], &report->results[i] != first || first->variant[0] != '\0');
}

/* ---- before and after it ---- */

static void put_head(struct page *page)
{
    const struct ullage_bench_report *report = page->report;
    char text[6 * 1024 + 64];
    const char *const parts[] = { report->cpu, report->kernel, report->libc, report->allocator, report->compiler,
        report->flags };
    size_t length = (size_t)snprintf(text, sizeof text, "%.512s: %u processor%s", ull_base_name(report->program),
        report->cpus, report->cpus == 1 ? "" : "s");
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (parts[i][0] != '\0')
            length += (size_t)snprintf(text + length, sizeof text - length, ", %.768s", parts[i]);
    put_paragraph(page, 0, 2, text);
    if (report->compiler[0] != '\0' && !report->optimized)
        put_paragraph(page, 0, 2, "Built without optimization: the times say little.");
    putc('\n', page->to);
}

static void put_about(struct page *page, const struct ullage_bench_result *result, const char *what)
{
    char text[2 * ULL_FULL_NAME_BYTES], name[ULL_FULL_NAME_BYTES];
    snprintf(text, sizeof text, "%s: %.2000s", ull_full_name(name, result), what);
    put_spaces(page, 0, 2);
    put_paragraph(page, 2, 4, text);
}

static void put_stack(struct page *page, const struct ullage_bench_result *result, const struct ullage_bench_stack *stack)
{
    char text[2048], bytes[ULL_HUMAN_BYTES], used[ULL_HUMAN_BYTES], suggested[ULL_HUMAN_BYTES], count[ULL_HUMAN_BYTES];
    size_t length = (size_t)snprintf(text, sizeof text, "%s: ", stack->flag);
    for (size_t i = 0; i < stack->function_count && i < 3; i++)
        length += (size_t)snprintf(text + length, sizeof text - length, "%s%.256s", i > 0 ? " < " : "", stack->functions[i]);
    length += (size_t)snprintf(text + length, sizeof text - length, "%s asked %s times for %s in all",
        stack->function_count == 0 ? "(stack unknown)" : "", ull_human_count(count, (double)stack->allocations),
        ull_human_bytes(bytes, (double)stack->bytes));
    if (stack->used_max_bytes != UINT64_MAX)
        length += (size_t)snprintf(text + length, sizeof text - length, ", used at most %s of one",
            ull_human_bytes(used, (double)stack->used_max_bytes));
    if (stack->suggested_bytes != 0)
        snprintf(text + length, sizeof text - length, ": %s would do",
            ull_human_bytes(suggested, (double)stack->suggested_bytes));
    put_about(page, result, text);
}

/* Returns whether a metric of it was marked. */
static bool put_notes(struct page *page, const struct ullage_bench_result *result)
{
    char text[128], bytes[ULL_HUMAN_BYTES];
    const struct ullage_bench_metric *leaked = ull_measured(result, "leaked-B/op");
    unsigned shown = 0;
    bool marked = false;
    if (result->note[0] != '\0')
        put_about(page, result, result->note);
    if (leaked != NULL && ullage_bench_metric_median(leaked) > 0) {
        snprintf(text, sizeof text, "does not give back %s an operation",
            ull_human_bytes(bytes, ullage_bench_metric_median(leaked)));
        put_about(page, result, text);
    }
    for (size_t i = 0; i < result->stack_count && shown < STACKS_SHOWN; i++)
        if (result->stacks[i].flag != NULL) {
            put_stack(page, result, &result->stacks[i]);
            shown++;
        }
    for (size_t i = 0; i < result->metric_count; i++)
        marked = marked || (ull_measured(result, result->metrics[i].name) != NULL
            && ullage_bench_metric_is_unstable(&result->metrics[i]));
    return marked;
}

int ull_format_text(FILE *to, const struct ullage_bench_report *report, unsigned width)
{
    struct page page = { .to = to, .report = report, .variants = ull_has_variants(report) };
    bool marked = false;
    page.width = width == 0 ? DEFAULT_WIDTH : width < NARROWEST ? NARROWEST : width > WIDEST ? WIDEST : width;
    choose_columns(&page);
    put_head(&page);
    put_titles(&page);
    for (size_t i = 0; i < report->result_count; i++)
        if (ull_first_variant(report, &report->results[i]) == &report->results[i])
            put_group(&page, &report->results[i]);
    putc('\n', to);
    for (size_t i = 0; i < report->result_count; i++)
        marked |= put_notes(&page, &report->results[i]);
    if (marked) {
        put_spaces(&page, 0, 2);
        put_paragraph(&page, 2, 4, "* counted, yet different from run to run");
    }
    return 0;
}
