/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ullage/site.h - the place in the source that asks for a buffer.
 *
 * ULLAGE_HERE stands for it: one small static object for each place, so that counting by place costs a load and no
 * search. The macros of alloc.h, pool.h and buffer.h pass it; a function that hands out buffers for others takes a
 * `const struct ullage_site *` from its caller and passes that on to the *_at() calls. Inside a function only. Since: 0.1
 */
#ifndef ULLAGE_SITE_H
#define ULLAGE_SITE_H

#include <stdint.h>

/** Made by ULLAGE_HERE alone. Its texts are copied when the place is first met: the library that holds it may go. */
struct ullage_site {
    const char *file;
    const char *function;
    uint32_t line;
    uint32_t index; /**< the library's own: 0 until the place is met */
};

#define ULLAGE_HERE \
    (__extension__({ \
        static struct ullage_site ullage_here_ = { __FILE__, __func__, __LINE__, 0 }; \
        (const struct ullage_site *)&ullage_here_; \
    }))

#endif
