/* SPDX-License-Identifier: BSD-2-Clause */
/* options.c - the options that the verbs of `ullage bench` have in common, and what they make of them: subjects. */
#include "config.h"

#include "bench.h"

#include "command.h"
#include "preload.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

int ull_bench_complain(const char *verb, const char *format, ...)
{
    char name[32], text[2 * ULLAGE_BENCH_ERROR_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    snprintf(name, sizeof name, "bench %s", verb);
    (void)complain(name, "%s", text);
    return ULL_BENCH_USAGE;
}

/* The letters of the verbs that know an option: r run, g gate, e exec. */
enum { O_HELP = 256, O_FILTER, O_COUNT, O_REPETITIONS, O_TIME, O_TIMEOUT, O_FORMAT, O_OUT, O_NO_MEMORY, O_NO_PIN, O_BASE, O_VARIANT,
    O_AGAINST, O_BASELINE, O_UPDATE, O_FAIL_ON, O_TOLERANCE, O_NAME };

static const struct {
    const char *name, *verbs;
    int argument, option;
} known[] = {
    { "help", "rge", no_argument, O_HELP },
    { "filter", "rg", required_argument, O_FILTER },
    { "count", "re", required_argument, O_COUNT },
    { "repetitions", "e", required_argument, O_REPETITIONS },
    { "time", "rg", required_argument, O_TIME },
    { "timeout", "rge", required_argument, O_TIMEOUT },
    { "format", "rge", required_argument, O_FORMAT },
    { "out", "rge", required_argument, O_OUT },
    { "no-memory", "re", no_argument, O_NO_MEMORY },
    { "no-pin", "rg", no_argument, O_NO_PIN },
    { "base", "rge", required_argument, O_BASE },
    { "variant", "re", required_argument, O_VARIANT },
    { "against", "re", required_argument, O_AGAINST },
    { "baseline", "ge", required_argument, O_BASELINE },
    { "update", "ge", no_argument, O_UPDATE },
    { "fail-on", "ge", required_argument, O_FAIL_ON },
    { "tolerance", "ge", required_argument, O_TOLERANCE },
    { "name", "ge", required_argument, O_NAME },
};
enum { KNOWN = sizeof known / sizeof known[0] };

static bool parse_real(const char *text, double least, double most, double *out)
{
    char *end;
    *out = strtod(text, &end);
    return end != text && *end == '\0' && *out >= least && *out <= most;
}

static int set_format(struct ull_bench_options *options, const char *name)
{
    if (ullage_bench_format_is_known(name)) {
        options->format = name;
        return 0;
    }
    fprintf(stderr, "ullage bench %s: no format '%s'; there are:", options->verb, name);
    for (size_t i = 0; ullage_bench_format_name(i) != NULL; i++)
        fprintf(stderr, " %s", ullage_bench_format_name(i));
    fputc('\n', stderr);
    return ULL_BENCH_USAGE;
}

/* ---- variants ---- */

static bool is_variable(const char *text)
{
    size_t length = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
    return length > 0 && text[length] == '=' && (text[0] < '0' || text[0] > '9');
}

/* The subject of that name, made if there is none; NULL: too many. Place 0 is the plain program. */
static struct ullage_bench_subject *variant_of(struct ull_bench_options *options, const char *name, size_t length)
{
    for (unsigned i = 0; i < options->variant_count; i++) {
        const char *known_name = options->subjects[i + 1].variant;
        if (strlen(known_name) == length && strncmp(known_name, name, length) == 0)
            return &options->subjects[i + 1];
    }
    char *copy = options->variant_count < ULL_VARIANTS_MAX ? strndup(name, length) : NULL;
    if (copy == NULL)
        return NULL;
    struct ullage_bench_subject *subject = &options->subjects[++options->variant_count];
    subject->variant = options->names[options->variant_count - 1] = copy;
    subject->environment = options->environments[options->variant_count - 1];
    return subject;
}

/* NAME= the plain environment; NAME=VAR=VALUE; NAME=PROGRAM another binary. Several of one name add up. */
static int add_variant(struct ull_bench_options *options, char *text)
{
    char *value = strchr(text, '=');
    if (value == NULL || value == text)
        return ull_bench_complain(options->verb, "--variant takes NAME=VAR=VALUE, NAME=PROGRAM or NAME=, not '%s'", text);
    struct ullage_bench_subject *subject = variant_of(options, text, (size_t)(value - text));
    if (subject == NULL)
        return ull_bench_complain(options->verb, "at most %d variants", ULL_VARIANTS_MAX);
    value++;
    char **environment = options->environments[subject - options->subjects - 1];
    unsigned count = 0;
    while (environment[count] != NULL)
        count++;
    if (*value == '\0')
        return 0;
    if (!is_variable(value)) {
        options->programs[subject - options->subjects] = value;
        return 0;
    }
    if (count == ULL_VARIABLES_MAX)
        return ull_bench_complain(options->verb, "at most %d variables in a variant", ULL_VARIABLES_MAX);
    environment[count] = value;
    return 0;
}

/* ---- one option ---- */

static int set_fail_on(struct ull_bench_options *options, const char *text)
{
    for (const char *at = text; *at != '\0';) {
        size_t length = strcspn(at, ",");
        if (length == 11 && strncmp(at, "improvement", length) == 0)
            options->fail_on_improvement = true;
        else if (length == 12 && strncmp(at, "inconclusive", length) == 0)
            options->fail_on_inconclusive = true;
        else
            return ull_bench_complain(options->verb, "--fail-on takes improvement and inconclusive, not '%s'", text);
        at += length + (at[length] == ',');
    }
    return 0;
}

static int set_count(struct ull_bench_options *options, const char *text)
{
    long number;
    if (options->verb[0] == 'e') {
        if (!parse_number(text, 1, 1000000000000L, &number))
            return ull_bench_complain(options->verb, "--count takes how many requests a run answers, not '%s'", text);
        options->series.requests = (uint64_t)number;
        return 0;
    }
    if (!parse_number(text, 1, 10000, &number))
        return ull_bench_complain(options->verb, "--count takes a number of repetitions from 1 to 10000, not '%s'", text);
    options->series.repetitions = (unsigned)number;
    return 0;
}

static int set(struct ull_bench_options *options, int option, char *argument)
{
    double real;
    long number;
    switch (option) {
    case O_FILTER: return options->series.filter = argument, 0;
    case O_COUNT: return set_count(options, argument);
    case O_REPETITIONS:
        if (!parse_number(argument, 1, 10000, &number))
            return ull_bench_complain(options->verb, "--repetitions takes a number from 1 to 10000, not '%s'", argument);
        return options->series.repetitions = (unsigned)number, 0;
    case O_TIME:
        if (!parse_real(argument, 1e-6, 3600, &real))
            return ull_bench_complain(options->verb, "--time takes seconds, from 0.000001 to 3600, not '%s'", argument);
        return options->series.time_ns = (uint64_t)(real * 1e9), 0;
    case O_TIMEOUT:
        if (!parse_real(argument, 0.01, 1e6, &real))
            return ull_bench_complain(options->verb, "--timeout takes seconds, from 0.01 to 1000000, not '%s'", argument);
        return options->series.timeout_ms = (unsigned)(real * 1e3), 0;
    case O_FORMAT: return set_format(options, argument);
    case O_OUT: return options->out = argument, 0;
    case O_NO_MEMORY: return options->no_memory = true, 0;
    case O_NO_PIN: return options->series.pinned = false, 0;
    case O_BASE: return options->base = argument, 0;
    case O_VARIANT: return add_variant(options, argument);
    case O_AGAINST: return options->against = argument, 0;
    case O_BASELINE: return options->baseline = argument, 0;
    case O_UPDATE: return options->update = true, 0;
    case O_FAIL_ON: return set_fail_on(options, argument);
    case O_TOLERANCE:
        if (!parse_real(argument, 0, 1000, &real))
            return ull_bench_complain(options->verb, "--tolerance takes a share, 0.1 for 10 %%, not '%s'", argument);
        return options->tolerance = real, 0;
    case O_NAME: return options->name = argument, 0;
    default: return ULL_BENCH_USAGE;
    }
}

/* ---- subjects ---- */

/* The same arguments for another program. NULL without memory. */
static char **command_with(char **command, char *program)
{
    size_t count = 0;
    while (command[count] != NULL)
        count++;
    char **copy = calloc(count + 1, sizeof *copy);
    for (size_t i = 1; copy != NULL && i < count; i++)
        copy[i] = command[i];
    if (copy != NULL)
        copy[0] = program;
    return copy;
}

/* Puts the one that others are compared with first. */
static int order(struct ull_bench_options *options, unsigned first)
{
    if (options->against == NULL)
        return 0;
    for (unsigned i = first; i <= options->variant_count; i++)
        if (strcmp(options->subjects[i].variant, options->against) == 0) {
            struct ullage_bench_subject wanted = options->subjects[i];
            memmove(&options->subjects[first + 1], &options->subjects[first], (i - first) * sizeof wanted);
            options->subjects[first] = wanted;
            return 0;
        }
    return ull_bench_complain(options->verb, "--against %s: no variant has this name", options->against);
}

/*
 * With variants the plain program runs too, unless one of them is plain itself (NAME=): then it is there under that name.
 * --base PROGRAM is a variant "base" that comes first.
 */
static int resolve(struct ull_bench_options *options)
{
    bool whole = options->verb[0] == 'e', has_plain = false;
    if (options->base != NULL && !options->gates) {
        struct ullage_bench_subject *base = variant_of(options, "base", 4);
        if (base == NULL)
            return ull_bench_complain(options->verb, "at most %d variants", ULL_VARIANTS_MAX);
        options->programs[base - options->subjects] = (char *)(uintptr_t)options->base;
        if (options->against == NULL)
            options->against = "base";
    }
    options->subjects[0] = (struct ullage_bench_subject) { .variant = "", .command = options->command };
    for (unsigned i = 1; i <= options->variant_count; i++) {
        struct ullage_bench_subject *subject = &options->subjects[i];
        char *program = options->programs[i];
        has_plain = has_plain || (program == NULL && subject->environment[0] == NULL);
        options->commands[i - 1] = program != NULL ? command_with(options->command, program) : NULL;
        subject->command = program != NULL ? options->commands[i - 1] : options->command;
        if (subject->command == NULL)
            return ull_bench_complain(options->verb, "not enough memory");
    }
    for (unsigned i = 0; i <= options->variant_count; i++) {
        options->subjects[i].size = sizeof options->subjects[i];
        options->subjects[i].whole_program = whole;
    }
    unsigned first = has_plain ? 1 : 0;
    int outcome = order(options, first);
    options->series.subjects = &options->subjects[first];
    options->series.subject_count = options->variant_count + 1 - first;
    return outcome;
}

static int find_preload(struct ull_bench_options *options)
{
    if (options->no_memory)
        return 0;
    int result = preload_find(options->preload, sizeof options->preload);
    if (result != 0)
        return ull_bench_complain(options->verb, "%s: %s; name it with ULLAGE_PRELOAD, or measure time alone with --no-memory",
            options->preload, strerror(-result));
    options->series.preload = options->preload;
    options->series.counted = ull_bench_counted;
    return 0;
}

static unsigned long_options(struct option *out, char verb)
{
    unsigned count = 0;
    for (unsigned i = 0; i < KNOWN; i++)
        if (strchr(known[i].verbs, verb) != NULL)
            out[count++] = (struct option) { known[i].name, known[i].argument, NULL, known[i].option };
    out[count] = (struct option) { NULL, 0, NULL, 0 };
    return count;
}

int ull_bench_options_parse(struct ull_bench_options *options, char verb, int argc, char **argv, void (*help)(void))
{
    struct option longs[KNOWN + 1];
    memset(options, 0, sizeof *options);
    options->verb = verb == 'r' ? "run" : verb == 'g' ? "gate" : "exec";
    options->gates = verb == 'g';
    options->format = "text";
    options->series = (struct ullage_bench_series) { .size = sizeof options->series, .repetitions = 10,
        .count_repetitions = 2, .time_ns = 100000000, .timeout_ms = verb == 'e' ? 600000 : 60000, .pinned = verb != 'e' };
    if (isatty(STDERR_FILENO))
        options->series.progress = stderr;
    long_options(longs, verb);
    for (int option; (option = getopt_long(argc, argv, "+o:", longs, NULL)) != -1;) {
        if (option == O_HELP) {
            help();
            return ULL_BENCH_FINE;
        }
        int result = option == '?' ? ULL_BENCH_USAGE : set(options, option == 'o' ? O_OUT : option, optarg);
        if (result != 0) {
            fprintf(stderr, "Try `ullage bench %s --help`.\n", options->verb);
            return ULL_BENCH_USAGE;
        }
    }
    if (optind == argc) {
        ull_bench_complain(options->verb, "no program named");
        fprintf(stderr, "Try `ullage bench %s --help`.\n", options->verb);
        return ULL_BENCH_USAGE;
    }
    options->command = argv + optind;
    options->gates = options->gates || options->baseline != NULL;
    if (options->update && options->baseline == NULL)
        return ull_bench_complain(options->verb, "--update needs --baseline FILE");
    if (options->baseline != NULL && (options->variant_count > 0 || options->no_memory))
        return ull_bench_complain(options->verb, "--baseline goes with neither --variant nor --no-memory: it is about what one program asks for");
    int result = resolve(options);
    if (result == 0)
        result = find_preload(options);
    return result == 0 ? -1 : result;
}

void ull_bench_options_fini(struct ull_bench_options *options)
{
    for (unsigned i = 0; i < options->variant_count; i++)
        free(options->names[i]);
    for (unsigned i = 0; i <= ULL_VARIANTS_MAX; i++)
        free(options->commands[i]);
}

int ull_bench_write_report(const struct ull_bench_options *options, const struct ullage_bench_report *report)
{
    struct winsize size;
    unsigned width = isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 80;
    bool to_file = options->out != NULL && strcmp(options->out, "-") != 0;
    FILE *to = to_file ? fopen(options->out, "we") : stdout;
    int result = to != NULL ? ullage_bench_write(to, options->format, report, width) : -errno;
    if (to != NULL && to_file && fclose(to) != 0 && result == 0)
        result = -errno;
    if (result != 0)
        return ull_bench_complain(options->verb, "%s: %s", to_file ? options->out : "standard output", strerror(-result));
    return ULL_BENCH_FINE;
}
