/* SPDX-License-Identifier: BSD-2-Clause */
/* thresholds.c - the thresholds of the flag by name. The reason for each default is in docs/flags.md. */
#include "config.h"

#include "base/quantity.h"
#include "ullage/view.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum kind { SHARE, BYTES, COUNT };

static const struct {
    const char *name, *otherwise, *help;
    enum kind kind;
    size_t offset;
    double least, most;
} table[] = {
    { "used-share", "0.25", "used at most this share of its request: little used", SHARE,
        offsetof(struct ullage_thresholds, used_share), 1.0 / 64, 0.5 },
    { "quantile", "0.99", "share of the known buffers that must be little used", SHARE,
        offsetof(struct ullage_thresholds, quantile), 0.5, 1.0 },
    { "min-request", "64K", "smallest request that is flagged", BYTES,
        offsetof(struct ullage_thresholds, min_request_bytes), 0, 0 },
    { "min-peak", "1M", "ullage held at peak, in bytes, or", BYTES, offsetof(struct ullage_thresholds, min_peak_bytes), 0, 0 },
    { "min-total", "16M", "ullage in total, in bytes, to be worth a flag", BYTES,
        offsetof(struct ullage_thresholds, min_total_bytes), 0, 0 },
    { "shrink-share", "0.5", "oversized: suggested size at most this of the request", SHARE,
        offsetof(struct ullage_thresholds, shrink_share), 1.0 / 64, 1.0 },
    { "min-exact", "8", "from so many exact readings on, only they decide", COUNT,
        offsetof(struct ullage_thresholds, min_exact_count), 0, 0 },
};

const char *ullage_threshold_name(unsigned index, const char **help, const char **default_text)
{
    if (index >= sizeof table / sizeof table[0])
        return NULL;
    *help = table[index].help;
    *default_text = table[index].otherwise;
    return table[index].name;
}

static int set_share(double *to, const char *text, double least, double most)
{
    char *end;
    errno = 0;
    double value = strtod(text, &end);
    if (*end == '/') {
        const char *below = end + 1;
        double divisor = strtod(below, &end);
        if (end == below || divisor <= 0)
            return -EINVAL;
        value /= divisor;
    }
    if (end == text || *end != '\0')
        return -EINVAL;
    if (!(value >= least && value <= most))
        return -ERANGE;
    *to = value;
    return 0;
}

int ullage_threshold_set(struct ullage_thresholds *thresholds, const char *assignment)
{
    const char *equals = strchr(assignment, '=');
    size_t length = equals != NULL ? (size_t)(equals - assignment) : strlen(assignment);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (strlen(table[i].name) != length || strncmp(table[i].name, assignment, length) != 0)
            continue;
        if (equals == NULL)
            return -EINVAL;
        void *to = (char *)thresholds + table[i].offset;
        if (table[i].kind == SHARE)
            return set_share(to, equals + 1, table[i].least, table[i].most);
        return ull_quantity_parse(equals + 1, to);
    }
    return -ENOENT;
}

int ullage_quantity_parse(const char *text, uint64_t *bytes)
{
    return ull_quantity_parse(text, bytes);
}

_Static_assert((int)ULLAGE_QUANTITY_BYTES == (int)ULL_QUANTITY_BYTES, "the public size is the real one");

char *ullage_quantity_size(char *to, uint64_t bytes)
{
    return ull_quantity_size(to, bytes);
}

char *ullage_quantity_duration(char *to, uint64_t ns)
{
    return ull_quantity_duration(to, ns);
}

const char *ullage_version(void)
{
    return PACKAGE_VERSION;
}
