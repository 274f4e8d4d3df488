/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * setup.c - the interposer's life in the process, and what else it interposes to keep that from doing harm.
 *
 * Allocations come before constructors do (the loader itself allocates), so options are read at the first one that
 * finds an environment; the constructor does what may take the loader's locks.
 */
#include "config.h"

#include "measure/begin.h"
#include "preload/pooled.h"
#include "preload/real.h"
#include "preload/record.h"
#include "preload/threads.h"

#include <dlfcn.h>
#include <link.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Memory of these is private and anonymous, which is looked at again before it is relied on. */
static bool is_known_allocator(void)
{
    static const char *const known[] = { "/libjemalloc.so", "/libmimalloc.so", "/libtcmalloc" };
    struct dl_find_object found;
    if (_dl_find_object(*(void **)(void *)&ull_real.malloc, &found) != 0 || found.dlfo_link_map->l_name == NULL)
        return false;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strstr(found.dlfo_link_map->l_name, known[i]) != NULL)
            return true;
    return false;
}

void ull_begin_if_needed(void)
{
    if (!ull_recorder_is_ready())
        ull_begin(ull_real_is_libc() ? ULL_CLEAR_ANY : is_known_allocator() ? ULL_CLEAR_SEEN_PRIVATE : ULL_CLEAR_NEVER, true);
}

/* Looked up at the start; libc's own, or that of a library that watches it. */
static int (*next_madvise)(void *, size_t, int);

/* ---- interposed: what ends the process, forbids system calls, gives pages back, unloads code ---- */


/* The system call, and not the next _exit(): finding that would wait for a dlopen in another thread. */
EXPORT void _exit(int status)
{
    ull_recorder_exit(status, false);
    for (;;)
        syscall(SYS_exit_group, status);
}

EXPORT void _Exit(int status)
{
    _exit(status);
}

/* Also done by libseccomp before it installs its filter, by a system call that cannot be interposed safely. */
EXPORT int prctl(int option, ...)
{
    va_list list;
    unsigned long a[4];
    va_start(list, option);
    for (int i = 0; i < 4; i++)
        a[i] = va_arg(list, unsigned long);
    va_end(list);
    if (option == PR_SET_SECCOMP || option == PR_SET_NO_NEW_PRIVS)
        ull_recorder_sandboxed();
    return (int)syscall(SYS_prctl, option, a[0], a[1], a[2], a[3]);
}

EXPORT int madvise(void *start, size_t bytes, int advice)
{
    int result = next_madvise != NULL ? next_madvise(start, bytes, advice)
                                      : (int)syscall(SYS_madvise, start, bytes, advice);
    if (result == 0 && (advice == MADV_DONTNEED || advice == MADV_FREE || advice == MADV_REMOVE))
        ull_recorder_given_back(start, bytes);
    return result;
}

/* ---- interposed: what changes the process's user or root ---- */

/* X(name, parameters, arguments) */
#define ULL_USER_CHANGES(X) \
    X(setuid, (uid_t user), (user)) \
    X(seteuid, (uid_t user), (user)) \
    X(setreuid, (uid_t real, uid_t effective), (real, effective)) \
    X(setresuid, (uid_t real, uid_t effective, uid_t saved), (real, effective, saved)) \
    X(setgid, (gid_t group), (group)) \
    X(setegid, (gid_t group), (group)) \
    X(setregid, (gid_t real, gid_t effective), (real, effective)) \
    X(setresgid, (gid_t real, gid_t effective, gid_t saved), (real, effective, saved))

#define DEFINE_USER_CHANGE(name, parameters, arguments) \
    static int(*next_##name) parameters; \
    EXPORT int name parameters \
    { \
        int(*next) parameters = next_##name; \
        if (next == NULL) /* a constructor that runs before ours */ \
            *(void **)(void *)&next = dlsym(RTLD_NEXT, #name); \
        ull_recorder_before_user_change(); \
        return next arguments; \
    }
ULL_USER_CHANGES(DEFINE_USER_CHANGE)

/* The bare call: libc's does no more. */
EXPORT int chroot(const char *path)
{
    ull_begin_if_needed();
    ull_recorder_before_root_change();
    return (int)syscall(SYS_chroot, path);
}

/* ---- the constructor ---- */

/* What is looked up is looked up here: later the loader's lock may be held by somebody who waits for us. */
__attribute__((constructor)) static void start(void)
{
    ull_begin_if_needed();
    next_madvise = (int (*)(void *, size_t, int))dlsym(RTLD_NEXT, "madvise");
#define LOOK_UP(name, parameters, arguments) *(void **)(void *)&next_##name = dlsym(RTLD_NEXT, #name);
    ULL_USER_CHANGES(LOOK_UP)
#undef LOOK_UP
    ull_pooled_begin();
    ull_new_begin();
    ull_mallocx_begin();
    ull_threads_begin();
    ull_begin_process();
    (void)dlerror(); /* what we did not find is no news for the program */
}
