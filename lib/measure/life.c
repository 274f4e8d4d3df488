/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * life.c - what happens to the process that we record in: a ledger is born, it forks, its parent dies, it unloads code,
 * gives pages back, changes its user or its root, sandboxes itself, ends.
 */
#include "config.h"

#include "base/arith.h"
#include "base/directory.h"
#include "base/sys.h"
#include "ledger/reap.h"
#include "measure/stack.h"
#include "measure/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/single_threaded.h>
#include <unistd.h>

#define recorder ull_recorder

enum {
    SETTLE_LOOKS = 64,         /* our choice: a daemon's parent ends within a few calls of malloc */
    GIVEN_BACK_BUFFERS = 4096, /* looked at after each madvise that gives pages back: about 50 us */
};
#define EXIT_BUDGET_NS UINT64_C(100000000) /* our choice: measuring what is live at the end */
#define NEVER_BYTES (UINT64_C(1) << 62)    /* no allocation is this large */

static void note_stderr(void)
{
    struct stat now;
    if (ull_sys_fstat(STDERR_FILENO, &now) == 0) {
        recorder.stderr_device = (uint64_t)now.st_dev;
        recorder.stderr_inode = (uint64_t)now.st_ino;
    }
}

/* A page that reads 0 after any kind of fork, also one that runs no handlers. */
static uint64_t *make_alive_page(void)
{
    int error;
    size_t bytes = (size_t)sysconf(_SC_PAGESIZE);
    uint64_t *page = ull_sys_mmap(bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0, &error);
    if (page != NULL && ull_sys_madvise(page, bytes, MADV_WIPEONFORK) != 0) {
        ull_sys_munmap(page, bytes);
        return NULL;
    }
    if (page != NULL)
        *page = 1;
    return page;
}

void ull_life_begin(void)
{
    recorder.alive = make_alive_page();
    recorder.user = (uint32_t)geteuid();
    recorder.pid = (uint32_t)getpid();
    recorder.parent_pid = (uint32_t)getppid();
    note_stderr();
}

bool ull_life_is_first(void)
{
    const char *run_id = recorder.options.run_id;
    return run_id[0] == '\0' || strtoul(run_id, NULL, 16) == recorder.parent_pid;
}

/* ---- the ledger, made at the first recorded event ---- */

/* A daemon may have put a data file there. */
void ull_life_say(const char *what, const char *why)
{
    char text[1200];
    struct stat now;
    int length = snprintf(text, sizeof text, "ullage: %s: %s\n", what, why);
    if (length > 0 && ull_sys_fstat(STDERR_FILENO, &now) == 0 && (uint64_t)now.st_dev == recorder.stderr_device
        && (uint64_t)now.st_ino == recorder.stderr_inode)
        (void)ull_sys_write(STDERR_FILENO, text, ull_min_u64((uint64_t)length, sizeof text - 1));
}

static void say_no_ledger(int error)
{
    char what[ULL_DIRECTORY_BYTES + 32], why[256];
    const char *reason = strerrordesc_np(-error), *directory = recorder.options.directory;
    snprintf(what, sizeof what, "no ledger in %s", directory[0] != '\0' ? directory : "?");
    snprintf(why, sizeof why, "%s; the program goes on unrecorded (set ULLAGE_DIR)",
        error == -EPERM ? "not a directory of ours that only we can write to" : reason != NULL ? reason : "unknown error");
    ull_life_say(what, why);
}

static int create(const struct ull_ledger_options *options)
{
    struct ull_ledger_options elsewhere = *options;
    char directory[ULL_DIRECTORY_BYTES];
    int error = ull_ledger_create(&recorder.ledger, options);
    /*
     * A daemon that gave up root cannot write to root's directory, nor can what it executes: its own default serves,
     * and root finds the ledger there. Somebody who named a directory himself wants that one and no other.
     */
    bool another_user = recorder.user != (uint32_t)geteuid() || recorder.options.run_id[0] != '\0';
    if ((error == -EACCES || error == -EPERM) && another_user && ull_directory_default(directory) == 0) {
        elsewhere.directory = directory;
        error = ull_ledger_create(&recorder.ledger, &elsewhere);
    }
    return error;
}

/* The site of an inherited buffer in the child's own ledger: frames mean the same, because modules keep their index. */
static uint32_t inherited_site(void *context, const struct ull_live_buffer *buffer)
{
    uint32_t site = ULL_SITE_OTHER;
    (void)context;
    const struct ull_site_entry *from = ull_ledger_at(&recorder.parent, ULL_TABLE_SITES, buffer->site);
    if (from != NULL && from->id != 0) {
        const uint64_t *frames = ull_ledger_at(&recorder.parent, ULL_TABLE_FRAMES, from->frames);
        site = ull_sites_add(&recorder.sites, ull_mix64(from->id), from->id, (enum ull_kind)from->kind, 0, frames,
            from->frame_count <= ULL_STACK_DEPTH_MAX ? from->frame_count : 0);
    }
    ull_sites_count_allocation(&recorder.sites, site, buffer->bytes, buffer->weight);
    ull_ledger_count(&recorder.ledger, ULL_COUNTER_inherited_total, buffer->weight);
    return site;
}

static void take_over_from_parent(void)
{
    if (recorder.parent.header == NULL)
        return;
    ull_modules_take_over(&recorder.modules, &recorder.parent, &recorder.ledger);
    ull_live_take_over(&ull_gate.live, &recorder.ledger, inherited_site, NULL);
    ull_ledger_close(&recorder.parent);
}

static int make_ledger(void)
{
    struct ull_ledger_options options = {
        .directory = recorder.options.directory[0] != '\0' ? recorder.options.directory : NULL,
        .run_id = recorder.options.run_id[0] != '\0' ? recorder.options.run_id : NULL,
        .min_bytes = recorder.options.min_bytes,
        .sample_bytes = recorder.options.sample_bytes,
        .huge_pages_possible = recorder.use.pages.huge_possible,
        .parent_pid = recorder.parent_pid,
        .fork_depth = recorder.fork_depth,
    };
    int error = create(&options);
    if (error != 0)
        return error;
    ull_sites_init(&recorder.sites, &recorder.ledger);
    if (recorder.parent.header != NULL) {
        take_over_from_parent();
    } else {
        ull_modules_init(&recorder.modules, &recorder.ledger);
        ull_gate.live.ledger = &recorder.ledger;
    }
    ull_store_release(&recorder.state, (uint32_t)ULL_RECORDING);
    return 0;
}

void ull_life_make_ledger(void)
{
    int error = make_ledger();
    if (error == 0) {
        ull_reap(&recorder.ledger, recorder.options.keep_ledgers, ULL_KEEP_BYTES);
        return;
    }
    ull_recorder_stay_off();
    say_no_ledger(error);
}

/* ---- fork ---- */

void ull_recorder_after_fork_child(void)
{
    if (recorder.alive != NULL) {
        if (*recorder.alive != 0)
            return; /* done already, or a vfork: the memory is the parent's */
        *recorder.alive = 1;
    }
    pthread_mutex_init(&recorder.making, NULL);
    ull_use_after_fork(&recorder.use);
    ull_live_after_fork_child(&ull_gate.live);
    if (!__libc_single_threaded)
        ull_stack_stay_safe(); /* another thread may have held libunwind's locks */
    for (unsigned i = 0; i < sizeof recorder.forked / sizeof recorder.forked[0]; i++)
        if (recorder.forked[i] != NULL)
            recorder.forked[i]();
    ull_thread.random = 0;
    ull_thread.busy = false;
    recorder.parent_pid = recorder.pid; /* not getppid(): it may have gone already */
    recorder.seen_parent = (uint32_t)getppid();
    recorder.pid = (uint32_t)getpid();
    recorder.orphaned = 0;
    recorder.has_forked = false;
    recorder.fork_depth++;
    if (recorder.state == ULL_RECORDING) {
        recorder.parent = recorder.ledger;
        recorder.ledger.header = NULL;
        ull_sites_fini(&recorder.sites);
        ull_store_release(&recorder.state, (uint32_t)ULL_READY);
    }
    /* With buffers in its hands it may be a daemon, whose parent ends now: then they are its own, whatever follows. */
    if (recorder.state == ULL_READY && recorder.parent.header != NULL && ull_gate.live.total > 0) {
        recorder.looks = SETTLE_LOOKS;
        ull_thread.cut_short = true;
        ull_thread.until_sample = 0;
    }
}

void ull_life_check_fork(void)
{
    if (ull_unlikely(recorder.alive != NULL && ull_load_relaxed(recorder.alive) == 0))
        ull_recorder_after_fork_child();
}

void ull_recorder_after_fork_parent(void)
{
    recorder.has_forked = true;
    if (ull_recorder_is_ready())
        ull_use_forked(&recorder.use);
}

/* A parent that nobody has waited for yet is no more, though its number is taken. */
static bool is_no_more(uint32_t pid)
{
    char path[32], text[256] = "";
    if (ull_sys_kill((pid_t)pid, 0) == -ESRCH)
        return true;
    snprintf(path, sizeof path, "/proc/%u/stat", pid);
    int fd = ull_sys_openat(AT_FDCWD, path, O_RDONLY, 0);
    if (fd < 0)
        return false;
    (void)ull_sys_read(fd, text, sizeof text - 1);
    ull_sys_close(fd);
    const char *name_end = strrchr(text, ')');
    return name_end != NULL && name_end[1] == ' ' && (name_end[2] == 'Z' || name_end[2] == 'X');
}

/*
 * Its parent is another one than at first; or was another one from the beginning, and who forked us is no more. Another at
 * first and alive: clone(2) with CLONE_PARENT. 0 is a parent outside our pid namespace, of which nothing can be known.
 */
static bool has_lost_parent(void)
{
    uint32_t now = (uint32_t)getppid();
    if (now == 0 || recorder.seen_parent == 0 || now == recorder.parent_pid)
        return false;
    return now != recorder.seen_parent || is_no_more(recorder.parent_pid);
}

/* The header tells readers, who may come when it is too late to ask. */
bool ull_life_orphaned(void)
{
    if (!ull_load_relaxed(&recorder.orphaned) && has_lost_parent())
        ull_store_relaxed(&recorder.orphaned, 1U);
    bool orphaned = ull_load_relaxed(&recorder.orphaned) != 0;
    if (orphaned && recorder.ledger.header != NULL)
        ull_store_relaxed(&recorder.ledger.header->orphaned, 1U);
    return orphaned;
}

/* Between enter and leave. */
void ull_life_settle(void)
{
    uint32_t left = ull_load_relaxed(&recorder.looks);
    if (recorder.has_forked) {
        ull_store_relaxed(&recorder.looks, 0U); /* see ull_recorder_exit() */
    } else if (ull_life_orphaned()) {
        ull_store_relaxed(&recorder.looks, 0U);
        if (ull_recorder_recording())
            (void)ull_life_orphaned(); /* once more, for the new ledger's header */
    } else if (left > 0) {
        (void)ull_cas_acq_rel(&recorder.looks, &left, left - 1);
    }
}

/* ---- the end of things ---- */

void ull_recorder_exit(int status, bool refresh)
{
    int kept = errno;
    void (*leaving)(void) = ull_load_acquire(&recorder.leaving);
    if (refresh && leaving != NULL && (uint32_t)getpid() == recorder.pid)
        leaving();
    /* A vfork child shares our memory and calls _exit: the ledger is not its own. */
    uint32_t state = ull_load_acquire(&recorder.state);
    if (state != ULL_UNSET && state != ULL_OFF && (uint32_t)getpid() == recorder.pid && ull_recorder_enter()) {
        /* Who forked again leaves what it inherited to that one: the first child of a daemon that forks twice. */
        bool inherited = recorder.parent.header != NULL && ull_gate.live.total > 0 && !recorder.has_forked;
        if (inherited && ull_life_orphaned())
            (void)ull_recorder_recording();
        if (ull_load_acquire(&recorder.state) == ULL_RECORDING) {
            struct ull_round round = { ull_sys_precise_ns() + EXIT_BUDGET_NS, ULL_SPAN_SHARED };
            uint64_t cursor = 0, total = ull_load_relaxed(&ull_gate.live.total);
            ull_live_visit(&ull_gate.live, &cursor, (unsigned)ull_min_u64(total + 1, UINT32_MAX),
                ull_recorder_measure_live, &round);
            if (refresh && recorder.refresh != NULL)
                recorder.refresh();
            ull_ledger_mark_ended(&recorder.ledger, status);
        }
        ull_recorder_leave();
    }
    errno = kept;
}

/* ---- what the program does to its own pages ---- */

struct given_back {
    uint64_t start, end;
};

static bool note_given_back(void *context, struct ull_live_buffer *buffer)
{
    const struct given_back *range = context;
    if (buffer->address < range->end && buffer->address + buffer->bytes > range->start)
        ull_live_publish_unknowable(&ull_gate.live, buffer);
    return true;
}

void ull_recorder_given_back(const void *start, size_t bytes)
{
    int kept = errno;
    if (ull_load_acquire(&recorder.state) == ULL_RECORDING && ull_recorder_enter()) {
        struct given_back range = { (uintptr_t)start, (uintptr_t)start + bytes };
        uint64_t cursor = 0;
        ull_live_visit(&ull_gate.live, &cursor, GIVEN_BACK_BUFFERS, note_given_back, &range);
        ull_recorder_leave();
    }
    errno = kept;
}

void ull_recorder_sandboxed(void)
{
    ull_store_relaxed(&recorder.sandboxed, 1U);
    if (ull_load_acquire(&recorder.state) == ULL_RECORDING)
        ull_ledger_count(&recorder.ledger, ULL_COUNTER_sandboxed_total, 1);
    if (ull_recorder_is_ready())
        ull_recorder_stay_off();
}

void ull_recorder_stay_off(void)
{
    ull_store_release(&recorder.state, (uint32_t)ULL_OFF);
    ull_store_release(&ull_gate.min_bytes, NEVER_BYTES);
}

void ull_recorder_before_unload(void)
{
    if (ull_load_acquire(&recorder.state) == ULL_RECORDING && ull_recorder_enter()) {
        ull_sites_forget_keys(&recorder.sites);
        ull_recorder_leave();
    }
}

void ull_recorder_after_unload(bool unmapped)
{
    if (!unmapped)
        return;
    ull_add_relaxed(&recorder.unloads, 1U);
    ull_stack_stay_safe();
    if (ull_load_acquire(&recorder.state) == ULL_RECORDING && ull_recorder_enter()) {
        ull_modules_doubt_all(&recorder.modules);
        ull_sites_forget_keys(&recorder.sites);
        ull_ledger_count(&recorder.ledger, ULL_COUNTER_unloads_total, 1);
        ull_recorder_leave();
    }
}

/* ---- users and roots ---- */

void ull_recorder_before_user_change(void)
{
    int kept = errno;
    if (ull_recorder_enter()) {
        ull_pages_hold(&recorder.use.pages);
        ull_recorder_leave();
    }
    errno = kept;
}

void ull_recorder_before_root_change(void)
{
    int kept = errno;
    if (ull_recorder_enter()) {
        ull_pages_hold(&recorder.use.pages);
        if (ull_recorder_recording())
            ull_modules_note_program(&recorder.modules);
        ull_recorder_leave();
    }
    errno = kept;
}
