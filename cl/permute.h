/* A random permutation of 0 .. count - 1, computed one element at a time: nothing is stored, and every device
 * finds the same one. Valid C and valid OpenCL C.
 *
 * A Feistel network of eight rounds permutes the 4^n numbers, 4^n >= count; a result outside the range is put
 * in again until it falls inside ("cycle walking", Black and Rogaway 2002), on average less than four times.
 * The round keys are eight Philox words of (seed, stream, epoch): the counters { epoch, 0 or 1, stream }. */
#ifndef PERMUTE_H
#define PERMUTE_H

#include "philox.h"

/* A bijection of 32 bits that mixes them well (the constants of MurmurHash3's last step). */
static inline PHILOX_U32 permute_mix(PHILOX_U32 bits)
{
    bits = (bits ^ bits >> 16) * 0x85EBCA6Bu;
    bits = (bits ^ bits >> 13) * 0xC2B2AE35u;
    return bits ^ bits >> 16;
}

/* Where `position` goes: position < count <= 2^31 - 1. */
static inline PHILOX_U32 permute_index(PHILOX_U32 position, PHILOX_U32 count, PHILOX_U64 seed, PHILOX_U32 stream,
                                       PHILOX_U64 epoch)
{
    philox_block keys[2];
    for (PHILOX_U32 i = 0; i < 2; i++)
        keys[i] = philox((PHILOX_U32)epoch, (PHILOX_U32)(epoch >> 32), i, stream, (PHILOX_U32)seed,
                         (PHILOX_U32)(seed >> 32));
    PHILOX_U32 width = 1;
    while (width < 16 && (1u << 2 * width) < count)
        width++;
    PHILOX_U32 mask = (1u << width) - 1;
    do {
        PHILOX_U32 left = position >> width, right = position & mask;
        for (int round = 0; round < 8; round++) {
            PHILOX_U32 mixed = left ^ (permute_mix(right + keys[round / 4].word[round % 4]) & mask);
            left = right;
            right = mixed;
        }
        position = left << width | right;
    } while (position >= count);
    return position;
}

#endif
