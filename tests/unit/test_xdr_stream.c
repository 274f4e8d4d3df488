/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_xdr_stream.c - streams of records, against libtirpc's xdrrec: both ways, in fragments of many sizes, however few bytes a read gives.
 */
#include "config.h"

#include "xdr_message.h"

enum { RECORDS = 4 };

/* Records of various sizes from one kind of stream to the other. */
static void converse(bool ours_sends, bool ours_receives, u_int sendsize, int step, bool_t now, uint32_t flags)
{
    struct ullage_reader_options options = ULLAGE_READER_OPTIONS_INIT;
    static const u_int sizes[RECORDS] = { 0, 3000, 1, 70000 };
    struct wire wire = { .step = step };
    XDR from, to;
    char *data[RECORDS];
    struct message m[RECORDS];
    (ours_sends ? ours_open : plain_open)(&from, sendsize, 0, &wire);
    (ours_receives ? ours_open : plain_open)(&to, 0, 5000, &wire);
    options.flags = flags;
    cr_assert(flags == 0 || ullage_xdrrec_limit(&to, &options) == 0);
    for (int i = 0; i < RECORDS; i++) {
        data[i] = filled(sizes[i]);
        m[i] = sample(data[i], sizes[i]);
        cr_assert((ours_sends ? ours_send : plain_send)(&from, &m[i], now || i == RECORDS - 1));
    }
    for (int i = 0; i < RECORDS; i++) {
        struct message got = { 0 };
        bool_t done = (ours_receives ? ours_receive : plain_receive)(&to, &got);
        cr_assert(done, "record %d of %u, step %d: %s", i, sendsize, step, ours_receives ? ullage_xdrrec_error(&to) : "");
        expect_same(&got, &m[i]);
        xdr_free((xdrproc_t)ours_message, &got);
    }
    cr_assert((ours_receives ? ours_eof : plain_eof)(&to));
    for (int i = 0; i < RECORDS; i++)
        free(data[i]);
    xdr_destroy(&from);
    xdr_destroy(&to);
    free(wire.bytes);
}

Test(xdr_stream, speaks_with_libtirpc_both_ways, .timeout = 120)
{
    static const u_int sends[] = { 0, 100, 104, 508, 512, 4000, 9001, 65536, 1 << 20 };
    static const int steps[] = { 1, 3, 4, 5, 4096, 0 };
    for (size_t s = 0; s < sizeof sends / sizeof *sends; s++)
        for (size_t t = 0; t < sizeof steps / sizeof *steps; t++)
            for (int way = 0; way < 4; way++)
                for (int now = 0; now < 2; now++)
                    if (way != 0) /* libtirpc with itself is not in question */
                        converse((way & 1) != 0, (way & 2) != 0, sends[s], steps[t], now, 0);
}

Test(xdr_stream, decodes_records_in_pieces, .timeout = 60)
{
    static const u_int sends[] = { 100, 512, 4000 };
    static const int steps[] = { 1, 700, 0 };
    for (int i = 0; i < 9; i++)
        for (int ours = 0; ours < 2; ours++)
            converse(ours, true, sends[i / 3], steps[i % 3], TRUE, ULLAGE_READER_PIECES);
}

/* A record whose end meets the end of a fragment, and those around it. */
Test(xdr_stream, fragments_end_anywhere)
{
    for (u_int count = 0; count < 420; count++) {
        struct wire wire = { 0 };
        char *data = filled(count), *back = malloc(count + 1);
        int end = -1;
        XDR ours, theirs;
        xdrrec_create(&ours, 104, 0, &wire, wire_read, wire_write);
        plain_open(&theirs, 0, 0, &wire);
        ours.x_op = XDR_ENCODE;
        theirs.x_op = XDR_DECODE;
        for (int i = 0; i < 2; i++) {
            u_int part = i == 0 ? count : 1;
            for (u_int at = 0; at < count; at += part)
                cr_assert(XDR_PUTBYTES(&ours, data + at, part));
            cr_assert_eq(xdr_getpos(&ours), count);
            cr_assert(xdrrec_endofrecord(&ours, TRUE));
            cr_assert_eq(wire.end, (size_t)(i + 1) * (count + 4 * (count == 0 ? 1 : (count + 99) / 100)), "markers, none of them in vain");
        }
        for (int i = 0; i < 2; i++) {
            cr_assert(xdrrec_skiprecord(&theirs));
            cr_assert(XDR_GETBYTES(&theirs, back, count));
            cr_assert_eq(memcmp(back, data, count), 0);
            cr_assert_not(xdr_int(&theirs, &end), "the record ends");
        }
        xdr_destroy(&ours);
        xdr_destroy(&theirs);
        free(data);
        free(back);
        free(wire.bytes);
    }
}

Test(xdr_stream, places_when_encoding)
{
    struct wire wire = { 0 };
    int values[3];
    XDR xdrs;
    xdrrec_create(&xdrs, 0, 0, &wire, wire_read, wire_write);
    for (int turn = 0; turn < 2; turn++) { /* the second lies behind the first in the buffer */
        xdrs.x_op = XDR_ENCODE;
        u_int begin = xdr_getpos(&xdrs), end;
        int value = 0;
        cr_assert_eq(begin, 0);
        for (int i = 0; i < 3; i++)
            cr_assert(xdr_int(&xdrs, &value));
        end = xdr_getpos(&xdrs);
        cr_assert_eq(end, 12);
        cr_assert(xdr_setpos(&xdrs, 4));
        value = 55 + turn;
        cr_assert(xdr_int(&xdrs, &value));
        cr_assert(xdr_setpos(&xdrs, end));
        cr_assert_not(xdr_setpos(&xdrs, end + 1), "nothing was written there");
        cr_assert(xdrrec_endofrecord(&xdrs, turn == 1));
    }
    xdrs.x_op = XDR_DECODE;
    for (int turn = 0; turn < 2; turn++) {
        cr_assert(xdrrec_skiprecord(&xdrs));
        for (int i = 0; i < 3; i++)
            cr_assert(xdr_int(&xdrs, &values[i]));
        cr_assert(values[0] == 0 && values[1] == 55 + turn && values[2] == 0);
        cr_assert_eq(xdr_getpos(&xdrs), 12);
        cr_assert(xdr_setpos(&xdrs, 4));
        cr_assert(xdr_int(&xdrs, &values[0]) && values[0] == 55 + turn);
    }
    xdr_destroy(&xdrs);
    free(wire.bytes);
}

Test(xdr_stream, a_record_that_was_sent_in_part_is_not_kept_back)
{
    struct wire wire = { 0 };
    char *data = filled(150);
    int value = 1;
    XDR xdrs;
    xdrrec_create(&xdrs, 104, 0, &wire, wire_read, wire_write);
    xdrs.x_op = XDR_ENCODE;
    cr_assert(XDR_PUTBYTES(&xdrs, data, 150));
    cr_assert_eq(wire.end, 104);
    cr_assert(xdrrec_endofrecord(&xdrs, FALSE));
    cr_assert_eq(wire.end, 158);
    cr_assert_eq(xdr_getpos(&xdrs), 0);
    cr_assert(xdr_int(&xdrs, &value) && xdrrec_endofrecord(&xdrs, FALSE));
    cr_assert_eq(wire.end, 158, "one that fits is");
    cr_assert_eq(xdr_getpos(&xdrs), 0);
    cr_assert(xdr_int(&xdrs, &value) && xdrrec_endofrecord(&xdrs, TRUE));
    cr_assert_eq(wire.end, 174);
    xdr_destroy(&xdrs);
    free(data);
    free(wire.bytes);
}

static long resident_pages(void)
{
    long all = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    cr_assert(file != NULL && fscanf(file, "%ld %ld", &all, &resident) == 2);
    fclose(file);
    return resident;
}

/* The same record, over and over. */
Test(xdr_stream, records_in_pieces_leave_nothing_behind, .timeout = 60)
{
    enum { TURNS = 200000, PAGES_MOST = 512 };
    struct ullage_reader_options options = ULLAGE_READER_OPTIONS_INIT;
    struct wire wire = { 0 };
    long before = 0;
    char *data = filled(150);
    XDR xdrs;
    xdrrec_create(&xdrs, 104, 0, &wire, wire_read, wire_write);
    options.flags = ULLAGE_READER_PIECES;
    cr_assert_eq(ullage_xdrrec_limit(&xdrs, &options), 0);
    xdrs.x_op = XDR_ENCODE;
    cr_assert(XDR_PUTBYTES(&xdrs, data, 150) && xdrrec_endofrecord(&xdrs, TRUE));
    xdrs.x_op = XDR_DECODE;
    for (int i = 0; i < TURNS; i++) {
        long value;
        wire.at = 0;
        cr_assert(xdrrec_skiprecord(&xdrs) && XDR_GETLONG(&xdrs, &value));
        if (i == 1000)
            before = resident_pages();
    }
    cr_assert_leq(resident_pages() - before, PAGES_MOST);
    xdr_destroy(&xdrs);
    free(data);
    free(wire.bytes);
}

/* Three records of one int each, of two fragments. */
static void three_ints(struct wire *wire, XDR *xdrs)
{
    xdrrec_create(xdrs, 0, 0, wire, wire_read, wire_write);
    for (int i = 1; i <= 3; i++)
        wire_write(wire, (char[]) { 0, 0, 0, 2, 0, 0, (char)0x80, 0, 0, 2, 0, (char)i }, 12);
    xdrs->x_op = XDR_DECODE;
}

Test(xdr_stream, skips_and_looks_ahead_as_libtirpc)
{
    for (int ours = 0; ours < 2; ours++) {
        struct wire wire = { 0 };
        XDR xdrs, *x = &xdrs;
        int value = 0;
        three_ints(&wire, x);
        if (!ours) {
            xdr_destroy(x);
            plain_open(x, 0, 0, &wire);
        }
        cr_assert_not(xdr_int(x, &value), "before the first xdrrec_skiprecord()");
        cr_assert(xdrrec_skiprecord(x));
        cr_assert(xdrrec_skiprecord(x), "the first goes unread");
        cr_assert(xdr_int(x, &value) && value == 2);
        cr_assert_not(xdr_int(x, &value));
        cr_assert_not(xdrrec_eof(x), "one is left");
        cr_assert(xdrrec_skiprecord(x));
        cr_assert(xdr_int(x, &value) && value == 3);
        cr_assert(xdrrec_eof(x));
        cr_assert(xdrrec_skiprecord(x), "nothing is read yet");
        cr_assert_not(xdr_int(x, &value));
        cr_assert(xdrrec_eof(x));
        cr_assert_eq(ullage_xdrrec_status(x), ours ? -EAGAIN : 0);
        xdr_destroy(x);
        free(wire.bytes);
    }
}

/* A byte comes, then nothing or a signal, and so on. */
Test(xdr_stream, goes_on_where_a_descriptor_had_nothing)
{
    struct wire wire = { 0 };
    XDR xdrs;
    int value = 0, tries = 0;
    three_ints(&wire, &xdrs);
    size_t end = wire.end;
    for (wire.end = 0; wire.end <= end; tries++) {
        wire.refusal = tries % 2 == 0 ? 0 : EINTR;
        cr_assert(xdrrec_skiprecord(&xdrs));
        if (xdr_int(&xdrs, &value)) {
            cr_assert_eq(wire.end, 12 * (size_t)value);
            if (value == 3)
                break;
            continue;
        }
        cr_assert_eq(ullage_xdrrec_status(&xdrs), tries % 2 == 0 ? -EAGAIN : -EINTR);
        wire.end += tries % 2 == 0;
    }
    cr_assert_eq(value, 3);
    xdr_destroy(&xdrs);
    free(wire.bytes);
}

static int ends(void *handle, void *to, int count)
{
    (void)to;
    (void)count;
    ++*(int *)handle;
    return 0;
}

Test(xdr_stream, an_end_is_an_end)
{
    XDR xdrs;
    int asked = 0, value;
    xdrrec_create(&xdrs, 0, 0, &asked, ends, wire_write);
    xdrs.x_op = XDR_DECODE;
    cr_assert(xdrrec_skiprecord(&xdrs));
    cr_assert_not(xdr_int(&xdrs, &value));
    cr_assert_eq(asked, 1, "libtirpc's asks for ever");
    cr_assert_eq(ullage_xdrrec_status(&xdrs), -ECONNRESET);
    cr_assert_not(xdrrec_skiprecord(&xdrs));
    xdr_destroy(&xdrs);
}

static int short_write(void *handle, void *from, int count)
{
    return wire_write(handle, from, count > 3 ? 3 : count);
}

static int no_write(void *handle, void *from, int count)
{
    (void)handle;
    (void)from;
    (void)count;
    errno = EPIPE;
    return -1;
}

Test(xdr_stream, writes_on_after_short_writes_and_fails_for_good)
{
    struct wire wire = { 0 };
    char *data = filled(1000);
    struct message m = sample(data, 1000);
    XDR xdrs;
    xdrrec_create(&xdrs, 200, 0, &wire, wire_read, short_write);
    cr_assert(ours_send(&xdrs, &m, TRUE));
    xdrs.x_op = XDR_DECODE;
    cr_assert(xdrrec_skiprecord(&xdrs));
    expect_message(&xdrs, &m, true);
    xdr_destroy(&xdrs);
    xdrrec_create(&xdrs, 200, 0, &wire, wire_read, no_write);
    cr_assert_not(ours_send(&xdrs, &m, TRUE));
    cr_assert_eq(ullage_xdrrec_status(&xdrs), -EPIPE);
    cr_assert_not(ours_send(&xdrs, &m, TRUE));
    cr_assert_not(xdrrec_endofrecord(&xdrs, TRUE));
    xdr_destroy(&xdrs);
    free(data);
    free(wire.bytes);
}

Test(xdr_stream, has_caps)
{
    struct ullage_reader_options options = ULLAGE_READER_OPTIONS_INIT;
    struct wire wire = { 0 };
    char *data = filled(5000);
    struct message m = sample(data, 5000);
    int value;
    XDR xdrs;
    xdrrec_create(&xdrs, 0, 0, &wire, wire_read, wire_write);
    options.max_record_bytes = 4096;
    cr_assert_eq(ullage_xdrrec_limit(&xdrs, &options), 0);
    cr_assert(ours_send(&xdrs, &m, TRUE));
    xdrs.x_op = XDR_DECODE;
    cr_assert(xdrrec_skiprecord(&xdrs));
    cr_assert_not(xdr_int(&xdrs, &value));
    cr_assert_eq(ullage_xdrrec_status(&xdrs), -EMSGSIZE);
    cr_assert_neq(ullage_xdrrec_error(&xdrs)[0], '\0');
    cr_assert_eq(ullage_xdrrec_limit(&xdrs, &options), -EBUSY);
    cr_assert_not(xdrrec_skiprecord(&xdrs));
    xdr_destroy(&xdrs);
    cr_assert_eq(ullage_xdrrec_limit(&xdrs, &options), -EINVAL);
    free(data);
    free(wire.bytes);
}

Test(xdr_stream, other_caps_leave_nothing_behind, .timeout = 60)
{
    enum { TURNS = 50000, PAGES_MOST = 512 };
    struct ullage_reader_options options = ULLAGE_READER_OPTIONS_INIT;
    struct wire wire = { 0 };
    long before = 0;
    options.max_record_bytes = 4096;
    for (int i = 0; i < TURNS; i++) {
        XDR xdrs;
        xdrrec_create(&xdrs, 0, 0, &wire, wire_read, wire_write);
        cr_assert_eq(ullage_xdrrec_limit(&xdrs, &options), 0);
        xdr_destroy(&xdrs);
        if (i == 1000)
            before = resident_pages();
    }
    cr_assert_leq(resident_pages() - before, PAGES_MOST);
}
