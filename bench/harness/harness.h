/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * harness.h - what the parts of the harness share.
 *
 * One program plays two roles. As the driver (main.c, drive.c) it starts itself again for each repetition and gathers
 * values. As the child (child.c) it runs one benchmark once and writes lines to a descriptor:
 *
 *     hello                         it is a benchmark program
 *     build TEXT | flags TEXT | allocator TEXT | optimized 0|1
 *     name NAME                     when listing
 *     iterations N | threads N      of this repetition
 *     metric NAME BETTER EXACT VALUE
 *     note TEXT | skip TEXT | fail TEXT
 *     end                           all is said
 *
 * The request is in the environment, so that an unmodified command line serves: ULLAGE_BENCH_CHILD="FD PASS ITERATIONS
 * TIME_NS NAME", PASS being one of list, calibrate, time, count.
 */
#ifndef ULL_BENCH_HARNESS_H
#define ULL_BENCH_HARNESS_H

#include "ullage/bench.h"
#include "ullage/bench_result.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#define ULL_BENCH_CHILD "ULLAGE_BENCH_CHILD"
enum { ULL_BENCH_NAME_BYTES = 256, ULL_BENCH_THREADS_MAX = 1024 };

/* ---- registry.c ---- */

/* One benchmark with its argument and number of threads. */
struct ull_case {
    char name[ULL_BENCH_NAME_BYTES]; /* of a group: its prefix */
    ullage_bench_fn function;
    int64_t argument;
    unsigned threads;
    bool is_group;
};

/* Calls @each for every case in the order of registration until it returns other than 0; returns that. */
int ull_registry_each(int (*each)(void *context, const struct ull_case *one), void *context);

/* NULL, or what is wrong with a name, or with what was registered. */
const char *ull_registry_name_fault(const char *name);
const char *ull_registry_fault(void);

/* ---- clock.c ---- */

/* What is read when the clock starts and stops. */
struct ull_usage {
    uint64_t wall_ns, cpu_ns, user_ns, sys_ns;
    uint64_t minor_faults, major_faults, voluntary_switches, involuntary_switches;
    uint64_t instructions, cycles;
};

struct ull_clock {
    struct ull_usage begun, sum;
    bool running;
    uint64_t own_cpu_ns; /* processor time that one start and stop add to what lies between them */
    int perf_instructions, perf_cycles; /* descriptors; -1: not to be had */
    void (*resume)(void);               /* of the recorder; NULL: nothing is counted */
    void (*pause)(void);
};

void ull_clock_init(struct ull_clock *clock);
void ull_clock_start(struct ull_clock *clock);
void ull_clock_stop(struct ull_clock *clock);
/* Forgets what was summed up; runs on if it runs. */
void ull_clock_reset(struct ull_clock *clock);

/* The peak of resident bytes starts anew; and what it is now, 0: unknown. */
void ull_clock_reset_peak(void);
uint64_t ull_clock_peak_bytes(void);

/* ---- child.c ---- */

/* The exit status of a child, or -1 where this process is none. */
int ull_child_main(const struct ullage_bench_build *build);

/* ---- spawn.c ---- */

/* A process that was started, its lines and what it printed. */
struct ull_spawned {
    int status;    /* as from waitpid */
    bool timed_out;
    bool left_processes; /* in its group; they were killed */
    char *lines;   /* NUL-terminated; freed by the caller */
    size_t line_bytes;
    uint64_t printed_bytes;
    char printed[2048]; /* the last of them, NUL-terminated */
    struct ull_usage usage; /* of it and what it waited for */
    uint64_t peak_bytes;
    uint64_t wall_ns;
};

struct ull_spawn {
    const struct ullage_bench_subject *subject;
    char *const *more; /* environment beside the subject's; NULL-terminated; NULL */
    unsigned timeout_ms, cpu_count;
    const char *preload; /* before the LD_PRELOAD of subject and environment; NULL */
    const char *request; /* of a child, without the descriptor; NULL: a whole program */
    void (*watch)(void *context, int pid); /* every few ms while it runs; NULL */
    void *context;
};

/* Runs it to its end. 0 or negative errno with @error. */
int ull_spawn_run(const struct ull_spawn *spawn, struct ull_spawned *out, char *error);

/* Signals that would end us are noted from here to there, and end what runs; ends us by the one that came, if one did. */
enum { ULL_SPAWN_SIGNALS = 4 };
void ull_spawn_hold_signals(struct sigaction before[ULL_SPAWN_SIGNALS]);
void ull_spawn_let_signals_go(const struct sigaction before[ULL_SPAWN_SIGNALS]);
void ull_spawn_end_if_told(void);

/* ---- whole.c ---- */

int ull_whole_sample(const struct ullage_bench_subject *subject, const struct ullage_bench_request *request,
    struct ullage_bench_result *result, char *error);

/* ---- judge.c ---- */

/* Says how the process ended, in the result; true if that was well. @complete: it had said all that it had to. */
bool ull_judge(struct ullage_bench_result *result, const struct ull_spawned *spawned, bool complete, unsigned timeout_ms);
void ull_judge_fail(struct ullage_bench_result *result, enum ullage_bench_status status, const char *message);
void ull_judge_note(struct ullage_bench_result *result, const char *note);
/* The last line it printed, as a second half of a message: ": LINE", or "". */
const char *ull_judge_last_words(const struct ull_spawned *spawned, char *room, size_t bytes);

#endif
