/* SPDX-License-Identifier: BSD-2-Clause */
/* registry.c - the benchmarks of this program: what constructors registered, one case for each argument and number of threads. */
#include "config.h"

#include "harness.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct ullage_bench_entry *first, **last = &first;

void ullage_bench_register(struct ullage_bench_entry *entry)
{
    if (entry->next != NULL || last == &entry->next)
        return; /* it is there already */
    *last = entry;
    last = &entry->next;
}

/* One that was computed: entry, name and argument in one piece. */
struct added {
    struct ullage_bench_entry entry;
    int64_t argument;
    unsigned threads;
    char name[];
};

/* The name says all there is to say: it gets no argument and no threads of its own. */
static bool is_added(const struct ullage_bench_entry *entry)
{
    return entry->is_group == 2;
}

int ullage_bench_add(const char *name, ullage_bench_fn function, int64_t argument, unsigned threads)
{
    size_t bytes = strlen(name) + 1;
    struct added *added = calloc(1, sizeof *added + bytes);
    if (added == NULL)
        return -ENOMEM;
    memcpy(added->name, name, bytes);
    added->argument = argument;
    added->threads = threads == 0 ? 1 : threads;
    added->entry = (struct ullage_bench_entry) { added->name, function, &added->argument, 1, &added->threads, 1, 2, NULL };
    ullage_bench_register(&added->entry);
    return 0;
}

static struct ull_case case_of(const struct ullage_bench_entry *entry, size_t argument, size_t threads)
{
    struct ull_case one = { .function = entry->function, .threads = 1, .is_group = entry->is_group == 1 };
    int filled = snprintf(one.name, sizeof one.name, "%s", entry->name);
    if (entry->arguments != NULL) {
        one.argument = entry->arguments[argument];
        if (!is_added(entry) && filled > 0 && (size_t)filled < sizeof one.name)
            filled += snprintf(one.name + filled, sizeof one.name - (size_t)filled, "/%" PRId64, one.argument);
    }
    if (entry->threads != NULL) {
        one.threads = entry->threads[threads];
        if (!is_added(entry) && filled > 0 && (size_t)filled < sizeof one.name)
            snprintf(one.name + filled, sizeof one.name - (size_t)filled, "/threads:%u", one.threads);
    }
    return one;
}

int ull_registry_each(int (*each)(void *context, const struct ull_case *one), void *context)
{
    for (const struct ullage_bench_entry *entry = first; entry != NULL; entry = entry->next) {
        size_t arguments = entry->arguments != NULL ? entry->argument_count : 1;
        size_t threads = entry->threads != NULL ? entry->thread_count : 1;
        for (size_t i = 0; i < arguments * threads; i++) {
            struct ull_case one = case_of(entry, i / threads, i % threads);
            int result = each(context, &one);
            if (result != 0)
                return result;
        }
    }
    return 0;
}

/* ---- what is wrong with it ---- */

struct names {
    char (*all)[ULL_BENCH_NAME_BYTES];
    size_t count, room;
    const char *fault;
    char text[ULL_BENCH_NAME_BYTES + 64];
};

const char *ull_registry_name_fault(const char *name)
{
    if (name[0] == '\0' || strlen(name) >= ULL_BENCH_NAME_BYTES - 1)
        return "a name is empty or over 254 bytes long";
    for (const char *at = name; *at != '\0'; at++)
        if (*at <= ' ' || *at > '~')
            return "a name has a space or something that is no printable ASCII";
    return NULL;
}

static const char *fault_of(const struct ull_case *one)
{
    const char *fault = ull_registry_name_fault(one->name);
    if (fault != NULL)
        return fault;
    if (one->threads == 0 || one->threads > ULL_BENCH_THREADS_MAX)
        return "it asks for no thread, or for over 1,024";
    return NULL;
}

static int note_name(void *context, const struct ull_case *one)
{
    struct names *names = context;
    const char *fault = fault_of(one);
    if (fault == NULL) {
        if (names->count == names->room) {
            names->room = names->room == 0 ? 64 : names->room * 2;
            void *grown = realloc(names->all, names->room * sizeof names->all[0]);
            if (grown == NULL)
                return 1;
            names->all = grown;
        }
        memcpy(names->all[names->count++], one->name, sizeof one->name);
        return 0;
    }
    snprintf(names->text, sizeof names->text, "%.200s: %s", one->name, fault);
    names->fault = names->text;
    return 1;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

const char *ull_registry_fault(void)
{
    static struct names names;
    (void)ull_registry_each(note_name, &names);
    if (names.fault == NULL && names.count > 1) {
        qsort(names.all, names.count, sizeof names.all[0], by_name);
        for (size_t i = 1; i < names.count && names.fault == NULL; i++)
            if (strcmp(names.all[i - 1], names.all[i]) == 0) {
                snprintf(names.text, sizeof names.text, "%.200s: two benchmarks have this name", names.all[i]);
                names.fault = names.text;
            }
    }
    free(names.all);
    names.all = NULL;
    names.count = names.room = 0;
    return names.fault;
}
