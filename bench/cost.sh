#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# cost.sh - what looking costs, and what the harness itself does: everything on the harness, the sides in turn. Called by
# make bench, which sets ULLAGE, ULLAGE_PRELOAD, BUILD and SOURCE. ROUNDS=N for more than 9 repetitions, ONLY=finder|hand|
# programs|unwinder|records|power for one part. Results go to bench-results/ as JSON. Nothing else should run meanwhile.
set -eu
rounds=${ROUNDS:-9}
only=${ONLY:-}
results=$BUILD/bench-results
mkdir -p "$results"
place=$(mktemp -d /tmp/ullage-bench-XXXXXX)
trap 'rm -rf "$place"' EXIT
export ULLAGE_DIR="$place/ledgers"
unset ULLAGE_MIN_BYTES ULLAGE_SAMPLE_BYTES ULLAGE_UNWINDER ULLAGE_MEASURE || true
part() { [ -z "$only" ] || [ "$only" = "$1" ]; }
# shown NAME: the table of results/NAME.json
shown() { jq -r -f "$SOURCE/bench/table.jq" "$results/$1.json"; }

preload=LD_PRELOAD=$ULLAGE_PRELOAD
if part finder; then
    echo "== the interposer on pairs of malloc and free"
    "$ULLAGE" bench run --count "$rounds" --time 0.05 --variant alone= --variant ullage="$preload" --format json -o "$results/finder.json" -- "$BUILD/bench_finder"
    shown finder
    heaptrack=$(find /usr/lib -name libheaptrack_preload.so 2> /dev/null | head -n 1)
    if [ -n "$heaptrack" ]; then
        echo "== beside heaptrack"
        "$ULLAGE" bench run --no-memory --count "$rounds" --time 0.05 --filter malloc_free/64,malloc_free/1048576 --variant alone= --variant ullage="$preload" \
            --variant heaptrack=LD_PRELOAD="$heaptrack" --variant heaptrack=DUMP_HEAPTRACK_OUTPUT=/dev/null --format json -o "$results/heaptrack.json" -- "$BUILD/bench_finder"
        shown heaptrack
    else
        echo "heaptrack is not installed: no comparison (Debian: heaptrack)"
    fi
fi

if part hand; then
    echo "== the harness against a loop with a clock of its own"
    median() { sort -g | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }
    for _ in $(seq $((rounds * 5))); do
        hand=$(taskset -c 1 "$BUILD/loop" 1000000)
        ours=$(taskset -c 1 "$BUILD/bench_finder" --no-memory --filter harness_clock --count 1 --time 0.01 --format json | jq '.results[0].metrics[] | select(.name == "ns/op") | .median')
        echo "$hand $ours"
    done > "$place/hand"
    awk '{ print $2 / $1 }' "$place/hand" | median > "$place/ratio"
    awk '{ print $1 }' "$place/hand" | median > "$place/by-hand"
    inside=$("$ULLAGE" bench run --no-memory --count "$rounds" --time 0.05 --filter harness_clock --format json -o - -- "$BUILD/bench_finder" \
        | jq '.results[0].metrics | map({(.name): .samples}) | add | [.["ns/op"], .["by-hand-ns/op"]] | transpose | map(.[0] / .[1]) | sort | .[length / 2 | floor]')
    jq -n --argjson ratio "$(cat "$place/ratio")" --argjson ns "$(cat "$place/by-hand")" --argjson inside "$inside" \
        '{kind: "hand", other_process: $ratio, by_hand_ns: $ns, same_loop: $inside}' > "$results/hand.json"
    cat "$results/hand.json"
fi

if part programs; then
    echo "== whole programs"
    seq 1 700000 > "$place/numbers"
    seq 1 2000000 | sort -R --random-source="$place/numbers" > "$place/shuffled"
    for command in "xz -6 -c $place/numbers" "sort $place/shuffled" true; do
        name=${command%% *}
        # shellcheck disable=SC2086
        "$ULLAGE" bench exec --no-memory --repetitions "$rounds" --variant alone= --variant ullage="$preload" --format json -o "$results/exec-$name.json" -- $command
        shown "exec-$name"
    done
fi

if part unwinder && [ -x "$BUILD/bench_backtrace" ]; then
    echo "== jemalloc's samples: its unwinder and ours"
    MALLOC_CONF=prof:true "$ULLAGE" bench run --no-memory --count "$rounds" --time 0.05 --variant jemalloc= --variant ullage=BENCH_UNWINDER=ullage \
        --format json -o "$results/unwinder.json" -- "$BUILD/bench_backtrace"
    shown unwinder
fi

if part records; then
    echo "== connections against memory: story 1"
    for connections in 1 10 50 100 200 326; do
        "$ULLAGE" bench exec --repetitions 3 --name "connections/$connections" --format json -o "$place/records-$connections.json" -- \
            "$BUILD/records_naive" "$connections" 0
    done
    jq -s '.[0] + {results: map(.results[])}' "$place"/records-*.json > "$results/records.json"
    jq -r '.results | sort_by(.name | split("/")[1] | tonumber)[] | (.metrics | map({(.name): .median}) | add) as $m
        | "\(.name): asked for \($m["peak-live-bytes"]) B, of which \($m["ullage-peak-bytes"]) B unused"' "$results/records.json"
fi

if part power; then
    echo "== what the decision by time is worth, simulated"
    "$BUILD/bench_power" "${GATES:-100}" 10 | tee "$results/power.txt"
fi
