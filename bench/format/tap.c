/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tap.c - the Test Anything Protocol: a test point a benchmark, for runners that want a verdict and no figures.
 *
 * Version 13, which the parsers in use know; Perl's refuses a file that calls itself 14. A backslash escapes '#', which
 * would begin a directive, and itself.
 */
#include "config.h"

#include "format.h"

static void put_description(FILE *to, const char *text)
{
    uint32_t character;
    while ((character = ull_utf8_next(&text)) != 0) {
        if (character == '#' || character == '\\')
            putc('\\', to);
        ull_put_utf8(to, character < ' ' ? ' ' : character);
    }
}

static void put_diagnostic(FILE *to, const struct ullage_bench_result *result)
{
    fputs("  ---\n  message: ", to);
    ull_put_json_string(to, result->message); /* is a string of YAML as well */
    fprintf(to, "\n  severity: fail\n  status: ");
    ull_put_json_string(to, ullage_bench_status_name(result->status));
    if (result->note[0] != '\0') {
        fputs("\n  note: ", to);
        ull_put_json_string(to, result->note);
    }
    fputs("\n  ...\n", to);
}

static void put_point(FILE *to, size_t number, const struct ullage_bench_result *result)
{
    char name[ULL_FULL_NAME_BYTES];
    bool skipped = result->status == ULLAGE_BENCH_SKIPPED, ok = result->status == ULLAGE_BENCH_OK || skipped;
    fprintf(to, "%s %zu - ", ok ? "ok" : "not ok", number);
    put_description(to, ull_full_name(name, result));
    if (skipped) {
        fputs(" # SKIP ", to);
        put_description(to, result->message);
    }
    putc('\n', to);
    if (!ok)
        put_diagnostic(to, result);
    for (size_t i = 0; i < result->metric_count; i++)
        if (ullage_bench_metric_is_unstable(&result->metrics[i])) {
            fputs("# counted, yet different from run to run: ", to);
            put_description(to, result->metrics[i].name);
            putc('\n', to);
        }
    if (ok && result->note[0] != '\0') {
        fputs("# ", to);
        put_description(to, result->note);
        putc('\n', to);
    }
}

int ull_format_tap(FILE *to, const struct ullage_bench_report *report, unsigned width)
{
    (void)width;
    fprintf(to, "TAP version 13\n1..%zu\n", report->result_count);
    for (size_t i = 0; i < report->result_count; i++)
        put_point(to, i + 1, &report->results[i]);
    return 0;
}
