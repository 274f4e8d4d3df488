/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stack.h - the call stack of an allocation.
 *
 * Two unwinders. The fast one is libunwind, opened at run time with RTLD_LOCAL: linking it would replace backtrace()
 * and every _Unwind_* of the program. The safe one is libgcc's, linked statically and hidden: slower, no lock, no
 * allocation, right also where code was unloaded. Safe takes over for good at the first dlclose that unmaps something
 * (libunwind's caches would name the code that was there before), in a child forked by a threaded process (its locks
 * may be held for ever), and in threads past the first few (its cache is 267 KiB of memory a thread).
 */
#ifndef ULL_MEASURE_STACK_H
#define ULL_MEASURE_STACK_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Opens libunwind, for so many threads, if there is one and nobody else uses it. Not from inside malloc: it takes the
 * loader's lock.
 */
void ull_stack_init(unsigned threads);

/*
 * Writes up to @limit return addresses, innermost first, without those of this library. Returns their count; 0 where
 * the stack cannot be read. Threads: any. Allocates: not by malloc of its own.
 */
unsigned ull_stack_capture(uint64_t *frames, unsigned limit);

/*
 * The same for a caller that brings its own memory, any depth up to 128, and leaves out a second library's innermost
 * frames: those in [skip_start, skip_end). Returns their count. Stack: 1.2 KiB and the unwinder's.
 */
unsigned ull_stack_backtrace(void **frames, unsigned limit, uint64_t skip_start, uint64_t skip_end);

/* From now on, only the safe unwinder. Threads: any. */
void ull_stack_stay_safe(void);

/* An address in libunwind's code, while we use it. */
bool ull_stack_is_of_libunwind(uintptr_t address);

/* "libunwind" or "libgcc". */
const char *ull_stack_unwinder(void);

#endif
