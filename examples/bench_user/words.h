/* SPDX-License-Identifier: BSD-2-Clause */
/* words.h - the library that this project is about: a text as a list of its words. */
#ifndef WORDS_H
#define WORDS_H

#include <stddef.h>

struct words {
    char *text; /* a copy, cut up */
    char **all;
    size_t count;
};

/* 0, or -1 without memory. */
int words_split(struct words *words, const char *text);
void words_free(struct words *words);

#endif
