/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * recorder.c - the coordinator: stack, site, pages, counters, live table, in this order.
 *
 * States: unset -> ready (knows its options, no ledger) -> recording; or -> off, when no ledger can be made: said once
 * on standard error, and the program goes on as if we were not there. What happens to the process is in life.c.
 *
 * Locks, in order: making, live shards, modules, sites, ledger. None is held while the loader is asked for anything
 * that locks, while the program's allocator runs, or across fork; no wait for one is without bound.
 */
#include "config.h"

#include "measure/recorder.h"

#include "base/arith.h"
#include "base/lock.h"
#include "base/sys.h"
#include "measure/sampling.h"
#include "measure/stack.h"
#include "measure/state.h"

#include <errno.h>

struct ull_recorder_gate ull_gate = { .live = { .filter = &ull_live_first_filter.head } };
__thread struct ull_recorder_thread ull_thread;

#define recorder ull_recorder

/* Our choices: what the program's own threads spend on measuring what is live, per round. */
#define RESCAN_INTERVAL_NS UINT64_C(100000000)
#define RESCAN_BUDGET_NS UINT64_C(50000)
#define REFRESH_INTERVAL_NS UINT64_C(1000000000)
enum {
    RESCAN_BUFFERS = 16,
    SETTLE_STEP_BYTES = 4096, /* of small allocations, between the looks of a forked child for its parent */
};

void ull_recorder_init(const struct ull_recorder_options *options)
{
    recorder.options = *options;
    ull_life_begin();
    ull_live_init(&ull_gate.live, NULL);
    ull_use_init(&recorder.use, options->forced_method, options->clearing, options->clear_malloc);
    ull_store_release(&recorder.state, (uint32_t)ULL_READY);
    ull_store_release(&ull_gate.min_bytes, options->min_bytes);
}

bool ull_recorder_is_ready(void)
{
    return ull_load_acquire(&recorder.state) != ULL_UNSET;
}

bool ull_recorder_interposes(void)
{
    return recorder.options.interposes;
}

/* ---- live buffers measured again ---- */

/* What was inherited is the parent's to judge while that lives: each worker of a hundred would be blamed for it. */
static bool is_ours_to_measure(const struct ull_live_buffer *buffer)
{
    return (buffer->flags & ULL_LIVE_MEASURABLE) != 0
        && ((buffer->flags & ULL_LIVE_INHERITED) == 0 || ull_life_orphaned());
}

bool ull_recorder_measure_live(void *context, struct ull_live_buffer *buffer)
{
    const struct ull_round *round = context;
    struct ull_reading reading;
    if (is_ours_to_measure(buffer) && ull_use_read(&recorder.use, buffer, round->access, &reading) == 0) {
        ull_live_publish_reading(&ull_gate.live, buffer, reading.used, reading.touched, reading.resident,
            reading.granularity | (reading.exact ? ULL_READ_EXACT : 0));
        ull_ledger_count(&recorder.ledger, ULL_COUNTER_rescans_total, 1);
    }
    return ull_sys_precise_ns() < round->deadline_ns;
}

/* The oldest few, now and then: the cursor goes round, so that the next one is always the longest unmeasured. */
static void rescan_some(void)
{
    uint64_t now = ull_sys_monotonic_ns(), last = ull_load_relaxed(&recorder.rescanned_ns);
    ull_store_relaxed(&recorder.ledger.header->last_event_monotonic_ns, now);
    if (now - last < RESCAN_INTERVAL_NS || !ull_cas_acq_rel(&recorder.rescanned_ns, &last, now))
        return;
    struct ull_round round = { ull_sys_precise_ns() + RESCAN_BUDGET_NS, ULL_SPAN_BRIEFLY };
    ull_live_visit(&ull_gate.live, &recorder.cursor, RESCAN_BUFFERS, ull_recorder_measure_live, &round);
    void (*refresh)(void) = ull_load_acquire(&recorder.refresh);
    if (refresh != NULL && recorder.options.interposes && now - recorder.refreshed_ns >= REFRESH_INTERVAL_NS) {
        recorder.refreshed_ns = now;
        refresh();
    }
}

/* ---- entering and leaving ---- */

static uint64_t random_seed(void)
{
    return ull_mix64(ull_sys_precise_ns() ^ (uint64_t)(uintptr_t)&ull_thread ^ (uint64_t)recorder.pid << 32);
}

static void draw_next_sample(void)
{
    int64_t distance = recorder.options.sample_bytes != 0
        ? ull_sampling_distance(&ull_thread.random, recorder.options.sample_bytes) : INT64_MAX;
    /* A distance that was cut short counts for nothing: the next one is as long as if it had never begun. */
    ull_thread.cut_short = ull_load_relaxed(&recorder.looks) > 0 && distance > SETTLE_STEP_BYTES;
    ull_thread.until_sample = ull_thread.cut_short ? SETTLE_STEP_BYTES : distance;
}

bool ull_recorder_enter(void)
{
    uint32_t state = ull_load_acquire(&recorder.state);
    if (ull_thread.busy || state == ULL_UNSET || state == ULL_OFF)
        return false;
    ull_life_check_fork();
    ull_thread.busy = true;
    if (ull_unlikely(!ull_thread.ready || ull_thread.random == 0)) {
        ull_thread.random = random_seed();
        if (!ull_thread.ready)
            draw_next_sample();
        ull_thread.ready = true;
    }
    if (ull_unlikely(ull_load_relaxed(&recorder.looks) > 0))
        ull_life_settle();
    return true;
}

void ull_recorder_leave(void)
{
    ull_thread.busy = false;
}

bool ull_recorder_recording(void)
{
    uint32_t state = ull_load_acquire(&recorder.state);
    if (ull_likely(state == ULL_RECORDING))
        return true;
    if (state != ULL_READY || !ull_lock(&recorder.making))
        return false;
    if (recorder.state == ULL_READY)
        ull_life_make_ledger();
    ull_unlock(&recorder.making);
    return ull_load_acquire(&recorder.state) == ULL_RECORDING;
}

/* ---- allocations ---- */

/* How many allocations this one stands for; 0: it is not recorded. */
static uint32_t weight_of(size_t bytes, bool new_thread)
{
    if (bytes >= recorder.options.min_bytes)
        return 1;
    if (new_thread)
        ull_thread.until_sample -= (int64_t)bytes;
    if (ull_thread.until_sample >= 0)
        return 0;
    bool cut_short = ull_thread.cut_short;
    draw_next_sample();
    if (recorder.options.sample_bytes == 0 || cut_short)
        return 0;
    return ull_sampling_weight(&ull_thread.random, bytes, recorder.options.sample_bytes);
}

uint32_t ull_recorder_site(enum ull_kind kind, uint64_t profile, uint64_t salt, const uint64_t *given, unsigned count)
{
    uint64_t frames[ULL_STACK_DEPTH_MAX], packed[ULL_STACK_DEPTH_MAX];
    uint64_t key = kind ^ salt, id = kind ^ salt;
    uint32_t site;
    if (count == 0) {
        given = frames;
        count = ull_stack_capture(frames, ULL_STACK_DEPTH_MAX);
    }
    if (count == 0) {
        ull_ledger_count(&recorder.ledger, ULL_COUNTER_stackless_total, 1);
        return ULL_SITE_OTHER;
    }
    for (unsigned i = 0; i < count; i++)
        key = ull_mix64(key ^ given[i]) + i;
    if (ull_sites_find(&recorder.sites, key, &site))
        return site;
    ull_modules_resolve(&recorder.modules, given, count, packed, &id);
    return ull_sites_add(&recorder.sites, key, id, kind, profile, packed, count);
}

static void count_gone(const struct ull_live_buffer *buffer)
{
    if (ull_load_acquire(&recorder.state) != ULL_RECORDING || buffer->generation != ull_gate.live.generation)
        return; /* a child lets go of what was its parent's, and is not in its own ledger */
    ull_sites_count_free(&recorder.sites, buffer->site, buffer->bytes, buffer->weight);
}

static void insert(const struct ull_live_buffer *buffer)
{
    struct ull_live_buffer older;
    bool had_older;
    if (ull_live_insert(&ull_gate.live, buffer, &older, &had_older) != 0) {
        count_gone(buffer); /* it cannot be followed: as if it were gone, so that live stays true */
    } else if (had_older) {
        count_gone(&older);
        ull_ledger_count(&recorder.ledger, ULL_COUNTER_reused_live_total, 1);
    }
}

/* Everything but the measuring. */
static struct ull_live_buffer describe(const void *address, size_t bytes, uint32_t weight, enum ull_kind kind,
    const uint64_t *frames, unsigned count)
{
    bool large = bytes >= recorder.options.min_bytes;
    return (struct ull_live_buffer) {
        .address = (uint64_t)(uintptr_t)address,
        .bytes = bytes,
        .born_monotonic_ns = ull_sys_monotonic_ns(),
        .entry = -1,
        .generation = ull_load_relaxed(&ull_gate.live.generation),
        .site = ull_recorder_site(kind, 0, 0, frames, count),
        .weight = weight,
        .flags = !large ? ULL_LIVE_SAMPLED
            : ull_span_measurable((uint64_t)(uintptr_t)address, bytes) ? ULL_LIVE_MEASURABLE : 0,
    };
}

/* @weight, @frames and @count: of a sample that somebody else took; 0 where it is ours to sample, and to take its stack. */
static void record(const void *address, size_t bytes, enum ull_kind kind, const struct ull_recorder_move *from,
    uint32_t weight, const uint64_t *frames, unsigned count)
{
    bool new_thread = !ull_thread.ready;
    if (ull_unlikely(ull_load_relaxed(&recorder.paused)))
        return;
    if (!ull_recorder_enter()) {
        if (!ull_thread.unwinding && ull_load_acquire(&recorder.state) == ULL_RECORDING)
            ull_ledger_count(&recorder.ledger, ULL_COUNTER_reentrant_total, 1);
        return;
    }
    if (weight == 0)
        weight = weight_of(bytes, new_thread);
    if (weight != 0 && ull_recorder_recording()) {
        struct ull_live_buffer buffer = describe(address, bytes, weight, kind, frames, count);
        if ((buffer.flags & ULL_LIVE_MEASURABLE) != 0)
            ull_use_begin(&recorder.use, &buffer, kind, &recorder.ledger, ull_sites_use(&recorder.sites, buffer.site));
        if (from != NULL && from->known && from->old.address == buffer.address)
            ull_use_grown_in_place(&buffer, &from->old);
        ull_sites_count_allocation(&recorder.sites, buffer.site, bytes, weight);
        insert(&buffer);
        rescan_some();
    }
    ull_recorder_leave();
}

void ull_recorder_allocated(const void *address, size_t bytes, enum ull_kind kind)
{
    int kept = errno;
    record(address, bytes, kind, NULL, 0, NULL, 0);
    ull_thread.newest = address;
    errno = kept;
}

void ull_recorder_sampled(
    const void *address, size_t bytes, enum ull_kind kind, uint32_t weight, const uint64_t *frames, unsigned count)
{
    int kept = errno;
    record(address, bytes, kind, NULL, weight, frames, count);
    errno = kept;
}

uint32_t ull_recorder_weight(size_t bytes, uint64_t mean_bytes)
{
    return ull_sampling_weight(&ull_thread.random, bytes, mean_bytes);
}

/* ---- frees ---- */

static void read_before_free(struct ull_recorder_move *move)
{
    struct ull_reading reading;
    move->measured = false;
    if (!is_ours_to_measure(&move->old) || move->old.generation != ull_gate.live.generation || ull_load_acquire(&recorder.state) != ULL_RECORDING)
        return;
    ull_ledger_count(&recorder.ledger, ULL_COUNTER_scans_total, 1);
    if (ull_use_read(&recorder.use, &move->old, ULL_SPAN_OWNED, &reading) != 0) {
        ull_ledger_count(&recorder.ledger, ULL_COUNTER_scans_failed_total, 1);
        return;
    }
    move->measured = true;
    move->exact = reading.exact;
    move->used = ull_max_u64(reading.used, move->old.used_so_far);
    move->touched = reading.touched;
    move->granularity = reading.granularity;
}

static void count_end(const struct ull_recorder_move *move)
{
    if (move->measured && move->old.generation == ull_gate.live.generation)
        ull_sites_count_use(&recorder.sites, move->old.site, move->old.bytes, move->used, move->touched,
            move->granularity, move->exact ? ULL_EXACT : ULL_UPPER_BOUND);
    count_gone(&move->old);
}

void ull_recorder_move_begin(const void *address, struct ull_recorder_move *move)
{
    int kept = errno;
    uint64_t key = (uint64_t)(uintptr_t)address;
    move->known = move->measured = false;
    if (!ull_recorder_enter()) {
        /* Inside our own work, perhaps with a lock held: taken out if that can be done at once, not measured. */
        move->known = ull_recorder_is_ready()
            && ull_live_remove(&ull_gate.live, key, &move->old, false) == ULL_LIVE_REMOVED;
        errno = kept;
        return;
    }
    move->known = ull_live_remove(&ull_gate.live, key, &move->old, true) == ULL_LIVE_REMOVED;
    if (move->known)
        read_before_free(move);
    ull_recorder_leave();
    errno = kept;
}

void ull_recorder_freed(const void *address)
{
    struct ull_recorder_move move;
    ull_recorder_move_begin(address, &move);
    if (move.known)
        count_end(&move);
}

void ull_recorder_move_end(struct ull_recorder_move *move, const void *to, size_t bytes, bool freed)
{
    int kept = errno;
    if (to == NULL && !freed) { /* it failed: the old buffer is as it was */
        if (move->known && ull_recorder_enter()) {
            insert(&move->old);
            ull_recorder_leave();
        }
        errno = kept;
        return;
    }
    if (move->known && to != NULL && ull_unlikely(ull_load_relaxed(&recorder.paused))) {
        /* Nothing is counted now, and it is still there: followed under its new address, as large as it was counted. */
        move->old.address = (uint64_t)(uintptr_t)to;
        move->old.flags &= ~(uint32_t)ULL_LIVE_MEASURABLE;
        if (ull_recorder_enter()) {
            insert(&move->old);
            ull_recorder_leave();
        }
        errno = kept;
        return;
    }
    if (move->known)
        count_end(move);
    if (to != NULL && ull_recorder_wants(bytes))
        record(to, bytes, ULL_KIND_REALLOC, move, 0, NULL, 0);
    errno = kept;
}

