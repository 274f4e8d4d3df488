/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * budget.c - the public budgets: the core of ledger/budget.c, and its listing in the process's ledger.
 *
 * A budget is listed at the first call that finds a recorder which can: as a rule when it is made. A forked child lists
 * what it inherited in its own ledger at the first call there.
 */
#include "config.h"

#include "ullage/budget.h"

#include "base/atomic.h"
#include "ledger/budget.h"
#include "measure/begin.h"
#include "measure/state.h"

#include <errno.h>

#define recorder ull_recorder

/* Place in recorder.forked[]. */
enum { FORKED_BUDGETS = 2 };

/* Room for the longest name at once: a budget may be renamed, and its slot used again, and neither makes the ledger longer. */
static void list(struct ullage_budget *b)
{
    static const char blank[ULL_BUDGET_NAME_BYTES - 1];
    int64_t string = ull_ledger_add_string(&recorder.ledger, blank, sizeof blank);
    int64_t index = string >= 0 ? ull_ledger_reserve(&recorder.ledger, ULL_TABLE_BUDGETS, 1) : -1;
    if (index < 0) {
        ull_budget_listed(b, NULL, 0, NULL, 0);
        return;
    }
    ull_budget_listed(b, ull_ledger_at(&recorder.ledger, ULL_TABLE_BUDGETS, (uint64_t)index), (uint32_t)index + 1,
        ull_ledger_at(&recorder.ledger, ULL_TABLE_STRINGS, (uint64_t)string), (uint64_t)string + 1);
}

static void attach(struct ullage_budget *b)
{
    int kept = errno;
    ull_life_check_fork(); /* by a bare clone(2): what was listed is the parent's */
    if (ull_load_relaxed(&b->listing) == ULL_BUDGET_NOT_LISTED && ull_recorder_enter()) {
        if (ull_recorder_recording() && ull_budget_claim_listing(b))
            list(b);
        ull_recorder_leave();
    }
    errno = kept;
}

int ullage_budget_create(struct ullage_budget **out, size_t max_bytes)
{
    ull_begin_if_needed();
    ull_store_relaxed(&recorder.forked[FORKED_BUDGETS], ull_budget_forked);
    ull_store_release(&ull_budget_attach, attach);
    return ull_budget_create(out, max_bytes);
}

void ullage_budget_destroy(struct ullage_budget *b)
{
    ull_budget_destroy(b);
}

int ullage_budget_name(struct ullage_budget *b, const char *name)
{
    return ull_budget_name(b, name);
}

int ullage_budget_charge(struct ullage_budget *b, size_t bytes)
{
    return ull_budget_try(b, bytes);
}

int ullage_budget_charge_wait(struct ullage_budget *b, size_t bytes, int timeout_ms)
{
    return ull_budget_wait(b, bytes, timeout_ms);
}

void ullage_budget_release(struct ullage_budget *b, size_t bytes)
{
    ull_budget_give(b, bytes);
}

int ullage_budget_event_fd(struct ullage_budget *b)
{
    return ull_budget_event_fd(b);
}

size_t ullage_budget_used(const struct ullage_budget *b)
{
    return ull_budget_used(b);
}

size_t ullage_budget_peak(const struct ullage_budget *b)
{
    return ull_budget_peak(b);
}

size_t ullage_budget_max(const struct ullage_budget *b)
{
    return ull_budget_max(b);
}
