/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * resident.h - how much of this process is in memory, now and at most since the clock was reset.
 *
 * Never ru_maxrss: it begins with the parent's peak. The harness resets VmHWM with the clock. What the process had before
 * its first benchmark body is taken off, so that a figure is of the buffers alone.
 */
#ifndef ULLAGE_BENCH_RESIDENT_H
#define ULLAGE_BENCH_RESIDENT_H

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The number of kB after @key in @file; 0: not to be had. */
static inline uint64_t resident_read(const char *file, const char *key)
{
    char text[4096];
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0)
        close(fd);
    if (got <= 0)
        return 0;
    text[got] = '\0';
    const char *line = strstr(text, key);
    return line != NULL ? strtoull(line + strlen(key), NULL, 10) * 1024 : 0;
}

/* Exact: the counters behind statm are summed up by processor, and late by some pages. */
static inline uint64_t resident_now(void)
{
    return resident_read("/proc/self/smaps_rollup", "\nRss:");
}

static inline uint64_t resident_peak(void)
{
    return resident_read("/proc/self/status", "\nVmHWM:");
}

/* What there was before the first buffer; call it first in a body. */
static inline uint64_t resident_before(void)
{
    static uint64_t before;
    if (before == 0)
        before = resident_now();
    return before;
}

static inline uint64_t resident_over(uint64_t now, uint64_t before)
{
    return now > before ? now - before : 0;
}

#endif
