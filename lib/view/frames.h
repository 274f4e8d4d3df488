/* SPDX-License-Identifier: BSD-2-Clause */
/* frames.h - the stacks of sites: modules, frames and their names. */
#ifndef ULL_VIEW_FRAMES_H
#define ULL_VIEW_FRAMES_H

#include "view/making.h"

/* The mapped files of the process, made known to the symbolizer. Before the first site. 0 or -ENOMEM. */
int ull_frames_copy_modules(struct ull_making *m);

/* Fills frames, frame_count, shown and place of @site. 0 or -ENOMEM. */
int ull_frames_name(struct ull_making *m, struct ull_site *site, const struct ull_site_entry *entry);

#endif
