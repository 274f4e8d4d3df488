/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * process.c - liveness by three facts, because a pid alone is reused, and because execve(2) keeps pid and start time
 * but not the mapped ledger.
 */
#include "config.h"

#include "view/process.h"

#include "base/arith.h"
#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { THREADS_RUN = '+' };

/*
 * State letter, parent and start time of /proc/PID/stat; false if there is no such process. A zombie with threads that run,
 * because its first one called pthread_exit(3), is no zombie: THREADS_RUN.
 */
static bool read_stat(uint32_t pid, char *letter, uint32_t *parent, uint64_t *ticks)
{
    unsigned threads = 0;
    char path[32], text[512];
    snprintf(path, sizeof path, "/proc/%u/stat", pid);
    int fd = ull_sys_openat(AT_FDCWD, path, O_RDONLY, 0);
    if (fd < 0)
        return false;
    ssize_t got = ull_sys_read(fd, text, sizeof text - 1);
    ull_sys_close(fd);
    if (got <= 0)
        return false;
    text[got] = '\0';
    const char *at = strrchr(text, ')');
    if (at == NULL || at[1] != ' ')
        return false;
    *letter = at[2];
    if (at[3] != ' ' || sscanf(at + 4, "%u", parent) != 1)
        return false;
    for (int field = 2; at != NULL && field < 22; field++) {
        at = strchr(at + 1, ' ');
        if (field == 19 && at != NULL)
            (void)sscanf(at, "%u", &threads);
    }
    if (*letter == 'Z' && threads > 1)
        *letter = THREADS_RUN;
    return at != NULL && sscanf(at, "%lu", ticks) == 1;
}

/* In another pid namespace its number means nothing here, and it cannot be looked up. */
static bool in_our_namespace(const struct ull_ledger_header *header)
{
    struct stat found;
    return header->pid_namespace == 0 || stat("/proc/self/ns/pid", &found) != 0
        || (uint64_t)found.st_ino == header->pid_namespace;
}

bool ull_process_is_live(const struct ull_ledger_header *header)
{
    struct ull_ledger_header seen;
    uint64_t ticks = 0;
    uint32_t parent;
    char letter = '?';
    if (header->ended != ULL_ENDED_NOT || header->pid == 0 || header->pid > INT32_MAX
        || !read_stat(header->pid, &letter, &parent, &ticks) || letter == 'Z' || letter == 'X')
        return false;
    if (header->process_start_ticks != 0 && ticks != header->process_start_ticks)
        return false;
    if (letter == THREADS_RUN)
        return true; /* its memory cannot be asked for by the pid; pid and start time agree */
    size_t bytes = offsetof(struct ull_ledger_header, start_monotonic_ns);
    ssize_t got = ull_sys_read_memory((pid_t)header->pid, header->self_address, &seen, bytes);
    if (got == -EPERM)
        return true; /* we may not look: pid and start time agree */
    return got == (ssize_t)bytes && seen.magic == ULL_LEDGER_MAGIC && seen.pid == header->pid
        && seen.start_unix_ns == header->start_unix_ns;
}

bool ull_process_is_orphaned(const struct ull_ledger_header *header)
{
    char letter;
    uint32_t parent;
    uint64_t ticks;
    if (header->orphaned != 0)
        return true;
    if (!ull_process_is_live(header) || !read_stat(header->pid, &letter, &parent, &ticks)
        || parent == header->parent_pid || parent == 0)
        return false;
    return !read_stat(header->parent_pid, &letter, &parent, &ticks) || letter == 'Z' || letter == 'X';
}

struct ull_process ull_process_judge(const struct ull_ledger_header *header, const struct ull_sidecar_header *sidecar)
{
    struct ull_process process = { ULLAGE_STATE_KILLED, -1, 0, header->last_event_monotonic_ns };
    if (sidecar != NULL)
        process.now_monotonic_ns = ull_max_u64(process.now_monotonic_ns, sidecar->scanned_monotonic_ns);
    if (header->ended == ULL_ENDED_EXIT) {
        process.state = ULLAGE_STATE_EXITED;
        process.exit_status = (int)(header->exit_status & 0xff);
        process.now_monotonic_ns = ull_max_u64(process.now_monotonic_ns, header->ended_monotonic_ns);
    }
    if (sidecar != NULL && sidecar->ended != ULL_SIDECAR_RUNNING) {
        bool killed = sidecar->ended == ULL_SIDECAR_KILLED;
        process.state = killed ? ULLAGE_STATE_KILLED : ULLAGE_STATE_EXITED;
        process.signal = killed ? (int)(sidecar->signal & 0x7f) : 0;
        process.exit_status = killed ? -1 : (int)(sidecar->exit_status & 0xff);
        process.now_monotonic_ns = ull_max_u64(process.now_monotonic_ns, sidecar->ended_monotonic_ns);
    } else if (header->ended == ULL_ENDED_NOT && !in_our_namespace(header)) {
        process.state = ULLAGE_STATE_LIVE; /* for all that can be known here: nothing of it is thrown away */
    } else if (ull_process_is_live(header)) {
        process.state = ULLAGE_STATE_LIVE;
        process.now_monotonic_ns = ull_sys_monotonic_ns();
    } else if (header->ended != ULL_ENDED_EXIT) {
        char letter;
        uint32_t parent;
        uint64_t ticks;
        /* The same process, with another image: it called execve(2). */
        if (header->process_start_ticks != 0 && header->pid <= INT32_MAX && read_stat(header->pid, &letter, &parent, &ticks)
            && ticks == header->process_start_ticks && letter != 'Z' && letter != 'X')
            process.state = ULLAGE_STATE_EXITED;
    }
    return process;
}
