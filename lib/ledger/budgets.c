/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * budgets.c - where budgets lie, and what the ledger has of them.
 *
 * One table, mapped once. Slots: 0 -> making -> live -> ending -> gone -> making ...; each step is one compare-and-swap of
 * the magic. They are taken in turn, so that a pointer to a destroyed budget is known for one until 1,023 more were made.
 *
 * What the ledger says is copied after each change, and compared again after copying: the last who writes an entry has
 * seen the change of everybody who wrote before.
 */
#include "config.h"

#include "ledger/budgets.h"

#include "base/arith.h"
#include "base/atomic.h"
#include "base/misuse.h"
#include "base/sys.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define MAGIC_MAKING UINT64_C(0x6275646765740001)
#define MAGIC_LIVE UINT64_C(0x6275646765740002)
#define MAGIC_ENDING UINT64_C(0x6275646765740003)
#define MAGIC_GONE UINT64_C(0x6275646765740004)

static struct {
    struct ullage_budget *slots; /* ULL_BUDGETS_MAX of them; NULL until the first is made; atomic */
    uint64_t next;               /* budgets made so far: where to look first; atomic */
} table;

void (*ull_budget_attach)(struct ullage_budget *b);
bool (*ull_budget_make_room)(const struct ullage_budget *b);

/* ---- names, and misuse ---- */

/* Names may be changed by another thread meanwhile: then the text is of both, and ends. */
static void copy_name(char to[ULL_BUDGET_NAME_BYTES], const char *from)
{
    for (size_t i = 0; i < ULL_BUDGET_NAME_BYTES - 1; i++)
        ull_store_relaxed(&to[i], ull_load_relaxed(&from[i]));
    ull_store_relaxed(&to[ULL_BUDGET_NAME_BYTES - 1], '\0');
}

void ull_budget_get_name(const struct ullage_budget *b, char name[ULL_BUDGET_NAME_BYTES])
{
    copy_name(name, b->name);
    if (name[0] == '\0')
        strcpy(name, "(unnamed)");
}

static bool is_in_table(const struct ullage_budget *b)
{
    uintptr_t start = (uintptr_t)ull_load_acquire(&table.slots), at = (uintptr_t)b;
    return start != 0 && at >= start && at - start < ULL_BUDGETS_MAX * sizeof *b && (at - start) % sizeof *b == 0;
}

__attribute__((cold, noinline)) static void say_dead(const struct ullage_budget *b, const char *call)
{
    char name[ULL_BUDGET_NAME_BYTES];
    if (!is_in_table(b) || ull_load_relaxed(&b->magic) == 0) {
        ull_misuse("%s of %p, which is no budget: pass what ullage_budget_create() gave", call, (const void *)b);
        return;
    }
    ull_budget_get_name(b, name);
    ull_misuse("%s of the budget \"%s\" after it was destroyed: destroy a budget after its last pool and reader, and after "
               "all its bytes were released", call, name);
}

bool ull_budget_is_live(const struct ullage_budget *b, const char *call)
{
    if (is_in_table(b) && ull_load_acquire(&b->magic) == MAGIC_LIVE)
        return true;
    say_dead(b, call);
    return false;
}

/* ---- the ledger ---- */

void ull_budget_settle(struct ullage_budget *b)
{
    void (*hook)(struct ullage_budget *b) = ull_load_acquire(&ull_budget_attach);
    if (hook != NULL)
        hook(b);
}

/* Who exchanges last has acquired what all before him changed, and finds it in the word. */
void ull_budget_publish(struct ullage_budget *b)
{
    struct ull_budget_entry *entry = ull_load_acquire(&b->entry);
    uint64_t used;
    if (entry == NULL)
        return;
    ull_max_relaxed(&entry->peak_bytes, ull_load_relaxed(&b->peak_bytes));
    ull_max_relaxed(&entry->refused_count, ull_load_relaxed(&b->refused_count));
    ull_max_relaxed(&entry->waits_count, ull_load_relaxed(&b->waits_count));
    do {
        used = ull_load_relaxed(&b->word) & ULL_BUDGET_USED_MASK;
        (void)ull_exchange_acq_rel(&entry->used_bytes, used);
    } while ((ull_load_relaxed(&b->word) & ULL_BUDGET_USED_MASK) != used);
}

/* Without a name until it has one. */
static void publish_name(struct ullage_budget *b, struct ull_budget_entry *entry)
{
    copy_name(b->text, b->name);
    ull_store_release(&entry->name, ull_load_relaxed(&b->name[0]) != '\0' ? b->string : UINT64_C(0));
}

/* While it is not ready, readers leave it out: it may have been another budget's. */
static void fill_entry(struct ullage_budget *b, struct ull_budget_entry *entry)
{
    publish_name(b, entry);
    ull_store_relaxed(&entry->max_bytes, b->max_bytes);
    ull_store_relaxed(&entry->used_bytes, UINT64_C(0));
    ull_store_relaxed(&entry->peak_bytes, UINT64_C(0));
    ull_store_relaxed(&entry->refused_count, UINT64_C(0));
    ull_store_relaxed(&entry->waits_count, UINT64_C(0));
    ull_store_relaxed(&entry->destroyed, UINT64_C(0));
    ull_store_release(&entry->ready, UINT64_C(1));
}

bool ull_budget_claim_listing(struct ullage_budget *b)
{
    uint32_t not_listed = ULL_BUDGET_NOT_LISTED;
    return ull_load_relaxed(&b->listing) == ULL_BUDGET_NOT_LISTED
        && ull_cas_acq_rel(&b->listing, &not_listed, (uint32_t)ULL_BUDGET_BEING_LISTED);
}

void ull_budget_listed(struct ullage_budget *b, struct ull_budget_entry *entry, uint32_t index, char *text, uint64_t string)
{
    if (entry == NULL) {
        ull_store_release(&b->listing, (uint32_t)ULL_BUDGET_UNLISTABLE);
        return;
    }
    b->text = text;
    b->string = string;
    fill_entry(b, entry);
    ull_store_relaxed(&b->index, index);
    ull_store_release(&b->entry, entry);
    ull_budget_publish(b);
    ull_store_release(&b->listing, (uint32_t)ULL_BUDGET_LISTED);
}

uint32_t ull_budget_slot(const struct ullage_budget *b)
{
    return (uint32_t)(b - ull_load_acquire(&table.slots));
}

struct ullage_budget *ull_budget_at(uint32_t slot)
{
    return &ull_load_acquire(&table.slots)[slot];
}

uint32_t ull_budget_index(const struct ullage_budget *b)
{
    return ull_load_relaxed(&b->index);
}

/* ---- making and destroying ---- */

static struct ullage_budget *slots(int *error)
{
    struct ullage_budget *first = ull_load_acquire(&table.slots), *none = NULL;
    if (first != NULL)
        return first;
    size_t bytes = ULL_BUDGETS_MAX * sizeof *first;
    first = ull_sys_mmap(bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0, error);
    if (first != NULL && !ull_cas_acq_rel(&table.slots, &none, first)) {
        ull_sys_munmap(first, bytes);
        first = none;
    }
    return first;
}

/* The one that was destroyed the longest ago, or nearly. */
static struct ullage_budget *take_slot(struct ullage_budget *first)
{
    uint64_t from = ull_add_relaxed(&table.next, 1U);
    for (uint64_t i = 0; i < ULL_BUDGETS_MAX; i++) {
        struct ullage_budget *b = &first[(from + i) % ULL_BUDGETS_MAX];
        uint64_t magic = ull_load_relaxed(&b->magic);
        if ((magic == 0 || magic == MAGIC_GONE) && ull_cas_acq_rel(&b->magic, &magic, MAGIC_MAKING))
            return b;
    }
    return NULL;
}

static void prepare(struct ullage_budget *b, uint64_t max_bytes)
{
    struct ull_budget_entry *entry = ull_load_acquire(&b->entry);
    b->max_bytes = ull_min_u64(max_bytes, ULL_BUDGET_USED_MASK); /* more than there are addresses, too */
    ull_store_relaxed(&b->word, UINT64_C(0));
    ull_store_relaxed(&b->peak_bytes, UINT64_C(0));
    ull_store_relaxed(&b->refused_count, UINT64_C(0));
    ull_store_relaxed(&b->waits_count, UINT64_C(0));
    ull_store_relaxed(&b->reserve_bytes, UINT64_C(0));
    copy_name(b->name, (const char[ULL_BUDGET_NAME_BYTES]) { "" });
    if (entry != NULL) {
        ull_store_release(&entry->ready, UINT64_C(0));
        fill_entry(b, entry);
    }
}

int ull_budget_create(struct ullage_budget **out, size_t max_bytes)
{
    int error = -ENOMEM;
    if (max_bytes == 0)
        return -EINVAL;
    struct ullage_budget *first = slots(&error);
    if (first == NULL)
        return error;
    struct ullage_budget *b = take_slot(first);
    if (b == NULL)
        return -ENOSPC;
    prepare(b, max_bytes);
    ull_store_release(&b->magic, MAGIC_LIVE);
    ull_budget_settle(b);
    *out = b;
    return 0;
}

static void end(struct ullage_budget *b)
{
    ull_budget_close_event(b);
    struct ull_budget_entry *entry = ull_load_acquire(&b->entry);
    if (entry != NULL)
        ull_store_release(&entry->destroyed, UINT64_C(1));
    ull_store_release(&b->magic, MAGIC_GONE);
}

void ull_budget_destroy(struct ullage_budget *b)
{
    char name[ULL_BUDGET_NAME_BYTES];
    uint64_t live = MAGIC_LIVE;
    if (b == NULL || !ull_budget_is_live(b, "destroy"))
        return;
    ull_budget_settle(b);
    size_t used = ull_budget_used(b);
    if (used != 0) {
        ull_budget_get_name(b, name);
        ull_misuse("destroy of the budget \"%s\" while %zu bytes are charged; nothing was destroyed: destroy its pools and "
                   "readers first, and release what the program charged itself", name, used);
        return;
    }
    if (ull_cas_acq_rel(&b->magic, &live, MAGIC_ENDING))
        end(b);
    else
        say_dead(b, "destroy");
}

int ull_budget_name(struct ullage_budget *b, const char *name)
{
    char padded[ULL_BUDGET_NAME_BYTES] = "";
    size_t length = 0;
    if (!ull_budget_is_live(b, "naming"))
        return -EINVAL;
    for (; name != NULL && name[length] >= ' ' && name[length] <= '~' && length < sizeof padded - 1; length++)
        padded[length] = name[length];
    if (length == 0 || name[length] != '\0')
        return -EINVAL;
    ull_budget_settle(b);
    copy_name(b->name, padded);
    struct ull_budget_entry *entry = ull_load_acquire(&b->entry);
    if (entry != NULL)
        publish_name(b, entry);
    return 0;
}

/* ---- fork ---- */

/*
 * The word stays with its bits: who was refused may be the one who forked, and is told here as well, by a descriptor of
 * its own. A slot that another thread was making or ending is nobody's here.
 */
static void start_anew(struct ullage_budget *b)
{
    b->telling = 0;
    b->event = 0; /* not closed: the program may have closed it, and opened something else there */
    b->listing = ULL_BUDGET_NOT_LISTED;
    b->index = 0;
    b->entry = NULL;
    b->text = NULL;
    if (b->magic == MAGIC_MAKING || b->magic == MAGIC_ENDING)
        b->magic = MAGIC_GONE;
}

void ull_budget_forked(void)
{
    for (uint64_t i = 0; table.slots != NULL && i < ull_min_u64(table.next, ULL_BUDGETS_MAX); i++)
        start_anew(&table.slots[i]);
}
