/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * frames.c - from packed return addresses to names.
 *
 * A frame has its module's path and its offset from the ledger, and function, file and line from the symbolizer. A site
 * that the source itself named (ULLAGE_HERE) is shown by that name.
 */
#include "config.h"

#include "view/frames.h"

#include "base/arith.h"
#include "view/symbolize.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { INLINED_MAX = 64, PATH_MAX_BYTES = 4096 };

static void add_module(struct ull_making *m, uint64_t index)
{
    struct ull_module_entry entry;
    const void *from = ull_file_entry(&m->file, ULL_TABLE_MODULES, index);
    m->module_numbers[index] = -1;
    if (from == NULL)
        return;
    ull_file_copy(&entry, from, sizeof entry);
    if (entry.ready != 1 || entry.path_bytes == 0)
        return;
    const char *path = entry.path_bytes < PATH_MAX_BYTES
        ? ull_file_run(&m->file, ULL_TABLE_STRINGS, entry.path, entry.path_bytes) : NULL;
    if (path == NULL || entry.build_id_bytes > ULL_BUILD_ID_BYTES) {
        m->broken++;
        return;
    }
    struct ull_symbol_module module = { .build_id_bytes = entry.build_id_bytes,
        .strangers = m->file.owner != geteuid() };
    char *raw = ull_arena_alloc(&m->snapshot->arena, entry.path_bytes + 1, 1);
    module.path = ull_arena_text(&m->snapshot->arena, path, entry.path_bytes);
    if (raw == NULL || module.path == NULL)
        return;
    memcpy(raw, path, entry.path_bytes);
    module.raw_path = raw;
    memcpy(module.build_id, entry.build_id, entry.build_id_bytes);
    m->module_paths[index] = module.path;
    m->module_numbers[index] = ull_symbolizer_add(m->symbolizer, &module);
}

int ull_frames_copy_modules(struct ull_making *m)
{
    m->module_count = ull_min_u64(ull_file_count(&m->file, ULL_TABLE_MODULES), ULL_FRAME_NO_MODULE);
    m->module_numbers = ull_arena_alloc(&m->snapshot->arena, m->module_count + 1, sizeof m->module_numbers[0]);
    m->module_paths = ull_arena_alloc(&m->snapshot->arena, m->module_count + 1, sizeof m->module_paths[0]);
    if (m->module_numbers == NULL || m->module_paths == NULL)
        return -ENOMEM;
    for (uint64_t i = 0; i < m->module_count; i++)
        add_module(m, i);
    return 0;
}

/* Appends the frames of one packed return address; returns how many. */
static unsigned name_frame(struct ull_making *m, uint64_t packed, struct ull_frame *frames, unsigned room)
{
    unsigned module = ull_frame_module(packed);
    bool known = module < m->module_count;
    return ull_symbolizer_frames(m->symbolizer, known ? m->module_numbers[module] : -1, ull_frame_offset(packed),
        known ? m->module_paths[module] : NULL, &m->snapshot->arena, frames, room);
}

/* What the source says of itself stands, whatever debug information there is: that may be missing, or changed on disk. */
static void name_by_source(struct ull_making *m, struct ull_frame *frame, const struct ull_site_entry *entry)
{
    /* Our choice: __FILE__ and __func__ stay far below, and a hostile ledger of a million sites stays readable. */
    enum { FILE_BYTES = 1024, FUNCTION_BYTES = 256 };
    const char *file = ull_making_text(m, entry->file, FILE_BYTES);
    const char *function = ull_making_text(m, entry->function, FUNCTION_BYTES);
    if (function != NULL)
        frame->function = function;
    if (file != NULL) {
        frame->file = file;
        frame->line = entry->line;
    }
}

int ull_frames_name(struct ull_making *m, struct ull_site *site, const struct ull_site_entry *entry)
{
    struct ull_frame frames[ULL_STACK_DEPTH_MAX + INLINED_MAX];
    unsigned filled = 0, room = sizeof frames / sizeof frames[0];
    unsigned count = entry->frame_count <= ULL_STACK_DEPTH_MAX ? entry->frame_count : 0;
    const uint64_t *packed = count > 0 ? ull_file_run(&m->file, ULL_TABLE_FRAMES, entry->frames, count) : NULL;
    if (entry->frame_count > 0 && packed == NULL)
        m->broken++;
    for (unsigned i = 0; packed != NULL && i < count; i++)
        filled += name_frame(m, packed[i], frames + filled, room - filled);
    struct ull_frame *kept = ull_arena_alloc(&m->snapshot->arena, filled + 1, sizeof frames[0]);
    if (kept == NULL)
        return -ENOMEM;
    memcpy(kept, frames, filled * sizeof frames[0]);
    site->frames = kept;
    site->frame_count = filled;
    while (site->shown < filled && ull_symbol_is_wrapper(&kept[site->shown]))
        site->shown++;
    if (site->shown == filled)
        site->shown = 0; /* nothing but libc: its outermost caller is no better */
    name_by_source(m, &kept[site->shown], entry);
    site->place = filled > 0 || kept[0].function != NULL || kept[0].file != NULL ? &kept[site->shown] : NULL;
    return 0;
}
