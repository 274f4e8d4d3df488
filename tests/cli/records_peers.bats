#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# Real RPC peers: libtirpc's clients and servers, rpcinfo, nfs-ganesha and libnfs, against our reader, our writer, and our XDR streams.
bats_require_minimum_version 1.5.0
load common
load servers

teardown() {
    end_servers
    cd /
    [ -z "${SCRATCH:-}" ] || rm -rf "$SCRATCH"
}

# NAME COMMAND...: a server that prints "port N" and ends when its standard input does; $port, and a descriptor that keeps it.
serve_port() {
    local name=$1
    shift
    mkfifo "$name.in"
    "$@" < "$name.in" > "$name.out" 2> "$name.err" 3>&- &
    server=$!
    servers+=("$server")
    exec {keeper}> "$name.in"
    poll grep -q '^port ' "$name.out"
    port=$(sed -n 's/^port //p' "$name.out" | head -n 1)
}

# Ends it; it must leave with 0 by itself.
end_port() {
    exec {keeper}>&-
    ended "$server"
    [ "$status" -eq 0 ]
}

# What passes between a client and $port: in relayed/N.to and .from; $port is the relay's from here on.
relay_port() {
    mkdir relayed
    serve relay python3 "$SOURCE/tests/cli/relay.py" "$PWD/relayed" "0:$port"
    poll grep -q '^port ' relay.out
    port=$(sed -n 's/^port //p' relay.out)
}

# FILE...: how many records they hold, by our reader; each of them whole.
records_in() {
    local file
    for file; do
        timeout 20 "$ULLAGE" records --json "$file" > lines || { echo "$file: $(tail -n 1 lines)" >&2; return 1; }
        tail -n 1 lines
    done | jq -s 'map(.records) | add // 0'
}

universal() { # PORT: the address as rpcinfo wants it
    echo "127.0.0.1.$(($1 / 256)).$(($1 % 256))"
}

@test "a libtirpc client calls rpc_server: every size, lies about lengths, a record over its cap" {
    serve_port rpc "$BUILD/rpc_server"
    timeout 60 "$BUILD/rpc_client" "$port" 512 0 1 2 3 4 500 504 508 512 65535 65536 65537 300000 1000000 > out || { cat out rpc.err; return 1; }
    [ "$(grep -c ' bytes$' out)" -eq 14 ]
    [ "$(tail -n 3 out | tr '\n' ' ')" = "procedures refusals cap " ]
    timeout 60 "$BUILD/rpc_client" "$port" 0 100000 0
    end_port
    cat rpc.out rpc.err
    grep -qx '16 calls of echo' rpc.out
    [ "$(grep -c 'over 4,096 (the largest call of its procedure)' rpc.err)" -eq 2 ]
    [ "$(wc -l < rpc.err)" -eq 2 ]
    # A record of 1 MB with room for a copy, and nothing of the 4 GiB that were announced.
    [ "$(sed -n 's/ bytes held.*//p' rpc.out)" -le 4194304 ]
}

@test "300 KB by libtirpc in 591 fragments: the reader counts them" {
    need python3
    serve_port rpc "$BUILD/rpc_server"
    local of_server=$server
    relay_port
    timeout 20 "$BUILD/rpc_client" "$port" 512 300000 > out || { cat out; return 1; }
    "$ULLAGE" records --json --max-record 2M relayed/0.to > lines
    jq -s '.[0]' lines
    # 40 bytes of header, 4 of length, 300,000; 508 a fragment
    jq -s -e '.[0] | .fragments == 591 and .bytes == 300044 and .program == 536871065 and .procedure == 1' lines
    kill "$server" # the relay has the other end of what keeps the server
    ended "$server"
    server=$of_server
    end_port
}

@test "several clients at once, one of them slow, one silent" {
    serve_port rpc "$BUILD/rpc_server"
    exec {silent}<> "/dev/tcp/127.0.0.1/$port"
    exec {slow}<> "/dev/tcp/127.0.0.1/$port"
    printf '\200\001\000\000\001\002\003' >&"$slow" # seven bytes of 64 KiB
    for i in 1 2 3 4; do
        timeout 60 "$BUILD/rpc_client" "$port" 512 100000 200000 > "out.$i" &
        clients[i]=$!
    done
    for i in 1 2 3 4; do
        wait "${clients[i]}"
        [ "$(tail -n 1 "out.$i")" = cap ]
    done
    exec {silent}>&- {slow}>&-
    end_port
    grep -qx '8 calls of echo' rpc.out
}

@test "a hundred calls in one write: each is answered, though a turn is shorter" {
    need python3
    serve_port rpc "$BUILD/rpc_server"
    timeout 20 python3 - "$port" << 'END'
import socket, struct, sys
def call(xid):
    return struct.pack(">11I", 0x80000028, xid, 0, 2, 0x20000099, 1, 0, 0, 0, 0, 0)
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as peer:
    peer.sendall(b"".join(call(xid) for xid in range(100)))
    answers = peer.makefile("rb")
    for xid in range(100):
        assert struct.unpack(">7I", answers.read(28)) == (0x80000018, xid, 1, 0, 0, 0, 0)
END
    end_port
    grep -qx '100 calls of nothing' rpc.out
}

@test "rpc_server under ullage run: what was decoded was freed" {
    serve_port rpc "$ULLAGE" run --min-bytes 0 --json report.json -- "$BUILD/rpc_server"
    timeout 60 "$BUILD/rpc_client" "$port" 512 1 1000 300000
    end_port
    jq -c '.sites[] | select(any(.stack[]; (.object // "") | test("libullage-xdr"))) | [.function, .kind, .allocations_total, .live_count]' report.json > decoded
    cat decoded
    jq -s -e 'length > 0 and all(.[]; .[2] > 0 and .[3] == 0)' decoded
}

@test "what is not RPC ends its own connection, and is named" {
    need curl
    serve_port rpc "$BUILD/rpc_server"
    run timeout 5 curl -s "http://127.0.0.1:$port/"
    [ "$status" -ne 0 ]
    exec {odd}<> "/dev/tcp/127.0.0.1/$port"
    printf '\200\000\000\010abcdefgh' >&"$odd" # neither call nor reply
    timeout 5 cat <&"$odd" > rest
    [ ! -s rest ]
    exec {odd}>&-
    timeout 20 "$BUILD/rpc_client" "$port" 0 10
    end_port
    cat rpc.err
    grep -F "'GET '" rpc.err
    grep -q 'Protocol error' rpc.err
}

@test "rpcinfo -T tcp: rpc_server by its address" {
    need rpcinfo
    serve_port rpc "$BUILD/rpc_server"
    timeout 5 rpcinfo -a "$(universal "$port")" -T tcp 536871065 > out
    cat out
    grep -qx 'program 536871065 version 1 ready and waiting' out # it asked for version 0 first, and was told
    timeout 5 rpcinfo -a "$(universal "$port")" -T tcp 536871065 1
    run timeout 5 rpcinfo -a "$(universal "$port")" -T tcp 536871065 2
    [ "$status" -ne 0 ]
    [[ "$output" == *'version 2 is not available'* ]]
    end_port
}

@test "rpcinfo -T tcp: rpcbind's records, and rpc_server registered with it" {
    own_network
    need python3
    serve rpcbind inside rpcbind -f
    poll tcp_answers 100000 4 || skip "rpcbind does not run here"
    mkdir relayed
    serve relay inside python3 "$SOURCE/tests/cli/relay.py" "$PWD/relayed" 0:111
    poll grep -q '^port ' relay.out
    port=$(sed -n 's/^port //p' relay.out)
    for version in 2 3 4; do
        (inside timeout 3 rpcinfo -a "$(universal "$port")" -T tcp 100000 "$version")
    done
    # A NULL call each, and its reply.
    [ "$(records_in relayed/*.to)" -eq 3 ]
    [ "$(records_in relayed/*.from)" -eq 3 ]
    "$ULLAGE" records --json relayed/2.to | jq -s -e '.[0] | .type == "call" and .program == 100000 and .version == 4 and .procedure == 0'
    serve_port rpc inside "$BUILD/rpc_server"
    python3 - "$port" > set.bytes << 'END'
import struct, sys
call = struct.pack(">10I", 7, 0, 2, 100000, 2, 1, 0, 0, 0, 0) + struct.pack(">4I", 0x20000099, 1, 6, int(sys.argv[1]))
sys.stdout.buffer.write(struct.pack(">I", 0x80000000 | len(call)) + call)
END
    (inside timeout 5 bash -c 'exec 4<> /dev/tcp/127.0.0.1/111 && cat set.bytes >&4 && head -c 32 <&4 > set.reply')
    [ "$(tail -c 4 set.reply | od -An -tx1 | tr -d ' ')" = 00000001 ]
    tcp_answers 536871065 1 > out
    cat out
    grep -qx 'program 536871065 version 1 ready and waiting' out
    end_port
}

@test "our writer, in fragments of every size, is read by libtirpc's server" {
    serve_port tirpc "$BUILD/rpc_tirpc_server"
    for fragment in 0 4 100 508 4000 65536; do
        timeout 30 "$BUILD/record_caller" "$port" "$fragment" 0 1 4 5000 70000 300000 || { echo "fragments of $fragment"; return 1; }
    done
    # By single bytes, too.
    timeout 30 "$BUILD/record_caller" "$port" 1 0 1 3000
    end_port
}

@test "old code for libtirpc's streams: the same conversation, but for the include" {
    serve_port tirpc "$BUILD/rpc_tirpc_server"
    for sendsize in 0 100 512 65536; do
        for caller in record_caller record_caller_old; do
            timeout 30 "$BUILD/$caller" --xdrrec "$port" "$sendsize" 0 1 4 5000 70000 300000 > "$caller.out" || { cat "$caller.out"; return 1; }
        done
        cmp record_caller.out record_caller_old.out
    done
    end_port
    serve_port rpc "$BUILD/rpc_server"
    timeout 30 "$BUILD/record_caller" --xdrrec "$port" 512 0 1 300000
    timeout 30 "$BUILD/record_caller_old" --xdrrec "$port" 512 0 1 300000
    end_port
}

@test "what rpcgen made, compiled with the header: a length is not believed" {
    need rpcgen
    cat > box.x <<'END'
struct entry { string name<>; entry *next; };
union choice switch (int kind) { case 1: opaque bytes<>; case 2: int numbers<>; default: void; };
struct box { choice what; entry *entries; string text<>; };
END
    rpcgen -h -o box.h box.x
    rpcgen -c -o box.c box.x
    cat > main.c <<'END'
#include "box.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
static int decode(const uint32_t *words, unsigned count, struct box *box)
{
    XDR xdrs;
    memset(box, 0, sizeof *box);
    xdrmem_create(&xdrs, (char *)words, count * 4, XDR_DECODE);
    return xdr_box(&xdrs, box);
}
static long peak_kib(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}
int main(void)
{
    struct box box;
    uint32_t good[] = { htonl(1), htonl(3), htonl(0x61626300), htonl(1), htonl(2), htonl(0x68690000), 0, htonl(1), htonl(0x7a000000) };
    uint32_t bad[10] = { htonl(1), htonl(0xf0000000) };
    int fine = decode(good, 9, &box) && box.what.choice_u.bytes.bytes_len == 3 && strcmp(box.entries->name, "hi") == 0 && strcmp(box.text, "z") == 0;
    xdr_free((xdrproc_t)xdr_box, &box);
    long before = peak_kib();
    struct rlimit limit = { 1 << 30, 1 << 30 };
    setrlimit(RLIMIT_AS, &limit); /* a machine where 4 GiB cannot be had says so; one that gives them would show */
    int refused = !decode(bad, 10, &box) && strstr(ullage_xdr_error(), "4026531840 bytes announced, 32 left") != NULL;
    xdr_free((xdrproc_t)xdr_box, &box);
    printf("%d %d %ld\n", fine, refused, peak_kib() - before);
    return !fine || !refused || peak_kib() - before > 1024;
}
END
    ${CC:-cc} -g -w -I"$SOURCE/include" $(pkg-config --cflags libtirpc) -include ullage/xdr.h box.c main.c -o box \
        -L"$BUILD/.libs" -Wl,-rpath,"$BUILD/.libs" -lullage-xdr -lullage $(pkg-config --libs libtirpc)
    timeout 10 ./box
}

ganesha_conf() {
    cat <<END
NFS_CORE_PARAM {
    Protocols = 3; NFS_Port = 12049; MNT_Port = 12050; Enable_NLM = false; Enable_RQUOTA = false; Enable_UDP = none;
}
NFS_KRB5 { Active_krb5 = false; }
EXPORT {
    Export_Id = 1; Path = $PWD/export; Pseudo = /export; Access_Type = RW; Squash = No_Root_Squash; SecType = sys;
    Protocols = 3; Transports = TCP; FSAL { Name = VFS; }
}
LOG { Default_Log_Level = EVENT; }
END
}

# How many RPC messages tshark sees in the capture: of all frames, a frame may hold several.
tshark_messages() { # FILTER
    timeout 60 tshark -r session.pcap -n -d tcp.port==12049,rpc -d tcp.port==12050,rpc -Y "$1" -T fields -e rpc.msgtyp 2> tshark.err \
        | tr ',' '\n' | grep -c .
}

same_count() {
    local calls replies
    calls=$(tshark_messages 'rpc.msgtyp == 0')
    replies=$(tshark_messages 'rpc.msgtyp == 1')
    echo "tshark: $calls calls, $replies replies; ours: $our_calls, $our_replies"
    [ "$calls" -eq "$our_calls" ] && [ "$replies" -eq "$our_replies" ]
}

@test "an nfs-ganesha session by libnfs: as many records as tshark counts" {
    own_network
    need ganesha.nfsd nfs-ls nfs-cat nfs-cp tshark tcpdump python3
    mkdir export relayed
    head -c 5000000 /dev/urandom > export/large
    head -c 4000001 /dev/urandom > large.in
    ganesha_conf > ganesha.conf
    serve rpcbind inside rpcbind -f
    poll tcp_answers 100000 4 || skip "rpcbind does not run here"
    serve ganesha inside ganesha.nfsd -F -f "$PWD/ganesha.conf" -p "$PWD/ganesha.pid" -L "$PWD/ganesha.log"
    local direct="nfs://127.0.0.1$PWD/export/?nfsport=12049&mountport=12050"
    poll nfs nfs-ls "$direct" || skip "nfs-ganesha does not serve here: $(tail -n 1 ganesha.log)"
    # Only now: what was asked while it started is not of the session.
    serve tcpdump inside tcpdump -i lo -Z root -U -B 65536 -s 0 -w session.pcap 'tcp port 12049 or tcp port 12050'
    poll grep -q 'listening on' tcpdump.err || skip "tcpdump does not capture here: $(tail -n 1 tcpdump.err)"
    serve relay inside python3 "$SOURCE/tests/cli/relay.py" "$PWD/relayed" 13049:12049 13050:12050
    poll grep -q '^port 13050' relay.out
    local at="nfs://127.0.0.1$PWD/export" ports='nfsport=13049&mountport=13050'
    nfs nfs-ls "$at/?$ports"
    [ "$(nfs nfs-cat "$at/large?$ports" | cksum)" = "$(cksum < export/large)" ]
    nfs nfs-cp large.in "$at/copied?$ports"
    cmp large.in export/copied
    our_calls=$(records_in relayed/*.to)
    our_replies=$(records_in relayed/*.from)
    [ "$our_calls" -gt 20 ]
    [ "$our_replies" -eq "$our_calls" ]
    # What the reader says of them: NFS calls, READ and WRITE among them, none longer than its default allows.
    cat relayed/*.to > all.to
    "$ULLAGE" records --json all.to | jq -s -e 'map(select(.type == "call")) | length > 20
        and any(.program == 100003 and .procedure == 6) and any(.program == 100003 and .procedure == 7) and any(.program == 100005)
        and (map(.bytes) | max) > 100000'
    poll same_count || { cat poll.out tshark.err; return 1; }
    cat poll.out
}
