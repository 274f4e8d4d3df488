/* SPDX-License-Identifier: BSD-2-Clause */
/* named.c - see named.h. */
#include "config.h"

#include "measure/named.h"

#include "base/arith.h"
#include "base/sys.h"
#include "measure/begin.h"
#include "measure/state.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define recorder ull_recorder

/* True: recording, in the recorder, to be left. */
static bool enter(void)
{
    ull_begin_if_needed();
    if (!ull_recorder_enter())
        return false;
    if (ull_recorder_recording())
        return true;
    ull_recorder_leave();
    return false;
}

static uint64_t add_text(const char *text)
{
    int64_t index = text != NULL ? ull_ledger_add_string(&recorder.ledger, text, (uint32_t)strlen(text)) : -1;
    return index >= 0 ? (uint64_t)index + 1 : 0;
}

/* Each word is stored once it is true; the file, which says that there is a name, last. */
static void name_site(uint32_t site, const char *file, const char *function, uint32_t line)
{
    struct ull_site_entry *entry = ull_ledger_at(&recorder.ledger, ULL_TABLE_SITES, site);
    if (file == NULL || entry->file != 0)
        return;
    ull_store_relaxed(&entry->line, (uint64_t)line);
    ull_store_relaxed(&entry->function, add_text(function));
    ull_store_release(&entry->file, add_text(file));
}

uint32_t ull_named_site(enum ull_kind kind, uint64_t id, const void *address, const char *file, const char *function, uint32_t line)
{
    int kept = errno;
    uint32_t site = ULL_SITE_OTHER;
    if (enter()) {
        uint64_t frame = (uintptr_t)address, packed = 0, ignored = 0;
        if (frame != 0)
            ull_modules_resolve(&recorder.modules, &frame, 1, &packed, &ignored);
        site = ull_sites_add(&recorder.sites, ull_mix64(id), id, kind, 0, &packed, frame != 0);
        if (site != ULL_SITE_OTHER)
            name_site(site, file, function, line);
        ull_recorder_leave();
    }
    errno = kept;
    return site;
}

static void *reserve(enum ull_table table)
{
    int kept = errno;
    void *entry = NULL;
    if (enter()) {
        int64_t index = ull_ledger_reserve(&recorder.ledger, table, 1);
        entry = index >= 0 ? ull_ledger_at(&recorder.ledger, table, (uint64_t)index) : NULL;
        ull_recorder_leave();
    }
    errno = kept;
    return entry;
}

struct ull_shard_entry *ull_named_shard(void)
{
    return reserve(ULL_TABLE_SHARDS);
}

struct ull_pool_entry *ull_named_pool(const char *name)
{
    struct ull_pool_entry *entry = reserve(ULL_TABLE_POOLS);
    if (entry != NULL && enter()) {
        entry->name = add_text(name);
        ull_recorder_leave();
    }
    return entry;
}

struct ull_procedure_entry *ull_named_procedure(uint32_t program, uint32_t version, uint32_t procedure)
{
    struct ull_procedure_entry *entry = reserve(ULL_TABLE_PROCEDURES);
    if (entry == NULL)
        return NULL;
    entry->program = program;
    entry->version = version;
    entry->procedure = procedure;
    ull_store_release(&entry->ready, UINT64_C(1));
    return entry;
}

/* ---- counts: no lock, and nothing that could fail ---- */

static bool is_recording(void)
{
    return ull_load_acquire(&recorder.state) == ULL_RECORDING;
}

void ull_named_fold(uint32_t site, uint64_t delta, uint64_t excess)
{
    if (!is_recording())
        return;
    struct ull_site_entry *entry = ull_ledger_at(&recorder.ledger, ULL_TABLE_SITES, site);
    uint64_t *counters = recorder.ledger.header->counters;
    ull_max_relaxed(&entry->peak_bytes, ull_add_relaxed(&entry->live_bytes, delta) + excess);
    ull_max_relaxed(&counters[ULL_COUNTER_live_peak_bytes],
        ull_add_relaxed(&counters[ULL_COUNTER_live_bytes], delta) + excess);
    ull_store_relaxed(&recorder.ledger.header->last_event_monotonic_ns, ull_sys_monotonic_ns());
}

void ull_named_learned(uint32_t site, uint64_t bytes)
{
    if (site != 0 && is_recording())
        ull_store_relaxed(&((struct ull_site_entry *)ull_ledger_at(&recorder.ledger, ULL_TABLE_SITES, site))->learned_bytes, bytes);
}

void ull_named_regrown(uint32_t site)
{
    if (!is_recording())
        return;
    ull_ledger_count(&recorder.ledger, ULL_COUNTER_pool_regrows_total, 1);
    if (site != 0)
        ull_add_relaxed(&((struct ull_site_entry *)ull_ledger_at(&recorder.ledger, ULL_TABLE_SITES, site))->regrows_count, UINT64_C(1));
}

void ull_named_count(enum ull_counter counter, uint64_t by)
{
    if (is_recording())
        ull_ledger_count(&recorder.ledger, counter, by);
}

void ull_named_set(enum ull_counter counter, uint64_t value)
{
    if (is_recording())
        ull_store_relaxed(&recorder.ledger.header->counters[counter], value);
}

void ull_named_max(enum ull_counter counter, uint64_t value)
{
    if (is_recording())
        ull_max_relaxed(&recorder.ledger.header->counters[counter], value);
}

/* ---- the rest ---- */

bool ull_named_is_sandboxed(void)
{
    return ull_load_relaxed(&recorder.sandboxed) != 0;
}

uint32_t ull_named_unloads(void)
{
    return ull_load_relaxed(&recorder.unloads);
}

uint64_t ull_named_written(const void *start, uint64_t bytes)
{
    struct ull_extents extents;
    uint64_t page = ull_page_bytes(), at = (uintptr_t)start, written = UINT64_MAX;
    int kept = errno;
    if (at % page != 0 || !ull_recorder_enter())
        return UINT64_MAX;
    if (ull_pages_scan(&recorder.use.pages, at, ull_round_up(at + bytes, page), 0, &extents) == 0
        && ull_load_relaxed(&recorder.use.pages.method) == ULL_PAGES_SCAN && !extents.doubtful && !extents.partial && !extents.shared)
        written = extents.end;
    ull_recorder_leave();
    errno = kept;
    return written;
}


void ull_named_address(const void *address, char *to, size_t room)
{
    Dl_info found;
    if (dladdr(address, &found) == 0 || found.dli_fname == NULL) {
        snprintf(to, room, "%p", address);
    } else if (found.dli_sname != NULL) {
        snprintf(to, room, "%s()", found.dli_sname);
    } else {
        const char *name = strrchr(found.dli_fname, '/');
        snprintf(to, room, "%s+0x%zx", name != NULL ? name + 1 : found.dli_fname, (size_t)((const char *)address - (const char *)found.dli_fbase));
    }
}

void ull_named_say(const char *what, const char *why)
{
    ull_life_say(what, why);
}

void ull_named_leaving(void (*leaving)(void))
{
    ull_store_release(&recorder.leaving, leaving);
}

void ull_named_forked(enum ull_named_room room, void (*forked)(void))
{
    ull_store_relaxed(&recorder.forked[3 + (unsigned)room], forked);
}

void ull_named_check_fork(void)
{
    ull_begin_if_needed();
    ull_life_check_fork();
}
