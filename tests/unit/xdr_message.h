/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xdr_message.h - a message with one of everything, a wire to send it over, and old code for both: as libtirpc has it (plain_*), and
 * behind <ullage/xdr.h> (ours_*). Below this line the names xdr_* and xdrrec_* are the library's.
 */
#ifndef ULL_TESTS_XDR_MESSAGE_H
#define ULL_TESTS_XDR_MESSAGE_H

#include <errno.h>
#include <rpc/rpc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct item {
    int number;
    char *name;
    struct item *next;
};

struct message {
    int small;
    long number;
    quad_t large;
    double real;
    bool_t flag;
    u_int pair[2];
    char fixed[7];
    char *bytes;
    u_int byte_count;
    char *text, *wrapped;
    struct netobj object;
    int *numbers;
    u_int number_count;
    short vector[3];
    struct item *items;
};

/* What has been sent, and how much of it one read gives. */
struct wire {
    char *bytes;
    size_t at, end, room;
    int step;    /* bytes of a read or write; 0: all */
    int refusal; /* errno of the next read; it is used up */
};

static inline int wire_read(void *handle, void *to, int count)
{
    struct wire *w = handle;
    if (w->refusal != 0) {
        errno = w->refusal;
        w->refusal = 0;
        return -1;
    }
    if (w->at == w->end) { /* not 0: libtirpc's streams go on asking then */
        errno = EAGAIN;
        return -1;
    }
    if (w->step != 0 && count > w->step)
        count = w->step;
    if ((size_t)count > w->end - w->at)
        count = (int)(w->end - w->at);
    memcpy(to, w->bytes + w->at, (size_t)count);
    w->at += (size_t)count;
    return count;
}

static inline int wire_write(void *handle, void *from, int count)
{
    struct wire *w = handle;
    if (w->end + (size_t)count > w->room) {
        w->room = 2 * (w->end + (size_t)count);
        w->bytes = realloc(w->bytes, w->room);
    }
    memcpy(w->bytes + w->end, from, (size_t)count);
    w->end += (size_t)count;
    return count;
}

#define OLD(name) plain_##name
#include "old_code.h"
#undef OLD
#include "ullage/xdr.h"
#define OLD(name) ours_##name
#include "old_code.h"
#undef OLD

#include "measure/begin.h"
#include "measure/state.h"
#include "ullage/alloc.h"

#include <criterion/criterion.h>
#include <malloc.h>

/* What libullage.so does in its constructor. */
void ull_begin_if_needed(void)
{
    if (!ull_recorder_is_ready())
        ull_begin(ULL_CLEAR_NEVER, false);
}

/* ---- a message ---- */

static struct item last_item = { -3, (char *)"", NULL };
static struct item first_item = { 2147483647, (char *)"an item", &last_item };
static int numbers[300];

static inline struct message sample(char *bytes, u_int count)
{
    for (int i = 0; i < 300; i++)
        numbers[i] = i * i - 1000;
    return (struct message) { .small = -7, .number = 1234567890, .large = INT64_C(-9876543210987), .real = 2.5, .flag = TRUE,
        .pair = { 0xfedcba98, 17 }, .fixed = "1234567", .bytes = bytes, .byte_count = count, .text = (char *)"text", .wrapped = (char *)"wrapped", .object = { 3, (char *)"abc" },
        .numbers = numbers, .number_count = 300, .vector = { -1, 0, 1 }, .items = &first_item };
}

static inline void expect_same(const struct message *a, const struct message *b)
{
    cr_assert_eq(a->small, b->small);
    cr_assert_eq(a->number, b->number);
    cr_assert_eq(a->large, b->large);
    cr_assert_eq(a->real, b->real);
    cr_assert_eq(a->flag, b->flag);
    cr_assert_eq(memcmp(a->pair, b->pair, sizeof a->pair), 0);
    cr_assert_eq(memcmp(a->fixed, b->fixed, sizeof a->fixed), 0);
    cr_assert_eq(a->byte_count, b->byte_count);
    cr_assert(a->byte_count == 0 || memcmp(a->bytes, b->bytes, a->byte_count) == 0);
    cr_assert_str_eq(a->text, b->text);
    cr_assert_str_eq(a->wrapped, b->wrapped);
    cr_assert_eq(a->object.n_len, b->object.n_len);
    cr_assert_eq(memcmp(a->object.n_bytes, b->object.n_bytes, a->object.n_len), 0);
    cr_assert_eq(a->number_count, b->number_count);
    cr_assert_eq(memcmp(a->numbers, b->numbers, a->number_count * sizeof(int)), 0);
    cr_assert_eq(memcmp(a->vector, b->vector, sizeof a->vector), 0);
    const struct item *x = a->items, *y = b->items;
    for (; x != NULL && y != NULL; x = x->next, y = y->next) {
        cr_assert_eq(x->number, y->number);
        cr_assert_str_eq(x->name, y->name);
    }
    cr_assert(x == NULL && y == NULL);
}

/* A message of @count bytes and more, as libtirpc's xdrmem has it. */
static inline char *encoded(struct message *m, u_int *bytes)
{
    XDR xdrs;
    char *to = malloc(m->byte_count + 4000);
    xdrmem_create(&xdrs, to, m->byte_count + 4000, XDR_ENCODE);
    cr_assert(plain_message(&xdrs, m));
    *bytes = xdr_getpos(&xdrs);
    return to;
}

static inline char *filled(u_int count)
{
    char *bytes = malloc(count + 1);
    for (u_int i = 0; i < count; i++)
        bytes[i] = (char)(i * 7 + (i >> 8));
    return bytes;
}

static inline struct ullage_record record_of(const void *data, size_t bytes)
{
    return (struct ullage_record) { .data = data, .bytes = bytes, .fragments = 1 };
}

static inline void expect_message(XDR *xdrs, const struct message *sent, bool through_ours)
{
    struct message got = { 0 };
    cr_assert(through_ours ? ours_message(xdrs, &got) : plain_message(xdrs, &got), "%s", ullage_xdr_error());
    expect_same(&got, sent);
    xdr_free(through_ours ? (xdrproc_t)ours_message : (xdrproc_t)plain_message, &got);
}

#endif
