/* SPDX-License-Identifier: BSD-2-Clause */
/* record.h - what the interposed functions share. */
#ifndef ULL_PRELOAD_RECORD_H
#define ULL_PRELOAD_RECORD_H

#include "measure/begin.h"

#define EXPORT __attribute__((visibility("default")))
#define COLD __attribute__((noinline, cold))

/* Records what the real allocator just handed out, unless it is NULL, and returns it. */
COLD void *ull_recorded(void *buffer, size_t bytes, enum ull_kind kind);

/* Both addresses lie in the same library. */
bool ull_same_library(const void *a, const void *b);

/* In the constructor: the next functions after ours are looked up, so that nobody has to later. */
void ull_new_begin(void);
void ull_mallocx_begin(void);

#endif
