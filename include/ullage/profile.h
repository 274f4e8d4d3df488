/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ullage/profile.h - live profiles: resources that must be released, counted by the stack that took them.
 *
 * As Go's runtime/pprof.NewProfile: a connection, a reader, a thread, a lease is added when it is taken and removed when
 * it is given back; `ullage report` shows how many are held now, and which stacks hold them. A leak is a stack that only
 * grows. In an interposed program there is a profile "threads", kept without any call.
 *
 * Counts live in the process's ledger, so that they can be read from outside and after its death. A forked child begins
 * with none. Threads: any, all calls. Link with: pkg-config --libs ullage. Since: 0.1
 */
#ifndef ULLAGE_PROFILE_H
#define ULLAGE_PROFILE_H

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct ullage_profile;

/**
 * ullage_profile_get() - the profile of that name, made at its first use
 * @name: 1 to 63 bytes of printable ASCII, what is counted in the plural: "connections"
 * Returns: the same pointer for the same name, good for ever; NULL for another kind of name, or when there are 64 already.
 * Every call below takes NULL and does nothing.
 */
struct ullage_profile *ullage_profile_get(const char *name);

/**
 * ullage_profile_add() - a resource is held from now on
 * @key: tells it apart from the others of this profile, as its address does; not NULL. One that is there already counts
 *       as removed first.
 * Costs: with the remove 0.2 us (make bench). Allocates: by mmap.
 */
void ullage_profile_add(struct ullage_profile *profile, const void *key);

/** The resource was released. A key that is not there is let pass. */
void ullage_profile_remove(struct ullage_profile *profile, const void *key);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
