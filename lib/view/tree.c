/* SPDX-License-Identifier: BSD-2-Clause */
/* tree.c - the processes of one run: the first one, and the others as its children. */
#include "config.h"

#include "view/adopted.h"
#include "view/snapshot.h"
#include "view/symbolize.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RUNNING_MAX = 64 }; /* processes that still run, looked at for what dead ones left to them */

static int add_child(struct ullage_snapshot *parent, struct ullage_snapshot *child)
{
    struct ullage_snapshot **grown
        = reallocarray(parent->children, parent->child_count + 1, sizeof parent->children[0]);
    if (grown == NULL)
        return -ENOMEM;
    parent->children = grown;
    parent->children[parent->child_count++] = child;
    return 0;
}

/* The process among @root and what hangs below it; the newest image of it first. */
static struct ullage_snapshot *find(struct ullage_snapshot *root, uint32_t pid)
{
    if (root->pid == pid)
        return root;
    for (size_t i = 0; i < root->child_count; i++) {
        struct ullage_snapshot *found = find(root->children[i], pid);
        if (found != NULL)
            return found;
    }
    return NULL;
}

/* The first process without a ledger: static, setuid, or it asked for nothing that is recorded. */
static struct ullage_snapshot *empty_root(pid_t pid, const char *command)
{
    struct ullage_snapshot *root = calloc(1, sizeof *root);
    if (root == NULL)
        return NULL;
    root->pid = (uint32_t)pid;
    root->exit_status = -1;
    root->pages_method = "unknown";
    root->command = ull_arena_text(&root->arena, command, strlen(command));
    root->warning_room = 4;
    root->warnings = ull_arena_alloc(&root->arena, root->warning_room, sizeof root->warnings[0]);
    if (root->command == NULL || root->warnings == NULL) {
        ullage_snapshot_destroy(root);
        return NULL;
    }
    ull_snapshot_warn(root, "no ledger: nothing large was asked for, or what did that had lost LD_PRELOAD or ULLAGE_RUN_ID from "
        "its environment (env -i, sudo, a service manager): set them there");
    return root;
}

static void set_status(struct ullage_snapshot *root, int status)
{
    if (status < 0) {
        root->state = ULLAGE_STATE_LIVE;
    } else if (WIFSIGNALED(status)) {
        root->state = ULLAGE_STATE_KILLED;
        root->signal = WTERMSIG(status);
        root->exit_status = -1;
    } else {
        root->state = ULLAGE_STATE_EXITED;
        root->exit_status = WEXITSTATUS(status);
        root->signal = 0;
    }
}

/* Oldest ledger first, so that a parent is there before its children; the others of the run hang on the root. */
static int hang_children(struct ullage_snapshot *root, const struct ullage_ledger_info *list, size_t count,
    const char *run_id, const char *root_path, const struct ullage_snapshot_options *opt,
    const struct ull_shared *shared)
{
    for (size_t i = count; i-- > 0;) {
        struct ullage_snapshot *child;
        char error[ULLAGE_ERROR_BYTES];
        if (strcmp(list[i].run_id, run_id) != 0 || (root_path != NULL && strcmp(list[i].path, root_path) == 0))
            continue;
        if (ull_snapshot_take_with(&child, list[i].path, opt, shared, error) != 0) {
            ull_snapshot_warn(root, "%s: %s", list[i].path, error);
            continue;
        }
        if (child->state == ULLAGE_STATE_KILLED && list[i].state == ULLAGE_STATE_EXITED) {
            child->state = ULLAGE_STATE_EXITED; /* it became another program */
            child->signal = 0;
        }
        struct ullage_snapshot *parent = child->pid != root->pid ? find(root, child->parent_pid) : root;
        if (add_child(parent != NULL ? parent : root, child) != 0) {
            ullage_snapshot_destroy(child);
            return -ENOMEM;
        }
    }
    return 0;
}

static bool same_processes(const struct ullage_run_process *a, int a_count, const struct ullage_run_process *b, int b_count)
{
    for (int i = 0; a_count == b_count && i < a_count && i < RUNNING_MAX; i++)
        if (a[i].pid != b[i].pid)
            return false;
    return a_count == b_count;
}

static size_t ledgers_of(const struct ullage_ledger_info *list, size_t count, const char *run_id)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++)
        found += strcmp(list[i].run_id, run_id) == 0;
    return found;
}

static void look_for_heirs(struct ull_adopted *adopted, const struct ullage_ledger_info *list, size_t count,
    const char *run_id, const struct ullage_run_process *running, int found)
{
    for (size_t i = 0; i < count; i++) {
        struct ull_file file;
        char error[ULLAGE_ERROR_BYTES];
        if (strcmp(list[i].run_id, run_id) != 0 || ull_file_open(&file, list[i].path, error) != 0)
            continue;
        (void)ull_adopted_collect(adopted, &file);
        for (int k = 0; k < found && k < RUNNING_MAX; k++)
            ull_adopted_look_for(adopted, &file, (uint32_t)running[k].pid);
        ull_file_close(&file);
    }
}

/*
 * The ledgers there are, and which buffers daemons took with them when their parents died. A daemon may be forking just now,
 * or making the ledger in which it takes them over: once more, until neither a process nor a ledger has come meanwhile.
 * Without memory each buffer is judged where it is found.
 */
static int collect(struct ullage_ledger_info **list, size_t *count, struct ull_adopted *adopted, const char *run_id)
{
    enum { TRIES = 5 };
    struct ullage_run_process running[RUNNING_MAX], after[RUNNING_MAX];
    int found = ullage_run_processes(run_id, running, RUNNING_MAX);
    int result = ullage_ledger_list_all(list, count);
    for (int try = 0; result == 0 && try < TRIES; try++) {
        size_t ledgers = ledgers_of(*list, *count, run_id);
        ull_adopted_fini(adopted);
        look_for_heirs(adopted, *list, *count, run_id, running, found);
        int now = ullage_run_processes(run_id, after, RUNNING_MAX);
        ullage_ledger_list_free(*list);
        result = ullage_ledger_list_all(list, count);
        if (result != 0 || (same_processes(running, found, after, now) && ledgers_of(*list, *count, run_id) == ledgers))
            break;
        memcpy(running, after, sizeof running);
        found = now;
    }
    ull_adopted_sort(adopted);
    return result;
}

int ullage_snapshot_take_run(struct ullage_snapshot **out, const char *run_id, pid_t pid, const char *command,
    int status, const struct ullage_snapshot_options *opt, char *error)
{
    struct ullage_ledger_info *list;
    struct ullage_snapshot *root = NULL;
    const char *root_path = NULL;
    struct ull_adopted adopted = { .count = 0 };
    size_t count;
    int result = collect(&list, &count, &adopted, run_id);
    if (result != 0) {
        ull_adopted_fini(&adopted);
        snprintf(error, ULLAGE_ERROR_BYTES, "the directory of ledgers cannot be read: %s", strerrordesc_np(-result));
        return result;
    }
    /* The processes of a run share most of their files: each is opened once. */
    struct ull_symbolizer *symbolizer = ull_symbolizer_create(
        opt != NULL ? opt->debug_directory : NULL, opt == NULL || !opt->no_symbols);
    const struct ull_shared shared = { symbolizer, &adopted };
    /* The runner's own user's, if there is one: another user's ledger may name any pid and run. */
    for (int strangers = 0; strangers < 2 && root_path == NULL; strangers++)
        for (size_t i = 0; i < count && root_path == NULL; i++)
            if (list[i].pid == pid && strcmp(list[i].run_id, run_id) == 0 && (list[i].user_id != geteuid()) == strangers)
                root_path = list[i].path;
    if (root_path != NULL)
        result = ull_snapshot_take_with(&root, root_path, opt, &shared, error);
    else
        root = empty_root(pid, command);
    if (result == 0 && root == NULL)
        result = -ENOMEM;
    if (result == 0) {
        set_status(root, status);
        result = hang_children(root, list, count, run_id, root_path, opt, &shared);
    }
    ull_adopted_fini(&adopted);
    ull_symbolizer_destroy(symbolizer);
    ullage_ledger_list_free(list);
    if (result != 0) {
        ullage_snapshot_destroy(root);
        return result;
    }
    *out = root;
    return 0;
}

size_t ullage_snapshot_flagged(const struct ullage_snapshot *snapshot)
{
    size_t flagged = 0;
    for (size_t i = 0; i < snapshot->site_count; i++)
        flagged += snapshot->sites[i].flag != ULL_FLAG_NONE;
    for (size_t i = 0; i < snapshot->child_count; i++)
        flagged += ullage_snapshot_flagged(snapshot->children[i]);
    return flagged;
}

size_t ullage_snapshot_running(const struct ullage_snapshot *snapshot, pid_t *pids, size_t room)
{
    size_t running = 0;
    if (snapshot->state == ULLAGE_STATE_LIVE) {
        if (running < room)
            pids[running] = (pid_t)snapshot->pid;
        running++;
    }
    for (size_t i = 0; i < snapshot->child_count; i++)
        running += ullage_snapshot_running(snapshot->children[i], running < room ? pids + running : NULL,
            running < room ? room - running : 0);
    return running;
}

bool ullage_snapshot_has_ledger(const struct ullage_snapshot *snapshot)
{
    if (snapshot->has_ledger)
        return true;
    for (size_t i = 0; i < snapshot->child_count; i++)
        if (ullage_snapshot_has_ledger(snapshot->children[i]))
            return true;
    return false;
}
