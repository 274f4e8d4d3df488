/* SPDX-License-Identifier: BSD-2-Clause */
/* test_buffer.c - references, uses, sizes that a place learns, zeros, buffers that grow. Windows and chains: test_chain.c. */
#include "config.h"

#include "pooled.h"
#include "scratch.h"
#include "ullage/buffer.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>

#define MIB ((size_t)1 << 20)

static void set_up(void)
{
    scratch_make();
    listen_for_misuse();
}

/* By abort(), because Criterion counts no assertion that fails after the test. */
static void tear_down(void)
{
    bool fine = heard_times == 0 && every_buffer_is_once();
    if (!fine)
        fprintf(stderr, "# a buffer is lost, or there twice, or was misused: %s\n", heard);
    scratch_remove();
    if (!fine)
        abort();
}

TestSuite(buffer, .init = set_up, .fini = tear_down, .timeout = 60);

/* Of one place, all shards together. */
struct uses {
    uint64_t count, bytes, max, unknown;
};

static struct uses uses_of(const struct ullage_site *site)
{
    struct uses uses = { 0, 0, 0, 0 };
    const struct ull_shard_entry *shard = ull_pool_self->lines[site->index].shard;
    cr_assert_not_null(shard);
    for (unsigned i = 0; i < ULL_BUCKET_COUNT; i++)
        uses.count += shard->used[i];
    uses.bytes = shard->used_bytes;
    uses.max = shard->used_max_bytes;
    uses.unknown = shard->unknown_count;
    return uses;
}

/* ---- references ---- */

Test(buffer, has_what_was_asked_for)
{
    static const size_t sizes[] = { 0, 1, 511, 512, 513, 4096, 4097, 65536, 3 * MIB, 64 * MIB, 64 * MIB + 1 };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct ullage_buffer *b = ullage_buffer_get(sizes[i]), *zeroed = ullage_buffer_get_zeroed(sizes[i]);
        cr_assert_geq(ullage_buffer_capacity(b), sizes[i] != 0 ? sizes[i] : 4096);
        cr_assert_eq(ullage_usable_size(ullage_buffer_data(b)), ullage_buffer_capacity(b));
        cr_assert_eq((uintptr_t)ullage_buffer_data(b) % (sizes[i] >= 4096 ? 4096 : 16), 0);
        cr_assert(is_zero(ullage_buffer_data(zeroed), ullage_buffer_capacity(zeroed)));
        ullage_buffer_put(b, 0);
        ullage_buffer_put(zeroed, 0);
    }
    static const size_t never[] = { SIZE_MAX, (size_t)PTRDIFF_MAX + 1, (size_t)1 << 47 };
    for (size_t i = 0; i < sizeof never / sizeof never[0]; i++) {
        errno = 0;
        cr_assert_null(ullage_buffer_get(never[i]));
        cr_assert_eq(errno, ENOMEM);
        cr_assert_null((ullage_buffer_get_zeroed)(never[i]));
    }
    ullage_buffer_put(NULL, 5);
}

Test(buffer, lives_as_long_as_its_references)
{
    for (int i = 0; i < 300; i++) {
        struct ullage_buffer *b = ullage_buffer_get(5000);
        char *data = ullage_buffer_data(b);
        for (int n = 0; n < 10; n++)
            cr_assert_eq(ullage_buffer_ref(b), b);
        stamp(data, 5000, 3);
        for (int n = 0; n < 10; n++) {
            ullage_buffer_put(b, 100);
            cr_assert_eq(ullage_usable_size(data), 8192, "it is still held");
        }
        cr_assert(is_stamped(data, 5000, 3));
        ullage_buffer_put(b, 100);
        cr_assert_eq(ullage_usable_size(data), 0);
    }
}

/* Each thread gives back what it got from the others. */
enum { SHARERS = 4, SHARED = 64, ROUNDS = 2000 };
static struct ullage_buffer *shared[SHARED];
static pthread_barrier_t meeting;
static uint64_t wrong; /* atomic */

static void *share(void *argument)
{
    uintptr_t me = (uintptr_t)argument;
    for (int round = 0; round < ROUNDS / SHARED; round++) {
        for (uintptr_t i = me; i < SHARED; i += SHARERS) {
            shared[i] = ullage_buffer_get(3000);
            stamp(ullage_buffer_data(shared[i]), 3000, i);
            for (int n = 1; n < SHARERS; n++)
                ullage_buffer_ref(shared[i]);
        }
        pthread_barrier_wait(&meeting);
        for (uintptr_t i = 0; i < SHARED; i++) {
            if (!is_stamped(ullage_buffer_data(shared[i]), 3000, i))
                ull_add_relaxed(&wrong, UINT64_C(1));
            ullage_buffer_put(shared[i], (size_t)(me * 1000));
        }
        pthread_barrier_wait(&meeting);
    }
    return NULL;
}

Test(buffer, is_given_back_by_several_threads)
{
    pthread_t threads[SHARERS];
    pthread_barrier_init(&meeting, NULL, SHARERS);
    for (uintptr_t i = 0; i < SHARERS; i++)
        pthread_create(&threads[i], NULL, share, (void *)i);
    for (int i = 0; i < SHARERS; i++)
        pthread_join(threads[i], NULL);
    cr_assert_eq(wrong, 0);
}

/* ---- uses ---- */

Test(buffer, counts_the_largest_of_several_uses)
{
    static struct ullage_site site = { "place.c", "of_several", 1, 0 };
    static const size_t uses[3][3] = { { 100, 5000, 300 }, { 5000, 100, 300 }, { 300, 100, 5000 } };
    for (int i = 0; i < 600; i++) {
        struct ullage_buffer *b = ullage_buffer_get_at(&site, 8192);
        ullage_buffer_ref(b);
        ullage_buffer_ref(b);
        for (int n = 0; n < 3; n++)
            ullage_buffer_put(b, uses[i % 3][n]);
    }
    struct uses found = uses_of(&site);
    cr_assert(found.count == 600 && found.bytes == 600 * 5000 && found.max == 5000 && found.unknown == 0, "%lu uses, %lu bytes, at most %lu",
        found.count, found.bytes, found.max);
}

/* A mark is of one owner: a former one's, in the same memory, does not count. */
Test(buffer, counts_no_former_owners_use)
{
    static struct ullage_site site = { "place.c", "of_little", 1, 0 };
    for (int i = 0; i < 300; i++) {
        struct ullage_buffer *much = ullage_buffer_ref(ullage_buffer_get(8192));
        ullage_buffer_put(much, 8000);
        ullage_buffer_put(much, 8000);
        struct ullage_buffer *little = ullage_buffer_ref(ullage_buffer_get_at(&site, 8192));
        ullage_buffer_put(little, 10);
        ullage_buffer_put(little, 20);
        struct ullage_buffer *noted = ullage_buffer_get_at(&site, 8192);
        ullage_note_used(ullage_buffer_data(noted), 15);
        ullage_buffer_put(noted, 5);
    }
    struct uses found = uses_of(&site);
    cr_assert(found.count == 600 && found.bytes == 300 * (20 + 15) && found.max == 20, "%lu uses, %lu bytes, at most %lu",
        found.count, found.bytes, found.max);
}

Test(buffer, uses_past_its_end_are_all_of_it)
{
    static struct ullage_site site = { "place.c", "of_more", 1, 0 };
    for (int i = 0; i < 200; i++)
        ullage_buffer_put(ullage_buffer_get_at(&site, 5000), i % 2 != 0 ? 6000 : SIZE_MAX);
    struct uses found = uses_of(&site);
    cr_assert(found.count == 200 && found.bytes == 200 * 5000 && found.max == 5000, "%lu %lu", found.bytes, found.max);
}

/* ---- zeros ---- */

Test(buffer, zeroed_is_zero_where_uses_were_declared)
{
    static const size_t sizes[] = { 512, 4096, 65536, 300000, 2 * MIB };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (int turn = 0; turn < 200; turn++) {
            struct ullage_buffer *b = ullage_buffer_get_zeroed(sizes[i]);
            size_t used = sizes[i] * (size_t)(turn % 5) / 4;
            cr_assert(is_zero(ullage_buffer_data(b), ullage_buffer_capacity(b)), "%zu at %d", sizes[i], turn);
            memset(ullage_buffer_data(b), 0x77, used);
            ullage_buffer_put(b, used);
            if (turn % 3 == 0) { /* whose use nobody declares */
                char *p = ullage_malloc(sizes[i]);
                memset(p, 0x66, sizes[i]);
                ullage_free(p);
            }
        }
    }
}

Test(buffer, zeroed_is_zero_after_several_owners)
{
    for (int turn = 0; turn < 300; turn++) {
        struct ullage_buffer *b = ullage_buffer_get_zeroed(8192);
        cr_assert(is_zero(ullage_buffer_data(b), 8192), "%d", turn);
        memset(ullage_buffer_data(b), 0x77, 8192);
        ullage_buffer_ref(b);
        ullage_buffer_put(b, turn % 2 != 0 ? 8192 : 10);
        ullage_buffer_put(b, turn % 2 != 0 ? 10 : 8192);
    }
}

/* The larger one it becomes, and the smaller one it was. */
Test(buffer, zeroed_is_zero_after_it_grew)
{
    for (int turn = 0; turn < 300; turn++) {
        struct ullage_buffer *b = ullage_buffer_get_zeroed(8192);
        cr_assert(is_zero(ullage_buffer_data(b), 8192), "%d", turn);
        memset(ullage_buffer_data(b), 0x77, 8192);
        if (turn % 2 != 0) {
            ullage_buffer_ref(b);
            ullage_buffer_put(b, turn % 3 == 0 ? 8192 : 10);
        }
        cr_assert_eq(ullage_buffer_grow(&b, 65536, 8192), 0);
        ullage_buffer_put(b, 8192);
        struct ullage_buffer *large = ullage_buffer_get_zeroed(65536);
        cr_assert(is_zero(ullage_buffer_data(large), 65536), "%d", turn);
        memset(ullage_buffer_data(large), 0x55, 100);
        ullage_buffer_put(large, 100);
    }
}

/* ---- learning ---- */

static size_t capacity_at(const struct ullage_site *site)
{
    struct ullage_buffer *b = ullage_buffer_get_at(site, 0);
    size_t capacity = ullage_buffer_capacity(b);
    ullage_buffer_put(b, 0);
    return capacity;
}

Test(buffer, of_no_size_is_as_earlier_ones_needed)
{
    static struct ullage_site site = { "place.c", "learns", 1, 0 }, other = { "place.c", "learns_not", 2, 0 };
    cr_assert_eq(capacity_at(&site), 4096, "until that is known");
    for (int i = 0; i < 5000; i++) {
        struct ullage_buffer *b = ullage_buffer_get_at(&site, 0);
        cr_assert_eq(ullage_buffer_grow(&b, 20000, 0), 0);
        ullage_buffer_put(b, 20000);
    }
    cr_assert_eq(capacity_at(&site), 20480);
    cr_assert_eq(capacity_at(&other), 4096, "each place for itself");
    for (int i = 0; i < 20000; i++)
        ullage_buffer_put(ullage_buffer_get_at(&site, 0), 600);
    cr_assert_eq(capacity_at(&site), 640, "and less again");
}

/* A few that need more do not make all larger; they grow, and are counted. */
Test(buffer, the_few_grow)
{
    static struct ullage_site site = { "place.c", "grows", 1, 0 };
    uint64_t grown = 0;
    for (int i = 0; i < 20000; i++) {
        struct ullage_buffer *b = ullage_buffer_get_at(&site, 0);
        size_t needs = i % 50 == 0 ? 100000 : 2000;
        if (needs > ullage_buffer_capacity(b)) {
            memset(ullage_buffer_data(b), 1, 500);
            cr_assert_eq(ullage_buffer_grow(&b, needs, 500), 0);
            cr_assert_eq(((char *)ullage_buffer_data(b))[499], 1);
            grown++;
        }
        ullage_buffer_put(b, needs);
    }
    cr_assert(capacity_at(&site) >= 2000 && capacity_at(&site) <= 4096, "%zu", capacity_at(&site));
    cr_assert(grown >= 380 && grown <= 420, "%lu", grown);
}

/* ---- grow ---- */

Test(buffer, grows_with_what_it_is_to_keep)
{
    for (size_t keep = 0; keep <= 5000; keep += 500) {
        for (size_t want = 1; want <= 65 * MIB; want = want * 5 + 17) {
            struct ullage_buffer *b = ullage_buffer_get(5000), *before = b;
            stamp(ullage_buffer_data(b), keep, want);
            cr_assert_eq(ullage_buffer_grow(&b, want, keep), 0);
            cr_assert_eq(want <= 8192, b == before, "in place where it has room");
            cr_assert_geq(ullage_buffer_capacity(b), want);
            cr_assert(is_stamped(ullage_buffer_data(b), keep, want));
            ((char *)ullage_buffer_data(b))[want - 1] = 1;
            ullage_buffer_put(b, want);
        }
    }
}

Test(buffer, stays_as_it_is_where_it_cannot_grow)
{
    struct ullage_buffer *b = ullage_buffer_get(5000), *before = b;
    stamp(ullage_buffer_data(b), 5000, 4);
    errno = 99;
    cr_assert_eq(ullage_buffer_grow(&b, 100000, 8193), -EINVAL);
    cr_assert_eq(ullage_buffer_grow(&b, SIZE_MAX, 0), -ENOMEM);
    cr_assert_eq(ullage_buffer_grow(&b, (size_t)1 << 47, 0), -ENOMEM);
    ullage_buffer_ref(b);
    cr_assert_eq(ullage_buffer_grow(&b, 8193, 5000), -EBUSY);
    cr_assert_eq(ullage_buffer_grow(&b, 8192, 5000), 0, "it need not move");
    cr_assert_eq(errno, 99, "errors are returned");
    cr_assert_eq(b, before);
    cr_assert(is_stamped(ullage_buffer_data(b), 5000, 4));
    ullage_buffer_put(b, 0);
    cr_assert_eq(ullage_buffer_grow(&b, 8193, 5000), 0);
    ullage_buffer_put(b, 0);
}

/* A mark that somebody set before is the larger one's. */
Test(buffer, keeps_its_mark_when_it_grows)
{
    static struct ullage_site site = { "place.c", "marked", 1, 0 };
    for (int i = 0; i < 200; i++) {
        struct ullage_buffer *b = ullage_buffer_ref(ullage_buffer_get_at(&site, 8192));
        ullage_buffer_put(b, 7000);
        cr_assert_eq(ullage_buffer_grow(&b, 20000, 7000), 0);
        ullage_buffer_put(b, 10);
    }
    struct uses found = uses_of(&site);
    cr_assert_eq(found.bytes, 200 * 7000, "%lu of %lu, %lu unknown", found.bytes, found.count, found.unknown);
    cr_assert_eq(found.unknown, 200, "of the smaller ones nothing is known");
}

Test(buffer, does_not_grow_in_flight_unseen)
{
    struct ullage_buffer *b = ullage_buffer_get(5000), *before = b;
    char *data = ullage_buffer_data(b);
    cr_assert_eq(ullage_buffer_in_flight_begin(b), 0);
    stamp(data, 5000, 9);
    int result = ullage_buffer_grow(&b, 100000, 5000);
    cr_assert(result == -EBUSY || heard_times == 1, "the kernel writes to what it was given: %d", result);
    heard_times = 0;
    cr_assert(is_stamped(data, 5000, 9));
    cr_assert_eq(ullage_usable_size(data), 8192, "it is the kernel's still");
    cr_assert_eq(ullage_in_flight_end(data), 0);
    ullage_buffer_put(b, 5);
    cr_assert(b == before || ullage_usable_size(data) == 0);
}

/* ---- windows say how far a buffer was used ---- */

Test(buffer, windows_are_uses)
{
    static struct ullage_site site = { "place.c", "of_windows", 1, 0 };
    for (int i = 0; i < 200; i++) {
        struct ullage_buffer *b = ullage_buffer_get_at(&site, 8192);
        struct ullage_slice slice, part;
        cr_assert_eq(ullage_slice_of(&slice, b, 1000, 3000), 0);
        cr_assert_eq(ullage_slice_cut(&part, &slice, 100, 200), 0);
        ullage_buffer_put(b, 0);
        ullage_slice_put(&slice);
        ullage_slice_put(&part);
    }
    struct uses found = uses_of(&site);
    cr_assert(found.count == 200 && found.bytes == 200 * 4000, "%lu", found.bytes);
}
