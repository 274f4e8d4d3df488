/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * symbolize.h - frames to functions, files and lines, out of process, with elfutils' libdw.
 *
 * A path comes from a ledger, so it may name anything: only regular files are opened, and a file is believed only if
 * its build id is the recorded one.
 */
#ifndef ULL_VIEW_SYMBOLIZE_H
#define ULL_VIEW_SYMBOLIZE_H

#include "view/snapshot.h"

struct ull_symbolizer;

/* What the ledger says of a mapped file; @path is clean text for people, @raw_path is opened. */
struct ull_symbol_module {
    bool strangers; /* the ledger is another user's: only files of root's own are opened for it */
    const char *path, *raw_path;
    uint32_t build_id_bytes;
    uint8_t build_id[ULL_BUILD_ID_BYTES];
};

/* @debug_directory may be NULL. Without @names no file is opened: frames have object and offset. NULL: no memory. */
struct ull_symbolizer *ull_symbolizer_create(const char *debug_directory, bool names);
/* Before the frames of a snapshot are asked for: its texts go to another arena than those before. */
void ull_symbolizer_begin_snapshot(struct ull_symbolizer *symbolizer);
void ull_symbolizer_destroy(struct ull_symbolizer *symbolizer);

/* Adds a module, or finds the same one of an earlier process; its number is how frames name it. -1 without memory. */
int ull_symbolizer_add(struct ull_symbolizer *symbolizer, const struct ull_symbol_module *module);

/*
 * Appends the frames of one return address, innermost inlined function first, to @frames (at most @room); strings in
 * @arena, but @object, which each frame gets as it is. Returns how many, at least 1 where there is room: a frame without names has object and offset.
 */
unsigned ull_symbolizer_frames(struct ull_symbolizer *symbolizer, int module, uint64_t offset, const char *object,
    struct ull_arena *arena, struct ull_frame *frames, unsigned room);

/* Is it libc's, libstdc++'s or an allocator's: not the place that asked? */
bool ull_symbol_is_wrapper(const struct ull_frame *frame);

/* The file was there, was the right one, and has no debugging information. */
bool ull_symbolizer_lacks_debug(const struct ull_symbolizer *symbolizer, const char *object);
/* The file on disk is another build than the one that ran. */
bool ull_symbolizer_changed(const struct ull_symbolizer *symbolizer, int module);

#endif
