/* SPDX-License-Identifier: BSD-2-Clause */
/* pooled.h - for tests of pools and buffers: patterns, who hears of misuse, children, and a count of every buffer there is. */
#ifndef ULL_TESTS_POOLED_H
#define ULL_TESTS_POOLED_H

#include "base/arith.h"
#include "base/check.h"
#include "measure/begin.h"
#include "measure/state.h"
#include "pool/decay.h"
#include "pool/thread.h"
#include "ullage/alloc.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* What libullage.so does in its constructor. */
void ull_begin_if_needed(void)
{
    if (!ull_recorder_is_ready())
        ull_begin(ULL_CLEAR_NEVER, false);
}

/* ---- misuse ---- */

static char heard[700];
static int heard_times;

static inline void hear(void *ctx, const char *what)
{
    (void)ctx;
    heard_times++;
    snprintf(heard, sizeof heard, "%s", what);
}

static inline void listen_for_misuse(void)
{
    struct ullage_alloc_options options = ULLAGE_ALLOC_OPTIONS_INIT;
    options.misuse = ULLAGE_MISUSE_REPORT;
    options.on_misuse = hear;
    if (ullage_alloc_configure(&options) != 0)
        abort();
    heard_times = 0;
}

/* Runs @body in a child whose standard error is read. Returns what wait(2) says; the child exits with 7 if @body returns. */
static inline int in_child(void (*body)(void), char *said, size_t room)
{
    int pipes[2], status = -1;
    size_t length = 0;
    ssize_t got;
    if (pipe(pipes) != 0)
        abort();
    pid_t child = fork();
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        signal(SIGSEGV, SIG_DFL);
        dup2(pipes[1], STDERR_FILENO);
        body();
        _exit(7);
    }
    close(pipes[1]);
    while ((got = read(pipes[0], said + length, room - 1 - length)) > 0)
        length += (size_t)got;
    said[length] = '\0';
    close(pipes[0]);
    waitpid(child, &status, 0);
    return status;
}

/* ---- contents ---- */

static inline bool is_zero(const void *start, size_t bytes)
{
    const unsigned char *at = start;
    return bytes == 0 || (at[0] == 0 && memcmp(at, at + 1, bytes - 1) == 0);
}

/* A word at each 512 bytes, the smallest buffer there is, says whose they are: who overlaps spoils one of them at least. */
enum { STAMP_STEP = 512 };

static inline uint64_t stamp_at(uint64_t seed, size_t offset)
{
    return ull_mix64(seed * 31 + offset);
}

static inline size_t stamp_step(size_t bytes)
{
    return bytes >= (size_t)1 << 20 ? 65536 : STAMP_STEP;
}

static inline void stamp(void *start, size_t bytes, uint64_t seed)
{
    for (size_t at = 0; at + 8 <= bytes; at += stamp_step(bytes)) {
        uint64_t word = stamp_at(seed, at);
        memcpy((char *)start + at, &word, 8);
    }
    if (bytes >= 16)
        memcpy((char *)start + bytes - 8, &seed, 8);
}

/* @bytes as at stamp(). */
static inline bool is_stamped(const void *start, size_t bytes, uint64_t seed)
{
    uint64_t word;
    bool good = true;
    for (size_t at = 0; at + 8 <= bytes && good; at += stamp_step(bytes)) {
        memcpy(&word, (const char *)start + at, 8);
        good = word == stamp_at(seed, at) || (bytes >= 16 && at + 8 > bytes - 8);
    }
    if (good && bytes >= 16) {
        memcpy(&word, (const char *)start + bytes - 8, 8);
        good = word == seed;
    }
    return good;
}

/* ---- every buffer there is ---- */

struct census {
    const struct ull_block **blocks; /* that lie in magazines and depots */
    size_t count, room;
};

static inline void count_magazine(struct census *census, const struct ull_magazine *magazine, uint32_t filled)
{
    for (uint32_t i = 0; i < filled; i++) {
        if (census->count == census->room) {
            census->room = census->room * 2 + 1024;
            census->blocks = realloc(census->blocks, census->room * sizeof census->blocks[0]);
            if (census->blocks == NULL)
                abort();
        }
        ull_invariant(magazine->entries[i].data == magazine->entries[i].block->data);
        census->blocks[census->count++] = magazine->entries[i].block;
    }
}

static inline void count_stack(struct census *census, const struct ull_stack *stack)
{
    for (uint32_t at = (uint32_t)stack->head; at != 0; at = ull_magazine_at(at)->next)
        count_magazine(census, ull_magazine_at(at), ull_magazine_at(at)->count);
}

static inline void count_threads(struct census *census, uint32_t cache)
{
    for (uint32_t i = 0; i < ull_threads_count(); i++) {
        const struct ull_pool_thread *thread = ull_thread_at(i);
        const struct ull_front *front = thread != NULL ? &thread->fronts[cache] : NULL;
        if (front == NULL || front->loaded == NULL)
            continue;
        count_magazine(census, front->loaded, (uint32_t)(front->sp - front->loaded->entries));
        if (front->previous != NULL)
            count_magazine(census, front->previous, front->previous->count);
    }
}

static inline int by_address(const void *a, const void *b)
{
    const struct ull_block *first = *(const struct ull_block *const *)a, *second = *(const struct ull_block *const *)b;
    return first < second ? -1 : first > second;
}

static inline uint64_t live_or_listed(uint32_t cache, uint64_t *carved)
{
    uint64_t found = 0;
    for (uint32_t i = 0; i < ull_slab_count(); i++) {
        const struct ull_slab *slab = ull_slab_at(i);
        if (slab->cache != cache || slab->state != ULL_SLAB_USED)
            continue;
        *carved += slab->carved;
        for (uint32_t at = slab->free; at != 0; at = slab->blocks[at - 1].refs)
            found++;
        for (uint32_t at = 0; at < slab->carved; at++)
            found += (slab->blocks[at].state & ULL_BLOCK_STATE_MASK) == ULL_BLOCK_LIVE;
    }
    return found;
}

/*
 * Each buffer that was ever cut lies in exactly one place: with its owner, in its slab's list, in a magazine or in the depot.
 * False: one is lost, or two places have it. The allocator's own check goes first, which aborts. The program must be quiet;
 * the allocator's thread, if there is one, is held off.
 */
static inline bool count_each(void)
{
    bool good = true;
    for (uint32_t cache = 0; cache < ull_caches_end; cache++) {
        struct census census = { NULL, 0, 0 };
        uint64_t carved = 0, elsewhere = ull_caches[cache].used ? live_or_listed(cache, &carved) : 0;
        if (!ull_caches[cache].used)
            continue;
        count_threads(&census, cache);
        count_stack(&census, &ull_caches[cache].full);
        count_stack(&census, &ull_caches[cache].victims);
        if (census.count > 0)
            qsort(census.blocks, census.count, sizeof census.blocks[0], by_address);
        for (size_t i = 0; i < census.count; i++) {
            good &= (census.blocks[i]->state & ULL_BLOCK_STATE_MASK) == ULL_BLOCK_FREE;
            good &= i == 0 || census.blocks[i] != census.blocks[i - 1];
        }
        good &= elsewhere + census.count == carved;
        free(census.blocks);
        if (!good) {
            printf("# cache %u: %lu cut, %lu live or in lists, %zu in magazines\n", cache, (unsigned long)carved,
                (unsigned long)elsewhere, census.count);
            return false;
        }
    }
    return good;
}

static inline bool every_buffer_is_once(void)
{
    ull_pool_check_all();
    ull_decay_hold();
    bool good = count_each();
    ull_decay_release();
    return good;
}

#endif
