/* SPDX-License-Identifier: BSD-2-Clause */
/* preload.h - where the interposer is, and whether a program can have it. */
#ifndef ULL_TOOLS_PRELOAD_H
#define ULL_TOOLS_PRELOAD_H

#include <stddef.h>

/* The path of libullage-preload.so: ULLAGE_PRELOAD, beside this command's build, or where it was installed. */
int preload_find(char *path, size_t room);

/* Why this program file would not load it, as a clause for a message; NULL if it would. */
const char *preload_obstacle(const char *program);

#endif
