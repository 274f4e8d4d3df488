/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * crowd.h - where readers lie.
 *
 * A buffer of the allocator has a line of 64 bytes beside it, a third of what a reader is. So readers lie forty together in one
 * buffer, which goes back with the last of them.
 */
#ifndef ULL_RECORD_CROWD_H
#define ULL_RECORD_CROWD_H

struct ullage_reader;

/* A reader's memory, contents undefined. NULL and errno. */
struct ullage_reader *ull_crowd_get(void);
void ull_crowd_put(struct ullage_reader *r);

/* In a forked child: it builds its own. */
void ull_crowd_forked(void);

#endif
