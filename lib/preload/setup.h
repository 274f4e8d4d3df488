/* SPDX-License-Identifier: BSD-2-Clause */
/* setup.h - when the interposer learns its options. */
#ifndef ULL_PRELOAD_SETUP_H
#define ULL_PRELOAD_SETUP_H

/* Reads the environment and sets up the recorder, once libc has an environment. Cheap when done already. */
void ull_setup_if_needed(void);

#endif
