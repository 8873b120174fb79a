/* Places in a memory that is used again over time (places.c). */
#ifndef COMPILE_PLACES_H
#define COMPILE_PLACES_H

#include <stddef.h>
#include <stdint.h>

typedef struct fcl_places fcl_places;

/* A memory without end, for the times 0 .. count - 1. */
fcl_places *fcl_places_create(int count);
void fcl_places_destroy(fcl_places **places);

/* Takes the lowest `size` places in a row that nobody has at any time from `first` to `last`; returns where
 * they begin. */
size_t fcl_places_take(fcl_places *places, int first, int last, size_t size);

/* Runs of places that were looked at so far. */
int64_t fcl_places_visits(const fcl_places *places);

#endif
