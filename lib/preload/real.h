/* SPDX-License-Identifier: BSD-2-Clause */
/* real.h - the allocator that the program would have had without us. */
#ifndef ULL_PRELOAD_REAL_H
#define ULL_PRELOAD_REAL_H

#include <stdbool.h>
#include <stddef.h>

struct ull_real {
    void *(*malloc)(size_t);
    void (*free)(void *);
    void *(*calloc)(size_t, size_t);
    void *(*realloc)(void *, size_t);
    void *(*memalign)(size_t, size_t);
    int (*posix_memalign)(void **, size_t, size_t);
    void *(*aligned_alloc)(size_t, size_t);
    void *(*valloc)(size_t);
    void *(*pvalloc)(size_t);
    size_t (*malloc_usable_size)(void *);
};

/* Always callable: the first call of any of them finds the real ones. */
extern struct ull_real ull_real __attribute__((visibility("hidden")));

/* The allocator is libc's own, whose memory is private and anonymous. */
bool ull_real_is_libc(void);

#endif
