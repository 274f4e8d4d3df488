/* SPDX-License-Identifier: BSD-2-Clause */
/* fuzz_bench.c - results and baselines are anybody's files: read, compared, explained, written again. */
#include "config.h"

#include "bench/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(const struct ullage_bench_report *report, const struct ull_baseline *baseline, FILE *nowhere)
{
    struct ull_findings findings = { NULL, 0, 0, false };
    const char *program, *name;
    json_t *of, *entry;
    for (size_t i = 0; report != NULL && ullage_bench_format_name(i) != NULL; i++)
        (void)ullage_bench_write(nowhere, ullage_bench_format_name(i), report, 80);
    json_object_foreach(json_object_get(baseline->root, "programs"), program, of)
        json_object_foreach(json_object_get(of, "benchmarks"), name, entry)
            for (size_t i = 0; report != NULL && i < report->result_count; i++) {
                ull_findings_compare(&findings, entry, &report->results[i]);
                (void)ull_findings_explain(nowhere, entry, &report->results[i]);
                json_decref(ull_baseline_entry(&report->results[i], entry));
            }
    ull_findings_fini(&findings);
}

/* Also a result and a baseline at once: the file is cut at its first NUL. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static FILE *nowhere;
    struct ullage_bench_report *report = NULL;
    struct ull_baseline baseline = { NULL, NULL };
    char error[ULLAGE_BENCH_ERROR_BYTES], path[2][64];
    size_t cut = 0;
    int files[2];
    while (cut < size && data[cut] != 0)
        cut++;
    if (nowhere == NULL)
        nowhere = fopen("/dev/null", "w");
    for (int i = 0; i < 2; i++) {
        files[i] = memfd_create("fuzz", 0);
        if (nowhere == NULL || files[i] < 0)
            abort();
        snprintf(path[i], sizeof path[i], "/proc/self/fd/%d", files[i]);
    }
    size_t rest = cut < size ? size - cut - 1 : 0;
    if (write(files[0], data, cut) < 0 || write(files[1], rest > 0 ? data + cut + 1 : data, rest > 0 ? rest : cut) < 0)
        abort();
    (void)ull_bench_read(&report, path[0], error);
    (void)ull_baseline_load(&baseline, path[1], error);
    use(report, &baseline, nowhere);
    ullage_bench_report_free(report);
    ull_baseline_fini(&baseline);
    close(files[0]);
    close(files[1]);
    return 0;
}
