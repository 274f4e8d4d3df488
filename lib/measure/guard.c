/* SPDX-License-Identifier: BSD-2-Clause */
/* guard.c - dlclose and pipe2. */
#include "config.h"

#include "measure/guard.h"

#include "base/atomic.h"
#include "measure/recorder.h"
#include "measure/stack.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

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

static int (*next_dlclose)(void *);
static uint64_t calls; /* of dlclose; atomic */

void ull_guard_begin(void)
{
    next_dlclose = (int (*)(void *))dlsym(RTLD_NEXT, "dlclose");
}

uint64_t ull_guard_unloads(void)
{
    return ull_load_acquire(&calls);
}

__attribute__((visibility("default"))) int dlclose(void *handle)
{
    int (*next)(void *) = next_dlclose;
    if (next == NULL) /* a constructor that runs before ours */
        next = (int (*)(void *))dlsym(RTLD_NEXT, "dlclose");
    unsigned long long before = unloads_so_far();
    ull_recorder_before_unload();
    int result = next(handle);
    ull_add_release(&calls, UINT64_C(1));
    ull_recorder_after_unload(unloads_so_far() != before);
    return result;
}

__attribute__((visibility("default"))) int pipe2(int ends[2], int flags)
{
    if (ull_stack_is_of_libunwind((uintptr_t)__builtin_return_address(0))) {
        errno = EMFILE;
        return -1;
    }
    return (int)syscall(SYS_pipe2, ends, flags);
}

/* The same functions under names that are ours alone: the address of dlclose is that of whichever comes first. */
extern int ull_guard_dlclose(void *handle) __attribute__((alias("dlclose"), visibility("hidden"), copy(dlclose)));
extern int ull_guard_pipe2(int ends[2], int flags) __attribute__((alias("pipe2"), visibility("hidden"), copy(pipe2)));

bool ull_guard_is_in_force(void)
{
    int (*our_dlclose)(void *) = ull_guard_dlclose;
    int (*our_pipe2)(int *, int) = ull_guard_pipe2;
    return dlsym(RTLD_DEFAULT, "dlclose") == *(void **)(void *)&our_dlclose
        && dlsym(RTLD_DEFAULT, "pipe2") == *(void **)(void *)&our_pipe2;
}
