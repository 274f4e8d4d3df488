/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_reader.c - what a reader does beside framing: its options, where records lie, records that are kept, bytes that are pending,
 * callbacks, descriptors of each kind. Limits of time: test_clock.c; sentences: test_refuse.c; preambles: test_proxy.c; budgets: test_record_budget.c.
 */
#include "config.h"

#include "marked.h"

#include <limits.h>
#include <pthread.h>

TestSuite(reader, .init = marked_begin, .fini = marked_end, .timeout = 60);

/* ---- options ---- */

static int create_with(struct ullage_reader_options *options)
{
    struct ullage_reader *r = NULL;
    int result = ullage_reader_create(&r, options);
    cr_assert_eq(result == 0, r != NULL);
    ullage_reader_destroy(r);
    return result;
}

Test(reader, options_out_of_range_are_refused)
{
    static const struct ullage_record_cap cap = { 100003, 3, 7, 2000 }, immense = { 100003, 3, 7, (size_t)1 << 41 };
    const struct ullage_reader_options wrong[] = {
        { .max_fragment_bytes = UINT32_C(1) << 31 },
        { .max_record_bytes = ((size_t)1 << 40) + 1 },
        { .max_record_bytes = SIZE_MAX },
        { .deadline_ms = ULLAGE_NEVER + UINT32_C(1) },
        { .idle_ms = UINT32_MAX },
        { .chunk_bytes = 4095 },
        { .chunk_bytes = ((size_t)1 << 20) + 1 },
        { .max_preamble_bytes = SIZE_MAX },
        { .flags = 8 },
        { .flags = UINT32_C(1) << 31 },
        { .flags = ULLAGE_READER_OPAQUE | ULLAGE_READER_RPC },
        { .flags = ULLAGE_READER_OPAQUE, .caps = &cap, .cap_count = 1 },
        { .caps = NULL, .cap_count = 1 },
        { .caps = &immense, .cap_count = 1 },
        { .caps = &cap, .cap_count = SIZE_MAX },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct ullage_reader_options options = wrong[i];
        options.size = sizeof options;
        errno = 99;
        cr_assert_eq(create_with(&options), -EINVAL, "number %zu", i);
        cr_assert_eq(errno, 99, "errors are returned");
    }
}

Test(reader, options_at_the_ends_of_their_ranges_are_taken)
{
    static const struct ullage_record_cap cap = { 100003, ULLAGE_ANY, ULLAGE_ANY, 2000 };
    const struct ullage_reader_options fine[] = {
        { .max_fragment_bytes = (UINT32_C(1) << 31) - 1, .max_record_bytes = (size_t)3 << 30 },
        { .max_fragment_bytes = 1, .max_record_bytes = 1, .max_fragments = 1, .min_average_fragment_bytes = 1 },
        { .deadline_ms = ULLAGE_NEVER, .idle_ms = ULLAGE_NEVER, .min_bytes_per_s = UINT32_MAX },
        { .chunk_bytes = 4096 },
        { .chunk_bytes = (size_t)1 << 20 },
        { .caps = &cap, .cap_count = 1, .flags = ULLAGE_READER_RPC },
        { .flags = ULLAGE_READER_OPAQUE | ULLAGE_READER_PIECES },
        { .preamble = ullage_preamble_proxy, .max_preamble_bytes = 16 },
    };
    for (size_t i = 0; i < sizeof fine / sizeof fine[0]; i++) {
        struct ullage_reader_options options = fine[i];
        options.size = sizeof options;
        cr_assert_eq(create_with(&options), 0, "number %zu", i);
    }
    cr_assert_eq(create_with(NULL), 0);
}

/* Of a version to come: what it has more must be zero, or it asks for something that this one does not do. */
Test(reader, options_of_another_version_are_known_by_their_size)
{
    struct {
        struct ullage_reader_options options;
        uint64_t more[4];
    } later;
    memset(&later, 0, sizeof later);
    static const size_t sizes[] = { 0, 1, 8, sizeof(struct ullage_reader_options) - 8, 4097, SIZE_MAX };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        later.options.size = sizes[i];
        cr_assert_eq(create_with(&later.options), -EINVAL, "%zu", sizes[i]);
    }
    later.options.size = sizeof later;
    cr_assert_eq(create_with(&later.options), 0);
    later.more[3] = 1;
    cr_assert_eq(create_with(&later.options), -EINVAL);
}

Test(reader, caps_are_copied)
{
    struct ullage_record_cap cap = { 1, 2, 3, 100 };
    struct ullage_reader_options options = ULLAGE_READER_OPTIONS_INIT;
    options.caps = &cap;
    options.cap_count = 1;
    struct ullage_reader *r = reader_with(&options);
    cap.max_record_bytes = 1000000;
    struct marked m = { 0 };
    struct told told = { 0 };
    static const uint8_t call[24] = { 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3 };
    marked_record(&m, 101);
    memcpy(m.data + 4, call, sizeof call);
    cr_assert_eq(feed(r, m.data, m.count, &told), -EMSGSIZE);
    cr_assert_eq(told.count, 0);
    ullage_reader_destroy(r);
    marked_free(&m);
}

Test(reader, nothing_is_made_of_null)
{
    ullage_reader_destroy(NULL);
}

/* ---- where records lie ---- */

Test(reader, records_that_are_whole_in_what_is_fed_lie_there)
{
    struct marked m = { 0 };
    for (uint32_t i = 0; i < 100; i++)
        marked_record(&m, i * 13 % 70);
    struct ullage_reader *r = reader_with(NULL);
    for (size_t at = 0; at < m.count;) {
        struct told told = { .stop_at = 1 };
        size_t taken;
        cr_assert_eq(ullage_reader_feed(r, m.data + at, m.count - at, &taken, tell, &told), 1);
        cr_assert_eq(taken, 4 + told.last.bytes);
        cr_assert(told.last.bytes == 0 || told.last.data == m.data + at + 4, "uncopied");
        cr_assert_eq(told.last.offset, at);
        cr_assert_null(told.last.pieces);
        cr_assert_eq(ullage_reader_held(r), 0, "of a record in the caller's bytes it holds none");
        at += taken;
    }
    ullage_reader_destroy(r);
    marked_free(&m);
}

/* A callback that remembers what it was given. */
struct source {
    const uint8_t *bytes;
    size_t count, at, most; /* most: at once */
    uint8_t *to;            /* the last piece's */
    size_t to_bytes;
    unsigned calls;
    ssize_t at_end;         /* said when all are read: 0 the end */
};

static ssize_t read_source(void *ctx, void *to, size_t bytes)
{
    struct source *s = ctx;
    size_t count = s->count - s->at < bytes ? s->count - s->at : bytes;
    count = s->most != 0 && count > s->most ? s->most : count;
    s->calls++;
    if (count == 0)
        return s->at_end;
    memcpy(to, s->bytes + s->at, count);
    s->at += count;
    s->to = to;
    s->to_bytes = bytes;
    return (ssize_t)count;
}

Test(reader, many_records_come_of_one_read_and_lie_where_it_went)
{
    struct marked m = { 0 };
    for (int i = 0; i < 50; i++)
        marked_record(&m, 40);
    struct source s = { .bytes = m.data, .count = m.count };
    struct ullage_reader *r = reader_with(NULL);
    struct ullage_record record;
    for (uint64_t i = 0; i < 50; i++) {
        cr_assert_eq(ullage_reader_read(r, read_source, &s, &record), 1);
        cr_assert_eq(record.index, i);
        cr_assert(marked_holds(&record));
        cr_assert_eq(s.calls, 1, "at record %lu", (unsigned long)i);
        cr_assert_eq(record.data, s.to + i * 44 + 4, "uncopied");
        cr_assert_eq(ullage_reader_pending(r), 44 * (49 - i));
    }
    cr_assert_eq(ullage_reader_read(r, read_source, &s, &record), 0);
    cr_assert_eq(ullage_reader_read(r, read_source, &s, &record), 0, "and again");
    cr_assert_eq(ullage_reader_held(r), 0);
    ullage_reader_destroy(r);
    marked_free(&m);
}

/* A callback is never asked for bytes past a large record's end: it is read to where it stays. */
Test(reader, nothing_is_read_past_the_end_of_a_large_record)
{
    static const uint32_t sizes[] = { 300000, 1000000, 1000000, 70000, 1000000, 500, 1000000 };
    struct marked m = { 0 };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        marked_record(&m, sizes[i]);
    for (size_t most = 0; most <= 100000; most += 9999) {
        struct source s = { .bytes = m.data, .count = m.count, .most = most };
        struct ullage_reader *r = reader_with(NULL);
        struct ullage_record record;
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            cr_assert_eq(ullage_reader_read(r, read_source, &s, &record), 1);
            cr_assert(marked_holds(&record));
            cr_assert(sizes[i] < 300000 || s.at == record.offset + 4 + record.bytes, "record %zu ends at %lu, read up to %zu, by %zu", i,
                (unsigned long)(record.offset + 4 + record.bytes), s.at, most);
        }
        ullage_reader_destroy(r);
    }
    marked_free(&m);
}

/* ---- records that are kept ---- */

static void put_taken(struct ullage_buffer *b, uint64_t index, size_t bytes)
{
    cr_assert_not_null(b);
    const struct ullage_record record = { .data = ullage_buffer_data(b), .bytes = bytes, .index = index };
    cr_assert_geq(ullage_buffer_capacity(b), bytes);
    cr_assert(marked_holds(&record));
    ullage_buffer_put(b, bytes);
}

/* Small ones that lie in a chunk with others, and large ones that have it to themselves; one or many fragments. */
Test(reader, taken_records_stay_when_the_reader_goes_on)
{
    static const uint32_t sizes[] = { 10, 2000, 0, 500000, 500000, 33000, 1000000, 7 };
    enum { COUNT = sizeof sizes / sizeof sizes[0] };
    struct ullage_buffer *taken[2 * COUNT];
    struct marked m = { 0 };
    for (size_t i = 0; i < 2 * COUNT; i++) {
        for (uint32_t part = 0; i % 2 != 0 && part < 3; part++)
            marked_fragment(&m, sizes[i / 2] / 4, false);
        marked_record(&m, i % 2 != 0 ? sizes[i / 2] - sizes[i / 2] / 4 * 3 : sizes[i / 2]);
    }
    struct source s = { .bytes = m.data, .count = m.count };
    struct ullage_reader *r = reader_with(NULL);
    struct ullage_record record;
    for (size_t i = 0; i < 2 * COUNT; i++) {
        cr_assert_eq(ullage_reader_read(r, read_source, &s, &record), 1);
        taken[i] = ullage_reader_take(r, &record);
        cr_assert_not_null(taken[i]);
        cr_assert_eq(record.data, ullage_buffer_data(taken[i]), "it lies there now");
        cr_assert(marked_holds(&record));
        errno = 0;
        cr_assert_null(ullage_reader_take(r, &record), "once");
        cr_assert_eq(errno, EINVAL);
    }
    cr_assert_eq(ullage_reader_read(r, read_source, &s, &record), 0);
    cr_assert_eq(ullage_reader_held(r), 0, "what was taken is not the reader's");
    ullage_reader_destroy(r);
    for (size_t i = 0; i < 2 * COUNT; i++)
        put_taken(taken[i], i, sizes[i / 2]);
    marked_free(&m);
}

/* After a large record the next read makes room for another such: who takes a smaller one does not get all of that. */
Test(reader, taken_records_are_not_much_larger_than_what_they_carry)
{
    static const uint32_t sizes[] = { 1000000, 33000, 1000000, 100, 1000000, 40000, 300 };
    struct marked m = { 0 };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        marked_record(&m, sizes[i]);
    struct pair pair = pair_of_sockets(false);
    struct ullage_reader *r = reader_with(NULL);
    struct ullage_record record;
    size_t sent = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        int result;
        while ((result = ullage_reader_read_fd(r, pair.fd[0], &record)) == -EAGAIN) {
            size_t count = m.count - sent < 60000 ? m.count - sent : 60000;
            send_all(pair.fd[1], m.data + sent, count);
            sent += count;
        }
        cr_assert_eq(result, 1);
        struct ullage_buffer *b = ullage_reader_take(r, &record);
        cr_assert_not_null(b);
        cr_assert_leq(ullage_buffer_capacity(b), 4 * record.bytes + 512, "%zu for %zu", ullage_buffer_capacity(b), record.bytes);
        put_taken(b, i, sizes[i]);
    }
    ullage_reader_destroy(r);
    pair_close(&pair);
    marked_free(&m);
}

struct taker {
    struct ullage_reader *r;
    struct ullage_buffer *taken[8];
    size_t bytes[8];
    unsigned count;
};

static int take_each(void *ctx, const struct ullage_record *record)
{
    struct taker *t = ctx;
    struct ullage_record mine = *record;
    t->bytes[t->count] = record->bytes;
    t->taken[t->count++] = ullage_reader_take(t->r, &mine);
    return 0;
}

Test(reader, records_can_be_taken_where_they_are_told_of)
{
    struct marked m = { 0 };
    marked_record(&m, 100);
    marked_fragment(&m, 100, false);
    marked_fragment(&m, 3000, true);
    marked_record(&m, 0);
    marked_record(&m, 60000);
    for (size_t step = 1; step <= m.count; step = step * 5 + 1) {
        struct taker t = { .r = reader_with(NULL) };
        for (size_t at = 0, taken; at < m.count; at += taken)
            cr_assert_eq(ullage_reader_feed(t.r, m.data + at, m.count - at < step ? m.count - at : step, &taken, take_each, &t), 0);
        cr_assert_eq(t.count, 4);
        ullage_reader_destroy(t.r);
        for (unsigned i = 0; i < t.count; i++)
            put_taken(t.taken[i], i, t.bytes[i]);
    }
    marked_free(&m);
}

static void cannot_take(struct ullage_reader *r, struct ullage_record *record)
{
    const struct ullage_record before = *record;
    errno = 0;
    cr_assert_null(ullage_reader_take(r, record));
    cr_assert_eq(errno, EINVAL);
    cr_assert_eq(memcmp(record, &before, sizeof before), 0, "it is as it was");
}

/* Its memory is somebody else's by then. */
Test(reader, a_record_that_is_not_out_any_more_cannot_be_taken)
{
    struct marked m = { 0 };
    struct told told = { 0 };
    size_t taken;
    for (int i = 0; i < 4; i++)
        marked_record(&m, 100);
    struct pair pair = pair_of_sockets(false);
    struct ullage_reader *r = reader_with(NULL);
    struct ullage_record first, second, none;
    send_all(pair.fd[1], m.data, 208);
    cr_assert_eq(ullage_reader_read_fd(r, pair.fd[0], &first), 1);
    cr_assert_eq(ullage_reader_read_fd(r, pair.fd[0], &second), 1);
    cannot_take(r, &first);
    cr_assert_eq(ullage_reader_read_fd(r, pair.fd[0], &none), -EAGAIN);
    cannot_take(r, &second);
    cr_assert_eq(ullage_reader_feed(r, m.data + 208, 50, &taken, tell, &(struct told) { .count = 2 }), 0);
    told.count = 2;
    cr_assert_eq(ullage_reader_feed(r, m.data + 258, 54, &taken, tell, &told), 0);
    cr_assert_eq(told.count, 3);
    cannot_take(r, &told.last);
    told.stop_at = 4;
    cr_assert_eq(ullage_reader_feed(r, m.data + 312, 104, &taken, tell, &told), 1);
    cannot_take(r, &told.last);
    cr_assert_eq(ullage_reader_end(r), 0);
    cannot_take(r, &told.last);
    pair_close(&pair);
    ullage_reader_destroy(r);
    marked_free(&m);
}

Test(reader, no_record_can_be_taken_before_the_first)
{
    struct ullage_reader *r = reader_with(NULL);
    struct ullage_record record = { .index = UINT64_MAX };
    cannot_take(r, &record);
    record.index = 0;
    cannot_take(r, &record);
    ullage_reader_destroy(r);
}

/* ---- pending, clean ---- */

Test(reader, pending_counts_what_no_record_has_carried)
{
    struct marked m = { 0 };
    struct told told = { 0 };
    marked_fragment(&m, 10, false);
    marked_fragment(&m, 10, true);
    struct ullage_reader *r = reader_with(NULL);
    cr_assert_eq(ullage_reader_pending(r), 0);
    for (size_t at = 0; at < m.count; at++) {
        cr_assert_eq(feed(r, m.data + at, 1, &told), 0);
        bool whole = at == m.count - 1;
        size_t of_marker = at + 1 < 4 ? at + 1 : at >= 14 && at + 1 < 18 ? at + 1 - 14 : 0;
        size_t of_body = at + 1 <= 4 ? 0 : at + 1 <= 14 ? at + 1 - 4 : at + 1 <= 18 ? 10 : at + 1 - 8;
        cr_assert_eq(ullage_reader_pending(r), whole ? 0 : of_marker + of_body, "after %zu: %zu", at + 1, ullage_reader_pending(r));
    }
    ullage_reader_destroy(r);
    marked_free(&m);
}

static void read_with_more(struct ullage_reader *r, const struct marked *m, size_t more)
{
    struct ullage_record record;
    struct source s = { .bytes = m->data, .count = 104 + more, .at_end = -EAGAIN };
    cr_assert_eq(ullage_reader_read(r, read_source, &s, &record), 1);
    cr_assert_eq(s.at, s.count);
}

Test(reader, is_clean_only_where_nothing_followed)
{
    struct marked m = { 0 };
    marked_record(&m, 100);
    marked_record(&m, 100);
    for (size_t more = 0; more <= 104; more += 13) {
        struct ullage_reader *r = reader_with(NULL);
        struct ullage_record record;
        char sentence[200];
        read_with_more(r, &m, more);
        cr_assert_eq(ullage_reader_require_clean(r), more == 0 ? 0 : -EPROTO);
        cr_assert_eq(ullage_reader_status(r), more == 0 ? 0 : -EPROTO);
        snprintf(sentence, sizeof sentence, "%zu bytes in plaintext came before TLS began, at offset 104", more);
        cr_assert(more == 0 || strncmp(ullage_reader_error(r), sentence, strlen(sentence)) == 0, "%s", ullage_reader_error(r));
        cr_assert(more == 0 || ullage_reader_error_offset(r) == 104);
        cr_assert(more == 0 || ullage_reader_held(r) == 0);
        struct source s = { .at_end = -EAGAIN };
        cr_assert_eq(ullage_reader_read(r, read_source, &s, &record), more == 0 ? -EAGAIN : -EPROTO);
        ullage_reader_destroy(r);
    }
    marked_free(&m);
}

Test(reader, is_not_clean_with_a_part_of_a_record)
{
    static const uint8_t part[6] = { 0x80, 0, 0, 100, 1, 2 };
    for (size_t count = 1; count <= sizeof part; count++) {
        struct ullage_reader *r = reader_with(NULL);
        struct told told = { 0 };
        cr_assert_eq(ullage_reader_require_clean(r), 0);
        cr_assert_eq(feed(r, part, count, &told), 0);
        cr_assert_eq(ullage_reader_require_clean(r), -EPROTO);
        cr_assert_eq(ullage_reader_require_clean(r), -EPROTO, "and again");
        ullage_reader_destroy(r);
    }
}

/* ---- callbacks ---- */

static ssize_t says_more(void *ctx, void *to, size_t bytes)
{
    (void)to;
    return (ssize_t)bytes + *(ssize_t *)ctx;
}

Test(reader, a_callback_that_returns_more_than_it_was_asked_for_is_refused)
{
    static const ssize_t more[] = { 1, 4096, SSIZE_MAX - ((ssize_t)1 << 21) };
    for (size_t i = 0; i < sizeof more / sizeof more[0]; i++) {
        struct ullage_reader *r = reader_with(NULL);
        struct ullage_record record;
        ssize_t by = more[i];
        cr_assert_eq(ullage_reader_read(r, says_more, &by, &record), -EOVERFLOW);
        cr_assert_eq(ullage_reader_read(r, says_more, &by, &record), -EOVERFLOW);
        cr_assert_eq(ullage_reader_held(r), 0);
        ullage_reader_destroy(r);
    }
}

static ssize_t fails(void *ctx, void *to, size_t bytes)
{
    (void)to;
    (void)bytes;
    return *(ssize_t *)ctx;
}

Test(reader, what_a_callback_fails_with_is_what_the_reader_fails_with)
{
    static const ssize_t errors[] = { -EIO, -ECONNRESET, -EPIPE, -ENOMEM, -4095 };
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        struct ullage_reader *r = reader_with(NULL);
        struct ullage_record record;
        ssize_t says = -EINTR, later = 0;
        cr_assert_eq(ullage_reader_read(r, fails, &says, &record), -EINTR);
        cr_assert_eq(ullage_reader_status(r), 0, "that is no failure");
        says = errors[i];
        cr_assert_eq(ullage_reader_read(r, fails, &says, &record), (int)errors[i]);
        cr_assert_eq(ullage_reader_read(r, fails, &later, &record), (int)errors[i], "the same, whatever comes");
        cr_assert_eq(ullage_reader_status(r), (int)errors[i]);
        ullage_reader_destroy(r);
    }
}

Test(reader, on_record_stops_after_any_record)
{
    struct marked m = { 0 };
    for (uint32_t i = 0; i < 10; i++)
        marked_record(&m, i * 100);
    for (unsigned stop = 1; stop <= 10; stop++) {
        struct ullage_reader *r = reader_with(NULL);
        struct told told = { .stop_at = stop };
        size_t taken;
        cr_assert_eq(ullage_reader_feed(r, m.data, m.count, &taken, tell, &told), 1);
        cr_assert_eq(told.count, stop);
        cr_assert_eq(taken, told.last.offset + 4 + told.last.bytes);
        cr_assert_eq(ullage_reader_pending(r), 0, "what was not taken is the caller's");
        cr_assert_eq(feed(r, m.data + taken, m.count - taken, &told), 0);
        cr_assert(told.count == 10 && told.wrong == 0);
        ullage_reader_destroy(r);
    }
    marked_free(&m);
}

Test(reader, on_record_that_fails_fails_the_reader)
{
    struct marked m = { 0 };
    marked_record(&m, 100);
    marked_fragment(&m, 10, false);
    marked_fragment(&m, 90, true);
    for (unsigned at = 1; at <= 2; at++) {
        struct ullage_reader *r = reader_with(NULL);
        struct told told = { .stop_at = at, .fails_with = -EACCES };
        size_t taken;
        cr_assert_eq(ullage_reader_feed(r, m.data, m.count, &taken, tell, &told), -EACCES);
        cr_assert_eq(taken, at == 1 ? 104 : m.count);
        cr_assert_eq(ullage_reader_error_offset(r), at == 1 ? 0 : 104);
        cr_assert_str_eq(ullage_reader_error(r), at == 1 ? "the record's receiver failed: Permission denied, at offset 0"
                                                          : "the record's receiver failed: Permission denied, at offset 104");
        cr_assert_eq(ullage_reader_feed(r, m.data, m.count, &taken, tell, &told), -EACCES);
        cr_assert_eq(taken, 0);
        cr_assert_eq(ullage_reader_end(r), -EACCES);
        ullage_reader_destroy(r);
    }
    marked_free(&m);
}

/* ---- one form after the other ---- */

/* What an earlier call read by itself comes before what is fed. */
Test(reader, forms_may_follow_each_other)
{
    struct marked m = { 0 };
    for (int i = 0; i < 6; i++)
        marked_record(&m, 100);
    for (size_t split = 104; split <= m.count; split += 7) {
        struct source s = { .bytes = m.data, .count = split, .at_end = -EAGAIN };
        struct ullage_reader *r = reader_with(NULL);
        struct ullage_record record;
        struct told told = { .count = 1 };
        cr_assert_eq(ullage_reader_read(r, read_source, &s, &record), 1);
        cr_assert_eq(feed(r, m.data + split, m.count - split, &told), 0, "%s", ullage_reader_error(r));
        cr_assert(told.count == 6 && told.wrong == 0, "split at %zu: %u records, %u wrong", split, told.count, told.wrong);
        cr_assert_eq(ullage_reader_held(r), 0);
        ullage_reader_destroy(r);
    }
    marked_free(&m);
}

/* ---- descriptors ---- */

struct sent {
    int fd;
    const struct marked *m;
    size_t step;
};

static void *send_and_close(void *argument)
{
    const struct sent *sent = argument;
    for (size_t at = 0; at < sent->m->count;) {
        size_t count = sent->m->count - at < sent->step ? sent->m->count - at : sent->step;
        ssize_t put = write(sent->fd, sent->m->data + at, count);
        if (put <= 0)
            break;
        at += (size_t)put;
    }
    close(sent->fd);
    return NULL;
}

static void read_all(int fd, unsigned expected)
{
    struct ullage_reader *r = reader_with(NULL);
    struct ullage_record record;
    unsigned count = 0;
    int result;
    while ((result = ullage_reader_read_fd(r, fd, &record)) == 1) {
        cr_assert(marked_holds(&record));
        cr_assert_eq(record.index, count++);
    }
    cr_assert_eq(result, 0, "%s", ullage_reader_error(r));
    cr_assert_eq(count, expected);
    cr_assert_eq(ullage_reader_held(r), 0);
    ullage_reader_destroy(r);
}

static void make_stream(struct marked *m)
{
    static const uint32_t sizes[] = { 0, 1, 100, 3000, 70000, 200000, 64, 1000000, 1000000, 5 };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        if (i % 3 == 1)
            marked_fragment(m, sizes[i] / 2, false);
        marked_record(m, sizes[i] - (i % 3 == 1 ? sizes[i] / 2 : 0));
    }
}

static void through(int from, int to, size_t step)
{
    struct marked m = { 0 };
    pthread_t thread;
    make_stream(&m);
    struct sent sent = { to, &m, step };
    cr_assert_eq(pthread_create(&thread, NULL, send_and_close, &sent), 0);
    read_all(from, 10);
    pthread_join(thread, NULL);
    close(from);
    marked_free(&m);
}

Test(reader, reads_blocking_sockets)
{
    for (size_t step = 777; step < 1000000; step *= 20) {
        struct pair pair = pair_of_sockets(true);
        through(pair.fd[0], pair.fd[1], step);
    }
}

Test(reader, reads_pipes)
{
    for (size_t step = 777; step < 1000000; step *= 20) {
        int fd[2];
        cr_assert_eq(pipe(fd), 0);
        through(fd[0], fd[1], step);
    }
}

Test(reader, reads_files)
{
    struct marked m = { 0 };
    char name[] = "/tmp/ullage-test-XXXXXX";
    int fd = mkstemp(name);
    unlink(name);
    make_stream(&m);
    send_all(fd, m.data, m.count);
    cr_assert_eq(lseek(fd, 0, SEEK_SET), 0);
    read_all(fd, 10);
    close(fd);
    marked_free(&m);
}

Test(reader, reads_non_blocking_descriptors_of_each_kind)
{
    struct marked m = { 0 };
    make_stream(&m);
    for (int is_pipe = 0; is_pipe < 2; is_pipe++) {
        struct pair pair = pair_of_sockets(false);
        if (is_pipe) {
            pair_close(&pair);
            cr_assert_eq(pipe2(pair.fd, O_NONBLOCK), 0);
        }
        struct ullage_reader *r = reader_with(NULL);
        struct ullage_record record;
        unsigned count = 0;
        for (size_t at = 0; at < m.count; at += 5000) {
            int result;
            send_all(pair.fd[1], m.data + at, m.count - at < 5000 ? m.count - at : 5000);
            while ((result = ullage_reader_read_fd(r, pair.fd[0], &record)) == 1)
                cr_assert(marked_holds(&record) && record.index == count++);
            cr_assert_eq(result, -EAGAIN);
        }
        cr_assert_eq(count, 10);
        pair_close(&pair);
        cr_assert_eq(ullage_reader_read_fd(r, pair.fd[0], &record), -EBADF);
        cr_assert_eq(ullage_reader_read_fd(r, 1 << 20, &record), -EBADF);
        ullage_reader_destroy(r);
    }
    marked_free(&m);
}

/* ---- what a reader costs ---- */

static uint64_t bytes_in_memory(void)
{
    size_t pages = 0, ignored = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    cr_assert(file != NULL && fscanf(file, "%zu %zu", &ignored, &pages) == 2);
    fclose(file);
    return pages * 4096;
}

/* Slack: the kernel counts a process's pages to within some dozens for each processor. */
enum { READERS = 10000, SLACK_BYTES = 1 << 19 };

/* Each has read a record: an idle connection is one that was used. */
Test(reader, ten_thousand_idle_ones_cost_at_most_256_bytes_each)
{
    static struct ullage_reader *all[READERS];
    struct pair pair = pair_of_sockets(false);
    struct marked m = { 0 };
    struct ullage_record record;
    marked_record(&m, 1000);
    uint64_t bytes = bytes_in_use(), resident = bytes_in_memory();
    for (int i = 0; i < READERS; i++) {
        all[i] = reader_with(NULL);
        send_all(pair.fd[1], m.data, m.count);
        cr_assert_eq(ullage_reader_read_fd(all[i], pair.fd[0], &record), 1);
        cr_assert_eq(ullage_reader_read_fd(all[i], pair.fd[0], &record), -EAGAIN);
        cr_assert_eq(ullage_reader_held(all[i]), 0);
    }
    uint64_t now = bytes_in_memory();
    cr_assert_leq(bytes_in_use() - bytes, READERS * 208, "%lu: the rest is for the live profile", (unsigned long)(bytes_in_use() - bytes));
    cr_assert_leq(now - resident, READERS * 256 + SLACK_BYTES, "%lu", (unsigned long)(now - resident));
    for (int i = 0; i < READERS; i++)
        ullage_reader_destroy(all[i]);
    pair_close(&pair);
    marked_free(&m);
}

/* A fragment has at most 2^31 - 1 bytes: the announcement of one, and then nothing. */
static void announce_and_wait(struct ullage_reader **all, const struct ullage_reader_options *options)
{
    static const uint8_t marker[4] = { 0xff, 0xff, 0xff, 0xff };
    struct pair pair = pair_of_sockets(false);
    struct ullage_record record;
    struct told told = { 0 };
    for (int i = 0; i < READERS; i++) {
        all[i] = reader_with(options);
        if (i % 2 == 0) {
            cr_assert_eq(feed(all[i], marker, sizeof marker, &told), 0);
        } else {
            send_all(pair.fd[1], marker, sizeof marker);
            cr_assert_eq(ullage_reader_read_fd(all[i], pair.fd[0], &record), -EAGAIN);
        }
        cr_assert_eq(ullage_reader_pending(all[i]), 0, "a marker is no part of a record's bytes");
    }
    pair_close(&pair);
}

Test(reader, ten_thousand_that_were_promised_two_gigabytes_hold_nothing)
{
    static struct ullage_reader *all[READERS];
    struct ullage_reader_options options = ULLAGE_READER_OPTIONS_INIT;
    options.max_record_bytes = (size_t)3 << 30;
    options.max_fragment_bytes = (UINT32_C(1) << 31) - 1;
    uint64_t held = 0;
    ullage_trim(0);
    uint64_t before = bytes_in_memory();
    announce_and_wait(all, &options);
    for (int i = 0; i < READERS; i++)
        held += ullage_reader_held(all[i]);
    uint64_t after = bytes_in_memory();
    cr_assert_eq(held, 0);
    cr_assert_leq(after - before, ((uint64_t)4 << 20) + SLACK_BYTES, "%lu bytes, the readers among them", (unsigned long)(after - before));
    for (int i = 0; i < READERS; i++)
        ullage_reader_destroy(all[i]);
}

/* With a hundred bytes each that did come: at most twice as much, and a size class. */
Test(reader, holds_at_most_twice_what_has_come)
{
    struct ullage_reader_options options = ULLAGE_READER_OPTIONS_INIT;
    options.max_record_bytes = (size_t)3 << 30;
    for (int form = 0; form < 2; form++) {
        for (size_t step = 1; step < 40000; step = step * 3 + 1) {
            static uint8_t bytes[40000];
            static const uint8_t marker[4] = { 0xff, 0xff, 0xff, 0x00 };
            struct pair pair = pair_of_sockets(false);
            struct ullage_reader *r = reader_with(&options);
            struct ullage_record record;
            struct told told = { 0 };
            size_t sent = 0;
            send_all(pair.fd[1], marker, 4);
            cr_assert_eq(form == 0 ? ullage_reader_read_fd(r, pair.fd[0], &record) : feed(r, marker, 4, &told), form == 0 ? -EAGAIN : 0);
            for (int i = 0; i < 300 && sent < 1000000; i++, sent += step) {
                if (form == 0)
                    send_all(pair.fd[1], bytes, step);
                int result = form == 0 ? ullage_reader_read_fd(r, pair.fd[0], &record) : feed(r, bytes, step, &told);
                cr_assert_eq(result, form == 0 ? -EAGAIN : 0);
                cr_assert_leq(ullage_reader_held(r), 2 * (sent + step) + 512, "after %zu by %zu: %zu", sent + step, step, ullage_reader_held(r));
            }
            ullage_reader_destroy(r);
            pair_close(&pair);
        }
    }
}
