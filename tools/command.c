/* SPDX-License-Identifier: BSD-2-Clause */
/* command.c - what the verbs of the command share. */
#include "config.h"

#include "command.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

int verbs_run(const struct verb *verbs, size_t count, int argc, char **argv)
{
    for (size_t i = 0; i < count && argc > 1; i++)
        if (strcmp(argv[1], verbs[i].name) == 0) {
            argv[1] = verbs[i].whole;
            return verbs[i].run(argc - 1, argv + 1);
        }
    return -1;
}

void verbs_help(FILE *to, const struct verb *verbs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        fprintf(to, "  %-8s %s\n", verbs[i].name, verbs[i].help);
}

int complain(const char *verb, const char *format, ...)
{
    char text[2 * ULLAGE_ERROR_BYTES + ULLAGE_PATH_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    for (char *at = text; *at != '\0'; at++) /* a path may hold anything, and a terminal obeys it */
        if ((unsigned char)*at < ' ' || *at == 127)
            *at = '?';
    fprintf(stderr, "ullage %s: %s\n", verb, text);
    return EXIT_TROUBLE;
}

int complain_usage(const char *verb)
{
    fprintf(stderr, "Try `ullage %s --help`.\n", verb);
    return EXIT_TROUBLE;
}

bool parse_number(const char *text, long least, long most, long *out)
{
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value < least || value > most)
        return false;
    *out = value;
    return true;
}

static int parse_threshold(struct report_options *options, const char *verb, const char *argument)
{
    int result = ullage_threshold_set(&options->thresholds, argument);
    if (result == -ENOENT) {
        const char *help, *otherwise, *name;
        fprintf(stderr, "ullage %s: no threshold in '%s'; there are:", verb, argument);
        for (unsigned i = 0; (name = ullage_threshold_name(i, &help, &otherwise)) != NULL; i++)
            fprintf(stderr, " %s", name);
        fputc('\n', stderr);
        return EXIT_TROUBLE;
    }
    if (result != 0)
        return complain(verb, "'%s' is no NAME=VALUE that this threshold can have (see --help)", argument);
    return 0;
}

int report_options_parse(struct report_options *options, const char *verb, int option, const char *argument)
{
    long number;
    switch (option) {
    case OPTION_TOP:
        if (!parse_number(argument, 1, 1000000, &number))
            return complain(verb, "--top takes a number from 1 to 1000000, not '%s'", argument);
        options->top = (unsigned)number;
        return 0;
    case OPTION_ERROR_EXITCODE:
        if (!parse_number(argument, 1, 255, &number))
            return complain(verb, "--error-exitcode takes a number from 1 to 255, not '%s'", argument);
        options->error_exitcode = (int)number;
        return 0;
    case OPTION_THRESHOLD:
        return parse_threshold(options, verb, argument);
    case OPTION_DEBUG_DIR:
        options->debug_directory = argument;
        return 0;
    default:
        return 1;
    }
}

void report_options_help(FILE *to)
{
    const char *help, *otherwise, *name;
    fputs("  --top N                 show N sites (text: 10, JSON: all)\n"
          "  --error-exitcode N      exit with N if a site is flagged\n"
          "  --debug-dir DIR         look for separate debug files in DIR too\n"
          "  --threshold NAME=VALUE  change what is flagged; may be given again. Names:\n",
        to);
    for (unsigned i = 0; (name = ullage_threshold_name(i, &help, &otherwise)) != NULL; i++)
        fprintf(to, "      %-13s %-5s %s\n", name, otherwise, help);
}

static int write_to_stream(void *context, const void *bytes, size_t count)
{
    return fwrite(bytes, 1, count, context) == count ? 0 : errno != 0 ? -errno : -EIO;
}

static unsigned terminal_columns(FILE *to)
{
    struct winsize size;
    return ioctl(fileno(to), TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

int write_text(FILE *to, const struct ullage_snapshot *snapshot, unsigned top)
{
    const char *no_colour = getenv("NO_COLOR"), *terminal = getenv("TERM");
    bool is_terminal = isatty(fileno(to)) != 0;
    struct ullage_text_options options = ULLAGE_TEXT_OPTIONS_INIT;
    struct ullage_sink sink = { write_to_stream, to };
    options.top = top;
    options.columns = is_terminal ? terminal_columns(to) : 80;
    options.colour = is_terminal && (no_colour == NULL || no_colour[0] == '\0')
        && (terminal == NULL || strcmp(terminal, "dumb") != 0);
    int result = ullage_export_text(snapshot, &sink, &options);
    return result == 0 && fflush(to) != 0 ? -errno : result;
}

int write_json(FILE *to, const struct ullage_snapshot *snapshot, unsigned top)
{
    struct ullage_sink sink = { write_to_stream, to };
    int result = ullage_export_json(snapshot, &sink, top);
    return result == 0 && fflush(to) != 0 ? -errno : result;
}
