/* SPDX-License-Identifier: BSD-2-Clause */
/* series.c - repetitions of all benchmarks in all subjects, in turn, with a bar of progress; and the counting ones' directories. */
#include "config.h"

#include "harness.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { COUNT_NS = 100000000, COUNT_MOST = 1000, CALIBRATE_NS = 10000000, BAR_COLUMNS = 24 };

/* ---- progress ---- */

struct progress {
    FILE *to;
    size_t done, all;
    uint64_t begun_s;
};

static void show(const struct progress *progress, const char *name)
{
    size_t filled = progress->all > 0 ? progress->done * BAR_COLUMNS / progress->all : 0;
    char bar[BAR_COLUMNS + 1];
    if (progress->to == NULL)
        return;
    memset(bar, '.', BAR_COLUMNS);
    memset(bar, '#', filled);
    bar[BAR_COLUMNS] = '\0';
    fprintf(progress->to, "\r[%s] %3zu%% %-44.44s", bar, progress->all > 0 ? progress->done * 100 / progress->all : 0, name);
    fflush(progress->to);
}

static void clear(const struct progress *progress)
{
    if (progress->to != NULL) {
        fprintf(progress->to, "\r%*s\r", BAR_COLUMNS + 54, "");
        fflush(progress->to);
    }
}

/* ---- counting ---- */

static void remove_directory(const char *path)
{
    DIR *stream = opendir(path);
    if (stream != NULL) {
        for (const struct dirent *entry; (entry = readdir(stream)) != NULL;)
            if (entry->d_name[0] != '.')
                unlinkat(dirfd(stream), entry->d_name, 0);
        closedir(stream);
    }
    rmdir(path);
}

int ullage_bench_count(const struct ullage_bench_series *series, const struct ullage_bench_subject *subject,
    struct ullage_bench_request *request, struct ullage_bench_result *result, char *error)
{
    const char *place = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : getenv("TMPDIR");
    if (place != NULL && place[0] == '\0')
        place = NULL;
    char directory[256], run_id[64];
    static unsigned number;
    struct sigaction before[ULL_SPAWN_SIGNALS];
    snprintf(directory, sizeof directory, "%.200s/ullage-bench-XXXXXX", place != NULL ? place : "/tmp");
    ull_spawn_hold_signals(before); /* the directory is not to be left behind */
    if (mkdtemp(directory) == NULL) {
        int result_number = -errno;
        ull_spawn_let_signals_go(before);
        snprintf(error, ULLAGE_BENCH_ERROR_BYTES, "no directory for the ledgers: %s: %s", directory, strerror(-result_number));
        return result_number;
    }
    snprintf(run_id, sizeof run_id, "%x-bench%u", (unsigned)getpid(), ++number);
    request->pass = ULLAGE_BENCH_COUNT;
    request->preload = series->preload;
    request->ledger_directory = directory;
    request->run_id = run_id;
    int outcome = ullage_bench_sample(subject, request, result, error);
    if (outcome == 0 && result->status == ULLAGE_BENCH_OK && series->counted != NULL)
        outcome = series->counted(series->context, subject, directory, run_id, result, error);
    remove_directory(directory);
    ull_spawn_let_signals_go(before);
    ull_spawn_end_if_told();
    return outcome;
}

/* What is recorded takes longer than what is timed: by about 2 us an allocation. */
uint64_t ullage_bench_count_iterations(const struct ullage_bench_request *calibrated)
{
    double each_ns = (double)calibrated->time_ns / (double)calibrated->iterations + 2000;
    uint64_t iterations = 1;
    while (iterations < COUNT_MOST && each_ns * (double)iterations * 10 <= COUNT_NS)
        iterations *= 10;
    return iterations;
}

/* ---- one benchmark ---- */

static struct ullage_bench_result *result_of(
    const struct ullage_bench_series *series, struct ullage_bench_report *report, const char *name, size_t subject)
{
    return ullage_bench_report_result(report, name, series->subjects[subject].variant != NULL ? series->subjects[subject].variant : "");
}

static unsigned cpus_for(const struct ullage_bench_series *series, const struct ullage_bench_result *result)
{
    return series->pinned ? result->threads : 0;
}

/*
 * How many iterations each subject runs: as many as the first one that can, so that all do the same work; but one that is more
 * than twice as slow or as fast, as peers often are, as many as take the time with it. 0 or negative errno.
 */
static int calibrate(const struct ullage_bench_series *series, struct ullage_bench_report *report, const char *name,
    struct ullage_bench_request *first, uint64_t *iterations, char *error)
{
    bool found = false;
    for (size_t i = 0; i < series->subject_count; i++) {
        struct ullage_bench_request request = { .size = sizeof request, .pass = ULLAGE_BENCH_CALIBRATE, .iterations = 1,
            .timeout_ms = series->timeout_ms, .time_ns = series->repetitions > 0 ? series->time_ns : CALIBRATE_NS };
        struct ullage_bench_result *result = result_of(series, report, name, i);
        if (result == NULL)
            return -ENOMEM;
        if (series->subjects[i].whole_program)
            request.iterations = series->requests > 0 ? series->requests : 1;
        int outcome = series->subjects[i].whole_program ? 0 : ullage_bench_sample(&series->subjects[i], &request, result, error);
        if (outcome != 0)
            return outcome;
        iterations[i] = request.iterations;
        if (result->status != ULLAGE_BENCH_OK)
            continue;
        if (!found)
            *first = request;
        else if (iterations[i] / 2 <= first->iterations && first->iterations / 2 <= iterations[i])
            iterations[i] = first->iterations;
        found = true;
    }
    return 0;
}

static int repeat(const struct ullage_bench_series *series, struct ullage_bench_report *report, const char *name,
    const uint64_t *iterations, unsigned round, struct progress *progress, char *error)
{
    for (size_t i = 0; i < series->subject_count; i++) {
        size_t subject = (i + round) % series->subject_count;
        struct ullage_bench_result *result = result_of(series, report, name, subject);
        show(progress, name);
        progress->done++;
        if (result == NULL)
            return -ENOMEM;
        if (result->status != ULLAGE_BENCH_OK)
            continue;
        struct ullage_bench_request request = { .size = sizeof request, .pass = ULLAGE_BENCH_TIME, .iterations = iterations[subject],
            .timeout_ms = series->timeout_ms, .cpu_count = cpus_for(series, result) };
        int outcome = ullage_bench_sample(&series->subjects[subject], &request, result, error);
        if (outcome != 0)
            return outcome;
    }
    return 0;
}

static int count(const struct ullage_bench_series *series, struct ullage_bench_report *report, const char *name,
    const struct ullage_bench_request *timed, struct progress *progress, char *error)
{
    uint64_t iterations = series->subjects[0].whole_program ? timed->iterations
        : series->count_iterations > 0 ? series->count_iterations : ullage_bench_count_iterations(timed);
    for (size_t i = 0; i < series->subject_count; i++) {
        struct ullage_bench_result *result = result_of(series, report, name, i);
        if (result == NULL)
            return -ENOMEM;
        for (unsigned k = 0; k < series->count_repetitions; k++) {
            struct ullage_bench_request request = { .size = sizeof request, .iterations = iterations, .timeout_ms = series->timeout_ms };
            show(progress, name);
            progress->done++;
            int outcome = result->status == ULLAGE_BENCH_OK
                ? ullage_bench_count(series, &series->subjects[i], &request, result, error) : 0;
            if (outcome != 0)
                return outcome;
        }
    }
    return 0;
}

static int run_one(const struct ullage_bench_series *series, struct ullage_bench_report *report, const char *name,
    struct progress *progress, char *error)
{
    struct ullage_bench_request first = { .size = sizeof first, .iterations = 1, .time_ns = CALIBRATE_NS };
    uint64_t *iterations = calloc(series->subject_count, sizeof *iterations);
    size_t before = progress->done;
    show(progress, name);
    int outcome = iterations != NULL ? calibrate(series, report, name, &first, iterations, error) : -ENOMEM;
    for (unsigned round = 0; round < series->repetitions && outcome == 0; round++)
        outcome = repeat(series, report, name, iterations, round, progress, error);
    if (outcome == 0 && series->preload != NULL)
        outcome = count(series, report, name, &first, progress, error);
    progress->done = before + (series->repetitions + (series->preload != NULL ? series->count_repetitions : 0)) * series->subject_count;
    free(iterations);
    return outcome;
}

int ullage_bench_run(const struct ullage_bench_series *series, struct ullage_bench_report *report, char *error)
{
    char **names = NULL;
    size_t name_count = 0;
    int outcome = 0;
    if (series->size < sizeof *series || series->subject_count == 0)
        return -EINVAL;
    snprintf(error, ULLAGE_BENCH_ERROR_BYTES, "not enough memory");
    if (series->subjects[0].whole_program) {
        const char *slash = strrchr(series->subjects[0].command[0], '/');
        names = calloc(1, sizeof *names);
        outcome = names != NULL ? ullage_bench_set_text(&names[0], slash != NULL ? slash + 1 : series->subjects[0].command[0]) : -ENOMEM;
        name_count = outcome == 0;
    } else {
        outcome = ullage_bench_list(&series->subjects[0], series->filter, &names, &name_count, error);
    }
    if (outcome == 0 && name_count == 0) {
        snprintf(error, ULLAGE_BENCH_ERROR_BYTES, "no benchmark of %s%s%s: see --list", series->subjects[0].command[0],
            series->filter != NULL ? " passes the filter " : "", series->filter != NULL ? series->filter : "");
        outcome = -ENOENT;
    }
    struct progress progress = { .to = series->progress,
        .all = name_count * series->subject_count * (series->repetitions + (series->preload != NULL ? series->count_repetitions : 0)) };
    for (size_t i = 0; i < name_count && outcome == 0; i++)
        outcome = run_one(series, report, names[i], &progress, error);
    clear(&progress);
    ullage_bench_names_free(names, name_count);
    ullage_bench_report_describe(report);
    return outcome;
}
