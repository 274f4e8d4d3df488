/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * budget.h - the counting core of budgets: what pools charge, and what ullage/budget.h is made of.
 *
 * Knows no recorder: who can list a budget in the ledger says so by ull_budget_attach. Budgets lie in one table that is
 * never unmapped, and a destroyed one rests until all others have had their turn, so that a use after destroy is known for
 * what it is. No call allocates. Misuse is told by ull_misuse(), and without effect then.
 */
#ifndef ULL_LEDGER_BUDGET_H
#define ULL_LEDGER_BUDGET_H

#include "ledger/format.h"
#include "ullage/budget.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ULL_BUDGETS_MAX = 1024, ULL_BUDGET_NAME_BYTES = 64 };

/* Whether it stands in the ledger of this process: a slot's place there serves all budgets that come to lie in it. */
enum ull_budget_listing {
    ULL_BUDGET_NOT_LISTED,
    ULL_BUDGET_BEING_LISTED, /* somebody is at it */
    ULL_BUDGET_LISTED,
    ULL_BUDGET_UNLISTABLE, /* the ledger is full: not tried again */
};

/* Of the word: bytes charged. The bits above are budget.c's. */
#define ULL_BUDGET_USED_MASK ((UINT64_C(1) << 61) - 1)

struct ullage_budget {
    uint64_t word; /* bytes charged, and three bits of who wants to know of a release: budget.c; atomic */
    uint64_t peak_bytes;
    uint64_t refused_count, waits_count;
    uint32_t changes;  /* goes up when those who sleep shall look again: a futex; atomic */
    uint32_t telling;  /* releases that are about to write to the event descriptor; atomic */
    uint32_t event;    /* 1 + event descriptor; 0: none; atomic */
    uint32_t listing;  /* enum ull_budget_listing; atomic */
    uint32_t index;    /* 1 + index in the ledger's table; atomic */
    uint32_t reserved;
    uint64_t magic;    /* atomic */
    struct ull_budget_entry *entry; /* in the ledger; atomic */
    uint64_t reserve_bytes; /* that only ull_budget_try_reserve() may use; atomic */
    char *text;        /* room for its name in the ledger's strings: ULL_BUDGET_NAME_BYTES */
    uint64_t string;   /* 1 + index of that */
    uint64_t max_bytes;
    char name[ULL_BUDGET_NAME_BYTES]; /* bytes are atomic */
} __attribute__((aligned(64)));

/* As the functions of ullage/budget.h. */
int ull_budget_create(struct ullage_budget **out, size_t max_bytes);
void ull_budget_destroy(struct ullage_budget *b);
int ull_budget_name(struct ullage_budget *b, const char *name);
int ull_budget_event_fd(struct ullage_budget *b);

/* 0, -ENOBUFS, -EMSGSIZE; -EINVAL after misuse. Never over the maximum, not for an instant. Threads: any. */
int ull_budget_try(struct ullage_budget *b, size_t bytes);
/* The same, and also -ETIMEDOUT; @timeout_ms below 0: for ever. Hold no lock. */
int ull_budget_wait(struct ullage_budget *b, size_t bytes, int timeout_ms);
/* As ull_budget_try(), of the reserve too. The other way round: -ENOBUFS, and not -EMSGSIZE, for what only the reserve could hold. */
int ull_budget_try_reserve(struct ullage_budget *b, size_t bytes);
int ull_budget_try_beside_reserve(struct ullage_budget *b, size_t bytes);
/* Keeps @bytes of it, at most all, for ull_budget_try_reserve() alone. */
void ull_budget_reserve(struct ullage_budget *b, size_t bytes);
void ull_budget_give(struct ullage_budget *b, size_t bytes);
/* Tells who was refused, or sleeps, to look again, as a release does. */
void ull_budget_tell(struct ullage_budget *b);

size_t ull_budget_used(const struct ullage_budget *b);
size_t ull_budget_peak(const struct ullage_budget *b);
size_t ull_budget_max(const struct ullage_budget *b);

/* Its place among all budgets, below ULL_BUDGETS_MAX; and the other way round. */
uint32_t ull_budget_slot(const struct ullage_budget *b);
struct ullage_budget *ull_budget_at(uint32_t slot);

/* 1 + index in the ledger's table; 0 not yet. */
uint32_t ull_budget_index(const struct ullage_budget *b);

/*
 * Gives back what lies idle in the pools that it is charged for. True: something was, try again. Hold no lock. NULL: there are no such
 * pools. Atomic.
 */
extern bool (*ull_budget_make_room)(const struct ullage_budget *b);

/* ---- for who publishes them ---- */

/* Called at the start of each call that changes a budget, by any thread: may list it. NULL: nobody does. Atomic. */
extern void (*ull_budget_attach)(struct ullage_budget *b);

/* True: the caller, and nobody else, lists it now, and says how that went. */
bool ull_budget_claim_listing(struct ullage_budget *b);
/* @entry NULL: there is no room. Else it is filled: @text has ULL_BUDGET_NAME_BYTES and is 1 + @string in the strings. */
void ull_budget_listed(struct ullage_budget *b, struct ull_budget_entry *entry, uint32_t index, char *text, uint64_t string);

/* In a forked child: nobody waits, and ledger and event descriptors are the parent's. What is charged stays. */
void ull_budget_forked(void);

#endif
