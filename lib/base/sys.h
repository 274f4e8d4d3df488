/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sys.h - the system-call seam.
 *
 * Everything the library asks of the kernel goes through ull_sys_call(), for three reasons: no call here is a thread
 * cancellation point (open(2) and read(2) of libc are, malloc is not, so malloc must not become one); errors come back
 * as negative errno and the caller's errno is left alone; and tests set ull_sys_inject to make each of them fail.
 */
#ifndef ULL_BASE_SYS_H
#define ULL_BASE_SYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/stat.h>
#include <sys/uio.h>

/*
 * If set, asked before each call with its number; what it returns, unless 0, is the result instead of the call.
 * For tests only: never set in a shipped program.
 */
extern long (*ull_sys_inject)(long number);

long ull_sys_call(long number, long a, long b, long c, long d, long e, long f);

int ull_sys_openat(int dir, const char *path, int flags, mode_t mode);
int ull_sys_close(int fd);
int ull_sys_fstat(int fd, struct stat *out);
int ull_sys_mkdir(const char *path, mode_t mode);
int ull_sys_unlinkat(int dir, const char *name, int flags);
int ull_sys_rename(const char *from, const char *to);
int ull_sys_ioctl(int fd, unsigned long request, void *argument);

/*
 * Moves a descriptor that we just opened to a high number, so that the program finds the low ones as it expects them:
 * above what shells and select(2) loops use. Returns the new one; or -errno, and @fd is closed: a low one is never kept,
 * because a program that closed 0 to 2 would write into our file.
 */
int ull_sys_move_high(int fd);

/* Whether this process has descriptors enough that we may keep one: with a limit of ten, each is the program's. */
bool ull_sys_may_hold(void);

/* -ESRCH: there is no such process. */
int ull_sys_kill(pid_t pid, int signal);
/* Bytes read, 0 at the end, or negative errno; struct linux_dirent64 one after the other. */
ssize_t ull_sys_getdents(int fd, void *to, size_t bytes);
/* Size of a plain file in a directory, links not followed; or negative errno. */
int64_t ull_sys_file_bytes(int dir, const char *name);
int ull_sys_madvise(void *start, size_t bytes, int advice);
int ull_sys_mprotect(void *start, size_t bytes, int protection);
int ull_sys_mincore(void *start, size_t bytes, unsigned char *vector);
int ull_sys_munmap(void *start, size_t bytes);
ssize_t ull_sys_read(int fd, void *to, size_t bytes);
ssize_t ull_sys_pread(int fd, void *to, size_t bytes, off_t offset);
ssize_t ull_sys_write(int fd, const void *from, size_t bytes);
ssize_t ull_sys_pwrite(int fd, const void *from, size_t bytes, off_t offset);
/* As recv(2), recvmsg(2) into pieces, sendmsg(2) of pieces, readv(2), writev(2), poll(2) of one descriptor; none is a cancellation point. */
ssize_t ull_sys_recv(int fd, void *to, size_t bytes, int flags);
ssize_t ull_sys_recv_pieces(int fd, const struct iovec *iov, int count, int flags);
ssize_t ull_sys_send_pieces(int fd, const struct iovec *iov, int count, int flags);
ssize_t ull_sys_readv(int fd, const struct iovec *iov, int count);
ssize_t ull_sys_writev(int fd, const struct iovec *iov, int count);
int ull_sys_poll(int fd, short events, int timeout_ms);
/* F_GETFL. */
int ull_sys_file_flags(int fd);
ssize_t ull_sys_readlink(const char *path, char *to, size_t bytes);

/* Copies bytes from another process, or from this one without the risk of a fault. Returns bytes read or -errno. */
ssize_t ull_sys_read_memory(pid_t pid, uintptr_t from, void *to, size_t bytes);

/* Whether the 8 bytes at an address of this process can be read now; about 100 ns. */
bool ull_sys_is_readable(uintptr_t address);

/* Zero memory for our own books, which are never malloc's: private, not charged until it is touched. NULL: none to be had. */
void *ull_sys_map_books(size_t bytes);
/* NULL and *error set on failure. Anonymous memory: fd -1. */
void *ull_sys_mmap(size_t bytes, int protection, int flags, int fd, off_t offset, int *error);

/*
 * Reserves the blocks of [offset, offset + bytes) of a file, so that writing there cannot raise SIGBUS later; writes
 * zeros where the file system has no fallocate. Never raises SIGXFSZ: -EFBIG past RLIMIT_FSIZE.
 */
int ull_sys_reserve(int fd, uint64_t offset, uint64_t bytes);

/* CLOCK_MONOTONIC_COARSE: nanoseconds, a few milliseconds coarse, a few ns to read. CLOCK_REALTIME, to the nanosecond. */
uint64_t ull_sys_monotonic_ns(void);
uint64_t ull_sys_unix_ns(void);
/* CLOCK_MONOTONIC to the nanosecond, for budgets of microseconds. */
uint64_t ull_sys_precise_ns(void);

/*
 * Sleeps while *word is @expected, until a wake or until @until_ns of CLOCK_MONOTONIC (0: for ever). 0, -EAGAIN: it was
 * something else, -EINTR, -ETIMEDOUT: look again; other negative errno. Within this process only.
 */
int ull_sys_futex_wait(uint32_t *word, uint32_t expected, uint64_t until_ns);
/* Wakes all who sleep there. Harmless where nobody does, whatever the memory is by now. */
int ull_sys_futex_wake(uint32_t *word);
/* A new eventfd: non-blocking, close-on-exec. */
int ull_sys_eventfd(void);

/* Tells this boot of this machine from any other; 0 unknown. */
uint64_t ull_sys_boot_hash(void);

#endif
