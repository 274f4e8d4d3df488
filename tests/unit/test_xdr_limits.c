/* SPDX-License-Identifier: BSD-2-Clause */
/* test_xdr_limits.c - decoders believe no length, a record causes so much and no more, lists end. */
#include "config.h"

#include "xdr_message.h"

/* A length, and then @rest words that are 0. */
static void announce(XDR *xdrs, uint32_t *words, uint32_t length, u_int rest)
{
    words[0] = htonl(length);
    memset(words + 1, 0, rest * sizeof *words);
    struct ullage_record record = record_of(words, (rest + 1) * sizeof *words);
    ullage_xdr_record(xdrs, &record);
}

static void expect_refused(void (*make)(XDR *, uint32_t *, uint32_t, u_int))
{
    static const uint32_t lengths[] = { 37, 40, 1000, 0x7fffffff, 0x80000000, 0xfffffffc, 0xffffffff };
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        uint32_t words[10];
        char *bytes = NULL, *string = NULL, *numbers_of = NULL;
        u_int count = 0, items = 0;
        XDR xdrs;
        make(&xdrs, words, lengths[i], 9);
        cr_assert_not(xdr_bytes(&xdrs, &bytes, &count, ~0U));
        cr_assert_null(bytes);
        cr_assert_neq(strstr(ullage_xdr_error(), "announced, 36 left in the record"), NULL, "before anything is taken for it");
        make(&xdrs, words, lengths[i], 9);
        cr_assert_not(xdr_string(&xdrs, &string, ~0U));
        make(&xdrs, words, lengths[i], 9);
        cr_assert_not(xdr_wrapstring(&xdrs, &string));
        cr_assert_null(string);
        make(&xdrs, words, lengths[i], 9);
        cr_assert_not(xdr_array(&xdrs, &numbers_of, &items, ~0U, sizeof(int), (xdrproc_t)xdr_int));
        cr_assert(numbers_of == NULL && items == 0);
        make(&xdrs, words, 10, 9);
        cr_assert_not(xdr_array(&xdrs, &numbers_of, &items, ~0U, sizeof(int), (xdrproc_t)xdr_int), "ten where nine are");
        make(&xdrs, words, lengths[i], 9);
        cr_assert_not(xdr_array(&xdrs, &numbers_of, &items, ~0U, 1 << 20, (xdrproc_t)xdr_int));
        cr_assert(numbers_of == NULL && items == 0);
    }
}

static void announce_to_xdrmem(XDR *xdrs, uint32_t *words, uint32_t length, u_int rest)
{
    announce(xdrs, words, length, rest);
    xdrmem_create(xdrs, (char *)words, (rest + 1) * (u_int)sizeof *words, XDR_DECODE);
}

Test(xdr_limits, a_length_over_what_is_left_is_refused)
{
    size_t before = mallinfo2().uordblks;
    expect_refused(announce);
    cr_assert_neq(strstr(ullage_xdr_error(), "announced"), NULL, "%s", ullage_xdr_error());
    expect_refused(announce_to_xdrmem);
    cr_assert_eq(mallinfo2().uordblks, before, "and nothing is kept");
}

Test(xdr_limits, what_fits_is_taken)
{
    uint32_t words[10];
    char *bytes = NULL, *string = NULL;
    int *numbers_of = NULL;
    u_int count = 0, items = 0;
    XDR xdrs;
    announce(&xdrs, words, 36, 9);
    cr_assert(xdr_bytes(&xdrs, &bytes, &count, ~0U) && count == 36);
    announce(&xdrs, words, 36, 9);
    cr_assert(xdr_string(&xdrs, &string, 36));
    announce(&xdrs, words, 36, 9);
    cr_assert_not(xdr_string(&xdrs, &string, 35), "declared shorter");
    announce(&xdrs, words, 9, 9);
    cr_assert(xdr_array(&xdrs, (char **)&numbers_of, &items, 9, sizeof(int), (xdrproc_t)xdr_int) && items == 9);
    free(bytes);
    free(string);
    free(numbers_of);
}

/* libtirpc's own stream, a large length, and little behind it. */
Test(xdr_limits, where_nobody_knows_memory_follows_what_comes)
{
    static const u_int sent[] = { 0, 4, 1000, 65532, 65536, 65540, 300000 };
    for (size_t i = 0; i < sizeof sent / sizeof *sent; i++) {
        struct wire wire = { 0 };
        char *data = filled(sent[i]), *got = NULL;
        int *items = NULL;
        u_int length = 0xfffffff0, count = 0;
        XDR xdrs;
        plain_open(&xdrs, 0, 0, &wire);
        for (int turn = 0; turn < 2; turn++) {
            xdrs.x_op = XDR_ENCODE;
            cr_assert(xdr_u_int(&xdrs, &length) && XDR_PUTBYTES(&xdrs, data, sent[i]) && xdrrec_endofrecord(&xdrs, TRUE));
        }
        xdrs.x_op = XDR_ENCODE;
        cr_assert(xdr_u_int(&xdrs, (u_int *)&sent[i]) && xdr_opaque(&xdrs, data, sent[i]) && xdrrec_endofrecord(&xdrs, TRUE));
        xdrs.x_op = XDR_DECODE;
        cr_assert(xdrrec_skiprecord(&xdrs));
        cr_assert_not(xdr_bytes(&xdrs, &got, &count, ~0U));
        cr_assert_null(got);
        cr_assert(xdrrec_skiprecord(&xdrs));
        cr_assert_not(xdr_array(&xdrs, (char **)&items, &count, ~0U, 1, (xdrproc_t)xdr_char));
        cr_assert_leq(count, malloc_usable_size(items), "xdr_free() goes no further than there is room");
        cr_assert(xdrrec_skiprecord(&xdrs));
        cr_assert(xdr_bytes(&xdrs, &got, &count, ~0U) && count == sent[i]);
        cr_assert(count == 0 || memcmp(got, data, count) == 0);
        free(got);
        free(items);
        free(data);
        xdr_destroy(&xdrs);
        free(wire.bytes);
    }
}

Test(xdr_limits, arrays_of_a_foreign_stream_grow)
{
    struct wire wire = { 0 };
    static int many[100000];
    int *from = many, *to = NULL;
    u_int count = 100000;
    XDR xdrs;
    for (int i = 0; i < 100000; i++)
        many[i] = i;
    plain_open(&xdrs, 0, 0, &wire);
    for (int turn = 0; turn < 2; turn++) {
        xdrs.x_op = XDR_ENCODE;
        cr_assert(xdr_array(&xdrs, (char **)&from, &count, ~0U, sizeof(int), (xdrproc_t)xdr_int) && xdrrec_endofrecord(&xdrs, TRUE));
    }
    xdrs.x_op = XDR_DECODE;
    cr_assert(xdrrec_skiprecord(&xdrs));
    count = 0;
    cr_assert(xdr_array(&xdrs, (char **)&to, &count, ~0U, sizeof(int), (xdrproc_t)xdr_int));
    cr_assert_eq(count, 100000);
    cr_assert_eq(memcmp(many, to, sizeof many), 0);
    free(to);
    xdr_destroy(&xdrs);
    free(wire.bytes);
}

/* A structure that is large in memory and small on the wire. */
static bool_t large_item(XDR *xdrs, char *item)
{
    return xdr_int(xdrs, (int *)(void *)item);
}

Test(xdr_limits, a_record_may_cause_so_much_in_all)
{
    static uint32_t words[1001];
    char *items = NULL;
    u_int count = 0;
    XDR xdrs;
    /* 4 KB of record: 64 KiB */
    announce(&xdrs, words, 60, 1000);
    cr_assert(xdr_array(&xdrs, &items, &count, ~0U, 1024, (xdrproc_t)large_item));
    free(items);
    items = NULL;
    announce(&xdrs, words, 64, 1000);
    cr_assert_not(xdr_array(&xdrs, &items, &count, ~0U, 1024, (xdrproc_t)large_item));
    cr_assert(items == NULL && count == 0);
    announce(&xdrs, words, 64, 1000);
    cr_assert_eq(ullage_xdr_limit(&xdrs, 70000), 0);
    cr_assert(xdr_array(&xdrs, &items, &count, ~0U, 1024, (xdrproc_t)large_item));
    free(items);
    /* in small pieces, too: what each costs the allocator counts */
    announce(&xdrs, words, 0, 1000);
    ullage_xdr_limit(&xdrs, 3200);
    int made = 0;
    for (char *string = NULL; xdr_string(&xdrs, &string, ~0U); string = NULL, made++)
        free(string);
    cr_assert_eq(made, 100, "%d", made);
    xdrmem_create(&xdrs, (char *)words, sizeof words, XDR_DECODE);
    cr_assert_eq(ullage_xdr_limit(&xdrs, 1), -EINVAL);
}

Test(xdr_limits, of_a_stream_hold_for_each_record)
{
    struct wire wire = { 0 };
    char *data = filled(2000);
    struct message m = sample(data, 2000), got = { 0 };
    XDR xdrs;
    xdrrec_create(&xdrs, 0, 0, &wire, wire_read, wire_write);
    cr_assert_eq(ullage_xdr_limit(&xdrs, 6000), 0);
    for (int i = 0; i < 3; i++)
        cr_assert(ours_send(&xdrs, &m, TRUE));
    for (int i = 0; i < 2; i++) {
        cr_assert(ours_receive(&xdrs, &got), "%s", ullage_xdr_error());
        xdr_free((xdrproc_t)ours_message, &got);
    }
    cr_assert_eq(ullage_xdr_limit(&xdrs, 1000), 0);
    cr_assert_not(ours_receive(&xdrs, &got));
    xdr_free((xdrproc_t)ours_message, &got);
    xdr_destroy(&xdrs);
    free(data);
    free(wire.bytes);
}

struct node {
    struct node *next;
};

static bool_t list(XDR *xdrs, struct node *node)
{
    return xdr_pointer(xdrs, (char **)&node->next, sizeof *node, (xdrproc_t)list);
}

static int nodes(u_int words_count, bool *done)
{
    uint32_t *words = malloc(words_count * sizeof *words);
    struct node node = { NULL };
    int count = 0;
    XDR xdrs;
    for (u_int i = 0; i < words_count; i++)
        words[i] = htonl(i + 1 < words_count);
    struct ullage_record record = record_of(words, words_count * sizeof *words);
    ullage_xdr_record(&xdrs, &record);
    *done = list(&xdrs, &node);
    for (const struct node *n = node.next; n != NULL; n = n->next)
        count++;
    xdr_free((xdrproc_t)list, &node);
    free(words);
    return count;
}

Test(xdr_limits, lists_are_so_long)
{
    bool done;
    cr_assert_eq(nodes(101, &done), 100);
    cr_assert(done);
    cr_assert_eq(nodes(262144, &done), ULLAGE_XDR_DEPTH, "a record of 1 MiB that says: and one more");
    cr_assert_not(done);
    cr_assert_neq(strstr(ullage_xdr_error(), "nest"), NULL);
    ullage_xdr_max_depth(10);
    cr_assert_eq(nodes(11, &done), 10);
    cr_assert(done);
    cr_assert_eq(nodes(12, &done), 10);
    cr_assert_not(done);
    ullage_xdr_max_depth(0);
    cr_assert_eq(nodes(1001, &done), 1000);
    cr_assert(done);
}

/* ---- no memory ---- */

static int fails_at = -1; /* of the allocations from now on; -1: none */

static bool fails_here(void)
{
    if (fails_at < 0 || fails_at-- != 0)
        return false;
    errno = ENOMEM;
    return true;
}

#define WRAP(result, name, failure, declared, passed) \
    result __real_##name declared; \
    result __wrap_##name declared; \
    result __wrap_##name declared { return fails_here() ? failure : __real_##name passed; }
WRAP(void *, ullage_malloc_at, NULL, (const struct ullage_site *site, size_t bytes), (site, bytes))
WRAP(void *, ullage_calloc_at, NULL, (const struct ullage_site *site, size_t count, size_t bytes), (site, count, bytes))
WRAP(struct ullage_buffer *, ullage_buffer_get_at, NULL, (const struct ullage_site *site, size_t bytes), (site, bytes))
WRAP(int, ullage_buffer_grow, -ENOMEM, (struct ullage_buffer **b, size_t want, size_t keep), (b, want, keep))
WRAP(int, ullage_reader_create, -ENOMEM, (struct ullage_reader **out, const struct ullage_reader_options *opt), (out, opt))

/* A record sent in some fragments, and read in pieces. True: all went well. */
static bool work(struct message *m)
{
    struct ullage_reader_options options = ULLAGE_READER_OPTIONS_INIT;
    struct wire wire = { 0 };
    struct message got = { 0 };
    XDR xdrs;
    options.flags = ULLAGE_READER_PIECES;
    xdrrec_create(&xdrs, 9000, 0, &wire, wire_read, wire_write);
    bool done = ullage_xdrrec_limit(&xdrs, &options) == 0 && ours_send(&xdrs, m, TRUE) && ours_receive(&xdrs, &got);
    cr_assert(done || fails_at < 0);
    if (done)
        expect_same(&got, m);
    fails_at = -1;
    xdr_free((xdrproc_t)ours_message, &got);
    xdr_destroy(&xdrs);
    free(wire.bytes);
    return done;
}

Test(xdr_limits, any_allocation_may_fail)
{
    char *data = filled(20000);
    struct message m = sample(data, 20000);
    int failed = 0;
    cr_assert(work(&m));
    while (fails_at = failed, !work(&m))
        failed++;
    cr_assert_geq(failed, 5, "only %d", failed);
    free(data);
}

Test(xdr_limits, an_xdr_without_memory_fails_in_every_call)
{
    struct ullage_xdr_bytesrec rest;
    struct wire wire = { 0 };
    char bytes[8] = { 0 }, *string = NULL;
    long value = 0;
    for (int kind = 0; kind < 3; kind++) {
        struct iovec iov[2] = { { bytes, 4 }, { bytes + 4, 4 } };
        XDR xdrs;
        fails_at = kind == 1; /* the stream, its reader, the pieces */
        if (kind < 2)
            xdrrec_create(&xdrs, 0, 0, &wire, wire_read, wire_write);
        else
            ullage_xdr_iovec(&xdrs, iov, 2, XDR_DECODE);
        cr_assert_eq(fails_at, -1);
        xdrs.x_op = XDR_DECODE;
        cr_assert_not(XDR_GETLONG(&xdrs, &value) || XDR_PUTLONG(&xdrs, &value) || XDR_GETBYTES(&xdrs, bytes, 4) || XDR_PUTBYTES(&xdrs, bytes, 4));
        cr_assert_not(xdr_string(&xdrs, &string, ~0U) || xdr_setpos(&xdrs, 0));
        cr_assert_null(xdr_inline(&xdrs, 4));
        cr_assert_eq(xdr_getpos(&xdrs), 0);
        xdr_control(&xdrs, ULLAGE_XDR_GET_BYTES_AVAIL, &rest);
        cr_assert_eq(rest.xc_num_avail, 0);
        cr_assert_not(xdrrec_skiprecord(&xdrs) || xdrrec_endofrecord(&xdrs, TRUE));
        cr_assert(xdrrec_eof(&xdrs));
        cr_assert_eq(ullage_xdrrec_status(&xdrs), -ENOMEM);
        xdr_destroy(&xdrs);
    }
    cr_assert_eq(wire.end, 0);
}
