#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# The examples that use pools: they say what they promise, and Ullage sees in them what they are made to show.
load common

@test "pool_basic: each step is as the header says" {
    run "$BUILD/pool_basic"
    echo "$output"
    [ "$status" -eq 0 ]
    [[ "${lines[0]}" == "1000 requests: 1 session set up, 1000 times reset" ]]
    [[ "${lines[1]}" == *"the next was refused" ]]
    [[ "${lines[2]}" == "trimmed: "*" sessions taken down" ]]
}

@test "pool_basic under ullage run: the same, and its pool and budget are in the report" {
    same_as_alone "$BUILD/pool_basic"
    jq -e '.pools[] | select(.name == "sessions")' report.json
    jq -e '.budgets | length == 1' report.json
}

@test "upload_chunks: right-sized and pooled are faster, and take less memory" {
    "$BUILD/upload_chunks" > out
    cat out
    [ "$(wc -l < out)" -eq 6 ]
    grep -qx '12 uploads of 98000 bytes, 4 at a time' out
    [ "$(grep -cE '^(naive|right-sized|pooled) +[0-9.]+ us an upload, +[0-9]+ KiB resident at most$' out)" -eq 3 ]
    # by far: what a busy machine does to the times is not in question
    awk '/times faster/ { n++; if ($2 < 3 || $6 < 10) exit 1 } END { exit n != 2 }' out
}

@test "upload_chunks under ullage run: the naive way is oversized, and the size that would do is said" {
    "$ULLAGE" run --json report.json -- "$BUILD/upload_chunks" > out
    cat out
    jq '.sites[] | select(.function == "begin_naive")' report.json > naive
    [ "$(jq -r .flag naive)" = oversized ]
    used=$(jq .used_max_bytes naive)
    suggested=$(jq .suggested_bytes naive)
    echo "used $used, suggested $suggested"
    [ "$used" -ge 98000 ]
    [ "$suggested" -ge "$used" ]
    [ "$suggested" -le $((2 * used)) ]
    # the way out that the program takes is the one that is suggested, and is not flagged
    jq -e --argjson suggested "$suggested" '.sites[] | select(.function == "begin_right_sized") | .flag == null and .requested_max_bytes == $suggested' report.json
}
