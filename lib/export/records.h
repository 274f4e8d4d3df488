/* SPDX-License-Identifier: BSD-2-Clause */
/* records.h - what a program's record readers met, as part of a page. */
#ifndef ULL_EXPORT_RECORDS_H
#define ULL_EXPORT_RECORDS_H

#include "export/writer.h"
#include "view/snapshot.h"

/* Counters and the table of procedures, @top lines of it. Nothing where no reader met anything. */
void ull_write_records(struct ull_writer *out, const struct ullage_snapshot *snapshot, size_t top, bool colour);

#endif
