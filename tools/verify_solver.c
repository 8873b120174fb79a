/* Checks of the solvers, on an equation with closed forms, for 0 <= t <= 1:
 *     y' = 2 w y (1 - y/s) cos(2 w t + p) - r z,   z' = r y.
 * Each sample has its own scale s, speed w and phase p, or its rate of turning r, and so one built solver
 * serves all its checks. Numbers far below the tolerance make any step good enough: adaptive solvers, too,
 * then step from each wanted time to the next. What turns always needs the same steps, and a circle ten times
 * as large is a tenth of the tolerance. */
#include "verify.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { Y, Z, SCALE, SPEED, PHASE, RATE, COLUMNS }; /* of a sample */
enum { ROWS = 128, MOST_STEPS = 256 };
static const double tiny = 0x1p-40, absolute = 1e-4, relative = 1e-7, turn = 6.283185307179586;

static fcl_tensor *column(fcl_tensor *x, int index)
{
    return fcl_slice(x, 1, index, index + 1);
}

static fcl_tensor *velocity(void *data, fcl_graph *graph, const fcl_velocity_inputs *in)
{
    fcl_tensor *x = in->x, *t = in->t;
    fcl_tensor *y = column(x, Y), *speed = column(x, SPEED), *rate = column(x, RATE);
    fcl_tensor *rest = fcl_shift(fcl_neg(fcl_div(y, column(x, SCALE))), 1);
    fcl_tensor *wave = fcl_cos(fcl_add(fcl_scale(fcl_mul(speed, t), 2), column(x, PHASE)));
    fcl_tensor *growth = fcl_mul(fcl_scale(fcl_mul(speed, y), 2), fcl_mul(rest, wave));
    fcl_tensor *slope[] = {fcl_sub(growth, fcl_mul(rate, column(x, Z))), fcl_mul(rate, y)};
    (void)data, (void)graph;
    return fcl_pad(fcl_concat(2, slope, 1), 1, 0, COLUMNS - 2);
}

static int create(verification *v, const char *name, fcl_solver **solver)
{
    fcl_solver_options options = {.solver = name, .steps = 1};
    if (fcl_solver_is_adaptive(name))
        options =
            (fcl_solver_options){.solver = name, .atol = absolute, .rtol = relative, .max_steps = 20000};
    return fcl_solver_create(verify_device(v), velocity, NULL, &options, ROWS, COLUMNS, solver);
}

/* --- orders --- */

static void fill_growing(verification *v, double speed, float *x)
{
    for (int row = 0; row < ROWS; row++, x += COLUMNS) {
        memset(x, 0, COLUMNS * sizeof *x);
        x[SCALE] = (float)tiny;
        x[Y] = (float)(tiny * (0.1 + 0.8 * verify_uniform(v)));
        x[SPEED] = (float)speed;
        x[PHASE] = (float)(turn * verify_uniform(v));
    }
}

/* In units of the scale. */
static double growing_error(const float *start, const float *end)
{
    double phase = start[PHASE], exponent = sin(phase) - sin(2 * (double)start[SPEED] + phase);
    return end[Y] / (double)start[SCALE] - 1 / (1 + (start[SCALE] / (double)start[Y] - 1) * exp(exponent));
}

/* The root mean square of what is wrong after so many equal steps; NaN where the solver took others. */
static int error_of_steps(fcl_solver *solver, const float *start, int steps, double *error)
{
    static float on_the_way[MOST_STEPS * ROWS * COLUMNS];
    float end[ROWS * COLUMNS];
    double times[MOST_STEPS], sum = 0;
    fcl_solver_stats stats;
    for (int i = 1; i < steps; i++)
        times[i - 1] = (double)i / steps;
    TRY(fcl_solver_run_times(solver, start, steps - 1, times, on_the_way, end, &stats));
    for (int row = 0; row < ROWS; row++)
        sum += pow(growing_error(start + row * COLUMNS, end + row * COLUMNS), 2) / ROWS;
    *error = stats.accepted == (int64_t)steps * ROWS ? sqrt(sum) : NAN;
    return FCL_OK;
}

/* By the finest two numbers of steps whose error stands clear above single precision's. */
static int measure_order(fcl_solver *solver, const float *start, double *order)
{
    const double clear = 1.5e-6;
    double before = 0, error;
    *order = NAN;
    for (int steps = 1; steps <= MOST_STEPS; steps *= 2) {
        TRY(error_of_steps(solver, start, steps, &error));
        if (!(error > clear))
            break;
        if (steps > 1)
            *order = log2(before / error);
        before = error;
    }
    return FCL_OK;
}

/* Beyond the fourth order only long steps are left to measure with, in which a method seems better than it
 * is: there only what lacks is an error. */
static double order_error(double found, int stated)
{
    return stated > 4 && found > stated ? 0 : fabs(found - stated);
}

static int check_order(verification *v, const char *name, fcl_solver *solver)
{
    double order;
    float start[ROWS * COLUMNS];
    int stated = fcl_solver_order(name, NULL);
    fill_growing(v, stated > 4 ? 2 : 1, start);
    TRY(measure_order(solver, start, &order));
    return verify_remark(v, name, order_error(order, stated), "measured %.2f", order);
}

/* --- under error control --- */

static void fill_turning(verification *v, double size, double rate, float *x)
{
    for (int row = 0; row < ROWS; row++, x += COLUMNS) {
        double phase = turn * verify_uniform(v);
        memset(x, 0, COLUMNS * sizeof *x);
        x[SCALE] = 1;
        x[Y] = (float)(size * cos(phase));
        x[Z] = (float)(size * sin(phase));
        x[RATE] = (float)(rate * (1 + verify_uniform(v)));
    }
}

static double turning_error(const float *start, const float *end)
{
    double c = cos((double)start[RATE]), s = sin((double)start[RATE]);
    return hypot(end[Y] - (c * start[Y] - s * start[Z]), end[Z] - (s * start[Y] + c * start[Z]));
}

/* Of circles so many times as large as usual: the mean number of steps a radian, and the largest error at the
 * end, in tolerances a step. */
static int run_turning(verification *v, const char *name, fcl_solver *solver, double times, double *steps,
                       double *error)
{
    float start[ROWS * COLUMNS], end[ROWS * COLUMNS];
    int order;
    fcl_solver_order(name, &order);
    double size = times * (order > 2 ? 1 : 3);
    *steps = *error = 0;
    fill_turning(v, size, order > 2 ? 200 : 20, start);
    TRY(fcl_solver_run(solver, start, end, NULL));
    for (int row = 0; row < ROWS; row++) {
        int64_t accepted, rejected;
        const float *first = start + row * COLUMNS;
        fcl_solver_steps(solver, row, &accepted, &rejected);
        double allowed = (absolute + relative * size) * (double)accepted;
        *error = verify_larger(*error, turning_error(first, end + row * COLUMNS) / allowed);
        *steps += (double)accepted / (double)first[RATE] / ROWS;
    }
    return FCL_OK;
}

/* Two circles are two tolerances: the steps are as many as tolerance^(-1/(order + 1)). */
static int check_estimate(verification *v, const char *name, fcl_solver *solver)
{
    const double ratio = 10;
    int stated;
    double few, many, error;
    fcl_solver_order(name, &stated);
    TRY(run_turning(v, name, solver, 1, &few, &error));
    TRY(run_turning(v, name, solver, ratio, &many, &error));
    double order = log(ratio) / log(many / few) - 1;
    return verify_remark(v, name, fabs(order - stated) / (stated + 1), "measured %.2f", order);
}

static int check_tolerance(verification *v, const char *name, fcl_solver *solver)
{
    double steps, error;
    TRY(run_turning(v, name, solver, 1, &steps, &error));
    return verify_report(v, name, error);
}

/* --- the lines --- */

static int check_all(verification *v, bool adaptive_only,
                     int (*check)(verification *v, const char *name, fcl_solver *solver))
{
    for (int i = 0; fcl_solver_name(i); i++) {
        const char *name = fcl_solver_name(i);
        if (fcl_solver_is_stochastic(name) || (adaptive_only && !fcl_solver_is_adaptive(name)))
            continue;
        fcl_solver *solver;
        TRY(create(v, name, &solver));
        int status = check(v, name, solver);
        fcl_solver_destroy(&solver);
        TRY(status);
    }
    return FCL_OK;
}

int verify_order(verification *v)
{
    return check_all(v, false, check_order);
}

int verify_estimate(verification *v)
{
    return check_all(v, true, check_estimate);
}

int verify_tolerance(verification *v)
{
    return check_all(v, true, check_tolerance);
}
