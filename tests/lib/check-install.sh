#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Installed as a distribution would: the command finds its interposer, and a program outside the tree links the library.
place=$(mktemp -d /tmp/ullage-install-XXXXXX) || exit 1
trap 'rm -rf "$place"' EXIT
failed=0
step() {
    if [ "$1" = 0 ]; then echo "ok $2"; else echo "not ok $2"; failed=1; sed 's/^/# /' "$place/log" | tail -n 15; fi
}

(cd "$BUILD" && "${MAKE:-make}" install DESTDIR="$place/stage") > "$place/log" 2>&1
step $? "1 - make install DESTDIR"
root=$place/stage$(sed -n "s/^prefix=//p" "$BUILD/lib/view/ullage-view.pc")
cat > "$place/outside.c" <<'END'
#include <ullage/export.h>
#include <ullage/view.h>
#include <stdio.h>
int main(void)
{
    struct ullage_ledger_info *list;
    size_t count;
    int result = ullage_ledger_list(&list, &count, NULL);
    printf("%s %d %zu\n", ullage_version(), result, count);
    ullage_ledger_list_free(list);
    return result != 0 || count != 1;
}
END
export ULLAGE_DIR="$place/ledgers"
head -c 40000 /dev/urandom > "$place/small"
"$root/bin/ullage" run -- dd bs=16M if="$place/small" of=/dev/null > "$place/log" 2>&1 && grep -q oversized "$place/log"
step $? "2 - the installed command finds its interposer, moved as it is"
flags=$(PKG_CONFIG_PATH="$root/lib/pkgconfig" PKG_CONFIG_SYSROOT_DIR="$place/stage" pkg-config --cflags --libs ullage-view 2> "$place/log") \
    && ${CC:-cc} "$place/outside.c" -o "$place/outside" $flags > "$place/log" 2>&1
step $? "3 - a program outside the tree builds by pkg-config"
LD_LIBRARY_PATH="$root/lib" "$place/outside" > "$place/log" 2>&1
step $? "4 - and runs against the installed library"
g++ -x c++ -fsyntax-only $flags "$place/outside.c" > "$place/log" 2>&1
step $? "5 - the headers are C++ too"
cat > "$place/linked.c" <<'END'
#include <ullage/ullage.h>
#include <stdio.h>
int main(void)
{
    struct ullage_profile *profile = ullage_profile_get("things");
    ullage_profile_add(profile, &profile);
    printf("%d\n", ullage_jemalloc_install());
    return profile == NULL;
}
END
flags=$(PKG_CONFIG_PATH="$root/lib/pkgconfig" PKG_CONFIG_SYSROOT_DIR="$place/stage" pkg-config --cflags --libs ullage 2> "$place/log") \
    && ${CC:-cc} "$place/linked.c" -o "$place/linked" $flags > "$place/log" 2>&1 \
    && [ "$(LD_LIBRARY_PATH="$root/lib" "$place/linked")" = -95 ] && ULLAGE_DIR="$place/ledgers" "$root/bin/ullage" report > "$place/log" 2>&1 \
    && grep -q 'things: 1 held at the end' "$place/log" && g++ -x c++ -fsyntax-only $flags "$place/linked.c" > "$place/log" 2>&1
step $? "6 - a program links libullage by pkg-config, and its live profile is in the report"
cp -r "$SOURCE/examples/bench_user" "$place/user" && chmod -R u+w "$place/user"
bench_user() { # TARGET: as its README says, with what was installed
    PKG_CONFIG_PATH="$root/lib/pkgconfig" PKG_CONFIG_SYSROOT_DIR="$place/stage" LD_LIBRARY_PATH="$root/lib" \
        "${MAKE:-make}" -C "$place/user" CC="${CC:-cc}" ULLAGE="$root/bin/ullage" "$@" > "$place/log" 2>&1
}
bench_user bench && grep -q 'split/4096' "$place/log" && bench_user gate && grep -q '3 benchmarks: 3 ok' "$place/log"
step $? "7 - a project outside the tree measures and gates itself"
# one allocation for each word: what its gate is there for
sed -i 's/words->all\[words->count++\] = word;/words->all[words->count++] = strdup(word);/' "$place/user/words.c"
bench_user gate
[ $? -eq 2 ] && grep -q 'REGRESSION' "$place/log" && grep -qE 'grew:.*leaked' "$place/log" && grep -q 'words_split <' "$place/log"
step $? "8 - and its gate finds an allocation for each word, with the stack"
if [ -e "$root/lib/pkgconfig/ullage-xdr.pc" ]; then
    cat > "$place/decodes.c" <<'END'
#include <rpc/rpc.h>
#include <ullage/ullage.h>
#include <ullage/xdr.h>
int main(void)
{
    static const unsigned char bytes[] = { 0, 0, 0, 7, 0xff, 0xff, 0xff, 0xff };
    struct ullage_record record = { .data = bytes, .bytes = sizeof bytes, .fragments = 1 };
    XDR xdrs;
    u_int number = 0, length = 0;
    char *text = NULL;
    ullage_xdr_record(&xdrs, &record);
    return !(xdr_u_int(&xdrs, &number) && number == 7 && !xdr_bytes(&xdrs, &text, &length, ~0u) && text == NULL);
}
END
    flags=$(PKG_CONFIG_PATH="$root/lib/pkgconfig" PKG_CONFIG_SYSROOT_DIR="$place/stage" pkg-config --cflags --libs ullage-xdr 2> "$place/log") \
        && ${CC:-cc} "$place/decodes.c" -o "$place/decodes" $flags $(pkg-config --cflags libtirpc) > "$place/log" 2>&1 \
        && LD_LIBRARY_PATH="$root/lib" "$place/decodes" > "$place/log" 2>&1
    step $? "9 - a program decodes a record with libullage-xdr"
else
    echo "ok 9 - libullage-xdr # SKIP libtirpc was not there (libtirpc-dev)"
fi
echo "1..9"
exit $failed
