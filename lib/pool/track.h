/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * track.h - counting by place: who asks for how much, and how much of it was used.
 *
 * A thread counts in shards of its own (ledger/format.h), plain words in the ledger: a get and a put cost a few additions
 * and no lock prefix. What needs all threads' counts together - the peak, the verdict, the size that a place learns - is
 * looked at on slow paths: see ull_track_review().
 */
#ifndef ULL_POOL_TRACK_H
#define ULL_POOL_TRACK_H

#include "base/atomic.h"
#include "ledger/format.h"
#include "ullage/alloc.h"
#include "ullage/site.h"

#include <stdbool.h>

enum { ULL_PLACES_MAX = 1 << 14, ULL_PLACE_UNCOUNTED = 0, ULL_PLACE_OTHER = 1 };

/* A place, in private memory; its index is what blocks hold. 0 is none: nothing is told of it. 1 stands for those that found the table full. */
struct ull_place {
    const char *file, *function; /* our copies; NULL: known by its address */
    const void *address;         /* a return address in it */
    uint64_t hash;
    uint32_t line;
    uint32_t kind;            /* enum ull_kind */
    uint32_t generation;      /* of the process that site is valid in */
    uint32_t site;            /* in the ledger */
    uint32_t shards;          /* 1 + index of the first of its shards; they are linked */
    uint32_t flagged;         /* atomic */
    uint32_t learns;          /* it asks for what was learned: nobody need be told of it; atomic */
    uint64_t learned_bytes;   /* what it gets for 0; 0: nothing learned; atomic */
    uint64_t reviewed;        /* puts that were known at the last review */
    uint32_t passes;          /* samples to the next review; atomic */
    struct ull_shard_entry *common; /* of threads without shards of their own; written atomically */
    float weights[ULL_BUCKET_COUNT]; /* of uses, older ones fading; under the lock */
    uint64_t seen[ULL_BUCKET_COUNT]; /* of used[] at the last review */
    int32_t more[ULL_BUCKET_COUNT]; /* buffers that were too small: by what they needed, less by what they were counted as; atomic */
};

struct ull_place *ull_place_at(uint32_t index);
uint32_t ull_place_count(void);

/* The place's index, made at the first call. Never 0. Threads: any. */
uint32_t ull_place_of_site(const struct ullage_site *site, enum ull_kind kind, const void *address);
uint32_t ull_place_of_address(const void *address, enum ull_kind kind);
/* Without taking a lock: 0 if it is not known yet. */
uint32_t ull_place_find_address(const void *address, enum ull_kind kind);

/* What the hot path knows of a place: @site's, or @address's where that is NULL; 0: nothing yet. Takes no lock. */
static inline uint32_t ull_place_known(const struct ullage_site *site, const void *address, enum ull_kind kind)
{
    return __builtin_expect(site != NULL, 1) ? ull_load_relaxed(&site->index) : ull_place_find_address(address, kind);
}

/* What the place learned; 0: nothing. */
uint64_t ull_place_learned(uint32_t place);

/* This thread's shard of a place, adopted or made; NULL: no memory, or nothing is to be counted. @owner: thread id. */
struct ull_shard_entry *ull_track_shard(uint32_t place, uint32_t owner);
/* The shard of all threads that have none. NULL as above. */
struct ull_shard_entry *ull_track_common(uint32_t place);
/* The thread ends: its shard of that place waits for another. */
void ull_track_leave(uint32_t place, const struct ull_shard_entry *shard);

/* Adds what a shard has not told yet to the live bytes and the peak of place and process. Threads: the shard's own. */
void ull_track_fold(uint32_t place, struct ull_shard_entry *shard);

/*
 * Looks at all counts of a place: does it learn another size, is it oversized? True: *oversize is to be told, once.
 * Cheap unless much was put since the last time.
 */
bool ull_track_review(uint32_t place, struct ullage_oversize *oversize);
/* A buffer of a learned size was too small: it had @requested bytes, all of which count as used, and would have needed @bytes. */
void ull_track_needed(uint32_t place, uint64_t requested, uint64_t bytes);
/* A buffer of a learned size had to grow. */
void ull_track_regrown(uint32_t place);

/* For tests: allocations and frees of a place. */
void ull_track_sums(uint32_t place, uint64_t *allocations, uint64_t *frees);

/* In a forked child: shards are the parent's; places stay, and what they learned. */
void ull_track_forget(void);

/* "file:line function()" or the address. Returns @to. */
char *ull_place_name(uint32_t place, char *to, size_t room);

/* The cheapest size for uses that were distributed so; see track.c. @now: the present one, 0 none. Pure. */
uint64_t ull_learn(const float weights[ULL_BUCKET_COUNT], uint64_t now);

/* ---- the hot path ---- */

/* Of a common shard: the same as ull_shard_widen(), one at a time. */
void ull_track_widen(struct ull_shard_entry *shard, uint64_t bytes);

/* Widens the range of requests so that @bytes lies in it. */
void ull_shard_widen(struct ull_shard_entry *shard, uint64_t bytes);

static inline bool ull_shard_is_within(const struct ull_shard_entry *shard, uint64_t bytes)
{
    return bytes - ull_load_relaxed(&shard->requested_min_bytes) <= ull_load_relaxed(&shard->requested_span_bytes);
}

/* @bytes lies within the range; @bucket: its place in shard->requested. */
static inline __attribute__((always_inline)) void ull_shard_count_get(
    struct ull_shard_entry *shard, uint64_t *bucket, uint64_t bytes)
{
    uint64_t net = ull_load_relaxed(&shard->requested_bytes) - ull_load_relaxed(&shard->freed_bytes) + bytes;
    ull_count(bucket, 1);
    ull_count(&shard->requested_bytes, bytes);
    if (__builtin_expect((int64_t)(net - ull_load_relaxed(&shard->high_bytes)) > 0, 0))
        ull_store_relaxed(&shard->high_bytes, net);
}

/*
 * As ull_bucket_of(), of no more than 64 MiB. A double's exponent and its first two bits of fraction are what a bucket is:
 * four steps a doubling, counted from 2^8.
 */
static inline unsigned ull_bucket_fast(uint64_t bytes)
{
    union {
        double number;
        int64_t bits;
    } most = { (double)((int64_t)bytes - 1) };
    int64_t bucket = (most.bits >> 50) - ((INT64_C(1023) + ULL_CLASS_MIN_BITS - 1) * ULL_CLASS_STEPS + 3);
    return bucket > 0 ? (unsigned)bucket : 0;
}

static inline void ull_count_unknown(struct ull_shard_entry *shard, uint64_t requested)
{
    ull_count(&shard->freed_bytes, requested);
    ull_count(&shard->unknown_count, 1);
    ull_count(&shard->unknown_bytes, requested);
}

/* As ull_share_of(), without a loop; @used at most @requested. */
static inline unsigned ull_share_fast(uint64_t used, uint64_t requested)
{
    if (used == 0)
        return 0;
    int k = __builtin_clzll(used) - __builtin_clzll(requested); /* used << k has the bits of requested */
    k -= used << k > requested; /* largest k with used * 2^k <= requested */
    return k >= 6 ? 0 : k >= 1 ? (unsigned)(6 - k) : used * 4 > requested * 3 ? 7 : 6;
}

/* After ull_shard_count_put(), of a buffer whose size is not that of all others; see ull_shard_shares(). */
void ull_shard_put_varied(struct ull_shard_entry *shard, uint64_t requested, uint64_t used);

static inline __attribute__((always_inline)) void ull_shard_count_put(
    struct ull_shard_entry *shard, unsigned bucket, uint64_t requested, uint64_t used)
{
    ull_count(&shard->used[bucket], 1);
    ull_count(&shard->used_bytes, used);
    if (__builtin_expect(used > ull_load_relaxed(&shard->used_max_bytes), 0))
        ull_store_relaxed(&shard->used_max_bytes, used);
    ull_count(&shard->freed_bytes, requested);
}

static inline bool ull_shard_is_varied(const struct ull_shard_entry *shard, uint64_t requested)
{
    return __builtin_expect(ull_load_relaxed(&shard->put_bytes) != requested, 0);
}

#endif
