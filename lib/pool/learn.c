/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * learn.c - the size that a place should begin with.
 *
 * Too large a size wastes what is not used, in every buffer; too small a one makes those that need more move: they are
 * copied, and for a moment held twice. Both are bytes, so the sum is what it costs, and the cheapest class is the answer: a
 * quantile of the uses whose rank the costs decide. Neither the most frequent size nor the largest would do: of buffers of
 * which 1 % are full, the first costs nothing there and the second a hundredfold.
 */
#include "config.h"

#include "pool/classes.h"
#include "pool/track.h"

/* A change must save a fifth: sizes that go up and down cost a pool its idle objects. Our choice. */
#define WORTH_CHANGING 0.8F

static float limit_of(unsigned class)
{
    return (float)ull_bucket_limit(class);
}

/*
 * What a buffer costs that begins in class A and needs N: A - N where that is enough, A + N where it must move. So what all
 * cost together is A times their weight, less the weighted needs up to A, plus those past it: one pass serves all classes.
 */
uint64_t ull_learn(const float weights[ULL_BUCKET_COUNT], uint64_t now)
{
    float total = 0, past = 0, upto = 0, least = -1, present = 0;
    unsigned best = 0, current = now != 0 ? ull_class_for(now) : 0;
    for (unsigned need = 0; need < ULL_CLASS_LARGE; need++) {
        total += weights[need];
        past += weights[need] * limit_of(need);
    }
    for (unsigned at = 0; at < ULL_CLASS_LARGE; at++) {
        float here = weights[at] * limit_of(at);
        upto += here;
        past -= here;
        float cost = limit_of(at) * total - upto + past;
        if (ull_class_of_bucket[at] != at)
            continue;
        if (at == current)
            present = cost;
        if (least < 0 || cost < least) {
            least = cost;
            best = at;
        }
    }
    return now != 0 && least > present * WORTH_CHANGING ? now : ull_bucket_limit(best);
}
