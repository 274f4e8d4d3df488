/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * procedures.c - RPC procedures as the ledger has them.
 *
 * Nothing in the ledger says how many calls there were but the sizes that they had.
 */
#include "config.h"

#include "view/procedures.h"

#include "ullage/record.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAID = 3 }; /* procedures that are named in a warning of their own, of each kind */

static void copy_procedure(struct ull_making *m, const struct ull_procedure_entry *entry)
{
    struct ullage_procedure *procedure = &m->snapshot->procedures[m->snapshot->procedure_count++];
    *procedure = (struct ullage_procedure) { .program = entry->program, .version = entry->version,
        .procedure = entry->procedure, .refused = entry->refused_count, .cap_bytes = entry->cap_bytes,
        .sizes = { .bytes = entry->bytes, .max_bytes = entry->max_bytes } };
    memcpy(procedure->sizes.classes, entry->sizes, sizeof procedure->sizes.classes);
    for (unsigned i = 0; i < ULL_BUCKET_COUNT; i++)
        ull_saturating_add(&procedure->sizes.count, entry->sizes[i]);
}

int ull_procedures_copy(struct ull_making *m)
{
    struct ullage_snapshot *snapshot = m->snapshot;
    uint64_t count = ull_file_count(&m->file, ULL_TABLE_PROCEDURES);
    snapshot->procedures = ull_arena_alloc(&snapshot->arena, count + 1, sizeof snapshot->procedures[0]);
    if (snapshot->procedures == NULL)
        return -ENOMEM;
    for (uint64_t i = 0; i < count; i++) {
        struct ull_procedure_entry entry = { .ready = 0 };
        const void *from = ull_file_entry(&m->file, ULL_TABLE_PROCEDURES, i);
        if (from != NULL)
            ull_file_copy(&entry, from, sizeof entry);
        if (entry.ready == 1)
            copy_procedure(m, &entry);
    }
    if (snapshot->procedure_count > 1)
        qsort(snapshot->procedures, snapshot->procedure_count, sizeof snapshot->procedures[0], ullage_procedure_compare);
    return 0;
}

/* ---- warnings ---- */

static void name_of(char to[80], const struct ullage_procedure *procedure)
{
    const char *known = ullage_program_name(procedure->program);
    char program[16];
    snprintf(program, sizeof program, "%" PRIu32, procedure->program);
    snprintf(to, 80, "%s version %" PRIu32 ", procedure %" PRIu32, known != NULL ? known : program, procedure->version,
        procedure->procedure);
}

static void warn_of_refused(struct ullage_snapshot *snapshot, const struct ullage_procedure *procedure)
{
    char name[80], cap[ULLAGE_QUANTITY_BYTES], largest[ULLAGE_QUANTITY_BYTES], passed[80] = "none was let through";
    name_of(name, procedure);
    if (procedure->sizes.count != 0)
        snprintf(passed, sizeof passed, "the largest that was let through had %s",
            ullage_quantity_size(largest, procedure->sizes.max_bytes));
    ull_snapshot_warn(snapshot, "calls of %s were refused over the cap for it (%" PRIu64 ", over %s); %s: raise the cap if their "
        "senders are honest", name, procedure->refused,
        procedure->cap_bytes != 0 ? ullage_quantity_size(cap, procedure->cap_bytes) : "what is not known", passed);
}

static void warn_of_near(struct ullage_snapshot *snapshot, const struct ullage_procedure *procedure)
{
    char name[80], cap[ULLAGE_QUANTITY_BYTES], largest[ULLAGE_QUANTITY_BYTES];
    name_of(name, procedure);
    ull_snapshot_warn(snapshot, "calls of %s come near the cap for it: the largest had %s of %s, and larger ones end their connection",
        name, ullage_quantity_size(largest, procedure->sizes.max_bytes), ullage_quantity_size(cap, procedure->cap_bytes));
}

static bool is_refused(const struct ullage_procedure *procedure)
{
    return procedure->refused != 0;
}

/* Within an eighth of it: our choice. Not of the default cap, which is made for calls of 1 MiB, and they come nearer than that. */
static bool is_near(const struct ullage_procedure *procedure)
{
    uint64_t cap = procedure->cap_bytes;
    return procedure->refused == 0 && cap != 0 && cap != ULLAGE_RECORD_BYTES && procedure->sizes.max_bytes > cap - cap / 8;
}

static void warn_of(struct ullage_snapshot *snapshot, bool (*is_due)(const struct ullage_procedure *),
    void (*warn)(struct ullage_snapshot *, const struct ullage_procedure *), const char *what)
{
    uint64_t due = 0;
    for (size_t i = 0; i < snapshot->procedure_count; i++)
        if (is_due(&snapshot->procedures[i]) && due++ < SAID)
            warn(snapshot, &snapshot->procedures[i]);
    if (due > SAID)
        ull_snapshot_warn(snapshot, "calls of %" PRIu64 " more procedures %s", due - SAID, what);
}

void ull_procedures_warn(struct ullage_snapshot *snapshot)
{
    const uint64_t *counters = snapshot->counters;
    warn_of(snapshot, is_refused, warn_of_refused, "were refused over their caps");
    warn_of(snapshot, is_near, warn_of_near, "come near their caps");
    if (counters[ULL_COUNTER_record_refused_size_total] > 0)
        ull_snapshot_warn(snapshot, "record readers failed at a cap on bytes or fragments (%" PRIu64 "): peers that are no RPC "
            "clients, hostile ones, or a cap that is too small", counters[ULL_COUNTER_record_refused_size_total]);
    if (counters[ULL_COUNTER_record_refused_budget_total] > 0)
        ull_snapshot_warn(snapshot, "record readers failed because they held more than their share of a budget that was used "
            "up (%" PRIu64 "): it is too small for so many at once", counters[ULL_COUNTER_record_refused_budget_total]);
    if (counters[ULL_COUNTER_record_procedures_dropped_total] > 0)
        ull_snapshot_warn(snapshot, "the table of procedures was full: %" PRIu64 " calls of others are not in it",
            counters[ULL_COUNTER_record_procedures_dropped_total]);
}
