/* SPDX-License-Identifier: BSD-2-Clause */
/* rpc.c - the beginning of RPC messages (RFC 5531, section 9). */
#include "config.h"

#include "base/arith.h"
#include "record/marker.h"
#include "ullage/record.h"

#include <errno.h>

enum { RPC_VERSION = 2, CREDENTIAL_BYTES_MAX = 400, ACCEPTED = 0, DENIED = 1, ACCEPT_STATUS_MAX = 5 };

/* Words of the message one after the other; @failed once one is not there. */
struct words {
    const uint8_t *data;
    uint64_t bytes, at;
    bool failed;
};

static uint32_t take(struct words *words)
{
    if (words->failed || words->bytes - words->at < 4) {
        words->failed = true;
        return 0;
    }
    words->at += 4;
    return ull_word(words->data + words->at - 4);
}

/* Flavor and length of a credential or verifier, whose body is passed over: opaque<400>, padded to words. */
static void take_opaque(struct words *words, uint32_t *flavor, uint32_t *length)
{
    *flavor = take(words);
    *length = take(words);
    uint64_t padded = ull_round_up(*length, 4);
    if (words->failed || *length > CREDENTIAL_BYTES_MAX || words->bytes - words->at < padded)
        words->failed = true;
    else
        words->at += padded;
}

static void take_call(struct words *words, struct ullage_rpc_header *out)
{
    uint32_t flavor, length, rpc_version = take(words);
    if (rpc_version != RPC_VERSION)
        words->failed = true;
    out->program = take(words);
    out->version = take(words);
    out->procedure = take(words);
    take_opaque(words, &out->credential_flavor, &out->credential_bytes);
    take_opaque(words, &flavor, &length);
}

static void take_reply(struct words *words, struct ullage_rpc_header *out)
{
    uint32_t flavor, length;
    out->reply_status = take(words);
    if (out->reply_status == ACCEPTED) {
        take_opaque(words, &flavor, &length);
        out->accept_status = take(words);
        words->failed = words->failed || out->accept_status > ACCEPT_STATUS_MAX;
    } else {
        (void)take(words); /* why it was denied */
        words->failed = words->failed || out->reply_status != DENIED;
    }
}

int ullage_rpc_peek(struct ullage_rpc_header *out, const void *data, size_t bytes)
{
    struct words words = { data, bytes, 0, false };
    struct ullage_rpc_header found = { .xid = take(&words) };
    uint32_t type = take(&words);
    if (type == ULLAGE_RPC_CALL)
        take_call(&words, &found);
    else if (type == ULLAGE_RPC_REPLY)
        take_reply(&words, &found);
    else
        words.failed = true;
    if (words.failed)
        return -EPROTO;
    found.type = (enum ullage_rpc_type)type;
    found.header_bytes = (uint32_t)words.at;
    *out = found;
    return 0;
}
