/* SPDX-License-Identifier: BSD-2-Clause */
/* fill.h - where a reader's bytes come from, and where they are read to. */
#ifndef ULL_RECORD_FILL_H
#define ULL_RECORD_FILL_H

#include "record/reader.h"

/* A descriptor, or a callback. */
struct ull_source_of_bytes {
    int fd; /* -1: the callback */
    ullage_read_fn read;
    void *ctx;
};

/*
 * Whether what the window has is the beginning of a small record, which will be whole in the chunk once more was read behind it: then it need
 * not be gathered in a body.
 */
bool ull_fill_may_stay(const struct ullage_reader *r);

/*
 * Reads once; the window is empty, or may stay. >0 bytes arrived; 0 end of stream; -EAGAIN; -EINTR; -ENOBUFS for now; other negative errno: the reader
 * has failed with it.
 */
ssize_t ull_fill(struct ullage_reader *r, const struct ull_source_of_bytes *from);

/* Nothing is there. 1 something may be now; -EAGAIN the source does not block; -EINTR; the reader has failed: -ETIMEDOUT. */
int ull_fill_wait(struct ullage_reader *r, const struct ull_source_of_bytes *from);

#endif
