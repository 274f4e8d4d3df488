/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * live.h - the buffers that the program holds now: found by address, published in the ledger.
 *
 * Each is kept twice: in private memory, which free() searches and which a forked child inherits as it was at that
 * instant, and in the ledger, where readers see it. Sixteen shards by address, each with a lock. In front of them
 * stands a filter, read on every free() of the program: one byte a slot, not 0 if a recorded address may hash there.
 */
#ifndef ULL_LEDGER_LIVE_H
#define ULL_LEDGER_LIVE_H

#include "base/atomic.h"
#include "ledger/writer.h"

enum { ULL_LIVE_SHARDS = 16 };

struct ull_live_buffer {
    uint64_t address; /* 0: empty slot */
    uint64_t bytes;
    uint64_t stale_end, stale_bytes; /* see lib/pages/span.h */
    uint64_t born_monotonic_ns;
    int64_t entry; /* index in the ledger's live table; -1: none */
    uint64_t used_so_far; /* largest reading yet: pages that were given back no longer show */
    uint32_t site;
    uint32_t weight;
    uint32_t flags; /* enum ull_live_flags */
    uint32_t tail_sum;
    uint32_t generation; /* of the table: a forked child does not know its parent's sites by their index */
};

/* Followed by its slots. */
struct ull_live_filter {
    uint32_t shift;
    uint32_t count;
};

enum { ULL_LIVE_FILTER_BITS = 12 }; /* 4 KiB at first: fits in L1 beside the program's own data */

/* What a table begins with, also before it is set up: free() need not ask. One table a process uses it. */
struct ull_live_small_filter {
    struct ull_live_filter head;
    uint8_t slots[1 << ULL_LIVE_FILTER_BITS];
};
extern struct ull_live_small_filter ull_live_first_filter __attribute__((visibility("hidden")));

struct ull_live_shard {
    pthread_mutex_t lock;
    struct ull_live_buffer *slots; /* open addressing by address */
    uint64_t capacity, count;
    uint32_t *free_entries; /* of the ledger's table, given back by this shard */
    uint64_t free_capacity, free_count;
};

struct ull_live {
    struct ull_ledger *ledger;      /* NULL: nothing is published */
    struct ull_live_filter *filter; /* atomic, never NULL */
    uint64_t total;                 /* atomic */
    uint32_t generation;            /* goes up in each forked child; atomic */
    struct ull_live_shard shards[ULL_LIVE_SHARDS];
};

void ull_live_init(struct ull_live *live, struct ull_ledger *ledger);
void ull_live_fini(struct ull_live *live);

static inline uint64_t ull_live_filter_index(const struct ull_live_filter *filter, uint64_t address)
{
    return ((address >> 4) * UINT64_C(0x9e3779b97f4a7c15)) >> filter->shift;
}

/* False: @address is surely not here. The only part that every free() of the program pays for. Threads: any. */
static inline bool ull_live_may_have(const struct ull_live *live, const void *address)
{
    const struct ull_live_filter *filter = ull_load_acquire(&live->filter);
    const uint8_t *slots = (const uint8_t *)(filter + 1);
    return __builtin_expect(ull_load_relaxed(&slots[ull_live_filter_index(filter, (uintptr_t)address)]) != 0, 0);
}

/*
 * Adds a buffer and publishes it. An older one at the same address, whose free was not seen, is moved to *replaced and
 * true is returned in *had_older. 0; -ENOMEM or -EAGAIN (a lock could not be had): not added. Threads: any.
 */
int ull_live_insert(
    struct ull_live *live, const struct ull_live_buffer *buffer, struct ull_live_buffer *replaced, bool *had_older);

enum ull_live_found { ULL_LIVE_ABSENT, ULL_LIVE_REMOVED, ULL_LIVE_BUSY };

/* Takes a buffer out, before its memory is given back. ULL_LIVE_BUSY: no lock to be had, at once if not @wait. */
enum ull_live_found ull_live_remove(struct ull_live *live, uint64_t address, struct ull_live_buffer *out, bool wait);

/*
 * Calls @visit for up to @limit buffers from *cursor on, going round; each with its shard locked, so that it cannot be
 * freed meanwhile. A shard that is locked is left out. Stops when @visit returns false. Returns how many were visited.
 */
unsigned ull_live_visit(struct ull_live *live, uint64_t *cursor, unsigned limit,
    bool (*visit)(void *context, struct ull_live_buffer *buffer), void *context);

/* Publishes a reading of a live buffer; the larger of two uses stays. The caller visits it. */
void ull_live_publish_reading(struct ull_live *live, struct ull_live_buffer *buffer, uint64_t used, uint64_t touched,
    uint64_t resident, uint64_t how);

/* The buffer's use can no longer be known, because its pages were given back. The caller visits it. */
void ull_live_publish_unknowable(struct ull_live *live, struct ull_live_buffer *buffer);

/*
 * In a forked child: nothing is published any more. A shard that another thread was changing is emptied: nothing is
 * locked around fork(2), because the handlers of others run in between, and may wait for one who waits for us.
 */
void ull_live_after_fork_child(struct ull_live *live);
/* Publishes what was inherited in a ledger of the child's own; @map turns the site of each into one of that ledger. */
void ull_live_take_over(struct ull_live *live, struct ull_ledger *ledger,
    uint32_t (*map)(void *context, const struct ull_live_buffer *buffer), void *context);

#endif
