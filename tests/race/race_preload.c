/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * race_preload.c - a program that does everything at once: threads that come and go, buffers freed by other threads,
 * forks in the middle, dlopen, signals. Run under the interposer by tests/cli/preload.bats; it says what it did.
 *
 *     race_preload ROUNDS
 */
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 4, SLOTS = 64 };
static void *slots[SLOTS]; /* atomic: handed from thread to thread */
static int rounds = 300;
static volatile sig_atomic_t ticks;

static void tick(int number)
{
    (void)number;
    ticks++;
}

static void *work(void *argument)
{
    uint64_t random = (uint64_t)(uintptr_t)argument * 77 + 1;
    for (int i = 0; i < rounds; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        size_t bytes = 1000 + (random >> 9) % 300000;
        char *buffer = (random & 4) ? calloc(1, bytes) : malloc(bytes);
        if (buffer == NULL)
            abort();
        memset(buffer, (int)i, bytes / 8);
        if ((random & 24) == 0)
            buffer = realloc(buffer, bytes * 2);
        free(__atomic_exchange_n(&slots[(random >> 40) % SLOTS], buffer, __ATOMIC_ACQ_REL));
    }
    return NULL;
}

/* In the child: what was inherited is freed, and more allocated. */
static void child(void)
{
    for (int i = 0; i < SLOTS; i++)
        free(__atomic_exchange_n(&slots[i], NULL, __ATOMIC_ACQ_REL));
    work((void *)99);
    exit(0);
}

int main(int argc, char **argv)
{
    struct itimerval interval = { { 0, 700 }, { 0, 700 } };
    int failed = 0;
    if (argc > 1)
        rounds = atoi(argv[1]);
    signal(SIGALRM, tick);
    setitimer(ITIMER_REAL, &interval, NULL);
    for (int batch = 0; batch < 8; batch++) {
        pthread_t threads[THREADS];
        for (uintptr_t i = 0; i < THREADS; i++)
            pthread_create(&threads[i], NULL, work, (void *)(i + (uintptr_t)batch * THREADS));
        for (int k = 0; k < 3; k++) {
            int status = 0;
            pid_t pid = fork();
            if (pid == 0)
                child();
            while (waitpid(pid, &status, 0) < 0) {
            }
            failed += status != 0;
            void *library = dlopen("libm.so.6", RTLD_NOW);
            if (library != NULL)
                dlclose(library);
        }
        for (int i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
    }
    printf("%d children failed\n", failed);
    return failed != 0;
}
