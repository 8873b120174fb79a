/* The quantile of the beta law, for which there is no formula: a table of logit(t) at equal steps of
 * logit(u), between which it is close to straight, in the tails too. */
#include "flow/objective.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>

enum { ROWS = 1025 };
static const double widest = 17; /* logit of the u nearest to 0 and 1 in single precision */

/* The continued fraction of the incomplete beta function, by Lentz's method (Numerical Recipes, 6.4). */
static double fraction(double a, double b, double x)
{
    enum { MOST = 500 };
    const double tiny = 1e-300;
    double c = 1, d = 1 - (a + b) * x / (a + 1), f;
    d = 1 / (fabs(d) < tiny ? tiny : d);
    f = d;
    for (int m = 1; m < MOST; m++) {
        double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        for (int half = 0; half < 2; half++) {
            double term = half ? odd : even;
            d = 1 + term * d;
            c = 1 + term / c;
            d = 1 / (fabs(d) < tiny ? tiny : d);
            c = fabs(c) < tiny ? tiny : c;
            f *= c * d;
        }
        if (fabs(c * d - 1) < 1e-15)
            break;
    }
    return f;
}

/* log of I_x(a, b) with log(x) and log(1 - x) given, for x below (a + 1)/(a + b + 2). */
static double log_lower(double a, double b, double x, double log_x, double log_rest)
{
    double log_beta = lgamma(a) + lgamma(b) - lgamma(a + b);
    return a * log_x + b * log_rest - log_beta - log(a) + log(fraction(a, b, x));
}

/* logit(P(t <= sigmoid(y))) */
static double logit_cumulative(double a, double b, double y)
{
    double log_x = -log1p(exp(-y)), log_rest = -log1p(exp(y)), x = exp(log_x);
    if (x < (a + 1) / (a + b + 2)) {
        double lower = log_lower(a, b, x, log_x, log_rest);
        return lower - log(-expm1(lower));
    }
    double upper = log_lower(b, a, exp(log_rest), log_rest, log_x);
    return log(-expm1(upper)) - upper;
}

static double logit_quantile(double a, double b, double logit_u)
{
    double below = -500, above = 500;
    for (int i = 0; i < 60; i++) {
        double middle = (below + above) / 2;
        *(logit_cumulative(a, b, middle) < logit_u ? &below : &above) = middle;
    }
    return (below + above) / 2;
}

fcl_tensor *fcl_beta_quantile(fcl_tensor *u, double a, double b)
{
    fcl_graph *graph = fcl_tensor_graph(u);
    float *values = fcl_zalloc(sizeof *values * ROWS);
    for (int i = 0; i < ROWS; i++)
        values[i] = (float)logit_quantile(a, b, widest * (2.0 * i / (ROWS - 1) - 1));
    fcl_tensor *table = fcl_input_filled(graph, "beta", FCL_SHAPE(ROWS, 1), values);
    free(values);
    fcl_tensor *rest = fcl_sub(fcl_constant(graph, 1), u);
    fcl_tensor *logit = fcl_sub(fcl_log(u), fcl_log(rest));
    fcl_tensor *place = fcl_shift(fcl_scale(logit, (float)(0.5 / widest)), 0.5f);
    return fcl_sigmoid(fcl_interpolate(table, place));
}
