/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * recorder.c - the coordinator: stack, site, pages, counters, live table, in this order.
 *
 * States: unset -> ready (knows its options, no ledger) -> recording; or -> off, when no ledger can be made: said once
 * on standard error, and the program goes on as if we were not there.
 *
 * Locks, in order: making, live shards, modules, sites, ledger. None is held while the loader is asked for anything
 * that locks, while the program's allocator runs, or across fork; no wait for one is without bound.
 */
#include "config.h"

#include "measure/recorder.h"

#include "base/arith.h"
#include "base/check.h"
#include "base/directory.h"
#include "base/lock.h"
#include "base/sys.h"
#include "ledger/sites.h"
#include "measure/modules.h"
#include "measure/sampling.h"
#include "measure/stack.h"
#include "measure/use.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/single_threaded.h>
#include <unistd.h>

struct ull_recorder_gate ull_gate = { .live = { .filter = &ull_live_first_filter.head } };
__thread struct ull_recorder_thread ull_thread;

enum state { UNSET, READY, RECORDING, OFF };

/* Our choices: what the program's own threads spend on measuring what is live, per round and at exit. */
#define RESCAN_INTERVAL_NS UINT64_C(100000000)
#define RESCAN_BUDGET_NS UINT64_C(50000)
#define EXIT_BUDGET_NS UINT64_C(100000000)
enum {
    RESCAN_BUFFERS = 16,
    GIVEN_BACK_BUFFERS = 4096, /* looked at after each madvise that gives pages back: about 50 us */
};
#define NEVER_BYTES (UINT64_C(1) << 62) /* no allocation is this large */

static struct {
    uint32_t state; /* enum state; atomic */
    struct ull_recorder_options options;
    struct ull_ledger ledger;
    struct ull_ledger parent; /* in a child that has no ledger yet: what its inherited buffers' sites refer to */
    struct ull_sites sites;
    struct ull_modules modules;
    struct ull_use use;
    pthread_mutex_t making; /* of the ledger */
    uint64_t *alive;        /* a page that the kernel empties in a child: 0 there */
    uint64_t rescanned_ns;  /* atomic */
    uint64_t cursor;        /* of the rescans; whoever won rescanned_ns uses it */
    uint64_t stderr_device, stderr_inode;
} recorder = { .making = PTHREAD_MUTEX_INITIALIZER };

/* ---- setting up ---- */

static void note_stderr(void)
{
    struct stat now;
    if (ull_sys_fstat(STDERR_FILENO, &now) == 0) {
        recorder.stderr_device = (uint64_t)now.st_dev;
        recorder.stderr_inode = (uint64_t)now.st_ino;
    }
}

/* A page that reads 0 after any kind of fork, also one that runs no handlers. */
static uint64_t *make_alive_page(void)
{
    int error;
    size_t bytes = (size_t)sysconf(_SC_PAGESIZE);
    uint64_t *page = ull_sys_mmap(bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0, &error);
    if (page != NULL && ull_sys_madvise(page, bytes, MADV_WIPEONFORK) != 0) {
        ull_sys_munmap(page, bytes);
        return NULL;
    }
    if (page != NULL)
        *page = 1;
    return page;
}

void ull_recorder_init(const struct ull_recorder_options *options)
{
    recorder.options = *options;
    recorder.alive = make_alive_page();
    note_stderr();
    ull_live_init(&ull_gate.live, NULL);
    ull_use_init(&recorder.use, options->forced_method, options->may_clear, options->clear_malloc);
    ull_store_release(&recorder.state, (uint32_t)READY);
    ull_store_release(&ull_gate.min_bytes, options->min_bytes);
}

bool ull_recorder_is_ready(void)
{
    return ull_load_acquire(&recorder.state) != UNSET;
}

/* One line, once, and only if descriptor 2 is still what it was: a daemon may have put a data file there. */
static void say_once(const char *what, int error)
{
    char text[700];
    struct stat now;
    const char *reason = strerrordesc_np(-error);
    char directory[ULL_DIRECTORY_BYTES] = "?";
    (void)ull_directory_choose(directory);
    int length = snprintf(text, sizeof text, "ullage: %s in %s: %s; the program goes on unrecorded (set ULLAGE_DIR)\n",
        what, directory, error == -EPERM ? "not a directory of ours that only we can write to"
                                         : reason != NULL ? reason : "unknown error");
    if (length > 0 && ull_sys_fstat(STDERR_FILENO, &now) == 0 && (uint64_t)now.st_dev == recorder.stderr_device
        && (uint64_t)now.st_ino == recorder.stderr_inode)
        (void)ull_sys_write(STDERR_FILENO, text, ull_min_u64((uint64_t)length, sizeof text - 1));
}

/* ---- a forked child ---- */

/* The site of an inherited buffer in the child's own ledger: frames mean the same, because modules keep their index. */
static uint32_t inherited_site(void *context, const struct ull_live_buffer *buffer)
{
    uint32_t site = ULL_SITE_OTHER;
    (void)context;
    const struct ull_site_entry *from = ull_ledger_at(&recorder.parent, ULL_TABLE_SITES, buffer->site);
    if (from != NULL && from->id != 0) {
        const uint64_t *frames = ull_ledger_at(&recorder.parent, ULL_TABLE_FRAMES, from->frames);
        site = ull_sites_add(&recorder.sites, ull_mix64(from->id), from->id, (enum ull_kind)from->kind, frames,
            from->frame_count <= ULL_STACK_DEPTH_MAX ? from->frame_count : 0);
    }
    ull_sites_count_allocation(&recorder.sites, site, buffer->bytes, buffer->weight);
    ull_ledger_count(&recorder.ledger, ULL_COUNTER_inherited_total, buffer->weight);
    return site;
}

static void take_over_from_parent(void)
{
    if (recorder.parent.header == NULL)
        return;
    ull_modules_take_over(&recorder.modules, &recorder.parent, &recorder.ledger);
    ull_live_take_over(&ull_gate.live, &recorder.ledger, inherited_site, NULL);
    ull_ledger_close(&recorder.parent);
}

void ull_recorder_after_fork_child(void)
{
    if (recorder.alive != NULL) {
        if (*recorder.alive != 0)
            return; /* done already, or a vfork: the memory is the parent's */
        *recorder.alive = 1;
    }
    pthread_mutex_init(&recorder.making, NULL);
    ull_use_after_fork(&recorder.use);
    ull_live_after_fork_child(&ull_gate.live);
    if (!__libc_single_threaded)
        ull_stack_stay_safe(); /* another thread may have held libunwind's locks */
    ull_thread.random = 0;
    ull_thread.busy = false;
    if (recorder.state != RECORDING)
        return;
    recorder.parent = recorder.ledger;
    recorder.ledger.header = NULL;
    ull_sites_fini(&recorder.sites);
    ull_store_release(&recorder.state, (uint32_t)READY);
}

static void check_fork(void)
{
    if (ull_unlikely(recorder.alive != NULL && ull_load_relaxed(recorder.alive) == 0))
        ull_recorder_after_fork_child();
}

void ull_recorder_after_fork_parent(void)
{
    if (ull_recorder_is_ready())
        ull_use_forked(&recorder.use);
}

/* ---- the ledger, made at the first recorded event ---- */

static int make_ledger(void)
{
    struct ull_ledger_options options = {
        .run_id = recorder.options.run_id[0] != '\0' ? recorder.options.run_id : NULL,
        .min_bytes = recorder.options.min_bytes,
        .sample_bytes = recorder.options.sample_bytes,
        .huge_pages_possible = recorder.use.pages.huge_possible,
    };
    int error = ull_ledger_create(&recorder.ledger, &options);
    if (error != 0)
        return error;
    ull_sites_init(&recorder.sites, &recorder.ledger);
    if (recorder.parent.header != NULL) {
        take_over_from_parent();
    } else {
        ull_modules_init(&recorder.modules, &recorder.ledger);
        ull_gate.live.ledger = &recorder.ledger;
    }
    ull_store_release(&recorder.state, (uint32_t)RECORDING);
    return 0;
}

static bool recording(void)
{
    uint32_t state = ull_load_acquire(&recorder.state);
    if (ull_likely(state == RECORDING))
        return true;
    if (state != READY)
        return false;
    if (!ull_lock(&recorder.making))
        return false;
    if (recorder.state == READY) {
        int error = make_ledger();
        if (error != 0) {
            ull_store_release(&recorder.state, (uint32_t)OFF);
            ull_store_release(&ull_gate.min_bytes, NEVER_BYTES);
            say_once("no ledger", error);
        }
    }
    ull_unlock(&recorder.making);
    return ull_load_acquire(&recorder.state) == RECORDING;
}

/* ---- live buffers measured again ---- */

struct round {
    uint64_t deadline_ns;
    enum ull_span_access access;
};

static bool measure_live(void *context, struct ull_live_buffer *buffer)
{
    const struct round *round = context;
    struct ull_reading reading;
    if ((buffer->flags & (ULL_LIVE_MEASURABLE | ULL_LIVE_INHERITED)) == ULL_LIVE_MEASURABLE
        && ull_use_read(&recorder.use, buffer, round->access, &reading) == 0) {
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
    struct round round = { ull_sys_precise_ns() + RESCAN_BUDGET_NS, ULL_SPAN_BRIEFLY };
    ull_live_visit(&ull_gate.live, &recorder.cursor, RESCAN_BUFFERS, measure_live, &round);
}

/* ---- entering and leaving ---- */

static uint64_t random_seed(void)
{
    return ull_mix64(ull_sys_precise_ns() ^ (uint64_t)(uintptr_t)&ull_thread ^ (uint64_t)getpid() << 32);
}

static void draw_next_sample(void)
{
    ull_thread.until_sample = recorder.options.sample_bytes != 0
        ? ull_sampling_distance(&ull_thread.random, recorder.options.sample_bytes) : INT64_MAX;
}

static bool enter(void)
{
    if (ull_thread.busy || !ull_recorder_is_ready())
        return false;
    check_fork();
    ull_thread.busy = true;
    if (ull_unlikely(!ull_thread.ready || ull_thread.random == 0)) {
        ull_thread.random = random_seed();
        if (!ull_thread.ready)
            draw_next_sample();
        ull_thread.ready = true;
    }
    return true;
}

static void leave(void)
{
    ull_thread.busy = false;
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
    draw_next_sample();
    if (recorder.options.sample_bytes == 0)
        return 0;
    return ull_sampling_weight(&ull_thread.random, bytes, recorder.options.sample_bytes);
}

static uint32_t site_of_stack(enum ull_kind kind)
{
    uint64_t frames[ULL_STACK_DEPTH_MAX], packed[ULL_STACK_DEPTH_MAX], key = kind, id = kind;
    uint32_t site;
    unsigned count = ull_stack_capture(frames, ULL_STACK_DEPTH_MAX);
    if (count == 0) {
        ull_ledger_count(&recorder.ledger, ULL_COUNTER_stackless_total, 1);
        return ULL_SITE_OTHER;
    }
    for (unsigned i = 0; i < count; i++)
        key = ull_mix64(key ^ frames[i]) + i;
    if (ull_sites_find(&recorder.sites, key, &site))
        return site;
    ull_modules_resolve(&recorder.modules, frames, count, packed, &id);
    return ull_sites_add(&recorder.sites, key, id, kind, packed, count);
}

static void count_gone(const struct ull_live_buffer *buffer)
{
    if (ull_load_acquire(&recorder.state) != RECORDING || buffer->generation != ull_gate.live.generation)
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
static struct ull_live_buffer describe(void *address, size_t bytes, uint32_t weight, enum ull_kind kind)
{
    bool large = bytes >= recorder.options.min_bytes;
    return (struct ull_live_buffer) {
        .address = (uint64_t)(uintptr_t)address,
        .bytes = bytes,
        .born_monotonic_ns = ull_sys_monotonic_ns(),
        .entry = -1,
        .generation = ull_load_relaxed(&ull_gate.live.generation),
        .site = site_of_stack(kind),
        .weight = weight,
        .flags = !large ? ULL_LIVE_SAMPLED
            : ull_span_measurable((uint64_t)(uintptr_t)address, bytes) ? ULL_LIVE_MEASURABLE : 0,
    };
}

static void record(void *address, size_t bytes, enum ull_kind kind, const struct ull_recorder_move *from)
{
    bool new_thread = !ull_thread.ready;
    if (!enter()) {
        if (ull_load_acquire(&recorder.state) == RECORDING)
            ull_ledger_count(&recorder.ledger, ULL_COUNTER_reentrant_total, 1);
        return;
    }
    uint32_t weight = weight_of(bytes, new_thread);
    if (weight != 0 && recording()) {
        struct ull_live_buffer buffer = describe(address, bytes, weight, kind);
        if ((buffer.flags & ULL_LIVE_MEASURABLE) != 0)
            ull_use_begin(&recorder.use, &buffer, kind, &recorder.ledger, ull_sites_use(&recorder.sites, buffer.site));
        if (from != NULL && from->known && from->old.address == buffer.address)
            ull_use_grown_in_place(&buffer, &from->old);
        ull_sites_count_allocation(&recorder.sites, buffer.site, bytes, weight);
        insert(&buffer);
        rescan_some();
    }
    leave();
}

void ull_recorder_allocated(void *address, size_t bytes, enum ull_kind kind)
{
    int kept = errno;
    record(address, bytes, kind, NULL);
    errno = kept;
}

/* ---- frees ---- */

static void read_before_free(struct ull_recorder_move *move)
{
    struct ull_reading reading;
    move->measured = false;
    /* What was inherited is the parent's to judge: each worker of a hundred would be blamed for one buffer. */
    if ((move->old.flags & (ULL_LIVE_MEASURABLE | ULL_LIVE_INHERITED)) != ULL_LIVE_MEASURABLE
        || move->old.generation != ull_gate.live.generation || ull_load_acquire(&recorder.state) != RECORDING)
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

void ull_recorder_move_begin(void *address, struct ull_recorder_move *move)
{
    int kept = errno;
    uint64_t key = (uint64_t)(uintptr_t)address;
    move->known = move->measured = false;
    if (!enter()) {
        /* Inside our own work, perhaps with a lock held: taken out if that can be done at once, not measured. */
        move->known = ull_recorder_is_ready()
            && ull_live_remove(&ull_gate.live, key, &move->old, false) == ULL_LIVE_REMOVED;
        errno = kept;
        return;
    }
    move->known = ull_live_remove(&ull_gate.live, key, &move->old, true) == ULL_LIVE_REMOVED;
    if (move->known)
        read_before_free(move);
    leave();
    errno = kept;
}

void ull_recorder_freed(void *address)
{
    struct ull_recorder_move move;
    ull_recorder_move_begin(address, &move);
    if (move.known)
        count_end(&move);
}

void ull_recorder_move_end(struct ull_recorder_move *move, void *to, size_t bytes, bool freed)
{
    int kept = errno;
    if (to == NULL && !freed) { /* it failed: the old buffer is as it was */
        if (move->known && enter()) {
            insert(&move->old);
            leave();
        }
        errno = kept;
        return;
    }
    if (move->known)
        count_end(move);
    if (to != NULL && ull_recorder_wants(bytes))
        record(to, bytes, ULL_KIND_REALLOC, move);
    errno = kept;
}

/* ---- the end of things ---- */

void ull_recorder_exit(int status)
{
    int kept = errno;
    /* A vfork child shares our memory and calls _exit: the ledger is not its own. */
    if (ull_load_acquire(&recorder.state) == RECORDING && (uint32_t)getpid() == recorder.ledger.header->pid && enter()) {
        if (ull_load_acquire(&recorder.state) == RECORDING) {
            struct round round = { ull_sys_precise_ns() + EXIT_BUDGET_NS, ULL_SPAN_SHARED };
            uint64_t cursor = 0, total = ull_load_relaxed(&ull_gate.live.total);
            ull_live_visit(&ull_gate.live, &cursor, (unsigned)ull_min_u64(total + 1, UINT32_MAX), measure_live, &round);
            ull_ledger_mark_ended(&recorder.ledger, status);
        }
        leave();
    }
    errno = kept;
}

/* ---- what the program does to its own pages ---- */

struct given_back {
    uint64_t start, end;
};

static bool note_given_back(void *context, struct ull_live_buffer *buffer)
{
    const struct given_back *range = context;
    if (buffer->address < range->end && buffer->address + buffer->bytes > range->start)
        ull_live_publish_unknowable(&ull_gate.live, buffer);
    return true;
}

void ull_recorder_given_back(const void *start, size_t bytes)
{
    int kept = errno;
    if (ull_load_acquire(&recorder.state) == RECORDING && enter()) {
        struct given_back range = { (uintptr_t)start, (uintptr_t)start + bytes };
        uint64_t cursor = 0;
        ull_live_visit(&ull_gate.live, &cursor, GIVEN_BACK_BUFFERS, note_given_back, &range);
        leave();
    }
    errno = kept;
}

void ull_recorder_sandboxed(void)
{
    if (ull_load_acquire(&recorder.state) == RECORDING)
        ull_ledger_count(&recorder.ledger, ULL_COUNTER_sandboxed_total, 1);
    if (ull_recorder_is_ready()) {
        ull_store_release(&recorder.state, (uint32_t)OFF);
        ull_store_release(&ull_gate.min_bytes, NEVER_BYTES);
    }
}

void ull_recorder_before_unload(void)
{
    if (ull_load_acquire(&recorder.state) == RECORDING && enter()) {
        ull_sites_forget_keys(&recorder.sites);
        leave();
    }
}

void ull_recorder_after_unload(bool unmapped)
{
    if (!unmapped)
        return;
    ull_stack_stay_safe();
    if (ull_load_acquire(&recorder.state) == RECORDING && enter()) {
        ull_modules_doubt_all(&recorder.modules);
        ull_sites_forget_keys(&recorder.sites);
        ull_ledger_count(&recorder.ledger, ULL_COUNTER_unloads_total, 1);
        leave();
    }
}
