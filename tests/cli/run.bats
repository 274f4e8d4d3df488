#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# `ullage run`: the main job, exit statuses, signals, bad input.
bats_require_minimum_version 1.5.0
load common

@test "dd bs=16M on a small file: oversized, 40 KiB would do" {
    run "$ULLAGE" run --json report.json -- dd bs=16M if=small of=/dev/null
    [ "$status" -eq 0 ]
    [ "$(first_site .flag)" = oversized ]
    [ "$(first_site .requested_max_bytes)" -eq 16777216 ]
    [ "$(first_site .used_max_bytes)" -eq 40960 ]
    [ "$(first_site .suggested_bytes)" -eq 40960 ]
    [ "$(first_site .used_is)" = measured ]
    [ "$(jq -r .process.state report.json)" = exited ]
    [ "$(jq -r .process.exit_status report.json)" -eq 0 ]
}

@test "the report is one screen, with the advice in a sentence and a hint" {
    "$ULLAGE" run -- dd bs=16M if=small of=/dev/null 2> report.txt
    [ "$(wc -l < report.txt)" -le 24 ]
    [ "$(awk '{ if (length > longest) longest = length } END { print longest + 0 }' report.txt)" -le 80 ]
    tr -s ' \n' ' ' < report.txt | grep -F 'asked for 16.0 MiB once, used at most 40.0 KiB of it: 40 KiB would do, and save 16.0 MiB'
    grep -F 'coreutils-dbgsym' report.txt
    ! grep -q $'\033' report.txt
}

@test "colour on a terminal only, and NO_COLOR is honoured" {
    script -qec true /dev/null > /dev/null || skip "no pseudo-terminal here (is /dev/pts mounted?)"
    script -qec "'$ULLAGE' run -- dd bs=16M if=small of=/dev/null status=none" /dev/null > typescript
    grep -q $'\033\[1;31moversized' typescript
    NO_COLOR=1 script -qec "'$ULLAGE' run -- dd bs=16M if=small of=/dev/null status=none" /dev/null > typescript
    ! grep -q $'\033' typescript
}

@test "xz -9: the window and the tree are oversized, the hash is sparse" {
    "$ULLAGE" run --json report.json -- xz -9 -c numbers > /dev/null
    head -c 40000 numbers > forty
    "$ULLAGE" run --json report.json -- xz -9 -c forty > /dev/null
    jq -e '[.sites[] | select(.flag == "oversized" and .requested_max_bytes > 90e6)] | length == 2' report.json
    jq -e '[.sites[] | select(.flag == "sparse" and .requested_max_bytes > 60e6)] | length == 1' report.json
    jq -e '.sites[] | select(.flag == "sparse") | .touched_max_bytes * 4 < .requested_max_bytes and .suggested_bytes == null' report.json
}

@test "a program's status passes through, and --error-exitcode replaces it when something is flagged" {
    run "$ULLAGE" run -- sh -c 'exit 7'
    [ "$status" -eq 7 ]
    run "$ULLAGE" run --error-exitcode 42 -- sh -c 'exit 7'
    [ "$status" -eq 7 ]
    run "$ULLAGE" run --error-exitcode 42 -- dd bs=16M if=small of=/dev/null
    [ "$status" -eq 42 ]
    run "$ULLAGE" run --error-exitcode 42 -- sh -c 'dd bs=16M if=small of=/dev/null; exit 7'
    [ "$status" -eq 42 ]
}

@test "a program's signal passes through" {
    status=0
    "$ULLAGE" run --json report.json -- sh -c 'kill -TERM $$' || status=$?
    [ "$status" -eq 143 ]
    [ "$(jq -r .process.state report.json)" = killed ]
    [ "$(jq -r .process.signal report.json)" -eq 15 ]
}

@test "a signal to ullage reaches the program" {
    "$ULLAGE" run -- sh -c 'trap "echo got it; exit 3" TERM; echo ready > flag; while :; do sleep 0.05; done' > out 2> err &
    pid=$!
    for _ in $(seq 100); do [ -e flag ] && break; sleep 0.05; done
    kill -TERM $pid
    status=0
    wait $pid || status=$?
    [ "$status" -eq 3 ]
    grep -q 'got it' out
}

@test "missing and unexecutable programs: 127 and 126, one line" {
    run -127 "$ULLAGE" run -- /no/such/program
    [ "${#lines[@]}" -eq 1 ]
    [[ "$output" == *"not found"* ]]
    run -127 "$ULLAGE" run -- no-such-program-at-all
    run "$ULLAGE" run -- ./small
    [ "$status" -eq 126 ]
    [ "${#lines[@]}" -eq 1 ]
    run "$ULLAGE" run -- /tmp
    [ "$status" -eq 126 ]
}

@test "bad options: exit 2, what is wrong, and the program does not run" {
    for bad in "--nonsense" "--json" "--error-exitcode 0" "--error-exitcode 256" "--error-exitcode x" "--min-bytes 12q" \
        "--sample-bytes -1" "--top 0" "--threshold" "--threshold nonsense=1" "--threshold used-share=7" \
        "--threshold min-peak" "--json /no/such/directory/file"; do
        run "$ULLAGE" run $bad -- touch ran
        echo "$bad: $status: $output"
        [ "$status" -eq 2 ]
        [ -n "$output" ]
        [ ! -e ran ]
    done
    run "$ULLAGE" run
    [ "$status" -eq 2 ]
    run "$ULLAGE"
    [ "$status" -eq 2 ]
    run "$ULLAGE" frobnicate
    [ "$status" -eq 2 ]
}

@test "help and version go to standard output with status 0" {
    for verb in "" run report ls; do
        "$ULLAGE" $verb --help > help.txt
        grep -q '^Usage: ullage' help.txt
        [ "$(awk '{ if (length > longest) longest = length } END { print longest + 0 }' help.txt)" -le 80 ]
    done
    "$ULLAGE" --version | grep -qE '^ullage [0-9]+\.[0-9]+\.[0-9]+$'
}

@test "a static program is recognized and said" {
    printf 'int main(void) { return 5; }\n' > static.c
    ${CC:-cc} -static static.c -o static || skip "no static libc"
    run "$ULLAGE" run -- ./static
    [ "$status" -eq 5 ]
    [[ "$output" == *"linked statically"* ]]
}

@test "an unusable directory: said once, and the program goes on" {
    export ULLAGE_DIR=/proc/nowhere
    run "$ULLAGE" run -- dd bs=16M if=small of=copy status=none
    cmp small copy
    [ "$(grep -c 'no ledger in /proc/nowhere' <<< "$output")" -eq 1 ]
    export ULLAGE_DIR=$SCRATCH/open
    mkdir -m 777 "$ULLAGE_DIR"
    run "$ULLAGE" run -- dd bs=16M if=small of=copy status=none
    cmp small copy
    [[ "$output" == *"set ULLAGE_DIR"* ]]
}

@test "a full directory: said once, and the program goes on" {
    [ "$(id -u)" -eq 0 ] || skip "mounting needs root"
    mkdir full
    mount -t tmpfs -o size=64k,mode=700 tmpfs full || skip "no tmpfs here"
    export ULLAGE_DIR=$SCRATCH/full/d
    mkdir -m 700 "$ULLAGE_DIR"
    head -c 40000 /dev/zero > full/filler
    run "$ULLAGE" run -- dd bs=16M if=small of=copy status=none
    full_output=$output
    rm full/filler
    # room for the first 64 KiB less a page: growth fails, not the start
    umount full
    mount -t tmpfs -o size=72k,mode=700 tmpfs full
    mkdir -m 700 "$ULLAGE_DIR"
    run "$ULLAGE" run --min-bytes 0 --json report.json -- sort numbers
    umount full
    cmp small copy
    [[ "$full_output" == *"No space left"* ]]
    [ "$status" -eq 0 ]
}

@test "no descriptor to spare, and a small file size limit: the program goes on" {
    run bash -c "ulimit -n 10; '$ULLAGE' run -- dd bs=16M if=small of=copy status=none"
    cmp small copy
    rm copy
    run bash -c "ulimit -f 45; '$ULLAGE' run -- dd bs=16M if=small of=copy status=none"
    cmp small copy
}

@test "LD_PRELOAD of somebody else stays" {
    LD_PRELOAD=libm.so.6 "$ULLAGE" run --json report.json -- sh -c 'echo "$LD_PRELOAD"' > out
    grep -q 'libullage-preload.so:libm.so.6' out
}

@test "a process tree: children are in the report" {
    "$ULLAGE" run --json report.json -- sh -c 'dd bs=16M if=small of=/dev/null status=none; xz -9 -c small > /dev/null; true'
    jq -e '[.. | objects | select(has("process")) | .process.command] | any(startswith("dd bs=16M"))' report.json
    jq -e '[.. | objects | select(has("process")) | .process.command] | any(startswith("xz -9"))' report.json
    jq -e '[.children[].sites[] | select(.flag == "oversized")] | length >= 3' report.json
}

@test "what still runs is named" {
    "$ULLAGE" run --json report.json -- sh -c "'$BUILD/records_naive' 10 5 > /dev/null 2>&1 & sleep 1" 2> err
    grep -qE 'still running.*[0-9]+' err
    pid=$(grep -oE '[0-9]+' err | head -n 1)
    run "$ULLAGE" report "$pid"
    [ "$status" -eq 0 ]
    [[ "$output" == *"runs"* ]]
    kill "$pid"
}

@test "--min-bytes 0 records every call exactly" {
    "$ULLAGE" run --min-bytes 0 --json report.json -- "$BUILD/pairs" 100 20000
    jq -e '[.sites[] | select(.requested_max_bytes == 100)] | .[0] | .allocations_total == 20000 and .frees_total == 20000' report.json
}

@test "samples of small ones add up to the truth" {
    "$ULLAGE" run --sample-bytes 64K --json report.json -- "$BUILD/pairs" 1000 1000000
    jq -e '.totals.requested_total_bytes / 1e9 | . > 0.95 and . < 1.05' report.json
    jq -e '.totals.requested_live_bytes < 1e6' report.json
}

@test "--exact turns huge pages off" {
    run "$ULLAGE" run --exact -- grep THP_enabled /proc/self/status
    [[ "$output" == *"THP_enabled:"*"0"* ]] || skip "this kernel does not show it"
}
