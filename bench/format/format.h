/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * format.h - what the writers of reports share: numbers and text as each format has them, and questions to a report.
 *
 * Writers write into memory: ullage_bench_write() looks for errors at the end, so that they need not. None depends on the
 * locale. Text is escaped by what a format allows, whatever it holds; reports are clean, but their fields are open to all.
 */
#ifndef ULL_BENCH_FORMAT_H
#define ULL_BENCH_FORMAT_H

#include "ullage/bench_result.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum {
    ULL_NUMBER_BYTES = 40,
    ULL_HUMAN_BYTES = 24,
    ULL_FULL_NAME_BYTES = 2 * 1024 + 16, /* a name, a variant, and what is between */
};

/* ---- one function a format: 0 or a negative errno ---- */

int ull_format_text(FILE *to, const struct ullage_bench_report *report, unsigned width);
int ull_format_json(FILE *to, const struct ullage_bench_report *report, unsigned width);
int ull_format_go(FILE *to, const struct ullage_bench_report *report, unsigned width);
int ull_format_google(FILE *to, const struct ullage_bench_report *report, unsigned width);
int ull_format_github(FILE *to, const struct ullage_bench_report *report, unsigned width);
int ull_format_bencher(FILE *to, const struct ullage_bench_report *report, unsigned width);
int ull_format_tap(FILE *to, const struct ullage_bench_report *report, unsigned width);
int ull_format_junit(FILE *to, const struct ullage_bench_report *report, unsigned width);
int ull_format_prometheus(FILE *to, const struct ullage_bench_report *report, unsigned width);
int ull_format_markdown(FILE *to, const struct ullage_bench_report *report, unsigned width);

/*
 * ---- format.c: questions to a report ----
 * What a benchmark measured before it failed is not compared with anything: only "json" has it.
 */

/* "name", or "name/variant=jemalloc"; "unnamed" for an empty name. Returns @to. */
char *ull_full_name(char to[ULL_FULL_NAME_BYTES], const struct ullage_bench_result *result);
/* A metric that has samples, of a result that is ok; NULL. */
const struct ullage_bench_metric *ull_measured(const struct ullage_bench_result *result, const char *name);
/* The most samples that a metric has; 0 if it is not ok. */
size_t ull_repetitions(const struct ullage_bench_result *result);
/* The first result of the same name: what its variants are compared with. */
const struct ullage_bench_result *ull_first_variant(
    const struct ullage_bench_report *report, const struct ullage_bench_result *result);
/* Of a metric's median to that of the first variant. False: there is none, or nothing to compare. */
bool ull_ratio(const struct ullage_bench_report *report, const struct ullage_bench_result *result, const char *metric,
    double *ratio);
bool ull_has_variants(const struct ullage_bench_report *report);
/* One that the harness takes of each benchmark; others are a benchmark's own. */
bool ull_is_known_metric(const char *name);
/* What follows the last slash. */
const char *ull_base_name(const char *path);
/* "2026-01-31T12:00:00" of the report, in UTC. Returns @to. */
char *ull_time_text(char to[32], const struct ullage_bench_report *report);

/* ---- put.c: numbers and text ---- */

/* The shortest text that reads back as @value, with a point in any locale: "0.1", "1e+22". Infinite: the largest there is. */
char *ull_number(char to[ULL_NUMBER_BYTES], double value);
/* Without an exponent: "0.125000". Above 10^15: 10^15. */
char *ull_decimal(char to[ULL_NUMBER_BYTES], double value, int decimals);

/*
 * The character at *@at, which goes on by it; 0 at the end, where *@at stays. U+FFFD for a byte that is no UTF-8, and for a
 * control character that is neither tab nor newline: none reaches a file.
 */
uint32_t ull_utf8_next(const char **at);
void ull_put_utf8(FILE *to, uint32_t character);
/* Columns on a terminal, as far as one can tell without a locale: 0 to 2 a character. */
unsigned ull_character_columns(uint32_t character);
unsigned ull_columns(const char *text);

void ull_put_json_string(FILE *to, const char *text); /* with its quotes */
void ull_put_xml(FILE *to, const char *text);         /* for an attribute or an element */

/* For people, 3 digits or a few more: "1.23 us", "4096 B", "12.3 MiB", "0.25". Return @to. */
char *ull_human_time(char to[ULL_HUMAN_BYTES], double ns);
char *ull_human_bytes(char to[ULL_HUMAN_BYTES], double bytes);
char *ull_human_count(char to[ULL_HUMAN_BYTES], double count);
/* "±3 %"; "" where the median is 0 or there is but one sample, which say nothing of spread. */
char *ull_human_spread(char to[ULL_HUMAN_BYTES], const struct ullage_bench_metric *metric);
char *ull_human_ratio(char to[ULL_HUMAN_BYTES], double ratio); /* "0.82x" */

/* ---- put.c: JSON, indented by one space a level ---- */

struct ull_json {
    FILE *to;
    unsigned depth;
    bool filled; /* the object or array that is open has members */
};

/* @key: NULL in an array. @bracket: '{' or '[', '}' or ']'. */
void ull_json_open(struct ull_json *json, const char *key, char bracket);
void ull_json_close(struct ull_json *json, char bracket);
void ull_json_text(struct ull_json *json, const char *key, const char *text); /* NULL: null */
void ull_json_number(struct ull_json *json, const char *key, double value);  /* not a number: null */
void ull_json_count(struct ull_json *json, const char *key, uint64_t value); /* at most INT64_MAX, as readers have it */
void ull_json_bool(struct ull_json *json, const char *key, bool value);
void ull_json_null(struct ull_json *json, const char *key);
void ull_json_numbers(struct ull_json *json, const char *key, const double *values, size_t count); /* on one line */

#endif
