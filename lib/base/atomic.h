/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * atomic.h - the only door to atomic operations; the memory order is in each name.
 *
 * They work on plain integers, because most of what they touch lies in a mapped file whose layout must not depend on
 * a compiler's idea of _Atomic. Every such integer is naturally aligned, so that a load or store is one access and
 * cannot be torn, not even by SIGKILL.
 */
#ifndef ULL_BASE_ATOMIC_H
#define ULL_BASE_ATOMIC_H

#include <stdbool.h>
#include <stdint.h>

#define ull_load_relaxed(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#define ull_load_acquire(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define ull_store_relaxed(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define ull_store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define ull_add_relaxed(p, v) __atomic_fetch_add((p), (v), __ATOMIC_RELAXED)
#define ull_sub_relaxed(p, v) __atomic_fetch_sub((p), (v), __ATOMIC_RELAXED)
#define ull_add_release(p, v) __atomic_fetch_add((p), (v), __ATOMIC_RELEASE)
#define ull_sub_release(p, v) __atomic_fetch_sub((p), (v), __ATOMIC_RELEASE)
#define ull_exchange_acq_rel(p, v) __atomic_exchange_n((p), (v), __ATOMIC_ACQ_REL)

/* Strong compare-and-swap; on failure *expected holds what was found. */
#define ull_cas_acq_rel(p, expected, v) \
    __atomic_compare_exchange_n((p), (expected), (v), false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)

/*
 * Adds to a counter that this thread alone writes: no lock prefix. One instruction where there is one, so that a signal
 * handler of the thread that counts too loses nothing, and the hot paths are short.
 */
static inline void ull_count(uint64_t *counter, uint64_t by)
{
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
    __asm__ volatile("addq %1, %0" : "+m"(*counter) : "er"(by) : "cc");
#elif defined(__SANITIZE_THREAD__)
    __atomic_fetch_add(counter, by, __ATOMIC_RELAXED);
#else
    ull_store_relaxed(counter, ull_load_relaxed(counter) + by);
#endif
}

/* Raises *p to v if it is lower. */
static inline void ull_max_relaxed(uint64_t *p, uint64_t v)
{
    uint64_t seen = ull_load_relaxed(p);
    while (seen < v && !__atomic_compare_exchange_n(p, &seen, v, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
}

/* Lowers *p to v if it is higher, or if it is 0, which here stands for "none yet". */
static inline void ull_min_nonzero_relaxed(uint64_t *p, uint64_t v)
{
    uint64_t seen = ull_load_relaxed(p);
    while ((seen == 0 || seen > v)
        && !__atomic_compare_exchange_n(p, &seen, v, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
}

#endif
