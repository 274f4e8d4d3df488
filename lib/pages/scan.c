/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scan.c - asking the kernel which pages of a range were written.
 *
 * The held descriptor is the delicate part. A daemon may close every descriptor it does not know (closefrom(3)), and a
 * later open gets our number; a forked child inherits a descriptor that still reads the parent. So it has a high
 * number, is close-on-exec, and device and inode are compared before it is read; a lost one is opened again. The ioctl
 * harms nothing on a foreign descriptor, which refuses it: there the comparison, a fifth of the cost of a scan, is made
 * each CHECK_INTERVAL uses and after every refusal, to catch a pagemap of another process that the program opened.
 */
#include "config.h"

#include "pages/scan.h"

#include "base/arith.h"
#include "base/atomic.h"
#include "base/lock.h"
#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/types.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* From linux/fs.h of Linux 6.7; Debian 12's headers are older. */
struct pagemap_region {
    __u64 start, end, categories;
};
struct pagemap_scan {
    __u64 size, flags, start, end, walk_end, regions, region_count, max_pages;
    __u64 category_inverted, category_mask, category_anyof, return_mask;
};
#define PAGEMAP_SCAN_IOCTL _IOWR('f', 16, struct pagemap_scan)
enum { CATEGORY_FILE = 1 << 2, CATEGORY_PRESENT = 1 << 3, CATEGORY_SWAPPED = 1 << 4,
    CATEGORY_ZERO_PAGE = 1 << 5, CATEGORY_HUGE = 1 << 6 };

/* From Documentation/admin-guide/mm/pagemap.rst. */
#define PAGEMAP_PRESENT (UINT64_C(1) << 63)
#define PAGEMAP_SWAPPED (UINT64_C(1) << 62)
#define PAGEMAP_FILE_OR_SHARED (UINT64_C(1) << 61)
#define PAGEMAP_EXCLUSIVE (UINT64_C(1) << 56)

enum {
    REGIONS_A_CALL = 24,  /* 576 bytes of stack; most buffers have one to three regions */
    CALLS_A_SCAN = 128,   /* our choice: about 3,000 regions, under 1 ms; past it the rest counts as touched */
    ENTRIES_A_READ = 128, /* 1 KiB of stack: 512 KiB of buffer a read */
    PAGES_A_MINCORE = 1024,
    CHUNKS_A_SCAN = 1 << 16, /* 1 TiB in chunks of 16 MiB: no buffer is larger */
    CHECK_INTERVAL = 64,
};

static uint64_t page_bytes_now; /* atomic */

uint64_t ull_page_bytes(void)
{
    uint64_t known = ull_load_relaxed(&page_bytes_now);
    if (known == 0) {
        known = (uint64_t)sysconf(_SC_PAGESIZE);
        ull_store_relaxed(&page_bytes_now, known);
    }
    return known;
}

void ull_page_bytes_pretend(uint64_t bytes)
{
    ull_store_relaxed(&page_bytes_now, bytes);
}

/* One table of entries of 8 bytes each fills a page: 2 MiB of 4 KiB pages, 32 MiB of 16 KiB, 512 MiB of 64 KiB. */
uint64_t ull_huge_page_bytes(void)
{
    return ull_page_bytes() / 8 * ull_page_bytes();
}

const char *ull_pages_method_name(unsigned method)
{
    static const char *const names[] = { "untried", "pagemap-scan", "pagemap", "mincore", "none" };
    return method < sizeof names / sizeof names[0] ? names[method] : NULL;
}

/* PR_SET_THP_DISABLE, as `ullage run --exact` does it. */
static bool turned_off(pid_t pid)
{
    char path[40], text[2048] = "";
    if (pid == 0)
        return ull_sys_call(SYS_prctl, PR_GET_THP_DISABLE, 0, 0, 0, 0, 0) == 1;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    int fd = ull_sys_openat(AT_FDCWD, path, O_RDONLY, 0);
    if (fd < 0)
        return false;
    (void)ull_sys_read(fd, text, sizeof text - 1);
    ull_sys_close(fd);
    return strstr(text, "\nTHP_enabled:\t0") != NULL;
}

static bool huge_pages_possible(pid_t pid)
{
    char text[64] = "";
    if (turned_off(pid))
        return false;
    int fd = ull_sys_openat(AT_FDCWD, "/sys/kernel/mm/transparent_hugepage/enabled", O_RDONLY, 0);
    if (fd < 0)
        return true; /* cannot tell */
    ssize_t got = ull_sys_read(fd, text, sizeof text - 1);
    ull_sys_close(fd);
    return got <= 0 || strstr(text, "[never]") == NULL;
}

void ull_pages_init(struct ull_pages *pages, pid_t pid, enum ull_pages_method forced)
{
    memset(pages, 0, sizeof *pages);
    pages->pid = pid;
    pages->fd = -1;
    pages->forced = (uint32_t)forced;
    pages->huge_possible = huge_pages_possible(pid);
    pthread_mutex_init(&pages->opening, NULL);
}

void ull_pages_fini(struct ull_pages *pages)
{
    if (pages->fd >= 0)
        ull_sys_close(pages->fd);
    pages->fd = -1;
    pthread_mutex_destroy(&pages->opening);
}

/* Our descriptor, if its number still means what it did. */
static bool is_ours(const struct ull_pages *pages, int fd)
{
    struct stat now;
    return fd >= 0 && ull_sys_fstat(fd, &now) == 0 && (uint64_t)now.st_dev == ull_load_relaxed(&pages->device)
        && (uint64_t)now.st_ino == ull_load_relaxed(&pages->inode);
}

void ull_pages_after_fork(struct ull_pages *pages)
{
    pthread_mutex_init(&pages->opening, NULL);
    if (is_ours(pages, pages->fd))
        ull_sys_close(pages->fd);
    pages->fd = -1;
    ull_store_relaxed(&pages->forked, true);
}

static int open_pagemap(struct ull_pages *pages)
{
    char path[40] = "/proc/self/pagemap";
    struct stat now;
    if (pages->pid != 0)
        snprintf(path, sizeof path, "/proc/%d/pagemap", (int)pages->pid);
    if (pages->pid == 0 && !ull_sys_may_hold())
        return -EMFILE;
    int fd = ull_sys_openat(AT_FDCWD, path, O_RDONLY, 0);
    if (fd >= 0 && pages->pid == 0)
        fd = ull_sys_move_high(fd);
    if (fd < 0)
        return fd;
    if (ull_sys_fstat(fd, &now) != 0) {
        ull_sys_close(fd);
        return -EBADF;
    }
    ull_store_relaxed(&pages->device, (uint64_t)now.st_dev);
    ull_store_relaxed(&pages->inode, (uint64_t)now.st_ino);
    return fd;
}

/* A descriptor of pagemap, checked if @check, or -errno. */
static int pagemap_fd(struct ull_pages *pages, bool check)
{
    int fd = ull_load_acquire(&pages->fd);
    if (fd >= 0 && !check)
        return fd;
    if (is_ours(pages, fd))
        return fd;
    if (!ull_lock(&pages->opening))
        return -EAGAIN;
    fd = pages->fd;
    if (!is_ours(pages, fd)) {
        fd = open_pagemap(pages);
        ull_store_release(&pages->fd, fd >= 0 ? fd : -1);
    }
    ull_unlock(&pages->opening);
    return fd;
}

void ull_pages_hold(struct ull_pages *pages)
{
    if (pages->forced <= ULL_PAGES_PAGEMAP && ull_load_relaxed(&pages->method) <= ULL_PAGES_PAGEMAP)
        (void)pagemap_fd(pages, true);
}

/* ---- adding what was found to the extents ---- */

/* The range that is scanned, and where its last page begins. */
struct walk {
    uint64_t start, end, last_page, most_pages;
    struct ull_extents *out;
};

static void add_touched(struct walk *w, uint64_t from, uint64_t to, bool resident, bool huge)
{
    struct ull_extents *out = w->out;
    uint64_t granularity = huge ? ull_huge_page_bytes() : ull_page_bytes();
    if (from < w->start)
        from = w->start;
    if (to > w->end)
        to = w->end;
    if (from >= to)
        return;
    out->touched_bytes += to - from;
    if (resident)
        out->resident_bytes += to - from;
    out->end = to - w->start;
    out->end_granularity = granularity;
    if (to > w->last_page)
        out->last_page_touched = true;
    if (from < w->last_page) {
        out->end_before_last = ull_min_u64(to, w->last_page) - w->start;
        out->end_before_last_granularity = granularity;
    }
}

/* What could not be read counts as touched: too generous, never too small. */
static void add_unread(struct walk *w, uint64_t from)
{
    w->out->partial = true;
    add_touched(w, from, w->end, false, false);
}

/* ---- the three methods; each returns 0, -errno, or -ENOTSUP for "try the next one" ---- */

static int scan_by_ioctl(struct ull_pages *pages, int fd, struct walk *w)
{
    struct pagemap_region regions[REGIONS_A_CALL];
    uint64_t at = w->start;
    for (unsigned call = 0; at < w->end; call++) {
        uint64_t stop = pages->chunk_bytes != 0 ? ull_min_u64(w->end, at + pages->chunk_bytes) : w->end;
        if (call >= CALLS_A_SCAN && pages->chunk_bytes == 0) {
            add_unread(w, at);
            return 0;
        }
        if (call >= CHUNKS_A_SCAN)
            return -E2BIG;
        struct pagemap_scan ask = {
            .size = sizeof ask, .start = at, .end = stop,
            .regions = (uint64_t)(uintptr_t)regions, .region_count = REGIONS_A_CALL, .max_pages = w->most_pages,
            .category_inverted = CATEGORY_ZERO_PAGE, .category_mask = CATEGORY_ZERO_PAGE,
            .category_anyof = CATEGORY_PRESENT | CATEGORY_SWAPPED,
            .return_mask = CATEGORY_PRESENT | CATEGORY_FILE | CATEGORY_HUGE,
        };
        int count = ull_sys_ioctl(fd, PAGEMAP_SCAN_IOCTL, &ask);
        if (count == -EINTR)
            continue;
        if (count < 0)
            return count == -ENOTTY || count == -EINVAL || count == -EPERM || count == -ENOSYS || count == -EBADF
                ? -ENOTSUP : count;
        for (int i = 0; i < count; i++) {
            w->out->shared |= (regions[i].categories & CATEGORY_FILE) != 0;
            add_touched(w, regions[i].start, regions[i].end, (regions[i].categories & CATEGORY_PRESENT) != 0,
                (regions[i].categories & CATEGORY_HUGE) != 0);
        }
        if (w->most_pages != 0 && w->out->touched_bytes / ull_page_bytes() >= w->most_pages)
            return -E2BIG;
        if (ask.walk_end <= at)
            return count == 0 && at == w->start ? -ESRCH : -EIO; /* the process has gone, or the kernel lies */
        at = ask.walk_end;
    }
    return 0;
}

/* Where huge pages may be and the file does not tell: a whole aligned huge page of touched pages is taken for one. */
struct huge_guess {
    uint64_t from; /* start of the aligned run of touched pages that ends at the current page */
    bool possible;
};

static bool guess_huge(struct huge_guess *g, uint64_t page, bool touched)
{
    if (!touched || !g->possible) {
        g->from = UINT64_MAX;
        return false;
    }
    if (page % ull_huge_page_bytes() == 0)
        g->from = page;
    return g->from != UINT64_MAX && page + ull_page_bytes() - g->from >= ull_huge_page_bytes();
}

static int scan_by_reading(struct ull_pages *pages, int fd, struct walk *w)
{
    uint64_t entries[ENTRIES_A_READ], page_bytes = ull_page_bytes();
    struct huge_guess guess = { UINT64_MAX, pages->huge_possible };
    if (w->most_pages != 0 && (w->end - w->start) / page_bytes > w->most_pages)
        return -E2BIG; /* each page costs here, touched or not */
    for (uint64_t at = w->start; at < w->end;) {
        size_t want = (size_t)ull_min_u64((w->end - at) / page_bytes, ENTRIES_A_READ) * sizeof entries[0];
        ssize_t got = ull_sys_pread(fd, entries, want, (off_t)(at / page_bytes * sizeof entries[0]));
        if (got == -EINTR)
            continue;
        if (got <= 0 || got % (ssize_t)sizeof entries[0] != 0)
            return got == 0 ? -ESRCH : got < 0 ? (int)got : -EIO;
        for (size_t i = 0; i < (size_t)got / sizeof entries[0]; i++, at += page_bytes) {
            uint64_t entry = entries[i];
            bool swapped = (entry & PAGEMAP_SWAPPED) != 0, present = (entry & PAGEMAP_PRESENT) != 0;
            bool exclusive = (entry & (PAGEMAP_EXCLUSIVE | PAGEMAP_FILE_OR_SHARED)) != 0;
            bool touched = swapped || (present && (exclusive || ull_load_relaxed(&pages->forked)));
            if (touched && present && !exclusive)
                w->out->doubtful = true;
            w->out->shared |= (entry & PAGEMAP_FILE_OR_SHARED) != 0;
            bool huge = guess_huge(&guess, at, touched);
            if (touched)
                add_touched(w, at, at + page_bytes, present, huge);
        }
    }
    return 0;
}

static int scan_by_mincore(struct ull_pages *pages, struct walk *w)
{
    unsigned char vector[PAGES_A_MINCORE];
    uint64_t page_bytes = ull_page_bytes();
    struct huge_guess guess = { UINT64_MAX, pages->huge_possible };
    if (pages->pid != 0)
        return -ENOTSUP;
    if (w->most_pages != 0 && (w->end - w->start) / page_bytes > w->most_pages)
        return -E2BIG;
    for (uint64_t at = w->start; at < w->end;) {
        uint64_t count = ull_min_u64((w->end - at) / page_bytes, PAGES_A_MINCORE);
        int result = ull_sys_mincore((void *)(uintptr_t)at, count * page_bytes, vector);
        if (result == -EAGAIN)
            continue;
        if (result < 0)
            return -ENOTSUP;
        for (uint64_t i = 0; i < count; i++, at += page_bytes) {
            bool resident = (vector[i] & 1) != 0, huge = guess_huge(&guess, at, resident);
            if (resident)
                add_touched(w, at, at + page_bytes, true, huge);
        }
    }
    w->out->doubtful = w->out->end != 0;
    return 0;
}

static int scan_by(struct ull_pages *pages, uint32_t method, struct walk *w)
{
    if (method == ULL_PAGES_MINCORE)
        return scan_by_mincore(pages, w);
    bool check = method != ULL_PAGES_SCAN || ull_add_relaxed(&pages->uses, 1U) % CHECK_INTERVAL == 0;
    for (;; check = true) {
        int fd = pagemap_fd(pages, check);
        if (fd < 0)
            return fd == -ENOENT && pages->pid != 0 ? -ESRCH : fd == -EAGAIN ? fd : -ENOTSUP;
        int result = method == ULL_PAGES_SCAN ? scan_by_ioctl(pages, fd, w) : scan_by_reading(pages, fd, w);
        if (result >= 0 || result == -E2BIG || check)
            return result;
        memset(w->out, 0, sizeof *w->out); /* perhaps the number is somebody else's now: once more, checked */
    }
}

int ull_pages_scan(
    struct ull_pages *pages, uint64_t start, uint64_t end, uint64_t most_pages, struct ull_extents *out)
{
    uint32_t method = ull_load_relaxed(&pages->method);
    if (method == ULL_PAGES_UNTRIED)
        method = pages->forced != ULL_PAGES_UNTRIED ? pages->forced : ULL_PAGES_SCAN;
    for (; method < ULL_PAGES_NONE; method++) {
        memset(out, 0, sizeof *out);
        struct walk w = { start, end, end - ull_page_bytes(), most_pages, out };
        int result = scan_by(pages, method, &w);
        if (result == -ENOTSUP)
            continue;
        ull_store_relaxed(&pages->method, method);
        return result;
    }
    /* Remembered only for this process: for another one it may be a passing lack of permission. */
    if (pages->pid == 0)
        ull_store_relaxed(&pages->method, ULL_PAGES_NONE);
    return -ENOTSUP;
}
