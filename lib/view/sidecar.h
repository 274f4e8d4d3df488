/* SPDX-License-Identifier: BSD-2-Clause */
/* sidecar.h - what was measured from outside, in a file beside the ledger that is always whole. */
#ifndef ULL_VIEW_SIDECAR_H
#define ULL_VIEW_SIDECAR_H

#include "ledger/format.h"
#include "view/file.h"

#include <stdbool.h>
#include <stddef.h>

struct ull_sidecar {
    struct ull_sidecar_header header;
    struct ull_sidecar_entry *entries; /* malloc'd; NULL: none */
    size_t count, room;
    uint32_t owner; /* of the ledger */
};

/*
 * The sidecar's path for a ledger's: beside it; for another user's ledger, which only root sees, in our own directory, as
 * OWNER-NAME: we write nothing where somebody else may put links. 0; -ENAMETOOLONG; -EINVAL when it does not end as a
 * ledger's does.
 */
int ull_sidecar_path(char *path, size_t room, const char *ledger, uint32_t owner);

/* An empty one for that ledger. */
void ull_sidecar_init(struct ull_sidecar *sidecar, const struct ull_file *ledger);
void ull_sidecar_fini(struct ull_sidecar *sidecar);

/* 0; -ENOENT there is none; -EBADMSG damaged, or of another process: nothing of it is used. */
int ull_sidecar_read(struct ull_sidecar *sidecar, const char *ledger_path, const struct ull_file *ledger);

/* Replaces the file atomically. */
int ull_sidecar_write(struct ull_sidecar *sidecar, const char *ledger_path);

/* Sets the entry of a live buffer. 0 or -ENOMEM. */
int ull_sidecar_put(struct ull_sidecar *sidecar, const struct ull_sidecar_entry *entry);

/* The newest reading for entry @live with @state, or NULL. Entries are sorted by index after a read. */
const struct ull_sidecar_entry *ull_sidecar_find(const struct ull_sidecar *sidecar, uint64_t live, uint64_t state);

#endif
