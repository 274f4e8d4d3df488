/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pool_api.h - the ways to get a buffer that bench_pool compares, and how a work is compiled once for each.
 *
 * A work is an always-inline function whose first argument is the way. BY_API() calls it with a constant, so that each way
 * has a loop of its own with direct calls in it: none pays for a pointer that another does not. Which one runs is said by
 * BENCH_API in the environment. Peers are `malloc` with their library preloaded.
 */
#ifndef ULLAGE_BENCH_POOL_API_H
#define ULLAGE_BENCH_POOL_API_H

#include <ullage/alloc.h>
#include <ullage/bench.h>
#include <ullage/buffer.h>
#include <ullage/pool.h>

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#define ALWAYS_INLINE __attribute__((always_inline)) static inline

enum api {
    API_MALLOC,  /* malloc and free: glibc, or what is preloaded */
    API_ULLAGE,  /* ullage_malloc, ullage_free_used */
    API_BUFFER,  /* ullage_buffer_get, ullage_buffer_put */
    API_POOL,    /* ullage_pool_get, ullage_pool_put */
    API_LEARNED, /* ullage_buffer_get(0), grown where it has to be */
};

/* From the environment, once. */
enum api chosen_api(void);

/* One a process, made at the first call: its objects have the size of the one benchmark that runs here. */
struct ullage_pool *the_pool(size_t object_bytes);

/* What BENCH_API=learned has no meaning for. True: it was said. */
bool skip_learned(struct ullage_bench *b);

/* @work is called with a constant for the way; what follows are its other arguments. */
#define BY_API(work, ...) \
    do { \
        switch (chosen_api()) { \
        case API_MALLOC: work(API_MALLOC, __VA_ARGS__); break; \
        case API_ULLAGE: work(API_ULLAGE, __VA_ARGS__); break; \
        case API_BUFFER: work(API_BUFFER, __VA_ARGS__); break; \
        case API_POOL: work(API_POOL, __VA_ARGS__); break; \
        case API_LEARNED: work(API_LEARNED, __VA_ARGS__); break; \
        } \
    } while (0)

/* What failed at once would look fast. */
ALWAYS_INLINE void *got(void *held)
{
    if (__builtin_expect(held == NULL, 0))
        abort();
    return held;
}

ALWAYS_INLINE void *take(enum api api, struct ullage_pool *pool, size_t bytes)
{
    switch (api) {
    case API_MALLOC: return got(malloc(bytes));
    case API_ULLAGE: return got(ullage_malloc(bytes));
    case API_BUFFER: return got(ullage_buffer_get(bytes));
    case API_POOL: return got(ullage_pool_get(pool));
    default: return got(ullage_buffer_get(0));
    }
}

/* Where a buffer's bytes are: a struct ullage_buffer is not its own memory. */
ALWAYS_INLINE char *memory_of(enum api api, void *held)
{
    if (api == API_BUFFER || api == API_LEARNED)
        return (char *)ullage_buffer_data((struct ullage_buffer *)held);
    return (char *)held;
}

/* A learned buffer grows to what is asked for now; the others have it from the start. */
ALWAYS_INLINE void *make_room(enum api api, void *held, size_t bytes, size_t keep_bytes)
{
    struct ullage_buffer *buffer = (struct ullage_buffer *)held;
    if (api != API_LEARNED || ullage_buffer_capacity(buffer) >= bytes)
        return held;
    if (ullage_buffer_grow(&buffer, bytes, keep_bytes) != 0)
        abort();
    return buffer;
}

ALWAYS_INLINE void give(enum api api, struct ullage_pool *pool, void *held, size_t used_bytes)
{
    switch (api) {
    case API_MALLOC: free(held); break;
    case API_ULLAGE: ullage_free_used(held, used_bytes); break;
    case API_BUFFER:
    case API_LEARNED: ullage_buffer_put((struct ullage_buffer *)held, used_bytes); break;
    case API_POOL: ullage_pool_put(pool, held); break;
    }
}

#endif
