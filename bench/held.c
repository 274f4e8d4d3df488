/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * held.c - holds many large buffers and does something small, and says how long the slowest took: held COUNT SECONDS
 *
 * Prints the longest and the 99.9th percentile of mapping, touching and unmapping 64 KiB, in us. What looks at the process
 * from outside takes the lock of its memory map meanwhile.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { BUFFER_BYTES = 128 * 1024, TOUCHED_BYTES = 4096, MAPPED_BYTES = 64 * 1024, SAMPLES_MAX = 1 << 20 };

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return left < right ? -1 : left > right;
}

int main(int argc, char **argv)
{
    long count = argc > 1 ? atol(argv[1]) : 10000, seconds = argc > 2 ? atol(argv[2]) : 5;
    static uint32_t took[SAMPLES_MAX];
    size_t samples = 0;
    for (long i = 0; i < count; i++) {
        char *buffer = malloc(BUFFER_BYTES);
        if (buffer == NULL)
            return 1;
        memset(buffer, 1, TOUCHED_BYTES);
        __asm__ volatile("" : : "r"(buffer) : "memory");
    }
    for (uint64_t end = now_ns() + (uint64_t)seconds * 1000000000; now_ns() < end && samples < SAMPLES_MAX; samples++) {
        const struct timespec pause = { 0, 50000 };
        uint64_t begun = now_ns();
        char *memory = mmap(NULL, MAPPED_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        memory[0] = memory[MAPPED_BYTES - 1] = 1;
        munmap(memory, MAPPED_BYTES);
        took[samples] = (uint32_t)(now_ns() - begun);
        nanosleep(&pause, NULL);
    }
    qsort(took, samples, sizeof took[0], by_value);
    printf("%.1f %.1f %zu\n", took[samples - 1] / 1e3, took[samples * 999 / 1000] / 1e3, samples);
    return 0;
}
