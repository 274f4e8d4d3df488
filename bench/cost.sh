#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# cost.sh - what looking costs: medians of ratios, the two sides interleaved in one run. Called by make bench, which
# sets ULLAGE, PRELOAD and BUILD. ROUNDS=N for more than 9 rounds. Nothing else should run meanwhile.
set -eu
rounds=${ROUNDS:-9}
place=$(mktemp -d /tmp/ullage-bench-XXXXXX)
trap 'rm -rf "$place"' EXIT
export ULLAGE_DIR="$place/ledgers"
unset ULLAGE_MIN_BYTES ULLAGE_SAMPLE_BYTES ULLAGE_UNWINDER ULLAGE_MEASURE || true

now() { date +%s%N; }
# timed COMMAND...: wall time of one run, in ns
timed() { begun=$(now); "$@" > /dev/null 2>&1; echo $(($(now) - begun)); }
median() { sort -g | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }

# pair NAME UNIT: reads "alone with" lines, prints medians, median ratio and median difference
pair() {
    cat > "$place/pairs"
    alone=$(awk '{ print $1 }' "$place/pairs" | median)
    with=$(awk '{ print $2 }' "$place/pairs" | median)
    ratio=$(awk '{ print $2 / $1 }' "$place/pairs" | median)
    more=$(awk '{ print $2 - $1 }' "$place/pairs" | median)
    printf '| %s | %s | %s | %.3f | %s |\n' "$1" "$alone" "$with" "$ratio" "$more"
}

# loops NAME ARGUMENT...: ns a pair
loops() {
    name=$1
    shift
    for _ in $(seq "$rounds"); do
        echo "$("$BUILD/loop" "$@") $(LD_PRELOAD=$PRELOAD "$BUILD/loop" "$@")"
    done | pair "$name"
}

# programs NAME COMMAND...: us a run
programs() {
    name=$1
    shift
    for _ in $(seq "$rounds"); do
        a=$(timed env "$@")
        b=$(timed env LD_PRELOAD="$PRELOAD" "$@")
        echo "$((a / 1000)) $((b / 1000))"
    done | pair "$name"
}

echo "machine: $(nproc) cores, $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1), Linux $(uname -r)"
echo "libc: $(ldd --version | head -n 1); $rounds rounds"
echo
echo '| what | alone | with ullage | ratio | more |'
echo '|---|---|---|---|---|'
loops 'malloc(64) and free, ns a pair' 64 20000000
loops 'the same beside 1,000,000 others' 64 20000000 1 1000000
loops '1 MiB, one byte written, ns a pair' 1048576 100000
loops '1 MiB, all of it written, ns a pair' 1048576 20000 1048576
seq 1 700000 > "$place/numbers"
seq 1 2000000 | sort -R --random-source="$place/numbers" > "$place/shuffled"
programs 'xz -6 of 4.8 MB, us' xz -6 -c "$place/numbers"
programs 'sort of 15 MB, us' sort "$place/shuffled"
programs 'true: starting a process, us' true

if command -v heaptrack > /dev/null; then
    for arguments in '64 3000000' '1048576 100000'; do
        for _ in $(seq "$rounds"); do
            a=$("$BUILD/loop" $arguments)
            u=$(LD_PRELOAD=$PRELOAD "$BUILD/loop" $arguments)
            h=$(heaptrack -o "$place/heaptrack" "$BUILD/loop" $arguments 2> /dev/null | grep -E '^[0-9.]+$' | head -n 1)
            rm -f "$place"/heaptrack*
            echo "$a $u $h"
        done > "$place/three"
        awk '{ print $2 - $1 }' "$place/three" | median > "$place/ours"
        awk '{ print $3 - $1 }' "$place/three" | median > "$place/theirs"
        echo
        echo "loop $arguments: ullage adds $(cat "$place/ours") ns a pair, heaptrack $(cat "$place/theirs")"
    done
else
    echo
    echo "heaptrack is not installed: no comparison (Debian: heaptrack)"
fi
