/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_xdr.c - records as XDRs, against libtirpc's xdrmem: what that encoded is decoded, and the other way round, in one piece at any
 * address, and in pieces wherever they are cut.
 */
#include "config.h"

#include "xdr_message.h"

/* ---- one piece ---- */

Test(xdr_record, decodes_what_libtirpc_encoded_at_any_address)
{
    char *data = filled(1001);
    u_int bytes;
    struct message m = sample(data, 1001);
    char *wire = encoded(&m, &bytes), *moved = malloc(bytes + 8);
    for (int off = 0; off < 5; off++) {
        XDR xdrs;
        memcpy(moved + off, wire, bytes);
        struct ullage_record record = record_of(moved + off, bytes);
        for (int ours = 0; ours < 2; ours++) {
            ullage_xdr_record(&xdrs, &record);
            expect_message(&xdrs, &m, ours);
            cr_assert_eq(xdr_getpos(&xdrs), bytes);
        }
    }
    free(moved);
    free(wire);
    free(data);
}

/* Decodes each beginning of @wire that is too short. */
static void decode_beginnings(const char *wire, u_int bytes)
{
    for (u_int cut = 0; cut < bytes; cut++) {
        struct message got = { 0 };
        XDR xdrs;
        char *exact = malloc(cut + 1); /* so that AddressSanitizer sees each byte too many */
        memcpy(exact, wire, cut);
        struct ullage_record record = record_of(exact, cut);
        ullage_xdr_record(&xdrs, &record);
        cr_assert_not(ours_message(&xdrs, &got), "at %u", cut);
        xdr_free((xdrproc_t)ours_message, &got);
        free(exact);
    }
}

Test(xdr_record, a_record_that_ends_early_fails_and_leaks_nothing)
{
    u_int bytes;
    char *data = filled(77);
    struct message m = sample(data, 77);
    char *wire = encoded(&m, &bytes);
    decode_beginnings(wire, bytes); /* what malloc keeps for the thread is there then */
    size_t before = mallinfo2().uordblks;
    decode_beginnings(wire, bytes);
    cr_assert_eq(mallinfo2().uordblks, before);
    free(wire);
    free(data);
}

Test(xdr_record, a_long_is_as_libtirpc_has_it)
{
    uint32_t words[] = { htonl(0), htonl(1), htonl(0x7fffffff), htonl(0x80000000), htonl(0xffffffff) };
    struct ullage_record record = record_of(words, sizeof words);
    XDR theirs, ours;
    xdrmem_create(&theirs, (char *)words, sizeof words, XDR_DECODE);
    ullage_xdr_record(&ours, &record);
    for (int i = 0; i < 5; i++) {
        long a, b;
        cr_assert(xdr_long(&theirs, &a) && xdr_long(&ours, &b));
        cr_assert_eq(a, b, "%lx %lx", a, b);
    }
}

Test(xdr_record, places_lines_and_control)
{
    uint32_t words[4] = { htonl(10), htonl(11), htonl(12), htonl(13) };
    struct ullage_record record = record_of(words, sizeof words);
    struct ullage_xdr_bytesrec rest = { 0 };
    int value;
    XDR xdrs;
    ullage_xdr_record(&xdrs, &record);
    cr_assert_eq(xdr_getpos(&xdrs), 0);
    cr_assert_eq(xdr_inline(&xdrs, 8), (int32_t *)words);
    cr_assert_eq(xdr_getpos(&xdrs), 8);
    xdr_control(&xdrs, ULLAGE_XDR_GET_BYTES_AVAIL, &rest);
    cr_assert_eq(rest.xc_num_avail, 8);
    cr_assert(rest.xc_is_last_record);
    cr_assert_null(xdr_inline(&xdrs, 12));
    cr_assert_eq(xdr_getpos(&xdrs), 8);
    cr_assert(xdr_setpos(&xdrs, 4));
    cr_assert(xdr_int(&xdrs, &value) && value == 11);
    cr_assert(xdr_setpos(&xdrs, 16));
    cr_assert_not(xdr_int(&xdrs, &value));
    cr_assert_not(xdr_setpos(&xdrs, 17));
    cr_assert(xdr_setpos(&xdrs, 2));
    cr_assert_null(xdr_inline(&xdrs, 4), "not aligned");
    xdr_destroy(&xdrs);
}

/* ---- pieces ---- */

/* Decodes and encodes @m over the pieces of @wire that @cuts make. */
static void through_pieces(const struct message *m, const char *wire, u_int bytes, const u_int *cuts, int count)
{
    struct iovec iov[8] = { { 0 } };
    char *all = malloc(bytes);
    XDR xdrs;
    u_int from = 0;
    for (int i = 0; i <= count; i++) {
        u_int to = i < count ? cuts[i] : bytes;
        iov[i] = (struct iovec) { malloc(to - from + 1), to - from };
        memcpy(iov[i].iov_base, wire + from, to - from);
        from = to;
    }
    struct ullage_record record = { .bytes = bytes, .fragments = 1, .pieces = iov, .piece_count = count + 1 };
    ullage_xdr_record(&xdrs, &record);
    expect_message(&xdrs, m, true);
    cr_assert_eq(xdr_getpos(&xdrs), bytes);
    cr_assert(xdr_setpos(&xdrs, 0));
    expect_message(&xdrs, m, true);
    xdr_destroy(&xdrs);

    for (int i = 0; i <= count; i++)
        memset(iov[i].iov_base, 0x55, iov[i].iov_len);
    struct message copy = *m;
    ullage_xdr_iovec(&xdrs, iov, count + 1, XDR_ENCODE);
    cr_assert(ours_message(&xdrs, &copy));
    cr_assert_eq(xdr_getpos(&xdrs), bytes);
    xdr_destroy(&xdrs);
    for (int i = 0, at = 0; i <= count; at += (int)iov[i++].iov_len) {
        memcpy(all + at, iov[i].iov_base, iov[i].iov_len);
        free(iov[i].iov_base);
    }
    cr_assert_eq(memcmp(all, wire, bytes), 0);
    free(all);
}

Test(xdr_pieces, cut_once_anywhere, .timeout = 60)
{
    u_int bytes;
    char *data = filled(333);
    struct message m = sample(data, 333);
    char *wire = encoded(&m, &bytes);
    for (u_int cut = 0; cut <= bytes; cut++)
        through_pieces(&m, wire, bytes, &cut, 1);
    free(wire);
    free(data);
}

Test(xdr_pieces, cut_three_times_some_empty, .timeout = 60)
{
    u_int bytes;
    char *data = filled(9);
    struct message m = sample(data, 9);
    m.number_count = 2;
    char *wire = encoded(&m, &bytes);
    for (u_int first = 0; first <= bytes; first++)
        for (u_int second = first; second <= bytes && second < first + 9; second++) {
            u_int cuts[4] = { first, second, second, bytes };
            through_pieces(&m, wire, bytes, cuts, 4);
        }
    free(wire);
    free(data);
}

Test(xdr_pieces, places_and_lines)
{
    uint32_t one[2] = { htonl(1), htonl(2) }, two[2] = { htonl(3), htonl(4) };
    struct iovec iov[] = { { NULL, 0 }, { one, 8 }, { NULL, 0 }, { two, 8 }, { NULL, 0 } };
    struct ullage_xdr_bytesrec rest = { 0 };
    int value;
    XDR xdrs;
    ullage_xdr_iovec(&xdrs, iov, 5, XDR_DECODE);
    cr_assert_null(xdr_inline(&xdrs, 12), "in two pieces");
    cr_assert_eq(xdr_inline(&xdrs, 4), (int32_t *)one);
    for (u_int place = 0; place <= 16; place += 4) {
        cr_assert(xdr_setpos(&xdrs, place));
        cr_assert_eq(xdr_getpos(&xdrs), place);
        xdr_control(&xdrs, ULLAGE_XDR_GET_BYTES_AVAIL, &rest);
        cr_assert_eq(rest.xc_num_avail, 16 - place);
        cr_assert_eq(xdr_int(&xdrs, &value), place < 16);
        cr_assert(place == 16 || value == (int)place / 4 + 1);
    }
    cr_assert_not(xdr_setpos(&xdrs, 17));
    cr_assert(xdr_setpos(&xdrs, 8));
    cr_assert_eq(xdr_inline(&xdrs, 8), (int32_t *)two);
    const void *memory = xdrs.x_private;
    xdr_destroy(&xdrs);
    cr_assert_not(xdr_int(&xdrs, &value), "nothing after destroy");
    ullage_xdr_iovec(&xdrs, iov, 5, XDR_DECODE);
    cr_assert_eq(xdrs.x_private, memory, "it was given back");
    xdr_destroy(&xdrs);
    ullage_xdr_iovec(&xdrs, NULL, 0, XDR_DECODE);
    cr_assert_not(xdr_int(&xdrs, &value));
    cr_assert_null(xdr_inline(&xdrs, 4));
    xdr_destroy(&xdrs);
    ullage_xdr_iovec(&xdrs, &(struct iovec) { one, (size_t)1 << 32 }, 1, XDR_DECODE);
    cr_assert_not(xdr_int(&xdrs, &value), "more than an XDR can count");
    xdr_destroy(&xdrs);
}
