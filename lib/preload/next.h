/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * next.h - the definition that a caller would have found if ours were not there.
 *
 * In the global scope that is the next one after ours; it is looked up once, in the constructor, where the loader's lock may
 * be taken. A plugin that was opened with RTLD_LOCAL may bring a definition that only it can see, its own or its C++ library's:
 * without us each plugin has its own, so it is found by who calls, and forgotten when anything is unloaded. That search takes
 * no lock of dlopen: a thread may be waited for by somebody who holds it.
 */
#ifndef ULL_PRELOAD_NEXT_H
#define ULL_PRELOAD_NEXT_H

#include <stdbool.h>
#include <stdint.h>

struct ull_next {
    const char *symbol;
    void *function;       /* of the global scope; atomic; NULL: none, or not looked up yet */
    bool bypasses_malloc; /* it belongs to the allocator, and does not call malloc; valid once function is set */
};

/* In the constructor, and before it where somebody is earlier. Leaves dlerror() alone after the constructor. */
void ull_next_look_up(struct ull_next *next, unsigned count);

/* For a caller whose scope is not the global one; NULL: there is none. Threads: any. */
void *ull_next_for_caller(const char *symbol, const void *caller);

#endif
