/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * misuse.h - what happens when the program breaks a rule of ours: a second free, a release of more than was charged.
 *
 * Not for bad input (an error that is returned) and not for a fault of ours (check.h). Who calls ull_misuse() leaves the
 * misuse without effect then, because the program may have asked for a report only.
 */
#ifndef ULL_BASE_MISUSE_H
#define ULL_BASE_MISUSE_H

#include <stdint.h>

/* The values are those of enum ullage_misuse. */
enum { ULL_MISUSE_ABORT = 0, ULL_MISUSE_REPORT = 1 };

/*
 * What to do: ULL_MISUSE_ABORT at first. @on_misuse gets the sentence instead of standard error; NULL: standard error.
 * ULLAGE_MISUSE=abort|report of the environment comes before @report. Threads: one at a time.
 */
void ull_misuse_policy(int report, void (*on_misuse)(void *ctx, const char *what), void *ctx);

/*
 * Tells of a misuse, without allocating, and ends the program unless it asked for reports only. @format: one sentence or
 * two, without newline: what was done, and what to do about it; cut after 511 bytes. Keeps errno. Threads: any.
 */
__attribute__((cold, format(printf, 1, 2))) void ull_misuse(const char *format, ...);

/* Called for each misuse that the program goes on from; NULL: nobody counts them. Atomic. */
extern void (*ull_misuse_survived)(void);

/* Misuse so far in this process. Atomic. */
extern uint64_t ull_misuse_count;

#endif
