/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * calls.c - every function of the malloc family, with its errors: what the program sees must be what it would see
 * without the interposer. Prints one line a check; run with and without, the output must be the same.
 */
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static volatile size_t huge = SIZE_MAX - 100, half = SIZE_MAX / 2;

static void show(const char *what, int ok)
{
    printf("%s %s\n", what, ok ? "yes" : "no");
}

int main(void)
{
    void *p, *q;
    for (size_t bytes = 1; bytes <= 1 << 22; bytes *= 8) {
        errno = 77;
        p = malloc(bytes);
        show("malloc", p != NULL && (uintptr_t)p % 16 == 0 && malloc_usable_size(p) >= bytes);
        memset(p, 1, bytes);
        p = realloc(p, bytes * 2);
        show("realloc keeps", p != NULL && ((char *)p)[bytes - 1] == 1);
        p = realloc(p, bytes / 2 + 1);
        show("realloc shrinks", p != NULL && ((char *)p)[0] == 1);
        q = calloc(3, bytes);
        int zero = 1;
        for (size_t i = 0; i < 3 * bytes; i++)
            zero &= ((char *)q)[i] == 0;
        show("calloc clears", zero);
        memset(q, 5, 3 * bytes);
        free(q);
        q = calloc(bytes, 3);
        for (size_t i = 0; i < 3 * bytes; i++)
            zero &= ((char *)q)[i] == 0;
        show("calloc clears what was used", zero);
        free(p);
        free(q);
        for (size_t align = 16; align <= 1 << 21; align *= 32) {
            p = memalign(align, bytes);
            show("memalign", (uintptr_t)p % align == 0);
            free(p);
            p = aligned_alloc(align, (bytes + align - 1) / align * align);
            show("aligned_alloc", (uintptr_t)p % align == 0);
            free(p);
            show("posix_memalign", posix_memalign(&p, align, bytes) == 0 && (uintptr_t)p % align == 0);
            free(p);
        }
        p = valloc(bytes);
        show("valloc", (uintptr_t)p % 4096 == 0);
        free(p);
        p = pvalloc(bytes);
        show("pvalloc", (uintptr_t)p % 4096 == 0 && malloc_usable_size(p) >= (bytes + 4095) / 4096 * 4096);
        free(p);
        p = reallocarray(NULL, 7, bytes);
        show("reallocarray", p != NULL);
        free(p);
    }
    errno = 0;
    show("malloc of too much", malloc(huge) == NULL && errno == ENOMEM);
    errno = 0;
    show("calloc overflow", calloc(half, 3) == NULL && errno == ENOMEM);
    errno = 0;
    show("reallocarray overflow", reallocarray(NULL, half, 3) == NULL && errno == ENOMEM);
    p = malloc(100000);
    memset(p, 9, 100000);
    errno = 0;
    show("realloc of too much keeps the old", realloc(p, huge) == NULL && errno == ENOMEM && ((char *)p)[99999] == 9);
    show("posix_memalign refuses", posix_memalign(&q, 3, 100) == EINVAL && posix_memalign(&q, 64, huge) == ENOMEM);
    show("realloc to nothing", realloc(p, 0) == NULL);
    p = malloc(0);
    show("malloc of nothing", p != NULL);
    free(p);
    free(NULL);
    p = realloc(NULL, 200000);
    errno = 55;
    free(p);
    show("free keeps errno", errno == 55);
    return 0;
}
