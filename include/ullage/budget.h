/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ullage/budget.h - bytes that a group of pools and readers may hold together.
 *
 * Whoever belongs to it charges before memory is taken, so that the sum is a bound at every instant, and not a target.
 * Threads: any, all calls but destroy. Link with: pkg-config --libs ullage. Since: 0.1
 */
#ifndef ULLAGE_BUDGET_H
#define ULLAGE_BUDGET_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct ullage_budget;

/** Returns: 0; -EINVAL: @max_bytes is 0; -ENOSPC: 1,024 budgets already; -ENOMEM. */
int ullage_budget_create(struct ullage_budget **out, size_t max_bytes);

/** NULL is let pass. Misuse (see alloc.h) while bytes are charged: nothing is destroyed then. */
void ullage_budget_destroy(struct ullage_budget *b);

/** Names it in reports: up to 63 bytes of printable ASCII. Returns: 0; -EINVAL. */
int ullage_budget_name(struct ullage_budget *b, const char *name);

/**
 * ullage_budget_charge() - take bytes, at once or not at all
 * Returns: 0; -ENOBUFS: not so much is free, and the event descriptor will tell when that may have changed;
 *          -EMSGSIZE: more than the budget has in all, or beside what record readers keep of it (record.h)
 */
int ullage_budget_charge(struct ullage_budget *b, size_t bytes);

/**
 * The same, but waits up to @timeout_ms (-1: for ever). Those who wait are served in no particular order.
 * Returns: also -ETIMEDOUT
 */
int ullage_budget_charge_wait(struct ullage_budget *b, size_t bytes, int timeout_ms);

/** Gives bytes back, and wakes who waits. More than is charged is misuse. Async-signal-safe: no. */
void ullage_budget_release(struct ullage_budget *b, size_t bytes);

/**
 * ullage_budget_event_fd() - readable once bytes came back after a charge was refused
 * Returns: an eventfd, non-blocking, close-on-exec, the budget's own (closed by destroy): read 8 bytes from it, then try
 *          again; negative errno. Made at the first call: from then on, releases after a refusal write to it. It may be
 *          readable at once. A forked child asks again: the parent's is left alone
 */
int ullage_budget_event_fd(struct ullage_budget *b);

/** Bytes charged now, and at most so far; what it holds in all. */
size_t ullage_budget_used(const struct ullage_budget *b);
size_t ullage_budget_peak(const struct ullage_budget *b);
size_t ullage_budget_max(const struct ullage_budget *b);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
