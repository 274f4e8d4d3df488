/* SPDX-License-Identifier: BSD-2-Clause */
/* command.h - what the verbs of the command share. */
#ifndef ULL_TOOLS_COMMAND_H
#define ULL_TOOLS_COMMAND_H

#include "ullage/export.h"
#include "ullage/view.h"

#include <stdbool.h>
#include <stdio.h>

enum { EXIT_TROUBLE = 2, EXIT_NOT_EXECUTABLE = 126, EXIT_NOT_FOUND = 127 };

/* One verb of several: argv[0] of run() is its own name. Returns the exit status. */
struct verb {
    const char *name;
    char *whole; /* argv[0], for getopt's messages */
    int (*run)(int argc, char **argv);
    const char *help;
};

/* Runs the verb that argv[1] names. -1: it names none, and nothing was said. */
int verbs_run(const struct verb *verbs, size_t count, int argc, char **argv);
/* One line each. */
void verbs_help(FILE *to, const struct verb *verbs, size_t count);

/* Each verb. */
int cmd_bench(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_report(int argc, char **argv);
int cmd_records(int argc, char **argv);
int cmd_ls(int argc, char **argv);

/* One line on standard error, "ullage VERB: …"; returns EXIT_TROUBLE. */
__attribute__((format(printf, 2, 3))) int complain(const char *verb, const char *format, ...);
/* For what getopt_long() refused, or an argument that does not fit. */
int complain_usage(const char *verb);

/* Options that run and report have in common; see report_options_parse(). */
struct report_options {
    struct ullage_thresholds thresholds;
    const char *debug_directory;
    unsigned top;
    int error_exitcode; /* -1: none */
};
#define REPORT_OPTIONS_INIT { ULLAGE_THRESHOLDS_INIT, NULL, 0, -1 }

enum { OPTION_HELP = 256, OPTION_JSON, OPTION_TOP, OPTION_ERROR_EXITCODE, OPTION_THRESHOLD, OPTION_DEBUG_DIR,
    OPTION_SAMPLE_BYTES, OPTION_MIN_BYTES, OPTION_EXACT,
    OPTION_POOL, OPTION_PRUNE,
    OPTION_LIST, OPTION_RPC, OPTION_MAX_RECORD, OPTION_MAX_FRAGMENT, OPTION_MAX_FRAGMENTS };
#define REPORT_LONG_OPTIONS \
    { "help", no_argument, NULL, OPTION_HELP }, { "top", required_argument, NULL, OPTION_TOP }, \
    { "error-exitcode", required_argument, NULL, OPTION_ERROR_EXITCODE }, \
    { "threshold", required_argument, NULL, OPTION_THRESHOLD }, \
    { "debug-dir", required_argument, NULL, OPTION_DEBUG_DIR }

/* 0 taken; 1 not one of these; EXIT_TROUBLE after a complaint. */
int report_options_parse(struct report_options *options, const char *verb, int option, const char *argument);
/* The lines of help for them. */
void report_options_help(FILE *to);

/* A whole number in [least, most]; false if @text is none. */
bool parse_number(const char *text, long least, long most, long *out);

/* Text to @to: colour where it is a terminal and NO_COLOR is not set, as wide as it is. 0 or negative errno. */
int write_text(FILE *to, const struct ullage_snapshot *snapshot, unsigned top);
int write_json(FILE *to, const struct ullage_snapshot *snapshot, unsigned top);

#endif
