/* SPDX-License-Identifier: BSD-2-Clause */
/* readings.h - the use of live buffers. */
#ifndef ULL_VIEW_READINGS_H
#define ULL_VIEW_READINGS_H

#include "view/making.h"

/* Adds the live buffers to their sites. After the sites: a buffer whose site is not in the copy is newer, and left out. */
void ull_readings_add(struct ull_making *m);

#endif
