/* SPDX-License-Identifier: BSD-2-Clause */
/* settings.c - ULLAGE_DEBUG, ULLAGE_LEAKS, ULLAGE_TRACKING, and ullage_alloc_configure(). */
#include "config.h"

#include "pool/settings.h"

#include "base/misuse.h"
#include "pool/debug.h"
#include "pool/decay.h"
#include "pool/thread.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define settings ull_pool_settings

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool leaks_are_given;

static void read_leaks(const char *text)
{
    static const char *const names[] = { [ULLAGE_LEAKS_SAMPLED] = "sampled", [ULLAGE_LEAKS_OFF] = "off",
        [ULLAGE_LEAKS_ALL] = "all", [ULLAGE_LEAKS_TOUCH] = "touch" };
    for (uint32_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(text, names[i]) == 0) {
            settings.leaks = i;
            leaks_are_given = true;
        }
    }
}

static void read_environment(void)
{
    const char *debug = secure_getenv("ULLAGE_DEBUG"), *leaks = secure_getenv("ULLAGE_LEAKS");
    const char *tracking = secure_getenv("ULLAGE_TRACKING");
    settings.debug = debug != NULL && *debug != '\0' && strcmp(debug, "0") != 0;
    if (leaks != NULL)
        read_leaks(leaks);
    if (tracking != NULL && strcmp(tracking, "off") == 0)
        settings.untracked = true;
}

void ull_settings_begin(void)
{
    pthread_once(&once, read_environment);
}

static bool is_valid(const struct ullage_alloc_options *opt)
{
    return opt != NULL && opt->size == sizeof *opt && opt->misuse <= ULLAGE_MISUSE_REPORT && opt->leaks <= ULLAGE_LEAKS_TOUCH
        && (opt->source == NULL || (opt->source->map != NULL && opt->source->unmap != NULL));
}

int ullage_alloc_configure(const struct ullage_alloc_options *opt)
{
    ull_settings_begin();
    if (!is_valid(opt))
        return -EINVAL;
    if (opt->source != NULL && ull_load_relaxed(&settings.started))
        return -EBUSY;
    if (opt->source != NULL)
        settings.source = *opt->source;
    if (opt->max_retained_bytes != 0)
        ull_store_relaxed(&settings.max_retained_bytes, opt->max_retained_bytes);
    if (opt->decay_ms != 0)
        settings.decay_ns = (uint64_t)opt->decay_ms * 1000000;
    ull_decay_hurry();
    settings.untracked |= opt->no_tracking;
    if (!leaks_are_given)
        settings.leaks = opt->leaks;
    ull_misuse_policy(opt->misuse == ULLAGE_MISUSE_REPORT ? ULL_MISUSE_REPORT : ULL_MISUSE_ABORT, opt->on_misuse, opt->ctx);
    ull_tell_settings(opt->on_oversize, opt->ctx);
    return opt->background ? ull_decay_start() : 0;
}
