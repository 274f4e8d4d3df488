/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_bench_format.c - each format that reports are written in, from the worst text and numbers that one may hold.
 *
 * Here it is held that what is written is sound by its own grammar; that the readers of each format take it, by
 * tests/cli/bench_formats.bats.
 */
#include "config.h"

#include "difficult.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <float.h>
#include <jansson.h>
#include <locale.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

static const char *const formats[] = { "text", "json", "go", "google", "github", "bencher", "tap", "junit", "prometheus",
    "markdown" };
enum { FORMATS = sizeof formats / sizeof formats[0] };

/* What is written, which has to be UTF-8 without control characters. */
static char *written(const struct ullage_bench_report *report, const char *format, unsigned width)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *to = open_memstream(&text, &bytes);
    cr_assert_eq(ullage_bench_write(to, format, report, width), 0, "%s", format);
    fclose(to);
    cr_assert_eq(strlen(text), bytes);
    setlocale(LC_CTYPE, "C.UTF-8");
    cr_assert_neq(mbstowcs(NULL, text, 0), (size_t)-1, "%s is UTF-8", format);
    for (const char *at = text; *at != '\0'; at++)
        cr_assert(*at == '\n' || *at == '\t' || (unsigned char)*at >= ' ', "%s has control character %d", format, *at);
    return text;
}

static size_t occurrences(const char *text, const char *of)
{
    size_t count = 0;
    for (; (text = strstr(text, of)) != NULL; text += strlen(of))
        count++;
    return count;
}

/* ---- all formats ---- */

Test(bench_format, are_named_in_order)
{
    for (size_t i = 0; i < FORMATS; i++)
        cr_assert_str_eq(ullage_bench_format_name(i), formats[i]);
    cr_assert_null(ullage_bench_format_name(FORMATS));
    cr_assert_null(ullage_bench_format_name(SIZE_MAX));
    struct ullage_bench_report *report = difficult();
    cr_assert_eq(ullage_bench_write(stderr, "yaml", report, 0), -EINVAL);
    cr_assert_eq(ullage_bench_write(stderr, "", report, 0), -EINVAL);
    ullage_bench_report_free(report);
}

Test(bench_format, an_empty_report_can_be_written)
{
    struct ullage_bench_report *report = ullage_bench_report_new();
    for (size_t i = 0; i < FORMATS; i++) {
        char *text = written(report, formats[i], 0);
        cr_assert_str_not_empty(text, "%s", formats[i]);
        free(text);
    }
    ullage_bench_report_free(report);
}

Test(bench_format, a_full_disk_is_told)
{
    struct ullage_bench_report *report = difficult(), *empty = ullage_bench_report_new();
    for (size_t i = 0; i < FORMATS; i++) {
        FILE *full = fopen("/dev/full", "w");
        cr_assert_eq(ullage_bench_write(full, formats[i], report, 0), -ENOSPC, "%s", formats[i]);
        fclose(full);
        full = fopen("/dev/full", "w");
        cr_assert_eq(ullage_bench_write(full, formats[i], empty, 0), -ENOSPC, "%s, empty", formats[i]);
        cr_assert_eq(ullage_bench_write(full, formats[i], empty, 0), -EIO, "%s: an earlier error is one, too", formats[i]);
        fclose(full);
    }
    FILE *closed = fopen("/dev/null", "r");
    cr_assert_eq(ullage_bench_write(closed, "json", report, 0), -EBADF);
    fclose(closed);
    ullage_bench_report_free(report);
    ullage_bench_report_free(empty);
}

/* ---- text ---- */

/* The C library's own notion of columns, which is not the writer's. */
static int columns_of(const char *line, size_t bytes)
{
    wchar_t wide[8192];
    char copy[8192];
    snprintf(copy, sizeof copy, "%.*s", (int)bytes, line);
    size_t count = mbstowcs(wide, copy, sizeof wide / sizeof wide[0]);
    cr_assert_neq(count, (size_t)-1);
    int columns = 0;
    for (size_t i = 0; i < count; i++)
        columns += wcwidth(wide[i]) > 0 ? wcwidth(wide[i]) : 0;
    return columns;
}

Test(bench_format, text_is_never_wider_than_its_terminal)
{
    static const unsigned widths[] = { 40, 41, 60, 79, 80, 100, 120, 200, 0 };
    struct ullage_bench_report *report = difficult();
    for (size_t i = 0; i < sizeof widths / sizeof widths[0]; i++) {
        char *text = written(report, "text", widths[i]);
        int limit = widths[i] != 0 ? (int)widths[i] : 80;
        for (const char *line = text; *line != '\0'; line += strcspn(line, "\n") + 1) {
            size_t bytes = strcspn(line, "\n");
            cr_assert_leq(columns_of(line, bytes), limit, "%u: '%.*s'", widths[i], (int)bytes, line);
            cr_assert(bytes == 0 || line[bytes - 1] != ' ', "%u: trailing space in '%.*s'", widths[i], (int)bytes, line);
        }
        cr_assert_not_null(strstr(text, FORTY), "a name of 40 is whole at %u", widths[i]);
        free(text);
    }
    ullage_bench_report_free(report);
}

static const char *line_with(const char *text, const char *what)
{
    static char line[1024];
    const char *at = strstr(text, what);
    cr_assert_not_null(at, "'%s' is in: %s", what, text);
    while (at > text && at[-1] != '\n')
        at--;
    snprintf(line, sizeof line, "%.*s", (int)strcspn(at, "\n"), at);
    return line;
}

Test(bench_format, text_tells_what_counts)
{
    struct ullage_bench_report *report = difficult();
    char *text = written(report, "text", 120);
    cr_assert_not_null(strstr(line_with(text, "1.00 us"), "±0 %"));
    cr_assert_not_null(strstr(line_with(text, "1.00 us"), "12.5*"), "unstable");
    cr_assert_not_null(strstr(line_with(text, "  x|y/z"), "2.00x"), "ratio to the first variant");
    cr_assert_not_null(strstr(text, "* counted, yet different"));
    cr_assert_not_null(strstr(line_with(text, FORTY), "3.00 ns"), "a name has its figures beside it where there is room");
    cr_assert_not_null(strstr(line_with(text, "crash"), "crashed: by signal 11"));
    cr_assert_null(strstr(text, "42.0 ns"), "what a benchmark measured before it crashed is no result");
    cr_assert_not_null(strstr(text, "skipped: no # root"));
    cr_assert_not_null(strstr(text, "timed out"));
    cr_assert_not_null(strstr(text, "left | 2 threads"));
    cr_assert_not_null(strstr(text, "does not give back 16 B an operation"));
    cr_assert_not_null(strstr(text, "Built without optimization"));
    free(text);
    report->optimized = true;
    text = written(report, "text", 120);
    cr_assert_null(strstr(text, "Built without optimization"));
    free(text);
    ullage_bench_report_free(report);
}

/* ---- JSON ---- */

static json_t *parsed(const struct ullage_bench_report *report, const char *format)
{
    json_error_t error;
    char *text = written(report, format, 0);
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    cr_assert_not_null(json, "%s: %s in line %d: %.2000s", format, error.text, error.line, text);
    cr_assert_eq(text[strlen(text) - 1], '\n');
    free(text);
    return json;
}

static const char *text_at(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    cr_assert_not_null(text, "%s is text", key);
    return text;
}

Test(bench_format, json_holds_all_of_it)
{
    struct ullage_bench_report *report = difficult();
    json_t *json = parsed(report, "json"), *results = json_object_get(json, "results");
    cr_assert_eq(json_integer_value(json_object_get(json, "version")), 1);
    cr_assert_str_eq(text_at(json, "kind"), "ullage-bench");
    cr_assert_str_eq(text_at(json, "program"), report->program);
    cr_assert_str_eq(text_at(json, "cpu"), report->cpu);
    cr_assert_eq(json_array_size(results), report->result_count);
    for (size_t i = 0; i + 1 < report->result_count; i++) { /* the last one's text is replaced */
        const struct ullage_bench_result *ours = &report->results[i];
        json_t *theirs = json_array_get(results, i), *metrics = json_object_get(theirs, "metrics");
        cr_assert_str_eq(text_at(theirs, "name"), ours->name);
        cr_assert_str_eq(text_at(theirs, "variant"), ours->variant);
        cr_assert_str_eq(text_at(theirs, "message"), ours->message);
        cr_assert_str_eq(text_at(theirs, "status"), ullage_bench_status_name(ours->status));
        cr_assert_eq(json_array_size(metrics), ours->metric_count);
        for (size_t k = 0; k < ours->metric_count; k++) {
            json_t *samples = json_object_get(json_array_get(metrics, k), "samples");
            cr_assert_eq(json_array_size(samples), ours->metrics[k].sample_count);
            for (size_t n = 0; n < ours->metrics[k].sample_count; n++)
                cr_assert_eq(json_number_value(json_array_get(samples, n)), ours->metrics[k].samples[n],
                    "%s: %a reads back", ours->metrics[k].name, ours->metrics[k].samples[n]);
        }
    }
    json_decref(json);
    ullage_bench_report_free(report);
}

Test(bench_format, json_says_null_for_what_is_not_known)
{
    struct ullage_bench_report *report = difficult();
    json_t *json = parsed(report, "json"), *results = json_object_get(json, "results");
    json_t *stacks = json_object_get(json_array_get(results, 2), "stacks");
    json_t *unknown = json_array_get(stacks, 0), *known = json_array_get(stacks, 1);
    cr_assert(json_is_null(json_object_get(unknown, "used_max_bytes")));
    cr_assert(json_is_null(json_object_get(unknown, "suggested_bytes")));
    cr_assert_str_eq(text_at(unknown, "flag"), "oversized");
    cr_assert_eq(json_integer_value(json_object_get(unknown, "bytes")), INT64_MAX, "as large as readers can");
    cr_assert_eq(json_integer_value(json_object_get(known, "used_max_bytes")), 40);
    cr_assert_eq(json_integer_value(json_object_get(known, "suggested_bytes")), 64);
    cr_assert(json_is_null(json_object_get(known, "flag")));
    json_t *metrics = json_object_get(json_array_get(results, 0), "metrics");
    cr_assert_str_eq(text_at(json_array_get(metrics, 3), "name"), "allocs/op");
    cr_assert(json_is_true(json_object_get(json_array_get(metrics, 3), "unstable")));
    cr_assert(json_is_true(json_object_get(json_array_get(metrics, 3), "exact")));
    cr_assert(json_is_false(json_object_get(json_array_get(metrics, 0), "unstable")));
    cr_assert_str_eq(text_at(json_array_get(metrics, 0), "better"), "lower");
    cr_assert_str_eq(text_at(json_array_get(metrics, 2), "better"), "higher");
    for (size_t i = 0; i < report->result_count; i++)
        if (strcmp(report->results[i].name, "no samples") == 0) {
            json_t *metric = json_array_get(json_object_get(json_array_get(results, i), "metrics"), 0);
            cr_assert(json_is_null(json_object_get(metric, "median")));
            cr_assert_eq(json_array_size(json_object_get(metric, "samples")), 0);
        }
    json_decref(json);
    ullage_bench_report_free(report);
}

Test(bench_format, google_has_an_entry_a_repetition_and_aggregates)
{
    struct ullage_bench_report *report = difficult();
    json_t *json = parsed(report, "google"), *entry;
    const double *times = report->results[0].metrics[0].samples;
    size_t index, plain = 0, aggregates = 0, errors = 0, reserved = 0;
    cr_assert(json_is_array(json_object_get(json_object_get(json, "context"), "caches")));
    json_array_foreach(json_object_get(json, "benchmarks"), index, entry) {
        cr_assert(json_is_number(json_object_get(entry, "real_time")));
        cr_assert(json_is_number(json_object_get(entry, "cpu_time")));
        cr_assert_str_eq(text_at(entry, "time_unit"), "ns");
        bool is_plain = strcmp(text_at(entry, "run_name"), NASTY) == 0;
        bool is_aggregate = strcmp(text_at(entry, "run_type"), "aggregate") == 0;
        if (is_plain && !is_aggregate)
            cr_assert_eq(json_number_value(json_object_get(entry, "real_time")), times[plain++]);
        if (is_plain && is_aggregate && strcmp(text_at(entry, "aggregate_name"), "stddev") == 0)
            cr_assert_float_eq(json_number_value(json_object_get(entry, "real_time")), 7.9057, 0.5);
        aggregates += is_plain && is_aggregate;
        if (is_plain && !is_aggregate) {
            cr_assert_eq(json_number_value(json_object_get(entry, "allocs_per_iter")), 12.5);
            cr_assert_eq(json_number_value(json_object_get(entry, "total_allocated_bytes")), 409600);
        }
        errors += json_is_true(json_object_get(entry, "error_occurred"));
        reserved += json_number_value(json_object_get(entry, "real_time_")) == 7;
    }
    cr_assert_eq(plain, 5);
    cr_assert_eq(aggregates, 4);
    cr_assert_eq(errors, 5);
    cr_assert_eq(reserved, 1, "a metric that is named as a key");
    json_decref(json);
    ullage_bench_report_free(report);
}

Test(bench_format, github_has_only_metrics_of_which_less_is_better)
{
    struct ullage_bench_report *report = difficult();
    json_t *json = parsed(report, "github"), *entry;
    size_t index, expected = 0;
    for (size_t i = 0; i < report->result_count; i++)
        for (size_t k = 0; k < report->results[i].metric_count && report->results[i].status == ULLAGE_BENCH_OK; k++)
            expected += report->results[i].metrics[k].better < 0 && report->results[i].metrics[k].sample_count > 0;
    cr_assert_eq(json_array_size(json), expected);
    json_array_foreach(json, index, entry) {
        char *end;
        const char *range = text_at(entry, "range");
        cr_assert_str_not_empty(text_at(entry, "name"));
        cr_assert_str_neq(text_at(entry, "unit"), "MB/s");
        cr_assert(json_is_number(json_object_get(entry, "value")));
        cr_assert_eq(strncmp(range, "± ", 3), 0);
        cr_assert(strtod(range + 3, &end) >= 0 && *end == '\0', "%s", range);
        text_at(entry, "extra");
    }
    json_decref(json);
    ullage_bench_report_free(report);
}

Test(bench_format, bencher_has_slugs_and_bounds)
{
    struct ullage_bench_report *report = difficult();
    json_t *json = parsed(report, "bencher"), *measures, *measure;
    const char *name, *slug;
    json_object_foreach(json, name, measures) {
        cr_assert_str_not_empty(name);
        cr_assert_gt(json_object_size(measures), 0);
        json_object_foreach(measures, slug, measure) {
            cr_assert_eq(strspn(slug, "abcdefghijklmnopqrstuvwxyz0123456789-"), strlen(slug), "%s", slug);
            cr_assert(slug[0] != '\0' && slug[0] != '-' && strlen(slug) <= 64, "%s", slug);
            json_t *lower = json_object_get(measure, "lower_value"), *upper = json_object_get(measure, "upper_value");
            cr_assert(json_is_number(json_object_get(measure, "value")));
            cr_assert_eq(lower == NULL, upper == NULL);
            double value = json_number_value(json_object_get(measure, "value"));
            if (lower != NULL)
                cr_assert(json_number_value(lower) <= value && value <= json_number_value(upper), "%s %s", name, slug);
        }
    }
    measures = json_object_get(json, NASTY);
    cr_assert_float_eq(json_number_value(json_object_get(json_object_get(measures, "latency"), "value")), 1000.1, 1e-9);
    cr_assert_not_null(json_object_get(measures, "a-per-b"));
    cr_assert_not_null(json_object_get(measures, "a-per-b-2"), "two of one slug");
    cr_assert_not_null(json_object_get(measures, "b-per-op"));
    cr_assert_not_null(json_object_get(measures, "x-per-y"));
    cr_assert_null(json_object_get(json, "crash"));
    json_decref(json);
    ullage_bench_report_free(report);
}

/* ---- lines ---- */

/* Fields apart by spaces and tabs, as many as there are: name, iterations, then pairs. */
static void check_go_line(char *line)
{
    size_t fields = 0;
    char *rest, *end;
    for (char *field = strtok_r(line, " \t", &rest); field != NULL; field = strtok_r(NULL, " \t", &rest), fields++) {
        if (fields == 0) {
            char *dash = strrchr(field, '-');
            cr_assert(field[9] >= 'A' && field[9] <= 'Z', "%s", field);
            cr_assert(dash != NULL && strtoul(dash + 1, &end, 10) > 0 && *end == '\0', "%s", field);
        } else if (fields == 1) {
            errno = 0;
            cr_assert(strtoll(field, &end, 10) > 0 && *end == '\0' && errno == 0, "%s", field);
        } else if (fields % 2 == 0) {
            cr_assert(isfinite(strtod(field, &end)) && *end == '\0', "%s", field);
        }
    }
    cr_assert(fields >= 4 && fields % 2 == 0, "%zu fields", fields);
}

Test(bench_format, go_lines_are_of_its_grammar)
{
    struct ullage_bench_report *report = difficult();
    char *text = written(report, "go", 0), *rest;
    cr_assert_null(strstr(text, "\xc2\xa0"), "Unicode's spaces set fields apart, too");
    cr_assert_not_null(strstr(text, "\npkg: <prog|ram>\n"));
    cr_assert_not_null(strstr(text, "\nUnit B/op assume=exact better=lower\n"));
    cr_assert_not_null(strstr(text, "\nUnit allocs/op better=lower\n"), "not exact where it is unstable");
    cr_assert_null(strstr(text, "\nUnit any"), "nothing to say of it");
    cr_assert_not_null(strstr(text, "/variant=x|y_z_\"w\"-1\t"));
    cr_assert_not_null(strstr(text, "\nBenchmarkLower-1\t1\t3 ns/op\n"));
    cr_assert_not_null(strstr(text, "--- SKIP: BenchmarkSkip_#_SKIP-1\n    skipped: no # root\n"));
    cr_assert_not_null(strstr(text, "--- FAIL: BenchmarkCrash-1\n    crashed: by signal"));
    cr_assert_eq(occurrences(text, "\nBenchmarkA_\"b\"_"), 10, "a line a repetition");
    for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        if (strncmp(line, "Benchmark", 9) == 0)
            check_go_line(line);
        else
            cr_assert(strncmp(line, "--- ", 4) == 0 || strncmp(line, "    ", 4) == 0 || strncmp(line, "Unit ", 5) == 0
                || strncmp(line, "goos: ", 6) == 0 || strncmp(line, "goarch: ", 8) == 0 || strncmp(line, "pkg: ", 5) == 0
                || strncmp(line, "cpu: ", 5) == 0, "%s", line);
    }
    free(text);
    ullage_bench_report_free(report);
}

Test(bench_format, tap_has_a_point_a_benchmark)
{
    struct ullage_bench_report *report = difficult();
    char *text = written(report, "tap", 0), *rest, plan[32];
    size_t points = 0, skips = 0, diagnostics = 0, bad = 0;
    snprintf(plan, sizeof plan, "TAP version 13\n1..%zu\n", report->result_count);
    cr_assert_eq(strncmp(text, plan, strlen(plan)), 0);
    cr_assert_not_null(strstr(text, "skip \\# SKIP # SKIP no \\# root\n"), "one directive, and it is ours");
    cr_assert_not_null(strstr(text, "message: \"by signal 11 <\\\"&'>: BenchmarkX 1 1 ns/op\""));
    for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        unsigned long number = strncmp(line, "ok ", 3) == 0 ? strtoul(line + 3, NULL, 10)
            : strncmp(line, "not ok ", 7) == 0 ? strtoul(line + 7, NULL, 10) : 0;
        bad += strncmp(line, "not ok ", 7) == 0;
        diagnostics += strcmp(line, "  ---") == 0;
        skips += strstr(line, " # SKIP") != NULL;
        if (number != 0)
            cr_assert_eq(number, ++points);
        for (const char *at = line; number != 0 && (at = strchr(at, '#')) != NULL; at++)
            cr_assert(at[-1] == '\\' || strncmp(at, "# SKIP ", 7) == 0, "%s", line);
    }
    cr_assert_eq(points, report->result_count);
    cr_assert_eq(skips, 1);
    cr_assert_eq(bad, 4);
    cr_assert_eq(diagnostics, 4);
    free(text);
    ullage_bench_report_free(report);
}

Test(bench_format, junit_escapes_and_counts)
{
    struct ullage_bench_report *report = difficult();
    char *text = written(report, "junit", 0);
    cr_assert_eq(occurrences(text, "<testcase "), report->result_count);
    cr_assert_eq(occurrences(text, "</testcase>"), report->result_count);
    cr_assert_eq(occurrences(text, "<failure "), 1);
    cr_assert_eq(occurrences(text, "<error "), 3);
    cr_assert_eq(occurrences(text, "<skipped "), 1);
    cr_assert_eq(occurrences(text, " failures=\"1\" errors=\"3\""), 2);
    cr_assert_not_null(strstr(text, "message=\"by signal 11 &lt;&quot;&amp;&#39;&gt;: BenchmarkX"));
    for (const char *at = text; (at = strchr(at, '&')) != NULL; at++)
        cr_assert(strncmp(at, "&amp;", 5) == 0 || strncmp(at, "&lt;", 4) == 0 || strncmp(at, "&gt;", 4) == 0
            || strncmp(at, "&quot;", 6) == 0 || strncmp(at, "&#39;", 5) == 0, "%.20s", at);
    for (const char *at = text; (at = strstr(at, " time=\"")) != NULL; at++)
        cr_assert_eq(at[7 + strspn(at + 7, "0123456789.")], '"', "no exponents: %.40s", at);
    free(text);
    ullage_bench_report_free(report);
}

/* After the name: labels with escaped values, a number. */
static void check_series(const char *line)
{
    char *end;
    const char *at = line + strspn(line, "abcdefghijklmnopqrstuvwxyz_");
    cr_assert(at > line && *at == '{', "%s", line);
    do {
        at++;
        at += strspn(at, "abcdefghijklmnopqrstuvwxyz");
        cr_assert(at[0] == '=' && at[1] == '"', "%s", line);
        for (at += 2; *at != '"'; at++) {
            cr_assert_neq(*at, '\0', "%s", line);
            if (*at == '\\')
                cr_assert_not_null(strchr("\\\"n", *++at), "%s", line);
        }
        at++;
    } while (*at == ',');
    cr_assert(at[0] == '}' && at[1] == ' ', "%s", line);
    cr_assert(isfinite(strtod(at + 2, &end)) && *end == '\0', "%s", line);
}

Test(bench_format, prometheus_has_families_in_one_piece)
{
    struct ullage_bench_report *report = difficult();
    char *text = written(report, "prometheus", 0), *rest, family[128] = "", help[128];
    cr_assert_not_null(strstr(text, "ullage_bench_op_seconds{program=\"<prog|ram>\",benchmark=\"a \\\"b\\\" <c> & 'd' | e "
        "\\\\ f"));
    cr_assert_not_null(strstr(text, "metric=\"has_space\"} 1\n"));
    cr_assert_null(strstr(text, "operator<<"), "no stack is a label");
    cr_assert_not_null(strstr(text, "ullage_bench_ok{program=\"<prog|ram>\",benchmark=\"crash\",variant=\"\"} 0\n"));
    cr_assert_null(strstr(text, "ullage_bench_op_seconds{program=\"<prog|ram>\",benchmark=\"crash\""));
    for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        if (sscanf(line, "# HELP %127s", help) == 1) {
            cr_assert_null(strstr(rest, line), "%s stands once", line);
            snprintf(family, sizeof family, "%s", help);
        } else if (strncmp(line, "# TYPE ", 7) == 0) {
            cr_assert_eq(strncmp(line + 7, family, strlen(family)), 0);
        } else {
            cr_assert(strncmp(line, family, strlen(family)) == 0 && line[strlen(family)] == '{', "%s in %s", line, family);
            check_series(line);
        }
    }
    free(text);
    ullage_bench_report_free(report);
}

static size_t cells_of(const char *line)
{
    size_t pipes = 0;
    for (const char *at = line; *at != '\0'; at++)
        pipes += *at == '|' && (at == line || at[-1] != '\\');
    return pipes;
}

Test(bench_format, markdown_rows_have_as_many_cells_as_their_head)
{
    struct ullage_bench_report *report = difficult();
    char *text = written(report, "markdown", 0), *rest;
    size_t cells = 0, rows = 0;
    cr_assert_not_null(strstr(text, "<code>a &#34;b&#34; &#60;c&#62; &#38; &#39;d&#39; &#124; e &#92; f &#35; g &#96;h"));
    cr_assert_null(strstr(text, "@n"), "nobody is mentioned");
    cr_assert_not_null(strstr(text, "2.00x"));
    cr_assert_not_null(strstr(text, "`" FORTY "`"));
    for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        if (line[0] != '|')
            continue;
        if (strncmp(line, "| Benchmark |", 13) == 0)
            cells = cells_of(line);
        cr_assert_eq(cells_of(line), cells, "%s", line);
        rows++;
    }
    cr_assert_gt(rows, report->result_count + 2);
    free(text);
    struct ullage_bench_report *plain = ullage_bench_report_new();
    add(result_of(plain, "a", ""), "ns/op", -1, false, 5);
    text = written(plain, "markdown", 0);
    cr_assert_not_null(strstr(text, "| Benchmark | Time/op |\n|---|---:|\n| `a` | 5.00 ns |\n"), "%s", text);
    free(text);
    ullage_bench_report_free(plain);
    ullage_bench_report_free(report);
}
