/* fcl_ranks_sum of numbers that come and go in pieces, while others are on their way between the ranks. */
#ifndef RANKS_SUM_H
#define RANKS_SUM_H

#include <flowcl/ranks.h>

/* Functions may be NULL. */
typedef struct fcl_sum_pieces {
    void *data;
    int64_t size;         /* numbers of a piece; the last one may have fewer */
    const int32_t *order; /* in which pieces are summed, the same on all ranks; NULL: from the first to the last */
    int (*wait)(void *data, int64_t first, int64_t count); /* until these numbers are there to be sent */
    /* Whether they are, before that wait: asked while others are on their way, which it would hold up. */
    int (*look)(void *data, int64_t first, int64_t count, bool *there);
    int (*summed)(void *data, int64_t first, int64_t count); /* these are the sums now */
} fcl_sum_pieces;

int fcl_ranks_sum_pieces(fcl_ranks *ranks, int64_t count, float *numbers, const fcl_sum_pieces *pieces);

#endif
