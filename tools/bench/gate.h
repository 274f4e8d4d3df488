/* SPDX-License-Identifier: BSD-2-Clause */
/* gate.h - one gate: what counting (gate.c), timing (timing.c) and saying it (verdict.c) share. */
#ifndef ULL_TOOLS_GATE_H
#define ULL_TOOLS_GATE_H

#include "bench.h"
#include "trial.h"

enum { ULL_TRIALS_EACH = 2 };

struct ull_gated {
    const char *name;
    json_t *entry;    /* what its counts are held against; NULL: new */
    bool own_entry;   /* made of the base's counts */
    uint64_t iterations; /* of a timed repetition */
    unsigned trial_count;
    unsigned trials[ULL_TRIALS_EACH]; /* places in the gate's list */
    const char *trial_metrics[ULL_TRIALS_EACH];
};

struct ull_gate {
    struct ull_bench_options *options;
    struct ullage_bench_series *series;
    struct ull_baseline baseline;
    const char *program; /* its key in the baseline */
    json_t *benchmarks;  /* of it; NULL: none */
    struct ullage_bench_subject now, base; /* base.command NULL: none */
    char *base_command[1024];
    struct ullage_bench_report *report, *base_report;
    char **names, **base_names;
    size_t count, base_count;
    struct ull_gated *all;
    struct ull_trial *trials;
    size_t trial_count;
    struct ull_findings findings;
    char error[ULLAGE_BENCH_ERROR_BYTES];
};

/* ---- gate.c ---- */

/* Of the program, or of the base; NULL without memory. Good until another one is made. */
struct ullage_bench_result *ull_gate_result(struct ull_gate *gate, const char *name, bool base);
bool ull_gate_is_there(const struct ull_gate *gate, const char *name);
/* A line of progress, and its end. */
void ull_gate_show(const struct ull_gate *gate, const char *what, const char *name, size_t done);
void ull_gate_clear(const struct ull_gate *gate);

/* ---- timing.c ---- */

/* Program and base in turn, until every trial is decided; what was found is added to the findings. 0 or negative errno. */
int ull_gate_time(struct ull_gate *gate);

/* ---- verdict.c ---- */

/* Every benchmark with what was found, and the stacks that grew; also puts it into the results. The exit status. */
int ull_gate_print(FILE *to, struct ull_gate *gate);

#endif
