/* SPDX-License-Identifier: BSD-2-Clause */
/* test_view.c - reading ledgers: whole, beside a sidecar, cut, damaged, hostile. */
#include "config.h"

#include "base/sys.h"
#include "ledger/live.h"
#include "ledger/sites.h"
#include "ledger/writer.h"
#include "scratch.h"
#include "ullage/export.h"
#include "view/clean.h"
#include "view/sidecar.h"
#include "view/snapshot.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>

static struct ull_ledger ledger;
static struct ull_sites sites;
static struct ull_live live;
static char error[ULLAGE_ERROR_BYTES];

/* Three sites: freed and known, live and read, live and never read; and a module with a path. */
static void set_up(void)
{
    struct ull_ledger_options options = { .run_id = "run-1", .min_bytes = 65536, .sample_bytes = 524288 };
    struct ull_live_buffer older;
    bool had_older;
    scratch_make();
    cr_assert_eq(ull_ledger_create(&ledger, &options), 0);
    ull_sites_init(&sites, &ledger);
    ull_live_init(&live, &ledger);
    struct ull_module_entry *module
        = ull_ledger_at(&ledger, ULL_TABLE_MODULES, (uint64_t)ull_ledger_reserve(&ledger, ULL_TABLE_MODULES, 1));
    module->path = (uint64_t)ull_ledger_add_string(&ledger, "/no/such/\x1b[31mprogram\xff", 22);
    module->path_bytes = 22;
    module->ready = 1;
    for (uint64_t i = 1; i <= 3; i++) {
        uint64_t frames[2] = { ull_frame_pack(0, i * 16), ull_frame_pack(0, 4096) };
        uint32_t site = ull_sites_add(&sites, i, i, ULL_KIND_MALLOC, 0, frames, 2);
        ull_sites_count_allocation(&sites, site, 1 << 20, 1);
        struct ull_live_buffer buffer = { .address = i << 24, .bytes = 1 << 20, .site = site, .weight = 1,
            .flags = ULL_LIVE_MEASURABLE, .entry = -1 };
        if (i == 1) {
            ull_sites_count_use(&sites, site, 1 << 20, 4096, 4096, 4096, ULL_EXACT);
            ull_sites_count_free(&sites, site, 1 << 20, 1);
            continue;
        }
        cr_assert_eq(ull_live_insert(&live, &buffer, &older, &had_older), 0);
    }
    struct ull_live_entry *entry = ull_ledger_at(&ledger, ULL_TABLE_LIVE, 0);
    entry->used = 8192;
    entry->touched = 8192;
    entry->resident = 4096;
    entry->how = 4096 | ULL_READ_EXACT;
    entry->read_monotonic_ns = ull_sys_monotonic_ns();
    ull_ledger_mark_ended(&ledger, 3);
}

static void tear_down(void)
{
    ull_live_fini(&live);
    ull_sites_fini(&sites);
    ull_ledger_close(&ledger);
    scratch_remove();
}

TestSuite(view, .init = set_up, .fini = tear_down);

static struct ullage_snapshot *take(void)
{
    struct ullage_snapshot *snapshot = NULL;
    int result = ullage_snapshot_take(&snapshot, ledger.path, NULL, error);
    cr_assert_eq(result, 0, "%d %s", result, error);
    return snapshot;
}

static const struct ull_site *site_with(const struct ullage_snapshot *snapshot, uint64_t id)
{
    for (size_t i = 0; i < snapshot->site_count; i++)
        if (snapshot->sites[i].id == id)
            return &snapshot->sites[i];
    return NULL;
}

Test(view, tells_what_was_written)
{
    struct ullage_snapshot *snapshot = take();
    cr_assert_eq(snapshot->pid, (uint32_t)getpid());
    cr_assert_eq(snapshot->state, ULLAGE_STATE_EXITED);
    cr_assert_eq(snapshot->exit_status, 3);
    cr_assert_eq(snapshot->site_count, 3);
    cr_assert_eq(snapshot->totals.requested_total, 3 << 20);
    cr_assert_eq(snapshot->totals.requested_live, 2 << 20);
    const struct ull_site *freed = site_with(snapshot, 1), *read = site_with(snapshot, 2), *unread = site_with(snapshot, 3);
    cr_assert_eq(freed->deciding.used_max_bytes, 4096);
    cr_assert_eq(freed->live_count, 0);
    cr_assert_eq(read->deciding.used_max_bytes, 8192);
    cr_assert_eq(read->resident_live, 4096);
    cr_assert_eq(read->ullage_live, (1 << 20) - 8192);
    cr_assert_eq(unread->used_is, ULL_USED_UNKNOWN);
    cr_assert_eq(unread->flag, ULL_FLAG_NONE, "never measured, never flagged");
    cr_assert_eq(freed->frame_count, 2);
    cr_assert_str_eq(freed->frames[0].object, "/no/such/\xef\xbf\xbd[31mprogram\xef\xbf\xbd",
        "nothing that a terminal obeys");
    ullage_snapshot_destroy(snapshot);
}

static void write_sidecar(uint64_t state, uint64_t used, uint64_t later_ns)
{
    struct ull_sidecar sidecar;
    ull_sidecar_init(&sidecar, &(struct ull_file) { .header = *ledger.header, .owner = geteuid() });
    struct ull_sidecar_entry entry
        = { 1, state, ull_sys_monotonic_ns() + later_ns, used, used, used, 4096 | ULL_READ_EXACT };
    cr_assert_eq(ull_sidecar_put(&sidecar, &entry), 0);
    sidecar.header.ended = ULL_SIDECAR_KILLED;
    sidecar.header.signal = 9;
    cr_assert_eq(ull_sidecar_write(&sidecar, ledger.path), 0);
    ull_sidecar_fini(&sidecar);
}

Test(view, merges_what_was_measured_from_outside)
{
    const struct ull_live_entry *entry = ull_ledger_at(&ledger, ULL_TABLE_LIVE, 1);
    write_sidecar(entry->state, 12288, 1);
    struct ullage_snapshot *snapshot = take();
    cr_assert_eq(site_with(snapshot, 3)->deciding.used_max_bytes, 12288);
    cr_assert_eq(snapshot->signal, 9);
    cr_assert_eq(snapshot->state, ULLAGE_STATE_KILLED);
    ullage_snapshot_destroy(snapshot);
}

Test(view, reading_of_an_earlier_owner_does_not_count)
{
    const struct ull_live_entry *entry = ull_ledger_at(&ledger, ULL_TABLE_LIVE, 1);
    write_sidecar(entry->state - 2, 12288, 1);
    struct ullage_snapshot *snapshot = take();
    cr_assert_eq(site_with(snapshot, 3)->used_is, ULL_USED_UNKNOWN);
    ullage_snapshot_destroy(snapshot);
}

Test(view, damaged_sidecar_is_said_and_left_out)
{
    char path[600];
    const struct ull_live_entry *entry = ull_ledger_at(&ledger, ULL_TABLE_LIVE, 1);
    write_sidecar(entry->state, 12288, 1);
    cr_assert_eq(ull_sidecar_path(path, sizeof path, ledger.path, geteuid()), 0);
    int fd = open(path, O_RDWR);
    cr_assert_eq(pwrite(fd, "X", 1, (off_t)sizeof(struct ull_sidecar_header) + 24), 1);
    close(fd);
    struct ullage_snapshot *snapshot = take();
    cr_assert_eq(site_with(snapshot, 3)->used_is, ULL_USED_UNKNOWN);
    cr_assert_eq(snapshot->warning_count, 1);
    cr_assert_not_null(strstr(snapshot->warnings[0], "sidecar"));
    ullage_snapshot_destroy(snapshot);
}

Test(view, cut_anywhere_gives_what_is_whole)
{
    for (off_t size = 65535; size > 0; size -= size > 4200 ? 997 : 61) {
        struct ullage_snapshot *snapshot = NULL;
        cr_assert_eq(truncate(ledger.path, size), 0);
        int result = ullage_snapshot_take(&snapshot, ledger.path, NULL, error);
        if (size < ULL_HEADER_BYTES) {
            cr_assert_eq(result, -EBADMSG, "at %ld", (long)size);
            cr_assert_not_null(strstr(error, "cut off"));
            continue;
        }
        cr_assert_eq(result, 0, "at %ld: %s", (long)size, error);
        cr_assert_gt(snapshot->warning_count, 0, "at %ld", (long)size);
        cr_assert_not_null(strstr(snapshot->warnings[0], "cut off"));
        ullage_snapshot_destroy(snapshot);
    }
}

static void poke(size_t offset, uint64_t value)
{
    memcpy((char *)ledger.header + offset, &value, sizeof value);
}

Test(view, refuses_what_it_cannot_read_and_says_why)
{
    struct ullage_snapshot *snapshot = NULL;
    cr_assert_eq(ullage_snapshot_take(&snapshot, "/no/such.ledger", NULL, error), -ENOENT);
    cr_assert_not_null(strstr(error, "ullage ls"));
    cr_assert_eq(ullage_snapshot_take(&snapshot, "/tmp", NULL, error), -EBADMSG);
    cr_assert_eq(ullage_snapshot_take(&snapshot, "/dev/null", NULL, error), -EBADMSG);
    uint32_t version = ULL_FORMAT_VERSION + 1;
    memcpy(&ledger.header->version, &version, sizeof version);
    cr_assert_eq(ullage_snapshot_take(&snapshot, ledger.path, NULL, error), -ENOTSUP);
    cr_assert_not_null(strstr(error, "format version"));
    poke(0, 12345);
    cr_assert_eq(ullage_snapshot_take(&snapshot, ledger.path, NULL, error), -EBADMSG);
    cr_assert_not_null(strstr(error, "not a ledger"));
    cr_assert_eq(truncate(ledger.path, 0), 0);
    cr_assert_eq(ullage_snapshot_take(&snapshot, ledger.path, NULL, error), -EBADMSG);
    cr_assert_not_null(strstr(error, "empty"));
}

static int drop(void *context, const void *bytes, size_t count)
{
    (void)bytes;
    *(size_t *)context += count;
    return 0;
}

/* 30,000 damaged copies through everything that reads; run it under the sanitizers. */
Test(view, no_damage_is_a_crash, .timeout = 300)
{
    static unsigned char copy[ULL_FIRST_BYTES];
    struct ullage_snapshot_options options = ULLAGE_SNAPSHOT_OPTIONS_INIT;
    struct ullage_thresholds all = ULLAGE_THRESHOLDS_INIT;
    uint64_t random = 88172645463325252U;
    all.min_peak_bytes = all.min_request_bytes = 0;
    options.no_symbols = true;
    options.thresholds = &all;
    for (int i = 0; i < 30000; i++) {
        memcpy(copy, ledger.header, sizeof copy);
        for (int flips = 1 + i % 12; flips > 0; flips--) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            size_t at = (random >> 8) % (flips % 3 == 0 ? sizeof copy : sizeof(struct ull_ledger_header));
            copy[at] = (unsigned char)(flips % 2 ? random : random & 1 ? 0xff : 0);
        }
        size_t size = i % 5 == 0 ? (random >> 20) % sizeof copy : sizeof copy;
        struct ullage_snapshot *snapshot;
        if (ullage_snapshot_parse(&snapshot, copy, size, &options, error) != 0)
            continue;
        size_t written = 0;
        struct ullage_sink sink = { drop, &written };
        cr_assert_eq(ullage_export_text(snapshot, &sink, NULL), 0);
        cr_assert_eq(ullage_export_json(snapshot, &sink, 0), 0);
        cr_assert_gt(written, 0);
        ullage_snapshot_destroy(snapshot);
    }
}

Test(view, hostile_readings_stay_in_their_places)
{
    struct ull_live_entry *entry = ull_ledger_at(&ledger, ULL_TABLE_LIVE, 0);
    entry->bytes = entry->touched = entry->used = UINT64_MAX;
    entry->resident = 0;
    struct ullage_snapshot *snapshot = take();
    cr_assert_eq(site_with(snapshot, 2)->resident_live, 0);
    cr_assert_leq(snapshot->totals.ullage_live, snapshot->totals.requested_live);
    ullage_snapshot_destroy(snapshot);
}

Test(view, unread_live_buffers_are_counted)
{
    struct ullage_snapshot *snapshot = take();
    cr_assert_eq(site_with(snapshot, 3)->live_unread, 1);
    cr_assert_eq(site_with(snapshot, 2)->live_unread, 0);
    ullage_snapshot_destroy(snapshot);
}

struct text {
    char bytes[65536];
    size_t count;
};

static int collect(void *context, const void *bytes, size_t count)
{
    struct text *text = context;
    if (count >= sizeof text->bytes - text->count)
        return -ENOSPC;
    memcpy(text->bytes + text->count, bytes, count);
    text->count += count;
    text->bytes[text->count] = '\0';
    return 0;
}

Test(view, json_has_the_keys_and_null_for_the_unknown)
{
    static struct text text;
    struct ullage_sink sink = { collect, &text };
    struct ullage_snapshot *snapshot = take();
    cr_assert_eq(ullage_export_json(snapshot, &sink, 0), 0);
    json_error_t problem;
    json_t *report = json_loads(text.bytes, 0, &problem);
    cr_assert_not_null(report, "%s", problem.text);
    static const char *const keys[] = { "version", "process", "totals", "sites", "other", "pools", "budgets", "profiles",
        "counters", "warnings", "children" };
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        cr_assert_not_null(json_object_get(report, keys[i]), "%s", keys[i]);
    json_t *found = json_object_get(report, "sites");
    for (size_t i = 0; i < json_array_size(found); i++) {
        json_t *site = json_array_get(found, i);
        if (strcmp(json_string_value(json_object_get(site, "id")), "0000000000000003") != 0)
            continue;
        cr_assert(json_is_null(json_object_get(site, "used_max_bytes")));
        cr_assert(json_is_null(json_object_get(site, "flag")));
        cr_assert_str_eq(json_string_value(json_object_get(site, "used_is")), "unknown");
        cr_assert(json_is_null(json_object_get(site, "ullage_peak_bytes")));
    }
    json_decref(report);
    ullage_snapshot_destroy(snapshot);
}

Test(view, text_fits_80_columns_and_errors_of_the_sink_come_back)
{
    static struct text text;
    struct ullage_sink sink = { collect, &text };
    struct ullage_snapshot *snapshot = take();
    cr_assert_eq(ullage_export_text(snapshot, &sink, NULL), 0);
    unsigned width = 0;
    for (const char *at = text.bytes; *at != '\0'; at++) {
        width = *at == '\n' ? 0 : width + ((*at & 0xc0) != 0x80);
        cr_assert_leq(width, 80, "%s", text.bytes);
    }
    cr_assert_null(strchr(text.bytes, '\033'), "no colour unless asked for");
    text.count = sizeof text.bytes - 10;
    cr_assert_eq(ullage_export_text(snapshot, &sink, NULL), -ENOSPC);
    cr_assert_eq(ullage_export_json(snapshot, &sink, 0), -ENOSPC);
    ullage_snapshot_destroy(snapshot);
}

Test(clean, keeps_text_and_replaces_the_rest)
{
    static const struct {
        const char *from, *to;
    } cases[] = { { "plain", "plain" }, { "caf\xc3\xa9", "caf\xc3\xa9" }, { "\x1b[0m", "\xef\xbf\xbd[0m" },
        { "\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd" }, { "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
        { "\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" }, { "\xc2\x9b", "\xef\xbf\xbd" },
        { "a\xe2\x82", "a\xef\xbf\xbd\xef\xbf\xbd" }, { "\n", "\xef\xbf\xbd" } };
    char out[64];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ull_clean_text(out, sizeof out, cases[i].from, strlen(cases[i].from));
        cr_assert_str_eq(out, cases[i].to, "case %zu: '%s'", i, out);
    }
    ull_clean_text(out, 4, "abcdef", 6);
    cr_assert_str_eq(out, "abc");
    ull_clean_text(out, 3, "a\xc3\xa9", 3);
    cr_assert_str_eq(out, "a", "cut at a whole character");
}
