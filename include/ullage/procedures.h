/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ullage/procedures.h - sizes of RPC calls, by procedure, and the caps that they suggest for record readers.
 *
 * `ullage report` fills this from a ledger, `ullage records` from a stream; the rule for a cap is here alone. Threads: each
 * object by one at a time. Link with: pkg-config --libs ullage-view. Since: 0.1
 */
#ifndef ULLAGE_PROCEDURES_H
#define ULLAGE_PROCEDURES_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

enum {
    ULLAGE_SIZE_CLASSES = 70,     /**< four a doubling from 512 B to 64 MiB; the last: more than that */
    ULLAGE_CAP_LEAST_COUNT = 100, /**< fewer calls suggest no cap: our choice, the largest of 100 is about the 99th percentile */
    ULLAGE_CAP_LEAST_BYTES = 4096, /**< no cap below: a page of memory is no harm, and a credential alone may have 400 bytes */
};

/** Sizes of records. All zero to begin with. */
struct ullage_sizes {
    uint64_t count, bytes, max_bytes;
    uint64_t classes[ULLAGE_SIZE_CLASSES]; /**< records of up to that size class */
};

void ullage_sizes_add(struct ullage_sizes *sizes, uint64_t bytes);

/** The size that @share of the records do not exceed, 0 to 1, rounded up to a size class; at most the largest. 0: none. */
uint64_t ullage_sizes_quantile(const struct ullage_sizes *sizes, double share);

/**
 * ullage_sizes_cap() - what to give a reader as max_record_bytes in a struct ullage_record_cap
 * Returns: the size class at or above the largest record plus a quarter, at least ULLAGE_CAP_LEAST_BYTES; 0: fewer than
 *          ULLAGE_CAP_LEAST_COUNT records. What comes later may be larger: it is a suggestion, to be read
 */
uint64_t ullage_sizes_cap(const struct ullage_sizes *sizes);

struct ullage_procedure {
    uint32_t program, version, procedure;
    struct ullage_sizes sizes;
    uint64_t refused;   /**< calls over the cap for it, which are not in sizes */
    uint64_t cap_bytes; /**< the lowest that was in force; 0: not known */
};

/** For qsort(3): the most bytes first. */
int ullage_procedure_compare(const void *a, const void *b);

/** "nfs" for 100003; NULL: not known here. */
const char *ullage_program_name(uint32_t program);

struct ullage_sink;
struct ullage_text_options;

/**
 * ullage_export_procedures() - a table for people: one line a procedure with its sizes and the cap that they suggest
 * @list: in the order in which it is shown; @opt->top lines at most (0: 10). NULL: the defaults
 * Returns: 0; what the sink returned
 */
int ullage_export_procedures(const struct ullage_procedure *list, size_t count, const struct ullage_sink *sink,
    const struct ullage_text_options *opt);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
