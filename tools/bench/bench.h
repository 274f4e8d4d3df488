/* SPDX-License-Identifier: BSD-2-Clause */
/* bench.h - what the verbs of `ullage bench` share. */
#ifndef ULL_TOOLS_BENCH_H
#define ULL_TOOLS_BENCH_H

#include "ullage/bench_result.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum ull_bench_exit {
    ULL_BENCH_FINE = 0,
    ULL_BENCH_USAGE = 1,
    ULL_BENCH_REGRESSION = 2,
    ULL_BENCH_BROKEN = 3, /* a benchmark crashed, failed or timed out */
    ULL_BENCH_IMPROVEMENT = 4,
    ULL_BENCH_BASELINE = 5, /* none, damaged, or of something else */
    ULL_BENCH_INCONCLUSIVE = 6,
};

/* Each: argv[0] is its own name. Returns the exit status. */
int ull_bench_run(int argc, char **argv);
int ull_bench_compare(int argc, char **argv);
int ull_bench_gate(int argc, char **argv);
int ull_bench_exec(int argc, char **argv);

/* ---- options.c ---- */

enum { ULL_VARIANTS_MAX = 32, ULL_VARIABLES_MAX = 16 };

struct ull_bench_options {
    struct ullage_bench_series series;
    struct ullage_bench_subject subjects[ULL_VARIANTS_MAX + 2];
    char *environments[ULL_VARIANTS_MAX][ULL_VARIABLES_MAX + 1];
    char *names[ULL_VARIANTS_MAX];         /* of variants, as the subjects have them */
    char *programs[ULL_VARIANTS_MAX + 1];  /* by subject: of base and of variants with a program of their own; else NULL */
    char **commands[ULL_VARIANTS_MAX + 1]; /* made of those */
    unsigned variant_count;
    char preload[4096];
    const char *verb, *format, *out, *against, *base, *baseline, *name;
    bool no_memory, update, gates;
    bool fail_on_improvement, fail_on_inconclusive;
    double tolerance; /* of noisy metrics; 0: the least there is */
    char **command;   /* the program and its arguments */
};

/* Fills in @options; -1: go on; else the exit status. @allowed: letters of the verbs that know an option, see options.c. */
int ull_bench_options_parse(struct ull_bench_options *options, char verb, int argc, char **argv, void (*help)(void));
void ull_bench_options_fini(struct ull_bench_options *options);
/* "ullage bench VERB: …" on standard error; returns ULL_BENCH_USAGE. */
__attribute__((format(printf, 2, 3))) int ull_bench_complain(const char *verb, const char *format, ...);
/* To --out, or standard output. The exit status. */
int ull_bench_write_report(const struct ull_bench_options *options, const struct ullage_bench_report *report);

/* ---- stacks.c ---- */

/* For ullage_bench_series.counted: which stacks asked for what; of a whole program also its totals, as metrics. */
int ull_bench_counted(void *unused, const struct ullage_bench_subject *subject, const char *ledger_directory,
    const char *run_id, struct ullage_bench_result *result, char *error);

/* ---- read.c ---- */

/* A regular file with JSON in it; NULL with @error, which names it. */
json_t *ull_bench_load(const char *path, char *error);

/* A report in our own JSON, hostile until checked. 0 or negative errno with @error. */
int ull_bench_read(struct ullage_bench_report **out, const char *path, char *error);

/* ---- findings.c ---- */

enum ull_finding_kind {
    ULL_FINDING_FINE,
    ULL_FINDING_NEW,
    ULL_FINDING_IMPROVEMENT,
    ULL_FINDING_INCONCLUSIVE, /* also: unstable, skipped */
    ULL_FINDING_BROKEN,
    ULL_FINDING_REGRESSION, /* also: vanished */
};

struct ull_finding {
    enum ull_finding_kind kind;
    char benchmark[256], metric[64];
    char text[256];
};

struct ull_findings {
    struct ull_finding *all;
    size_t count, room;
    bool out_of_memory;
};

__attribute__((format(printf, 5, 6))) void ull_findings_add(struct ull_findings *findings, enum ull_finding_kind kind,
    const char *benchmark, const char *metric, const char *format, ...);
void ull_findings_fini(struct ull_findings *findings);
/* The worst kind of one benchmark; ULL_FINDING_FINE without any. */
enum ull_finding_kind ull_findings_worst(const struct ull_findings *findings, const char *benchmark);

/* Something that went past what the entry has, and that more repetitions have to confirm: threads meet, or do not. */
bool ull_findings_need_more(const json_t *entry, const struct ullage_bench_result *now);

/* What was counted now against an entry of a baseline. */
void ull_findings_compare(struct ull_findings *findings, const json_t *entry, const struct ullage_bench_result *now);

/* Which stacks grew since the entry was written, most first; on @to, indented. Returns how many. */
size_t ull_findings_explain(FILE *to, const json_t *entry, const struct ullage_bench_result *now);

/* "12,288" or "0.5"; in @text. */
const char *ull_bench_number(double value, char text[48]);

/* ---- baseline.c ---- */

struct ull_baseline {
    json_t *root;
    char *path; /* where it is, links followed */
};

/* The metrics that are counted, whether every repetition gave the same or not. */
bool ull_baseline_has(const char *metric);

/* 0; -ENOENT; -EBADMSG: damaged, or of something else; other negative errno. @error says what. */
int ull_baseline_load(struct ull_baseline *baseline, const char *path, char *error);
/* An empty one, for that path. */
int ull_baseline_new(struct ull_baseline *baseline, const char *path);
void ull_baseline_fini(struct ull_baseline *baseline);
/* The benchmarks of a program, by name; NULL: none. Made if @make. */
json_t *ull_baseline_program(const struct ull_baseline *baseline, const char *program, bool make);
/* An entry made of a result; tolerances of the old entry are kept. NULL without memory. */
json_t *ull_baseline_entry(const struct ullage_bench_result *result, const json_t *old);
/* Written beside, then renamed. 0 or negative errno with @error. */
int ull_baseline_save(const struct ull_baseline *baseline, char *error);

/* ---- gate.c ---- */

int ull_gate_run(struct ull_bench_options *options);

#endif
