/* What ranks.c asks of MPI: mpi.c, or no_mpi.c in a build without. Sizes in bytes may pass those of an int. */
#ifndef RANKS_MPI_H
#define RANKS_MPI_H

#include "ranks/sum.h"

typedef struct fcl_world {
    int number, count;             /* of all */
    int local_number, local_count; /* on this machine */
} fcl_world;

const char *fcl_mpi_name(void);
int fcl_mpi_open(fcl_world *world);
void fcl_mpi_close(void);

/* Each number becomes the least of all ranks. */
int fcl_mpi_minimum(int count, int *numbers);
/* What `rank` has, into all. */
int fcl_mpi_broadcast(int rank, size_t bytes, void *content);
int fcl_mpi_gather(size_t bytes, const void *mine, void *all);
/* See fcl_ranks_sum_pieces; `shares`: for each piece, and once more, room for so many numbers as a piece of `count` takes. */
int64_t fcl_mpi_sum_room(const fcl_world *world, int64_t count);
int fcl_mpi_sum(const fcl_world *world, int64_t count, float *numbers, const fcl_sum_pieces *pieces, float *shares);

#endif
