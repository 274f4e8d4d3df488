/* SPDX-License-Identifier: BSD-2-Clause */
/* uncounted.h - buffers for somebody who counts them himself: the interposer. No place, no shard in the ledger, no misuse. */
#ifndef ULL_POOL_UNCOUNTED_H
#define ULL_POOL_UNCOUNTED_H

#include <stdbool.h>
#include <stddef.h>

/* NULL: no memory, an alignment over 64 KiB or no power of two, or a signal handler inside. errno is left alone. */
void *ull_uncounted_get(size_t bytes, size_t align);
void *ull_uncounted_get_zeroed(size_t bytes);
/* False: not ours. Where ours are is known from their address, and a second put is told as misuse. */
bool ull_uncounted_put(void *buffer);
/* Bytes that it has room for; 0: not ours. */
size_t ull_uncounted_room(const void *buffer);

#endif
