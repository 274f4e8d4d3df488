/* SPDX-License-Identifier: BSD-2-Clause */
/* pairs.c - so many pairs of malloc and free of so many bytes: pairs BYTES COUNT */
#include <stdlib.h>

int main(int argc, char **argv)
{
    size_t bytes = argc > 1 ? strtoul(argv[1], NULL, 10) : 64;
    long count = argc > 2 ? strtol(argv[2], NULL, 10) : 1000;
    for (long i = 0; i < count; i++) {
        char *volatile p = malloc(bytes);
        if (p == NULL)
            return 1;
        p[0] = 1;
        free(p);
    }
    return 0;
}
