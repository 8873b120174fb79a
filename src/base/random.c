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

void fcl_random_uniform4(fcl_random key, uint64_t first, double four[4])
{
    philox_block block = block_of(key, first);
    for (int i = 0; i < 4; i++)
        four[i] = philox_uniform(block.word[i]);
}

double fcl_random_normal(fcl_random key, uint64_t element)
{
    philox_block block = block_of(key, element);
    uint64_t first = element % 4 / 2 * 2;
    double radius = sqrt(-2 * log(philox_uniform(block.word[first])));
    double angle = 2 * M_PI * philox_uniform(block.word[first + 1]);
    return radius * (element % 2 ? sin(angle) : cos(angle));
}

void fcl_random_normal4(fcl_random key, uint64_t first, double four[4])
{
    fcl_random_uniform4(key, first, four);
    for (int i = 0; i < 4; i += 2) {
        double radius = sqrt(-2 * log(four[i])), angle = 2 * M_PI * four[i + 1];
        four[i] = radius * cos(angle);
        four[i + 1] = radius * sin(angle);
    }
}

void fcl_random_order(fcl_random key, int64_t n, int64_t count, int64_t *order)
{
    for (int64_t i = 0; i < count; i++) {
        int64_t other = i + (int64_t)(fcl_random_uniform(key, (uint64_t)i) * (double)(n - i));
        int64_t taken = order[other];
        order[other] = order[i];
        order[i] = taken;
    }
}
