#include "eval/pairs.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

int64_t fcl_pairs_blocks(const fcl_pairs *pairs)
{
    return (pairs->count + FCL_PAIRS_BLOCK - 1) / FCL_PAIRS_BLOCK;
}

int fcl_pairs_in_block(const fcl_pairs *pairs, int64_t block)
{
    int64_t left = pairs->count - block * FCL_PAIRS_BLOCK;
    return left < FCL_PAIRS_BLOCK ? (int)left : FCL_PAIRS_BLOCK;
}

int fcl_pairs_create(const fcl_array *points, fcl_pairs *pairs)
{
    *pairs = (fcl_pairs){.count = points->shape.dim[0]};
    pairs->size = fcl_shape_size(points->shape) / pairs->count;
    int64_t rows = fcl_pairs_blocks(pairs) * FCL_PAIRS_BLOCK;
    pairs->block = malloc((size_t)(rows * pairs->size) * sizeof *pairs->block);
    if (!pairs->block)
        return fcl_fail(FCL_ERR_MEMORY, "no memory for a copy of %lld points", (long long)pairs->count);
    for (int64_t row = 0; row < rows; row++) {
        const float *from = points->data + (row < pairs->count ? row : pairs->count - 1) * pairs->size;
        float *to =
            pairs->block + row / FCL_PAIRS_BLOCK * FCL_PAIRS_BLOCK * pairs->size + row % FCL_PAIRS_BLOCK;
        for (int64_t i = 0; i < pairs->size; i++)
            to[i * FCL_PAIRS_BLOCK] = from[i];
    }
    return FCL_OK;
}

void fcl_pairs_destroy(fcl_pairs *pairs)
{
    free(pairs->block);
    pairs->block = NULL;
}

void fcl_pairs_block(const fcl_pairs *pairs, int64_t block, const float *point,
                     double square[FCL_PAIRS_BLOCK])
{
    const float *other = pairs->block + block * FCL_PAIRS_BLOCK * pairs->size;
    double sum[FCL_PAIRS_BLOCK] = {0};
    for (int64_t i = 0; i < pairs->size; i++, other += FCL_PAIRS_BLOCK) {
        for (int k = 0; k < FCL_PAIRS_BLOCK; k++) {
            double difference = (double)point[i] - (double)other[k];
            sum[k] += difference * difference;
        }
    }
    memcpy(square, sum, sizeof sum);
}
