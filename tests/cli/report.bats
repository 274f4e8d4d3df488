#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# `ullage report` and `ullage ls`: live, dead, damaged, somebody else's.
load common

one_ledger() {
    "$ULLAGE" run --json report.json -- dd bs=16M if=small of=/dev/null status=none
    LEDGER=$(ls "$ULLAGE_DIR"/*.ledger)
}

@test "the newest ledger, one by path, one by pid" {
    one_ledger
    pid=$(jq .process.pid report.json)
    run "$ULLAGE" report
    [ "$status" -eq 0 ]
    [[ "$output" == *"dd bs=16M"*"oversized"* ]]
    run "$ULLAGE" report "$LEDGER"
    [ "$status" -eq 0 ]
    run "$ULLAGE" report "$pid"
    [ "$status" -eq 0 ]
    run "$ULLAGE" report --error-exitcode 9
    [ "$status" -eq 9 ]
    "$ULLAGE" report --json | jq -e '.sites[0].flag == "oversized"'
}

@test "a live process is measured now, from outside" {
    "$ULLAGE" run --json final.json -- "$BUILD/records_naive" 50 2 > /dev/null &
    runner=$!
    sleep 1
    pid=$(pgrep -n -x records_naive)
    "$ULLAGE" report --json "$pid" > live.json
    "$ULLAGE" ls | grep -E "^ *$pid +live"
    wait $runner
    [ "$(jq -r .process.state live.json)" = live ]
    [ "$(jq '.sites[0].confidence.buffers' live.json)" -eq 50 ]
    [ "$(jq '.sites[0].used_max_bytes' live.json)" -eq 4080 ]
    jq -e '.sites[0].used_age_ns < 1e9' live.json
    [ "$(first_site .live_count final.json)" -eq 0 ]
}

@test "ls: pid, state and command, newest first" {
    one_ledger
    "$ULLAGE" run -- sh -c 'dd bs=16M if=small of=/dev/null status=none; kill -9 $$' 2> /dev/null || true
    "$ULLAGE" ls > list
    grep -qE '^ +PID +STATE' list
    [ "$(grep -c 'exited.*dd bs=16M' list)" -eq 2 ]
}

@test "nothing there: said, with what to do" {
    run "$ULLAGE" report
    [ "$status" -eq 2 ]
    [[ "$output" == *"ullage run"* ]]
    run "$ULLAGE" report 1
    [ "$status" -eq 2 ]
    [[ "$output" == *"process 1 has no ledger"* ]]
    run "$ULLAGE" report 99999999999
    [ "$status" -eq 2 ]
    run "$ULLAGE" report /no/such.ledger
    [ "$status" -eq 2 ]
    run "$ULLAGE" ls
    [ "$status" -eq 0 ]
    [[ "$output" == *"no ledger in"* ]]
}

@test "damaged, empty, cut, foreign: one line, exit 2" {
    one_ledger
    : > empty.ledger
    head -c 100 "$LEDGER" > stub.ledger
    head -c 65536 /dev/urandom > noise.ledger
    cp "$LEDGER" version.ledger
    printf '\x09' | dd of=version.ledger bs=1 seek=8 conv=notrunc status=none
    for bad in empty.ledger stub.ledger noise.ledger version.ledger /tmp /dev/zero small; do
        run "$ULLAGE" report "$bad"
        echo "$bad: $output"
        [ "$status" -eq 2 ]
        [ "${#lines[@]}" -eq 1 ]
    done
    run "$ULLAGE" report version.ledger
    [[ "$output" == *"version 9"* ]]
}

@test "a ledger that was cut gives what is whole, and says so" {
    one_ledger
    head -c 40000 "$LEDGER" > cut.ledger
    run "$ULLAGE" report cut.ledger
    [ "$status" -eq 0 ]
    [[ "$output" == *"cut off after 40000 of"* ]]
}

@test "another user's ledger" {
    [ "$(id -u)" -eq 0 ] || skip "needs root to give a file away"
    one_ledger
    cp "$LEDGER" theirs.ledger
    chown 65534 theirs.ledger
    run "$ULLAGE" report theirs.ledger # root may
    [ "$status" -eq 0 ]
    [[ "$output" == *oversized* ]]
    cp "$LEDGER" ours.ledger
    chmod 755 "$SCRATCH"
    chmod 644 ours.ledger
    cp "$ULLAGE" ./ullage || skip "not a program file"
    run setpriv --reuid=65534 --clear-groups ./ullage report ours.ledger
    [ "$status" -eq 2 ]
    [[ "$output" == *"user 0"* ]]
}

@test "bad options" {
    for bad in "--nonsense" "a b" "--top x" "--threshold x=1" "--error-exitcode 999"; do
        run "$ULLAGE" report $bad
        echo "$bad: $output"
        [ "$status" -eq 2 ]
    done
    run "$ULLAGE" ls extra
    [ "$status" -eq 2 ]
}

@test "a changed binary is not believed" {
    cp "$BUILD/records_naive" program
    "$ULLAGE" run --json report.json -- ./program 10 0 > /dev/null
    [ "$(first_site .function)" = new_record ]
    cp "$BUILD/loop" program
    "$ULLAGE" report --json > after.json
    [ "$(first_site .function after.json)" = null ]
    jq -e '.warnings | any(contains("changed on disk"))' after.json
}

@test "separate debug files: by build id in a directory that is named" {
    command -v objcopy > /dev/null || skip "no objcopy"
    cp "$BUILD/records_naive" program
    id=$(readelf -n program | awk '/Build ID/ { print $3 }')
    mkdir -p debug/.build-id/${id:0:2}
    objcopy --only-keep-debug program debug/.build-id/${id:0:2}/${id:2}.debug
    strip program
    "$ULLAGE" run --json report.json -- ./program 10 0 > /dev/null
    [ "$(first_site .function)" = null ]
    "$ULLAGE" report --debug-dir "$SCRATCH/debug" --json > named.json
    [ "$(first_site .function named.json)" = new_record ]
    [ "$(first_site .line named.json)" -gt 0 ]
    run "$ULLAGE" report
    [[ "$output" == *"--debug-dir"* ]]
}
