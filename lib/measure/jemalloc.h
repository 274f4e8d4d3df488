/* SPDX-License-Identifier: BSD-2-Clause */
/* jemalloc.h - what the environment asks of jemalloc's hooks; the calls themselves are in ullage/jemalloc.h. */
#ifndef ULL_MEASURE_JEMALLOC_H
#define ULL_MEASURE_JEMALLOC_H

/* ULLAGE_JEMALLOC=1 installs the hooks, "hooks" every_call too; what cannot be had is said in one line. In a constructor. */
void ull_jemalloc_begin(void);

#endif
