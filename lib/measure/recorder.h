/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * recorder.h - what happens to one allocation and one free: the coordinator of the write side.
 *
 * The interposer calls ull_recorder_wants() on every allocation and ull_recorder_may_know() on every free; both are a
 * few instructions. Only what they let through comes here, and pays for stack, page scan and ledger.
 *
 * One recorder a process. It is never entered twice by a thread: an allocation by our own work, or by a signal handler
 * that interrupted it, goes unrecorded and is counted. No call changes errno.
 */
#ifndef ULL_MEASURE_RECORDER_H
#define ULL_MEASURE_RECORDER_H

#include "base/atomic.h"
#include "base/directory.h"
#include "ledger/live.h"
#include "measure/use.h"
#include "pages/scan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ull_recorder_options {
    uint64_t min_bytes;    /* recorded one by one from here up; 0: every call */
    uint64_t sample_bytes; /* mean distance of samples below it; 0: none */
    char run_id[ULL_RUN_ID_BYTES];
    char directory[ULL_DIRECTORY_BYTES]; /* as the environment had it at the start: some daemons clear theirs */
    enum ull_pages_method forced_method;
    enum ull_clearing clearing;
    bool clear_malloc;    /* also right after malloc, from 256 KiB up: opt-in */
    bool interposes;      /* every call of malloc and free is seen: jemalloc need not tell */
    uint32_t keep_ledgers; /* of dead processes, before the oldest is removed */
};

enum { ULL_DEFAULT_MIN_BYTES = 64 * 1024, ULL_DEFAULT_SAMPLE_BYTES = 512 * 1024 };

/* The part that every call of the program reads. */
struct ull_recorder_gate {
    uint64_t min_bytes; /* 0 until the recorder is set up, so that the first call comes in */
    struct ull_live live;
};
extern struct ull_recorder_gate ull_gate __attribute__((visibility("hidden")));

struct ull_recorder_thread {
    int64_t until_sample; /* bytes of small allocations to the next sample; starts at 0, so that a thread comes in */
    uint64_t random;
    const void *newest; /* address that was recorded last; see ull_recorder_newest() */
    bool ready;
    bool cut_short; /* until_sample was: no sample is due at its end */
    bool busy; /* in the recorder: what it allocates now goes unrecorded, and is counted */
    bool unwound;   /* an unwinder has been in this thread before */
    bool unwinding; /* in it for the first time: then the loader allocates its TLS, which is none of the program's */
};
extern __thread struct ull_recorder_thread ull_thread __attribute__((tls_model("initial-exec"), visibility("hidden")));

/* True when this allocation is to be recorded, or the thread is new. Counts its bytes towards the next sample. */
static inline bool ull_recorder_wants(size_t bytes)
{
    if (__builtin_expect(bytes >= ull_load_relaxed(&ull_gate.min_bytes), 0))
        return true;
    return __builtin_expect((ull_thread.until_sample -= (int64_t)bytes) < 0, 0);
}

/* False: this address is surely not recorded. */
static inline bool ull_recorder_may_know(const void *address)
{
    return ull_live_may_have(&ull_gate.live, address);
}

/* Sets up; before it nothing is recorded. Once, early, by one thread. Opens no file and takes no lock of the loader. */
void ull_recorder_init(const struct ull_recorder_options *options);
bool ull_recorder_is_ready(void);
bool ull_recorder_interposes(void);

/* Records nothing, from now on and for good. Instead of ull_recorder_init(), or after it. */
void ull_recorder_stay_off(void);

/* After a successful allocation that ull_recorder_wants(). */
void ull_recorder_allocated(const void *address, size_t bytes, enum ull_kind kind);

/*
 * The same of a buffer that somebody else chose as a sample: it stands for @weight allocations. @frames: its stack, return
 * addresses, innermost first; @count 0: the caller's.
 */
void ull_recorder_sampled(
    const void *address, size_t bytes, enum ull_kind kind, uint32_t weight, const uint64_t *frames, unsigned count);
/* How many allocations of @bytes one stands for that was sampled once in @mean_bytes; at random where it is no whole number. */
uint32_t ull_recorder_weight(size_t bytes, uint64_t mean_bytes);

/* The buffer this thread recorded last: an allocator whose one function calls another is recorded once. */
static inline const void *ull_recorder_newest(void)
{
    return ull_thread.newest;
}

static inline void ull_recorder_forget_newest(void)
{
    ull_thread.newest = NULL;
}

/* Before memory that ull_recorder_may_know() is given back. */
void ull_recorder_freed(const void *address);

/* realloc in two steps, because it may fail and leave the old buffer as it was. */
struct ull_recorder_move {
    bool known, measured, exact;
    struct ull_live_buffer old;
    uint64_t used, touched, granularity;
};
void ull_recorder_move_begin(const void *address, struct ull_recorder_move *move);
/* @to NULL: realloc failed, or freed the buffer if @freed. */
void ull_recorder_move_end(struct ull_recorder_move *move, const void *to, size_t bytes, bool freed);

/*
 * The process ends: measures what is live, within a time budget, and marks the ledger. @refresh: also asks jemalloc for its
 * figures, which a signal handler that ends the process must not, because it may have interrupted jemalloc.
 */
void ull_recorder_exit(int status, bool refresh);

/* Around dlclose: addresses may mean something else afterwards. @unmapped: something was unloaded. */
void ull_recorder_before_unload(void);
void ull_recorder_after_unload(bool unmapped);

/* The program gave pages of its own back (madvise): buffers there no longer show how far they were used. */
void ull_recorder_given_back(const void *start, size_t bytes);

/* The program is about to forbid itself system calls: recording ends, lest a filter kill it for one of ours. */
void ull_recorder_sandboxed(void);

/* Before setuid(2) and its like: what can only be opened as the old user is opened now. */
void ull_recorder_before_user_change(void);
/* Before chroot(2): the ledger is made now, because its directory is out of reach afterwards. */
void ull_recorder_before_root_change(void);

/* After fork(2). The child begins without a ledger and makes its own at its first recorded allocation. */
void ull_recorder_after_fork_parent(void);
void ull_recorder_after_fork_child(void);

#endif
