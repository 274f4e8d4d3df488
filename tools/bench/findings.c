/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * findings.c - what was counted against what a baseline has, and which stacks explain the difference.
 *
 * A counted metric is a fact, not a measurement: more than the tolerance is a regression. Repetitions that differ are not
 * averaged: they fail if the least of them is past the baseline, and else are said to be unstable. Where the baseline itself
 * has a range (threads meet, or do not), the least of ten has to be 5 % past the most of ten.
 */
#include "config.h"

#include "bench.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { STACKS_SHOWN = 5, FUNCTIONS_SHOWN = 8 };
#define ROUNDING 1e-9 /* of a quotient of counts that went through a file; one allocation more of a thousand million is less */
#define RANGE_TOLERANCE 0.05 /* our choice: beside a range that ten repetitions showed */

static void clean(char *text)
{
    for (unsigned char *at = (unsigned char *)text; *at != '\0'; at++)
        if (*at < ' ' || *at == 127 || (*at == 0xc2 && at[1] >= 0x80 && at[1] <= 0x9f))
            *at = '?';
}

void ull_findings_add(struct ull_findings *findings, enum ull_finding_kind kind, const char *benchmark, const char *metric,
    const char *format, ...)
{
    va_list arguments;
    if (findings->count == findings->room) {
        size_t room = findings->room == 0 ? 64 : findings->room * 2;
        struct ull_finding *grown = realloc(findings->all, room * sizeof *grown);
        if (grown == NULL) {
            findings->out_of_memory = true;
            return;
        }
        findings->all = grown;
        findings->room = room;
    }
    struct ull_finding *finding = &findings->all[findings->count++];
    finding->kind = kind;
    snprintf(finding->benchmark, sizeof finding->benchmark, "%s", benchmark);
    snprintf(finding->metric, sizeof finding->metric, "%s", metric);
    va_start(arguments, format);
    vsnprintf(finding->text, sizeof finding->text, format, arguments);
    va_end(arguments);
    clean(finding->benchmark); /* names of a baseline may be anybody's, and a terminal obeys them */
    clean(finding->metric);
    clean(finding->text);
}

void ull_findings_fini(struct ull_findings *findings)
{
    free(findings->all);
    memset(findings, 0, sizeof *findings);
}

enum ull_finding_kind ull_findings_worst(const struct ull_findings *findings, const char *benchmark)
{
    enum ull_finding_kind worst = ULL_FINDING_FINE;
    for (size_t i = 0; i < findings->count; i++)
        if (findings->all[i].kind > worst && strcmp(findings->all[i].benchmark, benchmark) == 0)
            worst = findings->all[i].kind;
    return worst;
}

const char *ull_bench_number(double value, char text[48])
{
    char digits[40];
    if (value != floor(value) || fabs(value) >= 1e15) {
        snprintf(text, 48, "%.4g", value);
        return text;
    }
    snprintf(digits, sizeof digits, "%.0f", fabs(value));
    size_t length = strlen(digits), filled = 0;
    if (value < 0)
        text[filled++] = '-';
    for (size_t i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            text[filled++] = ',';
        text[filled++] = digits[i];
    }
    text[filled] = '\0';
    return text;
}

/* ---- one metric ---- */

struct range {
    double low, high;
};

static struct range range_of(const struct ullage_bench_metric *metric)
{
    struct range range = { metric->samples[0], metric->samples[0] };
    for (size_t i = 1; i < metric->sample_count; i++) {
        range.low = fmin(range.low, metric->samples[i]);
        range.high = fmax(range.high, metric->samples[i]);
    }
    return range;
}

struct limits {
    double low, high, room_below, room_above;
    bool is_range;
};

/* What a baseline's metric lets pass. */
static struct limits limits_of(const json_t *before)
{
    const json_t *lowest = json_object_get(before, "lowest");
    double relative = json_number_value(json_object_get(before, "relative"));
    double absolute = json_number_value(json_object_get(before, "absolute"));
    struct limits limits = { .high = json_number_value(json_object_get(before, "value")), .is_range = lowest != NULL };
    limits.low = lowest != NULL ? json_number_value(lowest) : limits.high;
    if (limits.is_range && relative < RANGE_TOLERANCE)
        relative = RANGE_TOLERANCE;
    relative = fmax(relative, ROUNDING);
    limits.room_above = fmax(fabs(limits.high) * relative, absolute);
    limits.room_below = fmax(fabs(limits.low) * relative, absolute);
    return limits;
}

static const char *movement(double before, double now, char text[160])
{
    char from[48], to[48], more[48];
    double difference = now - before;
    if (before != 0)
        snprintf(text, 160, "%s -> %s (%s%s, %+.1f %%)", ull_bench_number(before, from), ull_bench_number(now, to),
            difference > 0 ? "+" : "", ull_bench_number(difference, more), difference / before * 100);
    else
        snprintf(text, 160, "%s -> %s", ull_bench_number(before, from), ull_bench_number(now, to));
    return text;
}

static void compare_metric(struct ull_findings *findings, const struct ullage_bench_result *now, const char *name, const json_t *before)
{
    const struct ullage_bench_metric *metric = ullage_bench_result_metric(now, name);
    char text[160], low[48], high[48];
    if (metric == NULL || metric->sample_count == 0) {
        ull_findings_add(findings, ULL_FINDING_REGRESSION, now->name, name, "vanished: the baseline has it, and it was not counted now");
        return;
    }
    struct range seen = range_of(metric);
    struct limits limits = limits_of(before);
    /* All of what was seen now lies beyond all that was seen before. */
    if (seen.low > limits.high + limits.room_above)
        ull_findings_add(findings, ULL_FINDING_REGRESSION, now->name, name, "%s", movement(limits.high, seen.low, text));
    else if (seen.high < limits.low - limits.room_below)
        ull_findings_add(findings, ULL_FINDING_IMPROVEMENT, now->name, name, "%s", movement(limits.low, seen.high, text));
    else if (seen.low < seen.high && !limits.is_range)
        ull_findings_add(findings, ULL_FINDING_INCONCLUSIVE, now->name, name, "unstable: repetitions gave %s to %s",
            ull_bench_number(seen.low, low), ull_bench_number(seen.high, high));
}

bool ull_findings_need_more(const json_t *entry, const struct ullage_bench_result *now)
{
    const char *name;
    json_t *before;
    json_object_foreach(json_object_get(entry, "metrics"), name, before) {
        const struct ullage_bench_metric *metric = ullage_bench_result_metric(now, name);
        struct limits limits = limits_of(before);
        if (metric == NULL || metric->sample_count == 0)
            continue;
        struct range seen = range_of(metric);
        if ((limits.is_range || !metric->exact)
            && (seen.low > limits.high + limits.room_above || seen.high < limits.low - limits.room_below))
            return true;
    }
    return false;
}

void ull_findings_compare(struct ull_findings *findings, const json_t *entry, const struct ullage_bench_result *now)
{
    const char *name;
    json_t *before;
    json_object_foreach(json_object_get(entry, "metrics"), name, before)
        compare_metric(findings, now, name, before);
    for (size_t i = 0; i < now->metric_count; i++)
        if (ull_baseline_has(now->metrics[i].name)
            && json_object_get(json_object_get(entry, "metrics"), now->metrics[i].name) == NULL)
            ull_findings_add(findings, ULL_FINDING_NEW, now->name, now->metrics[i].name, "not gated: the baseline does not have it (--update)");
}

/* ---- stacks ---- */

struct growth {
    const struct ullage_bench_stack *stack;
    double allocations, bytes, leaked; /* more an operation */
    double peak;                       /* more */
};

static const json_t *same_stack(const json_t *stacks, const struct ullage_bench_stack *stack)
{
    for (size_t i = 0; i < json_array_size(stacks); i++) {
        const json_t *candidate = json_array_get(stacks, i), *functions = json_object_get(candidate, "functions");
        size_t same = 0;
        if (json_array_size(functions) != stack->function_count)
            continue;
        while (same < stack->function_count
            && strcmp(json_string_value(json_array_get(functions, same)), stack->functions[same]) == 0)
            same++;
        if (same == stack->function_count)
            return candidate;
    }
    return NULL;
}

static double before_of(const json_t *stack, const char *key)
{
    return (double)json_integer_value(json_object_get(stack, key));
}

/* The baseline has the stacks that asked for most: of one that asked for less than those it knows nothing. */
static bool is_unknown(const json_t *entry, const struct ullage_bench_stack *stack)
{
    enum { FULL = 50 };
    const json_t *stacks = json_object_get(entry, "stacks");
    size_t count = json_array_size(stacks);
    if (count < FULL || same_stack(stacks, stack) != NULL)
        return false;
    return (json_int_t)stack->bytes <= json_integer_value(json_object_get(json_array_get(stacks, count - 1), "bytes"));
}

static struct growth growth_of(const json_t *entry, const struct ullage_bench_stack *stack)
{
    const json_t *before = same_stack(json_object_get(entry, "stacks"), stack);
    double then = fmax(1, (double)json_integer_value(json_object_get(entry, "iterations")))
        * fmax(1, (double)json_integer_value(json_object_get(entry, "threads")));
    double now = fmax(1, (double)stack->iterations);
    return (struct growth) { stack, (double)stack->allocations / now - before_of(before, "allocations") / then,
        (double)stack->bytes / now - before_of(before, "bytes") / then,
        (double)stack->leaked_bytes / now - before_of(before, "leaked_bytes") / then,
        (double)stack->peak_bytes - before_of(before, "peak_bytes") };
}

static int by_growth(const void *a, const void *b)
{
    const struct growth *left = a, *right = b;
    double of_left = fmax(left->bytes, left->peak), of_right = fmax(right->bytes, right->peak);
    if (of_left != of_right)
        return of_left > of_right ? -1 : 1;
    return left->allocations > right->allocations ? -1 : left->allocations < right->allocations;
}

static void print_amount(FILE *to, const char *before, double amount, const char *unit)
{
    char text[48];
    if (amount > 0)
        fprintf(to, "%s+%s %s", before, ull_bench_number(amount, text), unit);
}

static void print_growth(FILE *to, const struct growth *growth)
{
    fprintf(to, "      grew:");
    print_amount(to, " ", growth->allocations, "allocs/op");
    print_amount(to, " ", growth->bytes, "B/op");
    print_amount(to, " peak ", growth->peak, "B");
    print_amount(to, " leaked ", growth->leaked, "B/op");
    fprintf(to, "\n        ");
    for (size_t i = 0; i < growth->stack->function_count && i < FUNCTIONS_SHOWN; i++)
        fprintf(to, "%s%s", i > 0 ? " < " : "", growth->stack->functions[i]);
    fprintf(to, "%s\n", growth->stack->function_count > FUNCTIONS_SHOWN ? " < …" : "");
    if (growth->stack->used_max_bytes != UINT64_MAX && growth->stack->suggested_bytes > 0)
        fprintf(to, "        at most %" PRIu64 " B of each were used: %" PRIu64 " would do\n", growth->stack->used_max_bytes,
            growth->stack->suggested_bytes);
}

size_t ull_findings_explain(FILE *to, const json_t *entry, const struct ullage_bench_result *now)
{
    struct growth *grown = calloc(now->stack_count + 1, sizeof *grown);
    size_t count = 0;
    for (size_t i = 0; grown != NULL && i < now->stack_count; i++) {
        struct growth growth = growth_of(entry, &now->stacks[i]);
        if (is_unknown(entry, &now->stacks[i]))
            continue;
        if (growth.allocations > 1e-9 || growth.bytes > 1e-9 || growth.peak > 0 || growth.leaked > 1e-9)
            grown[count++] = growth;
    }
    if (count > 1)
        qsort(grown, count, sizeof *grown, by_growth);
    for (size_t i = 0; i < count && i < STACKS_SHOWN; i++)
        print_growth(to, &grown[i]);
    if (count > STACKS_SHOWN)
        fprintf(to, "      and %zu more stacks grew\n", count - STACKS_SHOWN);
    free(grown);
    return count;
}
