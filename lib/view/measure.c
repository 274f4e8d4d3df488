/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * measure.c - the outside scan.
 *
 * A reading counts only if the entry has the same state before and after: then the memory was that buffer's all the
 * time. After each slice of work comes a pause ten times as long, so that the scan takes at most a tenth of a core
 * within its budget, and the process waits for its own memory map at most as long as one range takes.
 */
#include "config.h"

#include "view/measure.h"

#include "base/arith.h"
#include "base/atomic.h"
#include "base/sys.h"
#include "pages/span.h"
#include "view/process.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define RANGE_BYTES (UINT64_C(16) << 20) /* asked in one call: about 10 us where little is touched; findings */
#define SLICE_NS UINT64_C(200000)
enum { PAUSE_SHARE = 10 };

/* A process that ended or called execve(2) has no such pages any more, which reads like "nothing touched". */
static bool image_is_there(const struct ull_file *file)
{
    uint64_t magic = 0;
    ssize_t got = ull_sys_read_memory((pid_t)file->header.pid, file->header.self_address, &magic, sizeof magic);
    return got == (ssize_t)sizeof magic && magic == ULL_LEDGER_MAGIC;
}

static int measure_entry(const struct ull_file *file, struct ull_pages *pages, const struct ull_live_entry *at,
    uint64_t index, bool orphaned, struct ull_sidecar_entry *out)
{
    struct ull_live_entry entry;
    struct ull_reading reading;
    ull_file_copy(&entry, at, sizeof entry);
    if ((entry.state & 1) == 0 || (entry.flags & ULL_LIVE_MEASURABLE) == 0
        || ((entry.flags & ULL_LIVE_INHERITED) != 0 && !orphaned) || !ull_span_measurable(entry.address, entry.bytes))
        return -EAGAIN;
    struct ull_span span = { entry.address, entry.bytes, entry.stale_end, entry.stale_bytes, entry.tail_sum,
        false };
    int result = ull_span_read(pages, &span, ULL_SPAN_SHARED, &reading);
    if (result != 0)
        return result;
    if (ull_file_word_now(file, &at->state) != entry.state)
        return -EAGAIN;
    *out = (struct ull_sidecar_entry) { index, entry.state, ull_sys_monotonic_ns(), reading.used, reading.touched,
        reading.resident, reading.granularity | (reading.exact ? ULL_READ_EXACT : 0) };
    return 0;
}

static void pause_ns(uint64_t ns)
{
    struct timespec time = { (time_t)(ns / UINT64_C(1000000000)), (long)(ns % UINT64_C(1000000000)) };
    nanosleep(&time, NULL);
}

/* Takes over the older readings of entries that still hold the same buffer and were not measured this time. */
static int keep_older(const struct ull_file *file, struct ull_sidecar *fresh, const struct ull_sidecar *older,
    uint64_t first, uint64_t measured, uint64_t total)
{
    for (size_t i = 0; i < older->count; i++) {
        const struct ull_sidecar_entry *entry = &older->entries[i];
        uint64_t position = entry->live >= first ? entry->live - first : entry->live + total - first;
        const struct ull_live_entry *now = ull_file_entry(file, ULL_TABLE_LIVE, entry->live);
        if (position >= measured && entry->live < total && now != NULL && ull_file_word_now(file, &now->state) == entry->state) {
            int result = ull_sidecar_put(fresh, entry);
            if (result != 0)
                return result;
        }
    }
    return 0;
}

/* How far the readings are good: what was measured after the last look counts only if the image is there at the next. */
struct confirmed {
    size_t count;
    uint64_t step;
};

static bool confirm(const struct ull_file *file, struct ull_sidecar *fresh, struct confirmed *confirmed, uint64_t *step)
{
    if (fresh->count > confirmed->count && !image_is_there(file)) {
        fresh->count = confirmed->count;
        *step = confirmed->step;
        return false;
    }
    *confirmed = (struct confirmed) { fresh->count, *step };
    return true;
}

int ull_measure_live(const struct ull_file *file, struct ull_sidecar *sidecar, const struct ull_measure_budget *budget,
    uint64_t *cursor)
{
    struct ull_pages pages;
    struct ull_sidecar fresh = { .header = sidecar->header, .owner = sidecar->owner };
    uint64_t total = ull_file_count(file, ULL_TABLE_LIVE), first = cursor != NULL && *cursor < total ? *cursor : 0;
    uint64_t begun = ull_sys_precise_ns(), slice = begun, step = 0, busy = 0;
    struct confirmed confirmed = { 0, 0 };
    bool orphaned = ull_process_is_orphaned(&file->header);
    int result = 0;
    ull_pages_init(&pages, (pid_t)file->header.pid, ULL_PAGES_UNTRIED);
    pages.chunk_bytes = RANGE_BYTES;
    /* Whether it forked is not known here: by the older interface a page that is not exclusive counts as touched. */
    pages.forked = true;
    for (; step < total; step++) {
        struct ull_sidecar_entry entry;
        uint64_t index = (first + step) % total, now = ull_sys_precise_ns();
        if (now - begun > budget->wall_ns || (budget->busy_ns != 0 && busy + now - slice > budget->busy_ns))
            break;
        if (now - slice > SLICE_NS) {
            busy += now - slice;
            if (!confirm(file, &fresh, &confirmed, &step))
                break;
            pause_ns(PAUSE_SHARE * (now - slice));
            slice = ull_sys_precise_ns();
        }
        const struct ull_live_entry *at = ull_file_entry(file, ULL_TABLE_LIVE, index);
        int measured = at != NULL ? measure_entry(file, &pages, at, index, orphaned, &entry) : -EAGAIN;
        if (measured == -ESRCH && confirmed.count > 0)
            break; /* it ended meanwhile: what was confirmed before stands */
        if (measured == -ESRCH || measured == -EPERM || measured == -ENOTSUP)
            result = measured;
        else if (measured == 0)
            result = ull_sidecar_put(&fresh, &entry);
        if (result != 0)
            break;
    }
    if (result == 0 && !confirm(file, &fresh, &confirmed, &step) && confirmed.count == 0)
        result = -ESRCH;
    if (result == 0)
        result = keep_older(file, &fresh, sidecar, first, step, total);
    ull_pages_fini(&pages);
    if (result != 0) {
        ull_sidecar_fini(&fresh);
        return result;
    }
    if (cursor != NULL)
        *cursor = total > 0 ? (first + step) % total : 0;
    fresh.header.scanned_monotonic_ns = ull_sys_monotonic_ns();
    ull_sidecar_fini(sidecar);
    *sidecar = fresh;
    return (int)ull_min_u64(fresh.count, INT32_MAX);
}
