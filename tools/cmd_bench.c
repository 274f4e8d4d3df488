/* SPDX-License-Identifier: BSD-2-Clause */
/* cmd_bench.c - `ullage bench`: which of its verbs. */
#include "config.h"

#include "bench/bench.h"
#include "command.h"

#include <string.h>

static const struct verb verbs[] = {
    { "run", (char[]) { "ullage bench run" }, ull_bench_run, "measure a benchmark program, its variants, its peers" },
    { "compare", (char[]) { "ullage bench compare" }, ull_bench_compare, "hold two results against each other" },
    { "gate", (char[]) { "ullage bench gate" }, ull_bench_gate, "fail if it costs more than the baseline says" },
    { "exec", (char[]) { "ullage bench exec" }, ull_bench_exec, "measure, or gate, a whole program" },
};

enum { VERBS = sizeof verbs / sizeof verbs[0] };

static void help(FILE *to)
{
    fputs("Usage: ullage bench VERB [OPTION]... [ARGUMENT]...\n"
          "What operations cost in time and memory, and whether a change made them cost more.\n\n",
        to);
    verbs_help(to, verbs, VERBS);
    fputs("\n`ullage bench VERB --help` tells more.\n", to);
}

int cmd_bench(int argc, char **argv)
{
    if (argc < 2) {
        help(stderr);
        return ULL_BENCH_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        help(stdout);
        return ULL_BENCH_FINE;
    }
    int status = verbs_run(verbs, VERBS, argc, argv);
    if (status >= 0)
        return status;
    fprintf(stderr, "ullage bench: no verb '%s'; there are: run compare gate exec (ullage bench --help)\n", argv[1]);
    return ULL_BENCH_USAGE;
}
