/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pool_plugins.c - buffers of libraries that are gone: pool_plugins [A B], else those that lie in BUILD
 * Each is loaded, gets buffers, and is unloaded, in turn and at one address where the loader so decides; then the buffers
 * are put. The places that got them keep their names, whose texts lay in the library.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <ullage/alloc.h>
#include <ullage/buffer.h>
#include <unistd.h>

#include "../race/tap.h"

enum { TIMES = 40 };

static char heard[1000];

static void hear(void *ctx, const char *what)
{
    (void)ctx;
    snprintf(heard, sizeof heard, "%s", what);
}

/* Loads it, has it get four, unloads it. Where it lay, or NULL. */
static void *get_from(const char *path, void *out[4])
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    Dl_info found = { 0 };
    if (library == NULL) {
        printf("# %s\n", dlerror());
        return NULL;
    }
    void (*get)(void *[4]);
    *(void **)&get = dlsym(library, "plugin_get");
    get(out);
    if (dladdr(*(void **)&get, &found) == 0)
        found.dli_fbase = NULL;
    dlclose(library);
    return found.dli_fbase;
}

static bool is_gone(const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_NOLOAD);
    if (library != NULL)
        dlclose(library);
    return library == NULL;
}

/* What is said of a second put names who got it. */
static bool is_named(void *p, const char *name)
{
    heard[0] = '\0';
    ullage_free(p);
    bool named = strstr(heard, "plugin_pool.c:") != NULL && strstr(heard, name) != NULL;
    if (!named)
        printf("# \"%s\" says nothing of %s\n", heard, name);
    return named;
}

static unsigned count_of(const char *in, const char *what)
{
    unsigned count = 0;
    for (const char *at = strstr(in, what); at != NULL; at = strstr(at + 1, what))
        count++;
    return count;
}

static void look_at_leaks(void)
{
    static char text[60000];
    int pipes[2];
    if (pipe(pipes) != 0)
        return;
    int found = ullage_leaks_report(pipes[1], 0);
    close(pipes[1]);
    ssize_t length = 0, got;
    while ((got = read(pipes[0], text + length, sizeof text - 1 - (size_t)length)) > 0)
        length += got;
    close(pipes[0]);
    tap_ok(found == 4 * TIMES && count_of(text, "get_of_a()") >= 3 * TIMES / 2 && count_of(text, "get_of_b()") >= 3 * TIMES / 2,
        "%d buffers are out, %u named by a library that is gone, %u by another", found, count_of(text, "get_of_a()"),
        count_of(text, "get_of_b()"));
}

static void put_four(void *of[4])
{
    ullage_free_used(of[0], 10);
    ullage_free(of[1]);
    ullage_buffer_put(of[2], 100);
    ullage_free(of[3]);
}

/* By a path each: with one name the loader would take it for loaded. */
static const char *path_of(char name, char *to, size_t room)
{
    const char *build = getenv("BUILD");
    snprintf(to, room, "%s/.libs/plugin_pool_%c.so", build != NULL ? build : ".", name);
    return to;
}

int main(int argc, char **argv)
{
    static void *got[TIMES][4];
    static char paths[2][4096];
    const char *path[2] = { argc > 2 ? argv[1] : path_of('a', paths[0], sizeof paths[0]),
        argc > 2 ? argv[2] : path_of('b', paths[1], sizeof paths[1]) };
    struct ullage_alloc_options options = ULLAGE_ALLOC_OPTIONS_INIT;
    int at_one_address = 0, named = 0;
    void *before = NULL;
    options.misuse = ULLAGE_MISUSE_REPORT;
    options.on_misuse = hear;
    options.leaks = ULLAGE_LEAKS_ALL;
    if (ullage_alloc_configure(&options) != 0)
        return 2;
    for (int i = 0; i < TIMES; i++) {
        void *base = get_from(path[i % 2], got[i]);
        if (base == NULL)
            return 2;
        at_one_address += base == before;
        before = base;
    }
    tap_ok(is_gone(path[0]) && is_gone(path[1]), "both are unloaded, %d times at one address", at_one_address);
    look_at_leaks();
    for (int i = 0; i < TIMES; i++) {
        put_four(got[i]);
        named += is_named(got[i][0], i % 2 == 0 ? "get_of_a" : "get_of_b") && is_named(got[i][1], i % 2 == 0 ? "get_of_a" : "get_of_b");
    }
    tap_ok(named == TIMES, "of %d misuses of such buffers %d name who got them", TIMES, named);
    void *last[4];
    tap_ok(get_from(path[0], last) != NULL, "it can be loaded again");
    put_four(last);
    ullage_trim(0);
    tap_ok(ullage_retained_bytes() == 0, "%zu are idle", ullage_retained_bytes());
    return tap_done();
}
