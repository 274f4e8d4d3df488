#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# pool.sh - buffers and pools beside other allocators and Go's sync.Pool: one program, the ways as variants, in turn. Called by
# make bench-pool, which sets ULLAGE, BUILD and SOURCE. ROUNDS=N for more than 9 repetitions, ONLY=get_put,burst,
# handover,upload,idle,zeroed,tracking,resident for some works. Results go to bench-results/pool-*.json, their table to bench-results/pool.md.
# A missed bar is said, and is no error. Nothing else should run meanwhile.
set -eu
rounds=${ROUNDS:-9}
only=${ONLY:-}
each=${SECONDS_EACH:-0.05} # of a repetition
results=$BUILD/bench-results
mkdir -p "$results"
place=$(mktemp -d /tmp/ullage-bench-XXXXXX)
trap 'rm -rf "$place"' EXIT
export ULLAGE_DIR="$place/ledgers"
unset ULLAGE_MIN_BYTES ULLAGE_SAMPLE_BYTES ULLAGE_TRACKING ULLAGE_LEAKS ULLAGE_DEBUG ULLAGE_MISUSE BENCH_API BENCH_IDLE || true
part() { case ",$only," in ,, | *",$1,"*) ;; *) return 1 ;; esac }

# measure PART FILTER SECONDS VARIANT...: its results/pool-PART.json
measure() {
    name=$1 filter=$2 seconds=$3
    shift 3
    for variant in "$@"; do
        set -- "$@" --variant "$variant"
        shift
    done
    echo "== $name" >&2
    "$ULLAGE" bench run --no-memory --count "$rounds" --time "$seconds" --filter "$filter" "$@" --format json -o "$results/pool-$name.json" -- "$BUILD/bench_pool" \
        || echo "pool.sh: $name: some of it did not run" >&2
    jq -r '.results[] | select(.status != "ok" and .status != "skipped") | "\(.name) \(.variant): \(.status): \(.message)"' "$results/pool-$name.json" >&2
}

# Peers from Debian's packages, where they are installed.
peers=
for peer in jemalloc=libjemalloc.so.2 mimalloc=libmimalloc.so.2 tcmalloc=libtcmalloc_minimal.so.4; do
    if env LD_PRELOAD="${peer#*=}" true 2>&1 | grep -q .; then
        echo "pool.sh: no ${peer%%=*}: no comparison with it (Debian: libjemalloc2, libmimalloc2.0, libtcmalloc-minimal4)" >&2
    else
        peers="$peers ${peer%%=*}=LD_PRELOAD=${peer#*=}"
    fi
done
go=
if command -v go > /dev/null && GO111MODULE=off GOCACHE="$place/go" go build -o "$place/pool_go" "$SOURCE/bench/pool.go"; then
    go="go=$place/pool_go"
else
    echo "pool.sh: no Go: no comparison with sync.Pool (Debian: golang-go)" >&2
fi
ours="ullage=BENCH_API=ullage buffer=BENCH_API=buffer pool=BENCH_API=pool"

# shellcheck disable=SC2086
for work in get_put/ burst_65536 handover; do # names are found by any part of them
    name=${work%[/_]*}
    [ "$work" != handover ] || work=bare_ring,handover
    ! part "$name" || measure "$name" "$work" "$each" glibc= $peers $go $ours
done
# shellcheck disable=SC2086
! part upload || measure upload upload "$each" glibc= $ours learned=BENCH_API=learned
# shellcheck disable=SC2086
! part idle || measure idle mostly_idle "$each" glibc= $ours learned=BENCH_API=learned
! part zeroed || measure zeroed zeroed "$each" glibc= ullage=BENCH_API=ullage buffer=BENCH_API=buffer
if part tracking; then
    variants=glibc=
    for api in ullage buffer pool; do
        variants="$variants $api=BENCH_API=$api $api-untracked=BENCH_API=$api $api-untracked=ULLAGE_TRACKING=off"
        variants="$variants $api-unsampled=BENCH_API=$api $api-unsampled=ULLAGE_LEAKS=off"
    done
    # shellcheck disable=SC2086
    measure tracking get_put/65536 "$each" $variants
fi
if part resident; then
    variants=glibc=
    for api in ullage buffer pool; do
        for idle in background trim; do
            variants="$variants $api-$idle=BENCH_API=$api $api-$idle=BENCH_IDLE=$idle"
        done
    done
    # one iteration is two decay periods long
    # shellcheck disable=SC2086
    measure resident after_burst 0.000001 $peers $variants
fi

# What was left out now keeps its results of before.
{
    jq -r -s '.[0] | "Measured \(.unix_s | strftime("%Y-%m-%d")) on \(.cpus) processors (\(.cpu)), \(.kernel), \(.libc), \(.compiler) \(.flags); \([.results[].metrics[]?.samples | length] | max) repetitions in turn, medians; ratios are medians of the rounds'"'"' ratios."' "$results"/pool-*.json
    {
        dpkg-query -W -f '${Package} ${Version}, ' libjemalloc2 libmimalloc2.0 libtcmalloc-minimal4 2> /dev/null || true
        go version 2> /dev/null || true
    } | sed 's/go version //' | tr '\n' ' ' | sed 's/, *$//; s/ *$/.\n/'
    echo
    jq -n -r -f "$SOURCE/bench/pool.jq" "$results"/pool-*.json
} > "$results/pool.md"
cat "$results/pool.md"
jq -n -r --arg missed yes -f "$SOURCE/bench/pool.jq" "$results"/pool-*.json
