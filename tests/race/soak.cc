// SPDX-License-Identifier: BSD-2-Clause
// soak.cc - threads that allocate, throw, fork, and load and unload two libraries at one address, all at once: nothing may
// hang, crash, or get a wrong stack. The last is for the report to show: 200001 bytes are asked for by library A alone,
// 300001 by B, 400001 by deep().
//
//     soak SECONDS A.so B.so [hooks]      hooks: give jemalloc ours first
//
// The libraries come in after a third of the time: until then the fast unwinder works. Exit 0, or 1 with a sentence.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <stdexcept>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {
enum { WORKERS = 5, STUCK_AFTER_S = 20 };
std::atomic<bool> over { false };
std::atomic<unsigned long> rounds[WORKERS];
std::atomic<int> failures { 0 };

__attribute__((noinline)) char *deep(int depth)
{
    char *buffer;
    if (depth > 0)
        buffer = deep(depth - 1);
    else
        buffer = static_cast<char *>(malloc(400001));
    __asm__ volatile("" : "+r"(buffer) : : "memory"); // a frame of its own
    return buffer;
}

__attribute__((noinline)) int thrower(int depth)
{
    std::vector<char> held(70000, 'x'); // its destructor runs while the stack is unwound
    if (depth == 0)
        throw std::runtime_error(std::string(100, 'y'));
    return thrower(depth - 1) + held[69999];
}

int catch_one(int depth)
{
    try {
        return thrower(depth);
    } catch (const std::runtime_error &caught) {
        return static_cast<int>(strlen(caught.what()));
    }
}

void allocate(int number)
{
    for (unsigned i = 0; !over; i++) {
        char *buffer = deep(static_cast<int>(i % 24));
        buffer[i % 400000] = 1;
        for (int k = 0; k < 50; k++)
            free(memset(malloc(100 + i % 5000), 1, 100));
        free(buffer);
        rounds[number]++;
    }
}

void throw_up(int number)
{
    for (unsigned i = 0; !over; i++) {
        if (catch_one(static_cast<int>(i % 16)) != 100)
            failures++;
        rounds[number]++;
    }
}

void load(int number, const char *const *paths, std::chrono::steady_clock::time_point from)
{
    for (unsigned i = 0; !over; i++) {
        rounds[number]++;
        if (std::chrono::steady_clock::now() < from) {
            usleep(10000);
            continue;
        }
        void *library = dlopen(paths[i % 2], RTLD_NOW | RTLD_LOCAL);
        void *symbol = library != nullptr ? dlsym(library, "plugin_entry") : nullptr;
        if (symbol == nullptr) {
            failures++;
            return;
        }
        auto entry = reinterpret_cast<void *(*)(size_t)>(symbol);
        for (int k = 0; k < 4; k++)
            free(entry(i % 2 == 0 ? 200001 : 300001));
        dlclose(library);
    }
}

// A child that hangs is killed, and counted.
void fork_on(int number)
{
    while (!over) {
        pid_t child = fork();
        if (child == 0) {
            free(deep(5));
            _exit(catch_one(5) == 100 ? 0 : 1);
        }
        int status = -1;
        for (int waited = 0; waitpid(child, &status, WNOHANG) == 0; waited++) {
            if (waited > STUCK_AFTER_S * 1000) {
                kill(child, SIGKILL);
                std::puts("a forked child hangs");
            }
            usleep(1000);
        }
        if (status != 0) {
            std::printf("a forked child ended with status %#x\n", static_cast<unsigned>(status));
            failures++;
        }
        rounds[number]++;
        usleep(20000);
    }
}

bool install()
{
    struct options { size_t size; bool every_call; } wanted = { sizeof(options), true };
    auto call = reinterpret_cast<int (*)(const options *)>(dlsym(RTLD_DEFAULT, "ullage_jemalloc_install_with"));
    return call != nullptr && call(&wanted) == 0;
}
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return 2;
    int seconds = atoi(argv[1]);
    auto begun = std::chrono::steady_clock::now();
    if (argc > 4 && !install()) {
        std::puts("no hooks");
        return 1;
    }
    std::thread threads[] = { std::thread(allocate, 0), std::thread(allocate, 1), std::thread(throw_up, 2),
        std::thread(load, 3, argv + 2, begun + std::chrono::milliseconds(seconds * 333)), std::thread(fork_on, 4) };
    unsigned long seen[WORKERS] = { 0 };
    int still[WORKERS] = { 0 };
    for (int second = 0; second < seconds && failures == 0; second++) {
        sleep(1);
        for (int i = 0; i < WORKERS; i++) {
            unsigned long now = rounds[i];
            still[i] = now == seen[i] ? still[i] + 1 : 0;
            seen[i] = now;
            if (still[i] >= STUCK_AFTER_S) {
                std::printf("worker %d hangs after %lu rounds\n", i, now);
                std::fflush(stdout);
                std::_Exit(1);
            }
        }
    }
    over = true;
    for (std::thread &thread : threads)
        thread.join();
    std::printf("rounds: %lu %lu allocating, %lu throwing, %lu loading, %lu forking\n", seen[0], seen[1], seen[2], seen[3],
        seen[4]);
    return failures == 0 ? 0 : 1;
}
