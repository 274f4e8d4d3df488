#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# However a process ends, its measured use is in the report, with its age.
load common

mortal() {
    cat > mortal.c <<'END'
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
__attribute__((noinline)) static char *reserve(size_t bytes)
{
    char *buffer = malloc(bytes);
    __asm__ volatile("" : "+r"(buffer));
    return buffer;
}
int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "";
    for (int i = 0; i < 8; i++)
        memset(reserve(16 << 20), 1, 100000);
    puts("ready");
    fflush(stdout);
    if (argc > 2)
        sleep((unsigned)atoi(argv[2]));
    if (strcmp(how, "abort") == 0)
        abort();
    if (strcmp(how, "_exit") == 0)
        _exit(6);
    if (strcmp(how, "segfault") == 0)
        *(volatile int *)8 = 1;
    if (strcmp(how, "kill") == 0)
        raise(SIGKILL);
    if (strcmp(how, "eat") == 0)
        for (;;) {
            char *more = malloc(1 << 20);
            if (more == NULL)
                raise(SIGKILL);
            memset(more, 1, 1 << 20);
        }
    return 0;
}
END
    ${CC:-cc} -g -O0 -o mortal mortal.c
}

# the eight buffers: measured, flagged; read at most @1 s before the end
known() {
    jq -e --argjson most "$1" '.sites | map(select(.function == "reserve")) | .[0] | .live_count == 8 and .confidence.buffers == 8
        and .flag == "oversized" and .used_max_bytes >= 100000 and .used_max_bytes < 108192 and .used_age_ns <= $most * 1e9' report.json
}

dies() { # STATUS ARGUMENT...
    expected=$1
    shift
    status=0
    "$ULLAGE" run --json report.json -- ./mortal "$@" > out || status=$?
    [ "$status" -eq "$expected" ]
    [ "$(cat out)" = ready ]
}

@test "_exit: measured in the last moment" { mortal; dies 6 _exit; known 0.2; jq -e '.process.state == "exited"' report.json; }
@test "abort: measured from outside, a second ago at most" { mortal; dies 134 abort 2; known 2; jq -e '.process.signal == 6' report.json; }
@test "segfault" { mortal; dies 139 segfault 2; known 2; jq -e '.process.signal == 11' report.json; }
@test "SIGKILL" { mortal; dies 137 kill 2; known 2; jq -e '.process.signal == 9' report.json; }
@test "SIGKILL within the first second: what the program itself had measured, or unknown and not flagged" {
    mortal
    dies 137 kill
    jq -e '.sites | map(select(.function == "reserve")) | .[0] | (.flag == null or .confidence.buffers > 0)' report.json
}

@test "the OOM killer of a cgroup, or a memory limit and a kill where no cgroup can be made" {
    mortal
    group=
    for parent in /sys/fs/cgroup/memory /sys/fs/cgroup; do
        limit=memory.max
        [ "$parent" = /sys/fs/cgroup ] || limit=memory.limit_in_bytes
        if mkdir "$parent/ullage-test-$$" 2> /dev/null && echo 64M > "$parent/ullage-test-$$/$limit" 2> /dev/null; then
            group=$parent/ullage-test-$$
            break
        fi
        rmdir "$parent/ullage-test-$$" 2> /dev/null || true
    done
    status=0
    if [ -n "$group" ]; then
        "$ULLAGE" run --json report.json -- sh -c 'echo $$ > '"$group"'/cgroup.procs; exec ./mortal eat 2' > out || status=$?
        killed=$(grep -oE 'oom_kill [0-9]+' "$group"/memory.oom_control "$group"/memory.events 2> /dev/null | grep -oE '[0-9]+$' || true)
        rmdir "$group" || true
        [ "$status" -eq 137 ]
        echo "# a real OOM kill in $group: ${killed:-counted nowhere}" >&3
    else
        "$ULLAGE" run --json report.json -- sh -c 'ulimit -v 400000; exec ./mortal eat 2' > out || status=$?
        [ "$status" -eq 137 ]
        echo "# no cgroup can be made here: a memory limit and a kill instead" >&3
    fi
    known 3
    jq -e '.process.signal == 9' report.json
}

@test "a copy that was made while it ran, as after a power cut: whole, or cut anywhere" {
    mortal
    "$ULLAGE" run --json report.json -- ./mortal "" 2 > out &
    runner=$!
    sleep 1.6
    mkdir copy
    cp "$ULLAGE_DIR"/*.ledger "$ULLAGE_DIR"/*.sidecar copy/
    wait $runner
    ledger=$(ls copy/*.ledger)
    # the machine forgot the process: nothing of it can be asked any more
    pkill -x mortal || true
    "$ULLAGE" report --json "$ledger" > report.json
    known 3
    size=$(stat -c %s "$ledger")
    for cut in 100 4096 5000 20000 40000 $((size - 1)); do
        head -c $cut "$ledger" > copy/cut.ledger
        run "$ULLAGE" report copy/cut.ledger
        [ "$status" -eq 0 ] || [ "$status" -eq 2 ]
        [ -n "$output" ]
    done
    # a sidecar that was cut is left out, and that is said
    head -c 100 "${ledger%.ledger}.sidecar" > half && mv half "${ledger%.ledger}.sidecar"
    "$ULLAGE" report --json "$ledger" | jq -e '.warnings | any(test("sidecar"))'
}
