/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ring.h - a bounded ring of pointers from one thread to one other.
 *
 * Each end has its own line of the cache and remembers where it last saw the other, so that a line changes hands once in
 * a while and not at each pointer. Who waits spins, and gives way after a while: there may be fewer processors than threads.
 */
#ifndef ULLAGE_BENCH_RING_H
#define ULLAGE_BENCH_RING_H

#include <sched.h>
#include <stdint.h>

enum { RING_SLOTS = 256, RING_SPINS = 1000 };

struct ring {
    struct {
        _Alignas(128) uint64_t next; /* written by this end alone */
        uint64_t other;              /* how far the other end was, when last looked at */
    } in, out;
    _Alignas(128) void *slots[RING_SLOTS];
};

static inline void ring_reset(struct ring *ring)
{
    ring->in.next = ring->in.other = ring->out.next = ring->out.other = 0;
}

static inline void ring_pause(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield" ::: "memory");
#else
    __asm__ volatile("" ::: "memory");
#endif
}

static inline void ring_wait(unsigned *spins)
{
    if (++*spins % RING_SPINS == 0)
        sched_yield();
    else
        ring_pause();
}

static inline void ring_put(struct ring *ring, void *p)
{
    uint64_t at = ring->in.next;
    unsigned spins = 0;
    while (at - ring->in.other == RING_SLOTS) {
        ring->in.other = __atomic_load_n(&ring->out.next, __ATOMIC_ACQUIRE);
        if (at - ring->in.other == RING_SLOTS)
            ring_wait(&spins);
    }
    ring->slots[at % RING_SLOTS] = p;
    __atomic_store_n(&ring->in.next, at + 1, __ATOMIC_RELEASE);
}

static inline void *ring_get(struct ring *ring)
{
    uint64_t at = ring->out.next;
    unsigned spins = 0;
    while (at == ring->out.other) {
        ring->out.other = __atomic_load_n(&ring->in.next, __ATOMIC_ACQUIRE);
        if (at == ring->out.other)
            ring_wait(&spins);
    }
    void *p = ring->slots[at % RING_SLOTS];
    __atomic_store_n(&ring->out.next, at + 1, __ATOMIC_RELEASE);
    return p;
}

#endif
