/* SPDX-License-Identifier: BSD-2-Clause */
/* proxy.c - the PROXY protocol, version 2: who is really at the other end of a connection through a load balancer. */
#include "config.h"

#include "base/arith.h"
#include "ullage/record.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* Sizes and codes: "The PROXY protocol", section 2.2. */
enum {
    SIGNATURE_BYTES = 12,
    HEADER_BYTES = 16,
    VERSION_2 = 2,
    COMMAND_LOCAL = 0, COMMAND_PROXY = 1,
    FAMILY_INET = 1, FAMILY_INET6 = 2, FAMILY_UNIX = 3,
};

static const uint8_t signature[SIGNATURE_BYTES] = { 0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a };

static uint16_t port_at(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

/* Addresses of @each bytes, one after the other, then ports if there are any. False: they do not fit @length. */
static bool take_addresses(struct ullage_proxy *out, int family, const uint8_t *bytes, uint64_t length, size_t each, bool ports)
{
    if (length < 2 * each + (ports ? 4 : 0))
        return false;
    out->family = family;
    memcpy(out->from, bytes, each);
    memcpy(out->to, bytes + each, each);
    if (ports) {
        out->from_port = port_at(bytes + 2 * each);
        out->to_port = port_at(bytes + 2 * each + 2);
    }
    return true;
}

static bool take(struct ullage_proxy *out, const uint8_t *header, uint64_t length)
{
    const uint8_t *bytes = header + HEADER_BYTES;
    unsigned command = header[12] & 0x0f, family = header[13] >> 4;
    memset(out, 0, sizeof *out);
    out->family = AF_UNSPEC;
    if (command == COMMAND_LOCAL)
        return true;
    if (command != COMMAND_PROXY)
        return false;
    switch (family) {
    case FAMILY_INET:
        return take_addresses(out, AF_INET, bytes, length, 4, true);
    case FAMILY_INET6:
        return take_addresses(out, AF_INET6, bytes, length, 16, true);
    case FAMILY_UNIX:
        return take_addresses(out, AF_UNIX, bytes, length, 108, false);
    default:
        return true; /* a family that it cannot tell of */
    }
}

ssize_t ullage_preamble_proxy(void *ctx, const void *bytes, size_t count)
{
    const uint8_t *header = bytes;
    struct ullage_proxy ignored, *out = ctx != NULL ? ctx : &ignored;
    if (memcmp(header, signature, ull_min_u64(count, SIGNATURE_BYTES)) != 0)
        return -EPROTO;
    if (count > 12 && header[12] >> 4 != VERSION_2)
        return -EPROTO;
    if (count < HEADER_BYTES)
        return 0;
    uint64_t length = port_at(header + 14);
    if (count < HEADER_BYTES + length)
        return 0;
    return take(out, header, length) ? (ssize_t)(HEADER_BYTES + length) : -EPROTO;
}
