/* SPDX-License-Identifier: BSD-2-Clause */
/* clean.c - UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing past U+10FFFF. */
#include "config.h"

#include "view/clean.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* The length of the character that begins here, and its value; 0 if there is none. */
static size_t decode(const unsigned char *at, size_t left, uint32_t *value)
{
    static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
    size_t length = at[0] < 0x80 ? 1 : (at[0] & 0xe0) == 0xc0 ? 2 : (at[0] & 0xf0) == 0xe0 ? 3
        : (at[0] & 0xf8) == 0xf0 ? 4 : 0;
    if (length == 0 || length > left)
        return 0;
    *value = length == 1 ? at[0] : at[0] & (0xffU >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
        *value = *value << 6 | (at[i] & 0x3f);
    }
    bool surrogate = *value >= 0xd800 && *value <= 0xdfff;
    return *value < smallest[length] || surrogate || *value > 0x10ffff ? 0 : length;
}

void ull_clean_text(char *to, size_t room, const char *text, size_t bytes)
{
    static const char replacement[] = "\xef\xbf\xbd";
    size_t filled = 0;
    for (size_t at = 0; at < bytes;) {
        uint32_t value = 0;
        size_t length = decode((const unsigned char *)text + at, bytes - at, &value);
        bool shown = length != 0 && value >= 0x20 && !(value >= 0x7f && value <= 0x9f);
        const char *from = shown ? text + at : replacement;
        size_t taken = shown ? length : sizeof replacement - 1;
        if (filled + taken + 1 > room)
            break;
        memcpy(to + filled, from, taken);
        filled += taken;
        at += length != 0 ? length : 1;
    }
    to[filled] = '\0';
}
