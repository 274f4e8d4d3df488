/* SPDX-License-Identifier: BSD-2-Clause */
/* hint.c - which -dbgsym package would name the worst site. */
#include "config.h"

#include "view/hint.h"

#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* Runs dpkg-query -S PATH; fills @package with the first package named. The path is an argument, never a shell's. */
static bool owner_of(const char *path, char *package, size_t room)
{
    int ends[2];
    pid_t pid;
    posix_spawn_file_actions_t actions;
    char program[] = "dpkg-query", search[] = "-S", end_of_options[] = "--";
    char *const arguments[] = { program, search, end_of_options, (char *)(uintptr_t)path, NULL };
    if (pipe2(ends, O_CLOEXEC) != 0)
        return false;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    int failed = posix_spawnp(&pid, "dpkg-query", &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    ull_sys_close(ends[1]);
    ssize_t got = -1;
    if (failed == 0) {
        got = ull_sys_read(ends[0], package, room - 1);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
        }
    }
    ull_sys_close(ends[0]);
    if (got <= 0)
        return false;
    package[got] = '\0';
    size_t name = strcspn(package, ":, \n");
    package[name] = '\0';
    return name > 0 && strncmp(package, "diversion", 9) != 0;
}

/* A file of merged /usr may be known to dpkg under its old name. */
static bool package_of(const char *object, char *package, size_t room)
{
    char real[4096];
    if (object[0] != '/' || realpath(object, real) == NULL)
        return false;
    if (owner_of(real, package, room) || owner_of(object, package, room))
        return true;
    return strncmp(real, "/usr/", 5) == 0 && owner_of(real + 4, package, room);
}

const char *ull_hint_find(struct ullage_snapshot *snapshot, const struct ull_symbolizer *symbolizer)
{
    char package[256], line[1024];
    for (size_t i = 0; i < snapshot->site_count; i++) {
        const struct ull_site *site = &snapshot->sites[i];
        const struct ull_frame *frame = site->place;
        if (site->flag == ULL_FLAG_NONE || frame == NULL || frame->object == NULL || frame->line != 0
            || !ull_symbolizer_lacks_debug(symbolizer, frame->object))
            continue;
        const char *name = strrchr(frame->object, '/');
        name = name != NULL ? name + 1 : frame->object;
        if (package_of(frame->object, package, sizeof package))
            snprintf(line, sizeof line, "%s has no debug information: install %s-dbgsym (Debian's debug archive) to see "
                "function and line", name, package);
        else
            snprintf(line, sizeof line, "%s has no debug information: build it with -g, or name the directory of its "
                "debug files with --debug-dir", name);
        return ull_arena_text(&snapshot->arena, line, strlen(line));
    }
    return NULL;
}
