/* SPDX-License-Identifier: BSD-2-Clause */
#include "words.h"

#include <stdlib.h>
#include <string.h>

/* Two allocations, however long the text: with one for each word the gate fails. */
int words_split(struct words *words, const char *text)
{
    size_t bytes = strlen(text) + 1, room = bytes / 2 + 1;
    words->count = 0;
    words->text = malloc(bytes);
    words->all = malloc(room * sizeof *words->all);
    if (words->text == NULL || words->all == NULL) {
        words_free(words);
        return -1;
    }
    memcpy(words->text, text, bytes);
    for (char *rest = words->text, *word; (word = strtok_r(NULL, " ", &rest)) != NULL;)
        words->all[words->count++] = word;
    return 0;
}

void words_free(struct words *words)
{
    free(words->text);
    free(words->all);
    words->text = NULL;
    words->all = NULL;
}
