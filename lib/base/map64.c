/* SPDX-License-Identifier: BSD-2-Clause */
/* map64.c - open addressing with linear probing; a slot is published by its key, after its value. */
#include "config.h"

#include "base/map64.h"

#include "base/arith.h"
#include "base/atomic.h"
#include "base/sys.h"

#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>

struct slot {
    uint64_t key; /* stored key, never 0; 0: empty */
    uint64_t value;
};

struct ull_map64_table {
    struct ull_map64_table *outgrown;
    uint64_t capacity; /* a power of two */
    struct slot slots[];
};

enum { FIRST_CAPACITY = 128 }; /* 2 KiB */

/* 0 marks an empty slot, so key 0 shares a place with its neighbour 1: keys here are hashes. */
static uint64_t stored_key(uint64_t key)
{
    return key != 0 ? key : 1;
}

static struct slot *probe(struct ull_map64_table *table, uint64_t key)
{
    uint64_t mask = table->capacity - 1, at = ull_mix64(key) & mask;
    for (;; at = (at + 1) & mask) {
        uint64_t seen = ull_load_acquire(&table->slots[at].key);
        if (seen == key || seen == 0)
            return &table->slots[at];
    }
}

bool ull_map64_find(const struct ull_map64 *map, uint64_t key, uint64_t *value)
{
    struct ull_map64_table *table = ull_load_acquire(&map->table);
    if (table == NULL)
        return false;
    struct slot *slot = probe(table, stored_key(key));
    if (ull_load_acquire(&slot->key) == 0)
        return false;
    uint64_t found = ull_load_acquire(&slot->value);
    if (found == 0 || ull_load_acquire(&slot->key) != stored_key(key))
        return false; /* cleared meanwhile */
    *value = found;
    return true;
}

static size_t table_bytes(uint64_t capacity)
{
    return sizeof(struct ull_map64_table) + capacity * sizeof(struct slot);
}

static void put(struct ull_map64_table *table, uint64_t key, uint64_t value)
{
    struct slot *slot = probe(table, key);
    ull_store_relaxed(&slot->value, value);
    ull_store_release(&slot->key, key);
}

static int grow(struct ull_map64 *map)
{
    struct ull_map64_table *old = map->table;
    uint64_t capacity = old == NULL ? FIRST_CAPACITY : old->capacity * 2;
    int error = 0;
    struct ull_map64_table *table
        = ull_sys_mmap(table_bytes(capacity), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0, &error);
    if (table == NULL)
        return -ENOMEM;
    table->outgrown = old;
    table->capacity = capacity;
    for (uint64_t i = 0; old != NULL && i < old->capacity; i++)
        if (old->slots[i].key != 0)
            put(table, old->slots[i].key, old->slots[i].value);
    ull_store_release(&map->table, table);
    return 0;
}

int ull_map64_insert(struct ull_map64 *map, uint64_t key, uint64_t value)
{
    /* At most half full, so that a probe always ends, and soon. */
    if (map->table == NULL || map->count + 1 > map->table->capacity / 2) {
        int error = grow(map);
        if (error != 0)
            return error;
    }
    put(map->table, stored_key(key), value);
    map->count++;
    return 0;
}

void ull_map64_clear(struct ull_map64 *map)
{
    for (uint64_t i = 0; map->table != NULL && i < map->table->capacity; i++) {
        ull_store_release(&map->table->slots[i].value, UINT64_C(0));
        (void)ull_exchange_acq_rel(&map->table->slots[i].key, UINT64_C(0)); /* what is put next comes after it */
    }
    map->count = 0;
}

void ull_map64_fini(struct ull_map64 *map)
{
    for (struct ull_map64_table *table = map->table, *next; table != NULL; table = next) {
        next = table->outgrown;
        ull_sys_munmap(table, table_bytes(table->capacity));
    }
    map->table = NULL;
    map->count = 0;
}
