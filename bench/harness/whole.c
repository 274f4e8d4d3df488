/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * whole.c - a whole program, run once and measured from outside: what it cost in all, a second, and of each thread.
 *
 * Totals are the kernel's own, of the process and of what it waited for (wait4(2)). Switches of single threads are only
 * to be had while they live: /proc is read every 20 ms, so what a thread did after the last look is missing.
 */
#include "config.h"

#include "harness.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { THREADS_MAX = 256, SHOWN_THREADS = 8, PROCESSES_MAX = 64 };

struct thread {
    int id;
    char name[32];
    uint64_t switches;
};

struct watched {
    struct thread threads[THREADS_MAX];
    unsigned count;
    uint64_t peak_bytes; /* of the largest process, at the last look */
};

static bool read_text(const char *path, char *text, size_t bytes)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, text, bytes - 1) : -1;
    if (fd >= 0)
        close(fd);
    text[got > 0 ? got : 0] = '\0';
    return got > 0;
}

/* The number behind "\nKEY:" in a status file; 0: there is none. */
static uint64_t field(const char *status, const char *key)
{
    const char *line = strstr(status, key);
    return line != NULL ? strtoull(line + strlen(key), NULL, 10) : 0;
}

static void note_thread(struct watched *watched, int id, const char *status)
{
    unsigned i = 0;
    while (i < watched->count && watched->threads[i].id != id)
        i++;
    if (i == THREADS_MAX)
        return;
    struct thread *thread = &watched->threads[i];
    if (i == watched->count)
        watched->count++;
    thread->id = id;
    if (sscanf(status, "Name:\t%31[^\n]", thread->name) != 1)
        snprintf(thread->name, sizeof thread->name, "?");
    thread->switches = field(status, "\nvoluntary_ctxt_switches:") + field(status, "\nnonvoluntary_ctxt_switches:");
}

/* All threads of a process, and then its children. */
static void look_at(struct watched *watched, int pid, unsigned depth)
{
    char path[64], text[4096];
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *stream = depth < PROCESSES_MAX ? opendir(path) : NULL;
    if (stream == NULL)
        return;
    for (const struct dirent *entry; (entry = readdir(stream)) != NULL;) {
        int id = atoi(entry->d_name);
        if (id <= 0)
            continue;
        snprintf(path, sizeof path, "/proc/%d/task/%d/status", pid, id);
        if (read_text(path, text, sizeof text)) {
            note_thread(watched, id, text);
            uint64_t peak = field(text, "\nVmHWM:") * 1024;
            if (peak > watched->peak_bytes)
                watched->peak_bytes = peak;
        }
        snprintf(path, sizeof path, "/proc/%d/task/%d/children", pid, id);
        if (read_text(path, text, sizeof text))
            for (char *at = text, *end; *at != '\0'; at = end) {
                long child = strtol(at, &end, 10);
                if (end == at)
                    break;
                look_at(watched, (int)child, depth + 1);
            }
    }
    closedir(stream);
}

static void watch(void *context, int pid)
{
    look_at(context, pid, 0);
}

static int by_switches(const void *a, const void *b)
{
    const struct thread *left = a, *right = b;
    if (left->switches != right->switches)
        return left->switches > right->switches ? -1 : 1;
    return left->id < right->id ? -1 : left->id > right->id;
}

/* "thread:NAME:switches/s"; the second one of a name is NAME#2. */
static int add_threads(struct ullage_bench_result *result, struct watched *watched, double seconds)
{
    int outcome = 0;
    qsort(watched->threads, watched->count, sizeof watched->threads[0], by_switches);
    for (unsigned i = 0; i < watched->count && i < SHOWN_THREADS && outcome == 0; i++) {
        char name[64];
        unsigned same = 1;
        for (unsigned k = 0; k < i; k++)
            same += strcmp(watched->threads[k].name, watched->threads[i].name) == 0;
        int length = snprintf(name, sizeof name, same > 1 ? "thread:%s#%u" : "thread:%s", watched->threads[i].name, same);
        for (int k = 0; k < length; k++)
            if (name[k] <= ' ' || name[k] > '~')
                name[k] = '_';
        snprintf(name + length, sizeof name - (size_t)length, ":switches/s");
        outcome = ullage_bench_result_sample(result, name, -1, false, (double)watched->threads[i].switches / seconds);
    }
    return outcome;
}

/* ru_maxrss begins with what we ourselves had when the process was made: below that it says nothing. */
static uint64_t peak_of(const struct ull_spawned *spawned, const struct watched *watched, uint64_t floor)
{
    if (spawned->peak_bytes > floor + floor / 16)
        return spawned->peak_bytes;
    return watched->peak_bytes > 0 ? watched->peak_bytes : spawned->peak_bytes;
}

static int add_usage(struct ullage_bench_result *result, const struct ull_spawned *spawned, double operations)
{
    const struct ull_usage *usage = &spawned->usage;
    double seconds = (double)spawned->wall_ns / 1e9;
    const struct {
        const char *name;
        double value;
    } values[] = {
        { "ns/op", (double)spawned->wall_ns / operations },
        { "cpu-ns/op", (double)usage->cpu_ns / operations },
        { "user-ns/op", (double)usage->user_ns / operations },
        { "sys-ns/op", (double)usage->sys_ns / operations },
        { "minor-faults/op", (double)usage->minor_faults / operations },
        { "major-faults/op", (double)usage->major_faults / operations },
        { "voluntary-switches/op", (double)usage->voluntary_switches / operations },
        { "involuntary-switches/op", (double)usage->involuntary_switches / operations },
        { "cpu-s/s", (double)usage->cpu_ns / 1e9 / seconds },
        { "faults/s", (double)(usage->minor_faults + usage->major_faults) / seconds },
        { "switches/s", (double)(usage->voluntary_switches + usage->involuntary_switches) / seconds },
    };
    int outcome = 0;
    for (unsigned i = 0; i < sizeof values / sizeof values[0] && outcome == 0; i++)
        outcome = ullage_bench_result_sample(result, values[i].name, -1, false, values[i].value);
    return outcome;
}

int ull_whole_sample(const struct ullage_bench_subject *subject, const struct ullage_bench_request *request,
    struct ullage_bench_result *result, char *error)
{
    char directory[512], run_id[128];
    char *const more[] = { directory, run_id, (char *)"ULLAGE_MIN_BYTES=0", (char *)"ULLAGE_SAMPLE_BYTES=0", NULL };
    static struct watched watched;
    bool counting = request->pass == ULLAGE_BENCH_COUNT;
    struct ull_spawned spawned;
    memset(&watched, 0, sizeof watched);
    snprintf(directory, sizeof directory, "ULLAGE_DIR=%s", counting ? request->ledger_directory : "");
    snprintf(run_id, sizeof run_id, "ULLAGE_RUN_ID=%s", counting ? request->run_id : "");
    const struct ull_spawn spawn = { .subject = subject, .timeout_ms = request->timeout_ms, .more = counting ? more : NULL,
        .preload = counting ? request->preload : NULL, .watch = counting ? NULL : watch, .context = &watched };
    uint64_t floor = ull_clock_peak_bytes();
    int outcome = ull_spawn_run(&spawn, &spawned, error);
    free(spawned.lines);
    if (outcome != 0 || !ull_judge(result, &spawned, true, request->timeout_ms))
        return outcome;
    if (counting) {
        result->count_iterations = request->iterations;
        return 0; /* figures are in the ledgers */
    }
    result->iterations = request->iterations;
    outcome = add_usage(result, &spawned, (double)request->iterations);
    uint64_t peak = peak_of(&spawned, &watched, floor);
    if (outcome == 0 && peak > 0)
        outcome = ullage_bench_result_sample(result, "peak-rss-bytes", -1, false, (double)peak);
    if (outcome == 0)
        outcome = add_threads(result, &watched, (double)spawned.wall_ns / 1e9);
    if (outcome != 0)
        snprintf(error, ULLAGE_BENCH_ERROR_BYTES, "not enough memory");
    return outcome;
}
