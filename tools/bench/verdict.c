/* SPDX-License-Identifier: BSD-2-Clause */
/* verdict.c - the gate's verdict for people: every benchmark, what was found, which stacks grew. */
#include "config.h"

#include "gate.h"

#include <string.h>

static const char *label(enum ull_finding_kind kind)
{
    static const char *const labels[] = { "ok", "new", "improvement", "inconclusive", "BROKEN", "REGRESSION" };
    return labels[kind];
}

static void print_counts(FILE *to, const struct ullage_bench_result *result)
{
    static const char *const shown[] = { "allocs/op", "B/op", "peak-live-bytes" };
    static const char *const units[] = { "allocs/op", "B/op", "B peak" };
    char text[48];
    for (unsigned i = 0; i < 3; i++) {
        const struct ullage_bench_metric *metric = ullage_bench_result_metric(result, shown[i]);
        if (metric != NULL)
            fprintf(to, "%s%s %s", i > 0 ? ", " : "", ull_bench_number(ullage_bench_metric_median(metric), text), units[i]);
    }
}

static bool grew_in_memory(const struct ull_findings *findings, const char *name)
{
    for (size_t i = 0; i < findings->count; i++) {
        const struct ull_finding *finding = &findings->all[i];
        if (strcmp(finding->benchmark, name) == 0 && finding->kind >= ULL_FINDING_INCONCLUSIVE && finding->metric[0] != '\0'
            && ull_baseline_has(finding->metric))
            return true;
    }
    return false;
}

/* Also puts it into the result, for formats other than text. */
static void print_findings(FILE *to, struct ull_gate *gate, const char *name, struct ullage_bench_result *result)
{
    enum ull_finding_kind worst = ull_findings_worst(&gate->findings, name);
    char all[1024] = "";
    for (size_t i = 0; i < gate->findings.count; i++) {
        const struct ull_finding *finding = &gate->findings.all[i];
        if (strcmp(finding->benchmark, name) != 0)
            continue;
        const char *colon = finding->metric[0] != '\0' ? ": " : "";
        fprintf(to, "      %s%s%s\n", finding->metric, colon, finding->text);
        size_t filled = strlen(all);
        snprintf(all + filled, sizeof all - filled, "%s%s%s%s", filled > 0 ? "; " : "", finding->metric, colon, finding->text);
    }
    if (result == NULL)
        return;
    if (worst == ULL_FINDING_REGRESSION && result->status == ULLAGE_BENCH_OK) {
        result->status = ULLAGE_BENCH_FAILED;
        (void)ullage_bench_set_text(&result->message, all);
    } else if (all[0] != '\0' && worst < ULL_FINDING_BROKEN) {
        (void)ullage_bench_set_text(&result->note, all);
    }
}

static void print_one(FILE *to, struct ull_gate *gate, const struct ull_gated *one)
{
    struct ullage_bench_result *result = ull_gate_result(gate, one->name, false);
    fprintf(to, "  %-12s  %s", label(ull_findings_worst(&gate->findings, one->name)), one->name);
    if (result != NULL && result->status == ULLAGE_BENCH_OK && result->metric_count > 0) {
        fprintf(to, "  (");
        print_counts(to, result);
        fprintf(to, ")");
    }
    fprintf(to, "\n");
    print_findings(to, gate, one->name, result);
    if (result == NULL || !grew_in_memory(&gate->findings, one->name))
        return;
    if (one->entry == NULL || json_array_size(json_object_get(one->entry, "stacks")) == 0)
        fprintf(to, "      the baseline has no stacks of it: all of its stacks follow\n");
    if (one->entry != NULL && ull_findings_explain(to, one->entry, result) == 0)
        fprintf(to, "      no stack grew\n");
}

int ull_gate_print(FILE *to, struct ull_gate *gate)
{
    size_t counts[ULL_FINDING_REGRESSION + 1] = { 0 }, vanished = 0;
    const struct ull_bench_options *options = gate->options;
    ull_gate_clear(gate);
    fprintf(to, "%s %s%s%s%s\n", gate->program, options->baseline != NULL ? "against " : "against base ",
        options->baseline != NULL ? options->baseline : options->base, options->baseline != NULL && options->base != NULL ? " and base " : "",
        options->baseline != NULL && options->base != NULL ? options->base : "");
    for (size_t i = 0; i < gate->count; i++) {
        print_one(to, gate, &gate->all[i]);
        counts[ull_findings_worst(&gate->findings, gate->all[i].name)]++;
    }
    for (size_t i = 0; i < gate->findings.count; i++)
        if (!ull_gate_is_there(gate, gate->findings.all[i].benchmark)) { /* vanished */
            fprintf(to, "  %-12s  %s\n      %s\n", label(ULL_FINDING_REGRESSION), gate->findings.all[i].benchmark, gate->findings.all[i].text);
            vanished++;
        }
    counts[ULL_FINDING_REGRESSION] += vanished;
    fprintf(to, "%zu benchmark%s:", gate->count + vanished, gate->count + vanished == 1 ? "" : "s");
    for (int kind = ULL_FINDING_REGRESSION, first = 1; kind >= 0; kind--)
        if (counts[kind] > 0) {
            fprintf(to, "%s %zu %s", first ? "" : ",", counts[kind], label((enum ull_finding_kind)kind));
            first = 0;
        }
    fprintf(to, "\n");
    if (counts[ULL_FINDING_REGRESSION] > 0)
        return ULL_BENCH_REGRESSION;
    if (counts[ULL_FINDING_BROKEN] > 0)
        return ULL_BENCH_BROKEN;
    if (counts[ULL_FINDING_INCONCLUSIVE] > 0 && options->fail_on_inconclusive)
        return ULL_BENCH_INCONCLUSIVE;
    return counts[ULL_FINDING_IMPROVEMENT] > 0 && options->fail_on_improvement ? ULL_BENCH_IMPROVEMENT : ULL_BENCH_FINE;
}
