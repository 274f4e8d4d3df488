/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * party.h - the readers that share a budget: who may go on when it is full.
 *
 * Bytes that half-read records hold come back only when those records are finished. If many begin and none can finish, all
 * wait for each other. So a part of the budget, what one largest record needs, is kept for the oldest started record alone:
 * that one always finishes, and then the next is the oldest. When the rest is full, a reader that needs more is refused
 * for now; while somebody waits so, who holds more than his share (the budget divided by the started records) is refused
 * for good at his next call. The order is that in which records began to wait for their rest.
 */
#ifndef ULL_RECORD_PARTY_H
#define ULL_RECORD_PARTY_H

#include <stdbool.h>
#include <stdint.h>

struct ullage_budget;
struct ull_party;

/* In each reader. Zero at first; written by its thread, the links under the party's lock. */
struct ull_member {
    struct ull_member *older, *younger;
    uint64_t charged : 54; /* bytes */
    uint64_t generation : 8; /* of the party, when it was started or began to wait */
    uint64_t started : 1;  /* in the list */
    uint64_t waiting : 1;  /* was refused, and comes again */
};

/* Beside the errors of budgets: it holds more than its share. */
enum { ULL_OVER_SHARE = -1000 };

/* The party of a budget. 0; -EINVAL: it is none, and misuse was told; -ENOMEM. Good as long as the budget. */
int ull_party_get(struct ull_party **out, struct ullage_budget *budget);

/* One reader more, or less, whose largest record needs @need bytes. */
void ull_party_enter(struct ull_party *party, uint64_t need);
void ull_party_leave(struct ull_party *party, struct ull_member *member);

/* Its record began to wait for its rest; it is whole, or given up. Both may be said again. */
void ull_party_start(struct ull_party *party, struct ull_member *member);
void ull_party_finish(struct ull_party *party, struct ull_member *member);

/* It tells its caller to come again; or not any more. Both may be said again. While somebody waits, shares are looked at. */
void ull_party_wait(struct ull_party *party, struct ull_member *member);
void ull_party_wait_no_more(struct ull_party *party, struct ull_member *member);

/*
 * Before memory is taken; @record: bytes of memory that it holds for its record, which is what counts as its share. 0; -ENOBUFS; -EMSGSIZE:
 * more than the whole budget with what it holds; ULL_OVER_SHARE.
 */
int ull_party_charge(struct ull_party *party, struct ull_member *member, uint64_t bytes, uint64_t record);
void ull_party_release(struct ull_party *party, struct ull_member *member, uint64_t bytes);
/* The bytes are somebody else's to release. */
void ull_party_hand_over(struct ull_member *member, uint64_t bytes);

/* Whether it is to be refused now. Cheap. */
bool ull_party_is_over_share(const struct ull_party *party, const struct ull_member *member, uint64_t record);

struct ullage_budget *ull_party_budget(const struct ull_party *party);

/* In a forked child: nothing is started, and nobody waits: who read there reads no more. */
void ull_parties_forked(void);

#endif
