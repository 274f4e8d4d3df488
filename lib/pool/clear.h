/* SPDX-License-Identifier: BSD-2-Clause */
/* clear.h - how large a buffer is, and making it zero. */
#ifndef ULL_POOL_CLEAR_H
#define ULL_POOL_CLEAR_H

#include "pool/cache.h"

/* Bytes that a live buffer has room for. */
uint64_t ull_block_room(const struct ull_block *block);
/* What a buffer of @bytes will have. */
uint64_t ull_room_for(uint64_t bytes);

/* Makes [data, data + bytes) zero, whatever it was: of a large one only the pages that the kernel says were written. */
void ull_clear(void *data, uint64_t bytes);

#endif
