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

/* "40.0 KiB", "1.0 MiB", "512 B"; at least 16 bytes at @to, which it returns. */
char *ull_size_text(char to[16], uint64_t bytes);
/* Without the fraction where there is none: "40 KiB". */
char *ull_round_size_text(char to[16], uint64_t bytes);
/* "0.4 s", "3 min", "2 h", "5 d". */
char *ull_duration_text(char to[16], uint64_t ns);

/* How many columns UTF-8 text takes, as far as one can tell without a locale: one a character. */
unsigned ull_text_width(const char *text);

#endif
