/* SPDX-License-Identifier: BSD-2-Clause */
/* test_chain.c - windows on buffers, and chains of them, against a plain string of bytes. */
#include "config.h"

#include "base/sys.h"
#include "measure/begin.h"
#include "measure/state.h"
#include "scratch.h"
#include "ullage/buffer.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>

/* What libullage.so does in its constructor. */
void ull_begin_if_needed(void)
{
    if (!ull_recorder_is_ready())
        ull_begin(ULL_CLEAR_NEVER, false);
}

static struct ullage_buffer *buffer_of(size_t bytes)
{
    struct ullage_buffer *b = ullage_buffer_get(bytes);
    cr_assert_not_null(b);
    return b;
}

static struct ullage_chain *chain_of_none(void)
{
    struct ullage_chain *chain = NULL;
    cr_assert_eq(ullage_chain_create(&chain), 0);
    cr_assert_eq(ullage_chain_bytes(chain), 0);
    return chain;
}

/* A buffer moves only while nobody else holds it. */
static bool held_by_one(struct ullage_buffer **b)
{
    return ullage_buffer_grow(b, ullage_buffer_capacity(*b) * 4, 0) == 0;
}

static bool is_empty(const struct ullage_slice *slice)
{
    return slice->buffer == NULL && slice->data == NULL && slice->bytes == 0;
}

static void append(struct ullage_chain *chain, struct ullage_buffer *b, size_t offset, size_t bytes)
{
    struct ullage_slice slice;
    cr_assert_eq(ullage_slice_of(&slice, b, offset, bytes), 0);
    cr_assert_eq(ullage_chain_append(chain, &slice), 0);
    cr_assert(is_empty(&slice), "the chain took it over");
}

/* ---- windows ---- */

Test(slice, is_a_window_with_a_reference)
{
    struct ullage_buffer *b = buffer_of(4096);
    struct ullage_slice slice, part;
    cr_assert_eq(ullage_slice_of(&slice, b, 100, 200), 0);
    cr_assert_eq(slice.data, (char *)ullage_buffer_data(b) + 100);
    cr_assert_eq(slice.bytes, 200);
    cr_assert_eq(ullage_slice_cut(&part, &slice, 50, 150), 0);
    cr_assert_eq(part.data, (char *)ullage_buffer_data(b) + 150);
    cr_assert_eq(part.bytes, 150);
    ullage_slice_put(&slice);
    cr_assert(is_empty(&slice));
    cr_assert_not(held_by_one(&b), "the part holds it");
    ullage_slice_put(&part);
    ullage_slice_put(&part); /* empty: nothing is given back twice */
    cr_assert(held_by_one(&b));
    ullage_buffer_put(b, 0);
}

Test(slice, lies_inside_or_is_none)
{
    struct ullage_buffer *b = buffer_of(4096);
    size_t room = ullage_buffer_capacity(b);
    struct ullage_slice slice = { NULL, NULL, 0 }, part = { NULL, NULL, 0 };
    cr_assert_eq(ullage_slice_of(&slice, b, 0, room + 1), -ERANGE);
    cr_assert_eq(ullage_slice_of(&slice, b, room + 1, 0), -ERANGE);
    cr_assert_eq(ullage_slice_of(&slice, b, 1, SIZE_MAX), -ERANGE, "no wrapping round");
    cr_assert_eq(ullage_slice_of(&slice, b, SIZE_MAX, 2), -ERANGE);
    cr_assert(is_empty(&slice));
    cr_assert_eq(ullage_slice_of(&slice, b, room, 0), 0, "an empty one at the end");
    ullage_slice_put(&slice);
    cr_assert_eq(ullage_slice_of(&slice, b, 10, 100), 0);
    cr_assert_eq(ullage_slice_cut(&part, &slice, 0, 101), -ERANGE, "inside the window, not the buffer");
    cr_assert_eq(ullage_slice_cut(&part, &slice, 101, 0), -ERANGE);
    cr_assert_eq(ullage_slice_cut(&part, &slice, 1, SIZE_MAX), -ERANGE);
    cr_assert(is_empty(&part));
    ullage_slice_put(&slice);
    cr_assert_eq(ullage_slice_cut(&part, &slice, 0, 0), 0);
    cr_assert(is_empty(&part));
    cr_assert(held_by_one(&b));
    ullage_buffer_put(b, 0);
}

/* ---- chains ---- */

Test(chain, drops_what_is_through_and_keeps_the_rest)
{
    struct ullage_chain *chain = chain_of_none();
    struct ullage_buffer *a = buffer_of(4096), *b = buffer_of(4096);
    struct iovec iov[4];
    append(chain, a, 0, 10);
    append(chain, b, 5, 20);
    cr_assert_eq(ullage_chain_bytes(chain), 30);
    cr_assert_eq(ullage_chain_iovec(chain, iov, 4), 2);
    cr_assert_eq(iov[0].iov_base, ullage_buffer_data(a));
    cr_assert_eq(iov[0].iov_len, 10);
    cr_assert_eq(iov[1].iov_base, (char *)ullage_buffer_data(b) + 5);
    cr_assert_eq(iov[1].iov_len, 20);
    cr_assert_eq(ullage_chain_iovec(chain, iov, 1), 1, "as many as there is room for");
    cr_assert_eq(ullage_chain_iovec(chain, iov, 0), 0);
    cr_assert_eq(ullage_chain_iovec(chain, iov, -1), 0);
    cr_assert_eq(ullage_chain_consume(chain, 31), -ERANGE);
    cr_assert_eq(ullage_chain_bytes(chain), 30, "and nothing happened");
    cr_assert_eq(ullage_chain_consume(chain, 9), 0);
    cr_assert_not(held_by_one(&a), "one byte of it is left");
    cr_assert_eq(ullage_chain_consume(chain, 2), 0);
    cr_assert(held_by_one(&a));
    cr_assert_eq(ullage_chain_iovec(chain, iov, 4), 1);
    cr_assert_eq(iov[0].iov_base, (char *)ullage_buffer_data(b) + 6);
    cr_assert_eq(iov[0].iov_len, 19);
    cr_assert_eq(ullage_chain_consume(chain, 0), 0);
    ullage_chain_destroy(chain);
    cr_assert(held_by_one(&b), "destroy gives back what is left");
    ullage_chain_destroy(NULL);
    ullage_buffer_put(a, 0);
    ullage_buffer_put(b, 0);
}

Test(chain, keeps_no_window_without_bytes)
{
    struct ullage_chain *chain = chain_of_none();
    struct ullage_buffer *b = buffer_of(512);
    struct iovec iov[2];
    struct ullage_slice none = { NULL, NULL, 0 };
    append(chain, b, 7, 0);
    cr_assert_eq(ullage_chain_append(chain, &none), 0);
    cr_assert_eq(ullage_chain_iovec(chain, iov, 2), 0);
    cr_assert(held_by_one(&b));
    ullage_chain_destroy(chain);
    ullage_buffer_put(b, 0);
}

/* ---- against a string ---- */

enum { STREAM_BYTES = 400000, BUFFERS = 8 };

static uint32_t draw(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*state >> 33);
}

struct stream {
    struct ullage_chain *chain;
    struct ullage_buffer *buffers[BUFFERS];
    unsigned char *expected; /* what was appended, in order */
    size_t written, consumed;
    uint64_t random;
};

static void write_some(struct stream *stream)
{
    struct ullage_buffer *b = stream->buffers[draw(&stream->random) % BUFFERS];
    size_t room = ullage_buffer_capacity(b), offset = draw(&stream->random) % room;
    size_t bytes = draw(&stream->random) % (room - offset + 1) % 300;
    if (stream->written + bytes > STREAM_BYTES)
        bytes = STREAM_BYTES - stream->written;
    memcpy(stream->expected + stream->written, (char *)ullage_buffer_data(b) + offset, bytes);
    append(stream->chain, b, offset, bytes);
    stream->written += bytes;
}

/* As writev(2): a few entries, of which any part may be taken. */
static void read_some(struct stream *stream)
{
    struct iovec iov[5];
    size_t offered = 0;
    int count = ullage_chain_iovec(stream->chain, iov, (int)(1 + draw(&stream->random) % 5));
    for (int i = 0; i < count; i++) {
        cr_assert_eq(memcmp(iov[i].iov_base, stream->expected + stream->consumed + offered, iov[i].iov_len), 0);
        offered += iov[i].iov_len;
    }
    size_t taken = draw(&stream->random) % (offered + 1);
    cr_assert_eq(ullage_chain_consume(stream->chain, taken), 0);
    stream->consumed += taken;
}

Test(chain, is_the_string_of_what_was_appended, .timeout = 60)
{
    struct stream stream = { .chain = chain_of_none(), .random = 7 };
    stream.expected = malloc(STREAM_BYTES);
    for (int i = 0; i < BUFFERS; i++) {
        stream.buffers[i] = buffer_of((size_t)512 << (i % 4));
        for (size_t at = 0; at < ullage_buffer_capacity(stream.buffers[i]); at++)
            ((unsigned char *)ullage_buffer_data(stream.buffers[i]))[at] = (unsigned char)draw(&stream.random);
    }
    while (stream.consumed < STREAM_BYTES) {
        bool filling = stream.written - stream.consumed < STREAM_BYTES / 4; /* long, then short, and round the ring */
        for (unsigned i = draw(&stream.random) % 40; stream.written < STREAM_BYTES && filling && i > 0; i--)
            write_some(&stream);
        for (unsigned i = draw(&stream.random) % 40; i > 0; i--)
            read_some(&stream);
        cr_assert_eq(ullage_chain_bytes(stream.chain), stream.written - stream.consumed);
    }
    for (int i = 0; i < BUFFERS; i++) {
        cr_assert(held_by_one(&stream.buffers[i]), "no reference is left behind");
        ullage_buffer_put(stream.buffers[i], 0);
    }
    ullage_chain_destroy(stream.chain);
    free(stream.expected);
}

/* ---- no memory ---- */

static long no_memory(long number)
{
    return number == SYS_mmap ? -ENOMEM : 0;
}

/* What lies ready in slabs is used up first. */
Test(chain, append_that_finds_no_memory_takes_nothing, .timeout = 60)
{
    struct ullage_chain *chain = chain_of_none();
    struct ullage_buffer *b = buffer_of(512);
    struct ullage_slice slice;
    size_t appended = 0;
    int error = 0;
    ull_sys_inject = no_memory;
    errno = EXDEV;
    for (; error == 0 && appended < 10000000; appended += error == 0) {
        cr_assert_eq(ullage_slice_of(&slice, b, 3, 1), 0);
        error = ullage_chain_append(chain, &slice);
    }
    ull_sys_inject = NULL;
    cr_assert_eq(error, -ENOMEM, "after %zu", appended);
    cr_assert_eq(errno, EXDEV);
    cr_assert_eq(slice.buffer, b, "it is still the caller's");
    cr_assert_eq(ullage_chain_bytes(chain), appended);
    cr_assert_eq(ullage_chain_append(chain, &slice), 0, "and goes in when there is memory again");
    cr_assert_eq(ullage_chain_consume(chain, appended + 1), 0);
    cr_assert(held_by_one(&b));
    ullage_chain_destroy(chain);
    ullage_buffer_put(b, 0);
}

/* ---- use ---- */

/* The largest use of a named place, as its shards in the ledger have it. */
static uint64_t used_max_of(const char *function)
{
    uint64_t most = 0, count = ull_recorder.ledger.reserved[ULL_TABLE_SHARDS];
    for (uint64_t i = 0; i < count; i++) {
        const struct ull_shard_entry *shard = ull_ledger_at(&ull_recorder.ledger, ULL_TABLE_SHARDS, i);
        const struct ull_site_entry *site
            = shard->ready ? ull_ledger_at(&ull_recorder.ledger, ULL_TABLE_SITES, shard->site) : NULL;
        const char *name = site != NULL && site->function != 0
            ? ull_ledger_at(&ull_recorder.ledger, ULL_TABLE_STRINGS, site->function - 1) : NULL;
        if (name != NULL && strcmp(name, function) == 0 && shard->used_max_bytes > most)
            most = shard->used_max_bytes;
    }
    return most;
}

Test(slice, its_end_is_how_far_the_buffer_was_used, .init = scratch_make, .fini = scratch_remove)
{
    static struct ullage_site here = { __FILE__, "a place of this test", __LINE__, 0 };
    struct ullage_buffer *b = ullage_buffer_get_at(&here, 4096);
    struct ullage_chain *chain = chain_of_none();
    append(chain, b, 1000, 234);
    append(chain, b, 0, 10);
    ullage_buffer_put(b, 5);
    cr_assert_eq(ullage_chain_consume(chain, 100), 0);
    cr_assert_eq(ullage_chain_consume(chain, 144), 0);
    cr_assert_eq(used_max_of(here.function), 1234);
    ullage_chain_destroy(chain);
    cr_assert_geq(used_max_of("ullage_chain"), 400, "what a chain takes for itself is counted too");
}
