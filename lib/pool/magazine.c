/* SPDX-License-Identifier: BSD-2-Clause */
/* magazine.c - see magazine.h. Magazines come in segments of 256, which are mapped once. */
#include "config.h"

#include "pool/magazine.h"

#include "base/check.h"
#include "base/sys.h"

#include <sys/mman.h>

enum { SEGMENT_BITS = 8, SEGMENT = 1 << SEGMENT_BITS, SEGMENTS_MAX = 4096 };

static struct {
    struct ull_magazine *segments[SEGMENTS_MAX]; /* atomic */
    uint32_t made; /* atomic */
    struct ull_stack empty;
} all;

struct ull_magazine *ull_magazine_at(uint32_t self)
{
    return ull_load_acquire(&all.segments[(self - 1) >> SEGMENT_BITS]) + ((self - 1) & (SEGMENT - 1));
}

static struct ull_magazine *segment_at(uint32_t at)
{
    struct ull_magazine *segment = ull_load_acquire(&all.segments[at]), *expected = NULL;
    if (segment != NULL)
        return segment;
    segment = ull_sys_map_books(SEGMENT * sizeof *segment);
    if (segment != NULL && !ull_cas_acq_rel(&all.segments[at], &expected, segment)) {
        ull_sys_munmap(segment, SEGMENT * sizeof *segment);
        segment = expected;
    }
    return segment;
}

static struct ull_magazine *make_magazine(void)
{
    uint32_t index = ull_load_relaxed(&all.made);
    do {
        if (index >= SEGMENT * SEGMENTS_MAX || segment_at(index >> SEGMENT_BITS) == NULL)
            return NULL;
    } while (!ull_cas_acq_rel(&all.made, &index, index + 1));
    struct ull_magazine *magazine = ull_magazine_at(index + 1);
    magazine->self = index + 1;
    return magazine;
}

struct ull_magazine *ull_magazine_get(void)
{
    unsigned retries;
    struct ull_magazine *magazine = ull_stack_pop(&all.empty, &retries);
    if (magazine == NULL)
        magazine = make_magazine();
    if (magazine != NULL)
        magazine->count = 0;
    return magazine;
}

void ull_magazine_put(struct ull_magazine *magazine)
{
    ull_stack_push(&all.empty, magazine);
}

void ull_magazines_forget(void)
{
    ull_store_relaxed(&all.made, 0U);
    all.empty = (struct ull_stack) { 0, 0 };
}

unsigned ull_stack_push(struct ull_stack *stack, struct ull_magazine *magazine)
{
    uint64_t head = ull_load_relaxed(&stack->head);
    unsigned retries = 0;
    for (;; retries++) {
        ull_store_relaxed(&magazine->next, (uint32_t)head);
        if (ull_cas_acq_rel(&stack->head, &head, (head & ~(uint64_t)UINT32_MAX) | magazine->self))
            break;
    }
    ull_add_relaxed(&stack->count, UINT64_C(1));
    return retries;
}

struct ull_magazine *ull_stack_pop(struct ull_stack *stack, unsigned *retries)
{
    uint64_t head = ull_load_acquire(&stack->head);
    for (*retries = 0; (uint32_t)head != 0; ++*retries) {
        struct ull_magazine *magazine = ull_magazine_at((uint32_t)head);
        uint64_t next = ((head >> 32) + 1) << 32 | ull_load_relaxed(&magazine->next);
        if (ull_cas_acq_rel(&stack->head, &head, next)) {
            ull_sub_relaxed(&stack->count, UINT64_C(1));
            return magazine;
        }
    }
    return NULL;
}

uint32_t ull_stack_take_all(struct ull_stack *stack)
{
    uint64_t head = ull_load_acquire(&stack->head), taken = 0;
    while ((uint32_t)head != 0 && !ull_cas_acq_rel(&stack->head, &head, ((head >> 32) + 1) << 32)) {
    }
    for (uint32_t at = (uint32_t)head; at != 0; at = ull_load_relaxed(&ull_magazine_at(at)->next))
        taken++;
    ull_sub_relaxed(&stack->count, taken);
    return (uint32_t)head;
}
