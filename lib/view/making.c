/* SPDX-License-Identifier: BSD-2-Clause */
/* making.c - what the steps of one snapshot share. */
#include "config.h"

#include "view/making.h"

const char *ull_making_text(struct ull_making *m, uint64_t name, size_t room)
{
    char text[1024];
    size_t length = 0;
    for (; length < room && length < sizeof text; length++) {
        const char *at = name != 0 ? ull_file_entry(&m->file, ULL_TABLE_STRINGS, name - 1 + length) : NULL;
        if (at == NULL || *at == '\0') {
            m->broken += at == NULL && name != 0;
            break;
        }
        text[length] = *at;
    }
    return length > 0 ? ull_arena_text(&m->snapshot->arena, text, length) : NULL;
}
