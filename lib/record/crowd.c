/* SPDX-License-Identifier: BSD-2-Clause */
/* crowd.c - see crowd.h. */
#include "config.h"

#include "record/crowd.h"

#include "record/reader.h"
#include "ullage/alloc.h"

#include <pthread.h>

enum { HOUSE_BYTES = 8192, FIRST_AT = 64 }; /* two pages; readers lie on lines of the cache */
enum { PLACES = (HOUSE_BYTES - FIRST_AT) / sizeof(struct ullage_reader) };

/* A place that nobody has. */
struct vacancy {
    struct vacancy *next;
};

/* At the beginning of a buffer that is aligned to its size. */
struct house {
    struct house *next, *before; /* of those with vacancies */
    struct vacancy *vacancies;
    unsigned untouched; /* places from the end on that nobody ever had: their page is not there yet */
    unsigned taken;
    unsigned generation; /* of the process that built it: in a forked child the others are left as they are found */
};
_Static_assert(sizeof(struct house) <= FIRST_AT, "before the first place");

static struct {
    pthread_mutex_t lock;
    struct house *first;
    unsigned generation; /* forks */
} all = { .lock = PTHREAD_MUTEX_INITIALIZER };

void ull_crowd_forked(void)
{
    pthread_mutex_init(&all.lock, NULL);
    all.first = NULL; /* another thread may have been changing the list, or a house */
    all.generation++;
}

static void link_first(struct house *house)
{
    house->before = NULL;
    house->next = all.first;
    if (all.first != NULL)
        all.first->before = house;
    all.first = house;
}

static void take_out(struct house *house)
{
    if (house->before != NULL)
        house->before->next = house->next;
    else
        all.first = house->next;
    if (house->next != NULL)
        house->next->before = house->before;
}

static void *take_place(struct house *house)
{
    struct vacancy *place = house->vacancies;
    if (place != NULL)
        house->vacancies = place->next;
    else
        place = (void *)((char *)house + FIRST_AT + (PLACES - house->untouched--) * sizeof(struct ullage_reader));
    if (++house->taken == PLACES)
        take_out(house);
    return place;
}

struct ullage_reader *ull_crowd_get(void)
{
    void *place = NULL;
    pthread_mutex_lock(&all.lock);
    if (all.first == NULL) {
        struct house *built = ullage_aligned_alloc(HOUSE_BYTES, HOUSE_BYTES);
        if (built != NULL) {
            *built = (struct house) { .untouched = PLACES, .generation = all.generation };
            link_first(built);
        }
    }
    if (all.first != NULL)
        place = take_place(all.first);
    pthread_mutex_unlock(&all.lock);
    return place;
}

void ull_crowd_put(struct ullage_reader *r)
{
    struct house *house = (struct house *)((uintptr_t)r & ~(uintptr_t)(HOUSE_BYTES - 1));
    struct vacancy *place = (struct vacancy *)(void *)r;
    if (house->generation != all.generation)
        return;
    pthread_mutex_lock(&all.lock);
    if (house->taken-- == PLACES)
        link_first(house);
    place->next = house->vacancies;
    house->vacancies = place;
    bool empty = house->taken == 0;
    if (empty)
        take_out(house);
    pthread_mutex_unlock(&all.lock);
    if (empty)
        ullage_free_used(house, HOUSE_BYTES);
}
