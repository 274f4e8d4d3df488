/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * record_run.h - one stream through one reader, in pieces cut anywhere, fed or read from a callback; and what has to hold at each
 * call. The first thing that does not is said in struct run. For record_forms and fuzz_record.
 */
#ifndef ULL_TESTS_RECORD_RUN_H
#define ULL_TESTS_RECORD_RUN_H

#include "record_walk.h"
#include "ullage/record.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

enum { HELD_SLACK_BYTES = 512, TAKEN_AT_ONCE = 5 };

/* Where the stream is cut. SIZE_MAX, and all zero: nowhere. */
struct cuts {
    size_t split_at;
    size_t step;
    bool sparse;            /* steps around markers, and what lies between them at once */
    const uint8_t *pattern; /* a byte a piece, again and again */
    size_t pattern_bytes, next;
};

struct run;

/* How a run is made. */
struct form {
    const char *name;
    void (*go)(struct run *run);
    bool again;    /* -EAGAIN after each piece; for descriptors: they do not block */
    bool eintr;    /* -EINTR before each read */
    bool stop;     /* on_record stops at each record */
    bool take;     /* records are taken, looked at when others have come, then put */
    bool pieces;   /* records may be in pieces */
    bool budgeted; /* from a budget, which has it all back in the end */
};

struct run {
    const uint8_t *stream;
    size_t count;
    struct ullage_reader_options options;
    const struct told *expected; /* or NULL: not known */
    const struct form *form;
    struct cuts cuts;
    struct ullage_reader *reader;
    struct ullage_budget *budget; /* or NULL */
    struct record_walk walk;      /* over what it was given */
    struct told got;
    struct ullage_buffer *taken[TAKEN_AT_ONCE];
    struct told_record taken_record[TAKEN_AT_ONCE];
    size_t taken_count;
    size_t piece_left; /* the callback's, as these: */
    bool said_eintr, said_again;
    char fault[200];
};

#define run_check(run, holds, ...)                                                     \
    do {                                                                               \
        if (!(holds) && (run)->fault[0] == 0)                                          \
            snprintf((run)->fault, sizeof(run)->fault, __VA_ARGS__);                    \
    } while (0)

/* A long way through the fragment where the pieces are sparse: half of it, or almost to its end. */
static inline size_t run_cut_far(const struct record_walk *w, size_t piece)
{
    if (w->marker_bytes != 4 || w->left <= 12 || piece >= w->left)
        return piece;
    return piece % 2 == 0 ? w->left / 2 : w->left - 6;
}

/* Length of the piece that begins where the walk is. */
static inline size_t run_cut(struct run *run)
{
    struct cuts *c = &run->cuts;
    const struct record_walk *w = &run->walk;
    size_t left = run->count - w->at, piece = left;
    if (c->split_at != SIZE_MAX && w->at < c->split_at)
        piece = c->split_at - w->at;
    else if (c->step != 0)
        piece = c->step;
    else if (c->pattern_bytes != 0) {
        size_t byte = c->pattern[c->next++ % c->pattern_bytes];
        piece = byte < 192 ? byte + 1 : (byte - 191) * 97;
    }
    if (c->sparse)
        piece = run_cut_far(w, piece);
    return piece < left ? piece : left;
}

/* ---- what has to hold ---- */

/* After a call that gave no record and no failure: all that it was given is looked at, and little is held of it. */
static inline void run_check_waiting(struct run *run)
{
    const struct record_walk *w = &run->walk;
    size_t held = ullage_reader_held(run->reader), pending = ullage_reader_pending(run->reader);
    int timeout = ullage_reader_timeout_ms(run->reader);
    run_check(run, run->got.count == w->records, "%zu records of %ju at %ju", run->got.count, (uintmax_t)w->records, (uintmax_t)w->at);
    run_check(run, run->expected == NULL || (run->expected->error != -EMSGSIZE && run->expected->error != -EPROTO) || w->at < run->expected->known_at,
        "at %ju not refused, known at %ju", (uintmax_t)w->at, (uintmax_t)run->expected->known_at);
    run_check(run, ullage_reader_status(run->reader) == 0, "status %d while waiting", ullage_reader_status(run->reader));
    if (record_walk_is_between(w)) {
        run_check(run, held == 0 && pending == 0, "between records at %ju: %zu held, %zu pending", (uintmax_t)w->at, held, pending);
        run_check(run, timeout == -1, "idle, and a timeout of %d", timeout);
        return;
    }
    run_check(run, held <= 2 * w->body + HELD_SLACK_BYTES, "at %ju %zu held for %ju", (uintmax_t)w->at, held, (uintmax_t)w->body);
    run_check(run, pending == w->body + w->marker_bytes % 4, "at %ju %zu pending for %ju + %u of a marker", (uintmax_t)w->at, pending, (uintmax_t)w->body,
        w->marker_bytes % 4);
    run_check(run, run->form->budgeted ? timeout >= 0 && timeout <= ULLAGE_RECORD_DEADLINE_MS : timeout == -1, "in a record, and a timeout of %d", timeout);
}

/* Whole and failed alike: each later call says the same. */
static inline ssize_t run_read_nothing(void *ctx, void *to, size_t bytes)
{
    (void)ctx;
    (void)to;
    (void)bytes;
    return 0;
}

static inline int run_no_record(void *ctx, const struct ullage_record *record)
{
    struct run *run = ctx;
    run_check(run, false, "a record of %zu bytes after the end", record->bytes);
    return 0;
}

static inline void run_check_ended(struct run *run, int error)
{
    struct ullage_record record;
    uint8_t byte = 0;
    size_t taken;
    for (int i = 0; i < 3; i++) {
        int read = ullage_reader_read(run->reader, run_read_nothing, run, &record);
        int end = ullage_reader_end(run->reader);
        run_check(run, read == error && end == error, "after %d: read says %d, end %d", error, read, end);
        int fed = ullage_reader_feed(run->reader, &byte, error != 0, &taken, run_no_record, run);
        run_check(run, fed == error, "after %d: feed says %d", error, fed);
    }
    run_check(run, ullage_reader_status(run->reader) == error, "after %d: status %d", error, ullage_reader_status(run->reader));
    run_check(run, error == 0 || ullage_reader_error_offset(run->reader) == run->got.error_offset, "the error's offset moved");
    run_check(run, (ullage_reader_error(run->reader)[0] != 0) == (error != 0), "after %d: '%s'", error, ullage_reader_error(run->reader));
    run_check(run, ullage_reader_held(run->reader) == 0 && ullage_reader_pending(run->reader) == 0, "after %d: %zu held, %zu pending", error,
        ullage_reader_held(run->reader), ullage_reader_pending(run->reader));
}

/* ---- records ---- */

static inline void run_put_taken(struct run *run, size_t slot)
{
    const struct told_record *was = &run->taken_record[slot];
    if (run->taken[slot] == NULL)
        return;
    run_check(run, adler32(1, ullage_buffer_data(run->taken[slot]), was->bytes) == was->adler32, "record %ju changed after it was taken",
        (uintmax_t)was->index);
    ullage_buffer_put(run->taken[slot], was->bytes);
    run->taken[slot] = NULL;
}

static inline void run_take(struct run *run, const struct ullage_record *record, const struct told_record *told)
{
    struct ullage_record mine = *record;
    size_t slot = run->taken_count++ % TAKEN_AT_ONCE;
    run_put_taken(run, slot);
    run->taken_record[slot] = *told;
    run->taken[slot] = ullage_reader_take(run->reader, &mine);
    run_check(run, run->taken[slot] != NULL, "record %ju of %zu bytes not taken: %s", (uintmax_t)mine.index, mine.bytes, strerror(errno));
    run_check(run, run->taken[slot] == NULL || mine.data == ullage_buffer_data(run->taken[slot]), "taken, and not in the buffer");
}

static inline void run_add_pieces(struct run *run, const struct ullage_record *record, struct told_record *told)
{
    size_t bytes = 0;
    for (int i = 0; i < record->piece_count; i++) {
        told->adler32 = adler32(told->adler32, record->pieces[i].iov_base, record->pieces[i].iov_len);
        bytes += record->pieces[i].iov_len;
    }
    run_check(run, run->form->pieces && record->data == NULL && record->piece_count > 1, "in %d pieces", record->piece_count);
    run_check(run, bytes == record->bytes, "%zu bytes in %d pieces, not %zu", bytes, record->piece_count, record->bytes);
}

static inline void run_add(struct run *run, const struct ullage_record *record)
{
    struct told_record told = { record->index, record->offset, record->bytes, record->fragments, 1 };
    if (record->piece_count != 0)
        run_add_pieces(run, record, &told);
    else {
        run_check(run, record->data != NULL && record->pieces == NULL, "neither whole nor in pieces");
        told.adler32 = adler32(1, record->data, record->bytes);
    }
    told_add(&run->got, &told);
    if (run->form->take)
        run_take(run, record, &told);
}

/* ---- begin and end ---- */

static inline void run_begin(struct run *run)
{
    struct ullage_reader_options options = run->options;
    memset(&run->walk, 0, sizeof run->walk);
    run->got.count = 0;
    run->got.error = 0;
    run->got.error_offset = 0;
    run->piece_left = 0;
    run->cuts.next = 0;
    run->taken_count = 0;
    run->said_eintr = run->said_again = false;
    options.budget = run->form->budgeted ? run->budget : NULL;
    options.deadline_ms = run->form->budgeted ? 0 : ULLAGE_NEVER; /* half of all: reading the clock is much of what a run costs */
    options.flags |= run->form->pieces ? ULLAGE_READER_PIECES : 0;
    int error = ullage_reader_create(&run->reader, &options);
    if (error != 0) {
        fprintf(stderr, "ullage_reader_create: %s\n", strerror(-error));
        abort();
    }
}

/* @error: 0 or negative errno: the stream has ended. */
static inline void run_end(struct run *run, int error)
{
    run->got.error = error;
    run->got.error_offset = error != 0 ? ullage_reader_error_offset(run->reader) : 0;
    run_check_ended(run, error);
    ullage_reader_destroy(run->reader);
    for (size_t i = 0; i < TAKEN_AT_ONCE; i++)
        run_put_taken(run, i);
    size_t used = run->budget != NULL ? ullage_budget_used(run->budget) : 0;
    run_check(run, used == 0, "%zu bytes still charged in the end", used);
}

/* ---- fed ---- */

/* @count bytes at the end of a page, with none behind it; overwritten after the call that borrowed them. */
static inline uint8_t *run_lay(const uint8_t *bytes, size_t count)
{
    static uint8_t *end;
    static size_t room;
    if (room < count || end == NULL) {
        size_t page = (size_t)sysconf(_SC_PAGESIZE);
        if (end != NULL)
            munmap(end - room, room + page);
        room = (2 * count + page) / page * page;
        uint8_t *map = mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (map == MAP_FAILED || mprotect(map + room, page, PROT_NONE) != 0)
            abort();
        end = map + room;
    }
    return memcpy(end - count, bytes, count);
}

static inline int run_on_record(void *ctx, const struct ullage_record *record)
{
    struct run *run = ctx;
    run_add(run, record);
    return run->form->stop ? 7 : 0;
}

/* Returns: 0 or negative errno */
static inline int run_feed_piece(struct run *run, const uint8_t *bytes, size_t count)
{
    for (size_t gone = 0, calls = 0;; calls++) {
        size_t taken = SIZE_MAX, before = run->got.count;
        int result = ullage_reader_feed(run->reader, bytes + gone, count - gone, &taken, run_on_record, run);
        run_check(run, taken <= count - gone, "%zu of %zu bytes taken", taken, count - gone);
        run_check(run, calls <= count, "a feed without end");
        if (run->fault[0] != 0)
            return -ECANCELED;
        record_walk_over(&run->walk, bytes + gone, taken);
        gone += taken;
        if (result <= 0) {
            run_check(run, result != 0 || gone == count, "0, and %zu of %zu bytes taken", gone, count);
            return result;
        }
        run_check(run, run->form->stop && run->got.count == before + 1 && run->got.count == run->walk.records && record_walk_is_between(&run->walk),
            "stopped with %d at %ju after %zu records", result, (uintmax_t)run->walk.at, run->got.count);
    }
}

static inline int run_feed_next(struct run *run)
{
    size_t count = run_cut(run);
    uint8_t *bytes = run_lay(run->stream + run->walk.at, count);
    int error = run_feed_piece(run, bytes, count);
    memset(bytes, 0xee, count);
    return error;
}

static inline void run_fed(struct run *run)
{
    size_t none;
    int error = 0;
    run_begin(run);
    while (run->walk.at < run->count && error == 0) {
        error = run_feed_next(run);
        if (error == 0)
            run_check_waiting(run);
        if (error == 0)
            error = ullage_reader_feed(run->reader, NULL, 0, &none, run_no_record, run);
    }
    run_end(run, error != 0 ? error : ullage_reader_end(run->reader));
}

/* ---- read from a callback ---- */

static inline ssize_t run_give(void *ctx, void *to, size_t bytes)
{
    struct run *run = ctx;
    if (run->form->eintr && (run->said_eintr = !run->said_eintr))
        return -EINTR;
    if (run->piece_left == 0 && run->form->again && run->walk.at > 0 && (run->said_again = !run->said_again))
        return -EAGAIN;
    if (run->piece_left == 0)
        run->piece_left = run_cut(run);
    run_check(run, bytes > 0, "asked to read 0 bytes");
    size_t count = bytes < run->piece_left ? bytes : run->piece_left;
    memcpy(to, run->stream + run->walk.at, count);
    record_walk_over(&run->walk, run->stream + run->walk.at, count);
    run->piece_left -= count;
    return (ssize_t)count;
}

/* What lies behind the record that was just read is what is pending. */
static inline void run_check_pulled(struct run *run, const struct ullage_record *record)
{
    uint64_t end = record->offset + record->bytes + 4ull * record->fragments;
    size_t pending = ullage_reader_pending(run->reader);
    run_check(run, end <= run->walk.at && pending == run->walk.at - end, "after the record that ends at %ju of %ju: %zu pending", (uintmax_t)end,
        (uintmax_t)run->walk.at, pending);
}

static inline void run_called(struct run *run)
{
    struct ullage_record record;
    int result;
    run_begin(run);
    for (size_t calls = 0; (result = ullage_reader_read(run->reader, run_give, run, &record)) != 0; calls++) {
        run_check(run, calls <= 4 * run->count + 8, "a read without end");
        if (run->fault[0] != 0 || (result < 0 && result != -EAGAIN && result != -EINTR))
            break;
        if (result == 1) {
            run_add(run, &record);
            run_check_pulled(run, &record);
        } else
            run_check_waiting(run);
    }
    run_end(run, result == 1 ? -ECANCELED : result);
}

/* ---- both by turns: what was read is handed out before what is fed ---- */

static inline void run_by_turns(struct run *run)
{
    struct ullage_record record;
    int result = 1;
    run_begin(run);
    for (bool feeds = false; result == 1 || result == -EAGAIN; feeds = !feeds) {
        if (run->fault[0] != 0)
            result = -ECANCELED;
        else if (feeds && run->walk.at < run->count) {
            result = run_feed_next(run) == 0 ? -EAGAIN : ullage_reader_status(run->reader);
            run->piece_left = 0; /* the callback's piece began before what was fed */
        } else
            result = ullage_reader_read(run->reader, run_give, run, &record);
        if (result == 1)
            run_add(run, &record);
        else if (result == -EAGAIN)
            run_check_waiting(run);
    }
    run_end(run, result);
}

#endif
