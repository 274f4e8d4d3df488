/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * file.c - opening a ledger and reaching into it.
 *
 * The program may be writing while we read, so each word is loaded once, into a copy, and only the copy is checked and
 * used. The program never shortens its file; should somebody else do that while it is mapped, the read faults, as with
 * any mapped file: that is why the directory must belong to the user.
 */
#include "config.h"

#include "view/file.h"

#include "base/arith.h"
#include "base/atomic.h"
#include "base/sys.h"
#include "ullage/view.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define FILE_BYTES_MAX (UINT64_C(1) << 30)     /* our choice: four times what a writer makes */
#define FOREIGN_BYTES_MAX (UINT64_C(32) << 20) /* our choice: 20,000 sites; more of another user's is not copied */
enum { BASE_COUNT_MAX = 1 << 20 };

static const uint32_t entry_bytes[ULL_TABLE_COUNT] = {
    [ULL_TABLE_STRINGS] = 1,
    [ULL_TABLE_MODULES] = sizeof(struct ull_module_entry),
    [ULL_TABLE_FRAMES] = sizeof(uint64_t),
    [ULL_TABLE_SITES] = sizeof(struct ull_site_entry),
    [ULL_TABLE_USES] = sizeof(struct ull_use_entry),
    [ULL_TABLE_LIVE] = sizeof(struct ull_live_entry),
    [ULL_TABLE_SHARDS] = sizeof(struct ull_shard_entry),
    [ULL_TABLE_POOLS] = sizeof(struct ull_pool_entry),
    [ULL_TABLE_BUDGETS] = sizeof(struct ull_budget_entry),
    [ULL_TABLE_PROCEDURES] = sizeof(struct ull_procedure_entry),
};

void ull_file_copy(void *to, const void *from, size_t bytes)
{
    uint64_t *words = to;
    const uint64_t *source = from;
    for (size_t i = 0; i < bytes / sizeof *words; i++)
        words[i] = ull_load_acquire(&source[i]);
}

static bool table_is_sane(const struct ull_table_head *head, enum ull_table table)
{
    bool power_of_two = head->base_count != 0 && (head->base_count & (head->base_count - 1)) == 0;
    return head->entry_bytes == entry_bytes[table] && power_of_two && head->base_count <= BASE_COUNT_MAX;
}

static bool tables_are_sane(const struct ull_ledger_header *header, unsigned *wrong)
{
    for (*wrong = 0; *wrong < ULL_TABLE_COUNT; (*wrong)++)
        if (!table_is_sane(&header->tables[*wrong], *wrong))
            return false;
    return true;
}

static int check_header(struct ull_file *file, char *error)
{
    unsigned table;
    struct ull_ledger_header *header = &file->header;
    if (file->size < ULL_HEADER_BYTES) {
        snprintf(error, ULLAGE_ERROR_BYTES, "cut off within its first %d bytes: nothing is left to read; take another "
            "ledger (`ullage ls`)", ULL_HEADER_BYTES);
        return -EBADMSG;
    }
    ull_file_copy(header, file->bytes, sizeof *header);
    if (header->magic != ULL_LEDGER_MAGIC) {
        snprintf(error, ULLAGE_ERROR_BYTES, "not a ledger of ullage (`ullage ls` lists those there are)");
        return -EBADMSG;
    }
    if (header->version != ULL_FORMAT_VERSION) {
        snprintf(error, ULLAGE_ERROR_BYTES, "a ledger of format version %u, and this ullage reads version %d: use the "
            "ullage that wrote it", header->version, ULL_FORMAT_VERSION);
        return -ENOTSUP;
    }
    if (!tables_are_sane(header, &table)) {
        snprintf(error, ULLAGE_ERROR_BYTES, "damaged: its header describes table %u as no writer does; nothing can "
            "be read from it", table);
        return -EBADMSG;
    }
    file->cut = header->file_bytes > file->size;
    header->run_id[sizeof header->run_id - 1] = '\0';
    header->command_bytes = header->command_bytes < ULL_COMMAND_BYTES ? header->command_bytes : ULL_COMMAND_BYTES;
    return 0;
}

void ull_file_refresh(struct ull_file *file)
{
    struct ull_ledger_header now;
    unsigned wrong;
    ull_file_copy(&now, file->bytes, sizeof now);
    if (!tables_are_sane(&now, &wrong))
        return;
    memcpy(file->header.counters, now.counters, sizeof now.counters);
    memcpy(file->header.tables, now.tables, sizeof now.tables);
}

int ull_file_parse(struct ull_file *file, const void *bytes, size_t size, char *error)
{
    memset(file, 0, sizeof *file);
    file->fd = -1;
    file->owner = (uint32_t)geteuid();
    file->bytes = bytes;
    file->size = size;
    return check_header(file, error);
}

static int explain_open(int result, char *error)
{
    const char *what = result == -ENOENT ? "no such ledger (`ullage ls` lists those there are)"
        : result == -EACCES || result == -EPERM
        ? "not readable by this user: look at it as the user who ran the program"
        : result == -ELOOP ? "a symbolic link, which a ledger never is: name the file itself" : NULL;
    if (what != NULL)
        snprintf(error, ULLAGE_ERROR_BYTES, "%s", what);
    else
        snprintf(error, ULLAGE_ERROR_BYTES, "cannot be read: %s", strerrordesc_np(-result));
    return result;
}

static int check_file(const struct stat *found, char *error)
{
    if (!S_ISREG(found->st_mode)) {
        snprintf(error, ULLAGE_ERROR_BYTES, "not a file: name a ledger (`ullage ls`)");
        return -EBADMSG;
    }
    if (found->st_uid != geteuid() && geteuid() != 0) {
        snprintf(error, ULLAGE_ERROR_BYTES, "belongs to user %lu: look at it as that user",
            (unsigned long)found->st_uid);
        return -EPERM;
    }
    if (found->st_size == 0) {
        snprintf(error, ULLAGE_ERROR_BYTES, "empty: the process died before it wrote anything, or the copy failed");
        return -EBADMSG;
    }
    if ((uint64_t)found->st_size > FILE_BYTES_MAX) {
        snprintf(error, ULLAGE_ERROR_BYTES, "larger than any ledger: name a ledger (`ullage ls`)");
        return -EBADMSG;
    }
    return 0;
}

/* Another user's file, as it is at this moment. */
static int copy_file(struct ull_file *file, int fd, size_t size)
{
    int error = 0;
    unsigned char *to = size <= FOREIGN_BYTES_MAX
        ? ull_sys_mmap(size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0, &error) : NULL;
    if (to == NULL)
        return error != 0 ? error : -EFBIG;
    file->bytes = to;
    file->mapped = true;
    file->size = size;
    for (size_t filled = 0; filled < size;) {
        ssize_t got = ull_sys_pread(fd, to + filled, size - filled, (off_t)filled);
        if (got == -EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? (int)got : 0; /* shortened meanwhile: the rest is zeros, which is no entry */
        filled += (size_t)got;
    }
    file->fd = fd;
    return 0;
}

static int map_or_copy(struct ull_file *file, int fd, size_t size)
{
    int error = 0;
    if (file->owner != geteuid())
        return copy_file(file, fd, size);
    file->bytes = ull_sys_mmap(size, PROT_READ, MAP_SHARED, fd, 0, &error);
    file->mapped = file->bytes != NULL;
    file->size = size;
    return error;
}

int ull_file_peek(struct ull_file *file, int directory, const char *name, uint32_t owner)
{
    uint64_t page[ULL_HEADER_BYTES / sizeof(uint64_t)];
    char error[ULLAGE_ERROR_BYTES];
    struct stat found;
    int fd = ull_sys_openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
    if (fd < 0)
        return fd;
    int result = ull_sys_fstat(fd, &found);
    if (result == 0 && (!S_ISREG(found.st_mode) || found.st_uid != owner || found.st_size < ULL_HEADER_BYTES))
        result = -EBADMSG;
    if (result == 0 && ull_sys_pread(fd, page, sizeof page, 0) != (ssize_t)sizeof page)
        result = -EIO;
    ull_sys_close(fd);
    if (result != 0)
        return result;
    result = ull_file_parse(file, page, sizeof page, error);
    file->bytes = NULL;
    file->owner = owner;
    file->size = (size_t)found.st_size;
    return result;
}

int ull_file_open(struct ull_file *file, const char *path, char *error)
{
    struct stat found;
    memset(file, 0, sizeof *file);
    file->fd = -1;
    int fd = ull_sys_openat(AT_FDCWD, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
    if (fd < 0)
        return explain_open(fd, error);
    int result = ull_sys_fstat(fd, &found);
    if (result == 0)
        result = check_file(&found, error);
    if (result == 0) {
        file->owner = (uint32_t)found.st_uid;
        file->from_file = true;
        result = map_or_copy(file, fd, (size_t)found.st_size);
        if (result != 0)
            explain_open(result, error);
    }
    if (file->fd < 0)
        ull_sys_close(fd);
    if (result == 0)
        result = check_header(file, error);
    if (result != 0)
        ull_file_close(file);
    return result;
}

void ull_file_close(struct ull_file *file)
{
    if (file->mapped)
        ull_sys_munmap((void *)(uintptr_t)file->bytes, file->size);
    if (file->fd >= 0)
        ull_sys_close(file->fd);
    file->bytes = NULL;
    file->mapped = false;
    file->fd = -1;
}

uint64_t ull_file_word_now(const struct ull_file *file, const uint64_t *word)
{
    uint64_t now = 0;
    off_t offset = (off_t)((const unsigned char *)word - file->bytes);
    if (file->fd < 0)
        return ull_load_acquire(word);
    return ull_sys_pread(file->fd, &now, sizeof now, offset) == (ssize_t)sizeof now ? now : 0;
}

size_t ull_file_command(const struct ull_file *file, char to[ULL_COMMAND_BYTES])
{
    size_t length = file->header.command_bytes;
    memcpy(to, file->header.command, ULL_COMMAND_BYTES);
    while (length > 0 && to[length - 1] == '\0')
        length--;
    for (size_t i = 0; i < length; i++)
        to[i] = to[i] == '\0' ? ' ' : to[i];
    return length;
}

/* ---- entries ---- */

/* Where segment @segment lies, if all of it is in the file. */
static bool segment_range(const struct ull_file *file, enum ull_table table, unsigned segment, uint64_t *offset)
{
    const struct ull_table_head *head = &file->header.tables[table];
    uint64_t bytes, end;
    if (segment >= ULL_SEGMENTS_MAX || head->segment_offset[segment] == 0)
        return false;
    *offset = head->segment_offset[segment];
    return ull_mul_fits((uint64_t)head->base_count << segment, head->entry_bytes, &bytes)
        && ull_add_fits(*offset, bytes, &end) && *offset >= ULL_HEADER_BYTES && *offset % 8 == 0 && end <= file->size;
}

uint64_t ull_file_count(const struct ull_file *file, enum ull_table table)
{
    const struct ull_table_head *head = &file->header.tables[table];
    uint64_t count = 0, offset;
    for (unsigned segment = 0; segment_range(file, table, segment, &offset); segment++)
        count += (uint64_t)head->base_count << segment;
    return ull_min_u64(count, head->reserved_count);
}

const void *ull_file_run(const struct ull_file *file, enum ull_table table, uint64_t index, uint64_t count)
{
    const struct ull_table_head *head = &file->header.tables[table];
    uint64_t offset;
    if (index / head->base_count >= (UINT64_C(1) << ULL_SEGMENTS_MAX) - 1)
        return NULL;
    unsigned segment = 63U - (unsigned)__builtin_clzll(index / head->base_count + 1);
    uint64_t first = (uint64_t)head->base_count * ((UINT64_C(1) << segment) - 1);
    uint64_t room = ((uint64_t)head->base_count << segment) - (index - first);
    if (count > room || !segment_range(file, table, segment, &offset))
        return NULL;
    return file->bytes + offset + (index - first) * head->entry_bytes;
}

const void *ull_file_entry(const struct ull_file *file, enum ull_table table, uint64_t index)
{
    return ull_file_run(file, table, index, 1);
}
