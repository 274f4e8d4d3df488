/* SPDX-License-Identifier: BSD-2-Clause */
/* ullage/ullage.h - all of the write side. */
#ifndef ULLAGE_ULLAGE_H
#define ULLAGE_ULLAGE_H

#include <ullage/alloc.h>
#include <ullage/budget.h>
#include <ullage/record.h>
#include <ullage/buffer.h>
#include <ullage/jemalloc.h>
#include <ullage/pool.h>
#include <ullage/profile.h>
#include <ullage/recording.h>
#include <ullage/site.h>

#endif
