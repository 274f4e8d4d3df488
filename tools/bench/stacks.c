/* SPDX-License-Identifier: BSD-2-Clause */
/* stacks.c - from the ledgers of a counting run to stacks by function name, and the totals of a whole program. */
#include "config.h"

#include "bench.h"

#include "ullage/export.h"
#include "ullage/view.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STACK_DEPTH = 64 };

/* ---- a snapshot as JSON ---- */

struct text {
    char *bytes;
    size_t count, room;
};

static int append(void *context, const void *bytes, size_t count)
{
    struct text *text = context;
    if (text->count + count > text->room) {
        size_t room = (text->count + count) * 2;
        char *grown = realloc(text->bytes, room);
        if (grown == NULL)
            return -ENOMEM;
        text->bytes = grown;
        text->room = room;
    }
    memcpy(text->bytes + text->count, bytes, count);
    text->count += count;
    return 0;
}

static json_t *json_of(const char *path, char *error)
{
    struct ullage_snapshot_options how = ULLAGE_SNAPSHOT_OPTIONS_INIT;
    struct ullage_snapshot *snapshot;
    struct text text = { NULL, 0, 0 };
    const struct ullage_sink sink = { append, &text };
    json_t *json = NULL;
    if (ullage_snapshot_take(&snapshot, path, &how, error) != 0)
        return NULL;
    if (ullage_export_json(snapshot, &sink, 0) == 0)
        json = json_loadb(text.bytes, text.count, 0, NULL);
    else
        snprintf(error, ULLAGE_BENCH_ERROR_BYTES, "not enough memory for the stacks");
    ullage_snapshot_destroy(snapshot);
    free(text.bytes);
    return json;
}

static uint64_t number(const json_t *object, const char *key)
{
    json_int_t value = json_integer_value(json_object_get(object, key));
    return value > 0 ? (uint64_t)value : 0;
}

/* ---- stacks ---- */

static const char *frame_name(const json_t *frame, char *room, size_t bytes)
{
    const char *function = json_string_value(json_object_get(frame, "function"));
    const char *object = json_string_value(json_object_get(frame, "object"));
    if (function != NULL)
        return function;
    const char *slash = object != NULL ? strrchr(object, '/') : NULL;
    snprintf(room, bytes, "[%.200s]", slash != NULL ? slash + 1 : object != NULL ? object : "unknown");
    return room;
}

/* Outside of the benchmark's body is the harness, which says nothing. */
static bool is_harness(const char *name)
{
    return strncmp(name, "ull_bench_body_", 15) == 0 || strncmp(name, "[libullage-bench.so", 19) == 0;
}

/* Frames from the one that names the site; a name that comes again at once (inlined, recursive, unknown) counts once. */
static unsigned names_of(const json_t *site, const char **names, char rooms[][256])
{
    const json_t *stack = json_object_get(site, "stack");
    const char *shown = json_string_value(json_object_get(site, "function"));
    unsigned count = 0;
    bool begun = shown == NULL;
    for (size_t i = 0; i < json_array_size(stack) && count < STACK_DEPTH; i++) {
        const char *name = frame_name(json_array_get(stack, i), rooms[count], sizeof rooms[count]);
        if (is_harness(name))
            break;
        begun = begun || strcmp(name, shown) == 0;
        if (begun && (count == 0 || strcmp(names[count - 1], name) != 0))
            names[count++] = name;
    }
    return count;
}

static struct ullage_bench_stack *find_stack(const struct ullage_bench_result *result, const char **names, unsigned count)
{
    for (size_t i = 0; i < result->stack_count; i++) {
        struct ullage_bench_stack *stack = &result->stacks[i];
        unsigned same = 0;
        while (stack->function_count == count && same < count && strcmp(stack->functions[same], names[same]) == 0)
            same++;
        if (stack->function_count == count && same == count)
            return stack;
    }
    return NULL;
}

static const char *flag_of(const json_t *site)
{
    static const char *const flags[] = { "oversized", "start-small", "sparse" };
    const char *flag = json_string_value(json_object_get(site, "flag"));
    for (unsigned i = 0; flag != NULL && i < sizeof flags / sizeof flags[0]; i++)
        if (strcmp(flags[i], flag) == 0)
            return flags[i];
    return NULL;
}

static int add_site(struct ullage_bench_result *result, const json_t *site, uint64_t iterations)
{
    static char rooms[STACK_DEPTH][256];
    const char *names[STACK_DEPTH];
    unsigned count = names_of(site, names, rooms);
    struct ullage_bench_stack *stack = count > 0 ? find_stack(result, names, count) : NULL;
    if (count == 0 || number(site, "allocations_total") == 0)
        return 0;
    if (stack == NULL) {
        stack = ullage_bench_result_stack(result);
        for (unsigned i = 0; stack != NULL && i < count; i++)
            if (ullage_bench_stack_push(stack, names[i]) != 0)
                return -ENOMEM;
        if (stack == NULL)
            return -ENOMEM;
        stack->iterations = iterations;
        stack->used_max_bytes = UINT64_MAX;
    }
    stack->allocations += number(site, "allocations_total");
    stack->bytes += number(site, "requested_total_bytes");
    stack->peak_bytes += number(site, "requested_peak_bytes");
    stack->leaked_count += number(site, "live_count");
    stack->leaked_bytes += number(site, "requested_live_bytes");
    stack->ullage_bytes += number(site, "ullage_peak_bytes");
    if (json_is_integer(json_object_get(site, "used_max_bytes"))) {
        uint64_t used = number(site, "used_max_bytes");
        if (stack->used_max_bytes == UINT64_MAX || used > stack->used_max_bytes)
            stack->used_max_bytes = used;
    }
    if (flag_of(site) != NULL) {
        stack->flag = flag_of(site);
        stack->suggested_bytes = number(site, "suggested_bytes");
    }
    return 0;
}

static int by_bytes(const void *a, const void *b)
{
    const struct ullage_bench_stack *left = a, *right = b;
    if (left->bytes != right->bytes)
        return left->bytes > right->bytes ? -1 : 1;
    return left->allocations > right->allocations ? -1 : left->allocations < right->allocations;
}

/* ---- one counting run ---- */

struct totals {
    uint64_t allocations, requested, live, peak, ullage;
    unsigned processes; /* that have a ledger */
    bool threads;       /* some of them started threads */
};

static bool has_threads(const json_t *snapshot)
{
    const json_t *profiles = json_object_get(snapshot, "profiles");
    for (size_t i = 0; i < json_array_size(profiles); i++) {
        const char *name = json_string_value(json_object_get(json_array_get(profiles, i), "name"));
        if (name != NULL && strcmp(name, "threads") == 0)
            return number(json_array_get(profiles, i), "added_total") > 0;
    }
    return false;
}

static int add_ledger(struct ullage_bench_result *result, const char *path, uint64_t iterations, bool stacks,
    struct totals *totals, char *error)
{
    json_t *json = json_of(path, error);
    int outcome = 0;
    if (json == NULL)
        return -EIO;
    const json_t *sites = json_object_get(json, "sites"), *of = json_object_get(json, "totals");
    for (size_t i = 0; stacks && i < json_array_size(sites) && outcome == 0; i++)
        outcome = add_site(result, json_array_get(sites, i), iterations);
    totals->allocations += number(of, "allocations_total");
    totals->requested += number(of, "requested_total_bytes");
    totals->live += number(of, "requested_live_bytes");
    totals->peak += number(of, "requested_peak_bytes");
    totals->ullage += number(of, "ullage_peak_bytes");
    totals->processes++;
    totals->threads = totals->threads || has_threads(json);
    json_decref(json);
    if (outcome != 0)
        snprintf(error, ULLAGE_BENCH_ERROR_BYTES, "not enough memory for the stacks");
    return outcome;
}

/* Of processes that lived one after the other the sum of peaks is too much; of one process it is exact. */
static int add_totals(struct ullage_bench_result *result, const struct totals *totals, uint64_t iterations)
{
    double n = (double)iterations;
    bool alone = totals->processes == 1 && !totals->threads;
    if (totals->processes == 0)
        return ullage_bench_set_text(&result->note, "no ledger: nothing was asked for, or it cannot be interposed (static, setuid)");
    int outcome = ullage_bench_result_sample(result, "allocs/op", -1, true, (double)totals->allocations / n);
    if (outcome == 0)
        outcome = ullage_bench_result_sample(result, "B/op", -1, true, (double)totals->requested / n);
    if (outcome == 0)
        outcome = ullage_bench_result_sample(result, "peak-live-bytes", -1, alone, (double)totals->peak);
    if (outcome == 0)
        outcome = ullage_bench_result_sample(result, "live-at-end-bytes", 0, true, (double)totals->live);
    if (outcome == 0)
        outcome = ullage_bench_result_sample(result, "ullage-peak-bytes", -1, false, (double)totals->ullage);
    return outcome;
}

int ull_bench_counted(void *unused, const struct ullage_bench_subject *subject, const char *ledger_directory,
    const char *run_id, struct ullage_bench_result *result, char *error)
{
    struct totals totals = { .processes = 0 };
    DIR *stream = opendir(ledger_directory);
    bool stacks = result->stack_count == 0; /* of the first repetition: the others say the same */
    int outcome = 0;
    (void)unused, (void)run_id;
    if (stream == NULL) {
        snprintf(error, ULLAGE_BENCH_ERROR_BYTES, "%s: %s", ledger_directory, strerror(errno));
        return -EIO;
    }
    for (const struct dirent *entry; outcome == 0 && (stacks || subject->whole_program) && (entry = readdir(stream)) != NULL;) {
        char path[1024];
        const char *dot = strrchr(entry->d_name, '.');
        if (dot == NULL || strcmp(dot, ".ledger") != 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", ledger_directory, entry->d_name);
        outcome = add_ledger(result, path, result->count_iterations * (result->threads > 0 ? result->threads : 1), stacks, &totals, error);
    }
    closedir(stream);
    if (stacks && result->stack_count > 1)
        qsort(result->stacks, result->stack_count, sizeof result->stacks[0], by_bytes);
    struct ullage_bench_metric *peak = ullage_bench_result_metric(result, "peak-live-bytes");
    if (totals.threads && peak != NULL)
        peak->exact = false; /* whether they meet is chance */
    if (outcome == 0 && subject->whole_program)
        outcome = add_totals(result, &totals, result->count_iterations);
    return outcome;
}
