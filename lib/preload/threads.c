/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * threads.c - pthread_create(3), interposed to keep the live profile "threads".
 *
 * A thread that ends in whatever way runs the destructors of its keys: there it is removed. The frame that starts it is
 * left by a jump, so that its stack looks as without us. C11's thrd_create is libc's own affair and is not seen.
 */
#include "config.h"

#include "preload/threads.h"

#include "preload/real.h"
#include "preload/record.h"
#include "ullage/profile.h"

#include <dlfcn.h>
#include <pthread.h>

/* Lives as long as the thread, and is its key in the profile. */
struct thread {
    void *(*routine)(void *);
    void *argument;
};

static struct {
    int (*next)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    struct ullage_profile *profile;
    pthread_key_t key;
    uint32_t ready; /* atomic */
} threads;

static void thread_gone(void *argument)
{
    ullage_profile_remove(threads.profile, argument);
    ull_real.free(argument);
}

void ull_threads_begin(void)
{
    *(void **)(void *)&threads.next = dlsym(RTLD_NEXT, "pthread_create");
    threads.profile = ullage_profile_get("threads");
    if (threads.next != NULL && threads.profile != NULL && pthread_key_create(&threads.key, thread_gone) == 0)
        ull_store_release(&threads.ready, 1U);
}

static void *run(void *argument)
{
    struct thread thread = *(struct thread *)argument;
    if (pthread_setspecific(threads.key, argument) != 0)
        thread_gone(argument);
    return thread.routine(thread.argument);
}

EXPORT int pthread_create(
    pthread_t *out, const pthread_attr_t *attributes, void *(*routine)(void *), void *argument)
{
    int (*next)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *) = threads.next;
    if (next == NULL)
        *(void **)(void *)&next = dlsym(RTLD_NEXT, "pthread_create");
    struct thread *thread = ull_load_acquire(&threads.ready) ? ull_real.malloc(sizeof *thread) : NULL;
    if (thread == NULL)
        return next(out, attributes, routine, argument);
    *thread = (struct thread) { routine, argument };
    ullage_profile_add(threads.profile, thread);
    int result = next(out, attributes, run, thread);
    if (result != 0)
        thread_gone(thread);
    return result;
}
