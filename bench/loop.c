/* SPDX-License-Identifier: BSD-2-Clause */
/* loop.c - the loop of steps.h, timed without the harness: what that is held against. loop COUNT: prints the ns of one. */
#include "steps.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

int main(int argc, char **argv)
{
    long count = argc > 1 ? strtol(argv[1], NULL, 10) : 10000000;
    if (count < 1) {
        fprintf(stderr, "usage: loop COUNT\n");
        return 2;
    }
    steps((uint64_t)(count / 10 + 1));
    double begun = now_ns();
    steps((uint64_t)count);
    printf("%.4f\n", (now_ns() - begun) / (double)count);
    return 0;
}
