#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# What documents promise and a machine can see: links lead somewhere, every room and every option is described.
cd "$SOURCE" || exit 1
failed=0
for page in README.md CONTRIBUTING.md CHANGES.md docs/*.md; do
    [ -s "$page" ] || { echo "# $page is empty"; failed=1; }
    for target in $(grep -oE '\]\([^)#]+' "$page" | sed 's/](//' | grep -v '://'); do
        [ -e "$(dirname "$page")/$target" ] || { echo "# $page links to $target, which is not there"; failed=1; }
    done
done
for room in lib/*/ bench/*/ tools/*/; do
    grep -q "${room%/}" docs/architecture.md || { echo "# docs/architecture.md does not know $room"; failed=1; }
done
for option in $(grep -ohE '"--[a-z-]+|  --[a-z-]+' tools/*.c tools/bench/*.c bench/harness/*.c | grep -oE -- '--[a-z-]+' | sort -u); do
    grep -rq -- "$option" README.md docs || { echo "# no document tells of $option"; failed=1; }
done
for variable in $(grep -ohE '"ULLAGE_[A-Z_]+"' lib/*/*.c tools/*.c bench/harness/*.c | tr -d '"' | sort -u); do
    grep -rq "$variable" README.md docs || { echo "# no document tells of $variable"; failed=1; }
done
for name in $(sed -n 's/^    X(\([a-z_]*\), .*/\1/p' lib/ledger/format.h | grep _); do
    grep -q "$name" docs/json.md || { echo "# docs/json.md does not tell of the counter $name"; failed=1; }
done
for name in $(sed -n 's/^    { "\([a-z-]*\)", "[0-9.KM]*", .*/\1/p' lib/view/thresholds.c); do
    grep -q "\`$name\`" docs/flags.md || { echo "# docs/flags.md gives no reason for $name"; failed=1; }
done
for name in $(sed -n 's/^ *say_metric(run, "\([^"]*\)".*/\1/p' bench/harness/child.c); do
    grep -q "\`$name\`" docs/benchmarks.md || { echo "# docs/benchmarks.md does not tell of $name"; failed=1; }
done
[ $failed = 0 ] && echo "ok 1 - documents" || echo "not ok 1 - documents"
echo "1..1"
exit $failed
