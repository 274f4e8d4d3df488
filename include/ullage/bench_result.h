/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ullage/bench_result.h - what benchmarks gave, how to run them from outside, and how to write it down.
 *
 * For programs that drive benchmark programs, as `ullage bench` does; who writes benchmarks needs ullage/bench.h alone.
 * A report is made by one thread, and freed as a whole. All text in it is printable, without control characters. Since: 0.1
 */
#ifndef ULLAGE_BENCH_RESULT_H
#define ULLAGE_BENCH_RESULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

enum ullage_bench_status {
    ULLAGE_BENCH_OK,
    ULLAGE_BENCH_SKIPPED,
    ULLAGE_BENCH_FAILED,    /* it said so itself */
    ULLAGE_BENCH_CRASHED,   /* by a signal */
    ULLAGE_BENCH_EXITED,    /* it called exit, or its process ended otherwise without a result */
    ULLAGE_BENCH_TIMED_OUT,
};
/* "ok", "skipped", "failed", "crashed", "exited", "timed out" */
const char *ullage_bench_status_name(enum ullage_bench_status status);

struct ullage_bench_metric {
    char *name;     /* with its unit: "ns/op", "allocs/op", "peak-live-bytes"; no spaces */
    int better;     /* -1 lower, 1 higher, 0 neither */
    bool exact;     /* counted, not timed: equal from run to run in one thread */
    double *samples; /* one a repetition, in the order they were taken; finite */
    size_t sample_count, sample_room;
};

/* What one call stack asked for while the clock ran; counts of the whole counting run. */
struct ullage_bench_stack {
    char **functions; /* innermost first; wrappers of the allocator left out */
    size_t function_count;
    uint64_t iterations; /* of that run */
    uint64_t allocations, bytes, peak_bytes;
    uint64_t leaked_count, leaked_bytes;
    uint64_t used_max_bytes; /* UINT64_MAX: unknown */
    uint64_t ullage_bytes;
    uint64_t suggested_bytes; /* 0: none */
    const char *flag;         /* "oversized", …; NULL: none */
};

struct ullage_bench_result {
    char *name, *variant; /* variant "": the plain program */
    enum ullage_bench_status status;
    char *message; /* of a status that is not ok; "" */
    char *note;    /* "left 2 threads running"; "" */
    char *compiler, *flags, *allocator; /* of this program and variant; "": unknown */
    bool optimized;
    uint64_t iterations;       /* of each timed repetition */
    uint64_t count_iterations; /* of the counting run; 0: there was none */
    unsigned threads;
    struct ullage_bench_metric *metrics;
    size_t metric_count, metric_room;
    struct ullage_bench_stack *stacks; /* most bytes first */
    size_t stack_count, stack_room;
};

struct ullage_bench_report {
    char *program;  /* as it was named */
    char *compiler, *flags, *allocator, *libc, *kernel, *machine, *cpu, *version; /* "": unknown */
    bool optimized;
    unsigned cpus;
    uint64_t unix_s;
    struct ullage_bench_result *results; /* pointers into it are good until the next one is added */
    size_t result_count, result_room;
};

/* An empty one, with machine, kernel, libc and time filled in; NULL without memory. */
struct ullage_bench_report *ullage_bench_report_new(void);
void ullage_bench_report_free(struct ullage_bench_report *report);

/* Replaces *@text by a cleaned copy: at most 1,024 bytes, control characters as '?'. 0 or -ENOMEM; @from NULL: "". */
int ullage_bench_set_text(char **text, const char *from);

/* The result of that name and variant, made if there is none; NULL without memory. */
struct ullage_bench_result *ullage_bench_report_result(
    struct ullage_bench_report *report, const char *name, const char *variant);

/* Compiler, flags and allocator of the report are those of its first result that has them. */
void ullage_bench_report_describe(struct ullage_bench_report *report);

/* The metric of that name; NULL: there is none. */
struct ullage_bench_metric *ullage_bench_result_metric(const struct ullage_bench_result *result, const char *name);
/* Adds a repetition's value, and the metric if it is new. 0, -ENOMEM, -EINVAL for a value that is not finite. */
int ullage_bench_result_sample(struct ullage_bench_result *result, const char *name, int better, bool exact, double value);
/* A new empty stack at the end; NULL without memory. */
struct ullage_bench_stack *ullage_bench_result_stack(struct ullage_bench_result *result);
int ullage_bench_stack_push(struct ullage_bench_stack *stack, const char *function);

/* Of a metric with samples; 0 without. Spread: half the distance of the quartiles, as a share of the median. */
double ullage_bench_metric_median(const struct ullage_bench_metric *metric);
double ullage_bench_metric_spread(const struct ullage_bench_metric *metric);
/* An exact metric whose repetitions differ. */
bool ullage_bench_metric_is_unstable(const struct ullage_bench_metric *metric);

/* ---- writing ---- */

/* The formats, in the order of help; NULL after the last. "text", "json", "go", "google", "github", "bencher", "tap", "junit", "prometheus", "markdown" */
const char *ullage_bench_format_name(size_t index);
bool ullage_bench_format_is_known(const char *name);

/**
 * ullage_bench_write() - a report in one format
 * @to:     checked for errors at the end, and flushed
 * @format: one of the names
 * @width:  columns of the terminal, for "text"; 0: 80
 * Returns: 0, -EINVAL for an unknown format, or the negative errno of writing
 */
int ullage_bench_write(FILE *to, const char *format, const struct ullage_bench_report *report, unsigned width);

/* ---- driving ---- */

enum { ULLAGE_BENCH_ERROR_BYTES = 1024 };

/* A benchmark program, or any command, under a named environment. */
struct ullage_bench_subject {
    size_t size;
    const char *variant;           /* "": plain */
    char *const *command;          /* argv, NULL-terminated; argv[0] is looked up in PATH */
    char *const *environment;      /* VAR=VALUE, added to ours; NULL-terminated; NULL: nothing */
    bool whole_program;            /* no benchmark program: the command itself is what is measured */
};

enum ullage_bench_pass { ULLAGE_BENCH_CALIBRATE, ULLAGE_BENCH_TIME, ULLAGE_BENCH_COUNT };

struct ullage_bench_request {
    size_t size;
    enum ullage_bench_pass pass;
    uint64_t iterations; /* to run; of CALIBRATE: what it found. Of a whole program: requests that a run answers, or 0 */
    uint64_t time_ns;    /* CALIBRATE: how long a repetition shall take */
    unsigned timeout_ms;
    unsigned cpu_count;  /* pinned to that many processors; 0: not pinned */
    const char *preload;          /* COUNT: path of the interposer */
    const char *ledger_directory; /* COUNT: where it writes to */
    const char *run_id;           /* COUNT */
};

/**
 * ullage_bench_list() - the names of a program's benchmarks, as its own --filter would have them
 * @names: freed by the caller with ullage_bench_names_free()
 * Returns: 0; -ENOEXEC if it is no benchmark program; another negative errno. @error says what to do
 */
int ullage_bench_list(const struct ullage_bench_subject *subject, const char *filter, char ***names, size_t *count, char *error);
void ullage_bench_names_free(char **names, size_t count);
/* @filter: parts of names, separated by commas, any of which will do; NULL or "": every name passes. */
bool ullage_bench_passes(const char *name, const char *filter);

/**
 * ullage_bench_sample() - one repetition, in a process of its own: adds a value to each metric of @result
 * @result: its name says which benchmark. Its status is set where the repetition gave none: nothing is added then
 * Returns: 0, also where the benchmark failed; negative errno where no process could be had. Blocks: at most timeout_ms.
 * A SIGINT or SIGTERM ends the benchmark, and then us by the same signal.
 */
int ullage_bench_sample(const struct ullage_bench_subject *subject, struct ullage_bench_request *request,
    struct ullage_bench_result *result, char *error);

/**
 * ullage_bench_count_iterations() - how often a benchmark is to be run when it is counted
 * @calibrated: as CALIBRATE left it
 * As many as take a tenth of a second, from 1 to 1,000, a power of ten: the same on machines of about the same speed, so that
 * counts can be compared.
 */
uint64_t ullage_bench_count_iterations(const struct ullage_bench_request *calibrated);

/* How many repetitions of what, and in which order: see ullage_bench_run(). */
struct ullage_bench_series {
    size_t size;
    const struct ullage_bench_subject *subjects; /* the first one is what others are compared with */
    size_t subject_count;
    const char *filter;
    unsigned repetitions;       /* timed; 0: only counted */
    unsigned count_repetitions; /* counted; 0: only timed */
    uint64_t count_iterations;  /* 0: ullage_bench_count_iterations() says */
    uint64_t time_ns;           /* a repetition shall take */
    unsigned timeout_ms;
    bool pinned;
    uint64_t requests;          /* of a whole program: what one run answers; 0: a run is one operation */
    const char *preload;        /* path of the interposer; NULL: nothing is counted */
    FILE *progress;             /* a terminal; NULL */
    void *context;
    /* After a counting repetition, while its ledgers are there; 0 or negative errno. NULL: nobody wants to know. */
    int (*counted)(void *context, const struct ullage_bench_subject *subject, const char *ledger_directory,
        const char *run_id, struct ullage_bench_result *result, char *error);
};

/**
 * ullage_bench_run() - every benchmark that passes the filter, in every subject, repetitions in turn
 * @report: results are added
 * Interleaved: one repetition of each subject, then the next of each, beginning with another subject each time, so that
 * what the machine does meanwhile meets all of them. All run as many iterations as the first one needs for time_ns, but those
 * that are more than twice as slow or as fast run as many as they need themselves.
 * Returns: 0, also where benchmarks failed; -ENOENT: the filter leaves none; other negative errno. @error says what to do
 */
int ullage_bench_run(const struct ullage_bench_series *series, struct ullage_bench_report *report, char *error);

/* One counting repetition of @request, in a directory of its own that is removed afterwards; the rest as in ullage_bench_sample(). */
int ullage_bench_count(const struct ullage_bench_series *series, const struct ullage_bench_subject *subject,
    struct ullage_bench_request *request, struct ullage_bench_result *result, char *error);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
