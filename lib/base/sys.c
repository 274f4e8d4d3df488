/* SPDX-License-Identifier: BSD-2-Clause */
/* sys.c - the system-call seam: raw calls, negative errno, and a place where tests inject failures. */
#include "config.h"

#include "base/sys.h"

#include "base/arith.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

long (*ull_sys_inject)(long number);

long ull_sys_call(long number, long a, long b, long c, long d, long e, long f)
{
    if (ull_sys_inject != NULL) {
        long injected = ull_sys_inject(number);
        if (injected != 0)
            return injected;
    }
    int kept = errno;
    long result = syscall(number, a, b, c, d, e, f);
    if (result == -1) {
        result = -errno;
        errno = kept;
    }
    return result;
}

int ull_sys_openat(int dir, const char *path, int flags, mode_t mode)
{
    return (int)ull_sys_call(SYS_openat, dir, (long)path, flags | O_CLOEXEC, (long)mode, 0, 0);
}

int ull_sys_close(int fd)
{
    return (int)ull_sys_call(SYS_close, fd, 0, 0, 0, 0, 0);
}

/* Not the raw call: struct stat is libc's own layout, and fstat(2) is no cancellation point. */
int ull_sys_fstat(int fd, struct stat *out)
{
    if (ull_sys_inject != NULL) {
        long injected = ull_sys_inject(SYS_newfstatat);
        if (injected != 0)
            return (int)injected;
    }
    int kept = errno, result = 0;
    if (fstat(fd, out) != 0) {
        result = -errno;
        errno = kept;
    }
    return result;
}

int ull_sys_mkdir(const char *path, mode_t mode)
{
    return (int)ull_sys_call(SYS_mkdirat, AT_FDCWD, (long)path, (long)mode, 0, 0, 0);
}

int ull_sys_unlinkat(int dir, const char *name, int flags)
{
    return (int)ull_sys_call(SYS_unlinkat, dir, (long)name, flags, 0, 0, 0);
}

int ull_sys_rename(const char *from, const char *to)
{
    return (int)ull_sys_call(SYS_renameat2, AT_FDCWD, (long)from, AT_FDCWD, (long)to, 0, 0);
}

int ull_sys_ioctl(int fd, unsigned long request, void *argument)
{
    return (int)ull_sys_call(SYS_ioctl, fd, (long)request, (long)argument, 0, 0, 0);
}

int ull_sys_move_high(int fd)
{
    enum { HIGH = 900 }; /* our choice: below RLIMIT_NOFILE's usual 1,024 */
    struct rlimit limit;
    long lowest = HIGH;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < HIGH + 16)
        lowest = (long)(limit.rlim_cur / 2);
    int high = (int)ull_sys_call(SYS_fcntl, fd, F_DUPFD_CLOEXEC, lowest > 3 ? lowest : 3, 0, 0, 0);
    ull_sys_close(fd);
    return high;
}

bool ull_sys_may_hold(void)
{
    enum { FEW = 64 }; /* our choice */
    struct rlimit limit;
    return getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur >= FEW;
}

int ull_sys_kill(pid_t pid, int signal)
{
    return (int)ull_sys_call(SYS_kill, pid, signal, 0, 0, 0, 0);
}

ssize_t ull_sys_getdents(int fd, void *to, size_t bytes)
{
    return ull_sys_call(SYS_getdents64, fd, (long)to, (long)bytes, 0, 0, 0);
}

int64_t ull_sys_file_bytes(int dir, const char *name)
{
    struct stat found;
    int kept = errno, result = fstatat(dir, name, &found, AT_SYMLINK_NOFOLLOW) == 0 ? 0 : -errno;
    errno = kept;
    return result != 0 ? result : S_ISREG(found.st_mode) ? found.st_size : -EINVAL;
}

/* Not the raw call: libraries that register memory with network cards watch libc's function. */
int ull_sys_madvise(void *start, size_t bytes, int advice)
{
    if (ull_sys_inject != NULL) {
        long injected = ull_sys_inject(SYS_madvise);
        if (injected != 0)
            return (int)injected;
    }
    int kept = errno, result = 0;
    if (madvise(start, bytes, advice) != 0) {
        result = -errno;
        errno = kept;
    }
    return result;
}

int ull_sys_mprotect(void *start, size_t bytes, int protection)
{
    return (int)ull_sys_call(SYS_mprotect, (long)start, (long)bytes, protection, 0, 0, 0);
}

int ull_sys_mincore(void *start, size_t bytes, unsigned char *vector)
{
    return (int)ull_sys_call(SYS_mincore, (long)start, (long)bytes, (long)vector, 0, 0, 0);
}

/* ThreadSanitizer must see mappings come and go, or it takes two uses of one address for a race. */
#if defined(__SANITIZE_THREAD__)
#define SEEN_BY_TSAN 1
#else
#define SEEN_BY_TSAN 0
#endif

int ull_sys_munmap(void *start, size_t bytes)
{
    if (SEEN_BY_TSAN)
        return munmap(start, bytes) == 0 ? 0 : -errno;
    return (int)ull_sys_call(SYS_munmap, (long)start, (long)bytes, 0, 0, 0, 0);
}

ssize_t ull_sys_read(int fd, void *to, size_t bytes)
{
    return ull_sys_call(SYS_read, fd, (long)to, (long)bytes, 0, 0, 0);
}

ssize_t ull_sys_pread(int fd, void *to, size_t bytes, off_t offset)
{
    return ull_sys_call(SYS_pread64, fd, (long)to, (long)bytes, offset, 0, 0);
}

ssize_t ull_sys_write(int fd, const void *from, size_t bytes)
{
    return ull_sys_call(SYS_write, fd, (long)from, (long)bytes, 0, 0, 0);
}

ssize_t ull_sys_pwrite(int fd, const void *from, size_t bytes, off_t offset)
{
    return ull_sys_call(SYS_pwrite64, fd, (long)from, (long)bytes, offset, 0, 0);
}

ssize_t ull_sys_recv(int fd, void *to, size_t bytes, int flags)
{
    return ull_sys_call(SYS_recvfrom, fd, (long)to, (long)bytes, flags, 0, 0);
}

ssize_t ull_sys_recv_pieces(int fd, const struct iovec *iov, int count, int flags)
{
    struct msghdr message = { .msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)count };
    return ull_sys_call(SYS_recvmsg, fd, (long)&message, flags, 0, 0, 0);
}

ssize_t ull_sys_send_pieces(int fd, const struct iovec *iov, int count, int flags)
{
    struct msghdr message = { .msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)count };
    return ull_sys_call(SYS_sendmsg, fd, (long)&message, flags, 0, 0, 0);
}

ssize_t ull_sys_readv(int fd, const struct iovec *iov, int count)
{
    return ull_sys_call(SYS_readv, fd, (long)iov, count, 0, 0, 0);
}

ssize_t ull_sys_writev(int fd, const struct iovec *iov, int count)
{
    return ull_sys_call(SYS_writev, fd, (long)iov, count, 0, 0, 0);
}

/* ppoll(2), because not every machine has poll(2). */
int ull_sys_poll(int fd, short events, int timeout_ms)
{
    struct pollfd one = { .fd = fd, .events = events };
    struct timespec time = { timeout_ms / 1000, timeout_ms % 1000 * 1000000L };
    return (int)ull_sys_call(SYS_ppoll, (long)&one, 1, (long)(timeout_ms < 0 ? NULL : &time), 0, 0, 0);
}

int ull_sys_file_flags(int fd)
{
    return (int)ull_sys_call(SYS_fcntl, fd, F_GETFL, 0, 0, 0, 0);
}

ssize_t ull_sys_readlink(const char *path, char *to, size_t bytes)
{
    return ull_sys_call(SYS_readlinkat, AT_FDCWD, (long)path, (long)to, (long)bytes, 0, 0);
}

ssize_t ull_sys_read_memory(pid_t pid, uintptr_t from, void *to, size_t bytes)
{
    struct iovec local = { .iov_base = to, .iov_len = bytes };
    struct iovec remote = { .iov_base = (void *)from, .iov_len = bytes };
    return ull_sys_call(SYS_process_vm_readv, pid, (long)&local, 1, (long)&remote, 1, 0);
}

/* The kernel copies the set before it looks at what to do with it: EFAULT, or EINVAL and nothing is changed. */
bool ull_sys_is_readable(uintptr_t address)
{
    enum { NO_SUCH_OPERATION = -1, SET_BYTES = 8 };
    return ull_sys_call(SYS_rt_sigprocmask, NO_SUCH_OPERATION, (long)address, 0, SET_BYTES, 0, 0) != -EFAULT;
}

void *ull_sys_mmap(size_t bytes, int protection, int flags, int fd, off_t offset, int *error)
{
    if (SEEN_BY_TSAN && ull_sys_inject == NULL) {
        void *start = mmap(NULL, bytes, protection, flags, fd, offset);
        *error = start == MAP_FAILED ? -errno : *error;
        return start == MAP_FAILED ? NULL : start;
    }
    long result = ull_sys_call(SYS_mmap, 0, (long)bytes, protection, flags, fd, offset);
    if (result < 0 && result > -4096) {
        *error = (int)result;
        return NULL;
    }
    return (void *)result;
}

void *ull_sys_map_books(size_t bytes)
{
    int error;
    return ull_sys_mmap(bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0, &error);
}

/* For file systems without fallocate: writes what the caller knows to be a hole or past the end. */
static int reserve_by_writing(int fd, uint64_t offset, uint64_t bytes)
{
    static const char zeros[4096];
    while (bytes > 0) {
        ssize_t written = ull_sys_pwrite(fd, zeros, ull_min_u64(bytes, sizeof zeros), (off_t)offset);
        if (written == -EINTR)
            continue;
        if (written <= 0)
            return written < 0 ? (int)written : -ENOSPC;
        offset += (uint64_t)written;
        bytes -= (uint64_t)written;
    }
    return 0;
}

int ull_sys_reserve(int fd, uint64_t offset, uint64_t bytes)
{
    struct rlimit limit;
    uint64_t end;
    if (!ull_add_fits(offset, bytes, &end) || end > INT64_MAX)
        return -EFBIG;
    /* The kernel answers a file past RLIMIT_FSIZE with SIGXFSZ, which would end the program. */
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && end > limit.rlim_cur)
        return -EFBIG;
    int result;
    do {
        result = (int)ull_sys_call(SYS_fallocate, fd, 0, (long)offset, (long)bytes, 0, 0);
    } while (result == -EINTR);
    if (result == -EOPNOTSUPP || result == -ENOSYS)
        result = reserve_by_writing(fd, offset, bytes);
    return result;
}

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    if (clock_gettime(clock, &now) != 0)
        return 0;
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

uint64_t ull_sys_monotonic_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC_COARSE);
}

uint64_t ull_sys_unix_ns(void)
{
    return clock_ns(CLOCK_REALTIME);
}

uint64_t ull_sys_precise_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

int ull_sys_futex_wait(uint32_t *word, uint32_t expected, uint64_t until_ns)
{
    struct timespec until = { (time_t)(until_ns / 1000000000U), (long)(until_ns % 1000000000U) };
    /* The one of the waits whose time is absolute, and of the monotonic clock. */
    return (int)ull_sys_call(SYS_futex, (long)word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, (long)expected,
        until_ns != 0 ? (long)&until : 0, 0, (long)FUTEX_BITSET_MATCH_ANY);
}

int ull_sys_futex_wake(uint32_t *word)
{
    return (int)ull_sys_call(SYS_futex, (long)word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, INT_MAX, 0, 0, 0);
}

int ull_sys_eventfd(void)
{
    return (int)ull_sys_call(SYS_eventfd2, 0, EFD_CLOEXEC | EFD_NONBLOCK, 0, 0, 0, 0);
}

uint64_t ull_sys_boot_hash(void)
{
    char text[64];
    uint64_t hash = 0;
    int fd = ull_sys_openat(AT_FDCWD, "/proc/sys/kernel/random/boot_id", O_RDONLY, 0);
    ssize_t length = fd >= 0 ? ull_sys_read(fd, text, sizeof text) : 0;
    if (fd >= 0)
        ull_sys_close(fd);
    for (ssize_t i = 0; i < length; i++)
        hash = ull_mix64(hash ^ (unsigned char)text[i]);
    return hash;
}
