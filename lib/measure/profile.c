/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * profile.c - live profiles: which stack took each resource that is held now.
 *
 * The counts are in the ledger, as sites of kind "profile". What is kept here is only which site a key belongs to: a
 * table by key in sixteen shards, each with a lock. A forked child begins empty: what it inherited is in its parent's
 * ledger, and a lock may be held for ever by a thread that it does not have.
 */
#include "config.h"

#include "ullage/profile.h"

#include "base/arith.h"
#include "base/lock.h"
#include "base/sys.h"
#include "measure/begin.h"
#include "measure/state.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define recorder ull_recorder

enum { PROFILES_MAX = 64, NAME_BYTES = 64, SHARDS = 16, FIRST_SLOTS = 32 };

struct slot {
    uint64_t key; /* 0: empty */
    uint64_t site;
};

struct shard {
    pthread_mutex_t lock;
    struct slot *slots; /* open addressing; a power of two of them */
    uint64_t capacity, count;
};

struct ullage_profile {
    char name[NAME_BYTES];
    uint64_t hash;
    pthread_mutex_t lock; /* of string */
    uint64_t string;      /* 1 + index of the name in the ledger's strings; 0: not there yet; atomic */
    struct shard shards[SHARDS];
};

static struct {
    pthread_mutex_t lock;
    uint32_t count; /* atomic */
    struct ullage_profile *profiles[PROFILES_MAX];
} all = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void prepare(struct ullage_profile *profile)
{
    profile->string = 0;
    pthread_mutex_init(&profile->lock, NULL);
    for (unsigned i = 0; i < SHARDS; i++) {
        struct shard *shard = &profile->shards[i];
        if (shard->slots != NULL)
            ull_sys_munmap(shard->slots, shard->capacity * sizeof shard->slots[0]);
        memset(shard, 0, sizeof *shard);
        pthread_mutex_init(&shard->lock, NULL);
    }
}

static void forget_all(void)
{
    pthread_mutex_init(&all.lock, NULL);
    for (uint32_t i = 0; i < all.count; i++)
        prepare(all.profiles[i]);
}

/* ---- names ---- */

static bool is_name(const char *name)
{
    size_t length = 0;
    for (; name != NULL && name[length] >= ' ' && name[length] <= '~' && length < NAME_BYTES; length++) {
    }
    return length > 0 && length < NAME_BYTES && name[length] == '\0';
}

static struct ullage_profile *find(const char *name)
{
    uint32_t count = ull_load_acquire(&all.count);
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(all.profiles[i]->name, name) == 0)
            return all.profiles[i];
    return NULL;
}

static struct ullage_profile *make(const char *name)
{
    struct ullage_profile *profile = all.count < PROFILES_MAX ? ull_sys_map_books(sizeof *profile) : NULL;
    if (profile == NULL)
        return NULL;
    memcpy(profile->name, name, strlen(name) + 1);
    profile->hash = UINT64_C(0x70726f66696c6573);
    for (const char *at = name; *at != '\0'; at++)
        profile->hash = ull_mix64(profile->hash ^ (unsigned char)*at);
    prepare(profile);
    all.profiles[all.count] = profile;
    ull_store_release(&all.count, all.count + 1);
    recorder.forked[0] = forget_all;
    return profile;
}

struct ullage_profile *ullage_profile_get(const char *name)
{
    if (!is_name(name))
        return NULL;
    int kept = errno;
    struct ullage_profile *profile = find(name);
    if (profile == NULL && ull_lock(&all.lock)) {
        profile = find(name);
        if (profile == NULL)
            profile = make(name);
        ull_unlock(&all.lock);
    }
    errno = kept;
    return profile;
}

/* The name in this process's ledger, 1 + its index; 0: no room. */
static uint64_t string_of(struct ullage_profile *profile)
{
    uint64_t string = ull_load_acquire(&profile->string);
    if (string != 0 || !ull_lock(&profile->lock))
        return string;
    if (profile->string == 0) {
        int64_t index = ull_ledger_add_string(&recorder.ledger, profile->name, (uint32_t)strlen(profile->name));
        ull_store_release(&profile->string, index >= 0 ? (uint64_t)index + 1 : 0);
    }
    ull_unlock(&profile->lock);
    return profile->string;
}

/* ---- keys ---- */

static struct shard *shard_of(struct ullage_profile *profile, uint64_t key)
{
    return &profile->shards[ull_mix64(key) >> 60];
}

static struct slot *probe(const struct shard *shard, uint64_t key)
{
    uint64_t mask = shard->capacity - 1, at = ull_mix64(key) & mask;
    while (shard->slots[at].key != 0 && shard->slots[at].key != key)
        at = (at + 1) & mask;
    return &shard->slots[at];
}

static bool make_room(struct shard *shard)
{
    if (shard->capacity != 0 && (shard->count + 1) * 4 <= shard->capacity * 3)
        return true;
    struct shard grown = { .capacity = shard->capacity == 0 ? FIRST_SLOTS : shard->capacity * 2 };
    grown.slots = ull_sys_map_books(grown.capacity * sizeof grown.slots[0]);
    if (grown.slots == NULL)
        return false;
    for (uint64_t at = 0; at < shard->capacity; at++)
        if (shard->slots[at].key != 0)
            *probe(&grown, shard->slots[at].key) = shard->slots[at];
    if (shard->slots != NULL)
        ull_sys_munmap(shard->slots, shard->capacity * sizeof shard->slots[0]);
    shard->slots = grown.slots;
    shard->capacity = grown.capacity;
    return true;
}

static void close_gap(struct shard *shard, uint64_t gap)
{
    uint64_t mask = shard->capacity - 1;
    for (uint64_t at = (gap + 1) & mask; shard->slots[at].key != 0; at = (at + 1) & mask) {
        uint64_t home = ull_mix64(shard->slots[at].key) & mask;
        if (((at - home) & mask) >= ((at - gap) & mask)) {
            shard->slots[gap] = shard->slots[at];
            gap = at;
        }
    }
    shard->slots[gap].key = 0;
}

/* Puts @key under @site; *older is the site it was under, if it was there. */
static bool put(struct shard *shard, uint64_t key, uint32_t site, bool *had_older, uint32_t *older)
{
    *had_older = false;
    if (!ull_lock(&shard->lock))
        return false;
    bool room = make_room(shard);
    if (room) {
        struct slot *slot = probe(shard, key);
        *had_older = slot->key != 0;
        *older = (uint32_t)slot->site;
        shard->count += !*had_older;
        *slot = (struct slot) { key, site };
    }
    ull_unlock(&shard->lock);
    return room;
}

static bool take(struct shard *shard, uint64_t key, uint32_t *site)
{
    bool found = false;
    if (!ull_lock(&shard->lock))
        return false;
    struct slot *slot = shard->capacity != 0 ? probe(shard, key) : NULL;
    if (slot != NULL && slot->key != 0) {
        *site = (uint32_t)slot->site;
        close_gap(shard, (uint64_t)(slot - shard->slots));
        shard->count--;
        found = true;
    }
    ull_unlock(&shard->lock);
    return found;
}

/* ---- the calls ---- */

static void add(struct ullage_profile *profile, uint64_t key)
{
    bool had_older;
    uint32_t older;
    uint64_t string = string_of(profile);
    uint32_t site = string != 0 ? ull_recorder_site(ULL_KIND_PROFILE, string, profile->hash, NULL, 0) : ULL_SITE_OTHER;
    if (site == ULL_SITE_OTHER || !put(shard_of(profile, key), key, site, &had_older, &older)) {
        ull_ledger_count(&recorder.ledger, ULL_COUNTER_profile_dropped_total, 1);
        return;
    }
    if (had_older)
        ull_sites_count_removed(&recorder.sites, older);
    ull_sites_count_added(&recorder.sites, site);
}

void ullage_profile_add(struct ullage_profile *profile, const void *key)
{
    int kept = errno;
    if (profile == NULL || key == NULL)
        return;
    ull_begin_if_needed();
    if (ull_recorder_enter()) {
        if (ull_recorder_recording())
            add(profile, (uint64_t)(uintptr_t)key);
        ull_recorder_leave();
    }
    errno = kept;
}

void ullage_profile_remove(struct ullage_profile *profile, const void *key)
{
    int kept = errno;
    uint32_t site;
    if (profile == NULL || key == NULL)
        return;
    if (ull_recorder_is_ready() && ull_recorder_enter()) {
        if (take(shard_of(profile, (uint64_t)(uintptr_t)key), (uint64_t)(uintptr_t)key, &site)
            && ull_load_acquire(&recorder.state) == ULL_RECORDING)
            ull_sites_count_removed(&recorder.sites, site);
        ull_recorder_leave();
    }
    errno = kept;
}
