#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# Real programs, alone and under `ullage run`: the same answers and status, and a report of every process.
# Where it can be chosen, they talk through sockets in the scratch directory, or in a network of their own.
bats_require_minimum_version 1.5.0
load common
load servers

# Who forgot the environment, or became somebody else, wrote its ledger elsewhere.
remove_ledgers() {
    local pid
    for pid in $(jq .pid tree.json 2> /dev/null); do
        rm -f /dev/shm/ullage-*/"$pid"-*
    done
}

teardown() {
    end_servers
    remove_ledgers
    cd /
    [ -z "${SCRATCH:-}" ] || rm -rf "$SCRATCH"
}

# COMMAND alone and under `ullage run $options`: the same output, errors and status. COMMAND says itself what files it made.
options=()
alike() {
    local alone=0 beside=0
    timeout -k 1 8 "$@" > alone.out 2> alone.err < /dev/null || alone=$?
    timeout -k 1 8 "$ULLAGE" run "${options[@]}" --json report.json -- "$@" > beside.out 2> beside.err < /dev/null || beside=$?
    echo "status $alone alone, $beside beside"
    [ "$alone" -ne 124 ] && [ "$alone" -eq "$beside" ] || { tail -n 5 beside.err; return 1; }
    same out
    same err
    status=$alone
}

same() { # ENDING
    diff "alone.$1" "beside.$1" | head -n 10
    cmp "alone.$1" "beside.$1"
}

# A whole report whose first process is COMMAND; what is asked of it below goes into tree.json, a line for each process.
sound_report() { # COMMAND
    jq -e -c --arg command "$1" '
        def tree: ., (.children[] | tree);
        def sound: (.process | .pid > 0 and (.command | type == "string" and length > 0)
                and (.state | type == "string" and length > 0))
            and (.totals | type == "object") and (.sites | type == "array")
            and all(.sites[]; (.id | test("^[0-9a-f]{16}$")) and (.stack | type == "array") and .allocations_total >= 0)
            and (.warnings | type == "array") and (.children | type == "array");
        if .version == 1 and (.process.command | startswith($command)) and all(tree; sound) then
            tree | .process + { sites: (.sites | length), warnings,
                largest: ([.sites[] | select(.allocations_total > 0) | .requested_max_bytes] | max // 0) }
        else false end' report.json > tree.json || { echo "no sound report of $1"; head -c 300 report.json; return 1; }
    cut -c 1-150 tree.json | head -n 60
}

processes() { # CONDITION: how many of the report it holds for
    jq -s "[.[] | select($1)] | length" tree.json
}

of() { # PATTERN [CONDITION]: how many processes have a command like it
    processes "(.command | test(\"$1\")) and (${2:-true})"
}

# No binary is changed here while it runs; a report that says so has read one wrongly.
unchanged() {
    ! grep 'changed on disk' tree.json
}

# Whom a server becomes that root starts.
other_user() {
    getent passwd www-data > /dev/null && echo www-data || echo nobody
}

@test "node: buffers, JSON, zlib, a worker thread, a child process" {
    need node
    cat > work.js <<'END'
const { Worker, isMainThread, parentPort } = require('worker_threads');
const { execFileSync } = require('child_process');
const zlib = require('zlib');
if (!isMainThread) {
    const bytes = Buffer.alloc(8 << 20, 7);
    parentPort.postMessage(bytes.reduce((sum, byte) => (sum + byte) >>> 0, 0));
} else {
    const text = JSON.stringify(Array.from({ length: 20000 }, (_, i) => ({ i, s: 'x'.repeat(i % 50) })));
    const packed = zlib.deflateSync(text, { level: 9 });
    console.log(JSON.parse(zlib.inflateSync(packed)).length, packed.length);
    process.stdout.write(execFileSync('sort', ['-n'], { input: '3\n1\n2\n' }));
    console.error('to standard error');
    const worker = new Worker(__filename);
    worker.on('message', sum => console.log('sum', sum));
    worker.on('exit', code => { console.log('exit', code); process.exitCode = 7; });
}
END
    alike node work.js
    [ "$status" -eq 7 ]
    grep -q '^sum 58720256$' beside.out
    sound_report node
    [ "$(of '^node' '.largest >= 8388608')" -eq 1 ]
    [ "$(of '^sort -n')" -eq 1 ]
    [ "$(processes true)" -eq 2 ]
    unchanged
}

# redis-server's whole life; NAME.out is what it answered.
redis_life() { # NAME [RUNNER...]
    local name=$1 socket=$PWD/$1.sock
    shift
    mkdir "$name.d"
    serve "$name.server" "$@" redis-server --port 0 --unixsocket "$socket" --dir "$PWD/$name.d" --save '' \
        --enable-debug-command yes --loglevel warning
    poll timeout 2 redis-cli -s "$socket" --raw -e ping
    timeout 10 redis-benchmark -s "$socket" -q -n 3000 -c 10 -P 8 -d 3000 -t set,get,incr,lpush,rpop,sadd,hset,zadd,mset \
        > benchmark.out 2>&1
    {
        head -c 2000000 numbers | timeout 5 redis-cli -s "$socket" -x set large
        timeout 5 redis-cli -s "$socket" get large | cksum
        timeout 5 redis-cli -s "$socket" <<'END'
dbsize
llen mylist
hgetall myhash
get counter:__rand_int__
eval "for i = 1, 2000 do redis.call('zadd', 'z', i * 7 % 1000, 'm' .. i) end return redis.call('zcard', 'z')" 0
zrange z 10 20 withscores
object encoding z
eval "return #string.rep('x', 1000000)" 0
getrange large 1000 1100
no such command
debug digest
debug reload
debug digest
bgsave
END
        poll saved "$socket"
        timeout 5 redis-cli -s "$socket" info persistence | grep rdb_last_bgsave_status
    } > "$name.out" 2>&1
    timeout 5 redis-cli -s "$socket" shutdown nosave
    ended "$server"
    # The pid and the time are its own.
    sed 's/[0-9][0-9]*/N/g' "$name.server.out" "$name.server.err" > "$name.err"
}

saved() { # SOCKET
    timeout 2 redis-cli -s "$1" info persistence | grep 'rdb_bgsave_in_progress:0'
}

@test "redis-server: under redis-benchmark, answers, a child that saves" {
    need redis-server redis-cli redis-benchmark
    redis_life alone
    [ "$status" -eq 0 ]
    redis_life beside "$ULLAGE" run --json report.json --
    [ "$status" -eq 0 ]
    [ "$(wc -l < beside.out)" -gt 40 ]
    grep -q 'rdb_last_bgsave_status:ok' beside.out
    same out
    same err
    sound_report redis-server
    [ "$(of '^redis-server' '.largest >= 1000000')" -eq 1 ]
    [ "$(of '^redis-rdb-bgsave' '.largest >= 65536')" -eq 1 ]
    [ "$(processes true)" -eq 2 ]
    unchanged
}

nginx_folder() {
    chmod 755 .
    mkdir html html/inner
    cp numbers html/small
    seq 1000000 > html/large # 6.9 MB
    cp small html/inner/page.html
    chmod -R a+rX html
    {
        ! is_root || echo "user $(other_user);"
        cat <<END
worker_processes 2;
error_log $PWD/error.log info;
pid $PWD/pid;
events { worker_connections 768; } # three arrays of 73 KiB and more in each worker
http {
    access_log off;
    sendfile off;
    client_body_temp_path $PWD/temp1; proxy_temp_path $PWD/temp2; fastcgi_temp_path $PWD/temp3;
    uwsgi_temp_path $PWD/temp4; scgi_temp_path $PWD/temp5;
    server {
        listen unix:$PWD/front;
        root $PWD/html;
        output_buffers 2 256k;
        location /inner/ {
            auth_request /allowed;
            proxy_pass http://unix:$PWD/back:/;
            proxy_buffer_size 128k;
            proxy_buffers 8 128k;
            proxy_busy_buffers_size 256k;
        }
        location = /allowed {
            internal;
            proxy_pass http://unix:$PWD/back;
            proxy_pass_request_body off;
        }
    }
    server {
        listen unix:$PWD/back;
        root $PWD/html;
        location = /allowed { if (\$http_x_key = let-me) { return 204; } return 401; }
    }
}
END
    } > nginx.conf
    NGINX=(nginx -p "$PWD" -e "$PWD/error.log" -c "$PWD/nginx.conf" -g)
    daemons+=("$PWD/pid")
}

fetch() { # PATH [KEY]
    timeout 8 curl -s --unix-socket front -H "X-Key: ${2:-none}" -o body -w '%{http_code} %{content_type} %{size_download} ' \
        "http://localhost/$1" || return
    cksum < body
}

nginx_answers() {
    poll fetch small
    fetch small
    fetch large
    fetch inner/large
    fetch inner/large let-me
    fetch inner/inner/page.html let-me
    fetch inner/nothing let-me
    fetch allowed let-me
    fetch nothing
    seq 8 | timeout 10 xargs -P 4 -I N curl -s --unix-socket front -H 'X-Key: let-me' -o body.N http://localhost/inner/large
    cksum body.?
    rm -f body.?
}

nginx_life() { # NAME [RUNNER...]
    local name=$1
    shift
    rm -f front back
    serve "$name" "$@" "${NGINX[@]}" 'daemon off;'
    nginx_answers > "$name.answers"
    kill -QUIT "$server"
    ended "$server"
}

@test "nginx: two workers, large files, a proxy with auth_request" {
    need nginx curl
    nginx_folder
    nginx_life alone
    [ "$status" -eq 0 ]
    [ "$(grep -c "^200 .* $(cksum < html/large)$" alone.answers)" -eq 2 ]
    [ "$(grep -c '^401' alone.answers)" -eq 1 ]
    nginx_life beside "$ULLAGE" run --json report.json --
    [ "$status" -eq 0 ]
    same answers
    same out
    same err
    sound_report nginx
    unchanged
    # Workers forget the environment, and those of root are somebody else by then.
    [ "$(jq '.children | length' report.json)" -eq 2 ]
    [ "$(of '^nginx: (master|worker)' '.largest >= 65536 and .state == "exited" and .exit_status == 0')" -eq 2 ]
}

@test "nginx as a daemon: run returns while it serves, and names it" {
    need nginx curl
    nginx_folder
    # The shell waits until the workers serve, or the report might come before them.
    cat > start.sh <<'END'
"$@" || exit
for _ in $(seq 100); do
    curl -s --unix-socket front http://localhost/small | cmp -s - numbers && break
    sleep 0.05
done
[ "$(pgrep -P "$(cat pid)" | wc -l)" -eq 2 ] && echo serves
exit 5
END
    alone=0
    timeout 8 sh start.sh "${NGINX[@]}" 'daemon on;' > alone.out 2> alone.err 3>&- || alone=$?
    [ "$alone" -eq 5 ]
    nginx_answers > alone.answers
    quit=$(cat pid)
    kill -QUIT "$quit"
    poll gone "$quit"
    poll [ ! -e pid ]
    beside=0
    timeout 8 "$ULLAGE" run --min-bytes 0 --json report.json -- sh start.sh "${NGINX[@]}" 'daemon on;' \
        > beside.out 2> beside.err 3>&- || beside=$?
    [ "$beside" -eq 5 ]
    same out
    grep -q '^serves$' beside.out
    nginx_answers > beside.answers
    same answers
    cat beside.err
    sound_report sh
    [ "$(wc -l < beside.err)" -eq 1 ]
    # The first of the daemon may have asked for nothing yet; the workers have.
    workers=$(pgrep -P "$(cat pid)")
    for pid in $workers; do
        grep -qE "still running.* $pid( |$)" beside.err
        [ "$(processes ".pid == $pid and .state == \"live\"")" -eq 1 ]
    done
    unchanged
    timeout 5 "$ULLAGE" report "$pid" | grep "(pid $pid) runs"
    quit=$(cat pid)
    kill -QUIT "$quit"
    poll gone "$quit"
    timeout 5 "$ULLAGE" report "$pid" | grep "(pid $pid) exited with 0"
}

rpcbind_life() { # NAME [RUNNER...]
    local name=$1
    shift
    serve "$name" inside "$@" rpcbind -f
    poll tcp_answers 100000 4
    {
        for _ in 1 2 3 4 5 6 7 8; do
            tcp_answers 100000 2
            tcp_answers 100000 3
        done
        tcp_answers 100003 3 && return 1 # nobody has registered it
        (inside timeout 3 rpcinfo -p 127.0.0.1)
        (inside timeout 3 rpcinfo 127.0.0.1)
        (inside timeout 3 rpcinfo -T udp 127.0.0.1 100000)
    } > "$name.answers" 2>&1
    kill -TERM "$server"
    ended "$server"
}

@test "rpcbind: rpcinfo over tcp" {
    own_network
    rpcbind_life alone || skip "rpcbind does not run here"
    [ "$status" -eq 0 ]
    # Its table of connections is as long as the limit of descriptors: 8 KiB or more.
    rpcbind_life beside "$ULLAGE" run --min-bytes 4K --json report.json --
    [ "$status" -eq 0 ]
    grep -q 'program 100000 version 2 ready' beside.answers
    same answers
    same out
    same err
    sound_report rpcbind
    [ "$(of '^rpcbind -f' '.largest >= 8192')" -eq 1 ]
    unchanged
}

ganesha_life() { # NAME [RUNNER...]
    local name=$1 at="nfs://127.0.0.1$PWD/export" ports='nfsport=12049&mountport=12050'
    shift
    serve "$name" inside "$@" ganesha.nfsd -F -f "$PWD/ganesha.conf" -p "$PWD/ganesha.pid" -L "$PWD/$name.log"
    poll nfs nfs-ls "$at/?$ports" || return
    {
        nfs nfs-ls "$at/?$ports"
        nfs nfs-cat "$at/large?$ports" | cksum
        nfs nfs-cp large.in "$at/copied?$ports"
        cksum < export/copied
        nfs nfs-cp "$at/copied?$ports" back.out
        cksum < back.out
        nfs nfs-cat "$at/nothing?$ports" && return 1
        nfs nfs-ls "$at/?$ports" | sort
    } > "$name.answers" 2>&1
    rm -f export/copied back.out
    kill -TERM "$server"
    ended "$server"
}

@test "nfs-ganesha: files of some megabytes read and written" {
    own_network
    need ganesha.nfsd nfs-ls nfs-cat nfs-cp
    mkdir export
    head -c 5000000 /dev/urandom > export/large
    head -c 4000001 /dev/urandom > large.in
    cat > ganesha.conf <<END
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
    serve rpcbind inside rpcbind -f
    poll tcp_answers 100000 4 || skip "rpcbind does not run here"
    ganesha_life alone || skip "nfs-ganesha does not serve here: $(tail -n 1 alone.log)"
    [ "$status" -eq 0 ]
    [ "$(grep -c "^$(cksum < large.in)$" alone.answers)" -eq 2 ]
    grep -q "^$(cksum < export/large)$" alone.answers
    ganesha_life beside "$ULLAGE" run --json report.json --
    [ "$status" -eq 0 ]
    same answers
    same out
    sed -i '/ log file .* status=9 /d; /svc_rqst_rec_destroy/d' alone.err beside.err # a race of its own at its end: its log is closed already
    same err
    sound_report ganesha.nfsd
    [ "$(of '^ganesha.nfsd' '.largest >= 1000000')" -eq 1 ]
    unchanged
}

@test "pipelines of sh and bash: every process, and the status of the last" {
    need bash awk
    cat > pipes.sh <<'END'
seq 200000 | sort -rn | tee copy | sed -n '1~1000p' | awk '{ sum += $1; print } END { print sum }'
cksum copy
false | true; echo $?
true | false; echo $?
yes | head -n 2
echo 'to standard error' >&2
seq 3 | (cat; exit 9)
END
    options=(--min-bytes 0)
    alike sh pipes.sh
    [ "$status" -eq 9 ]
    sound_report 'sh pipes.sh'
    for program in seq sort tee sed awk cksum; do
        [ "$(of "^$program( |$)")" -ge 1 ]
    done
    [ "$(of '^sort -rn' '.largest >= 65536')" -eq 1 ]
    [ "$(of '^yes' '.state == "killed"')" -eq 1 ]
    # Shells that became another program were not killed.
    [ "$(of '^sh ' '.state == "killed"')" -eq 0 ]
    unchanged
    { echo 'set -o pipefail'; sed '$d' pipes.sh; echo 'yes | head -n 1'; } > pipes.bash
    alike bash pipes.bash
    [ "$status" -eq 141 ]
    sound_report 'bash pipes.bash'
    [ "$(of '^sort -rn' '.largest >= 65536')" -eq 1 ]
    unchanged
}

@test "git: clone --no-local, log, gc" {
    need git
    export HOME=$PWD GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null LC_ALL=C
    export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_AUTHOR_DATE='1700000000 +0000'
    export GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b GIT_COMMITTER_DATE='1700000000 +0000'
    unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE
    git init -q source
    for i in 1 2 3 4 5; do
        { cat numbers; seq "$i" 7 20000; } > source/numbers
        cat small small > "source/random$i"
        git -C source add .
        git -C source commit -q -m "commit $i"
    done
    cat > work.sh <<'END'
rm -rf cloned
git clone --no-local source cloned || exit 1
git -C cloned log --stat -p --all
git -C cloned gc -q || exit 2
git -C cloned fsck --strict || exit 3
git -C cloned count-objects -v | grep -v size
(cd cloned && cksum *)
git -C cloned log nothing
END
    options=(--min-bytes 4K)
    alike sh work.sh
    [ "$status" -eq 128 ]
    [ "$(wc -l < beside.out)" -gt 20000 ]
    sound_report sh
    for part in clone upload-pack index-pack log gc fsck; do
        [ "$(of "git.* ?$part")" -ge 1 ]
    done
    # one for the clone, one for gc
    [ "$(of 'git.* pack-objects' '.largest >= 65536')" -ge 2 ]
    unchanged
}

@test "gcc under make -j2: ten objects, the same bytes" {
    need gcc make
    for i in 0 1 2 3 4 5 6 7 8 9; do
        {
            echo '#include <stdio.h>'
            echo '#include <stdlib.h>'
            for j in $(seq 60); do
                echo "static int f${i}_$j(int x) { for (int k = 0; k < x; k++) x ^= x * $j + k % ($i + 3); return x; }"
            done
            echo "int part$i(int x) {"
            for j in $(seq 60); do echo "    x += f${i}_$j(x & 15);"; done
            echo "    return x; }"
        } > "part$i.c"
    done
    {
        for i in 0 1 2 3 4 5 6 7 8 9; do echo "int part$i(int);"; done
        echo 'int printf(const char *, ...); int unused(void) { int nothing; return nothing; }'
        echo 'int main(void) { unsigned sum = 0;'
        for i in 0 1 2 3 4 5 6 7 8 9; do echo "    sum = sum * 31 + (unsigned)part$i($i);"; done
        echo '    printf("%u\n", sum); return sum % 50; }'
    } > main.c
    cat > Makefile <<'END'
CFLAGS = -O1 -g -fwrapv -Wall
all: $(addprefix part,$(addsuffix .o,0 1 2 3 4 5 6 7 8 9)) main.o
	@gcc -o sum $^
%.o: %.c
	@gcc $(CFLAGS) -c -o $@ $<
END
    cat > work.sh <<'END'
rm -f *.o sum
make -s -j2 || exit 100
cksum *.o sum
./sum
END
    alike sh work.sh
    [ "$(grep -c '\.o$' beside.out)" -eq 11 ]
    grep -q 'Wuninitialized' beside.err
    sound_report sh
    [ "$(of '/cc1 .*part[0-9][.]c' '.largest >= 65536')" -eq 10 ]
    [ "$(of '^as ')" -eq 11 ]
    [ "$(of '/collect2 |(^|/)ld ')" -ge 2 ]
    [ "$(of '^make')" -ge 1 ]
    unchanged
}

@test "python3 multiprocessing: fork, spawn, forkserver and pools" {
    need python3
    cat > work.py <<'END'
import multiprocessing, os, sys, zlib

def work(n, queue=None):
    block = bytearray(1 << 20)
    block[: n * 1000] = bytes(i * n & 255 for i in range(n * 1000))
    answer = n, zlib.crc32(block)
    if queue is not None:
        queue.put(answer)
        sys.exit(n)
    return answer

def warm():
    global kept
    kept = bytearray(300000)

if __name__ == "__main__":
    for method in "fork", "spawn", "forkserver":
        context = multiprocessing.get_context(method)
        queue = context.Queue()
        children = [context.Process(target=work, args=(n, queue)) for n in (1, 2)]
        for child in children:
            child.start()
        print(method, sorted(queue.get(timeout=6) for _ in children))
        for child in children:
            child.join(6)
        print([child.exitcode for child in children])
    with multiprocessing.get_context("fork").Pool(2, initializer=warm) as pool:
        print(pool.map(work, range(20), chunksize=1))
        pool.close()
        pool.join()
    print("to standard error", file=sys.stderr)
    sys.exit(3)
END
    alike python3 work.py
    [ "$status" -eq 3 ]
    sound_report python3
    # itself, two forked, two of the pool
    [ "$(of 'python3[^ ]* work[.]py$' '.largest >= 262144')" -ge 4 ]
    [ "$(of 'python3[^ ]* work[.]py$')" -eq 5 ]
    [ "$(of 'spawn_main' '.largest >= 1048576')" -eq 2 ]
    [ "$(of 'forkserver' '.largest >= 1048576')" -eq 2 ]
    unchanged
}

daemon_life() { # NAME [RUNNER...]
    local name=$1
    shift
    rm -f daemon.pid said/*
    status=0
    timeout -k 1 8 "$@" ./leaves "$PWD" "$uid" > "$name.out" 2> "$name.err" < /dev/null 3>&- || status=$?
}

quit_daemon() {
    local pid
    pid=$(cat daemon.pid)
    kill -TERM "$pid"
    poll gone "$pid"
}

@test "a daemon that forks twice and drops its privileges" {
    cat > leaves.c <<'END'
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    int ready[2], status, uid = atoi(argv[2]), got;
    char *inherited = malloc(16 << 20), answer;
    sigset_t set;
    if (argc != 3 || inherited == NULL || chdir(argv[1]) != 0 || pipe(ready) != 0) return 90;
    pid_t first = fork();
    if (first > 0) { /* until the daemon says that it serves */
        close(ready[1]);
        waitpid(first, &status, 0);
        if (read(ready[0], &answer, 1) != 1) return 91;
        printf("started, %d, %c\n", WEXITSTATUS(status), answer);
        return 6;
    }
    setsid();
    if (fork() > 0) _exit(4);
    FILE *file = fopen("daemon.pid", "w");
    fprintf(file, "%d\n", (int)getpid());
    fclose(file);
    if (geteuid() == 0 && (setgroups(0, NULL) != 0 || setgid(uid) != 0 || setuid(uid) != 0 || setuid(0) == 0)) _exit(92);
    got = open("/dev/null", O_RDWR);
    for (int i = 0; i < 3; i++) dup2(got, i);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    memset(inherited, 1, 100 << 10);
    char *own = malloc(1 << 20);
    memset(own, 2, 50 << 10);
    if (write(ready[1], "s", 1) != 1) return 93;
    sigwait(&set, &got);
    file = fopen("said/end", "w");
    fprintf(file, "%d %d %d\n", (int)geteuid() == uid, inherited[(100 << 10) - 1], own[(50 << 10) - 1]);
    fclose(file);
    free(own);
    free(inherited);
    return 8;
}
END
    ${CC:-cc} -g -O0 -w leaves.c -o leaves
    uid=$(id -u)
    ! is_root || uid=$(id -u "$(other_user)")
    mkdir said
    chmod 755 .
    chmod 777 said
    daemons+=("$PWD/daemon.pid")
    daemon_life alone
    [ "$status" -eq 6 ]
    quit_daemon
    [ "$(cat said/end)" = '1 1 2' ]
    daemon_life beside "$ULLAGE" run --json report.json --
    [ "$status" -eq 6 ]
    same out
    sed '/^ullage run: still running/d' beside.err | cmp alone.err -
    pid=$(cat daemon.pid)
    quit_daemon
    [ "$(cat said/end)" = '1 1 2' ]
    cat beside.err
    sound_report ./leaves
    unchanged
    [ "$(jq '[.sites[] | select(.requested_max_bytes == 16777216)] | length' report.json)" -eq 1 ]
    # The daemon wrote 100 KiB into the buffer of the first process: less would not do.
    jq -e '.sites[] | select(.requested_max_bytes == 16777216) | .suggested_bytes == null or .suggested_bytes >= 102400' report.json
    # Root's ledgers are closed to it by then, and it is found all the same.
    grep -qE "still running.* $pid( |$)" beside.err
    [ "$(processes ".pid == $pid and .state == \"live\" and .largest >= 1048576")" -eq 1 ]
    jq -e ".. | objects | select(has(\"process\")) | select(.process.pid == $pid) | .sites[]
        | select(.requested_max_bytes == 16777216) | .used_max_bytes == null or .used_max_bytes >= 102400" report.json
    run timeout 5 "$ULLAGE" report "$pid"
    [[ "$output" == *"exited with 8"* ]]
}
