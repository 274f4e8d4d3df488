/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lock.h - a lock that gives up.
 *
 * In somebody else's process a thread may be stopped for good while it holds our lock: a collector that suspends all
 * threads by a signal, a debugger. Whoever waits for it must not hang with it: after LOCK_PATIENCE_NS it goes on
 * without, and what it wanted to record is lost, and counted. Far longer than any holder needs, also on a loaded machine.
 */
#ifndef ULL_BASE_LOCK_H
#define ULL_BASE_LOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <time.h>

#define LOCK_PATIENCE_NS 100000000L

/* gcc 12's ThreadSanitizer does not know pthread_mutex_clocklock(); there the clock of the day serves. */
#if defined(__SANITIZE_THREAD__)
#define LOCK_CLOCK CLOCK_REALTIME
#define LOCK_UNTIL(lock, until) pthread_mutex_timedlock((lock), (until))
#else
#define LOCK_CLOCK CLOCK_MONOTONIC
#define LOCK_UNTIL(lock, until) pthread_mutex_clocklock((lock), LOCK_CLOCK, (until))
#endif

/* True: locked. */
static inline bool ull_lock(pthread_mutex_t *lock)
{
    struct timespec until;
    if (pthread_mutex_trylock(lock) == 0)
        return true;
    clock_gettime(LOCK_CLOCK, &until);
    until.tv_nsec += LOCK_PATIENCE_NS;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_nsec -= 1000000000L;
        until.tv_sec++;
    }
    return LOCK_UNTIL(lock, &until) == 0;
}

static inline void ull_unlock(pthread_mutex_t *lock)
{
    pthread_mutex_unlock(lock);
}

#endif
