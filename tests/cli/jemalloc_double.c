/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * jemalloc_double.c - stands in for jemalloc 5.3.1, which Debian 12 does not have: a mallctl with the hooks for samples, and
 * calls of them in the order of that version (a buffer resized in place is sampled anew before its old sample goes).
 *
 *     jemalloc_double [held]     held: somebody else has the hook for samples already
 */
#include <ullage/jemalloc.h>

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

typedef void (*backtrace_hook)(void **frames, unsigned *count, unsigned limit);
typedef void (*sample_hook)(const void *buffer, size_t bytes, void **frames, unsigned count, size_t usable);
typedef void (*sample_free_hook)(const void *buffer, size_t bytes);

enum { CHUNK_BYTES = 16 << 20, LG_SAMPLE = 19 };

static void own_backtrace(void **frames, unsigned *count, unsigned limit)
{
    (void)limit;
    frames[0] = (void *)(uintptr_t)own_backtrace;
    *count = 1;
}

static struct {
    void *backtrace, *dump, *sample, *sample_free;
} hooks;

static int give(void *old, size_t *old_bytes, const void *value, size_t bytes)
{
    if (old == NULL)
        return 0;
    if (*old_bytes != bytes)
        return EINVAL;
    memcpy(old, value, bytes);
    return 0;
}

__attribute__((visibility("default"))) int mallctl(
    const char *name, void *old, size_t *old_bytes, void *new, size_t new_bytes);
int mallctl(const char *name, void *old, size_t *old_bytes, void *new, size_t new_bytes)
{
    static const struct {
        const char *name;
        void **hook;
    } slots[] = { { "experimental.hooks.prof_backtrace", &hooks.backtrace }, { "experimental.hooks.prof_dump", &hooks.dump },
        { "experimental.hooks.prof_sample", &hooks.sample }, { "experimental.hooks.prof_sample_free", &hooks.sample_free } };
    const char yes = 1;
    const size_t lg = LG_SAMPLE;
    for (size_t i = 0; i < sizeof slots / sizeof slots[0]; i++) {
        if (strcmp(name, slots[i].name) != 0)
            continue;
        int result = give(old, old_bytes, slots[i].hook, sizeof(void *));
        if (result == 0 && new != NULL && new_bytes == sizeof(void *))
            memcpy(slots[i].hook, new, sizeof(void *));
        return result;
    }
    if (strcmp(name, "config.prof") == 0 || strcmp(name, "opt.prof") == 0 || strcmp(name, "prof.active") == 0)
        return give(old, old_bytes, &yes, sizeof yes);
    if (strcmp(name, "prof.lg_sample") == 0)
        return give(old, old_bytes, &lg, sizeof lg);
    return strcmp(name, "epoch") == 0 || strncmp(name, "stats.", 6) == 0 ? 0 : ENOENT;
}

static void sampled(const void *buffer, size_t bytes)
{
    void *frames[128];
    unsigned count = 0;
    ((backtrace_hook)hooks.backtrace)(frames, &count, 128);
    if (hooks.sample != NULL)
        ((sample_hook)hooks.sample)(buffer, bytes, frames, count, bytes);
}

__attribute__((noinline)) static char *take(size_t bytes)
{
    char *buffer = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    sampled(buffer, bytes);
    return buffer;
}

static void resize_in_place(const char *buffer, size_t old_bytes, size_t bytes)
{
    sampled(buffer, bytes);
    if (hooks.sample_free != NULL)
        ((sample_free_hook)hooks.sample_free)(buffer, old_bytes);
}

static void give_back(char *buffer, size_t bytes)
{
    if (hooks.sample_free != NULL)
        ((sample_free_hook)hooks.sample_free)(buffer, bytes);
    munmap(buffer, bytes);
}

__attribute__((noinline)) static void upload(void)
{
    char *chunk = take(CHUNK_BYTES);
    memset(chunk, 'x', 100000);
    give_back(chunk, CHUNK_BYTES);
}

__attribute__((noinline)) static void shrink(void)
{
    char *chunk = take(CHUNK_BYTES);
    memset(chunk, 'x', 50000);
    resize_in_place(chunk, CHUNK_BYTES, CHUNK_BYTES / 2);
    give_back(chunk, CHUNK_BYTES);
}

int main(int argc, char **argv)
{
    hooks.backtrace = (void *)(uintptr_t)own_backtrace;
    if (argc > 1 && strcmp(argv[1], "held") == 0)
        hooks.sample_free = (void *)(uintptr_t)strlen;
    int result = ullage_jemalloc_install();
    if (result != 0) {
        printf("%d %s\n", result, ullage_jemalloc_error());
        return 1;
    }
    for (int i = 0; i < 100; i++)
        upload();
    for (int i = 0; i < 10; i++)
        shrink();
    puts("done");
    return 0;
}
