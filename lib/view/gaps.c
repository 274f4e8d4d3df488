/* SPDX-License-Identifier: BSD-2-Clause */
/* gaps.c - what a snapshot does not tell, said in sentences. */
#include "config.h"

#include "view/gaps.h"

#include "pages/scan.h"
#include "view/symbolize.h"

void ull_gaps_warn(struct ull_making *m, const char *sidecar_trouble)
{
    struct ullage_snapshot *snapshot = m->snapshot;
    const uint64_t *counters = snapshot->counters;
    if (m->file.cut)
        ull_snapshot_warn(snapshot, "the ledger is cut off after %zu of %lu bytes: sites and buffers are missing",
            m->file.size, m->file.header.file_bytes);
    if (m->continued_by != 0 && m->process.state != ULLAGE_STATE_LIVE)
        ull_snapshot_warn(snapshot, "buffers that it held at its end went on to process %u, a fork of it that still runs: "
            "they are judged once that has recorded something (ullage report %u)", m->continued_by, m->continued_by);
    if (m->broken > 0)
        ull_snapshot_warn(snapshot, "the ledger is damaged: %lu entries point outside it and were left out", m->broken);
    if (sidecar_trouble != NULL)
        ull_snapshot_warn(snapshot, "the sidecar is %s: what was measured from outside is missing", sidecar_trouble);
    if (counters[ULL_COUNTER_sites_dropped_total] > 0)
        ull_snapshot_warn(snapshot, "the table of sites was full: some stacks are counted under \"other\"");
    if (counters[ULL_COUNTER_live_dropped_total] > 0)
        ull_snapshot_warn(snapshot, "the table of live buffers was full: some could not be measured while they lived");
    if (counters[ULL_COUNTER_sandboxed_total] > 0)
        ull_snapshot_warn(snapshot, "the program sandboxed itself: recording ended there, so that no filter would kill "
            "it for a system call of ours");
    if (counters[ULL_COUNTER_pool_misuse_total] > 0)
        ull_snapshot_warn(snapshot, "the program misused buffers %lu times (its standard error tells how): each was left "
            "without effect", counters[ULL_COUNTER_pool_misuse_total]);
    if (counters[ULL_COUNTER_pool_refused_total] > 0)
        ull_snapshot_warn(snapshot, "signal handlers asked for %lu buffers while their thread was asking for one: refused",
            counters[ULL_COUNTER_pool_refused_total]);
    if (m->file.header.pages_method == ULL_PAGES_NONE)
        ull_snapshot_warn(snapshot, "the kernel let no pages be looked at (no /proc, no mincore): use is unknown");
    else if (m->file.header.pages_method == ULL_PAGES_MINCORE)
        ull_snapshot_warn(snapshot, "measured with mincore: pages that were only read count as used");
    for (uint64_t i = 0; i < m->module_count; i++) {
        if (m->module_numbers[i] >= 0 && ull_symbolizer_changed(m->symbolizer, m->module_numbers[i])) {
            ull_snapshot_warn(snapshot, "a binary has changed on disk since it ran: its frames have no names");
            break;
        }
    }
}
