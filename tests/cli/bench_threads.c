/* SPDX-License-Identifier: BSD-2-Clause */
/* bench_threads.c - a server in small: each request goes to a thread and back. bench_threads REQUESTS; LARGER=1: with larger buffers. */
#include "config.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static sem_t request, answer;
static int ended;

__attribute__((noinline)) static void serve(void)
{
    size_t bytes = getenv("LARGER") != NULL ? 4 << 20 : 1 << 20;
    char *buffer = malloc(bytes);
    memset(buffer, 1, 4096);
    __asm__ volatile("" : : "r"(buffer) : "memory");
    free(buffer);
}

static void *work(void *unused)
{
    for (;;) {
        sem_wait(&request);
        if (ended)
            return unused;
        serve();
        sem_post(&answer);
    }
}

int main(int argc, char **argv)
{
    long requests = argc > 1 ? atol(argv[1]) : 100;
    pthread_t thread;
    sem_init(&request, 0, 0);
    sem_init(&answer, 0, 0);
    if (pthread_create(&thread, NULL, work, NULL) != 0)
        return 1;
    pthread_setname_np(thread, "worker");
    for (long i = 0; i < requests; i++) {
        sem_post(&request);
        sem_wait(&answer);
        usleep(500);
    }
    ended = 1;
    sem_post(&request);
    pthread_join(thread, NULL);
    return 0;
}
