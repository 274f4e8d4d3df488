#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# Live profiles: threads without a call, own kinds by a call, a leak as a stack that grows.
load common

compile_linked() { # NAME: from standard input, with libullage
    cat > "$1.c"
    ${CC:-cc} -g -O1 -fno-optimize-sibling-calls -I"$SOURCE/include" -o "$1" "$1.c" -L"$BUILD/.libs" -lullage -Wl,-rpath,"$BUILD/.libs" -pthread
}

threads_program() {
    cat > threads.c <<'END'
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <unistd.h>
static sem_t go;
static void *wait_for_it(void *argument) { sem_wait(&go); return argument; }
static void *leave(void *argument) { if (argument) pthread_exit(argument); return NULL; }
static void *be_cancelled(void *argument) { for (;;) pause(); return argument; }
static void start(void *(*routine)(void *), void *argument, int join)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, routine, argument) != 0)
        exit(1);
    if (routine == be_cancelled)
        pthread_cancel(thread);
    if (join)
        pthread_join(thread, NULL);
    else
        pthread_detach(thread);
}
__attribute__((noinline)) static void health_check(void) /* leaves two behind, each time */
{
    start(wait_for_it, NULL, 0);
    start(wait_for_it, NULL, 0);
    __asm__ volatile("" ::: "memory");
}
int main(int argc, char **argv)
{
    sem_init(&go, 0, 0);
    for (int i = 0; i < 10; i++) {
        start(leave, NULL, 1);
        start(leave, &go, 1);
        start(be_cancelled, NULL, 1);
    }
    for (int i = 0; i < 25; i++)
        health_check();
    if (argc > 1)
        sleep((unsigned)atoi(argv[1]));
    return 0;
}
END
    ${CC:-cc} -g -O1 -fno-optimize-sibling-calls -o threads threads.c -pthread
}

@test "threads: those that ended in any way are gone, a leak is a stack" {
    threads_program
    same_as_alone ./threads
    jq -e '.profiles | length == 1 and .[0].name == "threads" and .[0].count == 50 and .[0].added_total == 80
        and .[0].removed_total == 30' report.json
    jq -e '.profiles[0].sites[0] | .count == 50 or .count == 25' report.json
    jq -e '.profiles[0].sites | map(select(.count > 0)) | all(.stack | map(.function) | index("health_check"))' report.json
    jq -e '[.profiles[0].sites[].count] | add == 50' report.json
    # threads are no buffers
    jq -e '[.sites[] | select(.kind == "profile")] | length == 0' report.json
    "$ULLAGE" run -- ./threads 2> text
    grep -qE '^  threads: 50 held at the end, 80 in all, by' text
    awk 'length($0) > 80 { bad = 1 } END { exit bad }' text
}

@test "two looks at a live process: the stack that grows" {
    threads_program
    "$ULLAGE" run --json report.json -- ./threads 2 &
    runner=$!
    sleep 1
    "$ULLAGE" report --json "$(pgrep -n -x threads)" > live.json
    jq -e '.process.state == "live" and .profiles[0].count == 50' live.json
    wait $runner
}

@test "own kinds, from libullage alone and under the interposer" {
    compile_linked leases <<'END'
#include <ullage/profile.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
static char keys[200000];
__attribute__((noinline)) static void take(struct ullage_profile *profile, int n) { ullage_profile_add(profile, &keys[n]); __asm__ volatile("" ::: "memory"); }
__attribute__((noinline)) static void forget(struct ullage_profile *profile, int n) { ullage_profile_add(profile, &keys[n]); __asm__ volatile("" ::: "memory"); }
static void *work(void *argument)
{
    struct ullage_profile *profile = ullage_profile_get("readers");
    for (int i = 0; i < 20000; i++)
        ullage_profile_add(profile, &keys[(long)argument * 20000 + i]);
    for (int i = 0; i < 20000; i++)
        ullage_profile_remove(profile, &keys[(long)argument * 20000 + i]);
    return NULL;
}
int main(void)
{
    struct ullage_profile *leases = ullage_profile_get("leases");
    if (leases == NULL || ullage_profile_get("leases") != leases || ullage_profile_get("") || ullage_profile_get(NULL)
        || ullage_profile_get("a\nb") || ullage_profile_get("0123456789012345678901234567890123456789012345678901234567890123"))
        return 1;
    ullage_profile_add(NULL, keys);
    ullage_profile_add(leases, NULL);
    ullage_profile_remove(leases, keys); /* never added */
    for (int i = 0; i < 1000; i++)
        take(leases, i);
    for (int i = 0; i < 990; i++)
        ullage_profile_remove(leases, &keys[i]);
    take(leases, 999); /* there already: counts as given back and taken again */
    for (int i = 2000; i < 2007; i++)
        forget(leases, i);
    if (fork() == 0) { /* begins with none */
        ullage_profile_remove(leases, &keys[999]);
        take(leases, 5);
        _exit(0);
    }
    wait(NULL);
    pthread_t threads[4];
    for (long i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, work, (void *)i);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 100; i++) {
        char name[16];
        snprintf(name, sizeof name, "kind %d", i);
        if ((ullage_profile_get(name) == NULL) != (i > 63 - 2 - (ullage_profile_get("threads") != NULL)))
            return 2 + i;
    }
    return 0;
}
END
    check() {
        jq -e '.profiles | map(select(.name == "leases")) | .[0] | .count == 17 and .added_total == 1008 and .removed_total == 991' "$1"
        jq -e '.profiles | map(select(.name == "leases")) | .[0].sites | map([.function, .count]) == [["take", 9], ["forget", 7], ["take", 1]]' "$1"
        jq -e '.profiles | map(select(.name == "leases")) | .[0].sites[0].peak_count == 1000' "$1"
        jq -e '.profiles | map(select(.name == "readers")) | .[0] | .count == 0 and .added_total == 80000' "$1"
        jq -e '.counters.profile_dropped_total == 0' "$1"
    }
    run ./leases
    echo "$status"
    [ "$status" -eq 0 ]
    for ledger in "$ULLAGE_DIR"/*.ledger; do
        "$ULLAGE" report --json "$ledger" > "$(basename "$ledger").json"
    done
    [ "$(ls ./*.ledger.json | wc -l)" -eq 2 ]
    mother=$(grep -l '"count": 17' ./*.ledger.json)
    check "$mother"
    jq -e '.profiles | map(select(.name == "leases")) | .[0].count == 1' "$(ls ./*.ledger.json | grep -v "$mother")"
    "$ULLAGE" run --json report.json -- ./leases
    check report.json
    jq -e '.profiles | map(.name) | index("threads") != null' report.json
}
