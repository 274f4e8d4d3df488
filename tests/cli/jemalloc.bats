#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# jemalloc's own hooks: what they find without preloading, its figures, its profile, and every way they can be missing.
load common

jemalloc() { # the shared library, or skip
    LIBRARY=$(${CC:-cc} -print-file-name=libjemalloc.so.2)
    [ -e "$LIBRARY" ] || skip "no libjemalloc.so.2 here"
    [ -x "$BUILD/upload_jemalloc" ] || skip "built without jemalloc"
}

# linked_with_ullage PROGRAM SOURCE FLAG...
linked_with_ullage() {
    program=$1 source=$2
    shift 2
    ${CC:-cc} -g -O1 -I"$SOURCE/include" -o "$program" "$source" -L"$BUILD/.libs" -lullage -Wl,-rpath,"$BUILD/.libs" "$@"
}

@test "a 16 MiB chunk for 100 kB is flagged without preloading: jemalloc 5.3.0, every call" {
    jemalloc
    for conf in "" prof:true; do
        rm -rf "$ULLAGE_DIR"
        MALLOC_CONF=$conf "$BUILD/upload_jemalloc" > out
        "$ULLAGE" report --json > report.json
        [ "$(first_site .flag)" = oversized ]
        [ "$(first_site .kind)" = jemalloc ]
        [ "$(first_site .function)" = begin_upload ]
        [ "$(first_site .allocations_total)" -eq 200 ]
        [ "$(first_site .frees_total)" -eq 200 ]
        jq -e '.sites[0].suggested_bytes >= 100000 and .sites[0].suggested_bytes <= 200000' report.json
    done
}

@test "the same by samples: hooks as those of jemalloc 5.3.1" {
    linked_with_ullage double "$SOURCE/tests/cli/jemalloc_double.c" -rdynamic
    [ "$(./double)" = "done" ]
    "$ULLAGE" report --json > report.json
    jq -e '[.sites[] | select(.function == "sampled")] | length == 3' report.json
    jq -e '[.sites[] | select(any(.stack[]; .function == "upload"))] | .[0].flag == "oversized" and .[0].allocations_total == 100
        and .[0].frees_total == 100 and .[0].suggested_bytes <= 200000' report.json
    # resized in place: two samples, two ends, none left, no free unseen
    jq -e '[.sites[] | select(any(.stack[]; .function == "shrink"))] | map(.allocations_total) | add == 20' report.json
    jq -e '.totals.requested_live_bytes == 0 and .counters.reused_live_total == 0' report.json
    run ./double held
    [ "$status" -eq 1 ]
    [[ "$output" == -16\ *"prof_sample_free is held by"* ]]
}

@test "an unmodified program on Debian's jemalloc: ULLAGE_JEMALLOC=1" {
    jemalloc
    MALLOC_CONF=prof:true,lg_prof_sample:12 ULLAGE_JEMALLOC=1 LD_PRELOAD=$LIBRARY "$ULLAGE" run --json report.json -- \
        sort -S 8M numbers > sorted
    LC_ALL=C sort -c -n sorted || true
    jq -e '.counters | .jemalloc_installed == 1 and .jemalloc_sampled_total > 0 and .jemalloc_lg_prof_sample == 12
        and .jemalloc_prof_active == 1 and .jemalloc_resident_bytes > 0 and .jemalloc_active_bytes >= .jemalloc_allocated_bytes
        and .jemalloc_metadata_bytes > 0' report.json
    # the interposer sees the calls: nothing is recorded twice
    jq -e '[.sites[] | select(.kind == "jemalloc")] | length == 0' report.json
}

@test "heap profiles: written, counted, read by jeprof, with our stacks in them" {
    jemalloc
    command -v jeprof > /dev/null || skip "no jeprof"
    cat > dumper.c <<'END'
#include <ullage/jemalloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
__attribute__((noinline)) char *hold_on(void) { return malloc(3 << 20); }
int main(void)
{
    if (ullage_jemalloc_install() != 0)
        return printf("%s\n", ullage_jemalloc_error()), 1;
    if (ullage_jemalloc_reset(12) != 0 || ullage_jemalloc_activate(0) != 0)
        return 2;
    char *volatile unseen = malloc(5 << 20);
    if (ullage_jemalloc_activate(1) != 0)
        return 3;
    char *volatile held = hold_on();
    memset(held, 1, 10);
    if (ullage_jemalloc_dump("./heap") != 0 || ullage_jemalloc_dump(NULL) != 0 || ullage_jemalloc_refresh() != 0)
        return 4;
    int bad = ullage_jemalloc_dump("/no/such/place");
    printf("%d %d %s\n", bad, ullage_jemalloc_reset(99), ullage_jemalloc_error());
    free(held);
    free(unseen);
    return 0;
}
END
    linked_with_ullage dumper dumper.c "$LIBRARY"
    MALLOC_CONF=prof:true,abort_conf:false,prof_prefix:./own run ./dumper
    echo "$output"
    [ "$status" -eq 0 ]
    [[ "$output" == *"-5 -22 lg_sample is a logarithm"* ]]
    head -c 8 heap | grep -q heap_v2/
    ls own.*.heap
    jeprof --text ./dumper heap 2> /dev/null > text
    cat text
    head -n 3 text | grep -q hold_on
    ! grep -qE 'prof_backtrace|on_backtrace|je_malloc|ull_' text
    "$ULLAGE" report --json | jq -e '.counters.jemalloc_dumps_total >= 2 and .counters.jemalloc_lg_prof_sample == 12'
}

@test "what is missing is said in one line, and the program goes on" {
    jemalloc
    # says PATTERN VARIABLE=VALUE... -- : runs a program under the interposer, which prints one line
    says() {
        pattern=$1
        shift
        env "$@" ULLAGE_JEMALLOC=1 "$ULLAGE" run --json report.json -- printf 'out\n' > out 2> err
        [ "$(cat out)" = out ]
        grep -v '^<jemalloc>' err | grep '^ullage: ' > lines || true
        cat err
        [ "$(wc -l < lines)" -eq 1 ] && grep -qE "$pattern" lines
    }
    says "no jemalloc profile: this program does not run on jemalloc: link it, or LD_PRELOAD" A=1
    says "profiler is off: start the program with MALLOC_CONF=prof:true" LD_PRELOAD="$LIBRARY"
    says "profiler is off: start the program with MALLOC_CONF=prof:true" LD_PRELOAD="$LIBRARY" MALLOC_CONF=prof:false
    says "profiler is off" LD_PRELOAD="$LIBRARY" MALLOC_CONF=nonsense:maybe,,,
    cat > bare.c <<'END'
#include <string.h>
int mallctl(const char *name, void *old, unsigned long *old_bytes, void *now, unsigned long now_bytes)
{
    (void)old_bytes, (void)now, (void)now_bytes;
    if (strcmp(name, "config.prof") != 0)
        return 2;
    *(char *)old = 0;
    return 0;
}
END
    ${CC:-cc} -shared -fPIC -o libbare.so bare.c
    says "built without its profiler: take one configured with --enable-prof" LD_PRELOAD="$PWD/libbare.so"
    # in a tree of many processes on libc, one line
    ULLAGE_JEMALLOC=1 "$ULLAGE" run --json report.json -- sh -c 'true; ls / > /dev/null; ls / | sort > /dev/null' 2> err
    [ "$(grep -c '^ullage: ' err)" -eq 1 ]
}

@test "a hook that another library holds stays theirs" {
    jemalloc
    cat > holder.c <<'END'
#include <stddef.h>
int mallctl(const char *, void *, size_t *, void *, size_t);
static void theirs(void **frames, unsigned *count, unsigned limit) { (void)frames, (void)limit; *count = 0; }
__attribute__((constructor)) static void hold(void)
{
    void (*hook)(void **, unsigned *, unsigned) = theirs;
    mallctl("experimental.hooks.prof_backtrace", NULL, NULL, &hook, sizeof hook);
}
END
    ${CC:-cc} -shared -fPIC -o libholder.so holder.c "$LIBRARY"
    cat > asker.c <<'END'
#include <ullage/jemalloc.h>
#include <stdio.h>
int main(void) { printf("%d %s\n", ullage_jemalloc_install(), ullage_jemalloc_error()); return 0; }
END
    linked_with_ullage asker asker.c -Wl,--no-as-needed ./libholder.so "$LIBRARY" -Wl,-rpath,"$PWD"
    MALLOC_CONF=prof:true run ./asker
    echo "$output"
    [[ "$output" == "-16 experimental.hooks.prof_backtrace is held by"*libholder.so* ]]
    # and the four places for every call may be taken
    cat > four.c <<'END'
#include <ullage/jemalloc.h>
#include <stdio.h>
#include <stddef.h>
int mallctl(const char *, void *, size_t *, void *, size_t);
int main(void)
{
    void *hooks[4] = { NULL, NULL, NULL, NULL }, *handle;
    size_t bytes = sizeof handle;
    struct ullage_jemalloc_options options = ULLAGE_JEMALLOC_OPTIONS_INIT;
    for (int i = 0; i < 4; i++)
        mallctl("experimental.hooks.install", &handle, &bytes, hooks, sizeof hooks);
    options.every_call = true;
    int result = ullage_jemalloc_install_with(&options);
    printf("%d %s\n", result, ullage_jemalloc_error());
    options.size = 1;
    printf("%d\n", ullage_jemalloc_install_with(&options));
    return 0;
}
END
    linked_with_ullage four four.c "$LIBRARY"
    run ./four
    echo "$output"
    [[ "$output" == "-16 jemalloc's four places"* ]]
    [[ "$output" == *-22 ]]
}

@test "a program that links libullage, under ullage run: one recorder, one ledger" {
    jemalloc
    MALLOC_CONF=prof:true "$ULLAGE" run --json report.json -- "$BUILD/upload_jemalloc" > out
    [ "$(ls "$ULLAGE_DIR"/*.ledger | wc -l)" -eq 1 ]
    jq -e '[.sites[] | select(.function == "begin_upload")] | length == 1 and .[0].allocations_total == 200
        and .[0].kind == "malloc" and .[0].flag == "oversized"' report.json
    jq -e '.counters.jemalloc_installed == 1' report.json
}

@test "opened with dlopen: works, by the safe unwinder" {
    jemalloc
    cat > opener.c <<'END'
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
int main(int argc, char **argv)
{
    void *library = dlopen(argv[argc - 1], RTLD_NOW | RTLD_LOCAL);
    int (*install)(void) = library ? (int (*)(void))dlsym(library, "ullage_jemalloc_install") : NULL;
    if (!install)
        return printf("%s\n", dlerror()), 1;
    int result = install();
    for (int i = 0; i < 100; i++)
        free(malloc(100000));
    return printf("%d\n", result) < 0;
}
END
    ${CC:-cc} -g -O0 -o opener opener.c "$LIBRARY"
    MALLOC_CONF=prof:true,lg_prof_sample:12 run ./opener "$BUILD/.libs/libullage.so"
    [ "$output" = 0 ]
    "$ULLAGE" report --json | jq -e '.counters.jemalloc_sampled_total > 10'
}
