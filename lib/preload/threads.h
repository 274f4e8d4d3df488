/* SPDX-License-Identifier: BSD-2-Clause */
/* threads.h - the live profile "threads": those that pthread_create(3) started and that have not ended. */
#ifndef ULL_PRELOAD_THREADS_H
#define ULL_PRELOAD_THREADS_H

/* In the constructor. */
void ull_threads_begin(void);

#endif
