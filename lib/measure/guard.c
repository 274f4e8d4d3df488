/* SPDX-License-Identifier: BSD-2-Clause */
/* guard.c - dlclose and pipe2. */
#include "config.h"

#include "measure/guard.h"

#include "base/atomic.h"
#include "base/sys.h"
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

/* libunwind's pipe: made once, in whichever thread needs it first. */
static struct {
    uint32_t claimed, made; /* atomic */
    int ends[2];
    uint64_t inode;
    uint64_t seen_ns; /* whole at that time; atomic */
} pipe_of_libunwind;

static bool is_the_pipe(int fd)
{
    struct stat now;
    return ull_sys_fstat(fd, &now) == 0 && S_ISFIFO(now.st_mode) && (uint64_t)now.st_ino == pipe_of_libunwind.inode;
}

bool ull_guard_pipe_is_whole(void)
{
    if (!ull_load_acquire(&pipe_of_libunwind.made))
        return true;
    uint64_t now = ull_sys_monotonic_ns(); /* of the coarse clock: the same for 4 ms */
    if (now == ull_load_relaxed(&pipe_of_libunwind.seen_ns))
        return true;
    bool whole = is_the_pipe(pipe_of_libunwind.ends[0]) && is_the_pipe(pipe_of_libunwind.ends[1]);
    if (whole)
        ull_store_relaxed(&pipe_of_libunwind.seen_ns, now);
    return whole;
}

/* With both ends out of the way of the program's numbers. */
static int make_high_pipe(int ends[2], int flags)
{
    int result = (int)ull_sys_call(SYS_pipe2, (long)ends, flags, 0, 0, 0, 0);
    if (result != 0)
        return result;
    for (int i = 0; i < 2; i++) {
        ends[i] = ull_sys_move_high(ends[i]); /* closes what it cannot move */
        if (ends[i] < 0)
            result = ends[i];
    }
    for (int i = 0; i < 2 && result != 0; i++)
        if (ends[i] >= 0)
            ull_sys_close(ends[i]);
    return result;
}

/* A second one is asked for when the first is lost, or by two threads at once: that one is refused, and stacks are libgcc's. */
static int make_pipe_for_libunwind(int ends[2], int flags)
{
    uint32_t none = 0;
    struct stat made;
    int result = ull_cas_acq_rel(&pipe_of_libunwind.claimed, &none, 1U) ? make_high_pipe(ends, flags) : -EMFILE;
    if (result == 0)
        result = ull_sys_fstat(ends[0], &made);
    if (result != 0) {
        ull_stack_stay_safe();
        return result;
    }
    pipe_of_libunwind.ends[0] = ends[0];
    pipe_of_libunwind.ends[1] = ends[1];
    pipe_of_libunwind.inode = (uint64_t)made.st_ino;
    ull_store_release(&pipe_of_libunwind.made, 1U);
    return 0;
}

__attribute__((visibility("default"))) int pipe2(int ends[2], int flags)
{
    if (!ull_stack_is_of_libunwind((uintptr_t)__builtin_return_address(0)))
        return (int)syscall(SYS_pipe2, ends, flags);
    int result = make_pipe_for_libunwind(ends, flags);
    if (result == 0)
        return 0;
    ends[0] = ends[1] = -1;
    errno = -result;
    return -1;
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
