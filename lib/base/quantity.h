/* SPDX-License-Identifier: BSD-2-Clause */
/* quantity.h - sizes and durations as people write and read them: "65536", "64K", "1.5M"; "1.5 MiB", "3 min". */
#ifndef ULL_BASE_QUANTITY_H
#define ULL_BASE_QUANTITY_H

#include <stdint.h>

/* Units are powers of 1024: K, M, G, T, with or without "iB" or "B". 0, or -EINVAL with *bytes untouched. */
int ull_quantity_parse(const char *text, uint64_t *bytes);

enum { ULL_QUANTITY_BYTES = 16 }; /* room for any of the texts below */

/* "40.0 KiB", "1.0 MiB", "512 B". Returns @to. */
char *ull_quantity_size(char to[ULL_QUANTITY_BYTES], uint64_t bytes);
/* "0.40 s", "3.0 s", "5 min", "2 h", "3 d". Returns @to. */
char *ull_quantity_duration(char to[ULL_QUANTITY_BYTES], uint64_t ns);

#endif
