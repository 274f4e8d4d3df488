/* SPDX-License-Identifier: BSD-2-Clause */
/* quantity.c - reading and writing sizes; no allocation, because the interposer reads its environment with it. */
#include "config.h"

#include "base/quantity.h"

#include "base/arith.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* How many bits a unit shifts by, or -1. */
static int unit_bits(const char *unit)
{
    static const char letters[] = "KMGT";
    if (unit[0] == '\0' || strcmp(unit, "B") == 0)
        return 0;
    const char *letter = strchr(letters, unit[0] >= 'a' ? unit[0] - 'a' + 'A' : unit[0]);
    if (letter == NULL)
        return -1;
    unit++;
    if (unit[0] != '\0' && strcmp(unit, "B") != 0 && strcmp(unit, "iB") != 0)
        return -1;
    return 10 * (int)(letter - letters + 1);
}

int ull_quantity_parse(const char *text, uint64_t *bytes)
{
    uint64_t whole = 0, fraction = 0, scale = 1, product;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++)
        if (!ull_mul_fits(whole, 10, &whole) || !ull_add_fits(whole, (uint64_t)(*at - '0'), &whole))
            return -EINVAL;
    if (at == text)
        return -EINVAL;
    if (*at == '.') {
        for (at++; *at >= '0' && *at <= '9' && scale < 1000; at++, scale *= 10)
            fraction = fraction * 10 + (uint64_t)(*at - '0');
        if (scale == 1)
            return -EINVAL;
    }
    int bits = unit_bits(at);
    if (bits < 0 || !ull_mul_fits(whole, UINT64_C(1) << bits, &product)
        || !ull_add_fits(product, (fraction << bits) / scale, &product))
        return -EINVAL;
    *bytes = product;
    return 0;
}

/* ---- writing ---- */

static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };

static unsigned unit_of(uint64_t bytes, double *scaled)
{
    unsigned unit = 0;
    for (*scaled = (double)bytes; *scaled >= 1023.95 && unit < 6; unit++)
        *scaled /= 1024;
    return unit;
}

char *ull_quantity_size(char to[ULL_QUANTITY_BYTES], uint64_t bytes)
{
    double scaled;
    unsigned unit = unit_of(bytes, &scaled);
    snprintf(to, ULL_QUANTITY_BYTES, unit == 0 ? "%.0f %s" : "%.1f %s", scaled, units[unit]);
    return to;
}

char *ull_quantity_duration(char to[ULL_QUANTITY_BYTES], uint64_t ns)
{
    double seconds = (double)ns / 1e9;
    if (seconds < 1)
        snprintf(to, ULL_QUANTITY_BYTES, "%.2f s", seconds);
    else if (seconds < 120)
        snprintf(to, ULL_QUANTITY_BYTES, "%.1f s", seconds);
    else if (seconds < 7200)
        snprintf(to, ULL_QUANTITY_BYTES, "%.0f min", seconds / 60);
    else if (seconds < 172800)
        snprintf(to, ULL_QUANTITY_BYTES, "%.0f h", seconds / 3600);
    else
        snprintf(to, ULL_QUANTITY_BYTES, "%.0f d", seconds / 86400);
    return to;
}
