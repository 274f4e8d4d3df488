#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The demo that README shows, as its reader would see it: each part says what it has to.
out=$(mktemp /tmp/ullage-demo-XXXXXX) || exit 1
trap 'rm -f "$out"' EXIT
failed=0
(cd "$BUILD" && sh "$SOURCE/examples/demo.sh") > "$out" 2>&1
result=$?
says() {
    if tr -s ' \n' ' ' < "$out" | grep -qE "$2"; then echo "ok $1 - $3"; else echo "not ok $1 - $3"; failed=1; fi
}
says 1 'asked for 16.0 MiB once, used at most 40.0 KiB of it: 40 KiB would do' 'dd'
says 2 'xz.*oversized.*sparse|xz.*sparse.*oversized' 'xz'
says 3 'new_record \(records_naive.c:[0-9]+\) asked for 1.0 MiB 326 times, used at most 4.0 KiB of each: 4 KiB would do, and save 324.7 MiB' 'records_naive after kill -9'
says 4 "ullage.s record reader .* [0-9.]+ KiB requested at peak, .* Nothing is flagged.* readers: 326 held" 'records_capped after kill -9'
if [ $result = 0 ]; then echo "ok 5 - status"; else echo "not ok 5 - status $result"; failed=1; fi
[ $failed = 0 ] || sed 's/^/# /' "$out"
echo "1..5"
exit $failed
