/* SPDX-License-Identifier: BSD-2-Clause */
/* names.c - the words of kinds, states, readings and flags, as docs/json.md has them. */
#include "config.h"

#include "export/names.h"

const char *ull_kind_name(uint32_t kind)
{
    static const char *const names[ULL_KIND_COUNT] = {
#define NAME(name, text) [ULL_KIND_##name] = text,
        ULL_KINDS(NAME)
#undef NAME
    };
    return names[kind < ULL_KIND_COUNT ? kind : ULL_KIND_OTHER];
}

const char *ull_state_name(enum ullage_state state)
{
    return state == ULLAGE_STATE_LIVE ? "live" : state == ULLAGE_STATE_EXITED ? "exited" : "killed";
}

const char *ull_used_is_name(enum ull_used_is used_is)
{
    return used_is == ULL_USED_MEASURED ? "measured" : used_is == ULL_USED_DECLARED ? "declared"
        : used_is == ULL_USED_UPPER_BOUND ? "measured-upper-bound" : "unknown";
}

const char *ull_flag_name(enum ull_flag flag)
{
    return flag == ULL_FLAG_OVERSIZED ? "oversized" : flag == ULL_FLAG_START_SMALL ? "start-small"
        : flag == ULL_FLAG_SPARSE ? "sparse" : NULL;
}
