/* SPDX-License-Identifier: BSD-2-Clause */
/* procedures.c - RPC procedures as a table: `ullage report` and `ullage records` show the same one. */
#include "config.h"

#include "export/procedures.h"

#include "base/quantity.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { DEFAULT_TOP = 10, NAME_COLUMNS = 25 };

/* Nine columns: a count that is larger, roughly. */
static const char *count_text(char to[24], uint64_t count)
{
    if (count < 1000000000)
        snprintf(to, 24, "%" PRIu64, count);
    else
        snprintf(to, 24, "%.2e", (double)count);
    return to;
}

/* Where the numbers are so large that they need more room than there is, they stand on a line of their own. */
static void write_name(struct ull_writer *out, const struct ullage_procedure *procedure)
{
    const char *name = ullage_program_name(procedure->program);
    char text[64], number[16];
    snprintf(number, sizeof number, "%" PRIu32, procedure->program);
    snprintf(text, sizeof text, "%-13s %5" PRIu32 " %5" PRIu32, name != NULL ? name : number, procedure->version, procedure->procedure);
    if (strlen(text) > NAME_COLUMNS)
        ull_write(out, "%s\n%*s", text, NAME_COLUMNS, "");
    else
        ull_write(out, "%s", text);
}

static void write_row(struct ull_writer *out, const struct ullage_procedure *procedure)
{
    const struct ullage_sizes *sizes = &procedure->sizes;
    char count[24], p50[ULL_QUANTITY_BYTES], p99[ULL_QUANTITY_BYTES], largest[ULL_QUANTITY_BYTES], suggested[16] = "-";
    uint64_t cap = ullage_sizes_cap(sizes);
    if (cap != 0)
        ull_round_size_text(suggested, cap);
    write_name(out, procedure);
    ull_write(out, " %9s %10s %10s %10s %10s\n", count_text(count, sizes->count),
        ull_quantity_size(p50, ullage_sizes_quantile(sizes, 0.50)), ull_quantity_size(p99, ullage_sizes_quantile(sizes, 0.99)),
        ull_quantity_size(largest, sizes->max_bytes), suggested);
    if (procedure->refused != 0)
        ull_write(out, "%*s %9s refused over the cap for it\n", NAME_COLUMNS, "", count_text(count, procedure->refused));
}

void ull_write_procedures(struct ull_writer *out, const struct ullage_procedure *list, size_t count, size_t top, bool colour)
{
    size_t shown = count < top ? count : top;
    if (count == 0)
        return;
    ull_write(out, "%s%-13s %5s %5s %9s %10s %10s %10s %10s%s\n", colour ? "\033[2m" : "", "PROGRAM", "VERS", "PROC", "CALLS",
        "P50", "P99", "LARGEST", "CAP TO SET", colour ? "\033[0m" : "");
    for (size_t i = 0; i < shown; i++)
        write_row(out, &list[i]);
    if (count > shown)
        ull_write(out, "%zu more procedures (--top N shows more)\n", count - shown);
}

int ullage_export_procedures(const struct ullage_procedure *list, size_t count, const struct ullage_sink *sink,
    const struct ullage_text_options *opt)
{
    const struct ullage_text_options defaults = ULLAGE_TEXT_OPTIONS_INIT;
    struct ull_writer out = { sink, 0, 0 };
    opt = opt != NULL ? opt : &defaults;
    ull_write_procedures(&out, list, count, opt->top != 0 ? opt->top : DEFAULT_TOP, opt->colour);
    return out.result;
}
