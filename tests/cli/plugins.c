/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * plugins.c - loads two libraries in turn at one address and lets each allocate: plugins A B TIMES
 * Prints how often both lay at the same place.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    void *place[2] = { NULL, NULL };
    int times = argc > 3 ? atoi(argv[3]) : 0, same = 0;
    for (int i = 0; i < times; i++) {
        void *library = dlopen(argv[1 + i % 2], RTLD_NOW | RTLD_LOCAL);
        if (library == NULL) {
            fprintf(stderr, "%s\n", dlerror());
            return 2;
        }
        void *(*entry)(size_t) = (void *(*)(size_t))dlsym(library, "plugin_entry");
        Dl_info where;
        place[i % 2] = dladdr((void *)entry, &where) != 0 ? where.dli_fbase : NULL;
        same += i > 0 && place[0] == place[1];
        void *buffer = entry(200000);
        free(buffer);
        if (i > 0) /* the first stays a while, so that what the fast unwinder learned of it is used */
            buffer = entry(200000), free(buffer);
        else
            for (int k = 0; k < 9; k++)
                free(entry(200000));
        dlclose(library);
    }
    printf("%d of %d at the same address\n", same, times);
    return 0;
}
