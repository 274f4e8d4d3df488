/* SPDX-License-Identifier: BSD-2-Clause */
/* records.c - record readers on a page: how much came, what was refused and why, what they hold. */
#include "config.h"

#include "export/records.h"

#include "base/quantity.h"
#include "export/procedures.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct {
    enum ull_counter counter;
    const char *why;
} refusals[] = {
    { ULL_COUNTER_record_refused_size_total, "size" },
    { ULL_COUNTER_record_refused_budget_total, "budget" },
    { ULL_COUNTER_record_refused_time_total, "time" },
    { ULL_COUNTER_record_refused_protocol_total, "protocol" },
    { ULL_COUNTER_record_refused_end_total, "end of stream" },
    { ULL_COUNTER_record_refused_other_total, "other" },
};
enum { REFUSALS = sizeof refusals / sizeof refusals[0] };

static uint64_t refused_in_all(const struct ullage_snapshot *snapshot)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < REFUSALS; i++)
        ull_saturating_add(&sum, snapshot->counters[refusals[i].counter]);
    return sum;
}

static void write_counts(struct ull_writer *out, const struct ullage_snapshot *snapshot)
{
    const uint64_t *counters = snapshot->counters;
    bool live = snapshot->state == ULLAGE_STATE_LIVE;
    char text[512], bytes[ULL_QUANTITY_BYTES], held[ULL_QUANTITY_BYTES], peak[ULL_QUANTITY_BYTES];
    snprintf(text, sizeof text, "%" PRIu64 " in %" PRIu64 " fragments, %s read; readers held %s %s (peak %s), %" PRIu64 " %s "
        "for the rest of a record",
        counters[ULL_COUNTER_records_total], counters[ULL_COUNTER_record_fragments_total],
        ull_quantity_size(bytes, counters[ULL_COUNTER_record_bytes_total]),
        ull_quantity_size(held, counters[ULL_COUNTER_record_held_bytes]), live ? "now" : "at the end",
        ull_quantity_size(peak, counters[ULL_COUNTER_record_held_peak_bytes]), counters[ULL_COUNTER_record_stalled],
        live ? "wait" : "waited");
    ull_write_paragraph(out, "  records          ", text);
}

static void write_refusals(struct ull_writer *out, const struct ullage_snapshot *snapshot)
{
    char text[512];
    size_t length = (size_t)snprintf(text, sizeof text, "%" PRIu64, refused_in_all(snapshot));
    const char *between = ": ";
    for (size_t i = 0; i < REFUSALS; i++) {
        uint64_t count = snapshot->counters[refusals[i].counter];
        if (count == 0)
            continue;
        length += (size_t)snprintf(text + length, sizeof text - length, "%s%s %" PRIu64, between, refusals[i].why, count);
        between = ", ";
    }
    if (snapshot->counters[ULL_COUNTER_record_waits_total] != 0)
        snprintf(text + length, sizeof text - length, "; %" PRIu64 " calls had to wait for the budget",
            snapshot->counters[ULL_COUNTER_record_waits_total]);
    ull_write_paragraph(out, "  readers refused  ", text);
}

void ull_write_records(struct ull_writer *out, const struct ullage_snapshot *snapshot, size_t top, bool colour)
{
    const uint64_t *counters = snapshot->counters;
    bool refused = refused_in_all(snapshot) != 0 || counters[ULL_COUNTER_record_waits_total] != 0;
    if (counters[ULL_COUNTER_record_bytes_total] == 0 && snapshot->procedure_count == 0 && !refused)
        return;
    ull_write(out, "\n");
    write_counts(out, snapshot);
    if (refused)
        write_refusals(out, snapshot);
    ull_write_procedures(out, snapshot->procedures, snapshot->procedure_count, top, colour);
}
