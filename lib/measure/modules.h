/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * modules.h - which mapped file an address belongs to, and its entry in the ledger.
 *
 * Kept current by construction: a module gets its entry when a frame in it is first seen, through _dl_find_object(),
 * which takes no lock. After a dlclose the entries stay (sites name them) but are no longer found by address.
 */
#ifndef ULL_MEASURE_MODULES_H
#define ULL_MEASURE_MODULES_H

#include "ledger/writer.h"

enum { ULL_MODULES_MAX = 1024 };

struct ull_module {
    uint64_t start, end, bias;
    uint64_t hash; /* of build id, else of path: what the file is, wherever it is mapped */
    bool gone;     /* perhaps unloaded: looked at again before it is used */
};

struct ull_modules {
    struct ull_ledger *ledger;
    pthread_mutex_t lock;
    uint32_t count; /* modules[i] is entry i of the ledger's table */
    struct ull_module modules[ULL_MODULES_MAX];
};

void ull_modules_init(struct ull_modules *modules, struct ull_ledger *ledger);

/* Makes the entry of the program itself now: after a chroot its path cannot be read any more. */
void ull_modules_note_program(struct ull_modules *modules);

/*
 * Packs each return address into module and offset, and folds all of them into @id, which is the same in another run
 * of the same binaries. Threads: any. Takes no lock but its own.
 */
void ull_modules_resolve(
    struct ull_modules *modules, const uint64_t *addresses, unsigned count, uint64_t *packed, uint64_t *id);

/* After a dlclose that unmapped something. */
void ull_modules_doubt_all(struct ull_modules *modules);

/* In a forked child: copies the entries of the parent's ledger into @ledger, with the same indexes. */
void ull_modules_take_over(struct ull_modules *modules, const struct ull_ledger *parent, struct ull_ledger *ledger);

#endif
