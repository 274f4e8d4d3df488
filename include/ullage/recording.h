/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ullage/recording.h - which part of a run is recorded, and what was counted in it.
 *
 * For harnesses and tests that want the allocations of one part of a program alone: run it under the interposer with
 * ULLAGE_START=paused and ULLAGE_MIN_BYTES=0, resume where the part begins, pause where it ends, read the counts. The
 * interposer exports these functions too: a program that does not link libullage finds them with dlsym(3).
 *
 * Buffers that were recorded are followed to their free, paused or not; those made while paused are never known. Threads:
 * any, all calls; what other threads allocate while it runs is recorded as well. Link with: pkg-config --libs ullage. Since: 0.1
 */
#ifndef ULLAGE_RECORDING_H
#define ULLAGE_RECORDING_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/** No allocation is recorded until the next resume. Live profiles go on. Costs: one store. */
void ullage_recording_pause(void);
void ullage_recording_resume(void);

/* Since the process began, of what was recorded. Bytes as they were requested. */
struct ullage_recording_counts {
    size_t size; /* set by the caller: sizeof of this */
    uint64_t allocations, frees;
    uint64_t requested_bytes, freed_bytes;
    uint64_t peak_bytes; /* most that was live at once, over all threads */
    uint64_t missed;     /* events that could not be recorded exactly; 0: the figures above are true */
};

/**
 * ullage_recording_counts() - what was counted so far
 * Returns: 0; -ENODATA where nothing is recorded (not interposed, switched off, no ledger to be had); -EINVAL: @out's size
 */
int ullage_recording_counts(struct ullage_recording_counts *out);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
