/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * guard.h - two functions of libc interposed, because libunwind is not safe without.
 *
 * dlclose(3): libunwind remembers code by address, and would name, or crash on, what was there before. Both of our libraries
 * define dlclose, pass it on, and look at what the loader unmapped. What libc unloads by itself (character set converters) is
 * not seen; it is not known to call back.
 *
 * pipe2(2): libunwind tries addresses by writing from them into a pipe of its own, whose numbers are low, and stay its own
 * in its eyes when the program has closed them and opened something else there: it would read from, write to and close the
 * program's files. So its pipe gets high numbers, and is looked at again every few milliseconds while libunwind is used; once
 * it is lost, libunwind is not used any more.
 */
#ifndef ULL_MEASURE_GUARD_H
#define ULL_MEASURE_GUARD_H

#include <stdbool.h>
#include <stdint.h>

/* In the constructor: finds the dlclose after ours. */
void ull_guard_begin(void);

/* Calls of dlclose so far. Threads: any. */
uint64_t ull_guard_unloads(void);

/* libunwind's pipe is still what it was, as of the last few milliseconds. Threads: any. */
bool ull_guard_pipe_is_whole(void);

/* Our functions are the ones that everybody calls. Takes the loader's lock. */
bool ull_guard_is_in_force(void);

#endif
