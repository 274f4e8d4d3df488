#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# Streams of records cut everywhere, through every form of the reader, against an oracle that shares no line with it.

ORACLE=$BATS_TEST_DIRNAME/../lib/record-oracle.py

setup_file() {
    export CORPUS=$BATS_FILE_TMPDIR
    ULLAGE_DIR=$CORPUS/ledgers
    export ULLAGE_DIR
    command -v python3 > /dev/null || return 0
    python3 "$ORACLE" "$CORPUS"
}

setup() {
    command -v python3 > /dev/null || skip "no python3"
    cd "$CORPUS"
}

agree() { # FAMILY...
    local family streams=
    for family in "$@"; do
        streams="$streams $(echo "$family"-*.stream)"
    done
    # shellcheck disable=SC2086
    "$BUILD/record_forms" --check $streams
}

@test "records of one fragment, and of many, and of many that are empty" {
    agree single multi zero
}

@test "caps: one below, at it, one above; what no record begins with; announcements" {
    agree caps refused announced
}

@test "numbers of fragments, and their average" {
    agree count
}

@test "caps of procedures, seen early and late" {
    agree procedure
}

@test "RPC messages, and what is none" {
    agree message
}

@test "the stream ends at every byte" {
    agree eos
}

@test "large records" {
    agree large
}

@test "mixtures" {
    agree mixed
}

@test "each form by itself says what the oracle says" {
    options=$(cat mixed-003.options)
    # shellcheck disable=SC2086
    python3 "$ORACLE" --read mixed-003.stream $options > said
    sed -E 's/^(end [^ ]+ [0-9]+) [0-9]+$/\1/' said > expected
    "$BUILD/record_forms" --forms > forms
    [ "$(grep -cE '^(feed|callback|turns|pipe|socket|blocking|file)' forms)" -ge 15 ]
    while read -r form; do
        # shellcheck disable=SC2086
        "$BUILD/record_forms" --form "$form" --step 3 $options mixed-003.stream > read
        cmp read expected
    done < forms
}

@test "and a difference is seen: a byte, an offset, a record more or less, another error" {
    for change in '2s/adler32 .*/adler32 00000001/' '1s/offset 0/offset 1/' '1s/fragments 1/fragments 2/' 1d '1{p;s/x/x/}' \
        's/^end 0 0/end ECONNRESET 0/' 's/^end 0 0/end EMSGSIZE 0/'; do
        cp single-many.stream changed.stream
        cp single-many.options changed.options
        sed "$change" single-many.expected > changed.expected
        ! cmp -s changed.expected single-many.expected || { echo "no change: $change"; return 1; }
        run "$BUILD/record_forms" --check changed.stream
        [ "$status" -eq 1 ] || { echo "not seen: $change"; return 1; }
    done
    rm changed.*
}
