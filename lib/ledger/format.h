/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * format.h - the ledger and its sidecar: the one header where the write side and the read side meet.
 *
 * A ledger is a file that a program maps shared and only adds to; whoever wants to know maps it for reading. It
 * outlives its process, however that died. docs/ledger-format.md tells the same for people; tests hold both together.
 *
 *   +--------+---------+---------+--------+-------+------+------+--------+-------+---------+------------+ - - - - - - - - - - -+
 *   | header | strings | modules | frames | sites | uses | live | shards | pools | budgets | procedures | segments grown later |
 *   +--------+---------+---------+--------+-------+------+------+--------+-------+---------+------------+ - - - - - - - - - - -+
 *   0        4096                                                                                      64 KiB
 *
 * A table is an array in segments: segment k holds base_count << k entries, at segment_offset[k]. An entry never moves
 * and a segment never shrinks, so a reader needs no lock. Every fact is one aligned word, stored once it is true:
 *   - a segment exists when its offset is not 0 and it ends within file_bytes;
 *   - a module or site exists when its `ready` is 1; then its other fixed fields, and the strings and frames that it
 *     names, are complete and never change;
 *   - a live entry exists while the low bit of its `state` is 1; the rest of `state` counts its owners, so that a
 *     reader that finds the same state before and after has read one buffer's entry;
 *   - counters only grow (live_bytes apart). Allocations are counted before the program has the buffer, frees after it
 *     gave it up, so a reader that takes frees first never finds more frees than allocations: also of shards, the frees
 *     of all of them before the allocations of any.
 * SIGKILL between two words leaves at most one event a thread half told.
 *
 * All of it is untrusted for a reader: it checks each size, offset, count and index before use.
 */
#ifndef ULL_LEDGER_FORMAT_H
#define ULL_LEDGER_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* As bytes in the file: "ULLAGE" and "ULLSID", then 0xc7 and a newline, which show a copy that was made as text. */
#define ULL_LEDGER_MAGIC UINT64_C(0x0ac74547414c4c55)
#define ULL_SIDECAR_MAGIC UINT64_C(0x0ac74449534c4c55)

enum {
    ULL_FORMAT_VERSION = 4,
    ULL_HEADER_BYTES = 4096,
    ULL_FIRST_BYTES = 64 * 1024, /* of a new ledger: header and the first segment of each table */
    ULL_SEGMENTS_MAX = 20,
    ULL_COMMAND_BYTES = 1024,
    ULL_RUN_ID_BYTES = 32,
    ULL_BUILD_ID_BYTES = 32, /* SHA-1 needs 20 */
    ULL_STACK_DEPTH_MAX = 32,
    ULL_SITE_OTHER = 0, /* the site of what no site could be made for */
};
/* Of dead processes' ledgers a directory keeps so many, and so many bytes; the oldest go first. Our choice. */
enum { ULL_KEEP_LEDGERS = 200 };
#define ULL_KEEP_BYTES (UINT64_C(64) << 20)
#define ULL_LEDGER_SUFFIX ".ledger"
#define ULL_SIDECAR_SUFFIX ".sidecar"
#define ULL_MAKING_SUFFIX ".making" /* a ledger whose header is not written yet */

/* ---- size classes: what a suggested size is rounded up to, and the steps of the histograms ---- */

enum {
    ULL_CLASS_MIN_BITS = 9,  /* 512 B */
    ULL_CLASS_MAX_BITS = 26, /* 64 MiB */
    ULL_CLASS_STEPS = 4,     /* a doubling: at most a quarter more than asked for */
    ULL_BUCKET_COUNT = (ULL_CLASS_MAX_BITS - ULL_CLASS_MIN_BITS) * ULL_CLASS_STEPS + 2,
};

/* The bucket of @most + 1 bytes, from 511 to 64 MiB - 1: the place of its highest bit, and the two bits after that. */
static inline unsigned ull_bucket_within(uint64_t most)
{
    unsigned bits = 63U - (unsigned)__builtin_clzll(most);
    return bits * ULL_CLASS_STEPS + (unsigned)(most >> (bits - 2)) - ULL_CLASS_MIN_BITS * ULL_CLASS_STEPS - 3;
}

/* The bucket of @bytes: 0 for up to 512 B, the last for more than 64 MiB. */
static inline unsigned ull_bucket_of(uint64_t bytes)
{
    if (bytes <= UINT64_C(1) << ULL_CLASS_MIN_BITS)
        return 0;
    if (bytes > UINT64_C(1) << ULL_CLASS_MAX_BITS)
        return ULL_BUCKET_COUNT - 1;
    return ull_bucket_within(bytes - 1);
}

/* The largest size in a bucket: its size class. UINT64_MAX for the last bucket. */
static inline uint64_t ull_bucket_limit(unsigned bucket)
{
    if (bucket == 0)
        return UINT64_C(1) << ULL_CLASS_MIN_BITS;
    if (bucket >= ULL_BUCKET_COUNT - 1)
        return UINT64_MAX;
    unsigned bits = ULL_CLASS_MIN_BITS + (bucket - 1) / ULL_CLASS_STEPS, step = (bucket - 1) % ULL_CLASS_STEPS;
    return (UINT64_C(1) << bits) + ((uint64_t)(step + 1) << (bits - 2));
}

/* The smallest size class that holds @bytes; past 64 MiB the steps go on. @bytes up to 2^62. */
static inline uint64_t ull_class_of(uint64_t bytes)
{
    if (bytes <= UINT64_C(1) << ULL_CLASS_MIN_BITS)
        return UINT64_C(1) << ULL_CLASS_MIN_BITS;
    unsigned bits = 63U - (unsigned)__builtin_clzll(bytes - 1);
    uint64_t step = UINT64_C(1) << (bits - 2);
    return (bytes + step - 1) & ~(step - 1);
}

/* Counts by size class. A bucket that passes 2^31 halves them all: shares stay true. */
struct ull_histogram {
    uint32_t counts[ULL_BUCKET_COUNT];
};

/* The same for buffers that are counted one by one; halved at 2^15, where a share is still true to 1 in 10,000. */
struct ull_small_histogram {
    uint16_t counts[ULL_BUCKET_COUNT];
};

/* ---- shares: how much of its own request a buffer used ---- */

enum { ULL_SHARE_COUNT = 8 };

/* Share k counts buffers that used at most this much of their request and more than share k - 1. In 1/64ths. */
static inline unsigned ull_share_limit_64ths(unsigned share)
{
    static const unsigned char limits[ULL_SHARE_COUNT] = { 1, 2, 4, 8, 16, 32, 48, 64 };
    return limits[share < ULL_SHARE_COUNT ? share : ULL_SHARE_COUNT - 1];
}

static inline unsigned ull_share_of(uint64_t used, uint64_t requested)
{
    unsigned share = 0;
    while (share < ULL_SHARE_COUNT - 1
        && (unsigned __int128)used * 64 > (unsigned __int128)requested * ull_share_limit_64ths(share))
        share++;
    return share;
}

/* ---- counters of the process: each declared once; X(name, kind, unit, help) ---- */

#define ULL_COUNTERS(X) \
    X(frees_total, COUNTER, COUNT, "recorded buffers freed, sampled ones scaled up") \
    X(freed_bytes_total, COUNTER, BYTES, "bytes requested for the buffers that were freed") \
    X(allocations_total, COUNTER, COUNT, "buffers allocated, sampled ones scaled up") \
    X(requested_bytes_total, COUNTER, BYTES, "bytes requested") \
    X(live_bytes, GAUGE, BYTES, "bytes requested and not freed, as the program's threads count them") \
    X(live_peak_bytes, GAUGE, BYTES, "largest value of live_bytes") \
    X(inherited_total, COUNTER, COUNT, "live buffers taken over from the parent at fork") \
    X(scans_total, COUNTER, COUNT, "buffers measured by the program itself") \
    X(scans_failed_total, COUNTER, COUNT, "measurements that the kernel refused") \
    X(rescans_total, COUNTER, COUNT, "live buffers measured again in the program's slow paths") \
    X(cleared_total, COUNTER, COUNT, "buffers from calloc whose pages were given back to measure them exactly") \
    X(cleared_ns_total, COUNTER, NANOSECONDS, "time spent on that, refaults estimated") \
    X(sites_dropped_total, COUNTER, COUNT, "stacks that found the table of sites full") \
    X(live_dropped_total, COUNTER, COUNT, "live buffers that found their table full: recorded, not readable from outside") \
    X(stackless_total, COUNTER, COUNT, "allocations whose stack could not be read") \
    X(reentrant_total, COUNTER, COUNT, "allocations inside our own work or a signal handler in it: not recorded") \
    X(reused_live_total, COUNTER, COUNT, "buffers handed out again whose free was not seen") \
    X(unloads_total, COUNTER, COUNT, "libraries unloaded by dlclose") \
    X(sandboxed_total, COUNTER, COUNT, "1 if recording ended because the program sandboxed itself") \
    X(profile_dropped_total, COUNTER, COUNT, "resources of live profiles that found no memory or no room: not counted") \
    X(pool_slab_bytes, GAUGE, BYTES, "address space of the slabs of ullage_malloc(), buffers and pools") \
    X(pool_retained_bytes, GAUGE, BYTES, "of that, idle in magazines and depots: an upper bound") \
    X(pool_released_bytes_total, COUNTER, BYTES, "idle memory given back to the kernel") \
    X(pool_reclaimed_total, COUNTER, COUNT, "magazines taken from threads that sleep") \
    X(pool_refused_total, COUNTER, COUNT, "calls by a signal handler inside another call of its thread: refused") \
    X(pool_misuse_total, COUNTER, COUNT, "misuse of buffers that was reported and left without effect") \
    X(pool_regrows_total, COUNTER, COUNT, "buffers of a learned size that had to grow") \
    X(records_total, COUNTER, COUNT, "sunrpc records handed out by readers") \
    X(record_bytes_total, COUNTER, BYTES, "bytes of the streams that were read, markers included") \
    X(record_fragments_total, COUNTER, COUNT, "fragments of those records") \
    X(record_held_bytes, GAUGE, BYTES, "buffers that readers hold now") \
    X(record_held_peak_bytes, GAUGE, BYTES, "largest value of record_held_bytes") \
    X(record_stalled, GAUGE, COUNT, "readers that wait for the rest of a record") \
    X(record_refused_size_total, COUNTER, COUNT, "readers that failed at a cap on bytes or fragments") \
    X(record_refused_budget_total, COUNTER, COUNT, "readers that failed because they held more than their share of a full budget") \
    X(record_refused_time_total, COUNTER, COUNT, "readers that failed at a deadline, an idle limit or a minimum rate") \
    X(record_refused_protocol_total, COUNTER, COUNT, "readers that failed at a malformed header or preamble") \
    X(record_refused_end_total, COUNTER, COUNT, "readers whose stream ended inside a record") \
    X(record_refused_other_total, COUNTER, COUNT, "readers that failed otherwise: read(2), memory, the program's callback") \
    X(record_waits_total, COUNTER, COUNT, "calls that were refused for now because a budget was used up") \
    X(record_procedures_dropped_total, COUNTER, COUNT, "records of procedures that found their table full") \
    X(jemalloc_installed, GAUGE, COUNT, "1 once jemalloc's hooks are ours; the values below are then its own") \
    X(jemalloc_sampled_total, COUNTER, COUNT, "samples of jemalloc's profiler that our hook unwound") \
    X(jemalloc_dumps_total, COUNTER, COUNT, "heap profiles that jemalloc wrote") \
    X(jemalloc_allocated_bytes, GAUGE, BYTES, "stats.allocated: bytes in buffers of the program") \
    X(jemalloc_active_bytes, GAUGE, BYTES, "stats.active: bytes in pages that hold them") \
    X(jemalloc_metadata_bytes, GAUGE, BYTES, "stats.metadata: bytes of jemalloc's own books") \
    X(jemalloc_resident_bytes, GAUGE, BYTES, "stats.resident: bytes in memory, unused dirty pages included") \
    X(jemalloc_retained_bytes, GAUGE, BYTES, "stats.retained: bytes of address space kept without memory") \
    X(jemalloc_prof_active, GAUGE, COUNT, "1 while jemalloc's profiler samples") \
    X(jemalloc_lg_prof_sample, GAUGE, COUNT, "logarithm to base 2 of its mean distance of samples, bytes")

enum ull_counter {
#define ULL_COUNTER_ENUM(name, kind, unit, help) ULL_COUNTER_##name,
    ULL_COUNTERS(ULL_COUNTER_ENUM)
#undef ULL_COUNTER_ENUM
        ULL_COUNTER_COUNT
};

/* ---- tables ---- */

enum ull_table {
    ULL_TABLE_STRINGS, /* bytes; paths end with NUL */
    ULL_TABLE_MODULES, /* struct ull_module_entry */
    ULL_TABLE_FRAMES,  /* uint64_t: ull_frame_pack() */
    ULL_TABLE_SITES,   /* struct ull_site_entry */
    ULL_TABLE_USES,    /* struct ull_use_entry */
    ULL_TABLE_LIVE,    /* struct ull_live_entry */
    ULL_TABLE_SHARDS,  /* struct ull_shard_entry */
    ULL_TABLE_POOLS,   /* struct ull_pool_entry */
    ULL_TABLE_BUDGETS, /* struct ull_budget_entry */
    ULL_TABLE_PROCEDURES, /* struct ull_procedure_entry */
    ULL_TABLE_COUNT
};

struct ull_table_head {
    uint32_t entry_bytes;
    uint32_t base_count;                       /* entries in segment 0; a power of two */
    uint64_t reserved_count;                   /* entries handed out, ready or not */
    uint64_t segment_offset[ULL_SEGMENTS_MAX]; /* in the file; 0: not there yet */
};

enum ull_ended {
    ULL_ENDED_NOT = 0,
    ULL_ENDED_EXIT = 1, /* exit(3), return from main, _exit(2): status known */
};

struct ull_ledger_header {
    uint64_t magic;
    uint32_t version;
    uint32_t header_bytes;
    uint32_t page_bytes;
    uint32_t counter_count;
    uint64_t file_bytes; /* grown to; released after the blocks are reserved */
    uint64_t self_address; /* where this header is mapped in the program: shows whether that image still runs */
    uint32_t pid;
    uint32_t parent_pid;
    uint32_t user_id;
    uint32_t pages_method;      /* enum ull_pages_method */
    uint64_t process_start_ticks; /* field 22 of /proc/PID/stat: tells a reused pid apart; 0 unknown */
    uint64_t pid_namespace;     /* inode of /proc/self/ns/pid; 0 unknown */
    uint64_t start_unix_ns;     /* wall clock when the ledger was made */
    uint64_t start_monotonic_ns;
    uint64_t boot_hash;         /* of /proc/sys/kernel/random/boot_id; 0 unknown */
    uint64_t process_start_unix_ns; /* wall clock when the process began; 0 unknown */
    uint64_t min_bytes;         /* recorded one by one from here up */
    uint64_t sample_bytes;      /* mean distance of samples below; 0: none */
    uint64_t last_event_monotonic_ns;
    uint64_t ended_monotonic_ns;
    uint32_t ended;             /* enum ull_ended, released last */
    uint32_t exit_status;
    uint32_t command_bytes;     /* of command[], arguments separated by NUL */
    uint32_t huge_pages_possible;
    uint32_t orphaned;          /* 1: the parent has gone, and what was inherited is judged here */
    uint32_t fork_depth;        /* forks between the image's start and this process */
    char run_id[ULL_RUN_ID_BYTES]; /* of `ullage run`, or empty; NUL-terminated */
    char command[ULL_COMMAND_BYTES];
    uint64_t counters[64];      /* ULL_COUNTER_COUNT of them */
    struct ull_table_head tables[ULL_TABLE_COUNT];
};
_Static_assert(sizeof(struct ull_ledger_header) <= ULL_HEADER_BYTES, "the header must fit its page");
_Static_assert(ULL_COUNTER_COUNT <= 64, "more counters than the header has room for");

/* A mapped file of the process: kept when it is unloaded, because sites name it. */
struct ull_module_entry {
    uint64_t ready;
    uint64_t start, end;   /* addresses it was mapped at */
    uint64_t bias;         /* address = bias + virtual address in the file */
    uint64_t text_start;   /* address of its first executable segment, and where that lies in the file */
    uint64_t text_bytes;
    uint64_t text_file_offset;
    uint64_t path;         /* index in strings */
    uint32_t path_bytes;   /* without NUL */
    uint32_t build_id_bytes;
    uint8_t build_id[ULL_BUILD_ID_BYTES];
};

/* A frame: 16 bits of module, 48 bits of virtual address in its file. Without module: the address in the process. */
enum { ULL_FRAME_NO_MODULE = 0xffff };
#define ULL_FRAME_OFFSET_MASK ((UINT64_C(1) << 48) - 1)

static inline uint64_t ull_frame_pack(unsigned module, uint64_t offset)
{
    return (uint64_t)module << 48 | (offset & ULL_FRAME_OFFSET_MASK);
}

static inline unsigned ull_frame_module(uint64_t frame)
{
    return (unsigned)(frame >> 48);
}

static inline uint64_t ull_frame_offset(uint64_t frame)
{
    return frame & ULL_FRAME_OFFSET_MASK;
}

/* What kind of call: X(name, text) */
#define ULL_KINDS(X) \
    X(OTHER, "other") \
    X(MALLOC, "malloc") \
    X(CALLOC, "calloc") \
    X(REALLOC, "realloc") \
    X(ALIGNED, "aligned_alloc") \
    X(NEW, "new") \
    X(MALLOCX, "mallocx") \
    X(JEMALLOC, "jemalloc") \
    X(PROFILE, "profile") \
    X(POOL, "pool") \
    X(BUFFER, "buffer")

enum ull_kind {
#define ULL_KIND_ENUM(name, text) ULL_KIND_##name,
    ULL_KINDS(ULL_KIND_ENUM)
#undef ULL_KIND_ENUM
        ULL_KIND_COUNT
};

/* Frees first, so that copying in order takes them before the allocations. */
struct ull_site_entry {
    uint64_t ready;
    uint64_t id;          /* over build id and offset of each frame, and kind: the same in another run */
    uint32_t kind;        /* enum ull_kind */
    uint32_t frame_count; /* innermost first, return addresses */
    uint64_t frames;      /* index in frames */
    uint64_t profile;     /* of a live profile: 1 + index of its name in strings; bytes below are counts then. Else 0 */
    uint64_t frees_count;
    uint64_t frees_bytes;
    uint64_t allocations_count;
    uint64_t allocations_bytes;
    uint64_t live_bytes;
    uint64_t peak_bytes; /* largest live_bytes */
    uint64_t requested_max_bytes;
    uint64_t use;        /* 1 + index in uses; 0: nothing of it was measured yet */
    /* Of a place named by the source itself (ULLAGE_HERE): 1 + index in strings, each with a NUL; 0: not named */
    uint64_t file, function;
    uint64_t line;
    uint64_t learned_bytes; /* size that it hands out for 0; 0: none */
    uint64_t regrows_count; /* of those, buffers that had to grow */
    struct ull_histogram requested;
};

/*
 * Buffers of one site as one thread counted them, which alone writes it: plain words, no lock prefix. Use is declared by the
 * program. A site has as many shards as threads met it; one that a thread left behind is adopted by the next, and counts on.
 * A shard's counts come in addition to its site's own. Its place in the table is fixed: sums are true at every instant.
 *   allocations = sum of requested[]; frees = sum of used[] + unknown_count
 * While all that was put had the same size, shares follow from used[]; only then they are counted: see ull_shard_shares().
 */
struct ull_shard_entry {
    uint64_t ready;
    uint32_t site;
    uint32_t owner; /* thread id; 0: left behind; UINT32_MAX: shared by threads that end, and written atomically */
    /* frees: all of it before the rest */
    uint64_t freed_bytes;   /* bytes requested for what was freed, use known or not */
    uint64_t used_bytes;
    uint64_t used_max_bytes;
    uint64_t unknown_count; /* freed without a word about their use */
    uint64_t unknown_bytes;
    uint64_t put_bytes;     /* the size of all that was put; 0, or all ones: shares[] tells */
    uint64_t shares[ULL_SHARE_COUNT];
    uint64_t used[ULL_BUCKET_COUNT];
    /* allocations */
    uint64_t requested_bytes;
    uint64_t requested_min_bytes;  /* all ones: none yet */
    uint64_t requested_span_bytes; /* largest request - requested_min_bytes */
    uint64_t folded_bytes; /* requested - freed as it was last added to the live_bytes of site and process; two's complement */
    uint64_t high_bytes;   /* largest requested - freed since then: the peak is at least live_bytes + high - folded */
    uint64_t requested[ULL_BUCKET_COUNT];
};

/* How much of its own request each buffer used: copied, or from the uses of buffers of one size. An upper bound, by a class. */
static inline void ull_shard_shares(const struct ull_shard_entry *shard, uint64_t shares[ULL_SHARE_COUNT])
{
    uint64_t size = __atomic_load_n(&shard->put_bytes, __ATOMIC_ACQUIRE);
    bool same = size != 0 && size != UINT64_MAX;
    for (unsigned i = 0; i < ULL_SHARE_COUNT; i++)
        shares[i] = same ? 0 : __atomic_load_n(&shard->shares[i], __ATOMIC_RELAXED);
    for (unsigned i = 0; same && i < ULL_BUCKET_COUNT; i++) {
        uint64_t limit = ull_bucket_limit(i);
        shares[ull_share_of(limit < size ? limit : size, size)] += __atomic_load_n(&shard->used[i], __ATOMIC_RELAXED);
    }
}

/* What a pool holds; brought up to date on its slow paths. The first is the allocator itself: ullage_malloc() and buffers. */
struct ull_pool_entry {
    uint64_t ready;
    uint64_t name; /* 1 + index in strings */
    uint64_t object_bytes; /* 0: of any size */
    uint64_t flags;        /* enum ullage_pool_flags */
    uint64_t puts_count, gets_count;
    uint64_t unmade_count, made_count; /* objects given back to the kernel, and carved from slabs */
    uint64_t slab_bytes;
    uint64_t retained_bytes, retained_peak_bytes;
    uint64_t refused_count; /* gets that failed: memory, budget */
    uint64_t learned_bytes;
    uint64_t budget;    /* 1 + index in budgets; 0: none */
    uint64_t destroyed; /* 1: gone */
};

struct ull_budget_entry {
    uint64_t ready;
    uint64_t name;
    uint64_t max_bytes, used_bytes, peak_bytes;
    uint64_t refused_count, waits_count;
    uint64_t destroyed;
};

/* Calls of one RPC procedure as record readers met them: from these, caps are suggested. Written by all threads, atomically. */
struct ull_procedure_entry {
    uint64_t ready;
    uint32_t program, version, procedure;
    uint32_t reserved;
    uint64_t bytes;         /* of all calls; their number is the sum of sizes[] */
    uint64_t max_bytes;
    uint64_t refused_count; /* over the cap for it */
    uint64_t cap_bytes;     /* the lowest that was in force; 0: not known */
    uint64_t sizes[ULL_BUCKET_COUNT];
};

/* Buffers whose use is known for good, because they were freed. Live ones are in the live table. */
struct ull_population {
    uint64_t count;
    uint64_t requested_bytes;
    uint64_t used_bytes;
    uint64_t used_max_bytes;
    uint64_t requested_min_bytes; /* 0: none yet */
    uint64_t granularity_bytes;   /* coarsest reading among them */
    uint64_t shares[ULL_SHARE_COUNT];
    struct ull_small_histogram used;
};

enum ull_precision { ULL_EXACT, ULL_UPPER_BOUND, ULL_PRECISION_COUNT };

struct ull_use_entry {
    struct ull_population used[ULL_PRECISION_COUNT]; /* by enum ull_precision */
    uint64_t touched_count;
    uint64_t touched_bytes;
    uint64_t touched_max_bytes;
    uint64_t touched_shares[ULL_SHARE_COUNT];
    uint16_t touched_log2[40]; /* buffers that touched up to 2^k bytes and more than 2^(k - 1) */
};

enum ull_live_flags {
    ULL_LIVE_SAMPLED = 1,    /* stands for `weight` small buffers; not measured */
    ULL_LIVE_MEASURABLE = 2, /* has whole pages */
    ULL_LIVE_INHERITED = 4,  /* was the parent's at fork */
};

/* How a reading was had: granularity in bytes in the low 32 bits, this bit if exact. */
#define ULL_READ_EXACT (UINT64_C(1) << 32)

struct ull_live_entry {
    uint64_t state; /* owners so far << 1 | 1 while live */
    uint64_t address;
    uint64_t bytes;
    uint32_t site;
    uint32_t flags; /* enum ull_live_flags */
    uint32_t weight;
    uint32_t tail_sum;   /* see lib/pages/span.h, also for the next two */
    uint64_t stale_end;
    uint64_t stale_bytes;
    uint64_t born_monotonic_ns;
    uint64_t read_monotonic_ns; /* when it was last measured; 0 never */
    uint64_t used;              /* bytes, at that time */
    uint64_t touched;
    uint64_t resident;
    uint64_t how;
};

/* ---- the sidecar: what was measured from outside; a whole file each time, renamed into place ---- */

struct ull_sidecar_header {
    uint64_t magic;
    uint32_t version;
    uint32_t entry_bytes;
    uint64_t entry_count;
    uint64_t start_unix_ns; /* of the ledger it belongs to, with pid */
    uint32_t pid;
    uint32_t ended;         /* enum ull_sidecar_ended: what `ullage run` learned from wait(2) */
    uint32_t exit_status;
    uint32_t signal;
    uint64_t scanned_monotonic_ns;
    uint64_t ended_monotonic_ns;
    uint64_t checksum; /* of the entries; see sidecar.c */
};

enum ull_sidecar_ended { ULL_SIDECAR_RUNNING = 0, ULL_SIDECAR_EXITED = 1, ULL_SIDECAR_KILLED = 2 };

struct ull_sidecar_entry {
    uint64_t live;  /* index in the ledger's live table */
    uint64_t state; /* of that entry when it was measured */
    uint64_t read_monotonic_ns;
    uint64_t used, touched, resident, how;
};

#endif
