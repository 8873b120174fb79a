/* A random permutation of 0 .. count - 1, computed one element at a time: nothing is stored, and every device
 * finds the same one. Valid C and valid OpenCL C; needs philox.h.
 *
 * A Feistel network of eight rounds permutes the 4^n numbers, 4^n >= count; a result outside the range is put
 * in again until it falls inside ("cycle walking", Black and Rogaway 2002), on average less than four times.
 * The round keys are eight Philox words of (seed, stream, epoch): the counters { epoch, 0 or 1, stream }. */
#ifndef PERMUTE_H
#define PERMUTE_H

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

#ifdef __OPENCL_VERSION__
/* The same for sixteen positions at once, each walking until its lane is inside. */
static inline uint16 permute_index16(uint16 position, uint count, ulong seed, uint stream, ulong epoch)
{
    philox_block keys[2];
    for (uint i = 0; i < 2; i++)
        keys[i] = philox((uint)epoch, (uint)(epoch >> 32), i, stream, (uint)seed, (uint)(seed >> 32));
    uint width = 1;
    while (width < 16 && (1u << 2 * width) < count)
        width++;
    const uint mask = (1u << width) - 1;
    int16 outside = -1;
    do {
        uint16 left = position >> width, right = position & mask;
        for (int round = 0; round < 8; round++) {
            uint16 mixed = right + keys[round / 4].word[round % 4];
            mixed = (mixed ^ mixed >> 16) * 0x85EBCA6Bu;
            mixed = (mixed ^ mixed >> 13) * 0xC2B2AE35u;
            mixed = left ^ ((mixed ^ mixed >> 16) & mask);
            left = right;
            right = mixed;
        }
        position = select(position, left << width | right, as_uint16(outside));
        outside = position >= count;
    } while (any(outside));
    return position;
}

/* The rows that samples sample + further[lane], 0 <= further <= 32, take from a data set of `count`: sample s stands at
 * place s % count of the permutation of epoch s / count. */
static inline int16 permute_samples16(ulong sample, int16 further, uint count, ulong seed, uint stream)
{
    const ulong epoch = sample / count, place = sample - epoch * count;
    if (place + 32 < count)
        return convert_int16(permute_index16((uint)place + convert_uint16(further), count, seed, stream, epoch));
    int lane[16];
    vstore16(further, 0, lane);
    for (int j = 0; j < 16; j++) {
        const ulong own = (sample + lane[j]) / count;
        lane[j] = permute_index((uint)(sample + lane[j] - own * count), count, seed, stream, own);
    }
    return vload16(0, lane);
}
#endif

#endif
