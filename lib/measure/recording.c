/* SPDX-License-Identifier: BSD-2-Clause */
/* recording.c - pausing, going on, and the counts of what was recorded. */
#include "config.h"

#include "ullage/recording.h"

#include "measure/state.h"

#include <errno.h>

void ullage_recording_pause(void)
{
    ull_store_release(&ull_recorder.paused, 1U);
}

void ullage_recording_resume(void)
{
    ull_store_release(&ull_recorder.paused, 0U);
}

int ullage_recording_counts(struct ullage_recording_counts *out)
{
    uint32_t state = ull_load_acquire(&ull_recorder.state);
    if (out == NULL || out->size < sizeof *out)
        return -EINVAL;
    *out = (struct ullage_recording_counts) { .size = out->size };
    if (!ull_recorder_interposes() || (state != ULL_READY && state != ULL_RECORDING))
        return -ENODATA;
    if (state == ULL_READY)
        return 0; /* nothing yet, so that there is no ledger */
    const uint64_t *counters = ull_recorder.ledger.header->counters;
    out->frees = ull_load_acquire(&counters[ULL_COUNTER_frees_total]); /* before allocations: live is never negative */
    out->freed_bytes = ull_load_acquire(&counters[ULL_COUNTER_freed_bytes_total]);
    out->allocations = ull_load_acquire(&counters[ULL_COUNTER_allocations_total]);
    out->requested_bytes = ull_load_acquire(&counters[ULL_COUNTER_requested_bytes_total]);
    out->peak_bytes = ull_load_acquire(&counters[ULL_COUNTER_live_peak_bytes]);
    out->missed = ull_load_acquire(&counters[ULL_COUNTER_reentrant_total])
        + ull_load_acquire(&counters[ULL_COUNTER_live_dropped_total])
        + ull_load_acquire(&counters[ULL_COUNTER_reused_live_total]);
    return 0;
}
