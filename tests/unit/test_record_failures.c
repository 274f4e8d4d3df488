/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_record_failures.c - each system call and each allocation of readers and writers fails in its turn: the first, the second, ...
 * until a fixed piece of work makes no more of them. Whatever fails, the call says so with that error, or does without; nothing is
 * lost or held, a budget has all back, and with the failure gone the same work succeeds.
 *
 * Allocations are failed where readers ask for them: linked with --wrap for each of these functions.
 */
#include "config.h"

#include "marked.h"

#include "ullage/alloc.h"

#include <poll.h>
#include <sys/syscall.h>

TestSuite(record_failures, .init = marked_begin, .fini = marked_end, .timeout = 120);

/* ---- which call fails ---- */

enum { ALLOCATIONS = -1 };

static struct {
    long number;   /* of the calls that are counted, or ALLOCATIONS */
    unsigned at;   /* the one that fails, and */
    unsigned many; /* how many from there on */
    int error;
    unsigned seen, failed;
} inject;

static bool is_its_turn(void)
{
    inject.seen++;
    if (inject.seen < inject.at || inject.seen - inject.at >= inject.many)
        return false;
    inject.failed++;
    return true;
}

static long fail_in_turn(long number)
{
    return number == inject.number && is_its_turn() ? inject.error : 0;
}

static bool fails_here(void)
{
    if (inject.number != ALLOCATIONS || !is_its_turn())
        return false;
    errno = -inject.error;
    return true;
}

struct ullage_buffer *__real_ullage_buffer_get_at(const struct ullage_site *site, size_t want_bytes);
struct ullage_buffer *__wrap_ullage_buffer_get_at(const struct ullage_site *site, size_t want_bytes);
struct ullage_buffer *__wrap_ullage_buffer_get_at(const struct ullage_site *site, size_t want_bytes)
{
    return fails_here() ? NULL : __real_ullage_buffer_get_at(site, want_bytes);
}

void *__real_ullage_malloc_at(const struct ullage_site *site, size_t bytes);
void *__wrap_ullage_malloc_at(const struct ullage_site *site, size_t bytes);
void *__wrap_ullage_malloc_at(const struct ullage_site *site, size_t bytes)
{
    return fails_here() ? NULL : __real_ullage_malloc_at(site, bytes);
}

void *__real_ullage_calloc_at(const struct ullage_site *site, size_t count, size_t bytes);
void *__wrap_ullage_calloc_at(const struct ullage_site *site, size_t count, size_t bytes);
void *__wrap_ullage_calloc_at(const struct ullage_site *site, size_t count, size_t bytes)
{
    return fails_here() ? NULL : __real_ullage_calloc_at(site, count, bytes);
}

void *__real_ullage_aligned_alloc_at(const struct ullage_site *site, size_t align, size_t bytes);
void *__wrap_ullage_aligned_alloc_at(const struct ullage_site *site, size_t align, size_t bytes);
void *__wrap_ullage_aligned_alloc_at(const struct ullage_site *site, size_t align, size_t bytes)
{
    return fails_here() ? NULL : __real_ullage_aligned_alloc_at(site, align, bytes);
}

/* ---- the work ---- */

static struct ullage_budget *budget;
static struct marked stream;
static unsigned whole; /* records of this work that were */

static const uint32_t sizes[] = { 10, 3000, 0, 100000, 100000, 40000, 100 };
enum { SIZES = sizeof sizes / sizeof sizes[0], FORMS = 6 };

static void make_stream(void)
{
    for (size_t i = 0; i < SIZES; i++) {
        marked_fragment(&stream, sizes[i] / 3, false);
        marked_record(&stream, sizes[i] - sizes[i] / 3);
        marked_record(&stream, sizes[i]);
    }
}

static struct ullage_reader *make_reader(uint32_t flags)
{
    struct ullage_reader_options options = ULLAGE_READER_OPTIONS_INIT;
    struct ullage_reader *r = NULL;
    options.budget = budget;
    options.max_record_bytes = 200000;
    options.flags = flags;
    errno = 99;
    int result = ullage_reader_create(&r, &options);
    cr_assert_eq(errno, 99);
    cr_assert(result == 0 || (result == inject.error && r == NULL), "%d", result);
    return r;
}

/* A record that came is right, and can be taken; or there is no memory for that. */
static void use(struct ullage_reader *r, struct ullage_record *record)
{
    cr_assert(marked_holds(record));
    whole++;
    errno = 0;
    struct ullage_buffer *b = record->index % 2 != 0 ? ullage_reader_take(r, record) : NULL;
    cr_assert(record->index % 2 == 0 || b != NULL || errno == -inject.error, "%s", strerror(errno));
    cr_assert(marked_holds(record), "it stays as it was where it cannot be taken");
    ullage_buffer_put(b, record->bytes);
}

/* What a call said is what failed; then the reader has nothing left, and says so again. */
static void ends_with(struct ullage_reader *r, int result)
{
    struct ullage_record record;
    cr_assert_eq(errno, 99, "errors are returned");
    if (result >= 0)
        return;
    cr_assert_eq(result, inject.error, "%d: %s", result, ullage_reader_error(r));
    cr_assert_gt(inject.failed, 0);
    cr_assert_eq(ullage_reader_status(r), result);
    cr_assert_eq(ullage_reader_held(r), 0);
    cr_assert_eq(ullage_budget_used(budget), 0);
    cr_assert_gt(strlen(ullage_reader_error(r)), 0);
    cr_assert_eq(ullage_reader_read_fd(r, 0, &record), result);
}

static void read_from(int fd, uint32_t flags, int send_to)
{
    struct ullage_reader *r = make_reader(flags);
    struct ullage_record record;
    size_t sent = 0;
    int result = 0, again = 0;
    errno = 99;
    while (r != NULL && whole < 2 * SIZES) {
        result = ullage_reader_read_fd(r, fd, &record);
        if (result == 1) {
            use(r, &record);
            errno = 99;
        } else if (result == -EAGAIN && sent < stream.count) {
            size_t count = stream.count - sent < 30000 ? stream.count - sent : 30000;
            send_all(send_to, stream.data + sent, count);
            sent += count;
        } else if ((result != -EINTR && result != -EAGAIN) || again++ > 100) {
            break;
        }
    }
    if (r != NULL)
        ends_with(r, result);
    ullage_reader_destroy(r);
}

static void read_non_blocking(bool is_pipe, uint32_t flags)
{
    struct pair pair = pair_of_sockets(false);
    if (is_pipe) {
        pair_close(&pair);
        cr_assert_eq(pipe2(pair.fd, O_NONBLOCK), 0);
    }
    read_from(pair.fd[0], flags, pair.fd[1]);
    pair_close(&pair);
}

/* All of it is there, or what is not comes from a child: then it waits. */
static void read_blocking(bool is_pipe)
{
    struct pair pair = pair_of_sockets(true);
    if (is_pipe) {
        pair_close(&pair);
        cr_assert_eq(pipe(pair.fd), 0);
    }
    pid_t child = fork();
    if (child == 0) {
        alarm(60);
        close(pair.fd[0]); /* or a reader that fails early leaves it writing for ever */
        for (size_t at = 0; at < stream.count;) {
            ssize_t put = write(pair.fd[1], stream.data + at, stream.count - at < 20000 ? stream.count - at : 20000);
            if (put <= 0)
                break;
            at += (size_t)put;
            poll(NULL, 0, at < 100000 ? 1 : 0);
        }
        _exit(0);
    }
    close(pair.fd[1]);
    pair.fd[1] = -1;
    read_from(pair.fd[0], 0, -1);
    pair_close(&pair);
    cr_assert_eq(waitpid(child, NULL, 0), child);
}

static int use_fed(void *ctx, const struct ullage_record *record)
{
    struct ullage_record mine = *record;
    use(ctx, &mine);
    errno = 99;
    return 0;
}

static void feed_all(uint32_t flags)
{
    struct ullage_reader *r = make_reader(flags);
    int result = 0;
    errno = 99;
    for (size_t at = 0, taken; r != NULL && at < stream.count && result == 0; at += taken)
        result = ullage_reader_feed(r, stream.data + at, stream.count - at < 7001 ? stream.count - at : 7001, &taken, use_fed, r);
    if (r != NULL)
        ends_with(r, result);
    ullage_reader_destroy(r);
}

/* Each form alone, so that what failed is known by what was called. True: all records came. */
static bool work(int form)
{
    whole = 0;
    cr_assert_eq(ullage_budget_create(&budget, 1000000), 0);
    switch (form) {
    case 0: feed_all(0); break;
    case 1: feed_all(ULLAGE_READER_PIECES); break;
    case 2: read_non_blocking(false, ULLAGE_READER_PIECES); break;
    case 3: read_non_blocking(true, 0); break;
    case 4: read_blocking(false); break;
    default: read_blocking(true); break;
    }
    cr_assert_eq(ullage_budget_used(budget), 0, "form %d", form);
    ullage_budget_destroy(budget);
    return whole == 2 * SIZES;
}

/* ---- in turn ---- */

static void begin_to_fail(long number, int error, unsigned at, unsigned many)
{
    inject.number = number;
    inject.error = error;
    inject.at = at;
    inject.many = many;
    inject.seen = inject.failed = 0;
    if (number != ALLOCATIONS)
        ull_sys_inject = fail_in_turn;
}

static void end_failing(void)
{
    ull_sys_inject = NULL;
    inject.number = 0;
}

/* Blocks in use may be the allocator's own first ones: what counts is that they do not become more. */
static unsigned fail_each(int form, long number, int error, unsigned many)
{
    unsigned at = 1, failures = 0;
    cr_assert(work(form), "%u of %u", whole, 2U * SIZES);
    for (; at < 3000; at++) {
        ullage_trim(0);
        begin_to_fail(number, error, at, many);
        bool all_came = work(form);
        end_failing();
        if (inject.failed == 0) {
            cr_assert(all_came);
            break;
        }
        failures += !all_came;
        cr_assert_eq(blocks_in_use(), marked_in_use, "form %d, turn %u: %lu blocks", form, at, (unsigned long)blocks_in_use());
        cr_assert_eq(counted(ULL_COUNTER_record_held_bytes), 0);
    }
    cr_assert_lt(at, 3000);
    return failures;
}

static void set_up_work(void)
{
    marked_begin();
    make_stream();
}

static void tear_down_work(void)
{
    marked_free(&stream);
    marked_end();
}

#define FAILURE(name) Test(record_failures, name, .init = set_up_work, .fini = tear_down_work, .timeout = 120)

FAILURE(of_each_allocation)
{
    for (int form = 0; form < FORMS; form++)
        cr_assert_gt(fail_each(form, ALLOCATIONS, -ENOMEM, 1), 0, "form %d", form);
}

FAILURE(of_all_allocations_from_one_on)
{
    for (int form = 0; form < FORMS; form++)
        cr_assert_gt(fail_each(form, ALLOCATIONS, -ENOMEM, 1000000), 0);
}

FAILURE(of_mmap)
{
    for (int form = 0; form < 4; form++) {
        (void)fail_each(form, SYS_mmap, -ENOMEM, 1);
        (void)fail_each(form, SYS_mmap, -ENOMEM, 1000000);
    }
}

FAILURE(of_recv)
{
    cr_assert_gt(fail_each(2, SYS_recvfrom, -EIO, 1), 0);
    cr_assert_gt(fail_each(4, SYS_recvfrom, -ECONNRESET, 1), 0);
}

FAILURE(of_recvmsg)
{
    cr_assert_gt(fail_each(2, SYS_recvmsg, -EIO, 1), 0);
}

FAILURE(of_readv)
{
    cr_assert_gt(fail_each(3, SYS_readv, -EIO, 1), 0);
    cr_assert_gt(fail_each(5, SYS_readv, -EIO, 1), 0);
}

FAILURE(of_poll)
{
    cr_assert_gt(fail_each(5, SYS_ppoll, -ENOMEM, 1), 0);
}

/* No failures: all records come. */
FAILURE(interruptions_are_none)
{
    cr_assert_eq(fail_each(2, SYS_recvfrom, -EINTR, 1), 0);
    cr_assert_eq(fail_each(2, SYS_recvmsg, -EINTR, 1), 0);
    cr_assert_eq(fail_each(3, SYS_readv, -EINTR, 1), 0);
    cr_assert_eq(fail_each(5, SYS_readv, -EINTR, 1), 0);
    cr_assert_eq(fail_each(5, SYS_ppoll, -EINTR, 1), 0);
    cr_assert_eq(fail_each(4, SYS_recvfrom, -EAGAIN, 1), 0);
}

/* ---- reads that bring less than was asked for ---- */

struct cut_once {
    unsigned at, calls;
    size_t position, bytes;
    bool interrupted;
};

static ssize_t read_cut(void *ctx, void *to, size_t bytes)
{
    struct cut_once *cut = ctx;
    size_t count = stream.count - cut->position < bytes ? stream.count - cut->position : bytes;
    if (++cut->calls == cut->at) {
        if (!cut->interrupted) {
            cut->interrupted = true;
            cut->calls--;
            return -EINTR;
        }
        count = count < cut->bytes ? count : cut->bytes;
    }
    memcpy(to, stream.data + cut->position, count);
    cut->position += count;
    return (ssize_t)count;
}

/* One of them, whichever; it is interrupted before, too. */
FAILURE(short_reads_are_none)
{
    static const size_t bytes[] = { 1, 3, 1000 };
    cr_assert_eq(ullage_budget_create(&budget, 1000000), 0);
    for (size_t i = 0; i < 3; i++) {
        unsigned at = 1;
        for (bool cuts = true; cuts && at < 1000; at++) {
            struct cut_once cut = { .at = at, .bytes = bytes[i] };
            struct ullage_reader *r = make_reader(0);
            struct ullage_record record;
            int result;
            whole = 0;
            while ((result = ullage_reader_read(r, read_cut, &cut, &record)) == 1 || result == -EINTR)
                if (result == 1)
                    use(r, &record);
            cr_assert(result == 0 && whole == 2 * SIZES, "%d, %u", result, whole);
            cuts = cut.interrupted;
            ullage_reader_destroy(r);
        }
        cr_assert(at > 10 && at < 1000);
    }
    cr_assert_eq(ullage_budget_used(budget), 0);
    ullage_budget_destroy(budget);
}

/* ---- settings that many share ---- */

/* One that cannot be made leaves the set to those that can. */
Test(record_failures, readers_of_one_set_of_options_come_and_go)
{
    struct ullage_reader *all[200];
    for (unsigned at = 1; at < 8; at++) {
        int made = 0;
        begin_to_fail(ALLOCATIONS, -ENOMEM, at, 1);
        for (int i = 0; i < 200; i++) {
            int result = ullage_reader_create(&all[made], NULL);
            cr_assert(result == 0 || result == -ENOMEM);
            made += result == 0;
        }
        cr_assert_eq(made, 199);
        end_failing();
        for (int i = 0; i < made; i++)
            ullage_reader_destroy(all[i]);
        cr_assert_eq(blocks_in_use(), marked_in_use);
    }
}

/* ---- writers ---- */

static void write_records(int *result, struct pair *pair)
{
    struct ullage_writer *w = NULL;
    struct iovec piece = { stream.data, 5000 };
    *result = ullage_writer_create(&w, 1000);
    if (*result == 0)
        *result = ullage_writer_begin(w, &piece, 1);
    if (*result == 0)
        do
            *result = ullage_writer_flush_fd(w, pair->fd[1]);
        while (*result == -EINTR || *result == -EAGAIN);
    ullage_writer_destroy(w);
    if (*result == 1)
        *result = ullage_record_writev(pair->fd[1], &piece, 1, 0);
}

static void fail_writes(bool is_pipe, long number, int error, bool is_fatal)
{
    uint8_t got[12000];
    unsigned at = 1;
    for (;; at++) {
        struct pair pair = pair_of_sockets(false);
        int result;
        if (is_pipe) {
            pair_close(&pair);
            cr_assert_eq(pipe2(pair.fd, O_NONBLOCK), 0);
        }
        begin_to_fail(number, error, at, 1);
        errno = 99;
        write_records(&result, &pair);
        end_failing();
        cr_assert_eq(errno, 99);
        bool failed = inject.failed != 0;
        cr_assert_eq(result, failed && is_fatal ? error : 0, "turn %u: %d", at, result);
        ssize_t count = read(pair.fd[0], got, sizeof got);
        cr_assert(result != 0 || count == 5000 + 5 * 4 + 5000 + 4, "%zd", count);
        pair_close(&pair);
        if (!failed)
            break;
    }
    cr_assert_gt(at, 1);
}

FAILURE(of_writes)
{
    fail_writes(false, SYS_sendmsg, -EIO, true);
    fail_writes(false, SYS_sendmsg, -EINTR, false);
    fail_writes(false, SYS_sendmsg, -EAGAIN, false);
    fail_writes(true, SYS_writev, -EIO, true);
    fail_writes(true, SYS_writev, -EINTR, false);
    fail_writes(true, SYS_writev, -EAGAIN, false);
    fail_writes(false, ALLOCATIONS, -ENOMEM, true);
}
