/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * begin.h - how the recorder comes to life in a process: with the options of its environment, once.
 *
 * Two libraries bring the recorder: libullage.so, which a program links, and libullage-preload.so, which stands before
 * malloc. The second defines the public functions of the first as well, and comes first in the order of symbols, so that
 * a process that has both has one recorder.
 */
#ifndef ULL_MEASURE_BEGIN_H
#define ULL_MEASURE_BEGIN_H

#include "measure/recorder.h"

/* Defined by each of the two libraries: sets the recorder up unless that was done. Cheap then. Threads: any. */
void ull_begin_if_needed(void);

/* What both do there. @clearing and @interposes are the caller's own; the rest comes from the environment. */
void ull_begin(enum ull_clearing clearing, bool interposes);

/* In a constructor, after the above: unwinder, fork, exit, jemalloc if ULLAGE_JEMALLOC asks for it. Takes the loader's lock. */
void ull_begin_process(void);

#endif
