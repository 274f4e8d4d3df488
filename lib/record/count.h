/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * count.h - what the ledger is told of records.
 *
 * A record costs no atomic operation: records of one procedure and one size class in a row are counted in the reader, and
 * added to the ledger where a run ends or a call has to read or to return without a record.
 */
#ifndef ULL_RECORD_COUNT_H
#define ULL_RECORD_COUNT_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <endian.h>

struct ullage_reader;

/* Calls of one procedure, with @span sizes from @first on: a size class. */
struct ull_run {
    uint64_t program_version; /* as they stand in the header */
    uint32_t procedure;
    uint32_t count;
    uint32_t first, span;
    uint64_t bytes;
    uint32_t counted_index, counted_offset; /* of what the ledger has already; the low bits */
    uint32_t fragments;                     /* beyond one a record */
    uint32_t most;                          /* largest of the run */
};

enum { ULL_CALL_BYTES = 24 }; /* xid, type, RPC version, program, version, procedure */

/* Message type CALL and RPC version 2, as they stand at offset 4. */
#define ULL_CALL_OF_RPC_2 htobe64(UINT64_C(2))

/* Counts a record; true: it goes on with the run. False: ull_count_other(). */
static inline bool ull_count_run(struct ull_run *run, const uint8_t *data, uint64_t bytes)
{
    uint64_t call, program_version;
    uint32_t procedure;
    if (bytes < ULL_CALL_BYTES)
        return true;
    memcpy(&call, data + 4, sizeof call);
    if (call != ULL_CALL_OF_RPC_2)
        return true;
    memcpy(&program_version, data + 12, sizeof program_version);
    memcpy(&procedure, data + 20, sizeof procedure);
    if (program_version != run->program_version || procedure != run->procedure || bytes - run->first >= run->span)
        return false;
    run->count++;
    run->bytes += bytes;
    if (bytes > run->most)
        run->most = (uint32_t)bytes;
    return true;
}

/* A call that begins another run. 1. */
int ull_count_other(struct ullage_reader *r, const uint8_t *data, uint64_t bytes);
/* A call was refused at its procedure's cap. */
void ull_count_refused_call(uint32_t program, uint32_t version, uint32_t procedure, uint64_t cap);
/* The ledger is brought up to date. */
void ull_count_flush(struct ullage_reader *r);
/* Bytes of buffers that readers hold, more or less; readers that wait for the rest of a record. */
void ull_count_held(int64_t bytes);
void ull_count_stalled(struct ullage_reader *r, bool stalled);

/* In a forked child: its ledger knows none of it. */
void ull_count_forked(void);

#endif
