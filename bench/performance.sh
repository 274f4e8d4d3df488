#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# performance.sh - what is measured in docs/performance.md, from bench-results/ (make bench first), and its plots. Between
# "<!-- NAME -->" and "<!-- /NAME -->" the page is written here; the rest is prose, and stays. Called by make performance,
# which sets BUILD and SOURCE. Needs jq and gnuplot. ONLY=pool or ONLY=record for what make bench-pool or bench-record measured alone.
set -eu
results=$BUILD/bench-results
page=$SOURCE/docs/performance.md
plots=$SOURCE/docs/plots
place=$(mktemp -d /tmp/ullage-performance-XXXXXX)
trap 'rm -rf "$place"' EXIT
for need in jq gnuplot; do
    command -v $need > /dev/null || { echo "performance.sh: $need is not installed (Debian: jq, gnuplot-nox)" >&2; exit 1; }
done

# block NAME: standard input takes the place of what is between its marks
block() {
    cat > "$place/block"
    grep -q "^<!-- $1 -->\$" "$page" || { echo "performance.sh: docs/performance.md has no mark <!-- $1 -->" >&2; exit 1; }
    awk -v name="$1" -v from="$place/block" '
        $0 == "<!-- /" name " -->" { inside = 0 }
        !inside { print }
        $0 == "<!-- " name " -->" { inside = 1; while ((getline line < from) > 0) print line }' "$page" > "$place/page"
    cat "$place/page" > "$page"
}

for part in pool record; do
    case "${ONLY:-$part}" in $part) ;; *) continue ;; esac
    [ ! -s "$results/$part.md" ] || block $part < "$results/$part.md"
done
case "${ONLY:-}" in
pool | record)
    [ -s "$results/$ONLY.md" ] || { echo "performance.sh: no $results/$ONLY.md: run make bench-$ONLY first" >&2; exit 1; }
    exit 0
    ;;
esac
for need in finder hand unwinder records; do
    [ -s "$results/$need.json" ] || { echo "performance.sh: no $results/$need.json: run make bench first" >&2; exit 1; }
done
mkdir -p "$plots"

jq -r '"Measured \(.unix_s | strftime("%Y-%m-%d")) on \(.cpus) processors (\(.cpu)), \(.kernel), \(.libc), \(.compiler) \(.flags); \(.results[0].metrics[0].samples | length) repetitions in turn, medians of the ratios of neighbours."' \
    "$results/finder.json" | block machine
jq -r -f "$SOURCE/bench/table.jq" "$results/finder.json" | block finder
if [ -s "$results/heaptrack.json" ]; then
    jq -r -f "$SOURCE/bench/table.jq" "$results/heaptrack.json" | block heaptrack
fi
jq -r '"The loop of `bench/steps.h` takes \(.by_hand_ns) ns by a clock of its own; as a benchmark of the harness \(.other_process * 1000 | round / 1000) times that (another process), and its own clock around the same loop agrees to \((.same_loop - 1) * 1000000 | round / 10000) %."' \
    "$results/hand.json" | block hand
jq -r -f "$SOURCE/bench/table.jq" "$results/unwinder.json" | block unwinder
for name in xz sort true; do
    [ ! -s "$results/exec-$name.json" ] || jq -r -f "$SOURCE/bench/table.jq" "$results/exec-$name.json" | { [ $name = xz ] && cat || tail -n +3; }
done | block programs
if [ -s "$results/power.txt" ]; then
    block power < "$results/power.txt"
fi

# size against time
jq -r '.results[] | select(.name | startswith("malloc_free/")) | [(.name | split("/")[1]), .variant, (.metrics[] | select(.name == "ns/op") | .median)] | @tsv' \
    "$results/finder.json" > "$place/sizes"
for variant in alone ullage; do
    awk -v v=$variant '$2 == v { print $1, $3 }' "$place/sizes" > "$place/$variant"
done
# connections against memory
jq -r '.results | sort_by(.name | split("/")[1] | tonumber)[] | (.metrics | map({(.name): .median}) | add) as $m
    | [(.name | split("/")[1]), $m["peak-live-bytes"] / 1048576, ($m["peak-live-bytes"] - $m["ullage-peak-bytes"]) / 1048576] | @tsv' "$results/records.json" > "$place/records"

gnuplot << GNUPLOT
set terminal svg size 720,400 font "sans-serif,13" background "#ffffff"
set grid ytics lc rgb "#dddddd"
set key at graph 0.02,0.72 left Left reverse
set border 3
set tics nomirror
set output "$plots/size-time.svg"
set title "One malloc and free, one byte written; recorded from 64 KiB up"
set logscale xy
set xlabel "bytes asked for"
set ylabel "ns a pair"
set xtics ("64" 64, "1 Ki" 1024, "16 Ki" 16384, "64 Ki" 65536, "256 Ki" 262144, "1 Mi" 1048576, "4 Mi" 4194304, "16 Mi" 16777216)
set xrange [48:24000000]
plot "$place/alone" with linespoints lw 2 pt 7 lc rgb "#1f77b4" title "glibc alone", \
     "$place/ullage" with linespoints lw 2 pt 5 lc rgb "#d62728" title "interposed"
unset logscale
set key left top Left reverse
set output "$plots/connections-memory.svg"
set title "A record reader that reserves 1 MiB for each idle connection"
set xlabel "connections"
set ylabel "MiB at peak"
set xrange [0:340]
set yrange [0:*]
set xtics autofreq
plot "$place/records" using 1:2 with linespoints lw 2 pt 7 lc rgb "#d62728" title "asked for", \
     "$place/records" using 1:3 with linespoints lw 2 pt 5 lc rgb "#2ca02c" title "used"
GNUPLOT
echo "docs/performance.md and docs/plots written"
