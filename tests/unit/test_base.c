/* SPDX-License-Identifier: BSD-2-Clause */
/* test_base.c - arithmetic, sizes as text, the map, the directory. */
#include "config.h"

#include "base/arith.h"
#include "base/directory.h"
#include "base/map64.h"
#include "base/quantity.h"
#include "base/sys.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

Test(arith, products_and_quotients_do_not_overflow_in_between)
{
    cr_assert_eq(ull_mul_div(UINT64_MAX, UINT64_MAX, UINT64_MAX), UINT64_MAX);
    cr_assert_eq(ull_mul_div(UINT64_MAX, 2, 1), UINT64_MAX, "saturates");
    cr_assert_eq(ull_mul_div(7, 3, 0), 0);
    cr_assert_eq(ull_minus_clamped(3, 5), 0);
}

Test(quantity, reads_what_people_write)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = { { "0", 0 }, { "65536", 65536 }, { "64K", 65536 }, { "64k", 65536 }, { "64KiB", 65536 },
        { "64KB", 65536 }, { "1.5M", 1572864 }, { "2G", UINT64_C(2) << 30 }, { "100B", 100 }, { "0.25K", 256 } };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        uint64_t bytes = 99;
        cr_assert_eq(ull_quantity_parse(good[i].text, &bytes), 0, "%s", good[i].text);
        cr_assert_eq(bytes, good[i].bytes, "%s: %lu", good[i].text, bytes);
    }
}

Test(quantity, refuses_the_rest_and_leaves_the_number_alone)
{
    static const char *const bad[] = { "", "K", "-1", "1X", "1KK", "1.K", "0x10", " 1", "1 K", "99999999999999999999",
        "20000000000G", "1e3" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint64_t bytes = 99;
        cr_assert_eq(ull_quantity_parse(bad[i], &bytes), -EINVAL, "'%s'", bad[i]);
        cr_assert_eq(bytes, 99);
    }
}

Test(map64, finds_what_was_put_and_nothing_else)
{
    struct ull_map64 map = { NULL, 0 };
    uint64_t value;
    cr_assert_not(ull_map64_find(&map, 7, &value));
    for (uint64_t key = 0; key < 5000; key += 2)
        cr_assert_eq(ull_map64_insert(&map, key * UINT64_C(0x100000001), key + 1), 0);
    for (uint64_t key = 0; key < 5000; key++) {
        bool found = ull_map64_find(&map, key * UINT64_C(0x100000001), &value);
        cr_assert_eq(found, key % 2 == 0, "key %lu", key);
        if (found)
            cr_assert_eq(value, key + 1);
    }
    ull_map64_clear(&map);
    cr_assert_not(ull_map64_find(&map, 0, &value));
    cr_assert_eq(ull_map64_insert(&map, 0, 5), 0);
    cr_assert(ull_map64_find(&map, 0, &value));
    ull_map64_fini(&map);
}

static long no_memory(long number)
{
    return number == 9 /* mmap */ ? -ENOMEM : 0;
}

Test(map64, says_when_there_is_no_memory)
{
    struct ull_map64 map = { NULL, 0 };
    ull_sys_inject = no_memory;
    cr_assert_eq(ull_map64_insert(&map, 1, 1), -ENOMEM);
    ull_sys_inject = NULL;
}

Test(directory, follows_the_environment)
{
    char path[ULL_DIRECTORY_BYTES], expected[64];
    setenv("ULLAGE_DIR", "/some/where", 1);
    setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
    cr_assert_eq(ull_directory_choose(path), 0);
    cr_assert_str_eq(path, "/some/where");
    setenv("ULLAGE_DIR", "", 1);
    cr_assert_eq(ull_directory_choose(path), 0);
    cr_assert_str_eq(path, "/run/user/7/ullage");
    unsetenv("XDG_RUNTIME_DIR");
    cr_assert_eq(ull_directory_choose(path), 0);
    snprintf(expected, sizeof expected, "/dev/shm/ullage-%u", (unsigned)geteuid());
    cr_assert_str_eq(path, expected);
    char name[ULL_DIRECTORY_BYTES + 2];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    setenv("ULLAGE_DIR", name, 1);
    cr_assert_eq(ull_directory_choose(path), -ENAMETOOLONG);
}

Test(directory, is_made_private_and_must_stay_so)
{
    char base[] = "/tmp/ullage-test-XXXXXX", path[64], other[64];
    struct stat made;
    cr_assert_not_null(mkdtemp(base));
    snprintf(path, sizeof path, "%s/d", base);
    snprintf(other, sizeof other, "%s/link", base);
    cr_assert_eq(ull_directory_open(path, false), -ENOENT);
    int fd = ull_directory_open(path, true);
    cr_assert_geq(fd, 0);
    close(fd);
    cr_assert_eq(stat(path, &made), 0);
    cr_assert_eq(made.st_mode & 0777, 0700);
    cr_assert_eq(chmod(path, 0770), 0);
    cr_assert_eq(ull_directory_open(path, true), -EPERM, "writable by the group");
    cr_assert_eq(chmod(path, 0700), 0);
    cr_assert_eq(symlink(path, other), 0);
    cr_assert_lt(ull_directory_open(other, true), 0, "a link is not followed");
    if (geteuid() == 0) {
        cr_assert_eq(chown(path, 65534, 65534), 0);
        cr_assert_eq(ull_directory_open(path, true), -EPERM, "somebody else's");
    }
    unlink(other);
    rmdir(path);
    rmdir(base);
}

Test(sys, reserve_never_raises_sigxfsz)
{
    char path[] = "/tmp/ullage-test-XXXXXX";
    struct rlimit limit = { 8192, 8192 };
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    cr_assert_eq(ull_sys_reserve(fd, 0, 8192), 0);
    cr_assert_eq(ull_sys_reserve(fd, 8192, 4096), -EFBIG);
    cr_assert_eq(ull_sys_reserve(fd, UINT64_MAX - 5, 4096), -EFBIG);
    close(fd);
    unlink(path);
}

static long no_fallocate(long number)
{
    return number == 285 /* fallocate */ ? -EOPNOTSUPP : 0;
}

Test(sys, reserve_writes_where_there_is_no_fallocate)
{
    char path[] = "/tmp/ullage-test-XXXXXX";
    struct stat made;
    int fd = mkstemp(path);
    ull_sys_inject = no_fallocate;
    cr_assert_eq(ull_sys_reserve(fd, 0, 10000), 0);
    ull_sys_inject = NULL;
    cr_assert_eq(fstat(fd, &made), 0);
    cr_assert_eq(made.st_size, 10000);
    cr_assert_geq(made.st_blocks * 512, 10000, "really there, not a hole");
    close(fd);
    unlink(path);
}
