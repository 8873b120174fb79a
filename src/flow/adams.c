/* Adams-Bashforth: x_new = x + sum_j w_j v_j, v_0 the slope at the step's begin and v_1, v_2, ... those at
 * the begins of the steps before it. w_j is the integral over the step of the polynomial that is 1 at the
 * time of v_j and 0 at those of the others (Hairer, Norsett, Wanner, "Solving ODEs I", III.5): steps of any
 * sizes. */
#include "flow/solver.h"

#include <math.h>

/* The polynomial of v_j at `t`. */
static double lagrange(const double *now, int count, int j, double t)
{
    double product = 1;
    for (int i = 0; i < count; i++)
        if (i != j)
            product *= (t - now[-i]) / (now[-j] - now[-i]);
    return product;
}

void fcl_adams_weights(const double *now, int count, double *weights)
{
    /* Two points of Gauss: exact up to the third power, the highest of FCL_MOST_ADAMS slopes. */
    double half = (now[1] - now[0]) / 2, middle = now[0] + half, apart = half / sqrt(3);
    for (int j = 0; j < count; j++)
        weights[j] =
            half * (lagrange(now, count, j, middle - apart) + lagrange(now, count, j, middle + apart));
}
