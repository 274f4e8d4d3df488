/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * assembler.c - bytes in, records out.
 *
 * A record whose single fragment is whole in the window is handed out where it lies. Everything else goes through the body: the bytes
 * of each fragment one after the other, the markers left out. A record's state is what came of its marker (head), what is to come
 * of its fragment (left), what its markers announced in all; so a stream may be cut anywhere, and the result is the same.
 *
 * Limits are checked when a marker is read, before a byte is taken for what it announces; a procedure's cap as soon as its
 * number has come, in the first 24 bytes of the record.
 */
#include "config.h"

#include "record/reader.h"

#include "base/arith.h"
#include "base/check.h"
#include "record/marker.h"

#include <errno.h>

static const uint8_t nothing[1]; /* where a record of no bytes lies */

static uint64_t window_bytes(const struct ullage_reader *r)
{
    return (uint64_t)(r->end - r->at);
}

/* ---- handing out ---- */

int ull_assembler_hand_out(struct ullage_reader *r, struct ullage_record *out, const uint8_t *data, uint64_t bytes)
{
    *out = (struct ullage_record) { .data = data, .bytes = bytes, .fragments = r->fragments, .index = r->index,
        .offset = r->record_offset };
    if (r->settings->counts && !ull_count_run(&r->run, data, bytes))
        (void)ull_count_other(r, data, bytes);
    r->run.fragments += r->fragments - 1;
    r->expected = bytes / r->fragments >= ULL_LARGE_BYTES && bytes <= UINT32_MAX ? (uint32_t)bytes : 0;
    r->expects_one = r->fragments == 1;
    r->index++;
    r->taken = false;
    r->fragments = 0;
    r->in_fragment = false;
    if ((r->slow & ULL_SLOW_OUT) == 0)
        r->announced = 0; /* nothing of the next one has come */
    r->timing = ULL_TIMING_NOT;
    r->slow &= (uint8_t)~ULL_SLOW_STARTED;
    if (r->stalled)
        ull_count_stalled(r, false);
    ull_memory_wait_no_more(r);
    if (r->settings->party != NULL)
        ull_party_finish(r->settings->party, &r->member);
    return 1;
}

static int hand_out_body(struct ullage_reader *r, struct ullage_record *out)
{
    const uint8_t *data = r->body != NULL ? ullage_buffer_data(r->body) : nothing;
    if (r->body != NULL)
        r->slow |= ULL_SLOW_OUT;
    return ull_assembler_hand_out(r, out, data, r->announced);
}

/* ---- what RPC says ---- */

static int refuse_header(struct ullage_reader *r, const uint8_t *data, uint64_t bytes)
{
    return ull_refuse(r, -EPROTO, ULL_LIMIT_HEADER, bytes, 0, r->record_offset, data, bytes);
}

/* The cap of the procedure that is called, as far as @bytes of the record at @data show it. */
static uint64_t cap_of(const struct ullage_reader *r, const uint8_t *data, uint64_t bytes)
{
    const struct ull_record_settings *s = r->settings;
    if (s->cap_count == 0)
        return s->max_record_bytes;
    if (bytes < ULL_CALL_BYTES)
        return s->ceiling_bytes;
    if (ull_word(data + 4) != 0 || ull_word(data + 8) != 2)
        return s->max_record_bytes;
    return ull_record_settings_cap(s, ull_word(data + 12), ull_word(data + 16), ull_word(data + 20));
}

/* Of a record that may end before it shows a procedure. */
static uint64_t cap_of_whole(const struct ullage_reader *r, const uint8_t *data, uint64_t bytes)
{
    return bytes < ULL_CALL_BYTES ? r->settings->max_record_bytes : cap_of(r, data, bytes);
}

static void count_refused(const uint8_t *data, uint64_t cap)
{
    ull_count_refused_call(ull_word(data + 12), ull_word(data + 16), ull_word(data + 20), cap);
}

static int check_procedure(struct ullage_reader *r, const uint8_t *data, uint64_t cap)
{
    if (r->announced <= cap)
        return 0;
    bool named = cap != r->settings->max_record_bytes;
    if (named)
        count_refused(data, cap);
    return ull_refuse(r, -EMSGSIZE, named ? ULL_LIMIT_PROCEDURE : ULL_LIMIT_RECORD, r->announced, cap, r->record_offset, data,
        ull_reader_arrived(r));
}

/* Neither a call of RPC version 2 nor a reply. */
static bool is_not_rpc(const uint8_t *data)
{
    uint32_t type = ull_word(data + 4);
    return type == ULLAGE_RPC_CALL ? ull_word(data + 8) != 2 : type != ULLAGE_RPC_REPLY;
}

/* The record is whole at @data. */
static int check_whole(struct ullage_reader *r, const uint8_t *data, uint64_t bytes)
{
    struct ullage_rpc_header ignored;
    bool strict = (r->settings->flags & ULLAGE_READER_RPC) != 0;
    if (strict && bytes >= ULL_CALL_BYTES && is_not_rpc(data))
        return refuse_header(r, data, bytes);
    int error = check_procedure(r, data, cap_of_whole(r, data, bytes));
    if (error == 0 && strict && ullage_rpc_peek(&ignored, data, bytes) != 0)
        error = refuse_header(r, data, bytes);
    return error;
}

/* ---- markers ---- */

/* True: all four bytes of one are in head. */
static bool gather_marker(struct ullage_reader *r)
{
    uint64_t take = ull_min_u64(ULL_MARKER_BYTES - r->head_bytes, window_bytes(r));
    if (take != 0 && r->fragments == 0 && r->head_bytes == 0)
        r->record_offset = ull_reader_offset(r);
    for (uint64_t i = 0; i < take; i++)
        r->head[r->head_bytes++] = *r->at++;
    if (r->head_bytes != 0)
        r->slow |= ULL_SLOW_STARTED;
    return r->head_bytes == ULL_MARKER_BYTES;
}

static int refuse_marker(struct ullage_reader *r, enum ull_limit limit, uint64_t value, uint64_t bound)
{
    uint8_t head[4];
    memcpy(head, r->head, sizeof head);
    if (limit == ULL_LIMIT_PROCEDURE)
        count_refused(ullage_buffer_data(r->body), bound);
    return ull_refuse(r, -EMSGSIZE, limit, value, bound, ull_reader_offset(r) - ULL_MARKER_BYTES, head, sizeof head);
}

static bool are_too_many(const struct ullage_reader *r, uint64_t announced)
{
    const struct ull_record_settings *s = r->settings;
    uint64_t fragments = (uint64_t)r->fragments + 1;
    if (fragments <= s->max_fragments)
        return false;
    return s->min_average_fragment_bytes == UINT32_MAX || fragments >= UINT32_MAX || announced < fragments * s->min_average_fragment_bytes;
}

/* The marker in head: within all limits, or refused. */
static int accept_marker(struct ullage_reader *r)
{
    uint32_t marker = ull_word(r->head), bytes = marker & ULL_FRAGMENT_BYTES_MAX;
    uint64_t announced = (r->fragments == 0 ? 0 : r->announced) + bytes;
    uint64_t arrived = announced - bytes;
    const uint8_t *data = arrived != 0 ? ullage_buffer_data(r->body) : nothing;
    uint64_t cap = cap_of(r, data, arrived);
    if (bytes > r->settings->max_fragment_bytes)
        return refuse_marker(r, ULL_LIMIT_FRAGMENT, bytes, r->settings->max_fragment_bytes);
    if (announced > cap)
        return refuse_marker(r, arrived >= ULL_CALL_BYTES && cap != r->settings->max_record_bytes ? ULL_LIMIT_PROCEDURE : ULL_LIMIT_RECORD, announced, cap);
    if (are_too_many(r, announced))
        return refuse_marker(r, ULL_LIMIT_FRAGMENTS, (uint64_t)r->fragments + 1, r->settings->max_fragments);
    r->announced = announced;
    r->left = bytes;
    r->last = (marker & ULL_MARKER_LAST) != 0;
    r->fragments++;
    r->head_bytes = 0;
    r->in_fragment = true;
    return 0;
}

/* ---- fragments ---- */

/* All that the chunk still has is of this record, which has nothing yet: it need not go to another buffer. */
static bool may_adopt(const struct ullage_reader *r, uint64_t take)
{
    return r->body == NULL && r->chunk != NULL && take != 0 && take == window_bytes(r) && ull_reader_arrived(r) == 0;
}

static int append(struct ullage_reader *r, uint64_t take)
{
    uint64_t arrived = ull_reader_arrived(r);
    if (may_adopt(r, take)) {
        ull_memory_adopt(r);
    } else if (take != 0) {
        int error = ull_memory_body(r, arrived + take, r->announced);
        if (error != 0)
            return error;
        memcpy((uint8_t *)ullage_buffer_data(r->body) + arrived, r->at, take);
    }
    r->at += take;
    r->left -= (uint32_t)take;
    return 0;
}

/* The procedure's number has come, and there is more to come. */
static int check_early(struct ullage_reader *r, uint64_t before)
{
    uint64_t arrived = ull_reader_arrived(r);
    if (before >= ULL_CALL_BYTES || arrived < ULL_CALL_BYTES)
        return 0;
    const uint8_t *data = ullage_buffer_data(r->body);
    if ((r->settings->flags & ULLAGE_READER_RPC) != 0 && is_not_rpc(data))
        return refuse_header(r, data, arrived);
    return check_procedure(r, data, cap_of(r, data, arrived));
}

int ull_assembler_arrived(struct ullage_reader *r, uint64_t before)
{
    return check_early(r, before);
}

static int finish(struct ullage_reader *r, struct ullage_record *out)
{
    const uint8_t *data = r->body != NULL ? ullage_buffer_data(r->body) : nothing;
    int error = check_whole(r, data, r->announced);
    return error != 0 ? error : hand_out_body(r, out);
}

/* The record is one fragment, and all of it is in the window. */
static int finish_in_place(struct ullage_reader *r, struct ullage_record *out)
{
    const uint8_t *data = r->at;
    uint64_t bytes = r->left;
    r->left = 0;
    int error = check_whole(r, bytes != 0 ? data : nothing, bytes);
    if (error != 0)
        return error;
    r->at += bytes;
    return ull_assembler_hand_out(r, out, bytes != 0 ? data : nothing, bytes);
}

/* ---- before the first record ---- */

/* What the hook says of the first @count bytes, which were shown before up to @before. */
static int show_preamble(struct ullage_reader *r, const uint8_t *bytes, uint64_t count, uint64_t before)
{
    ssize_t used = r->settings->preamble(r->preamble_ctx, bytes, count);
    if (used == 0 && count < r->settings->max_preamble_bytes)
        return 0;
    if (used > 0 && (uint64_t)used > before && (uint64_t)used <= count) {
        r->at -= count - (uint64_t)used; /* they are the window's last */
        if (r->settings->party != NULL)
            ull_party_finish(r->settings->party, &r->member);
        ull_memory_put_body(r);
        r->announced = 0;
        r->slow &= (uint8_t)~(ULL_SLOW_PREAMBLE | ULL_SLOW_STARTED);
        r->timing = ULL_TIMING_NOT;
        return 1;
    }
    int error = used < 0 ? ull_reader_for_good((int)used) : -EPROTO;
    return ull_refuse(r, error, ULL_LIMIT_PREAMBLE, count, r->settings->max_preamble_bytes, 0, bytes, count);
}

/* 1 it is through, 0 more is needed. Its bytes are gathered in the body, as a record's. */
static int preamble(struct ullage_reader *r)
{
    uint64_t before = r->announced, take = ull_min_u64(window_bytes(r), r->settings->max_preamble_bytes - before);
    if (take == 0)
        return 0;
    int error = ull_memory_body(r, before + take, before + take);
    if (error != 0)
        return error;
    memcpy((uint8_t *)ullage_buffer_data(r->body) + before, r->at, take);
    r->at += take;
    r->announced = before + take;
    r->slow |= ULL_SLOW_STARTED;
    return show_preamble(r, ullage_buffer_data(r->body), r->announced, before);
}

/* ---- the whole ---- */

int ull_assembler_next_slowly(struct ullage_reader *r, struct ullage_record *out)
{
    int kept_little = r->tiny ? ull_memory_body(r, ull_reader_arrived(r), r->announced) : 0;
    if (kept_little != 0)
        return kept_little;
    for (;;) {
        int error = (r->slow & ULL_SLOW_PREAMBLE) != 0 ? preamble(r) : 1;
        if (error <= 0)
            return error;
        if (!r->in_fragment) {
            if (!gather_marker(r))
                return 0;
            error = accept_marker(r);
            if (error < 0)
                return error;
        }
        if (r->fragments == 1 && r->last && r->body == NULL && window_bytes(r) >= r->left)
            return finish_in_place(r, out);
        if (r->fragments == 1 && !r->last && r->body == NULL && (r->settings->flags & ULLAGE_READER_PIECES) != 0) {
            error = ull_pieces_try(r, out);
            if (error != 0)
                return error;
        }
        uint64_t before = ull_reader_arrived(r);
        error = append(r, ull_min_u64(r->left, window_bytes(r)));
        if (error == 0 && (r->left != 0 || !r->last))
            error = check_early(r, before);
        if (error != 0)
            return error;
        if (r->left != 0)
            return 0;
        if (r->last)
            return finish(r, out);
        r->in_fragment = false;
    }
}

int ull_assembler_begin(struct ullage_reader *r)
{
    if (ull_likely((r->slow & (ULL_SLOW_OUT | ULL_SLOW_FAILED)) == 0))
        return 0;
    if ((r->slow & ULL_SLOW_OUT) != 0) {
        r->slow &= (uint8_t)~ULL_SLOW_OUT;
        ull_memory_put_body(r);
        r->announced = 0;
    }
    return r->status;
}

int ull_assembler_end(struct ullage_reader *r)
{
    if ((r->slow & ULL_SLOW_STARTED) == 0)
        return 0;
    if ((r->slow & ULL_SLOW_PREAMBLE) != 0)
        return ull_refuse(r, -ECONNRESET, ULL_LIMIT_PREAMBLE, r->announced, r->settings->max_preamble_bytes, ull_reader_offset(r), NULL, 0);
    return ull_refuse(r, -ECONNRESET, ULL_LIMIT_END, r->in_fragment ? r->left : (uint64_t)ULL_MARKER_BYTES - r->head_bytes, r->record_offset,
        ull_reader_offset(r), NULL, 0);
}
