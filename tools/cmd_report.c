/* SPDX-License-Identifier: BSD-2-Clause */
/* cmd_report.c - `ullage report`: one ledger, live or dead, as text or JSON. */
#include "config.h"

#include "command.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void help(void)
{
    fputs("Usage: ullage report [OPTION]... [PID | LEDGER]\n"
          "Reports on the process PID, on a ledger file, or on the newest ledger.\n"
          "A live process is measured now, from outside; a dead one as it was left.\n\n"
          "  --json                  write JSON to standard output\n",
        stdout);
    report_options_help(stdout);
}

static bool is_pid(const char *text)
{
    return text[0] != '\0' && strspn(text, "0123456789") == strlen(text);
}

/* Another user's ledger may name any pid: it is that process's only if that one has it in its memory, or is no more. */
static bool may_be_believed(const struct ullage_ledger_info *info)
{
    char process[32];
    snprintf(process, sizeof process, "/proc/%d", (int)info->pid);
    return info->user_id == geteuid() || info->state == ULLAGE_STATE_LIVE || access(process, F_OK) != 0;
}

/* The newest ledger of @pid, or of this user where it is 0. */
static int find_ledger(char *path, long pid)
{
    struct ullage_ledger_info *list;
    size_t count;
    char directory[ULLAGE_PATH_BYTES] = "?";
    bool found = false;
    int result = pid != 0 ? ullage_ledger_list_all(&list, &count) : ullage_ledger_list(&list, &count, NULL);
    (void)ullage_directory(directory);
    if (result != 0)
        return complain("report", "%s: %s", directory, result == -EPERM
                ? "belongs to somebody else, or others may write to it: set ULLAGE_DIR" : strerror(-result));
    for (size_t i = 0; i < count && !found; i++) {
        if (pid != 0 ? list[i].pid != (pid_t)pid || !may_be_believed(&list[i]) : list[i].user_id != geteuid())
            continue;
        snprintf(path, ULLAGE_PATH_BYTES, "%s", list[i].path);
        found = true;
    }
    ullage_ledger_list_free(list);
    if (found)
        return 0;
    if (pid != 0)
        return complain("report", "process %ld has no ledger in %s: start it with `ullage run -- PROGRAM` "
            "(`ullage ls` lists those there are)", pid, directory);
    return complain("report", "no ledger in %s: make one with `ullage run -- PROGRAM`", directory);
}

static int report(const char *path, const struct report_options *options, bool json)
{
    struct ullage_snapshot_options how = ULLAGE_SNAPSHOT_OPTIONS_INIT;
    struct ullage_snapshot *snapshot;
    char error[ULLAGE_ERROR_BYTES];
    how.thresholds = &options->thresholds;
    how.debug_directory = options->debug_directory;
    if (ullage_snapshot_take(&snapshot, path, &how, error) != 0)
        return complain("report", "%s: %s", path, error);
    int result = json ? write_json(stdout, snapshot, options->top) : write_text(stdout, snapshot, options->top);
    bool flagged = ullage_snapshot_flagged(snapshot) > 0;
    ullage_snapshot_destroy(snapshot);
    if (result != 0)
        return complain("report", "standard output: %s", strerror(-result));
    return flagged && options->error_exitcode >= 0 ? options->error_exitcode : 0;
}

int cmd_report(int argc, char **argv)
{
    static const struct option long_options[]
        = { REPORT_LONG_OPTIONS, { "json", no_argument, NULL, OPTION_JSON }, { NULL, 0, NULL, 0 } };
    struct report_options options = REPORT_OPTIONS_INIT;
    char path[ULLAGE_PATH_BYTES];
    bool json = false;
    long pid = 0;
    for (int option; (option = getopt_long(argc, argv, "", long_options, NULL)) != -1;) {
        if (option == OPTION_HELP) {
            help();
            return 0;
        }
        if (option == OPTION_JSON) {
            json = true;
            continue;
        }
        int result = option == '?' ? complain_usage("report")
            : report_options_parse(&options, "report", option, optarg);
        if (result != 0)
            return result;
    }
    if (argc - optind > 1)
        return complain("report", "one PID or LEDGER at a time, not '%s' too", argv[optind + 1]);
    const char *named = optind < argc ? argv[optind] : NULL;
    if (named != NULL && is_pid(named) && !parse_number(named, 1, INT32_MAX, &pid))
        return complain("report", "'%s' is no process id", named);
    if (named != NULL && pid == 0) {
        snprintf(path, sizeof path, "%s", named);
    } else {
        int result = find_ledger(path, pid);
        if (result != 0)
            return result;
    }
    return report(path, &options, json);
}
