/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * directory.h - where ledgers lie, for those who write and those who read.
 *
 * ULLAGE_DIR, else XDG_RUNTIME_DIR/ullage, else /dev/shm/ullage-UID. A directory must belong to the user and be
 * writable by nobody else, and is made with mode 0700: what a program allocates is nobody else's business, and a
 * file that somebody else could put there would be mapped by us.
 */
#ifndef ULL_BASE_DIRECTORY_H
#define ULL_BASE_DIRECTORY_H

#include <stdbool.h>
#include <stddef.h>

enum { ULL_DIRECTORY_BYTES = 512 };

/* Writes the path for this process's user and environment. 0, or -ENAMETOOLONG. */
int ull_directory_choose(char path[ULL_DIRECTORY_BYTES]);

/* The default where nothing else is named: /dev/shm/ullage-UID, of the effective user. Returns 0. */
int ull_directory_default(char path[ULL_DIRECTORY_BYTES]);
#define ULL_DIRECTORY_PREFIX "/dev/shm/ullage-"

/*
 * Opens the directory, making it first if @make. Returns a descriptor (close-on-exec), or:
 * -ENOENT not there; -EPERM not ours, or others may write to it; other negative errno.
 */
int ull_directory_open(const char *path, bool make);

#endif
