/* Blocks of samples that lie in files, a fixed number of them in memory: threads read those that are
 * expected, while the samples of those that are there are taken.
 *
 * A block is a run of the samples that are drawn; where only some of a set are, it holds these alone. Who
 * takes samples says until when a block is of use, on a clock of its own (a position in an order); a block is
 * given up after that, and one is never read twice for the same stretch of time unless there are more at once
 * than `most`. */
#ifndef DATA_BLOCKS_H
#define DATA_BLOCKS_H

#include <flowcl/data.h>

typedef struct fcl_blocks fcl_blocks;

typedef struct fcl_blocks_options {
    const fcl_dataset *data; /* `stored`; borrowed, as the next is */
    const int32_t *only;     /* (count) its samples that are drawn, ascending; NULL: the first `count` */
    int64_t count;
    int64_t block; /* samples of a block; the last may have fewer */
    int64_t most;  /* blocks in memory */
} fcl_blocks_options;

int fcl_blocks_create(const fcl_blocks_options *options, fcl_blocks **blocks);
void fcl_blocks_destroy(fcl_blocks **blocks);

/* Has the block read, where a place is free at `now`: one whose block is of no use any more. Returns at once. A `now` before
 * that of the last call begins anew: blocks that are there are of use where they are asked for again. */
void fcl_blocks_expect(fcl_blocks *blocks, int64_t block, int64_t now, int64_t until);

/* The drawn sample of that number, (row_bytes), once its block is there; asks for it where that was not done.
 * Fails as fcl_stored_gather does. */
int fcl_blocks_take(fcl_blocks *blocks, int64_t drawn, int64_t until, void *row);

/* The seconds that threads have read since the last call, and how many blocks. */
double fcl_blocks_seconds(fcl_blocks *blocks, int64_t *read);

#endif
