/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * leak.h - buffers that are followed from get to put: since when, by which stack, who touched them last.
 *
 * Their stacks are a live profile ("buffers"), so that `ullage report` shows what is held, and by whom, in any process. Ages
 * and places are kept here for ullage_leaks_report().
 */
#ifndef ULL_POOL_LEAK_H
#define ULL_POOL_LEAK_H

#include "pool/block.h"

/* Follows a live buffer. No memory: it is not. Threads: the block's owner. */
void ull_leak_follow(struct ull_block *block);
void ull_leak_forget(struct ull_block *block);
/* Notes who touched it last; nothing unless it is followed. */
void ull_leak_touch(struct ull_block *block, const void *address);
/* In a forked child. */
void ull_leak_forked(void);

#endif
