/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * library.c - libullage.so's life in a program that links it. Without an interposer nothing is recorded but what the
 * program, or jemalloc's hooks, tell.
 */
#include "config.h"

#include "measure/begin.h"
#include "ullage/profile.h"

#include <dlfcn.h>

/* The interposer is there, and defines what we define: the process's recorder is its own. */
static bool is_shadowed(void)
{
    struct dl_find_object first, here;
    static const char anchor;
    void *found = dlsym(RTLD_DEFAULT, "ullage_profile_get");
    return found != NULL && _dl_find_object(found, &first) == 0
        && _dl_find_object((void *)(uintptr_t)&anchor, &here) == 0 && first.dlfo_link_map != here.dlfo_link_map;
}

void ull_begin_if_needed(void)
{
    if (!ull_recorder_is_ready())
        ull_begin(ULL_CLEAR_NEVER, false);
}

__attribute__((constructor)) static void start(void)
{
    if (is_shadowed())
        return;
    ull_begin_if_needed();
    ull_begin_process();
}
