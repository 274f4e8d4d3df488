/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * writer.h - making and growing this process's ledger.
 *
 * The file is mapped piece by piece as it grows; what was mapped stays where it is, so that an entry's address is good
 * for the life of the process. Memory is the file's own and a few hundred bytes in struct ull_ledger.
 */
#ifndef ULL_LEDGER_WRITER_H
#define ULL_LEDGER_WRITER_H

#include "ledger/format.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ULL_LEDGER_PATH_BYTES = 600 };

struct ull_ledger {
    struct ull_ledger_header *header;                       /* NULL until created */
    void *segments[ULL_TABLE_COUNT][ULL_SEGMENTS_MAX];      /* atomic; NULL: not there yet */
    uint32_t entry_bytes[ULL_TABLE_COUNT];                  /* our own copy: what lies in the file is not believed */
    uint32_t base_count[ULL_TABLE_COUNT];
    uint64_t reserved[ULL_TABLE_COUNT];
    uint64_t file_bytes;
    int fd;
    uint64_t device, inode; /* of fd: the program may close it and reuse its number */
    bool grown_out;         /* growing failed once: not tried again */
    pthread_mutex_t lock;   /* covers reserved, file_bytes, grown_out and the making of segments */
    char path[ULL_LEDGER_PATH_BYTES];
};

struct ull_ledger_options {
    const char *directory; /* NULL: as directory.h chooses */
    const char *run_id;    /* NULL: none */
    uint64_t min_bytes, sample_bytes;
    uint32_t parent_pid;   /* 0: as the kernel says now */
    uint32_t fork_depth;
    bool huge_pages_possible;
};

/*
 * Makes the file and maps it. 0, or negative errno with nothing left behind: -EPERM the directory is not ours, -ENOSPC,
 * -EROFS, -EMFILE, … Threads: one, before any other use.
 */
int ull_ledger_create(struct ull_ledger *ledger, const struct ull_ledger_options *options);

/* Unmaps and closes; the file stays. For tests, and for a forked child that leaves its parent's. */
void ull_ledger_close(struct ull_ledger *ledger);

/*
 * Reserves @count consecutive entries, all in one segment and all zero, growing the file if need be.
 * Returns the index of the first, or -1: table or directory full. Threads: any.
 */
int64_t ull_ledger_reserve(struct ull_ledger *ledger, enum ull_table table, uint32_t count);

/* The entry, or NULL if it was never reserved. Good for the life of the ledger. Threads: any. */
void *ull_ledger_at(const struct ull_ledger *ledger, enum ull_table table, uint64_t index);

/* Adds @bytes of text and a NUL to the strings. Returns its index, or -1. */
int64_t ull_ledger_add_string(struct ull_ledger *ledger, const char *text, uint32_t bytes);

/* Says how the process ended; @status as given to exit(3). */
void ull_ledger_mark_ended(struct ull_ledger *ledger, int status);

static inline void ull_ledger_count(struct ull_ledger *ledger, enum ull_counter counter, uint64_t by)
{
    __atomic_fetch_add(&ledger->header->counters[counter], by, __ATOMIC_RELAXED);
}

#endif
