/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * file.h - a ledger file as untrusted bytes: opening it, and reaching entries only through checks.
 */
#ifndef ULL_VIEW_FILE_H
#define ULL_VIEW_FILE_H

#include "ledger/format.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ull_file {
    const unsigned char *bytes; /* mapped, or the caller's; aligned to 8 */
    size_t size;
    bool mapped;
    int fd;                          /* of a copy, else -1 */
    uint32_t owner;                  /* of the file; this user's for bytes in memory */
    bool from_file;
    bool cut;                        /* shorter than its header says */
    struct ull_ledger_header header; /* a copy, checked as far as a header alone can be */
};

/*
 * Maps a ledger and checks its header. Root may open another user's: that is copied, because its owner could shorten it
 * under us. 0, or negative errno with one line in @error (ULLAGE_ERROR_BYTES) that says what
 * to do: see ullage_snapshot_take().
 */
int ull_file_open(struct ull_file *file, const char *path, char *error);

/*
 * The header alone, of a file in an open directory: for lists. @owner: who must own it. The rest of @file is empty, and
 * needs no closing. 0 or negative errno.
 */
int ull_file_peek(struct ull_file *file, int directory, const char *name, uint32_t owner);

/* As open, of bytes in memory, which must outlive @file and be aligned to 8. */
int ull_file_parse(struct ull_file *file, const void *bytes, size_t size, char *error);

void ull_file_close(struct ull_file *file);

/* Takes counters and tables as they are now. What is not sane any more stays as it was; the rest of the header too. */
void ull_file_refresh(struct ull_file *file);

/* The command line with spaces between its arguments, as it came: not clean yet. Returns its length. */
size_t ull_file_command(const struct ull_file *file, char to[ULL_COMMAND_BYTES]);

/* Entries of a table that can be there: handed out, and within segments that are whole in the file. */
uint64_t ull_file_count(const struct ull_file *file, enum ull_table table);

/* One entry, or NULL where the file does not hold it. It may be changing: copy it with ull_file_copy(). */
const void *ull_file_entry(const struct ull_file *file, enum ull_table table, uint64_t index);

/* @count consecutive entries of one segment, or NULL. */
const void *ull_file_run(const struct ull_file *file, enum ull_table table, uint64_t index, uint64_t count);

/* A word at an address in the file as it is now: in a copy, it is read from the file again. */
uint64_t ull_file_word_now(const struct ull_file *file, const uint64_t *word);

/* Copies whole words, each read once, in ascending order of address. @bytes is a multiple of 8. */
void ull_file_copy(void *to, const void *from, size_t bytes);

#endif
