/* SPDX-License-Identifier: BSD-2-Clause */
/* list.c - the ledgers of a directory. */
#include "config.h"

#include "base/arith.h"
#include "base/directory.h"
#include "base/sys.h"
#include "ullage/view.h"
#include "view/clean.h"
#include "view/file.h"
#include "view/process.h"
#include "view/sidecar.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { STRANGERS_MAX = 4096 }; /* our choice: names looked at in another user's directory */

_Static_assert((int)ULLAGE_PATH_BYTES > (int)ULL_DIRECTORY_BYTES, "a chosen directory fits");
_Static_assert((int)ULLAGE_KEEP_LEDGERS == (int)ULL_KEEP_LEDGERS && ULLAGE_KEEP_BYTES == ULL_KEEP_BYTES, "one bound");

int ullage_directory(char *path)
{
    return ull_directory_choose(path);
}

int ullage_directory_make(char *path, char *error)
{
    int fd = ull_directory_choose(path);
    if (fd == 0)
        fd = ull_directory_open(path, true);
    if (fd < 0) {
        snprintf(error, ULLAGE_ERROR_BYTES, "%s", fd == -EPERM ? "it belongs to somebody else, or others may write to it"
                                                               : strerrordesc_np(-fd));
        return fd;
    }
    int result = faccessat(fd, ".", W_OK, AT_EACCESS) == 0 ? 0 : -errno;
    if (result != 0)
        snprintf(error, ULLAGE_ERROR_BYTES, "%s", strerrordesc_np(-result));
    ull_sys_close(fd);
    return result;
}

static void describe(struct ullage_ledger_info *info, const struct ull_file *file, const struct ull_process *process)
{
    static uint64_t boot_hash; /* the same for the life of this process */
    if (boot_hash == 0)
        boot_hash = ull_sys_boot_hash();
    const struct ull_ledger_header *header = &file->header;
    char command[ULL_COMMAND_BYTES];
    ull_clean_text(info->command, sizeof info->command, command, ull_file_command(file, command));
    ull_clean_text(info->run_id, sizeof info->run_id, header->run_id, strlen(header->run_id));
    info->user_id = file->owner;
    info->pid = (pid_t)header->pid;
    info->parent_pid = (pid_t)header->parent_pid;
    info->state = process->state;
    info->start_ticks = header->process_start_ticks;
    info->this_boot = header->boot_hash == 0 || header->boot_hash == boot_hash;
    info->made_unix_ns = ull_min_u64(header->start_unix_ns, ull_sys_unix_ns());
    info->started_unix_ns
        = header->process_start_unix_ns != 0 ? header->process_start_unix_ns : header->start_unix_ns;
    info->file_bytes = file->size;
    /* live_bytes counts pools and buffers too, as of their threads' last slow paths; two's complement. */
    uint64_t counted = header->counters[ULL_COUNTER_live_bytes];
    info->requested_live_bytes = ull_minus_clamped(header->counters[ULL_COUNTER_requested_bytes_total],
        header->counters[ULL_COUNTER_freed_bytes_total]);
    if ((int64_t)counted > 0)
        info->requested_live_bytes = ull_max_u64(info->requested_live_bytes, counted);
    info->requested_peak_bytes
        = ull_max_u64(header->counters[ULL_COUNTER_live_peak_bytes], info->requested_live_bytes);
}

/* False: not a ledger that can be read. */
static bool look_at(struct ullage_ledger_info *info, int place, const char *directory, uid_t owner, const char *name)
{
    struct ull_file file;
    struct ull_sidecar sidecar;
    size_t length = strlen(name), suffix = strlen(ULL_LEDGER_SUFFIX);
    if (length <= suffix || strcmp(name + length - suffix, ULL_LEDGER_SUFFIX) != 0)
        return false;
    memset(info, 0, sizeof *info);
    if ((size_t)snprintf(info->path, sizeof info->path, "%s/%s", directory, name) >= sizeof info->path
        || ull_file_peek(&file, place, name, owner) != 0)
        return false;
    bool beside = ull_sidecar_read(&sidecar, info->path, &file) == 0;
    struct ull_process process = ull_process_judge(&file.header, beside ? &sidecar.header : NULL);
    describe(info, &file, &process);
    if (beside)
        ull_sidecar_fini(&sidecar);
    return true;
}

static int newest_first(const void *a, const void *b)
{
    const struct ullage_ledger_info *left = a, *right = b;
    if (left->made_unix_ns != right->made_unix_ns)
        return left->made_unix_ns > right->made_unix_ns ? -1 : 1;
    return left->pid > right->pid ? -1 : left->pid < right->pid;
}

static int read_entries(
    DIR *stream, const char *directory, uid_t owner, struct ullage_ledger_info **list, size_t *count, size_t *room)
{
    size_t strangers = 0;
    for (const struct dirent *entry; (entry = readdir(stream)) != NULL;) {
        if (owner != geteuid() && ++strangers > STRANGERS_MAX)
            break;
        if (*count == *room) {
            size_t more = *room == 0 ? 16 : *room * 2;
            struct ullage_ledger_info *grown = reallocarray(*list, more, sizeof **list);
            if (grown == NULL)
                return -ENOMEM;
            *list = grown;
            *room = more;
        }
        if (look_at(&(*list)[*count], dirfd(stream), directory, owner, entry->d_name))
            (*count)++;
    }
    return 0;
}

/* What is open must be a directory of @owner alone, whatever its name says. */
static bool belongs_to(int fd, uid_t owner)
{
    struct stat found;
    return ull_sys_fstat(fd, &found) == 0 && S_ISDIR(found.st_mode) && found.st_uid == owner
        && (found.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

static int list_directory(
    int fd, const char *directory, uid_t owner, struct ullage_ledger_info **list, size_t *count, size_t *room)
{
    DIR *stream = fdopendir(fd);
    if (stream == NULL) {
        ull_sys_close(fd);
        return -ENOMEM;
    }
    int result = read_entries(stream, directory, owner, list, count, room);
    closedir(stream);
    return result;
}

/* The directories that the defaults give to other users: @parent/@prefix<user>@below. */
static int list_others(const char *parent, const char *prefix, const char *below, const char *own,
    struct ullage_ledger_info **list, size_t *count, size_t *room)
{
    DIR *stream = opendir(parent);
    int result = 0;
    for (const struct dirent *entry; stream != NULL && result == 0 && (entry = readdir(stream)) != NULL;) {
        char path[ULL_DIRECTORY_BYTES];
        char *end;
        size_t length = strlen(prefix);
        if (strncmp(entry->d_name, prefix, length) != 0 || entry->d_name[length] < '0' || entry->d_name[length] > '9')
            continue;
        unsigned long user = strtoul(entry->d_name + length, &end, 10);
        int made = snprintf(path, sizeof path, "%s/%s%s", parent, entry->d_name, below);
        if (*end != '\0' || made < 0 || (size_t)made >= sizeof path || strcmp(path, own) == 0)
            continue;
        int fd = ull_sys_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
        if (fd >= 0 && belongs_to(fd, (uid_t)user))
            result = list_directory(fd, path, (uid_t)user, list, count, room);
        else if (fd >= 0)
            ull_sys_close(fd);
    }
    if (stream != NULL)
        closedir(stream);
    return result;
}

/* A process that left no word, and has a newer image: it called execve(2), and whatever came after happened to that one. */
static void recognize_execve(struct ullage_ledger_info *list, size_t count)
{
    for (size_t i = 1; i < count; i++)
        for (size_t newer = 0; list[i].state == ULLAGE_STATE_KILLED && newer < i; newer++)
            if (list[newer].pid == list[i].pid && list[newer].user_id == list[i].user_id && list[i].start_ticks != 0
                && list[newer].start_ticks == list[i].start_ticks && list[newer].made_unix_ns > list[i].made_unix_ns)
                list[i].state = ULLAGE_STATE_EXITED;
}

static int list(struct ullage_ledger_info **out, size_t *count, const char *directory, bool everybody)
{
    char chosen[ULL_DIRECTORY_BYTES];
    size_t room = 0;
    *out = NULL;
    *count = 0;
    if (directory == NULL) {
        int result = ull_directory_choose(chosen);
        if (result != 0)
            return result;
        directory = chosen;
    }
    int fd = ull_directory_open(directory, false);
    int result = fd >= 0 ? list_directory(fd, directory, geteuid(), out, count, &room) : fd == -ENOENT ? 0 : fd;
    if (result == 0 && everybody)
        result = list_others("/dev/shm", "ullage-", "", directory, out, count, &room);
    if (result == 0 && everybody)
        result = list_others("/run/user", "", "/ullage", directory, out, count, &room);
    if (result != 0 || *count == 0) {
        free(*out);
        *out = NULL;
        *count = 0;
        return result;
    }
    qsort(*out, *count, sizeof **out, newest_first);
    recognize_execve(*out, *count);
    return 0;
}

int ullage_ledger_list(struct ullage_ledger_info **out, size_t *count, const char *directory)
{
    const char *named = getenv("ULLAGE_DIR");
    bool by_default = directory == NULL && (named == NULL || named[0] == '\0');
    return list(out, count, directory, by_default && geteuid() == 0);
}

int ullage_ledger_list_all(struct ullage_ledger_info **out, size_t *count)
{
    return list(out, count, NULL, geteuid() == 0);
}

void ullage_ledger_list_free(struct ullage_ledger_info *list)
{
    free(list);
}

/* Somebody runs `ullage run` whose report will want this ledger: a run id begins with that one's pid. */
static bool is_wanted(const struct ullage_ledger_info *info)
{
    char process[64];
    unsigned runner = 0;
    if (sscanf(info->run_id, "%x-", &runner) != 1 || runner == 0)
        return false;
    snprintf(process, sizeof process, "/proc/%u", runner);
    return access(process, F_OK) == 0;
}

/* Of another boot, or of another machine that shares the directory: nobody here knows its process, until it is old. */
static bool may_be_elsewhere(const struct ullage_ledger_info *info)
{
    enum { WEEK_SECONDS = 7 * 24 * 60 * 60 };
    struct stat found;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return !info->this_boot && (stat(info->path, &found) != 0 || now.tv_sec - found.st_mtim.tv_sec < WEEK_SECONDS);
}

/* A day after it was written, root's sidecar for another user's ledger is of no use: somebody else removed that. */
static bool is_stale_sidecar(int fd, const char *name)
{
    struct stat found;
    struct timespec now;
    const char *dash = strchr(name, '-');
    clock_gettime(CLOCK_REALTIME, &now);
    return dash != NULL && strchr(dash + 1, '-') != NULL && strstr(name, ULL_SIDECAR_SUFFIX) != NULL
        && fstatat(fd, name, &found, AT_SYMLINK_NOFOLLOW) == 0 && now.tv_sec - found.st_mtim.tv_sec > 24 * 60 * 60;
}

/* What was killed in the few microseconds before its ledger had a name. */
static bool is_unfinished(const char *name)
{
    char process[64];
    size_t length = strlen(name), suffix = strlen(ULL_MAKING_SUFFIX);
    snprintf(process, sizeof process, "/proc/%d", atoi(name));
    return length > suffix && strcmp(name + length - suffix, ULL_MAKING_SUFFIX) == 0 && access(process, F_OK) != 0;
}

static int prune_remains(const char *directory)
{
    int removed = 0, fd = ull_directory_open(directory, false);
    DIR *stream = fd >= 0 ? fdopendir(fd) : NULL;
    if (stream == NULL && fd >= 0)
        ull_sys_close(fd);
    for (const struct dirent *entry; stream != NULL && (entry = readdir(stream)) != NULL;)
        if ((is_unfinished(entry->d_name) || is_stale_sidecar(dirfd(stream), entry->d_name))
            && unlinkat(dirfd(stream), entry->d_name, 0) == 0)
            removed++;
    if (stream != NULL)
        closedir(stream);
    return removed;
}

int ullage_ledger_prune(const char *directory, size_t keep_count, uint64_t keep_bytes)
{
    struct ullage_ledger_info *list;
    size_t count, kept = 0;
    uint64_t kept_bytes = 0;
    char chosen[ULL_DIRECTORY_BYTES];
    int removed = 0, result = directory == NULL ? ull_directory_choose(chosen) : 0;
    if (directory == NULL)
        directory = chosen; /* named, so that only this one is listed: others' are theirs to prune */
    if (result == 0)
        result = ullage_ledger_list(&list, &count, directory);
    if (result != 0)
        return result;
    for (size_t i = 0; i < count; i++) {
        char sidecar[ULLAGE_PATH_BYTES];
        kept++;
        kept_bytes += list[i].file_bytes;
        if (list[i].state == ULLAGE_STATE_LIVE || is_wanted(&list[i]) || may_be_elsewhere(&list[i]) || (kept <= keep_count && kept_bytes <= keep_bytes))
            continue;
        if (unlink(list[i].path) == 0)
            removed++;
        if (ull_sidecar_path(sidecar, sizeof sidecar, list[i].path, list[i].user_id) == 0)
            (void)unlink(sidecar);
        kept--;
        kept_bytes -= list[i].file_bytes;
    }
    ullage_ledger_list_free(list);
    return removed + prune_remains(directory);
}
