/* SPDX-License-Identifier: BSD-2-Clause */
/* test_proxy.c - what comes before the first record: PROXY headers of version 2, whole and in parts, and hooks that misbehave. */
#include "config.h"

#include "marked.h"

#include <arpa/inet.h>
#include <limits.h>

TestSuite(proxy, .init = marked_begin, .fini = marked_end, .timeout = 60);

static const uint8_t signature[12] = { 0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a };
enum { PROXY = 0x21, LOCAL = 0x20, TCP4 = 0x11, TCP6 = 0x21, UNIX_STREAM = 0x31 };

static void add_header(struct marked *m, uint8_t command, uint8_t family, const void *bytes, uint16_t count)
{
    const uint8_t rest[4] = { command, family, (uint8_t)(count >> 8), (uint8_t)count };
    marked_add(m, signature, sizeof signature);
    marked_add(m, rest, sizeof rest);
    marked_add(m, bytes, count);
}

static struct ullage_reader *reader_behind_proxy(struct ullage_proxy *out, size_t most)
{
    struct ullage_reader_options options = ULLAGE_READER_OPTIONS_INIT;
    options.preamble = ullage_preamble_proxy;
    options.preamble_ctx = out;
    options.max_preamble_bytes = most;
    return reader_with(&options);
}

/* Addresses 10.0.0.1 and 10.0.0.2, ports 700 and 2049. */
static const uint8_t inet[12] = { 10, 0, 0, 1, 10, 0, 0, 2, 2, 188, 8, 1 };

static bool is_inet(const struct ullage_proxy *found)
{
    return found->family == AF_INET && memcmp(found->from, inet, 4) == 0 && memcmp(found->to, inet + 4, 4) == 0
        && is_zero(found->from + 4, 104) && found->from_port == 700 && found->to_port == 2049;
}

/* ---- headers ---- */

Test(proxy, tells_addresses_of_each_family)
{
    static const struct {
        uint8_t command, family;
        uint16_t count, address_bytes;
        int expected;
    } cases[] = {
        { PROXY, TCP4, 12, 4, AF_INET }, { PROXY, TCP4, 12 + 40, 4, AF_INET }, { PROXY, TCP6, 36, 16, AF_INET6 },
        { PROXY, TCP6, 36 + 7, 16, AF_INET6 }, { PROXY, UNIX_STREAM, 216, 108, AF_UNIX }, { PROXY, UNIX_STREAM, 216 + 300, 108, AF_UNIX },
        { LOCAL, TCP4, 12, 0, AF_UNSPEC }, { LOCAL, 0, 0, 0, AF_UNSPEC }, { PROXY, 0, 0, 0, AF_UNSPEC }, { PROXY, 0x41, 20, 0, AF_UNSPEC },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t bytes[600];
        uint16_t ports[2];
        struct marked m = { 0 };
        struct told told = { 0 };
        struct ullage_proxy found = { .family = -1 };
        size_t each = cases[i].address_bytes;
        for (size_t n = 0; n < sizeof bytes; n++)
            bytes[n] = (uint8_t)(n + 3);
        memcpy(ports, bytes + 2 * each, sizeof ports);
        add_header(&m, cases[i].command, cases[i].family, bytes, cases[i].count);
        marked_record(&m, 50);
        struct ullage_reader *r = reader_behind_proxy(&found, 0);
        cr_assert_eq(feed(r, m.data, m.count, &told), 0, "%s", ullage_reader_error(r));
        cr_assert(told.count == 1 && told.wrong == 0);
        cr_assert_eq(told.last.offset, 16U + cases[i].count, "TLVs are passed over");
        cr_assert_eq(found.family, cases[i].expected, "case %zu", i);
        cr_assert(memcmp(found.from, bytes, each) == 0 && memcmp(found.to, bytes + each, each) == 0);
        bool has_ports = each == 4 || each == 16;
        cr_assert_eq(found.from_port, has_ports ? ntohs(ports[0]) : 0);
        cr_assert_eq(found.to_port, has_ports ? ntohs(ports[1]) : 0);
        ullage_reader_destroy(r);
        marked_free(&m);
    }
}

Test(proxy, may_be_cut_anywhere)
{
    struct marked m = { 0 };
    add_header(&m, PROXY, TCP4, inet, sizeof inet);
    marked_record(&m, 10);
    marked_record(&m, 10);
    for (size_t at = 0; at <= m.count; at++) {
        struct ullage_proxy found;
        struct told told = { 0 };
        struct ullage_reader *r = reader_behind_proxy(&found, 28);
        cr_assert_eq(feed(r, m.data, at, &told), 0);
        cr_assert_eq(ullage_reader_pending(r) != 0, at != 0 && at != 28 && at != 42 && at != m.count && at != 32 && at != 46, "at %zu", at);
        cr_assert_eq(feed(r, m.data + at, m.count - at, &told), 0, "at %zu: %s", at, ullage_reader_error(r));
        cr_assert(told.count == 2 && told.wrong == 0 && is_inet(&found), "at %zu", at);
        cr_assert_eq(ullage_reader_held(r), 0);
        ullage_reader_destroy(r);
    }
    marked_free(&m);
}

Test(proxy, may_come_byte_by_byte_from_a_descriptor)
{
    struct marked m = { 0 };
    struct ullage_proxy found;
    struct ullage_record record;
    add_header(&m, PROXY, TCP4, inet, sizeof inet);
    marked_record(&m, 10);
    struct pair pair = pair_of_sockets(false);
    struct ullage_reader *r = reader_behind_proxy(&found, 0);
    for (size_t at = 0; at < m.count; at++) {
        cr_assert_eq(ullage_reader_read_fd(r, pair.fd[0], &record), -EAGAIN);
        cr_assert_leq(ullage_reader_held(r), 2 * at + 512);
        send_all(pair.fd[1], m.data + at, 1);
    }
    cr_assert_eq(ullage_reader_read_fd(r, pair.fd[0], &record), 1);
    cr_assert(marked_holds(&record) && is_inet(&found));
    cr_assert_eq(record.offset, 28);
    ullage_reader_destroy(r);
    pair_close(&pair);
    marked_free(&m);
}

Test(proxy, needs_nowhere_to_tell)
{
    struct marked m = { 0 };
    struct told told = { 0 };
    add_header(&m, PROXY, TCP4, inet, sizeof inet);
    marked_record(&m, 10);
    struct ullage_reader *r = reader_behind_proxy(NULL, 0);
    cr_assert_eq(feed(r, m.data, m.count, &told), 0);
    cr_assert_eq(told.count, 1);
    ullage_reader_destroy(r);
    marked_free(&m);
}

/* ---- refusals ---- */

/* As soon as it is known, cut wherever it is; and no record is handed out. */
static void is_refused(const void *bytes, size_t count, size_t most, const char *sentence)
{
    for (size_t step = 1; step <= count; step = step == 1 ? count : step + 1) {
        struct ullage_proxy found;
        struct told told = { 0 };
        struct ullage_reader *r = reader_behind_proxy(&found, most);
        int result = 0;
        for (size_t at = 0; at < count && result == 0; at += step)
            result = feed(r, (const uint8_t *)bytes + at, count - at < step ? count - at : step, &told);
        cr_assert_eq(result, -EPROTO);
        cr_assert_eq(told.count, 0);
        cr_assert_eq(ullage_reader_error_offset(r), 0);
        cr_assert(step == 1 || sentence == NULL || strcmp(ullage_reader_error(r), sentence) == 0, "%s", ullage_reader_error(r));
        cr_assert_eq(feed(r, bytes, count, &told), -EPROTO);
        cr_assert_eq(ullage_reader_held(r), 0);
        ullage_reader_destroy(r);
        if (count == 1)
            break;
    }
}

Test(proxy, anything_else_is_refused)
{
    static const char version_1[] = "PROXY TCP4 10.0.0.1 10.0.0.2 700 2049\r\n";
    struct marked m = { 0 };
    is_refused(version_1, sizeof version_1 - 1, 0,
        "the stream does not begin as it has to, in 39 bytes of at most 4,096; the bytes read 'PROXY TCP4 10.0.': a PROXY header, version 1?");
    is_refused("\x80\0\0\x04uvwx", 8, 0, "the stream does not begin as it has to, in 8 bytes of at most 4,096; the bytes are 80 00 00 04 75 76 77 78");
    for (size_t wrong = 0; wrong < sizeof signature; wrong++) {
        marked_free(&m);
        add_header(&m, PROXY, TCP4, inet, sizeof inet);
        m.data[wrong] ^= 1;
        is_refused(m.data, m.count, 0, NULL);
    }
    static const uint8_t commands[] = { 0x01, 0x11, 0x31, 0xf1, 0x22, 0x2f };
    for (size_t i = 0; i < sizeof commands; i++) {
        marked_free(&m);
        add_header(&m, commands[i], TCP4, inet, sizeof inet);
        is_refused(m.data, m.count, 0, NULL);
    }
    marked_free(&m);
}

Test(proxy, addresses_that_do_not_fit_are_refused)
{
    static const struct {
        uint8_t family;
        uint16_t count;
    } cases[] = { { TCP4, 11 }, { TCP4, 0 }, { TCP6, 35 }, { UNIX_STREAM, 215 } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t bytes[216] = { 0 };
        struct marked m = { 0 };
        add_header(&m, PROXY, cases[i].family, bytes, cases[i].count);
        is_refused(m.data, m.count, 0, NULL);
        marked_free(&m);
    }
}

Test(proxy, a_header_over_the_cap_is_refused)
{
    uint8_t bytes[65535] = { 0 };
    struct marked m = { 0 };
    memcpy(bytes, inet, sizeof inet);
    add_header(&m, PROXY, TCP4, bytes, 65535);
    is_refused(m.data, m.count, 0, NULL);
    is_refused(m.data, 28, 28, "the stream does not begin as it has to, in 28 bytes of at most 28; the bytes are 0d 0a 0d 0a 00 0d 0a 51 55 49 54 0a 21 11 ff ff: "
                                "a PROXY header, version 2?");
    struct told told = { 0 };
    marked_record(&m, 10);
    struct ullage_reader *r = reader_behind_proxy(NULL, 16 + 65535);
    cr_assert_eq(feed(r, m.data, m.count, &told), 0, "%s", ullage_reader_error(r));
    cr_assert_eq(told.count, 1);
    ullage_reader_destroy(r);
    marked_free(&m);
}

Test(proxy, a_stream_that_ends_inside_it_is_cut_off)
{
    struct marked m = { 0 };
    add_header(&m, PROXY, TCP4, inet, sizeof inet);
    for (size_t count = 0; count <= m.count; count++) {
        struct ullage_proxy found;
        struct told told = { 0 };
        struct ullage_reader *r = reader_behind_proxy(&found, 0);
        cr_assert_eq(feed(r, m.data, count, &told), 0);
        cr_assert_eq(ullage_reader_end(r), count == 0 || count == m.count ? 0 : -ECONNRESET, "after %zu", count);
        cr_assert_null(strstr(ullage_reader_error(r), "000,000"), "an address, and no offset: %s", ullage_reader_error(r));
        cr_assert(count == 0 || count == m.count || ullage_reader_error_offset(r) == count);
        ullage_reader_destroy(r);
    }
    marked_free(&m);
}

Test(proxy, a_part_of_it_is_not_clean)
{
    for (size_t count = 0; count <= sizeof signature; count++) {
        struct told told = { 0 };
        struct ullage_reader *r = reader_behind_proxy(NULL, 0);
        cr_assert_eq(feed(r, signature, count, &told), 0);
        cr_assert_eq(ullage_reader_require_clean(r), count == 0 ? 0 : -EPROTO);
        ullage_reader_destroy(r);
    }
}

/* ---- hooks of one's own ---- */

struct hook {
    size_t at;     /* says something once so many bytes are there */
    ssize_t says;
    size_t longest; /* that it was shown */
    unsigned calls, wrong;
};

static ssize_t say(void *ctx, const void *bytes, size_t count)
{
    struct hook *hook = ctx;
    hook->calls++;
    hook->wrong += count <= hook->longest;
    hook->longest = count;
    for (size_t i = 0; i < count; i++)
        hook->wrong += ((const uint8_t *)bytes)[i] != (uint8_t)i;
    return count >= hook->at ? hook->says : 0;
}

static int run_hook(struct hook *hook, size_t step, size_t most, struct told *told)
{
    struct ullage_reader_options options = ULLAGE_READER_OPTIONS_INIT;
    uint8_t bytes[60];
    struct marked m = { 0 };
    int result = 0;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)i;
    marked_add(&m, bytes, 20);
    marked_record(&m, 30);
    options.preamble = say;
    options.preamble_ctx = hook;
    options.max_preamble_bytes = most;
    struct ullage_reader *r = reader_with(&options);
    for (size_t at = 0; at < m.count && result == 0; at += step)
        result = feed(r, m.data + at, m.count - at < step ? m.count - at : step, told);
    cr_assert_eq(ullage_reader_status(r), result);
    cr_assert_eq(ullage_reader_held(r), 0);
    ullage_reader_destroy(r);
    marked_free(&m);
    return result;
}

Test(proxy, a_hook_is_shown_all_bytes_from_the_first_on)
{
    struct hook hook = { .at = 20, .says = 20 };
    struct told told = { 0 };
    cr_assert_eq(run_hook(&hook, 1, 20, &told), 0);
    cr_assert(hook.calls == 20 && hook.wrong == 0, "%u calls, %u wrong", hook.calls, hook.wrong);
    cr_assert(told.count == 1 && told.wrong == 0);
}

Test(proxy, a_hook_that_says_what_cannot_be_fails_the_reader)
{
    static const struct {
        struct hook hook;
        size_t step;
        int expected;
    } cases[] = {
        { { .at = 20, .says = 21 }, 1, -EPROTO },           /* more than it was shown */
        { { .at = 20, .says = SSIZE_MAX }, 20, -EPROTO },
        { { .at = 20, .says = 19 }, 1, -EPROTO },           /* what it was shown before was not enough */
        { { .at = 20, .says = -EACCES }, 1, -EACCES },
        { { .at = 1, .says = -EACCES }, 54, -EACCES },
        { { .at = 100, .says = 1 }, 1, -EPROTO },           /* never enough */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hook hook = cases[i].hook;
        struct told told = { 0 };
        cr_assert_eq(run_hook(&hook, cases[i].step, 25, &told), cases[i].expected, "case %zu", i);
        cr_assert_eq(told.count, 0);
    }
}

/* ---- with a budget that has no room to read to ---- */

Test(proxy, a_budget_too_small_to_read_to_ends_no_stream)
{
    static const size_t sizes[] = { 1, 511, 512, 1000, 2000, 3000, 4095, 8192 };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct ullage_budget *budget;
        struct ullage_reader_options options = ULLAGE_READER_OPTIONS_INIT;
        struct pair pair = pair_of_sockets(false);
        struct ullage_record record;
        cr_assert_eq(ullage_budget_create(&budget, sizes[i]), 0);
        options.budget = budget;
        options.preamble = ullage_preamble_proxy;
        struct ullage_reader *r = reader_with(&options);
        for (size_t at = 0; at < sizeof signature; at++) {
            send_all(pair.fd[1], signature + at, 1);
            int result = ullage_reader_read_fd(r, pair.fd[0], &record);
            cr_assert(result == -EAGAIN || result == -EMSGSIZE || result == -ENOBUFS, "%zu: %d at byte %zu: %s", sizes[i], result, at, ullage_reader_error(r));
            cr_assert_leq(ullage_reader_held(r), sizes[i]);
        }
        ullage_reader_destroy(r);
        cr_assert_eq(ullage_budget_used(budget), 0);
        ullage_budget_destroy(budget);
        pair_close(&pair);
    }
}
