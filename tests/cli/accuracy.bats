#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# Used bytes against the truth, and ledgers of processes that were killed.
load common

accurate() { # METHOD SEED LEAST_EXACT_PERCENT
    ULLAGE_MEASURE=$1 "$ULLAGE" run --json report.json --threshold min-peak=1 --threshold min-total=1 -- \
        "$BUILD/accuracy" 1200 "$2" > truth
    /usr/bin/python3 "$SOURCE/tests/cli/accuracy-check.py" truth report.json "$3"
}

@test "1,200 buffers of known use, by the best method there is" {
    accurate "" 11 25
    accurate "" 12 25
}

@test "1,200 buffers of known use, by pagemap" {
    accurate pagemap 13 25
}

@test "1,200 buffers of known use, by mincore" {
    accurate mincore 14 15
}

@test "story 1 under kill -9: 326 buffers measured, flagged, 97 % on one line" {
    "$ULLAGE" run --json report.json -- "$BUILD/records_naive" 326 30 > /dev/null &
    runner=$!
    sleep 2.2
    pkill -9 -n -x records_naive
    status=0
    wait $runner || status=$?
    [ "$status" -eq 137 ]
    [ "$(first_site .live_count)" -eq 326 ]
    [ "$(first_site .confidence.buffers)" -eq 326 ]
    [ "$(first_site .flag)" = oversized ]
    [ "$(first_site .suggested_bytes)" -eq 4096 ]
    [ "$(first_site .function)" = new_record ]
    jq -e '.sites[0].requested_live_bytes / .totals.requested_live_bytes >= 0.97' report.json
    jq -e '.sites[0].ullage_peak_bytes / .totals.requested_peak_bytes >= 0.97' report.json
    [ "$(jq -r .process.signal report.json)" -eq 9 ]
}

@test "200 kills at random instants: every ledger reads, no counter torn" {
    /usr/bin/python3 "$SOURCE/tests/cli/kill-check.py" "$ULLAGE" "$PRELOAD" "$BUILD/churn" 200
}

@test "memory of its own: at most 64 KiB before something is recorded, 2 MB at 1,000 sites" {
    cat > sites.c <<'END'
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
__attribute__((noinline)) static void go(unsigned n, int bits)
{
    if (bits == 0) {
        void *p = malloc(100000);
        memset(p, 1, 100);
        __asm__ volatile("" : : "r"(p) : "memory");
        free(p);
    } else if (n >> (bits - 1) & 1) {
        go(n, bits - 1);
        __asm__ volatile("# one" ::: "memory");
    } else {
        go(n, bits - 1);
        __asm__ volatile("# zero" ::: "memory");
    }
}
static long private_kib(void)
{
    char line[256];
    long kib, sum = 0;
    FILE *maps = fopen("/proc/self/smaps_rollup", "r");
    while (maps && fgets(line, sizeof line, maps))
        if (sscanf(line, "Private_Dirty: %ld", &kib) == 1 || sscanf(line, "Shared_Dirty: %ld", &kib) == 1)
            sum += kib;
    fclose(maps);
    return sum;
}
int main(void)
{
    long before = private_kib();
    for (unsigned n = 0; n < 1000; n++)
        go(n, 10);
    printf("%ld %ld\n", before, private_kib());
    return 0;
}
END
    ${CC:-cc} -g -O1 -fno-optimize-sibling-calls sites.c -o sites
    sync sites "$PRELOAD" # pages of a file that was just written count as dirty memory of whoever maps it
    # The least of some runs: where stack and heap begin on a page is drawn by lot, and counts for one or two.
    least() { for _ in 1 2 3 4 5; do "$@"; done | sort -n | head -n 1; }
    read -r alone_before alone_after < <(least ./sites)
    read -r with_before with_after < <(rm -rf "$ULLAGE_DIR"; least env ULLAGE_SAMPLE_BYTES=0 LD_PRELOAD="$PRELOAD" ./sites)
    echo "alone $alone_before $alone_after, with $with_before $with_after KiB"
    bytes=$(cat "$(ls "$ULLAGE_DIR"/*.ledger | head -n 1)" | wc -c)
    echo "ledger $bytes"
    "$ULLAGE" report --json | jq -e '.sites | length >= 1000'
    [ $((with_after - alone_after)) -le 2000 ]
    [ $((with_before - alone_before)) -le 64 ]
}
