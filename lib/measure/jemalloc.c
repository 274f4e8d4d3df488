/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * jemalloc.c - jemalloc's hooks: its samples unwound, its figures, its buffers.
 *
 * jemalloc is found by the name mallctl, at run time. The types of its hooks are those of 5.3.0 and 5.3.1, which declare
 * them in internal headers. Two things are never done inside a hook: malloc, and mallctl where jemalloc may hold locks.
 */
#include "config.h"

#include "ullage/jemalloc.h"

#include "measure/jemalloc.h"

#include "base/lock.h"
#include "base/sys.h"
#include "measure/begin.h"
#include "measure/stack.h"
#include "measure/state.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define recorder ull_recorder

typedef int (*mallctl_fn)(const char *name, void *old, size_t *old_bytes, void *new, size_t new_bytes);
typedef void (*backtrace_hook)(void **frames, unsigned *count, unsigned limit);
typedef void (*dump_hook)(const char *path);
/* 5.3.1 passes the usable size as a fifth argument, earlier development versions do not: it is not looked at. */
typedef void (*sample_hook)(const void *buffer, size_t bytes, void **frames, unsigned count);
typedef void (*sample_free_hook)(const void *buffer, size_t bytes);

/* For experimental.hooks.install. Arguments are those of the function that was called, as words. */
struct every_hooks {
    void (*allocated)(void *extra, int type, void *buffer, uintptr_t raw, uintptr_t arguments[3]);
    void (*freed)(void *extra, int type, void *buffer, uintptr_t arguments[3]);
    void (*expanded)(void *extra, int type, void *buffer, size_t old_bytes, size_t new_bytes, uintptr_t raw,
        uintptr_t arguments[4]);
    void *extra;
};
enum { MALLOC, POSIX_MEMALIGN, ALIGNED_ALLOC, CALLOC, MEMALIGN, VALLOC, MALLOCX, REALLOC, RALLOCX };
enum { EXPAND_REALLOC, EXPAND_RALLOCX, EXPAND_XALLOCX };

static struct {
    pthread_mutex_t lock;
    mallctl_fn mallctl;
    uint64_t start, end; /* of jemalloc's library; 0: it is part of the program */
    bool prof;           /* its profiler is on */
    bool installed, sampling, every_call;
    uint64_t sample_bytes; /* mean distance of its samples; atomic */
    char error[400];
} je = { .lock = PTHREAD_MUTEX_INITIALIZER };

__attribute__((format(printf, 2, 3))) static int fail(int result, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(je.error, sizeof je.error, format, arguments);
    va_end(arguments);
    return result;
}

const char *ullage_jemalloc_error(void)
{
    return je.error;
}

static void forked(void)
{
    pthread_mutex_init(&je.lock, NULL); /* a thread that the child does not have may have held it */
}

/* False: another thread has been at it for too long. */
static bool lock(void)
{
    recorder.forked[1] = forked;
    return ull_lock(&je.lock);
}

/* ---- mallctl ---- */

static bool read_value(const char *name, void *to, size_t bytes)
{
    size_t got = bytes;
    return je.mallctl(name, to, &got, NULL, 0) == 0 && got == bytes;
}

static bool is_on(const char *name)
{
    bool on;
    return read_value(name, &on, sizeof on) && on;
}

static int find(void)
{
    struct dl_find_object found, program;
    if (je.mallctl != NULL)
        return 0;
    *(void **)(void *)&je.mallctl = dlsym(RTLD_DEFAULT, "mallctl");
    if (je.mallctl == NULL)
        return fail(-ENOTSUP, "this program does not run on jemalloc: link it, or LD_PRELOAD libjemalloc.so.2 "
            "(Debian: libjemalloc2)");
    void *main = dlsym(RTLD_DEFAULT, "main");
    if (_dl_find_object(*(void **)(void *)&je.mallctl, &found) == 0
        && (main == NULL || _dl_find_object(main, &program) != 0 || program.dlfo_link_map != found.dlfo_link_map)
        && found.dlfo_link_map->l_name != NULL && found.dlfo_link_map->l_name[0] != '\0') {
        je.start = (uint64_t)(uintptr_t)found.dlfo_map_start;
        je.end = (uint64_t)(uintptr_t)found.dlfo_map_end;
    }
    return 0;
}

static int find_profiler(void)
{
    int result = find();
    if (result != 0)
        return result;
    if (!is_on("config.prof"))
        return fail(-ENOTSUP, "this jemalloc was built without its profiler: take one configured with --enable-prof "
            "(Debian's libjemalloc2 is)");
    if (!is_on("opt.prof"))
        return fail(-ENOTSUP, "jemalloc's profiler is off: start the program with MALLOC_CONF=prof:true");
    je.prof = true;
    return 0;
}

/* ---- figures ---- */

static void set_gauge(enum ull_counter counter, const char *name)
{
    size_t value;
    if (read_value(name, &value, sizeof value))
        ull_store_relaxed(&recorder.ledger.header->counters[counter], (uint64_t)value);
}

static void note_sample_distance(void)
{
    size_t lg = 0;
    if (read_value("prof.lg_sample", &lg, sizeof lg) && lg < 63)
        ull_store_relaxed(&je.sample_bytes, UINT64_C(1) << lg);
}

/* Outside jemalloc, and while recording. jemalloc adds its figures up at this moment. */
static void refresh(void)
{
    uint64_t epoch = 1;
    size_t bytes = sizeof epoch;
    uint64_t *counters = recorder.ledger.header->counters;
    if (je.mallctl("epoch", &epoch, &bytes, &epoch, sizeof epoch) != 0)
        return;
    set_gauge(ULL_COUNTER_jemalloc_allocated_bytes, "stats.allocated");
    set_gauge(ULL_COUNTER_jemalloc_active_bytes, "stats.active");
    set_gauge(ULL_COUNTER_jemalloc_metadata_bytes, "stats.metadata");
    set_gauge(ULL_COUNTER_jemalloc_resident_bytes, "stats.resident");
    set_gauge(ULL_COUNTER_jemalloc_retained_bytes, "stats.retained");
    ull_store_relaxed(&counters[ULL_COUNTER_jemalloc_installed], UINT64_C(1));
    if (je.prof) {
        note_sample_distance();
        set_gauge(ULL_COUNTER_jemalloc_lg_prof_sample, "prof.lg_sample");
        ull_store_relaxed(&counters[ULL_COUNTER_jemalloc_prof_active], (uint64_t)is_on("prof.active"));
    }
}

static int refresh_now(void)
{
    if (ull_recorder_enter()) {
        if (ull_recorder_recording())
            refresh();
        ull_recorder_leave();
    }
    return 0;
}

/* ---- the hooks of its profiler ---- */

static void count(enum ull_counter counter)
{
    if (ull_load_acquire(&recorder.state) == ULL_RECORDING)
        ull_ledger_count(&recorder.ledger, counter, 1);
}

static void on_backtrace(void **frames, unsigned *frame_count, unsigned limit)
{
    bool entered = ull_recorder_enter(); /* so that nothing in here is recorded; and a fork is noticed */
    *frame_count = ull_stack_backtrace(frames, limit, je.start, je.end);
    if (entered) {
        count(ULL_COUNTER_jemalloc_sampled_total);
        ull_recorder_leave();
    }
}

static void on_dump(const char *path)
{
    (void)path;
    count(ULL_COUNTER_jemalloc_dumps_total);
}

/*
 * A buffer that jemalloc resizes in place is sampled anew before its old sample is said to be gone. So the old one is
 * taken out here, and the word about it that follows is let pass.
 */
static __thread const void *replaced __attribute__((tls_model("initial-exec")));

static void on_sample(const void *buffer, size_t bytes, void **frames, unsigned frame_count)
{
    const uint64_t *words = (const uint64_t *)(void *)frames;
    unsigned first = 0;
    replaced = NULL;
    if (ull_recorder_may_know(buffer)) {
        replaced = buffer;
        ull_recorder_freed(buffer);
    }
    while (first < frame_count && words[first] >= je.start && words[first] < je.end)
        first++;
    unsigned depth = frame_count - first < ULL_STACK_DEPTH_MAX ? frame_count - first : ULL_STACK_DEPTH_MAX;
    uint32_t weight = ull_recorder_weight(bytes, ull_load_relaxed(&je.sample_bytes));
    ull_recorder_sampled(buffer, bytes, ULL_KIND_JEMALLOC, weight, words + first, depth);
}

static void on_sample_free(const void *buffer, size_t bytes)
{
    (void)bytes;
    if (buffer == replaced)
        replaced = NULL;
    else if (ull_recorder_may_know(buffer))
        ull_recorder_freed(buffer);
}

/* ---- every call ---- */

static size_t bytes_asked_for(int type, const uintptr_t *arguments)
{
    size_t product;
    switch (type) {
    case CALLOC:
        return __builtin_mul_overflow(arguments[0], arguments[1], &product) ? 0 : product;
    case POSIX_MEMALIGN:
        return arguments[2];
    case ALIGNED_ALLOC:
    case MEMALIGN:
    case REALLOC:
    case RALLOCX:
        return arguments[1];
    default:
        return arguments[0];
    }
}

static void on_allocated(void *extra, int type, void *buffer, uintptr_t raw, uintptr_t arguments[3])
{
    size_t bytes = bytes_asked_for(type, arguments);
    (void)extra, (void)raw;
    if (buffer != NULL && bytes >= recorder.options.min_bytes)
        ull_recorder_sampled(buffer, bytes, ULL_KIND_JEMALLOC, 1, NULL, 0);
}

static void on_freed(void *extra, int type, void *buffer, uintptr_t arguments[3])
{
    (void)extra, (void)type, (void)arguments;
    if (ull_recorder_may_know(buffer))
        ull_recorder_freed(buffer);
}

/* In place, larger or smaller: an end and a beginning at one address. */
static void on_expanded(void *extra, int type, void *buffer, size_t old_bytes, size_t new_bytes, uintptr_t raw,
    uintptr_t arguments[4])
{
    size_t asked = arguments[1];
    struct ull_recorder_move move;
    (void)extra, (void)old_bytes, (void)raw;
    if (type == EXPAND_XALLOCX && !__builtin_add_overflow(asked, arguments[2], &asked) && asked > new_bytes)
        asked = new_bytes;
    if (!ull_recorder_may_know(buffer) && asked < recorder.options.min_bytes)
        return;
    ull_recorder_move_begin(buffer, &move);
    ull_recorder_move_end(&move, buffer, asked, false);
}

/* ---- installing ---- */

static const char *holder_of(const void *hook)
{
    struct dl_find_object found;
    if (_dl_find_object((void *)(uintptr_t)hook, &found) != 0 || found.dlfo_link_map->l_name == NULL)
        return "somebody";
    return found.dlfo_link_map->l_name[0] != '\0' ? found.dlfo_link_map->l_name : "the program";
}

/* jemalloc's own, or ours, or none. */
static bool is_free(const void *hook, const void *ours)
{
    uint64_t address = (uint64_t)(uintptr_t)hook;
    struct dl_find_object holder, jemalloc;
    if (hook == NULL || hook == ours || (address >= je.start && address < je.end))
        return true;
    return je.end == 0 && _dl_find_object((void *)(uintptr_t)hook, &holder) == 0
        && _dl_find_object(*(void **)(void *)&je.mallctl, &jemalloc) == 0
        && holder.dlfo_link_map == jemalloc.dlfo_link_map;
}

/* 1 installed; 0 this jemalloc has no such hook; -EBUSY somebody holds it. */
static int install_hook(const char *name, void *ours)
{
    void *now = NULL;
    if (!read_value(name, &now, sizeof now))
        return 0;
    if (!is_free(now, ours))
        return fail(-EBUSY, "%s is held by %s: let that go, or install ours first", name, holder_of(now));
    return je.mallctl(name, NULL, NULL, &ours, sizeof ours) == 0 ? 1 : 0;
}

static int install_profiler_hooks(void)
{
    backtrace_hook backtrace = on_backtrace;
    dump_hook dump = on_dump;
    sample_hook sample = on_sample;
    sample_free_hook sample_free = on_sample_free;
    note_sample_distance();
    int result = install_hook("experimental.hooks.prof_backtrace", *(void **)(void *)&backtrace);
    if (result == 0)
        return fail(-ENOTSUP, "this jemalloc has no experimental.hooks.prof_backtrace: take 5.3.0 or later");
    if (result > 0)
        result = install_hook("experimental.hooks.prof_dump", *(void **)(void *)&dump);
    if (result < 0 || recorder.options.interposes)
        return result < 0 ? result : 0;
    /* The frees first: a sample whose end nobody tells would live for ever. */
    result = install_hook("experimental.hooks.prof_sample_free", *(void **)(void *)&sample_free);
    if (result > 0)
        result = install_hook("experimental.hooks.prof_sample", *(void **)(void *)&sample);
    je.sampling = result > 0;
    return result < 0 ? result : 0;
}

static int install_every_call(void)
{
    struct every_hooks hooks = { on_allocated, on_freed, on_expanded, NULL };
    void *handle = NULL;
    size_t bytes = sizeof handle;
    if (je.every_call)
        return 0;
    int error = je.mallctl("experimental.hooks.install", &handle, &bytes, &hooks, sizeof hooks);
    if (error == EAGAIN)
        return fail(-EBUSY, "jemalloc's four places for experimental.hooks.install are taken: let one go");
    if (error != 0)
        return fail(-ENOTSUP, "this jemalloc has no experimental.hooks.install: take 5.2 or later");
    je.every_call = true;
    return 0;
}

/* Under the lock. */
static int install(bool every_call)
{
    int result = find_profiler();
    if (je.mallctl == NULL)
        return result;
    if (result == 0)
        result = install_profiler_hooks();
    if (every_call && !je.sampling && !recorder.options.interposes && (result == 0 || result == -ENOTSUP))
        result = install_every_call();
    if (result != 0)
        return result;
    if (je.prof)
        je.error[0] = '\0';
    je.installed = true;
    void (*refresher)(void) = refresh;
    ull_store_release(&recorder.refresh, refresher);
    return refresh_now();
}

int ullage_jemalloc_install_with(const struct ullage_jemalloc_options *opt)
{
    int kept = errno;
    struct ullage_jemalloc_options options = ULLAGE_JEMALLOC_OPTIONS_INIT;
    if (opt != NULL && opt->size != sizeof options)
        return fail(-EINVAL, "the options' size is not that of ULLAGE_JEMALLOC_OPTIONS_INIT");
    if (opt != NULL)
        options = *opt;
    ull_begin_if_needed();
    if (!lock())
        return -EBUSY;
    int result = install(options.every_call);
    ull_unlock(&je.lock);
    errno = kept;
    return result;
}

int ullage_jemalloc_install(void)
{
    return ullage_jemalloc_install_with(NULL);
}

/* ---- the profile ---- */

/* Runs one mallctl of the profiler. */
static int control(const char *name, void *value, size_t bytes, int failed)
{
    int kept = errno;
    if (!lock())
        return -EBUSY;
    int result = find_profiler();
    if (result == 0 && je.mallctl(name, NULL, NULL, value, bytes) != 0)
        result = fail(failed, "jemalloc refuses %s", name);
    ull_unlock(&je.lock);
    if (result == 0 && je.installed)
        (void)refresh_now();
    errno = kept;
    return result;
}

int ullage_jemalloc_dump(const char *path)
{
    return control("prof.dump", path != NULL ? (void *)&path : NULL, path != NULL ? sizeof path : 0, -EIO);
}

int ullage_jemalloc_activate(bool active)
{
    return control("prof.active", &active, sizeof active, -ENOTSUP);
}

int ullage_jemalloc_reset(unsigned lg_sample)
{
    size_t lg = lg_sample;
    if (lg_sample > 62)
        return fail(-EINVAL, "lg_sample is a logarithm to base 2, 62 at most, not %u", lg_sample);
    return control("prof.reset", &lg, sizeof lg, -EINVAL);
}

int ullage_jemalloc_refresh(void)
{
    if (!je.installed)
        return fail(-ENOTSUP, "the hooks are not installed: ullage_jemalloc_install()");
    return refresh_now();
}

void ull_jemalloc_begin(void)
{
    const char *asked = secure_getenv("ULLAGE_JEMALLOC");
    if (asked == NULL || asked[0] == '\0' || strcmp(asked, "0") == 0)
        return;
    struct ullage_jemalloc_options options = ULLAGE_JEMALLOC_OPTIONS_INIT;
    options.every_call = strcmp(asked, "hooks") == 0;
    /* In a tree of processes only the first says that it runs on another allocator: the others are sh, sort, … */
    if (ullage_jemalloc_install_with(&options) != 0 && (je.mallctl != NULL || ull_life_is_first()))
        ull_life_say("no jemalloc profile", je.error);
}
