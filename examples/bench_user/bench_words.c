/* SPDX-License-Identifier: BSD-2-Clause */
#include "words.h"

#include <ullage/bench.h>

#include <string.h>

enum { TEXT_MAX = 1 << 16 };

static char text[TEXT_MAX + 1];

static void fill(size_t bytes)
{
    memset(text, 'w', bytes);
    for (size_t i = 5; i < bytes; i += 6)
        text[i] = ' ';
    text[bytes] = '\0';
}

ULLAGE_BENCH_ARGS(split, 64, 4096, 65536)
{
    fill((size_t)b->argument);
    ullage_bench_bytes(b, (uint64_t)b->argument);
    ullage_bench_reset_clock(b);
    for (uint64_t i = 0; i < b->iterations; i++) {
        struct words words;
        if (words_split(&words, text) != 0) {
            ullage_bench_fail(b, "no memory");
            return;
        }
        ullage_bench_keep(words.all);
        words_free(&words);
    }
}

ULLAGE_BENCH_MAIN()
