/* Random numbers of tests that need no device: fresh each time, FCL_TEST_SEED repeats them. */
#ifndef TESTS_DRAWS_H
#define TESTS_DRAWS_H

#include "status.h"

#include <math.h>
#include <stdlib.h>
#include <time.h>

static unsigned short state48[3]; /* of erand48 */

/* A group's set-up. */
static inline int seed_draws(void **state)
{
    const char *given = getenv("FCL_TEST_SEED");
    unsigned long seed = given ? strtoul(given, NULL, 10) : (unsigned long)time(NULL);
    (void)state;
    print_message("FCL_TEST_SEED=%lu\n", seed);
    for (int i = 0; i < 3; i++)
        state48[i] = (unsigned short)(seed >> (16 * i));
    return 0;
}

static inline int whole(int low, int high)
{
    return low + (int)(erand48(state48) * (high - low + 1));
}

static inline double uniform(double low, double high)
{
    return low + (high - low) * erand48(state48);
}

static inline double normal(void)
{
    double u = 1 - erand48(state48), v = erand48(state48);
    return sqrt(-2 * log(u)) * cos(2 * M_PI * v);
}

#endif
