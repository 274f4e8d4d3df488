// SPDX-License-Identifier: BSD-2-Clause
// forms.cc - every way to ask for a buffer, each with a size of its own: 1 MiB and form * 64 KiB, of which 5000 bytes
// are used. Prints a line for each; the test looks for each size in the report.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <malloc.h>
#include <new>

namespace {
int form;
volatile unsigned char kept;

size_t next_size()
{
    return (size_t(1) << 20) + size_t(++form) * 65536;
}

void use(void *buffer, const char *name, size_t bytes)
{
    std::memset(buffer, 0x5a, 5000);
    kept = static_cast<unsigned char *>(buffer)[4999];
    std::printf("%2d %-28s %zu\n", form, name, bytes);
}

constexpr std::align_val_t wide { 256 };

template <class New, class Delete> void pair(const char *name, New make, Delete destroy)
{
    size_t bytes = next_size();
    void *buffer = make(bytes);
    use(buffer, name, bytes);
    destroy(buffer, bytes);
}

using sized = void (*)(void *, size_t, int);

void jemalloc_calls()
{
    auto mallocx = reinterpret_cast<void *(*)(size_t, int)>(dlsym(RTLD_DEFAULT, "mallocx"));
    auto rallocx = reinterpret_cast<void *(*)(void *, size_t, int)>(dlsym(RTLD_DEFAULT, "rallocx"));
    auto xallocx = reinterpret_cast<size_t (*)(void *, size_t, size_t, int)>(dlsym(RTLD_DEFAULT, "xallocx"));
    auto dallocx = reinterpret_cast<void (*)(void *, int)>(dlsym(RTLD_DEFAULT, "dallocx"));
    auto sdallocx = reinterpret_cast<sized>(dlsym(RTLD_DEFAULT, "sdallocx"));
    auto nallocx = reinterpret_cast<size_t (*)(size_t, int)>(dlsym(RTLD_DEFAULT, "nallocx"));
    enum { ZERO = 0x40, ALIGN_4096 = 12 };
    pair("mallocx, dallocx", [&](size_t n) { return mallocx(n, 0); }, [&](void *p, size_t) { dallocx(p, 0); });
    pair("mallocx aligned, sdallocx", [&](size_t n) { return mallocx(n, ALIGN_4096); },
        [&](void *p, size_t n) { sdallocx(p, n, ALIGN_4096); });
    pair("mallocx zeroed, free", [&](size_t n) { return mallocx(n, ZERO); }, [&](void *p, size_t) { std::free(p); });
    pair("rallocx, dallocx", [&](size_t n) { return rallocx(mallocx(100, 0), n, 0); },
        [&](void *p, size_t) { dallocx(p, 0); });
    pair("rallocx zeroed", [&](size_t n) { return rallocx(mallocx(1 << 20, 0), n, ZERO); },
        [&](void *p, size_t) { dallocx(p, 0); });
    size_t bytes = next_size();
    void *buffer = mallocx(bytes, 0);
    size_t now = xallocx(buffer, bytes - 32768, 0, 0); // in place, smaller; or as it was
    use(buffer, now >= bytes - 32768 ? "xallocx" : "xallocx lies", bytes);
    sdallocx(buffer, now < bytes ? now : bytes, 0);
    std::printf("nallocx %s\n", nallocx(bytes, 0) >= bytes ? "holds" : "lies");
}
}

int main(int argc, char **argv)
{
    pair("malloc", [](size_t n) { return std::malloc(n); }, [](void *p, size_t) { std::free(p); });
    pair("calloc", [](size_t n) { return std::calloc(n / 64, 64); }, [](void *p, size_t) { std::free(p); });
    pair("realloc", [](size_t n) { return std::realloc(std::malloc(10), n); }, [](void *p, size_t) { std::free(p); });
    pair("aligned_alloc", [](size_t n) { return std::aligned_alloc(4096, n); }, [](void *p, size_t) { std::free(p); });
    pair("memalign", [](size_t n) { return memalign(64, n); }, [](void *p, size_t) { std::free(p); });
    pair("valloc", [](size_t n) { return valloc(n); }, [](void *p, size_t) { std::free(p); });
    pair("posix_memalign", [](size_t n) { void *p = nullptr; return posix_memalign(&p, 128, n) == 0 ? p : nullptr; },
        [](void *p, size_t) { std::free(p); });
    pair("new", [](size_t n) { return ::operator new(n); }, [](void *p, size_t) { ::operator delete(p); });
    pair("new, sized delete", [](size_t n) { return ::operator new(n); },
        [](void *p, size_t n) { ::operator delete(p, n); });
    pair("new nothrow", [](size_t n) { return ::operator new(n, std::nothrow); },
        [](void *p, size_t) { ::operator delete(p, std::nothrow); });
    pair("new aligned", [](size_t n) { return ::operator new(n, wide); },
        [](void *p, size_t) { ::operator delete(p, wide); });
    pair("new aligned, sized delete", [](size_t n) { return ::operator new(n, wide); },
        [](void *p, size_t n) { ::operator delete(p, n, wide); });
    pair("new aligned nothrow", [](size_t n) { return ::operator new(n, wide, std::nothrow); },
        [](void *p, size_t) { ::operator delete(p, wide, std::nothrow); });
    pair("new[]", [](size_t n) { return ::operator new[](n); }, [](void *p, size_t) { ::operator delete[](p); });
    pair("new[], sized delete[]", [](size_t n) { return ::operator new[](n); },
        [](void *p, size_t n) { ::operator delete[](p, n); });
    pair("new[] nothrow", [](size_t n) { return ::operator new[](n, std::nothrow); },
        [](void *p, size_t) { ::operator delete[](p, std::nothrow); });
    pair("new[] aligned", [](size_t n) { return ::operator new[](n, wide); },
        [](void *p, size_t) { ::operator delete[](p, wide); });
    pair("new[] aligned, sized", [](size_t n) { return ::operator new[](n, wide); },
        [](void *p, size_t n) { ::operator delete[](p, n, wide); });
    pair("new[] aligned nothrow", [](size_t n) { return ::operator new[](n, wide, std::nothrow); },
        [](void *p, size_t) { ::operator delete[](p, wide, std::nothrow); });
    bool calls = argc > 1 && std::strcmp(argv[1], "mallocx") == 0;
    if (calls)
        jemalloc_calls();
    if (argc < (calls ? 3 : 2))
        return 7; // mimalloc's library for C ends the program when new finds no memory
    try {
        kept = *static_cast<unsigned char *>(::operator new(size_t(1) << 62));
    } catch (const std::bad_alloc &) {
        std::puts("bad_alloc is thrown");
    }
    std::printf("nothrow gives %s\n", ::operator new(size_t(1) << 62, std::nothrow) == nullptr ? "null" : "something");
    return 7;
}
