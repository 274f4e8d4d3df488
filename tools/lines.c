/* SPDX-License-Identifier: BSD-2-Clause */
/* lines.c - see lines.h. */
#include "config.h"

#include "lines.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

int lines_flush(struct lines *lines)
{
    size_t written = 0;
    while (lines->error == 0 && written < lines->count) {
        ssize_t got = write(lines->fd, lines->bytes + written, lines->count - written);
        if (got > 0)
            written += (size_t)got;
        else if (got < 0 && errno == EAGAIN)
            poll(&(struct pollfd) { .fd = lines->fd, .events = POLLOUT }, 1, -1);
        else if (got == 0 || errno != EINTR)
            lines->error = got == 0 ? -EIO : -errno;
    }
    lines->count = 0;
    return lines->error;
}

static void put(struct lines *lines, const char *bytes, size_t count)
{
    while (count > 0 && lines->error == 0) {
        size_t room = LINES_BYTES - lines->count, part = count < room ? count : room;
        memcpy(lines->bytes + lines->count, bytes, part);
        lines->count += part;
        bytes += part;
        count -= part;
        if (lines->count == LINES_BYTES)
            lines_flush(lines);
    }
}

void lines_text(struct lines *lines, const char *text)
{
    put(lines, text, strlen(text));
}

void lines_number_at(struct lines *lines, unsigned columns, uint64_t value)
{
    char digits[64];
    unsigned at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    while (sizeof digits - at < columns && at > 0)
        digits[--at] = ' ';
    put(lines, digits + at, sizeof digits - at);
}

void lines_number(struct lines *lines, uint64_t value)
{
    lines_number_at(lines, 0, value);
}

void lines_hex(struct lines *lines, uint32_t value)
{
    char digits[8];
    for (unsigned i = 0; i < sizeof digits; i++)
        digits[i] = "0123456789abcdef"[value >> (28 - 4 * i) & 15];
    put(lines, digits, sizeof digits);
}

static void end_line(struct lines *lines, size_t indent)
{
    lines_text(lines, "\n");
    while (indent-- > 0)
        put(lines, " ", 1);
}

void lines_paragraph(struct lines *lines, const char *lead, const char *text)
{
    size_t indent = strlen(lead), at = indent;
    lines_text(lines, lead);
    for (bool first = true; *text != '\0'; first = false) {
        size_t length = strcspn(text, " ");
        if (!first && at + 1 + length > LINES_COLUMNS) {
            end_line(lines, indent);
            at = indent;
        } else if (!first) {
            put(lines, " ", 1);
            at++;
        }
        put(lines, text, length);
        at += length;
        text += length;
        text += strspn(text, " ");
    }
    end_line(lines, 0);
}

static int sink_write(void *context, const void *bytes, size_t count)
{
    struct lines *lines = context;
    put(lines, bytes, count);
    return lines->error;
}

struct ullage_sink lines_sink(struct lines *lines)
{
    return (struct ullage_sink) { sink_write, lines };
}
