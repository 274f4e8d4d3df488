/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * memory.c - the two buffers of a reader, and what its budget is charged for them.
 *
 * The chunk is where a read goes when nothing of a record is there; it follows the size of earlier reads, and is given back before
 * the reader waits. The body holds the part of a record that has come. While a call reads, both may be larger than that (the next
 * record is read to a body as large as the last one); when it returns without a record, a body has at most twice what has
 * arrived and a size class. A copy is charged beside what it is copied from.
 */
#include "config.h"

#include "record/reader.h"

#include "base/arith.h"
#include "buffer/charge.h"
#include "ledger/format.h"
#include "ullage/alloc.h"

#include <errno.h>
#include <string.h>

/* ---- charging ---- */

/* 0, or what the reader fails with; -ENOBUFS: not now. */
static int charge(struct ullage_reader *r, uint64_t bytes)
{
    struct ull_party *party = r->settings->party;
    int error = 0;
    if (party != NULL)
        error = ull_party_charge(party, &r->member, bytes, ull_memory_room(r->body));
    else
        r->member.charged += bytes;
    if (error == 0)
        ull_count_held((int64_t)bytes);
    return error;
}

void ull_memory_wait_no_more(struct ullage_reader *r)
{
    if (!r->member.waiting)
        return;
    ull_party_wait_no_more(r->settings->party, &r->member);
    if (r->status == 0)
        ull_refusal_forget(r);
}

static void release(struct ullage_reader *r, uint64_t bytes)
{
    if (r->settings->party != NULL)
        ull_party_release(r->settings->party, &r->member, bytes);
    else
        r->member.charged -= bytes;
    ull_count_held(-(int64_t)bytes);
}

uint64_t ull_memory_room(const struct ullage_buffer *b)
{
    return b != NULL ? ullage_buffer_capacity(b) : 0;
}

bool ull_memory_is_over_share(const struct ullage_reader *r)
{
    const struct ull_party *party = r->settings->party;
    return party != NULL && ull_party_is_over_share(party, &r->member, ull_memory_room(r->body));
}

int ull_memory_refuse_share(struct ullage_reader *r)
{
    uint64_t max = ullage_budget_max(ull_party_budget(r->settings->party));
    return ull_refuse(r, -ENOBUFS, ULL_LIMIT_SHARE, ull_memory_room(r->body), max, ull_reader_offset(r), NULL, 0);
}

static const struct ullage_site *body_site(void)
{
    static struct ullage_site site = { "sunrpc record", "ullage_reader_body", 0, 0 };
    return &site;
}

static const struct ullage_site *chunk_site(void)
{
    static struct ullage_site site = { "sunrpc record", "ullage_reader_chunk", 0, 0 };
    return &site;
}

/* A buffer whose room is charged. NULL and *error. */
static struct ullage_buffer *get(struct ullage_reader *r, const struct ullage_site *site, uint64_t bytes, int *error)
{
    uint64_t room = ull_buffer_room_for(bytes);
    *error = charge(r, room);
    if (*error != 0)
        return NULL;
    int kept = errno;
    struct ullage_buffer *b = ullage_buffer_get_at(site, bytes);
    if (b == NULL) {
        *error = -errno;
        release(r, room);
    }
    errno = kept;
    return b;
}

static void put(struct ullage_reader *r, struct ullage_buffer **b, uint64_t used)
{
    uint64_t room = ull_memory_room(*b);
    ullage_buffer_put(*b, used);
    *b = NULL;
    release(r, room);
}

/* ---- refusals ---- */

int ull_memory_refuse(struct ullage_reader *r, int error, uint64_t bytes)
{
    struct ull_party *party = r->settings->party;
    uint64_t max = party != NULL ? ullage_budget_max(ull_party_budget(party)) : 0, held = r->member.charged;
    uint64_t offset = ull_reader_offset(r);
    if (error == ULL_OVER_SHARE)
        return ull_memory_refuse_share(r);
    if (error == -ENOBUFS) {
        ull_party_wait(party, &r->member);
        return ull_refuse(r, error, ULL_LIMIT_WAITS, bytes, max, offset, NULL, 0);
    }
    if (error == -EMSGSIZE)
        return ull_refuse(r, error, ULL_LIMIT_BUDGET, held + bytes, max, offset, NULL, 0);
    return ull_refuse(r, error, ULL_LIMIT_MEMORY, bytes, 0, offset, NULL, 0);
}

/* ---- the chunk ---- */

int ull_memory_chunk(struct ullage_reader *r, uint64_t bytes)
{
    int error;
    r->chunk = get(r, chunk_site(), bytes, &error);
    if (error == -ENOBUFS || error == -EMSGSIZE)
        r->chunk = get(r, chunk_site(), 1, &error);
    return error;
}

void ull_memory_change_chunk(struct ullage_reader *r, uint64_t bytes)
{
    int error;
    uint64_t here = (uint64_t)(r->end - r->at);
    struct ullage_buffer *b = get(r, chunk_site(), bytes, &error);
    if (b == NULL)
        return;
    memcpy(ullage_buffer_data(b), r->at, here);
    ull_reader_window(r, ullage_buffer_data(b), here);
    put(r, &r->chunk, ull_memory_room(r->chunk));
    r->chunk = b;
}

void ull_memory_put_chunk(struct ullage_reader *r)
{
    if (r->chunk == NULL)
        return;
    ull_reader_no_window(r);
    put(r, &r->chunk, ull_memory_room(r->chunk));
}

void ull_memory_adopt(struct ullage_reader *r)
{
    uint8_t *data = ullage_buffer_data(r->chunk);
    uint64_t bytes = (uint64_t)(r->end - r->at);
    if (data != r->at)
        memmove(data, r->at, bytes);
    ull_reader_window(r, data, bytes);
    ullage_note_used(data, ull_memory_room(r->chunk)); /* other records were there */
    r->body = r->chunk;
    r->chunk = NULL;
}

/* ---- the body ---- */

void ull_memory_put_body(struct ullage_reader *r)
{
    if (r->body != NULL)
        put(r, &r->body, ull_min_u64(ull_reader_arrived(r), ull_memory_room(r->body)));
}

/* The most that a buffer of at most @limit bytes of memory can be asked for, roughly: classes are a quarter apart, or a MiB. */
static uint64_t fitting(uint64_t limit)
{
    uint64_t bytes = limit;
    if (limit > UINT64_C(1) << ULL_CLASS_MAX_BITS)
        return ull_round_down(limit, UINT64_C(1) << 20);
    while (ull_buffer_room_for(bytes) > limit)
        bytes = bytes / 4 * 3;
    return bytes;
}

/* A body of at most that for what has arrived, once a call returns. */
static uint64_t most_for(uint64_t arrived)
{
    return 2 * arrived + (UINT64_C(1) << ULL_CLASS_MIN_BITS);
}

/* How much to ask for where @least is needed now and the record has @wish, as far as it is announced. */
static uint64_t ask_for(const struct ullage_reader *r, uint64_t least, uint64_t wish)
{
    uint64_t bytes = fitting(most_for(least));
    if (r->reads)
        bytes = ull_max_u64(bytes, ull_max_u64(r->expected, r->settings->chunk_bytes));
    bytes = ull_min_u64(bytes, wish);
    if (!r->reads && ull_buffer_room_for(bytes) > most_for(least))
        bytes = least;
    return ull_max_u64(bytes, least);
}

static void move_body(struct ullage_reader *r, struct ullage_buffer *to, uint64_t arrived)
{
    if (arrived != 0)
        memcpy(ullage_buffer_data(to), r->tiny ? ull_reader_little(r) : ullage_buffer_data(r->body), arrived);
    if (r->tiny)
        memset(ull_reader_little(r), 0, ULL_LITTLE_BYTES);
    r->tiny = false;
    if (r->body != NULL)
        put(r, &r->body, arrived);
    r->body = to;
}

int ull_memory_body(struct ullage_reader *r, uint64_t least, uint64_t wish)
{
    int error = 0;
    if (ull_memory_room(r->body) >= least)
        return 0;
    if (r->settings->party != NULL)
        ull_party_start(r->settings->party, &r->member);
    uint64_t bytes = ask_for(r, least, wish);
    struct ullage_buffer *b = get(r, body_site(), bytes, &error);
    if (b == NULL && (error == -ENOBUFS || error == -EMSGSIZE) && ull_buffer_room_for(bytes) > ull_buffer_room_for(least))
        b = get(r, body_site(), bytes = least, &error);
    if (b == NULL)
        return ull_memory_refuse(r, error, ull_buffer_room_for(bytes));
    move_body(r, b, ull_reader_arrived(r));
    ull_memory_wait_no_more(r);
    return 0;
}

/* Into a smaller one. Where the budget has no room for both, the copy is not charged beside the old one. */
static void shrink_body(struct ullage_reader *r, uint64_t bytes, uint64_t arrived)
{
    int error, kept = errno;
    struct ullage_buffer *b = get(r, body_site(), bytes, &error);
    if (b != NULL) {
        move_body(r, b, arrived);
        return;
    }
    uint64_t before = ull_memory_room(r->body), room = ull_buffer_room_for(bytes);
    if (error != -ENOMEM && error != -EDEADLK)
        b = ullage_buffer_get_at(body_site(), bytes);
    errno = kept;
    if (b == NULL)
        return;
    memcpy(ullage_buffer_data(b), ullage_buffer_data(r->body), arrived);
    ullage_buffer_put(r->body, arrived);
    r->body = b;
    release(r, before - room);
}

/* Without a body it holds nothing that others could wait for. */
static void keep_little(struct ullage_reader *r, uint64_t arrived)
{
    ull_count_flush(r);
    if (arrived != 0)
        memcpy(ull_reader_little(r), ullage_buffer_data(r->body), arrived);
    r->tiny = arrived != 0;
    if (r->settings->party != NULL)
        ull_party_finish(r->settings->party, &r->member);
    ull_memory_put_body(r);
}

void ull_memory_settle(struct ullage_reader *r)
{
    ull_memory_put_chunk(r);
    if (r->body == NULL)
        return;
    uint64_t arrived = ull_reader_arrived(r), most = most_for(arrived);
    if (arrived <= ULL_LITTLE_BYTES) {
        keep_little(r, arrived);
        return;
    }
    if (ull_memory_room(r->body) <= most)
        return;
    uint64_t bytes = ull_max_u64(arrived, ull_min_u64(fitting(most), r->announced));
    if (ull_buffer_room_for(bytes) > most)
        bytes = arrived;
    if (ull_buffer_room_for(bytes) < ull_memory_room(r->body))
        shrink_body(r, bytes, arrived);
}

/* ---- records that are taken ---- */

void ull_memory_hand_over(struct ullage_reader *r, struct ullage_buffer *b)
{
    uint64_t room = ull_memory_room(b);
    if (r->settings->party != NULL)
        ull_buffer_charge(b, ull_party_budget(r->settings->party));
    r->member.charged -= room;
    ull_count_held(-(int64_t)room);
}

struct ullage_buffer *ull_memory_extra(struct ullage_reader *r, uint64_t bytes, int *error)
{
    struct ullage_buffer *b = get(r, body_site(), bytes != 0 ? bytes : 1, error);
    if (*error == ULL_OVER_SHARE)
        *error = -ENOBUFS;
    return b;
}
