/* Rows that ranks share: each has a run of them, in the order of ranks. */
#ifndef RANKS_ROWS_H
#define RANKS_ROWS_H

#include <flowcl/ranks.h>

typedef struct fcl_rank_rows {
    int64_t first, count; /* count 0: fewer rows than ranks */
} fcl_rank_rows;

/* A rank's of n rows, which is all of them for one alone. */
fcl_rank_rows fcl_ranks_rows(const fcl_ranks *ranks, int64_t n, int rank);

/* Each rank has its own rows in `rows` (n x bytes), and gets those of all others. */
int fcl_ranks_gather_rows(fcl_ranks *ranks, int64_t n, size_t bytes, void *rows);

#endif
