/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * record_forms.c - a stream of records through the three forms of the reader.
 *
 *   record_forms --form NAME [--split N | --step K] [OPTION N]... STREAM     a line a record, and the end
 *   record_forms --check NAME.stream...      each form, cut everywhere, against NAME.expected with NAME.options
 *
 * record-oracle.py says what is in these files. --forms lists the forms.
 */
#include "config.h"

#include "record_run.h"
#include "record_run_fd.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

enum { SMALL_BYTES = 4096, LONG_BYTES = 32768, STEPS = 17, MAX_CAPS = 16, AROUND_BYTES = 6 };

#ifdef __SANITIZE_THREAD__ /* one thread nearly always, and each access costs: a sample is enough */
enum { SPLIT_STRIDE = 67, STEP_STRIDE = 8 };
#else
enum { SPLIT_STRIDE = 1, STEP_STRIDE = 1 };
#endif

/* ---- forms ---- */

/* The first: those that go at no descriptor; then those that take any cut; then the others. */
static const struct form forms[] = {
    { .name = "feed", .go = run_fed },
    { .name = "feed-stop", .go = run_fed, .stop = true, .budgeted = true },
    { .name = "feed-take", .go = run_fed, .take = true, .budgeted = true },
    { .name = "feed-pieces", .go = run_fed, .pieces = true },
    { .name = "callback", .go = run_called },
    { .name = "callback-again", .go = run_called, .again = true, .budgeted = true },
    { .name = "callback-eintr", .go = run_called, .again = true, .eintr = true },
    { .name = "callback-take", .go = run_called, .take = true, .budgeted = true },
    { .name = "callback-pieces", .go = run_called, .again = true, .pieces = true, .budgeted = true },
    { .name = "turns", .go = run_by_turns, .again = true },
    { .name = "pipe", .go = run_pipe },
    { .name = "socket", .go = run_socket, .budgeted = true },
    { .name = "socket-cut", .go = run_socket_cut },
    { .name = "blocking", .go = run_blocking },
    { .name = "file", .go = run_file },
};
enum { FORM_COUNT = sizeof forms / sizeof *forms, FORMS_IN_MEMORY = 10, FORMS_CUT = 13 };

/* ---- cases ---- */

static const char *error_name(int error)
{
    return error == 0 ? "0" : error == -EMSGSIZE ? "EMSGSIZE" : error == -ECONNRESET ? "ECONNRESET" : error == -EPROTO ? "EPROTO" : strerror(-error);
}

static void print_from(const struct told *told, size_t at, size_t lines)
{
    for (; at < told->count && lines > 0; at++, lines--) {
        const struct told_record *r = &told->records[at];
        printf("record %ju bytes %ju fragments %u offset %ju adler32 %08x\n", (uintmax_t)r->index, (uintmax_t)r->bytes, r->fragments, (uintmax_t)r->offset,
            r->adler32);
    }
    if (lines > 0)
        printf("end %s %ju\n", error_name(told->error), (uintmax_t)told->error_offset);
}

/* The first line in which they differ. */
static void print_difference(const struct told *got, const struct told *expected)
{
    size_t at = 0;
    while (at < got->count && at < expected->count && told_record_equal(&got->records[at], &expected->records[at]))
        at++;
    printf("read:     ");
    print_from(got, at, 1);
    printf("expected: ");
    print_from(expected, at, 1);
}

static void load_expected(struct told *told, const char *path)
{
    char line[200], error[40];
    uintmax_t index, bytes, offset, known_at;
    struct told_record r;
    FILE *file = fopen(path, "r");
    told->count = 0;
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "record %ju bytes %ju fragments %u offset %ju adler32 %x", &index, &bytes, &r.fragments, &offset, &r.adler32) == 5) {
            r.index = index;
            r.bytes = bytes;
            r.offset = offset;
            told_add(told, &r);
        } else if (sscanf(line, "end %39s %ju %ju", error, &offset, &known_at) == 3) {
            told->error = strcmp(error, "0") == 0 ? 0 : strcmp(error, "EMSGSIZE") == 0 ? -EMSGSIZE : strcmp(error, "EPROTO") == 0 ? -EPROTO : -ECONNRESET;
            told->error_offset = offset;
            told->known_at = known_at;
            fclose(file);
            return;
        }
    fprintf(stderr, "record_forms: %s: no end in it\n", path);
    exit(2);
}

static void load_stream(struct run *run, const char *path)
{
    struct stat status;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    uint8_t *bytes;
    if (file < 0 || fstat(file, &status) != 0 || (bytes = malloc((size_t)status.st_size + 1)) == NULL
        || read(file, bytes, (size_t)status.st_size) != status.st_size) {
        perror(path);
        exit(2);
    }
    close(file);
    free((void *)(uintptr_t)run->stream);
    run->stream = bytes;
    run->count = (size_t)status.st_size;
}

static uint32_t number_or_any(const char *text)
{
    return strcmp(text, "any") == 0 ? ULLAGE_ANY : (uint32_t)strtoul(text, NULL, 10);
}

static void set_cap(struct ullage_reader_options *options, const char *text)
{
    static struct ullage_record_cap caps[MAX_CAPS];
    char word[4][24];
    if (options->cap_count == MAX_CAPS || sscanf(text, "%23[^,],%23[^,],%23[^,],%23[^,]", word[0], word[1], word[2], word[3]) != 4)
        exit(2);
    struct ullage_record_cap cap = { number_or_any(word[0]), number_or_any(word[1]), number_or_any(word[2]), strtoul(word[3], NULL, 10) };
    options->caps = caps;
    caps[options->cap_count++] = cap;
}

/* Returns whether there is an option of that name. */
static bool set_option(struct ullage_reader_options *options, const char *name, const char *value)
{
    unsigned long number = strtoul(value, NULL, 10);
    if (strcmp(name, "--max-fragment-bytes") == 0)
        options->max_fragment_bytes = (uint32_t)number;
    else if (strcmp(name, "--max-record-bytes") == 0)
        options->max_record_bytes = number;
    else if (strcmp(name, "--max-fragments") == 0)
        options->max_fragments = (uint32_t)number;
    else if (strcmp(name, "--min-average-fragment-bytes") == 0)
        options->min_average_fragment_bytes = (uint32_t)number;
    else if (strcmp(name, "--chunk-bytes") == 0)
        options->chunk_bytes = number;
    else if (strcmp(name, "--rpc") == 0)
        options->flags |= number != 0 ? ULLAGE_READER_RPC : 0;
    else if (strcmp(name, "--cap") == 0)
        set_cap(options, value);
    else
        return false;
    return true;
}

static void load_options(struct run *run, const char *path)
{
    char name[64], value[128];
    FILE *file = fopen(path, "r");
    run->options = (struct ullage_reader_options)ULLAGE_READER_OPTIONS_INIT;
    if (file == NULL) {
        perror(path);
        exit(2);
    }
    while (fscanf(file, "%63s %127s", name, value) == 2)
        if (!set_option(&run->options, name, value))
            exit(2);
    fclose(file);
}

/* ---- everywhere ---- */

static unsigned long runs;

/* Returns false, having said so, if it is not as the oracle has it. */
static bool try_one(struct run *run, const struct form *form, struct cuts cuts, const char *path)
{
    run->form = form;
    run->cuts = cuts;
    run->fault[0] = 0;
    form->go(run);
    runs++;
    if (run->fault[0] == 0 && told_equal(&run->got, run->expected))
        return true;
    printf("%s --form %s", path, form->name);
    if (cuts.split_at != SIZE_MAX)
        printf(" --split %zu", cuts.split_at);
    if (cuts.step != 0)
        printf(" --%s %zu", cuts.sparse ? "sparse" : "step", cuts.step);
    printf(": %s\n", run->fault[0] != 0 ? run->fault : "not as the oracle has it");
    if (run->fault[0] == 0)
        print_difference(&run->got, run->expected);
    return false;
}

static bool try_forms(struct run *run, size_t first, size_t end, struct cuts cuts, const char *path)
{
    for (size_t form = first; form < end; form++)
        if (!try_one(run, &forms[form], cuts, path))
            return false;
    return true;
}

static bool try_splits(struct run *run, size_t begin, size_t end, size_t form_end, const char *path)
{
    for (size_t at = begin; at < end && at < run->count; at += SPLIT_STRIDE)
        if (!try_forms(run, 0, form_end, (struct cuts){ .split_at = at }, path))
            return false;
    return true;
}

/* In a long stream each step is one form's, and the others make it around markers alone. */
static bool try_steps(struct run *run, const char *path)
{
    bool is_long = run->count > LONG_BYTES;
    for (size_t step = 1; step <= STEPS; step += STEP_STRIDE) {
        struct cuts cuts = { .split_at = SIZE_MAX, .step = step }, sparse = { .split_at = SIZE_MAX, .step = step, .sparse = true };
        for (size_t form = 0; form < FORMS_IN_MEMORY; form++)
            if (!try_one(run, &forms[form], is_long && form != step % FORMS_IN_MEMORY ? sparse : cuts, path))
                return false;
        if (!try_forms(run, FORMS_IN_MEMORY, FORMS_IN_MEMORY + 2, run->count > SMALL_BYTES ? sparse : cuts, path))
            return false;
    }
    return true;
}

/* Around the beginning and end of each record: for streams too long for every position. */
static bool try_edges(struct run *run, const char *path)
{
    size_t most = run->count > 16 * LONG_BYTES ? 1 : 4, edges = run->expected->count < most ? run->expected->count : most;
    for (size_t i = 0; i < edges; i++) {
        const struct told_record *r = &run->expected->records[i];
        size_t edge = r->offset < AROUND_BYTES ? AROUND_BYTES : (size_t)r->offset;
        if (!try_splits(run, edge - AROUND_BYTES, edge + AROUND_BYTES, FORMS_IN_MEMORY, path))
            return false;
    }
    return true;
}

static bool check_case(struct run *run, const char *path)
{
    char other[4096];
    struct told expected = { 0 };
    int stem = (int)(strlen(path) - strlen(".stream"));
    bool is_small, good;
    load_stream(run, path);
    snprintf(other, sizeof other, "%.*s.options", stem, path);
    load_options(run, other);
    snprintf(other, sizeof other, "%.*s.expected", stem, path);
    load_expected(&expected, other);
    run->expected = &expected;
    is_small = run->count <= SMALL_BYTES;
    good = try_forms(run, 0, FORM_COUNT, (struct cuts){ .split_at = SIZE_MAX }, path) && try_steps(run, path)
        && (is_small ? try_splits(run, 1, run->count, FORMS_CUT, path) : try_edges(run, path))
        && try_one(run, &forms[FORMS_CUT], (struct cuts){ .split_at = SIZE_MAX, .step = 16, .sparse = true }, path);
    free(expected.records);
    return good;
}

static int check_all(struct run *run, char **paths, int count)
{
    int bad = 0;
    for (int i = 0; i < count; i++)
        bad += !check_case(run, paths[i]);
    printf("%d streams, %lu runs, %d streams not as the oracle has them\n", count, runs, bad);
    return bad > 0;
}

static int read_one(struct run *run, int count, char **words)
{
    struct cuts cuts = { .split_at = SIZE_MAX };
    run->form = &forms[0];
    for (int i = 0; i + 1 < count; i += 2) {
        size_t number = strtoul(words[i + 1], NULL, 10);
        if (strcmp(words[i], "--split") == 0)
            cuts.split_at = number;
        else if (strcmp(words[i], "--step") == 0 || strcmp(words[i], "--sparse") == 0) {
            cuts.step = number;
            cuts.sparse = words[i][3] == 'p';
        } else if (strcmp(words[i], "--form") == 0) {
            for (run->form = forms; run->form < forms + FORM_COUNT && strcmp(run->form->name, words[i + 1]) != 0;)
                run->form++;
        } else if (!set_option(&run->options, words[i], words[i + 1]))
            return 2;
    }
    if (count % 2 == 0 || run->form == forms + FORM_COUNT)
        return 2;
    load_stream(run, words[count - 1]);
    run->cuts = cuts;
    run->form->go(run);
    print_from(&run->got, 0, SIZE_MAX);
    if (run->fault[0] != 0)
        printf("fault: %s\n", run->fault);
    return run->fault[0] != 0;
}

int main(int argc, char **argv)
{
    static struct run run;
    int status = 2;
    signal(SIGPIPE, SIG_IGN);
    run.options = (struct ullage_reader_options)ULLAGE_READER_OPTIONS_INIT;
    if (ullage_budget_create(&run.budget, (size_t)1 << 40) != 0)
        return 2;
    if (argc > 1 && strcmp(argv[1], "--forms") == 0) {
        for (size_t i = 0; i < FORM_COUNT; i++)
            puts(forms[i].name);
        status = 0;
    } else if (argc > 2 && strcmp(argv[1], "--check") == 0)
        status = check_all(&run, argv + 2, argc - 2);
    else if (argc > 1)
        status = read_one(&run, argc - 1, argv + 1);
    if (status == 2)
        fputs("usage: record_forms --check STREAM... | [--form NAME] [--split N | --step N] [OPTION N]... STREAM\n", stderr);
    free((void *)(uintptr_t)run.stream);
    free(run.got.records);
    ullage_budget_destroy(run.budget);
    return status;
}
