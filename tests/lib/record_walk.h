/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * record_walk.h - where in a stream of records a reader is that has been given so many of its bytes; and what it said.
 *
 * The walk knows markers and nothing else, no limit above all: what it says holds until the stream is refused.
 */
#ifndef ULL_TESTS_RECORD_WALK_H
#define ULL_TESTS_RECORD_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct record_walk {
    uint64_t at;           /* bytes gone over */
    uint64_t start;        /* of the record that is not whole, or of the next */
    uint64_t body;         /* bytes of that record so far, without markers */
    uint64_t records;      /* that are whole */
    uint64_t left;         /* of the fragment */
    uint32_t marker;
    unsigned marker_bytes; /* 0 to 4: all are there, and the fragment is not */
};

/* Nothing of a record is there. */
static inline bool record_walk_is_between(const struct record_walk *w)
{
    return w->at == w->start;
}

static inline void record_walk_end_fragment(struct record_walk *w)
{
    w->marker_bytes = 0;
    if (w->marker >> 31 == 0)
        return;
    w->records++;
    w->start = w->at;
    w->body = 0;
}

static inline void record_walk_over(struct record_walk *w, const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count;) {
        if (w->marker_bytes < 4) {
            w->marker = w->marker << 8 | bytes[i++];
            w->at++;
            if (++w->marker_bytes < 4)
                continue;
            w->left = w->marker & 0x7fffffff;
        }
        size_t step = w->left < count - i ? (size_t)w->left : count - i;
        i += step;
        w->at += step;
        w->body += step;
        w->left -= step;
        if (w->left == 0)
            record_walk_end_fragment(w);
    }
}

/* ---- what was read ---- */

struct told_record {
    uint64_t index, offset, bytes;
    uint32_t fragments, adler32;
};

/* All that a reader, or the oracle, says of a stream. */
struct told {
    struct told_record *records;
    size_t count, room;
    int error; /* 0 or negative errno */
    uint64_t error_offset;
    uint64_t known_at; /* the oracle's: with so many bytes there it has to be said */
};

static inline void told_add(struct told *t, const struct told_record *record)
{
    if (t->count == t->room) {
        t->room = t->room == 0 ? 64 : 2 * t->room;
        t->records = realloc(t->records, t->room * sizeof *t->records);
        if (t->records == NULL)
            abort();
    }
    t->records[t->count++] = *record;
}

/* RFC 1950, section 8.2; begin with 1. By 16 bytes, because it is most of what a run costs. */
static inline uint32_t adler32(uint32_t sum, const uint8_t *bytes, size_t count)
{
    uint32_t a = sum & 0xffff, b = sum >> 16;
    while (count > 0) {
        size_t some = count < 5552 ? count : 5552; /* the most that 32 bits hold unreduced */
        count -= some;
        for (; some >= 16; some -= 16, bytes += 16) {
            uint32_t plain = 0, weighed = 0;
            for (uint32_t i = 0; i < 16; i++) {
                plain += bytes[i];
                weighed += (16 - i) * bytes[i];
            }
            b += 16 * a + weighed;
            a += plain;
        }
        for (; some > 0; some--)
            b += a += *bytes++;
        a %= 65521;
        b %= 65521;
    }
    return b << 16 | a;
}

static inline bool told_record_equal(const struct told_record *a, const struct told_record *b)
{
    return a->index == b->index && a->offset == b->offset && a->bytes == b->bytes && a->fragments == b->fragments
        && a->adler32 == b->adler32;
}

static inline bool told_equal(const struct told *a, const struct told *b)
{
    if (a->count != b->count || a->error != b->error || (a->error != 0 && a->error_offset != b->error_offset))
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (!told_record_equal(&a->records[i], &b->records[i]))
            return false;
    return true;
}

#endif
