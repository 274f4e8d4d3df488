/* SPDX-License-Identifier: BSD-2-Clause */
/* tap.h - results of a plain C test program, as TAP 13. */
#ifndef ULL_TESTS_TAP_H
#define ULL_TESTS_TAP_H

#include <stdbool.h>
#include <stdio.h>

static int tap_count, tap_failed;

__attribute__((format(printf, 2, 3))) static inline void tap_ok(bool passed, const char *format, ...)
{
    va_list arguments;
    tap_failed += !passed;
    printf("%sok %d - ", passed ? "" : "not ", ++tap_count);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    fflush(stdout);
}

static inline int tap_done(void)
{
    printf("1..%d\n", tap_count);
    return tap_failed != 0;
}

#endif
