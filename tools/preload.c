/* SPDX-License-Identifier: BSD-2-Clause */
/* preload.c - finding the interposer, and recognizing programs that cannot load it. */
#include "config.h"

#include "preload.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIBRARY "libullage-preload.so"

int preload_find(char *path, size_t room)
{
    char here[4096];
    const char *named = getenv("ULLAGE_PRELOAD");
    if (named != NULL && named[0] != '\0') {
        snprintf(path, room, "%s", named);
        return access(path, R_OK) == 0 ? 0 : -errno;
    }
    ssize_t length = readlink("/proc/self/exe", here, sizeof here - 1);
    here[length > 0 ? length : 0] = '\0';
    char *slash = strrchr(here, '/');
    if (slash != NULL)
        *slash = '\0';
    const char *const places[][2] = { { here, "/.libs/" LIBRARY }, { PKGLIBDIR, "/" LIBRARY },
        { here, "/../lib/ullage/" LIBRARY } };
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        int made = snprintf(path, room, "%s%s", places[i][0], places[i][1]);
        if (made > 0 && (size_t)made < room && access(path, R_OK) == 0)
            return 0;
    }
    snprintf(path, room, "%s/%s", PKGLIBDIR, LIBRARY);
    return -ENOENT;
}

/* Does a 64-bit program file ask for a dynamic loader? */
static bool has_interpreter(int fd, const Elf64_Ehdr *header)
{
    for (unsigned i = 0; i < header->e_phnum; i++) {
        Elf64_Phdr segment;
        off_t at = (off_t)(header->e_phoff + (uint64_t)i * sizeof segment);
        if (pread(fd, &segment, sizeof segment, at) != (ssize_t)sizeof segment)
            return true; /* damaged: the kernel will say so */
        if (segment.p_type == PT_INTERP)
            return true;
    }
    return false;
}

/* ---- an allocator of the program's own ---- */

/* A program file, mapped; every offset in it is checked. */
struct image {
    const unsigned char *bytes;
    size_t size;
};

static const void *at(const struct image *image, uint64_t offset, uint64_t bytes)
{
    return offset <= image->size && bytes <= image->size - offset ? image->bytes + offset : NULL;
}

static bool names_malloc(const struct image *image, const Elf64_Shdr *symbols, const Elf64_Shdr *names)
{
    const char *text = at(image, names->sh_offset, names->sh_size);
    uint64_t count = symbols->sh_size / sizeof(Elf64_Sym);
    const Elf64_Sym *table = at(image, symbols->sh_offset, count * sizeof *table);
    if (text == NULL || table == NULL || symbols->sh_offset % 8 != 0 || names->sh_size == 0
        || text[names->sh_size - 1] != '\0')
        return false;
    for (uint64_t i = 0; i < count; i++) {
        const Elf64_Sym *symbol = &table[i];
        if (symbol->st_shndx != SHN_UNDEF && ELF64_ST_TYPE(symbol->st_info) == STT_FUNC
            && symbol->st_name < names->sh_size && strcmp(text + symbol->st_name, "malloc") == 0)
            return true;
    }
    return false;
}

static bool defines_malloc(const struct image *image, const Elf64_Ehdr *header)
{
    const Elf64_Shdr *sections = at(image, header->e_shoff, (uint64_t)header->e_shnum * sizeof *sections);
    if (sections == NULL || header->e_shentsize != sizeof *sections || header->e_shoff % 8 != 0)
        return false;
    for (unsigned i = 0; i < header->e_shnum; i++)
        if ((sections[i].sh_type == SHT_SYMTAB || sections[i].sh_type == SHT_DYNSYM)
            && sections[i].sh_link < header->e_shnum
            && names_malloc(image, &sections[i], &sections[sections[i].sh_link]))
            return true;
    return false;
}

static bool has_own_malloc(int fd, const Elf64_Ehdr *header, off_t size)
{
    struct image image = { NULL, (size_t)size };
    void *mapped = mmap(NULL, image.size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (mapped == MAP_FAILED)
        return false;
    image.bytes = mapped;
    bool own = defines_malloc(&image, header);
    munmap(mapped, image.size);
    return own;
}

const char *preload_obstacle(const char *program)
{
    Elf64_Ehdr header;
    struct stat found;
    const char *obstacle = NULL;
    int fd = open(program, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return NULL;
    ssize_t got = read(fd, &header, sizeof header);
    if (fstat(fd, &found) == 0 && (found.st_mode & (S_ISUID | S_ISGID)) != 0 && geteuid() != 0)
        obstacle = "is setuid or setgid, and such programs load nothing for the user";
    else if (got >= EI_NIDENT && memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 && header.e_ident[EI_CLASS] != ELFCLASS64)
        obstacle = "is a 32-bit program, and this ullage is a 64-bit one";
    else if (got == (ssize_t)sizeof header && memcmp(header.e_ident, ELFMAG, SELFMAG) == 0
        && !has_interpreter(fd, &header))
        obstacle = "is linked statically, so that nothing can stand before its malloc: link it dynamically";
    else if (got == (ssize_t)sizeof header && memcmp(header.e_ident, ELFMAG, SELFMAG) == 0
        && has_own_malloc(fd, &header, found.st_size))
        obstacle = "has an allocator of its own linked in (it defines malloc), so that only what its libraries ask for "
            "can be seen: link the allocator as a shared library";
    close(fd);
    return obstacle;
}
