/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * clock.c - what an operation costs the machine: read when the clock starts and when it stops.
 *
 * The wall clock is read last at the start and first at the stop, so that the other readings (system calls, about 2 us
 * together) are outside of it. The processor's time includes a part of one of them each time, about 1 us: measured at the beginning, and
 * taken off again.
 */
#include "config.h"

#include "harness.h"

#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static uint64_t read_clock(clockid_t which)
{
    struct timespec now;
    clock_gettime(which, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

static uint64_t ns_of(struct timeval time)
{
    return (uint64_t)time.tv_sec * 1000000000U + (uint64_t)time.tv_usec * 1000U;
}

/* Of this process and its threads to come, in user space: what an unprivileged user may count. */
static int open_counter(uint64_t config)
{
    struct perf_event_attr attr;
    memset(&attr, 0, sizeof attr);
    attr.size = sizeof attr;
    attr.type = PERF_TYPE_HARDWARE;
    attr.config = config;
    attr.inherit = 1;
    attr.exclude_kernel = 1;
    attr.exclude_hv = 1;
    return (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

static uint64_t read_counter(int fd)
{
    uint64_t value = 0;
    return fd >= 0 && read(fd, &value, sizeof value) == sizeof value ? value : 0;
}

static void read_usage(const struct ull_clock *clock, struct ull_usage *usage)
{
    struct rusage now;
    getrusage(RUSAGE_SELF, &now);
    usage->user_ns = ns_of(now.ru_utime);
    usage->sys_ns = ns_of(now.ru_stime);
    usage->minor_faults = (uint64_t)now.ru_minflt;
    usage->major_faults = (uint64_t)now.ru_majflt;
    usage->voluntary_switches = (uint64_t)now.ru_nvcsw;
    usage->involuntary_switches = (uint64_t)now.ru_nivcsw;
    usage->instructions = read_counter(clock->perf_instructions);
    usage->cycles = read_counter(clock->perf_cycles);
    usage->cpu_ns = read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

void ull_clock_start(struct ull_clock *clock)
{
    if (clock->running)
        return;
    clock->running = true;
    read_usage(clock, &clock->begun);
    if (clock->resume != NULL)
        clock->resume();
    clock->begun.wall_ns = read_clock(CLOCK_MONOTONIC);
}

void ull_clock_stop(struct ull_clock *clock)
{
    uint64_t wall_ns = read_clock(CLOCK_MONOTONIC);
    struct ull_usage now, *sum = &clock->sum;
    const struct ull_usage *begun = &clock->begun;
    if (!clock->running)
        return;
    if (clock->pause != NULL)
        clock->pause();
    now.cpu_ns = read_clock(CLOCK_PROCESS_CPUTIME_ID);
    uint64_t cpu_ns = now.cpu_ns;
    read_usage(clock, &now);
    sum->wall_ns += wall_ns - begun->wall_ns;
    cpu_ns -= begun->cpu_ns;
    sum->cpu_ns += cpu_ns > clock->own_cpu_ns ? cpu_ns - clock->own_cpu_ns : 0;
    sum->user_ns += now.user_ns - begun->user_ns;
    sum->sys_ns += now.sys_ns - begun->sys_ns;
    sum->minor_faults += now.minor_faults - begun->minor_faults;
    sum->major_faults += now.major_faults - begun->major_faults;
    sum->voluntary_switches += now.voluntary_switches - begun->voluntary_switches;
    sum->involuntary_switches += now.involuntary_switches - begun->involuntary_switches;
    sum->instructions += now.instructions - begun->instructions;
    sum->cycles += now.cycles - begun->cycles;
    clock->running = false;
}

/* The least of some empty ones: what more there is in others is the machine's. */
static uint64_t own_cpu_ns(struct ull_clock *clock)
{
    enum { TRIES = 32 };
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < TRIES; i++) {
        clock->sum.cpu_ns = 0;
        ull_clock_start(clock);
        ull_clock_stop(clock);
        if (clock->sum.cpu_ns < least)
            least = clock->sum.cpu_ns;
    }
    memset(&clock->sum, 0, sizeof clock->sum);
    return least;
}

void ull_clock_init(struct ull_clock *clock)
{
    memset(clock, 0, sizeof *clock);
    clock->perf_instructions = open_counter(PERF_COUNT_HW_INSTRUCTIONS);
    clock->perf_cycles = open_counter(PERF_COUNT_HW_CPU_CYCLES);
    clock->own_cpu_ns = own_cpu_ns(clock);
}

void ull_clock_reset(struct ull_clock *clock)
{
    bool running = clock->running;
    ull_clock_stop(clock);
    memset(&clock->sum, 0, sizeof clock->sum);
    if (running)
        ull_clock_start(clock);
}

void ull_clock_reset_peak(void)
{
    int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (write(fd, "5", 1) != 1) { /* proc(5): resets the peak of the resident set */
        /* an old kernel, or none of our own files: the peak is the whole process's then */
    }
    close(fd);
}

uint64_t ull_clock_peak_bytes(void)
{
    char text[4096];
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0)
        close(fd);
    if (got <= 0)
        return 0;
    text[got] = '\0';
    const char *line = strstr(text, "\nVmHWM:");
    return line != NULL ? strtoull(line + 7, NULL, 10) * 1024 : 0;
}
