/* SPDX-License-Identifier: BSD-2-Clause */
/* identity.c - reading /proc/self without libc's streams, which would allocate. */
#include "config.h"

#include "ledger/identity.h"

#include "base/arith.h"
#include "base/sys.h"

#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* The file's beginning, NUL-terminated; its length, 0 if it cannot be read. */
static size_t read_file(const char *path, char *to, size_t room)
{
    size_t filled = 0;
    int fd = ull_sys_openat(AT_FDCWD, path, O_RDONLY, 0);
    if (fd < 0)
        return 0;
    while (filled + 1 < room) {
        ssize_t got = ull_sys_read(fd, to + filled, room - 1 - filled);
        if (got <= 0)
            break;
        filled += (size_t)got;
    }
    ull_sys_close(fd);
    to[filled] = '\0';
    return filled;
}

/* Field 22 of /proc/self/stat. The second field is a name in parentheses that may hold anything. */
static uint64_t start_ticks(void)
{
    char text[512];
    if (read_file("/proc/self/stat", text, sizeof text) == 0)
        return 0;
    const char *at = strrchr(text, ')');
    for (int field = 2; at != NULL && field < 22; field++)
        at = strchr(at + 1, ' ');
    uint64_t ticks = 0;
    for (at = at != NULL ? at + 1 : ""; *at >= '0' && *at <= '9'; at++)
        ticks = ticks * 10 + (uint64_t)(*at - '0');
    return ticks;
}

static uint64_t start_unix_ns(uint64_t ticks)
{
    struct timespec up, now;
    long per_second = sysconf(_SC_CLK_TCK);
    if (ticks == 0 || per_second <= 0 || clock_gettime(CLOCK_BOOTTIME, &up) != 0
        || clock_gettime(CLOCK_REALTIME, &now) != 0)
        return 0;
    uint64_t second = UINT64_C(1000000000), up_ns = (uint64_t)up.tv_sec * second + (uint64_t)up.tv_nsec;
    uint64_t now_ns = (uint64_t)now.tv_sec * second + (uint64_t)now.tv_nsec;
    return now_ns - ull_minus_clamped(up_ns, ticks * (second / (uint64_t)per_second));
}

static uint64_t pid_namespace(void)
{
    struct stat found;
    int fd = ull_sys_openat(AT_FDCWD, "/proc/self/ns/pid", O_RDONLY, 0);
    if (fd < 0)
        return 0;
    int error = ull_sys_fstat(fd, &found);
    ull_sys_close(fd);
    return error == 0 ? (uint64_t)found.st_ino : 0;
}

void ull_identity_fill(struct ull_ledger_header *header)
{
    header->pid = (uint32_t)getpid();
    header->parent_pid = (uint32_t)getppid();
    header->user_id = (uint32_t)geteuid();
    header->process_start_ticks = start_ticks();
    header->process_start_unix_ns = start_unix_ns(header->process_start_ticks);
    header->pid_namespace = pid_namespace();
    header->boot_hash = ull_sys_boot_hash();
    header->command_bytes = (uint32_t)read_file("/proc/self/cmdline", header->command, sizeof header->command);
}
