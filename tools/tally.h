/* SPDX-License-Identifier: BSD-2-Clause */
/* tally.h - what `ullage records` counts: sizes by procedure, in bounded memory however many a stream names. */
#ifndef ULL_TOOLS_TALLY_H
#define ULL_TOOLS_TALLY_H

#include "ullage/procedures.h"

#include <stddef.h>
#include <stdint.h>

enum {
    TALLY_PROCEDURES = 4096, /* told apart; our choice: 2.5 MB, and NFS with its helpers has 60 */
    TALLY_SLOTS = 2 * TALLY_PROCEDURES,
};

struct tally {
    struct ullage_sizes all;     /* of all records */
    struct ullage_sizes replies, other; /* of RPC, and neither call nor reply */
    struct ullage_sizes untold;  /* calls of procedures past the bound */
    uint64_t fragments;
    struct ullage_procedure *list; /* as they came */
    size_t count;
    struct ullage_procedure *newest; /* that was counted: the next is often the same */
    uint16_t slots[TALLY_SLOTS]; /* 1 + index in list; open addressing */
};

/* 0 or -ENOMEM. */
int tally_init(struct tally *tally);
void tally_fini(struct tally *tally);
void tally_call(struct tally *tally, uint32_t program, uint32_t version, uint32_t procedure, uint64_t bytes);
/* The list, most bytes first: nothing can be counted any more. */
void tally_sort(struct tally *tally);

#endif
