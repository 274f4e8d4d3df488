/* SPDX-License-Identifier: BSD-2-Clause */
/* quantity.h - sizes as people write them: "65536", "64K", "64KiB", "1.5M". */
#ifndef ULL_BASE_QUANTITY_H
#define ULL_BASE_QUANTITY_H

#include <stdint.h>

/* Units are powers of 1024: K, M, G, T, with or without "iB" or "B". 0, or -EINVAL with *bytes untouched. */
int ull_quantity_parse(const char *text, uint64_t *bytes);

#endif
