#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# Programs that an interposer harms easily. Each runs alone and beside us, and must do the same.
load common

build() { # NAME [FLAG...]: compiles NAME.c
    local name=$1
    shift
    ${CC:-cc} -g -O0 -w "$name.c" -o "$name" -pthread "$@"
}

unharmed() {
    local alone=0 beside=0
    timeout 20 "$@" > alone.out 2>&1 || alone=$?
    LD_PRELOAD=$PRELOAD timeout 20 "$@" > beside.out 2>&1 || beside=$?
    echo "alone $alone: $(tail -n 1 alone.out); beside $beside: $(tail -n 1 beside.out)"
    [ "$alone" -ne 124 ] && [ "$alone" -eq "$beside" ] && cmp alone.out beside.out
}

@test "fork: a library whose handler takes the lock that it holds around malloc" {
    cat > lib.c <<'END'
#include <pthread.h>
#include <stdlib.h>
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
void work(void) { pthread_mutex_lock(&lock); free(malloc(100000)); pthread_mutex_unlock(&lock); }
static void before(void) { free(malloc(100000)); pthread_mutex_lock(&lock); }
static void after(void) { pthread_mutex_unlock(&lock); }
__attribute__((constructor)) static void start(void) { pthread_atfork(before, after, after); }
END
    cat > forks.c <<'END'
#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
void work(void);
static volatile int stop;
static void *loop(void *p) { while (!stop) work(); return p; }
int main(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, loop, NULL);
    for (int i = 0; i < 200; i++) {
        pid_t pid = fork();
        if (pid == 0) { work(); _exit(0); }
        waitpid(pid, NULL, 0);
    }
    stop = 1;
    pthread_join(thread, NULL);
    puts("forked");
}
END
    ${CC:-cc} -g -O0 -shared -fPIC lib.c -o libwork.so -pthread
    build forks -L. -lwork -Wl,-rpath,"$PWD"
    unharmed ./forks
}

@test "a buffer whose pages may not be read any more" {
    cat > guard.c <<'END'
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
int main(void)
{
    char *p;
    size_t bytes = (1 << 20) + 100;
    if (posix_memalign((void **)&p, 4096, bytes)) return 1;
    memset(p, 1, bytes);
    mprotect(p, (bytes + 4095) & ~4095UL, PROT_NONE);
    free(p);
    puts("freed");
}
END
    build guard
    unharmed ./guard
}

@test "low descriptors stay the program's, also after all were closed" {
    cat > low.c <<'END'
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(void)
{
    FILE *keep = fopen("low.out", "w");
    memset(malloc(1 << 20), 1, 4096);
    closefrom(0);
    for (int i = 0; i < 3000; i++) memset(malloc(70000), 1, 10);
    int a = open("/dev/null", O_RDWR), b = dup(a), c = dup(a);
    int out = open("low.out", O_WRONLY | O_CREAT, 0600);
    dprintf(out, "%d %d %d %d\n", a, b, c, out);
    return 0;
}
END
    build low
    ./low
    [ "$(cat low.out)" = "0 1 2 3" ]
    LD_PRELOAD=$PRELOAD ./low
    [ "$(cat low.out)" = "0 1 2 3" ]
    "$ULLAGE" report --json | jq -e '.totals.allocations_total >= 3001'
}

@test "descriptors that were closed and opened again are not read, written or closed by an unwinder" {
    cat > reopened.c <<'END'
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#define SITE(n) __attribute__((noinline)) static void site##n(int depth) { volatile char room[9000]; room[depth] = 1; if (depth > 0) site##n(depth - 1); \
    else { char *volatile p = malloc(100000); p[0] = 1; free(p); } __asm__ volatile("" ::: "memory"); }
SITE(1) SITE(2) SITE(3) SITE(4)
int main(void)
{
    char read_back[64] = "";
    site1(1);
    closefrom(3);
    for (int i = 0; i < 8; i++) {
        int fd = open("data", O_RDWR | O_CREAT, 0600);
        if (fd != 3 + i || (i == 0 && write(fd, "0123456789", 10) != 10) || lseek(fd, 2, SEEK_SET) != 2)
            return 1;
    }
    for (int depth = 0; depth < 20; depth++)
        site2(depth), site3(depth), site4(depth);
    for (int i = 0; i < 8; i++)
        if (lseek(3 + i, 0, SEEK_CUR) != 2)
            return 10 + i;
    return pread(3, read_back, 63, 0) == 10 && strcmp(read_back, "0123456789") == 0 ? 0 : 2;
}
END
    ${CC:-cc} -O0 -fno-asynchronous-unwind-tables reopened.c -o reopened # frames that need trying
    unharmed ./reopened
}

@test "_exit does not wait for a dlopen in another thread" {
    cat > slow.c <<'END'
#include <unistd.h>
__attribute__((constructor)) static void start(void) { sleep(15); }
END
    cat > leaves.c <<'END'
#include <dlfcn.h>
#include <pthread.h>
#include <unistd.h>
static void *load(void *p) { dlopen("./slow.so", RTLD_NOW); return p; }
int main(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, load, NULL);
    usleep(300000);
    _exit(3);
}
END
    ${CC:-cc} -shared -fPIC slow.c -o slow.so
    build leaves
    status=0
    LD_PRELOAD=$PRELOAD timeout 10 ./leaves || status=$?
    [ "$status" -eq 3 ]
}

@test "malloc in a signal handler on a small alternate stack" {
    cat > alternate.c <<'END'
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
static char stack[8192];
static volatile int done;
static void handle(int n) { free(malloc(100000)); done++; }
int main(void)
{
    stack_t s = { .ss_sp = stack, .ss_size = sizeof stack };
    struct sigaction a = { .sa_handler = handle, .sa_flags = SA_ONSTACK };
    sigaltstack(&s, NULL);
    sigaction(SIGUSR1, &a, NULL);
    for (int i = 0; i < 100; i++) raise(SIGUSR1);
    printf("%d\n", done);
}
END
    build alternate
    unharmed ./alternate
}

@test "threads with the smallest stack" {
    cat > tiny.c <<'END'
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static void *work(void *p) { for (int i = 0; i < 50; i++) free(memset(malloc(100000 + i), 1, 10)); return p; }
int main(void)
{
    pthread_attr_t a;
    pthread_attr_init(&a);
    pthread_attr_setstacksize(&a, 16384);
    for (int i = 0; i < 40; i++) {
        pthread_t t;
        if (pthread_create(&t, &a, work, NULL)) return 1;
        pthread_join(t, NULL);
    }
    puts("done");
}
END
    build tiny
    unharmed ./tiny
}

@test "a thread that is stopped while it holds our lock does not stop the others" {
    cat > stops.c <<'END'
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
static sem_t stopped;
static void stop(int n) { sigset_t s; sigfillset(&s); sigdelset(&s, SIGUSR2); sem_post(&stopped); sigsuspend(&s); }
static void go(int n) {}
static void *loop(void *p) { for (;;) free(malloc(100000)); return p; }
int main(void)
{
    pthread_t t;
    sem_init(&stopped, 0, 0);
    struct sigaction a = { .sa_handler = stop };
    sigfillset(&a.sa_mask); /* or SIGUSR2 is lost between the post and the wait */
    sigaction(SIGUSR1, &a, NULL);
    a.sa_handler = go;
    sigaction(SIGUSR2, &a, NULL);
    pthread_create(&t, NULL, loop, NULL);
    for (int i = 0; i < 2000; i++) {
        usleep(20);
        pthread_kill(t, SIGUSR1);
        while (sem_wait(&stopped)) {}
        free(malloc(200000));
        pthread_kill(t, SIGUSR2);
    }
    puts("stopped and went on");
    _exit(0);
}
END
    build stops
    unharmed ./stops
}

@test "a program that filters its system calls" {
    cat > filter.c <<'END'
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#define ALLOW(name) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##name, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
int main(void)
{
    struct sock_filter code[] = { BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        ALLOW(write), ALLOW(brk), ALLOW(mmap), ALLOW(munmap), ALLOW(exit_group), ALLOW(newfstatat), ALLOW(fstat),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS) };
    struct sock_fprog program = { sizeof code / sizeof code[0], code };
    memset(malloc(1 << 20), 1, 4096);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program)) return 1;
    for (int i = 0; i < 50; i++) free(memset(malloc(1 << 20), 1, 4096));
    puts("filtered");
    return 0;
}
END
    build filter
    unharmed ./filter
    "$ULLAGE" report | tr -s ' \n' ' ' | grep -q 'the program sandboxed itself'
}

@test "pages that the program gave back: its use is unknown, not small" {
    cat > gives.c <<'END'
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
int main(void)
{
    for (int i = 0; i < 20; i++) {
        char *p = aligned_alloc(4096, 8 << 20);
        memset(p, 1, 8 << 20);
        madvise(p, 8 << 20, MADV_DONTNEED);
        free(p);
    }
}
END
    build gives
    "$ULLAGE" run --json report.json -- ./gives
    jq -e '.sites[] | select(.requested_max_bytes == 8388608) | .flag == null and .used_is == "unknown"' report.json
}

@test "workers that inherit one buffer are not blamed for it, each" {
    cat > workers.c <<'END'
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
int main(void)
{
    memset(malloc(32 << 20), 1, 4096);
    for (int i = 0; i < 3; i++)
        if (fork() == 0) { memset(malloc(100000), 1, 90000); exit(0); }
    while (wait(NULL) > 0) {}
}
END
    build workers
    "$ULLAGE" run --json report.json -- ./workers
    jq -e '[.. | objects | select(.flag? != null and has("stack"))] | length == 1' report.json
    jq -e '.children | length == 3' report.json
}

@test "ullage itself: SIGCHLD ignored, stopped and continued, no standard error, a relative directory" {
    timeout 10 perl -e '$SIG{CHLD} = "IGNORE"; exec @ARGV' "$ULLAGE" run --json /dev/null -- sh -c 'exit 0'
    status=0
    "$ULLAGE" run -- sh -c 'exit 7' 2>&- || status=$?
    [ "$status" -eq 7 ]
    status=0
    "$ULLAGE" run -- sh -c 'exit 7' 2> /dev/full || status=$?
    [ "$status" -eq 7 ]
    ULLAGE_DIR=here "$ULLAGE" run --json report.json -- sh -c 'mkdir there && cd there && exec dd bs=16M if=../small of=/dev/null status=none'
    [ "$(first_site .flag)" = oversized ]
    [ ! -e there/here ]
    "$ULLAGE" run -- sh -c 'echo $$ > pid; kill -STOP $$; exit 5' 2> /dev/null &
    runner=$!
    for _ in $(seq 100); do [ "$(ps -o stat= -p $runner | cut -c1)" = T ] && break; sleep 0.05; done
    [ "$(ps -o stat= -p $runner | cut -c1)" = T ]
    kill -CONT $runner
    status=0
    wait $runner || status=$?
    [ "$status" -eq 5 ]
}

@test "a run in progress keeps its ledgers when another one tidies up" {
    "$ULLAGE" run --json report.json -- sh -c 'for i in $(seq 220); do sort small > /dev/null; done; touch made; sleep 2' 2> /dev/null &
    runner=$!
    for _ in $(seq 400); do [ -e made ] && break; sleep 0.05; done
    "$ULLAGE" run --json /dev/null -- true
    wait $runner
    [ "$(jq '[.. | objects | select(has("process")) | .process.command | select(startswith("sort"))] | length' report.json)" -eq 220 ]
}
