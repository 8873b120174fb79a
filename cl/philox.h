/* Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): a keyed bijection
 * of a 128-bit counter. Valid C and valid OpenCL C: host and device draw the same bits.
 *
 * flowcl counts by (seed, stream, step, element): the key is the seed, the counter is
 *     { element / 4 (low 32 bits), element / 4 (high 32 bits), step, stream },
 * and word `element % 4` of the result belongs to the element. */
#ifndef PHILOX_H
#define PHILOX_H

#ifdef __OPENCL_VERSION__
#define PHILOX_U32 uint
#define PHILOX_U64 ulong
#else
#include <stdint.h>
#define PHILOX_U32 uint32_t
#define PHILOX_U64 uint64_t
#endif

typedef struct philox_block {
    PHILOX_U32 word[4];
} philox_block;

static inline philox_block philox(PHILOX_U32 c0, PHILOX_U32 c1, PHILOX_U32 c2, PHILOX_U32 c3, PHILOX_U32 k0,
                                  PHILOX_U32 k1)
{
    for (int round = 0; round < 10; round++) {
        PHILOX_U64 p0 = (PHILOX_U64)0xD2511F53u * c0;
        PHILOX_U64 p1 = (PHILOX_U64)0xCD9E8D57u * c2;
        c0 = (PHILOX_U32)(p1 >> 32) ^ c1 ^ k0;
        c1 = (PHILOX_U32)p1;
        c2 = (PHILOX_U32)(p0 >> 32) ^ c3 ^ k1;
        c3 = (PHILOX_U32)p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    philox_block block = {{c0, c1, c2, c3}};
    return block;
}

/* A uniform number strictly inside (0, 1): the middle of one of 2^23 equal cells, exact in single precision. */
static inline float philox_uniform(PHILOX_U32 bits)
{
    return ((float)(bits >> 9) + 0.5f) * 1.1920928955078125e-7f;
}

#endif
