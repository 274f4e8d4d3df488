/* SPDX-License-Identifier: BSD-2-Clause */
/* churn.c - two threads that allocate and free buffers of one size each, for ever: to be killed at any instant. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { HELD = 40 };

__attribute__((noinline)) static void *churn_site(size_t bytes)
{
    void *buffer = malloc(bytes);
    __asm__ volatile("" ::: "memory"); /* no tail call: the stack must show this function */
    return buffer;
}

static void *churn(void *argument)
{
    size_t bytes = (size_t)argument;
    char *held[HELD] = { NULL };
    for (unsigned i = 0;; i = (i * 7 + 3) % HELD) {
        free(held[i]);
        held[i] = churn_site(bytes);
        if (held[i] == NULL)
            abort();
        memset(held[i], 1, 5000);
        free(malloc(200));
    }
    return NULL;
}

int main(void)
{
    pthread_t other;
    pthread_create(&other, NULL, churn, (void *)100000);
    churn((void *)300000);
    return 0;
}
