#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# null.sh - the same program against itself, RUNS times (20), 50 benchmarks: a gate that alarms once is not worth having.
# Called by make bench-null. SECONDS_EACH is how long a repetition takes.
set -eu
runs=${RUNS:-20}
place=$(mktemp -d /tmp/ullage-null-XXXXXX)
trap 'rm -rf "$place"' EXIT
export PATTERNS=50 FIRST_PATTERN=1 # pattern/1 to pattern/50, a quarter of them with threads
alarms=0
inconclusive=0
"$ULLAGE" bench gate --baseline "$place/baseline.json" --update -- "$BUILD/bench_patterns" > /dev/null
for run in $(seq "$runs"); do
    status=0
    "$ULLAGE" bench gate --baseline "$place/baseline.json" --base "$BUILD/bench_patterns" --time "${SECONDS_EACH:-0.005}" -- "$BUILD/bench_patterns" > "$place/out" 2>&1 || status=$?
    [ "$status" -eq 0 ] || { alarms=$((alarms + 1)); grep -A5 -E 'REGRESSION|BROKEN' "$place/out"; }
    grep -E 'improvement' "$place/out" && alarms=$((alarms + 1))
    here=$(grep -c '^  inconclusive' "$place/out" || true)
    inconclusive=$((inconclusive + here))
    echo "run $run: $(tail -n 1 "$place/out")"
done
echo "$runs runs of 50 benchmarks: $alarms false alarms, $inconclusive inconclusive"
[ "$alarms" -eq 0 ]
