/* SPDX-License-Identifier: BSD-2-Clause */
/* plugin.c - built twice, as two libraries that differ in a name: loaded at one address in turn. */
#include <stdlib.h>

void *plugin_entry(size_t bytes);

#ifdef PLUGIN_B
#define WORK work_of_b
#else
#define WORK work_of_a
#endif

__attribute__((noinline)) static void *WORK(size_t bytes)
{
    char *buffer = malloc(bytes);
    __asm__ volatile("" ::: "memory"); /* no tail call */
#ifdef PLUGIN_B /* another shape, so that a's unwind rules are wrong here */
    volatile char room[512];
    room[0] = buffer != NULL;
    buffer[0] = room[0];
#endif
    return buffer;
}

void *plugin_entry(size_t bytes)
{
    void *buffer = WORK(bytes);
    __asm__ volatile("" ::: "memory");
    return buffer;
}
