/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check.h - assertions in two levels.
 *
 * ull_invariant() is always on: a broken one means that our own books are wrong and going on would harm somebody.
 * ull_debug_check() costs too much for the hot paths and exists in builds with -DULL_DEBUG_CHECKS only (the sanitizer
 * builds). Neither is for bad input: bad input is an error that is returned.
 */
#ifndef ULL_BASE_CHECK_H
#define ULL_BASE_CHECK_H

/* Says what broke on standard error without allocating, then aborts. */
__attribute__((noreturn, cold)) void ull_check_failed(const char *what, const char *file, int line);

#define ull_invariant(condition) \
    ((condition) ? (void)0 : ull_check_failed(#condition, __FILE__, __LINE__))

#ifdef ULL_DEBUG_CHECKS
#define ull_debug_check(condition) ull_invariant(condition)
#else
#define ull_debug_check(condition) ((void)sizeof(condition))
#endif

#define ull_likely(x) __builtin_expect(!!(x), 1)
#define ull_unlikely(x) __builtin_expect(!!(x), 0)

#endif
