/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scan.h - which pages of a range were written: of this process or of another one.
 *
 * Three ways to ask the kernel, best first:
 *   PAGEMAP_SCAN  ioctl on /proc/PID/pagemap, Linux 6.7 and later: written pages apart from pages that were only read.
 *   pagemap       reading the same file, older kernels: a page that is mapped exclusively was written; one that is not
 *                 may be the shared zero page, unless the process forked, when it may be a written page shared.
 *   mincore       no /proc: a page that was only read counts too, so its answers are upper bounds. This process only.
 *
 * Both sides of Ullage use this: the program on itself, and `ullage run` on the program from outside. It knows pages,
 * not buffers (span.h does) and not ledgers.
 */
#ifndef ULL_PAGES_SCAN_H
#define ULL_PAGES_SCAN_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum ull_pages_method {
    ULL_PAGES_UNTRIED = 0, /* decided at the first scan */
    ULL_PAGES_SCAN = 1,
    ULL_PAGES_PAGEMAP = 2,
    ULL_PAGES_MINCORE = 3,
    ULL_PAGES_NONE = 4, /* nothing works: everything stays unknown */
};

/* "pagemap-scan", "pagemap", "mincore", "none"; NULL for a number that is no method. */
const char *ull_pages_method_name(unsigned method);

/*
 * Where pages are read. One per process that is looked at. Threads: any, after ull_pages_open(); the descriptor is
 * checked before each use, because the program around us may have closed it and be using its number.
 */
struct ull_pages {
    pid_t pid; /* 0: this process */
    int fd;    /* of pagemap, or -1; atomic */
    uint32_t method; /* enum ull_pages_method; atomic, moves down the list only */
    uint32_t uses;   /* so far; atomic */
    uint32_t forced; /* the method a test or the user asked for, or ULL_PAGES_UNTRIED */
    uint64_t device, inode; /* of fd, to know it again */
    bool huge_possible; /* transparent huge pages are not "never" on this system */
    bool forked; /* the process forked: "not exclusive" no longer means "zero page"; atomic */
    uint64_t chunk_bytes; /* largest range asked in one call, 0 for no limit: the kernel holds a lock meanwhile */
    pthread_mutex_t opening;
};

/* What was found in [start, end). Offsets are from start. */
struct ull_extents {
    uint64_t touched_bytes;  /* written, in memory or swapped out */
    uint64_t resident_bytes; /* of those, in memory now */
    uint64_t end;            /* past the last touched page; 0 if none is */
    uint64_t end_granularity; /* bytes: how coarse `end` is, a page or a huge page; 0 if end is 0 */
    bool doubtful;           /* pages counted that may only have been read */
    bool shared;             /* some page is of a file or shared memory; mincore cannot tell */
    bool partial;            /* too scattered to read to the end: what was not read counts as touched */
    bool last_page_touched;  /* the last page of the range, which span.h treats apart */
    uint64_t end_before_last; /* as end, of the range without its last page */
    uint64_t end_before_last_granularity;
};

/* Prepares @pages for @pid (0: this process). Opens nothing yet. @forced: ULL_PAGES_UNTRIED for the best there is. */
void ull_pages_init(struct ull_pages *pages, pid_t pid, enum ull_pages_method forced);
void ull_pages_fini(struct ull_pages *pages);

/* Opens what is held between scans now, for a process that is about to lose the right to. */
void ull_pages_hold(struct ull_pages *pages);

/* In a forked child: what is held belongs to the parent. Single-threaded then. */
void ull_pages_after_fork(struct ull_pages *pages);

/*
 * ull_pages_scan() - find the written pages of [start, end)
 * Both page-aligned, start < end. @most_pages: give up with -E2BIG after counting so many touched pages; 0: no limit.
 * Returns 0 and fills @out; -ENOTSUP where nothing works; -ESRCH when the process went.
 * Threads: any. Allocates: nothing. Stack: under 2 KiB.
 */
int ull_pages_scan(
    struct ull_pages *pages, uint64_t start, uint64_t end, uint64_t most_pages, struct ull_extents *out);

/* The page size of this system, and that of its transparent huge pages, bytes. */
uint64_t ull_page_bytes(void);
uint64_t ull_huge_page_bytes(void);
/* For tests of the arithmetic: another page size from now on; 0: the system's again. */
void ull_page_bytes_pretend(uint64_t bytes);

#endif
