/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * upload_chunks.c - story 2: a storage writer that takes a chunk of 16 MiB for each upload, and the two ways out of it.
 *
 *   upload_chunks [UPLOADS [BYTES [AT_A_TIME]]]     12 uploads of 98,000 bytes, four of them under way at a time
 *
 * Run it as
 *
 *     ullage run -- upload_chunks
 *
 * and begin_naive() is flagged: 16 MiB asked for, 96 KiB used, and the size that would do. The second way asks for that size.
 * The third leaves the chunk as large as it was, and uses it again: nobody clears it, and what was not written has never been in
 * memory. (It is flagged as well, as it should: those addresses are asked for, and a smaller object would do.)
 *
 * By itself it says what each way costs: time an upload, and memory at most.
 */
#include <ullage/pool.h>

#include <fcntl.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    CHUNK_BYTES = 16 << 20,
    UPLOADS = 12, /* Ullage gives so many cleared buffers of a place back to look at them page by page: see docs/flags.md */
    OBJECT_BYTES = 98000,
    AT_A_TIME = 4,
    AT_A_TIME_MAX = 64,
    PAGE_BYTES = 4096,
};

struct job {
    long uploads;
    size_t object_bytes, at_a_time;
    char *object;
    struct ullage_pool *pool; /* of the third way */
};

struct way {
    const char *name;
    char *(*begin)(const struct job *job);
    void (*end)(const struct job *job, char *chunk);
};

static void give_up(const char *what)
{
    fprintf(stderr, "upload_chunks: %s\n", what);
    exit(1);
}

static char *or_give_up(void *chunk)
{
    if (chunk == NULL)
        give_up("out of memory");
    return chunk;
}

/* ---- the three ways ---- */

/* Room for the largest upload there could be, cleared, before the first byte came. */
__attribute__((noinline)) static char *begin_naive(const struct job *job)
{
    (void)job;
    return or_give_up(calloc(1, CHUNK_BYTES)); /* the line that the report names */
}

/* The size that the report suggests: use is seen to a page from wherever the buffer begins, and sizes have four steps a doubling. */
static size_t suggested_bytes(size_t object_bytes)
{
    size_t seen_bytes = object_bytes + PAGE_BYTES, doubling = PAGE_BYTES;
    while (doubling * 2 < seen_bytes)
        doubling *= 2;
    return (seen_bytes + doubling / 4 - 1) / (doubling / 4) * (doubling / 4);
}

__attribute__((noinline)) static char *begin_right_sized(const struct job *job)
{
    return or_give_up(calloc(1, suggested_bytes(job->object_bytes)));
}

static void end_with_free(const struct job *job, char *chunk)
{
    (void)job;
    free(chunk);
}

__attribute__((noinline)) static char *begin_pooled(const struct job *job)
{
    return or_give_up(ullage_pool_get(job->pool));
}

static void end_in_pool(const struct job *job, char *chunk)
{
    ullage_pool_put_used(job->pool, chunk, job->object_bytes);
}

/* ---- uploading ---- */

/* Each upload takes the place of the oldest that is under way. */
static void upload_all(const struct job *job, const struct way *way)
{
    char *under_way[AT_A_TIME_MAX] = { NULL };
    for (long i = 0; i < job->uploads; i++) {
        char **slot = &under_way[(size_t)i % job->at_a_time];
        if (*slot != NULL)
            way->end(job, *slot);
        *slot = way->begin(job);
        memcpy(*slot, job->object, job->object_bytes);
        __asm__ volatile("" : : "r"(*slot) : "memory"); /* it is sent from here */
    }
    for (size_t i = 0; i < job->at_a_time; i++)
        if (under_way[i] != NULL)
            way->end(job, under_way[i]);
}

/* ---- what it costs ---- */

/* The most that was in memory since the last look, in bytes. Not ru_maxrss, which knows what the parent had. */
static uint64_t peak_bytes(void)
{
    char line[256];
    uint64_t kib = 0;
    FILE *status = fopen("/proc/self/status", "r");
    while (status != NULL && fgets(line, sizeof line, status) != NULL)
        if (strncmp(line, "VmHWM:", 6) == 0)
            kib = strtoull(line + 6, NULL, 10);
    if (status != NULL)
        fclose(status);
    return kib * 1024;
}

static uint64_t forget_peak(void)
{
    int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, "5", 1) != 1) /* proc(5) */
        fprintf(stderr, "upload_chunks: the peak cannot be reset here: memory is that of all ways so far\n");
    if (fd >= 0)
        close(fd);
    return peak_bytes();
}

static double now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

struct cost {
    double us; /* an upload */
    double kib; /* resident at most, beyond what there was */
};

static struct cost measure(const struct job *job, const struct way *way)
{
    malloc_trim(0); /* what the way before left in the heap is not to be this one's */
    uint64_t before = forget_peak();
    double begun = now_us();
    upload_all(job, way);
    struct cost cost = { (now_us() - begun) / (double)job->uploads, 0 };
    uint64_t after = peak_bytes();
    cost.kib = after > before ? (double)(after - before) / 1024 : 0;
    printf("%-12s %9.1f us an upload, %8.0f KiB resident at most\n", way->name, cost.us, cost.kib);
    return cost;
}

static void compare(const char *name, struct cost cost, struct cost naive)
{
    printf("%s: %.0f times faster than before, %.0f times less memory\n", name, naive.us / (cost.us > 0 ? cost.us : 1),
        naive.kib / (cost.kib > 1 ? cost.kib : 1));
}

/* ---- the program ---- */

static struct job job_of(int argc, char **argv)
{
    struct job job = { .uploads = argc > 1 ? strtol(argv[1], NULL, 10) : UPLOADS,
        .object_bytes = argc > 2 ? strtoul(argv[2], NULL, 10) : OBJECT_BYTES,
        .at_a_time = argc > 3 ? strtoul(argv[3], NULL, 10) : AT_A_TIME };
    if (job.uploads < 1 || job.object_bytes < 1 || job.object_bytes > CHUNK_BYTES || job.at_a_time < 1 || job.at_a_time > AT_A_TIME_MAX) {
        fprintf(stderr, "usage: upload_chunks [UPLOADS [BYTES [AT_A_TIME]]]   BYTES up to 16 MiB, AT_A_TIME up to %d\n", AT_A_TIME_MAX);
        exit(2);
    }
    return job;
}

int main(int argc, char **argv)
{
    static const struct way naive = { "naive", begin_naive, end_with_free };
    static const struct way right_sized = { "right-sized", begin_right_sized, end_with_free };
    static const struct way pooled = { "pooled", begin_pooled, end_in_pool };
    struct job job = job_of(argc, argv);
    struct ullage_pool_options options = { .size = sizeof options, .name = "chunks", .object_bytes = CHUNK_BYTES };
    job.object = or_give_up(malloc(job.object_bytes));
    memset(job.object, 'x', job.object_bytes);
    if (ullage_pool_create(&job.pool, &options) != 0)
        give_up("no pool");
    printf("%ld uploads of %zu bytes, %zu at a time\n", job.uploads, job.object_bytes, job.at_a_time);
    struct cost before = measure(&job, &naive);
    struct cost sized = measure(&job, &right_sized);
    struct cost reused = measure(&job, &pooled);
    compare("right-sized", sized, before);
    compare("pooled", reused, before);
    ullage_pool_destroy(job.pool);
    free(job.object);
    return 0;
}
