/* SPDX-License-Identifier: BSD-2-Clause */
/* writer.c - text into a sink. */
#include "config.h"

#include "export/writer.h"

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

static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };

static unsigned unit_of(uint64_t bytes, double *scaled)
{
    unsigned unit = 0;
    for (*scaled = (double)bytes; *scaled >= 1023.95 && unit < 6; unit++)
        *scaled /= 1024;
    return unit;
}

char *ull_size_text(char to[16], uint64_t bytes)
{
    double scaled;
    unsigned unit = unit_of(bytes, &scaled);
    snprintf(to, 16, unit == 0 ? "%.0f %s" : "%.1f %s", scaled, units[unit]);
    return to;
}

char *ull_round_size_text(char to[16], uint64_t bytes)
{
    unsigned unit = 0;
    while (unit < 6 && bytes != 0 && bytes % 1024 == 0) {
        bytes /= 1024;
        unit++;
    }
    if (bytes < 10000)
        snprintf(to, 16, "%u %s", (unsigned)bytes, units[unit]);
    else
        ull_size_text(to, bytes << (10 * unit));
    return to;
}

char *ull_duration_text(char to[16], uint64_t ns)
{
    double seconds = (double)ns / 1e9;
    if (seconds < 1)
        snprintf(to, 16, "%.2f s", seconds);
    else if (seconds < 120)
        snprintf(to, 16, "%.1f s", seconds);
    else if (seconds < 7200)
        snprintf(to, 16, "%.0f min", seconds / 60);
    else if (seconds < 172800)
        snprintf(to, 16, "%.0f h", seconds / 3600);
    else
        snprintf(to, 16, "%.0f d", seconds / 86400);
    return to;
}
