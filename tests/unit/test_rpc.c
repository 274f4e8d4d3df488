/* SPDX-License-Identifier: BSD-2-Clause */
/* test_rpc.c - headers of RPC messages, each laid against a page that cannot be read, and cut at every byte. */
#include "config.h"

#include "ullage/record.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum { ROOM = 8192, CALL = 0, REPLY = 1 };

struct message {
    uint8_t bytes[ROOM];
    size_t count;
};

static void put_word(struct message *m, uint32_t value)
{
    const uint8_t bytes[4] = { (uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8), (uint8_t)value };
    memcpy(m->bytes + m->count, bytes, 4);
    m->count += 4;
}

/* Flavor, length, a body that is no zero, padding. @says: a length that is not that of the body. */
static void put_opaque(struct message *m, uint32_t flavor, uint32_t bytes, uint32_t says)
{
    put_word(m, flavor);
    put_word(m, says);
    memset(m->bytes + m->count, 0xee, (bytes + 3) & ~3U);
    m->count += (bytes + 3) & ~3U;
}

static struct message call(uint32_t credential_bytes, uint32_t verifier_bytes)
{
    struct message m = { .count = 0 };
    put_word(&m, 0x01020304);
    put_word(&m, CALL);
    put_word(&m, 2);
    put_word(&m, 100003);
    put_word(&m, 3);
    put_word(&m, 7);
    put_opaque(&m, 1, credential_bytes, credential_bytes);
    put_opaque(&m, 0, verifier_bytes, verifier_bytes);
    return m;
}

static struct message accepted(uint32_t verifier_bytes, uint32_t status)
{
    struct message m = { .count = 0 };
    put_word(&m, 0xfffffffe);
    put_word(&m, REPLY);
    put_word(&m, 0);
    put_opaque(&m, 6, verifier_bytes, verifier_bytes);
    put_word(&m, status);
    return m;
}

static struct message denied(uint32_t why)
{
    struct message m = { .count = 0 };
    put_word(&m, 5);
    put_word(&m, REPLY);
    put_word(&m, 1);
    put_word(&m, why);
    return m;
}

/* At the end of readable memory: a byte read past @bytes is a fault. */
static int peek_at_the_edge(struct ullage_rpc_header *out, const void *data, size_t bytes)
{
    static uint8_t *pages;
    if (pages == NULL) {
        pages = mmap(NULL, (size_t)2 * ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        cr_assert_neq(pages, MAP_FAILED);
        cr_assert_eq(mprotect(pages + ROOM, ROOM, PROT_NONE), 0);
    }
    memcpy(pages + ROOM - bytes, data, bytes);
    return ullage_rpc_peek(out, pages + ROOM - bytes, bytes);
}

static struct ullage_rpc_header found;

static int peek(const struct message *m)
{
    memset(&found, 0x77, sizeof found);
    return peek_at_the_edge(&found, m->bytes, m->count);
}

/* With every byte that is missing at the end it is refused, and nothing is said; with more behind it is the same. */
static void holds(const struct message *m)
{
    struct ullage_rpc_header header, more;
    struct message longer = *m;
    cr_assert_eq(peek(m), 0);
    cr_assert_eq(found.header_bytes, m->count);
    for (size_t bytes = 0; bytes < m->count; bytes++) {
        memset(&header, 0x77, sizeof header);
        more = header;
        cr_assert_eq(peek_at_the_edge(&header, m->bytes, bytes), -EPROTO, "%zu of %zu", bytes, m->count);
        cr_assert_eq(memcmp(&header, &more, sizeof header), 0, "set only where it is one");
    }
    memset(longer.bytes + longer.count, 0xff, 100);
    longer.count += 100;
    cr_assert_eq(peek_at_the_edge(&more, longer.bytes, longer.count), 0);
    cr_assert_eq(more.header_bytes, m->count);
}

/* ---- calls ---- */

Test(rpc, tells_a_call)
{
    struct message m = call(24, 8);
    holds(&m);
    cr_assert_eq(found.xid, 0x01020304);
    cr_assert_eq(found.type, ULLAGE_RPC_CALL);
    cr_assert_eq(found.program, 100003);
    cr_assert_eq(found.version, 3);
    cr_assert_eq(found.procedure, 7);
    cr_assert_eq(found.credential_flavor, 1);
    cr_assert_eq(found.credential_bytes, 24);
    cr_assert_eq(found.header_bytes, 24 + 8 + 24 + 8 + 8);
    cr_assert(found.reply_status == 0 && found.accept_status == 0);
}

/* RFC 5531, section 8.2: opaque body<400>. */
Test(rpc, credentials_have_at_most_400_bytes)
{
    for (uint32_t bytes = 0; bytes <= 400; bytes += bytes < 12 || bytes >= 388 ? 1 : 47) {
        struct message with_credential = call(bytes, 0), with_verifier = call(0, bytes);
        holds(&with_credential);
        cr_assert_eq(found.credential_bytes, bytes);
        holds(&with_verifier);
    }
    static const uint32_t too_long[] = { 401, 404, 1000, 4000 };
    for (size_t i = 0; i < sizeof too_long / sizeof too_long[0]; i++) {
        struct message with_credential = call(too_long[i], 0), with_verifier = call(0, too_long[i]);
        cr_assert_eq(peek(&with_credential), -EPROTO, "%u, and they are all there", too_long[i]);
        cr_assert_eq(peek(&with_verifier), -EPROTO, "%u", too_long[i]);
    }
}

Test(rpc, lengths_that_overflow_are_refused)
{
    static const uint32_t lengths[] = { UINT32_MAX, UINT32_MAX - 1, UINT32_MAX - 3, UINT32_MAX - 4, UINT32_C(1) << 31, 401, 26 };
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct message m = call(24, 8);
        m.count = 24;
        put_opaque(&m, 1, 24, lengths[i]);
        cr_assert_eq(peek(&m), -EPROTO, "%u", lengths[i]);
        m = accepted(0, 0);
        m.count = 12;
        put_opaque(&m, 1, 24, lengths[i]);
        cr_assert_eq(peek(&m), -EPROTO, "%u", lengths[i]);
    }
}

Test(rpc, other_versions_and_types_are_refused)
{
    static const uint32_t words[] = { 0, 1, 3, 0x02000000, 0x80000002, UINT32_MAX };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        struct message m = call(0, 0);
        m.count = 8;
        put_word(&m, words[i]);
        m.count = call(0, 0).count;
        cr_assert_eq(peek(&m), -EPROTO, "version %u", words[i]);
        m = call(0, 0);
        m.count = 4;
        put_word(&m, words[i]);
        m.count = call(0, 0).count;
        cr_assert(words[i] <= 1 || peek(&m) == -EPROTO, "type %u", words[i]);
    }
}

/* ---- replies ---- */

Test(rpc, tells_accepted_replies)
{
    for (uint32_t status = 0; status <= 5; status++) {
        for (uint32_t bytes = 0; bytes <= 400; bytes += 37) {
            struct message m = accepted(bytes, status);
            holds(&m);
            cr_assert_eq(found.xid, 0xfffffffe);
            cr_assert_eq(found.type, ULLAGE_RPC_REPLY);
            cr_assert_eq(found.reply_status, 0);
            cr_assert_eq(found.accept_status, status);
            cr_assert(found.program == 0 && found.version == 0 && found.procedure == 0 && found.credential_bytes == 0);
        }
    }
    struct message beyond = accepted(0, 6), longer = accepted(401, 0);
    cr_assert_eq(peek(&beyond), -EPROTO, "RFC 5531 has 0 to 5");
    cr_assert_eq(peek(&longer), -EPROTO);
}

Test(rpc, tells_denied_replies)
{
    for (uint32_t why = 0; why <= 1; why++) {
        struct message m = denied(why);
        holds(&m);
        cr_assert_eq(found.reply_status, 1);
        cr_assert_eq(found.xid, 5);
        cr_assert_eq(found.header_bytes, 16);
    }
}

Test(rpc, other_reply_statuses_are_refused)
{
    static const uint32_t statuses[] = { 2, 3, 0x01000000, UINT32_MAX };
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        struct message m = denied(0);
        m.count = 8;
        put_word(&m, statuses[i]);
        m.count = 100;
        cr_assert_eq(peek(&m), -EPROTO, "%u", statuses[i]);
    }
}

/* ---- anything ---- */

/* Each word of a call and of a reply changed to each of some values: nothing is read past the end, and what is said lies within. */
Test(rpc, strange_words_do_no_harm, .timeout = 60)
{
    static const uint32_t words[] = { 0, 1, 2, 4, 8, 400, 401, 0x7fffffff, 0x80000000, UINT32_MAX - 2, UINT32_MAX };
    const struct message messages[] = { call(24, 8), accepted(8, 0), denied(1) };
    for (size_t n = 0; n < sizeof messages / sizeof messages[0]; n++)
        for (size_t at = 0; at < messages[n].count; at += 4)
            for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
                for (size_t bytes = 0; bytes <= messages[n].count; bytes++) {
                    struct message m = messages[n];
                    m.count = at;
                    put_word(&m, words[i]);
                    m.count = bytes;
                    if (peek(&m) == 0)
                        cr_assert(found.header_bytes <= bytes && found.credential_bytes <= 400);
                }
}
