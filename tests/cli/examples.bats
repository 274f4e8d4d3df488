#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# The examples: they say what they promise, and Ullage sees in them what they are made to show.
load common

@test "pool_basic: each step is as the header says" {
    run "$BUILD/pool_basic"
    echo "$output"
    [ "$status" -eq 0 ]
    [[ "${lines[0]}" == "1000 requests: 1 session set up, 1000 times reset" ]]
    [[ "${lines[1]}" == *"the next was refused" ]]
    [[ "${lines[2]}" == "trimmed: "*" sessions taken down" ]]
}

@test "pool_basic under ullage run: the same, and its pool and budget are in the report" {
    same_as_alone "$BUILD/pool_basic"
    jq -e '.pools[] | select(.name == "sessions")' report.json
    jq -e '.budgets | length == 1' report.json
}

@test "upload_chunks: right-sized and pooled are faster, and take less memory" {
    "$BUILD/upload_chunks" > out
    cat out
    [ "$(wc -l < out)" -eq 6 ]
    grep -qx '12 uploads of 98000 bytes, 4 at a time' out
    [ "$(grep -cE '^(naive|right-sized|pooled) +[0-9.]+ us an upload, +[0-9]+ KiB resident at most$' out)" -eq 3 ]
    # by far: what a busy machine does to the times is not in question
    awk '/times faster/ { n++; if ($2 < 3 || $6 < 10) exit 1 } END { exit n != 2 }' out
}

@test "upload_chunks under ullage run: the naive way is oversized, and the size that would do is said" {
    "$ULLAGE" run --json report.json -- "$BUILD/upload_chunks" > out
    cat out
    jq '.sites[] | select(.function == "begin_naive")' report.json > naive
    [ "$(jq -r .flag naive)" = oversized ]
    used=$(jq .used_max_bytes naive)
    suggested=$(jq .suggested_bytes naive)
    echo "used $used, suggested $suggested"
    [ "$used" -ge 98000 ]
    [ "$suggested" -ge "$used" ]
    [ "$suggested" -le $((2 * used)) ]
    # the way out that the program takes is the one that is suggested, and is not flagged
    jq -e --argjson suggested "$suggested" '.sites[] | select(.function == "begin_right_sized") | .flag == null and .requested_max_bytes == $suggested' report.json
}

# The report of a program whose connections wait, at the moment of its death.
killed_while_it_waits() { # JSON PROGRAM
    "$ULLAGE" run --json "$1" -- "$BUILD/$2" 326 60 > "$2.out" 3>&- &
    local runner=$!
    for _ in $(seq 600); do grep -qx '326 connections wait' "$2.out" && break; sleep 0.05; done
    kill -9 "$(ps -o pid= --ppid "$runner" | tr -d ' ')"
    wait "$runner" || [ $? -eq 137 ]
}

@test "story 1, side by side: 326 connections, of 1 MiB each by the naive reader, of 1 MB in all by the capped one" {
    killed_while_it_waits naive.json records_naive
    killed_while_it_waits capped.json records_capped
    cmp records_naive.out records_capped.out
    [ "$(first_site .function naive.json)" = new_record ]
    jq -e '.sites[0].requested_live_bytes >= 0.97 * .totals.requested_live_bytes and .totals.requested_live_bytes >= 326e6' naive.json
    jq '.totals, .counters.record_held_peak_bytes' capped.json
    # all that it asked for, readers and their buffers among it, live and at most; and it did wait on all of them
    jq -e '.totals | .requested_live_bytes > 0 and .requested_live_bytes <= 1e6 and .requested_peak_bytes <= 1e6' capped.json
    jq -e '.counters | .record_held_peak_bytes <= 1e6 and .record_stalled == 326' capped.json
    jq -e '.profiles[] | select(.name == "readers") | .count == 326' capped.json
    jq -e '[.sites[] | select(.flag != null)] | length == 0' capped.json
}

@test "epoll_server: 10,000 connections get their answers, and the one that stops in its record is hung up on" {
    timeout 100 "$BUILD/epoll_server" --deadline-ms 5000 --self-test 10000 > out 2> err
    cat out err
    # fewer where so many descriptors may not be open, and then it is said
    count=$(sed -n 's/^\([0-9]*\) connections, .*/\1/p' out)
    [ "$count" -eq 10000 ] || grep -q "^[0-9]* descriptors may be open here: $count clients instead of 10000$" out
    grep -qx "$count connections, $count answers, 1 refused" out
    grep -qx 'epoll_server: a record was not whole after 5,000 ms, 6 bytes of it had come, at offset 10' err
    [ "$count" -lt 5000 ] || awk '/bytes of memory a connection/ { exit $1 > 2048 }' out
}

@test "epoll_server: it takes as many connections as it may have descriptors, and the others when those have gone" {
    (ulimit -n 64 && timeout 100 "$BUILD/epoll_server" --deadline-ms 1000 --self-test 100) > out 2> err || { cat out err; false; }
    grep -qx '64 descriptors may be open here: 32 clients instead of 100' out
    grep -qx '32 connections, 32 answers, 1 refused' out
    (ulimit -n 20 && exec "$BUILD/epoll_server") > port 2> err 3>&- &
    local server=$! status=0
    for _ in $(seq 200); do [ -s port ] && break; sleep 0.05; done
    timeout 60 python3 - "$(cut -d: -f2 port)" << 'EOT' || status=$?
import socket, sys
clients = [socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=20) for _ in range(40)]
for c in clients: c.sendall(b"\x80\0\0\1x")
for c in clients: # the first have answers; each that goes makes room for one that waits
    assert c.recv(5) == b"\x80\0\0\1x"
    c.close()
EOT
    kill "$server"
    cat err
    [ "$status" -eq 0 ]
}

@test "epoll_server: who reads no answers is hung up on, and so is an HTTP client; others go on" {
    "$BUILD/epoll_server" --deadline-ms 1000 > out 2> err 3>&- &
    local server=$! status=0
    for _ in $(seq 200); do [ -s out ] && break; sleep 0.05; done
    timeout 60 python3 - "$(cut -d: -f2 out)" << 'EOT' || status=$?
import select, socket, struct, sys
port = int(sys.argv[1])
def client(): return socket.create_connection(("127.0.0.1", port), timeout=30)
def record(data): return struct.pack(">I", 0x80000000 | len(data)) + data
def take(s, count):
    got = b""
    while len(got) < count:
        more = s.recv(count - len(got))
        assert more, "hung up on"
        got += more
    return got
def answer(s): return take(s, struct.unpack(">I", take(s, 4))[0] & 0x7fffffff)
deaf = client()
deaf.setblocking(False)
sent = 0
try:
    for _ in range(1000): sent += deaf.send(record(b"x" * 1000000))
except BlockingIOError: pass
http = client()
http.sendall(b"GET / HTTP/1.1\r\n\r\n")
assert http.recv(1) == b""
other = client()
for size in (0, 1, 65536, 1048576): # beside the deaf one
    other.sendall(record(b"y" * size))
    assert answer(other) == b"y" * size, size
hung_up = select.poll()
hung_up.register(deaf, 0) # it still reads nothing
assert hung_up.poll(30000), "the deaf one is still there"
other.sendall(record(b"still here"))
assert answer(other) == b"still here"
EOT
    kill "$server"
    cat out err
    [ "$status" -eq 0 ]
    grep -q "1195725856 bytes\|1,195,725,856 bytes" err
    grep -q "GET .*an HTTP client?" err
}

@test "tls_records: TLS in place costs less than through proxy threads, and plaintext before the handshake is refused" {
    [ -x "$BUILD/tls_records" ] || skip "no OpenSSL"
    timeout 100 "$BUILD/tls_records" 2000 > out
    cat out
    grep -qE '^plaintext behind the request for TLS is refused: [0-9]+ bytes in plaintext came before TLS began, at offset 13' out
    grep -qx '2000 heartbeats, each costs its server:' out
    # CPU, faults, switches of each way; by far: what a busy machine does to the times is not in question
    awk '/^plain / { cpu["plain"] = $2; n++ } /^TLS in place/ { cpu["in"] = $4; faults = $5; switches = $6; n++ }
        /^TLS, proxied/ { cpu["proxied"] = $3; more = $5; n++ }
        END { exit !(n == 3 && cpu["proxied"] > 1.5 * cpu["in"] && more > switches + 0.8 && faults < 0.2 && cpu["plain"] > 0) }' out
}
