#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# What a careless interposer would break in the program, and what a stranger could do to whoever reads his ledgers.
load common

teardown() {
    cd /
    [ -z "${SCRATCH:-}" ] || rm -rf "$SCRATCH"
    [ -z "${THEIRS:-}" ] || rm -rf "$THEIRS"
}

need_cxx() { command -v g++ > /dev/null || skip "no g++"; }
need_jemalloc() {
    JEMALLOC=$(${CC:-cc} -print-file-name=libjemalloc.so.2)
    [ -e "$JEMALLOC" ] || skip "no libjemalloc.so.2 here"
}

# alone and beside the interposer: the same, and in time
same_beside() {
    local alone=0 beside=0
    timeout 20 "$@" > alone.out 2>&1 || alone=$?
    LD_PRELOAD="$PRELOAD${OTHERS:+:$OTHERS}" timeout 20 "$@" > beside.out 2>&1 || beside=$?
    echo "alone $alone, beside $beside"
    diff alone.out beside.out
    [ "$alone" -eq "$beside" ]
}

host() { # opens each library with RTLD_LOCAL, calls go(), closes it, and covers its place
    cat > host.c <<'END'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <sys/mman.h>
int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        void *library = dlopen(argv[i], RTLD_NOW | RTLD_LOCAL);
        int (*go)(void) = library ? (int (*)(void))dlsym(library, "go") : NULL;
        printf("%d\n", go ? go() : -1);
        void *place = (void *)((unsigned long)go & ~4095UL);
        dlclose(library);
        mmap(place, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    }
    return 0;
}
END
    ${CC:-cc} -O1 -o host host.c
}

@test "a plugin whose constructor waits for a thread of its own" {
    need_cxx
    host
    cat > waits.cc <<'END'
#include <string>
#include <thread>
static int sum;
struct Pool {
    Pool() { std::thread worker([] { sum += (int)std::string(100, 'x').size(); delete new (std::nothrow) int; }); worker.join(); }
} pool;
extern "C" int go() { return sum; }
END
    g++ -O1 -shared -fPIC -pthread -o waits.so waits.cc
    same_beside ./host ./waits.so
    [ "$(cat alone.out)" = 100 ]
}

@test "dlerror() says what it would say" {
    need_cxx
    cat > error.cc <<'END'
#include <cstdio>
#include <dlfcn.h>
#include <string>
int main()
{
    std::printf("%s\n", dlerror() == nullptr ? "nothing" : "something");
    if (dlopen("libnosuch.so", RTLD_NOW) == nullptr) {
        std::string message("long enough to be allocated, so that new is called: ");
        message += dlerror();
        std::puts(message.c_str());
    }
}
END
    g++ -O1 -o error error.cc
    same_beside ./error
}

@test "plugins with an operator new of their own keep it, each its own" {
    need_cxx
    host
    cat > pool.cc <<'END'
#include <cstdlib>
#include <new>
static char pool[1 << 16];
static size_t used;
static bool is_mine(void *p) { return (char *)p >= pool && (char *)p < pool + sizeof pool; }
void *operator new(size_t bytes) { void *p = pool + used; used += (bytes + 15) & ~size_t(15); return p; }
void operator delete(void *p) noexcept { if (!is_mine(p)) abort(); }
void operator delete(void *p, size_t) noexcept { if (!is_mine(p)) abort(); }
extern "C" int go()
{
    long *volatile number = new long(NUMBER);
    int result = is_mine((void *)number) ? (int)*number : -1;
    delete number;
    return result;
}
END
    for n in 1 2 3; do g++ -O1 -DNUMBER=$n -shared -fPIC -o pool$n.so pool.cc; done
    same_beside ./host ./pool1.so ./pool2.so ./pool3.so ./pool1.so
    [ "$(tr -d '\n' < alone.out)" = 1231 ]
    cat > plain.cc <<'END'
#include <stdexcept>
#include <string>
extern "C" int go()
{
    std::string text(10000, 'x');
    try { throw std::runtime_error(text); } catch (std::exception &e) { return (int)std::string(e.what()).size(); }
}
END
    g++ -O1 -shared -fPIC -static-libstdc++ -static-libgcc -o static1.so plain.cc
    g++ -O1 -shared -fPIC -static-libstdc++ -static-libgcc -DOTHER -o static2.so plain.cc
    g++ -O1 -shared -fPIC -o dynamic.so plain.cc
    same_beside ./host ./static1.so ./static2.so ./dynamic.so ./static1.so
}

@test "nallocx without jemalloc promises no more than there is" {
    cat > nallocx.c <<'END'
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
extern void *mallocx(size_t, int) __attribute__((weak));
extern size_t nallocx(size_t, int) __attribute__((weak));
int main(void)
{
    for (size_t bytes = 1; mallocx && nallocx && bytes < 5000; bytes++) {
        void *p = mallocx(bytes, 0);
        memset(p, 1, nallocx(bytes, 0));
        if (nallocx(bytes, 0) < bytes || nallocx(bytes, 0) > malloc_usable_size(p))
            return 1;
        free(p);
    }
    return 0;
}
END
    ${CC:-cc} -O1 -o nallocx nallocx.c
    same_beside ./nallocx
}

@test "_exit in a signal handler, on jemalloc with hooks" {
    need_jemalloc
    cat > alarm.c <<'END'
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>
static void end(int number) { (void)number; _exit(7); }
int main(int argc, char **argv)
{
    struct itimerval timer = { { 0, 0 }, { 0, 15000 + 1000 * atoi(argv[argc - 1]) } };
    void *held[300];
    signal(SIGALRM, end);
    setitimer(ITIMER_REAL, &timer, NULL);
    for (;;) {
        for (int i = 0; i < 300; i++)
            held[i] = malloc((size_t)(40000 + i * 64));
        for (int i = 0; i < 300; i++)
            free(held[i]);
    }
}
END
    ${CC:-cc} -O1 -o alarm alarm.c
    export MALLOC_CONF=prof:true,narenas:1,tcache:false ULLAGE_JEMALLOC=1
    for n in 1 2 3 4 5 6 7 8 9 10; do
        status=0
        LD_PRELOAD=$PRELOAD:$JEMALLOC timeout 10 ./alarm $n || status=$?
        [ "$status" -eq 7 ]
    done
}

@test "libullage opened, used and closed again; its locks after a fork" {
    need_jemalloc
    cat > closes.c <<'END'
#include <dlfcn.h>
#include <stdlib.h>
int main(int argc, char **argv)
{
    void *library = dlopen(argv[argc - 1], RTLD_NOW | RTLD_LOCAL);
    int (*install)(void) = (int (*)(void))dlsym(library, "ullage_jemalloc_install");
    if (install == NULL || install() != 0 || dlclose(library) != 0)
        return 1;
    for (int i = 0; i < 2000; i++)
        free(malloc(5000));
    return 5;
}
END
    ${CC:-cc} -O0 -o closes closes.c "$JEMALLOC"
    MALLOC_CONF=prof:true,lg_prof_sample:10 run timeout 20 ./closes "$BUILD/.libs/libullage.so"
    [ "$status" -eq 5 ]
    cat > forks.c <<'END'
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <ullage/jemalloc.h>
#include <unistd.h>
static void *dump(void *argument) { for (;;) ullage_jemalloc_dump("/dev/null"); return argument; }
int main(void)
{
    pthread_t thread;
    int status = 0, sum = 0;
    if (ullage_jemalloc_install() != 0)
        return 1;
    pthread_create(&thread, NULL, dump, NULL);
    for (int i = 0; i < 30; i++) {
        if (fork() == 0) {
            alarm(5);
            ullage_jemalloc_activate(1);
            _exit(0);
        }
        wait(&status);
        sum += status != 0;
    }
    _exit(sum);
}
END
    ${CC:-cc} -O0 -I"$SOURCE/include" -o forks forks.c -L"$BUILD/.libs" -lullage -Wl,-rpath,"$BUILD/.libs" -Wl,--no-as-needed "$JEMALLOC" -pthread
    MALLOC_CONF=prof:true run timeout 60 ./forks
    [ "$status" -eq 0 ]
}

@test "calloc is zero, also from an allocator whose memory is a private mapping of a file" {
    need_jemalloc
    cat > extents.c <<'END'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
struct hooks {
    void *(*alloc)(struct hooks *, void *, size_t, size_t, bool *, bool *, unsigned);
    bool (*dalloc)(void);
    void (*destroy)(void);
    bool (*others[4])(void), (*split)(void), (*merge)(void);
};
static int fd;
static bool refuse(void) { return true; }
static bool agree(void) { return false; }
static void nothing(void) { }
static void *from_file(struct hooks *hooks, void *at, size_t bytes, size_t align, bool *zero, bool *commit, unsigned arena)
{
    (void)hooks, (void)at, (void)arena;
    char *place = mmap(0, bytes + align, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    place = (char *)(((size_t)place + align - 1) & ~(align - 1));
    *zero = false, *commit = true;
    return mmap(place, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd, 0) == MAP_FAILED ? NULL : place;
}
int main(void)
{
    static struct hooks hooks = { from_file, refuse, nothing, { refuse, refuse, refuse, refuse }, agree, agree }, *given = &hooks;
    static char ones[1 << 20];
    int bad = 0, (*mallctl)(const char *, void *, size_t *, void *, size_t) = dlsym(RTLD_DEFAULT, "mallctl");
    unsigned arena;
    size_t bytes = sizeof arena;
    fd = memfd_create("heap", 0);
    memset(ones, 0xff, sizeof ones);
    for (int i = 0; i < 64; i++)
        if (write(fd, ones, sizeof ones) != sizeof ones)
            return 2;
    if (mallctl("arenas.create", &arena, &bytes, &given, sizeof given) || mallctl("thread.arena", 0, 0, &arena, sizeof arena))
        return 3;
    for (int round = 0; round < 20; round++) {
        unsigned char *p = calloc(1, (size_t)(200000 + round * 4096));
        for (int i = 0; i < 200000; i++)
            bad += p[i] != 0;
        memset(p, 1, 200000);
        if (round % 2)
            free(p);
    }
    printf("%d\n", bad);
    return bad != 0;
}
END
    ${CC:-cc} -O1 -w -o extents extents.c "$JEMALLOC"
    same_beside ./extents
    [ "$(cat beside.out)" = 0 ]
}

@test "a setuid program that links libullage records nothing for the stranger that runs it" {
    [ "$(id -u)" -eq 0 ] || skip "needs root for a setuid program"
    cat > sessions.c <<'END'
#include <stdio.h>
#include <ullage/profile.h>
#include <unistd.h>
int main(void) { ullage_profile_add(ullage_profile_get("sessions"), (void *)1); printf("%d\n", (int)geteuid()); return 0; }
END
    cp "$BUILD/.libs/libullage.so.0" .
    ${CC:-cc} -I"$SOURCE/include" -o sessions sessions.c ./libullage.so.0 -Wl,-rpath,"$SCRATCH"
    chmod 4755 sessions
    chmod 755 "$SCRATCH" libullage.so.0
    ULLAGE_DIR=$SCRATCH/made ULLAGE_KEEP_LEDGERS=0 run setpriv --reuid=65534 --clear-groups ./sessions
    [ "$output" = 0 ]
    [ ! -e made ]
    ULLAGE_DIR=$SCRATCH/made ./sessions # root's own
    [ -e made ]
}

@test "root reads a stranger's directory: quickly, and believes no more than is proven" {
    [ "$(id -u)" -eq 0 ] || skip "needs root"
    THEIRS=/dev/shm/ullage-65534
    [ ! -e $THEIRS ] || skip "$THEIRS is in use"
    "$ULLAGE" run --json /dev/null -- dd bs=16M if=small of=/dev/null status=none
    ours=$(ls "$ULLAGE_DIR"/*.ledger)
    mkdir -m 700 $THEIRS
    # sparse files of the largest size, links, pipes, and a ledger that names a process of root's
    for n in $(seq 60); do truncate -s 1G "$THEIRS/$n-a.ledger"; done
    mkfifo "$THEIRS/100-a.ledger"
    ln -s /etc/shadow "$THEIRS/101-a.ledger"
    python3 - "$ours" "$THEIRS/$$-ffffffffffffffff.ledger" $$ <<'END'
import struct, sys
data = bytearray(open(sys.argv[1], "rb").read())
pid = int(sys.argv[3])
old = struct.unpack_from("<I", data, 40)[0]
struct.pack_into("<I", data, 40, pid)
assert struct.pack("<I", old) and len(data) >= 65536
ticks = int(open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[19])
struct.pack_into("<Q", data, 56, ticks)
open(sys.argv[2], "wb").write(data)
END
    chown -R 65534:65534 $THEIRS
    begun=$(date +%s%N)
    ULLAGE_DIR='' timeout 10 "$ULLAGE" ls > list
    timeout 10 "$ULLAGE" run --json report.json -- true
    [ $((($(date +%s%N) - begun) / 1000000)) -lt 3000 ]
    run "$ULLAGE" report $$
    echo "$output"
    [ "$status" -eq 2 ]
    [[ "$output" == *"process $$ has no ledger"* ]]
    # a directory that others may write to, or that is not its user's, is not looked at
    chmod 777 $THEIRS
    ULLAGE_DIR='' "$ULLAGE" ls > list 2>&1
    ! grep -q 'dd bs=16M.*65534' list
}

@test "names come from a stranger's files only if they are root's own" {
    [ "$(id -u)" -eq 0 ] || skip "needs root"
    THEIRS=/dev/shm/ullage-65534
    [ ! -e $THEIRS ] || skip "$THEIRS is in use"
    cat > named.c <<'END'
#include <stdlib.h>
__attribute__((noinline)) char *reserve(void) { return malloc(16 << 20); }
int main(void) { char *volatile p = reserve(); p[0] = 1; free(p); return 0; }
END
    ${CC:-cc} -g -O1 -o named named.c
    chmod 755 "$SCRATCH" named
    cp "$PRELOAD" p.so
    chmod 755 p.so
    mkdir -m 700 $THEIRS
    chown 65534 $THEIRS
    ULLAGE_DIR=$THEIRS LD_PRELOAD=$SCRATCH/p.so setpriv --reuid=65534 --clear-groups ./named
    "$ULLAGE" report --json $THEIRS/*.ledger | jq -e '.sites[0].stack | map(.function) | index("reserve")' # root's file
    chown 65534 named
    "$ULLAGE" report --json $THEIRS/*.ledger | jq -e '.sites[0].stack | map(.function) | index("reserve") == null'
}

@test "a process whose first thread has ended lives" {
    cat > headless.c <<'END'
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static void *work(void *argument)
{
    char *volatile p = malloc(8 << 20);
    memset(p, 1, 4096);
    sleep(3);
    free(p);
    exit(0);
    return argument;
}
int main(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, work, NULL);
    pthread_detach(thread);
    pthread_exit(NULL);
}
END
    ${CC:-cc} -O0 -o headless headless.c -pthread
    LD_PRELOAD=$PRELOAD ./headless &
    pid=$!
    sleep 1
    "$ULLAGE" ls | grep -E "^ *$pid +live"
    "$ULLAGE" ls --prune | grep -E "^ *$pid +live"
    kill $pid
}

@test "a child in a pid namespace of its own, and CLONE_PARENT: no orphans" {
    [ "$(id -u)" -eq 0 ] || skip "needs root"
    cat > spaces.c <<'END'
#define _GNU_SOURCE
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
int main(void)
{
    char *volatile table = malloc(8 << 20);
    memset(table, 1, 4096);
    if (unshare(CLONE_NEWPID) != 0)
        return 77;
    if (fork() == 0) {
        for (int i = 0; i < 300; i++)
            free(memset(malloc(100000), 1, 100000));
        usleep(200000);
        exit(0);
    }
    wait(NULL);
    memset(table, 1, 8 << 20);
    free(table);
    return 0;
}
END
    ${CC:-cc} -O0 -o spaces spaces.c
    "$ULLAGE" run --json report.json -- ./spaces || skip "no pid namespaces here"
    jq -e '[.. | objects | select(has("sites")) | .sites[] | select(.requested_max_bytes == 8388608 and .flag != null)] | length == 0' report.json
}

@test "ledgers of another boot or another machine are not reaped" {
    "$ULLAGE" run --json /dev/null -- dd bs=16M if=small of=/dev/null status=none
    ledger=$(ls "$ULLAGE_DIR"/*.ledger)
    python3 - "$ledger" "$ULLAGE_DIR/4000001-1.ledger" <<'END'
import struct, sys
data = bytearray(open(sys.argv[1], "rb").read())
struct.pack_into("<Q", data, 88, struct.unpack_from("<Q", data, 88)[0] ^ 12345)
open(sys.argv[2], "wb").write(data)
END
    chmod 600 "$ULLAGE_DIR/4000001-1.ledger"
    export ULLAGE_KEEP_LEDGERS=0
    for _ in $(seq 40); do LD_PRELOAD=$PRELOAD dd bs=16M if=small of=/dev/null status=none; done
    [ ! -e "$ledger" ]
    [ -e "$ULLAGE_DIR/4000001-1.ledger" ]
    "$ULLAGE" ls --prune > /dev/null 2>&1
    [ -e "$ULLAGE_DIR/4000001-1.ledger" ]
}
