/* SPDX-License-Identifier: BSD-2-Clause */
/* settings.h - what the environment and the program asked for. */
#ifndef ULL_POOL_SETTINGS_H
#define ULL_POOL_SETTINGS_H

/* Reads the environment, once; before the first cache is set up. Threads: any. */
void ull_settings_begin(void);

#endif
