/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * state.h - what the parts of the recorder share: recorder.c (allocations and frees), life.c (what happens to the
 * process), profile.c (live profiles), budget.c, jemalloc.c. Nobody else looks in here.
 */
#ifndef ULL_MEASURE_STATE_H
#define ULL_MEASURE_STATE_H

#include "base/check.h"
#include "ledger/sites.h"
#include "measure/modules.h"
#include "measure/recorder.h"
#include "measure/use.h"

#include <pthread.h>
#include <sys/types.h>

enum ull_recorder_state { ULL_UNSET, ULL_READY, ULL_RECORDING, ULL_OFF };

struct ull_recorder {
    uint32_t state; /* enum ull_recorder_state; atomic */
    uint32_t paused; /* see ullage/recording.h; atomic */
    struct ull_recorder_options options;
    struct ull_use use;
    pthread_mutex_t making; /* of the ledger */
    uint64_t *alive;        /* a page that the kernel empties in a child: 0 there */
    uint64_t rescanned_ns;  /* atomic */
    uint64_t cursor;        /* of the rescans; whoever won rescanned_ns uses it */
    uint64_t stderr_device, stderr_inode;
    void (*forked[5])(void); /* of profile.c, jemalloc.c, budget.c, pools, record readers; in a forked child; NULL: not in use; atomic */
    void (*refresh)(void);  /* of jemalloc.c: brings gauges up to date; outside the allocator; NULL: not in use; atomic */
    void (*leaving)(void);  /* of pools, at exit(3); NULL: not in use; atomic */
    uint64_t refreshed_ns;  /* atomic */
    uint32_t user;          /* effective, at the start */
    uint32_t pid;
    uint32_t parent_pid;    /* when this process began; of a forked one, who forked it */
    uint32_t seen_parent;   /* as the kernel said just after the fork */
    bool has_forked;
    uint32_t fork_depth;    /* forks since the image began */
    uint32_t orphaned;      /* the parent has gone since; atomic */
    uint32_t sandboxed;     /* atomic */
    uint32_t unloads;       /* libraries that were unmapped; atomic */
    uint32_t looks;         /* of a forked child: how often it will still ask whether its parent has gone; atomic */
    /* Last, because a process that records nothing never touches them. */
    struct ull_sites sites;
    struct ull_ledger ledger;
    struct ull_ledger parent; /* in a child that has no ledger yet: what its inherited buffers' sites refer to */
    struct ull_modules modules;
};
extern struct ull_recorder ull_recorder __attribute__((visibility("hidden")));

/* False: this thread is in the recorder already, or there is none. True: leave again. */
bool ull_recorder_enter(void);
void ull_recorder_leave(void);

/* True where there is a ledger; makes it where there is none yet. Between enter and leave. */
bool ull_recorder_recording(void);

/*
 * The site of a stack: of @frames, or of the caller's if @count is 0. @profile: 1 + index of a live profile's name in the
 * strings, and @salt a hash of that name; else 0. Between enter and leave, while recording.
 */
uint32_t ull_recorder_site(
    enum ull_kind kind, uint64_t profile, uint64_t salt, const uint64_t *frames, unsigned count);

/* One buffer measured again; for ull_live_visit(). Stops at the deadline. */
struct ull_round {
    uint64_t deadline_ns;
    enum ull_span_access access;
};
bool ull_recorder_measure_live(void *round, struct ull_live_buffer *buffer);

/* ---- life.c ---- */

void ull_life_begin(void);

/* No `ullage run` runs this process, or it is the one that was started by it. */
bool ull_life_is_first(void);

/* One line, "ullage: WHAT: WHY", if descriptor 2 is still the standard error that the process began with. */
void ull_life_say(const char *what, const char *why);

/* A forked child that no handler told so learns it here. */
void ull_life_check_fork(void);

/* The parent that this process was forked from has gone: what was inherited is this process's own now. */
bool ull_life_orphaned(void);

/* A forked child with inherited buffers: makes its own ledger once its parent has gone. */
void ull_life_settle(void);

/* Makes the ledger: the state is ULL_READY, and recorder.making is held. */
void ull_life_make_ledger(void);

#endif
