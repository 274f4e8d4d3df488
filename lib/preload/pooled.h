/* SPDX-License-Identifier: BSD-2-Clause */
/* pooled.h - `ullage run --pool`: an unmodified program's large buffers come from our slabs. */
#ifndef ULL_PRELOAD_POOLED_H
#define ULL_PRELOAD_POOLED_H

/* Puts us between the interposed functions and the real allocator, if ULLAGE_POOL says from which size on. In the constructor. */
void ull_pooled_begin(void);

#endif
