/* SPDX-License-Identifier: BSD-2-Clause */
/* test_span.c - used bytes of real memory, by each method that this kernel has. */
#include "config.h"

#include "base/arith.h"
#include "base/sys.h"
#include "pages/span.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGES 512
static struct ull_pages pages;

static char *map_pages(size_t count)
{
    char *memory = mmap(NULL, count * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(memory, MAP_FAILED);
    madvise(memory, count * 4096, MADV_NOHUGEPAGE);
    return memory;
}

static struct ull_span begin(char *start, size_t bytes)
{
    struct ull_span span = { .address = (uintptr_t)start, .bytes = bytes };
    cr_assert(ull_span_measurable(span.address, span.bytes));
    cr_assert_eq(ull_span_begin(&pages, &span), 0);
    return span;
}

static struct ull_reading read_now(const struct ull_span *span)
{
    struct ull_reading reading;
    cr_assert_eq(ull_span_read(&pages, span, ULL_SPAN_OWNED, &reading), 0);
    return reading;
}

/* The methods by name; mincore counts pages that were only read, so it gets bounds. */
ParameterizedTestParameters(span, fresh_memory_is_exact_to_a_page)
{
    static enum ull_pages_method methods[] = { ULL_PAGES_SCAN, ULL_PAGES_PAGEMAP, ULL_PAGES_MINCORE };
    return cr_make_param_array(enum ull_pages_method, methods, 3);
}

ParameterizedTest(enum ull_pages_method *method, span, fresh_memory_is_exact_to_a_page)
{
    static const size_t offsets[] = { 0, 16, 4095 };
    ull_pages_init(&pages, 0, *method);
    for (size_t o = 0; o < 3; o++) {
        for (size_t written = 0; written <= 100000; written += 1 + written / 2) {
            char *memory = map_pages(64);
            char *start = memory + offsets[o];
            size_t bytes = 64 * 4096 - offsets[o] - 2000; /* ends within its last page */
            struct ull_span span = begin(start, bytes);
            cr_assert_eq(span.stale_end, 0);
            memset(start, 0, written); /* zeros are data */
            struct ull_reading reading = read_now(&span);
            cr_assert_geq(reading.used, written, "offset %zu, %zu written: %lu", offsets[o], written, reading.used);
            cr_assert_lt(reading.used, written + 4096, "offset %zu, %zu written: %lu", offsets[o], written, reading.used);
            cr_assert(reading.exact || *method == ULL_PAGES_MINCORE || written == 0);
            cr_assert_leq(reading.touched, bytes);
            munmap(memory, 64 * 4096);
        }
    }
    ull_pages_fini(&pages);
}

Test(span, reading_is_not_using)
{
    ull_pages_init(&pages, 0, ULL_PAGES_UNTRIED);
    char *memory = map_pages(PAGES);
    struct ull_span span = begin(memory, PAGES * 4096);
    volatile char sum = 0;
    for (size_t at = 0; at < PAGES * 4096; at += 4096)
        sum = (char)(sum + memory[at]);
    memory[0] = 1;
    struct ull_reading reading = read_now(&span);
    if (pages.method == ULL_PAGES_MINCORE)
        cr_skip_test("mincore cannot tell reading from writing");
    cr_assert_eq(reading.used, 4096);
    cr_assert_eq(reading.resident, 4096);
    munmap(memory, PAGES * 4096);
    ull_pages_fini(&pages);
}

Test(span, tail_counts_by_its_own_bytes)
{
    ull_pages_init(&pages, 0, ULL_PAGES_UNTRIED);
    char *memory = map_pages(16);
    size_t bytes = 10 * 4096 + 100;
    memory[bytes + 50] = 1; /* the neighbour's header, in the page of the tail */
    struct ull_span span = begin(memory, bytes);
    memory[0] = 1;
    cr_assert_eq(read_now(&span).used, 4096, "the neighbour is not us");
    memory[bytes - 1] = 1;
    struct ull_reading reading = read_now(&span);
    cr_assert_eq(reading.used, bytes);
    cr_assert(reading.exact);
    munmap(memory, 16 * 4096);
    ull_pages_fini(&pages);
}

Test(span, tail_of_high_bits_alone_is_not_zero)
{
    ull_pages_init(&pages, 0, ULL_PAGES_UNTRIED);
    char *memory = map_pages(16);
    struct ull_span span = begin(memory, 10 * 4096 + 16);
    double *tail = (double *)(void *)(memory + 10 * 4096);
    tail[0] = tail[1] = -0.0;
    cr_assert_eq(read_now(&span).used, span.bytes);
    munmap(memory, 16 * 4096);
    ull_pages_fini(&pages);
}

Test(span, unreadable_tail_counts)
{
    ull_pages_init(&pages, 0, ULL_PAGES_UNTRIED);
    char *memory = map_pages(16);
    struct ull_span span = begin(memory, 10 * 4096 + 16);
    memory[10 * 4096] = 1;
    mprotect(memory, 16 * 4096, PROT_NONE);
    struct ull_reading reading = read_now(&span);
    cr_assert_eq(reading.used, span.bytes);
    cr_assert_not(reading.exact);
    munmap(memory, 16 * 4096);
    ull_pages_fini(&pages);
}

Test(span, brief_reading_gives_up_on_much)
{
    ull_pages_init(&pages, 0, ULL_PAGES_UNTRIED);
    char *memory = map_pages(10000);
    struct ull_reading reading;
    struct ull_span span = begin(memory, 10000UL * 4096);
    memory[0] = 1;
    if (pages.method == ULL_PAGES_SCAN)
        cr_assert_eq(ull_span_read(&pages, &span, ULL_SPAN_BRIEFLY, &reading), 0);
    memset(memory, 1, 9000UL * 4096);
    cr_assert_eq(ull_span_read(&pages, &span, ULL_SPAN_BRIEFLY, &reading), -E2BIG);
    cr_assert_eq(ull_span_read(&pages, &span, ULL_SPAN_SHARED, &reading), 0);
    cr_assert_eq(reading.used, 9000UL * 4096);
    munmap(memory, 10000UL * 4096);
    ull_pages_fini(&pages);
}

Test(span, stale_tail_is_an_upper_bound)
{
    ull_pages_init(&pages, 0, ULL_PAGES_UNTRIED);
    char *memory = map_pages(16);
    size_t bytes = 10 * 4096 + 100;
    memory[bytes - 1] = 1; /* an earlier owner's */
    struct ull_span span = begin(memory, bytes);
    memory[bytes - 1] = 1; /* the same once more: no checksum shows it */
    struct ull_reading reading = read_now(&span);
    cr_assert_eq(reading.used, bytes, "never under the truth");
    cr_assert_not(reading.exact);
    munmap(memory, 16 * 4096);
    ull_pages_fini(&pages);
}

Test(span, tail_follows_the_page_before_it)
{
    ull_pages_init(&pages, 0, ULL_PAGES_UNTRIED);
    char *memory = map_pages(16);
    size_t bytes = 10 * 4096 + 100;
    struct ull_span span = begin(memory, bytes);
    memset(memory, 0, bytes); /* zeros up to the end: the tail's checksum stays */
    cr_assert_eq(read_now(&span).used, bytes);
    munmap(memory, 16 * 4096);
    ull_pages_fini(&pages);
}

Test(span, stale_memory_gives_bounds_and_exact_only_past_it)
{
    ull_pages_init(&pages, 0, ULL_PAGES_UNTRIED);
    char *memory = map_pages(64);
    memset(memory, 1, 20 * 4096);
    struct ull_span span = begin(memory, 64 * 4096);
    cr_assert_eq(span.stale_end, 20 * 4096);
    memory[5 * 4096] = 2;
    struct ull_reading reading = read_now(&span);
    cr_assert_eq(reading.used, 20 * 4096);
    cr_assert_not(reading.exact);
    memory[30 * 4096] = 2;
    reading = read_now(&span);
    cr_assert_eq(reading.used, 31 * 4096);
    cr_assert(reading.exact);
    munmap(memory, 64 * 4096);
    ull_pages_fini(&pages);
}

Test(span, scattered_pages_count_as_touched_once_each)
{
    ull_pages_init(&pages, 0, ULL_PAGES_UNTRIED);
    char *memory = map_pages(40000);
    struct ull_span span = begin(memory, 40000UL * 4096);
    for (size_t page = 0; page < 40000; page += 400)
        memory[page * 4096] = 1;
    struct ull_reading reading = read_now(&span);
    cr_assert_eq(reading.touched, 100 * 4096);
    cr_assert_eq(reading.used, (39600 + 1) * 4096UL);
    for (size_t page = 0; page < 40000; page += 2) /* 20,000 regions: more than are read */
        memory[page * 4096] = 1;
    reading = read_now(&span);
    cr_assert_geq(reading.used, 39999 * 4096UL, "what was not read counts as used");
    cr_assert(reading.touched >= 20000UL * 4096);
    munmap(memory, 40000UL * 4096);
    ull_pages_fini(&pages);
}

/* One byte in a huge page reads as 2 MiB, and the reading says so. */
ParameterizedTestParameters(span, huge_pages_are_coarse)
{
    static enum ull_pages_method methods[] = { ULL_PAGES_SCAN, ULL_PAGES_PAGEMAP, ULL_PAGES_MINCORE };
    return cr_make_param_array(enum ull_pages_method, methods, 3);
}

ParameterizedTest(enum ull_pages_method *method, span, huge_pages_are_coarse)
{
    size_t huge = 2 << 20;
    ull_pages_init(&pages, 0, *method);
    char *memory = mmap(NULL, 8 * huge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *start = (char *)ull_round_up((uintptr_t)memory, huge);
    if (madvise(start, 4 * huge, MADV_HUGEPAGE) != 0)
        cr_skip_test("no transparent huge pages here");
    struct ull_span span = begin(start, 4 * huge);
    start[0] = 1;
    struct ull_reading reading = read_now(&span);
    if (reading.used != huge)
        cr_skip_test("the kernel gave no huge page");
    cr_assert_not(reading.exact, "one byte used is not two megabytes");
    cr_assert_eq(reading.granularity, huge);
    munmap(memory, 8 * huge);
    ull_pages_fini(&pages);
}

Test(span, lost_descriptor_is_found_again)
{
    ull_pages_init(&pages, 0, ULL_PAGES_UNTRIED);
    char *memory = map_pages(64);
    struct ull_span span = begin(memory, 64 * 4096);
    memory[4096] = 1;
    cr_assert_eq(read_now(&span).used, 8192);
    if (pages.fd < 0)
        cr_skip_test("no /proc here");
    cr_assert_geq(pages.fd, 500, "above what programs use");
    int number = pages.fd;
    close(number);
    cr_assert_eq(read_now(&span).used, 8192, "closed under us");
    number = pages.fd;
    int other = open("/dev/null", O_RDWR);
    cr_assert_eq(dup2(other, number), number);
    cr_assert_eq(read_now(&span).used, 8192, "its number is the program's now");
    cr_assert_neq(pages.fd, number);
    cr_assert_eq(write(number, "x", 1), 1, "and was left alone");
    munmap(memory, 64 * 4096);
    ull_pages_fini(&pages);
}

static long no_open(long number)
{
    return number == 257 /* openat */ ? -EACCES : 0;
}

Test(span, without_proc_it_falls_back_to_mincore)
{
    ull_pages_init(&pages, 0, ULL_PAGES_UNTRIED);
    char *memory = map_pages(64);
    ull_sys_inject = no_open;
    struct ull_span span = begin(memory, 64 * 4096);
    memory[0] = 1;
    struct ull_reading reading = read_now(&span);
    ull_sys_inject = NULL;
    cr_assert_eq(pages.method, ULL_PAGES_MINCORE);
    cr_assert_eq(reading.used, 4096);
    cr_assert_not(reading.exact);
}

static long nothing_works(long number)
{
    return number == 257 /* openat */ || number == 27 /* mincore */ ? -EACCES : 0;
}

Test(span, with_nothing_it_says_so)
{
    struct ull_reading reading;
    struct ull_span span = { .address = 0x10000, .bytes = 1 << 20 };
    ull_pages_init(&pages, 0, ULL_PAGES_UNTRIED);
    ull_sys_inject = nothing_works;
    cr_assert_eq(ull_span_begin(&pages, &span), -ENOTSUP);
    cr_assert_eq(span.stale_end, span.bytes, "then all of it counts as stale");
    cr_assert_eq(ull_span_read(&pages, &span, ULL_SPAN_SHARED, &reading), -ENOTSUP);
    ull_sys_inject = NULL;
}

static long old_kernel(long number)
{
    return number == 16 /* ioctl */ ? -ENOTTY : 0;
}

Test(span, before_linux_6_7_it_reads_pagemap)
{
    ull_pages_init(&pages, 0, ULL_PAGES_UNTRIED);
    char *memory = map_pages(64);
    ull_sys_inject = old_kernel;
    struct ull_span span = begin(memory, 64 * 4096);
    memory[8192] = 1;
    struct ull_reading reading = read_now(&span);
    ull_sys_inject = NULL;
    cr_assert_eq(pages.method, ULL_PAGES_PAGEMAP);
    cr_assert_eq(reading.used, 3 * 4096);
}

/* A pagemap of our own making: what the kernel would say of another machine, or of swap. */
enum { PRESENT_ONLY, EXCLUSIVE, SWAPPED, FILE_PAGE };
struct fake_entry {
    uint64_t address;
    int what;
};

static void fake_pagemap(uint64_t page_bytes, const struct fake_entry *entries, size_t count)
{
    static const uint64_t bits[] = { UINT64_C(1) << 63, UINT64_C(1) << 63 | UINT64_C(1) << 56, UINT64_C(1) << 62,
        UINT64_C(1) << 63 | UINT64_C(1) << 61 };
    struct stat found;
    int fd = memfd_create("pagemap", 0);
    ull_page_bytes_pretend(page_bytes);
    ull_pages_init(&pages, 0, ULL_PAGES_PAGEMAP);
    cr_assert_eq(ftruncate(fd, (off_t)(UINT64_C(1) << 40)), 0);
    for (size_t i = 0; i < count; i++) {
        off_t offset = (off_t)(entries[i].address / page_bytes * 8);
        cr_assert_eq(pwrite(fd, &bits[entries[i].what], 8, offset), 8);
    }
    cr_assert_eq(fstat(fd, &found), 0);
    pages.fd = fd;
    pages.device = (uint64_t)found.st_dev;
    pages.inode = (uint64_t)found.st_ino;
}

ParameterizedTestParameters(span, pages_of_other_sizes)
{
    static uint64_t sizes[] = { 4096, 16384, 65536 };
    return cr_make_param_array(uint64_t, sizes, 3);
}

ParameterizedTest(uint64_t *page, span, pages_of_other_sizes)
{
    uint64_t base = UINT64_C(1) << 35, p = *page;
    fake_pagemap(p, (const struct fake_entry[]) { { base, EXCLUSIVE },
        { base + 2 * p, SWAPPED }, { base + 3 * p, PRESENT_ONLY }, { base + 9 * p, FILE_PAGE } }, 4);
    pages.huge_possible = false;
    struct ull_span whole = { .address = base, .bytes = 8 * p };
    struct ull_reading reading = read_now(&whole);
    cr_assert_eq(reading.used, 3 * p, "a page that is only present was only read");
    cr_assert_eq(reading.touched, 2 * p);
    cr_assert_eq(reading.resident, p, "what is swapped out counts as used, and is not in memory");
    cr_assert_eq(reading.granularity, p);
    cr_assert(reading.exact);
    struct ull_span inside = { .address = base + 16, .bytes = 8 * p - 16 };
    cr_assert_eq(read_now(&inside).used, 3 * p - 16, "the head is a part of a page");
    cr_assert_not(ull_span_measurable(base + 16, 2 * p - 32), "no whole page in it");
    cr_assert(ull_span_measurable(base + 16, 2 * p));
    pages.forked = true; /* a page that is not exclusive may be a written one, shared with a child */
    reading = read_now(&whole);
    cr_assert_eq(reading.used, 4 * p);
    cr_assert_not(reading.exact);
    ull_page_bytes_pretend(0);
}

ParameterizedTestParameters(span, huge_pages_of_other_sizes)
{
    static uint64_t sizes[] = { 4096, 16384, 65536 };
    return cr_make_param_array(uint64_t, sizes, 3);
}

ParameterizedTest(uint64_t *page, span, huge_pages_of_other_sizes)
{
    static struct fake_entry entries[8192];
    uint64_t base = UINT64_C(1) << 35, p = *page, huge = p / 8 * p;
    ull_page_bytes_pretend(p);
    cr_assert_eq(ull_huge_page_bytes(), huge);
    for (uint64_t i = 0; i < huge / p; i++)
        entries[i].address = base + i * p, entries[i].what = EXCLUSIVE;
    fake_pagemap(p, entries, huge / p);
    pages.huge_possible = true;
    struct ull_span span = { .address = base, .bytes = 2 * huge };
    struct ull_reading reading = read_now(&span);
    cr_assert_eq(reading.used, huge);
    cr_assert_eq(reading.granularity, huge, "this may be one byte in a huge page");
    cr_assert_not(reading.exact);
    pages.huge_possible = false;
    cr_assert_eq(read_now(&span).granularity, p);
    ull_page_bytes_pretend(0);
}

Test(span, pages_of_a_file_are_told_apart)
{
    int fd = memfd_create("file", 0);
    cr_assert_eq(ftruncate(fd, 64 * 4096), 0);
    char *file = mmap(NULL, 64 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), *own = map_pages(64);
    for (enum ull_pages_method method = ULL_PAGES_SCAN; method <= ULL_PAGES_PAGEMAP; method++) {
        ull_pages_init(&pages, 0, method);
        file[5 * 4096] = own[5 * 4096] = 1;
        cr_assert(begin(file, 64 * 4096).shared, "method %d", method);
        cr_assert_not(begin(own, 64 * 4096).shared, "method %d", method);
    }
}

/* The other process's memory, and a child that holds the parent's descriptor. */
Test(span, measures_another_process)
{
    int ready[2], done[2];
    char byte = 0;
    char *memory = map_pages(64);
    cr_assert_eq(pipe(ready) + pipe(done), 0);
    pid_t child = fork();
    if (child == 0) {
        memset(memory, 7, 10 * 4096 + 5);
        if (write(ready[1], "r", 1) == 1)
            (void)!read(done[0], &byte, 1);
        _exit(0);
    }
    cr_assert_eq(read(ready[0], &byte, 1), 1);
    struct ull_pages outside;
    ull_pages_init(&outside, child, ULL_PAGES_UNTRIED);
    outside.chunk_bytes = 16 * 4096;
    struct ull_span span = { .address = (uintptr_t)memory, .bytes = 63 * 4096 + 17 };
    struct ull_reading reading;
    cr_assert_eq(ull_span_read(&outside, &span, ULL_SPAN_SHARED, &reading), 0);
    cr_assert_eq(reading.used, 11 * 4096);
    cr_assert_eq(write(done[1], "d", 1), 1);
    waitpid(child, NULL, 0);
    ull_pages_fini(&outside);
    munmap(memory, 64 * 4096);
}

Test(span, small_and_wrapping_buffers_are_not_measurable)
{
    cr_assert_not(ull_span_measurable(0x10010, 100));
    cr_assert_not(ull_span_measurable(0x10010, 4096));
    cr_assert(ull_span_measurable(0x10000, 4096));
    cr_assert_not(ull_span_measurable(UINT64_MAX - 5, 4096));
    cr_assert_not(ull_span_measurable(4096, UINT64_MAX - 4096));
}
