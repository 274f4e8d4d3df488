/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * new.c - operator new and delete of C++, in all their forms.
 *
 * libstdc++'s call malloc and free, which are interposed already: those are passed through. jemalloc, mimalloc and
 * tcmalloc bring their own, most of which do not: there the buffer is recorded here, unless a malloc inside did it. Which
 * library it is, is looked up in the constructor. The names are those of the Itanium C++ ABI for a 64-bit size_t. Exceptions pass through: a frame
 * of C without anything to clean up.
 */
#include "config.h"

#include "preload/next.h"
#include "preload/record.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* X(symbol, parameters, arguments) */
#define ULL_NEW_FORMS(X) \
    X(_Znwm, (size_t bytes), (bytes)) \
    X(_Znam, (size_t bytes), (bytes)) \
    X(_ZnwmRKSt9nothrow_t, (size_t bytes, const void *nothrow), (bytes, nothrow)) \
    X(_ZnamRKSt9nothrow_t, (size_t bytes, const void *nothrow), (bytes, nothrow)) \
    X(_ZnwmSt11align_val_t, (size_t bytes, size_t align), (bytes, align)) \
    X(_ZnamSt11align_val_t, (size_t bytes, size_t align), (bytes, align)) \
    X(_ZnwmSt11align_val_tRKSt9nothrow_t, (size_t bytes, size_t align, const void *nothrow), (bytes, align, nothrow)) \
    X(_ZnamSt11align_val_tRKSt9nothrow_t, (size_t bytes, size_t align, const void *nothrow), (bytes, align, nothrow))

#define ULL_DELETE_FORMS(X) \
    X(_ZdlPv, (void *buffer), (buffer)) \
    X(_ZdaPv, (void *buffer), (buffer)) \
    X(_ZdlPvm, (void *buffer, size_t bytes), (buffer, bytes)) \
    X(_ZdaPvm, (void *buffer, size_t bytes), (buffer, bytes)) \
    X(_ZdlPvRKSt9nothrow_t, (void *buffer, const void *nothrow), (buffer, nothrow)) \
    X(_ZdaPvRKSt9nothrow_t, (void *buffer, const void *nothrow), (buffer, nothrow)) \
    X(_ZdlPvSt11align_val_t, (void *buffer, size_t align), (buffer, align)) \
    X(_ZdaPvSt11align_val_t, (void *buffer, size_t align), (buffer, align)) \
    X(_ZdlPvmSt11align_val_t, (void *buffer, size_t bytes, size_t align), (buffer, bytes, align)) \
    X(_ZdaPvmSt11align_val_t, (void *buffer, size_t bytes, size_t align), (buffer, bytes, align)) \
    X(_ZdlPvSt11align_val_tRKSt9nothrow_t, (void *buffer, size_t align, const void *nothrow), (buffer, align, nothrow)) \
    X(_ZdaPvSt11align_val_tRKSt9nothrow_t, (void *buffer, size_t align, const void *nothrow), (buffer, align, nothrow))

/* One for each form, in the order of the lists above. */
enum {
#define FORM_NUMBER(symbol, parameters, arguments) FORM##symbol,
    ULL_NEW_FORMS(FORM_NUMBER) ULL_DELETE_FORMS(FORM_NUMBER) FORM_COUNT
};
static struct ull_next forms[] = {
#define FORM_SYMBOL(symbol, parameters, arguments) { #symbol, NULL, false },
    ULL_NEW_FORMS(FORM_SYMBOL) ULL_DELETE_FORMS(FORM_SYMBOL)
};
static uint32_t looked_up; /* atomic */

void ull_new_begin(void)
{
    if (ull_exchange_acq_rel(&looked_up, 1U) == 0)
        ull_next_look_up(forms, FORM_COUNT);
}

/* Nobody defines it: a C++ program cannot be without, but a plugin may have hidden its own from us. */
static void *plain_new(size_t bytes)
{
    return malloc(bytes != 0 ? bytes : 1);
}

static void *plain_aligned_new(size_t bytes, size_t align)
{
    void *buffer;
    return posix_memalign(&buffer, align, bytes != 0 ? bytes : 1) == 0 ? buffer : NULL;
}

static void *plain_form(const char *symbol)
{
    void (*release)(void *) = free;
    void *(*aligned)(size_t, size_t) = plain_aligned_new;
    void *(*new)(size_t) = plain_new;
    if (symbol[2] == 'd')
        return *(void **)(void *)&release;
    return strstr(symbol, "align_val") != NULL ? *(void **)(void *)&aligned : *(void **)(void *)&new;
}

/* No form in the global scope: the caller's own, or its C++ library's, passed through whatever it is. */
COLD static void *find(struct ull_next *next, const void *caller)
{
    if (!ull_load_acquire(&looked_up))
        ull_new_begin(); /* a constructor that runs before ours */
    void *function = ull_load_acquire(&next->function);
    if (function == NULL)
        function = ull_next_for_caller(next->symbol, caller);
    return function != NULL ? function : plain_form(next->symbol);
}

#define DEFINE_NEW(symbol, parameters, arguments) \
    EXPORT void *symbol parameters; \
    EXPORT void *symbol parameters \
    { \
        struct ull_next *next = &forms[FORM##symbol]; \
        void *function = ull_load_acquire(&next->function); \
        if (__builtin_expect(function == NULL, 0)) \
            function = find(next, __builtin_return_address(0)); \
        void *(*call) parameters; \
        *(void **)(void *)&call = function; \
        if (!next->bypasses_malloc || !ull_recorder_wants(bytes)) \
            return call arguments; \
        ull_recorder_forget_newest(); \
        void *buffer = call arguments; \
        return ull_recorder_newest() == buffer ? buffer : ull_recorded(buffer, bytes, ULL_KIND_NEW); \
    }
ULL_NEW_FORMS(DEFINE_NEW)

#define DEFINE_DELETE(symbol, parameters, arguments) \
    EXPORT void symbol parameters; \
    EXPORT void symbol parameters \
    { \
        struct ull_next *next = &forms[FORM##symbol]; \
        void *function = ull_load_acquire(&next->function); \
        if (__builtin_expect(function == NULL, 0)) \
            function = find(next, __builtin_return_address(0)); \
        void (*call) parameters; \
        *(void **)(void *)&call = function; \
        if (next->bypasses_malloc && ull_recorder_may_know(buffer)) \
            ull_recorder_freed(buffer); \
        call arguments; \
    }
ULL_DELETE_FORMS(DEFINE_DELETE)
