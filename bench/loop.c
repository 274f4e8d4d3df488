/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * loop.c - pairs of malloc and free, timed: what the interposer costs.
 *
 * loop BYTES PAIRS [TOUCH [WARM]]: prints the ns a pair of the best of five rounds. TOUCH bytes of each buffer are
 * written (default 1). WARM small buffers are held meanwhile, as in a real program.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* The compiler must believe that the buffer is used: it deletes a malloc that nobody sees. */
static void keep(void *p)
{
    __asm__ volatile("" : : "r"(p) : "memory");
}

static double round_ns(size_t bytes, long pairs, size_t touch)
{
    double begun = now_ns();
    for (long i = 0; i < pairs; i++) {
        char *p = malloc(bytes);
        keep(p);
        if (touch > 0)
            memset(p, 1, touch);
        keep(p);
        free(p);
    }
    return (now_ns() - begun) / (double)pairs;
}

int main(int argc, char **argv)
{
    size_t bytes = argc > 1 ? strtoul(argv[1], NULL, 10) : 64;
    long pairs = argc > 2 ? strtol(argv[2], NULL, 10) : 10000000;
    size_t touch = argc > 3 ? strtoul(argv[3], NULL, 10) : 1;
    long warm = argc > 4 ? strtol(argv[4], NULL, 10) : 0;
    if (bytes == 0 || pairs < 1 || touch > bytes || warm < 0 || warm > 100000000) {
        fprintf(stderr, "usage: loop BYTES PAIRS [TOUCH [WARM]]\n");
        return 2;
    }
    for (long i = 0; i < warm; i++)
        keep(malloc(100));
    double best = 0;
    for (int round = 0; round < 5; round++) {
        double ns = round_ns(bytes, pairs / 5 + 1, touch);
        best = round == 0 || ns < best ? ns : best;
    }
    printf("%.2f\n", best);
    return 0;
}
