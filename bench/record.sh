#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# record.sh - reading records beside read(2), libtirpc's xdrrec and a naive reader: one program, the ways as variants, in turn. Called by
# make bench-record, which sets ULLAGE, BUILD and SOURCE. ROUNDS=N for more than 9 repetitions, ONLY=unix,apart,tcp,parse,memory,fragments for
# some works. Results go to bench-results/record-*.json, their table to bench-results/record.md. A missed bar is said, and is no error. Nothing
# else should run meanwhile.
set -eu
rounds=${ROUNDS:-9}
only=${ONLY:-}
each=${SECONDS_EACH:-0.1} # of a repetition
results=$BUILD/bench-results
mkdir -p "$results"
place=$(mktemp -d /tmp/ullage-bench-XXXXXX)
trap 'rm -rf "$place"' EXIT
export ULLAGE_DIR="$place/ledgers"
unset ULLAGE_MIN_BYTES ULLAGE_SAMPLE_BYTES ULLAGE_TRACKING ULLAGE_LEAKS ULLAGE_DEBUG ULLAGE_MISUSE BENCH_READER BENCH_WRITER || true
part() { case ",$only," in ,, | *",$1,"*) ;; *) return 1 ;; esac }

# measure PART FILTER SECONDS WRITER WAY...: its results/record-PART.json
measure() {
    name=$1 filter=$2 seconds=$3 writer=$4
    shift 4
    for way in "$@"; do
        set -- "$@" --variant "$way=BENCH_READER=$way" --variant "$way=BENCH_WRITER=$writer"
        shift
    done
    echo "== $name" >&2
    "$ULLAGE" bench run --no-memory --count "$rounds" --time "$seconds" --filter "$filter" "$@" --format json -o "$results/record-$name.json" -- "$BUILD/bench_record" \
        || echo "record.sh: $name: some of it did not run" >&2
    jq -r '.results[] | select(.status != "ok" and .status != "skipped") | "\(.name) \(.variant): \(.status): \(.message)"' "$results/record-$name.json" >&2
}

! part unix || measure unix unix_socket "$each" here raw placed xdrrec naive ullage
! part apart || measure apart unix_socket "$each" apart raw placed xdrrec naive ullage
! part tcp || measure tcp tcp_socket "$each" apart raw placed xdrrec naive ullage
! part parse || measure parse parse/ "$each" here xdrrec ullage
# one iteration is thousands of readers
! part memory || measure memory idle_10000,announced_10000,half_records_1000,story_326 0.000001 here xdrrec naive ullage
! part fragments || measure fragments fragments "$each" here ullage

# What was left out now keeps its results of before.
{
    jq -r -s '.[0] | "Measured \(.unix_s | strftime("%Y-%m-%d")) on \(.cpus) processors (\(.cpu)), \(.kernel), \(.libc), \(.compiler) \(.flags); \([.results[].metrics[]?.samples | length] | max) repetitions in turn, medians; ratios are medians of the rounds'"'"' ratios."' "$results"/record-*.json
    dpkg-query -W -f '${Package} ${Version}.\n' libtirpc3 2> /dev/null || true
    echo
    jq -n -r -f "$SOURCE/bench/record.jq" "$results"/record-*.json
} > "$results/record.md"
cat "$results/record.md"
jq -n -r --arg missed yes -f "$SOURCE/bench/record.jq" "$results"/record-*.json
