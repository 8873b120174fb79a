/* The permutation of permute.h in the lanes of vectors, for CPUs. */
#ifndef PERMUTE_WIDE_H
#define PERMUTE_WIDE_H

/* Sixteen positions at once, each walking until its lane is inside. */
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
