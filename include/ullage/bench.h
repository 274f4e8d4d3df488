/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ullage/bench.h - benchmarks that say what an operation costs in time and in memory.
 *
 *     #include <ullage/bench.h>
 *
 *     ULLAGE_BENCH(parse)
 *     {
 *         for (uint64_t i = 0; i < b->iterations; i++) {
 *             struct tree *tree = parse(text);
 *             ullage_bench_keep(tree);
 *             tree_free(tree);
 *         }
 *     }
 *     ULLAGE_BENCH_MAIN()
 *
 * As Go's testing.B. Each benchmark runs in processes of its own, so that one that crashes, hangs or leaves threads
 * behind spoils nothing but itself. Time is measured in the program as it is; memory in a second pass under Ullage's
 * interposer, which counts every call of malloc while the clock runs. The loop has to run its operation b->iterations
 * times, and may be called more than once in a process.
 *
 * Threads: the functions that take a struct ullage_bench are for the thread that was given it. They do nothing where
 * it does not fit, and say so in the result. Link with: pkg-config --libs ullage-bench. Since: 0.1
 */
#ifndef ULLAGE_BENCH_H
#define ULLAGE_BENCH_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* What a benchmark is given. */
struct ullage_bench {
    uint64_t iterations; /* how often the operation is to run; in a parallel one, in each thread; at least 1 */
    int64_t argument;    /* of ULLAGE_BENCH_ARGS, or what it was added with; else 0 */
    unsigned thread;     /* 0 to threads - 1 */
    unsigned threads;    /* that run this benchmark at once */
    struct ullage_bench_run *run; /* the harness's own */
};

typedef void (*ullage_bench_fn)(struct ullage_bench *b);

/* What a benchmark is registered with. Static, or good until the end; the macros make them. */
struct ullage_bench_entry {
    const char *name;  /* printable ASCII without spaces */
    ullage_bench_fn function;
    const int64_t *arguments; /* one benchmark each, "name/ARGUMENT"; NULL: one without */
    size_t argument_count;
    const unsigned *threads; /* one benchmark each, "name/threads:N", run by N threads; NULL: by one, without that in its name */
    size_t thread_count;
    int is_group;      /* its function calls ullage_bench_sub() */
    struct ullage_bench_entry *next; /* the harness's own */
};

/** Adds a benchmark, before ullage_bench_main(). Two of one name: the second is refused there. */
void ullage_bench_register(struct ullage_bench_entry *entry);

/** The same for a list that is computed: copies @name. 0 or -ENOMEM. */
int ullage_bench_add(const char *name, ullage_bench_fn function, int64_t argument, unsigned threads);

#define ULLAGE_BENCH_REGISTER_(name, arguments, argument_count, threads, thread_count, is_group) \
    static void ullage_bench_body_##name(struct ullage_bench *b); \
    static struct ullage_bench_entry ullage_bench_entry_##name = { #name, ullage_bench_body_##name, arguments, \
        argument_count, threads, thread_count, is_group, NULL }; \
    __attribute__((constructor)) static void ullage_bench_begin_##name(void) \
    { \
        ullage_bench_register(&ullage_bench_entry_##name); \
    } \
    static void ullage_bench_body_##name(struct ullage_bench *b)

/* A benchmark; its body follows, and finds `b`. */
#define ULLAGE_BENCH(name) ULLAGE_BENCH_REGISTER_(name, NULL, 0, NULL, 0, 0)

/* One for each whole number: ULLAGE_BENCH_ARGS(copy, 64, 4096, 1048576) { … b->argument … } */
#define ULLAGE_BENCH_ARGS(name, ...) \
    static const int64_t ullage_bench_arguments_##name[] = { __VA_ARGS__ }; \
    ULLAGE_BENCH_REGISTER_(name, ullage_bench_arguments_##name, \
        sizeof ullage_bench_arguments_##name / sizeof ullage_bench_arguments_##name[0], NULL, 0, 0)

/* The body runs in as many threads at once, for each number given: ULLAGE_BENCH_PARALLEL(queue, 1, 2, 4) { … } */
#define ULLAGE_BENCH_PARALLEL(name, ...) \
    static const unsigned ullage_bench_threads_##name[] = { __VA_ARGS__ }; \
    ULLAGE_BENCH_REGISTER_(name, NULL, 0, ullage_bench_threads_##name, \
        sizeof ullage_bench_threads_##name / sizeof ullage_bench_threads_##name[0], 0)

/* Sub-benchmarks that share a set-up: ULLAGE_BENCH_GROUP(tree) { set up; ullage_bench_sub(b, "insert", insert, 0); … } */
#define ULLAGE_BENCH_GROUP(name) ULLAGE_BENCH_REGISTER_(name, NULL, 0, NULL, 0, 1)

/**
 * ullage_bench_sub() - in a group: a benchmark "GROUP/name", which runs if it is asked for
 * @argument: becomes b->argument
 * A group's body also runs when benchmarks are listed: keep it short. Groups do not nest.
 */
void ullage_bench_sub(struct ullage_bench *b, const char *name, ullage_bench_fn function, int64_t argument);

/* ---- the clock: it runs from the call of the body to its return, unless told otherwise. Memory is counted while it runs ---- */

/**
 * Set-up ends here: what was measured so far is forgotten. In a parallel benchmark each thread has to call it, and all
 * of them go on together. As often with one iteration as with many: outside of the loop.
 */
void ullage_bench_reset_clock(struct ullage_bench *b);

/* Around work that is not to be measured. About 2 us a pair, outside the clock. Not in parallel benchmarks. */
void ullage_bench_stop_clock(struct ullage_bench *b);
void ullage_bench_start_clock(struct ullage_bench *b);

/* ---- what is said beside the time ---- */

/* Bytes that one operation goes through: adds MB/s (10^6). */
void ullage_bench_bytes(struct ullage_bench *b, uint64_t bytes);

/**
 * ullage_bench_metric() - an own metric
 * @name:   with its unit, without spaces, none of the harness's own: "p99-ns", "misses/op". One value a call of the body;
 *          the last one counts
 * @better: -1 lower is better, 1 higher is better, 0 neither
 */
void ullage_bench_metric(struct ullage_bench *b, const char *name, double value, int better);

/* It cannot be measured here, or what it did was wrong: printf-style. The body should return then. */
__attribute__((format(printf, 2, 3))) void ullage_bench_skip(struct ullage_bench *b, const char *format, ...);
__attribute__((format(printf, 2, 3))) void ullage_bench_fail(struct ullage_bench *b, const char *format, ...);

/**
 * ullage_bench_keep() - a barrier: the compiler must believe that *p is read and written here
 * @p: may be NULL. Without it a malloc and free that nobody looks between are deleted. Costs nothing but the register.
 */
void ullage_bench_keep(const void *p);
#define ullage_bench_keep(p) __asm__ volatile("" : : "r"((const void *)(p)) : "memory")

/* ---- the program ---- */

/* How it was built; the macro below fills it in. */
struct ullage_bench_build {
    size_t size;
    const char *compiler, *flags; /* NULL: unknown */
    int optimized;
    void *(*allocate)(size_t bytes); /* the program's own malloc and free: is it the one that is counted? NULL: not asked */
    void (*release)(void *p);
};

/**
 * ullage_bench_main() - runs what was registered, as the options say; see --help
 * Returns the exit status: 0 fine, 1 usage, 3 a benchmark failed or crashed.
 */
int ullage_bench_main(int argc, char **argv, const struct ullage_bench_build *build);

#ifdef __OPTIMIZE__
#define ULLAGE_BENCH_OPTIMIZED_ 1
#else
#define ULLAGE_BENCH_OPTIMIZED_ 0
#endif
#ifdef __clang__
#define ULLAGE_BENCH_COMPILER_ __VERSION__
#else
#define ULLAGE_BENCH_COMPILER_ "gcc " __VERSION__
#endif
/* Define it to a string in the build to have the flags in the results. */
#ifndef ULLAGE_BENCH_FLAGS
#define ULLAGE_BENCH_FLAGS NULL
#endif

#define ULLAGE_BENCH_MAIN() \
    int main(int argc, char **argv) \
    { \
        static const struct ullage_bench_build build \
            = { sizeof build, ULLAGE_BENCH_COMPILER_, ULLAGE_BENCH_FLAGS, ULLAGE_BENCH_OPTIMIZED_, malloc, free }; \
        return ullage_bench_main(argc, argv, &build); \
    }

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
