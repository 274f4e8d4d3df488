/* SPDX-License-Identifier: BSD-2-Clause */
/* test_alloc.c - each of the malloc-shaped calls, at each edge. Criterion runs each test in a process of its own. */
#include "config.h"

#include "pooled.h"
#include "scratch.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <time.h>

#define MIB ((size_t)1 << 20)
enum { KEPT = 4242 }; /* an errno that nobody sets */

TestSuite(alloc, .init = scratch_make, .fini = scratch_remove);

static bool is_multiple(const void *p, size_t of)
{
    return p != NULL && (uintptr_t)p % of == 0;
}

/* Both ends can be written. */
static void touch(void *p, size_t bytes)
{
    ((volatile char *)p)[0] = 1;
    ((volatile char *)p)[bytes - 1] = 1;
}

static void get_and_look(size_t bytes)
{
    char *p = ullage_malloc(bytes);
    size_t room = ullage_usable_size(p);
    cr_assert(is_multiple(p, bytes >= 4096 ? 4096 : 16), "%zu at %p", bytes, (void *)p);
    cr_assert_geq(room, bytes > 0 ? bytes : 1);
    if (bytes <= 64 * MIB)
        cr_assert_eq(room, ull_bucket_limit(ull_class_for(bytes)), "%zu has %zu", bytes, room);
    touch(p, room);
    ullage_free(p);
}

/* ---- sizes ---- */

Test(alloc, serves_each_size)
{
    static const size_t sizes[] = { 0, 1, 16, 511, 512, 513, 4095, 4096, 4097 };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        get_and_look(sizes[i]);
    for (unsigned bucket = 0; bucket < ULL_CLASS_LARGE; bucket++)
        for (int by = -1; by <= 1; by++)
            get_and_look(ull_bucket_limit(bucket) + (size_t)by);
    get_and_look(64 * MIB + 1);
    get_and_look(100 * MIB + 4097);
    cr_assert(every_buffer_is_once());
}

Test(alloc, wastes_a_quarter_at_most)
{
    for (size_t bytes = 16384; bytes < 64 * MIB; bytes += bytes / 61 * 16 + 1) {
        void *p = ullage_malloc(bytes);
        cr_assert_leq(ullage_usable_size(p), bytes + bytes / 4 + 1, "%zu: %zu", bytes, ullage_usable_size(p));
        ullage_free(p);
    }
}

static void refuse(void *p, int why)
{
    cr_assert_null(p);
    cr_assert_eq(errno, why, "%s", strerror(errno));
    errno = 0;
}

Test(alloc, refuses_what_cannot_be)
{
    static const size_t sizes[] = { SIZE_MAX, SIZE_MAX - 4096, (size_t)PTRDIFF_MAX + 1, PTRDIFF_MAX, (size_t)1 << 47 };
    for (int again = 0; again < 2; again++) {
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            refuse(ullage_malloc(sizes[i]), ENOMEM);
            refuse((ullage_malloc)(sizes[i]), ENOMEM);
            refuse(ullage_calloc(1, sizes[i]), ENOMEM);
            refuse(ullage_calloc(sizes[i], 1), ENOMEM);
            refuse(ullage_realloc(NULL, sizes[i]), ENOMEM);
            refuse(ullage_aligned_alloc(4096, sizes[i]), ENOMEM);
            refuse(ullage_aligned_alloc(65536, sizes[i]), ENOMEM);
        }
        refuse(ullage_calloc(SIZE_MAX / 2, 3), ENOMEM);
        refuse(ullage_calloc((size_t)1 << 32, (size_t)1 << 32), ENOMEM);
        refuse((ullage_calloc)(3, SIZE_MAX / 2), ENOMEM);
    }
    cr_assert(every_buffer_is_once());
}

Test(alloc, of_nothing_is_something)
{
    void *none = ullage_calloc(0, 0), *none_of_many = ullage_calloc(0, SIZE_MAX), *many = ullage_calloc(SIZE_MAX, 0);
    cr_assert(none != NULL && none_of_many != NULL && many != NULL);
    cr_assert(none != many && many != none_of_many);
    ullage_free(none);
    ullage_free(none_of_many);
    ullage_free(many);
    ullage_free(ullage_aligned_alloc(65536, 0));
}

/* ---- alignment ---- */

Test(alloc, aligns)
{
    static const size_t sizes[] = { 0, 1, 100, 512, 4096, 4097, 20480, 65536, 65537, 3 * MIB + 5, 64 * MIB + 1 };
    for (size_t align = 1; align <= 65536; align *= 2) {
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            void *p[3];
            for (int n = 0; n < 3; n++) {
                p[n] = n == 1 ? (ullage_aligned_alloc)(align, sizes[i]) : ullage_aligned_alloc(align, sizes[i]);
                cr_assert(is_multiple(p[n], align), "%zu at %p of %zu", align, p[n], sizes[i]);
                cr_assert_geq(ullage_usable_size(p[n]), sizes[i]);
                touch(p[n], ullage_usable_size(p[n]));
            }
            for (int n = 0; n < 3; n++)
                ullage_free_used(p[n], sizes[i]);
        }
    }
    cr_assert(every_buffer_is_once());
}

Test(alloc, refuses_what_is_no_alignment)
{
    static const size_t aligns[] = { 0, 3, 24, 4097, 65535, 65537, 131072, (size_t)1 << 63, SIZE_MAX };
    for (size_t i = 0; i < sizeof aligns / sizeof aligns[0]; i++) {
        refuse(ullage_aligned_alloc(aligns[i], 100), EINVAL);
        refuse(ullage_aligned_alloc_at(NULL, aligns[i], 100), EINVAL);
    }
}

/* ---- realloc ---- */

Test(alloc, realloc_keeps_contents)
{
    static const size_t sizes[] = { 1, 500, 513, 4096, 5000, 70000, MIB, 5 * MIB, 64 * MIB, 65 * MIB, 130 * MIB };
    enum { COUNT = sizeof sizes / sizeof sizes[0] };
    for (size_t from = 0; from < COUNT; from++) {
        for (size_t to = 0; to < COUNT; to++) {
            size_t both = sizes[from] < sizes[to] ? sizes[from] : sizes[to];
            unsigned char *p = ullage_malloc(sizes[from]);
            stamp(p, both, from * COUNT + to);
            p = ullage_realloc(p, sizes[to]);
            cr_assert_not_null(p);
            cr_assert_geq(ullage_usable_size(p), sizes[to]);
            cr_assert(is_stamped(p, both, from * COUNT + to), "%zu to %zu", sizes[from], sizes[to]);
            touch(p, sizes[to]);
            ullage_free(p);
        }
    }
    cr_assert(every_buffer_is_once());
}

Test(alloc, realloc_stays_where_it_fits)
{
    char *p = ullage_malloc(60000), *same = ullage_realloc(p, 65536), *smaller = ullage_realloc(same, 40000);
    cr_assert_eq(same, p);
    cr_assert_eq(smaller, p);
    char *moved = ullage_realloc(smaller, 1000);
    cr_assert_neq(moved, p, "of 64 KiB it would keep 63 for nothing");
    ullage_free(moved);
}

Test(alloc, realloc_of_nothing_and_to_nothing)
{
    char *p = ullage_realloc(NULL, 3000), *other = (ullage_realloc)(NULL, 3000);
    cr_assert(p != NULL && other != NULL && p != other);
    cr_assert_null(ullage_realloc(p, 0));
    cr_assert_null((ullage_realloc)(other, 0));
    char *least = ullage_realloc(NULL, 0);
    cr_assert_not_null(least, "as malloc(0)");
    ullage_free(least);
    cr_assert(every_buffer_is_once());
}

Test(alloc, realloc_that_fails_leaves_all)
{
    char *p = ullage_malloc(3000);
    stamp(p, 3000, 8);
    refuse(ullage_realloc(p, SIZE_MAX), ENOMEM);
    refuse(ullage_realloc(p, (size_t)1 << 47), ENOMEM);
    cr_assert(is_stamped(p, 3000, 8));
    cr_assert_eq(ullage_usable_size(p), 3072);
    ullage_free(p);
}

/* ---- zeros ---- */

/* Whatever was declared: what the kernel did not give anew is cleared. */
static void soil_and_clear(size_t bytes, size_t declared)
{
    for (int i = 0; i < 40; i++) {
        unsigned char *p = ullage_malloc(bytes);
        memset(p, 0xee, bytes);
        ullage_free_used(p, declared);
        p = i % 2 != 0 ? ullage_calloc(1, bytes) : (ullage_calloc)(bytes, 1);
        cr_assert(is_zero(p, bytes), "%zu declared as %zu, turn %d", bytes, declared, i);
        if (i % 3 == 0)
            memset(p, 0x55, bytes);
        ullage_free_used(p, declared);
    }
}

Test(alloc, calloc_believes_nobody)
{
    static const size_t declared[] = { 0, 1, 4096, MIB, SIZE_MAX - 1, SIZE_MAX };
    static const size_t sizes[] = { 100, 4096, 65536, 131072, MIB, 3 * MIB + 1 };
    for (size_t d = 0; d < sizeof declared / sizeof declared[0]; d++)
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
            soil_and_clear(sizes[i], declared[d]);
    soil_and_clear(65 * MIB, 4096);
}

/* A part of what is asked for less, of a buffer that was once written whole. */
Test(alloc, calloc_of_parts)
{
    for (size_t part = 1; part <= 65536; part = part * 3 + 1) {
        unsigned char *p = ullage_malloc(65536);
        memset(p, 0xaa, 65536);
        ullage_free(p);
        p = ullage_calloc(part, 1);
        cr_assert(is_zero(p, part), "%zu", part);
        ullage_free_used(p, part);
        p = ullage_calloc(1, 65536);
        cr_assert(is_zero(p, 65536), "%zu", part);
        ullage_free(p);
    }
}

/* ---- free, notes, sizes ---- */

/* At any filling of a magazine, and after what was idle is gone. */
Test(alloc, free_of_nothing)
{
    void *p[200];
    ullage_free(NULL);
    ullage_free_used(NULL, 7);
    ullage_note_used(NULL, 7);
    cr_assert_eq(ullage_usable_size(NULL), 0);
    for (int out = 0; out < 200; out++) {
        for (int i = 0; i < out; i++)
            p[i] = ullage_malloc(1000);
        ullage_free(NULL);
        for (int i = 0; i < out; i++)
            ullage_free(p[i]);
        ullage_free_used(NULL, 1);
        if (out % 10 == 0) {
            ullage_trim(0);
            ullage_free(NULL);
        }
    }
}

static uint64_t used_of(const void *p)
{
    return ull_block_of(p)->used;
}

/* The mark is the buffer's present owner's, not a former one's. */
Test(alloc, notes_begin_anew)
{
    for (int i = 0; i < 300; i++) {
        char *p = ullage_malloc(65536);
        size_t noted = i % 2 == 0 ? 60000 : 500;
        ullage_note_used(p, 100);
        ullage_note_used(p, noted);
        ullage_note_used(p, 10);
        cr_assert_eq(used_of(p), noted, "turn %d: %lu", i, used_of(p));
        cr_assert(ull_block_of(p)->state & ULL_BLOCK_NOTED);
        ullage_free(p);
    }
}

Test(alloc, knows_its_own)
{
    int here = 0;
    char *p = ullage_malloc(5000), *other = malloc(5000);
    cr_assert_eq(ullage_usable_size(&here), 0);
    cr_assert_eq(ullage_usable_size(other), 0);
    cr_assert_eq(ullage_usable_size(p + 1), 0);
    cr_assert_eq(ullage_usable_size(p + 4096), 0);
    cr_assert_eq(ullage_usable_size((void *)UINTPTR_MAX), 0);
    cr_assert_eq(ullage_usable_size((void *)((uintptr_t)1 << 48)), 0);
    cr_assert_eq(ullage_usable_size(p), 8192);
    ullage_free(p);
    cr_assert_eq(ullage_usable_size(p), 0, "put");
    free(other);
}

Test(alloc, leaves_errno)
{
    for (int i = 0; i < 300; i++) {
        errno = KEPT;
        void *p = ullage_malloc(5000 + (size_t)i), *zero = ullage_calloc(3, 300000), *aligned = ullage_aligned_alloc(16384, 5);
        void *large = ullage_malloc(65 * MIB);
        p = ullage_realloc(p, 6000);
        p = ullage_realloc(p, 600000);
        ullage_note_used(p, 9);
        ullage_free(p);
        ullage_free_used(zero, 3);
        ullage_free(aligned);
        ullage_free(large);
        if (i % 50 == 0)
            ullage_trim(0);
        cr_assert_eq(errno, KEPT, "turn %d: %s", i, strerror(errno));
    }
}

static void *free_first(void *p)
{
    ullage_free(p);
    return NULL;
}

/* A thread that never got anything. */
Test(alloc, threads_may_begin_by_a_free)
{
    for (int i = 0; i < 50; i++) {
        pthread_t thread;
        void *p = i % 10 == 0 ? NULL : ullage_malloc(5000);
        cr_assert_eq(pthread_create(&thread, NULL, free_first, p), 0);
        pthread_join(thread, NULL);
        cr_assert_eq(ullage_usable_size(p), 0);
    }
    cr_assert(every_buffer_is_once());
}

/* ---- idle memory ---- */

Test(alloc, trim_gives_back_what_is_idle)
{
    void *p[64];
    for (int i = 0; i < 64; i++)
        memset(p[i] = ullage_malloc(MIB), 1, MIB);
    for (int i = 0; i < 64; i++)
        ullage_free(p[i]);
    size_t idle = ullage_retained_bytes();
    cr_assert_geq(idle, 8 * MIB);
    size_t given = ullage_trim(4 * MIB);
    cr_assert_gt(given, 0);
    cr_assert_leq(ullage_retained_bytes(), 4 * MIB);
    ullage_trim(0);
    cr_assert_eq(ullage_retained_bytes(), 0);
    cr_assert_eq(ullage_trim(0), 0);
    cr_assert(every_buffer_is_once());
}

static void configure_bound(size_t bytes)
{
    struct ullage_alloc_options options = ULLAGE_ALLOC_OPTIONS_INIT;
    options.max_retained_bytes = bytes;
    cr_assert_eq(ullage_alloc_configure(&options), 0);
}

Test(alloc, keeps_no_more_than_the_bound)
{
    void *p[300];
    configure_bound(8 * MIB);
    for (int turn = 0; turn < 20; turn++) {
        for (int i = 0; i < 300; i++) {
            p[i] = ullage_malloc((size_t)1000 << (i + turn) % 8);
            cr_assert_leq(ullage_retained_bytes(), 8 * MIB);
        }
        for (int i = 0; i < 300; i++) {
            ullage_free(p[i]);
            cr_assert_leq(ullage_retained_bytes(), 8 * MIB);
        }
    }
    cr_assert(every_buffer_is_once());
}

/* What is idle already leaves when the bound becomes lower, at the latest at the next trim or period; nothing breaks before. */
Test(alloc, bound_may_be_lowered)
{
    void *p[64];
    for (int i = 0; i < 64; i++)
        p[i] = ullage_malloc(MIB / 2);
    for (int i = 0; i < 64; i++)
        ullage_free(p[i]);
    configure_bound(MIB);
    for (int i = 0; i < 64; i++)
        p[i] = ullage_malloc(MIB / 2);
    for (int i = 0; i < 64; i++)
        ullage_free(p[i]);
    ullage_trim(MIB);
    cr_assert_leq(ullage_retained_bytes(), MIB);
    cr_assert(every_buffer_is_once());
}

static void sleep_ms(long ms)
{
    struct timespec pause = { ms / 1000, ms % 1000 * 1000000 };
    nanosleep(&pause, NULL);
}

/* With a thread of ours, nobody calling anything. */
Test(alloc, decays_by_itself)
{
    struct ullage_alloc_options options = ULLAGE_ALLOC_OPTIONS_INIT;
    void *p[64];
    options.background = true;
    options.decay_ms = 50;
    cr_assert_eq(ullage_alloc_configure(&options), 0);
    cr_assert_eq(ullage_alloc_configure(&options), 0, "the second time too");
    for (int i = 0; i < 64; i++)
        p[i] = ullage_malloc(MIB / 4);
    for (int i = 0; i < 64; i++)
        ullage_free(p[i]);
    cr_assert_gt(ullage_retained_bytes(), 0);
    for (int i = 0; i < 100 && ullage_retained_bytes() > 0; i++)
        sleep_ms(20);
    cr_assert_eq(ullage_retained_bytes(), 0, "the magazines of this thread, which sleeps, too");
}

/* ---- options ---- */

Test(alloc, options_are_looked_at)
{
    struct ullage_alloc_options good = ULLAGE_ALLOC_OPTIONS_INIT, bad = good;
    struct ullage_source source = { NULL, NULL, NULL, false, NULL };
    cr_assert_eq(ullage_alloc_configure(&good), 0);
    cr_assert_eq(ullage_alloc_configure(NULL), -EINVAL);
    bad.size = sizeof bad - 8;
    cr_assert_eq(ullage_alloc_configure(&bad), -EINVAL);
    bad = good;
    bad.misuse = 2;
    cr_assert_eq(ullage_alloc_configure(&bad), -EINVAL);
    bad = good;
    bad.leaks = 4;
    cr_assert_eq(ullage_alloc_configure(&bad), -EINVAL);
    bad = good;
    bad.source = &source;
    cr_assert_eq(ullage_alloc_configure(&bad), -EINVAL);
}

/* A source of our own that counts, and gives what it is given. */
static struct {
    uint64_t maps, unmaps, bytes, wrong;
    bool fails;
} counted;

static void *count_map(void *ctx, size_t bytes, size_t align)
{
    void *p = NULL;
    counted.wrong += ctx != &counted || bytes % 4096 != 0 || (align & (align - 1)) != 0 || align < MIB;
    if (counted.fails || posix_memalign(&p, align, bytes) != 0)
        return NULL;
    memset(p, 0xcd, bytes < MIB ? bytes : MIB);
    counted.maps++;
    counted.bytes += bytes;
    return p;
}

static void count_unmap(void *ctx, void *start, size_t bytes)
{
    counted.wrong += ctx != &counted;
    counted.unmaps++;
    counted.bytes -= bytes;
    free(start);
}

Test(alloc, takes_slabs_from_the_source)
{
    struct ullage_alloc_options options = ULLAGE_ALLOC_OPTIONS_INIT;
    struct ullage_source source = { count_map, count_unmap, NULL, false, &counted };
    options.source = &source;
    cr_assert_eq(ullage_alloc_configure(&options), 0);
    memset(&source, 0, sizeof source); /* it was copied */
    soil_and_clear(3000, 0);
    soil_and_clear(65536, 4096);
    soil_and_clear(65 * MIB, 4096);
    ullage_trim(0);
    cr_assert_gt(counted.maps, 2);
    cr_assert_eq(counted.wrong, 0);
    cr_assert_eq(counted.maps, counted.unmaps, "%lu %lu", counted.maps, counted.unmaps);
    cr_assert_eq(counted.bytes, 0);
    counted.fails = true;
    refuse(ullage_malloc(3000), ENOMEM);
    refuse(ullage_calloc(1, 65 * MIB), ENOMEM);
    cr_assert_eq(ullage_alloc_configure(&options), -EINVAL, "the source is empty by now");
    options.source = &(struct ullage_source) { count_map, count_unmap, NULL, false, &counted };
    cr_assert_eq(ullage_alloc_configure(&options), -EBUSY);
}

Test(alloc, knows_other_sources)
{
    struct ullage_source source;
    cr_assert_eq(ullage_source_jemalloc(NULL, 0), -EINVAL);
    int jemalloc = ullage_source_jemalloc(&source, 0), huge = ullage_source_huge_pages(&source);
    cr_assert(jemalloc == 0 || jemalloc == -ENOTSUP);
    cr_assert_leq(huge, 0);
    cr_assert_lt(ullage_source_huge_pages(NULL), 0);
}

static struct ullage_oversize told;
static int told_times;

static void tell(void *ctx, const struct ullage_oversize *oversize)
{
    (void)ctx;
    told = *oversize;
    told_times++;
    ullage_free(ullage_malloc(100)); /* it may call us */
}

Test(alloc, tells_of_oversized_places_once)
{
    struct ullage_alloc_options options = ULLAGE_ALLOC_OPTIONS_INIT;
    options.on_oversize = tell;
    cr_assert_eq(ullage_alloc_configure(&options), 0);
    for (int i = 0; i < 20000; i++)
        ullage_free_used(ullage_malloc(MIB), 4096);
    cr_assert_eq(told_times, 1);
    cr_assert_not_null(strstr(told.file, "test_alloc.c"));
    cr_assert_eq(told.requested_bytes, MIB);
    cr_assert_eq(told.used_max_bytes, 4096);
    cr_assert_eq(told.suggested_bytes, 4096);
}
