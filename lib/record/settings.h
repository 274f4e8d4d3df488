/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * settings.h - the options of readers, checked, with defaults filled in.
 *
 * A daemon has ten thousand readers and one or two sets of options: equal sets are one object, counted, so that a reader
 * is small. They lie in the allocator's buffers.
 */
#ifndef ULL_RECORD_SETTINGS_H
#define ULL_RECORD_SETTINGS_H

#include "record/party.h"
#include "ullage/record.h"

#include <stdbool.h>

struct ull_record_settings {
    struct ull_record_settings *next;
    uint64_t users;
    struct ull_party *party; /* of the budget; NULL: none */
    ullage_preamble_fn preamble;
    uint64_t max_record_bytes;
    uint64_t ceiling_bytes;  /* of a record whose procedure is not known yet: the largest of all caps */
    uint64_t max_fragment_bytes;
    uint64_t max_preamble_bytes;
    uint32_t quick_bytes;    /* records of up to so much, in one fragment, are within all caps; 0: each is looked at */
    uint32_t max_fragments;
    uint32_t min_average_fragment_bytes; /* UINT32_MAX: no more than max_fragments, however large */
    uint32_t deadline_ms, idle_ms, min_bytes_per_s;
    uint32_t chunk_bytes;
    uint32_t flags;
    uint32_t cap_count;
    bool quick;              /* quick_bytes may be believed */
    bool counts;             /* procedures are counted */
    struct ullage_record_cap caps[];
};

/* The set for @opt (NULL: defaults), one user more. 0; -EINVAL; -ENOMEM, -EDEADLK. */
int ull_record_settings_get(const struct ull_record_settings **out, const struct ullage_reader_options *opt);
void ull_record_settings_put(const struct ull_record_settings *settings);

/* The cap for calls of a procedure; max_record_bytes if none names it. */
uint64_t ull_record_settings_cap(const struct ull_record_settings *settings, uint32_t program, uint32_t version, uint32_t procedure);

/* In a forked child: nobody is at it. */
void ull_record_settings_forked(void);

#endif
