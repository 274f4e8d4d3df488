/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * churn.c - two threads that allocate and free buffers of one size each, for ever: to be killed at any instant.
 *
 *     churn [DEPTH]     with DEPTH, each process forks again and again: two that do the same one level down, and others
 *                       that end at once; a child prints its pid
 */
#include <pthread.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { HELD = 40, FORK_EVERY = 300, OFFSPRING = 2 };

static void begin(int depth);
static int depth_here;

__attribute__((noinline)) static void *churn_site(size_t bytes)
{
    void *buffer = malloc(bytes);
    __asm__ volatile("" ::: "memory"); /* no tail call: the stack must show this function */
    return buffer;
}

/* The forking thread's, now and then. */
static void fork_something(unsigned long step)
{
    static int offspring;
    pid_t child = fork();
    if (child == 0 && offspring < OFFSPRING && depth_here > 0) {
        offspring = 0;
        char line[32];
        if (write(1, line, (size_t)snprintf(line, sizeof line, "%d\n", (int)getpid())) < 0)
            _exit(1);
        begin(depth_here - 1);
    }
    if (child == 0) {
        free(memset(churn_site(300000), 1, 5000));
        _exit((int)(step % 3));
    }
    offspring++;
    while (waitpid(-1, NULL, WNOHANG) > 0) {
    }
}

static void *churn(void *argument)
{
    size_t bytes = (size_t)argument;
    char *held[HELD] = { NULL };
    unsigned long step = 0;
    for (unsigned i = 0;; i = (i * 7 + 3) % HELD) {
        if (bytes == 300000 && depth_here >= 0 && ++step % FORK_EVERY == 0)
            fork_something(step);
        free(held[i]);
        held[i] = churn_site(bytes);
        if (held[i] == NULL)
            abort();
        memset(held[i], 1, 5000);
        free(malloc(200));
    }
    return NULL;
}

static void begin(int depth)
{
    pthread_t other;
    depth_here = depth;
    pthread_create(&other, NULL, churn, (void *)100000);
    churn((void *)300000);
}

int main(int argc, char **argv)
{
    begin(argc > 1 ? atoi(argv[1]) : -1);
    return 0;
}
