/* SPDX-License-Identifier: BSD-2-Clause */
/* out.c - see out.h. */
#include "config.h"

#include "out.h"

#include "ullage/buffer.h"

#include <errno.h>
#include <string.h>

enum {
    MARKER_BYTES = 4,
    BUFFER_BYTES = 4096,  /* to begin with */
    SEND_BYTES = 4000,    /* libtirpc's, where it is asked for under 100 */
    SEND_LEAST = 100,
    SEND_MOST = 1 << 30,
};
#define LAST UINT32_C(0x80000000) /* RFC 5531, section 11 */

void ull_xdr_out_init(struct ull_xdr_out *out, u_int sendsize, void *handle, int (*writeit)(void *, void *, int))
{
    u_int bytes = sendsize < SEND_LEAST ? SEND_BYTES : sendsize > SEND_MOST ? SEND_MOST : sendsize;
    *out = (struct ull_xdr_out) { .writeit = writeit, .handle = handle, .fragment_bytes = RNDUP(bytes) };
}

static void drop(struct ull_xdr_out *out)
{
    ullage_buffer_put(out->buffer, out->at);
    out->buffer = NULL;
    out->fragment = out->at = out->most = 0;
}

void ull_xdr_out_fini(struct ull_xdr_out *out)
{
    drop(out);
}

static bool fail(struct ull_xdr_out *out, int error)
{
    drop(out);
    out->status = error;
    return false;
}

/* ---- the buffer ---- */

static char *bytes_of(const struct ull_xdr_out *out)
{
    return ullage_buffer_data(out->buffer);
}

/* Room for @bytes from the beginning on. */
static bool grow(struct ull_xdr_out *out, uint32_t bytes)
{
    size_t have = ullage_buffer_capacity(out->buffer);
    if (bytes <= have)
        return true;
    size_t wish = bytes > 2 * have ? bytes : 2 * have;
    int error = ullage_buffer_grow(&out->buffer, wish < out->fragment_bytes ? wish : out->fragment_bytes, out->most);
    return error == 0 || fail(out, error);
}

static bool begin(struct ull_xdr_out *out)
{
    if (out->status != 0)
        return false;
    if (out->buffer != NULL)
        return true;
    int kept = errno;
    out->buffer = ullage_buffer_get(out->fragment_bytes < BUFFER_BYTES ? out->fragment_bytes : BUFFER_BYTES);
    if (out->buffer == NULL)
        return fail(out, -errno);
    errno = kept;
    out->fragment = 0;
    out->at = out->most = MARKER_BYTES;
    return true;
}

/* ---- sending ---- */

static void put_marker(struct ull_xdr_out *out, uint32_t last)
{
    uint32_t marker = htonl((out->at - out->fragment - MARKER_BYTES) | last);
    memcpy(bytes_of(out) + out->fragment, &marker, sizeof marker);
}

static bool write_all(struct ull_xdr_out *out)
{
    for (uint32_t done = 0; done < out->at;) {
        errno = 0;
        int put = out->writeit(out->handle, bytes_of(out) + done, (int)(out->at - done));
        if (put <= 0 || (uint32_t)put > out->at - done)
            return fail(out, errno != 0 ? -errno : -EIO);
        done += (uint32_t)put;
    }
    return true;
}

/* What is collected goes; the fragment is the record's last if @last says so. */
static bool send_all(struct ull_xdr_out *out, uint32_t last)
{
    int kept = errno;
    put_marker(out, last);
    if (!write_all(out))
        return false;
    errno = kept;
    out->sent = last != 0 ? 0 : out->sent + out->at - out->fragment - MARKER_BYTES;
    out->in_record = last == 0;
    out->fragment = 0;
    out->at = out->most = MARKER_BYTES;
    return true;
}

/* ---- collecting ---- */

/* Room for a byte or more in the fragment. A full one is sent only when more comes: the last of a record is not left empty. */
static bool have_room(struct ull_xdr_out *out)
{
    return begin(out) && (out->at < out->fragment_bytes || send_all(out, 0));
}

static void went(struct ull_xdr_out *out, uint32_t bytes)
{
    out->at += bytes;
    if (out->most < out->at)
        out->most = out->at;
}

bool ull_xdr_out_put(struct ull_xdr_out *out, const void *from, u_int bytes)
{
    const char *next = from;
    while (bytes != 0) {
        if (!have_room(out))
            return false;
        u_int room = out->fragment_bytes - out->at, some = bytes < room ? bytes : room;
        if (!grow(out, out->at + some))
            return false;
        memcpy(bytes_of(out) + out->at, next, some);
        went(out, some);
        next += some;
        bytes -= some;
    }
    return true;
}

void *ull_xdr_out_take(struct ull_xdr_out *out, u_int bytes)
{
    if (!begin(out) || bytes > out->fragment_bytes - out->at || !grow(out, out->at + bytes))
        return NULL;
    char *to = bytes_of(out) + out->at;
    if (!ull_xdr_is_aligned(to))
        return NULL;
    went(out, bytes);
    return to;
}

u_int ull_xdr_out_place(const struct ull_xdr_out *out)
{
    return out->sent + (out->buffer != NULL ? out->at - out->fragment - MARKER_BYTES : 0);
}

bool ull_xdr_out_set_place(struct ull_xdr_out *out, u_int place)
{
    if (place == ull_xdr_out_place(out))
        return true;
    if (out->buffer == NULL || place < out->sent || place - out->sent > out->most - out->fragment - MARKER_BYTES)
        return false;
    out->at = out->fragment + MARKER_BYTES + (place - out->sent);
    return true;
}

bool ull_xdr_out_end(struct ull_xdr_out *out, bool now)
{
    if (!begin(out))
        return false;
    if (now || out->in_record || out->fragment_bytes - out->at <= MARKER_BYTES) {
        bool sent = send_all(out, LAST);
        drop(out);
        return sent;
    }
    if (!grow(out, out->at + MARKER_BYTES))
        return false;
    put_marker(out, LAST);
    out->fragment = out->at;
    out->at += MARKER_BYTES;
    out->most = out->at;
    return true;
}
