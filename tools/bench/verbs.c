/* SPDX-License-Identifier: BSD-2-Clause */
/* verbs.c - run, gate and exec: options in, a series or a gate, a report out. */
#include "config.h"

#include "bench.h"

#include <errno.h>
#include <string.h>

#define COMMON_HELP \
    "  --timeout SECONDS      how long a repetition may take (%s)\n" \
    "  --format F             text, json, go, google, github, bencher, tap, junit,\n" \
    "                         prometheus or markdown\n" \
    "  -o, --out FILE         there instead of standard output\n"
#define GATE_HELP \
    "  --baseline FILE        the counts that are checked in\n" \
    "  --update               write it; else it is never touched\n" \
    "  --base PROGRAM         also time it against this one, in turn, in this run\n" \
    "  --tolerance SHARE      change of time that fails (0.05, which is the least)\n" \
    "  --fail-on WHAT,...     improvement (exit 4), inconclusive (exit 6)\n"

static void run_help(void)
{
    printf("Usage: ullage bench run [OPTION]... [--] PROGRAM\n"
           "Runs a benchmark program (one that ends with ULLAGE_BENCH_MAIN()): what each\n"
           "operation costs in time, and, counted in a second pass, in memory.\n\n"
           "  --filter PART,...      benchmarks whose name has one of the parts in it\n"
           "  --count N              repetitions of each (10)\n"
           "  --time SECONDS         how long a repetition takes (0.1)\n" COMMON_HELP
           "  --base PROGRAM         run this one in turn with it, and give ratios to it\n"
           "  --variant NAME=VAR=VALUE, NAME=PROGRAM, NAME=\n"
           "                         the same in another environment, another program, or as\n"
           "                         it is; in turn; may be given often\n"
           "  --against NAME         the variant that ratios are to (the first)\n"
           "  --no-memory            time alone\n"
           "  --no-pin               on any processor\n\n"
           "Exit status: 0 fine, 1 usage, 3 a benchmark crashed, failed or timed out.\n",
        "60");
}

static void gate_help(void)
{
    printf("Usage: ullage bench gate [OPTION]... [--] PROGRAM\n"
           "Fails if a benchmark asks for more memory than the baseline says, and names the\n"
           "stacks that grew. With --base also if it takes more time than that program.\n\n" GATE_HELP
           "  --name NAME            of the program in the baseline (the program's own)\n"
           "  --filter PART,...      benchmarks whose name has one of the parts in it\n"
           "  --time SECONDS         how long a timed repetition takes (0.1)\n" COMMON_HELP
           "  --no-pin               on any processor\n\n"
           "Exit status: 0 fine, 1 usage, 2 a regression, 3 a benchmark crashed, failed or\n"
           "timed out, 4 an improvement and 6 inconclusive (both with --fail-on), 5 no\n"
           "baseline or one that does not fit.\n",
        "60");
}

static void exec_help(void)
{
    printf("Usage: ullage bench exec [OPTION]... [--] COMMAND [ARGUMENT]...\n"
           "The same measures of a whole program: what a run costs, what it costs a second,\n"
           "how often each thread is switched, and in a second pass what it asked for.\n\n"
           "  --count N              requests that a run answers: figures are for each\n"
           "  --repetitions N        runs (10)\n"
           "  --name NAME            of it in reports and baseline (the command's own)\n" COMMON_HELP GATE_HELP
           "  --variant, --against   as of ullage bench run\n"
           "  --no-memory            time alone\n\n"
           "Its standard output is thrown away. Exit status: as of run, or with --baseline\n"
           "as of gate.\n",
        "600");
}

static bool is_broken(const struct ullage_bench_report *report)
{
    for (size_t i = 0; i < report->result_count; i++)
        if (report->results[i].status != ULLAGE_BENCH_OK && report->results[i].status != ULLAGE_BENCH_SKIPPED)
            return true;
    return false;
}

static int run_series(struct ull_bench_options *options)
{
    char error[ULLAGE_BENCH_ERROR_BYTES] = "not enough memory";
    struct ullage_bench_report *report = ullage_bench_report_new();
    int outcome = report != NULL ? ullage_bench_set_text(&report->program, options->command[0]) : -ENOMEM;
    if (outcome == 0)
        outcome = ullage_bench_run(&options->series, report, error);
    if (outcome == 0 && options->name != NULL)
        for (size_t i = 0; i < report->result_count; i++)
            (void)ullage_bench_set_text(&report->results[i].name, options->name);
    int status = outcome == 0 ? ull_bench_write_report(options, report) : ull_bench_complain(options->verb, "%s", error);
    if (status == ULL_BENCH_FINE && is_broken(report))
        status = ULL_BENCH_BROKEN;
    ullage_bench_report_free(report);
    return status;
}

static int verb(char which, int argc, char **argv, void (*help)(void))
{
    static struct ull_bench_options options; /* static: it is large */
    int status = ull_bench_options_parse(&options, which, argc, argv, help);
    if (status < 0)
        status = options.gates ? ull_gate_run(&options) : run_series(&options);
    ull_bench_options_fini(&options);
    return status;
}

int ull_bench_run(int argc, char **argv)
{
    return verb('r', argc, argv, run_help);
}

int ull_bench_gate(int argc, char **argv)
{
    return verb('g', argc, argv, gate_help);
}

int ull_bench_exec(int argc, char **argv)
{
    return verb('e', argc, argv, exec_help);
}
