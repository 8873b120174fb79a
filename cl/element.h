/* Single elements of what has kernels of its own as well (noise.cl, cfm.cl): inside the fused kernels of GPUs
 * (op->element), where a launch costs more than to draw a block again for each of its numbers. */
#ifndef ELEMENT_H
#define ELEMENT_H

#include "permute.h"
#include "philox.h"

static inline philox_block element_block(ulong element, uint stream, ulong seed, uint step)
{
    const ulong block = element / 4;
    return philox((uint)block, (uint)(block >> 32), step, stream, (uint)seed, (uint)(seed >> 32));
}

/* Strictly inside (0, 1). Words are chosen, not indexed: what is indexed is put into memory. */
static inline float element_uniform(ulong element, uint stream, ulong seed, uint step)
{
    const philox_block bits = element_block(element, stream, seed, step);
    const uint low = element & 1 ? bits.word[1] : bits.word[0], high = element & 1 ? bits.word[3] : bits.word[2];
    return philox_uniform(element & 2 ? high : low);
}

/* N(0, 1) by Box-Muller: words 0 and 1 of a block make its elements 0 and 1, words 2 and 3 the others. */
static inline float element_normal(ulong element, uint stream, ulong seed, uint step)
{
    const philox_block bits = element_block(element, stream, seed, step);
    const float u = philox_uniform(element & 2 ? bits.word[2] : bits.word[0]);
    float cosine;
    const float sine = sincos(6.28318531f * philox_uniform(element & 2 ? bits.word[3] : bits.word[1]), &cosine);
    return sqrt(-2.0f * log(u)) * (element & 1 ? sine : cosine);
}

/* The row of a data set of `count` that stands at `row` of a batch: sample s is at place s % count of the permutation of
 * epoch s / count. */
static inline int element_batch_index(ulong row, uint count, ulong batch_total, uint stream, ulong seed, uint step)
{
    const ulong sample = step * batch_total + row, epoch = sample / count;
    return permute_index((uint)(sample - epoch * count), count, seed, stream, epoch);
}

/* The mean of (v - u)^2 over the d numbers of a sample. */
static inline float element_cfm_loss(const global float *v, const global float *u, int d)
{
    float sum = 0;
    for (int i = 0; i < d; i++)
        sum += (v[i] - u[i]) * (v[i] - u[i]);
    return sum / d;
}

#endif
