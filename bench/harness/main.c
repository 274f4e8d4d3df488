/* SPDX-License-Identifier: BSD-2-Clause */
/* main.c - a benchmark program run by itself: options, then every benchmark in processes of its own, then the report. */
#include "config.h"

#include "harness.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { EXIT_FINE = 0, EXIT_USAGE = 1, EXIT_BROKEN = 3 };

struct options {
    struct ullage_bench_series series;
    bool list, no_memory;
    const char *format, *out;
};

static void help(const char *program)
{
    printf("Usage: %s [OPTION]...\n"
           "Runs its benchmarks, each in processes of its own, and says what an operation\n"
           "costs: in time and, where Ullage's interposer is found, in allocations and bytes.\n\n"
           "  --list             their names\n"
           "  --filter PART,...  those whose name has one of the parts in it\n"
           "  --count N          repetitions (10)\n"
           "  --time SECONDS     how long a repetition takes (0.1)\n"
           "  --timeout SECONDS  how long one may take (60)\n"
           "  --format F         text, json, go, google, github, bencher, tap, junit,\n"
           "                     prometheus or markdown\n"
           "  --out FILE         there instead of standard output\n"
           "  --no-memory        time alone\n"
           "  --no-pin           on any processor; else on as many as it has threads\n\n"
           "Exit status: 0 fine, 1 usage, 3 a benchmark failed, crashed or timed out.\n"
           "To compare two programs, and to gate what changed: ullage bench --help.\n",
        program);
}

static int complain(const char *program, const char *what, const char *why)
{
    fprintf(stderr, "%s: %s: %s; see --help\n", program, what, why);
    return EXIT_USAGE;
}

static bool parse_seconds(const char *text, double least, double most, double *out)
{
    char *end;
    *out = strtod(text, &end);
    return end != text && *end == '\0' && *out >= least && *out <= most;
}

enum { OPTION_HELP = 256, OPTION_LIST, OPTION_FILTER, OPTION_COUNT, OPTION_TIME, OPTION_TIMEOUT, OPTION_FORMAT, OPTION_OUT,
    OPTION_NO_MEMORY, OPTION_NO_PIN };

/* 0 go on; negative: help was given; else the exit status. */
static int parse_option(struct options *options, const char *program, int option)
{
    double seconds;
    long count;
    char *end;
    switch (option) {
    case OPTION_HELP:
        help(program);
        return -1;
    case OPTION_LIST:
        options->list = true;
        return 0;
    case OPTION_FILTER:
        options->series.filter = optarg;
        return 0;
    case OPTION_COUNT:
        count = strtol(optarg, &end, 10);
        if (end == optarg || *end != '\0' || count < 1 || count > 10000)
            return complain(program, optarg, "--count takes a number from 1 to 10000");
        options->series.repetitions = (unsigned)count;
        return 0;
    case OPTION_TIME:
        if (!parse_seconds(optarg, 1e-6, 3600, &seconds))
            return complain(program, optarg, "--time takes seconds, from 0.000001 to 3600");
        options->series.time_ns = (uint64_t)(seconds * 1e9);
        return 0;
    case OPTION_TIMEOUT:
        if (!parse_seconds(optarg, 0.01, 1e6, &seconds))
            return complain(program, optarg, "--timeout takes seconds, from 0.01 to 1000000");
        options->series.timeout_ms = (unsigned)(seconds * 1e3);
        return 0;
    case OPTION_FORMAT:
        if (!ullage_bench_format_is_known(optarg))
            return complain(program, optarg, "no such format");
        options->format = optarg;
        return 0;
    case OPTION_OUT:
        options->out = optarg;
        return 0;
    case OPTION_NO_MEMORY:
        options->no_memory = true;
        return 0;
    case OPTION_NO_PIN:
        options->series.pinned = false;
        return 0;
    default:
        fprintf(stderr, "%s: see --help\n", program);
        return EXIT_USAGE;
    }
}

static int print_name(void *context, const struct ull_case *one)
{
    (void)context;
    puts(one->name);
    return 0;
}

/* Where nothing has to be run, the names are known here; groups know theirs when they run. */
static int has_group(void *context, const struct ull_case *one)
{
    (void)context;
    return one->is_group;
}

static int list(const struct options *options, const struct ullage_bench_subject *subject, char *error)
{
    char **names;
    size_t count;
    if (options->series.filter == NULL && ull_registry_each(has_group, NULL) == 0)
        return ull_registry_each(print_name, NULL);
    int result = ullage_bench_list(subject, options->series.filter, &names, &count, error);
    for (size_t i = 0; result == 0 && i < count; i++)
        puts(names[i]);
    if (result == 0)
        ullage_bench_names_free(names, count);
    return result;
}

static int write_report(const struct options *options, const struct ullage_bench_report *report, const char *program)
{
    struct winsize size;
    unsigned width = isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 80;
    FILE *to = options->out != NULL ? fopen(options->out, "we") : stdout;
    int result = to != NULL ? ullage_bench_write(to, options->format, report, width) : -errno;
    if (to != NULL && to != stdout && fclose(to) != 0 && result == 0)
        result = -errno;
    if (result != 0)
        fprintf(stderr, "%s: %s: %s\n", program, options->out != NULL ? options->out : "standard output", strerror(-result));
    return result == 0 ? EXIT_FINE : EXIT_USAGE;
}

static const char *find_preload(void)
{
    const char *named = getenv("ULLAGE_PRELOAD");
    if (named != NULL && named[0] == '/' && access(named, R_OK) == 0)
        return named;
    return access(PKGLIBDIR "/libullage-preload.so", R_OK) == 0 ? PKGLIBDIR "/libullage-preload.so" : NULL;
}

static int run(struct options *options, const struct ullage_bench_subject *subject, char *error)
{
    struct ullage_bench_report *report = ullage_bench_report_new();
    if (report == NULL || ullage_bench_set_text(&report->program, subject->command[0]) != 0) {
        snprintf(error, ULLAGE_BENCH_ERROR_BYTES, "not enough memory");
        ullage_bench_report_free(report);
        return -ENOMEM;
    }
    options->series.subjects = subject;
    options->series.subject_count = 1;
    options->series.preload = options->no_memory ? NULL : find_preload();
    if (options->series.preload == NULL && !options->no_memory)
        fprintf(stderr, "%s: the interposer is not installed: time alone (name it with ULLAGE_PRELOAD)\n", subject->command[0]);
    int result = ullage_bench_run(&options->series, report, error);
    int status = EXIT_FINE;
    if (result == 0) {
        if (!report->optimized && strcmp(options->format, "text") == 0)
            fprintf(stderr, "%s: built without optimization: its times say little\n", subject->command[0]);
        status = write_report(options, report, subject->command[0]);
        for (size_t i = 0; i < report->result_count && status == EXIT_FINE; i++)
            if (report->results[i].status != ULLAGE_BENCH_OK && report->results[i].status != ULLAGE_BENCH_SKIPPED)
                status = EXIT_BROKEN;
    }
    ullage_bench_report_free(report);
    return result != 0 ? result : status;
}

int ullage_bench_main(int argc, char **argv, const struct ullage_bench_build *build)
{
    static const struct option long_options[] = { { "help", no_argument, NULL, OPTION_HELP },
        { "list", no_argument, NULL, OPTION_LIST }, { "filter", required_argument, NULL, OPTION_FILTER },
        { "count", required_argument, NULL, OPTION_COUNT }, { "time", required_argument, NULL, OPTION_TIME },
        { "timeout", required_argument, NULL, OPTION_TIMEOUT }, { "format", required_argument, NULL, OPTION_FORMAT },
        { "out", required_argument, NULL, OPTION_OUT }, { "no-memory", no_argument, NULL, OPTION_NO_MEMORY },
        { "no-pin", no_argument, NULL, OPTION_NO_PIN }, { NULL, 0, NULL, 0 } };
    struct options options = { .series = { .size = sizeof options.series, .repetitions = 10, .count_repetitions = 2,
                                   .time_ns = 100000000, .timeout_ms = 60000, .pinned = true },
        .format = "text" };
    char error[ULLAGE_BENCH_ERROR_BYTES] = "";
    const char *fault = ull_registry_fault();
    if (fault != NULL) {
        fprintf(stderr, "%s: %s\n", argv[0], fault);
        return EXIT_USAGE;
    }
    int result = ull_child_main(build);
    if (result >= 0)
        return result;
    for (int option; (option = getopt_long(argc, argv, "", long_options, NULL)) != -1;) {
        result = parse_option(&options, argv[0], option);
        if (result != 0)
            return result < 0 ? EXIT_FINE : result;
    }
    if (optind < argc)
        return complain(argv[0], argv[optind], "unexpected");
    if (isatty(STDERR_FILENO))
        options.series.progress = stderr;
    char self[] = "/proc/self/exe", *command[] = { argv[0], NULL };
    if (strchr(argv[0], '/') == NULL && access(argv[0], X_OK) != 0)
        command[0] = self;
    const struct ullage_bench_subject subject = { .size = sizeof subject, .variant = "", .command = command };
    result = options.list ? list(&options, &subject, error) : run(&options, &subject, error);
    if (result >= 0)
        return result;
    fprintf(stderr, "%s: %s\n", argv[0], error);
    return EXIT_USAGE;
}
