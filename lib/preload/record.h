/* SPDX-License-Identifier: BSD-2-Clause */
/* record.h - what the interposed functions share. */
#ifndef ULL_PRELOAD_RECORD_H
#define ULL_PRELOAD_RECORD_H

#include "measure/begin.h"

#define EXPORT __attribute__((visibility("default")))
#define COLD __attribute__((noinline, cold))

/* Records what the real allocator just handed out, unless it is NULL, and returns it. */
COLD void *ull_recorded(void *buffer, size_t bytes, enum ull_kind kind);

/*
 * The next definition of @symbol after ours: in the global scope, else as @caller's own library would have found it
 * (a plugin that was opened with RTLD_LOCAL brings its libraries with it). NULL: there is none.
 */
COLD void *ull_next_symbol(const char *symbol, const void *caller);

/* Both addresses lie in the same library. */
bool ull_same_library(const void *a, const void *b);

#endif
