/* SPDX-License-Identifier: BSD-2-Clause */
/* strays.c - the processes of a run that have no ledger: found in /proc by the run id in their environment. */
#include "config.h"

#include "base/sys.h"
#include "ledger/format.h"
#include "ullage/view.h"
#include "view/clean.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FILE_BYTES_FIRST = 8 << 10,
    FILE_BYTES_MAX = 16 << 20, /* our choice: the maps of a process with 100,000 of them */
};

/* A file of /proc/PID from its beginning, NUL-terminated; its length, 0 if there is none. The caller frees. */
static size_t read_file(const char *pid, const char *name, char **out)
{
    char path[300], *text = NULL;
    size_t filled = 0, room = 0;
    ssize_t got = 0;
    snprintf(path, sizeof path, "/proc/%s/%s", pid, name);
    *out = NULL;
    int fd = ull_sys_openat(AT_FDCWD, path, O_RDONLY, 0);
    if (fd < 0)
        return 0;
    do {
        filled += (size_t)got;
        if (filled + 1 >= room) {
            char *grown = room < FILE_BYTES_MAX ? realloc(text, room == 0 ? FILE_BYTES_FIRST : room * 2) : NULL;
            if (grown == NULL)
                break;
            text = grown;
            room = room == 0 ? FILE_BYTES_FIRST : room * 2;
        }
        got = ull_sys_read(fd, text + filled, room - 1 - filled);
    } while (got > 0);
    ull_sys_close(fd);
    if (text != NULL)
        text[filled] = '\0';
    *out = text;
    return filled;
}

static bool has_run_id(const char *pid, const char *run_id)
{
    char wanted[ULL_RUN_ID_BYTES + 32], *environment;
    bool found = false;
    snprintf(wanted, sizeof wanted, "ULLAGE_RUN_ID=%s", run_id);
    size_t length = read_file(pid, "environ", &environment);
    for (size_t at = 0; at < length && !found; at += strlen(environment + at) + 1)
        found = strcmp(environment + at, wanted) == 0;
    free(environment);
    return found;
}

static void describe(struct ullage_run_process *process, const char *pid)
{
    char *text;
    process->pid = (pid_t)atoi(pid);
    size_t length = read_file(pid, "comm", &text);
    while (length > 0 && text[length - 1] == '\n')
        length--;
    ull_clean_text(process->command, sizeof process->command, text != NULL ? text : "?", text != NULL ? length : 1);
    free(text);
    (void)read_file(pid, "maps", &text);
    process->interposed = text != NULL && strstr(text, "libullage-preload.so") != NULL;
    free(text);
}

int ullage_run_processes(const char *run_id, struct ullage_run_process *out, size_t room)
{
    DIR *stream = opendir("/proc");
    int count = 0;
    if (stream == NULL)
        return -errno;
    for (const struct dirent *entry; (entry = readdir(stream)) != NULL;) {
        if (entry->d_name[0] < '0' || entry->d_name[0] > '9' || !has_run_id(entry->d_name, run_id))
            continue;
        if ((size_t)count < room)
            describe(&out[count], entry->d_name);
        count++;
    }
    closedir(stream);
    return count;
}
