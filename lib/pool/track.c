/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * track.c - places, their shards, and what all threads' counts together say.
 *
 * Lock: `books`, over places and the lists of shards; the ledger's locks come after it. Nothing is taken with it on the hot
 * path. Where there is no ledger, shards lie in private memory: places learn all the same.
 */
#include "config.h"

#include "pool/track.h"

#include "base/arith.h"
#include "base/check.h"
#include "base/map64.h"
#include "base/sys.h"
#include "measure/named.h"
#include "pool/cache.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum {
    SHARDS_MAX = 1 << 18,
    TEXT_BYTES = 1 << 16,
    LEARN_FIRST = 16, /* puts before a place is judged, and learns; then */
    LEARN_STEP = 64,
    PASSES_UNDECLARED = 16, /* of slow paths, where no use was declared so far */
    PASSES_MAX = 64, /* of samples, each of 128 gets: adding up costs about 1 us */
};

/* Who holds a shard: the ledger says it too, but what lies there is not believed. */
struct shard_ref {
    struct ull_shard_entry *entry;
    uint32_t owner; /* thread id; 0: waits for one */
    uint32_t next;  /* 1 + index, of the same place */
};

static struct {
    pthread_mutex_t lock;
    struct ull_map64 by_hash;
    struct ull_place *places;
    uint32_t place_count; /* atomic */
    struct shard_ref *refs;
    uint32_t ref_count;
    uint32_t generation;
    char *text; /* names; a new piece when one is full */
    size_t text_left;
    char *spare; /* for shards without a ledger */
    size_t spare_left;
} books = { .lock = PTHREAD_MUTEX_INITIALIZER, .generation = 1 };

struct ull_place *ull_place_at(uint32_t index)
{
    return &books.places[index];
}

uint64_t ull_place_learned(uint32_t index)
{
    return index > ULL_PLACE_OTHER ? ull_load_relaxed(&books.places[index].learned_bytes) : 0;
}

uint32_t ull_place_count(void)
{
    return ull_load_acquire(&books.place_count);
}

/* ---- places ---- */

static uint64_t hash_text(uint64_t hash, const char *text)
{
    for (; text != NULL && *text != '\0'; text++)
        hash = ull_mix64(hash ^ (unsigned char)*text);
    return hash;
}

static uint64_t address_hash(const void *address, enum ull_kind kind)
{
    return ull_mix64(((uintptr_t)address * 31 + kind) ^ (uint64_t)ull_named_unloads() << 48) | 1;
}

/* The library that holds the text may be unloaded. */
static const char *keep_text(const char *text)
{
    size_t bytes = strlen(text) + 1;
    if (bytes > TEXT_BYTES / 4)
        return NULL;
    if (bytes > books.text_left) {
        books.text = ull_sys_map_books(TEXT_BYTES);
        books.text_left = books.text != NULL ? TEXT_BYTES : 0;
    }
    if (books.text == NULL)
        return NULL;
    char *kept = memcpy(books.text, text, bytes);
    books.text += bytes;
    books.text_left -= bytes;
    return kept;
}

static bool prepare(void)
{
    if (books.places != NULL)
        return true;
    if (books.refs == NULL)
        books.refs = ull_sys_map_books(SHARDS_MAX * sizeof books.refs[0]);
    struct ull_place *places = books.refs != NULL ? ull_sys_map_books(ULL_PLACES_MAX * sizeof places[0]) : NULL;
    if (places == NULL)
        return false;
    ull_store_release(&books.places, places);
    ull_store_release(&books.place_count, (uint32_t)ULL_PLACE_OTHER + 1);
    return true;
}

/* Under the lock. */
static uint32_t make_place(uint64_t hash, const struct ullage_site *site, enum ull_kind kind, const void *address)
{
    uint32_t index = books.place_count;
    if (index == ULL_PLACES_MAX)
        return ULL_PLACE_OTHER;
    struct ull_place *place = &books.places[index];
    place->hash = hash;
    place->kind = kind;
    place->address = address;
    if (site != NULL) {
        place->file = keep_text(site->file);
        place->function = keep_text(site->function);
        place->line = site->line;
    }
    if (ull_map64_insert(&books.by_hash, hash, index) != 0)
        return ULL_PLACE_OTHER;
    ull_store_release(&books.place_count, index + 1);
    return index;
}

static uint32_t place_of(uint64_t hash, const struct ullage_site *site, enum ull_kind kind, const void *address)
{
    uint64_t index = ULL_PLACE_OTHER;
    pthread_mutex_lock(&books.lock);
    if (!prepare())
        index = 0;
    else if (!ull_map64_find(&books.by_hash, hash, &index))
        index = make_place(hash, site, kind, address);
    pthread_mutex_unlock(&books.lock);
    return (uint32_t)index;
}

uint32_t ull_place_find_address(const void *address, enum ull_kind kind)
{
    uint64_t index = 0;
    (void)ull_map64_find(&books.by_hash, address_hash(address, kind), &index);
    return (uint32_t)index;
}

uint32_t ull_place_of_address(const void *address, enum ull_kind kind)
{
    uint32_t index = ull_place_find_address(address, kind);
    return index != 0 ? index : place_of(address_hash(address, kind), NULL, kind, address);
}

uint32_t ull_place_of_site(const struct ullage_site *site, enum ull_kind kind, const void *address)
{
    uint32_t index = ull_load_relaxed(&site->index);
    if (index != 0)
        return index;
    uint64_t hash = hash_text(hash_text(ull_mix64(site->line * 31 + kind), site->file), site->function) | 1;
    index = place_of(hash, site, kind, address);
    /* The object is static and ours to write: ULLAGE_HERE alone makes them. */
    ull_store_relaxed(&((struct ullage_site *)(uintptr_t)site)->index, index);
    return index;
}

char *ull_place_name(uint32_t index, char *to, size_t room)
{
    const struct ull_place *place = books.places != NULL && index < books.place_count ? &books.places[index] : NULL;
    if (place != NULL && place->file != NULL && place->function != NULL)
        snprintf(to, room, "%s:%u %s()", place->file, place->line, place->function);
    else if (place != NULL && place->address != NULL)
        ull_named_address(place->address, to, room);
    else
        snprintf(to, room, "an unknown place");
    return to;
}

/* ---- shards ---- */

/* A shard that is to be used from the start: a span of 0 begins at the first request. */
static void begin_shard(struct ull_shard_entry *shard, uint32_t site)
{
    shard->site = site;
    shard->requested_min_bytes = UINT64_MAX;
    ull_store_release(&shard->ready, UINT64_C(1));
}

static struct ull_shard_entry *spare_shard(void)
{
    struct ull_shard_entry *shard;
    if (books.spare_left < sizeof *shard) {
        books.spare = ull_sys_map_books(TEXT_BYTES);
        books.spare_left = books.spare != NULL ? TEXT_BYTES : 0;
    }
    if (books.spare == NULL)
        return NULL;
    shard = (struct ull_shard_entry *)(void *)books.spare;
    books.spare += sizeof *shard;
    books.spare_left -= sizeof *shard;
    begin_shard(shard, 0);
    return shard;
}

/* Under the lock. */
static struct ull_shard_entry *make_shard(struct ull_place *place)
{
    if (place == &books.places[ULL_PLACE_UNCOUNTED])
        return spare_shard();
    if (place->generation != books.generation) {
        place->site = ull_named_site((enum ull_kind)place->kind, place->hash, place->address, place->file, place->function, place->line);
        place->generation = books.generation;
    }
    struct ull_shard_entry *shard = ull_named_shard();
    if (shard == NULL)
        return spare_shard();
    begin_shard(shard, place->site);
    return shard;
}

struct ull_shard_entry *ull_track_shard(uint32_t index, uint32_t owner)
{
    struct shard_ref *ref = NULL;
    if (ull_pool_settings.untracked)
        return NULL;
    pthread_mutex_lock(&books.lock);
    if (!prepare()) {
        pthread_mutex_unlock(&books.lock);
        return NULL;
    }
    struct ull_place *place = &books.places[index];
    for (uint32_t at = place->shards; at != 0 && ref == NULL; at = books.refs[at - 1].next)
        if (books.refs[at - 1].owner == 0)
            ref = &books.refs[at - 1];
    if (ref == NULL && books.ref_count < SHARDS_MAX) {
        struct ull_shard_entry *entry = make_shard(place);
        if (entry != NULL) {
            ref = &books.refs[books.ref_count++];
            *ref = (struct shard_ref) { entry, 0, place->shards };
            place->shards = books.ref_count;
        }
    }
    if (ref != NULL) {
        ref->owner = owner;
        ull_store_relaxed(&ref->entry->owner, owner);
    }
    pthread_mutex_unlock(&books.lock);
    return ref != NULL ? ref->entry : NULL;
}

struct ull_shard_entry *ull_track_common(uint32_t index)
{
    struct ull_place *place = &books.places[index];
    struct ull_shard_entry *common = ull_load_acquire(&place->common);
    if (common == NULL) {
        common = ull_track_shard(index, UINT32_MAX);
        ull_store_release(&place->common, common);
    }
    return common;
}

void ull_track_leave(uint32_t index, const struct ull_shard_entry *shard)
{
    pthread_mutex_lock(&books.lock);
    for (uint32_t at = books.places[index].shards; at != 0; at = books.refs[at - 1].next) {
        if (books.refs[at - 1].entry != shard)
            continue;
        ull_store_relaxed(&books.refs[at - 1].entry->owner, 0U);
        books.refs[at - 1].owner = 0;
        break;
    }
    pthread_mutex_unlock(&books.lock);
}

void ull_track_forget(void)
{
    pthread_mutex_init(&books.lock, NULL);
    books.generation++;
    books.ref_count = 0;
    for (uint32_t i = 0; books.places != NULL && i < books.place_count; i++) {
        books.places[i].shards = 0;
        books.places[i].common = NULL;
        books.places[i].reviewed = 0;
        memset(books.places[i].seen, 0, sizeof books.places[i].seen);
    }
}

void ull_track_widen(struct ull_shard_entry *shard, uint64_t bytes)
{
    pthread_mutex_lock(&books.lock);
    if (!ull_shard_is_within(shard, bytes))
        ull_shard_widen(shard, bytes);
    pthread_mutex_unlock(&books.lock);
}

void ull_shard_widen(struct ull_shard_entry *shard, uint64_t bytes)
{
    uint64_t least = ull_load_relaxed(&shard->requested_min_bytes);
    uint64_t most = least + ull_load_relaxed(&shard->requested_span_bytes);
    if (least == UINT64_MAX)
        least = most = bytes;
    ull_store_relaxed(&shard->requested_min_bytes, ull_min_u64(least, bytes));
    ull_store_relaxed(&shard->requested_span_bytes, ull_max_u64(most, bytes) - ull_min_u64(least, bytes));
}

/* @used was counted already. The first of another size: shares of those before it follow from their uses, and are counted now. */
void ull_shard_put_varied(struct ull_shard_entry *shard, uint64_t requested, uint64_t used)
{
    uint64_t size = ull_load_relaxed(&shard->put_bytes), shares[ULL_SHARE_COUNT];
    if (size == 0) {
        ull_store_relaxed(&shard->put_bytes, requested);
        return;
    }
    if (size != UINT64_MAX) {
        ull_shard_shares(shard, shares);
        uint64_t limit = ull_bucket_limit(ull_bucket_of(used));
        unsigned counted = ull_share_of(ull_min_u64(limit, size), size);
        for (unsigned i = 0; i < ULL_SHARE_COUNT; i++)
            ull_store_relaxed(&shard->shares[i], shares[i] - (i == counted));
        ull_store_release(&shard->put_bytes, UINT64_MAX);
    }
    ull_count(&shard->shares[ull_share_fast(used, requested)], 1);
}

void ull_track_fold(uint32_t index, struct ull_shard_entry *shard)
{
    const struct ull_place *place = &books.places[index];
    uint64_t net = ull_load_relaxed(&shard->requested_bytes) - ull_load_relaxed(&shard->freed_bytes);
    uint64_t delta = net - shard->folded_bytes, excess = shard->high_bytes - shard->folded_bytes;
    if (delta == 0 && excess == 0)
        return;
    if (place->generation == books.generation && place->site != 0)
        ull_named_fold(place->site, delta, excess);
    ull_store_relaxed(&shard->folded_bytes, net);
    ull_store_relaxed(&shard->high_bytes, net);
}

/* ---- what all counts of a place say ---- */

struct sums {
    uint64_t puts, requested_known, used_bytes, used_max, requested_min, allocations, frees;
    uint64_t shares[ULL_SHARE_COUNT], used[ULL_BUCKET_COUNT];
};

/* Under the lock. */
static void add_up(const struct ull_place *place, struct sums *sums)
{
    memset(sums, 0, sizeof *sums);
    sums->requested_min = UINT64_MAX;
    for (uint32_t at = place->shards; at != 0; at = books.refs[at - 1].next) {
        const struct ull_shard_entry *shard = books.refs[at - 1].entry;
        uint64_t shares[ULL_SHARE_COUNT];
        ull_shard_shares(shard, shares);
        for (unsigned i = 0; i < ULL_SHARE_COUNT; i++)
            sums->shares[i] += shares[i];
        for (unsigned i = 0; i < ULL_BUCKET_COUNT; i++) {
            sums->used[i] += ull_load_relaxed(&shard->used[i]);
            sums->allocations += ull_load_relaxed(&shard->requested[i]);
        }
        sums->frees += ull_load_relaxed(&shard->unknown_count);
        sums->requested_known += ull_load_relaxed(&shard->freed_bytes) - ull_load_relaxed(&shard->unknown_bytes);
        sums->used_bytes += ull_load_relaxed(&shard->used_bytes);
        sums->used_max = ull_max_u64(sums->used_max, ull_load_relaxed(&shard->used_max_bytes));
        sums->requested_min = ull_min_u64(sums->requested_min, ull_load_relaxed(&shard->requested_min_bytes));
    }
    for (unsigned i = 0; i < ULL_BUCKET_COUNT; i++)
        sums->puts += sums->used[i];
    sums->frees += sums->puts;
}

void ull_track_sums(uint32_t index, uint64_t *allocations, uint64_t *frees)
{
    struct sums sums;
    pthread_mutex_lock(&books.lock);
    add_up(&books.places[index], &sums);
    pthread_mutex_unlock(&books.lock);
    *allocations = sums.allocations;
    *frees = sums.frees;
}

/* Older uses count half at each look, so that a place that changes is followed. */
static void learn(struct ull_place *place, const struct sums *sums)
{
    for (unsigned i = 0; i < ULL_BUCKET_COUNT; i++) {
        int32_t more = ull_exchange_acq_rel(&place->more[i], 0);
        float now = (float)(sums->used[i] - place->seen[i]) + (float)more;
        place->weights[i] = place->weights[i] / 2 + (now > 0 ? now : 0);
        place->seen[i] = sums->used[i];
    }
    uint64_t learned = ull_learn(place->weights, place->learned_bytes);
    if (learned != place->learned_bytes) {
        ull_store_relaxed(&place->learned_bytes, learned);
        if (place->generation == books.generation && (place->kind == ULL_KIND_BUFFER || place->kind == ULL_KIND_POOL))
            ull_named_learned(place->site, learned);
    }
}

/*
 * As the report's flag `oversized` (docs/flags.md), from declared uses: 99 % used a quarter or less, half would have
 * served all, and 1 MiB was wasted at least.
 */
static bool is_oversized(const struct sums *sums)
{
    uint64_t within = 0;
    for (unsigned i = 0; ull_share_limit_64ths(i) <= 16; i++)
        within += sums->shares[i];
    return sums->puts >= LEARN_STEP && sums->requested_min >= 65536 && within >= sums->puts - sums->puts / 100
        && ull_class_of(sums->used_max) <= sums->requested_min / 2
        && sums->requested_known - sums->used_bytes >= UINT64_C(1) << 20;
}

static void describe(const struct ull_place *place, const struct sums *sums, struct ullage_oversize *out)
{
    *out = (struct ullage_oversize) { place->file, place->function, place->line, place->address, sums->puts,
        sums->requested_known / sums->puts, sums->used_max, ull_class_of(sums->used_max) };
}

bool ull_track_review(uint32_t index, struct ullage_oversize *oversize)
{
    struct ull_place *place = &books.places[index];
    struct sums sums;
    bool tell = false;
    uint32_t passes = ull_load_relaxed(&place->passes);
    if (passes > 0) {
        ull_store_relaxed(&place->passes, passes - 1);
        return false;
    }
    if (index <= ULL_PLACE_OTHER || ull_pool_settings.untracked || pthread_mutex_trylock(&books.lock) != 0)
        return false;
    add_up(place, &sums);
    ull_store_relaxed(&place->passes, sums.puts == 0 && sums.frees >= LEARN_STEP ? PASSES_UNDECLARED : 0);
    if (sums.puts - place->reviewed >= (place->learned_bytes == 0 ? LEARN_FIRST : LEARN_STEP)) {
        place->reviewed = sums.puts;
        ull_store_relaxed(&place->passes, (uint32_t)ull_min_u64(sums.puts / 1024, PASSES_MAX)); /* seldom, once much is known */
        learn(place, &sums);
        tell = !place->flagged && !ull_load_relaxed(&place->learns) && is_oversized(&sums);
    }
    if (tell) {
        place->flagged = 1;
        describe(place, &sums, oversize);
    }
    pthread_mutex_unlock(&books.lock);
    return tell;
}

void ull_track_needed(uint32_t index, uint64_t requested, uint64_t bytes)
{
    ull_add_relaxed(&books.places[index].more[ull_bucket_of(bytes)], 1);
    ull_sub_relaxed(&books.places[index].more[ull_bucket_of(requested)], 1);
}

void ull_track_regrown(uint32_t index)
{
    const struct ull_place *place = &books.places[index];
    if (place->generation == books.generation)
        ull_named_regrown(place->site);
}
