/* Random numbers of the host: the draws of cl/philox.h, counted by (seed, stream, step, element). Nothing is
 * kept between calls: a draw depends on its four numbers only. */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stdint.h>

typedef struct fcl_random {
    uint64_t seed;
    uint32_t stream, step;
} fcl_random;

/* Strictly inside (0, 1), single-precision exact. */
double fcl_random_uniform(fcl_random key, uint64_t element);

/* Those of the elements first .. first + 3, `first` a multiple of 4: one block of bits instead of four. */
void fcl_random_uniform4(fcl_random key, uint64_t first, double four[4]);

/* N(0, 1) by Box-Muller in double precision: elements 2i and 2i + 1 are r cos(2 pi v) and r sin(2 pi v) with
 * r = sqrt(-2 ln u), u and v the uniform numbers of those two elements. */
double fcl_random_normal(fcl_random key, uint64_t element);
void fcl_random_normal4(fcl_random key, uint64_t first, double four[4]);

/* Puts `order` (n) into a random order as far as its first `count`: these are a draw without replacement. */
void fcl_random_order(fcl_random key, int64_t n, int64_t count, int64_t *order);

#endif
