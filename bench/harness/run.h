/* SPDX-License-Identifier: BSD-2-Clause */
/* run.h - one benchmark in its child: what body.c, which calls it, and child.c, which was asked for it, share. */
#ifndef ULL_BENCH_RUN_H
#define ULL_BENCH_RUN_H

#include "harness.h"
#include "ullage/recording.h"

#include <pthread.h>
#include <sys/types.h>

enum { ULL_METRICS_MAX = 32 };

enum ull_pass { ULL_PASS_LIST, ULL_PASS_CALIBRATE, ULL_PASS_TIME, ULL_PASS_COUNT };

struct ull_own_metric {
    char name[64];
    double value;
    int better;
};

struct ullage_bench_run {
    int fd;
    pid_t pid;
    enum ull_pass pass;
    uint64_t iterations, time_ns;
    char wanted[ULL_BENCH_NAME_BYTES];
    struct ull_case one;    /* that is wanted */
    const struct ull_case *group; /* whose body runs now; NULL */
    bool found;

    struct ull_clock clock;
    uint64_t bytes;
    struct ull_own_metric metrics[ULL_METRICS_MAX];
    unsigned metric_count;
    bool skipped, failed;
    char why[512];
    unsigned resets;        /* of the run that is on */
    unsigned runs;          /* of the body so far */
    unsigned resets_expected; /* as many as the first run did: recording begins at the last of them */
    bool counted;           /* the run that is on is recorded */
    bool probed;            /* the recorder was tried with one allocation of a byte */
    bool misused_clock;

    pthread_barrier_t together; /* of a parallel benchmark's threads */
    const struct ullage_bench_build *build;
    void (*pause)(void);
    void (*resume)(void);
    int (*counts)(struct ullage_recording_counts *out);
};

/* ---- child.c ---- */

/* A line to the driver; nothing from a copy that the body forked. */
__attribute__((format(printf, 2, 3))) void ull_say(const struct ullage_bench_run *run, const char *format, ...);

/* ---- body.c ---- */

/* It skipped itself, or failed. */
bool ull_run_is_over(const struct ullage_bench_run *run);
/* The body once, in as many threads as it wants; what it cost is in run->clock. */
void ull_run_body(struct ullage_bench_run *run, uint64_t iterations);
/* How many iterations take run->time_ns. */
uint64_t ull_run_calibrate(struct ullage_bench_run *run);

#endif
