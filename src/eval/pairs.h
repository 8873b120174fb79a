/* Distances from a point to many. */
#ifndef EVAL_PAIRS_H
#define EVAL_PAIRS_H

#include <flowcl/base.h>

/* Points lie in blocks of FCL_PAIRS_BLOCK, in each of them (size, FCL_PAIRS_BLOCK): the distances of a block
 * are sums beside each other, which a compiler makes vectors of. */
enum { FCL_PAIRS_BLOCK = 16 };

typedef struct fcl_pairs {
    int64_t count, size; /* points, numbers of each */
    float *block;
} fcl_pairs;

/* Copies points (N, ...). FCL_ERR_MEMORY. */
int fcl_pairs_create(const fcl_array *points, fcl_pairs *pairs);
void fcl_pairs_destroy(fcl_pairs *pairs);

/* Squared distances from `point` (size) to the points of a block. Of the last block, those past the count are
 * distances to its last point. */
void fcl_pairs_block(const fcl_pairs *pairs, int64_t block, const float *point,
                     double square[FCL_PAIRS_BLOCK]);

/* How many of a block's points there are. */
int fcl_pairs_in_block(const fcl_pairs *pairs, int64_t block);
int64_t fcl_pairs_blocks(const fcl_pairs *pairs);

#endif
