/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * unload.h - dlclose(3), interposed.
 *
 * The fast unwinder remembers code by address, and would name, or crash on, what was there before. So both of our
 * libraries define dlclose, pass it on, and look at what the loader unmapped. What libc unloads by itself (character set
 * converters) is not seen; it is not known to call back.
 */
#ifndef ULL_MEASURE_UNLOAD_H
#define ULL_MEASURE_UNLOAD_H

#include <stdbool.h>

/* Our dlclose is the one that the program calls. Takes the loader's lock. */
bool ull_unload_is_seen(void);

#endif
