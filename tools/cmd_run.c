/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cmd_run.c - `ullage run`: start a program with the interposer, measure it from outside each second, report at its end.
 *
 * The program's standard streams, signals and exit status stay its own. What this process does beside it: it waits,
 * passes on signals that were sent to it alone, scans, and once the program has ended writes the report.
 */
#include "config.h"

#include "command.h"
#include "preload.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    FIRST_SCAN_MS = 300,  /* our choice: a program that is killed within a second is measured at least once */
    SCAN_INTERVAL_MS = 1000,
    SCAN_BUDGET_MS = 500, /* of each interval, pauses included */
    SHOWN_RUNNING = 16,
    RUNNING_MAX = 1024,   /* our choice */
};

/* From here up a buffer is worth a slab: the size from which `run` records each. */
#define POOL_BYTES "64K"

struct run {
    struct report_options report;
    const char *json; /* file, or NULL */
    FILE *json_stream;
    const char *min_bytes, *sample_bytes;
    bool exact, pool;
    char **program; /* argv */
    char command[1024];
    char run_id[32];
    char preload[4096];
    void (*sigchld)(int); /* as it was: an ignored SIGCHLD is inherited, and waitpid(2) would find nothing */
    pid_t pid;
    int status; /* as from waitpid */
};

static void help(void)
{
    fputs("Usage: ullage run [OPTION]... [--] PROGRAM [ARGUMENT]...\n"
          "Runs PROGRAM unchanged and says which of its buffers were too large. The report\n"
          "goes to standard error; the exit status is the program's.\n\n"
          "  --json FILE             write the report as JSON to FILE (-: standard output)\n"
          "  --min-bytes N           record each buffer from N bytes up (64K); 0: all\n"
          "  --sample-bytes N        sample smaller ones, one each N bytes (512K); 0: none\n"
          "  --exact                 turn huge pages off for PROGRAM: otherwise one byte\n"
          "                          used in a huge page reads as 2 MiB\n"
          "  --pool                  serve buffers from 64K up from Ullage's own slabs\n",
        stdout);
    report_options_help(stdout);
    fputs("\nSizes take K, M and G. Exit status: PROGRAM's own; N of --error-exitcode; 2 for\n"
          "trouble; 127 if PROGRAM is not found and 126 if it cannot be executed.\n",
        stdout);
}

/* ---- options ---- */

static int parse_size(const char *name, const char *text)
{
    uint64_t bytes;
    if (ullage_quantity_parse(text, &bytes) != 0)
        return complain("run", "%s takes a size as 65536, 64K or 1.5M, not '%s'", name, text);
    return 0;
}

/* 0 go on; negative: help was given; else the exit status. */
static int parse_option(struct run *run, int option)
{
    if (optarg != NULL && strcmp(optarg, "--") == 0) {
        complain("run", "an option before '--' needs an argument");
        return complain_usage("run");
    }
    switch (option) {
    case OPTION_HELP:
        help();
        return -1;
    case OPTION_JSON:
        run->json = optarg;
        return 0;
    case OPTION_MIN_BYTES:
        run->min_bytes = optarg;
        return parse_size("--min-bytes", optarg);
    case OPTION_SAMPLE_BYTES:
        run->sample_bytes = optarg;
        return parse_size("--sample-bytes", optarg);
    case OPTION_EXACT:
        run->exact = true;
        return 0;
    case OPTION_POOL:
        run->pool = true;
        return 0;
    case '?':
        return complain_usage("run");
    default:
        return report_options_parse(&run->report, "run", option, optarg);
    }
}

static void join_command(struct run *run)
{
    size_t filled = 0;
    for (char **argument = run->program; *argument != NULL && filled + 2 < sizeof run->command; argument++)
        filled += (size_t)snprintf(run->command + filled, sizeof run->command - filled, "%s%s", filled ? " " : "",
            *argument);
}

/* Opened before the program runs: a report that cannot be written should not cost the run. */
static int open_json(struct run *run)
{
    if (run->json == NULL)
        return 0;
    if (strcmp(run->json, "-") == 0) {
        run->json_stream = stdout;
        return 0;
    }
    run->json_stream = fopen(run->json, "we");
    if (run->json_stream == NULL)
        return complain("run", "--json %s: %s", run->json, strerror(errno));
    return 0;
}

/* ---- starting ---- */

static void set_environment(const struct run *run)
{
    char directory[ULLAGE_PATH_BYTES], *preload = NULL;
    const char *others = getenv("LD_PRELOAD");
    bool more = others != NULL && others[0] != '\0';
    if (run->preload[0] == '\0')
        return; /* there is nowhere to write to: the program runs as it is */
    if (asprintf(&preload, "%s%s%s", run->preload, more ? ":" : "", more ? others : "") > 0)
        setenv("LD_PRELOAD", preload, 1);
    free(preload);
    setenv("ULLAGE_RUN_ID", run->run_id, 1);
    if (ullage_directory(directory) == 0) {
        /* The program may go elsewhere: a relative path would mean another place there. */
        char here[ULLAGE_PATH_BYTES], *whole = NULL;
        if (directory[0] != '/' && getcwd(here, sizeof here) != NULL && asprintf(&whole, "%s/%s", here, directory) > 0)
            setenv("ULLAGE_DIR", whole, 1);
        else
            setenv("ULLAGE_DIR", directory, 1);
        free(whole);
    }
    if (run->min_bytes != NULL)
        setenv("ULLAGE_MIN_BYTES", run->min_bytes, 1);
    if (run->sample_bytes != NULL)
        setenv("ULLAGE_SAMPLE_BYTES", run->sample_bytes, 1);
    if (run->pool)
        setenv("ULLAGE_POOL", POOL_BYTES, 1);
}

static int start(struct run *run, const sigset_t *original)
{
    int failed[2], error = 0;
    if (pipe2(failed, O_CLOEXEC) != 0)
        return complain("run", "no pipe: %s", strerror(errno));
    run->pid = fork();
    if (run->pid < 0)
        return complain("run", "no new process: %s", strerror(errno));
    if (run->pid == 0) {
        set_environment(run);
        if (run->exact)
            prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
        signal(SIGCHLD, run->sigchld);
        sigprocmask(SIG_SETMASK, original, NULL);
        execvp(run->program[0], run->program);
        error = errno;
        ssize_t written = write(failed[1], &error, sizeof error);
        _exit(written > 0 ? EXIT_NOT_FOUND : EXIT_TROUBLE);
    }
    close(failed[1]);
    ssize_t got;
    do {
        got = read(failed[0], &error, sizeof error);
    } while (got < 0 && errno == EINTR);
    close(failed[0]);
    if (got != (ssize_t)sizeof error)
        return 0;
    waitpid(run->pid, NULL, 0);
    complain("run", "%s: %s", run->program[0], error == ENOENT ? "not found: name a program or its path"
        : error == EACCES ? "not executable" : strerror(error));
    return error == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
}

/* ---- beside the program ---- */

/* What a terminal sends goes to the whole group, so that the program has it already. */
static void pass_on(const struct run *run, const siginfo_t *info)
{
    if (info->si_code == SI_USER || info->si_code == SI_QUEUE)
        kill(run->pid, info->si_signo);
}

/* The program was stopped: the shell that waits for us has to see that, and continues both of us. */
static void stop_with(const struct run *run)
{
    kill(getpid(), SIGSTOP);
    kill(run->pid, SIGCONT);
}

static void wait_beside(struct run *run, const sigset_t *waited)
{
    struct ullage_scanner *scanner = NULL;
    int interval = FIRST_SCAN_MS;
    if (ullage_scanner_create(&scanner, run->run_id) != 0)
        scanner = NULL;
    for (;;) {
        struct timespec timeout = { interval / 1000, interval % 1000 * 1000000L };
        siginfo_t info;
        int got = sigtimedwait(waited, &info, &timeout);
        if (got == SIGCHLD || (got < 0 && errno == EAGAIN)) {
            pid_t changed = waitpid(run->pid, &run->status, WNOHANG | WUNTRACED);
            if (changed == run->pid && WIFSTOPPED(run->status))
                stop_with(run);
            else if (changed == run->pid || (changed < 0 && errno == ECHILD))
                break;
            if (got < 0 && scanner != NULL) {
                (void)ullage_scanner_pass(scanner, SCAN_BUDGET_MS);
                interval = SCAN_INTERVAL_MS;
            }
        } else if (got > 0) {
            pass_on(run, &info);
        }
    }
    if (scanner != NULL)
        (void)ullage_scanner_ended(scanner, run->pid, run->status);
    ullage_scanner_destroy(scanner);
}

/* ---- afterwards ---- */

/* What keeps us out, wholly or in part. */
static void explain(const struct run *run, bool has_ledger)
{
    char path[4096];
    const char *program = run->program[0], *search = getenv("PATH"), *obstacle = NULL;
    if (strchr(program, '/') != NULL) {
        obstacle = preload_obstacle(program);
    } else {
        for (const char *at = search != NULL ? search : "/usr/bin:/bin"; at != NULL && obstacle == NULL;) {
            int length = (int)strcspn(at, ":");
            snprintf(path, sizeof path, "%.*s/%s", length, at, program);
            if (access(path, X_OK) == 0) {
                obstacle = preload_obstacle(path);
                break;
            }
            at = at[length] == ':' ? at + length + 1 : NULL;
        }
    }
    if (obstacle != NULL)
        fprintf(stderr, "ullage run: %s: %s %s\n", has_ledger ? "warning" : "no ledger", program, obstacle);
}

static bool is_among(pid_t pid, const pid_t *pids, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (pids[i] == pid)
            return true;
    return false;
}

/* With a ledger: reported as of now. Without one: named at least. */
static void name_running(const struct run *run, const struct ullage_snapshot *snapshot)
{
    static pid_t pids[RUNNING_MAX];
    static struct ullage_run_process others[RUNNING_MAX];
    size_t running = ullage_snapshot_running(snapshot, pids, RUNNING_MAX), known = running < RUNNING_MAX ? running : RUNNING_MAX;
    if (running > 0) {
        fprintf(stderr, "ullage run: still running, reported as of now:");
        for (size_t i = 0; i < known && i < SHOWN_RUNNING; i++)
            fprintf(stderr, " %d", (int)pids[i]);
        fprintf(stderr, "%s (ullage report PID)\n", running > SHOWN_RUNNING ? " …" : "");
    }
    int found = ullage_run_processes(run->run_id, others, RUNNING_MAX);
    for (int i = 0, shown = 0; i < found && i < RUNNING_MAX && shown < SHOWN_RUNNING; i++) {
        if (is_among(others[i].pid, pids, known))
            continue;
        shown++;
        fprintf(stderr, "ullage run: still running, without a ledger: %d (%s): %s\n", (int)others[i].pid,
            others[i].command, others[i].interposed ? "nothing of it was recorded yet" : "it did not load the interposer");
    }
}

static int write_report(struct run *run, const struct ullage_snapshot *snapshot)
{
    int result;
    if (run->json_stream == NULL) {
        fputs("\n", stderr);
        return write_text(stderr, snapshot, run->report.top);
    }
    result = write_json(run->json_stream, snapshot, run->report.top);
    if (run->json_stream != stdout && fclose(run->json_stream) != 0 && result == 0)
        result = -errno;
    return result;
}

/* Ends as the program did: by the same signal, or with its status. */
static int end_like(int status)
{
    if (!WIFSIGNALED(status))
        return WEXITSTATUS(status);
    struct rlimit no_core = { 0, 0 };
    sigset_t all;
    setrlimit(RLIMIT_CORE, &no_core);
    signal(WTERMSIG(status), SIG_DFL);
    sigfillset(&all);
    raise(WTERMSIG(status));
    sigprocmask(SIG_UNBLOCK, &all, NULL);
    return 128 + WTERMSIG(status);
}

static int report(struct run *run)
{
    struct ullage_snapshot_options how = ULLAGE_SNAPSHOT_OPTIONS_INIT;
    struct ullage_snapshot *snapshot;
    char error[ULLAGE_ERROR_BYTES];
    how.thresholds = &run->report.thresholds;
    how.debug_directory = run->report.debug_directory;
    if (run->preload[0] == '\0')
        return end_like(run->status);
    if (ullage_snapshot_take_run(&snapshot, run->run_id, run->pid, run->command, run->status, &how, error) != 0) {
        complain("run", "no report: %s", error);
        return end_like(run->status);
    }
    explain(run, ullage_snapshot_has_ledger(snapshot));
    name_running(run, snapshot);
    int result = write_report(run, snapshot);
    bool flagged = ullage_snapshot_flagged(snapshot) > 0;
    ullage_snapshot_destroy(snapshot);
    if (result != 0)
        complain("run", "the report could not be written: %s", strerror(-result));
    if (result != 0 && run->json != NULL)
        return EXIT_TROUBLE; /* somebody waits for that file; standard error alone is no reason to hide the status */
    if (flagged && run->report.error_exitcode >= 0)
        return run->report.error_exitcode;
    return end_like(run->status);
}

int cmd_run(int argc, char **argv)
{
    static const struct option long_options[] = { REPORT_LONG_OPTIONS,
        { "json", required_argument, NULL, OPTION_JSON }, { "min-bytes", required_argument, NULL, OPTION_MIN_BYTES },
        { "sample-bytes", required_argument, NULL, OPTION_SAMPLE_BYTES }, { "exact", no_argument, NULL, OPTION_EXACT },
        { "pool", no_argument, NULL, OPTION_POOL },
        { NULL, 0, NULL, 0 } };
    static const int signals[]
        = { SIGCHLD, SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGALRM, SIGWINCH, SIGCONT };
    struct run run = { .report = REPORT_OPTIONS_INIT };
    char directory[ULLAGE_PATH_BYTES], error[ULLAGE_ERROR_BYTES];
    sigset_t waited, original;
    struct timespec now;
    int result;
    for (int option; (option = getopt_long(argc, argv, "+", long_options, NULL)) != -1;) {
        result = parse_option(&run, option);
        if (result != 0)
            return result < 0 ? 0 : result;
    }
    if (optind == argc) {
        complain("run", "no program named");
        return complain_usage("run");
    }
    run.program = argv + optind;
    join_command(&run);
    result = preload_find(run.preload, sizeof run.preload);
    if (result != 0)
        return complain("run", "%s: %s; name it with ULLAGE_PRELOAD", run.preload, strerror(-result));
    if (strpbrk(run.preload, ": ") != NULL)
        return complain("run", "%s: the loader takes no space or colon in such a path: install ullage elsewhere, or name "
            "another one with ULLAGE_PRELOAD", run.preload);
    result = open_json(&run);
    if (result != 0)
        return result;
    if (ullage_directory_make(directory, error) != 0) {
        complain("run", "no ledger in %s: %s; the program goes on unrecorded (set ULLAGE_DIR)", directory, error);
        run.preload[0] = '\0';
    }
    (void)ullage_ledger_prune(NULL, ULLAGE_KEEP_LEDGERS, ULLAGE_KEEP_BYTES);
    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(run.run_id, sizeof run.run_id, "%x-%llx", (unsigned)getpid(),
        (unsigned long long)now.tv_sec * 1000000000ULL + (unsigned long long)now.tv_nsec);
    sigemptyset(&waited);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        sigaddset(&waited, signals[i]);
    sigprocmask(SIG_BLOCK, &waited, &original);
    run.sigchld = signal(SIGCHLD, SIG_DFL);
    result = start(&run, &original);
    if (result != 0)
        return result;
    signal(SIGPIPE, SIG_IGN); /* of ours alone: a reader of the report that went away is no reason to end so */
    wait_beside(&run, &waited);
    return report(&run);
}
