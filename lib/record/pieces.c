/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pieces.c - records that stay where they lie, though in several fragments: for who asked for that (ULLAGE_READER_PIECES).
 *
 * Only a record that is whole in the window, within every limit, and not in crumbs. Any other one is assembled, which is also where it
 * is refused: nothing is decided here twice.
 */
#include "config.h"

#include "record/reader.h"

enum { PIECES_MAX = 256 }; /* our choice: a quarter of IOV_MAX, 4 KiB of struct iovec */

/* Walks over the record that begins with the fragment of @left bytes at @at; fills @pieces if it is not NULL. How many there are; 0: none. */
static int walk(const struct ullage_reader *r, struct iovec *pieces, unsigned *fragments, uint64_t *bytes)
{
    const uint8_t *at = r->at;
    uint64_t left = r->left, avail = (uint64_t)(r->end - at);
    bool last = r->last;
    int count = 0;
    *fragments = 1;
    *bytes = left;
    for (;;) {
        if (left > avail || (left != 0 && count == PIECES_MAX))
            return 0;
        if (left != 0 && pieces != NULL)
            pieces[count] = (struct iovec) { (void *)(uintptr_t)at, left };
        count += left != 0;
        if (last)
            return count;
        avail -= left;
        if (avail < ULL_MARKER_BYTES)
            return 0;
        uint32_t marker = ull_word(at + left);
        at += left + ULL_MARKER_BYTES;
        avail -= ULL_MARKER_BYTES;
        left = marker & ULL_FRAGMENT_BYTES_MAX;
        last = (marker & ULL_MARKER_LAST) != 0;
        *bytes += left;
        if (left > r->settings->max_fragment_bytes || *bytes > r->settings->quick_bytes || ++*fragments > r->settings->max_fragments)
            return 0;
    }
}

int ull_pieces_try(struct ullage_reader *r, struct ullage_record *out)
{
    unsigned fragments;
    uint64_t bytes;
    int count = r->left >= ULL_CALL_BYTES && r->settings->quick ? walk(r, NULL, &fragments, &bytes) : 0;
    if (count < 2)
        return 0;
    const uint8_t *first = r->at;
    uint64_t whole = bytes + (uint64_t)(fragments - 1) * ULL_MARKER_BYTES;
    r->announced = r->left; /* nothing of it is in the body, which is for the pieces */
    int error = ull_memory_body(r, (uint64_t)count * sizeof(struct iovec), (uint64_t)count * sizeof(struct iovec));
    if (error != 0)
        return error;
    struct iovec *pieces = ullage_buffer_data(r->body);
    (void)walk(r, pieces, &fragments, &bytes);
    r->at += whole;
    r->left = 0;
    r->announced = bytes;
    r->fragments = fragments;
    r->slow |= ULL_SLOW_OUT;
    ull_assembler_hand_out(r, out, first, bytes);
    out->data = NULL;
    out->pieces = pieces;
    out->piece_count = count;
    return 1;
}
