#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The main job, three times: two programs that nobody here wrote, and story 1, with its end. Run in a folder where ullage was built.
set -eu
ullage=./ullage
[ -x "$ullage" ] || { echo "demo.sh: no ./ullage here: run it in the folder of the build" >&2; exit 2; }
place=$(mktemp -d /tmp/ullage-demo-XXXXXX)
trap 'rm -rf "$place"' EXIT
export ULLAGE_DIR="$place/ledgers"
seq 1 8000 | head -c 40000 > "$place/file"

echo "== dd with a block of 16 MiB, on a file of 40 kB =="
"$ullage" run -- dd bs=16M if="$place/file" of=/dev/null status=none

echo
echo "== xz -9 on the same =="
"$ullage" run -- xz -9 -c "$place/file" > /dev/null

# killed_after_2_s PROGRAM: the report says what its 326 connections held
killed_after_2_s() {
    "$ullage" run -- "$1" 326 30 &
    runner=$!
    sleep 2
    # the program is the runner's only child
    kill -9 "$(ps -o pid= --ppid "$runner" | tr -d ' ')"
    wait "$runner" || [ $? = 137 ]
}

echo
echo "== 326 idle connections of a naive record reader, killed with -9 after 2 s =="
killed_after_2_s ./records_naive

echo
echo "== the same 326 with ullage's record reader =="
killed_after_2_s ./records_capped
