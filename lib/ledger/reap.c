/* SPDX-License-Identifier: BSD-2-Clause */
/* reap.c - reaping in somebody else's process: without malloc, without libc's directory streams. */
#include "config.h"

#include "ledger/reap.h"

#include "base/arith.h"
#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    CHANCE = 4,        /* one creator in this many looks */
    LEFT_MAX = 4096,   /* ledgers looked at in one go; the rest at the next */
    DIRENT_BYTES = 4096,
    REFUSALS_MAX = 64, /* ledgers that must stay, looked into in one go */
};

struct dirent64 { /* getdents64(2) */
    uint64_t inode;
    int64_t offset;
    uint16_t bytes;
    uint8_t type;
    char name[];
};

/* A ledger that a dead process left. Its name says who and when: PID-TIME.ledger. */
struct left {
    uint64_t made;
    uint64_t bytes;
    uint32_t pid;
};

/* Mapped for the while: the stack may be a signal handler's. */
struct scratch {
    char directory[ULL_LEDGER_PATH_BYTES];
    _Alignas(8) char entries[DIRENT_BYTES];
    struct ull_ledger_header header;
    struct left left[LEFT_MAX];
};

static bool parse_name(const char *name, struct left *out)
{
    uint64_t pid = 0, made = 0;
    for (; *name >= '0' && *name <= '9' && pid <= INT32_MAX; name++)
        pid = pid * 10 + (uint64_t)(*name - '0');
    if (*name++ != '-' || pid == 0 || pid > INT32_MAX)
        return false;
    for (; (*name >= '0' && *name <= '9') || (*name >= 'a' && *name <= 'f'); name++)
        made = made << 4 | (uint64_t)(*name <= '9' ? *name - '0' : *name - 'a' + 10);
    *out = (struct left) { made, 0, (uint32_t)pid };
    return strcmp(name, ULL_LEDGER_SUFFIX) == 0;
}

static void make_name(char *to, size_t room, const struct left *left, const char *suffix)
{
    snprintf(to, room, "%u-%llx%s", left->pid, (unsigned long long)left->made, suffix);
}

static bool is_dead(uint32_t pid)
{
    return ull_sys_kill((pid_t)pid, 0) == -ESRCH;
}

static unsigned collect(int place, struct scratch *scratch)
{
    char *buffer = scratch->entries;
    struct left *found = scratch->left;
    unsigned count = 0;
    ssize_t got;
    while (count < LEFT_MAX && (got = ull_sys_getdents(place, buffer, DIRENT_BYTES)) > 0) {
        for (ssize_t at = 0; at < got && count < LEFT_MAX;) {
            const struct dirent64 *entry = (const struct dirent64 *)(const void *)(buffer + at);
            at += entry->bytes;
            if (!parse_name(entry->name, &found[count]) || !is_dead(found[count].pid))
                continue;
            int64_t bytes = ull_sys_file_bytes(place, entry->name);
            if (bytes >= 0)
                found[count++].bytes = (uint64_t)bytes;
        }
    }
    return count;
}

/* Oldest first; Shell's method, Knuth's gaps. qsort(3) may call malloc. */
static void sort(struct left *left, unsigned count)
{
    unsigned gap = 1;
    while (gap < count / 3)
        gap = gap * 3 + 1;
    for (; gap > 0; gap /= 3) {
        for (unsigned i = gap; i < count; i++) {
            struct left moved = left[i];
            unsigned at = i;
            for (; at >= gap && left[at - gap].made > moved.made; at -= gap)
                left[at] = left[at - gap];
            left[at] = moved;
        }
    }
}

/* The runner's pid is what a run id begins with, in hexadecimal: its report will want this ledger. */
static bool runner_lives(const char *run_id)
{
    uint64_t pid = 0;
    const char *at = run_id;
    for (; (*at >= '0' && *at <= '9') || (*at >= 'a' && *at <= 'f'); at++)
        pid = pid << 4 | (uint64_t)(*at <= '9' ? *at - '0' : *at - 'a' + 10);
    return at != run_id && *at == '-' && pid <= INT32_MAX && !is_dead((uint32_t)pid);
}

static bool may_go(int place, const char *name, const struct ull_ledger_header *own, struct ull_ledger_header *header)
{
    int fd = ull_sys_openat(place, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
    if (fd < 0)
        return false;
    ssize_t got = ull_sys_pread(fd, header, offsetof(struct ull_ledger_header, command), 0);
    ull_sys_close(fd);
    if (got != (ssize_t)offsetof(struct ull_ledger_header, command) || header->magic != ULL_LEDGER_MAGIC)
        return true; /* named as ours are, in our directory, and of no use to anybody */
    if (header->version != ULL_FORMAT_VERSION)
        return false; /* another version's to reap */
    header->run_id[sizeof header->run_id - 1] = '\0';
    /* Of another machine or another boot, or of another namespace: its pid means nothing here. */
    return header->boot_hash == own->boot_hash && own->boot_hash != 0 && header->pid_namespace == own->pid_namespace
        && own->pid_namespace != 0 && !runner_lives(header->run_id);
}

static void reap(int place, struct scratch *scratch, const struct ull_ledger_header *own, uint32_t keep_count,
    uint64_t keep_bytes)
{
    uint64_t bytes = 0;
    unsigned refused = 0;
    struct left *left = scratch->left;
    unsigned count = collect(place, scratch), kept = count;
    for (unsigned i = 0; i < count; i++)
        bytes += left[i].bytes;
    if (kept <= keep_count && bytes <= keep_bytes)
        return;
    sort(left, count);
    for (unsigned i = 0; i < count && refused < REFUSALS_MAX && (kept > keep_count || bytes > keep_bytes); i++) {
        char name[64];
        make_name(name, sizeof name, &left[i], ULL_LEDGER_SUFFIX);
        if (!may_go(place, name, own, &scratch->header) || ull_sys_unlinkat(place, name, 0) != 0) {
            refused++;
            continue;
        }
        make_name(name, sizeof name, &left[i], ULL_SIDECAR_SUFFIX);
        (void)ull_sys_unlinkat(place, name, 0);
        kept--;
        bytes -= left[i].bytes;
    }
}

void ull_reap(const struct ull_ledger *ledger, uint32_t keep_count, uint64_t keep_bytes)
{
    int error;
    uint64_t chance = ull_mix64(ull_sys_precise_ns() ^ (uint64_t)ledger->header->pid << 32);
    const char *slash = strrchr(ledger->path, '/');
    if (chance % CHANCE != 0 || slash == NULL || slash == ledger->path)
        return;
    struct scratch *scratch
        = ull_sys_mmap(sizeof *scratch, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0, &error);
    if (scratch == NULL)
        return;
    memcpy(scratch->directory, ledger->path, (size_t)(slash - ledger->path));
    int place = ull_sys_openat(AT_FDCWD, scratch->directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    if (place >= 0) {
        reap(place, scratch, ledger->header, keep_count, keep_bytes);
        ull_sys_close(place);
    }
    ull_sys_munmap(scratch, sizeof *scratch);
}
