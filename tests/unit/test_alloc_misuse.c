/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_alloc_misuse.c - what the program must not do: it is told of, both places are named, and nothing happens to any
 * buffer. And ULLAGE_DEBUG, which finds what costs too much to look for otherwise.
 */
#include "config.h"

#include "pooled.h"
#include "scratch.h"
#include "ullage/buffer.h"
#include "ullage/pool.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>

#define MIB ((size_t)1 << 20)

static void set_up(void)
{
    scratch_make();
    listen_for_misuse();
}

static void set_up_debug(void)
{
    setenv("ULLAGE_DEBUG", "1", 1);
    set_up();
}

TestSuite(misuse, .init = set_up, .fini = scratch_remove);
TestSuite(debug, .init = set_up_debug, .fini = scratch_remove);
TestSuite(ends, .init = scratch_make, .fini = scratch_remove);
TestSuite(leaks, .init = scratch_make, .fini = scratch_remove);

/* Heard once since the last look, with all of @of in it. */
static void expect_misuse(const char *of, const char *also)
{
    cr_assert_eq(heard_times, 1, "%d times, looking for \"%s\"", heard_times, of);
    cr_assert(strstr(heard, of) != NULL && strstr(heard, also) != NULL, "%s", heard);
    heard_times = 0;
    cr_assert(every_buffer_is_once());
}

/* Two owners would have it otherwise. */
static void expect_all_different(size_t bytes)
{
    enum { COUNT = 300 };
    static void *p[COUNT];
    for (int i = 0; i < COUNT; i++) {
        p[i] = ullage_malloc(bytes);
        stamp(p[i], bytes, (uint64_t)i);
    }
    for (int i = 0; i < COUNT; i++)
        cr_assert(is_stamped(p[i], bytes, (uint64_t)i), "%d was given out twice", i);
    for (int i = 0; i < COUNT; i++)
        ullage_free(p[i]);
    cr_assert_eq(heard_times, 0, "%s", heard);
}

/* ---- twice ---- */

Test(misuse, second_free)
{
    static const size_t sizes[] = { 100, 4096, 65536, 3 * MIB };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (int turn = 0; turn < 150; turn++) {
            void *p = ullage_malloc(sizes[i]);
            if (turn % 3 == 2)
                ullage_note_used(p, 50);
            ullage_free_used(p, 10);
            if (turn % 3 == 0)
                ullage_free(p);
            else
                ullage_free_used(p, 1);
            expect_misuse("put twice: got at", "second_free");
            expect_all_different(sizes[i]);
        }
    }
}

/* The memory has gone back to the kernel by then. */
Test(misuse, second_free_after_trim)
{
    static const size_t sizes[] = { 100, 65536, 3 * MIB, 65 * MIB };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        void *p = ullage_malloc(sizes[i]);
        ullage_free(p);
        ullage_trim(0);
        ullage_free(p);
        expect_misuse("", "");
        cr_assert_null(ullage_realloc(p, 50));
        expect_misuse("", "");
    }
    expect_all_different(100);
}

Test(misuse, free_in_another_thread_after_ours)
{
    struct ullage_buffer *b = ullage_buffer_get(100);
    ullage_buffer_put(b, 1);
    ullage_buffer_put(b, 1);
    expect_misuse("put twice", "got at");
    ullage_buffer_ref(b);
    expect_misuse("put twice", "got at");
    struct ullage_buffer *shared = ullage_buffer_ref(ullage_buffer_get(100));
    ullage_buffer_put(shared, 1);
    ullage_buffer_put(shared, 1);
    ullage_buffer_put(shared, 1);
    expect_misuse("put twice", "got at");
    expect_all_different(100);
}

/* ---- not ours ---- */

static void refuse_everywhere(void *p)
{
    ullage_free(p);
    expect_misuse("not the beginning of a buffer of ours", "");
    ullage_free_used(p, 4);
    expect_misuse("not the beginning of a buffer of ours", "");
    errno = 0;
    cr_assert_null(ullage_realloc(p, 5000));
    cr_assert_eq(errno, EINVAL);
    expect_misuse("not the beginning of a buffer of ours", "");
    cr_assert_null(ullage_realloc(p, 0));
    expect_misuse("not the beginning of a buffer of ours", "");
    ullage_note_used(p, 5);
    expect_misuse("not the beginning of a buffer of ours", "");
    cr_assert_eq(ullage_in_flight_begin(p), -EINVAL);
    cr_assert_eq(ullage_in_flight_end(p), -EINVAL);
    cr_assert_eq(ullage_usable_size(p), 0);
}

Test(misuse, pointers_of_others)
{
    int on_stack = 5;
    static int in_data = 6;
    char *ours = ullage_malloc(65536), *large = ullage_malloc(65 * MIB), *others = malloc(100);
    ours[16] = large[16] = others[16] = 7;
    refuse_everywhere(&on_stack);
    refuse_everywhere(&in_data);
    refuse_everywhere(others);
    refuse_everywhere(ours + 16);
    refuse_everywhere(ours + 4096);
    refuse_everywhere(ours + 65535);
    refuse_everywhere(large + MIB);
    refuse_everywhere(large + 16);
    refuse_everywhere((void *)8);
    refuse_everywhere((void *)(UINTPTR_MAX - 15));
    refuse_everywhere((void *)((uintptr_t)1 << 48));
    cr_assert(on_stack == 5 && in_data == 6 && ours[16] == 7 && large[16] == 7 && others[16] == 7);
    ullage_free(ours);
    ullage_free(large);
    free(others);
    cr_assert_eq(heard_times, 0);
}

/* In a slab, where no buffer was cut yet, and in what is left at its end. */
Test(misuse, places_between_buffers)
{
    char *p = ullage_malloc(7 * MIB / 16);
    char *slab = (char *)((uintptr_t)p & ~(MIB - 1));
    for (size_t at = 0; at < 4 * MIB; at += 65536)
        if (slab + at != p && ull_block_of(slab + at) == NULL)
            refuse_everywhere(slab + at);
    ullage_free(p);
}

static struct ullage_pool *pool_of(uint32_t flags)
{
    struct ullage_pool *pool = NULL;
    struct ullage_pool_options options = ULLAGE_POOL_OPTIONS_INIT;
    options.object_bytes = 5000;
    options.flags = flags;
    cr_assert_eq(ullage_pool_create(&pool, &options), 0);
    return pool;
}

/* Each call on what another gave. */
static void mix_up(uint32_t flags)
{
    struct ullage_pool *pool = pool_of(flags), *other = pool_of(flags);
    for (int i = 0; i < 100; i++) { /* on the slow path and on the hot one */
        char *object = ullage_pool_get(pool), *buffer = ullage_malloc(5000);
        stamp(object, 5000, 1);
        stamp(buffer, 5000, 2);
        ullage_free(object);
        expect_misuse("not the beginning of a buffer of ours", "freed");
        ullage_free_used(object, 3);
        expect_misuse("not the beginning of a buffer of ours", "freed");
        cr_assert_null(ullage_realloc(object, 100));
        expect_misuse("not the beginning of a buffer of ours", "resized");
        ullage_pool_put(pool, buffer);
        expect_misuse("not the beginning of a buffer of ours", "");
        ullage_pool_put_used(pool, buffer, 9);
        expect_misuse("not the beginning of a buffer of ours", "");
        ullage_pool_put(other, object);
        expect_misuse("not the beginning of a buffer of ours", "");
        cr_assert(is_stamped(object, 5000, 1) && is_stamped(buffer, 5000, 2));
        ullage_pool_put(pool, object);
        ullage_free(buffer);
        cr_assert_eq(heard_times, 0, "%s", heard);
        ullage_pool_put(pool, object);
        expect_misuse("", "");
    }
    ullage_pool_destroy(pool);
    ullage_pool_destroy(other);
    cr_assert_eq(heard_times, 0, "%s", heard);
}

Test(misuse, objects_are_no_buffers)
{
    mix_up(0);
}

Test(misuse, adaptive_objects_are_no_buffers)
{
    mix_up(ULLAGE_POOL_ADAPTIVE);
}

/* ---- in flight ---- */

Test(misuse, free_while_the_kernel_has_it)
{
    for (int i = 0; i < 100; i++) {
        char *p = ullage_malloc(5000);
        stamp(p, 5000, 5);
        cr_assert_eq(ullage_in_flight_begin(p), 0);
        cr_assert_eq(ullage_in_flight_begin(p), 0);
        ullage_free(p);
        expect_misuse("while the kernel has it: got at", "free_while_the_kernel_has_it");
        ullage_free(p);
        expect_misuse("put twice", "");
        cr_assert_eq(ullage_in_flight_end(p), 0);
        expect_all_different(5000);
        cr_assert(is_stamped(p, 5000, 5), "nobody else had it meanwhile");
        cr_assert_eq(ullage_in_flight_end(p), 0);
        cr_assert_eq(ullage_usable_size(p), 0, "the free that came too early is made up for");
        cr_assert_eq(ullage_in_flight_end(p), -EINVAL);
        cr_assert_eq(ullage_in_flight_begin(p), -EINVAL);
        cr_assert(every_buffer_is_once());
    }
}

Test(misuse, flights_that_end_well)
{
    char *p = ullage_malloc(5000);
    struct ullage_buffer *b = ullage_buffer_get(5000);
    cr_assert_eq(ullage_in_flight_end(p), -EINVAL);
    for (int i = 0; i < 65535; i++)
        cr_assert_eq(ullage_in_flight_begin(p), 0);
    cr_assert_eq(ullage_in_flight_begin(p), -EOVERFLOW);
    for (int i = 0; i < 65535; i++)
        cr_assert_eq(ullage_in_flight_end(p), 0);
    cr_assert_eq(ullage_in_flight_end(p), -EINVAL);
    ullage_free(p);
    cr_assert_eq(ullage_buffer_in_flight_begin(b), 0);
    cr_assert_eq(ullage_in_flight_end(ullage_buffer_data(b)), 0);
    cr_assert_eq(ullage_buffer_in_flight_end(b), -EINVAL);
    ullage_buffer_put(b, 5);
    cr_assert_eq(heard_times, 0);
    cr_assert(every_buffer_is_once());
}

/* Of the object nothing may be touched, and nothing counted, until it is back. */
static int resets, finis;

static void count_reset(void *ctx, void *object)
{
    (void)ctx;
    (void)object;
    resets++;
}

static void count_fini(void *ctx, void *object)
{
    (void)ctx;
    (void)object;
    finis++;
}

static void put_object_in_flight(uint32_t flags)
{
    struct ullage_pool_options options = ULLAGE_POOL_OPTIONS_INIT;
    struct ullage_pool_counts counts = { .size = sizeof counts };
    struct ullage_pool *pool;
    options.object_bytes = 5000;
    options.flags = flags;
    options.reset = count_reset;
    options.fini = count_fini;
    cr_assert_eq(ullage_pool_create(&pool, &options), 0);
    char *object = ullage_pool_get(pool);
    cr_assert_eq(ullage_in_flight_begin(object), 0);
    ullage_pool_put(pool, object);
    expect_misuse("while the kernel has it", "");
    cr_assert_eq(resets + finis, 0, "%d %d", resets, finis);
    cr_assert_eq(ullage_pool_counts(pool, &counts), 0);
    cr_assert(counts.out == 1 && counts.puts == 0, "%lu out", counts.out);
    cr_assert_eq(ullage_in_flight_end(object), 0);
    cr_assert_eq(ullage_pool_counts(pool, &counts), 0);
    cr_assert(counts.out == 0 && counts.puts == 1, "%lu out, %lu puts", counts.out, counts.puts);
    ullage_pool_destroy(pool);
    cr_assert_eq(heard_times, 0, "%s", heard);
}

Test(misuse, object_put_while_the_kernel_has_it)
{
    put_object_in_flight(0);
}

Test(misuse, adaptive_object_put_while_the_kernel_has_it)
{
    put_object_in_flight(ULLAGE_POOL_ADAPTIVE);
}

/* ---- the end of the program ---- */

static void *freed_before;

static void free_again(void)
{
    ullage_free(freed_before);
}

static void free_stack(void)
{
    int here;
    ullage_free(&here);
}

static void free_in_flight(void)
{
    void *p = ullage_malloc(100);
    ullage_in_flight_begin(p);
    ullage_free(p);
}

static unsigned count_of(const char *in, const char *what)
{
    unsigned count = 0;
    for (const char *at = strstr(in, what); at != NULL; at = strstr(at + 1, what))
        count++;
    return count;
}

static void ends_with(void (*body)(void), const char *with, unsigned places)
{
    char said[2000];
    int status = in_child(body, said, sizeof said);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "status %x: %s", status, said);
    cr_assert_eq(count_of(said, "ullage: misuse: "), 1, "%s", said);
    cr_assert_eq(count_of(said, "\n"), 1, "%s", said);
    cr_assert_not_null(strstr(said, with), "%s", said);
    cr_assert_eq(count_of(said, " at "), places, "%s", said);
}

Test(ends, naming_both_places)
{
    freed_before = ullage_malloc(100);
    ullage_free(freed_before);
    ends_with(free_again, "test_alloc_misuse.c:", 3); /* got, put, and put again */
    ends_with(free_stack, "not the beginning of a buffer of ours", 1);
    ends_with(free_in_flight, "test_alloc_misuse.c:", 2);
}

static void set_free_and_report(void)
{
    setenv("ULLAGE_MISUSE", "report", 1);
    free_stack();
    free_stack();
}

Test(ends, not_where_the_environment_says_so)
{
    char said[2000];
    int status = in_child(set_free_and_report, said, sizeof said);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 7, "status %x: %s", status, said);
    cr_assert_eq(count_of(said, "ullage: misuse: "), 2, "%s", said);
}

/* ---- ULLAGE_DEBUG ---- */

/* What was put comes again at once: no magazine is between. */
static void write_after_put(size_t bytes, size_t at)
{
    char *p = ullage_malloc(bytes);
    ullage_free(p);
    p[at] = 1;
    cr_assert_eq(heard_times, 0);
    char *again = ullage_malloc(bytes);
    cr_assert_eq(again, p);
    char what[60];
    snprintf(what, sizeof what, "byte %zu of a buffer was written after it was put: got at", at);
    expect_misuse(what, "test_alloc_misuse.c:");
    ullage_free(again);
    ullage_free(ullage_malloc(bytes));
    cr_assert_eq(heard_times, 0, "%s", heard);
}

Test(debug, finds_a_write_after_the_put)
{
    char *stay = ullage_malloc(1000), *also = ullage_malloc(65536); /* lest slabs go */
    write_after_put(1000, 0);
    write_after_put(1000, 1023);
    write_after_put(65536, 4097);
    ullage_free(stay);
    ullage_free(also);
}

Test(debug, finds_a_wrong_declaration)
{
    static const size_t sizes[] = { 1000, 65536, 3 * MIB, 66 * MIB };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char *p = ullage_malloc(sizes[i]);
        memset(p, 3, 500);
        ullage_free_used(p, 500);
        cr_assert_eq(heard_times, 0, "%s", heard);
        p = ullage_malloc(sizes[i]);
        memset(p, 3, 500);
        p[sizes[i] - 1] = 3;
        ullage_free_used(p, 500);
        expect_misuse("declared", "test_alloc_misuse.c:");
    }
}

/* The issue's: 4 KiB declared, 1 MiB written. Not only found: what is asked for zeroed is zero all the same. */
Test(debug, zeros_in_spite_of_a_wrong_declaration)
{
    for (int i = 0; i < 5; i++) {
        struct ullage_buffer *b = ullage_buffer_get_zeroed(MIB);
        cr_assert(is_zero(ullage_buffer_data(b), MIB));
        memset(ullage_buffer_data(b), 1, MIB);
        ullage_buffer_put(b, 4096);
        expect_misuse("declared", "");
        unsigned char *p = ullage_calloc(1, MIB);
        cr_assert(is_zero(p, MIB));
        ullage_free_used(p, 0);
        cr_assert_eq(heard_times, 0, "zeros were not written: %s", heard);
    }
}

static void write_behind(void)
{
    char *p = ullage_malloc(65536);
    p[65535] = 1;
    *(volatile char *)(p + 65536) = 1;
}

Test(debug, has_a_page_behind_that_cannot_be_touched)
{
    char said[4000];
    int status = in_child(write_behind, said, sizeof said);
    cr_assert(WIFSIGNALED(status) ? WTERMSIG(status) == SIGSEGV : WEXITSTATUS(status) != 7, "status %x", status);
    char *p = ullage_malloc(65536);
    cr_assert_eq(ullage_usable_size(p), 65536);
    cr_assert_eq((uintptr_t)p % 4096, 0);
    ullage_free(p);
}

Test(debug, serves_as_ever)
{
    for (size_t align = 1; align <= 65536; align *= 2) {
        for (size_t bytes = 0; bytes < 200000; bytes = bytes * 3 + 1) {
            char *p = ullage_aligned_alloc(align, bytes);
            cr_assert(p != NULL && (uintptr_t)p % align == 0, "%zu of %zu: %p", align, bytes, (void *)p);
            memset(p, 1, bytes);
            p = ullage_realloc(p, bytes + 100);
            memset(p, 1, bytes + 100);
            ullage_free(p);
        }
    }
    cr_assert_eq(heard_times, 0, "%s", heard);
    cr_assert(every_buffer_is_once());
}

/* ---- leaks ---- */

static void follow(enum ullage_leaks which)
{
    struct ullage_alloc_options options = ULLAGE_ALLOC_OPTIONS_INIT;
    options.leaks = which;
    cr_assert_eq(ullage_alloc_configure(&options), 0);
}

static int leaks_in(char *said, size_t room)
{
    int pipes[2];
    cr_assert_eq(pipe(pipes), 0);
    int found = ullage_leaks_report(pipes[1], 0);
    close(pipes[1]);
    ssize_t length = read(pipes[0], said, room - 1);
    said[length > 0 ? length : 0] = '\0';
    close(pipes[0]);
    return found;
}

Test(leaks, are_told_by_place)
{
    char said[4000];
    follow(ULLAGE_LEAKS_TOUCH);
    void *p = ullage_malloc(5000), *other = ullage_malloc(70000), *put = ullage_malloc(1000);
    ullage_note_used(p, 5);
    ullage_free(put);
    cr_assert_eq(leaks_in(said, sizeof said), 2, "%s", said);
    cr_assert_eq(count_of(said, "test_alloc_misuse.c:"), 2, "%s", said);
    cr_assert_eq(count_of(said, "last touched"), 1, "%s", said);
    cr_assert_eq(ullage_leaks_report(STDERR_FILENO, 3600000), 0, "none is an hour old");
    ullage_free(p);
    other = ullage_realloc(other, 70001);
    ullage_free(other);
    cr_assert_eq(leaks_in(said, sizeof said), 0, "%s", said);
    cr_assert_eq(ullage_leaks_report(-1, 0), 0);
}

Test(leaks, that_cannot_be_written)
{
    follow(ULLAGE_LEAKS_ALL);
    void *p = ullage_malloc(5000);
    cr_assert_eq(ullage_leaks_report(-1, 0), -EBADF);
    ullage_free(p);
}

Test(leaks, sampled_and_off)
{
    char said[60000];
    void *p[1280];
    for (int i = 0; i < 1280; i++)
        p[i] = ullage_malloc(5000);
    cr_assert_eq(leaks_in(said, sizeof said), 10, "one of 128");
    for (int i = 0; i < 1280; i++)
        ullage_free(p[i]);
    cr_assert_eq(leaks_in(said, sizeof said), 0);
    follow(ULLAGE_LEAKS_OFF);
    for (int i = 0; i < 1280; i++)
        p[i] = ullage_malloc(5000);
    cr_assert_eq(leaks_in(said, sizeof said), 0);
    for (int i = 0; i < 1280; i++)
        ullage_free(p[i]);
}
