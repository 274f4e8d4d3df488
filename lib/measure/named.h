/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * named.h - what pools enter in the ledger: sites that the source names, shards of their counts, pools.
 *
 * All of it on slow paths. Where nothing is recorded (no ledger to be had, a sandbox, setuid) every call does nothing.
 * Threads: any.
 */
#ifndef ULL_MEASURE_NAMED_H
#define ULL_MEASURE_NAMED_H

#include "ledger/format.h"

#include <stdbool.h>
#include <stddef.h>

/* The site with @id, a hash of its name; @address a return address in it. 0: nothing is recorded, or the table is full. */
uint32_t ull_named_site(enum ull_kind kind, uint64_t id, const void *address, const char *file, const char *function, uint32_t line);
/* A new shard, zero; NULL. */
struct ull_shard_entry *ull_named_shard(void);
/* A new entry of the table of pools; NULL. @name: copied. */
struct ull_pool_entry *ull_named_pool(const char *name);

/* The entry of a procedure, new; NULL. */
struct ull_procedure_entry *ull_named_procedure(uint32_t program, uint32_t version, uint32_t procedure);

/* Adds @delta to the live bytes of a site and of the process; @excess over what they were before was the peak. */
void ull_named_fold(uint32_t site, uint64_t delta, uint64_t excess);
void ull_named_learned(uint32_t site, uint64_t bytes);
void ull_named_regrown(uint32_t site);
/* The process is about to forbid itself system calls, or did. */
bool ull_named_is_sandboxed(void);
/* Goes up with each library that is unloaded: addresses mean something else then. */
uint32_t ull_named_unloads(void);
/* How far into [start, start + bytes), whole pages at first, anything was written, as the kernel says; all ones: unknown. */
uint64_t ull_named_written(const void *start, uint64_t bytes);
void ull_named_count(enum ull_counter counter, uint64_t by);
void ull_named_set(enum ull_counter counter, uint64_t value);
void ull_named_max(enum ull_counter counter, uint64_t value);

/* "object+0x1234", or the nearest exported function. Takes the loader's lock: where the program ends, or in a report. */
void ull_named_address(const void *address, char *to, size_t room);

/* One line, "ullage: WHAT: WHY", on the standard error that the process began with. */
void ull_named_say(const char *what, const char *why);

/* What happens when the process ends by exit(3), while counts can still be brought up to date. */
void ull_named_leaving(void (*leaving)(void));

/* What happens in a forked child, once; see life.c. */
enum ull_named_room { ULL_NAMED_POOLS, ULL_NAMED_RECORDS };
void ull_named_forked(enum ull_named_room room, void (*forked)(void));
/* Lets a child learn that it is one; cheap. */
void ull_named_check_fork(void);

#endif
