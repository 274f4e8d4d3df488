/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * compare.c - two results side by side. What was counted decides; what was timed in two runs is shown, with its p, and
 * decides nothing: between two runs the machine changes as well. For that there is gate --base.
 */
#include "config.h"

#include "bench.h"

#include "stats.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void help(void)
{
    fputs("Usage: ullage bench compare OLD NEW\n"
          "Holds two results of `ullage bench run --format json` against each other.\n\n"
          "Counted metrics (allocs/op, B/op, peak) decide: exit status 2 if one grew.\n"
          "Timed ones are shown with the p of a Mann-Whitney U test, corrected for their\n"
          "number; to gate them run both in turn: ullage bench gate --base PROGRAM.\n\n"
          "Exit status: 0 fine, 1 usage or a file that cannot be read, 2 a counted metric\n"
          "grew or a benchmark vanished.\n",
        stdout);
}

struct pair {
    const struct ullage_bench_result *result;
    const struct ullage_bench_metric *before, *now;
    bool comparable; /* counted in as many iterations */
};

struct pairs {
    struct pair *all;
    double *p;
    size_t count;
};

static const struct ullage_bench_result *find(const struct ullage_bench_report *report, const struct ullage_bench_result *like)
{
    for (size_t i = 0; i < report->result_count; i++)
        if (strcmp(report->results[i].name, like->name) == 0 && strcmp(report->results[i].variant, like->variant) == 0)
            return &report->results[i];
    return NULL;
}

static int collect(struct pairs *pairs, const struct ullage_bench_report *old, const struct ullage_bench_report *new)
{
    size_t room = 0;
    for (size_t i = 0; i < new->result_count; i++)
        room += new->results[i].metric_count;
    pairs->all = calloc(room + 1, sizeof *pairs->all);
    pairs->p = calloc(room + 1, sizeof *pairs->p);
    if (pairs->all == NULL || pairs->p == NULL)
        return -1;
    for (size_t i = 0; i < new->result_count; i++) {
        const struct ullage_bench_result *result = &new->results[i], *before = find(old, result);
        for (size_t k = 0; before != NULL && k < result->metric_count; k++) {
            const struct ullage_bench_metric *metric = &result->metrics[k];
            const struct ullage_bench_metric *then = ullage_bench_result_metric(before, metric->name);
            if (then == NULL || then->sample_count == 0 || metric->sample_count == 0)
                continue;
            pairs->all[pairs->count] = (struct pair) { result, then, metric,
                before->count_iterations == result->count_iterations && before->threads == result->threads };
            pairs->p[pairs->count++] = ull_baseline_has(metric->name) ? NAN
                : ull_stats_mann_whitney(then->samples, then->sample_count, metric->samples, metric->sample_count);
        }
    }
    ull_stats_holm(pairs->p, pairs->count); /* leaves NaN out */
    return 0;
}

static void range_of(const struct ullage_bench_metric *metric, double *low, double *high)
{
    *low = *high = metric->samples[0];
    for (size_t i = 1; i < metric->sample_count; i++) {
        *low = fmin(*low, metric->samples[i]);
        *high = fmax(*high, metric->samples[i]);
    }
}

/* Returns whether a counted metric grew: all of what was counted now is more than all that was counted then. */
static bool print_pair(const struct pair *pair, double p)
{
    double before = ullage_bench_metric_median(pair->before), now = ullage_bench_metric_median(pair->now);
    double change = before != 0 ? (now - before) / fabs(before) * 100 : now != 0 ? HUGE_VAL : 0;
    double low, high, least, most;
    char from[48], to[48], difference[32], why[64];
    bool counted = ull_baseline_has(pair->now->name), grew = false;
    range_of(pair->now, &low, &high);
    range_of(pair->before, &least, &most);
    if (counted && low == least && high == most)
        return false; /* nothing to see */
    snprintf(difference, sizeof difference, isfinite(change) ? "%+.1f %%" : "new", change);
    if (counted && !pair->comparable)
        snprintf(why, sizeof why, "not judged: other iterations");
    else if (counted) {
        grew = low > most;
        snprintf(why, sizeof why, "%s", grew ? "GREW" : high < least ? "fewer" : "unstable");
    } else if (p <= 0.05) {
        snprintf(why, sizeof why, "p = %.2g", p);
    } else {
        snprintf(why, sizeof why, "~ (p = %.2g)", p);
    }
    printf("  %-28.28s %14s %14s %10s  %s\n", pair->now->name, ull_bench_number(before, from), ull_bench_number(now, to), difference, why);
    return grew;
}

/* What was counted before, and is not there now. */
static bool print_uncounted(const struct ullage_bench_result *old, const struct ullage_bench_result *now)
{
    bool any = false;
    for (size_t i = 0; i < old->metric_count && now->status == ULLAGE_BENCH_OK; i++)
        if (ull_baseline_has(old->metrics[i].name) && ullage_bench_result_metric(now, old->metrics[i].name) == NULL) {
            printf("%s, %s: VANISHED: it was not counted now\n", old->name, old->metrics[i].name);
            any = true;
        }
    return any;
}

static bool print_all(const struct pairs *pairs, const struct ullage_bench_report *old, const struct ullage_bench_report *new)
{
    bool grew = false;
    const struct ullage_bench_result *last = NULL;
    for (size_t i = 0; i < pairs->count; i++) {
        const struct ullage_bench_result *result = pairs->all[i].result;
        if (result != last)
            printf("%s%s%s\n", result->name, result->variant[0] != '\0' ? ", " : "", result->variant);
        last = result;
        grew = print_pair(&pairs->all[i], pairs->p[i]) || grew;
    }
    for (size_t i = 0; i < old->result_count; i++) {
        const struct ullage_bench_result *now = find(new, &old->results[i]);
        if (now == NULL || (now->status != ULLAGE_BENCH_OK && old->results[i].status == ULLAGE_BENCH_OK)) {
            printf("%s: %s\n", old->results[i].name, now == NULL ? "VANISHED" : now->message);
            grew = true;
        } else {
            grew = print_uncounted(&old->results[i], now) || grew;
        }
    }
    for (size_t i = 0; i < new->result_count; i++)
        if (find(old, &new->results[i]) == NULL)
            printf("%s: new\n", new->results[i].name);
    return grew;
}

static void warn(const char *what, const char *old, const char *new)
{
    if (old[0] != '\0' && new[0] != '\0' && strcmp(old, new) != 0)
        fprintf(stderr, "ullage bench compare: warning: %s differs: %s, and %s: times say little\n", what, old, new);
}

int ull_bench_compare(int argc, char **argv)
{
    static const struct option long_options[] = { { "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 } };
    struct ullage_bench_report *old = NULL, *new = NULL;
    struct pairs pairs = { NULL, NULL, 0 };
    char error[ULLAGE_BENCH_ERROR_BYTES] = "";
    for (int option; (option = getopt_long(argc, argv, "", long_options, NULL)) != -1;) {
        if (option == 'h')
            help();
        return option == 'h' ? ULL_BENCH_FINE : ULL_BENCH_USAGE;
    }
    if (argc - optind != 2)
        return ull_bench_complain("compare", "takes two results: OLD NEW (see --help)");
    int outcome = ull_bench_read(&old, argv[optind], error);
    if (outcome == 0)
        outcome = ull_bench_read(&new, argv[optind + 1], error);
    if (outcome == 0 && collect(&pairs, old, new) != 0)
        snprintf(error, sizeof error, "not enough memory"), outcome = -1;
    int status = ULL_BENCH_USAGE;
    if (outcome == 0) {
        warn("the processor", old->cpu, new->cpu);
        warn("the kernel", old->kernel, new->kernel);
        status = print_all(&pairs, old, new) ? ULL_BENCH_REGRESSION : ULL_BENCH_FINE;
        if (fflush(stdout) != 0 || ferror(stdout))
            status = ull_bench_complain("compare", "standard output: %s", strerror(errno));
    } else {
        ull_bench_complain("compare", "%s", error);
    }
    free(pairs.all);
    free(pairs.p);
    ullage_bench_report_free(old);
    ullage_bench_report_free(new);
    return status;
}
