/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * put.c - numbers and text, escaped for machines or rounded for people.
 *
 * printf writes the decimal point of the locale, which the program that reports may have set: it is put back to a point.
 */
#include "config.h"

#include "format.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- numbers ---- */

/* Whatever is no part of a number in C's own locale is the other locale's point: it may take several bytes. */
static void restore_point(char *text)
{
    char *to = text;
    for (const char *from = text; *from != '\0';) {
        size_t plain = strspn(from, "+-0123456789e");
        memmove(to, from, plain);
        to += plain;
        from += plain;
        size_t other = strcspn(from, "+-0123456789e");
        if (other > 0)
            *to++ = '.';
        from += other;
    }
    *to = '\0';
}

char *ull_number(char to[ULL_NUMBER_BYTES], double value)
{
    if (isnan(value))
        return strcpy(to, "NaN");
    value = fmin(fmax(value, -DBL_MAX), DBL_MAX);
    for (int digits = DBL_DIG; digits <= DBL_DECIMAL_DIG; digits++) {
        snprintf(to, ULL_NUMBER_BYTES, "%.*g", digits, value);
        if (strtod(to, NULL) == value)
            break;
    }
    restore_point(to);
    return to;
}

char *ull_decimal(char to[ULL_NUMBER_BYTES], double value, int decimals)
{
    value = isnan(value) ? 0 : fmin(fmax(value, -1e15), 1e15);
    snprintf(to, ULL_NUMBER_BYTES, "%.*f", decimals, value);
    restore_point(to);
    return to;
}

/* ---- UTF-8 ---- */

/* How many bytes follow this one, and its own bits of the character; -1: none begins with it. */
static int lead_byte(unsigned char byte, uint32_t *bits)
{
    static const unsigned char masks[] = { 0x7f, 0x1f, 0x0f, 0x07 };
    int more = -1;
    if (byte < 0x80)
        more = 0;
    else if (byte >= 0xc2 && byte <= 0xdf)
        more = 1;
    else if (byte >= 0xe0 && byte <= 0xef)
        more = 2;
    else if (byte >= 0xf0 && byte <= 0xf4)
        more = 3;
    *bits = more >= 0 ? byte & masks[more] : 0;
    return more;
}

uint32_t ull_utf8_next(const char **at)
{
    static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };
    const unsigned char *bytes = (const unsigned char *)*at;
    uint32_t character = 0;
    if (bytes[0] == '\0')
        return 0;
    int more = lead_byte(bytes[0], &character);
    for (int i = 1; i <= more; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            more = -1;
        else
            character = character << 6 | (bytes[i] & 0x3fU);
    }
    bool surrogate = character >= 0xd800 && character <= 0xdfff;
    if (more < 0 || character < least[more] || character > 0x10ffff || surrogate) {
        *at += 1;
        return 0xfffd;
    }
    *at += 1 + more;
    bool control = (character < ' ' && character != '\t' && character != '\n') || (character >= 0x7f && character <= 0x9f);
    return control ? 0xfffd : character;
}

void ull_put_utf8(FILE *to, uint32_t character)
{
    if (character < 0x80) {
        putc((int)character, to);
        return;
    }
    int more = character < 0x800 ? 1 : character < 0x10000 ? 2 : 3;
    static const unsigned leads[] = { 0, 0xc0, 0xe0, 0xf0 };
    putc((int)(leads[more] | character >> (6 * more)), to);
    while (more-- > 0)
        putc((int)(0x80 | (character >> (6 * more) & 0x3f)), to);
}

/* Of East Asian Width W and F, and of combining marks, the blocks that matter: a terminal's own tables differ as well. */
unsigned ull_character_columns(uint32_t character)
{
    static const uint32_t wide[][2] = { { 0x1100, 0x115f }, { 0x2e80, 0xa4cf }, { 0xac00, 0xd7a3 }, { 0xf900, 0xfaff },
        { 0xfe30, 0xfe6f }, { 0xff00, 0xff60 }, { 0xffe0, 0xffe6 }, { 0x1f300, 0x1faff }, { 0x20000, 0x3fffd } };
    static const uint32_t none[][2] = { { 0x300, 0x36f }, { 0x200b, 0x200f }, { 0xfe00, 0xfe0f } };
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        if (character >= none[i][0] && character <= none[i][1])
            return 0;
    for (size_t i = 0; i < sizeof wide / sizeof wide[0]; i++)
        if (character >= wide[i][0] && character <= wide[i][1])
            return 2;
    return 1;
}

unsigned ull_columns(const char *text)
{
    unsigned columns = 0;
    uint32_t character;
    while ((character = ull_utf8_next(&text)) != 0)
        columns += ull_character_columns(character);
    return columns;
}

void ull_put_xml(FILE *to, const char *text)
{
    uint32_t character;
    while ((character = ull_utf8_next(&text)) != 0) {
        switch (character) {
        case '&': fputs("&amp;", to); break;
        case '<': fputs("&lt;", to); break;
        case '>': fputs("&gt;", to); break;
        case '"': fputs("&quot;", to); break;
        case '\'': fputs("&#39;", to); break;
        default: /* XML 1.0, section 2.2 leaves out two that UTF-8 has */
            ull_put_utf8(to, character == 0xfffe || character == 0xffff ? 0xfffd : character);
        }
    }
}

/* ---- for people ---- */

/* Three digits, unless more stand before the point: "1.23", "12.3", "123", "1234". */
static char *three_digits(char to[ULL_NUMBER_BYTES], double value)
{
    double size = fabs(value);
    return ull_decimal(to, value, size < 9.995 ? 2 : size < 99.95 ? 1 : 0);
}

/* In the largest of @units that leaves at least 1; each is @step of the one before. At most 5 digits. */
static char *scaled(char to[ULL_HUMAN_BYTES], double value, double step, const char *const *units, size_t unit_count)
{
    char number[ULL_NUMBER_BYTES];
    size_t unit = 0;
    while (unit + 1 < unit_count && fabs(value) >= step - 0.5) {
        value /= step;
        unit++;
    }
    if (fabs(value) >= 99999)
        snprintf(to, ULL_HUMAN_BYTES, ">99999%s", units[unit]);
    else
        snprintf(to, ULL_HUMAN_BYTES, "%.16s%s", three_digits(number, value), units[unit]);
    return to;
}

char *ull_human_time(char to[ULL_HUMAN_BYTES], double ns)
{
    static const char *const units[] = { " ns", " us", " ms", " s" };
    return scaled(to, ns, 1000, units, sizeof units / sizeof units[0]);
}

char *ull_human_bytes(char to[ULL_HUMAN_BYTES], double bytes)
{
    static const char *const units[] = { " B", " KiB", " MiB", " GiB", " TiB", " PiB", " EiB" };
    if (fabs(bytes) < 10000 && bytes == floor(bytes))
        snprintf(to, ULL_HUMAN_BYTES, "%d B", (int)bytes); /* sizes that people know by heart stay as they are: 4096 */
    else if (fabs(bytes) >= 9999 * 0x1p60)
        snprintf(to, ULL_HUMAN_BYTES, ">9999 EiB");
    else
        scaled(to, bytes, 1024, units, sizeof units / sizeof units[0]);
    return to;
}

char *ull_human_count(char to[ULL_HUMAN_BYTES], double count)
{
    static const char *const units[] = { "", "k", "M", "G", "T", "P", "E" };
    char number[ULL_NUMBER_BYTES];
    double size = fabs(count);
    if (size < 1e7 && count == floor(count))
        snprintf(to, ULL_HUMAN_BYTES, "%d", (int)count); /* counts are compared to the last digit */
    else if (size >= 0.01 && size < 1e7)
        snprintf(to, ULL_HUMAN_BYTES, "%.20s", three_digits(number, count));
    else if (size >= 1e7)
        scaled(to, count, 1000, units, sizeof units / sizeof units[0]);
    else {
        snprintf(number, sizeof number, "%.1e", isnan(count) ? 0 : count);
        restore_point(number);
        snprintf(to, ULL_HUMAN_BYTES, "%.20s", number);
    }
    return to;
}

char *ull_human_spread(char to[ULL_HUMAN_BYTES], const struct ullage_bench_metric *metric)
{
    double spread = 100 * ullage_bench_metric_spread(metric);
    if (metric->sample_count < 2 || !(ullage_bench_metric_median(metric) != 0) || isnan(spread))
        to[0] = '\0';
    else if (spread >= 99.5)
        snprintf(to, ULL_HUMAN_BYTES, "±>99 %%");
    else
        snprintf(to, ULL_HUMAN_BYTES, "±%d %%", (int)(spread + 0.5));
    return to;
}

char *ull_human_ratio(char to[ULL_HUMAN_BYTES], double ratio)
{
    char number[ULL_NUMBER_BYTES];
    if (!(ratio < 9999.5))
        snprintf(to, ULL_HUMAN_BYTES, ">9999x");
    else
        snprintf(to, ULL_HUMAN_BYTES, "%.20sx", three_digits(number, ratio));
    return to;
}

/* ---- JSON ---- */

void ull_put_json_string(FILE *to, const char *text)
{
    uint32_t character;
    putc('"', to);
    while ((character = ull_utf8_next(&text)) != 0) {
        if (character == '"' || character == '\\')
            fprintf(to, "\\%c", (int)character);
        else if (character == '\n')
            fputs("\\n", to);
        else if (character == '\t' || character == 0x2028 || character == 0x2029) /* the latter end lines in JavaScript */
            fprintf(to, "\\u%04" PRIx32, character);
        else
            ull_put_utf8(to, character);
    }
    putc('"', to);
}

static void begin_member(struct ull_json *json, const char *key)
{
    if (json->filled)
        putc(',', json->to);
    if (json->depth > 0)
        fprintf(json->to, "\n%*s", (int)json->depth, "");
    json->filled = true;
    if (key != NULL) {
        ull_put_json_string(json->to, key);
        fputs(": ", json->to);
    }
}

void ull_json_open(struct ull_json *json, const char *key, char bracket)
{
    begin_member(json, key);
    putc(bracket, json->to);
    json->depth++;
    json->filled = false;
}

void ull_json_close(struct ull_json *json, char bracket)
{
    json->depth--;
    if (json->filled)
        fprintf(json->to, "\n%*s", (int)json->depth, "");
    putc(bracket, json->to);
    if (json->depth == 0)
        putc('\n', json->to);
    json->filled = true;
}

void ull_json_text(struct ull_json *json, const char *key, const char *text)
{
    begin_member(json, key);
    if (text != NULL)
        ull_put_json_string(json->to, text);
    else
        fputs("null", json->to);
}

void ull_json_number(struct ull_json *json, const char *key, double value)
{
    char number[ULL_NUMBER_BYTES];
    begin_member(json, key);
    fputs(isnan(value) ? "null" : ull_number(number, value), json->to);
}

void ull_json_count(struct ull_json *json, const char *key, uint64_t value)
{
    begin_member(json, key);
    fprintf(json->to, "%" PRIu64, value > INT64_MAX ? (uint64_t)INT64_MAX : value);
}

void ull_json_bool(struct ull_json *json, const char *key, bool value)
{
    begin_member(json, key);
    fputs(value ? "true" : "false", json->to);
}

void ull_json_null(struct ull_json *json, const char *key)
{
    begin_member(json, key);
    fputs("null", json->to);
}

void ull_json_numbers(struct ull_json *json, const char *key, const double *values, size_t count)
{
    char number[ULL_NUMBER_BYTES];
    begin_member(json, key);
    putc('[', json->to);
    for (size_t i = 0; i < count; i++)
        fprintf(json->to, "%s%s", i > 0 ? ", " : "", isnan(values[i]) ? "null" : ull_number(number, values[i]));
    putc(']', json->to);
}
