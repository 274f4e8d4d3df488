/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spawn.c - one process, in a group of its own, to its end and no longer than its time.
 *
 * What it prints is not shown: the last of it is kept for the message if it fails. Whatever it leaves behind, in its group or out
 * of it, is killed, so that it cannot disturb the next one. While it runs, a signal that would end us ends it first.
 */
#include "config.h"

#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LINES_MAX = 1 << 20, SLICE_MS = 20 };

extern char **environ;

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

/* ---- signals that would end us ---- */

static const int fatal_signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
_Static_assert(sizeof fatal_signals / sizeof fatal_signals[0] == ULL_SPAWN_SIGNALS, "as many as are held");
static volatile sig_atomic_t running_group; /* 0: none */
static volatile sig_atomic_t ended_by;      /* the signal; 0: none */

/* The process ends now; we do when what it left is cleared away, see ull_spawn_end_if_told(). */
static void end_it(int signal_number)
{
    ended_by = signal_number;
    if (running_group > 0)
        kill(-running_group, SIGKILL);
}

void ull_spawn_end_if_told(void)
{
    if (ended_by == 0)
        return;
    signal(ended_by, SIG_DFL);
    raise(ended_by);
}

void ull_spawn_hold_signals(struct sigaction before[ULL_SPAWN_SIGNALS])
{
    struct sigaction action = { .sa_handler = end_it };
    for (int i = 0; i < ULL_SPAWN_SIGNALS; i++) {
        sigaction(fatal_signals[i], NULL, &before[i]);
        if (before[i].sa_handler == SIG_DFL)
            sigaction(fatal_signals[i], &action, NULL);
    }
}

void ull_spawn_let_signals_go(const struct sigaction before[ULL_SPAWN_SIGNALS])
{
    for (int i = 0; i < ULL_SPAWN_SIGNALS; i++)
        sigaction(fatal_signals[i], &before[i], NULL);
}

/* ---- the environment ---- */

static size_t name_length(const char *variable)
{
    return strcspn(variable, "=");
}

/* Puts VAR=VALUE in place of an older one. The list has room. */
static void put(char **list, size_t *count, char *variable)
{
    size_t length = name_length(variable);
    for (size_t i = 0; i < *count; i++)
        if (name_length(list[i]) == length && strncmp(list[i], variable, length) == 0) {
            list[i] = variable;
            return;
        }
    list[(*count)++] = variable;
}

static size_t length_of(char *const *list)
{
    size_t count = 0;
    while (list != NULL && list[count] != NULL)
        count++;
    return count;
}

struct environment {
    char **list;
    char *preload, *request; /* ours */
};

static void environment_fini(struct environment *made)
{
    free(made->list);
    free(made->preload);
    free(made->request);
}

static int environment_init(struct environment *made, const struct ull_spawn *spawn, int fd)
{
    char *const *own = spawn->subject->environment, *const *more = spawn->more;
    size_t count = 0, own_count = length_of(own), more_count = length_of(more), base = length_of(environ);
    memset(made, 0, sizeof *made);
    made->list = calloc(base + own_count + more_count + 3, sizeof made->list[0]);
    if (made->list == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < base; i++)
        made->list[count++] = environ[i];
    for (size_t i = 0; i < own_count; i++)
        put(made->list, &count, own[i]);
    for (size_t i = 0; i < more_count; i++)
        put(made->list, &count, more[i]);
    if (spawn->request != NULL) {
        if (asprintf(&made->request, ULL_BENCH_CHILD "=%d %s", fd, spawn->request) < 0)
            return made->request = NULL, -ENOMEM;
        put(made->list, &count, made->request);
    }
    if (spawn->preload != NULL) {
        const char *others = NULL;
        for (size_t i = 0; i < count; i++)
            if (strncmp(made->list[i], "LD_PRELOAD=", 11) == 0)
                others = made->list[i] + 11;
        bool any = others != NULL && others[0] != '\0';
        if (asprintf(&made->preload, "LD_PRELOAD=%s%s%s", spawn->preload, any ? ":" : "", any ? others : "") < 0)
            return made->preload = NULL, -ENOMEM;
        put(made->list, &count, made->preload);
    }
    return 0;
}

/* ---- the process ---- */

/* The last of those we may use: the first ones are busier with interrupts on many machines. */
static void pin(unsigned wanted)
{
    cpu_set_t allowed, chosen;
    if (wanted == 0 || sched_getaffinity(0, sizeof allowed, &allowed) != 0 || (unsigned)CPU_COUNT(&allowed) <= wanted)
        return;
    CPU_ZERO(&chosen);
    for (int cpu = CPU_SETSIZE - 1; cpu >= 0 && wanted > 0; cpu--)
        if (CPU_ISSET(cpu, &allowed)) {
            CPU_SET(cpu, &chosen);
            wanted--;
        }
    sched_setaffinity(0, sizeof chosen, &chosen);
}

struct pipes {
    int lines[2], printed[2], failed[2]; /* the last one tells why execvp failed */
};

static void close_pipes(struct pipes *pipes)
{
    int *all[] = { pipes->lines, pipes->printed, pipes->failed };
    for (int i = 0; i < 3; i++)
        for (int end = 0; end < 2; end++)
            if (all[i][end] >= 0)
                close(all[i][end]);
}

static int open_pipes(struct pipes *pipes)
{
    *pipes = (struct pipes) { { -1, -1 }, { -1, -1 }, { -1, -1 } };
    if (pipe2(pipes->lines, O_CLOEXEC) == 0 && pipe2(pipes->printed, O_CLOEXEC) == 0 && pipe2(pipes->failed, O_CLOEXEC) == 0)
        return 0;
    int error = -errno;
    close_pipes(pipes);
    return error;
}

__attribute__((noreturn)) static void become(const struct ull_spawn *spawn, struct pipes *pipes, char **list, pid_t parent)
{
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(127);
    pin(spawn->cpu_count);
    int nothing = open("/dev/null", O_RDWR);
    dup2(nothing, STDIN_FILENO);
    dup2(spawn->request != NULL ? pipes->printed[1] : nothing, STDOUT_FILENO);
    dup2(pipes->printed[1], STDERR_FILENO);
    if (nothing > STDERR_FILENO)
        close(nothing);
    fcntl(pipes->lines[1], F_SETFD, 0);
    signal(SIGPIPE, SIG_DFL);
    environ = list;
    execvp(spawn->subject->command[0], spawn->subject->command);
    int error = errno;
    ssize_t written = write(pipes->failed[1], &error, sizeof error);
    _exit(written > 0 ? 127 : 126);
}

static int why_not_executed(struct pipes *pipes, const char *program, char *error)
{
    int number = 0;
    ssize_t got;
    close(pipes->failed[1]);
    pipes->failed[1] = -1;
    do {
        got = read(pipes->failed[0], &number, sizeof number);
    } while (got < 0 && errno == EINTR);
    if (got != (ssize_t)sizeof number)
        return 0;
    snprintf(error, ULLAGE_BENCH_ERROR_BYTES, "%s: %s", program, number == ENOENT ? "not found: name a program or its path"
        : number == EACCES ? "not executable" : strerrordesc_np(number));
    return -number;
}

/* ---- beside it ---- */

struct supervision {
    const struct ull_spawn *spawn;
    struct ull_spawned *out;
    struct pollfd polled[3]; /* lines, printed, the process */
    size_t line_room;
    pid_t pid;
    uint64_t begun_ns;
    bool ended;
    struct rusage usage;
};

static void keep_lines(struct supervision *s, const char *text, size_t bytes)
{
    struct ull_spawned *out = s->out;
    if (out->line_bytes + bytes + 1 > s->line_room) {
        size_t room = s->line_room == 0 ? 8192 : s->line_room * 2;
        char *grown = room <= LINES_MAX ? realloc(out->lines, room) : NULL;
        if (grown == NULL)
            return; /* what is missing shows: there is no end */
        out->lines = grown;
        s->line_room = room;
    }
    memcpy(out->lines + out->line_bytes, text, bytes);
    out->line_bytes += bytes;
    out->lines[out->line_bytes] = '\0';
}

static void keep_printed(struct ull_spawned *out, const char *text, size_t bytes)
{
    size_t room = sizeof out->printed - 1, held = strlen(out->printed);
    out->printed_bytes += bytes;
    if (bytes > room) {
        text += bytes - room;
        bytes = room;
    }
    if (held + bytes > room) {
        size_t dropped = held + bytes - room;
        memmove(out->printed, out->printed + dropped, held - dropped);
        held -= dropped;
    }
    memcpy(out->printed + held, text, bytes);
    for (size_t i = 0; i < bytes; i++)
        if (out->printed[held + i] == '\0')
            out->printed[held + i] = '?';
    out->printed[held + bytes] = '\0';
}

/* Takes what is there; closes the pipe at its end. */
static void drain(struct supervision *s, int which)
{
    char text[4096];
    ssize_t got = read(s->polled[which].fd, text, sizeof text);
    if (got > 0 && which == 0)
        keep_lines(s, text, (size_t)got);
    else if (got > 0)
        keep_printed(s->out, text, (size_t)got);
    else if (got == 0 || (errno != EAGAIN && errno != EINTR))
        s->polled[which].fd = -1; /* poll(2) leaves it out; closed with the pipes */
}

static void look_whether_it_ended(struct supervision *s)
{
    if (wait4(s->pid, &s->out->status, WNOHANG, &s->usage) == s->pid) {
        s->out->wall_ns = now_ns() - s->begun_ns;
        s->ended = true;
    }
}

static void supervise(struct supervision *s)
{
    uint64_t deadline = s->begun_ns + (uint64_t)s->spawn->timeout_ms * 1000000U;
    int patience = 0;
    while (!s->ended) {
        uint64_t now = now_ns();
        if (now >= deadline && !s->out->timed_out) {
            s->out->timed_out = true;
            kill(-s->pid, SIGKILL);
            kill(s->pid, SIGKILL);
        }
        uint64_t left_ms = now < deadline ? (deadline - now) / 1000000U + 1 : SLICE_MS;
        bool slices = s->spawn->watch != NULL || s->polled[2].fd < 0;
        int ready = poll(s->polled, 3, slices && left_ms > SLICE_MS ? SLICE_MS : left_ms > 60000 ? 60000 : (int)left_ms);
        if (s->spawn->watch != NULL)
            s->spawn->watch(s->spawn->context, s->pid);
        for (int i = 0; ready > 0 && i < 2; i++)
            if (s->polled[i].fd >= 0 && s->polled[i].revents != 0)
                drain(s, i);
        look_whether_it_ended(s);
    }
    /* What it wrote last. Others may hold the pipes open: they are killed by now. */
    s->out->left_processes = kill(-s->pid, 0) == 0;
    kill(-s->pid, SIGKILL);
    s->polled[2].fd = -1;
    while ((s->polled[0].fd >= 0 || s->polled[1].fd >= 0) && patience++ < 1000 && poll(s->polled, 2, 100) > 0)
        for (int i = 0; i < 2; i++)
            if (s->polled[i].fd >= 0 && s->polled[i].revents != 0)
                drain(s, i);
}

static uint64_t ns_of(struct timeval time)
{
    return (uint64_t)time.tv_sec * 1000000000U + (uint64_t)time.tv_usec * 1000U;
}

static void keep_usage(struct ull_spawned *out, const struct rusage *usage)
{
    out->usage.user_ns = ns_of(usage->ru_utime);
    out->usage.sys_ns = ns_of(usage->ru_stime);
    out->usage.cpu_ns = out->usage.user_ns + out->usage.sys_ns;
    out->usage.minor_faults = (uint64_t)usage->ru_minflt;
    out->usage.major_faults = (uint64_t)usage->ru_majflt;
    out->usage.voluntary_switches = (uint64_t)usage->ru_nvcsw;
    out->usage.involuntary_switches = (uint64_t)usage->ru_nivcsw;
    out->peak_bytes = (uint64_t)usage->ru_maxrss * 1024;
}

/* ---- what left its group ---- */

enum { CHILDREN_MAX = 256 };

static size_t children(pid_t *list)
{
    char path[64], text[4096];
    size_t count = 0;
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)gettid());
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0)
        close(fd);
    text[got > 0 ? got : 0] = '\0';
    for (char *at = text, *end; count < CHILDREN_MAX; at = end) {
        long pid = strtol(at, &end, 10);
        if (end == at)
            break;
        list[count++] = (pid_t)pid;
    }
    return count;
}

static bool is_among(pid_t pid, const pid_t *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (list[i] == pid)
            return true;
    return false;
}

/* Those whose parent ended are our children now (we are their subreaper): all that we did not have before are its own. */
static void end_strays(struct ull_spawned *out, const pid_t *before, size_t before_count)
{
    enum { ROUNDS = 20 };
    pid_t now[CHILDREN_MAX];
    for (int round = 0; round < ROUNDS; round++) {
        size_t count = children(now), strays = 0;
        for (size_t i = 0; i < count; i++) {
            if (is_among(now[i], before, before_count))
                continue;
            strays++;
            if (waitpid(now[i], NULL, WNOHANG) == 0) { /* it still ran */
                out->left_processes = true;
                kill(now[i], SIGKILL);
                waitpid(now[i], NULL, 0);
            }
        }
        if (strays == 0)
            return;
    }
}

static int run(const struct ull_spawn *spawn, struct ull_spawned *out, struct pipes *pipes, char **list, char *error)
{
    pid_t parent = getpid(), pid, ours[CHILDREN_MAX];
    int was_subreaper = 0;
    size_t our_count = children(ours);
    struct sigaction before[ULL_SPAWN_SIGNALS];
    void (*sigchld)(int) = signal(SIGCHLD, SIG_DFL); /* ignored, there would be nothing to wait for */
    ull_spawn_hold_signals(before);
    prctl(PR_GET_CHILD_SUBREAPER, &was_subreaper);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    struct supervision s = { .spawn = spawn, .out = out, .begun_ns = now_ns() };
    pid = fork();
    if (pid == 0)
        become(spawn, pipes, list, parent);
    int result = pid < 0 ? -errno : 0;
    if (pid < 0) {
        snprintf(error, ULLAGE_BENCH_ERROR_BYTES, "no new process: %s", strerrordesc_np(-result));
    } else {
        setpgid(pid, pid);
        running_group = pid;
        if (ended_by != 0)
            kill(-pid, SIGKILL);
        close(pipes->lines[1]);
        close(pipes->printed[1]);
        pipes->lines[1] = pipes->printed[1] = -1;
        result = why_not_executed(pipes, spawn->subject->command[0], error);
        s.pid = pid;
        s.polled[0] = (struct pollfd) { pipes->lines[0], POLLIN, 0 };
        s.polled[1] = (struct pollfd) { pipes->printed[0], POLLIN, 0 };
        s.polled[2] = (struct pollfd) { (int)syscall(SYS_pidfd_open, pid, 0), POLLIN, 0 };
        int process = s.polled[2].fd;
        supervise(&s);
        if (process >= 0)
            close(process);
        running_group = 0;
        keep_usage(out, &s.usage);
        end_strays(out, ours, our_count);
    }
    prctl(PR_SET_CHILD_SUBREAPER, was_subreaper);
    ull_spawn_let_signals_go(before);
    signal(SIGCHLD, sigchld);
    return result;
}

int ull_spawn_run(const struct ull_spawn *spawn, struct ull_spawned *out, char *error)
{
    struct pipes pipes;
    struct environment made;
    memset(out, 0, sizeof *out);
    int result = open_pipes(&pipes);
    if (result != 0) {
        snprintf(error, ULLAGE_BENCH_ERROR_BYTES, "no pipe: %s", strerrordesc_np(-result));
        return result;
    }
    result = environment_init(&made, spawn, pipes.lines[1]);
    if (result == 0)
        result = run(spawn, out, &pipes, made.list, error);
    else
        snprintf(error, ULLAGE_BENCH_ERROR_BYTES, "not enough memory");
    environment_fini(&made);
    close_pipes(&pipes);
    if (result != 0) {
        free(out->lines);
        out->lines = NULL;
    }
    return result;
}
