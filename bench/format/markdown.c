/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * markdown.c - tables for a comment on a pull request, in GitHub's Markdown.
 *
 * Names stand in code: GitHub would else make links, emphasis, mentions and emoji of them. Where a name holds what even
 * code may not hold in a table, characters become HTML's numbers: no rule of Markdown looks into those.
 */
#include "config.h"

#include "format.h"

#include <string.h>

static const struct column {
    const char *metric, *title;
    char *(*text)(char to[ULL_HUMAN_BYTES], double value);
} columns[] = {
    { "ns/op", "Time/op", ull_human_time },
    { "allocs/op", "Allocs/op", ull_human_count },
    { "B/op", "B/op", ull_human_bytes },
    { "peak-live-bytes", "Peak live", ull_human_bytes },
    { "MB/s", "MB/s", ull_human_count },
};
enum { COLUMN_COUNT = sizeof columns / sizeof columns[0] };

struct table {
    FILE *to;
    const struct ullage_bench_report *report;
    bool variants;
    bool shown[COLUMN_COUNT];
    unsigned cells; /* after name and variant */
};

static bool is_plain(uint32_t character)
{
    return (character >= '0' && character <= '9') || (character >= 'a' && character <= 'z')
        || (character >= 'A' && character <= 'Z') || (character < 0x80 && strchr(" -_./=:,+%()", (int)character) != NULL);
}

static void put_code(FILE *to, const char *text)
{
    const char *at = text;
    uint32_t character;
    bool plain = text[0] != '\0' && text[0] != ' ' && text[strlen(text) - 1] != ' ';
    while (plain && (character = ull_utf8_next(&at)) != 0)
        plain = is_plain(character) || (character > 0xa0 && character != 0xfffd);
    if (plain) {
        fprintf(to, "`%s`", text);
        return;
    }
    fputs("<code>", to);
    for (at = text; (character = ull_utf8_next(&at)) != 0;)
        if (character >= ' ' && character < 0x80 && (!is_plain(character) || strchr("_:", (int)character) != NULL))
            fprintf(to, "&#%u;", (unsigned)character);
        else
            ull_put_utf8(to, character < ' ' ? ' ' : character);
    fputs("</code>", to);
}

/* ---- the table of what all benchmarks have ---- */

static void begin_table(struct table *table)
{
    fputs("| Benchmark |", table->to);
    fputs(table->variants ? " Variant |" : "", table->to);
    for (size_t i = 0; i < COLUMN_COUNT; i++)
        if (table->shown[i])
            fprintf(table->to, " %s |%s", columns[i].title, table->variants ? " × |" : "");
    fputs(table->cells == 0 ? " |\n|---|" : "\n|---|", table->to);
    fputs(table->variants ? "---|" : "", table->to);
    for (unsigned i = 0; i < table->cells || i == 0; i++)
        fputs("---:|", table->to);
    putc('\n', table->to);
}

static void put_cell(struct table *table, const struct ullage_bench_result *result, const struct column *column)
{
    char text[ULL_HUMAN_BYTES];
    double ratio;
    const struct ullage_bench_metric *metric = ull_measured(result, column->metric);
    if (metric != NULL) {
        fprintf(table->to, " %s", column->text(text, ullage_bench_metric_median(metric)));
        if (!metric->exact && ull_human_spread(text, metric)[0] != '\0')
            fprintf(table->to, " %s", text);
        fputs(ullage_bench_metric_is_unstable(metric) ? " ⚠" : "", table->to);
    }
    fputs(" |", table->to);
    if (table->variants) {
        if (ull_ratio(table->report, result, column->metric, &ratio))
            fprintf(table->to, " %s", ull_human_ratio(text, ratio));
        fputs(" |", table->to);
    }
}

static void put_status(struct table *table, const struct ullage_bench_result *result)
{
    fprintf(table->to, " **%s**", ullage_bench_status_name(result->status));
    if (result->message[0] != '\0') {
        putc(' ', table->to);
        put_code(table->to, result->message);
    }
    fputs(" |", table->to);
    for (unsigned i = 1; i < table->cells; i++)
        fputs(" |", table->to);
}

static void put_name(struct table *table, const struct ullage_bench_result *result)
{
    fputs("| ", table->to);
    put_code(table->to, result->name[0] != '\0' ? result->name : "unnamed");
    fputs(" |", table->to);
    if (table->variants && result->variant[0] != '\0') {
        putc(' ', table->to);
        put_code(table->to, result->variant);
    }
    fputs(table->variants ? " |" : "", table->to);
}

static void put_row(struct table *table, const struct ullage_bench_result *result)
{
    put_name(table, result);
    if (result->status != ULLAGE_BENCH_OK || table->cells == 0)
        put_status(table, result);
    else
        for (size_t i = 0; i < COLUMN_COUNT; i++)
            if (table->shown[i])
                put_cell(table, result, &columns[i]);
    putc('\n', table->to);
}

/* Calls @put for each result, all variants of a benchmark together. */
static void for_each(struct table *table, void (*put)(struct table *, const struct ullage_bench_result *))
{
    const struct ullage_bench_report *report = table->report;
    for (size_t i = 0; i < report->result_count; i++) {
        const struct ullage_bench_result *first = &report->results[i];
        for (size_t k = i; k < report->result_count && ull_first_variant(report, first) == first; k++)
            if (strcmp(report->results[k].name, first->name) == 0)
                put(table, &report->results[k]);
    }
}

/* ---- what only some have ---- */

static bool is_own(const struct ullage_bench_metric *metric)
{
    return metric->sample_count > 0 && !ull_is_known_metric(metric->name);
}

static void put_own(struct table *table, const struct ullage_bench_result *result)
{
    char text[ULL_HUMAN_BYTES];
    double ratio;
    for (size_t i = 0; i < result->metric_count && result->status == ULLAGE_BENCH_OK; i++) {
        const struct ullage_bench_metric *metric = &result->metrics[i];
        if (!is_own(metric))
            continue;
        put_name(table, result);
        putc(' ', table->to);
        put_code(table->to, metric->name);
        fprintf(table->to, " | %s", ull_human_count(text, ullage_bench_metric_median(metric)));
        if (ull_human_spread(text, metric)[0] != '\0')
            fprintf(table->to, " %s", text);
        fputs(" |", table->to);
        if (table->variants)
            fprintf(table->to, " %s |",
                ull_ratio(table->report, result, metric->name, &ratio) ? ull_human_ratio(text, ratio) : "");
        putc('\n', table->to);
    }
}

static bool any_own(const struct ullage_bench_report *report)
{
    for (size_t i = 0; i < report->result_count; i++)
        for (size_t k = 0; k < report->results[i].metric_count && report->results[i].status == ULLAGE_BENCH_OK; k++)
            if (is_own(&report->results[i].metrics[k]))
                return true;
    return false;
}

static void put_note(struct table *table, const struct ullage_bench_result *result)
{
    char name[ULL_FULL_NAME_BYTES];
    bool unstable = false;
    for (size_t i = 0; i < result->metric_count; i++)
        unstable = unstable || (ull_measured(result, result->metrics[i].name) != NULL
            && ullage_bench_metric_is_unstable(&result->metrics[i]));
    if (result->note[0] == '\0' && !unstable)
        return;
    fputs("- ", table->to);
    put_code(table->to, ull_full_name(name, result));
    fputs(unstable ? ": ⚠ counted, yet different from run to run" : "", table->to);
    if (result->note[0] != '\0') {
        fputs(": ", table->to);
        put_code(table->to, result->note);
    }
    putc('\n', table->to);
}

static void put_machine(FILE *to, const struct ullage_bench_report *report)
{
    const char *const parts[] = { report->cpu, report->kernel, report->libc, report->allocator, report->compiler,
        report->flags };
    fprintf(to, "\n<sub>");
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (parts[i][0] != '\0') {
            put_code(to, parts[i]);
            fputs(", ", to);
        }
    fprintf(to, "%u processor%s</sub>\n", report->cpus, report->cpus == 1 ? "" : "s");
}

int ull_format_markdown(FILE *to, const struct ullage_bench_report *report, unsigned width)
{
    struct table table = { to, report, ull_has_variants(report), { false }, 0 };
    (void)width;
    for (size_t i = 0; i < COLUMN_COUNT; i++) {
        for (size_t k = 0; k < report->result_count && !table.shown[i]; k++)
            table.shown[i] = ull_measured(&report->results[k], columns[i].metric) != NULL;
        table.cells += table.shown[i] ? (table.variants ? 2 : 1) : 0;
    }
    fputs("### Benchmarks: ", to);
    put_code(to, ull_base_name(report->program));
    fputs("\n\n", to);
    begin_table(&table);
    for_each(&table, put_row);
    if (any_own(report)) {
        fprintf(to, "\n| Benchmark |%s Metric | Median |%s\n|---|%s---|---:|%s\n", table.variants ? " Variant |" : "",
            table.variants ? " × |" : "", table.variants ? "---|" : "", table.variants ? "---:|" : "");
        for_each(&table, put_own);
    }
    putc('\n', to);
    for_each(&table, put_note);
    put_machine(to, report);
    return 0;
}
