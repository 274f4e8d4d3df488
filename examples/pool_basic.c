/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pool_basic.c - the smallest honest use of a pool: sessions that are set up once and used over and over, within a budget.
 *
 * A session has a member that costs something to make (here a table; elsewhere a context of a cipher, a parser). init makes it when an
 * object is new, reset puts the object in order when it comes back, fini takes it down before the memory goes. Each step is
 * checked; it exits with 1 at the first that is not as ullage/pool.h says.
 */
#include <ullage/pool.h>

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SESSIONS_AT_ONCE = 3, TABLE_ENTRIES = 256, INPUT_BYTES = 60000 };

struct session {
    int *table;         /* dear to make: kept while the session is in the pool */
    size_t input_bytes; /* of this use: reset forgets it */
    char input[INPUT_BYTES];
};

static int made, unmade, reset_count;

static int session_init(void *ctx, void *object)
{
    struct session *session = object;
    (void)ctx;
    session->table = calloc(TABLE_ENTRIES, sizeof *session->table);
    session->input_bytes = 0;
    made += session->table != NULL;
    return session->table != NULL ? 0 : -ENOMEM;
}

static void session_reset(void *ctx, void *object)
{
    struct session *session = object;
    (void)ctx;
    session->input_bytes = 0;
    reset_count++;
}

static void session_fini(void *ctx, void *object)
{
    struct session *session = object;
    (void)ctx;
    free(session->table);
    unmade++;
}

static void check(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "pool_basic: not so: %s\n", what);
    exit(1);
}

static struct ullage_pool_counts counts_of(const struct ullage_pool *pool)
{
    struct ullage_pool_counts counts = { .size = sizeof counts };
    check(ullage_pool_counts(pool, &counts) == 0, "a pool says what it holds");
    return counts;
}

/* One request: its input comes, is worked on, and how far the session was needed is said with its return. */
static void serve(struct ullage_pool *pool, const char *request)
{
    struct session *session = ullage_pool_get(pool);
    check(session != NULL, "there is a session");
    check(session->table != NULL && session->input_bytes == 0, "it is set up, and as new");
    session->input_bytes = strlen(request);
    memcpy(session->input, request, session->input_bytes);
    session->table[session->input[0] & 0xff]++;
    ullage_pool_put_used(pool, session, offsetof(struct session, input) + session->input_bytes);
}

/* Sessions at once until the budget is used up: the next get fails, and nothing else does. */
static unsigned until_refused(struct ullage_pool *pool)
{
    struct session *held[SESSIONS_AT_ONCE * 4];
    unsigned count = 0;
    while (count < sizeof held / sizeof held[0] && (held[count] = ullage_pool_get(pool)) != NULL)
        count++;
    check(count < sizeof held / sizeof held[0] && errno == ENOBUFS, "the budget bounds the pool");
    for (unsigned i = 0; i < count; i++)
        ullage_pool_put(pool, held[i]);
    return count;
}

static struct ullage_pool *make_pool(struct ullage_budget *budget)
{
    struct ullage_pool *pool = NULL;
    struct ullage_pool_options options = { .size = sizeof options, .name = "sessions", .object_bytes = sizeof(struct session),
        .init = session_init, .reset = session_reset, .fini = session_fini, .budget = budget };
    check(ullage_pool_create(&pool, &options) == 0, "a pool is made");
    return pool;
}

int main(void)
{
    struct ullage_budget *budget = NULL;
    check(ullage_budget_create(&budget, SESSIONS_AT_ONCE * 2 * sizeof(struct session)) == 0, "a budget is made");
    struct ullage_pool *pool = make_pool(budget);

    for (int i = 0; i < 1000; i++)
        serve(pool, "a request");
    struct ullage_pool_counts counts = counts_of(pool);
    check(counts.gets == 1000 && counts.puts == 1000 && counts.out == 0, "each session came back");
    check(made == 1 && counts.made == 1 && reset_count == 1000, "one session did all the work, and was reset each time");
    printf("%llu requests: %d session set up, %d times reset\n", (unsigned long long)counts.gets, made, reset_count);

    unsigned most = until_refused(pool);
    check(most >= SESSIONS_AT_ONCE, "what fits in the budget can be had");
    check(ullage_budget_peak(budget) <= ullage_budget_max(budget), "the budget was kept at every instant");
    printf("within %zu bytes: %u sessions at once, the next was refused\n", ullage_budget_max(budget), most);

    size_t given_back = ullage_pool_trim(pool, 0);
    check(unmade == made && counts_of(pool).retained_bytes == 0, "what is trimmed is taken down first");
    check(ullage_budget_used(budget) == 0, "and its bytes are free again");
    printf("trimmed: %zu bytes given back, %d sessions taken down\n", given_back, unmade);

    ullage_pool_destroy(pool);
    ullage_budget_destroy(budget);
    return 0;
}
