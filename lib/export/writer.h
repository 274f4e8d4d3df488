/* SPDX-License-Identifier: BSD-2-Clause */
/* writer.h - text into a sink: printf, sizes for people, paragraphs broken at a width. The first error sticks. */
#ifndef ULL_EXPORT_WRITER_H
#define ULL_EXPORT_WRITER_H

#include "ullage/export.h"

#include <stdint.h>

struct ull_writer {
    const struct ullage_sink *sink;
    int result; /* of the first write that failed */
    unsigned columns;
};

__attribute__((format(printf, 2, 3))) void ull_write(struct ull_writer *writer, const char *format, ...);

/* Breaks at spaces; the first line begins with @lead, the others with as many spaces. */
void ull_write_paragraph(struct ull_writer *writer, const char *lead, const char *text);

/* A size without a fraction where there is none: "40 KiB". Returns @to. */
char *ull_round_size_text(char to[16], uint64_t bytes);

/* How many columns UTF-8 text takes, as far as one can tell without a locale: one a character. */
unsigned ull_text_width(const char *text);

#endif
