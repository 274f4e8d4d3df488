/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reader.c - the three forms of a reader: descriptor, callback, bytes that are handed over.
 *
 * All three put bytes into the window and ask the assembler. What differs is where a call ends: the first two read until a record is
 * whole or nothing is there, the third until its bytes are used up.
 */
#include "config.h"

#include "record/crowd.h"
#include "record/fill.h"
#include "record/reader.h"

#include "base/atomic.h"
#include "base/check.h"
#include "measure/named.h"
#include "ullage/profile.h"

#include <errno.h>
#include <string.h>

static struct ullage_profile *profile; /* of open readers; atomic */

/* ---- create, destroy ---- */

static void forked(void)
{
    ull_crowd_forked();
    ull_record_settings_forked();
    ull_parties_forked();
    ull_count_forked();
}

/* By the first readers. */
static struct ullage_profile *prepare(void)
{
    struct ullage_profile *found = ullage_profile_get("readers");
    ull_named_forked(ULL_NAMED_RECORDS, forked);
    ull_store_release(&profile, found);
    return found;
}

/* What the largest record may need at once: a copy while it grows included. */
static uint64_t need_of(const struct ull_record_settings *settings)
{
    return 2 * settings->ceiling_bytes + settings->ceiling_bytes / 2 + settings->chunk_bytes;
}

static void begin(struct ullage_reader *r, const struct ull_record_settings *settings, const struct ullage_reader_options *opt)
{
    memset(r, 0, sizeof *r);
    r->settings = settings;
    r->slow = settings->quick ? 0 : ULL_SLOW_ALWAYS;
    r->taken = true;
    r->at = r->end = r->head;
    r->shift = -(uint64_t)(uintptr_t)r->head;
    if (settings->preamble != NULL) {
        r->slow |= ULL_SLOW_PREAMBLE;
        r->preamble_ctx = opt->preamble_ctx;
    }
    if (settings->party != NULL)
        ull_party_enter(settings->party, need_of(settings));
}

int ullage_reader_create(struct ullage_reader **out, const struct ullage_reader_options *opt)
{
    const struct ull_record_settings *settings;
    struct ullage_profile *open = ull_load_acquire(&profile);
    int kept = errno, error = ull_record_settings_get(&settings, opt);
    if (open == NULL)
        open = prepare();
    struct ullage_reader *r = error == 0 ? ull_crowd_get() : NULL;
    if (r != NULL) {
        begin(r, settings, opt);
        ullage_profile_add(open, r);
        *out = r;
    } else if (error == 0) {
        error = -errno;
        ull_record_settings_put(settings);
    }
    errno = kept;
    return error;
}

void ullage_reader_destroy(struct ullage_reader *r)
{
    if (r == NULL)
        return;
    const struct ull_record_settings *settings = r->settings;
    ull_count_flush(r);
    if (settings->party != NULL)
        ull_party_finish(settings->party, &r->member); /* before bytes come back, and who waits for them is told */
    ull_memory_put_chunk(r);
    ull_memory_put_body(r);
    ull_count_stalled(r, false);
    if (settings->party != NULL)
        ull_party_leave(settings->party, &r->member);
    ull_refusal_forget(r);
    ull_record_settings_put(settings);
    ullage_profile_remove(ull_load_acquire(&profile), r);
    ull_crowd_put(r);
}

/* ---- a call's beginning and end ---- */

static __attribute__((noinline)) int begin_slowly(struct ullage_reader *r)
{
    int error = ull_assembler_begin(r);
    if (error == 0 && ull_memory_is_over_share(r))
        error = ull_memory_refuse_share(r);
    return error;
}

static inline int begin_call(struct ullage_reader *r)
{
    return ull_likely(r->slow == 0) ? 0 : begin_slowly(r);
}

/* The call returns without a record, but @error: what is not needed goes, the clock is looked at. Returns that, or what it failed with. */
static int end_without(struct ullage_reader *r, int error)
{
    r->taken = true; /* nothing is out */
    if ((r->slow & ULL_SLOW_FAILED) != 0)
        return error;
    bool started = (r->slow & ULL_SLOW_STARTED) != 0;
    ull_count_flush(r);
    if (error != -ENOBUFS)
        ull_memory_wait_no_more(r);
    if (r->at == r->end)
        ull_memory_settle(r);
    if (r->body != NULL && r->settings->party != NULL)
        ull_party_start(r->settings->party, &r->member);
    ull_count_stalled(r, started);
    int late = ull_clock_look(r);
    return late != 0 ? late : error;
}

/* ---- reading ---- */

static int end_of_stream(struct ullage_reader *r)
{
    int error = ull_assembler_end(r);
    r->taken = true;
    if (error == 0) {
        ull_count_flush(r);
        ull_memory_settle(r);
    }
    return error;
}

/* What was left in the chunk for more to come behind it is gathered, because no more comes now. 0, or negative errno. */
static int gather(struct ullage_reader *r, struct ullage_record *out)
{
    return r->at == r->end ? 0 : ull_assembler_next_slowly(r, out);
}

/* Once; then 1 a record, 0 there may be more to read, or as ullage_reader_read_fd(), and then *ended is set. */
static int read_once(struct ullage_reader *r, const struct ull_source_of_bytes *from, struct ullage_record *out, bool *ended)
{
    ssize_t got = ull_fill(r, from);
    if (got > 0 || got == -ENOBUFS)
        return got > 0 ? 0 : (int)got;
    int error = (r->slow & ULL_SLOW_FAILED) == 0 ? gather(r, out) : (int)got;
    if (error != 0)
        return error;
    if (got == -EAGAIN) {
        error = ull_fill_wait(r, from);
        return error > 0 ? 0 : error;
    }
    *ended = got == 0;
    return *ended ? end_of_stream(r) : (int)got;
}

/* Until a record is whole. */
static __attribute__((noinline)) int read_on(struct ullage_reader *r, const struct ull_source_of_bytes *from, struct ullage_record *out)
{
    bool ended = false;
    r->reads = true;
    for (;;) {
        int result = ull_fill_may_stay(r) ? 0 : ull_assembler_next(r, out);
        if (result > 0)
            return result;
        if (result == 0 && ((r->slow & ULL_SLOW_STARTED) != 0 || r->at != r->end))
            result = ull_clock_look(r); /* bytes that keep coming do not put a deadline off */
        if (result == 0)
            result = read_once(r, from, out, &ended);
        if (ended)
            return result;
        if (result < 0)
            return end_without(r, result);
    }
}

static __attribute__((noinline)) int read_slowly(struct ullage_reader *r, int fd, ullage_read_fn read, void *ctx, struct ullage_record *out)
{
    const struct ull_source_of_bytes from = { fd, read, ctx };
    int result = begin_call(r);
    if (result != 0)
        return result;
    return read == NULL && fd < 0 ? -EBADF : read_on(r, &from, out);
}

int ullage_reader_read_fd(struct ullage_reader *r, int fd, struct ullage_record *out)
{
    if (ull_unlikely(!ull_assembler_next_quickly(r, out)))
        return read_slowly(r, fd, NULL, NULL, out);
    return ull_assembler_count(r, out);
}

int ullage_reader_read(struct ullage_reader *r, ullage_read_fn read, void *ctx, struct ullage_record *out)
{
    if (ull_unlikely(!ull_assembler_next_quickly(r, out)))
        return read_slowly(r, -1, read, ctx, out);
    return ull_assembler_count(r, out);
}

/* ---- feeding ---- */

/* What the receiver said of a record. 0 go on. */
static int told(struct ullage_reader *r, const struct ullage_record *record, int said)
{
    if (said < 0)
        return ull_refuse(r, ull_reader_for_good(said), ULL_LIMIT_CALLBACK, 0, 0, record->offset, NULL, 0);
    int error = begin_call(r);
    return error != 0 ? error : said;
}

/* The receiver is told of each record, until the bytes are used up or it has enough. */
static int hand_all_out(struct ullage_reader *r, ullage_record_fn on_record, void *ctx)
{
    struct ullage_record record;
    int result = 0;
    while (result == 0) {
        while (ull_likely(ull_assembler_next_quickly(r, &record))) {
            ull_assembler_count(r, &record);
            int said = on_record(ctx, &record);
            if (ull_unlikely(said != 0))
                return told(r, &record, said);
        }
        result = ull_assembler_next_slowly(r, &record);
        if (result <= 0)
            return result;
        result = told(r, &record, on_record(ctx, &record));
    }
    return result;
}

int ullage_reader_feed(struct ullage_reader *r, const void *bytes, size_t count, size_t *taken, ullage_record_fn on_record, void *ctx)
{
    uint64_t before = ull_reader_offset(r);
    *taken = 0;
    int result = begin_call(r);
    if (result != 0)
        return result;
    r->reads = false;
    /* What an earlier call read by itself comes first. */
    bool earlier = r->at != r->end;
    if (earlier) {
        result = hand_all_out(r, on_record, ctx);
        before = ull_reader_offset(r);
    }
    if (result == 0) {
        ull_memory_put_chunk(r);
        ull_reader_window(r, count != 0 ? bytes : r->head, count);
        result = hand_all_out(r, on_record, ctx);
        *taken = ull_reader_offset(r) - before;
        ull_reader_no_window(r);
    }
    if (result <= 0)
        return end_without(r, result);
    r->taken = true;
    ull_count_flush(r);
    return result;
}

int ullage_reader_end(struct ullage_reader *r)
{
    int error = begin_call(r);
    if (error == 0 && r->at != r->end)
        error = -EINVAL;
    return error != 0 ? error : end_of_stream(r);
}

/* ---- records that are kept ---- */

static bool is_out(const struct ullage_reader *r, const struct ullage_record *record)
{
    return !r->taken && (r->slow & ULL_SLOW_FAILED) == 0 && r->index == record->index + 1;
}

/* The buffer that has the record at its beginning, and nothing that is still needed; NULL. */
static struct ullage_buffer **own_buffer(struct ullage_reader *r, const struct ullage_record *record)
{
    if (record->piece_count == 0 && (r->slow & ULL_SLOW_OUT) != 0)
        return &r->body;
    if (r->chunk != NULL && r->at == r->end && record->data == ullage_buffer_data(r->chunk))
        return &r->chunk;
    return NULL;
}

/* It would be kept for long: much larger than the record it is not worth while. */
static bool is_fitting(const struct ullage_buffer *b, const struct ullage_record *record)
{
    return ull_memory_room(b) <= 2 * record->bytes + (UINT64_C(1) << ULL_CLASS_MIN_BITS);
}

static void copy_pieces(uint8_t *to, const struct ullage_record *record)
{
    if (record->piece_count == 0)
        memcpy(to, record->data, record->bytes);
    for (int i = 0; i < record->piece_count; i++) {
        memcpy(to, record->pieces[i].iov_base, record->pieces[i].iov_len);
        to += record->pieces[i].iov_len;
    }
}

static struct ullage_buffer *copy_record(struct ullage_reader *r, const struct ullage_record *record, int *error)
{
    struct ullage_buffer *b = ull_memory_extra(r, record->bytes, error);
    if (b != NULL)
        copy_pieces(ullage_buffer_data(b), record);
    return b;
}

static struct ullage_buffer *detach(struct ullage_reader *r, struct ullage_buffer **own)
{
    struct ullage_buffer *b = *own;
    *own = NULL;
    r->slow &= (uint8_t)~ULL_SLOW_OUT;
    r->announced = 0;
    return b;
}

struct ullage_buffer *ullage_reader_take(struct ullage_reader *r, struct ullage_record *record)
{
    int error = EINVAL;
    struct ullage_buffer *b = NULL, **own = NULL;
    if (!is_out(r, record)) {
        errno = error;
        return NULL;
    }
    own = own_buffer(r, record);
    if (own == NULL || !is_fitting(*own, record))
        b = copy_record(r, record, &error);
    if (b == NULL && own != NULL)
        b = detach(r, own);
    if (b == NULL) {
        errno = -error;
        return NULL;
    }
    ull_memory_hand_over(r, b);
    if (r->at == r->end)
        ull_reader_no_window(r);
    r->taken = true;
    record->data = ullage_buffer_data(b);
    record->pieces = NULL;
    record->piece_count = 0;
    return b;
}

/* ---- what it is at ---- */

size_t ullage_reader_pending(const struct ullage_reader *r)
{
    size_t window = (size_t)(r->end - r->at);
    if ((r->slow & ULL_SLOW_STARTED) == 0)
        return window;
    return window + r->head_bytes + (size_t)ull_reader_arrived(r);
}

size_t ullage_reader_held(const struct ullage_reader *r)
{
    return r->member.charged;
}

int ullage_reader_status(const struct ullage_reader *r)
{
    return r->status;
}

int ullage_reader_require_clean(struct ullage_reader *r)
{
    int error = begin_call(r);
    bool started = (r->slow & ULL_SLOW_STARTED) != 0; /* a marker that came counts too, though nothing of it is held */
    uint64_t began = started && (r->slow & ULL_SLOW_PREAMBLE) == 0 ? r->record_offset : ull_reader_offset(r);
    uint64_t pending = ull_reader_offset(r) + (uint64_t)(r->end - r->at) - began;
    if (error != 0 || (pending == 0 && !started))
        return error;
    return ull_refuse(r, -EPROTO, ULL_LIMIT_CLEAN, pending, 0, ull_reader_offset(r), r->at, (uint64_t)(r->end - r->at));
}
