/* SPDX-License-Identifier: BSD-2-Clause */
/* drive.c - a repetition seen from outside: the request, the lines that came back, and how the process ended. */
#include "config.h"

#include "harness.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum { NAMES_MAX = 100000, LIST_TIMEOUT_MS = 60000 };

/* ---- lines ---- */

/* The next line without its end; NULL after the last whole one. */
static char *next_line(char **at)
{
    char *line = *at, *end = line != NULL ? strchr(line, '\n') : NULL;
    if (end == NULL)
        return NULL;
    *end = '\0';
    *at = end + 1;
    return line;
}

/* What follows "WORD " in the line; NULL: another word. */
static const char *after(const char *line, const char *word)
{
    size_t length = strlen(word);
    return strncmp(line, word, length) == 0 && line[length] == ' ' ? line + length + 1 : NULL;
}

struct parsed {
    bool hello, end;
    uint64_t iterations;
    unsigned threads;
    char fault[512]; /* of a list; "" */
};

static void describe(struct ullage_bench_result *result, const char *line)
{
    const char *text;
    if ((text = after(line, "build")) != NULL)
        (void)ullage_bench_set_text(&result->compiler, text);
    else if ((text = after(line, "flags")) != NULL)
        (void)ullage_bench_set_text(&result->flags, text);
    else if ((text = after(line, "optimized")) != NULL)
        result->optimized = text[0] != '0';
    else if ((text = after(line, "allocator")) != NULL)
        (void)ullage_bench_set_text(&result->allocator, text);
}

/* A metric is kept only when the repetition turns out to be whole: see take_metrics(). */
static void take_line(struct parsed *parsed, struct ullage_bench_result *result, const char *line)
{
    const char *text;
    if (strcmp(line, "hello") == 0)
        parsed->hello = true;
    else if (strcmp(line, "end") == 0)
        parsed->end = true;
    else if ((text = after(line, "iterations")) != NULL)
        parsed->iterations = strtoull(text, NULL, 10);
    else if ((text = after(line, "threads")) != NULL)
        parsed->threads = (unsigned)strtoul(text, NULL, 10);
    else if ((text = after(line, "note")) != NULL)
        ull_judge_note(result, text);
    else if ((text = after(line, "skip")) != NULL)
        ull_judge_fail(result, ULLAGE_BENCH_SKIPPED, text);
    else if ((text = after(line, "fail")) != NULL)
        ull_judge_fail(result, ULLAGE_BENCH_FAILED, text);
    else if (result->allocator[0] == '\0') /* it comes last of them */
        describe(result, line);
}

static int take_metric(struct ullage_bench_result *result, const char *text)
{
    char name[64];
    int better, exact;
    double value;
    if (sscanf(text, "%63s %d %d %lf", name, &better, &exact, &value) != 4 || !isfinite(value))
        return 0;
    return ullage_bench_result_sample(result, name, better, exact != 0, value);
}

/* ---- a repetition ---- */

static const char *const pass_names[] = { "calibrate", "time", "count" };

static int sample_benchmark(const struct ullage_bench_subject *subject, struct ullage_bench_request *request,
    struct ullage_bench_result *result, char *error)
{
    char text[ULL_BENCH_NAME_BYTES + 128], directory[512], run_id[128];
    char *const more[] = { directory, run_id, (char *)"ULLAGE_MIN_BYTES=0", (char *)"ULLAGE_SAMPLE_BYTES=0",
        (char *)"ULLAGE_START=paused", NULL };
    bool counting = request->pass == ULLAGE_BENCH_COUNT;
    struct ull_spawned spawned;
    snprintf(text, sizeof text, "%s %" PRIu64 " %" PRIu64 " %s", pass_names[request->pass],
        request->iterations > 0 ? request->iterations : 1, request->time_ns, result->name);
    snprintf(directory, sizeof directory, "ULLAGE_DIR=%s", counting ? request->ledger_directory : "");
    snprintf(run_id, sizeof run_id, "ULLAGE_RUN_ID=%s", counting ? request->run_id : "");
    const struct ull_spawn spawn = { .subject = subject, .timeout_ms = request->timeout_ms, .cpu_count = request->cpu_count,
        .request = text, .more = counting ? more : NULL, .preload = counting ? request->preload : NULL };
    int error_number = ull_spawn_run(&spawn, &spawned, error);
    if (error_number != 0)
        return error_number;
    struct parsed parsed = { .threads = 1 };
    char *at = spawned.lines, *copy = spawned.lines != NULL ? strdup(spawned.lines) : NULL, *again = copy;
    for (const char *line; (line = next_line(&at)) != NULL;)
        take_line(&parsed, result, line);
    int outcome = 0;
    if (!parsed.hello && !spawned.timed_out && !WIFSIGNALED(spawned.status)) {
        snprintf(error, ULLAGE_BENCH_ERROR_BYTES, "%s: not a benchmark program (one that ends with ULLAGE_BENCH_MAIN()); of any "
            "other command: ullage bench exec", subject->command[0]);
        outcome = -ENOEXEC;
    } else if (ull_judge(result, &spawned, parsed.end, request->timeout_ms)) {
        if (request->pass == ULLAGE_BENCH_CALIBRATE)
            request->iterations = parsed.iterations > 0 ? parsed.iterations : 1;
        if (counting)
            result->count_iterations = request->iterations;
        else
            result->iterations = request->iterations;
        result->threads = parsed.threads;
        if (spawned.printed_bytes > 0 && !counting)
            ull_judge_note(result, "prints while it is measured");
        for (const char *line; outcome == 0 && (line = next_line(&again)) != NULL;)
            if (after(line, "metric") != NULL)
                outcome = take_metric(result, after(line, "metric"));
        if (outcome == -ENOMEM)
            snprintf(error, ULLAGE_BENCH_ERROR_BYTES, "not enough memory");
    }
    free(copy);
    free(spawned.lines);
    return outcome;
}

int ullage_bench_sample(const struct ullage_bench_subject *subject, struct ullage_bench_request *request,
    struct ullage_bench_result *result, char *error)
{
    int outcome = subject->whole_program ? ull_whole_sample(subject, request, result, error)
                                         : sample_benchmark(subject, request, result, error);
    if (request->pass != ULLAGE_BENCH_COUNT) /* ullage_bench_count() has a directory to remove before */
        ull_spawn_end_if_told();
    return outcome;
}

/* ---- listing ---- */

bool ullage_bench_passes(const char *name, const char *filter)
{
    if (filter == NULL || filter[0] == '\0')
        return true;
    for (const char *at = filter; *at != '\0';) {
        char part[ULL_BENCH_NAME_BYTES];
        size_t length = strcspn(at, ",");
        snprintf(part, sizeof part, "%.*s", (int)(length < sizeof part ? length : sizeof part - 1), at);
        if (length > 0 && strstr(name, part) != NULL)
            return true;
        at += length + (at[length] == ',');
    }
    return false;
}

void ullage_bench_names_free(char **names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(names[i]);
    free(names);
}

static int keep_name(char ***names, size_t *count, const char *name)
{
    char **grown = *count < NAMES_MAX ? realloc(*names, (*count + 1) * sizeof **names) : NULL;
    if (grown == NULL)
        return -ENOMEM;
    *names = grown;
    grown[*count] = NULL;
    int result = ullage_bench_set_text(&grown[*count], name);
    if (result == 0)
        (*count)++;
    return result;
}

/* Why there is no list; 0 if there is one. */
static int judge_list(const struct ullage_bench_subject *subject, const struct ull_spawned *spawned, const struct parsed *parsed, char *error)
{
    const char *program = subject->command[0];
    char words[300];
    ull_judge_last_words(spawned, words, sizeof words);
    if (parsed->fault[0] != '\0') {
        snprintf(error, ULLAGE_BENCH_ERROR_BYTES, "%s: %s", program, parsed->fault);
        return -EINVAL;
    }
    if (parsed->end)
        return 0;
    if (spawned->timed_out)
        snprintf(error, ULLAGE_BENCH_ERROR_BYTES, "%s: no list of its benchmarks within %d s: does a constructor or a group hang?%s", program,
            LIST_TIMEOUT_MS / 1000, words);
    else if (WIFSIGNALED(spawned->status))
        snprintf(error, ULLAGE_BENCH_ERROR_BYTES, "%s: ended by signal SIG%s before it had listed its benchmarks%s", program,
            sigabbrev_np(WTERMSIG(spawned->status)), words);
    else if (parsed->hello)
        snprintf(error, ULLAGE_BENCH_ERROR_BYTES, "%s: ended with status %d while its benchmarks were listed: does a group call exit?%s", program,
            WEXITSTATUS(spawned->status), words);
    else
        snprintf(error, ULLAGE_BENCH_ERROR_BYTES, "%s: not a benchmark program (one that ends with ULLAGE_BENCH_MAIN()); of any "
            "other command: ullage bench exec%s", program, words);
    return parsed->hello ? -ECHILD : -ENOEXEC;
}

static const char *first_twice(char **names, size_t count)
{
    for (size_t i = 1; i < count; i++)
        for (size_t k = 0; k < i && count <= 2000; k++) /* past that it is the author's to know */
            if (strcmp(names[i], names[k]) == 0)
                return names[i];
    return NULL;
}

int ullage_bench_list(
    const struct ullage_bench_subject *subject, const char *filter, char ***names, size_t *count, char *error)
{
    const struct ull_spawn spawn = { .subject = subject, .timeout_ms = LIST_TIMEOUT_MS, .request = "list 1 0 " };
    struct ull_spawned spawned;
    struct parsed parsed = { .threads = 1 };
    *names = NULL;
    *count = 0;
    int result = ull_spawn_run(&spawn, &spawned, error);
    ull_spawn_end_if_told();
    if (result != 0)
        return result;
    char *at = spawned.lines;
    for (const char *line; result == 0 && (line = next_line(&at)) != NULL;) {
        const char *name = after(line, "name"), *fault = after(line, "fault");
        parsed.hello = parsed.hello || strcmp(line, "hello") == 0;
        parsed.end = parsed.end || strcmp(line, "end") == 0;
        if (fault != NULL)
            snprintf(parsed.fault, sizeof parsed.fault, "%s", fault);
        if (name != NULL && ullage_bench_passes(name, filter))
            result = keep_name(names, count, name);
    }
    if (result != 0)
        snprintf(error, ULLAGE_BENCH_ERROR_BYTES, "not enough memory for its list of benchmarks");
    else
        result = judge_list(subject, &spawned, &parsed, error);
    if (result == 0 && first_twice(*names, *count) != NULL) {
        snprintf(error, ULLAGE_BENCH_ERROR_BYTES, "%s: %s: two benchmarks have this name", subject->command[0], first_twice(*names, *count));
        result = -EINVAL;
    }
    if (result != 0) {
        ullage_bench_names_free(*names, *count);
        *names = NULL;
        *count = 0;
    }
    free(spawned.lines);
    return result;
}
