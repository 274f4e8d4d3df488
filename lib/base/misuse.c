/* SPDX-License-Identifier: BSD-2-Clause */
/* misuse.c - one sentence to whoever wants it, and the end of the program unless it asked for reports only. */
#include "config.h"

#include "base/misuse.h"

#include "base/atomic.h"
#include "base/sys.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TEXT_BYTES = 512 };
enum environment { UNREAD, SAYS_NOTHING, SAYS_ABORT, SAYS_REPORT };

static struct {
    int report; /* atomic */
    void (*on_misuse)(void *ctx, const char *what); /* atomic; released after ctx */
    void *ctx;
    uint32_t environment; /* enum environment; atomic */
} policy;

uint64_t ull_misuse_count;
void (*ull_misuse_survived)(void);

void ull_misuse_policy(int report, void (*on_misuse)(void *ctx, const char *what), void *ctx)
{
    /* Nobody may find the old function with the new context. */
    ull_store_release(&policy.on_misuse, NULL);
    ull_store_relaxed(&policy.ctx, ctx);
    ull_store_release(&policy.on_misuse, on_misuse);
    ull_store_relaxed(&policy.report, report);
}

/* Read at the first misuse only: a program without misuse pays nothing. Two threads at once read the same. */
static uint32_t environment(void)
{
    uint32_t said = ull_load_relaxed(&policy.environment);
    if (said != UNREAD)
        return said;
    const char *text = secure_getenv("ULLAGE_MISUSE");
    said = SAYS_NOTHING;
    if (text != NULL && strcmp(text, "abort") == 0)
        said = SAYS_ABORT;
    if (text != NULL && strcmp(text, "report") == 0)
        said = SAYS_REPORT;
    ull_store_relaxed(&policy.environment, said);
    return said;
}

static bool only_reports(void)
{
    uint32_t said = environment();
    return said == SAYS_NOTHING ? ull_load_relaxed(&policy.report) == ULL_MISUSE_REPORT : said == SAYS_REPORT;
}

/* One call of write(2) where the kernel allows it, so that lines of several threads do not mix. */
static void write_line(const char *what)
{
    char line[TEXT_BYTES + 32];
    int made = snprintf(line, sizeof line, "ullage: misuse: %s\n", what);
    size_t length = made > 0 ? (size_t)made : 0, at = 0; /* what is cut to TEXT_BYTES fits */
    while (at < length) {
        ssize_t written = ull_sys_write(STDERR_FILENO, line + at, length - at);
        if (written <= 0 && written != -EINTR)
            return;
        at += written > 0 ? (size_t)written : 0;
    }
}

void ull_misuse(const char *format, ...)
{
    char what[TEXT_BYTES];
    int kept = errno;
    va_list arguments;
    va_start(arguments, format);
    if (vsnprintf(what, sizeof what, format, arguments) < 0)
        snprintf(what, sizeof what, "%s", format);
    va_end(arguments);
    ull_add_relaxed(&ull_misuse_count, 1);
    void (*on_misuse)(void *ctx, const char *what) = ull_load_acquire(&policy.on_misuse);
    if (on_misuse != NULL)
        on_misuse(ull_load_relaxed(&policy.ctx), what);
    else
        write_line(what);
    if (!only_reports())
        abort();
    void (*survived)(void) = ull_load_acquire(&ull_misuse_survived);
    if (survived != NULL)
        survived();
    errno = kept;
}
