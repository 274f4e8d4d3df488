/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * result.c - a report: results, their metrics with a value a repetition, their call stacks, and the machine.
 * Text is cleaned when it comes in: it comes from programs that may write anything.
 */
#include "config.h"

#include "ullage/bench_result.h"

#include <errno.h>
#include <float.h>
#include <gnu/libc-version.h>
#include <math.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

enum {
    TEXT_MAX = 1024,     /* bytes of one text: the header promises it */
    CPUS_MAX = 1 << 20,  /* our choice: far more than kernels are built for */
    SAMPLES_USUAL = 512, /* of one metric, for which no memory is asked; our choice: some 4 KiB of stack */
};

const char *ullage_bench_status_name(enum ullage_bench_status status)
{
    switch (status) {
    case ULLAGE_BENCH_OK: return "ok";
    case ULLAGE_BENCH_SKIPPED: return "skipped";
    case ULLAGE_BENCH_FAILED: return "failed";
    case ULLAGE_BENCH_CRASHED: return "crashed";
    case ULLAGE_BENCH_EXITED: return "exited";
    case ULLAGE_BENCH_TIMED_OUT: return "timed out";
    }
    return "unknown";
}

/* ---- text ---- */

/* How many bytes the printable UTF-8 character at @text has; 0: it is none. RFC 3629, section 4. */
static size_t printable_bytes(const unsigned char *text)
{
    unsigned char low = 0x80, high = 0xbf; /* what the second byte may be */
    size_t bytes;
    if (text[0] < 0x80)
        return text[0] >= 0x20 && text[0] != 0x7f;
    if (text[0] >= 0xc2 && text[0] <= 0xdf)
        bytes = 2;
    else if (text[0] >= 0xe0 && text[0] <= 0xef)
        bytes = 3;
    else if (text[0] >= 0xf0 && text[0] <= 0xf4)
        bytes = 4;
    else
        return 0;
    if (text[0] == 0xc2 || text[0] == 0xe0) /* U+0080 to U+009F are control characters; below U+0800 it is too long */
        low = 0xa0;
    else if (text[0] == 0xf0)
        low = 0x90;
    if (text[0] == 0xed)
        high = 0x9f; /* surrogates */
    else if (text[0] == 0xf4)
        high = 0x8f;
    if (text[1] < low || text[1] > high)
        return 0;
    for (size_t i = 2; i < bytes; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    return bytes;
}

static char *clean_copy(const char *from)
{
    size_t length = strnlen(from, TEXT_MAX), to = 0;
    char *copy = malloc(length + 1);
    if (copy == NULL)
        return NULL;
    for (size_t at = 0; at < length;) {
        size_t bytes = printable_bytes((const unsigned char *)from + at);
        if (at + bytes > length)
            break; /* would be cut in its middle */
        if (bytes == 0)
            copy[to++] = '?';
        else
            memcpy(copy + to, from + at, bytes);
        to += bytes;
        at += bytes > 0 ? bytes : 1;
    }
    copy[to] = '\0';
    return copy;
}

int ullage_bench_set_text(char **text, const char *from)
{
    char *copy = clean_copy(from != NULL ? from : "");
    if (copy == NULL)
        return -ENOMEM;
    free(*text);
    *text = copy;
    return 0;
}

/* Room for one more of @bytes each; NULL without memory, with all as it was. */
static void *grow(void *items, size_t count, size_t *room, size_t bytes)
{
    if (count < *room)
        return items;
    size_t more = *room > 0 ? *room * 2 : 8;
    void *grown = reallocarray(items, more, bytes);
    if (grown != NULL)
        *room = more;
    return grown;
}

/* ---- a report ---- */

/* The first of the names that kernels have for it: x86, MIPS, POWER, and boards of ARM. */
static void read_cpu(char **cpu)
{
    static const char *const keys[] = { "model name", "cpu model", "cpu", "Model", "Hardware" };
    char line[512];
    FILE *info = fopen("/proc/cpuinfo", "re");
    while (info != NULL && fgets(line, sizeof line, info) != NULL) {
        char *colon = strchr(line, ':');
        line[strcspn(line, "\n")] = '\0';
        if (colon == NULL)
            continue;
        size_t key_length = (size_t)(colon - line);
        while (key_length > 0 && (line[key_length - 1] == '\t' || line[key_length - 1] == ' '))
            key_length--;
        for (size_t i = 0; i < sizeof keys / sizeof keys[0] && (*cpu)[0] == '\0'; i++)
            if (strlen(keys[i]) == key_length && strncmp(line, keys[i], key_length) == 0)
                ullage_bench_set_text(cpu, colon + 1 + strspn(colon + 1, " \t"));
    }
    if (info != NULL)
        fclose(info);
}

/* Those that this process may run on; 0: unknown. */
static unsigned allowed_cpus(void)
{
    for (size_t cpus = CPU_SETSIZE; cpus <= CPUS_MAX; cpus *= 2) {
        cpu_set_t *set = CPU_ALLOC(cpus);
        size_t bytes = CPU_ALLOC_SIZE(cpus);
        if (set == NULL)
            return 0;
        bool known = sched_getaffinity(0, bytes, set) == 0;
        unsigned count = known ? (unsigned)CPU_COUNT_S(bytes, set) : 0;
        bool larger = !known && errno == EINVAL; /* the kernel's own set does not fit into ours */
        CPU_FREE(set);
        if (!larger)
            return count;
    }
    return 0;
}

static int describe_machine(struct ullage_bench_report *report)
{
    struct utsname system;
    char text[sizeof system.sysname + sizeof system.release];
    int result = 0;
    if (uname(&system) == 0) {
        snprintf(text, sizeof text, "%s %s", system.sysname, system.release);
        result |= ullage_bench_set_text(&report->kernel, text);
        result |= ullage_bench_set_text(&report->machine, system.machine);
    }
    snprintf(text, sizeof text, "glibc %s", gnu_get_libc_version());
    result |= ullage_bench_set_text(&report->libc, text);
    read_cpu(&report->cpu);
    report->cpus = allowed_cpus();
    report->unix_s = (uint64_t)time(NULL);
    return result;
}

struct ullage_bench_report *ullage_bench_report_new(void)
{
    struct ullage_bench_report *report = calloc(1, sizeof *report);
    if (report == NULL)
        return NULL;
    int result = ullage_bench_set_text(&report->program, "");
    result |= ullage_bench_set_text(&report->compiler, "");
    result |= ullage_bench_set_text(&report->flags, "");
    result |= ullage_bench_set_text(&report->allocator, "");
    result |= ullage_bench_set_text(&report->libc, "");
    result |= ullage_bench_set_text(&report->kernel, "");
    result |= ullage_bench_set_text(&report->machine, "");
    result |= ullage_bench_set_text(&report->cpu, "");
    result |= ullage_bench_set_text(&report->version, PACKAGE_VERSION);
    if (result == 0)
        result = describe_machine(report);
    if (result == 0)
        return report;
    ullage_bench_report_free(report);
    return NULL;
}

static void free_stack(struct ullage_bench_stack *stack)
{
    for (size_t i = 0; i < stack->function_count; i++)
        free(stack->functions[i]);
    free(stack->functions);
}

static void free_result(struct ullage_bench_result *result)
{
    for (size_t i = 0; i < result->metric_count; i++) {
        free(result->metrics[i].name);
        free(result->metrics[i].samples);
    }
    for (size_t i = 0; i < result->stack_count; i++)
        free_stack(&result->stacks[i]);
    free(result->metrics);
    free(result->stacks);
    free(result->name);
    free(result->variant);
    free(result->message);
    free(result->note);
    free(result->compiler);
    free(result->flags);
    free(result->allocator);
}

void ullage_bench_report_free(struct ullage_bench_report *report)
{
    if (report == NULL)
        return;
    for (size_t i = 0; i < report->result_count; i++)
        free_result(&report->results[i]);
    free(report->results);
    free(report->program);
    free(report->compiler);
    free(report->flags);
    free(report->allocator);
    free(report->libc);
    free(report->kernel);
    free(report->machine);
    free(report->cpu);
    free(report->version);
    free(report);
}

/* ---- results ---- */

/* Takes over what @new holds, or frees it. */
static struct ullage_bench_result *keep_result(struct ullage_bench_report *report, struct ullage_bench_result *new)
{
    for (size_t i = 0; i < report->result_count; i++) {
        struct ullage_bench_result *old = &report->results[i];
        if (strcmp(old->name, new->name) == 0 && strcmp(old->variant, new->variant) == 0) {
            free_result(new);
            return old;
        }
    }
    struct ullage_bench_result *grown = grow(report->results, report->result_count, &report->result_room, sizeof *grown);
    if (grown == NULL) {
        free_result(new);
        return NULL;
    }
    report->results = grown;
    grown[report->result_count] = *new;
    return &grown[report->result_count++];
}

struct ullage_bench_result *ullage_bench_report_result(
    struct ullage_bench_report *report, const char *name, const char *variant)
{
    struct ullage_bench_result new = { .threads = 1 };
    int result = ullage_bench_set_text(&new.name, name);
    result |= ullage_bench_set_text(&new.variant, variant);
    result |= ullage_bench_set_text(&new.message, "");
    result |= ullage_bench_set_text(&new.note, "");
    result |= ullage_bench_set_text(&new.compiler, "");
    result |= ullage_bench_set_text(&new.flags, "");
    result |= ullage_bench_set_text(&new.allocator, "");
    if (result == 0)
        return keep_result(report, &new);
    free_result(&new);
    return NULL;
}

void ullage_bench_report_describe(struct ullage_bench_report *report)
{
    for (size_t i = 0; i < report->result_count; i++) {
        const struct ullage_bench_result *result = &report->results[i];
        if (result->allocator[0] == '\0')
            continue;
        (void)ullage_bench_set_text(&report->compiler, result->compiler);
        (void)ullage_bench_set_text(&report->flags, result->flags);
        (void)ullage_bench_set_text(&report->allocator, result->allocator);
        report->optimized = result->optimized;
        return;
    }
}

/* ---- metrics ---- */

struct ullage_bench_metric *ullage_bench_result_metric(const struct ullage_bench_result *result, const char *name)
{
    for (size_t i = 0; i < result->metric_count; i++)
        if (strcmp(result->metrics[i].name, name) == 0)
            return &result->metrics[i];
    return NULL;
}

/* The metric of that name, new with no sample if there is none. Formats set names apart by spaces. */
static struct ullage_bench_metric *metric_for(struct ullage_bench_result *result, const char *name)
{
    char *clean = clean_copy(name);
    if (clean == NULL)
        return NULL;
    for (char *at = clean; *at != '\0'; at++)
        *at = *at == ' ' ? '_' : *at;
    struct ullage_bench_metric *metric = ullage_bench_result_metric(result, clean), *grown;
    if (metric == NULL) {
        grown = grow(result->metrics, result->metric_count, &result->metric_room, sizeof *grown);
        if (grown != NULL) {
            result->metrics = grown;
            metric = &grown[result->metric_count++];
            *metric = (struct ullage_bench_metric){ .name = clean };
            return metric;
        }
    }
    free(clean);
    return metric;
}

int ullage_bench_result_sample(struct ullage_bench_result *result, const char *name, int better, bool exact, double value)
{
    if (!isfinite(value) || name[0] == '\0')
        return -EINVAL;
    struct ullage_bench_metric *metric = metric_for(result, name);
    if (metric == NULL)
        return -ENOMEM;
    double *grown = grow(metric->samples, metric->sample_count, &metric->sample_room, sizeof *grown);
    if (grown == NULL)
        return -ENOMEM;
    metric->samples = grown;
    if (metric->sample_count == 0) {
        metric->better = better < 0 ? -1 : better > 0;
        metric->exact = exact;
    }
    metric->exact = metric->exact && exact; /* once not counted, no longer exact */
    grown[metric->sample_count++] = value;
    return 0;
}

static int by_value(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

/* At @share of the way from the least to the largest, between two neighbours where it falls there. NaN without memory. */
static double quantile(const struct ullage_bench_metric *metric, double share)
{
    double few[SAMPLES_USUAL], *sorted = few;
    size_t count = metric->sample_count;
    if (count > SAMPLES_USUAL)
        sorted = malloc(count * sizeof *sorted);
    if (sorted == NULL)
        return NAN;
    memcpy(sorted, metric->samples, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, by_value);
    double place = (double)(count - 1) * share, part = place - floor(place);
    size_t below = (size_t)place, above = below + 1 < count ? below + 1 : below;
    double value = sorted[below] == sorted[above] ? sorted[below] : sorted[below] * (1 - part) + sorted[above] * part;
    if (sorted != few)
        free(sorted);
    return value;
}

double ullage_bench_metric_median(const struct ullage_bench_metric *metric)
{
    return metric->sample_count > 0 ? quantile(metric, 0.5) : 0;
}

/* 0 also for a median of 0, of which nothing is a share. */
double ullage_bench_metric_spread(const struct ullage_bench_metric *metric)
{
    double median = ullage_bench_metric_median(metric);
    if (metric->sample_count < 2 || median == 0)
        return 0;
    double half = quantile(metric, 0.75) / 2 - quantile(metric, 0.25) / 2;
    return isnan(half) ? half : fmin(half / fabs(median), DBL_MAX);
}

bool ullage_bench_metric_is_unstable(const struct ullage_bench_metric *metric)
{
    for (size_t i = 1; metric->exact && i < metric->sample_count; i++)
        if (metric->samples[i] != metric->samples[0])
            return true;
    return false;
}

/* ---- stacks ---- */

struct ullage_bench_stack *ullage_bench_result_stack(struct ullage_bench_result *result)
{
    struct ullage_bench_stack *grown = grow(result->stacks, result->stack_count, &result->stack_room, sizeof *grown);
    if (grown == NULL)
        return NULL;
    result->stacks = grown;
    struct ullage_bench_stack *stack = &grown[result->stack_count++];
    *stack = (struct ullage_bench_stack){ .used_max_bytes = UINT64_MAX };
    return stack;
}

int ullage_bench_stack_push(struct ullage_bench_stack *stack, const char *function)
{
    char *copy = clean_copy(function != NULL ? function : "");
    char **grown = reallocarray(stack->functions, stack->function_count + 1, sizeof *grown);
    if (grown != NULL)
        stack->functions = grown;
    if (copy == NULL || grown == NULL) {
        free(copy);
        return -ENOMEM;
    }
    grown[stack->function_count++] = copy;
    return 0;
}
