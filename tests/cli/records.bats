#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# `ullage records`: streams of sunrpc records, whole, broken, hostile; as JSON, as a table, as a list.
load common

# As common's, in builds without an interposer too.
setup() {
    SCRATCH=$(mktemp -d /tmp/ullage-bats-XXXXXX)
    export ULLAGE_DIR=$SCRATCH/ledgers
    cd "$SCRATCH" || return 1
}

stream() {
    python3 "$SOURCE/tests/cli/records-make.py" "$@"
}

# No ledger is left behind, and no directory is made for one.
no_ledger() {
    [ ! -e "$ULLAGE_DIR" ] || [ -z "$(ls -A "$ULLAGE_DIR")" ] || { ls -la "$ULLAGE_DIR"; return 1; }
}

# At most 80 columns.
narrow() {
    awk 'length($0) > 80 { print "too wide: " $0; bad = 1 } END { exit bad }' "$1"
}

@test "JSON: one line a record, and one for the whole" {
    stream call=100003,3,7,200 reply=24 text=hello call=100003,3,6,300,1,100 text= > s
    "$ULLAGE" records --json s > out
    cat out
    [ "$(wc -l < out)" -eq 6 ]
    diff out - <<'END'
{"index":0,"bytes":200,"fragments":1,"offset":0,"xid":0,"type":"call","program":100003,"version":3,"procedure":7}
{"index":1,"bytes":24,"fragments":1,"offset":204,"xid":0,"type":"reply"}
{"index":2,"bytes":5,"fragments":1,"offset":232}
{"index":3,"bytes":300,"fragments":3,"offset":241,"xid":0,"type":"call","program":100003,"version":3,"procedure":6}
{"index":4,"bytes":0,"fragments":1,"offset":553}
{"records":5,"bytes":529,"error":null,"error_offset":null,"message":null}
END
    no_ledger
}

@test "JSON of a stream that breaks: what came before, the error, its place, exit 1" {
    stream call=100003,3,7,200 > whole
    head -c 100 whole > cut
    run "$ULLAGE" records --json cut
    [ "$status" -eq 1 ]
    jq -e '.records == 0 and .error == "ECONNRESET" and .error_offset == 100 and (.message | length) > 20' <<< "$output"
    { cat whole; printf 'GET / HTTP/1.1\r\nX: "\\"\r\n'; } > http
    "$ULLAGE" records --json http > out || [ $? -eq 1 ]
    [ "$(wc -l < out)" -eq 2 ]
    tail -1 out | jq -e '.records == 1 and .bytes == 200 and .error == "EMSGSIZE" and .error_offset == 204'
    tail -1 out | jq -r .message | grep -F "'GET '"
    { cat whole; printf '"\\"\\'; } | "$ULLAGE" records --json > out || [ $? -eq 1 ] # what JSON has to escape
    tail -1 out | jq -r .message | grep -F "'\"\\\"\\'"
    no_ledger
}

@test "fields of RPC: shown from as many bytes as they need" {
    stream hex=80000018000000070000000000000002000186a30000000300000001 > call24     # a call of 24 bytes
    stream hex=80000017000000070000000000000002000186a3000000030000 hex=01 > call23
    stream hex=80000018000000070000000000000003000186a30000000300000001 > version3   # RPC version 3
    stream hex=8000000c000000070000000100000000 > accepted
    stream hex=8000000c000000070000000100000001 > denied
    stream hex=8000000c000000070000000100000002 > neither                            # no such reply status
    stream hex=8000000b00000007000000010000 hex=00 > reply11
    stream hex=80000018000000070000000200000002000186a30000000300000001 > type2
    for name in call24 accepted denied; do
        "$ULLAGE" records --json $name | head -1 | jq -e '.xid == 7 and (.type | length) > 0' || { echo $name; return 1; }
    done
    for name in call23 version3 neither reply11 type2; do
        "$ULLAGE" records --json $name > out
        head -1 out | jq -e 'has("xid") or has("type") or has("program") | not' || { echo $name; return 1; }
        [ "$(wc -l < out)" -eq 2 ]
    done
}

@test "--rpc: a record that is no well-formed message is EPROTO" {
    stream call=100003,3,7,40 text=hello > s
    run "$ULLAGE" records --json --rpc s
    [ "$status" -eq 1 ]
    [ "${#lines[@]}" -eq 2 ]
    jq -e '.error == "EPROTO" and .error_offset == 44 and .records == 1' <<< "${lines[1]}"
    stream call=100003,3,7,24 > short # no credential
    run "$ULLAGE" records --json --rpc short
    [ "$status" -eq 1 ]
    run "$ULLAGE" records --json short
    [ "$status" -eq 0 ]
}

@test "a table for people: by procedure, with suggested caps, at 80 columns" {
    stream call=100003,3,7,1048704,100 call=100003,3,1,120,200 call=100003,3,4,150,99 call=1298437,400,12,3000,150 \
        call=100000,2,4,60 call=4000000000,4000000000,4000000000,5000 call=77,1,1,5000 reply=128,7 text=hello > s
    "$ULLAGE" records s > out
    cat out
    narrow out
    grep -qE '^nfs +3 +7 +100 +1\.0 MiB +1\.0 MiB +1\.0 MiB +1536 KiB$' out # 1048704 and a quarter
    grep -qE '^nfs +3 +1 +200 +120 B +120 B +120 B +4 KiB$' out             # never below
    grep -qE '^nfs +3 +4 +99 .* -$' out                                     # fewer than 100 suggest nothing
    grep -qE '^glusterfs +400 +12 +150 .* 4 KiB$' out
    grep -qE '^portmapper +2 +4 +1 ' out
    grep -qE '^77 +1 +1 +1 ' out
    grep -q '^4000000000 .*4000000000 4000000000$' out
    grep -q '^replies  7 of 896 B' out
    grep -q '^not RPC  1 of 5 B' out
    grep -q '^records  560 in 560 fragments' out
    grep -q 'the stream is whole' out
    [ "$(grep -n '^nfs ' out | head -1 | cut -d: -f1)" -eq 2 ] # the most bytes first
    "$ULLAGE" records --top 2 s > out
    grep -q '5 more procedures' out
    no_ledger
}

@test "suggested caps: a quarter more, rounded up to a size class" {
    while read -r largest cap; do
        stream call=9,1,1,"$largest",100 > s
        "$ULLAGE" records s > out
        grep -qE "^9 .* $cap\$" out || { echo "$largest $cap"; cat out; return 1; }
    done <<'END'
24 4 KiB
3276 4 KiB
3277 5 KiB
4096 5 KiB
4097 6 KiB
65536 80 KiB
838860 1 MiB
838861 1280 KiB
END
}

@test "quantiles are of the sizes that came" {
    stream call=9,1,1,100,50 call=9,1,1,1500,49 call=9,1,1,100000,1 > s
    "$ULLAGE" records s > out
    cat out
    grep -qE '^9 +1 +1 +100 +512 B +1\.5 KiB +97\.7 KiB +128 KiB$' out # 122.1 KiB: the class above
}

@test "a broken stream in the table: the error, its name and place" {
    stream call=100003,3,7,200,5 > s
    { cat s; printf 'GET / HTTP/1.1\r\n'; } > http
    run "$ULLAGE" records http
    echo "$output"
    [ "$status" -eq 1 ]
    [[ "$output" == *"records  5 in 5 fragments"*"not whole"* ]]
    [[ "$output" == *"EMSGSIZE: announced 1195725856 bytes, over 1,052,672"* ]]
    [[ "$output" == *"at offset 1020"* ]]
    [[ "$output" == *"an HTTP client?"* ]]
    [[ "$output" == *"--max-record"* ]]
    "$ULLAGE" records http > out || [ $? -eq 1 ]
    narrow out
}

@test "--list: one line a record" {
    stream call=100003,3,7,200 reply=24 text=hello call=14398633,4294967295,4294967295,300,1,100 > s
    stream hex=80000018fedcba980000000000000002ffffffffffffffffffffffff >> s
    "$ULLAGE" records --list s > out
    cat out
    narrow out
    diff <(head -6 out) - <<'END'
  INDEX       OFFSET    BYTES FRAGS      XID WHAT
      0            0      200     1 00000000 nfs 3 7
      1          204       24     1 00000000 reply
      2          232        5     1        - -
      3          241      300     3 00000000 gluster-hndsk 4294967295 4294967295
      4          553       24     1 fedcba98 4294967295 4294967295 4294967295
END
    grep -q '^records  5 in 7 fragments' out
}

@test "standard input: a pipe, a file, a dash; a slow one is shown as it comes" {
    stream call=100003,3,7,200 text=hello > s
    "$ULLAGE" records --json s > expected
    "$ULLAGE" records --json < s | cmp - expected
    cat s | "$ULLAGE" records --json | cmp - expected
    cat s | "$ULLAGE" records --json - | cmp - expected
    mkfifo in out
    "$ULLAGE" records --json in > out &
    child=$!
    exec 9< out # in this order: the command opens its output first
    exec 8> in
    cat s >&8
    read -r -t 30 first <&9 # the stream has not ended, and its records are there
    [[ "$first" == '{"index":0,'* ]]
    read -r -t 30 second <&9
    [[ "$second" == '{"index":1,'* ]]
    exec 8>&-
    read -r -t 30 last <&9
    [[ "$last" == '{"records":2,'* ]]
    exec 9<&-
    wait $child
    : > empty
    run "$ULLAGE" records --json empty
    [ "$status" -eq 0 ]
    [ "$output" = '{"records":0,"bytes":0,"error":null,"error_offset":null,"message":null}' ]
    run "$ULLAGE" records empty
    [ "$status" -eq 0 ]
}

@test "a non-blocking pipe is waited for" {
    stream call=100003,3,7,200,20 > s
    python3 - "$ULLAGE" > out <<'END'
import os, subprocess, sys
read, write = os.pipe()
os.set_blocking(read, False)
child = subprocess.Popen([sys.argv[1], "records", "--json"], stdin=read, stdout=subprocess.PIPE)
os.close(read)
bytes = open("s", "rb").read()
for at in range(0, len(bytes), 204):
    os.write(write, bytes[at:at + 204])
    print(child.stdout.readline().decode(), end="", flush=True) # now it finds nothing to read
os.close(write)
print(child.stdout.read().decode(), end="")
sys.exit(child.wait())
END
    [ "$(wc -l < out)" -eq 21 ]
}

@test "a terminal is told what to do" {
    command -v script > /dev/null || skip "no script(1)"
    run timeout 20 script -qec "'$ULLAGE' records" /dev/null
    [ "$status" -eq 2 ]
    [[ "$output" == *"standard input is a terminal: name a FILE"* ]]
}

@test "a full disk and a closed pipe are errors, said" {
    stream call=100003,3,7,200,5000 > s
    for how in --json --list ""; do
        run bash -c "'$ULLAGE' records $how s > /dev/full"
        [ "$status" -eq 2 ]
        [[ "$output" == *"standard output: No space left on device"* ]]
        run bash -c "exec 3>&1; { '$ULLAGE' records $how s 2>&3; echo status \$? >&3; } | :"
        [[ "$output" == *"standard output: Broken pipe"*"status 2"* ]] || { [ -z "$how" ] && [[ "$output" == *"status 0"* ]]; }
    done
    run bash -c "'$ULLAGE' records --help > /dev/full"
    [ "$status" -eq 2 ]
}

@test "caps are taken as sizes, and hold" {
    stream call=100003,3,7,2000,2 > s
    for fits in "--max-record 2000" "--max-record 2K" "--max-record 1.96K" "--max-fragment 2000B" "--max-record 1G --max-fragment 1M --max-fragments 1" \
        "--max-record 1T"; do
        run "$ULLAGE" records --json $fits s
        echo "$fits: $output"
        [ "$status" -eq 0 ]
    done
    for small in "--max-record 1999" "--max-record 1.9K" "--max-fragment 1999"; do
        run "$ULLAGE" records --json $small s
        echo "$small: $output"
        [ "$status" -eq 1 ]
        jq -e '.error == "EMSGSIZE" and .error_offset == 0 and (.message | contains("announced 2000 bytes"))' <<< "$output"
    done
    stream call=100003,3,7,2000,1,200 > pieces
    run "$ULLAGE" records --json --max-fragments 10 pieces
    [ "$status" -eq 0 ]
    run "$ULLAGE" records --json --max-fragments 9 pieces
    [ "$status" -eq 1 ]
    stream call=100003,3,7,3000000 > large
    run "$ULLAGE" records --json large
    [ "$status" -eq 1 ]
    run "$ULLAGE" records --json --max-record 4M large
    [ "$status" -eq 0 ]
}

@test "usage: exit 2, one line that helps" {
    : > s
    for bad in "--nonsense" "s s" "--max-record 0 s" "--max-record x s" "--max-record -1 s" "--max-record 2T s" "--max-fragment 2G s" \
        "--max-fragments 0 s" "--max-fragments 4294967296 s" "--max-fragments 1K s" "--top 0 s" "--json --list s" "/no/such/file" "/tmp"; do
        run "$ULLAGE" records $bad
        echo "$bad: $output"
        [ "$status" -eq 2 ]
        [ "${#lines[@]}" -le 2 ]
    done
    run "$ULLAGE" records --help
    [ "$status" -eq 0 ]
    [[ "$output" == "Usage: ullage records"* ]]
    "$ULLAGE" records --help > out
    narrow out
}

@test "random bytes: never a crash, always a last line" {
    for seed in $(seq 1 150); do
        if [ $((seed % 3)) -eq 0 ]; then # after the beginning of a good one
            stream call=100003,3,7,200 hex=80000020 random=$((seed * 7)),$seed > noise
        else
            stream random=$((seed * 61)),$seed > noise
        fi
        "$ULLAGE" records --json noise > out 2> err || [ $? -eq 1 ] || { echo "seed $seed"; cat err; return 1; }
        [ ! -s err ]
        jq -es 'length >= 1 and (.[-1] | has("error")) and (.[-1].records == length - 1)' out > /dev/null || { echo "seed $seed"; return 1; }
        "$ULLAGE" records --list --max-record 1G noise > out 2> err || [ $? -eq 1 ]
        narrow out
    done
    head -c 1000000 /dev/zero | "$ULLAGE" records --json > out || [ $? -eq 1 ]
    jq -e '.error == "EMSGSIZE" and .records == 0' out # empty fragments for ever
    no_ledger
}

@test "as the oracle of readers has it" {
    mkdir corpus
    python3 "$SOURCE/tests/lib/record-oracle.py" corpus
    python3 "$SOURCE/tests/cli/records-check.py" "$ULLAGE" corpus
}

@test "more procedures than are told apart: all are counted, in bounded memory" {
    python3 - > s <<'END'
import struct, sys
out = sys.stdout.buffer
for i in range(100000):
    out.write(struct.pack(">7I", 24 | 1 << 31, i, 0, 2, i, 1, i % 3))
END
    "$ULLAGE" records s > out
    tail -5 out
    narrow out
    grep -q '4066 more procedures' out
    grep -q 'found no room: 95904 of' out
    grep -q '^records  100000 in' out
}

@test "a large stream in constant memory" {
    stream call=100003,3,8,1048576,40 call=100003,3,1,128,100000 > piece
    for i in 1 2 3 4 5; do cat piece; done > s
    peak() { python3 -c 'import os, subprocess, sys
child = subprocess.Popen([sys.argv[1], "records", sys.argv[2]], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(child.pid, 0)
assert status == 0
print(usage.ru_maxrss)' "$ULLAGE" "$1"; }
    small=$(peak piece)
    large=$(peak s)
    echo "$small KiB of 50 MB, $large KiB of 250 MB"
    [ "$large" -le $((small + 2000)) ]
}

@test "it is no subject of its own: no ledger, also under the interposer's environment" {
    stream call=100003,3,7,200,50 > s
    ULLAGE_MIN_BYTES=0 ULLAGE_DEBUG=1 "$ULLAGE" records s > out
    ULLAGE_MIN_BYTES=0 "$ULLAGE" records --json s > /dev/null
    no_ledger
    [ -e "$PRELOAD" ] || skip "the rest needs the interposer"
    "$ULLAGE" run --json report.json -- "$ULLAGE" records s > beside
    cmp out beside
    jq -e '.process.exit_status == 0' report.json
}

@test "the example of docs/records.md compiles, and serves" {
    sed -n '/^```c$/,/^```$/p' "$SOURCE/docs/records.md" | sed '/^```/d' > example.c
    [ "$(grep -c . example.c)" -gt 15 ]
    cat >> example.c <<'END'
static int answer(int fd, const struct ullage_record *record)
{
    (void)fd;
    printf("%zu bytes\n", record->bytes);
    return 0;
}
int main(void)
{
    return serve(0, NULL, answer) == 0 ? 0 : 1;
}
END
    $CC -std=gnu11 -Wall -Wextra -Werror -I"$SOURCE/include" -c example.c
    $CC example.o -o example -L"$BUILD/.libs" -lullage -Wl,-rpath,"$BUILD/.libs" || skip "the library was built with a sanitizer"
    stream call=100003,3,7,200 text=hello > s
    [ "$(./example < s)" = $'200 bytes\n5 bytes' ]
    head -c 100 s > cut
    run ./example < cut
    [ "$status" -eq 1 ]
    [[ "$output" == *"peer dropped: the stream ended inside"* ]]
}

@test "a report of a program that reads: readers, counters, procedures, the same caps" {
    stream call=100003,3,7,70000,150 call=100003,3,1,128,300 call=77,1,1,40 reply=64,9 > s
    "$BUILD/record_forms" --form file s > forms
    grep -q '^end 0' forms
    "$ULLAGE" report --json > report.json
    jq -e '.procedures | length == 3' report.json
    jq -e '.procedures[0] | .program == 100003 and .version == 3 and .procedure == 7 and .records_total == 150 and .bytes_total == 10500000
        and .max_bytes == 70000 and .refused_total == 0 and .suggested_cap_bytes == 98304' report.json
    jq -e '.procedures[1].suggested_cap_bytes == 4096 and .procedures[2].suggested_cap_bytes == null' report.json
    jq -e '.counters | .records_total == 460 and .record_fragments_total == 460 and .record_stalled == 0' report.json
    jq -e ".counters.record_bytes_total == $(stat -c %s s)" report.json
    jq -e '.profiles | any(.name == "readers" and .added_total >= 1 and .count == 0)' report.json
    "$ULLAGE" report > text
    narrow text
    "$ULLAGE" records s > table
    grep '^nfs' table > ours
    grep '^nfs' text | diff - ours # one rule, one table
}
