/* SPDX-License-Identifier: BSD-2-Clause */
/* process.h - is the process of a ledger still there, and if not, how did it end? */
#ifndef ULL_VIEW_PROCESS_H
#define ULL_VIEW_PROCESS_H

#include "ledger/format.h"
#include "ullage/view.h"

#include <stdbool.h>

struct ull_process {
    enum ullage_state state;
    int exit_status;           /* -1: unknown */
    int signal;                /* 0: unknown or none */
    uint64_t now_monotonic_ns; /* of the same clock as the ledger: now, or the last that is known of the process */
};

/* True while the very image that maps this ledger runs: pid, start time, and its header in memory agree. */
bool ull_process_is_live(const struct ull_ledger_header *header);

/* Its parent has gone since it was forked: what it inherited is its own. Of a process that has died, as it said itself. */
bool ull_process_is_orphaned(const struct ull_ledger_header *header);

/* @sidecar may be NULL. */
struct ull_process ull_process_judge(
    const struct ull_ledger_header *header, const struct ull_sidecar_header *sidecar);

#endif
