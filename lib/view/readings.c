/* SPDX-License-Identifier: BSD-2-Clause */
/* readings.c - what is known of buffers that live: by the program, by a sidecar, by ourselves. The newest counts. */
#include "config.h"

#include "view/readings.h"

#include "base/arith.h"
#include "view/adopted.h"

struct reading {
    uint64_t used, touched, resident, how, read_ns;
};

static void add_reading(struct ull_site *site, const struct ull_live_entry *entry, const struct reading *reading)
{
    struct ull_known *known = &site->known[(reading->how & ULL_READ_EXACT) != 0 ? ULL_EXACT : ULL_UPPER_BOUND];
    uint64_t bytes = entry->bytes, used = ull_min_u64(reading->used, bytes);
    uint64_t touched = ull_min_u64(reading->touched, bytes);
    ull_saturating_add(&known->count, 1);
    ull_saturating_add(&known->requested_bytes, bytes);
    ull_saturating_add(&known->used_bytes, used);
    known->used_max_bytes = ull_max_u64(known->used_max_bytes, used);
    known->granularity_bytes = ull_max_u64(known->granularity_bytes, reading->how & UINT32_MAX);
    if (known->requested_min_bytes == 0 || bytes < known->requested_min_bytes)
        known->requested_min_bytes = bytes;
    ull_saturating_add(&known->shares[ull_share_of(used, bytes)], 1);
    ull_saturating_add(&known->used[ull_bucket_of(used)], 1);
    ull_saturating_add(&site->touched_count, 1);
    ull_saturating_add(&site->touched_bytes, touched);
    site->touched_max = ull_max_u64(site->touched_max, touched);
    ull_saturating_add(&site->touched_shares[ull_share_of(touched, bytes)], 1);
    unsigned bucket = touched <= 1 ? 0 : 64U - (unsigned)__builtin_clzll(touched - 1);
    ull_saturating_add(&site->touched_log2[bucket < 63 ? bucket : 63], 1);
    ull_saturating_add(&site->resident_live, ull_min_u64(reading->resident, bytes));
    ull_saturating_add(&site->ullage_live, bytes - used);
    site->live_read++;
}

/* The newest of what the program, the sidecar and we ourselves measured; false if nobody did. */
static bool newest_reading(
    const struct ull_making *m, uint64_t index, const struct ull_live_entry *entry, struct reading *out)
{
    const struct ull_sidecar_entry *beside = ull_sidecar_find(&m->sidecar, index, entry->state);
    *out = (struct reading) { entry->used, entry->touched, entry->resident, entry->how, entry->read_monotonic_ns };
    if (beside != NULL && beside->read_monotonic_ns > out->read_ns) {
        uint64_t before = out->read_ns != 0 ? out->used : 0; /* what was used once stays used */
        *out = (struct reading) { ull_max_u64(beside->used, before), beside->touched, beside->resident, beside->how,
            beside->read_monotonic_ns };
    }
    return out->read_ns != 0;
}

static void add_live(struct ull_making *m, uint64_t index)
{
    struct ull_live_entry entry;
    struct reading reading;
    const void *from = ull_file_entry(&m->file, ULL_TABLE_LIVE, index);
    if (from == NULL)
        return;
    ull_file_copy(&entry, from, sizeof entry);
    const struct ull_live_entry *again = from;
    if ((entry.state & 1) == 0 || __atomic_load_n(&again->state, __ATOMIC_ACQUIRE) != entry.state || entry.bytes == 0)
        return;
    struct ull_site *site = ull_making_site(m, entry.site);
    if (site == NULL)
        return;
    /* An inherited buffer is its parent's to judge while that lives; a sampled one stands for small ones, which are not measured. */
    if ((entry.flags & ULL_LIVE_SAMPLED) != 0 || ((entry.flags & ULL_LIVE_INHERITED) != 0 && !m->orphaned))
        return;
    if (m->adopted != NULL && m->process.state != ULLAGE_STATE_LIVE
        && (m->continued_by != 0 || ull_adopted_later(m->adopted, &entry, &m->file.header)))
        return;
    if ((entry.flags & ULL_LIVE_MEASURABLE) == 0 || !newest_reading(m, index, &entry, &reading)) {
        site->live_unread++;
        return;
    }
    add_reading(site, &entry, &reading);
    site->used_age_ns
        = ull_max_u64(site->used_age_ns, ull_minus_clamped(m->process.now_monotonic_ns, reading.read_ns));
}

void ull_readings_add(struct ull_making *m)
{
    uint64_t live = ull_file_count(&m->file, ULL_TABLE_LIVE);
    for (uint64_t i = 0; i < live; i++)
        add_live(m, i);
}
