/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * unrecorded.c - in place of library.c, for a program of ours that links the objects and is no subject itself: the recorder is never
 * set up, so that no ledger is made, whatever it calls.
 */
#include "config.h"

#include "measure/begin.h"

void ull_begin_if_needed(void)
{
}
