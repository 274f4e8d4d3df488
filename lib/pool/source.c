/* SPDX-License-Identifier: BSD-2-Clause */
/* source.c - mmap, hugetlb, and an arena of jemalloc's as sources of slabs. */
#include "config.h"

#include "pool/source.h"

#include "base/arith.h"
#include "base/sys.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>

#define HUGE_BYTES (UINT64_C(2) << 20)
#define MAP_HUGE_2MIB (21 << 26) /* MAP_HUGE_SHIFT is 26: linux/mman.h */

/* Asks for more and gives the ends back: mmap knows no alignment. */
static void *map_aligned(size_t bytes, size_t align, int extra)
{
    int error;
    uint64_t room;
    if (!ull_add_fits(bytes, align, &room))
        return NULL;
    char *start = ull_sys_mmap(room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | extra, -1, 0, &error);
    if (start == NULL)
        return NULL;
    char *aligned = (char *)ull_round_up((uintptr_t)start, align);
    if (aligned > start)
        ull_sys_munmap(start, (size_t)(aligned - start));
    if (aligned + bytes < start + room)
        ull_sys_munmap(aligned + bytes, (size_t)(start + room - aligned) - bytes);
    return aligned;
}

static void *map_pages(void *ctx, size_t bytes, size_t align)
{
    (void)ctx;
    void *start = map_aligned(bytes, align, 0);
    if (start != NULL)
        (void)ull_sys_madvise(start, bytes, MADV_NOHUGEPAGE);
    return start;
}

static void unmap_pages(void *ctx, void *start, size_t bytes)
{
    (void)ctx;
    ull_sys_munmap(start, bytes);
}

static int purge_pages(void *ctx, void *start, size_t bytes)
{
    (void)ctx;
    return ull_sys_madvise(start, bytes, MADV_DONTNEED);
}

const struct ullage_source ull_source_mmap = { map_pages, unmap_pages, purge_pages, true, NULL };

/* ---- hugetlb: whole huge pages, so that a purge of less is refused by the kernel ---- */

static void *map_huge(void *ctx, size_t bytes, size_t align)
{
    (void)ctx;
    return map_aligned(ull_round_up(bytes, HUGE_BYTES), align < HUGE_BYTES ? HUGE_BYTES : align, MAP_HUGETLB | MAP_HUGE_2MIB);
}

static void unmap_huge(void *ctx, void *start, size_t bytes)
{
    (void)ctx;
    ull_sys_munmap(start, ull_round_up(bytes, HUGE_BYTES));
}

int ullage_source_huge_pages(struct ullage_source *out)
{
    int error = -EINVAL;
    void *probe = out == NULL ? NULL : ull_sys_mmap(HUGE_BYTES, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_HUGE_2MIB, -1, 0, &error);
    if (probe == NULL)
        return error;
    ull_sys_munmap(probe, HUGE_BYTES);
    *out = (struct ullage_source) { map_huge, unmap_huge, NULL, true, NULL };
    return 0;
}

/* ---- jemalloc, found at run time ---- */

static struct {
    void *(*mallocx)(size_t, int);
    void (*dallocx)(void *, int);
} jemalloc;

/* As jemalloc(3): MALLOCX_LG_ALIGN is the low bits, MALLOCX_ARENA from bit 20 on, MALLOCX_TCACHE_NONE from bit 8. */
static int jemalloc_flags(void *ctx, size_t align)
{
    unsigned arena = (unsigned)(uintptr_t)ctx;
    return (int)((align != 0 ? (unsigned)__builtin_ctzl(align) : 0U) | 1U << 8 | (arena + 1) << 20);
}

static void *map_jemalloc(void *ctx, size_t bytes, size_t align)
{
    return jemalloc.mallocx(bytes, jemalloc_flags(ctx, align));
}

static void unmap_jemalloc(void *ctx, void *start, size_t bytes)
{
    (void)bytes;
    jemalloc.dallocx(start, jemalloc_flags(ctx, 0));
}

int ullage_source_jemalloc(struct ullage_source *out, unsigned arena)
{
    if (out == NULL || arena > 4093) /* MALLOCX_ARENA_LIMIT of jemalloc 5 */
        return -EINVAL;
    *(void **)(void *)&jemalloc.mallocx = dlsym(RTLD_DEFAULT, "mallocx");
    *(void **)(void *)&jemalloc.dallocx = dlsym(RTLD_DEFAULT, "dallocx");
    if (jemalloc.mallocx == NULL || jemalloc.dallocx == NULL)
        return -ENOTSUP;
    *out = (struct ullage_source) { map_jemalloc, unmap_jemalloc, NULL, false, (void *)(uintptr_t)arena };
    return 0;
}
