/* SPDX-License-Identifier: BSD-2-Clause */
/* measure.h - the live buffers of a process, measured from outside. */
#ifndef ULL_VIEW_MEASURE_H
#define ULL_VIEW_MEASURE_H

#include "view/file.h"
#include "view/sidecar.h"

struct ull_measure_budget {
    uint64_t wall_ns;
    uint64_t busy_ns; /* of this thread's work, pauses left out; 0: no limit but wall_ns */
};

/*
 * Measures the live buffers of the process of @file and replaces the readings in @sidecar; those of buffers that it did
 * not come to within @budget are kept. @cursor (NULL: 0) is the entry to begin at, and where it stopped.
 * Returns how many were measured; -ESRCH the process is gone; -EPERM we may not look. Pauses between ranges, so that
 * the process, whose memory map is locked meanwhile, is never held up for long.
 */
int ull_measure_live(const struct ull_file *file, struct ull_sidecar *sidecar, const struct ull_measure_budget *budget,
    uint64_t *cursor);

#endif
