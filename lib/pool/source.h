/* SPDX-License-Identifier: BSD-2-Clause */
/* source.h - where the memory of slabs comes from: mmap, or what the program named. */
#ifndef ULL_POOL_SOURCE_H
#define ULL_POOL_SOURCE_H

#include "ullage/alloc.h"

/* mmap, without transparent huge pages: a buffer of which 4 KiB are used must not cost 2 MiB. */
extern const struct ullage_source ull_source_mmap __attribute__((visibility("hidden")));

#endif
