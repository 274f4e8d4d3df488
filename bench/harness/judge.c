/* SPDX-License-Identifier: BSD-2-Clause */
/* judge.c - how a process ended, in the words of a result. */
#include "config.h"

#include "harness.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

void ull_judge_note(struct ullage_bench_result *result, const char *note)
{
    char joined[1024];
    if (strstr(result->note, note) != NULL)
        return;
    snprintf(joined, sizeof joined, "%s%s%s", result->note, result->note[0] != '\0' ? "; " : "", note);
    (void)ullage_bench_set_text(&result->note, joined);
}

void ull_judge_fail(struct ullage_bench_result *result, enum ullage_bench_status status, const char *message)
{
    result->status = status;
    (void)ullage_bench_set_text(&result->message, message);
}

const char *ull_judge_last_words(const struct ull_spawned *spawned, char *room, size_t bytes)
{
    size_t length = strlen(spawned->printed);
    while (length > 0 && spawned->printed[length - 1] == '\n')
        length--;
    size_t begin = length;
    while (begin > 0 && spawned->printed[begin - 1] != '\n')
        begin--;
    snprintf(room, bytes, "%s%.*s", length > begin ? ": " : "", (int)(length - begin), spawned->printed + begin);
    return room;
}

bool ull_judge(struct ullage_bench_result *result, const struct ull_spawned *spawned, bool complete, unsigned timeout_ms)
{
    char message[512], words[300];
    ull_judge_last_words(spawned, words, sizeof words);
    if (spawned->left_processes && !spawned->timed_out)
        ull_judge_note(result, "left processes behind (killed)");
    if (spawned->timed_out) {
        snprintf(message, sizeof message, "no end within %g s (--timeout)%s", timeout_ms / 1e3, words);
        ull_judge_fail(result, ULLAGE_BENCH_TIMED_OUT, message);
    } else if (WIFSIGNALED(spawned->status)) {
        const char *name = sigabbrev_np(WTERMSIG(spawned->status));
        snprintf(message, sizeof message, "ended by signal SIG%s%s%s", name != NULL ? name : "?",
            complete ? ", after it was measured" : "", words);
        ull_judge_fail(result, ULLAGE_BENCH_CRASHED, message);
    } else if (result->status == ULLAGE_BENCH_OK && !complete) {
        snprintf(message, sizeof message, "ended with status %d while it was measured: it called exit or exec, or closed what is not its own%s",
            WEXITSTATUS(spawned->status), words);
        ull_judge_fail(result, ULLAGE_BENCH_EXITED, message);
    } else if (result->status == ULLAGE_BENCH_OK && WEXITSTATUS(spawned->status) != 0) {
        snprintf(message, sizeof message, "exit status %d%s", WEXITSTATUS(spawned->status), words);
        ull_judge_fail(result, ULLAGE_BENCH_FAILED, message);
    }
    return result->status == ULLAGE_BENCH_OK;
}
