#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# Threads, throws, forks, libraries that come and go at one address, for SOAK_SECONDS in all (60; make soak: 600).
load common

build_soak() {
    command -v g++ > /dev/null || skip "no g++"
    g++ -std=c++17 -g -O1 -fno-optimize-sibling-calls -o soak "$SOURCE/tests/race/soak.cc" -pthread "$@"
    seconds=$((${SOAK_SECONDS:-60} / 3))
    plugins="$BUILD/.libs/plugin_a.so $BUILD/.libs/plugin_b.so"
}

# each size by its own function, by nobody else
stacks_are_right() {
    for pair in 200001:work_of_a 300001:work_of_b 400001:deep; do
        size=${pair%%:*} name=${pair##*:}
        jq -e --argjson size "$size" --arg name "$name" '[.. | objects | select(has("requested_max_bytes") and has("stack"))
            | select(.requested_max_bytes == $size) | .function // "?"] | length > 0 and all(test($name))' "$1" > /dev/null || {
            echo "wrong stacks for $name:"
            jq -c --argjson size "$size" '[.. | objects | select(has("requested_max_bytes")) | select(.requested_max_bytes == $size) | select((.function // "?") | test("'"$name"'") | not) | [.allocations_total, .function, (.stack | map([.function, .object]))]]' "$1" | head -c 3000
            return 1
        }
    done
}

@test "the interposer on libc" {
    build_soak
    # shellcheck disable=SC2086
    "$ULLAGE" run --json report.json -- timeout $((seconds + 60)) ./soak $seconds $plugins
    stacks_are_right report.json
    jq -e '[.. | objects | select(has("counters")) | .counters.unloads_total // 0] | max > 10' report.json
}

@test "the interposer on jemalloc, with hooks in its profiler" {
    library=$(${CC:-cc} -print-file-name=libjemalloc.so.2)
    [ -e "$library" ] || skip "no libjemalloc.so.2 here"
    build_soak "$library"
    # shellcheck disable=SC2086
    MALLOC_CONF=prof:true,lg_prof_sample:12 ULLAGE_JEMALLOC=1 "$ULLAGE" run --json report.json -- \
        timeout $((seconds + 60)) ./soak $seconds $plugins
    stacks_are_right report.json
    jq -e '[.. | objects | select(has("counters")) | .counters.jemalloc_sampled_total // 0] | max > 1000' report.json
}

@test "libullage on jemalloc, told of every call, nothing preloaded" {
    library=$(${CC:-cc} -print-file-name=libjemalloc.so.2)
    [ -e "$library" ] || skip "no libjemalloc.so.2 here"
    build_soak -Wl,--no-as-needed -L"$BUILD/.libs" -lullage -Wl,-rpath,"$BUILD/.libs" "$library"
    # shellcheck disable=SC2086
    MALLOC_CONF=prof:true,lg_prof_sample:12 timeout $((seconds + 60)) ./soak $seconds $plugins hooks
    first=$(for l in "$ULLAGE_DIR"/*.ledger; do stat -c '%s %n' "$l"; done | sort -rn | head -n 1 | cut -d' ' -f2)
    "$ULLAGE" report --json "$first" > report.json
    stacks_are_right report.json
    jq -e '.counters.jemalloc_sampled_total > 1000' report.json
}
