/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ullage/record.h - sunrpc records (RFC 5531, section 11) read and written on streams: memory grows with what has arrived,
 * never with what was announced.
 *
 * One reader a connection. Bytes come from a descriptor (ullage_reader_read_fd), from a callback (ullage_reader_read: TLS,
 * tests) or are handed over (ullage_reader_feed); records, refusals and their offsets are the same. A whole record is handed
 * out where it lies, uncopied. After a call without a record a reader holds at most twice the bytes of the part of a record that has come
 * and a size class; with nothing of a record it holds no buffer. While it waits in poll(2) likewise; a callback that blocks keeps it from that.
 *
 * A reader that failed stays so: each later call returns the same error, and holds nothing. -EAGAIN and -EINTR are no failure, nor
 * is -ENOBUFS while ullage_reader_status() is 0: then the budget is used up by others, and the call is repeated once bytes came
 * back (ullage_budget_event_fd). Threads: one at a time a reader, any number of readers. Memory comes from the buffers of
 * buffer.h. Open readers are the live profile "readers". Link with: pkg-config --libs ullage. Since: 0.1
 */
#ifndef ULLAGE_RECORD_H
#define ULLAGE_RECORD_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <ullage/buffer.h>
#include <ullage/budget.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct ullage_reader;
struct ullage_writer;

/** Defaults: what suits NFS with reads and writes of 1 MiB. */
enum {
    ULLAGE_RECORD_BYTES = 1052672,   /**< 1 MiB and 4 KiB of headers: a READ reply of 1 MiB has 1,048,704 bytes */
    ULLAGE_RECORD_FRAGMENTS = 4096,  /**< peers were seen that send 1 MiB in 513 and in over 1,024 */
    ULLAGE_FRAGMENT_AVERAGE = 64,    /**< bytes that fragments past those must have on average: 2^14 of them are a largest record */
    ULLAGE_RECORD_DEADLINE_MS = 60000,
    ULLAGE_NEVER = UINT32_MAX >> 1,  /**< for *_ms: no limit */
};

/** Stands for any version or procedure in a cap. */
#define ULLAGE_ANY UINT32_MAX

/** A cap on the records of one procedure's calls. Of several that fit the one that names most counts; of those the first. */
struct ullage_record_cap {
    uint32_t program, version, procedure; /**< the last two: or ULLAGE_ANY */
    size_t max_record_bytes; /**< from 1 */
};

struct ullage_record {
    const void *data;   /**< contiguous; good until the next call on the reader, unless it is taken */
    size_t bytes;       /**< 0 to max_record_bytes */
    unsigned fragments; /**< from 1 */
    uint64_t index;     /**< 0 for the first of the stream */
    uint64_t offset;    /**< of its first marker in the stream */
    const struct iovec *pieces; /**< NULL; or with ULLAGE_READER_PIECES the record in pieces, and data is NULL */
    int piece_count;            /**< 0; or how many, from 2 */
};

/** >0 bytes read, at most @bytes; 0 end of stream; -EAGAIN nothing there now; -EINTR; other negative errno: the stream failed. */
typedef ssize_t (*ullage_read_fn)(void *ctx, void *to, size_t bytes);
/** >0 bytes written; -EAGAIN; other negative errno. */
typedef ssize_t (*ullage_writev_fn)(void *ctx, const struct iovec *iov, int count);
/** 0 go on; positive: stop after this record; negative errno: the reader fails with it (-EINVAL for -EAGAIN, -EINTR, -ENOBUFS). May take the record. */
typedef int (*ullage_record_fn)(void *ctx, const struct ullage_record *record);
/**
 * What comes before the first record. Called with all bytes so far, from the first one. Returns how many of them it was; 0: more are
 * needed; -EPROTO or another negative errno: the reader fails with it.
 */
typedef ssize_t (*ullage_preamble_fn)(void *ctx, const void *bytes, size_t count);

enum ullage_reader_flags {
    ULLAGE_READER_OPAQUE = 1, /**< records are not RPC: headers are not looked at; caps for procedures are refused (-EINVAL) */
    ULLAGE_READER_RPC = 2,    /**< records must be RPC calls or replies with a well-formed header: else -EPROTO */
    ULLAGE_READER_PIECES = 4, /**< a record that lies in several fragments may be handed out in pieces, uncopied */
};

/** Zero means default. */
struct ullage_reader_options {
    size_t size;
    uint32_t max_fragment_bytes; /**< announced by one marker; 0: as max_record_bytes. A peer may send small ones only, and be refused early */
    size_t max_record_bytes;     /**< announced by all markers of a record; 0: ULLAGE_RECORD_BYTES. What one peer may make us hold */
    uint32_t max_fragments;      /**< of a record; 0: ULLAGE_RECORD_FRAGMENTS. Each costs a marker's work, empty ones too */
    uint32_t min_average_fragment_bytes; /**< what allows more fragments than that; 0: ULLAGE_FRAGMENT_AVERAGE, or none if max_fragments is set */
    uint32_t deadline_ms;     /**< for a record, from its first byte that was left waiting; later bytes do not reset it. 0: ULLAGE_RECORD_DEADLINE_MS */
    uint32_t idle_ms;         /**< between records; 0: ULLAGE_NEVER, because idle mounts are normal */
    uint32_t min_bytes_per_s; /**< of a record, from its second second on; 0: none */
    const struct ullage_record_cap *caps; /**< copied */
    size_t cap_count;
    /**
     * Charged for all buffers before they are taken; outlives the reader. NULL: none. What one largest record needs, two and a half times its cap,
     * because a copy is charged while it grows, is kept for the record that was started first, but at most three quarters of the budget: make it several
     * times as large. A record of more than half of its budget may be refused.
     */
    struct ullage_budget *budget;
    uint32_t flags;               /**< enum ullage_reader_flags */
    size_t chunk_bytes;           /**< largest read when nothing of a record is there; 4 KiB to 1 MiB; 0: 64 KiB. Smaller ones follow small reads */
    ullage_preamble_fn preamble;  /**< NULL: records from the first byte */
    void *preamble_ctx;
    size_t max_preamble_bytes;    /**< 0: 4096 */
};
#define ULLAGE_READER_OPTIONS_INIT { .size = sizeof(struct ullage_reader_options) }

/**
 * ullage_reader_create() - a reader of one stream
 * @opt: NULL: defaults
 * Returns: 0; -EINVAL: a field out of range, or a size that no version had; -ENOMEM; -EDEADLK: see alloc.h
 */
int ullage_reader_create(struct ullage_reader **out, const struct ullage_reader_options *opt);

/** Gives everything back, but for what was taken; NULL is let pass. */
void ullage_reader_destroy(struct ullage_reader *r);

/**
 * ullage_reader_read_fd() - read from @fd until one whole record is held
 * @fd:  stream socket, pipe or file, blocking or not
 * @out: the record; set only on return 1; good until the next call on @r
 *
 * Returns: 1 a record in @out; 0 end of stream between records; -EAGAIN (@fd is non-blocking) no whole record yet; -EINTR call
 *          again; -EMSGSIZE over a cap (nothing was allocated for it); -ENOBUFS; -EPROTO; -ETIMEDOUT deadline, idle or rate limit;
 *          -ECONNRESET end of stream inside a record; -ENOMEM; other negative errno of read(2)
 * After an error: see above.  Work: one record's.
 * Threads: one at a time a reader.  Blocks: as @fd, in poll(2), until the next limit of time.  Allocates: within the budget
 * Source:  RFC 5531, section 11.  Since: 0.1
 */
int ullage_reader_read_fd(struct ullage_reader *r, int fd, struct ullage_record *out);

/** The same from a callback, which is asked again until it says -EAGAIN. */
int ullage_reader_read(struct ullage_reader *r, ullage_read_fn read, void *ctx, struct ullage_record *out);

/**
 * ullage_reader_feed() - hand over bytes that have arrived
 * @bytes:     borrowed for the call; a record that is whole in them is handed out where it lies
 * @count:     0: only the clock is checked
 * @taken:     set always: go on at @bytes + *@taken
 * @on_record: called for each record, in order
 *
 * Returns: 0 all bytes are taken; the positive value that stopped it; negative errno as ullage_reader_read_fd(), without
 *          -EAGAIN, and what @on_record returned
 */
int ullage_reader_feed(struct ullage_reader *r, const void *bytes, size_t count, size_t *taken, ullage_record_fn on_record, void *ctx);

/** The stream that is fed has ended. Returns: 0 between records; -ECONNRESET inside one; -EINVAL: whole ones are still to be read; what the reader failed with. */
int ullage_reader_end(struct ullage_reader *r);

/**
 * ullage_reader_take() - keep a record past the next call on @r: for worker threads
 * @record: as it was handed out by the last call, or to on_record; its data lies in the buffer then, and it is one piece
 * Returns: a buffer whose first bytes are the record, the caller's to put (by any thread); what the budget was charged comes back
 *          then. NULL and errno: EINVAL not the record that is out, or taken already; ENOBUFS; ENOMEM; the record is as it was
 */
struct ullage_buffer *ullage_reader_take(struct ullage_reader *r, struct ullage_record *record);

/** Milliseconds until the next limit of time, for poll(2) and epoll_wait(2); -1 none. Call again then: -ETIMEDOUT. */
int ullage_reader_timeout_ms(const struct ullage_reader *r);

/** Bytes held that no record has carried yet. Not 0 after a record: call again before waiting for the descriptor. */
size_t ullage_reader_pending(const struct ullage_reader *r);

/** Bytes of memory that it holds now: what it charges its budget. */
size_t ullage_reader_held(const struct ullage_reader *r);

/** 0, or what it failed with. */
int ullage_reader_status(const struct ullage_reader *r);

/** One sentence for the failure or the last -ENOBUFS: limit, value, offset, and the peer's first bytes; "" if there was none. */
const char *ullage_reader_error(const struct ullage_reader *r);

/** Where in the stream that happened: the offset of the marker, or of the first byte that was too much. */
uint64_t ullage_reader_error_offset(const struct ullage_reader *r);

/**
 * ullage_reader_require_clean() - before TLS begins on this connection (RFC 9289): no byte may have come in plaintext after the
 * record that asked for it
 * Returns: 0; -EPROTO: some did, which TLS would not protect, and the reader has failed
 */
int ullage_reader_require_clean(struct ullage_reader *r);

/* ---- PROXY protocol, version 2 ---- */

struct ullage_proxy {
    int family;          /**< AF_INET, AF_INET6, AF_UNIX; AF_UNSPEC: a health check of the proxy itself, or none it knows */
    unsigned char from[108], to[108]; /**< address in network order; AF_UNIX: a path */
    uint16_t from_port, to_port;
};
/** A preamble hook: ctx is a struct ullage_proxy * that it fills, or NULL. -EPROTO: no such header. */
ssize_t ullage_preamble_proxy(void *ctx, const void *bytes, size_t count);

/* ---- RPC headers ---- */

enum ullage_rpc_type { ULLAGE_RPC_CALL = 0, ULLAGE_RPC_REPLY = 1 };

/** The beginning of an RPC message; values in host order. */
struct ullage_rpc_header {
    uint32_t xid;
    enum ullage_rpc_type type;
    uint32_t program, version, procedure; /**< of a call */
    uint32_t reply_status;                /**< of a reply: 0 accepted, 1 denied */
    uint32_t accept_status;               /**< of an accepted one: 0 success */
    uint32_t credential_flavor, credential_bytes; /**< of a call */
    uint32_t header_bytes;                /**< where arguments or results begin */
};

/**
 * ullage_rpc_peek() - read the header at the beginning of a record
 * Returns: 0; -EPROTO: neither call nor reply, another RPC version, a credential of over 400 bytes or one that does not end inside
 * Source:  RFC 5531, section 9
 */
int ullage_rpc_peek(struct ullage_rpc_header *out, const void *data, size_t bytes);

/* ---- writing ---- */

/**
 * ullage_record_writev() - write one record of the given pieces, whole
 * @fd:                 blocking or not: waits in poll(2) where that is needed
 * @max_fragment_bytes: larger records are cut; 0: ULLAGE_RECORD_BYTES
 * Returns: 0; -EINVAL: @count or a sum out of range; negative errno of sendmsg(2) or writev(2): the stream is of no use then. A
 *          socket raises no SIGPIPE. Neither signals nor the socket's SO_SNDTIMEO interrupt it
 */
int ullage_record_writev(int fd, const struct iovec *iov, int count, uint32_t max_fragment_bytes);

/** Returns: 0; -EINVAL: over 2^31 - 1; -ENOMEM. */
int ullage_writer_create(struct ullage_writer **out, uint32_t max_fragment_bytes);
void ullage_writer_destroy(struct ullage_writer *w);

/** Begins a record; @iov and what it points to are borrowed until it is flushed. Returns: 0; -EBUSY: the last one is not; -EINVAL. */
int ullage_writer_begin(struct ullage_writer *w, const struct iovec *iov, int count);

/** Writes on. Returns: 1 done, or nothing was begun; -EAGAIN; -EINTR; other negative errno: for good. A socket raises no SIGPIPE. */
int ullage_writer_flush_fd(struct ullage_writer *w, int fd);
int ullage_writer_flush(struct ullage_writer *w, ullage_writev_fn writev, void *ctx);

/** Bytes that are still to be written, markers included. */
size_t ullage_writer_pending(const struct ullage_writer *w);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
