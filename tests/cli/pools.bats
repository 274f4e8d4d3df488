#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# `ullage run --pool`: unmodified programs on our slabs. What they do, and what is found of them, stays the same.
load common

pooled() { # PROGRAM...: the same output and status as alone
    local alone=0 beside=0
    "$@" > alone.out 2> alone.err || alone=$?
    "$ULLAGE" run --pool --json report.json -- "$@" > beside.out 2> beside.err || beside=$?
    [ "$alone" -eq "$beside" ] || { echo "status $alone alone, $beside on slabs"; return 1; }
    cmp alone.out beside.out || return 1
    cmp alone.err beside.err
}

@test "an oversized buffer is found on slabs too" {
    "$ULLAGE" run --pool --json report.json -- dd bs=16M if=small of=/dev/null 2> /dev/null
    [ "$(first_site .flag)" = oversized ]
    [ "$(first_site .used_max_bytes)" -ge 40000 ]
    [ "$(first_site .suggested_bytes)" -le 65536 ]
}

@test "its buffers do come from slabs" {
    "$ULLAGE" run --pool --json report.json -- xz -9 -k -c numbers > with
    [ "$(jq .counters.pool_slab_bytes report.json)" -gt 67108864 ]
    "$ULLAGE" run --json report.json -- xz -9 -k -c numbers > without
    [ "$(jq .counters.pool_slab_bytes report.json)" -eq 0 ]
    cmp with without
}

@test "programs do what they do alone: compressing, sorting, interpreting, forking" {
    pooled xz -6 -c numbers
    pooled sort -S 4M --parallel=2 -r numbers
    pooled python3 -c 'import os
x = [bytearray(b"%d" % i) * 9000 for i in range(200)]
pid = os.fork()
y = [b + b for b in x]
del x
if pid: os.wait()
print(sum(map(len, y)))'
    pooled sh -c 'seq 1 200000 | sort -n | tail -n 1; exit 7'
}

@test "on another allocator as well" {
    for library in libjemalloc.so.2 libmimalloc.so.2; do
        LD_PRELOAD=$library "$ULLAGE" run --pool --json report.json -- xz -6 -k -c numbers > with
        xz -6 -k -c numbers | cmp - with
    done
}

@test "threads that allocate, move and free for each other" {
    "$ULLAGE" run --pool --min-bytes 4K --json report.json -- "$BUILD/race_preload" > /dev/null
    pooled "$BUILD/calls"
    jq -e '.totals.frees_total <= .totals.allocations_total' report.json
}

@test "what a program declares of its own buffers is in the report, with its place" {
    cat > own.c <<'END'
#include <ullage/ullage.h>
#include <string.h>
int main(void)
{
    struct ullage_pool *pool;
    struct ullage_pool_options options = { .size = sizeof options, .name = "sessions", .object_bytes = 3000 };
    struct ullage_budget *budget;
    for (int i = 0; i < 200; i++) {
        char *p = ullage_malloc(1 << 20);
        memset(p, 1, 4000);
        ullage_free_used(p, 4000);
    }
    ullage_budget_create(&budget, 1 << 20);
    ullage_budget_name(budget, "all sessions");
    options.budget = budget;
    ullage_pool_create(&pool, &options);
    void *session = ullage_pool_get(pool);
    ullage_trim(0);
    return session == NULL;
}
END
    ${CC:-cc} -I"$SOURCE/include" own.c -o own -L"$BUILD/.libs" -lullage -Wl,-rpath,"$BUILD/.libs"
    ./own 2> said
    grep -q 'own.c:9 main(): asks for 1.0 MiB, used at most 3.9 KiB' said
    [ "$(grep -c 'asks for' said)" -eq 1 ]
    "$ULLAGE" report --json > report.json
    [ "$(first_site '[.function, .line, .flag, .used_is, .used_max_bytes, .allocations_total] | join(" ")')" = "main 9 oversized declared 4000 200" ]
    [ "$(jq -r '.pools[0] | [.name, .gets_total, .puts_total, .retained_bytes] | join(" ")' report.json)" = "sessions 1 0 0" ]
    [ "$(jq -r '.budgets[0].name' report.json)" = "all sessions" ]
    "$ULLAGE" report | awk 'length > 80 { exit 1 }'
}

@test "a reported misuse, and buffers that had to grow, are counted in the report" {
    cat > counted.c <<'END'
#include <ullage/ullage.h>
int main(void)
{
    struct ullage_alloc_options options = { .size = sizeof options, .misuse = ULLAGE_MISUSE_REPORT };
    if (ullage_alloc_configure(&options) != 0)
        return 1;
    void *twice = ullage_malloc(4096);
    ullage_free(twice);
    ullage_free(twice);
    for (int i = 0; i < 3; i++) {
        struct ullage_buffer *b = ullage_buffer_get(0);
        ullage_buffer_grow(&b, 70000, 0);
        ullage_buffer_put(b, 70000);
    }
    return 0;
}
END
    ${CC:-cc} -I"$SOURCE/include" counted.c -o counted -L"$BUILD/.libs" -lullage -Wl,-rpath,"$BUILD/.libs"
    ./counted 2> said
    "$ULLAGE" report --json > report.json
    [ "$(jq -r '.counters | [.pool_misuse_total, .pool_regrows_total] | join(" ")' report.json)" = "1 3" ]
    [ "$(jq '[.sites[].regrows_total // 0] | add' report.json)" = 3 ]
}

@test "what is not given back is in the report, with its stack" {
    printf '#include <ullage/ullage.h>\n__attribute__((noinline)) void keep(void) { *(char *)ullage_malloc(4096) = 1; }\nint main(void) { for (int i = 0; i < 3; i++) keep(); ullage_leaks_report(2, 0); return 0; }\n' > leak.c
    ${CC:-cc} -g -I"$SOURCE/include" leak.c -o leak -L"$BUILD/.libs" -lullage -Wl,-rpath,"$BUILD/.libs"
    ULLAGE_LEAKS=all ./leak 2> said
    [ "$(grep -c '4.0 KiB got at leak.c:2 keep() .* is still out' said)" -eq 3 ]
    "$ULLAGE" report > report
    grep -q 'buffers: 3 held at the end' report
    grep -q 'keep' report
}

@test "a setting that is no size is no reason to fail" {
    ULLAGE_POOL=much "$ULLAGE" run --json report.json -- true
    run "$ULLAGE" run --pool=1 -- true
    [ "$status" -eq 2 ]
}

@test "slabs come from an arena of jemalloc's, or from huge pages, if the program says so" {
    [ -e /usr/include/jemalloc/jemalloc.h ] || skip "no libjemalloc-dev"
    cat > sources.c <<'END'
#include <jemalloc/jemalloc.h>
#include <stdio.h>
#include <string.h>
#include <ullage/ullage.h>
static void use(const struct ullage_source *source, size_t bytes)
{
    struct ullage_pool *pool;
    struct ullage_pool_options options = { .size = sizeof options, .object_bytes = bytes, .source = source };
    char *objects[100];
    if (ullage_pool_create(&pool, &options) != 0)
        return;
    for (int i = 0; i < 100; i++)
        memset(objects[i] = ullage_pool_get(pool), i, bytes);
    for (int i = 0; i < 100; i++) {
        if (objects[i][bytes - 1] != i)
            puts("spoiled");
        ullage_pool_put(pool, objects[i]);
    }
    printf("%zu\n", ullage_pool_trim(pool, 0));
    ullage_pool_destroy(pool);
}
int main(void)
{
    unsigned arena;
    size_t length = sizeof arena, before, after, bytes = sizeof before;
    char name[64];
    struct ullage_source source;
    if (mallctl("arenas.create", &arena, &length, NULL, 0) != 0 || ullage_source_jemalloc(&source, arena) != 0)
        return 1;
    use(&source, 20000);
    snprintf(name, sizeof name, "stats.arenas.%u.large.nmalloc", arena);
    mallctl("epoch", NULL, NULL, &(unsigned long) { 1 }, sizeof(unsigned long));
    mallctl(name, &before, &bytes, NULL, 0);
    snprintf(name, sizeof name, "stats.arenas.%u.large.ndalloc", arena);
    mallctl(name, &after, &bytes, NULL, 0);
    printf("%s\n", before > 0 && before == after ? "all slabs were the arena's, and went back" : "not so");
    int error = ullage_source_huge_pages(&source);
    if (error == 0)
        use(&source, 20000);
    else
        printf("no huge pages: %d\n", error);
    return 0;
}
END
    ${CC:-cc} -I"$SOURCE/include" sources.c -o sources -L"$BUILD/.libs" -lullage -ljemalloc -Wl,-rpath,"$BUILD/.libs"
    ./sources > out
    cat out
    grep -q 'all slabs were the arena' out
    ! grep -q spoiled out
    grep -qE '^(no huge pages: -(12|22|95)|[0-9]+)$' out
}
