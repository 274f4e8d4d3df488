/* SPDX-License-Identifier: BSD-2-Clause */
/* symbolize.c - libdw behind a small face; one Dwfl a module, opened when its first frame is asked for. */
#include "config.h"

#include "view/symbolize.h"

#include "base/arith.h"
#include "base/sys.h"

#include <dlfcn.h>
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct opened {
    char *path, *raw_path; /* ours: snapshots come and go */
    uint32_t build_id_bytes;
    uint8_t build_id[ULL_BUILD_ID_BYTES];
    bool tried, changed, no_debug;
    bool strangers; /* named by another user's ledger */
    Dwfl *session;
    Dwfl_Module *module;
    GElf_Addr bias; /* session address = bias + virtual address in the file */
    struct symbol *symbols; /* by address, once one was asked for */
    size_t symbol_count;
    bool indexed;
};

/* A function of a symbol table. */
struct symbol {
    GElf_Addr start, end;
    const char *name; /* the session's */
    int rank;         /* of several names for one place: global, weak, local */
};

/* What was found for an address once: the processes of a tree share most of their code. */
struct answer {
    uint64_t offset;
    int module;
    unsigned count;                 /* 0: empty slot */
    const struct ull_frame *frames; /* in the symbolizer's arena */
    uint64_t copied_in;             /* the snapshot that has copies: one is made at a time */
    const struct ull_frame *copies; /* which serve all its sites */
};

struct ull_symbolizer {
    struct opened *modules;
    int count, room;
    bool names;
    char *debug_path; /* as elfutils wants it */
    Dwfl_Callbacks callbacks;
    char *(*demangle)(const char *, char *, size_t *, int *); /* libstdc++'s, if this system has it */
    void *demangler;
    struct ull_arena arena;
    struct answer *answers; /* open addressing; a power of two of them */
    size_t answer_count, answer_room;
    uint64_t snapshots; /* begun so far */
};

struct ull_symbolizer *ull_symbolizer_create(const char *debug_directory, bool names)
{
    struct ull_symbolizer *symbolizer = calloc(1, sizeof *symbolizer);
    if (symbolizer == NULL)
        return NULL;
    if (debug_directory == NULL || asprintf(&symbolizer->debug_path, "+:.debug:/usr/lib/debug:%s", debug_directory) < 0)
        symbolizer->debug_path = NULL;
    symbolizer->callbacks = (Dwfl_Callbacks) {
        .find_elf = dwfl_build_id_find_elf,
        .find_debuginfo = dwfl_standard_find_debuginfo,
        .section_address = dwfl_offline_section_address,
        .debuginfo_path = symbolizer->debug_path != NULL ? &symbolizer->debug_path : NULL,
    };
    symbolizer->names = names;
    if (names)
        symbolizer->demangler = dlopen("libstdc++.so.6", RTLD_LAZY | RTLD_LOCAL);
    if (symbolizer->demangler != NULL)
        *(void **)(void *)&symbolizer->demangle = dlsym(symbolizer->demangler, "__cxa_demangle");
    return symbolizer;
}

void ull_symbolizer_begin_snapshot(struct ull_symbolizer *symbolizer)
{
    symbolizer->snapshots++;
}

void ull_symbolizer_destroy(struct ull_symbolizer *symbolizer)
{
    if (symbolizer == NULL)
        return;
    for (int i = 0; i < symbolizer->count; i++) {
        if (symbolizer->modules[i].session != NULL)
            dwfl_end(symbolizer->modules[i].session);
        free(symbolizer->modules[i].path);
        free(symbolizer->modules[i].raw_path);
        free(symbolizer->modules[i].symbols);
    }
    ull_arena_fini(&symbolizer->arena);
    free(symbolizer->answers);
    if (symbolizer->demangler != NULL)
        dlclose(symbolizer->demangler);
    free(symbolizer->modules);
    free(symbolizer->debug_path);
    free(symbolizer);
}

int ull_symbolizer_add(struct ull_symbolizer *symbolizer, const struct ull_symbol_module *module)
{
    for (int i = 0; i < symbolizer->count; i++) {
        const struct opened *known = &symbolizer->modules[i];
        if (known->strangers == module->strangers && known->build_id_bytes == module->build_id_bytes && strcmp(known->raw_path, module->raw_path) == 0
            && memcmp(known->build_id, module->build_id, module->build_id_bytes) == 0)
            return i;
    }
    if (symbolizer->count == symbolizer->room) {
        int room = symbolizer->room == 0 ? 32 : symbolizer->room * 2;
        struct opened *grown = reallocarray(symbolizer->modules, (size_t)room, sizeof *grown);
        if (grown == NULL)
            return -1;
        symbolizer->modules = grown;
        symbolizer->room = room;
    }
    struct opened *opened = &symbolizer->modules[symbolizer->count];
    *opened = (struct opened) { .path = strdup(module->path), .raw_path = strdup(module->raw_path),
        .build_id_bytes = module->build_id_bytes, .strangers = module->strangers };
    memcpy(opened->build_id, module->build_id, sizeof opened->build_id);
    if (opened->path == NULL || opened->raw_path == NULL) {
        free(opened->path);
        free(opened->raw_path);
        return -1;
    }
    return symbolizer->count++;
}

/* ---- opening ---- */

/* A file that a stranger named may be one that he changes while it is read, or a device: root's own files are neither. */
static bool may_be_read(const struct stat *found, bool strangers)
{
    return S_ISREG(found->st_mode)
        && (!strangers || (found->st_uid == 0 && (found->st_mode & (S_IWGRP | S_IWOTH)) == 0));
}

/* Looked at before it is opened: opening some devices has effects. */
static int open_regular(const char *path, bool strangers)
{
    char again[32];
    struct stat found;
    int place = ull_sys_openat(AT_FDCWD, path, O_PATH, 0), fd = -1;
    if (place < 0)
        return -1;
    if (ull_sys_fstat(place, &found) == 0 && may_be_read(&found, strangers)) {
        snprintf(again, sizeof again, "/proc/self/fd/%d", place);
        fd = ull_sys_openat(AT_FDCWD, again, O_RDONLY | O_NONBLOCK, 0);
    }
    ull_sys_close(place);
    return fd;
}

static bool is_recorded_build(const struct opened *opened)
{
    const unsigned char *bits;
    GElf_Addr where;
    int length = dwfl_module_build_id(opened->module, &bits, &where);
    if (opened->build_id_bytes == 0 || length <= 0)
        return opened->build_id_bytes == 0 && length <= 0;
    return (uint32_t)length == opened->build_id_bytes && memcmp(bits, opened->build_id, (size_t)length) == 0;
}

static void open_module(struct ull_symbolizer *symbolizer, struct opened *opened)
{
    opened->tried = true;
    if (opened->raw_path[0] != '/')
        return; /* the vDSO */
    int fd = open_regular(opened->raw_path, opened->strangers);
    if (fd < 0)
        return;
    opened->session = dwfl_begin(&symbolizer->callbacks);
    if (opened->session != NULL) {
        dwfl_report_begin(opened->session);
        opened->module = dwfl_report_offline(opened->session, "", opened->raw_path, fd);
        dwfl_report_end(opened->session, NULL, NULL);
    }
    if (opened->module == NULL) {
        ull_sys_close(fd); /* on success it is the session's */
        return;
    }
    opened->changed = !is_recorded_build(opened);
    if (opened->changed || dwfl_module_getelf(opened->module, &opened->bias) == NULL)
        opened->module = NULL;
    else {
        Dwarf_Addr unused;
        opened->no_debug = dwfl_module_getdwarf(opened->module, &unused) == NULL;
    }
}

static struct opened *module_at(struct ull_symbolizer *symbolizer, int module)
{
    if (module < 0 || module >= symbolizer->count)
        return NULL;
    struct opened *opened = &symbolizer->modules[module];
    if (!opened->tried && symbolizer->names)
        open_module(symbolizer, opened);
    return opened;
}

bool ull_symbolizer_changed(const struct ull_symbolizer *symbolizer, int module)
{
    return module >= 0 && module < symbolizer->count && symbolizer->modules[module].changed;
}

bool ull_symbolizer_lacks_debug(const struct ull_symbolizer *symbolizer, const char *object)
{
    for (int i = 0; i < symbolizer->count; i++)
        if (symbolizer->modules[i].no_debug && strcmp(symbolizer->modules[i].path, object) == 0)
            return true;
    return false;
}

/* ---- names ---- */

static const char *copy_text(struct ull_arena *arena, const char *text)
{
    enum { NAME_MAX_BYTES = 4096 }; /* longer ones are cut */
    return text != NULL ? ull_arena_text(arena, text, strnlen(text, NAME_MAX_BYTES)) : NULL;
}

/* Text for people; a mangled C++ name is kept where nothing can demangle it. */
static const char *function_name(const struct ull_symbolizer *symbolizer, struct ull_arena *arena, const char *name)
{
    int status = -1;
    char *plain = NULL;
    if (name != NULL && strncmp(name, "_Z", 2) == 0 && strlen(name) < 16384 && symbolizer->demangle != NULL)
        plain = symbolizer->demangle(name, NULL, NULL, &status);
    const char *kept = copy_text(arena, plain != NULL && status == 0 ? plain : name);
    free(plain);
    return kept;
}

static const char *die_name(Dwarf_Die *die)
{
    Dwarf_Attribute attribute;
    const char *linkage = NULL;
    if (dwarf_attr_integrate(die, DW_AT_linkage_name, &attribute) != NULL)
        linkage = dwarf_formstring(&attribute);
    return linkage != NULL ? linkage : dwarf_diename(die);
}

/* Where an inlined function was called from. */
static void call_site(Dwarf_Die *cu, Dwarf_Die *inlined, const char **file, uint64_t *line)
{
    Dwarf_Attribute attribute;
    Dwarf_Word number;
    Dwarf_Files *files;
    size_t count;
    *file = NULL;
    *line = 0;
    if (dwarf_formudata(dwarf_attr(inlined, DW_AT_call_line, &attribute), &number) == 0)
        *line = number;
    if (dwarf_formudata(dwarf_attr(inlined, DW_AT_call_file, &attribute), &number) == 0
        && dwarf_getsrcfiles(cu, &files, &count) == 0 && number < count)
        *file = dwarf_filesrc(files, number, NULL, NULL);
}

/* The scopes around @address, innermost first, through what was inlined; freed by the caller. */
static int scopes_at(Dwarf_Die *cu, Dwarf_Addr address, Dwarf_Die **scopes)
{
    Dwarf_Die *found = NULL;
    int count = dwarf_getscopes(cu, address, &found);
    if (count <= 0)
        return 0;
    Dwarf_Die innermost = found[0];
    free(found);
    *scopes = NULL;
    count = dwarf_getscopes_die(&innermost, scopes);
    return count > 0 ? count : 0;
}

static unsigned frames_by_dwarf(const struct ull_symbolizer *symbolizer, struct opened *opened, GElf_Addr address,
    struct ull_arena *arena, struct ull_frame *frames, unsigned room)
{
    Dwarf_Addr bias;
    Dwarf_Die *scopes = NULL, *cu = dwfl_module_addrdie(opened->module, address, &bias);
    unsigned filled = 0;
    int line_number = 0;
    if (cu == NULL)
        return 0;
    Dwfl_Line *line = dwfl_module_getsrc(opened->module, address);
    const char *file = line != NULL ? dwfl_lineinfo(line, NULL, &line_number, NULL, NULL, NULL) : NULL;
    uint64_t at_line = line_number > 0 ? (uint64_t)line_number : 0;
    int count = scopes_at(cu, address - bias, &scopes);
    for (int i = 0; i < count && filled < room; i++) {
        int tag = dwarf_tag(&scopes[i]);
        if (tag != DW_TAG_inlined_subroutine && tag != DW_TAG_subprogram)
            continue;
        frames[filled].function = function_name(symbolizer, arena, die_name(&scopes[i]));
        frames[filled].file = copy_text(arena, file);
        frames[filled].line = at_line;
        frames[filled++].inlined = tag == DW_TAG_inlined_subroutine;
        if (tag == DW_TAG_subprogram)
            break;
        call_site(cu, &scopes[i], &file, &at_line);
    }
    free(scopes);
    if (filled > 0)
        frames[filled - 1].inlined = false;
    return filled;
}

/* ---- the symbol table; libdwfl looks through all of it for each address ---- */

static int by_address(const void *a, const void *b)
{
    const struct symbol *left = a, *right = b;
    if (left->start != right->start)
        return left->start < right->start ? -1 : 1;
    if (left->rank != right->rank)
        return left->rank < right->rank ? -1 : 1;
    return left->end < right->end ? -1 : left->end > right->end;
}

static void index_symbols(struct opened *opened)
{
    int count = dwfl_module_getsymtab(opened->module);
    opened->indexed = true;
    opened->symbols = count > 0 ? calloc((size_t)count, sizeof *opened->symbols) : NULL;
    for (int i = 0; opened->symbols != NULL && i < count; i++) {
        GElf_Sym symbol;
        GElf_Addr start;
        const char *name = dwfl_module_getsym_info(opened->module, i, &symbol, &start, NULL, NULL, NULL);
        int type = GELF_ST_TYPE(symbol.st_info), binding = GELF_ST_BIND(symbol.st_info);
        if (name == NULL || name[0] == '\0' || symbol.st_size == 0 || symbol.st_shndx == SHN_UNDEF
            || (type != STT_FUNC && type != STT_GNU_IFUNC && type != STT_NOTYPE))
            continue;
        opened->symbols[opened->symbol_count++] = (struct symbol) { start, start + symbol.st_size, name,
            binding == STB_GLOBAL ? 0 : binding == STB_WEAK ? 1 : 2 };
    }
    if (opened->symbol_count > 0)
        qsort(opened->symbols, opened->symbol_count, sizeof *opened->symbols, by_address);
}

/* Only where a symbol really covers the address: the nearest one before would be a guess. */
static const char *covering_symbol(struct opened *opened, GElf_Addr address)
{
    enum { NESTED_MAX = 16 }; /* symbols that begin inside a longer one, looked past */
    if (!opened->indexed)
        index_symbols(opened);
    size_t low = 0, high = opened->symbol_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (opened->symbols[middle].start <= address)
            low = middle + 1;
        else
            high = middle;
    }
    for (size_t back = 0; back < NESTED_MAX && back < low; back++) {
        const struct symbol *symbol = &opened->symbols[low - 1 - back];
        if (address >= symbol->end)
            continue;
        while (symbol > opened->symbols && symbol[-1].start == symbol->start && symbol[-1].end > address)
            symbol--; /* the best of several names */
        return symbol->name;
    }
    return NULL;
}

/* ---- answers ---- */

static struct answer *answer_slot(const struct ull_symbolizer *symbolizer, int module, uint64_t offset)
{
    size_t mask = symbolizer->answer_room - 1;
    size_t at = (size_t)ull_mix64(offset ^ (uint64_t)(unsigned)module << 48) & mask;
    while (symbolizer->answers[at].count != 0
        && (symbolizer->answers[at].offset != offset || symbolizer->answers[at].module != module))
        at = (at + 1) & mask;
    return &symbolizer->answers[at];
}

static bool make_room_for_answer(struct ull_symbolizer *symbolizer)
{
    if (symbolizer->answer_room != 0 && symbolizer->answer_count * 2 < symbolizer->answer_room)
        return true;
    struct ull_symbolizer grown = *symbolizer;
    grown.answer_room = symbolizer->answer_room == 0 ? 1024 : symbolizer->answer_room * 2;
    grown.answers = calloc(grown.answer_room, sizeof *grown.answers);
    if (grown.answers == NULL)
        return false;
    for (size_t i = 0; i < symbolizer->answer_room; i++)
        if (symbolizer->answers[i].count != 0)
            *answer_slot(&grown, symbolizer->answers[i].module, symbolizer->answers[i].offset) = symbolizer->answers[i];
    free(symbolizer->answers);
    symbolizer->answers = grown.answers;
    symbolizer->answer_room = grown.answer_room;
    return true;
}

static unsigned find_frames(struct ull_symbolizer *symbolizer, struct opened *opened, uint64_t offset,
    struct ull_frame *frames, unsigned room)
{
    unsigned filled = 0;
    memset(frames, 0, room * sizeof frames[0]);
    if (opened->module != NULL && offset != 0) {
        GElf_Addr address = opened->bias + offset - 1; /* the call, not what follows it */
        filled = frames_by_dwarf(symbolizer, opened, address, &symbolizer->arena, frames, room);
        if (filled == 0)
            frames[0].function = function_name(symbolizer, &symbolizer->arena, covering_symbol(opened, address));
    }
    return filled == 0 ? 1 : filled;
}

/* The frames of an address, remembered; NULL without memory. */
static struct answer *answer_for(struct ull_symbolizer *symbolizer, int module, struct opened *opened, uint64_t offset)
{
    enum { FRAMES_MAX = 64 };
    struct ull_frame frames[FRAMES_MAX];
    if (!make_room_for_answer(symbolizer))
        return NULL;
    struct answer *slot = answer_slot(symbolizer, module, offset);
    if (slot->count != 0)
        return slot;
    unsigned count = find_frames(symbolizer, opened, offset, frames, FRAMES_MAX);
    struct ull_frame *kept = ull_arena_alloc(&symbolizer->arena, count, sizeof frames[0]);
    if (kept == NULL)
        return NULL;
    memcpy(kept, frames, count * sizeof frames[0]);
    *slot = (struct answer) { offset, module, count, kept, 0, NULL };
    symbolizer->answer_count++;
    return slot;
}

static const struct ull_frame *copies_in(uint64_t snapshot, struct answer *answer, struct ull_arena *arena)
{
    if (answer->copied_in == snapshot)
        return answer->copies;
    struct ull_frame *copies = ull_arena_alloc(arena, answer->count, sizeof *copies);
    if (copies == NULL)
        return NULL;
    for (unsigned i = 0; i < answer->count; i++) {
        copies[i] = answer->frames[i];
        copies[i].function = copy_text(arena, answer->frames[i].function);
        copies[i].file = copy_text(arena, answer->frames[i].file);
    }
    answer->copied_in = snapshot;
    answer->copies = copies;
    return copies;
}

unsigned ull_symbolizer_frames(struct ull_symbolizer *symbolizer, int module, uint64_t offset, const char *object,
    struct ull_arena *arena, struct ull_frame *frames, unsigned room)
{
    struct opened *opened = module_at(symbolizer, module);
    if (room == 0)
        return 0;
    struct answer *answer = opened != NULL ? answer_for(symbolizer, module, opened, offset) : NULL;
    const struct ull_frame *copies = answer != NULL ? copies_in(symbolizer->snapshots, answer, arena) : NULL;
    unsigned count = copies == NULL ? 1 : answer->count < room ? answer->count : room;
    memset(frames, 0, count * sizeof frames[0]);
    for (unsigned i = 0; i < count; i++) {
        if (copies != NULL)
            frames[i] = copies[i];
        frames[i].object = object;
        frames[i].offset = offset;
    }
    return count;
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

bool ull_symbol_is_wrapper(const struct ull_frame *frame)
{
    static const char *const objects[] = { "libc.so.", "libc-2.", "ld-linux", "libstdc++.so.", "libc++.so.",
        "libgcc_s.so.", "libjemalloc.so.", "libtcmalloc", "libmimalloc.so", "libullage" };
    static const char *const functions[] = { "operator new", "std::", "__gnu_cxx::", "void std::", "std::pmr" };
    const char *name = frame->object != NULL ? strrchr(frame->object, '/') : NULL;
    name = name != NULL ? name + 1 : frame->object;
    for (size_t i = 0; name != NULL && i < sizeof objects / sizeof objects[0]; i++)
        if (begins(name, objects[i]))
            return true;
    for (size_t i = 0; frame->function != NULL && i < sizeof functions / sizeof functions[0]; i++)
        if (begins(frame->function, functions[i]))
            return true;
    return false;
}
