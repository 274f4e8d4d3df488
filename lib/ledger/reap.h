/* SPDX-License-Identifier: BSD-2-Clause */
/* reap.h - what dead processes left behind, removed by those that come after them. */
#ifndef ULL_LEDGER_REAP_H
#define ULL_LEDGER_REAP_H

#include "ledger/writer.h"

/*
 * Removes the oldest ledgers of dead processes from the directory of @ledger, past @keep_count or @keep_bytes. Each fourth
 * call, by chance: a full directory (200 ledgers) costs about 0.75 ms. Leaves alone what lives, what belongs to an `ullage run` in
 * progress, and what is of another pid namespace, where nobody here can tell. Threads: any. Allocates: by mmap.
 */
void ull_reap(const struct ull_ledger *ledger, uint32_t keep_count, uint64_t keep_bytes);

#endif
