/* SPDX-License-Identifier: BSD-2-Clause */
/* tally.c - see tally.h. */
#include "config.h"

#include "tally.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

int tally_init(struct tally *tally)
{
    tally->list = calloc(TALLY_PROCEDURES, sizeof tally->list[0]); /* pages that are never touched cost nothing */
    return tally->list != NULL ? 0 : -ENOMEM;
}

void tally_fini(struct tally *tally)
{
    free(tally->list);
    tally->list = NULL;
}

static bool is_it(const struct ullage_procedure *entry, uint32_t program, uint32_t version, uint32_t procedure)
{
    return entry->program == program && entry->version == version && entry->procedure == procedure;
}

/* Where it is, or belongs: at most half of the slots are taken, so there is one. */
static uint16_t *slot_of(struct tally *tally, uint32_t program, uint32_t version, uint32_t procedure)
{
    uint64_t hash = ((uint64_t)program << 32 | version) * UINT64_C(0x9e3779b97f4a7c15) + procedure;
    hash *= UINT64_C(0x9e3779b97f4a7c15);
    for (uint64_t i = hash >> 32;; i++) {
        uint16_t *slot = &tally->slots[i % TALLY_SLOTS];
        if (*slot == 0 || is_it(&tally->list[*slot - 1], program, version, procedure))
            return slot;
    }
}

static struct ullage_procedure *find_or_add(struct tally *tally, uint32_t program, uint32_t version, uint32_t procedure)
{
    uint16_t *slot = slot_of(tally, program, version, procedure);
    if (*slot != 0)
        return &tally->list[*slot - 1];
    if (tally->count == TALLY_PROCEDURES)
        return NULL;
    struct ullage_procedure *entry = &tally->list[tally->count++];
    *slot = (uint16_t)tally->count;
    entry->program = program;
    entry->version = version;
    entry->procedure = procedure;
    return entry;
}

void tally_call(struct tally *tally, uint32_t program, uint32_t version, uint32_t procedure, uint64_t bytes)
{
    struct ullage_procedure *entry = tally->newest;
    if (entry == NULL || !is_it(entry, program, version, procedure))
        entry = find_or_add(tally, program, version, procedure);
    if (entry != NULL)
        tally->newest = entry;
    ullage_sizes_add(entry != NULL ? &entry->sizes : &tally->untold, bytes);
}

void tally_sort(struct tally *tally)
{
    qsort(tally->list, tally->count, sizeof tally->list[0], ullage_procedure_compare);
}
