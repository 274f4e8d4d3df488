/* SPDX-License-Identifier: BSD-2-Clause */
/* count.c - see count.h. */
#include "config.h"

#include "record/count.h"

#include "base/arith.h"
#include "base/atomic.h"
#include "base/lock.h"
#include "measure/named.h"
#include "record/marker.h"
#include "record/reader.h"

#include <string.h>

enum {
    PROCEDURES_MAX = 256, /* in the ledger: a peer may name any, and each is 0.6 KiB. Our choice: NFS and its helpers have 60 */
    SLOTS = 2 * PROCEDURES_MAX,
};

static struct {
    pthread_mutex_t lock; /* for adding */
    uint32_t count;
    struct ull_procedure_entry *slots[SLOTS]; /* open addressing; atomic */
    uint64_t held, stalled; /* of all readers; atomic */
} all = { .lock = PTHREAD_MUTEX_INITIALIZER };

void ull_count_forked(void)
{
    pthread_mutex_init(&all.lock, NULL);
    all.count = 0;
    memset(all.slots, 0, sizeof all.slots);
}

/* ---- procedures ---- */

/* The slot that has it, or the empty one where it belongs. NULL: neither. */
static struct ull_procedure_entry **find(uint32_t program, uint32_t version, uint32_t procedure)
{
    uint64_t hash = ull_mix64(((uint64_t)program << 32 | version) + procedure * UINT64_C(0x9e3779b97f4a7c15));
    for (uint32_t i = 0; i < SLOTS; i++) {
        struct ull_procedure_entry **slot = &all.slots[(hash + i) % SLOTS], *entry = ull_load_acquire(slot);
        if (entry == NULL || (entry->program == program && entry->version == version && entry->procedure == procedure))
            return slot;
    }
    return NULL;
}

static struct ull_procedure_entry *add(uint32_t program, uint32_t version, uint32_t procedure)
{
    struct ull_procedure_entry *entry = NULL, **slot;
    if (!ull_lock(&all.lock))
        return NULL;
    slot = find(program, version, procedure);
    if (slot != NULL)
        entry = *slot;
    if (slot != NULL && entry == NULL && all.count < PROCEDURES_MAX) {
        entry = ull_named_procedure(program, version, procedure);
        if (entry != NULL) {
            all.count++;
            ull_store_release(slot, entry);
        }
    }
    ull_unlock(&all.lock);
    return entry;
}

static struct ull_procedure_entry *entry_of(uint32_t program, uint32_t version, uint32_t procedure)
{
    ull_named_check_fork();
    struct ull_procedure_entry **slot = find(program, version, procedure), *entry = slot != NULL ? ull_load_acquire(slot) : NULL;
    return entry != NULL ? entry : add(program, version, procedure);
}

void ull_count_refused_call(uint32_t program, uint32_t version, uint32_t procedure, uint64_t cap)
{
    struct ull_procedure_entry *entry = entry_of(program, version, procedure);
    if (entry != NULL) {
        ull_add_relaxed(&entry->refused_count, UINT64_C(1));
        ull_min_nonzero_relaxed(&entry->cap_bytes, cap);
    }
}

/* ---- runs ---- */

static void end_run(struct ullage_reader *r)
{
    struct ull_run *run = &r->run;
    if (run->count == 0)
        return;
    uint64_t both = be64toh(run->program_version);
    uint32_t program = (uint32_t)(both >> 32), version = (uint32_t)both, procedure = be32toh(run->procedure);
    struct ull_procedure_entry *entry = entry_of(program, version, procedure);
    if (entry != NULL) {
        ull_min_nonzero_relaxed(&entry->cap_bytes, ull_record_settings_cap(r->settings, program, version, procedure));
        ull_add_relaxed(&entry->sizes[ull_bucket_of(run->most)], (uint64_t)run->count);
        ull_add_relaxed(&entry->bytes, run->bytes);
        ull_max_relaxed(&entry->max_bytes, run->most);
    } else {
        ull_named_count(ULL_COUNTER_record_procedures_dropped_total, run->count);
    }
    run->count = 0;
    run->bytes = 0;
    run->most = 0;
}

int ull_count_other(struct ullage_reader *r, const uint8_t *data, uint64_t bytes)
{
    struct ull_run *run = &r->run;
    unsigned bucket = ull_bucket_of(bytes);
    end_run(r);
    memcpy(&run->program_version, data + 12, sizeof run->program_version);
    memcpy(&run->procedure, data + 20, sizeof run->procedure);
    run->first = bucket == 0 ? 0 : (uint32_t)ull_bucket_limit(bucket - 1) + 1;
    run->span = (uint32_t)ull_min_u64(ull_bucket_limit(bucket), UINT32_MAX) - run->first + 1;
    run->count = 1;
    run->bytes = bytes;
    run->most = (uint32_t)ull_min_u64(bytes, UINT32_MAX);
    return 1;
}

void ull_count_flush(struct ullage_reader *r)
{
    struct ull_run *run = &r->run;
    uint32_t records = (uint32_t)r->index - run->counted_index;
    uint32_t bytes = (uint32_t)ull_reader_offset(r) - run->counted_offset;
    if (bytes != 0)
        ull_named_count(ULL_COUNTER_record_bytes_total, bytes);
    if (records != 0 && !r->tiny) {
        end_run(r);
        ull_named_count(ULL_COUNTER_records_total, records);
        ull_named_count(ULL_COUNTER_record_fragments_total, (uint64_t)records + run->fragments);
        run->fragments = 0;
    }
    run->counted_index += records;
    run->counted_offset += bytes;
}

/* ---- gauges ---- */

void ull_count_held(int64_t bytes)
{
    uint64_t now = ull_add_relaxed(&all.held, (uint64_t)bytes) + (uint64_t)bytes;
    ull_named_set(ULL_COUNTER_record_held_bytes, now);
    if (bytes > 0)
        ull_named_max(ULL_COUNTER_record_held_peak_bytes, now);
}

void ull_count_stalled(struct ullage_reader *r, bool stalled)
{
    if (r->stalled == stalled)
        return;
    r->stalled = stalled;
    uint64_t by = stalled ? 1 : UINT64_MAX;
    ull_named_set(ULL_COUNTER_record_stalled, ull_add_relaxed(&all.stalled, by) + by);
}
