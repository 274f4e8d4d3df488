/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * accuracy.c - buffers of known use, one site each, and the truth about them on standard output.
 *
 * Each buffer has a stack of its own: its number is spelled in binary by calls of zero() and one(). Some memory is
 * fresh, most is reused (a few dozen buffers are held and replaced at random), data may be zeros. accuracy-check.py
 * compares the truth with the report.
 *
 *     accuracy BUFFERS SEED
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { BITS = 12, HELD = 24 };
#define LEAST (UINT64_C(64) << 10)
#define MOST (UINT64_C(64) << 20)

enum pattern { PREFIX, PREFIX_OF_ZEROS, NOTHING, SPARSE, ALL, PATTERNS };
static const char *const pattern_names[] = { "prefix", "zeros", "nothing", "sparse", "all" };
enum call { MALLOC, CALLOC, REALLOC, ALIGNED, CALLS };
static const char *const call_names[] = { "malloc", "calloc", "realloc", "aligned_alloc" };

static uint64_t state;

static uint64_t random_below(uint64_t limit)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return limit == 0 ? 0 : (state * UINT64_C(0x2545f4914f6cdd1d) >> 11) % limit;
}

/* Log-uniform, so that small and large ones are as many. */
static uint64_t random_size(void)
{
    uint64_t base = LEAST << random_below(10);
    return base + random_below(base);
}

struct job {
    enum call call;
    uint64_t bytes;
    uint64_t kept; /* realloc: bytes written before it */
    char *result;
};

__attribute__((noinline)) static void allocate(struct job *job)
{
    char *small;
    switch (job->call) {
    case CALLOC:
        job->result = calloc(1, job->bytes);
        break;
    case REALLOC:
        job->kept = 1 + random_below(60000); /* below the threshold: not a buffer of its own in the report */
        small = malloc(job->kept);
        memset(small, 7, job->kept);
        job->result = realloc(small, job->bytes);
        break;
    case ALIGNED:
        job->result = aligned_alloc(4096, (job->bytes + 4095) & ~UINT64_C(4095));
        job->bytes = (job->bytes + 4095) & ~UINT64_C(4095);
        break;
    default:
        job->result = malloc(job->bytes);
    }
    if (job->result == NULL)
        abort();
}

static void spell(unsigned number, int bits, struct job *job);

__attribute__((noinline)) static void zero(unsigned number, int bits, struct job *job)
{
    spell(number, bits, job);
    __asm__ volatile("# zero" ::: "memory"); /* no tail call, and not the same code as one() */
}

__attribute__((noinline)) static void one(unsigned number, int bits, struct job *job)
{
    spell(number, bits, job);
    __asm__ volatile("# one" ::: "memory");
}

__attribute__((always_inline)) static inline void spell(unsigned number, int bits, struct job *job)
{
    if (bits == 0)
        allocate(job);
    else if (((number >> (bits - 1)) & 1) != 0)
        one(number, bits - 1, job);
    else
        zero(number, bits - 1, job);
}

/* Writes as the pattern says; returns the offset past the last byte written. */
static uint64_t use(char *buffer, uint64_t bytes, enum pattern pattern)
{
    uint64_t end = 0;
    switch (pattern) {
    case PREFIX:
    case PREFIX_OF_ZEROS:
        end = 1 + random_below(random_below(2) ? bytes : bytes / 16);
        memset(buffer, pattern == PREFIX ? 42 : 0, end);
        break;
    case SPARSE:
        for (uint64_t at = 0; at < bytes; at += bytes / 8)
            buffer[at] = 1;
        buffer[bytes - 1] = 1;
        end = bytes;
        break;
    case ALL:
        memset(buffer, 1, bytes);
        end = bytes;
        break;
    default:
        break;
    }
    return end;
}

int main(int argc, char **argv)
{
    unsigned count = argc > 1 ? (unsigned)atoi(argv[1]) : 1000;
    char *held[HELD] = { NULL };
    state = argc > 2 ? strtoull(argv[2], NULL, 10) * 2 + 1 : 1;
    if (count > 1U << BITS) {
        fprintf(stderr, "accuracy: at most %u buffers\n", 1U << BITS);
        return 2;
    }
    for (unsigned i = 0; i < count; i++) {
        struct job job = { (enum call)random_below(CALLS), random_size(), 0, NULL };
        enum pattern pattern = (enum pattern)random_below(PATTERNS);
        spell(i, BITS, &job);
        uint64_t end = use(job.result, job.bytes, pattern);
        if (end < job.kept)
            end = job.kept;
        printf("%u %s %s %lu %lu\n", i, call_names[job.call], pattern_names[pattern], job.bytes, end);
        unsigned place = (unsigned)random_below(HELD);
        free(held[place]);
        held[place] = job.result;
    }
    fflush(stdout);
    return 0;
}
