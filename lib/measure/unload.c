/* SPDX-License-Identifier: BSD-2-Clause */
/* unload.c - noticing that code was unmapped. */
#include "config.h"

#include "measure/unload.h"

#include "measure/recorder.h"

#include <dlfcn.h>
#include <link.h>

static int note_unloads(struct dl_phdr_info *info, size_t size, void *argument)
{
    (void)size;
    *(unsigned long long *)argument = info->dlpi_subs;
    return 1;
}

static unsigned long long unloads_so_far(void)
{
    unsigned long long subtracted = 0;
    dl_iterate_phdr(note_unloads, &subtracted);
    return subtracted;
}

__attribute__((visibility("default"))) int dlclose(void *handle)
{
    static int (*next)(void *);
    if (next == NULL)
        next = (int (*)(void *))dlsym(RTLD_NEXT, "dlclose");
    unsigned long long before = unloads_so_far();
    ull_recorder_before_unload();
    int result = next(handle);
    ull_recorder_after_unload(unloads_so_far() != before);
    return result;
}

/* The same function under a name that is ours alone: the address of dlclose is that of whichever comes first. */
extern int ull_unload_ours(void *handle) __attribute__((alias("dlclose"), visibility("hidden"), copy(dlclose)));

bool ull_unload_is_seen(void)
{
    int (*ours)(void *) = ull_unload_ours;
    return dlsym(RTLD_DEFAULT, "dlclose") == *(void **)(void *)&ours;
}
