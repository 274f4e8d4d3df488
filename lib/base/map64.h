/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * map64.h - 64-bit keys to 64-bit values; lookups without a lock, insertions under the caller's.
 *
 * For tables that only grow. Memory comes from mmap, never from malloc, and a table that was outgrown is kept until
 * fini, because a lookup may still be in it: all of them together are smaller than the current one.
 */
#ifndef ULL_BASE_MAP64_H
#define ULL_BASE_MAP64_H

#include <stdbool.h>
#include <stdint.h>

struct ull_map64_table;

struct ull_map64 {
    struct ull_map64_table *table; /* atomic; NULL until the first insertion */
    uint64_t count;
};

/* True and *value set if @key is there. Threads: any, at any time. A lookup beside an insertion may miss it. */
bool ull_map64_find(const struct ull_map64 *map, uint64_t key, uint64_t *value);

/* Adds @key, which must not be there, with @value, which is not 0. 0 or -ENOMEM. Threads: one at a time. */
int ull_map64_insert(struct ull_map64 *map, uint64_t key, uint64_t value);

/*
 * Forgets every key but keeps the memory. Threads: as insert. A lookup under way finds its key or nothing, provided no
 * value is 0: that is what it sees in a slot that was emptied under it, and takes for nothing.
 */
void ull_map64_clear(struct ull_map64 *map);

/* Frees everything; no lookup may be under way. The map is empty again. */
void ull_map64_fini(struct ull_map64 *map);

#endif
