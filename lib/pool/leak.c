/* SPDX-License-Identifier: BSD-2-Clause */
/* leak.c - see leak.h. */
#include "config.h"

#include "pool/leak.h"

#include "base/arith.h"
#include "base/quantity.h"
#include "base/sys.h"
#include "measure/named.h"
#include "pool/cache.h"
#include "pool/thread.h"
#include "ullage/profile.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>

enum { FOLLOWED_MAX = 1 << 20 };

struct followed {
    struct ull_block *block; /* NULL: free */
    uint64_t since_ns;
    const void *touched; /* NULL: nobody told */
    uint32_t next;       /* of the free ones */
};

static struct {
    pthread_mutex_t lock;
    struct followed *slots;
    uint32_t count, free;
    struct ullage_profile *profile;
} all = { .lock = PTHREAD_MUTEX_INITIALIZER };

static uint32_t take_slot(void)
{
    if (all.slots == NULL)
        all.slots = ull_sys_map_books(FOLLOWED_MAX * sizeof all.slots[0]);
    if (all.slots == NULL || (all.free == 0 && all.count == FOLLOWED_MAX))
        return 0;
    uint32_t slot = all.free != 0 ? all.free : ++all.count;
    if (all.free != 0)
        all.free = all.slots[slot - 1].next;
    return slot;
}

void ull_leak_follow(struct ull_block *block)
{
    pthread_mutex_lock(&all.lock);
    if (all.profile == NULL)
        all.profile = ullage_profile_get("buffers");
    uint32_t slot = take_slot();
    if (slot != 0)
        all.slots[slot - 1] = (struct followed) { block, ull_sys_monotonic_ns(), NULL, 0 };
    pthread_mutex_unlock(&all.lock);
    if (slot == 0)
        return;
    block->leak = slot;
    block->state |= ULL_BLOCK_FOLLOWED;
    ullage_profile_add(all.profile, block);
}

void ull_leak_forget(struct ull_block *block)
{
    uint32_t slot = block->leak;
    block->leak = 0;
    ullage_profile_remove(all.profile, block);
    pthread_mutex_lock(&all.lock);
    all.slots[slot - 1] = (struct followed) { .next = all.free };
    all.free = slot;
    pthread_mutex_unlock(&all.lock);
}

void ull_leak_touch(struct ull_block *block, const void *address)
{
    if (block->leak != 0)
        ull_store_relaxed(&all.slots[block->leak - 1].touched, address);
}

void ull_leak_forked(void)
{
    pthread_mutex_init(&all.lock, NULL);
}

/* ---- the report ---- */

static int write_line(int fd, const struct followed *one, uint64_t now)
{
    char place[256], touched[256] = "", age[ULL_QUANTITY_BYTES], size[ULL_QUANTITY_BYTES], line[800];
    if (one->touched != NULL) {
        char name[200];
        ull_named_address(one->touched, name, sizeof name);
        snprintf(touched, sizeof touched, ", last touched in %s", name);
    }
    int length = snprintf(line, sizeof line, "ullage: %s got at %s %s ago is still out%s\n",
        ull_quantity_size(size, one->block->requested), ull_place_name(one->block->site, place, sizeof place),
        ull_quantity_duration(age, ull_minus_clamped(now, one->since_ns)), touched);
    ssize_t written = ull_sys_write(fd, line, ull_min_u64((uint64_t)length, sizeof line - 1));
    return written < 0 ? (int)written : 0;
}

int ullage_leaks_report(int fd, uint32_t older_ms)
{
    uint64_t now = ull_sys_monotonic_ns(), older = (uint64_t)older_ms * 1000000;
    int found = 0, error = 0;
    if (!ull_slow_enter())
        return -EDEADLK;
    pthread_mutex_lock(&all.lock);
    for (uint32_t i = 0; i < all.count && error == 0; i++) {
        const struct followed *one = &all.slots[i];
        if (one->block == NULL || now - one->since_ns < older)
            continue;
        found++;
        error = write_line(fd, one, now);
    }
    pthread_mutex_unlock(&all.lock);
    ull_slow_leave();
    return error != 0 ? error : found;
}
