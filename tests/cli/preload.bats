#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# The interposer in unmodified programs: nothing changes for them.
load common

@test "every call and every error is as without" {
    same_as_alone "$BUILD/calls"
    ULLAGE_MIN_BYTES=0 same_as_alone "$BUILD/calls"
    ULLAGE_CLEAR_MALLOC=1 ULLAGE_MIN_BYTES=4096 same_as_alone "$BUILD/calls"
}

@test "dd, gzip, zstd, xz: unchanged" {
    same_as_alone dd if=numbers bs=64K count=3 status=none
    same_as_alone gzip -nc numbers
    same_as_alone zstd -qc numbers
    same_as_alone xz -T2 -c numbers
}

@test "sort, tar: unchanged" {
    same_as_alone sort -R --random-source=numbers numbers
    same_as_alone tar --sort=name -cf - -C / etc/alternatives
}

@test "sqlite3, curl, git: unchanged" {
    same_as_alone sqlite3 :memory: "with recursive c(x) as (select 1 union all select x+1 from c where x<50000) select group_concat(x) from c"
    same_as_alone curl -s "file://$SCRATCH/numbers"
    git init -q repo
    cp numbers repo/
    (cd repo && git add numbers && git -c user.name=a -c user.email=a@b commit -qm one)
    same_as_alone git -C repo log --stat -p
}

@test "perl, python3: unchanged" {
    same_as_alone perl -e '$x = "a" x (10 << 20); print length $x, "\n"; print join(",", map { $_ * 2 } 1 .. 20000)'
    same_as_alone /usr/bin/python3 -c 'import json; b = [bytearray(100000) for i in range(99)]; print(json.dumps(list(range(50000))))'
}

@test "failing programs fail in the same way" {
    same_as_alone false
    same_as_alone dd if=/no/such/file
    same_as_alone sort /no/such/file
    same_as_alone sh -c 'echo out; echo err >&2; exit 9'
    same_as_alone sh -c 'kill -SEGV $$'
}

@test "backtrace and _Unwind_* of the program are its own" {
    nm -D --defined-only "$PRELOAD" | awk '{ print $3 }' | sort > names
    ! grep -E 'Unwind|backtrace|unw_' names
    ! readelf -d "$PRELOAD" | grep NEEDED | grep -vE 'libc.so.6|ld-linux'
}

@test "threads, forks, dlopen and signals at once, recorded and exact" {
    for how in "" ULLAGE_MIN_BYTES=0 ULLAGE_UNWINDER=libgcc ULLAGE_MEASURE=pagemap ULLAGE_MEASURE=mincore; do
        run env $how timeout 120 "$ULLAGE" run --json report.json -- "$BUILD/race_preload" 300
        echo "$how: $output"
        [ "$status" -eq 0 ]
        [[ "$output" == *"0 children failed"* ]]
        jq -e '[.. | objects | select(has("live_count")) | .live_count >= 0] | all' report.json
        jq -e '.children | length == 24' report.json
    done
}

@test "a forked child takes over what lives" {
    cat > forker.c <<'END'
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
int main(void)
{
    char *inherited = malloc(5 << 20), *kept = malloc(3 << 20);
    memset(inherited, 1, 4096);
    if (fork() == 0) {
        char *own = malloc(7 << 20);
        memset(own, 1, 8192);
        free(inherited);
        exit(0);
    }
    wait(NULL);
    free(inherited);
    free(kept);
    return 0;
}
END
    ${CC:-cc} -g -O0 forker.c -o forker
    "$ULLAGE" run --json report.json -- ./forker
    jq -e '.children | length == 1' report.json
    jq -e '.children[0] | .counters.inherited_total == 2 and (.sites | length == 3)' report.json
    jq -e '.children[0].sites[] | select(.requested_max_bytes == 5242880) | .frees_total == 1 and .live_count == 0' report.json
    jq -e '.children[0].sites[] | select(.requested_max_bytes == 3145728) | .live_count == 1' report.json
    jq -e '.sites[] | select(.requested_max_bytes == 5242880) | .allocations_total == 1 and .frees_total == 1' report.json
    # the same place has the same id in parent and child
    jq -e '([.sites[].id] - [.children[0].sites[].id]) | length == 0' report.json
}

@test "exec: the new image has its own ledger" {
    "$ULLAGE" run --json report.json -- sh -c 'exec dd bs=16M if=small of=/dev/null status=none'
    [ "$(first_site .flag)" = oversized ]
}

@test "static constructors, C++ new, and the place that asked" {
    command -v g++ > /dev/null || skip "no g++"
    cat > things.cc <<'END'
#include <vector>
static std::vector<char> early(300000);
__attribute__((noinline)) static std::vector<char> *make_things() { return new std::vector<char>(5 << 20); }
int main()
{
    auto *things = make_things();
    char *volatile plain = new char[2 << 20]; /* volatile: the compiler may leave out an allocation nobody sees */
    (*things)[0] = plain[0] = 1;
    delete things;
    delete[] plain;
    return (int)early.size() == 300000 ? 0 : 1;
}
END
    g++ -g -O1 things.cc -o things
    "$ULLAGE" run --json report.json -- ./things
    jq -e '.sites[] | select(.requested_max_bytes == 5242880) | (.function | startswith("make_things")) and (.file | endswith("things.cc"))' report.json
    jq -e '.sites[] | select(.requested_max_bytes == 2097152) | .function == "main"' report.json
    jq -e '[.sites[] | select(.requested_max_bytes == 300000)] | length == 1' report.json
}

@test "two libraries at one address: every stack is right" {
    "$ULLAGE" run --json report.json -- "$BUILD/plugins" "$BUILD/.libs/plugin_a.so" "$BUILD/.libs/plugin_b.so" 200 > out
    [ "$(awk '{ print $1 }' out)" -gt 150 ] || skip "the loader did not reuse the address"
    jq -e '[.sites[] | select(.requested_max_bytes == 200000 and .function == "work_of_a") | .allocations_total] | add == 208' report.json
    jq -e '[.sites[] | select(.requested_max_bytes == 200000 and .function == "work_of_b") | .allocations_total] | add == 200' report.json
    jq -e '[.sites[] | select(.requested_max_bytes == 200000)] | all(.function == "work_of_a" or .function == "work_of_b")' report.json
    jq -e '.counters.unloads_total == 200' report.json
}

@test "closefrom and dup2 over our descriptors" {
    cat > closer.c <<'END'
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(void)
{
    free(memset(malloc(1 << 20), 1, 4096));
    closefrom(3);
    for (int i = 0; i < 2000; i++) /* more sites and buffers than the first 64 KiB hold */
        memset(malloc(70000), 1, 4096);
    int file = open("mine", O_RDWR | O_CREAT | O_TRUNC, 0600);
    for (int fd = 3; fd < 1010; fd++)
        dup2(file, fd);
    for (int i = 0; i < 2000; i++)
        memset(malloc(70000), 1, 4096);
    return write(file, "mine", 4) != 4;
}
END
    ${CC:-cc} -g -O0 closer.c -o closer
    "$ULLAGE" run --json report.json -- ./closer
    [ "$(cat mine)" = mine ]
    jq -e '.totals.allocations_total >= 4001' report.json
    jq -e '[.sites[] | select(.requested_max_bytes == 70000) | .confidence.buffers] | add == 4000' report.json
}

@test "a daemon that uses descriptor 2 for data keeps it clean" {
    cat > two.c <<'END'
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(void)
{
    close(2);
    if (open("data", O_RDWR | O_CREAT | O_TRUNC, 0600) != 2)
        return 1;
    memset(malloc(1 << 20), 1, 4096);
    return write(2, "data", 4) != 4;
}
END
    ${CC:-cc} -O0 two.c -o two
    ULLAGE_DIR=/proc/nowhere LD_PRELOAD=$PRELOAD ./two
    [ "$(cat data)" = data ]
}
