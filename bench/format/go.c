/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * go.c - Go's benchmark text format, for benchstat: a line a repetition, so that it has something to test.
 *
 * A variant is a part of the name, "Parse/variant=jemalloc-1": `benchstat -col /variant` sets variants side by side, and
 * two files of the same variants are compared without any option. A file key would split benchstat's tables instead. So
 * would any key that differs between the two files: there is none here that a commit changes, nor the compiler's flags or
 * the directory that the program lies in. The number at the end of a name is always written, because a name that ends in
 * "-64" would otherwise lose it; it is the benchmark's threads, so that machines of different size can be compared.
 *
 * Names lose what the format has no place for: spaces become '_', a first letter becomes upper-case.
 *
 * Source: golang.org/design/14313-benchmark-format; golang.org/x/perf/benchfmt for the Unit lines
 */
#include "config.h"

#include "format.h"

#include <inttypes.h>
#include <string.h>

/* Unicode's White_Space, at which Go splits a line; what of it is a control character does not get here. */
static bool is_space(uint32_t character)
{
    static const uint32_t others[] = { 0xa0, 0x1680, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000 };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (character == others[i])
            return true;
    return character <= ' ' || (character >= 0x2000 && character <= 0x200a);
}

/* One field of a line, without @not. */
static void put_field(FILE *to, const char *text, uint32_t not)
{
    uint32_t character;
    while ((character = ull_utf8_next(&text)) != 0)
        ull_put_utf8(to, is_space(character) || character == not ? '_' : character);
}

/* The rest of a line. */
static void put_rest(FILE *to, const char *text)
{
    uint32_t character;
    while ((character = ull_utf8_next(&text)) != 0)
        ull_put_utf8(to, character < ' ' ? ' ' : character);
    putc('\n', to);
}

static void put_name(FILE *to, const struct ullage_bench_result *result)
{
    const char *name = result->name[0] != '\0' ? result->name : "Unnamed";
    fputs("Benchmark", to);
    if (name[0] >= 'a' && name[0] <= 'z')
        putc(*name++ - 'a' + 'A', to);
    else if (!(name[0] >= 'A' && name[0] <= 'Z'))
        putc('X', to);
    put_field(to, name, 0);
    if (result->variant[0] != '\0') {
        fputs("/variant=", to);
        put_field(to, result->variant, '/'); /* which would end it */
    }
    fprintf(to, "-%u", result->threads > 0 ? result->threads : 1);
}

/* ---- keys and units ---- */

/* As Go names architectures; the kernel's name for those that it has none for. */
static const char *go_architecture(const char *machine)
{
    static const char *const names[][2] = { { "x86_64", "amd64" }, { "aarch64", "arm64" }, { "i686", "386" },
        { "loongarch64", "loong64" } };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(machine, names[i][0]) == 0)
            return names[i][1];
    return machine;
}

/* Without a value the key would be deleted. */
static void put_key(FILE *to, const char *key, const char *value)
{
    if (value[0] == '\0')
        return;
    fprintf(to, "%s: ", key);
    put_rest(to, value);
}

/* What is said of a unit holds for the file: of the results that differ in it, only what they agree on. */
static void put_unit(FILE *to, const struct ullage_bench_report *report, const char *name)
{
    bool exact = true, first = true;
    int better = 0;
    for (size_t i = 0; i < report->result_count; i++) {
        const struct ullage_bench_metric *metric = ull_measured(&report->results[i], name);
        if (metric == NULL)
            continue;
        exact = exact && metric->exact && !ullage_bench_metric_is_unstable(metric);
        better = first || better == metric->better ? metric->better : 0;
        first = false;
    }
    if (!exact && better == 0)
        return;
    fputs("Unit ", to);
    put_field(to, name, 0);
    fprintf(to, "%s%s\n", exact ? " assume=exact" : "", better < 0 ? " better=lower" : better > 0 ? " better=higher" : "");
}

static bool is_first_use(const struct ullage_bench_report *report, size_t result, const char *name)
{
    for (size_t i = 0; i < result; i++)
        if (ull_measured(&report->results[i], name) != NULL)
            return false;
    return true;
}

static void put_units(FILE *to, const struct ullage_bench_report *report)
{
    for (size_t i = 0; i < report->result_count; i++)
        for (size_t k = 0; k < report->results[i].metric_count; k++) {
            const struct ullage_bench_metric *metric = &report->results[i].metrics[k];
            if (metric->sample_count > 0 && is_first_use(report, i, metric->name))
                put_unit(to, report, metric->name);
        }
}

/* ---- results ---- */

static void put_repetition(FILE *to, const struct ullage_bench_result *result, size_t repetition)
{
    char number[ULL_NUMBER_BYTES];
    bool first = true;
    for (size_t i = 0; i < result->metric_count; i++) {
        const struct ullage_bench_metric *metric = &result->metrics[i];
        if (repetition >= metric->sample_count)
            continue;
        if (first) {
            put_name(to, result);
            fprintf(to, "\t%" PRIu64, result->iterations > 0 && result->iterations <= INT64_MAX ? result->iterations : 1);
        }
        fprintf(to, "\t%s ", ull_number(number, metric->samples[repetition]));
        put_field(to, metric->name, 0);
        first = false;
    }
    if (!first)
        putc('\n', to);
}

static void put_result(FILE *to, const struct ullage_bench_result *result)
{
    size_t repetitions = ull_repetitions(result);
    for (size_t i = 0; i < repetitions; i++)
        put_repetition(to, result, i);
    if (result->status == ULLAGE_BENCH_OK)
        return;
    fprintf(to, "--- %s: ", result->status == ULLAGE_BENCH_SKIPPED ? "SKIP" : "FAIL"); /* as go test; readers pass over it */
    put_name(to, result);
    fprintf(to, "\n    %s: ", ullage_bench_status_name(result->status));
    put_rest(to, result->message);
}

int ull_format_go(FILE *to, const struct ullage_bench_report *report, unsigned width)
{
    (void)width;
    put_key(to, "goos", "linux");
    put_key(to, "goarch", go_architecture(report->machine));
    put_key(to, "pkg", ull_base_name(report->program));
    put_key(to, "cpu", report->cpu);
    put_units(to, report);
    for (size_t i = 0; i < report->result_count; i++)
        put_result(to, &report->results[i]);
    return 0;
}
