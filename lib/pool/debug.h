/* SPDX-License-Identifier: BSD-2-Clause */
/* debug.h - ULLAGE_DEBUG: buffers are filled when they are put, and looked at when they are got; and what misuse is told as. */
#ifndef ULL_POOL_DEBUG_H
#define ULL_POOL_DEBUG_H

#include "pool/block.h"
#include "ullage/alloc.h"

#include <stdbool.h>

/* A put buffer: was more written than was declared? Then it is filled. @room: bytes of the buffer. */
void ull_debug_put(struct ull_block *block, uint64_t room, uint64_t used, bool declared);
/* A buffer that is resized in place: what lies past @bytes is its owner's no more. */
void ull_debug_cut(struct ull_block *block, uint64_t bytes, uint64_t room);
/* A buffer that is got: is the filling whole? */
void ull_debug_check_poison(struct ull_block *block, uint64_t room);

enum { ULL_EDGES_BYTES = 32 };
/*
 * The same in a program as shipped, of buffers that are followed (one of 128, or all): only the edges of what was used. Memory
 * that was not used is not touched, because it would cost pages.
 */
void ull_edge_put(struct ull_block *block, uint64_t used);
void ull_edge_check(struct ull_block *block);

__attribute__((cold)) void ull_misuse_twice(const struct ull_block *block, const void *by);
__attribute__((cold)) void ull_misuse_in_flight(const struct ull_block *block, const void *by);
__attribute__((cold)) void ull_misuse_foreign(const void *address, const char *what, const void *by);

/* One line on standard error, and the program's callback. Once a site. */
void ull_tell_oversize(const struct ullage_oversize *oversize);

/* Of ullage_alloc_configure(). */
void ull_tell_settings(void (*on_oversize)(void *ctx, const struct ullage_oversize *oversize), void *ctx);

#endif
