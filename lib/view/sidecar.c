/* SPDX-License-Identifier: BSD-2-Clause */
/* sidecar.c - reading and replacing sidecars. */
#include "config.h"

#include "view/sidecar.h"

#include "base/arith.h"
#include "base/directory.h"
#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ENTRIES_MAX = 1 << 22 };

int ull_sidecar_path(char *path, size_t room, const char *ledger, uint32_t owner)
{
    char own[ULL_DIRECTORY_BYTES];
    size_t length = strlen(ledger), suffix = strlen(ULL_LEDGER_SUFFIX);
    const char *slash = strrchr(ledger, '/');
    if (length < suffix || strcmp(ledger + length - suffix, ULL_LEDGER_SUFFIX) != 0)
        return -EINVAL;
    if (owner != geteuid() && ull_directory_choose(own) != 0)
        return -ENAMETOOLONG;
    int stem = (int)(length - suffix), folder = slash != NULL ? (int)(slash + 1 - ledger) : 0;
    int made = owner == geteuid() ? snprintf(path, room, "%.*s" ULL_SIDECAR_SUFFIX, stem, ledger)
        : snprintf(path, room, "%s/%u-%.*s" ULL_SIDECAR_SUFFIX, own, owner, stem - folder, ledger + folder);
    return made < 0 || (size_t)made >= room ? -ENAMETOOLONG : 0;
}

void ull_sidecar_init(struct ull_sidecar *sidecar, const struct ull_file *ledger)
{
    memset(sidecar, 0, sizeof *sidecar);
    sidecar->header.magic = ULL_SIDECAR_MAGIC;
    sidecar->header.version = ULL_FORMAT_VERSION;
    sidecar->header.entry_bytes = sizeof(struct ull_sidecar_entry);
    sidecar->header.start_unix_ns = ledger->header.start_unix_ns;
    sidecar->header.pid = ledger->header.pid;
    sidecar->owner = ledger->owner;
}

void ull_sidecar_fini(struct ull_sidecar *sidecar)
{
    free(sidecar->entries);
    memset(sidecar, 0, sizeof *sidecar);
}

static uint64_t checksum(const struct ull_sidecar_entry *entries, size_t count)
{
    const uint64_t *words = (const uint64_t *)(const void *)entries;
    uint64_t sum = count;
    for (size_t i = 0; i < count * (sizeof *entries / sizeof *words); i++)
        sum = ull_mix64(sum ^ words[i]);
    return sum;
}

static int read_all(int fd, void *to, size_t bytes)
{
    for (size_t got = 0; got < bytes;) {
        ssize_t part = ull_sys_read(fd, (char *)to + got, bytes - got);
        if (part == -EINTR)
            continue;
        if (part <= 0)
            return part < 0 ? (int)part : -EBADMSG;
        got += (size_t)part;
    }
    return 0;
}

static int read_entries(struct ull_sidecar *sidecar, int fd)
{
    size_t count = (size_t)sidecar->header.entry_count;
    if (count == 0)
        return 0;
    sidecar->entries = calloc(count, sizeof *sidecar->entries);
    if (sidecar->entries == NULL)
        return -ENOMEM;
    int result = read_all(fd, sidecar->entries, count * sizeof *sidecar->entries);
    if (result == 0 && checksum(sidecar->entries, count) != sidecar->header.checksum)
        result = -EBADMSG;
    sidecar->count = sidecar->room = result == 0 ? count : 0;
    return result;
}

int ull_sidecar_read(struct ull_sidecar *sidecar, const char *ledger_path, const struct ull_file *ledger)
{
    char path[ULL_COMMAND_BYTES * 4];
    struct stat found;
    memset(sidecar, 0, sizeof *sidecar);
    sidecar->owner = ledger->owner;
    int result = ull_sidecar_path(path, sizeof path, ledger_path, ledger->owner);
    if (result != 0)
        return result == -EINVAL ? -ENOENT : result;
    int fd = ull_sys_openat(AT_FDCWD, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
    if (fd < 0)
        return fd;
    result = ull_sys_fstat(fd, &found);
    if (result == 0)
        result = S_ISREG(found.st_mode) && found.st_uid == geteuid()
            ? read_all(fd, &sidecar->header, sizeof sidecar->header) : -EBADMSG;
    const struct ull_sidecar_header *header = &sidecar->header;
    if (result == 0 && (header->magic != ULL_SIDECAR_MAGIC || header->version != ULL_FORMAT_VERSION
            || header->entry_bytes != sizeof(struct ull_sidecar_entry) || header->entry_count > ENTRIES_MAX
            || (uint64_t)found.st_size < sizeof *header + header->entry_count * header->entry_bytes
            || header->start_unix_ns != ledger->header.start_unix_ns || header->pid != ledger->header.pid))
        result = -EBADMSG;
    if (result == 0)
        result = read_entries(sidecar, fd);
    ull_sys_close(fd);
    if (result != 0)
        ull_sidecar_fini(sidecar);
    return result;
}

static int by_index(const void *a, const void *b)
{
    const struct ull_sidecar_entry *left = a, *right = b;
    return left->live < right->live ? -1 : left->live > right->live;
}

static int write_all(int fd, const void *from, size_t bytes)
{
    for (size_t put = 0; put < bytes;) {
        ssize_t part = ull_sys_write(fd, (const char *)from + put, bytes - put);
        if (part == -EINTR)
            continue;
        if (part <= 0)
            return part < 0 ? (int)part : -ENOSPC;
        put += (size_t)part;
    }
    return 0;
}

int ull_sidecar_write(struct ull_sidecar *sidecar, const char *ledger_path)
{
    char path[4096], fresh[4096 + 16];
    int result = ull_sidecar_path(path, sizeof path, ledger_path, sidecar->owner);
    if (result != 0)
        return result;
    snprintf(fresh, sizeof fresh, "%s.%d", path, (int)getpid());
    bool sorted = true;
    for (size_t i = 1; i < sidecar->count && sorted; i++)
        sorted = sidecar->entries[i - 1].live <= sidecar->entries[i].live;
    if (!sorted)
        qsort(sidecar->entries, sidecar->count, sizeof *sidecar->entries, by_index);
    sidecar->header.entry_count = sidecar->count;
    sidecar->header.checksum = checksum(sidecar->entries, sidecar->count);
    (void)unlink(fresh);
    int fd = ull_sys_openat(AT_FDCWD, fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    if (fd < 0)
        return fd;
    result = write_all(fd, &sidecar->header, sizeof sidecar->header);
    if (result == 0)
        result = write_all(fd, sidecar->entries, sidecar->count * sizeof *sidecar->entries);
    ull_sys_close(fd);
    if (result == 0 && rename(fresh, path) != 0)
        result = -errno;
    if (result != 0)
        (void)unlink(fresh);
    return result;
}

int ull_sidecar_put(struct ull_sidecar *sidecar, const struct ull_sidecar_entry *entry)
{
    if (sidecar->count == sidecar->room) {
        size_t room = sidecar->room == 0 ? 256 : sidecar->room * 2;
        struct ull_sidecar_entry *grown = reallocarray(sidecar->entries, room, sizeof *grown);
        if (grown == NULL)
            return -ENOMEM;
        sidecar->entries = grown;
        sidecar->room = room;
    }
    sidecar->entries[sidecar->count++] = *entry;
    return 0;
}

const struct ull_sidecar_entry *ull_sidecar_find(const struct ull_sidecar *sidecar, uint64_t live, uint64_t state)
{
    size_t low = 0, high = sidecar->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (sidecar->entries[middle].live < live)
            low = middle + 1;
        else
            high = middle;
    }
    bool found = low < sidecar->count && sidecar->entries[low].live == live && sidecar->entries[low].state == state;
    return found ? &sidecar->entries[low] : NULL;
}
