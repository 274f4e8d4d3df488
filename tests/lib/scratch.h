/* SPDX-License-Identifier: BSD-2-Clause */
/* scratch.h - a directory for one test: made, and removed with what is in it. */
#ifndef ULL_TESTS_SCRATCH_H
#define ULL_TESTS_SCRATCH_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char scratch_path[] = "/tmp/ullage-test-XXXXXX";

static inline void scratch_make(void)
{
    strcpy(scratch_path, "/tmp/ullage-test-XXXXXX");
    if (mkdtemp(scratch_path) == NULL)
        abort();
    setenv("ULLAGE_DIR", scratch_path, 1);
}

static inline void scratch_remove(void)
{
    char path[512];
    DIR *directory = opendir(scratch_path);
    for (struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;) {
        snprintf(path, sizeof path, "%s/%s", scratch_path, entry->d_name);
        if (entry->d_name[0] != '.')
            unlink(path);
    }
    if (directory != NULL)
        closedir(directory);
    rmdir(scratch_path);
}

#endif
