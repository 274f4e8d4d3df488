/* SPDX-License-Identifier: BSD-2-Clause */
/* budgets.h - between budget.c, which counts, and budgets.c, where they lie and are listed. Nobody else includes it. */
#ifndef ULL_LEDGER_BUDGETS_H
#define ULL_LEDGER_BUDGETS_H

#include "ledger/budget.h"

/* False, after misuse was told: it is none, or no more. @call: what was asked of it, as a noun. */
bool ull_budget_is_live(const struct ullage_budget *b, const char *call);

/* As a sentence has it: "(unnamed)" where it has none. */
void ull_budget_get_name(const struct ullage_budget *b, char name[ULL_BUDGET_NAME_BYTES]);

/* Before a call changes it: see ull_budget_attach. */
void ull_budget_settle(struct ullage_budget *b);

/* After a call changed it: brings its entry in the ledger up to date. */
void ull_budget_publish(struct ullage_budget *b);

/* Nobody may charge any more. Closes the event descriptor, after those who are about to write to it. */
void ull_budget_close_event(struct ullage_budget *b);

#endif
