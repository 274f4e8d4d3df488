#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# What the libraries export: the version scripts' names, declared in the public headers, and nothing else.
cd "$BUILD" || exit 1
failed=0

# names_of HEADER...: the functions that they declare
names_of() { (cd "$SOURCE/include/ullage" && grep -hE '^[a-z_].*\bullage_[a-z_]+\(' "$@" | grep -oE '\bullage_[a-z_]+\(' | tr -d '(' | sort -u); }
# exported_by LIBRARY
exported_by() { nm -D --defined-only ".libs/$1" | awk '$2 == "T" { sub(/@.*/, "", $3); print $3 }' | sort; }

write_headers="alloc.h budget.h buffer.h jemalloc.h pool.h profile.h record.h recording.h site.h"
read_headers="view.h export.h procedures.h"
bench_headers="bench.h bench_result.h"
xdr_headers="xdr.h"
for header in "$SOURCE"/include/ullage/*.h; do
    case " $write_headers $read_headers $bench_headers $xdr_headers ullage.h " in
    *" $(basename "$header") "*) ;;
    *) echo "# $(basename "$header") belongs to no library: say so in tests/lib/check-symbols.sh"; failed=1 ;;
    esac
done
same() { # LIBRARY HEADER...: exports what its headers declare
    library=$1
    shift
    [ -e ".libs/$library" ] || return 0
    exported_by "$library" | grep '^ullage_' > exported
    names_of "$@" > named
    cmp -s exported named || { diff named exported | sed "s/^/# $library: /"; failed=1; }
    [ "$(wc -l < exported)" -gt 5 ] || { echo "# $library exports nothing"; failed=1; }
}
# shellcheck disable=SC2086
same libullage-view.so $read_headers
# shellcheck disable=SC2086
same libullage.so $write_headers
# shellcheck disable=SC2086
same libullage-bench.so $bench_headers
same libullage-xdr.so $xdr_headers
[ ! -e .libs/libullage.so ] || [ "$(exported_by libullage.so | grep -v '^ullage_' | tr '\n' ' ')" = "dlclose pipe2 " ] || { echo "# libullage.so exports something else"; failed=1; }
[ $failed = 0 ] && echo "ok 1 - the libraries export their headers" || echo "not ok 1 - the libraries"

preload_failed=0
if [ -e .libs/libullage-preload.so ]; then
    nm -D --defined-only .libs/libullage-preload.so | awk '{ sub(/@.*/, "", $3); print $3 }' | sort > preload.exported
    # shellcheck disable=SC2086
    { sed 's|/\*.*\*/||' "$SOURCE/lib/preload/preload.map" | tr ';' '\n' | sed -n '/global/,/local/p' | grep -oE '\b[a-z_A-Z0-9]+$' | grep -vE 'global|local'
      names_of $write_headers; } | sort > preload.named
    cmp -s preload.exported preload.named || { diff preload.named preload.exported | sed 's/^/# /'; preload_failed=1; }
fi
[ $preload_failed = 0 ] && echo "ok 2 - the interposer exports what it interposes" || echo "not ok 2 - the interposer"
echo "1..2"
rm -f exported named preload.exported preload.named
[ $failed = 0 ] && [ $preload_failed = 0 ]
