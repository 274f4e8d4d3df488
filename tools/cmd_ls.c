/* SPDX-License-Identifier: BSD-2-Clause */
/* cmd_ls.c - `ullage ls`: the processes that have a ledger, newest first. */
#include "config.h"

#include "command.h"

#include <errno.h>
#include <getopt.h>
#include <pwd.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

static void help(void)
{
    fputs("Usage: ullage ls [--prune]\n"
          "Lists the processes that have a ledger, newest first: live ones and dead ones.\n"
          "LIVE and PEAK are what they requested. The directory is ULLAGE_DIR, else\n"
          "XDG_RUNTIME_DIR/ullage, else /dev/shm/ullage-UID; root sees every user's.\n\n"
          "  --prune   remove the ledgers of dead processes first, all of them, except\n"
          "            those of an `ullage run` in progress; only from this user's\n"
          "            directory. Without it the newest 200, up to 64 MiB, stay.\n",
        stdout);
}

static const char *state_name(enum ullage_state state)
{
    return state == ULLAGE_STATE_LIVE ? "live" : state == ULLAGE_STATE_EXITED ? "exited" : "killed";
}

static char *format_age(char *to, uint64_t since_unix_ns)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t now_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
    return ullage_quantity_duration(to, now_ns > since_unix_ns ? now_ns - since_unix_ns : 0);
}

static void print_user(uid_t id)
{
    const struct passwd *user = getpwuid(id);
    if (user != NULL)
        printf("%-8.8s  ", user->pw_name);
    else
        printf("%-8u  ", (unsigned)id);
}

int cmd_ls(int argc, char **argv)
{
    static const struct option long_options[] = { { "help", no_argument, NULL, OPTION_HELP },
        { "prune", no_argument, NULL, OPTION_PRUNE }, { NULL, 0, NULL, 0 } };
    bool prune = false;
    struct ullage_ledger_info *list;
    struct winsize window;
    size_t count;
    char directory[ULLAGE_PATH_BYTES] = "?";
    for (int option; (option = getopt_long(argc, argv, "", long_options, NULL)) != -1;) {
        if (option != OPTION_HELP && option != OPTION_PRUNE)
            return complain_usage("ls");
        if (option == OPTION_HELP) {
            help();
            return 0;
        }
        prune = true;
    }
    if (optind < argc)
        return complain("ls", "takes no argument, not '%s'", argv[optind]);
    (void)ullage_directory(directory);
    int removed = prune ? ullage_ledger_prune(NULL, 0, 0) : 0;
    if (removed > 0)
        fprintf(stderr, "ullage ls: removed %d ledger%s of dead processes from %s\n", removed, removed == 1 ? "" : "s",
            directory);
    int result = removed < 0 ? removed : ullage_ledger_list(&list, &count, NULL);
    if (result != 0)
        return complain("ls", "%s: %s", directory, result == -EPERM
                ? "belongs to somebody else, or others may write to it: set ULLAGE_DIR" : strerror(-result));
    if (count == 0) {
        if (!prune)
            fprintf(stderr, "ullage ls: no ledger in %s: make one with `ullage run -- PROGRAM`\n", directory);
        return 0;
    }
    bool terminal = isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 50;
    bool users = false; /* more than this one */
    for (size_t i = 0; i < count; i++)
        users |= list[i].user_id != geteuid();
    int room = terminal ? window.ws_col - (users ? 57 : 47) : -1;
    printf("%7s  ", "PID");
    if (users)
        printf("%-8s  ", "USER");
    printf("%-6s %7s %10s %10s  %s\n", "STATE", "AGE", "LIVE", "PEAK", "COMMAND");
    for (size_t i = 0; i < count; i++) {
        char live[ULLAGE_QUANTITY_BYTES], peak[ULLAGE_QUANTITY_BYTES], age[ULLAGE_QUANTITY_BYTES];
        ullage_quantity_size(live, list[i].requested_live_bytes);
        ullage_quantity_size(peak, list[i].requested_peak_bytes);
        format_age(age, list[i].started_unix_ns);
        printf("%7d  ", (int)list[i].pid);
        if (users)
            print_user(list[i].user_id);
        printf("%-6s %7s %10s %10s  %.*s\n", state_name(list[i].state), age, live, peak, room, list[i].command);
    }
    ullage_ledger_list_free(list);
    return fflush(stdout) == 0 ? 0 : complain("ls", "standard output: %s", strerror(errno));
}
