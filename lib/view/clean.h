/* SPDX-License-Identifier: BSD-2-Clause */
/* clean.h - text from outside made fit to show: valid UTF-8, nothing that a terminal would obey. */
#ifndef ULL_VIEW_CLEAN_H
#define ULL_VIEW_CLEAN_H

#include <stddef.h>

enum { ULL_CLEAN_GROWTH = 3 }; /* a byte may become U+FFFD, three bytes */

/*
 * Copies @bytes of text to @to (of @room bytes, NUL-terminated, cut at a whole character). Control characters, among
 * them the ones past 0x7f, and bytes that are no UTF-8 become U+FFFD.
 */
void ull_clean_text(char *to, size_t room, const char *text, size_t bytes);

#endif
