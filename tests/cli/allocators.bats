#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# The interposer over every allocator, linked or preloaded: all forms seen, none twice, no figure under the truth; and what
# nobody can stand before is recognized.
load common

library() { # NAME: its path, or skip
    FOUND=$(${CC:-cc} -print-file-name="$1")
    [ -e "$FOUND" ] || skip "no $1 here"
}

compile_forms() { # LIBRARY or nothing: linked with it
    command -v g++ > /dev/null || skip "no g++"
    g++ -std=c++17 -O0 -g -o forms "$SOURCE/tests/cli/forms.cc" -Wl,--no-as-needed "$@"
}

# every_form_is_seen KIND_OF_NEW ARGUMENT...: each line of output names a size; each is a site, allocated and freed once
every_form_is_seen() {
    new=$1
    shift
    alone=0 beside=0
    LD_PRELOAD=$PRELOADED ./forms "$@" > alone.out || alone=$?
    LD_PRELOAD=$PRELOADED "$ULLAGE" run --json report.json -- ./forms "$@" > beside.out || beside=$?
    [ "$alone" -eq "$beside" ]
    cmp alone.out beside.out
    [ "$(grep -c . alone.out)" -gt 18 ]
    while read -r number name_and_size; do
        size=${name_and_size##* }
        jq -e --argjson size "$size" '[.sites[] | select(.requested_max_bytes == $size)] | length == 1
            and .[0].allocations_total == .[0].frees_total and .[0].used_max_bytes >= 5000' report.json > /dev/null \
            || { echo "form $number $name_and_size"; jq -c --argjson size "$size" '[.sites[] | select(.requested_max_bytes == $size)]' report.json; return 1; }
    done < <(grep -E '^ *[0-9]+ ' alone.out | grep -v xallocx)
    jq -e --arg new "$new" '[.sites[] | select(.requested_max_bytes >= 1048576 and .kind == $new)] | length > 0' report.json
    jq -e '.counters.reused_live_total == 0' report.json
    jq -e '[.sites[] | select(.requested_max_bytes >= 1048576) | .function | select(test("main|jemalloc_calls") | not)] | length == 0' report.json
}

@test "every form, on glibc" {
    PRELOADED='' compile_forms
    PRELOADED='' every_form_is_seen malloc oom
}

@test "every form, on glibc, jemalloc's calls among them" {
    PRELOADED='' compile_forms
    "$ULLAGE" run --json report.json -- ./forms mallocx oom > out || [ $? -eq 7 ]
    grep -q 'nallocx holds' out
    grep -q 'xallocx  ' out
}

@test "every form, on jemalloc preloaded" {
    library libjemalloc.so.2
    compile_forms
    PRELOADED=$FOUND every_form_is_seen new mallocx oom
    PRELOADED=$FOUND every_form_is_seen mallocx mallocx oom
}

@test "every form, on jemalloc linked" {
    library libjemalloc.so.2
    compile_forms "$FOUND"
    PRELOADED='' every_form_is_seen new mallocx oom
    "$ULLAGE" run --json report.json -- ./forms mallocx oom > out || true
    jq -e '[.sites[] | select(.kind == "mallocx")] | length >= 4' report.json
}

@test "every form, on mimalloc preloaded, then linked" {
    library libmimalloc.so.2.0
    compile_forms
    PRELOADED=$FOUND every_form_is_seen new
    compile_forms "$FOUND"
    PRELOADED='' every_form_is_seen new
}

@test "every form, on tcmalloc preloaded, then linked" {
    library libtcmalloc_minimal.so.4
    compile_forms
    PRELOADED=$FOUND every_form_is_seen new oom
    compile_forms "$FOUND"
    PRELOADED='' every_form_is_seen new oom
}

@test "a plugin with its own libstdc++, opened with RTLD_LOCAL by a program in C" {
    command -v g++ > /dev/null || skip "no g++"
    cat > plugin.cc <<'END'
#include <cstring>
#include <vector>
extern "C" int go()
{
    std::vector<char> bytes(300000, 'x');
    char *more = new char[200000];
    std::memset(more, 1, 100);
    int sum = bytes[299999] + more[99];
    delete[] more;
    try { throw sum; } catch (int thrown) { return thrown; }
}
END
    cat > host.c <<'END'
#include <dlfcn.h>
#include <stdio.h>
int main(void)
{
    void *plugin = dlopen("./plugin.so", RTLD_NOW | RTLD_LOCAL);
    int (*go)(void) = plugin ? (int (*)(void))dlsym(plugin, "go") : 0;
    return printf("%d\n", go ? go() : -1) < 0;
}
END
    g++ -O0 -g -fPIC -shared -o plugin.so plugin.cc
    ${CC:-cc} -O0 -g -o host host.c
    same_as_alone ./host
    [ "$(cat alone.out)" = 121 ]
    jq -e '[.sites[] | select(.requested_max_bytes == 200000 and .allocations_total == 1 and .frees_total == 1)] | length == 1' report.json
    ${CC:-cc} -O0 -g -o host host.c
    g++ -O0 -g -fPIC -shared -static-libstdc++ -static-libgcc -o plugin.so plugin.cc
    same_as_alone ./host
    [ "$(cat alone.out)" = 121 ]
}

accurate_on() { # LIBRARY LEAST_EXACT_PERCENT
    library "$1"
    for method in pagemap-scan pagemap mincore; do
        LD_PRELOAD=$FOUND ULLAGE_MEASURE=$method "$ULLAGE" run --json report.json --threshold min-peak=1 --threshold min-total=1 \
            -- "$BUILD/accuracy" 600 21 > truth
        /usr/bin/python3 "$SOURCE/tests/cli/accuracy-check.py" truth report.json "$2"
        jq -e --arg method $method '.measuring.method == $method' report.json > /dev/null
    done
}

@test "buffers of known use on jemalloc, by each method" { accurate_on libjemalloc.so.2 15; }
@test "buffers of known use on mimalloc, by each method" { accurate_on libmimalloc.so.2.0 15; }
@test "buffers of known use on tcmalloc, by each method" { accurate_on libtcmalloc_minimal.so.4 10; }

@test "buffers of known use in huge pages: an upper bound of 2 MiB, and to a page with --exact" {
    grep -q '\[never\]' /sys/kernel/mm/transparent_hugepage/enabled && skip "huge pages are off here"
    export GLIBC_TUNABLES=glibc.malloc.hugetlb=1 # glibc asks for them with madvise(2)
    for method in pagemap-scan pagemap mincore; do
        ULLAGE_MEASURE=$method "$ULLAGE" run --json report.json --threshold min-peak=1 --threshold min-total=1 \
            -- "$BUILD/accuracy" 400 22 > truth
        /usr/bin/python3 "$SOURCE/tests/cli/accuracy-check.py" truth report.json 10
        jq -e '[.sites[].used_granularity_bytes] | max == 2097152' report.json
        ULLAGE_MEASURE=$method "$ULLAGE" run --exact --json report.json --threshold min-peak=1 --threshold min-total=1 \
            -- "$BUILD/accuracy" 400 22 > truth
        /usr/bin/python3 "$SOURCE/tests/cli/accuracy-check.py" truth report.json 15
        jq -e '[.sites[].used_granularity_bytes] | max == 4096' report.json
    done
    # the report for people says so
    "$ULLAGE" run -- "$BUILD/accuracy" 400 22 > truth 2> text
    grep -q 'to 2 MiB' text
}

@test "what nobody can stand before is said: static, an allocator linked in, setuid" {
    cat > plain.c <<'END'
#include <stdlib.h>
#include <string.h>
int main(void)
{
    char *volatile p = malloc(1 << 20);
    memset(p, 1, 100);
    free(p);
    return 3;
}
END
    ${CC:-cc} -static -o fixed plain.c || skip "no static libc"
    run "$ULLAGE" run -- ./fixed
    [ "$status" -eq 3 ]
    [[ "$output" == *"no ledger: ./fixed is linked statically"* ]]
    archive=$(${CC:-cc} -print-file-name=libjemalloc.a)
    if [ -e "$archive" ]; then
        ${CC:-cc} -o inside plain.c "$archive" -lstdc++ -lm -lpthread -ldl
        run "$ULLAGE" run -- ./inside
        [ "$status" -eq 3 ]
        [[ "$output" == *"./inside has an allocator of its own linked in"* ]]
    fi
    ${CC:-cc} -o plain plain.c
    [ "$(id -u)" -eq 0 ] || skip "needs root for a setuid program"
    chmod 755 "$SCRATCH"
    chmod u+s plain
    cp "$ULLAGE" "$PRELOAD" .
    chmod 755 ullage libullage-preload.so
    ULLAGE_DIR='' ULLAGE_PRELOAD=$SCRATCH/libullage-preload.so run setpriv --reuid=65534 --clear-groups ./ullage run -- ./plain
    echo "$output"
    [ "$status" -eq 3 ]
    [[ "$output" == *"no ledger: ./plain is setuid"* ]]
    rm -rf /dev/shm/ullage-65534
}
