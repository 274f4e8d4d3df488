/* SPDX-License-Identifier: BSD-2-Clause */
/* modules.c - addresses to mapped files, with build ids read from memory. */
#include "config.h"

#include "measure/modules.h"

#include "base/arith.h"
#include "base/atomic.h"
#include "base/lock.h"
#include "base/sys.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <string.h>
#include <sys/auxv.h>

enum { PATH_BYTES = 512, PROGRAM_HEADERS_MAX = 128 };

void ull_modules_init(struct ull_modules *modules, struct ull_ledger *ledger)
{
    modules->ledger = ledger;
    modules->count = 0;
    pthread_mutex_init(&modules->lock, NULL);
}

static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t count)
{
    const unsigned char *at = bytes;
    for (size_t i = 0; i < count; i++)
        hash = ull_mix64(hash + at[i] + 1);
    return hash;
}

/* ---- reading an ELF image in memory ---- */

/* Finds the build id in one note segment. */
static void read_notes(const char *notes, uint64_t bytes, struct ull_module_entry *entry)
{
    while (bytes >= sizeof(ElfW(Nhdr))) {
        const ElfW(Nhdr) *note = (const ElfW(Nhdr) *)(const void *)notes;
        uint64_t name = ull_round_up(note->n_namesz, 4), size = sizeof *note + name + ull_round_up(note->n_descsz, 4);
        if (size > bytes)
            return;
        if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 && note->n_descsz <= ULL_BUILD_ID_BYTES
            && memcmp(notes + sizeof *note, "GNU", 4) == 0) {
            entry->build_id_bytes = note->n_descsz;
            memcpy(entry->build_id, notes + sizeof *note + name, note->n_descsz);
            return;
        }
        notes += size;
        bytes -= size;
    }
}

/*
 * The mapping with the ELF header. Of a file with holes between its segments the loader tells one segment: then it is the one
 * with the program headers, or where the file's first byte belongs.
 */
static struct dl_find_object find_head(const struct dl_find_object *found)
{
    struct dl_find_object head = *found;
    const uintptr_t candidates[] = { (uintptr_t)found->dlfo_map_start, (uintptr_t)getauxval(AT_PHDR),
        (uintptr_t)found->dlfo_link_map->l_addr };
    for (size_t i = 0; i < sizeof candidates / sizeof candidates[0]; i++)
        if (_dl_find_object((void *)candidates[i], &head) == 0 && head.dlfo_link_map == found->dlfo_link_map
            && memcmp(head.dlfo_map_start, ELFMAG, SELFMAG) == 0)
            return head;
    return *found;
}

/* Text segment and build id, where the ELF header is mapped; else they stay 0. */
static void read_image(struct ull_module_entry *entry, const struct dl_find_object *found)
{
    struct dl_find_object head = find_head(found);
    const char *image = head.dlfo_map_start;
    const ElfW(Ehdr) *header = (const ElfW(Ehdr) *)(const void *)image;
    uint64_t start = (uint64_t)(uintptr_t)image, end = (uint64_t)(uintptr_t)head.dlfo_map_end;
    if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 || header->e_phentsize != sizeof(ElfW(Phdr))
        || header->e_phnum > PROGRAM_HEADERS_MAX
        || header->e_phoff + header->e_phnum * sizeof(ElfW(Phdr)) > end - start)
        return;
    const ElfW(Phdr) *segments = (const ElfW(Phdr) *)(const void *)(image + header->e_phoff);
    for (unsigned i = 0; i < header->e_phnum; i++) {
        const ElfW(Phdr) *segment = &segments[i];
        uint64_t at = entry->bias + segment->p_vaddr;
        if (segment->p_type == PT_LOAD && (segment->p_flags & PF_X) != 0 && entry->text_bytes == 0) {
            entry->text_start = at;
            entry->text_bytes = segment->p_memsz;
            entry->text_file_offset = segment->p_offset;
        }
        if (segment->p_type == PT_NOTE && entry->build_id_bytes == 0 && at >= start && at <= end
            && segment->p_memsz <= end - at)
            read_notes((const char *)(uintptr_t)at, segment->p_memsz, entry);
    }
}

static size_t module_path(const struct link_map *map, char path[PATH_BYTES])
{
    ssize_t length = 0;
    if (map->l_name != NULL && map->l_name[0] != '\0') {
        length = (ssize_t)strnlen(map->l_name, PATH_BYTES - 1);
        memcpy(path, map->l_name, (size_t)length);
    } else { /* the program itself */
        length = ull_sys_readlink("/proc/self/exe", path, PATH_BYTES - 1);
    }
    length = length < 0 ? 0 : length;
    path[length] = '\0';
    return (size_t)length;
}

/* ---- the table ---- */

static uint32_t add_entry(struct ull_modules *modules, struct ull_module_entry *filled, const char *path)
{
    int64_t text = modules->count < ULL_MODULES_MAX
        ? ull_ledger_add_string(modules->ledger, path, filled->path_bytes) : -1;
    int64_t index = text >= 0 ? ull_ledger_reserve(modules->ledger, ULL_TABLE_MODULES, 1) : -1;
    if (index < 0 || (uint64_t)index != modules->count)
        return ULL_FRAME_NO_MODULE;
    struct ull_module_entry *entry = ull_ledger_at(modules->ledger, ULL_TABLE_MODULES, (uint64_t)index);
    filled->path = (uint64_t)text;
    filled->ready = 0;
    *entry = *filled;
    ull_store_release(&entry->ready, 1);
    modules->count++;
    return (uint32_t)index;
}

static uint32_t make_module(struct ull_modules *modules, const struct dl_find_object *found)
{
    char path[PATH_BYTES];
    struct ull_module_entry entry = {
        .start = (uint64_t)(uintptr_t)found->dlfo_map_start,
        .end = (uint64_t)(uintptr_t)found->dlfo_map_end,
        .bias = found->dlfo_link_map->l_addr,
    };
    read_image(&entry, found);
    entry.path_bytes = (uint32_t)module_path(found->dlfo_link_map, path);
    struct ull_module module = { entry.start, entry.end, entry.bias,
        entry.build_id_bytes != 0 ? hash_bytes(1, entry.build_id, entry.build_id_bytes)
                                  : hash_bytes(2, path, entry.path_bytes),
        false };
    /* Unloaded and loaded again at the same place, or doubted for nothing: the entry serves on. */
    for (uint32_t i = 0; i < modules->count; i++) {
        struct ull_module *known = &modules->modules[i];
        if (known->gone && known->start == module.start && known->end == module.end && known->bias == module.bias
            && known->hash == module.hash) {
            known->gone = false;
            return i;
        }
    }
    uint32_t index = add_entry(modules, &entry, path);
    if (index != ULL_FRAME_NO_MODULE)
        modules->modules[index] = module;
    return index;
}

/* Under the lock. */
static uint32_t module_of(struct ull_modules *modules, uint64_t address)
{
    struct dl_find_object found;
    for (uint32_t i = 0; i < modules->count; i++) {
        const struct ull_module *known = &modules->modules[i];
        if (!known->gone && address >= known->start && address < known->end)
            return i;
    }
    if (_dl_find_object((void *)(uintptr_t)address, &found) != 0)
        return ULL_FRAME_NO_MODULE;
    return make_module(modules, &found);
}

void ull_modules_resolve(
    struct ull_modules *modules, const uint64_t *addresses, unsigned count, uint64_t *packed, uint64_t *id)
{
    bool locked = ull_lock(&modules->lock);
    for (unsigned i = 0; i < count; i++) {
        /* One back: a call that never returns may end its function, and the return address is past it. */
        uint32_t module = locked ? module_of(modules, addresses[i] - 1) : ULL_FRAME_NO_MODULE;
        bool known = module != ULL_FRAME_NO_MODULE;
        uint64_t offset = known ? addresses[i] - modules->modules[module].bias : addresses[i];
        packed[i] = ull_frame_pack(module, offset);
        *id = ull_mix64(*id ^ offset) + (known ? modules->modules[module].hash : 0);
    }
    if (locked)
        ull_unlock(&modules->lock);
}

void ull_modules_note_program(struct ull_modules *modules)
{
    if (getauxval(AT_ENTRY) == 0 || !ull_lock(&modules->lock))
        return;
    (void)module_of(modules, getauxval(AT_ENTRY));
    ull_unlock(&modules->lock);
}

void ull_modules_doubt_all(struct ull_modules *modules)
{
    bool locked = ull_lock(&modules->lock);
    for (uint32_t i = 0; i < modules->count; i++)
        modules->modules[i].gone = true;
    if (locked)
        ull_unlock(&modules->lock);
}

void ull_modules_take_over(struct ull_modules *modules, const struct ull_ledger *parent, struct ull_ledger *ledger)
{
    uint32_t inherited = modules->count;
    modules->ledger = ledger;
    modules->count = 0;
    pthread_mutex_init(&modules->lock, NULL);
    for (uint32_t i = 0; i < inherited; i++) {
        const struct ull_module_entry *from = ull_ledger_at(parent, ULL_TABLE_MODULES, i);
        const char *path = from != NULL ? ull_ledger_at(parent, ULL_TABLE_STRINGS, from->path) : NULL;
        struct ull_module_entry entry;
        if (path == NULL)
            return; /* what follows is made again when it is met */
        entry = *from;
        add_entry(modules, &entry, path);
    }
}
