/* SPDX-License-Identifier: BSD-2-Clause */
/* check.c - how a broken invariant ends: one line, no allocation, abort. */
#include "config.h"

#include "base/check.h"

#include "base/sys.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void say(const char *text)
{
    (void)ull_sys_write(STDERR_FILENO, text, strlen(text));
}

void ull_check_failed(const char *what, const char *file, int line)
{
    char digits[12];
    size_t at = sizeof digits;
    digits[--at] = '\0';
    for (unsigned rest = (unsigned)line; at > 0; rest /= 10) {
        digits[--at] = (char)('0' + rest % 10);
        if (rest < 10)
            break;
    }
    say("ullage: broken invariant: ");
    say(what);
    say(" (");
    say(file);
    say(":");
    say(digits + at);
    say("). This is a fault of ullage; please report it.\n");
    abort();
}
