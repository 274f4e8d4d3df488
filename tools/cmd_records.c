/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cmd_records.c - `ullage records`: a record-marked byte stream, read with libullage's own reader.
 *
 * One pass in constant memory: a record is shown and counted where it lies. Fields of RPC are shown leniently, from as many bytes as they
 * need; --rpc has the reader check whole headers. The reader comes from the objects of libullage, linked without what makes a
 * ledger (lib/measure/unrecorded.c).
 */
#include "config.h"

#include "command.h"
#include "lines.h"
#include "tally.h"
#include "ullage/alloc.h"
#include "ullage/record.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK_BYTES = 256 * 1024, DEFAULT_TOP = 30 };
enum { EXIT_CUT = 1 };

struct records {
    struct ullage_reader_options options;
    struct ullage_reader *reader;
    int fd;
    bool json, list;
    unsigned top;
    struct lines lines;
    struct tally tally;
};

static void help(void)
{
    fputs("Usage: ullage records [OPTION]... [FILE]\n"
          "Reads a record-marked byte stream (RFC 5531, section 11) from FILE or standard\n"
          "input: what a sunrpc connection carries in one direction. Shows the sizes of\n"
          "calls by procedure, and the caps that they suggest for a reader.\n\n"
          "  --json              one line of JSON a record, and one for the whole\n"
          "  --list              one line a record, for people\n"
          "  --rpc               records must be well-formed RPC messages\n"
          "  --max-record N      the largest record, in bytes; 1028K\n"
          "  --max-fragment N    the largest fragment; as the largest record\n"
          "  --max-fragments N   in one record; else 4096, or more of 64 bytes on average\n"
          "  --top N             show N procedures; 30\n\n"
          "Exit status: 0 the stream is whole, 1 it ends in an error, 2 trouble.\n",
        stdout);
}

/* ---- reading ---- */

/* What is written so far is shown before we wait for more. */
static void show_before_waiting(struct records *records)
{
    struct pollfd input = { .fd = records->fd, .events = POLLIN };
    if (records->lines.count > 0 && poll(&input, 1, 0) == 0)
        lines_flush(&records->lines);
}

static ssize_t next_bytes(void *context, void *to, size_t bytes)
{
    struct records *records = context;
    show_before_waiting(records);
    while (records->lines.error == 0) {
        ssize_t got = read(records->fd, to, bytes);
        if (got >= 0)
            return got;
        if (errno == EAGAIN)
            poll(&(struct pollfd) { .fd = records->fd, .events = POLLIN }, 1, -1);
        else if (errno != EINTR)
            return -errno;
    }
    return -EPIPE; /* there is nobody to read it for */
}

/* ---- a record ---- */

enum kind { KIND_OTHER, KIND_CALL, KIND_REPLY };

/* The beginning of a record, as far as it is one of RPC. */
struct fields {
    enum kind kind;
    uint32_t xid, program, version, procedure;
};

static uint32_t word_at(const struct ullage_record *record, size_t offset)
{
    const uint8_t *at = (const uint8_t *)record->data + offset;
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* RFC 5531, section 9: xid, type; of a call RPC version 2, program, version, procedure; of a reply its status. */
static struct fields fields_of(const struct ullage_record *record)
{
    struct fields fields = { .kind = KIND_OTHER };
    if (record->bytes >= 24 && word_at(record, 4) == ULLAGE_RPC_CALL && word_at(record, 8) == 2)
        fields = (struct fields) { KIND_CALL, word_at(record, 0), word_at(record, 12), word_at(record, 16), word_at(record, 20) };
    else if (record->bytes >= 12 && word_at(record, 4) == ULLAGE_RPC_REPLY && word_at(record, 8) <= 1)
        fields = (struct fields) { .kind = KIND_REPLY, .xid = word_at(record, 0) };
    return fields;
}

static void count(struct tally *tally, const struct ullage_record *record, const struct fields *fields)
{
    ullage_sizes_add(&tally->all, record->bytes);
    tally->fragments += record->fragments;
    if (fields->kind == KIND_CALL)
        tally_call(tally, fields->program, fields->version, fields->procedure, record->bytes);
    else
        ullage_sizes_add(fields->kind == KIND_REPLY ? &tally->replies : &tally->other, record->bytes);
}

static void json_field(struct lines *lines, const char *name, uint64_t value)
{
    lines_text(lines, name);
    lines_number(lines, value);
}

static void json_line(struct lines *lines, const struct ullage_record *record, const struct fields *fields)
{
    json_field(lines, "{\"index\":", record->index);
    json_field(lines, ",\"bytes\":", record->bytes);
    json_field(lines, ",\"fragments\":", record->fragments);
    json_field(lines, ",\"offset\":", record->offset);
    if (fields->kind != KIND_OTHER) {
        json_field(lines, ",\"xid\":", fields->xid);
        lines_text(lines, fields->kind == KIND_CALL ? ",\"type\":\"call\"" : ",\"type\":\"reply\"");
    }
    if (fields->kind == KIND_CALL) {
        json_field(lines, ",\"program\":", fields->program);
        json_field(lines, ",\"version\":", fields->version);
        json_field(lines, ",\"procedure\":", fields->procedure);
    }
    lines_text(lines, "}\n");
}

static void list_head(struct lines *lines)
{
    lines_text(lines, "  INDEX       OFFSET    BYTES FRAGS      XID WHAT\n");
}

static void list_what(struct lines *lines, const struct fields *fields)
{
    const char *program = ullage_program_name(fields->program);
    if (fields->kind == KIND_REPLY) {
        lines_text(lines, "reply");
        return;
    }
    if (program != NULL)
        lines_text(lines, program);
    else
        lines_number(lines, fields->program);
    lines_text(lines, " ");
    lines_number(lines, fields->version);
    lines_text(lines, " ");
    lines_number(lines, fields->procedure);
}

/* Within 80 columns whatever a header says. */
static void list_line(struct lines *lines, const struct ullage_record *record, const struct fields *fields)
{
    lines_number_at(lines, 7, record->index);
    lines_number_at(lines, 13, record->offset);
    lines_number_at(lines, 9, record->bytes);
    lines_number_at(lines, 6, record->fragments);
    if (fields->kind == KIND_OTHER) {
        lines_text(lines, "        - -\n");
        return;
    }
    lines_text(lines, " ");
    lines_hex(lines, fields->xid);
    lines_text(lines, " ");
    list_what(lines, fields);
    lines_text(lines, "\n");
}

/* Until the stream ends, or fails. 0, or what it failed with. */
static int read_all(struct records *records)
{
    struct ullage_record record;
    int result;
    if (records->list)
        list_head(&records->lines);
    while ((result = ullage_reader_read(records->reader, next_bytes, records, &record)) > 0) {
        struct fields fields = fields_of(&record);
        count(&records->tally, &record, &fields);
        if (records->json)
            json_line(&records->lines, &record, &fields);
        else if (records->list)
            list_line(&records->lines, &record, &fields);
        if (records->lines.error != 0)
            return records->lines.error;
    }
    return result;
}

/* ---- the whole ---- */

static const char *error_name(int error)
{
    const char *name = strerrorname_np(-error);
    return name != NULL ? name : "EIO";
}

static int json_end(struct records *records, int error)
{
    const struct ullage_sizes *all = &records->tally.all;
    json_t *line = json_pack("{s:I,s:I,s:o,s:o,s:o}", "records", (json_int_t)all->count, "bytes", (json_int_t)all->bytes,
        "error", error == 0 ? json_null() : json_string(error_name(error)),
        "error_offset", error == 0 ? json_null() : json_integer((json_int_t)ullage_reader_error_offset(records->reader)),
        "message", error == 0 ? json_null() : json_string(ullage_reader_error(records->reader)));
    char *text = line != NULL ? json_dumps(line, JSON_COMPACT) : NULL;
    if (text != NULL) {
        lines_text(&records->lines, text);
        lines_text(&records->lines, "\n");
    }
    free(text);
    json_decref(line);
    return text != NULL ? 0 : -ENOMEM;
}

static void sizes_line(struct lines *lines, const char *lead, const struct ullage_sizes *sizes)
{
    char text[160], bytes[ULLAGE_QUANTITY_BYTES], p50[ULLAGE_QUANTITY_BYTES], p99[ULLAGE_QUANTITY_BYTES], largest[ULLAGE_QUANTITY_BYTES];
    if (sizes->count == 0)
        return;
    snprintf(text, sizeof text, "%" PRIu64 " of %s: half up to %s, 99 of 100 up to %s, largest %s", sizes->count,
        ullage_quantity_size(bytes, sizes->bytes), ullage_quantity_size(p50, ullage_sizes_quantile(sizes, 0.50)),
        ullage_quantity_size(p99, ullage_sizes_quantile(sizes, 0.99)), ullage_quantity_size(largest, sizes->max_bytes));
    lines_paragraph(lines, lead, text);
}

static void say_error(struct records *records, int error)
{
    char text[1024];
    snprintf(text, sizeof text, "%s: %s", error_name(error), ullage_reader_error(records->reader)); /* it names the offset */
    lines_paragraph(&records->lines, "error    ", text);
    if (error == -EMSGSIZE)
        lines_paragraph(&records->lines, "hint     ", "--max-record, --max-fragment and --max-fragments change the caps");
}

static int text_end(struct records *records, int error)
{
    struct tally *tally = &records->tally;
    struct lines *lines = &records->lines;
    struct ullage_sink sink = lines_sink(lines);
    struct ullage_text_options options = ULLAGE_TEXT_OPTIONS_INIT;
    char text[96], bytes[ULLAGE_QUANTITY_BYTES];
    options.top = records->top;
    if (records->list)
        lines_text(lines, "\n");
    tally_sort(tally);
    int result = ullage_export_procedures(tally->list, tally->count, &sink, &options);
    if (tally->count > 0)
        lines_text(lines, "\n");
    sizes_line(lines, "calls of procedures that found no room: ", &tally->untold);
    sizes_line(lines, "replies  ", &tally->replies);
    sizes_line(lines, "not RPC  ", &tally->other);
    snprintf(text, sizeof text, "%" PRIu64 " in %" PRIu64 " fragments, %s; the stream is %s", tally->all.count, tally->fragments,
        ullage_quantity_size(bytes, tally->all.bytes), error == 0 ? "whole" : "not whole");
    lines_paragraph(lines, "records  ", text);
    if (error != 0)
        say_error(records, error);
    return result;
}

/* ---- options ---- */

static int parse_size(const char *name, const char *text, uint64_t most, uint64_t *bytes)
{
    if (ullage_quantity_parse(text, bytes) != 0)
        return complain("records", "%s takes a size as 65536, 64K or 1.5M, not '%s'", name, text);
    if (*bytes == 0 || *bytes > most)
        return complain("records", "%s takes a size from 1 to %" PRIu64 ", not '%s'", name, most, text);
    return 0;
}

static int parse_count(const char *name, const char *text, long most, long *number)
{
    if (!parse_number(text, 1, most, number))
        return complain("records", "%s takes a number from 1 to %ld, not '%s'", name, most, text);
    return 0;
}

static int parse_option(struct records *records, int option)
{
    struct ullage_reader_options *options = &records->options;
    uint64_t bytes = 0;
    long number = 0;
    int result = 0;
    switch (option) {
    case OPTION_JSON:
        records->json = true;
        break;
    case OPTION_LIST:
        records->list = true;
        break;
    case OPTION_RPC:
        options->flags = ULLAGE_READER_RPC;
        break;
    case OPTION_MAX_RECORD:
        result = parse_size("--max-record", optarg, UINT64_C(1) << 40, &bytes);
        options->max_record_bytes = bytes;
        break;
    case OPTION_MAX_FRAGMENT:
        result = parse_size("--max-fragment", optarg, INT32_MAX, &bytes);
        options->max_fragment_bytes = (uint32_t)bytes;
        break;
    case OPTION_MAX_FRAGMENTS:
        result = parse_count("--max-fragments", optarg, UINT32_MAX, &number);
        options->max_fragments = (uint32_t)number;
        break;
    case OPTION_TOP:
        result = parse_count("--top", optarg, 1000000, &number);
        records->top = (unsigned)number;
        break;
    default:
        result = complain_usage("records");
    }
    return result;
}

/* 0 go on; negative: help was given; else the exit status. */
static int parse_options(struct records *records, int argc, char **argv)
{
    static const struct option long_options[] = { { "help", no_argument, NULL, OPTION_HELP }, { "json", no_argument, NULL, OPTION_JSON },
        { "list", no_argument, NULL, OPTION_LIST }, { "rpc", no_argument, NULL, OPTION_RPC }, { "top", required_argument, NULL, OPTION_TOP },
        { "max-record", required_argument, NULL, OPTION_MAX_RECORD }, { "max-fragment", required_argument, NULL, OPTION_MAX_FRAGMENT },
        { "max-fragments", required_argument, NULL, OPTION_MAX_FRAGMENTS }, { NULL, 0, NULL, 0 } };
    for (int option; (option = getopt_long(argc, argv, "", long_options, NULL)) != -1;) {
        if (option == OPTION_HELP) {
            help();
            return -1;
        }
        int result = parse_option(records, option);
        if (result != 0)
            return result;
    }
    if (argc - optind > 1)
        return complain("records", "one FILE at a time, not '%s' too", argv[optind + 1]);
    if (records->json && records->list)
        return complain("records", "--list is for people; --json lists the records anyway: one of both");
    return 0;
}

/* ---- the verb ---- */

static int open_input(struct records *records, const char *name)
{
    struct stat found;
    bool named = name != NULL && strcmp(name, "-") != 0;
    records->fd = named ? open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY) : STDIN_FILENO;
    const char *what = named ? name : "standard input";
    if (records->fd < 0 || fstat(records->fd, &found) != 0)
        return complain("records", "%s: %s", what, strerror(errno));
    if (S_ISDIR(found.st_mode))
        return complain("records", "%s: a directory: name a file that holds a stream", what);
    if (isatty(records->fd))
        return complain("records", "%s is a terminal: name a FILE, or send a stream: ullage records < FILE", what);
    return 0;
}

static int create_reader(struct records *records)
{
    struct ullage_alloc_options quiet = ULLAGE_ALLOC_OPTIONS_INIT;
    quiet.no_tracking = true;
    int error = ullage_alloc_configure(&quiet);
    if (error == 0)
        error = ullage_reader_create(&records->reader, &records->options);
    if (error == 0)
        error = tally_init(&records->tally);
    return error == 0 ? 0 : complain("records", "no reader: %s", strerror(-error));
}

static int show(struct records *records)
{
    int error = read_all(records);
    if (records->lines.error == 0) {
        int result = records->json ? json_end(records, error) : text_end(records, error);
        if (result == -ENOMEM)
            return complain("records", "%s", strerror(ENOMEM));
    }
    if (lines_flush(&records->lines) != 0)
        return complain("records", "standard output: %s", strerror(-records->lines.error));
    return error == 0 ? 0 : EXIT_CUT;
}

int cmd_records(int argc, char **argv)
{
    static struct records records = { .options = ULLAGE_READER_OPTIONS_INIT, .top = DEFAULT_TOP, .lines = { .fd = STDOUT_FILENO } };
    records.options.flags = ULLAGE_READER_OPAQUE; /* we look at headers ourselves */
    records.options.deadline_ms = ULLAGE_NEVER;   /* a pipe may be as slow as it likes */
    records.options.chunk_bytes = CHUNK_BYTES;
    int result = parse_options(&records, argc, argv);
    if (result != 0)
        return result > 0 ? result : fflush(stdout) == 0 ? 0 : complain("records", "standard output: %s", strerror(errno));
    signal(SIGPIPE, SIG_IGN); /* an error that is said, and not a silent end */
    result = open_input(&records, optind < argc ? argv[optind] : NULL);
    if (result == 0)
        result = create_reader(&records);
    if (result == 0)
        result = show(&records);
    ullage_reader_destroy(records.reader);
    tally_fini(&records.tally);
    if (records.fd > STDIN_FILENO)
        close(records.fd);
    return result;
}
