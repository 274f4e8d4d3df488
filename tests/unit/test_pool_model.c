/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_pool_model.c - calls at random against a plain table of what must be there.
 *
 * Each buffer holds a pattern that is its own, at each 512 bytes: who overlaps it, moves it wrongly or gives it away twice
 * spoils one of them. The allocator recounts itself as it goes: after every step in the sanitizers' builds, where there are
 * fewer steps, and now and then in the others.
 */
#include "config.h"

#include "pooled.h"
#include "scratch.h"
#include "ullage/buffer.h"

#include <criterion/criterion.h>
#include <errno.h>

#ifdef ULL_DEBUG_CHECKS
enum { STEPS = 500000, CHECK_EACH = 1, FEW = 60 };
#else
enum { STEPS = 4000000, CHECK_EACH = 10000, FEW = 700 };
#endif
#define MIB ((size_t)1 << 20)

TestSuite(model, .init = scratch_make, .fini = scratch_remove);

/* What the model knows of a buffer. */
struct known {
    char *p; /* NULL: none here */
    struct ullage_buffer *buffer; /* NULL: of the malloc-shaped calls */
    size_t bytes;
    uint64_t seed;
    unsigned refs;
    bool noted; /* something: then it must be declared in the end, or it would be a wrong declaration */
};

static struct model {
    struct known known[FEW];
    uint64_t random, step;
    size_t largest; /* that is asked for */
    struct ullage_site sites[8];
} model;

static uint32_t draw(uint32_t below)
{
    model.random = model.random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(model.random >> 33) % below;
}

/* Small ones mostly; each size class at times, and its edges. */
static size_t draw_bytes(void)
{
    size_t bytes;
    if (draw(16) != 0)
        return draw(4) != 0 ? draw(3000) : draw(40000);
    bytes = ull_bucket_limit(draw(ULL_CLASS_LARGE)) + draw(3) - 1;
    return bytes <= model.largest ? bytes : draw((uint32_t)model.largest);
}

static const struct ullage_site *draw_site(void)
{
    struct ullage_site *site = &model.sites[draw(8)];
    return draw(5) == 0 ? NULL : site;
}

static void settle(struct known *one, char *p, size_t bytes, size_t align)
{
    *one = (struct known) { .p = p, .bytes = bytes, .seed = model.step * 2 + 1, .refs = 1 };
    cr_assert_not_null(p, "%zu bytes at step %lu", bytes, model.step);
    cr_assert_eq((uintptr_t)p % (align != 0 ? align : bytes >= 4096 ? 4096 : 16), 0, "%p for %zu by %zu", (void *)p, bytes, align);
    cr_assert_geq(ullage_usable_size(p), bytes);
    stamp(p, bytes, one->seed);
}

static void look_at(const struct known *one)
{
    cr_assert(is_stamped(one->p, one->bytes, one->seed), "%p of %zu bytes was spoiled before step %lu", (void *)one->p, one->bytes, model.step);
    cr_assert_geq(ullage_usable_size(one->p), one->bytes);
}

/* ---- the steps ---- */

/* Every declaration here is true, so zeroed ones must be zero. */
static void get_buffer(struct known *one, size_t bytes)
{
    bool zeroed = draw(2) != 0;
    struct ullage_buffer *b = zeroed ? ullage_buffer_get_zeroed_at(draw_site(), bytes) : ullage_buffer_get_at(draw_site(), bytes);
    cr_assert_not_null(b);
    cr_assert(!zeroed || is_zero(ullage_buffer_data(b), bytes), "zeroed %zu at step %lu", bytes, model.step);
    settle(one, ullage_buffer_data(b), bytes, 0);
    one->buffer = b;
}

static void get(struct known *one)
{
    size_t bytes = draw_bytes(), align = (size_t)1 << draw(17);
    switch (draw(6)) {
    case 0: {
        unsigned char *p = ullage_calloc_at(draw_site(), 1, bytes);
        cr_assert(p != NULL && is_zero(p, bytes), "calloc of %zu at step %lu", bytes, model.step);
        settle(one, (char *)p, bytes, 0);
        break;
    }
    case 1:
        settle(one, ullage_aligned_alloc_at(draw_site(), align, bytes), bytes, align);
        break;
    case 2:
        get_buffer(one, bytes);
        break;
    case 3:
        settle(one, ullage_realloc_at(draw_site(), NULL, bytes), bytes, 0);
        break;
    default:
        settle(one, ullage_malloc_at(draw_site(), bytes), bytes, 0);
    }
}

static void put_buffer(struct known *one)
{
    struct ullage_buffer *b = one->buffer;
    for (; one->refs > 1; one->refs--)
        ullage_buffer_put(b, one->bytes); /* all of it holds the pattern: get_zeroed believes that */
    ullage_buffer_put(b, one->bytes);
}

static void put(struct known *one)
{
    look_at(one);
    if (one->buffer != NULL)
        put_buffer(one);
    else if (!one->noted && draw(2) != 0)
        ullage_free(one->p);
    else
        ullage_free_used(one->p, draw(8) == 0 ? SIZE_MAX - draw(3) : one->bytes);
    one->p = NULL;
}

static void grow(struct known *one)
{
    size_t bytes = draw_bytes(), keep = one->bytes;
    struct known before = *one;
    if (bytes < keep)
        return;
    int result = ullage_buffer_grow(&one->buffer, bytes, keep);
    if (one->refs > 1 && bytes > ullage_buffer_capacity(before.buffer)) {
        cr_assert_eq(result, -EBUSY);
        return;
    }
    cr_assert_eq(result, 0);
    one->p = ullage_buffer_data(one->buffer);
    look_at(one);
    ullage_buffer_ref(one->buffer);
    ullage_buffer_put(one->buffer, keep);
    one->bytes = bytes;
    stamp(one->p, bytes, one->seed);
}

static void resize(struct known *one)
{
    size_t bytes = draw_bytes();
    bool noted = one->noted; /* goes with it */
    look_at(one);
    if (one->buffer != NULL) {
        grow(one);
        return;
    }
    if (bytes == 0) {
        cr_assert_null(ullage_realloc(one->p, 0));
        one->p = NULL;
        return;
    }
    char *p = ullage_realloc_at(draw_site(), one->p, bytes);
    cr_assert_not_null(p);
    size_t both = bytes < one->bytes ? bytes : one->bytes;
    for (size_t at = 0; at + 16 <= both; at += stamp_step(one->bytes)) {
        uint64_t word;
        memcpy(&word, p + at, 8);
        cr_assert_eq(word, stamp_at(one->seed, at), "not kept: %zu to %zu at step %lu", one->bytes, bytes, model.step);
    }
    settle(one, p, bytes, 0);
    one->noted = noted;
}

static void share(struct known *one)
{
    if (one->buffer == NULL) {
        ullage_note_used(one->p, draw((uint32_t)one->bytes + 1));
        one->noted = true;
    } else if (one->refs < 5) {
        cr_assert_eq(ullage_buffer_ref(one->buffer), one->buffer);
        one->refs++;
    } else {
        ullage_buffer_put(one->buffer, one->bytes / 2);
        one->refs--;
    }
}

static void fly(struct known *one)
{
    cr_assert_eq(ullage_in_flight_begin(one->p), 0);
    cr_assert_eq(ullage_in_flight_end(one->p), 0);
    cr_assert_eq(ullage_in_flight_end(one->p), -EINVAL);
}

static void trim(void)
{
    size_t keep = draw(3) == 0 ? 0 : draw(8 * MIB);
    ullage_trim(keep);
    cr_assert_leq(ullage_retained_bytes(), keep);
}

static void step(void)
{
    struct known *one = &model.known[draw(FEW)];
    uint32_t what = draw(1000);
    model.step++;
    if (one->p == NULL)
        get(one);
    else if (what < 700)
        put(one);
    else if (what < 900)
        resize(one);
    else if (what < 970)
        share(one);
    else if (what < 999)
        fly(one);
    else if (draw(20) == 0)
        trim();
    if (model.step % CHECK_EACH == 0)
        ull_pool_check_all();
}

static void start(uint64_t seed, size_t largest)
{
    model.random = seed * UINT64_C(0x9e3779b97f4a7c15);
    model.largest = largest;
    for (unsigned i = 0; i < 8; i++)
        model.sites[i] = (struct ullage_site) { "a/file.c", "a_function", i, 0 };
}

static void finish(void)
{
    for (int i = 0; i < FEW; i++)
        if (model.known[i].p != NULL)
            put(&model.known[i]);
    cr_assert(every_buffer_is_once());
    cr_assert_eq(heard_times, 0, "%s", heard);
    ullage_trim(0);
    cr_assert(every_buffer_is_once());
    cr_assert_eq(ullage_retained_bytes(), 0);
    for (uint32_t i = 0; i < ull_slab_count() && !ull_pool_settings.debug; i++) /* there they stay, to be looked at */
        cr_assert_neq(ull_slab_at(i)->state, ULL_SLAB_USED, "nothing is out, and nothing idle: where is the memory?");
}

static void run(uint64_t seed, uint64_t steps, size_t largest)
{
    start(seed, largest);
    listen_for_misuse();
    for (uint64_t i = 0; i < steps; i++)
        step();
    finish();
}

Test(model, of_small_buffers)
{
    run(1, STEPS, 65536);
}

Test(model, of_buffers_of_all_classes)
{
    run(2, STEPS / 8, 4 * MIB);
}

Test(model, of_large_buffers)
{
    run(3, STEPS / 4000, 70 * MIB);
}

/* No magazine fits: each buffer goes to its slab and comes from there. */
Test(model, with_next_to_nothing_retained)
{
    struct ullage_alloc_options options = ULLAGE_ALLOC_OPTIONS_INIT;
    options.max_retained_bytes = 40000;
    cr_assert_eq(ullage_alloc_configure(&options), 0);
    run(4, STEPS / 8, 65536);
}

Test(model, of_buffers_that_nobody_counts)
{
    struct ullage_alloc_options options = ULLAGE_ALLOC_OPTIONS_INIT;
    options.no_tracking = true;
    cr_assert_eq(ullage_alloc_configure(&options), 0);
    run(5, STEPS / 2, 65536);
}

Test(model, with_each_buffer_followed)
{
    struct ullage_alloc_options options = ULLAGE_ALLOC_OPTIONS_INIT;
    options.leaks = ULLAGE_LEAKS_ALL;
    cr_assert_eq(ullage_alloc_configure(&options), 0);
    run(6, STEPS / 40, 65536);
}

Test(model, under_debug)
{
    setenv("ULLAGE_DEBUG", "1", 1);
    run(7, STEPS / 20, 65536);
}

Test(model, of_other_sequences)
{
    run(8, STEPS, 65536);
}
