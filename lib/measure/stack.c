/* SPDX-License-Identifier: BSD-2-Clause */
/* stack.c - choosing an unwinder and trimming our own frames from what it returns. */
#include "config.h"

#include "measure/stack.h"

#include "base/atomic.h"
#include "base/sys.h"
#include "ledger/format.h"
#include "measure/guard.h"
#include "measure/recorder.h"

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unwind.h>

enum {
    OWN_FRAMES_MAX = 12,   /* of ours on top of the program's */
    BACKTRACE_MAX = 128,   /* jemalloc's own limit */
    LIBUNWIND_CACHE_NONE = 0, /* UNW_CACHE_NONE of libunwind-common.h */
};

/* libunwind's names on this architecture: its header turns the plain ones into these. */
#if defined(__x86_64__)
#define LIBUNWIND_PREFIX "_ULx86_64_"
#elif defined(__aarch64__)
#define LIBUNWIND_PREFIX "_ULaarch64_"
#else
#define LIBUNWIND_PREFIX "_UL_unknown_"
#endif

static struct {
    int (*backtrace)(void **frames, int limit); /* atomic; NULL: safe only */
    int (*set_policy)(void *space, int policy);
    void **space;
    uint32_t policy_set; /* atomic */
    uint32_t threads, most_threads;             /* that use it now, and may */
    bool key_made;
    pthread_key_t key; /* gives a thread's place back when it ends */
    uint64_t own_start, own_end; /* of our code; atomic, the second one last */
    uint64_t start, end; /* of libunwind's library */
} fast;

enum thread_choice { UNDECIDED, FAST, SAFE };
static __thread unsigned char thread_choice __attribute__((tls_model("initial-exec")));

static void leave_place(void *unused)
{
    (void)unused;
    thread_choice = SAFE; /* its cache goes now, and must not be made again */
    ull_sub_relaxed(&fast.threads, 1U);
}

static void find_own_range(void)
{
    struct dl_find_object found;
    if (_dl_find_object((void *)(uintptr_t)&find_own_range, &found) == 0) {
        ull_store_relaxed(&fast.own_start, (uint64_t)(uintptr_t)found.dlfo_map_start);
        ull_store_release(&fast.own_end, (uint64_t)(uintptr_t)found.dlfo_map_end);
    }
}

void ull_stack_init(unsigned threads)
{
    const char *asked = secure_getenv("ULLAGE_UNWINDER");
    if ((asked != NULL && strcmp(asked, "libgcc") == 0) || !ull_sys_may_hold())
        return;
    /* A program that uses libunwind itself keeps it for itself: we would change its caching policy. */
    if (dlopen("libunwind.so.8", RTLD_LAZY | RTLD_LOCAL | RTLD_NOLOAD) != NULL)
        return;
    void *library = dlopen("libunwind.so.8", RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        return;
    fast.space = dlsym(library, LIBUNWIND_PREFIX "local_addr_space");
    fast.set_policy = (int (*)(void *, int))dlsym(library, LIBUNWIND_PREFIX "set_caching_policy");
    int (*backtrace)(void **, int) = (int (*)(void **, int))dlsym(library, "unw_backtrace");
    struct dl_find_object found;
    if (backtrace != NULL && _dl_find_object(*(void **)(void *)&backtrace, &found) == 0) {
        fast.start = (uint64_t)(uintptr_t)found.dlfo_map_start;
        fast.end = (uint64_t)(uintptr_t)found.dlfo_map_end;
    }
    if (fast.space == NULL || fast.end == 0 || fast.set_policy == NULL || backtrace == NULL)
        return;
    fast.most_threads = threads;
    fast.key_made = pthread_key_create(&fast.key, leave_place) == 0;
    ull_store_release(&fast.backtrace, backtrace);
}

void ull_stack_stay_safe(void)
{
    int (*none)(void **, int) = NULL;
    ull_store_release(&fast.backtrace, none);
}

bool ull_stack_is_of_libunwind(uintptr_t address)
{
    return address >= fast.start && address < fast.end;
}

const char *ull_stack_unwinder(void)
{
    return ull_load_acquire(&fast.backtrace) != NULL ? "libunwind" : "libgcc";
}

/* ---- the safe one ---- */

struct walk {
    uint64_t *frames;
    unsigned count, limit;
};

static _Unwind_Reason_Code note_frame(struct _Unwind_Context *context, void *argument)
{
    struct walk *walk = argument;
    uint64_t address = (uint64_t)_Unwind_GetIP(context);
    if (address == 0 || walk->count >= walk->limit)
        return _URC_NORMAL_STOP;
    walk->frames[walk->count++] = address;
    return _URC_NO_REASON;
}

static unsigned capture_safe(uint64_t *frames, unsigned limit)
{
    struct walk walk = { frames, 0, limit };
    _Unwind_Backtrace(note_frame, &walk);
    return walk.count;
}

/* ---- choosing ---- */

/* On the stack of a signal handler there may be 8 KiB in all, of which libunwind needs a good part. */
static bool on_small_stack(void)
{
    static __thread uint64_t ordinary_page __attribute__((tls_model("initial-exec"))); /* of the stack, asked before */
    stack_t now;
    uint64_t page = (uint64_t)(uintptr_t)__builtin_frame_address(0) >> 12;
    if (page == ordinary_page)
        return false;
    if (ull_sys_call(SYS_sigaltstack, 0, (long)&now, 0, 0, 0, 0) == 0 && (now.ss_flags & SS_ONSTACK) != 0)
        return true;
    ordinary_page = page;
    return false;
}

/*
 * At the first use and not at the start, because it builds tables of 28 KiB. With libunwind's global cache it can
 * deadlock against dl_iterate_phdr.
 */
static bool policy_is_set(void)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    if (ull_load_acquire(&fast.policy_set))
        return true;
    if (pthread_mutex_trylock(&lock) != 0)
        return false; /* another thread is at it: this stack by the safe one */
    if (!fast.policy_set) {
        if (fast.set_policy(*fast.space, LIBUNWIND_CACHE_NONE) == 0)
            ull_store_release(&fast.policy_set, 1U);
        else
            ull_stack_stay_safe();
    }
    pthread_mutex_unlock(&lock);
    return ull_load_acquire(&fast.policy_set);
}

static bool thread_may_be_fast(void)
{
    if (thread_choice == UNDECIDED) {
        thread_choice = SAFE;
        if (ull_add_relaxed(&fast.threads, 1U) >= fast.most_threads || !fast.key_made
            || pthread_setspecific(fast.key, &fast) != 0)
            ull_sub_relaxed(&fast.threads, 1U);
        else
            thread_choice = FAST;
    }
    return thread_choice == FAST;
}

static bool pipe_is_whole(void)
{
    if (ull_guard_pipe_is_whole())
        return true;
    ull_stack_stay_safe();
    return false;
}

static unsigned unwind(uint64_t *frames, unsigned limit)
{
    _Static_assert(sizeof(void *) == sizeof(uint64_t), "addresses are 64 bits wide");
    int (*backtrace)(void **, int) = ull_load_acquire(&fast.backtrace);
    if (backtrace != NULL && policy_is_set() && thread_may_be_fast() && !on_small_stack() && pipe_is_whole()) {
        int count = backtrace((void **)frames, (int)limit);
        if (count > 0)
            return (unsigned)count;
    }
    return capture_safe(frames, limit);
}

static unsigned capture_raw(uint64_t *frames, unsigned limit)
{
    ull_thread.unwinding = !ull_thread.unwound;
    ull_thread.unwound = true;
    unsigned count = unwind(frames, limit);
    ull_thread.unwinding = false;
    return count;
}

static bool is_own(uint64_t address)
{
    return address >= ull_load_relaxed(&fast.own_start) && address < ull_load_relaxed(&fast.own_end);
}

/* What is left of @count raw frames: without ours on top, those of [skip_start, skip_end), and zeros at the end. */
static unsigned trim(uint64_t *frames, unsigned limit, const uint64_t *raw, unsigned count, uint64_t skip_start, uint64_t skip_end)
{
    unsigned first = 0;
    while (first < count && (is_own(raw[first]) || (raw[first] >= skip_start && raw[first] < skip_end)))
        first++;
    while (count > first && raw[count - 1] == 0)
        count--;
    count = count - first < limit ? count - first : limit;
    memcpy(frames, raw + first, count * sizeof raw[0]);
    return count;
}

/* Two functions, because stacks may be small and jemalloc's limit is not. */
unsigned ull_stack_capture(uint64_t *frames, unsigned limit)
{
    uint64_t raw[ULL_STACK_DEPTH_MAX + OWN_FRAMES_MAX];
    if (ull_load_acquire(&fast.own_end) == 0)
        find_own_range();
    if (limit > ULL_STACK_DEPTH_MAX)
        limit = ULL_STACK_DEPTH_MAX;
    return trim(frames, limit, raw, capture_raw(raw, limit + OWN_FRAMES_MAX), 0, 0);
}

unsigned ull_stack_backtrace(void **frames, unsigned limit, uint64_t skip_start, uint64_t skip_end)
{
    uint64_t raw[BACKTRACE_MAX + OWN_FRAMES_MAX];
    if (ull_load_acquire(&fast.own_end) == 0)
        find_own_range();
    if (limit > BACKTRACE_MAX)
        limit = BACKTRACE_MAX;
    return trim((uint64_t *)frames, limit, raw, capture_raw(raw, limit + OWN_FRAMES_MAX), skip_start, skip_end);
}
