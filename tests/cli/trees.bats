#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# Processes that fork, execute, change user or root, lose their descriptors or their environment, die in crowds: each is in
# the report of its tree, and its program notices nothing.
load common

teardown() {
    cd /
    [ -z "${SCRATCH:-}" ] || rm -rf "$SCRATCH"
    [ -z "${THEIRS:-}" ] || rm -rf "$THEIRS"
}

compile() { # NAME FLAG...: from standard input
    cat > "$1.c"
    ${CC:-cc} -g -O0 -o "$1" "$1.c" "${@:2}"
}

# every process of the report, as "command size:used:flag ..."
processes() {
    jq -r '.. | objects | select(has("process")) | [.process.command, (.sites | map("\(.requested_max_bytes):\(.used_max_bytes):\(.flag)") | .[])] | join(" ")' "${1:-report.json}"
}

@test "fork, vfork, clone, posix_spawn, exec: each process once, with its own figures" {
    compile kinds <<'END'
#define _GNU_SOURCE
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
extern char **environ;
static void use(size_t bytes)
{
    char *volatile buffer = malloc(bytes);
    memset(buffer, 1, 5000);
    free(buffer);
}
static int thread_like(void *argument) { (void)argument; use(1 << 20 | 3 << 12); return 0; }
int main(int argc, char **argv)
{
    char stack[65536] __attribute__((aligned(64)));
    int status, sum = 0;
    pid_t pid;
    if (argc > 1) {
        use((size_t)atol(argv[1]));
        return 5;
    }
    use(1 << 20);
    if (fork() == 0) {
        use(1 << 20 | 1 << 12);
        exit(1);
    }
    wait(&status), sum += WEXITSTATUS(status);
    if (syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) == 0) { /* no handler of fork runs */
        use(1 << 20 | 2 << 12);
        _exit(2);
    }
    wait(&status), sum += WEXITSTATUS(status);
    pid = clone(thread_like, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, NULL); /* as vfork: our memory */
    waitpid(pid, &status, 0);
    if (vfork() == 0) {
        execl(argv[0], argv[0], "2000000", NULL);
        _exit(99);
    }
    wait(&status), sum += WEXITSTATUS(status);
    char *spawned[] = { argv[0], "3000000", NULL };
    posix_spawn(&pid, argv[0], NULL, NULL, spawned, environ);
    waitpid(pid, &status, 0), sum += WEXITSTATUS(status);
    if (fork() == 0) {
        use(1 << 20 | 4 << 12);
        execl(argv[0], argv[0], "4000000", NULL);
    }
    wait(&status), sum += WEXITSTATUS(status);
    printf("%d\n", sum);
    fflush(stdout);
    return sum;
}
END
    same_as_alone ./kinds
    [ "$(cat alone.out)" = 18 ]
    jq -e '[.. | objects | select(has("process"))] | length == 7' report.json
    for bytes in 1048576 1052672 1056768 2000000 3000000 4000000 1064960; do
        jq -e --argjson bytes $bytes '[.. | objects | select(has("sites")) | .sites[] | select(.requested_max_bytes == $bytes
            and .kind == "malloc")] | length == 1 and .[0].allocations_total == 1 and .[0].frees_total == 1
            and .[0].used_max_bytes >= 5000 and .[0].used_max_bytes < 12288' report.json > /dev/null || { echo "$bytes"; processes; return 1; }
    done
    # the image before execve has become another program, and was not killed
    jq -e '[.. | objects | select(has("process")) | .process.state] | all(. == "exited")' report.json
}

daemon_program() {
    compile daemon <<'END'
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    int seconds = argc > 2 ? atoi(argv[2]) : 0;
    char *volatile table = malloc(16 << 20); /* before it becomes a daemon, and used after */
    char *volatile full = malloc(1 << 20);
    if (fork() != 0)
        exit(0);
    setsid();
    if (fork() != 0)
        exit(0);
    if (argc > 1 && strcmp(argv[1], "drop") == 0 && (setgroups(0, NULL) != 0 || setgid(65534) != 0 || setuid(65534) != 0))
        return 9;
    for (int i = 0; i < 100; i++) {
        char *volatile small = malloc(600);
        memset(table + i * 1024, i + 1, 1024);
        usleep(1000);
        free(small);
    }
    memset(full, 1, 1 << 20);
    if (argc > 3)
        memset(malloc(2 << 20), 1, 70000);
    int done = open("done", O_WRONLY | O_CREAT, 0666);
    sleep((unsigned)seconds);
    close(done);
    if (argc > 4)
        _exit(0);
    free(table);
    free(full);
    return 3;
}
END
}

@test "a daemon that forks twice is judged for what it does afterwards, once" {
    daemon_program
    for extra in "" "0 more" "0 more hold"; do
        rm -rf done "$ULLAGE_DIR"
        # shellcheck disable=SC2086
        "$ULLAGE" run --json report.json -- sh -c "./daemon keep $extra; for i in \$(seq 100); do [ -e done ] && break; sleep 0.05; done; sleep 0.4" || true
        processes
        jq -e '[.. | objects | select(has("sites")) | .sites[] | select(.requested_max_bytes == 16777216 and .flag != null)]
            | length == 1 and .[0].flag == "oversized" and .[0].used_max_bytes >= 102400 and .[0].used_max_bytes <= 110000' report.json
        jq -e '[.. | objects | select(has("sites")) | .sites[] | select(.requested_max_bytes == 1048576 and .flag != null)] | length == 0' report.json
    done
}

@test "a daemon that still runs, and has recorded nothing of its own: named, and not judged too early" {
    daemon_program
    "$ULLAGE" run --json report.json -- ./daemon keep 2 2> err
    cat err
    grep -q 'still running' err
    # what the dead ones of the family held is not judged there: said, or judged in the one that lives
    jq -e '[.. | objects | select(has("process") and .process.state != "live") | .sites[] | select(.flag != null)] | length == 0' report.json
    jq -e '[.. | .warnings? // [] | .[] | select(test("went on to process"))] | length >= 1' report.json || grep -q 'reported as of now' err
    pkill -x daemon
}

@test "root gives itself up: the ledger is its new user's, and root has it in the report" {
    [ "$(id -u)" -eq 0 ] || skip "needs root"
    compile worker <<'END'
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    int status;
    if (fork() == 0) {
        if (setgroups(0, NULL) != 0 || setgid(65534) != 0 || setuid(65534) != 0)
            return 9;
        clearenv();
        char *volatile buffer = malloc(16 << 20);
        memset(buffer, 1, 100000);
        sleep(argc > 1 ? (unsigned)atoi(argv[1]) : 0);
        free(buffer);
        return 3;
    }
    wait(&status);
    return WEXITSTATUS(status);
}
END
    THEIRS=/dev/shm/ullage-65534
    [ ! -e $THEIRS ] || skip "$THEIRS is in use"
    status=0
    "$ULLAGE" run --json report.json -- ./worker || status=$?
    [ "$status" -eq 3 ]
    processes
    jq -e '.children | length == 1 and (.[0].sites[0] | .flag == "oversized" and .used_max_bytes >= 100000
        and .used_max_bytes < 110000 and .used_is == "measured")' report.json
    # it measures its own pages still, by the descriptor that it opened before
    jq -e '.children[0].measuring.method | . == "pagemap-scan" or . == "pagemap"' report.json
    [ "$(stat -c %U $THEIRS)" = nobody ]
    [ "$(stat -c %a $THEIRS)" = 700 ]
    # a live one is measured from outside, beside root's own ledgers: nothing is written where its user could put links
    "$ULLAGE" run --json report.json -- ./worker 2 &
    runner=$!
    sleep 1.5
    ULLAGE_DIR='' "$ULLAGE" ls > list
    cat list
    grep -qE '^ +PID  USER' list
    grep -qE '^ *[0-9]+  nobody +live .*worker 2' list
    pid=$(awk '/nobody.*live.*worker 2/ { print $1; exit }' list)
    "$ULLAGE" report --json "$pid" | jq -e '.process.state == "live" and .sites[0].live_count == 1 and .sites[0].used_max_bytes >= 100000'
    [ -z "$(ls $THEIRS | grep -v '\.ledger$')" ]
    ls "$ULLAGE_DIR"/65534-*.sidecar
    wait $runner || true
}

@test "chroot and setuid, closefrom, no /proc: recorded all the same" {
    [ "$(id -u)" -eq 0 ] || skip "needs root"
    compile jailed <<'END'
#define _GNU_SOURCE
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
int main(void)
{
    mkdir("jail", 0755);
    if (chroot("jail") != 0 || chdir("/") != 0 || setgroups(0, NULL) != 0 || setgid(65534) != 0 || setuid(65534) != 0)
        return 1;
    closefrom(3);
    for (int i = 0; i < 500; i++) { /* more than the first 64 KiB of ledger hold, where it cannot grow any more */
        char *volatile buffer = malloc(200000);
        memset(buffer, 1, 5000);
        if (i % 2)
            free(buffer);
    }
    puts("alive");
    return 4;
}
END
    status=0
    "$ULLAGE" run --json report.json -- ./jailed > out || status=$?
    [ "$status" -eq 4 ]
    [ "$(cat out)" = alive ]
    processes
    jq -e '.sites[0] | .allocations_total == 500 and .used_max_bytes >= 5000 and .function == "main"' report.json
}

@test "ten descriptors: all of them stay the program's" {
    compile few <<'END'
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(void)
{
    char *volatile buffer = malloc(1 << 20);
    memset(buffer, 1, 5000);
    free(buffer);
    int count = 0, fd = -1, next;
    while ((next = open("/dev/null", O_RDONLY)) >= 0) {
        fd = next;
        count++;
    }
    buffer = malloc(2 << 20);
    memset(buffer, 1, 5000);
    free(buffer);
    printf("%d %d\n", count, fd);
    return 0;
}
END
    (ulimit -n 10; ./few) > alone
    (ulimit -n 10; LD_PRELOAD=$PRELOAD ./few) > beside
    cat alone
    cmp alone beside
    "$ULLAGE" report --json > report.json
    jq -e '[.sites[] | select(.requested_max_bytes >= 1048576)] | length == 2 and all(.used_max_bytes >= 5000)' report.json
}

@test "no /proc, and everything read-only: the program runs, and one line says what is missing" {
    unshare -m true 2> /dev/null || skip "no mount namespaces here"
    unshare -m sh -c 'mount -t tmpfs none /proc; LD_PRELOAD=$0 ULLAGE_DIR=$1 dd bs=16M if=small of=/dev/null status=none' \
        "$PRELOAD" "$ULLAGE_DIR" 2> err
    [ ! -s err ]
    "$ULLAGE" report --json > report.json
    jq -e '.measuring.method == "mincore" and (.sites[0].used_max_bytes >= 40000)' report.json
    jq -e '.warnings | any(test("mincore"))' report.json
    rm -rf "$ULLAGE_DIR"
    unshare -m sh -c 'mount -o remount,bind,ro / 2> /dev/null || mount --bind / / && mount -o remount,bind,ro /; mount -t tmpfs -o ro none /tmp
        mount -t tmpfs -o ro none /dev/shm; cd /; LD_PRELOAD=$0 ULLAGE_DIR=/dev/shm/x dd bs=16M if=/etc/hostname of=/dev/null status=none' \
        "$(cp "$PRELOAD" "$SCRATCH"/p.so; echo "$PRELOAD")" 2> err || { cat err; skip "cannot make this system read-only"; }
    cat err
    if [ -s err ]; then
        [ "$(wc -l < err)" -eq 1 ]
        grep -qE '^ullage: no ledger in /dev/shm/x: .*; the program goes on unrecorded \(set ULLAGE_DIR\)|cannot be preloaded' err
    fi
}

@test "a program that was started without its environment: one line says what is missing" {
    export ULLAGE_SAMPLE_BYTES=0 # env(1) itself is not to be sampled
    same_as_alone env -i "$(command -v dd)" bs=16M if=small of=copy status=none
    cmp small copy
    jq -e '.warnings | length == 1 and (.[0] | test("lost LD_PRELOAD or ULLAGE_RUN_ID"))' report.json
    run "$ULLAGE" run -- env -i "$(command -v dd)" bs=16M if=small of=copy status=none
    [ "$status" -eq 0 ]
    [ "$(grep -c 'warning:' <<< "$output")" -eq 1 ]
    [[ "$output" == *"no ledger: nothing large was asked for, or"* ]]
    compile clears <<'END'
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
int main(void)
{
    clearenv();
    if (fork() == 0) {
        char *volatile buffer = malloc(1 << 20);
        memset(buffer, 1, 5000);
        _exit(0);
    }
    wait(NULL);
    return 0;
}
END
    "$ULLAGE" run --json report.json -- ./clears
    jq -e '[.children[] | .sites[]] | length == 1' report.json # the child does not exec: it is known
}

@test "a child's flag counts for --error-exitcode" {
    run "$ULLAGE" run --error-exitcode 9 -- sh -c 'dd bs=16M if=small of=/dev/null status=none; true'
    [ "$status" -eq 9 ]
}

@test "creators of ledgers remove the oldest of the dead, and nothing else" {
    mkdir -m 700 "$ULLAGE_DIR"
    export ULLAGE_KEEP_LEDGERS=10
    echo mine > "$ULLAGE_DIR/mine.ledger"
    echo mine > "$ULLAGE_DIR/12-zz.ledger"
    mkdir "$ULLAGE_DIR/99999999-12.ledger"
    ln -s mine.ledger "$ULLAGE_DIR/99999998-12.ledger"
    LD_PRELOAD=$PRELOAD "$BUILD/records_naive" 3 60 > /dev/null &
    alive=$!
    for _ in $(seq 100); do
        LD_PRELOAD=$PRELOAD dd bs=16M if=small of=/dev/null status=none
    done
    left=$(ls "$ULLAGE_DIR"/*-*.ledger -d | wc -l)
    echo "$left left"
    [ "$left" -ge 10 ]
    [ "$left" -le 60 ]
    ls "$ULLAGE_DIR"/$alive-*.ledger
    [ "$(cat "$ULLAGE_DIR/mine.ledger")" = mine ]
    [ -e "$ULLAGE_DIR/12-zz.ledger" ]
    [ -d "$ULLAGE_DIR/99999999-12.ledger" ]
    [ -L "$ULLAGE_DIR/99999998-12.ledger" ]
    newest=$("$ULLAGE" ls | awk 'NR == 2 { print $1 }')
    [ -n "$newest" ]
    # --prune: all of the dead, and the live one stays
    "$ULLAGE" ls --prune 2> said > list
    grep -q 'removed [0-9]* ledgers of dead processes' said
    [ "$(grep -c . list)" -eq 2 ]
    grep -q "^ *$alive  *live" list
    kill $alive
    wait $alive || true
    "$ULLAGE" ls --prune 2> /dev/null
    [ -z "$("$ULLAGE" ls 2> /dev/null)" ]
}

@test "1,000 kills in trees of forking processes: every ledger reads, no counter torn" {
    /usr/bin/python3 "$SOURCE/tests/cli/kill-tree.py" "$ULLAGE" "$PRELOAD" "$BUILD/churn" "${KILLS:-1000}"
}
