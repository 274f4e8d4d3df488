/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ullage/alloc.h - malloc-shaped calls for I/O buffers, from slabs.
 *
 * A drop-in for malloc'd buffers of half a KiB and more: any thread may free what any other got; a request is rounded up
 * to one of four sizes a doubling (512 B to 64 MiB; larger ones are mapped one by one), from 4 KiB up to whole pages that
 * begin on a page, so that O_DIRECT takes them. Each place that asks is counted: requested bytes, used bytes as declared
 * at the free, live and peak, in the process's ledger, where `ullage report` reads them.
 *
 * Errors: NULL, and errno: ENOMEM (also count times size past what a size_t holds), EINVAL (alignment), ENOBUFS (budget),
 * EDEADLK (a signal handler that interrupted one of these calls in its own thread). Misuse - a second free, a pointer that
 * is not ours, a free of a buffer that is in flight, a write after the free - ends the program with a message that names
 * both places, or is reported and left without effect: see ullage_alloc_options. It is never carried out; but of two threads that
 * free the same buffer at the same instant both may pass, because a free costs no atomic exchange.
 *
 * Threads: any, all calls. fork: a child has copies of all buffers and may free them. Signal handlers: one that calls
 * nothing of this header may interrupt anywhere; see EDEADLK for one that does. What forks inside a handler calls _exit or exec
 * there. System calls, for filters: mmap, munmap, madvise, mprotect, futex, membarrier, gettid, clock_gettime, ioctl and read of
 * /proc/self/pagemap, and those of the ledger. Needs no setting up. Link with: pkg-config --libs ullage. Since: 0.1
 */
#ifndef ULLAGE_ALLOC_H
#define ULLAGE_ALLOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <ullage/site.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/**
 * ullage_malloc() - a buffer of at least @bytes
 * @bytes: 0 gives a buffer of the smallest size
 *
 * Returns: 16-byte aligned memory, from 4 KiB up page-aligned; contents undefined. NULL and errno: ENOMEM, EDEADLK
 * Blocks: no. Costs: `make bench-pool`
 */
void *ullage_malloc(size_t bytes);

/**
 * ullage_calloc() - the same, all zero
 * Trusts no declaration of use: it clears whatever may have been written since the kernel gave the pages.
 * Returns: as ullage_malloc(); ENOMEM also where @count times @bytes overflows
 */
void *ullage_calloc(size_t count, size_t bytes);

/**
 * ullage_realloc() - change a buffer's size; in place where its size class allows
 * @p:     NULL: as ullage_malloc()
 * @bytes: 0: frees @p and returns NULL, as glibc's does
 * Returns: the buffer, contents kept up to the smaller size; NULL: @p is as it was (EBUSY: it is in flight, which is misuse)
 */
void *ullage_realloc(void *p, size_t bytes);

/**
 * ullage_aligned_alloc() - with an address that is a multiple of @align
 * @align: a power of two up to 64 KiB, else NULL and EINVAL; @bytes need not be a multiple of it
 */
void *ullage_aligned_alloc(size_t align, size_t bytes);

/** Gives a buffer back; NULL is let pass. What was used of it counts as unknown, unless it was noted. */
void ullage_free(void *p);

/**
 * ullage_free_used() - give a buffer back, and say how much of it was needed
 * @used_bytes: how far into it the program went; more than was asked for counts as all of it. A larger use that was noted
 *              before stands.
 */
void ullage_free_used(void *p, size_t used_bytes);

/** Raises the high-water mark of a buffer's use. NULL is let pass. Threads: the one that has the buffer. */
void ullage_note_used(void *p, size_t used_bytes);

/** Bytes that may be written at @p, at least what was asked for; 0 for NULL and for what is not ours. */
size_t ullage_usable_size(const void *p);

/* With the place named: for functions that hand out buffers for others. @site: NULL stands for the caller's address. */
void *ullage_malloc_at(const struct ullage_site *site, size_t bytes);
void *ullage_calloc_at(const struct ullage_site *site, size_t count, size_t bytes);
void *ullage_realloc_at(const struct ullage_site *site, void *p, size_t bytes);
void *ullage_aligned_alloc_at(const struct ullage_site *site, size_t align, size_t bytes);

#define ullage_malloc(bytes) ullage_malloc_at(ULLAGE_HERE, (bytes))
#define ullage_calloc(count, bytes) ullage_calloc_at(ULLAGE_HERE, (count), (bytes))
#define ullage_realloc(p, bytes) ullage_realloc_at(ULLAGE_HERE, (p), (bytes))
#define ullage_aligned_alloc(align, bytes) ullage_aligned_alloc_at(ULLAGE_HERE, (align), (bytes))

/**
 * ullage_in_flight_begin() - the kernel has this buffer now (io_uring, AIO): a free before the end is misuse
 * @p: a buffer of this header; for a struct ullage_buffer, its data
 * Returns: 0; -EINVAL: not a live buffer of ours; -EOVERFLOW: 65,535 times already. Threads: the one that has the buffer
 */
int ullage_in_flight_begin(void *p);
/** It came back. Returns: 0; -EINVAL: it was not in flight. A free that came too early, and was reported, is made up for. */
int ullage_in_flight_end(void *p);

/* ---- memory that lies idle ---- */

/**
 * ullage_trim() - give back to the kernel what lies idle in this allocator, in pools and in the threads' magazines
 * @keep_bytes: stop at so much idle memory
 * Returns: bytes given back. What a thread is just using is left to it. For event loops: call it when there is nothing to do
 */
size_t ullage_trim(size_t keep_bytes);

/** Bytes that lie idle: in magazines and depots, of this allocator and all pools; an upper bound of what trim can give. */
size_t ullage_retained_bytes(void);

/* ---- options of the process ---- */

/** Where slabs come from. All callbacks are called without locks of the program's, and must not call this library. */
struct ullage_source {
    /** @bytes, a multiple of 4096, aligned to @align, a power of two from 1 MiB up. NULL: none to be had. */
    void *(*map)(void *ctx, size_t bytes, size_t align);
    void (*unmap)(void *ctx, void *start, size_t bytes);
    /** Give the pages back, keep the addresses; 0, or negative errno and nothing happened. NULL: cannot. */
    int (*purge)(void *ctx, void *start, size_t bytes);
    bool zeroed; /**< what map and purge leave behind reads as zero */
    void *ctx;
};

/** Slabs from an arena of jemalloc, whose mallocx() is in the process. @arena: as of "arenas.create". 0, or -ENOTSUP */
int ullage_source_jemalloc(struct ullage_source *out, unsigned arena);
/** Slabs on huge pages of the system's pool (hugetlb, 2 MiB). 0, or negative errno: there is none to be had */
int ullage_source_huge_pages(struct ullage_source *out);

enum ullage_misuse { ULLAGE_MISUSE_ABORT, ULLAGE_MISUSE_REPORT };
enum ullage_leaks {
    ULLAGE_LEAKS_SAMPLED, /**< one buffer of 128 is followed, with its stack */
    ULLAGE_LEAKS_OFF,
    ULLAGE_LEAKS_ALL,
    ULLAGE_LEAKS_TOUCH, /**< all, with the place that last noted a use */
};

/** A site that asks for far more than it uses, as found by the process itself. */
struct ullage_oversize {
    const char *file, *function; /**< NULL: only the address is known */
    uint32_t line;
    const void *address;
    uint64_t buffers;
    uint64_t requested_bytes; /**< mean of a request */
    uint64_t used_max_bytes;
    uint64_t suggested_bytes;
};

struct ullage_alloc_options {
    size_t size;
    const struct ullage_source *source; /**< NULL: mmap. Kept by copy; taken only while nothing was allocated yet */
    size_t max_retained_bytes;          /**< idle in all, magazines included; 0: 256 MiB */
    uint32_t decay_ms;                  /**< idle memory leaves within two of these; 0: 1000 */
    bool background;                    /**< a thread of ours looks after decay; else the next slow path does */
    bool no_tracking;                   /**< count nothing by site */
    enum ullage_misuse misuse;
    enum ullage_leaks leaks;
    void (*on_misuse)(void *ctx, const char *what);                         /**< NULL: standard error */
    void (*on_oversize)(void *ctx, const struct ullage_oversize *oversize); /**< once a site, after one line on standard error */
    void *ctx;
};
#define ULLAGE_ALLOC_OPTIONS_INIT { .size = sizeof(struct ullage_alloc_options) }

/**
 * ullage_alloc_configure() - set the process's options
 * ULLAGE_DEBUG, ULLAGE_MISUSE and ULLAGE_LEAKS of the environment come before these.
 * Returns: 0; -EINVAL: @opt's size or a field; -EBUSY: @source, and slabs were made already; negative errno of the thread
 * Threads: one, early
 */
int ullage_alloc_configure(const struct ullage_alloc_options *opt);

/**
 * ullage_leaks_report() - write the buffers that are out for longer than @older_ms, by place, to a descriptor
 * Returns: how many there are (of those that are followed: see enum ullage_leaks); negative errno of write(2)
 */
int ullage_leaks_report(int fd, uint32_t older_ms);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
