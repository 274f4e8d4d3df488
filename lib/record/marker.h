/* SPDX-License-Identifier: BSD-2-Clause */
/* marker.h - the four bytes before each fragment: the top bit says that it is the record's last, the rest how long it is. */
#ifndef ULL_RECORD_MARKER_H
#define ULL_RECORD_MARKER_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

enum { ULL_MARKER_BYTES = 4 };
#define ULL_MARKER_LAST UINT32_C(0x80000000)  /* RFC 5531, section 11 */
#define ULL_FRAGMENT_BYTES_MAX UINT32_C(0x7fffffff)

/* Big-endian words, from any address. */
static inline uint32_t ull_word(const uint8_t *bytes)
{
    uint32_t word;
    memcpy(&word, bytes, sizeof word);
    return be32toh(word);
}

static inline void ull_put_word(uint8_t *bytes, uint32_t value)
{
    uint32_t word = htobe32(value);
    memcpy(bytes, &word, sizeof word);
}

#endif
