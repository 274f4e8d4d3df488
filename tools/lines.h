/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lines.h - standard output for millions of lines: a buffer of our own, numbers without printf, the first error kept.
 *
 * After an error nothing more is written, and the caller stops: a full disk or a reader that has gone is no silence.
 */
#ifndef ULL_TOOLS_LINES_H
#define ULL_TOOLS_LINES_H

#include "ullage/export.h"

#include <stdint.h>

enum { LINES_BYTES = 64 * 1024, LINES_COLUMNS = 80 };

struct lines {
    int fd;
    int error; /* negative errno of the first write that failed */
    size_t count;
    char bytes[LINES_BYTES];
};

void lines_text(struct lines *lines, const char *text);
void lines_number(struct lines *lines, uint64_t value);
/* Eight digits. */
void lines_hex(struct lines *lines, uint32_t value);
/* Right-aligned in @columns. */
void lines_number_at(struct lines *lines, unsigned columns, uint64_t value);
/* Breaks at spaces, at 80 columns; the first line begins with @lead, the others with as many spaces. */
void lines_paragraph(struct lines *lines, const char *lead, const char *text);
/* 0, or the error. */
int lines_flush(struct lines *lines);
struct ullage_sink lines_sink(struct lines *lines);

#endif
