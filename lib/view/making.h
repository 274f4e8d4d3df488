/* SPDX-License-Identifier: BSD-2-Clause */
/* making.h - what the steps of one snapshot share. */
#ifndef ULL_VIEW_MAKING_H
#define ULL_VIEW_MAKING_H

#include "view/file.h"
#include "view/process.h"
#include "view/sidecar.h"
#include "view/snapshot.h"

struct ull_adopted;
struct ull_symbolizer;

struct ull_making {
    struct ullage_snapshot *snapshot;
    struct ull_file file;
    struct ull_sidecar sidecar;
    struct ull_process process;
    struct ull_symbolizer *symbolizer;
    bool shared_symbolizer;            /* of a whole tree */
    const struct ull_adopted *adopted; /* of it; NULL */
    uint32_t continued_by;             /* the process that has its buffers now, and no ledger; 0 */
    bool orphaned;                     /* what the process inherited is judged here */
    struct ull_site *resources;        /* sites of live profiles */
    size_t resource_count;
    uint64_t module_count;
    int *module_numbers;       /* by index in the ledger: in the symbolizer, or -1 */
    const char **module_paths; /* clean */
    uint32_t *site_positions;  /* by index in the ledger: 1 + position in snapshot->sites; 0: none */
    uint64_t site_indexes;
    struct ull_shard_entry *shards; /* their frees alone, of the first pass; see shards.c */
    uint64_t shard_count;
    uint64_t freed_bytes;      /* of all sites: requested for what was freed */
    uint64_t shards_above;     /* largest share of the process's peak that no shard has told yet */
    uint64_t broken;           /* entries that point outside the file */
};

/* The site with that index in the ledger, if it is in the copy and counts buffers; NULL. */
static inline struct ull_site *ull_making_site(const struct ull_making *m, uint32_t index)
{
    if (index == ULL_SITE_OTHER)
        return &m->snapshot->other;
    if (index >= m->site_indexes || m->site_positions[index] == 0)
        return NULL;
    return &m->snapshot->sites[m->site_positions[index] - 1];
}

/*
 * Text in the strings that an entry names as 1 + index, up to its NUL or @room bytes; clean. NULL: it names none, or an
 * empty one, or one outside the file, which is counted as broken.
 */
const char *ull_making_text(struct ull_making *m, uint64_t name, size_t room);

#endif
