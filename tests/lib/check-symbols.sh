#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# What the libraries export: the version scripts' names, declared in the public headers, and nothing else.
cd "$BUILD" || exit 1
failed=0

nm -D --defined-only .libs/libullage-view.so | awk '$2 == "T" { sub(/@.*/, "", $3); print $3 }' | sort > view.exported
grep -ohE '\bullage_[a-z_]+\(' "$SOURCE"/include/ullage/view.h "$SOURCE"/include/ullage/export.h | tr -d '(' | sort -u > view.named
# what is exported is declared
undeclared=$(comm -23 view.exported view.named)
[ -z "$undeclared" ] || { echo "# exported, in no header: $undeclared"; failed=1; }
# what is declared is there
for name in $(grep -hE '^[a-z].*\bullage_[a-z_]+\(' "$SOURCE"/include/ullage/*.h | grep -oE '\bullage_[a-z_]+\(' | tr -d '(' | sort -u); do
    grep -qx "$name" view.exported || { echo "# declared, not exported: $name"; failed=1; }
done
[ "$(wc -l < view.exported)" -gt 10 ] || { echo "# nothing is exported"; failed=1; }
[ $failed = 0 ] && echo "ok 1 - libullage-view exports its headers" || echo "not ok 1 - libullage-view"

preload_failed=0
if [ -e .libs/libullage-preload.so ]; then
    nm -D --defined-only .libs/libullage-preload.so | awk '{ sub(/@.*/, "", $3); print $3 }' | sort > preload.exported
    tr ';' '\n' < "$SOURCE/lib/preload/preload.map" | sed -n '/global/,/local/p' | grep -oE '\b[a-z_A-Z]+$' | grep -vE 'global|local' | sort > preload.named
    cmp -s preload.exported preload.named || { diff preload.named preload.exported | sed 's/^/# /'; preload_failed=1; }
fi
[ $preload_failed = 0 ] && echo "ok 2 - the interposer exports what it interposes" || echo "not ok 2 - the interposer"
echo "1..2"
rm -f view.exported view.named preload.exported preload.named
[ $failed = 0 ] && [ $preload_failed = 0 ]
