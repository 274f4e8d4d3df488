/* SPDX-License-Identifier: BSD-2-Clause */
/* test_format.c - size classes, shares and frames of the ledger's format. */
#include "config.h"

#include "ledger/format.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Test(format, class_holds_what_was_asked_and_wastes_at_most_a_quarter)
{
    for (uint64_t bytes = 1; bytes < UINT64_C(1) << 40; bytes += bytes / 7 + 1) {
        uint64_t size = ull_class_of(bytes);
        cr_assert_geq(size, bytes);
        cr_assert(bytes <= 512 ? size == 512 : size <= bytes + bytes / 4 + 1, "%lu -> %lu", bytes, size);
        cr_assert_eq(ull_class_of(size), size, "a class is its own class: %lu", size);
    }
}

Test(format, buckets_are_the_classes_up_to_64_mib)
{
    cr_assert_eq(ull_bucket_of(0), 0);
    cr_assert_eq(ull_bucket_of(512), 0);
    cr_assert_eq(ull_bucket_of(513), 1);
    cr_assert_eq(ull_bucket_of(UINT64_C(1) << 26), ULL_BUCKET_COUNT - 2);
    cr_assert_eq(ull_bucket_of((UINT64_C(1) << 26) + 1), ULL_BUCKET_COUNT - 1);
    cr_assert_eq(ull_bucket_of(UINT64_MAX), ULL_BUCKET_COUNT - 1);
    for (uint64_t bytes = 1; bytes <= UINT64_C(1) << 26; bytes += bytes / 11 + 1)
        cr_assert_eq(ull_bucket_limit(ull_bucket_of(bytes)), ull_class_of(bytes), "at %lu", bytes);
    for (unsigned bucket = 1; bucket < ULL_BUCKET_COUNT; bucket++)
        cr_assert_lt(ull_bucket_limit(bucket - 1), ull_bucket_limit(bucket));
}

Test(format, shares_are_of_the_own_request_and_do_not_overflow)
{
    cr_assert_eq(ull_share_of(0, 65536), 0);
    cr_assert_eq(ull_share_of(16384, 65536), 4, "a quarter is within a quarter");
    cr_assert_eq(ull_share_of(16385, 65536), 5);
    cr_assert_eq(ull_share_of(65536, 65536), ULL_SHARE_COUNT - 1);
    cr_assert_eq(ull_share_of(UINT64_MAX, 1), ULL_SHARE_COUNT - 1);
    cr_assert_eq(ull_share_of(UINT64_MAX, UINT64_MAX), ULL_SHARE_COUNT - 1);
}

Test(format, frames_keep_module_and_offset)
{
    uint64_t frame = ull_frame_pack(1234, UINT64_C(0x7fffdeadbeef));
    cr_assert_eq(ull_frame_module(frame), 1234);
    cr_assert_eq(ull_frame_offset(frame), UINT64_C(0x7fffdeadbeef));
    cr_assert_eq(ull_frame_module(ull_frame_pack(ULL_FRAME_NO_MODULE, 1)), ULL_FRAME_NO_MODULE);
}

/* The document and the header must not part: the document's table of sizes is read from the header's types. */
Test(format, document_states_the_sizes)
{
    char line[256];
    unsigned found = 0;
    static const struct {
        const char *name;
        size_t bytes;
    } types[] = { { "ull_module_entry", sizeof(struct ull_module_entry) },
        { "ull_site_entry", sizeof(struct ull_site_entry) }, { "ull_use_entry", sizeof(struct ull_use_entry) },
        { "ull_live_entry", sizeof(struct ull_live_entry) }, { "ull_shard_entry", sizeof(struct ull_shard_entry) },
        { "ull_pool_entry", sizeof(struct ull_pool_entry) }, { "ull_budget_entry", sizeof(struct ull_budget_entry) },
        { "ull_procedure_entry", sizeof(struct ull_procedure_entry) },
        { "ull_sidecar_header", sizeof(struct ull_sidecar_header) },
        { "ull_sidecar_entry", sizeof(struct ull_sidecar_entry) } };
    FILE *document = fopen(TOP_SRCDIR "/docs/ledger-format.md", "r");
    cr_assert_not_null(document);
    while (fgets(line, sizeof line, document) != NULL)
        for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
            char row[128];
            snprintf(row, sizeof row, "| `%s` | %zu |", types[i].name, types[i].bytes);
            found += strncmp(line, row, strlen(row)) == 0;
        }
    fclose(document);
    cr_assert_eq(found, sizeof types / sizeof types[0], "docs/ledger-format.md states %u of the sizes", found);
}
