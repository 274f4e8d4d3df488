#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# Reports of benchmarks, laid before the programs that are to read them. Debian: jq libxml2-utils libbenchmark-tools
# python3-scipy prometheus (for promtool; its daemon is not needed) perl locales. benchstat is not packaged there:
# go install golang.org/x/perf/cmd/benchstat@latest, and have it on the PATH or name it in BENCHSTAT.
load common

write() {
    "$BUILD/write_formats" "$@"
}

# Each line of Go's format is one of: a key of ours, what is said of a unit, a benchmark, a verdict and its reason.
go_grammar() {
    awk '
    function bad(why) { print "line " NR ": " why ": " $0; faults++ }
    function number(text) { return text ~ /^-?[0-9]+(\.[0-9]+)?(e[-+][0-9]+)?$/ }
    /^Benchmark/ {
        benchmarks++
        fields = split($0, field, /[ \t]+/)
        if (field[1] !~ /^Benchmark[A-Z][^ \t]*-[1-9][0-9]*$/) bad("name")
        if (field[2] !~ /^[1-9][0-9]*$/ || length(field[2]) > 19) bad("iterations")
        if (fields < 4 || fields % 2) bad("pairs")
        delete seen
        for (i = 3; i < fields; i += 2) {
            if (!number(field[i])) bad("value " field[i])
            if (field[i + 1] == "" || number(field[i + 1]) || field[i + 1] in seen) bad("unit " field[i + 1])
            seen[field[i + 1]] = 1
        }
        next
    }
    /^Unit / {
        if ($0 !~ /^Unit [^ \t]+( assume=exact)?( better=(lower|higher))?$/ || NF < 3) bad("unit")
        if ($2 in said) bad("said twice")
        if (benchmarks) bad("too late")
        said[$2] = 1
        next
    }
    /^(goos|goarch|pkg|cpu): [^ ]/ { if ($1 in keys || benchmarks) bad("key"); keys[$1] = 1; next }
    /^--- (FAIL|SKIP): Benchmark[^ \t]+$/ { verdict = NR; next }
    /^    [a-z]/ { if (verdict != NR - 1) bad("reason without a verdict"); next }
    { bad("neither of them") }
    END { if (!benchmarks) { print "no benchmarks"; faults++ } exit faults > 0 }'
}

@test "all JSON is one document, and tells the benchmarks" {
    for format in json google github bencher; do
        write $format > $format.json
        [ "$(jq -s length $format.json)" -eq 1 ]
    done
    jq -e '.kind == "ullage-bench" and .version == 1 and (.results | length) == 10' json.json
    jq -e '[.results[].status] | unique == ["crashed", "exited", "failed", "ok", "skipped", "timed out"]' json.json
    jq -e '.results[0].metrics[0] | .name == "ns/op" and .median == 1234.5 and (.samples | length) == 10' json.json
    jq -e '[.results[].metrics[] | select(.unstable) | .name] == ["allocs/op"]' json.json
    jq -e '.results[2].stacks[0] | .functions[0] == "new_record" and .flag == "oversized"' json.json
    jq -e 'all(.[]; (.name | type) == "string" and (.unit | type) == "string" and (.value | type) == "number"
        and (.range | test("^± [0-9.e+-]+$")) and (.extra | type) == "string")' github.json
    jq -e '([.[].name] | length) == ([.[].name] | unique | length) and ([.[].unit] | index("MB/s")) == null' github.json
    jq -e 'length == 5 and all(.[]; all(.[]; (.value | type) == "number"))' bencher.json
    jq -e '."parse/json".latency | .lower_value < .value and .value < .upper_value' bencher.json
    jq -e 'all(.[] | keys[]; test("^[a-z0-9]+(-[a-z0-9]+)*$"))' bencher.json
}

@test "Google Benchmark's compare.py reads it, and finds a change of 20 %" {
    compare=/usr/share/benchmark/compare.py python=/usr/bin/python3
    [ -e $compare ] || skip "no compare.py (Debian: libbenchmark-tools)"
    $python -c 'import scipy, numpy' 2> /dev/null || skip "$python has no scipy"
    write google > old.json
    write google 120 > new.json
    $python $compare --no-color benchmarks old.json new.json > compared 2> errors
    cat compared errors
    ! grep -q Traceback errors || return 1
    [ "$(grep -cE '^parse/json +\+0\.2000 +\+0\.2000 ' compared)" -eq 10 ]
    grep -E '^parse/json_median +\+0\.2000' compared
    grep -E '^parse/json_stddev +\+0\.2000' compared
    grep -E '^parse/json/variant=jemalloc_pvalue +0\.000[0-9] +0\.000[0-9] .*U Test, Repetitions: 10 vs 10' compared
    $python $compare --no-color benchmarks old.json old.json > same 2> errors
    grep -E '^parse/json_pvalue +1\.0000 ' same
    # a benchmark that fails in one of the two is no exception
    jq '.benchmarks |= map(if .error_occurred then .name = "copy/1048576" else select(.name != "copy/1048576") end)' \
        old.json > failed.json
    $python $compare --no-color benchmarks new.json failed.json > compared 2> errors
    ! grep -q Traceback errors || return 1
}

@test "Go's format: its grammar" {
    write go > go.txt
    go_grammar < go.txt
    [ "$(grep -c '^BenchmarkParse/json-1' go.txt)" -eq 10 ]
    [ "$(grep -c '^BenchmarkParse/json/variant=jemalloc-1' go.txt)" -eq 10 ]
    grep -q '^BenchmarkQueue/threads:2-2' go.txt
    [ "$(iconv -f UTF-8 -t UTF-8 go.txt | wc -c)" -eq "$(wc -c < go.txt)" ]
    # and the grammar is one that refuses
    for fault in 'Benchmarkparse-1 1 1 ns/op' 'BenchmarkParse 1 1 ns/op' 'BenchmarkParse-1 1' 'BenchmarkParse-1 0 1 ns/op' \
        'BenchmarkParse-1 1 1' 'BenchmarkParse-1 1 1,5 ns/op' 'BenchmarkA b-1 1 1 ns/op' 'BenchmarkP-1 1 inf ns/op' \
        'BenchmarkP-1 1 1 ns/op 2 ns/op' 'Unit ns/op' 'commit: abc' 'unit'; do
        ! { cat go.txt; echo "$fault"; } | go_grammar || { echo "taken: $fault"; return 1; }
    done
}

@test "Go's format: benchstat" {
    benchstat=${BENCHSTAT:-$(command -v benchstat || true)}
    [ -n "$benchstat" ] || skip "no benchstat (go install golang.org/x/perf/cmd/benchstat@latest)"
    write go > old.txt
    write go 120 > new.txt
    "$benchstat" old.txt new.txt > compared 2> errors
    cat compared errors
    [ ! -s errors ]
    grep -E '^Parse/json-1 .*\+20\.00% \(p=0\.000 n=10\)' compared
    grep -q 'allocs/op' compared
    [ "$(grep -c '│ *sec/op' compared)" -eq 1 ] # one table, not one a file
    "$benchstat" -col /variant old.txt > variants 2> errors
    grep -q jemalloc variants
}

@test "Prometheus: promtool takes it without a remark" {
    command -v promtool > /dev/null || skip "no promtool (Debian: prometheus)"
    write prometheus > bench.prom
    run promtool check metrics < bench.prom
    echo "$output"
    [ "$status" -eq 0 ]
    [ -z "$output" ]
    grep -q '^ullage_bench_op_seconds{program="bench_sample",benchmark="parse/json",variant="jemalloc"} 1.01e-06$' bench.prom
    ! grep -q new_record bench.prom || return 1
    # and it is one that remarks
    run promtool check metrics <<< '# HELP a_total x
# TYPE a_total gauge
a_total{b="c"d"} 1'
    [ "$status" -ne 0 ]
}

@test "JUnit: well-formed, and each verdict in its place" {
    command -v xmllint > /dev/null || skip "no xmllint (Debian: libxml2-utils)"
    write junit > junit.xml
    xmllint --noout junit.xml
    count() { xmllint --xpath "count($1)" junit.xml; }
    [ "$(count '/testsuites/testsuite/testcase')" -eq 10 ]
    [ "$(count '//testcase/failure[@type="failed"]')" -eq 1 ]
    [ "$(count '//testcase/error')" -eq 3 ]
    [ "$(count '//testcase/skipped')" -eq 1 ]
    [ "$(count '/testsuites/testsuite[@tests=10 and @failures=1 and @errors=3 and @skipped=1]')" -eq 1 ]
    [ "$(xmllint --xpath 'string(//failure/@message)' junit.xml)" = 'expected 4096, got -1: ]]> */ {{7*7}} @user #1' ]
    xmllint --xpath 'string(//testcase[@name="copy/1048576"]/system-out)' junit.xml | grep -q '^MB/s 20164.9 (median of 1)$'
}

@test "TAP: Perl's parser reads plan, verdicts, skips and diagnostics" {
    perl -MTAP::Parser -e 1 2> /dev/null || skip "no TAP::Parser (Debian: perl)"
    write tap > bench.tap
    run perl -MTAP::Parser -e '
        my $parser = TAP::Parser->new({ source => "bench.tap" });
        my @yaml;
        while (my $result = $parser->next) {
            push @yaml, $result->data if $result->is_yaml;
            print "unknown: ", $result->as_string, "\n" if $result->is_unknown;
        }
        print "errors: ", join("; ", $parser->parse_errors), "\n" if $parser->parse_errors;
        print "run ", $parser->tests_run, " failed ", join(",", $parser->failed), " skipped ", join(",", $parser->skipped),
            " todo ", scalar($parser->todo), "\n";
        print "$_->{status}: $_->{message}\n" for @yaml;'
    echo "$output"
    [ "${lines[0]}" = "run 10 failed 6,8,9,10 skipped 7 todo 0" ]
    [ "${lines[1]}" = 'crashed: by signal 11 (Segmentation fault) after "3" of 10 <repetitions>' ]
    [ "${lines[2]}" = 'failed: expected 4096, got -1: ]]> */ {{7*7}} @user #1' ]
    [ "${#lines[@]}" -eq 5 ]
}

@test "Markdown: tables that hold together" {
    write markdown > table.md
    awk '/^\| Benchmark/ { cells = gsub(/\|/, "|"); next }
        /^\|/ { rows++; if (gsub(/\|/, "|") != cells) { print "cells: " $0; bad = 1 } }
        END { exit bad || rows < 12 }' table.md
    grep -q '^| `parse/json` | `jemalloc` | 1.01 us ±1 % | 0.82x |' table.md
}

@test "text: as wide as the terminal and no wider" {
    for width in 60 80 120; do
        write text 100 $width > text.txt
        [ "$(LC_ALL=C.UTF-8 wc -L < text.txt)" -le $width ] || { cat text.txt; return 1; }
        grep -q '^copy/1048576 *52.0 us ±1 %' text.txt
    done
}

@test "a locale's decimal comma is not in any format" {
    command -v localedef > /dev/null && [ -e /usr/share/i18n/locales/de_DE ] || skip "no localedef (Debian: locales)"
    localedef -i de_DE -f UTF-8 "$SCRATCH/de_DE.UTF-8" || true # it warns, and says so by its status
    [ "$(LOCPATH=$SCRATCH LC_ALL=de_DE.UTF-8 locale decimal_point)" = , ]
    for format in text json go google github bencher tap junit prometheus markdown; do
        LC_ALL=C "$BUILD/write_formats" $format > plain
        LOCPATH=$SCRATCH LC_ALL=de_DE.UTF-8 "$BUILD/write_formats" $format > german
        cmp plain german || { diff plain german | head; return 1; }
    done
}

@test "an unknown format, and a full disk" {
    run write yaml
    [ "$status" -eq 1 ]
    for format in text json go google github bencher tap junit prometheus markdown; do
        run sh -c '"$BUILD/write_formats" "$1" > /dev/full' sh $format
        [ "$status" -eq 1 ]
        [[ "$output" == *"No space left"* ]]
    done
}
