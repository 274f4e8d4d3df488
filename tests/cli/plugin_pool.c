/* SPDX-License-Identifier: BSD-2-Clause */
/* plugin_pool.c - built twice, as two libraries that get buffers at places of their own, and are unloaded before those are put. */
#include <stdlib.h>
#include <ullage/alloc.h>
#include <ullage/buffer.h>
#include <ullage/pool.h>

void plugin_get(void *out[4]);

#ifdef PLUGIN_B
#define GET get_of_b
#else
#define GET get_of_a
#endif

__attribute__((noinline)) static void GET(void *out[4])
{
    out[0] = ullage_malloc(1000);
    out[1] = ullage_calloc(1, 70000);
    out[2] = ullage_buffer_get(5000);
    out[3] = (ullage_malloc)(3000); /* known by its address alone */
    __asm__ volatile("" ::: "memory");
}

void plugin_get(void *out[4])
{
    GET(out);
    __asm__ volatile("" ::: "memory");
}
