/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * state.c - where the recorder's state lies.
 *
 * A file of its own for its place in memory: behind the small variables of everything that an interposed program runs before something
 * is recorded, so that what it begins with shares their page.
 */
#include "config.h"

#include "measure/state.h"

struct ull_recorder ull_recorder = { .making = PTHREAD_MUTEX_INITIALIZER };
