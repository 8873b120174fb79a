#include "base/random.h"

#include "cl/philox.h"

#include <math.h>

static philox_block block_of(fcl_random key, uint64_t element)
{
    uint64_t counter = element / 4;
    return philox((uint32_t)counter, (uint32_t)(counter >> 32), key.step, key.stream, (uint32_t)key.seed,
                  (uint32_t)(key.seed >> 32));
}

double fcl_random_uniform(fcl_random key, uint64_t element)
{
    return philox_uniform(block_of(key, element).word[element % 4]);
}

double fcl_random_normal(fcl_random key, uint64_t element)
{
    philox_block block = block_of(key, element);
    uint64_t first = element % 4 / 2 * 2;
    double radius = sqrt(-2 * log(philox_uniform(block.word[first])));
    double angle = 2 * M_PI * philox_uniform(block.word[first + 1]);
    return radius * (element % 2 ? sin(angle) : cos(angle));
}
