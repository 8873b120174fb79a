/* The order in which samples are drawn: a function of the seed and of a position, which counts the samples of
 * all steps, and of nothing else. Whoever wants rows of a step asks for their positions; nobody needs to have
 * asked for those before.
 *
 * Whole: each epoch is a permutation of all samples (cl/permute.h).
 * Blocks: `block` samples that lie beside each other are a block. Each epoch is a permutation of the blocks,
 * and of each stretch of it, as long as `window` blocks, a permutation of its samples: so a stretch of the
 * epoch takes its samples from these blocks alone, which can be read before. The last block, which may be
 * short, comes at a random place. */
#ifndef TRAIN_SHUFFLE_H
#define TRAIN_SHUFFLE_H

#include <flowcl/train.h>

typedef struct fcl_shuffle {
    uint64_t seed;
    uint32_t stream;
    int64_t count;         /* samples, below 2^31 */
    int64_t block, window; /* samples of a block, and blocks of a window; 0: whole */
} fcl_shuffle;

/* The names of fcl_train_options.shuffle. */
#define FCL_SHUFFLE_AUTO   "auto"
#define FCL_SHUFFLE_WHOLE  "whole"
#define FCL_SHUFFLE_BLOCKS "blocks"
const char *fcl_shuffle_name(int index);
const char *fcl_shuffle_help(int index);

/* How many samples of so many bytes a block has, and how many blocks a window: they follow from the bytes
 * alone, so that the order does, too. */
int64_t fcl_shuffle_block(size_t row_bytes);
int64_t fcl_shuffle_window(size_t row_bytes);

/* The sample at a position, from 0. */
int64_t fcl_shuffle_at(const fcl_shuffle *shuffle, int64_t position);

/* The position after the last of the window that the position lies in; and its blocks: of the run slots [0,
 * slots) of the window the block of each. */
int64_t fcl_shuffle_window_end(const fcl_shuffle *shuffle, int64_t position);
int64_t fcl_shuffle_slots(const fcl_shuffle *shuffle, int64_t position);
int64_t fcl_shuffle_block_at(const fcl_shuffle *shuffle, int64_t position, int64_t slot);

#endif
