/* SPDX-License-Identifier: BSD-2-Clause */
/* party.c - see party.h. */
#include "config.h"

#include "record/party.h"

#include "base/arith.h"
#include "base/atomic.h"
#include "base/sys.h"
#include "ledger/budget.h"

#include <errno.h>
#include <pthread.h>

struct ull_party {
    pthread_mutex_t lock;
    struct ullage_budget *budget;
    struct ull_member *oldest, *youngest; /* the first is atomic */
    uint64_t need;     /* of the largest record; atomic */
    uint64_t readers;
    uint32_t active;   /* in the list; atomic */
    uint32_t waiting;  /* atomic */
    uint8_t generation; /* forks */
};

/* One a budget, made at its first reader, and kept for the next budget in the same slot. */
static struct ull_party *parties[ULL_BUDGETS_MAX];

int ull_party_get(struct ull_party **out, struct ullage_budget *budget)
{
    if (ull_budget_try_reserve(budget, 0) != 0)
        return -EINVAL;
    struct ull_party **at = &parties[ull_budget_slot(budget)], *none = NULL;
    struct ull_party *party = ull_load_acquire(at);
    if (party == NULL) {
        struct ull_party *made = ull_sys_map_books(sizeof *made);
        if (made == NULL)
            return -ENOMEM;
        pthread_mutex_init(&made->lock, NULL);
        made->budget = budget;
        if (ull_cas_acq_rel(at, &none, made))
            party = made;
        else {
            ull_sys_munmap(made, sizeof *made);
            party = none;
        }
    }
    *out = party;
    return 0;
}

struct ullage_budget *ull_party_budget(const struct ull_party *party)
{
    return party->budget;
}

void ull_parties_forked(void)
{
    for (unsigned i = 0; i < ULL_BUDGETS_MAX; i++) {
        struct ull_party *party = parties[i];
        if (party == NULL)
            continue;
        pthread_mutex_init(&party->lock, NULL);
        party->oldest = party->youngest = NULL; /* another thread may have been changing the list */
        party->active = party->waiting = 0;
        party->generation++;
    }
}

/* What a member says of itself is of this process, and not of its parent. */
static bool is_current(const struct ull_party *party, const struct ull_member *member)
{
    return member->generation == party->generation;
}

/* ---- readers that come and go ---- */

void ull_party_enter(struct ull_party *party, uint64_t need)
{
    pthread_mutex_lock(&party->lock);
    party->readers++;
    ull_max_relaxed(&party->need, need);
    ull_budget_reserve(party->budget, ull_min_u64(party->need, ull_budget_max(party->budget) / 4 * 3)); /* others read small ones beside it */
    pthread_mutex_unlock(&party->lock);
}

void ull_party_wait(struct ull_party *party, struct ull_member *member)
{
    if (!member->waiting || !is_current(party, member))
        ull_add_relaxed(&party->waiting, 1U);
    if (!is_current(party, member))
        member->started = false;
    member->generation = party->generation;
    member->waiting = true;
}

void ull_party_wait_no_more(struct ull_party *party, struct ull_member *member)
{
    if (member->waiting && is_current(party, member))
        ull_sub_relaxed(&party->waiting, 1U);
    member->waiting = false;
}

void ull_party_leave(struct ull_party *party, struct ull_member *member)
{
    ull_party_finish(party, member);
    ull_party_wait_no_more(party, member);
    pthread_mutex_lock(&party->lock);
    if (--party->readers == 0) {
        ull_store_relaxed(&party->need, UINT64_C(0));
        ull_budget_reserve(party->budget, 0);
    }
    pthread_mutex_unlock(&party->lock);
}

/* ---- started records, oldest first ---- */

void ull_party_start(struct ull_party *party, struct ull_member *member)
{
    if (member->started && is_current(party, member))
        return;
    if (!is_current(party, member))
        member->waiting = false;
    member->generation = party->generation;
    member->started = true;
    pthread_mutex_lock(&party->lock);
    member->older = party->youngest;
    member->younger = NULL;
    if (party->youngest != NULL)
        party->youngest->younger = member;
    else
        ull_store_relaxed(&party->oldest, member);
    party->youngest = member;
    ull_add_relaxed(&party->active, 1U);
    pthread_mutex_unlock(&party->lock);
}

void ull_party_finish(struct ull_party *party, struct ull_member *member)
{
    bool listed = member->started && is_current(party, member);
    member->started = false;
    if (!listed)
        return;
    pthread_mutex_lock(&party->lock);
    bool was_oldest = member->older == NULL;
    if (member->older != NULL)
        member->older->younger = member->younger;
    else
        ull_store_relaxed(&party->oldest, member->younger);
    if (member->younger != NULL)
        member->younger->older = member->older;
    else
        party->youngest = member->older;
    ull_sub_relaxed(&party->active, 1U);
    pthread_mutex_unlock(&party->lock);
    if (was_oldest && ull_load_relaxed(&party->waiting) != 0)
        ull_budget_tell(party->budget); /* whoever is the oldest now may go on, though no byte came back */
}

/* ---- charging ---- */

static bool is_over(const struct ull_party *party, const struct ull_member *member, uint64_t record)
{
    uint64_t active = ull_load_relaxed(&party->active);
    return member->started && is_current(party, member) && ull_load_relaxed(&party->oldest) != member
        && record > ull_budget_max(party->budget) / ull_max_u64(active, 1);
}

bool ull_party_is_over_share(const struct ull_party *party, const struct ull_member *member, uint64_t record)
{
    return ull_load_relaxed(&party->waiting) > (member->waiting ? 1U : 0U) && is_over(party, member, record);
}

/* The oldest may use what is kept; and for a chunk, which goes back soon, whoever comes where nothing was started. */
static int take_once(struct ull_party *party, const struct ull_member *member, uint64_t bytes)
{
    const struct ull_member *oldest = ull_load_relaxed(&party->oldest);
    if (oldest == member || (oldest == NULL && bytes <= ull_load_relaxed(&party->need) / 4))
        return ull_budget_try_reserve(party->budget, bytes);
    return ull_budget_try_beside_reserve(party->budget, bytes);
}

/* What lies idle in pools of the same budget is given up first. */
static int take(struct ull_party *party, const struct ull_member *member, uint64_t bytes)
{
    bool (*make_room)(const struct ullage_budget *b) = ull_load_acquire(&ull_budget_make_room);
    int error = take_once(party, member, bytes);
    if (error == -ENOBUFS && make_room != NULL && make_room(party->budget))
        error = take_once(party, member, bytes);
    return error;
}

int ull_party_charge(struct ull_party *party, struct ull_member *member, uint64_t bytes, uint64_t record)
{
    uint64_t held = member->charged;
    if (held + bytes > ull_budget_max(party->budget))
        return -EMSGSIZE;
    int error = take(party, member, bytes);
    if (error == 0) {
        member->charged = held + bytes;
        return 0;
    }
    return error == -ENOBUFS && is_over(party, member, record) ? ULL_OVER_SHARE : error;
}

void ull_party_release(struct ull_party *party, struct ull_member *member, uint64_t bytes)
{
    if (bytes == 0)
        return;
    member->charged -= bytes;
    ull_budget_give(party->budget, bytes);
}

void ull_party_hand_over(struct ull_member *member, uint64_t bytes)
{
    member->charged -= bytes;
}
