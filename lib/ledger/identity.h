/* SPDX-License-Identifier: BSD-2-Clause */
/* identity.h - who this process is, for the header of its ledger. */
#ifndef ULL_LEDGER_IDENTITY_H
#define ULL_LEDGER_IDENTITY_H

#include "ledger/format.h"

/* Fills pid, parent, user, start times, namespace, boot and command line. What /proc does not tell stays 0. */
void ull_identity_fill(struct ull_ledger_header *header);

#endif
