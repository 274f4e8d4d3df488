/* SPDX-License-Identifier: BSD-2-Clause */
/* decay.h - idle memory leaves: by time, by trim, from magazines of threads that sleep. */
#ifndef ULL_POOL_DECAY_H
#define ULL_POOL_DECAY_H

#include "pool/thread.h"

/* On slow paths: looks at the clock, and at each cache whose period has passed. @self: its lock is held; NULL. */
void ull_decay_look(struct ull_pool_thread *self);

/* The process ends: what the ledger says of pools is brought up to date. */
void ull_decay_leaving(void);

/* A period may be shorter now: the next look is at once. */
void ull_decay_hurry(void);

/* Until at most @keep_bytes of the caches [first, end) are idle. Returns bytes given back. */
size_t ull_decay_trim(uint32_t first, uint32_t end, uint64_t keep_bytes);

/* The same on a slow path, of all that is idle there. False: nothing came of it, or another thread is at it. */
bool ull_decay_squeeze(struct ull_pool_thread *self, uint32_t first, uint32_t end);

/* The same, of all pools that have this budget. And for who is on no slow path: returns when it is done. */
bool ull_decay_squeeze_budget(struct ull_pool_thread *self, const struct ullage_budget *budget);
bool ull_decay_free_budget(const struct ullage_budget *budget);

/* pools.c's: the counts of the pool that has this cache, into the ledger. Takes the lock of threads. */
void ull_pool_publish(struct ull_cache *cache);

/* Takes back what all threads have of one cache, which nobody is using; between ull_slow_enter() and leave. */
void ull_decay_abandon(struct ull_cache *cache);

/* Starts, once, the thread that looks; 0 or negative errno. */
int ull_decay_start(void);

/* Meanwhile nobody else trims or decays. */
void ull_decay_hold(void);
void ull_decay_release(void);

/* In a forked child: no thread, open locks. */
void ull_decay_forked(void);

#endif
