#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Who may include whom: held against every #include in the tree. The table is docs/architecture.md's.
cd "$SOURCE" || exit 1

allowed() {
    case "$1" in
    lib/base)    echo "base" ;;
    lib/pages)   echo "base pages" ;;
    lib/ledger)  echo "base ledger ullage/budget.h" ;;
    lib/measure) echo "base pages ledger measure ullage" ;;
    lib/pool)    echo "base ledger measure pool ullage" ;;
    lib/buffer)  echo "base ledger measure pool buffer ullage" ;;
    lib/record)  echo "base ledger measure buffer record ullage" ;;
    lib/xdr)     echo "xdr ullage" ;;
    lib/preload) echo "base pages ledger measure pool preload ullage" ;;
    lib/view)    echo "base pages ledger/format.h ullage view" ;;
    lib/export)  echo "base ullage view/snapshot.h export" ;;
    tools)       echo "ullage bench/bench.h" ;;
    tools/bench) echo "ullage" ;;
    bench/harness) echo "ullage" ;;
    bench/format) echo "ullage" ;;
    bench|examples|examples/bench_user) echo "ullage" ;;
    include/ullage) echo "ullage" ;;
    *) echo "?" ;;
    esac
}

failed=0
checked=0
for file in $(find lib tools bench examples include -name '*.[ch]' | sort); do
    room=$(dirname "$file")
    rules=$(allowed "$room")
    if [ "$rules" = "?" ]; then
        echo "# $file: no rule for the room $room: add one here and in docs/architecture.md"
        failed=1
        continue
    fi
    for included in $(sed -n 's/^#include "\(.*\)"$/\1/p' "$file"); do
        checked=$((checked + 1))
        case "$included" in */*) ;; *) continue ;; esac # config.h, or a file of its own folder
        fits=0
        for rule in $rules; do
            [ "$included" = "$rule" ] && fits=1
            [ "${included%%/*}" = "$rule" ] && fits=1
        done
        [ $fits = 1 ] || { echo "# $file includes $included, which its room may not"; failed=1; }
    done
done
[ $checked -gt 100 ] || { echo "# only $checked includes found: the check is blind"; failed=1; }
[ $failed = 0 ] && echo "ok 1 - $checked includes follow the rooms" || echo "not ok 1 - includes"
echo "1..1"
exit $failed
