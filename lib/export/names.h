/* SPDX-License-Identifier: BSD-2-Clause */
/* names.h - the words that exporters share. */
#ifndef ULL_EXPORT_NAMES_H
#define ULL_EXPORT_NAMES_H

#include "view/snapshot.h"

const char *ull_kind_name(uint32_t kind);
const char *ull_state_name(enum ullage_state state);
const char *ull_used_is_name(enum ull_used_is used_is);
const char *ull_flag_name(enum ull_flag flag); /* NULL for none */

#endif
