/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reader.h - what a reader is, for the files that make it.
 *
 *   descriptor, callback --fill.c--> chunk --+
 *                            |               +--assembler.c--> record, in place or from the body
 *   feed(): caller's bytes --|---------------+
 *                            +--> body: a large fragment is read to where it stays
 *
 * [at, end) is the window: bytes that arrived and were not looked at, in the chunk or in the caller's memory. The body holds what has
 * arrived of a record that is not whole in the window. memory.c takes both from the allocator, charges the budget, and makes the body
 * grow and shrink with what has arrived. clock.c knows deadlines, refuse.c what is said of a failure, count.c what the ledger is told.
 */
#ifndef ULL_RECORD_READER_H
#define ULL_RECORD_READER_H

#include "base/check.h"
#include "record/count.h"
#include "record/marker.h"
#include "record/party.h"
#include "record/settings.h"
#include "ullage/record.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* From here up a fragment is read to where it stays, and a reader expects the next to be like the last. Our choice: half a chunk. */
enum { ULL_LARGE_BYTES = 32 * 1024 };

/* Why the next record takes the long way; 0: it is looked for in the window at once. */
enum ull_reader_slow {
    ULL_SLOW_FAILED = 1,
    ULL_SLOW_PREAMBLE = 2,
    ULL_SLOW_STARTED = 4, /* a part of a record has come: a marker, or some of it */
    ULL_SLOW_OUT = 8,     /* the record that is out lies in the body */
    ULL_SLOW_ALWAYS = 16, /* each header is looked at */
};

enum ull_timing { ULL_TIMING_NOT, ULL_TIMING_IDLE, ULL_TIMING_RECORD };

struct ull_refusal;

struct ullage_reader {
    const uint8_t *at, *end;
    const struct ull_record_settings *settings;
    uint64_t shift; /* offset of a byte of the window in the stream = shift + its address */
    uint64_t index; /* records so far */
    struct ull_run run;
    uint8_t slow;   /* enum ull_reader_slow */
    uint8_t head_bytes; /* of head[] */
    uint8_t chunk_bits; /* logarithm of the next chunk's bytes */
    bool last;          /* the fragment that is being read is the record's last */
    bool in_fragment;   /* its marker was read: @left bytes are to come */
    bool is_not_socket;
    bool taken;         /* what the last call handed out */
    uint8_t timing;     /* enum ull_timing; beside taken, because both are written for each record */
    bool stalled;       /* counted as such */
    bool expects_one;   /* that record was one fragment */
    bool tiny;          /* what has come of the record is so little that it lies where the run was: see ull_reader_little() */
    bool reads;         /* this call reads by itself: until it returns, it may hold more than has arrived */
    int32_t status;     /* what it failed with */
    uint8_t head[4];    /* of a marker that came in parts */
    uint32_t left;      /* bytes of the fragment that are to come */
    uint32_t fragments; /* of the record, so far */
    uint32_t expected;  /* bytes of the last record, if it came in large fragments; else 0 */
    struct ullage_buffer *chunk, *body;
    uint64_t announced; /* by the record's markers so far; the preamble: bytes in the body */
    union {
        uint64_t record_offset; /* of its first marker */
        void *preamble_ctx;     /* before the first record */
    };
    uint64_t timed_ns;  /* when what is timed began */
    struct ull_member member; /* of the party of its budget; charged also where there is none */
    struct ull_refusal *refusal; /* NULL: none, or no memory for it */
};
_Static_assert(sizeof(struct ullage_reader) <= 192, "with its share of a live profile, a connection that is idle costs 256 bytes");

/* The beginning of a record that waits for its rest, and is too little for a buffer: in place of the run, of which nothing is left to count then. */
enum { ULL_LITTLE_BYTES = 32 };
_Static_assert(offsetof(struct ull_run, counted_index) == ULL_LITTLE_BYTES, "what a run is made of");

static inline void *ull_reader_little(struct ullage_reader *r)
{
    return &r->run;
}

/* Bytes of the record that have come, and lie in the body unless all of it is in the window, or so little that it is in place of the run. */
static inline uint64_t ull_reader_arrived(const struct ullage_reader *r)
{
    return r->announced - r->left;
}

/* ---- assembler.c: pure; bytes of the window in, records out ---- */

/* 1 a record in @out; 0 the window is empty, and no record is whole; negative errno. */
static inline int ull_assembler_next(struct ullage_reader *r, struct ullage_record *out);
int ull_assembler_next_slowly(struct ullage_reader *r, struct ullage_record *out);
/* A call begins: what the last one handed out goes. 0, or what the reader failed with. */
int ull_assembler_begin(struct ullage_reader *r);
/* The record is whole: its state ends, it is counted. 1. */
int ull_assembler_hand_out(struct ullage_reader *r, struct ullage_record *out, const uint8_t *data, uint64_t bytes);
/* The stream has ended. 0, -ECONNRESET. */
int ull_assembler_end(struct ullage_reader *r);

static inline uint64_t ull_reader_offset(const struct ullage_reader *r)
{
    return r->shift + (uintptr_t)r->at;
}

/* A record that is one fragment, whole in the window, within every cap: the hot path. It is not counted yet. */
static inline __attribute__((always_inline)) bool ull_assembler_next_quickly(struct ullage_reader *r, struct ullage_record *out)
{
    const uint8_t *at = r->at;
    const struct ull_record_settings *settings = r->settings;
    uint64_t avail = (uint64_t)(r->end - at);
    if (ull_unlikely(r->slow != 0 || avail < ULL_MARKER_BYTES))
        return false;
    uint32_t marker = ull_word(at), bytes = marker & ULL_FRAGMENT_BYTES_MAX;
    if (ull_unlikely((marker & ULL_MARKER_LAST) == 0 || bytes > settings->quick_bytes || bytes > avail - ULL_MARKER_BYTES))
        return false;
    r->at = at + ULL_MARKER_BYTES + bytes;
    r->taken = false;
    r->timing = ULL_TIMING_NOT;
    out->data = at + ULL_MARKER_BYTES;
    out->bytes = bytes;
    out->fragments = 1;
    out->index = r->index++;
    out->offset = r->shift + (uintptr_t)at;
    out->pieces = NULL;
    out->piece_count = 0;
    return true;
}

/* Counts it. 1. Called last, with nothing to keep, so that the hot path saves no register. */
static inline __attribute__((always_inline)) int ull_assembler_count(struct ullage_reader *r, const struct ullage_record *record)
{
    if (ull_unlikely(!r->settings->counts) || ull_likely(ull_count_run(&r->run, record->data, record->bytes)))
        return 1;
    return ull_count_other(r, record->data, record->bytes);
}

static inline __attribute__((always_inline)) int ull_assembler_next(struct ullage_reader *r, struct ullage_record *out)
{
    return ull_likely(ull_assembler_next_quickly(r, out)) ? ull_assembler_count(r, out) : ull_assembler_next_slowly(r, out);
}

/* What a hook of the program failed with: none of the errors after which a call is repeated. */
static inline int ull_reader_for_good(int error)
{
    return error == -EAGAIN || error == -EINTR || error == -ENOBUFS ? -EINVAL : error;
}

/* Bytes at @from arrived, and are looked at next. The window is empty. */
static inline void ull_reader_window(struct ullage_reader *r, const void *from, uint64_t bytes)
{
    uint64_t offset = ull_reader_offset(r);
    r->at = from;
    r->end = r->at + bytes;
    r->shift = offset - (uintptr_t)r->at;
}

/* Bytes were read to the end of the body, where it had @before. 0; -EMSGSIZE: the procedure that they name has a lower cap. */
int ull_assembler_arrived(struct ullage_reader *r, uint64_t before);

/* The window is empty, and in no buffer. */
static inline void ull_reader_no_window(struct ullage_reader *r)
{
    ull_reader_window(r, r->head, 0);
}

/* ---- pieces.c ---- */

/* The record whose first marker was read, if it may stay in pieces: 1, it is in @out; 0 it is to be assembled; negative errno. */
int ull_pieces_try(struct ullage_reader *r, struct ullage_record *out);

/* ---- memory.c ---- */

/* Room for @least bytes in the body, for up to @wish if that can be had. 0, -ENOBUFS, ... as ull_refuse() wants it. */
int ull_memory_body(struct ullage_reader *r, uint64_t least, uint64_t wish);
/* A chunk of @bytes, or of the least that there is. 0; else ull_memory_refuse() is to be told. */
int ull_memory_chunk(struct ullage_reader *r, uint64_t bytes);
/* As ull_refuse() wants it: @error of a charge for @bytes, or of the allocator. */
int ull_memory_refuse(struct ullage_reader *r, int error, uint64_t bytes);
/* Another one, of @bytes, and the window with it; else it stays. */
void ull_memory_change_chunk(struct ullage_reader *r, uint64_t bytes);
void ull_memory_put_chunk(struct ullage_reader *r);
void ull_memory_put_body(struct ullage_reader *r);
/* The chunk, whose last bytes the window has, becomes the body: they go to its beginning. */
void ull_memory_adopt(struct ullage_reader *r);
/* Before a call returns with no record: no chunk, and a body of at most twice what it holds. */
void ull_memory_settle(struct ullage_reader *r);
uint64_t ull_memory_room(const struct ullage_buffer *b);
/* It holds more than its share of a budget that somebody waits for. */
bool ull_memory_is_over_share(const struct ullage_reader *r);
/* For that: -ENOBUFS, for good. */
int ull_memory_refuse_share(struct ullage_reader *r);
/* It got what it was refused, or needs it no more. */
void ull_memory_wait_no_more(struct ullage_reader *r);
/* @b is somebody else's, and what is charged for it comes back when he puts it. */
void ull_memory_hand_over(struct ullage_reader *r, struct ullage_buffer *b);
/* A buffer of its own for the record that is out. NULL and *error. */
struct ullage_buffer *ull_memory_extra(struct ullage_reader *r, uint64_t bytes, int *error);

/* ---- clock.c ---- */

/* A call returns with no record: what is timed is begun, or is over: -ETIMEDOUT. */
int ull_clock_look(struct ullage_reader *r);

/* ---- refuse.c ---- */

enum ull_limit {
    ULL_LIMIT_FRAGMENT, ULL_LIMIT_RECORD, ULL_LIMIT_PROCEDURE, ULL_LIMIT_FRAGMENTS,
    ULL_LIMIT_BUDGET, ULL_LIMIT_SHARE, ULL_LIMIT_WAITS,
    ULL_LIMIT_DEADLINE, ULL_LIMIT_IDLE, ULL_LIMIT_RATE,
    ULL_LIMIT_HEADER, ULL_LIMIT_PREAMBLE, ULL_LIMIT_CLEAN, ULL_LIMIT_END,
    ULL_LIMIT_READ, ULL_LIMIT_MEMORY, ULL_LIMIT_CALLBACK,
    ULL_LIMIT_COUNT
};

/*
 * The reader has failed with @error at a limit: @value against @bound, at @offset of the stream; @bytes are the peer's there. Gives everything
 * back, counts, keeps the sentence. Returns @error. But ULL_LIMIT_WAITS is no failure.
 */
__attribute__((cold)) int ull_refuse(struct ullage_reader *r, int error, enum ull_limit limit, uint64_t value, uint64_t bound, uint64_t offset,
    const void *bytes, uint64_t count);
void ull_refusal_forget(struct ullage_reader *r);

#endif
