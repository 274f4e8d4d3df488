/* SPDX-License-Identifier: BSD-2-Clause */
/* test_refuse.c - what a refusal says, where, and that it stays: sentences for each limit, and what peers that are none sent. */
#include "config.h"

#include "marked.h"

TestSuite(refuse, .init = marked_begin, .fini = marked_end, .timeout = 60);

static struct ullage_reader_options options;

/* Whatever is asked of it, it says the same, and holds nothing. */
static void stays_so(struct ullage_reader *r, int error, const char *sentence, uint64_t offset)
{
    struct ullage_record record;
    struct told told = { 0 };
    size_t taken = 99;
    for (int i = 0; i < 2; i++) {
        cr_assert_str_eq(ullage_reader_error(r), sentence);
        cr_assert_eq(ullage_reader_error_offset(r), offset, "%lu", (unsigned long)ullage_reader_error_offset(r));
        cr_assert_eq(ullage_reader_status(r), error);
        cr_assert_eq(ullage_reader_held(r), 0);
        cr_assert_eq(ullage_reader_pending(r), 0);
        cr_assert_eq(ullage_reader_timeout_ms(r), 0);
        cr_assert_eq(ullage_reader_feed(r, "abcd", 4, &taken, tell, &told), error);
        cr_assert_eq(taken, 0);
        cr_assert_eq(ullage_reader_feed(r, NULL, 0, &taken, tell, &told), error);
        cr_assert_eq(ullage_reader_read_fd(r, STDIN_FILENO, &record), error);
        cr_assert_eq(ullage_reader_read(r, NULL, NULL, &record), error, "it is not asked");
        cr_assert_eq(ullage_reader_end(r), error);
        cr_assert_eq(ullage_reader_require_clean(r), error);
    }
    cr_assert_eq(told.count, 0);
}

/* Fed at once and byte by byte: the same words. */
static void says(const void *bytes, size_t count, int error, uint64_t offset, const char *sentence)
{
    for (int step = 0; step < 2; step++) {
        options.size = sizeof options;
        struct ullage_reader *r = reader_with(&options);
        struct told told = { 0 };
        int result = 0;
        size_t each = step == 0 ? count : 1;
        for (size_t at = 0; at < count && result == 0; at += each) {
            size_t taken;
            cr_assert_eq(ullage_reader_status(r), 0);
            cr_assert_str_eq(ullage_reader_error(r), "");
            result = ullage_reader_feed(r, (const uint8_t *)bytes + at, each, &taken, tell, &told);
        }
        cr_assert_eq(result, error, "%d, %s", result, ullage_reader_error(r));
        stays_so(r, error, sentence, offset);
        ullage_reader_destroy(r);
    }
}

/* ---- peers that are none ---- */

Test(refuse, decodes_markers_that_are_text)
{
    static const struct {
        const char *bytes, *sentence;
    } cases[] = {
        { "GET / HTTP/1.0\r\n", "announced 1195725856 bytes, over 1,052,672 (the largest fragment), at offset 0; the bytes read 'GET ': an HTTP client?" },
        { "POST /x HTTP/1.1\r\n", "announced 1347375956 bytes, over 1,052,672 (the largest fragment), at offset 0; the bytes read 'POST': an HTTP client?" },
        { "PRI * HTTP/2.0\r\n", "announced 1347569952 bytes, over 1,052,672 (the largest fragment), at offset 0; the bytes read 'PRI ': an HTTP/2 client?" },
        { "HTTP/1.1 200 OK\r\n", "announced 1213486160 bytes, over 1,052,672 (the largest fragment), at offset 0; the bytes read 'HTTP': an HTTP server?" },
        { "SSH-2.0-OpenSSH_9\r\n", "announced 1397966893 bytes, over 1,052,672 (the largest fragment), at offset 0; the bytes read 'SSH-': an SSH client?" },
        { "EHLO there\r\n", "announced 1162366031 bytes, over 1,052,672 (the largest fragment), at offset 0; the bytes read 'EHLO': a mail client?" },
        { "PROXY TCP4 1.2.3.4\r\n",
            "announced 1347571544 bytes, over 1,052,672 (the largest fragment), at offset 0; the bytes read 'PROX': a PROXY header, version 1?" },
        { "\r\n\r\n", "announced 218762506 bytes, over 1,052,672 (the largest fragment), at offset 0; the bytes are 0d 0a 0d 0a: a PROXY header, version 2?" },
        { "\x16\x03\x01\x02\x00", "announced 369295618 bytes, over 1,052,672 (the largest fragment), at offset 0; the bytes are 16 03 01 02: a TLS client?" },
        { "quit", "announced 1903520116 bytes, over 1,052,672 (the largest fragment), at offset 0; the bytes read 'quit'" },
        { "\xff\xff\xff\xff", "announced 2147483647 bytes, over 1,052,672 (the largest fragment), at offset 0; the bytes are ff ff ff ff" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        says(cases[i].bytes, strlen(cases[i].bytes), -EMSGSIZE, 0, cases[i].sentence);
    cr_assert_eq(counted(ULL_COUNTER_record_refused_size_total), 2 * sizeof cases / sizeof cases[0]);
}

Test(refuse, says_where_in_the_stream)
{
    struct marked m = { 0 };
    marked_record(&m, 100);
    marked_fragment(&m, 0, false);
    marked_add(&m, "GET / HTTP/1.0\r\n", 16);
    options.max_fragment_bytes = 1000;
    for (int step = 0; step < 2; step++) {
        struct told told = { 0 };
        options.size = sizeof options;
        struct ullage_reader *r = reader_with(&options);
        int result = 0;
        size_t taken;
        for (size_t at = 0; at < m.count && result == 0; at += step == 0 ? m.count : 1)
            result = ullage_reader_feed(r, m.data + at, step == 0 ? m.count : 1, &taken, tell, &told);
        cr_assert_eq(result, -EMSGSIZE);
        cr_assert_eq(told.count, 1);
        stays_so(r, -EMSGSIZE, "announced 1195725856 bytes, over 1,000 (the largest fragment), at offset 108; the bytes read 'GET ': an HTTP client?", 108);
        ullage_reader_destroy(r);
    }
    marked_free(&m);
}

/* ---- caps ---- */

Test(refuse, names_the_cap_of_a_record)
{
    static const uint8_t bytes[] = { 0, 0, 0, 3, 1, 2, 3, 0x80, 0, 0, 8 };
    options.max_record_bytes = 10;
    says(bytes, sizeof bytes, -EMSGSIZE, 7, "announced 11 bytes, over 10 (the largest record), at offset 7; the bytes are 80 00 00 08");
}

Test(refuse, names_the_cap_of_a_procedure)
{
    static const struct ullage_record_cap caps[] = { { 100003, ULLAGE_ANY, ULLAGE_ANY, 40 }, { 100003, 3, 7, 30 } };
    uint8_t bytes[36] = { 0x80, 0, 0, 31, 0xaa, 0xbb, 0xcc, 0xdd, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0x86, 0xa3, 0, 0, 0, 3, 0, 0, 0, 7 };
    options.caps = caps;
    options.cap_count = 2;
    says(bytes, 35, -EMSGSIZE, 0, "announced 31 bytes, over 30 (the largest call of its procedure), at offset 0; "
                                  "the bytes are aa bb cc dd 00 00 00 00 00 00 00 02 00 01 86 a3");
    /* As soon as it is named: in the first 24 bytes. */
    says(bytes, 28, -EMSGSIZE, 0, "announced 31 bytes, over 30 (the largest call of its procedure), at offset 0; "
                                  "the bytes are aa bb cc dd 00 00 00 00 00 00 00 02 00 01 86 a3");
}

/* A reply has no procedure, whatever its words read. */
Test(refuse, names_no_procedure_of_a_reply)
{
    static const struct ullage_record_cap cap = { 100003, ULLAGE_ANY, ULLAGE_ANY, 20 };
    uint8_t bytes[36] = { 0, 0, 0, 28, 0xaa, 0xbb, 0xcc, 0xdd, 0, 0, 0, 1, 0, 0, 0, 2, 0, 1, 0x86, 0xa3, 0, 0, 0, 3, 0, 0, 0, 7, 0, 0, 0, 0, 0x80, 0, 0, 3 };
    options.caps = &cap;
    options.cap_count = 1;
    options.max_record_bytes = 30;
    says(bytes, sizeof bytes, -EMSGSIZE, 32, "announced 31 bytes, over 30 (the largest record), at offset 32; the bytes are 80 00 00 03");
}

Test(refuse, counts_fragments)
{
    struct marked m = { 0 };
    for (int i = 0; i < 5000; i++)
        marked_fragment(&m, 0, false);
    says(m.data, m.count, -EMSGSIZE, 4096 * 4, "4097 fragments of too few bytes in one record, over 4,096, at offset 16384; the bytes are 00 00 00 00");
    options.max_fragments = 3;
    says(m.data, m.count, -EMSGSIZE, 12, "4 fragments of too few bytes in one record, over 3, at offset 12; the bytes are 00 00 00 00");
    marked_free(&m);
}

/* ---- headers ---- */

Test(refuse, shows_a_header_that_is_none)
{
    options.flags = ULLAGE_READER_RPC;
    says("\x80\0\0\x08" "abcdefgh", 12, -EPROTO, 0, "a record of 8 bytes is no well-formed RPC message, at offset 0; the bytes read 'abcdefgh'");
    says("\x80\0\0\x02\x01\x02", 6, -EPROTO, 0, "a record of 2 bytes is no well-formed RPC message, at offset 0; the bytes are 01 02");
    says("\x80\0\0\0", 4, -EPROTO, 0, "a record of 0 bytes is no well-formed RPC message, at offset 0");
    cr_assert_eq(counted(ULL_COUNTER_record_refused_protocol_total), 6);
}

/* ---- ends ---- */

Test(refuse, says_what_is_missing_at_the_end)
{
    struct marked m = { 0 };
    marked_record(&m, 4);
    marked_fragment(&m, 10, false);
    marked_fragment(&m, 20, true);
    for (size_t count = 0; count <= m.count; count++) {
        struct told told = { 0 };
        char sentence[200];
        struct ullage_reader *r = reader_with(NULL);
        cr_assert_eq(feed(r, m.data, count, &told), 0);
        bool between = count == 0 || count == 8 || count == m.count;
        size_t begun = count < 8 ? 0 : 8;
        static const size_t ends[] = { 4, 8, 12, 22, 26, 46 };
        size_t until = 0;
        for (size_t i = 0; until <= count && i < 6; i++)
            until = ends[i];
        snprintf(sentence, sizeof sentence, "the stream ended inside the record that began at offset %zu: at least %zu bytes are missing at offset %zu", begun,
            until - count, count);
        cr_assert_eq(ullage_reader_end(r), between ? 0 : -ECONNRESET);
        cr_assert_str_eq(ullage_reader_error(r), between ? "" : sentence, "after %zu: %s", count, ullage_reader_error(r));
        if (!between)
            stays_so(r, -ECONNRESET, sentence, count);
        ullage_reader_destroy(r);
    }
    marked_free(&m);
}

/* ---- reading ---- */

static ssize_t fails(void *ctx, void *to, size_t bytes)
{
    (void)ctx;
    (void)to;
    (void)bytes;
    return -EIO;
}

Test(refuse, names_what_reading_failed_with)
{
    struct ullage_record record;
    struct told told = { 0 };
    struct ullage_reader *r = reader_with(NULL);
    cr_assert_eq(feed(r, "\x80\0\0\x08" "ab", 6, &told), 0);
    cr_assert_eq(ullage_reader_read(r, fails, NULL, &record), -EIO);
    stays_so(r, -EIO, "reading failed: Input/output error, at offset 6", 6);
    cr_assert_eq(counted(ULL_COUNTER_record_refused_other_total), 1);
    ullage_reader_destroy(r);
}

/* ---- quotes ---- */

/* Bytes of a peer stand in a log: nothing that ends a line, or that a terminal obeys. */
Test(refuse, lets_no_control_characters_through)
{
    for (unsigned c = 0; c < 256; c++) {
        uint8_t bytes[12] = { 0x80, 0, 0, 8, 'a', 'b', 'c', 'd', 'e', 'f', 'g', (uint8_t)c };
        struct told told = { 0 };
        options.size = sizeof options;
        options.flags = ULLAGE_READER_RPC;
        struct ullage_reader *r = reader_with(&options);
        cr_assert_eq(feed(r, bytes, sizeof bytes, &told), -EPROTO);
        for (const char *at = ullage_reader_error(r); *at != '\0'; at++)
            cr_assert(*at >= ' ' && *at <= '~', "%02x", c);
        ullage_reader_destroy(r);
    }
}
