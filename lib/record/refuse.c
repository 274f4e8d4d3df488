/* SPDX-License-Identifier: BSD-2-Clause */
/* refuse.c - the end of a reader: everything is given back, counted, and said in one sentence. */
#include "config.h"

#include "record/reader.h"

#include "base/arith.h"
#include "measure/named.h"
#include "record/marker.h"
#include "ullage/alloc.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

struct ull_refusal {
    uint64_t offset;
    char text[496];
};

/* ---- what the peer said ---- */

/* The beginnings of what else is often sent to a port, and who says it. */
static const char *guess(const uint8_t *bytes, uint64_t count)
{
    static const struct {
        const char *begins, *who;
    } known[] = {
        { "GET ", "an HTTP client" }, { "POST", "an HTTP client" }, { "HEAD", "an HTTP client" }, { "PUT ", "an HTTP client" },
        { "OPTI", "an HTTP client" }, { "CONN", "an HTTP client" }, { "DELE", "an HTTP client" }, { "PRI ", "an HTTP/2 client" },
        { "HTTP", "an HTTP server" }, { "SSH-", "an SSH client" }, { "EHLO", "a mail client" }, { "HELO", "a mail client" },
        { "PROX", "a PROXY header, version 1" }, { "\r\n\r\n", "a PROXY header, version 2" },
        { "\x16\x03\x01", "a TLS client" }, { "\x16\x03\x03", "a TLS client" },
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (count >= strlen(known[i].begins) && memcmp(bytes, known[i].begins, strlen(known[i].begins)) == 0)
            return known[i].who;
    return NULL;
}

static bool are_printable(const uint8_t *bytes, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        if (bytes[i] < ' ' || bytes[i] > '~')
            return false;
    return count != 0;
}

/* "; the bytes read 'GET ': an HTTP client?", "; the bytes are 16 03 01 00", or nothing. */
static void say_bytes(char *to, size_t room, const uint8_t *bytes, uint64_t count)
{
    const char *who = guess(bytes, count);
    int length;
    count = ull_min_u64(count, 16);
    to[0] = '\0';
    if (count == 0)
        return;
    if (are_printable(bytes, count)) {
        length = snprintf(to, room, "; the bytes read '%.*s'", (int)count, (const char *)bytes);
    } else {
        length = snprintf(to, room, "; the bytes are");
        for (uint64_t i = 0; i < count; i++)
            length += snprintf(to + length, room - (size_t)length, " %02x", bytes[i]);
    }
    if (who != NULL)
        snprintf(to + length, room - (size_t)length, ": %s?", who);
}

/* 1052672 as "1,052,672". */
static const char *grouped(char to[32], uint64_t value)
{
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%llu", (unsigned long long)value), at = 0;
    for (int i = 0; i < length; i++) {
        if (i != 0 && (length - i) % 3 == 0)
            to[at++] = ',';
        to[at++] = digits[i];
    }
    to[at] = '\0';
    return to;
}

/* ---- sentences ---- */

struct fact {
    unsigned long long value, offset;
    const char *bound, *bytes;
    int error;
};

static int say_cap(char *to, size_t room, enum ull_limit limit, const struct fact *f)
{
    static const char *const what[] = {
        [ULL_LIMIT_FRAGMENT] = "the largest fragment", [ULL_LIMIT_RECORD] = "the largest record",
        [ULL_LIMIT_PROCEDURE] = "the largest call of its procedure",
    };
    if (limit == ULL_LIMIT_FRAGMENTS)
        return snprintf(to, room, "%llu fragments of too few bytes in one record, over %s, at offset %llu%s", f->value, f->bound, f->offset, f->bytes);
    if (limit == ULL_LIMIT_BUDGET)
        return snprintf(to, room, "%llu bytes for one record, over %s, which is the whole budget, at offset %llu", f->value, f->bound, f->offset);
    return snprintf(to, room, "announced %llu bytes, over %s (%s), at offset %llu%s", f->value, f->bound, what[limit], f->offset, f->bytes);
}

static int say_other(char *to, size_t room, enum ull_limit limit, const struct fact *f)
{
    const char *why = strerrordesc_np(-f->error);
    why = why != NULL ? why : "unknown error";
    switch (limit) {
    case ULL_LIMIT_SHARE:
        return snprintf(to, room, "holds %llu bytes, more than its share of a budget of %s that is used up, at offset %llu", f->value, f->bound, f->offset);
    case ULL_LIMIT_WAITS:
        return snprintf(to, room, "%llu bytes more do not fit a budget of %s now, at offset %llu: call again once some came back", f->value, f->bound, f->offset);
    case ULL_LIMIT_DEADLINE:
        return snprintf(to, room, "a record was not whole after %s ms, %llu bytes of it had come, at offset %llu", f->bound, f->value, f->offset);
    case ULL_LIMIT_IDLE:
        return snprintf(to, room, "no record began for %s ms, at offset %llu", f->bound, f->offset);
    case ULL_LIMIT_RATE:
        return snprintf(to, room, "a record came at %llu bytes a second, under %s, at offset %llu", f->value, f->bound, f->offset);
    case ULL_LIMIT_HEADER:
        return snprintf(to, room, "a record of %llu bytes is no well-formed RPC message, at offset %llu%s", f->value, f->offset, f->bytes);
    case ULL_LIMIT_PREAMBLE:
        return snprintf(to, room, "the stream does not begin as it has to, in %llu bytes of at most %s%s", f->value, f->bound, f->bytes);
    case ULL_LIMIT_CLEAN:
        return snprintf(to, room, "%llu bytes in plaintext came before TLS began, at offset %llu%s: they may be anybody's", f->value, f->offset, f->bytes);
    case ULL_LIMIT_END:
        return snprintf(to, room, "the stream ended inside the record that began at offset %s: at least %llu bytes are missing at offset %llu", f->bound, f->value,
            f->offset);
    case ULL_LIMIT_MEMORY:
        return snprintf(to, room, "no memory for %llu bytes: %s, at offset %llu", f->value, why, f->offset);
    case ULL_LIMIT_CALLBACK:
        return snprintf(to, room, "the record's receiver failed: %s, at offset %llu", why, f->offset);
    default:
        return snprintf(to, room, "reading failed: %s, at offset %llu", why, f->offset);
    }
}

static void keep_sentence(struct ullage_reader *r, int error, enum ull_limit limit, uint64_t value, uint64_t bound, uint64_t offset, const char *bytes)
{
    char limit_text[32];
    int kept = errno;
    if (r->refusal == NULL)
        r->refusal = ullage_malloc(sizeof *r->refusal);
    errno = kept;
    if (r->refusal == NULL)
        return;
    struct fact fact = { value, offset, grouped(limit_text, bound), bytes, error };
    r->refusal->offset = offset;
    if (limit <= ULL_LIMIT_BUDGET)
        say_cap(r->refusal->text, sizeof r->refusal->text, limit, &fact);
    else
        say_other(r->refusal->text, sizeof r->refusal->text, limit, &fact);
}

/* ---- the end ---- */

static enum ull_counter counter_of(enum ull_limit limit)
{
    if (limit <= ULL_LIMIT_BUDGET)
        return ULL_COUNTER_record_refused_size_total;
    if (limit == ULL_LIMIT_SHARE)
        return ULL_COUNTER_record_refused_budget_total;
    if (limit == ULL_LIMIT_WAITS)
        return ULL_COUNTER_record_waits_total;
    if (limit <= ULL_LIMIT_RATE)
        return ULL_COUNTER_record_refused_time_total;
    if (limit <= ULL_LIMIT_CLEAN)
        return ULL_COUNTER_record_refused_protocol_total;
    return limit == ULL_LIMIT_END ? ULL_COUNTER_record_refused_end_total : ULL_COUNTER_record_refused_other_total;
}

static void give_all_back(struct ullage_reader *r)
{
    if (r->settings->party != NULL)
        ull_party_finish(r->settings->party, &r->member);
    ull_memory_put_chunk(r);
    ull_reader_no_window(r);
    ull_memory_put_body(r);
    ull_count_stalled(r, false);
    if (r->settings->party != NULL)
        ull_party_wait_no_more(r->settings->party, &r->member);
}

int ull_refuse(struct ullage_reader *r, int error, enum ull_limit limit, uint64_t value, uint64_t bound, uint64_t offset, const void *bytes, uint64_t count)
{
    char said[128];
    say_bytes(said, sizeof said, bytes, bytes != NULL ? count : 0);
    keep_sentence(r, error, limit, value, bound, offset, said);
    ull_named_count(counter_of(limit), 1);
    if (limit == ULL_LIMIT_WAITS)
        return error;
    r->status = error;
    ull_count_flush(r);
    give_all_back(r);
    r->tiny = false;
    r->slow = ULL_SLOW_FAILED;
    r->head_bytes = 0;
    r->timing = ULL_TIMING_NOT;
    return error;
}

void ull_refusal_forget(struct ullage_reader *r)
{
    ullage_free(r->refusal);
    r->refusal = NULL;
}

const char *ullage_reader_error(const struct ullage_reader *r)
{
    if (r->refusal != NULL)
        return r->refusal->text;
    return r->status == 0 ? "" : "failed, and there was no memory to say why";
}

uint64_t ullage_reader_error_offset(const struct ullage_reader *r)
{
    return r->refusal != NULL ? r->refusal->offset : ull_reader_offset(r);
}
