/* SPDX-License-Identifier: BSD-2-Clause */
/* procedures.h - the table of procedures, as part of a page. */
#ifndef ULL_EXPORT_PROCEDURES_H
#define ULL_EXPORT_PROCEDURES_H

#include "export/writer.h"
#include "ullage/procedures.h"

#include <stdbool.h>

/* As ullage_export_procedures(); @top lines. Nothing where there are none. */
void ull_write_procedures(struct ull_writer *out, const struct ullage_procedure *list, size_t count, size_t top, bool colour);

#endif
