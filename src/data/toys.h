/* Two-dimensional sets whose shape everybody knows. A point depends on (seed, index, count) only. */
#ifndef DATA_TOYS_H
#define DATA_TOYS_H

#include <flowcl/data.h>

/* Makes point `index` of `count` and returns its label, 0 where the set has none. */
typedef int32_t fcl_toy(uint64_t seed, int64_t index, int64_t count, float point[2]);

/* scikit-learn's make_moons(noise = 0.05), times 2 minus 1: the half circles (cos a, sin a) and
 * (1 - cos a, 0.5 - sin a), a evenly spaced on [0, pi], each coordinate with its own noise. Label: the moon.
 */
fcl_toy fcl_toy_moons;

/* N(mode, I), the eight modes on a circle of radius 5, at angles k pi/4. Label: k. */
fcl_toy fcl_toy_8gaussians;

/* Uniform on the 8 black squares of the board [-4, 4]^2 of 4 by 4 squares, the one at (-4, -4) black. Their
 * area is 32, so a perfect model's mean negative log-likelihood is ln 32 = 3.4657. */
fcl_toy fcl_toy_checkerboard;

/* (sin a, sign(a) (cos a - 1)), a uniform on [-3 pi/2, 3 pi/2], noise 0.05. */
fcl_toy fcl_toy_s_curve;

/* Two arms, one the other turned by pi: radius 3 r at angle 3 pi r, r the root of a uniform number so that
 * the density along an arm is nearly even, noise 0.08. Label: the arm. */
fcl_toy fcl_toy_spirals;

/* Circles of radius 1, 2 and 3, equally likely, noise 0.08. Label: the ring. */
fcl_toy fcl_toy_rings;

#endif
