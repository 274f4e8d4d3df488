/* SPDX-License-Identifier: BSD-2-Clause */
/* charge.h - buffers whose put gives bytes back to a budget: records that were taken from their reader. */
#ifndef ULL_BUFFER_CHARGE_H
#define ULL_BUFFER_CHARGE_H

#include "ullage/buffer.h"
#include "ullage/budget.h"

/* What ullage_buffer_capacity() will say of a buffer of @bytes, from 1. */
uint64_t ull_buffer_room_for(uint64_t bytes);

/*
 * @budget is charged for @b's capacity already: from now on its last put gives that back. It cannot grow into another buffer then.
 * By its one owner, once.
 */
void ull_buffer_charge(struct ullage_buffer *b, const struct ullage_budget *budget);

#endif
