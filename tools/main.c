/* SPDX-License-Identifier: BSD-2-Clause */
/* main.c - the command: which verb. */
#include "config.h"

#include "command.h"

#include <string.h>

static const struct verb verbs[] = {
    { "run", (char[]) { "ullage run" }, cmd_run, "run a program and report its oversized buffers" },
    { "report", (char[]) { "ullage report" }, cmd_report, "report on a process, live or dead" },
    { "bench", (char[]) { "ullage bench" }, cmd_bench, "measure benchmarks, and gate what they cost" },
    { "records", (char[]) { "ullage records" }, cmd_records, "look at a stream of sunrpc records: sizes, caps, errors" },
    { "ls", (char[]) { "ullage ls" }, cmd_ls, "list the processes that have a ledger" },
};

enum { VERBS = sizeof verbs / sizeof verbs[0] };

static void help(FILE *to)
{
    fputs("Usage: ullage VERB [OPTION]... [ARGUMENT]...\n"
          "Finds buffers that are larger than what is put into them.\n\n",
        to);
    verbs_help(to, verbs, VERBS);
    fputs("\n`ullage VERB --help` tells more. Begin with: ullage run -- PROGRAM\n", to);
}

int main(int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : NULL;
    if (verb == NULL) {
        help(stderr);
        return EXIT_TROUBLE;
    }
    if (strcmp(verb, "--help") == 0 || strcmp(verb, "-h") == 0 || strcmp(verb, "help") == 0) {
        help(stdout);
        return 0;
    }
    if (strcmp(verb, "--version") == 0) {
        printf("ullage %s\n", ullage_version());
        return 0;
    }
    int status = verbs_run(verbs, VERBS, argc, argv);
    if (status >= 0)
        return status;
    fprintf(stderr, "ullage: no verb '%s'; there are:", verb);
    for (size_t i = 0; i < VERBS; i++)
        fprintf(stderr, " %s", verbs[i].name);
    fputs(" (ullage --help)\n", stderr);
    return EXIT_TROUBLE;
}
