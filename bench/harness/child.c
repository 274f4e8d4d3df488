/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * child.c - one benchmark, once: what a process does that was started for it.
 *
 * Calibrating: the body runs with more and more iterations until it takes as long as asked for. Timing: it runs with a
 * tenth of the iterations, so that caches and heaps are warm, then with all of them. Counting: with one iteration, then
 * with all, the recorder on while the clock runs. The set-up of a body that resets the clock is not recorded: that it
 * does is seen in the first run.
 */
#include "config.h"

#include "run.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHILD_FD = 200 }; /* out of the way of what the benchmark opens */

/* ---- what is written ---- */

void ull_say(const struct ullage_bench_run *run, const char *format, ...)
{
    char line[1024];
    va_list arguments;
    if (getpid() != run->pid)
        return; /* the body forked, and this is the copy */
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line - 1, format, arguments);
    va_end(arguments);
    if (length < 0)
        return;
    size_t bytes = (size_t)length < sizeof line - 1 ? (size_t)length : sizeof line - 2;
    for (size_t i = 0; i < bytes; i++)
        if (line[i] == '\n')
            line[i] = ' ';
    line[bytes++] = '\n';
    for (size_t written = 0; written < bytes;) {
        ssize_t more = write(run->fd, line + written, bytes - written);
        if (more < 0 && errno == EINTR)
            continue;
        if (more <= 0)
            return;
        written += (size_t)more;
    }
}

static void say_metric(const struct ullage_bench_run *run, const char *name, int better, bool exact, double value)
{
    if (isfinite(value))
        ull_say(run, "metric %s %d %d %.17g", name, better, exact, value);
    else
        ull_say(run, "note %s is not finite and was left out", name);
}

/* ---- what it gave ---- */

static void say_usage(const struct ullage_bench_run *run)
{
    const struct ull_usage *sum = &run->clock.sum;
    double n = (double)run->iterations * run->one.threads;
    say_metric(run, "ns/op", -1, false, (double)sum->wall_ns / n);
    if (run->bytes > 0 && sum->wall_ns > 0)
        say_metric(run, "MB/s", 1, false, (double)run->bytes * n * 1e3 / (double)sum->wall_ns);
    say_metric(run, "cpu-ns/op", -1, false, (double)sum->cpu_ns / n);
    say_metric(run, "user-ns/op", -1, false, (double)sum->user_ns / n);
    say_metric(run, "sys-ns/op", -1, false, (double)sum->sys_ns / n);
    if (run->clock.perf_instructions >= 0 && sum->instructions > 0)
        say_metric(run, "instructions/op", -1, false, (double)sum->instructions / n);
    if (run->clock.perf_cycles >= 0 && sum->cycles > 0)
        say_metric(run, "cycles/op", -1, false, (double)sum->cycles / n);
    say_metric(run, "minor-faults/op", -1, false, (double)sum->minor_faults / n);
    say_metric(run, "major-faults/op", -1, false, (double)sum->major_faults / n);
    say_metric(run, "voluntary-switches/op", -1, false, (double)sum->voluntary_switches / n);
    say_metric(run, "involuntary-switches/op", -1, false, (double)sum->involuntary_switches / n);
    uint64_t peak = ull_clock_peak_bytes();
    if (peak > 0)
        say_metric(run, "peak-rss-bytes", -1, false, (double)peak);
    for (unsigned i = 0; i < run->metric_count; i++)
        say_metric(run, run->metrics[i].name, run->metrics[i].better, false, run->metrics[i].value);
}

static void say_counts(struct ullage_bench_run *run)
{
    struct ullage_recording_counts counts = { .size = sizeof counts };
    double n = (double)run->iterations * run->one.threads;
    int result = run->counts(&counts);
    if (result != 0) {
        run->failed = true;
        snprintf(run->why, sizeof run->why, "allocations could not be counted: %s", result == -ENODATA
            ? "the interposer made no ledger (is ULLAGE_DIR writable?)" : strerror(-result));
        return;
    }
    if (counts.missed > 0)
        ull_say(run, "note %" PRIu64 " allocations or frees could not be counted exactly", counts.missed);
    if (run->probed) { /* of which one byte is ours */
        counts.allocations--, counts.frees--;
        counts.requested_bytes--, counts.freed_bytes--;
        if (counts.allocations == 0)
            counts.peak_bytes = 0;
    }
    bool exact = counts.missed == 0; /* threads may meet, or not: their peak is no fact of the program */
    say_metric(run, "allocs/op", -1, exact, (double)counts.allocations / n);
    say_metric(run, "B/op", -1, exact, (double)counts.requested_bytes / n);
    say_metric(run, "peak-live-bytes", -1, exact && run->one.threads == 1, (double)counts.peak_bytes);
    uint64_t leaked = counts.requested_bytes > counts.freed_bytes ? counts.requested_bytes - counts.freed_bytes : 0;
    say_metric(run, "leaked-B/op", -1, exact, (double)leaked / n);
}

static void say_outcome(const struct ullage_bench_run *run)
{
    if (run->skipped)
        ull_say(run, "skip %s", run->why);
    else if (run->failed)
        ull_say(run, "fail %s", run->why);
}

/* ---- finding the benchmark ---- */

static int find_case(void *context, const struct ull_case *one)
{
    struct ullage_bench_run *run = context;
    if (!one->is_group) {
        if (run->pass == ULL_PASS_LIST)
            ull_say(run, "name %s", one->name);
        else if (strcmp(one->name, run->wanted) == 0)
            run->one = *one, run->found = true;
        return run->found;
    }
    size_t length = strlen(one->name);
    if (run->pass != ULL_PASS_LIST && strcmp(one->name, run->wanted) == 0) { /* it was listed so because it skips all of itself */
        run->one = *one;
        run->found = true;
        return 1;
    }
    if (run->pass != ULL_PASS_LIST && (strncmp(one->name, run->wanted, length) != 0 || run->wanted[length] != '/'))
        return 0;
    struct ullage_bench bench = { 1, one->argument, 0, 1, run };
    run->group = one;
    one->function(&bench); /* runs the wanted one in ullage_bench_sub() */
    run->group = NULL;
    if (run->pass == ULL_PASS_LIST && ull_run_is_over(run)) {
        ull_say(run, "name %s", one->name);
        run->skipped = run->failed = false;
    }
    return run->found;
}

static void perform(struct ullage_bench_run *run);

void ullage_bench_sub(struct ullage_bench *b, const char *name, ullage_bench_fn function, int64_t argument)
{
    struct ullage_bench_run *run = b->run;
    char whole[ULL_BENCH_NAME_BYTES];
    if (run->group == NULL) {
        ullage_bench_fail(b, "ullage_bench_sub() outside of a group's body");
        return;
    }
    int length = snprintf(whole, sizeof whole, "%s/%s", run->group->name, name);
    const char *fault = ull_registry_name_fault(name[0] != '\0' && length > 0 && (size_t)length < sizeof whole ? whole : "");
    if (fault != NULL) {
        if (run->pass == ULL_PASS_LIST)
            ull_say(run, "fault %.200s: %s", run->group->name, fault);
        return;
    }
    if (run->pass == ULL_PASS_LIST) {
        ull_say(run, "name %s", whole);
    } else if (!run->found && strcmp(whole, run->wanted) == 0) {
        const struct ull_case *group = run->group;
        run->found = true;
        run->one = (struct ull_case) { .function = function, .argument = argument, .threads = 1 };
        run->group = NULL;
        perform(run);
        run->group = group;
    }
}

/* ---- the passes ---- */

static unsigned tasks(void)
{
    DIR *stream = opendir("/proc/self/task");
    unsigned count = 0;
    if (stream == NULL)
        return 1;
    for (const struct dirent *entry; (entry = readdir(stream)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(stream);
    return count;
}

/* Detached threads may be on their way out: a moment is theirs. */
static void look_for_threads(const struct ullage_bench_run *run, unsigned before)
{
    unsigned now = tasks();
    for (int tries = 0; now > before && tries < 20; tries++) {
        usleep(5000);
        now = tasks();
    }
    if (now > before)
        ull_say(run, "note left %u thread%s running", now - before, now - before == 1 ? "" : "s");
}

static void count_pass(struct ullage_bench_run *run)
{
    ull_run_body(run, 1);
    run->clock.resume = run->resets_expected > 0 ? NULL : run->resume; /* else ullage_bench_reset_clock() sets it */
    run->clock.pause = run->pause;
    run->counted = true;
    if (!ull_run_is_over(run))
        ull_run_body(run, run->iterations);
    run->pause();
    if (!ull_run_is_over(run))
        say_counts(run);
}

static void perform(struct ullage_bench_run *run)
{
    unsigned before = tasks();
    if (run->one.threads > 1)
        ull_say(run, "threads %u", run->one.threads);
    switch (run->pass) {
    case ULL_PASS_CALIBRATE:
        run->iterations = ull_run_calibrate(run);
        break;
    case ULL_PASS_TIME:
        ull_run_body(run, run->iterations >= 10 ? run->iterations / 10 : 1);
        run->metric_count = 0;
        if (!ull_run_is_over(run))
            ull_run_body(run, run->iterations);
        if (!ull_run_is_over(run))
            say_usage(run);
        break;
    case ULL_PASS_COUNT:
        count_pass(run);
        break;
    case ULL_PASS_LIST:
        break;
    }
    ull_say(run, "iterations %" PRIu64, run->iterations);
    say_outcome(run);
    look_for_threads(run, before);
}

/* ---- the request ---- */

static bool parse_request(struct ullage_bench_run *run, const char *text)
{
    static const char *const passes[] = { "list", "calibrate", "time", "count" };
    char pass[16];
    int at = 0, pass_index = 0;
    if (sscanf(text, "%d %15s %" SCNu64 " %" SCNu64 " %n", &run->fd, pass, &run->iterations, &run->time_ns, &at) < 4)
        return false;
    while (pass_index < 4 && strcmp(passes[pass_index], pass) != 0)
        pass_index++;
    run->pass = (enum ull_pass)pass_index;
    snprintf(run->wanted, sizeof run->wanted, "%s", text + at);
    return pass_index < 4 && (run->pass == ULL_PASS_LIST || (at > 0 && run->iterations > 0));
}

/* Out of the way of what the benchmark opens. */
static void move_away(struct ullage_bench_run *run)
{
    int high = fcntl(run->fd, F_DUPFD_CLOEXEC, CHILD_FD);
    if (high >= 0) {
        close(run->fd);
        run->fd = high;
    } else {
        fcntl(run->fd, F_SETFD, FD_CLOEXEC);
    }
}

static bool find_recorder(struct ullage_bench_run *run)
{
    *(void **)&run->pause = dlsym(RTLD_DEFAULT, "ullage_recording_pause");
    *(void **)&run->resume = dlsym(RTLD_DEFAULT, "ullage_recording_resume");
    *(void **)&run->counts = dlsym(RTLD_DEFAULT, "ullage_recording_counts");
    struct ullage_recording_counts counts = { .size = sizeof counts };
    return run->pause != NULL && run->resume != NULL && run->counts != NULL && run->counts(&counts) == 0;
}

/* By a function that only it has. */
static const char *allocator(void)
{
    static const struct {
        const char *symbol, *name;
    } known[] = { { "mi_malloc", "mimalloc" }, { "tc_malloc", "tcmalloc" }, { "mallctl", "jemalloc" }, { "rpmalloc", "rpmalloc" } };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (dlsym(RTLD_DEFAULT, known[i].symbol) != NULL)
            return known[i].name;
    return "libc's malloc";
}

/* The program may have an allocator of its own in it (statically linked), which comes before any that is preloaded. */
__attribute__((noinline)) static bool ull_bench_body_probe(struct ullage_bench_run *run)
{
    struct ullage_recording_counts before = { .size = sizeof before }, after = { .size = sizeof after };
    const struct ullage_bench_build *build = run->build;
    if (build == NULL || build->size < sizeof *build || build->allocate == NULL || build->release == NULL)
        return true;
    (void)run->counts(&before);
    run->resume();
    void *p = build->allocate(1);
    ullage_bench_keep(p);
    build->release(p);
    run->pause();
    (void)run->counts(&after);
    run->probed = after.allocations == before.allocations + 1 && after.frees == before.frees + 1;
    return run->probed;
}

static void say_build(const struct ullage_bench_run *run, const struct ullage_bench_build *build)
{
    ull_say(run, "build %s", build != NULL && build->compiler != NULL ? build->compiler : "");
    ull_say(run, "flags %s", build != NULL && build->flags != NULL ? build->flags : "");
    ull_say(run, "optimized %d", build == NULL || build->optimized);
    ull_say(run, "allocator %s", allocator());
}

int ull_child_main(const struct ullage_bench_build *build)
{
    static struct ullage_bench_run run; /* static: it is large, and the stack is the benchmark's */
    const char *text = getenv(ULL_BENCH_CHILD);
    if (text == NULL)
        return -1;
    run.pid = getpid();
    run.build = build;
    if (!parse_request(&run, text)) {
        fprintf(stderr, "%s: '%s' is no request: unset it\n", ULL_BENCH_CHILD, text);
        return 1;
    }
    unsetenv(ULL_BENCH_CHILD);
    move_away(&run);
    ull_say(&run, "hello");
    say_build(&run, build);
    ull_clock_init(&run.clock);
    if (run.pass == ULL_PASS_COUNT && !find_recorder(&run)) {
        ull_say(&run, "fail the interposer is not there: allocations cannot be counted");
    } else if (run.pass == ULL_PASS_COUNT && !ull_bench_body_probe(&run)) {
        ull_say(&run, "fail its allocations cannot be counted: an allocator is linked into the program (statically?), or nothing can be "
            "recorded; link it dynamically, or measure time alone (--no-memory)");
    } else {
        (void)ull_registry_each(find_case, &run);
        if (run.pass != ULL_PASS_LIST && !run.found)
            ull_say(&run, "fail there is no such benchmark");
        else if (run.found && run.group == NULL && run.one.name[0] != '\0')
            perform(&run);
    }
    ull_say(&run, "end");
    return 0;
}
