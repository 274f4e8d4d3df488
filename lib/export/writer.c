/* SPDX-License-Identifier: BSD-2-Clause */
/* writer.c - text into a sink. */
#include "config.h"

#include "export/writer.h"

#include "base/quantity.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put(struct ull_writer *writer, const char *bytes, size_t count)
{
    if (writer->result == 0 && count > 0)
        writer->result = writer->sink->write(writer->sink->context, bytes, count);
}

void ull_write(struct ull_writer *writer, const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (length < 0) {
        writer->result = writer->result != 0 ? writer->result : -12; /* ENOMEM */
        return;
    }
    put(writer, text, (size_t)length);
    free(text);
}

unsigned ull_text_width(const char *text)
{
    unsigned width = 0;
    for (; *text != '\0'; text++)
        width += (*text & 0xc0) != 0x80;
    return width;
}

void ull_write_paragraph(struct ull_writer *writer, const char *lead, const char *text)
{
    unsigned indent = ull_text_width(lead), at = indent;
    put(writer, lead, strlen(lead));
    for (bool first = true; *text != '\0'; first = false) {
        size_t length = strcspn(text, " ");
        char word[4096];
        snprintf(word, sizeof word, "%.*s", (int)(length < sizeof word - 1 ? length : sizeof word - 1), text);
        unsigned width = ull_text_width(word);
        if (!first && at + 1 + width > writer->columns) {
            ull_write(writer, "\n%*s", (int)indent, "");
            at = indent;
        } else if (!first) {
            put(writer, " ", 1);
            at++;
        }
        put(writer, word, strlen(word));
        at += width;
        text += length;
        text += strspn(text, " ");
    }
    put(writer, "\n", 1);
}

char *ull_round_size_text(char to[16], uint64_t bytes)
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
    unsigned unit = 0;
    uint64_t scaled = bytes;
    while (unit < 6 && scaled != 0 && scaled % 1024 == 0) {
        scaled /= 1024;
        unit++;
    }
    if (scaled < 10000)
        snprintf(to, 16, "%u %s", (unsigned)scaled, units[unit]);
    else
        ull_quantity_size(to, bytes);
    return to;
}
