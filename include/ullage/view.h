/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ullage/view.h - the read side: find ledgers, take a snapshot of one, measure a live process from outside.
 *
 * Nothing here touches the program that is looked at: its ledger is mapped for reading, its page tables and memory are
 * read through /proc. A ledger is untrusted input: every size, offset and count in it is checked.
 *
 * Threads: each object by one thread at a time. Link with: pkg-config --libs ullage-view. Since: 0.1
 */
#ifndef ULLAGE_VIEW_H
#define ULLAGE_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

enum { ULLAGE_PATH_BYTES = 4096, ULLAGE_ERROR_BYTES = 1024 };

/** The version of the library, "0.1.0". */
const char *ullage_version(void);

/**
 * ullage_quantity_parse() - read a size as people write it: "65536", "64K", "1.5MiB"
 * @text:  digits, an optional fraction, an optional unit; units are powers of 1024
 * @bytes: set on success
 * Returns: 0; -EINVAL, @bytes untouched.  Threads: any.  Since: 0.1
 */
int ullage_quantity_parse(const char *text, uint64_t *bytes);

enum { ULLAGE_QUANTITY_BYTES = 16 };
/** Writes a size, "1.5 MiB", or a duration, "3 min", to @to (ULLAGE_QUANTITY_BYTES), and returns it. */
char *ullage_quantity_size(char *to, uint64_t bytes);
char *ullage_quantity_duration(char *to, uint64_t ns);

/* ---- finding ledgers ---- */

enum ullage_state {
    ULLAGE_STATE_LIVE,
    ULLAGE_STATE_EXITED, /**< by exit(3) or return, or replaced by execve(2) */
    ULLAGE_STATE_KILLED, /**< by a signal, as far as one can tell: it left no word */
};

/** What the header of a ledger tells. Strings are valid UTF-8 without control characters. */
struct ullage_ledger_info {
    char path[ULLAGE_PATH_BYTES];
    char command[1024];
    char run_id[32];
    uid_t user_id; /**< the owner of the file */
    pid_t pid, parent_pid;
    enum ullage_state state;
    uint64_t started_unix_ns;      /**< of the process */
    uint64_t start_ticks;          /**< of the process since boot, as /proc/PID/stat has it; 0 unknown */
    bool this_boot;                /**< made on this machine since it started, or that is not known */
    uint64_t made_unix_ns;         /**< of the ledger */
    uint64_t file_bytes;
    uint64_t requested_live_bytes; /**< recorded, small ones estimated */
    uint64_t requested_peak_bytes;
};

/**
 * ullage_directory() - where ledgers of this user lie
 * @path: at least ULLAGE_PATH_BYTES; ULLAGE_DIR, else XDG_RUNTIME_DIR/ullage, else /dev/shm/ullage-UID
 * Returns: 0; -ENAMETOOLONG.  Threads: any that do not change the environment.  Since: 0.1
 */
int ullage_directory(char *path);

/**
 * ullage_directory_make() - make it if it is not there, and see whether ledgers can be written to it
 * @path:  as ullage_directory()
 * @error: at least ULLAGE_ERROR_BYTES; on failure the reason, a clause
 * Returns: 0; -EPERM not ours, or others may write to it; other negative errno.  Since: 0.1
 */
int ullage_directory_make(char *path, char *error);

/**
 * ullage_ledger_list() - the ledgers of a directory, newest first
 * @out:       set to an array, to be freed with ullage_ledger_list_free(); NULL where there is none
 * @count:     its length; files that are no readable ledger are left out
 * @directory: NULL for ullage_directory(); where ULLAGE_DIR names none, root gets those of ullage_ledger_list_all()
 * Returns: 0, also where there is no directory; -EPERM it is not ours, or others may write to it; -ENOMEM; other
 *          negative errno.  Since: 0.1
 */
int ullage_ledger_list(struct ullage_ledger_info **out, size_t *count, const char *directory);

/**
 * The same of ullage_directory() and, for root, of the default directories of all other users, each of which must belong
 * to its user and be writable by nobody else: a daemon that gave up root writes there.
 */
int ullage_ledger_list_all(struct ullage_ledger_info **out, size_t *count);
void ullage_ledger_list_free(struct ullage_ledger_info *list);

/** What a directory keeps of dead processes: creators of ledgers remove the oldest past it, as `ullage run` does. */
enum { ULLAGE_KEEP_LEDGERS = 200 };
#define ULLAGE_KEEP_BYTES (UINT64_C(64) << 20)

/**
 * Removes the oldest ledgers of dead processes past @keep_count and @keep_bytes from one directory (NULL for
 * ullage_directory()), except those of an `ullage run` in progress. Returns how many files; negative errno.
 */
int ullage_ledger_prune(const char *directory, size_t keep_count, uint64_t keep_bytes);

/* ---- what counts as too large ---- */

/**
 * The thresholds of the flag; each with the reason for its default in docs/flags.md.
 * Initialize with ULLAGE_THRESHOLDS_INIT.
 */
struct ullage_thresholds {
    size_t size;
    double used_share;         /**< a buffer counts if it used at most this of its own request; 1/64 … 1/2 */
    double quantile;           /**< of the buffers known, so many must count; 0.99 */
    uint64_t min_request_bytes;
    uint64_t min_peak_bytes;   /**< ullage held at peak, or */
    uint64_t min_total_bytes;  /**< in total */
    double shrink_share;       /**< oversized: the class of the largest use is at most this of the request */
    uint64_t min_exact_count;  /**< from so many on, only exact readings decide */
};
#define ULLAGE_THRESHOLDS_INIT \
    { sizeof(struct ullage_thresholds), 0.25, 0.99, 65536, UINT64_C(1) << 20, UINT64_C(16) << 20, 0.5, 8 }

/** Sets one by its name, as `--threshold NAME=VALUE` does. Returns 0; -ENOENT no such name; -EINVAL or -ERANGE. */
int ullage_threshold_set(struct ullage_thresholds *thresholds, const char *assignment);
/** The @index-th name, with a line of help and its value; NULL past the end. */
const char *ullage_threshold_name(unsigned index, const char **help, const char **default_text);

/* ---- snapshots ---- */

struct ullage_snapshot;

struct ullage_snapshot_options {
    size_t size;
    const struct ullage_thresholds *thresholds; /**< NULL: the defaults */
    const char *debug_directory;                /**< searched for separate debug files beside the usual places; NULL */
    bool no_symbols;                            /**< leave names out: faster */
    bool no_measuring;                          /**< do not measure a live process from outside now */
};
#define ULLAGE_SNAPSHOT_OPTIONS_INIT { sizeof(struct ullage_snapshot_options), NULL, NULL, false, false }

/**
 * ullage_snapshot_take() - a checked, consistent copy of a ledger and its sidecar
 * @out:   set on success
 * @path:  the ledger
 * @opt:   NULL for the defaults
 * @error: at least ULLAGE_ERROR_BYTES; on failure one line that says what is wrong and what to do
 * Returns: 0; -ENOENT, -EACCES, -EPERM (another user's), -EBADMSG (no ledger, or damaged beyond use), -ENOTSUP (another
 *          version), -ENOMEM, other negative errno.  A damaged or cut ledger gives what is whole, and warnings.
 * Threads: one a snapshot.  Since: 0.1
 */
int ullage_snapshot_take(struct ullage_snapshot **out, const char *path, const struct ullage_snapshot_options *opt,
    char *error);

/** As ullage_snapshot_take(), of bytes in memory (a ledger, without sidecar, of a process that is gone). */
int ullage_snapshot_parse(struct ullage_snapshot **out, const void *bytes, size_t count,
    const struct ullage_snapshot_options *opt, char *error);

/**
 * ullage_snapshot_take_run() - a process tree: the ledgers of one run, as children of its first process
 * @run_id:  as in the ledgers
 * @pid:     the first process; its own part stays empty where it has no ledger
 * @command: of that process, for that case
 * @status:  as from waitpid(2), or -1 while it runs
 */
int ullage_snapshot_take_run(struct ullage_snapshot **out, const char *run_id, pid_t pid, const char *command,
    int status, const struct ullage_snapshot_options *opt, char *error);

void ullage_snapshot_destroy(struct ullage_snapshot *snapshot);

/** Sites with a flag, in this process and in its children. */
size_t ullage_snapshot_flagged(const struct ullage_snapshot *snapshot);
/** Processes in it that still run, this one and children; up to @room of their pids in @pids. */
size_t ullage_snapshot_running(const struct ullage_snapshot *snapshot, pid_t *pids, size_t room);
/** A process of a run, found by its environment. */
struct ullage_run_process {
    pid_t pid;
    bool interposed;    /**< libullage-preload.so is in its memory */
    char command[64];   /**< its name */
};

/**
 * ullage_run_processes() - what runs now with that run id in its environment, whether it has a ledger or not
 * @out: filled with up to @room of them
 * Returns: how many there are; negative errno.  A process that another user owns, or that overwrote its environment, is
 *          not found.
 */
int ullage_run_processes(const char *run_id, struct ullage_run_process *out, size_t room);

/** True if the process, or a child of it, has a ledger. */
bool ullage_snapshot_has_ledger(const struct ullage_snapshot *snapshot);

/* ---- measuring from outside ---- */

struct ullage_scanner;

/** Measures the processes of one run (NULL: all live ones) into sidecars beside their ledgers. */
int ullage_scanner_create(struct ullage_scanner **out, const char *run_id);
void ullage_scanner_destroy(struct ullage_scanner *scanner);

/**
 * ullage_scanner_pass() - measure once what is live, pausing between buffers so that the process is not held up
 * @budget_ms: stop after this time and go on there at the next pass
 * Returns: ledgers visited; negative errno.  Blocks: up to about @budget_ms
 */
int ullage_scanner_pass(struct ullage_scanner *scanner, unsigned budget_ms);

/** Notes in the sidecar how a process ended; @status as from waitpid(2). */
int ullage_scanner_ended(struct ullage_scanner *scanner, pid_t pid, int status);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
