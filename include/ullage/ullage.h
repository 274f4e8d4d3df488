/* SPDX-License-Identifier: BSD-2-Clause */
/* ullage/ullage.h - all of the write side. */
#ifndef ULLAGE_ULLAGE_H
#define ULLAGE_ULLAGE_H

#include <ullage/jemalloc.h>
#include <ullage/profile.h>
#include <ullage/recording.h>

#endif
