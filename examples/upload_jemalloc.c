/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * upload_jemalloc.c - a storage writer on jemalloc that takes a 16 MiB chunk for each upload, and finds it out by itself.
 *
 *   upload_jemalloc [UPLOADS] [BYTES]     200 uploads of 100,000 bytes each, four of them at a time
 *
 * Nothing is preloaded: the program links jemalloc and libullage, and one call gives jemalloc our hooks. Look at the result
 * with `ullage report`, while it runs or afterwards.
 */
#include <ullage/jemalloc.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_BYTES = 16 << 20, AT_A_TIME = 4 };

/* The whole chunk is reserved before the first byte came. */
__attribute__((noinline)) static char *begin_upload(void)
{
    char *chunk = malloc(CHUNK_BYTES);
    if (chunk == NULL)
        abort();
    return chunk;
}

static void receive(char *chunk, size_t bytes)
{
    memset(chunk, 'x', bytes);
    __asm__ volatile("" : : "r"(chunk) : "memory");
}

int main(int argc, char **argv)
{
    long uploads = argc > 1 ? strtol(argv[1], NULL, 10) : 200;
    size_t bytes = argc > 2 ? strtoul(argv[2], NULL, 10) : 100000;
    struct ullage_jemalloc_options options = ULLAGE_JEMALLOC_OPTIONS_INIT;
    char *open[AT_A_TIME] = { NULL };
    options.every_call = true;
    if (bytes > CHUNK_BYTES || ullage_jemalloc_install_with(&options) != 0) {
        fprintf(stderr, "upload_jemalloc: %s\n", bytes > CHUNK_BYTES ? "at most 16 MiB an upload" : ullage_jemalloc_error());
        return 1;
    }
    for (long i = 0; i < uploads; i++) {
        free(open[i % AT_A_TIME]);
        open[i % AT_A_TIME] = begin_upload();
        receive(open[i % AT_A_TIME], bytes);
    }
    for (int i = 0; i < AT_A_TIME; i++)
        free(open[i]);
    printf("%ld uploads of %zu bytes\n", uploads, bytes);
    return 0;
}
