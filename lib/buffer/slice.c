/* SPDX-License-Identifier: BSD-2-Clause */
/* slice.c - windows on buffers: each holds one reference, and its end is how far it used the buffer. */
#include "config.h"

#include "ullage/buffer.h"

#include <errno.h>
#include <stdbool.h>

static bool lies_inside(size_t offset, size_t bytes, size_t room)
{
    return offset <= room && bytes <= room - offset;
}

int ullage_slice_of(struct ullage_slice *out, struct ullage_buffer *b, size_t offset, size_t bytes)
{
    if (!lies_inside(offset, bytes, ullage_buffer_capacity(b)))
        return -ERANGE;
    *out = (struct ullage_slice) { ullage_buffer_ref(b), (char *)ullage_buffer_data(b) + offset, bytes };
    return 0;
}

/* Of an empty window, whose buffer was given back, a part is as empty: there is nothing to hold. */
int ullage_slice_cut(struct ullage_slice *out, const struct ullage_slice *from, size_t offset, size_t bytes)
{
    if (!lies_inside(offset, bytes, from->bytes))
        return -ERANGE;
    struct ullage_slice cut = { NULL, NULL, 0 };
    if (from->buffer != NULL)
        cut = (struct ullage_slice) { ullage_buffer_ref(from->buffer), (char *)from->data + offset, bytes };
    *out = cut;
    return 0;
}

void ullage_slice_put(struct ullage_slice *slice)
{
    struct ullage_slice held = *slice;
    *slice = (struct ullage_slice) { NULL, NULL, 0 };
    if (held.buffer != NULL)
        ullage_buffer_put(held.buffer,
            (size_t)((char *)held.data - (char *)ullage_buffer_data(held.buffer)) + held.bytes);
}
