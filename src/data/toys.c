#include "data/toys.h"

#include "base/random.h"

#include <math.h>

enum { TOY_STREAM = 0x746f79, PLACE = 0, NOISE = 1 };

static const double pi = 3.14159265358979323846;

/* Number `which` (0 or 1) of a point's two uniform and two normal draws. */
static double place(uint64_t seed, int64_t index, int which)
{
    return fcl_random_uniform((fcl_random){seed, TOY_STREAM, PLACE}, 2 * (uint64_t)index + (uint64_t)which);
}

static double noise(uint64_t seed, int64_t index, int which)
{
    return fcl_random_normal((fcl_random){seed, TOY_STREAM, NOISE}, 2 * (uint64_t)index + (uint64_t)which);
}

static void set_noisy(uint64_t seed, int64_t index, double x, double y, double deviation, float point[2])
{
    point[0] = (float)(x + deviation * noise(seed, index, 0));
    point[1] = (float)(y + deviation * noise(seed, index, 1));
}

static int64_t common_divisor(int64_t a, int64_t b)
{
    return b ? common_divisor(b, a % b) : a;
}

/* A permutation of 0 .. count - 1 (count below 2^31) in which every stretch is spread over the whole: steps
 * of the golden ratio, made coprime to the count. */
static int64_t spread(int64_t index, int64_t count)
{
    int64_t step = (int64_t)(0.6180339887498949 * (double)count);
    while (common_divisor(step, count) != 1)
        step++;
    return index * step % count;
}

int32_t fcl_toy_moons(uint64_t seed, int64_t index, int64_t count, float point[2])
{
    int32_t moon = index % 2 == 0; /* of an odd count the inner moon has one more, as in scikit-learn */
    int64_t half = (count + moon) / 2;
    double a = half > 1 ? pi * (double)spread(index / 2, half) / (double)(half - 1) : 0;
    set_noisy(seed, index, moon ? 1 - cos(a) : cos(a), moon ? 0.5 - sin(a) : sin(a), 0.05, point);
    point[0] = 2 * point[0] - 1;
    point[1] = 2 * point[1] - 1;
    return moon;
}

int32_t fcl_toy_8gaussians(uint64_t seed, int64_t index, int64_t count, float point[2])
{
    (void)count;
    int32_t mode = (int32_t)(8 * place(seed, index, 0));
    set_noisy(seed, index, 5 * cos(mode * pi / 4), 5 * sin(mode * pi / 4), 1, point);
    return mode;
}

int32_t fcl_toy_checkerboard(uint64_t seed, int64_t index, int64_t count, float point[2])
{
    (void)count;
    double x = 4 * place(seed, index, 0),
           y = 2 * place(seed, index, 1); /* column; black square of the column */
    int column = (int)x, black = (int)y;
    int row = 2 * black + column % 2;
    point[0] = (float)(2 * x - 4);
    point[1] = (float)(2 * (row + y - black) - 4);
    return 0;
}

int32_t fcl_toy_s_curve(uint64_t seed, int64_t index, int64_t count, float point[2])
{
    (void)count;
    double a = 3 * pi * (place(seed, index, 0) - 0.5);
    set_noisy(seed, index, sin(a), copysign(1, a) * (cos(a) - 1), 0.05, point);
    return 0;
}

int32_t fcl_toy_spirals(uint64_t seed, int64_t index, int64_t count, float point[2])
{
    (void)count;
    int32_t arm = place(seed, index, 1) < 0.5;
    double r = sqrt(place(seed, index, 0)), a = 3 * pi * r + arm * pi;
    set_noisy(seed, index, 3 * r * cos(a), 3 * r * sin(a), 0.08, point);
    return arm;
}

int32_t fcl_toy_rings(uint64_t seed, int64_t index, int64_t count, float point[2])
{
    (void)count;
    int32_t ring = (int32_t)(3 * place(seed, index, 1));
    double a = 2 * pi * place(seed, index, 0);
    set_noisy(seed, index, (ring + 1) * cos(a), (ring + 1) * sin(a), 0.08, point);
    return ring;
}
