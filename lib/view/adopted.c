/* SPDX-License-Identifier: BSD-2-Clause */
/* adopted.c - which buffers a daemon took with it. */
#include "config.h"

#include "view/adopted.h"

#include "base/sys.h"
#include "view/process.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static int add(struct ull_adopted *adopted, const struct ull_live_entry *entry, uint32_t fork_depth)
{
    if (adopted->count == adopted->room) {
        size_t room = adopted->room == 0 ? 64 : adopted->room * 2;
        struct ull_adopted_buffer *grown = reallocarray(adopted->buffers, room, sizeof *grown);
        if (grown == NULL)
            return -ENOMEM;
        adopted->buffers = grown;
        adopted->room = room;
    }
    adopted->buffers[adopted->count++]
        = (struct ull_adopted_buffer) { entry->address, entry->born_monotonic_ns, fork_depth };
    return 0;
}

int ull_adopted_collect(struct ull_adopted *adopted, const struct ull_file *file)
{
    uint64_t count = ull_file_count(file, ULL_TABLE_LIVE);
    int result = 0;
    if (file->header.counters[ULL_COUNTER_inherited_total] == 0 || !ull_process_is_orphaned(&file->header))
        return 0;
    for (uint64_t i = 0; i < count && result == 0; i++) {
        struct ull_live_entry entry;
        const void *from = ull_file_entry(file, ULL_TABLE_LIVE, i);
        if (from == NULL)
            break;
        ull_file_copy(&entry, from, sizeof entry);
        /* Freed since is adopted as well: its end is counted there. */
        if (entry.address != 0 && (entry.flags & ULL_LIVE_INHERITED) != 0)
            result = add(adopted, &entry, file->header.fork_depth);
    }
    return result;
}

static int by_place(const void *a, const void *b)
{
    const struct ull_adopted_buffer *left = a, *right = b;
    if (left->address != right->address)
        return left->address < right->address ? -1 : 1;
    return left->born_monotonic_ns < right->born_monotonic_ns ? -1 : left->born_monotonic_ns > right->born_monotonic_ns;
}

void ull_adopted_sort(struct ull_adopted *adopted)
{
    if (adopted->count > 1)
        qsort(adopted->buffers, adopted->count, sizeof adopted->buffers[0], by_place);
}

bool ull_adopted_later(
    const struct ull_adopted *adopted, const struct ull_live_entry *entry, const struct ull_ledger_header *header)
{
    const struct ull_adopted_buffer wanted = { entry->address, entry->born_monotonic_ns, 0 };
    size_t low = 0, high = adopted->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (by_place(&adopted->buffers[middle], &wanted) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < adopted->count && by_place(&adopted->buffers[low], &wanted) == 0; low++)
        if (adopted->buffers[low].fork_depth > header->fork_depth)
            return true;
    return false;
}

void ull_adopted_look_for(struct ull_adopted *adopted, const struct ull_file *file, uint32_t pid)
{
    struct ull_ledger_header seen;
    const struct ull_ledger_header *header = &file->header;
    size_t bytes = offsetof(struct ull_ledger_header, start_monotonic_ns);
    if (pid == header->pid || adopted->continued_count == sizeof adopted->continued / sizeof adopted->continued[0]
        || ull_sys_read_memory((pid_t)pid, header->self_address, &seen, bytes) != (ssize_t)bytes)
        return;
    if (seen.magic == ULL_LEDGER_MAGIC && seen.pid == header->pid && seen.start_unix_ns == header->start_unix_ns)
        adopted->continued[adopted->continued_count++] = (struct ull_continued) { header->start_unix_ns, pid };
}

uint32_t ull_adopted_continued_by(const struct ull_adopted *adopted, const struct ull_ledger_header *header)
{
    for (size_t i = 0; i < adopted->continued_count; i++)
        if (adopted->continued[i].made_unix_ns == header->start_unix_ns)
            return adopted->continued[i].by;
    return 0;
}

void ull_adopted_fini(struct ull_adopted *adopted)
{
    free(adopted->buffers);
    memset(adopted, 0, sizeof *adopted);
}
