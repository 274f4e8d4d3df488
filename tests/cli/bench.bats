#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# ullage bench: counts that are exact, regressions that are found with their stack, and what misbehaves reported as that.
# PATTERNS=N for more designed patterns than 100 under each allocator.
load common

bench_setup() {
    export ULLAGE_PRELOAD=$PRELOAD
    SUBJECT=$BUILD/bench_subject
    QUICK="--count 2 --time 0.002"
}

# gate_with PLANT ARGUMENT...: the status in $status, what it said in out
gate_with() {
    local plant=$1
    shift
    status=0
    PLANT=$plant "$ULLAGE" bench gate --baseline baseline.json "$@" -- "$SUBJECT" > out 2>&1 || status=$?
    cat out
}

# run_with PLANT ARGUMENT...
run_with() {
    local plant=$1
    shift
    status=0
    # shellcheck disable=SC2086
    PLANT=$plant "$ULLAGE" bench run $QUICK --timeout 2 --filter odd,parse --format json -o out.json "$@" -- "$SUBJECT" 2> err || status=$?
    jq -c '.results[] | [.name, .status, .message, .note]' out.json
}

result() { jq -r --arg name "$1" ".results[] | select(.name == \$name) | $2" out.json; }

check_patterns() { # ALLOCATOR FIRST
    FIRST_PATTERN=$2 PATTERNS=${PATTERNS:-100} LD_PRELOAD=$1 "$BUILD/bench_patterns" --count 1 --time 0.000001 --format json --out "patterns.json"
    jq -e --argjson n "${PATTERNS:-100}" '.results | length == $n and all(.status == "ok" and .note == "")' patterns.json
    jq -r '.results[] | .count_iterations as $n | .threads as $t | (.metrics | map({(.name): .samples}) | add) as $m
        | {name, n: $n, allocs: ($m["allocs/op"] | map(. * $n * $t)), bytes: ($m["B/op"] | map(. * $n * $t)), peak: $m["peak-live-bytes"],
           leak: ($m["leaked-B/op"] | map(. * $n * $t)), truth: [$m["truth-allocs"][0] * $n, $m["truth-bytes"][0] * $n,
           $m["truth-peak"][0] + $m["truth-leak"][0] * ($n - 1), $m["truth-leak"][0] * $n]}
        | select(([.allocs[], .truth[0]] | map(. + 0.5 | floor) | unique | length) != 1
              or ([.bytes[], .truth[1]] | map(. + 0.5 | floor) | unique | length) != 1
              or ([.peak[], .truth[2]] | unique | length) != 1 or ([.leak[], .truth[3]] | map(. + 0.5 | floor) | unique | length) != 1)' patterns.json > wrong
    cat wrong
    [ ! -s wrong ]
}

library() { ldconfig -p | awk -v name="$1" '$1 == name { print $NF; exit }'; }

@test "counting is exact: designed patterns, threads, frees across threads, glibc" {
    bench_setup
    check_patterns "" 0
}

@test "counting is exact: jemalloc, mimalloc, tcmalloc" {
    bench_setup
    first=100
    for name in libjemalloc.so.2 libmimalloc.so.2 libtcmalloc_minimal.so.4; do
        found=$(library $name)
        [ -n "$found" ] || skip "$name is not installed"
        check_patterns "$found" $first || { echo "under $name"; return 1; }
        first=$((first + ${PATTERNS:-100}))
    done
}

@test "a baseline is written only when asked to; against itself all is well" {
    bench_setup
    gate_with ""
    [ "$status" -eq 5 ]
    grep -q -- '--update' out
    [ ! -e baseline.json ]
    gate_with "" --update
    [ "$status" -eq 0 ]
    jq -e '.programs.bench_subject.benchmarks | length == 13' baseline.json
    cp baseline.json before
    for _ in 1 2 3; do
        gate_with ""
        [ "$status" -eq 0 ]
    done
    cmp baseline.json before
    # figures that no decimal fraction has: a third of an allocation, written with fifteen digits, once came back as more
    FIRST_PATTERN=28 PATTERNS=1 "$ULLAGE" bench gate --baseline thirds.json --update -- "$BUILD/bench_patterns"
    FIRST_PATTERN=28 PATTERNS=1 "$ULLAGE" bench gate --baseline thirds.json --fail-on improvement,inconclusive -- "$BUILD/bench_patterns"
    # set-up and what is done with the clock stopped is not in it
    jq -e '.programs.bench_subject.benchmarks["sized/4096"].metrics | .["allocs/op"].value == 1 and .["B/op"].value == 4096 and .["peak-live-bytes"].value == 4096' baseline.json
}

@test "planted regressions: each found, with the stack that grew" {
    bench_setup
    gate_with "" --update
    gate_with alloc
    [ "$status" -eq 2 ]
    grep -q 'allocs/op: 2 -> 3' out
    grep -A1 'grew: +1 allocs/op +300 B/op' out | grep -q 'make_node < parse <'
    [ "$(grep -c REGRESSION out)" -eq 2 ] # it, and the last line
    gate_with default
    [ "$status" -eq 2 ]
    grep -q 'peak-live-bytes: 131,072 -> 16,777,216' out
    grep -A2 'grew' out | grep -q 'open_upload <'
    grep -qE 'at most 10[0-9]{4} B of each were used' out
    gate_with leak
    [ "$status" -eq 2 ]
    grep -q 'leaked-B/op: 0 -> 64' out
    grep -A1 'leaked +64 B/op' out | grep -q 'make_node < forget <'
    gate_with peak
    [ "$status" -eq 2 ]
    grep -q 'workers/threads:4' out
    grep -q 'peak-live-bytes: 400,000 -> 500,000' out
    gate_with vanish
    [ "$status" -eq 2 ]
    grep -q 'vanished' out
    # the way back is an improvement, and fails only if that is asked for
    cp baseline.json good
    PLANT=alloc "$ULLAGE" bench gate --baseline baseline.json --update -- "$SUBJECT"
    gate_with ""
    [ "$status" -eq 0 ]
    grep -q 'improvement  *parse' out
    gate_with "" --fail-on improvement
    [ "$status" -eq 4 ]
    # tolerances are the reader's to write, and --update keeps them
    jq '.programs.bench_subject.benchmarks.parse.metrics |= map_values(.absolute = 400)' good > baseline.json
    gate_with alloc --filter parse
    [ "$status" -eq 0 ]
    gate_with "" --update
    jq -e '.programs.bench_subject.benchmarks.parse.metrics["B/op"].absolute == 400' baseline.json
}

@test "against a base in the same run: 10 % more time is found where the spread allows it, and the same program is not" {
    bench_setup
    status=0
    "$ULLAGE" bench gate --base "$SUBJECT" --filter burn --time 0.01 -- "$BUILD/bench_subject_slow" > out 2>&1 || status=$?
    cat out
    # a machine that is too restless for it has to say so; it must not call it fine
    [ "$status" -eq 2 ] || grep -q inconclusive out
    grep -qE 'REGRESSION|inconclusive' out
    status=0
    "$ULLAGE" bench gate --base "$SUBJECT" --filter burn,parse --time 0.005 -- "$SUBJECT" > out 2>&1 || status=$?
    cat out
    [ "$status" -eq 0 ]
    # without a baseline the base's counts are what is held against
    PLANT=alloc "$ULLAGE" bench run --count 1 --time 0.001 --filter parse --format json -o /dev/null -- "$SUBJECT"
}

@test "a benchmark that crashes, hangs, exits, fails, forks, prints or leaves threads: reported as that, the others run" {
    bench_setup
    for plant in crash:crashed abort:crashed 'hang:timed out' exit:exited fail:failed; do
        run_with "${plant%%:*}"
        [ "$status" -eq 3 ]
        [ "$(result odd .status)" = "${plant#*:}" ]
        [ "$(result parse .status)" = ok ]
    done
    run_with abort
    result odd .message | grep -q 'SIGABRT: assertion: the moon is full'
    run_with exit
    result odd .message | grep -q 'status 7'
    for plant in 'child:left processes behind' 'fork:left processes behind' 'print:prints' 'thread:left . thread' 'nan:not finite'; do
        run_with "${plant%%:*}"
        [ "$status" -eq 0 ]
        [ "$(result odd .status)" = ok ]
        result odd .note | grep -q "${plant#*:}" || { echo "no note of $plant"; return 1; }
    done
    run_with skip
    [ "$status" -eq 0 ]
    [ "$(result odd .status)" = skipped ]
    ! pgrep -x -r R,S,D bench_subject
}

@test "counted repetitions that differ are unstable, not averaged" {
    bench_setup
    gate_with "" --update --filter odd
    for _ in $(seq 20); do
        PLANT=unstable "$BUILD/bench_subject" --filter odd --count 1 --time 0.001 --format json > out.json
        [ "$(jq '.results[0].metrics[] | select(.name == "allocs/op") | .unstable' out.json)" = true ] && break
    done
    jq -e '.results[0].metrics[] | select(.name == "allocs/op") | .unstable and .exact' out.json
    for _ in $(seq 20); do
        gate_with unstable --filter odd --fail-on inconclusive
        grep -q unstable out && break
    done
    grep -q 'unstable: repetitions gave' out
    [ "$status" -eq 6 ]
}

@test "a gate with a benchmark that is broken, and one whose baseline may not be updated by it" {
    bench_setup
    gate_with "" --update
    gate_with crash
    [ "$status" -eq 3 ]
    grep -q 'BROKEN  *odd' out
    cp baseline.json before
    gate_with crash --update
    [ "$status" -eq 3 ]
    cmp baseline.json before
    gate_with skip --fail-on inconclusive
    [ "$status" -eq 6 ]
}

@test "a damaged or foreign baseline: exit 5, what is wrong, and the file is as it was" {
    bench_setup
    gate_with "" --update --filter parse
    cp baseline.json good
    head -c 200 good > baseline.json
    gate_with ""
    [ "$status" -eq 5 ]
    grep -q 'damaged' out
    # asked to write, it still overwrites nothing that it does not understand
    cp baseline.json before
    gate_with "" --update
    [ "$status" -eq 5 ]
    cmp baseline.json before
    for edit in '.kind = "other"' '.version = 9' 'del(.programs)' '.programs.bench_subject = 3' '.programs.bench_subject.benchmarks.parse.iterations = -1' \
        '.programs.bench_subject.benchmarks.parse.metrics["B/op"].value = "many"' '.programs.bench_subject.benchmarks.parse.metrics = []' \
        '.programs.bench_subject.benchmarks.parse.stacks[0].functions = [3]' '.programs.bench_subject.benchmarks.parse.metrics["B/op"].relative = -1' \
        '.programs = {"another_program": .programs.bench_subject}' '[]' '"text"'; do
        jq "$edit" good > baseline.json
        cp baseline.json before
        gate_with ""
        [ "$status" -eq 5 ] || { echo "status $status after $edit"; return 1; }
        cmp baseline.json before
    done
    echo '{}' > baseline.json
    gate_with ""
    [ "$status" -eq 5 ]
    : > baseline.json
    gate_with ""
    [ "$status" -eq 5 ]
    # another program's entries stay, and a link stays a link
    jq '.programs.another = .programs.bench_subject' good > there.json
    ln -sf there.json baseline.json
    gate_with "" --update --filter parse
    [ "$status" -eq 0 ]
    [ -L baseline.json ]
    jq -e '.programs.another.benchmarks.parse' there.json > /dev/null
    rm baseline.json
    jq '.programs.bench_subject.benchmarks["\u001b[31mred"] = .programs.bench_subject.benchmarks.parse' good > baseline.json
    gate_with ""
    ! grep -q "$(printf '\033')" out
    mkfifo pipe
    status=0
    timeout 10 "$ULLAGE" bench gate --baseline pipe -- "$SUBJECT" 2> err || status=$?
    [ "$status" -eq 5 ]
    mkdir directory
    status=0
    "$ULLAGE" bench gate --baseline directory -- "$SUBJECT" 2> err || status=$?
    [ "$status" -eq 5 ]
    status=0
    "$ULLAGE" bench gate --baseline /nonexistent/baseline.json --update --filter parse -- "$SUBJECT" 2> err || status=$?
    [ "$status" -eq 1 ]
    grep -q '/nonexistent/baseline.json' err
}

@test "no way around the gate" {
    bench_setup
    gate_with "" --update
    # a filter that matches nothing
    gate_with "" --filter nonesuch
    [ "$status" -eq 1 ]
    # what vanished is a failure in every format
    status=0
    PLANT=vanish "$ULLAGE" bench gate --baseline baseline.json --format junit -o out.xml -- "$SUBJECT" || status=$?
    [ "$status" -eq 2 ]
    grep -q 'group/two' out.xml
    grep -qE 'failures="[1-9]' out.xml
    # a group that skips all of itself is skipped, not vanished
    gate_with gskip
    [ "$status" -eq 0 ]
    grep -A1 'whole' out | grep -q 'no moon for any of it'
    # a metric that somebody took out is not gated, and that is said
    cp baseline.json good
    jq 'del(.programs.bench_subject.benchmarks.session.metrics["leaked-B/op"])' good > baseline.json
    gate_with "" --filter session
    grep -q 'leaked-B/op: not gated' out
    # repetitions that differ are no excuse for being more, all of them
    jq '.programs.bench_subject.benchmarks.odd.metrics["allocs/op"].value = 0.99' good > baseline.json
    for _ in 1 2 3; do
        gate_with unstable --filter odd
        [ "$status" -eq 2 ]
    done
    # a leak behind a realloc with the clock stopped
    cp good baseline.json
    gate_with hidden --filter cache
    [ "$status" -eq 2 ]
    grep -q 'leaked-B/op: 0 -> 200' out
    # own names for own metrics; a clock that is reset in the loop
    run_with own --filter cache
    result cache .note | grep -q 'left out'
    run_with resets --filter cache
    [ "$(result cache .status)" = failed ]
    # without a baseline the base tells what there was
    sed 's/ULLAGE_BENCH(burn)/ULLAGE_BENCH(burnt)/' "$SOURCE/tests/cli/bench_subject.c" > renamed.c
    ${CC:-cc} -O2 -I"$SOURCE/include" -o renamed renamed.c -L"$BUILD/.libs" -lullage-bench -Wl,-rpath,"$BUILD/.libs"
    status=0
    "$ULLAGE" bench gate --base "$SUBJECT" --filter burn --time 0.001 -- ./renamed > out 2>&1 || status=$?
    cat out
    [ "$status" -eq 2 ]
    grep -q 'vanished: the base has it' out
    # options that would make it count nothing
    run "$ULLAGE" bench exec --no-memory --baseline baseline.json --update -- "$BUILD/bench_threads" 1
    [ "$status" -eq 1 ]
    run "$ULLAGE" bench exec --update -- "$BUILD/bench_threads" 1
    [ "$status" -eq 1 ]
    "$ULLAGE" bench exec --baseline whole.json --update --count 10 -- "$BUILD/bench_threads" 10
    run "$ULLAGE" bench exec --baseline whole.json --count 20 -- "$BUILD/bench_threads" 20
    [ "$status" -eq 5 ]
    status=0
    "$ULLAGE" bench gate --baseline baseline.json --filter parse -- "$SUBJECT" > /dev/full 2> err || status=$?
    [ "$status" -eq 1 ]
}

@test "an allocator that is linked into the program: said, and never counted as nothing" {
    bench_setup
    cat > own.c <<'END'
#include <stddef.h>
static char heap[1 << 20];
static size_t used;
void *malloc(size_t bytes) { char *p = heap + used; used = (used + bytes + 31) & ~(size_t)15; return used < sizeof heap ? p : NULL; }
void *calloc(size_t count, size_t bytes) { return malloc(count * bytes); }
void *realloc(void *p, size_t bytes) { (void)p; return malloc(bytes); }
void free(void *p) { (void)p; }
END
    ${CC:-cc} -O1 -fno-builtin -I"$SOURCE/include" -o own "$SOURCE/tests/cli/bench_subject.c" own.c -L"$BUILD/.libs" -lullage-bench -Wl,-rpath,"$BUILD/.libs"
    status=0
    "$ULLAGE" bench run --count 1 --time 0.00001 --filter group/one -- ./own > out 2>&1 || status=$?
    cat out
    [ "$status" -eq 3 ]
    tr -s '\n ' ' ' < out | grep -q 'allocations cannot be counted'
    status=0
    "$ULLAGE" bench gate --baseline own.json --update --filter group/one -- ./own > out 2>&1 || status=$?
    [ "$status" -eq 3 ]
    [ ! -e own.json ]
    printf 'int main(void) { return 0; }\n' > still.c
    ${CC:-cc} -static -o still still.c
    "$ULLAGE" bench exec --repetitions 2 --format json -o out.json -- ./still
    jq -e '.results[0] | (.metrics | map(.name) | index("allocs/op")) == null and (.note | test("no ledger"))' out.json
}

@test "peaks of threads that meet or do not: no false alarm, and twice as much is found" {
    bench_setup
    for _ in 1 2 3 4; do
        rm -f baseline.json
        gate_with "" --update --filter loose
        gate_with "" --filter loose
        [ "$status" -eq 0 ]
        gate_with "" --filter loose
        [ "$status" -eq 0 ]
    done
    gate_with loose --filter loose
    [ "$status" -eq 2 ]
}

@test "variants: in turn, as ratios to one of them; several programs and several variables" {
    bench_setup
    # shellcheck disable=SC2086
    "$ULLAGE" bench run $QUICK --filter burn --variant plain= --variant slow="$BUILD/bench_subject_slow" --variant other=A=1 --variant other=B=2 \
        --against plain --format json -o out.json -- "$SUBJECT"
    jq -e '[.results[].variant] == ["plain", "slow", "other"]' out.json
    jq -e '.results | all(.status == "ok" and (.metrics | map(select(.name == "ns/op"))[0].samples | length == 2))' out.json
    jq -e '[.results[].iterations] | unique | length == 1' out.json
    # shellcheck disable=SC2086
    "$ULLAGE" bench run $QUICK --filter burn --base "$SUBJECT" -- "$BUILD/bench_subject_slow" > out
    cat out
    grep -q base out
    run "$ULLAGE" bench run --variant nonsense -- "$SUBJECT"
    [ "$status" -eq 1 ]
    run "$ULLAGE" bench run --against nobody -- "$SUBJECT"
    [ "$status" -eq 1 ]
}

@test "compare: what was counted decides, what was timed is shown" {
    bench_setup
    # shellcheck disable=SC2086
    "$ULLAGE" bench run $QUICK --filter parse,burn --format json -o old.json -- "$SUBJECT"
    # shellcheck disable=SC2086
    PLANT=alloc "$ULLAGE" bench run $QUICK --filter parse,burn --format json -o new.json -- "$SUBJECT"
    "$ULLAGE" bench compare old.json old.json
    status=0
    "$ULLAGE" bench compare old.json new.json > out || status=$?
    cat out
    [ "$status" -eq 2 ]
    grep -qE 'allocs/op +2 +3 +\+50.0 % +GREW' out
    "$ULLAGE" bench compare new.json old.json > out
    grep -q 'fewer' out
    for edit in '.kind = 1' '.version = 2' '.results = 3' '.results[0].name = ""' '.results[0].metrics[0].samples = ["x"]' '.results += .results' 'del(.results[0].metrics[0].name)'; do
        jq "$edit" old.json > bad.json
        run "$ULLAGE" bench compare bad.json old.json
        [ "$status" -eq 1 ] || { echo "status $status after $edit"; return 1; }
        [[ "$output" == *bad.json* ]]
    done
    run "$ULLAGE" bench compare nothing.json old.json
    [ "$status" -eq 1 ]
}

@test "exec: a whole program, per request, a second, and per thread; and its gate" {
    bench_setup
    "$ULLAGE" bench exec --repetitions 3 --count 100 --format json -o out.json -- "$BUILD/bench_threads" 100
    jq -e '.results[0] | .name == "bench_threads" and .status == "ok" and .iterations == 100' out.json
    for metric in ns/op cpu-ns/op minor-faults/op voluntary-switches/op cpu-s/s faults/s switches/s peak-rss-bytes allocs/op B/op peak-live-bytes; do
        jq -e --arg m "$metric" '.results[0].metrics | map(select(.name == $m and (.samples | length) >= 2)) | length == 1' out.json > /dev/null || { echo "no $metric"; return 1; }
    done
    # each request is handed to a thread and back: both are switched
    jq -e '[.results[0].metrics[] | select(.name | test("^thread:.*switches/s$"))] | length >= 2' out.json
    jq -e '.results[0].metrics[] | select(.name == "voluntary-switches/op") | .median >= 1' out.json
    # one buffer of 1 MiB a request
    jq -e '.results[0].metrics[] | select(.name == "B/op") | .median >= 1048576 and .median < 1100000' out.json
    "$ULLAGE" bench exec --baseline whole.json --update --count 100 -- "$BUILD/bench_threads" 100
    "$ULLAGE" bench exec --baseline whole.json --count 100 -- "$BUILD/bench_threads" 100
    status=0
    LARGER=1 "$ULLAGE" bench exec --baseline whole.json --count 100 -- "$BUILD/bench_threads" 100 > out || status=$?
    cat out
    [ "$status" -eq 2 ]
    grep -q 'serve' out
    run "$ULLAGE" bench exec -- false
    [ "$status" -eq 3 ]
    run "$ULLAGE" bench exec -- /nonexistent
    [ "$status" -eq 1 ]
}

@test "options: what is wrong is said, exit 1" {
    bench_setup
    for arguments in "run" "run --count 0 -- x" "run --format nonsense -- x" "run --nonsense -- x" "gate -- $SUBJECT" "gate --update -- $SUBJECT" \
        "compare a" "nonsense" "exec" "run -- /nonexistent/program" "run -- true" "run --filter nothing -- $SUBJECT" "gate --baseline b --fail-on nonsense -- $SUBJECT"; do
        # shellcheck disable=SC2086
        run "$ULLAGE" bench $arguments
        [ "$status" -eq 1 ] || { echo "status $status of: $arguments"; return 1; }
        [ -n "$output" ]
    done
    for verb in run gate exec compare; do
        "$ULLAGE" bench $verb --help > out
        [ "$(awk '{ if (length($0) > 80) print }' out | wc -l)" -eq 0 ]
    done
    for arguments in "--count x" "--time 0" "--format nonsense" "unexpected" "--nonsense" "--filter nothing"; do
        # shellcheck disable=SC2086
        run "$BUILD/bench_subject" $arguments
        [ "$status" -eq 1 ] || { echo "status $status of: $arguments"; return 1; }
    done
    [ "$("$BUILD/bench_subject" --list | wc -l)" -eq 13 ]
    ULLAGE_PRELOAD=/nonexistent run "$BUILD/bench_subject" --count 1 --time 0.001 --filter parse
    [ "$status" -eq 0 ]
    [[ "$output" == *"time alone"* ]]
    run "$ULLAGE" bench run --count 1 --time 0.001 --filter parse -o /dev/full -- "$SUBJECT"
    [ "$status" -eq 1 ]
}

@test "ended by a signal midway: neither a process nor a directory is left" {
    bench_setup
    for delay in 0.05 0.15 0.25 0.35 0.5; do
        "$ULLAGE" bench gate --base "$SUBJECT" --time 0.002 -- "$SUBJECT" > /dev/null 2>&1 3>&- &
        pid=$!
        sleep $delay
        kill -TERM $pid
        status=0
        wait $pid || status=$?
        [ "$status" -eq 143 ]
        # nothing says which directories were its own: none that no process of ours could still be using
        sleep 0.1
        [ -z "$(find /dev/shm "${TMPDIR:-/tmp}" -maxdepth 1 -name 'ullage-bench-??????' -newer "$SCRATCH/small" 2> /dev/null)" ]
        ! pgrep -x -r R,S,D bench_subject
    done
}

@test "our own benchmarks ask for no more than bench/baseline.json says" {
    bench_setup
    [ -z "${UNDER_SANITIZER:-}" ] || skip "a sanitizer's allocator is another program"
    "$ULLAGE" bench gate --baseline "$SOURCE/bench/baseline.json" -- "$BUILD/bench_finder"
}

@test "bench_record: each way reads what was sent; nobody is lied out of memory, and no half-record hangs" {
    for way in raw placed xdrrec naive ullage; do set -- "$@" --variant "$way=BENCH_READER=$way"; done
    timeout 200 "$ULLAGE" bench run --no-memory --count 1 --time 0.0001 "$@" --format json -o all.json -- "$BUILD/bench_record"
    jq -c '.results[] | select(.status != "ok" and .status != "skipped") | [.name, .variant, .status, .message]' all.json > wrong
    cat wrong
    [ ! -s wrong ]
    [ "$(jq '[.results[] | select(.variant == "ullage" and .status == "ok")] | length' all.json)" -eq 19 ]
    metric() { jq ".results[] | select(.variant == \"$1\" and .name == \"$2\") | .metrics[] | select(.name == \"$3\") | .median" all.json; }
    at_most() { awk "BEGIN { exit !($1 <= $2) }"; }
    [ "$(metric ullage half_records_1000 hung)" -eq 0 ]
    [ "$(metric ullage half_records_1000 whole)" -ge 10 ]
    # memory does not depend on the hour, as times do
    at_most "$(metric ullage announced_10000/0 rss-bytes)" 4e6
    at_most "$(metric ullage announced_10000/4 rss-bytes)" 4e6
    at_most "$(metric ullage idle_10000 idle-bytes)" 256
    at_most "$(metric ullage story_326 held-bytes)" 1e6
    at_most 326e6 "$(metric naive story_326 held-bytes)"
}
