/* SPDX-License-Identifier: BSD-2-Clause */
/* directory.c - choosing, making and checking the directory of ledgers. */
#include "config.h"

#include "base/directory.h"

#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int ull_directory_default(char path[ULL_DIRECTORY_BYTES])
{
    snprintf(path, ULL_DIRECTORY_BYTES, ULL_DIRECTORY_PREFIX "%lu", (unsigned long)geteuid());
    return 0;
}

int ull_directory_choose(char path[ULL_DIRECTORY_BYTES])
{
    const char *named = secure_getenv("ULLAGE_DIR"), *runtime = secure_getenv("XDG_RUNTIME_DIR");
    int length;
    if (named != NULL && named[0] != '\0')
        length = snprintf(path, ULL_DIRECTORY_BYTES, "%s", named);
    else if (runtime != NULL && runtime[0] == '/')
        length = snprintf(path, ULL_DIRECTORY_BYTES, "%s/ullage", runtime);
    else
        return ull_directory_default(path);
    return length < 0 || length >= ULL_DIRECTORY_BYTES ? -ENAMETOOLONG : 0;
}

int ull_directory_open(const char *path, bool make)
{
    struct stat found;
    if (make) {
        int made = ull_sys_mkdir(path, 0700);
        if (made < 0 && made != -EEXIST)
            return made;
    }
    int fd = ull_sys_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    if (fd < 0)
        return fd;
    int result = ull_sys_fstat(fd, &found);
    if (result == 0 && (found.st_uid != geteuid() || (found.st_mode & (S_IWGRP | S_IWOTH)) != 0))
        result = -EPERM;
    if (result != 0) {
        ull_sys_close(fd);
        return result;
    }
    return fd;
}
