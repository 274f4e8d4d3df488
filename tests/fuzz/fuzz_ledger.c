/* SPDX-License-Identifier: BSD-2-Clause */
/* fuzz_ledger.c - libFuzzer: any bytes as a ledger, through snapshot and both exporters. */
#include "config.h"

#include "ullage/export.h"
#include "ullage/view.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

static int drop(void *context, const void *bytes, size_t count)
{
    (void)context;
    (void)bytes;
    (void)count;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    struct ullage_snapshot_options options = ULLAGE_SNAPSHOT_OPTIONS_INIT;
    struct ullage_thresholds all = ULLAGE_THRESHOLDS_INIT;
    struct ullage_sink sink = { drop, NULL };
    struct ullage_snapshot *snapshot;
    char error[ULLAGE_ERROR_BYTES];
    all.min_peak_bytes = all.min_request_bytes = 0;
    options.thresholds = &all;
    options.no_symbols = true;
    if (ullage_snapshot_parse(&snapshot, bytes, count, &options, error) != 0)
        return 0;
    if (ullage_export_text(snapshot, &sink, NULL) != 0 || ullage_export_json(snapshot, &sink, 0) != 0)
        abort();
    ullage_snapshot_destroy(snapshot);
    return 0;
}
