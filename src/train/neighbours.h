/* Ranks of one machine whose devices are one, or parts of one, and so share its memory. */
#ifndef TRAIN_NEIGHBOURS_H
#define TRAIN_NEIGHBOURS_H

#include "device/rehearsal.h"

#include <flowcl/ranks.h>

/* What a rank tells of its device. */
typedef struct fcl_neighbour {
    char machine[64], device[96]; /* of the whole device, whatever part of it is the rank's */
    char name[128];
    int parts;     /* of which one is the rank's; 1: the whole */
    fcl_room room; /* of that part */
} fcl_neighbour;

/* all (ranks) */
int fcl_neighbours_find(fcl_ranks *ranks, const fcl_device *device, fcl_neighbour *all);

/* How many ranks share the device of one, where together they name more of it than there is; else 1. */
int fcl_neighbours_sharing(const fcl_neighbour *all, int count, int rank);
bool fcl_neighbours_share(const fcl_neighbour *all, int count); /* any */

/* Bytes that all ranks on the device of one need, by what each does, needs (count); and what the device has. */
uint64_t fcl_neighbours_need(const fcl_neighbour *all, const fcl_room *needs, int count, int rank);
uint64_t fcl_neighbours_memory(const fcl_neighbour *all, int count, int rank);

#endif
