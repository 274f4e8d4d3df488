/* SPDX-License-Identifier: BSD-2-Clause */
/* cmd_ls.c - `ullage ls`: the processes that have a ledger, newest first. */
#include "config.h"

#include "command.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

static void help(void)
{
    fputs("Usage: ullage ls\n"
          "Lists the processes that have a ledger, newest first: live ones and dead ones.\n"
          "LIVE and PEAK are what they requested. The directory is ULLAGE_DIR, else\n"
          "XDG_RUNTIME_DIR/ullage, else /dev/shm/ullage-UID.\n",
        stdout);
}

static const char *state_name(enum ullage_state state)
{
    return state == ULLAGE_STATE_LIVE ? "live" : state == ULLAGE_STATE_EXITED ? "exited" : "killed";
}

static void format_size(char to[16], uint64_t bytes)
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
    double scaled = (double)bytes;
    unsigned unit = 0;
    for (; scaled >= 1023.95 && unit < 6; unit++)
        scaled /= 1024;
    snprintf(to, 16, unit == 0 ? "%.0f %s" : "%.1f %s", scaled, units[unit]);
}

static void format_age(char to[16], uint64_t since_unix_ns)
{
    double seconds = difftime(time(NULL), (time_t)(since_unix_ns / 1000000000));
    if (seconds < 0)
        seconds = 0;
    if (seconds < 120)
        snprintf(to, 16, "%.0f s", seconds);
    else if (seconds < 7200)
        snprintf(to, 16, "%.0f min", seconds / 60);
    else if (seconds < 172800)
        snprintf(to, 16, "%.0f h", seconds / 3600);
    else
        snprintf(to, 16, "%.0f d", seconds / 86400);
}

int cmd_ls(int argc, char **argv)
{
    static const struct option long_options[] = { { "help", no_argument, NULL, OPTION_HELP }, { NULL, 0, NULL, 0 } };
    struct ullage_ledger_info *list;
    struct winsize window;
    size_t count;
    char directory[ULLAGE_PATH_BYTES] = "?";
    for (int option; (option = getopt_long(argc, argv, "", long_options, NULL)) != -1;) {
        if (option != OPTION_HELP)
            return complain_usage("ls");
        help();
        return 0;
    }
    if (optind < argc)
        return complain("ls", "takes no argument, not '%s'", argv[optind]);
    int result = ullage_ledger_list(&list, &count, NULL);
    (void)ullage_directory(directory);
    if (result != 0)
        return complain("ls", "%s: %s", directory, result == -EPERM
                ? "belongs to somebody else, or others may write to it: set ULLAGE_DIR" : strerror(-result));
    if (count == 0) {
        fprintf(stderr, "ullage ls: no ledger in %s: make one with `ullage run -- PROGRAM`\n", directory);
        return 0;
    }
    bool terminal = isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 50;
    int room = terminal ? window.ws_col - 47 : -1;
    printf("%7s  %-6s %7s %10s %10s  %s\n", "PID", "STATE", "AGE", "LIVE", "PEAK", "COMMAND");
    for (size_t i = 0; i < count; i++) {
        char live[16], peak[16], age[16];
        format_size(live, list[i].requested_live_bytes);
        format_size(peak, list[i].requested_peak_bytes);
        format_age(age, list[i].started_unix_ns);
        printf("%7d  %-6s %7s %10s %10s  %.*s\n", (int)list[i].pid, state_name(list[i].state), age, live, peak,
            room, list[i].command);
    }
    ullage_ledger_list_free(list);
    return fflush(stdout) == 0 ? 0 : complain("ls", "standard output: %s", strerror(errno));
}
