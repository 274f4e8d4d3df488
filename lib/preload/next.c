/* SPDX-License-Identifier: BSD-2-Clause */
/* next.c - looking up symbols: by dlsym in the constructor, by reading the callers' own tables afterwards. */
#include "config.h"

#include "preload/next.h"

#include "base/atomic.h"
#include "measure/guard.h"
#include "preload/real.h"
#include "preload/record.h"

#include <dlfcn.h>
#include <link.h>
#include <string.h>

bool ull_same_library(const void *a, const void *b)
{
    struct dl_find_object in_a, in_b;
    return _dl_find_object((void *)(uintptr_t)a, &in_a) == 0 && _dl_find_object((void *)(uintptr_t)b, &in_b) == 0
        && in_a.dlfo_link_map == in_b.dlfo_link_map;
}

void ull_next_look_up(struct ull_next *next, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        void *function = dlsym(RTLD_NEXT, next[i].symbol);
        if (function == NULL)
            continue;
        next[i].bypasses_malloc = ull_same_library(function, *(void **)(void *)&ull_real.malloc);
        ull_store_release(&next[i].function, function);
    }
}

/* ---- one library's own table of symbols ---- */

struct table {
    const char *names, *soname;
    const ElfW(Sym) *symbols;
    const uint32_t *gnu_hash;
    ElfW(Addr) bias;
};

/* glibc relocates the addresses in the dynamic section of all but the vDSO. */
static const void *address_of(const ElfW(Dyn) *entry, ElfW(Addr) bias)
{
    ElfW(Addr) address = entry->d_un.d_ptr;
    return (const void *)(address < bias ? address + bias : address);
}

static bool open_table(const ElfW(Dyn) *dynamic, ElfW(Addr) bias, struct table *out)
{
    const ElfW(Dyn) *soname = NULL;
    *out = (struct table) { .bias = bias };
    for (; dynamic != NULL && dynamic->d_tag != DT_NULL; dynamic++) {
        if (dynamic->d_tag == DT_STRTAB)
            out->names = address_of(dynamic, bias);
        else if (dynamic->d_tag == DT_SYMTAB)
            out->symbols = address_of(dynamic, bias);
        else if (dynamic->d_tag == DT_GNU_HASH)
            out->gnu_hash = address_of(dynamic, bias);
        else if (dynamic->d_tag == DT_SONAME)
            soname = dynamic;
    }
    if (soname != NULL && out->names != NULL)
        out->soname = out->names + soname->d_un.d_val;
    return out->names != NULL && out->symbols != NULL && out->gnu_hash != NULL;
}

/* The GNU hash: header (buckets, first symbol, words of the filter), filter, buckets, chains. */
static void *find_in(const struct table *table, const char *symbol)
{
    const uint32_t *header = table->gnu_hash;
    uint32_t hash = 5381, buckets = header[0], first = header[1], words = header[2];
    for (const char *at = symbol; *at != '\0'; at++)
        hash = hash * 33 + (unsigned char)*at;
    const uint32_t *bucket = (const uint32_t *)(const void *)((const ElfW(Addr) *)(const void *)(header + 4) + words);
    const uint32_t *chain = bucket + buckets;
    if (buckets == 0 || bucket[hash % buckets] < first)
        return NULL;
    for (uint32_t i = bucket[hash % buckets];; i++) {
        const ElfW(Sym) *found = &table->symbols[i];
        if ((chain[i - first] | 1) == (hash | 1) && strcmp(table->names + found->st_name, symbol) == 0
            && found->st_shndx != SHN_UNDEF && ELF64_ST_TYPE(found->st_info) == STT_FUNC)
            return (void *)(table->bias + found->st_value);
        if ((chain[i - first] & 1) != 0)
            return NULL;
    }
}

static bool needs(const struct link_map *caller, const char *names, const char *soname)
{
    for (const ElfW(Dyn) *dynamic = caller->l_ld; dynamic != NULL && dynamic->d_tag != DT_NULL; dynamic++)
        if (dynamic->d_tag == DT_NEEDED && strcmp(names + dynamic->d_un.d_val, soname) == 0)
            return true;
    return false;
}

/* ---- a caller's libraries ---- */

struct search {
    const char *symbol;
    const struct link_map *caller;
    const char *caller_names;
    void *found;     /* in a library that the caller names */
    void *otherwise; /* in a C++ library, which one of those may name */
};

static int look_into(struct dl_phdr_info *info, size_t size, void *argument)
{
    struct search *search = argument;
    struct table table;
    const ElfW(Dyn) *dynamic = NULL;
    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_DYNAMIC)
            dynamic = (const ElfW(Dyn) *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
    if (dynamic == NULL || !open_table(dynamic, info->dlpi_addr, &table) || table.soname == NULL)
        return 0;
    bool named = needs(search->caller, search->caller_names, table.soname);
    bool runtime = strncmp(table.soname, "libstdc++.so", 12) == 0 || strncmp(table.soname, "libc++", 6) == 0;
    if (!named && !(runtime && search->otherwise == NULL))
        return 0;
    void *found = find_in(&table, search->symbol);
    if (named && found != NULL) {
        search->found = found;
        return 1;
    }
    if (runtime && found != NULL)
        search->otherwise = found;
    return 0;
}

static void *find_for(const char *symbol, const struct link_map *caller)
{
    struct table own;
    if (!open_table(caller->l_ld, caller->l_addr, &own))
        return NULL;
    void *found = find_in(&own, symbol);
    if (found != NULL)
        return found;
    /* Takes the lock of the loader's list, which nobody holds while code of a library runs; not that of dlopen. */
    struct search search = { symbol, caller, own.names, NULL, NULL };
    dl_iterate_phdr(look_into, &search);
    return search.found != NULL ? search.found : search.otherwise;
}

/* Remembered in a few places: written whole or not at all, by the sequence of a slot; good until something is unloaded. */
enum { REMEMBERED = 64 };
static struct {
    uint64_t sequence; /* odd while it is written; atomic */
    const void *symbol, *caller;
    void *found;
    uint64_t unloads;
} remembered[REMEMBERED];

void *ull_next_for_caller(const char *symbol, const void *caller)
{
    struct dl_find_object from;
    if (_dl_find_object((void *)(uintptr_t)caller, &from) != 0)
        return NULL;
    const struct link_map *map = from.dlfo_link_map;
    uint64_t unloads = ull_guard_unloads();
    unsigned at = (unsigned)((((uintptr_t)map >> 6) ^ ((uintptr_t)symbol >> 3)) * UINT64_C(0x9e3779b97f4a7c15) >> 58);
    uint64_t sequence = ull_load_acquire(&remembered[at].sequence);
    void *found = ull_load_relaxed(&remembered[at].found);
    bool known = ull_load_relaxed(&remembered[at].symbol) == symbol && ull_load_relaxed(&remembered[at].caller) == map
        && ull_load_relaxed(&remembered[at].unloads) == unloads;
    uint64_t same = sequence;
    if ((sequence & 1) == 0 && known && ull_cas_acq_rel(&remembered[at].sequence, &same, sequence))
        return found; /* nobody wrote meanwhile */
    found = find_for(symbol, map);
    if ((sequence & 1) == 0 && ull_cas_acq_rel(&remembered[at].sequence, &sequence, sequence + 1)) {
        ull_store_relaxed(&remembered[at].symbol, (const void *)symbol);
        ull_store_relaxed(&remembered[at].caller, (const void *)map);
        ull_store_relaxed(&remembered[at].found, found);
        ull_store_relaxed(&remembered[at].unloads, unloads);
        ull_store_release(&remembered[at].sequence, sequence + 2);
    }
    return found;
}
