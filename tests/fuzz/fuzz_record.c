/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_record.c - libFuzzer: any bytes as a stream of records, fed whole, fed in pieces, read from a callback in pieces: the same each time.
 *
 * Input: OPTION_BYTES of options, a byte that says how many bytes of cuts follow, those, the stream. An option stretches the stream: of each
 * fragment only the first GIVEN_BYTES are of the input, so that a short one has records larger than a chunk.
 */
#include "config.h"

#include "record_run.h"

#include <stdlib.h>

enum { OPTION_BYTES = 8, GIVEN_BYTES = 28, STRETCHED_BYTES = 400000 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

static const struct form forms[] = {
    { .name = "feed", .go = run_fed },
    { .name = "feed in pieces", .go = run_fed, .budgeted = true },
    { .name = "feed, stop", .go = run_fed, .stop = true },
    { .name = "feed, take", .go = run_fed, .take = true, .budgeted = true },
    { .name = "feed, pieces", .go = run_fed, .pieces = true, .budgeted = true },
    { .name = "callback", .go = run_called, .budgeted = true },
    { .name = "callback, again", .go = run_called, .again = true },
    { .name = "turns", .go = run_by_turns, .again = true, .pieces = true, .budgeted = true },
    { .name = "callback, EINTR, pieces, take", .go = run_called, .again = true, .eintr = true, .pieces = true, .take = true, .budgeted = true },
};

static void die(const char *form, const char *why)
{
    fprintf(stderr, "%s: %s\n", form, why);
    abort();
}

/* Small limits, so that a short stream comes to all of them; and their defaults. */
static void read_options(struct ullage_reader_options *options, struct ullage_record_cap *caps, const uint8_t *b)
{
    *options = (struct ullage_reader_options)ULLAGE_READER_OPTIONS_INIT;
    options->max_record_bytes = b[0] == 0 ? 0 : b[0] < 128 ? b[0] : (size_t)(b[0] - 127) * 2081;
    options->max_fragment_bytes = b[1] < 128 ? 0 : (uint32_t)(b[1] - 127) * 1031;
    options->max_fragments = b[2] % 32;
    options->min_average_fragment_bytes = b[3] % 32;
    options->chunk_bytes = b[4] % 4 == 0 ? 0 : (size_t)4096 << b[4] % 4;
    options->flags = (b[5] & 3) == 3 ? 0 : b[5] & (ULLAGE_READER_OPAQUE | ULLAGE_READER_RPC);
    options->cap_count = (options->flags & ULLAGE_READER_OPAQUE) != 0 ? 0 : b[6] % 4;
    options->caps = caps;
    for (uint32_t i = 0; i < 3; i++)
        caps[i] = (struct ullage_record_cap){ b[7] & 1 ? 1 : 100003, b[7] & 2 ? 1 : ULLAGE_ANY, i == 0 ? ULLAGE_ANY : i, (i + 1) * (size_t)(b[6] / 4 + 1) };
}

/* As ullage_reader_create() would have it; some are refused, and then nothing is to be seen. */
static bool are_good(const struct ullage_reader_options *options)
{
    struct ullage_reader *r;
    int error = ullage_reader_create(&r, options);
    if (error == -EINVAL)
        return false;
    if (error != 0)
        die("create", strerror(-error));
    ullage_reader_destroy(r);
    return true;
}

static uint32_t word(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* Copies to @to, and makes up what @bytes leave out. Returns how much there is. */
static size_t stretch(uint8_t *to, const uint8_t *bytes, size_t count)
{
    size_t at = 0, out = 0;
    while (count - at >= 4 && STRETCHED_BYTES - out >= 4) {
        size_t announced = word(bytes + at) & 0x7fffffff, given = announced < GIVEN_BYTES ? announced : GIVEN_BYTES;
        given = given < count - at - 4 ? given : count - at - 4;
        size_t room = STRETCHED_BYTES - out - 4, most = announced < room ? announced : room;
        memcpy(to + out, bytes + at, 4);
        memset(to + out + 4, (int)at, most);
        memcpy(to + out + 4, bytes + at + 4, given < most ? given : most);
        at += 4 + given;
        out += 4 + most;
    }
    return out;
}

static void go(struct run *run, const struct form *form)
{
    run->form = form;
    run->fault[0] = 0;
    form->go(run);
    if (run->fault[0] != 0)
        die(form->name, run->fault);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    static struct run run;
    static struct told whole;
    static uint8_t stretched[STRETCHED_BYTES];
    struct ullage_record_cap caps[3];
    if (run.budget == NULL && ullage_budget_create(&run.budget, (size_t)1 << 40) != 0)
        abort();
    if (count < OPTION_BYTES + 1 || count - OPTION_BYTES - 1 < bytes[OPTION_BYTES])
        return 0;
    read_options(&run.options, caps, bytes);
    if (!are_good(&run.options))
        return 0;
    const struct cuts nowhere = { .split_at = SIZE_MAX }, here = { SIZE_MAX, 0, (bytes[4] & 128) != 0, bytes + OPTION_BYTES + 1, bytes[OPTION_BYTES], 0 };
    run.stream = bytes + OPTION_BYTES + 1 + bytes[OPTION_BYTES];
    run.count = count - OPTION_BYTES - 1 - bytes[OPTION_BYTES];
    if ((bytes[4] & 128) != 0) {
        run.count = stretch(stretched, run.stream, run.count);
        run.stream = stretched;
    }
    run.cuts = nowhere;
    go(&run, &forms[0]);
    struct told first = run.got;
    run.got = whole;
    whole = first;
    run.cuts = here;
    for (size_t i = 1; i < sizeof forms / sizeof *forms; i++) {
        go(&run, &forms[i]);
        if (!told_equal(&run.got, &whole)) {
            fprintf(stderr, "%zu records, %d at %ju; fed whole %zu, %d at %ju\n", run.got.count, run.got.error, (uintmax_t)run.got.error_offset,
                whole.count, whole.error, (uintmax_t)whole.error_offset);
            die(forms[i].name, "not as fed whole");
        }
    }
    return 0;
}
