/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * chain.c - windows in a row: a ring that doubles when it is full.
 *
 *        head           head + count
 *          v               v
 *   |      | a | b | c | d |      |        capacity, a power of two
 *
 * Append and what consume does for a window cost the same however long the chain is. The first sixteen places lie in the
 * chain itself, so that most chains are one allocation, of the smallest size class.
 *
 * A chain is the program's, made and destroyed in the course of its work, and not a book that the library keeps about it:
 * so its memory is a buffer of ullage_malloc_at(), which shares magazines and bounds with all others, is counted, and shows
 * in the report where a program keeps too many. Its place is one static site for all chains, and not ULLAGE_HERE, whose
 * file would be a path of the machine that built the library.
 */
#include "config.h"

#include "ullage/buffer.h"

#include <errno.h>

enum { FIRST_PLACES = 16 };

struct ullage_chain {
    struct ullage_slice *ring; /* first[], or a buffer of its own */
    size_t capacity, head, count;
    size_t bytes;
    struct ullage_slice first[FIRST_PLACES];
};
_Static_assert(sizeof(struct ullage_chain) <= 512, "a chain fits the smallest size class");

static struct ullage_site chain_site = { "lib/buffer/chain.c", "ullage_chain", __LINE__, 0 };

/* The program's errno stays: the error is returned. */
static void *get_memory(size_t bytes, int *error)
{
    int kept = errno;
    void *memory = ullage_malloc_at(&chain_site, bytes);
    *error = memory != NULL ? 0 : -errno;
    errno = kept;
    return memory;
}

static struct ullage_slice *place(const struct ullage_chain *chain, size_t number)
{
    return &chain->ring[(chain->head + number) & (chain->capacity - 1)];
}

static void free_ring(struct ullage_chain *chain)
{
    if (chain->ring != chain->first)
        ullage_free_used(chain->ring, chain->capacity * sizeof chain->ring[0]);
}

int ullage_chain_create(struct ullage_chain **out)
{
    int error;
    struct ullage_chain *chain = get_memory(sizeof *chain, &error);
    if (chain == NULL)
        return error;
    *chain = (struct ullage_chain) { .ring = chain->first, .capacity = FIRST_PLACES };
    *out = chain;
    return 0;
}

void ullage_chain_destroy(struct ullage_chain *chain)
{
    if (chain == NULL)
        return;
    for (size_t i = 0; i < chain->count; i++)
        ullage_slice_put(place(chain, i));
    free_ring(chain);
    ullage_free_used(chain, sizeof *chain);
}

static int make_room(struct ullage_chain *chain)
{
    int error = 0;
    if (chain->count < chain->capacity)
        return 0;
    size_t capacity = chain->capacity * 2;
    struct ullage_slice *grown = get_memory(capacity * sizeof grown[0], &error);
    if (grown == NULL)
        return error;
    for (size_t i = 0; i < chain->count; i++)
        grown[i] = *place(chain, i);
    free_ring(chain);
    chain->ring = grown;
    chain->capacity = capacity;
    chain->head = 0;
    return 0;
}

/* A window without bytes is not kept: writev(2) never returns anything for it, so that nothing would take it away. */
int ullage_chain_append(struct ullage_chain *chain, struct ullage_slice *slice)
{
    if (slice->bytes == 0) {
        ullage_slice_put(slice);
        return 0;
    }
    int error = make_room(chain);
    if (error != 0)
        return error;
    *place(chain, chain->count++) = *slice;
    chain->bytes += slice->bytes;
    *slice = (struct ullage_slice) { NULL, NULL, 0 };
    return 0;
}

size_t ullage_chain_bytes(const struct ullage_chain *chain)
{
    return chain->bytes;
}

int ullage_chain_iovec(const struct ullage_chain *chain, struct iovec *iov, int room)
{
    int filled = 0;
    for (; filled < room && (size_t)filled < chain->count; filled++) {
        const struct ullage_slice *slice = place(chain, (size_t)filled);
        iov[filled] = (struct iovec) { slice->data, slice->bytes };
    }
    return filled;
}

static void drop_first(struct ullage_chain *chain)
{
    ullage_slice_put(place(chain, 0));
    chain->head = (chain->head + 1) & (chain->capacity - 1);
    chain->count--;
}

int ullage_chain_consume(struct ullage_chain *chain, size_t bytes)
{
    if (bytes > chain->bytes)
        return -ERANGE;
    chain->bytes -= bytes;
    while (bytes > 0) {
        struct ullage_slice *first = place(chain, 0);
        size_t taken = bytes < first->bytes ? bytes : first->bytes;
        first->data = (char *)first->data + taken;
        first->bytes -= taken;
        bytes -= taken;
        if (first->bytes == 0)
            drop_first(chain);
    }
    return 0;
}
