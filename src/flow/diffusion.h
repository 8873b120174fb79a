/* The noise of stochastic solvers, and the drift that goes with it. */
#ifndef FLOW_DIFFUSION_H
#define FLOW_DIFFUSION_H

#include "base/expression.h"
#include "flow/flow.h"

typedef struct fcl_diffusion fcl_diffusion;

/* A formula in t, alpha and sigma; NULL: "sigma". */
int fcl_diffusion_parse(const char *w, fcl_expression **expression);

/* Whether it is 0: no noise, and no score. */
bool fcl_diffusion_is_off(const char *w);

/* Of complete options, and checked at the times that the grid (steps + 1) asks for. */
int fcl_diffusion_create(const fcl_solver_options *options, const double *grid, int steps,
                         fcl_diffusion **diffusion);
void fcl_diffusion_destroy(fcl_diffusion **diffusion);

/* The time at which a stage at t of the step from now[0] to now[1] is taken. Where the score has no limit
 * (sigma at the data, the slope of alpha at the noise) it cannot be had from v: a stage that would be nearer
 * to such an end than half a step is taken at the step's other end. That costs its order in one step, of
 * many. */
double fcl_diffusion_time(const fcl_diffusion *diffusion, const double *now, double t);

/* a, b, c of the stage's slope a v + b x + c xi. */
enum { FCL_DIFFUSION_NUMBERS = 3 };
void fcl_diffusion_numbers(const fcl_diffusion *diffusion, double t, double h, float *numbers);

#endif
