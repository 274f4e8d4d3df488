/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * writer.c - making and growing a ledger.
 *
 * Growth is posix_fallocate in meaning: blocks first, then the mapping, then the offset is released to readers. A file
 * that was only made longer would raise SIGBUS in the program at the first write to a full tmpfs.
 */
#include "config.h"

#include "ledger/writer.h"

#include "base/arith.h"
#include "base/atomic.h"
#include "base/directory.h"
#include "base/lock.h"
#include "base/sys.h"
#include "ledger/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Segment 0 of all tables and the header fit in ULL_FIRST_BYTES; counts are powers of two. */
static const struct {
    uint32_t entry_bytes, base_count;
} layout[ULL_TABLE_COUNT] = {
    [ULL_TABLE_STRINGS] = { 1, 4096 },
    [ULL_TABLE_MODULES] = { sizeof(struct ull_module_entry), 32 },
    [ULL_TABLE_FRAMES] = { sizeof(uint64_t), 1024 },
    [ULL_TABLE_SITES] = { sizeof(struct ull_site_entry), 16 },
    [ULL_TABLE_USES] = { sizeof(struct ull_use_entry), 8 },
    [ULL_TABLE_LIVE] = { sizeof(struct ull_live_entry), 64 },
    [ULL_TABLE_SHARDS] = { sizeof(struct ull_shard_entry), 8 },
    [ULL_TABLE_POOLS] = { sizeof(struct ull_pool_entry), 8 },
    [ULL_TABLE_BUDGETS] = { sizeof(struct ull_budget_entry), 8 },
    [ULL_TABLE_PROCEDURES] = { sizeof(struct ull_procedure_entry), 4 },
};

enum {
    FIRST_SEGMENTS_BYTES = 4096 + 32 * sizeof(struct ull_module_entry) + 1024 * 8 + 16 * sizeof(struct ull_site_entry)
        + 8 * sizeof(struct ull_use_entry) + 64 * sizeof(struct ull_live_entry) + 8 * sizeof(struct ull_shard_entry)
        + 8 * sizeof(struct ull_pool_entry) + 8 * sizeof(struct ull_budget_entry)
        + 4 * sizeof(struct ull_procedure_entry),
};
_Static_assert(ULL_HEADER_BYTES + FIRST_SEGMENTS_BYTES <= ULL_FIRST_BYTES, "the first segments must fit");
_Static_assert(sizeof(struct ull_site_entry) % 8 == 0 && sizeof(struct ull_use_entry) % 8 == 0, "aligned words");

/* A ledger stops growing here. Our choice: 40,000 sites and a million live buffers fit; /dev/shm is often 64 MiB. */
#define LEDGER_BYTES_MAX (UINT64_C(256) << 20)

static unsigned segment_of(uint64_t index, uint32_t base_count)
{
    return 63U - (unsigned)__builtin_clzll(index / base_count + 1);
}

static uint64_t segment_first(unsigned segment, uint32_t base_count)
{
    return (uint64_t)base_count * ((UINT64_C(1) << segment) - 1);
}

void *ull_ledger_at(const struct ull_ledger *ledger, enum ull_table table, uint64_t index)
{
    uint32_t base = ledger->base_count[table];
    unsigned segment = segment_of(index, base);
    if (segment >= ULL_SEGMENTS_MAX)
        return NULL;
    char *start = ull_load_acquire(&ledger->segments[table][segment]);
    return start == NULL ? NULL : start + (index - segment_first(segment, base)) * ledger->entry_bytes[table];
}

/* ---- growing ---- */

static bool descriptor_is_ours(const struct ull_ledger *ledger)
{
    struct stat now;
    return ledger->fd >= 0 && ull_sys_fstat(ledger->fd, &now) == 0 && (uint64_t)now.st_dev == ledger->device
        && (uint64_t)now.st_ino == ledger->inode;
}

/* The program closed our descriptor: the file is still where it was, unless we are in a chroot now. */
static bool find_descriptor_again(struct ull_ledger *ledger)
{
    if (descriptor_is_ours(ledger))
        return true;
    ledger->fd = ull_sys_openat(AT_FDCWD, ledger->path, O_RDWR | O_NOFOLLOW, 0);
    if (ledger->fd >= 0)
        ledger->fd = ull_sys_move_high(ledger->fd);
    if (descriptor_is_ours(ledger))
        return true;
    if (ledger->fd >= 0)
        ull_sys_close(ledger->fd);
    ledger->fd = -1;
    return false;
}

/* Held only where there are descriptors enough. */
static void let_go_if_few(struct ull_ledger *ledger)
{
    if (ull_sys_may_hold())
        return;
    if (descriptor_is_ours(ledger))
        ull_sys_close(ledger->fd);
    ledger->fd = -1;
}

static void *map_file(const struct ull_ledger *ledger, uint64_t offset, uint64_t bytes, int *error)
{
    return ull_sys_mmap(bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ledger->fd, (off_t)offset, error);
}

/* Under the lock. */
static int add_segment(struct ull_ledger *ledger, enum ull_table table, unsigned segment)
{
    int error = 0;
    uint64_t entries = (uint64_t)ledger->base_count[table] << segment;
    uint64_t bytes = ull_round_up(entries * ledger->entry_bytes[table], (uint64_t)sysconf(_SC_PAGESIZE));
    uint64_t offset = ledger->file_bytes;
    if (ledger->grown_out)
        return -ENOSPC;
    if (offset + bytes > LEDGER_BYTES_MAX || !find_descriptor_again(ledger)) {
        ledger->grown_out = true;
        return -ENOSPC;
    }
    error = ull_sys_reserve(ledger->fd, offset, bytes);
    void *start = error == 0 ? map_file(ledger, offset, bytes, &error) : NULL;
    if (start == NULL) {
        ledger->grown_out = true;
        return error;
    }
    let_go_if_few(ledger);
    ledger->file_bytes = offset + bytes;
    ull_store_release(&ledger->header->file_bytes, ledger->file_bytes);
    ull_store_release(&ledger->segments[table][segment], start);
    ull_store_release(&ledger->header->tables[table].segment_offset[segment], offset);
    return 0;
}

int64_t ull_ledger_reserve(struct ull_ledger *ledger, enum ull_table table, uint32_t count)
{
    uint32_t base = ledger->base_count[table];
    int64_t result = -1;
    if (!ull_lock(&ledger->lock))
        return -1;
    uint64_t first = ledger->reserved[table];
    unsigned segment = segment_of(first, base);
    /* A run that does not fit in what is left of this segment goes to the start of the next. */
    while (first + count > segment_first(segment + 1, base)) {
        segment++;
        first = segment_first(segment, base);
    }
    if (segment < ULL_SEGMENTS_MAX
        && (ledger->segments[table][segment] != NULL || add_segment(ledger, table, segment) == 0)) {
        ledger->reserved[table] = first + count;
        ull_store_release(&ledger->header->tables[table].reserved_count, first + count);
        result = (int64_t)first;
    }
    ull_unlock(&ledger->lock);
    return result;
}

int64_t ull_ledger_add_string(struct ull_ledger *ledger, const char *text, uint32_t bytes)
{
    int64_t index = ull_ledger_reserve(ledger, ULL_TABLE_STRINGS, bytes + 1);
    if (index < 0)
        return -1;
    char *to = ull_ledger_at(ledger, ULL_TABLE_STRINGS, (uint64_t)index);
    memcpy(to, text, bytes);
    to[bytes] = '\0';
    return index;
}

/* ---- making ---- */

static int open_file(struct ull_ledger *ledger, const char *directory)
{
    char name[64];
    struct stat now;
    int place = ull_directory_open(directory, true);
    if (place < 0)
        return place;
    snprintf(name, sizeof name, "%d-%llx" ULL_MAKING_SUFFIX, (int)getpid(), (unsigned long long)ull_sys_unix_ns());
    snprintf(ledger->path, sizeof ledger->path, "%s/%s", directory, name);
    int fd = ull_sys_openat(place, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    ull_sys_close(place);
    if (fd < 0)
        return fd;
    fd = ull_sys_move_high(fd);
    if (fd < 0) {
        ull_sys_unlinkat(AT_FDCWD, ledger->path, 0);
        return fd;
    }
    ledger->fd = fd;
    int error = ull_sys_fstat(fd, &now);
    ledger->device = (uint64_t)now.st_dev;
    ledger->inode = (uint64_t)now.st_ino;
    return error;
}

static void lay_out_first_segments(struct ull_ledger *ledger)
{
    uint64_t offset = ULL_HEADER_BYTES;
    for (unsigned table = 0; table < ULL_TABLE_COUNT; table++) {
        struct ull_table_head *head = &ledger->header->tables[table];
        ledger->entry_bytes[table] = head->entry_bytes = layout[table].entry_bytes;
        ledger->base_count[table] = head->base_count = layout[table].base_count;
        ledger->segments[table][0] = (char *)ledger->header + offset;
        head->segment_offset[0] = offset;
        offset += (uint64_t)layout[table].entry_bytes * layout[table].base_count;
        offset = ull_round_up(offset, 8);
    }
}

static void fill_header(struct ull_ledger *ledger, const struct ull_ledger_options *options)
{
    struct ull_ledger_header *header = ledger->header;
    header->version = ULL_FORMAT_VERSION;
    header->header_bytes = ULL_HEADER_BYTES;
    header->page_bytes = (uint32_t)sysconf(_SC_PAGESIZE);
    header->counter_count = ULL_COUNTER_COUNT;
    header->file_bytes = ledger->file_bytes;
    header->self_address = (uint64_t)(uintptr_t)header;
    header->start_unix_ns = ull_sys_unix_ns();
    header->start_monotonic_ns = ull_sys_monotonic_ns();
    header->min_bytes = options->min_bytes;
    header->sample_bytes = options->sample_bytes;
    header->huge_pages_possible = options->huge_pages_possible;
    header->fork_depth = options->fork_depth;
    if (options->run_id != NULL)
        snprintf(header->run_id, sizeof header->run_id, "%s", options->run_id);
    ull_identity_fill(header);
    if (options->parent_pid != 0)
        header->parent_pid = options->parent_pid;
    lay_out_first_segments(ledger);
}

/* Site 0 is there from the start: what no site could be made for is counted under it. */
static void make_other_site(struct ull_ledger *ledger)
{
    int64_t index = ull_ledger_reserve(ledger, ULL_TABLE_SITES, 1);
    struct ull_site_entry *site = ull_ledger_at(ledger, ULL_TABLE_SITES, (uint64_t)index);
    site->kind = ULL_KIND_OTHER;
    ull_store_release(&site->ready, 1);
}

/* Whoever finds a file with a ledger's name finds a whole header in it, whenever its process was killed. */
static int give_name(struct ull_ledger *ledger)
{
    char made[sizeof ledger->path];
    size_t stem = strlen(ledger->path) - strlen(ULL_MAKING_SUFFIX);
    memcpy(made, ledger->path, sizeof made);
    snprintf(ledger->path + stem, sizeof ledger->path - stem, "%s", ULL_LEDGER_SUFFIX);
    int error = ull_sys_rename(made, ledger->path);
    if (error != 0)
        memcpy(ledger->path, made, sizeof made);
    return error;
}

static void undo(struct ull_ledger *ledger)
{
    if (ledger->header != NULL)
        ull_sys_munmap(ledger->header, ULL_FIRST_BYTES);
    if (ledger->fd >= 0) {
        ull_sys_unlinkat(AT_FDCWD, ledger->path, 0);
        ull_sys_close(ledger->fd);
    }
    ledger->header = NULL;
    ledger->fd = -1;
}

int ull_ledger_create(struct ull_ledger *ledger, const struct ull_ledger_options *options)
{
    char chosen[ULL_DIRECTORY_BYTES];
    int error = 0;
    const char *directory = options->directory;
    memset(ledger, 0, sizeof *ledger);
    ledger->fd = -1;
    pthread_mutex_init(&ledger->lock, NULL);
    if (directory == NULL) {
        error = ull_directory_choose(chosen);
        directory = chosen;
    }
    if (error == 0)
        error = open_file(ledger, directory);
    if (error == 0)
        error = ull_sys_reserve(ledger->fd, 0, ULL_FIRST_BYTES);
    if (error == 0)
        ledger->header = map_file(ledger, 0, ULL_FIRST_BYTES, &error);
    if (ledger->header != NULL) {
        ledger->file_bytes = ULL_FIRST_BYTES;
        fill_header(ledger, options);
        make_other_site(ledger);
        ull_store_release(&ledger->header->magic, ULL_LEDGER_MAGIC);
        error = give_name(ledger);
    }
    if (error != 0)
        undo(ledger);
    else
        let_go_if_few(ledger);
    return error;
}

void ull_ledger_close(struct ull_ledger *ledger)
{
    if (ledger->header == NULL)
        return;
    for (unsigned table = 0; table < ULL_TABLE_COUNT; table++) {
        for (unsigned segment = 1; segment < ULL_SEGMENTS_MAX; segment++) {
            uint64_t bytes = ((uint64_t)ledger->base_count[table] << segment) * ledger->entry_bytes[table];
            if (ledger->segments[table][segment] != NULL)
                ull_sys_munmap(ledger->segments[table][segment], bytes);
        }
    }
    ull_sys_munmap(ledger->header, ULL_FIRST_BYTES);
    if (descriptor_is_ours(ledger))
        ull_sys_close(ledger->fd);
    memset(ledger, 0, sizeof *ledger);
    ledger->fd = -1;
}

void ull_ledger_mark_ended(struct ull_ledger *ledger, int status)
{
    struct ull_ledger_header *header = ledger->header;
    header->exit_status = (uint32_t)status & 0xff;
    ull_store_relaxed(&header->ended_monotonic_ns, ull_sys_monotonic_ns());
    ull_store_release(&header->ended, (uint32_t)ULL_ENDED_EXIT);
}
