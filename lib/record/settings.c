/* SPDX-License-Identifier: BSD-2-Clause */
/* settings.c - see settings.h. */
#include "config.h"

#include "record/settings.h"

#include "base/arith.h"
#include "record/marker.h"
#include "ullage/alloc.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>

enum {
    CAPS_MAX = 4096,
    CHUNK_LEAST = 4096,
    CHUNK_MOST = 1 << 20,
    CHUNK_BYTES = 64 * 1024, /* what sockets hand out well, and a size class */
    PREAMBLE_BYTES = 4096,
    PREAMBLE_MOST = 1 << 20,
};
/* What no version had more of; a record is contiguous memory, and a budget counts to 2^61. */
#define RECORD_BYTES_MOST (UINT64_C(1) << 40)

static struct {
    pthread_mutex_t lock;
    struct ull_record_settings *first;
} all = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* ---- options of this and earlier versions ---- */

/* Of a caller that was built against an older header, what it did not know is 0. */
static bool copy_options(struct ullage_reader_options *to, const struct ullage_reader_options *from)
{
    static const size_t first_version = offsetof(struct ullage_reader_options, max_preamble_bytes) + sizeof(size_t);
    memset(to, 0, sizeof *to);
    if (from == NULL)
        return true;
    if (from->size < first_version || from->size > 4096)
        return false;
    const char *bytes = (const char *)from;
    for (size_t i = sizeof *to; i < from->size; i++)
        if (bytes[i] != 0)
            return false; /* asks for something that this version does not know */
    memcpy(to, from, ull_min_u64(from->size, sizeof *to));
    return true;
}

static bool are_fine(const struct ullage_reader_options *o)
{
    static const uint32_t known = ULLAGE_READER_OPAQUE | ULLAGE_READER_RPC | ULLAGE_READER_PIECES;
    if (o->max_fragment_bytes > ULL_FRAGMENT_BYTES_MAX || o->max_record_bytes > RECORD_BYTES_MOST || o->cap_count > CAPS_MAX)
        return false;
    if ((o->flags & ~known) != 0 || ((o->flags & ULLAGE_READER_OPAQUE) != 0 && (o->cap_count != 0 || (o->flags & ULLAGE_READER_RPC) != 0)))
        return false;
    if (o->deadline_ms > ULLAGE_NEVER || o->idle_ms > ULLAGE_NEVER || o->max_preamble_bytes > PREAMBLE_MOST)
        return false;
    if (o->chunk_bytes != 0 && (o->chunk_bytes < CHUNK_LEAST || o->chunk_bytes > CHUNK_MOST))
        return false;
    for (size_t i = 0; i < o->cap_count; i++)
        if (o->caps == NULL || o->caps[i].max_record_bytes == 0 || o->caps[i].max_record_bytes > RECORD_BYTES_MOST)
            return false;
    return true;
}

static uint32_t or_default(uint32_t value, uint32_t otherwise)
{
    return value != 0 ? value : otherwise;
}

static void fill(struct ull_record_settings *s, const struct ullage_reader_options *o)
{
    uint64_t least;
    s->max_record_bytes = least = o->max_record_bytes != 0 ? o->max_record_bytes : ULLAGE_RECORD_BYTES;
    s->ceiling_bytes = least;
    for (size_t i = 0; i < o->cap_count; i++) {
        s->caps[i] = o->caps[i];
        s->ceiling_bytes = ull_max_u64(s->ceiling_bytes, o->caps[i].max_record_bytes);
        least = ull_min_u64(least, o->caps[i].max_record_bytes);
    }
    s->cap_count = (uint32_t)o->cap_count;
    s->max_fragment_bytes = o->max_fragment_bytes != 0 ? o->max_fragment_bytes : s->ceiling_bytes;
    s->max_fragments = or_default(o->max_fragments, ULLAGE_RECORD_FRAGMENTS);
    s->min_average_fragment_bytes = or_default(o->min_average_fragment_bytes, o->max_fragments != 0 ? UINT32_MAX : ULLAGE_FRAGMENT_AVERAGE);
    s->deadline_ms = or_default(o->deadline_ms, ULLAGE_RECORD_DEADLINE_MS);
    s->idle_ms = or_default(o->idle_ms, ULLAGE_NEVER);
    s->min_bytes_per_s = o->min_bytes_per_s;
    s->chunk_bytes = o->chunk_bytes != 0 ? (uint32_t)o->chunk_bytes : CHUNK_BYTES;
    s->flags = o->flags;
    s->counts = (o->flags & ULLAGE_READER_OPAQUE) == 0;
    s->quick = (o->flags & ULLAGE_READER_RPC) == 0;
    s->quick_bytes = (uint32_t)ull_min_u64(ull_min_u64(least, s->max_fragment_bytes), ULL_FRAGMENT_BYTES_MAX);
    s->preamble = o->preamble;
    s->max_preamble_bytes = o->preamble == NULL ? 0 : o->max_preamble_bytes != 0 ? o->max_preamble_bytes : PREAMBLE_BYTES;
}

/* ---- one object for equal sets ---- */

static bool are_same(const struct ull_record_settings *a, const struct ull_record_settings *b)
{
    if (a->max_record_bytes != b->max_record_bytes || a->max_fragment_bytes != b->max_fragment_bytes
        || a->max_fragments != b->max_fragments || a->min_average_fragment_bytes != b->min_average_fragment_bytes
        || a->deadline_ms != b->deadline_ms || a->idle_ms != b->idle_ms || a->min_bytes_per_s != b->min_bytes_per_s
        || a->chunk_bytes != b->chunk_bytes || a->flags != b->flags || a->preamble != b->preamble
        || a->max_preamble_bytes != b->max_preamble_bytes || a->party != b->party || a->cap_count != b->cap_count)
        return false;
    for (uint32_t i = 0; i < a->cap_count; i++)
        if (a->caps[i].program != b->caps[i].program || a->caps[i].version != b->caps[i].version
            || a->caps[i].procedure != b->caps[i].procedure || a->caps[i].max_record_bytes != b->caps[i].max_record_bytes)
            return false;
    return true;
}

/* @made: not in the list yet; given back if there is an equal one. Under the lock. */
static struct ull_record_settings *keep(struct ull_record_settings *made)
{
    for (struct ull_record_settings *s = all.first; s != NULL; s = s->next)
        if (are_same(s, made)) {
            ullage_free(made);
            s->users++;
            return s;
        }
    made->users = 1;
    made->next = all.first;
    all.first = made;
    return made;
}

int ull_record_settings_get(const struct ull_record_settings **out, const struct ullage_reader_options *opt)
{
    struct ullage_reader_options o;
    if (!copy_options(&o, opt) || !are_fine(&o))
        return -EINVAL;
    struct ull_record_settings *made = ullage_calloc(1, sizeof *made + o.cap_count * sizeof made->caps[0]);
    if (made == NULL)
        return -errno;
    fill(made, &o);
    pthread_mutex_lock(&all.lock);
    int error = o.budget != NULL ? ull_party_get(&made->party, o.budget) : 0;
    if (error == 0)
        *out = keep(made);
    else
        ullage_free(made);
    pthread_mutex_unlock(&all.lock);
    return error;
}

void ull_record_settings_put(const struct ull_record_settings *settings)
{
    struct ull_record_settings *gone = NULL;
    pthread_mutex_lock(&all.lock);
    for (struct ull_record_settings **at = &all.first; *at != NULL; at = &(*at)->next)
        if (*at == settings) {
            if (--(*at)->users == 0) {
                gone = *at;
                *at = gone->next;
            }
            break;
        }
    pthread_mutex_unlock(&all.lock);
    ullage_free(gone);
}

void ull_record_settings_forked(void)
{
    pthread_mutex_init(&all.lock, NULL);
}

/* ---- caps ---- */

static int fit(const struct ullage_record_cap *cap, uint32_t program, uint32_t version, uint32_t procedure)
{
    if (cap->program != program || (cap->version != version && cap->version != ULLAGE_ANY)
        || (cap->procedure != procedure && cap->procedure != ULLAGE_ANY))
        return 0;
    return 1 + (cap->version != ULLAGE_ANY) + 2 * (cap->procedure != ULLAGE_ANY);
}

uint64_t ull_record_settings_cap(const struct ull_record_settings *s, uint32_t program, uint32_t version, uint32_t procedure)
{
    uint64_t bytes = s->max_record_bytes;
    int best = 0;
    for (uint32_t i = 0; i < s->cap_count; i++) {
        int fits = fit(&s->caps[i], program, version, procedure);
        if (fits > best) {
            best = fits;
            bytes = s->caps[i].max_record_bytes;
        }
    }
    return bytes;
}
