/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ullage/export.h - a snapshot written out: as text for people, as JSON for programs.
 *
 * An exporter sees a snapshot and a sink, and nothing else. Threads: any, on a snapshot that nobody destroys. Since: 0.1
 */
#ifndef ULLAGE_EXPORT_H
#define ULLAGE_EXPORT_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct ullage_snapshot;

/** Where an export goes. write returns 0, or a negative errno, which ends the export and is what it returns. */
struct ullage_sink {
    int (*write)(void *context, const void *bytes, size_t count);
    void *context;
};

struct ullage_text_options {
    size_t size;
    unsigned top;     /**< sites at most; 0: 10 */
    unsigned columns; /**< of the terminal; 0: 80 */
    bool colour;
};
#define ULLAGE_TEXT_OPTIONS_INIT { sizeof(struct ullage_text_options), 0, 0, false }

/** One screen: what was wasted, where, and what to do about it. @opt NULL for the defaults. */
int ullage_export_text(const struct ullage_snapshot *snapshot, const struct ullage_sink *sink,
    const struct ullage_text_options *opt);

/** One JSON object, as docs/json.md has it. @top: sites at most in each process; 0: all. */
int ullage_export_json(const struct ullage_snapshot *snapshot, const struct ullage_sink *sink, unsigned top);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
