/* The solvers' orders, in double by their tableaus and on the device. */
#include "flow/solver.h"
#include "solve.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- x' = x (1 - x) (1 + t), nonlinear, with the solution 1/(1 + (1/x0 - 1) exp(-(t + t^2/2))) --- */

static double logistic_slope(double x, double t)
{
    return x * (1 - x) * (1 + t);
}

static double logistic_solution(double x0, double t)
{
    return 1 / (1 + (1 / x0 - 1) * exp(-(t + t * t / 2)));
}

static fcl_tensor *logistic(void *data, fcl_graph *graph, const fcl_velocity_inputs *in)
{
    (void)data, (void)graph;
    return fcl_mul(fcl_mul(in->x, fcl_shift(fcl_neg(in->x), 1)), fcl_shift(in->t, 1));
}

static double logistic_start(int64_t i, int64_t count)
{
    return 0.1 + 0.7 * (double)i / (double)count;
}

typedef struct problem {
    double (*slope)(double x, double t), (*solution)(double x0, double t), end; /* from 0 to `end` */
} problem;
static const problem logistic_problem = {logistic_slope, logistic_solution, 1};

/* One step of the tableau in double, with the weights b or those that the error estimate compares. */
static double reference_step(const fcl_tableau *tableau, bool compared, const problem *p, double x, double t,
                             double h)
{
    double k[FCL_MAX_STAGES], sum = 0;
    for (int i = 0; i < tableau->stages; i++) {
        double at = x;
        for (int j = 0; j < i; j++)
            at += h * tableau->a[i * (i - 1) / 2 + j] * k[j];
        k[i] = p->slope(at, t + tableau->c[i] * h);
        sum += (tableau->b[i] - (compared ? tableau->b_error[i] : 0)) * k[i];
    }
    return x + h * sum;
}

/* Adams-Bashforth by its known weights for equal steps. */
static double reference_adams(const fcl_tableau *tableau, const problem *p, double x, int steps)
{
    static const double weights[][FCL_MOST_ADAMS] = {
        {1}, {3 / 2., -1 / 2.}, {23 / 12., -16 / 12., 5 / 12.}, {55 / 24., -59 / 24., 37 / 24., -9 / 24.}};
    double past[FCL_MOST_ADAMS] = {0}, h = p->end / steps;
    for (int step = 0; step < steps; step++) {
        memmove(past + 1, past, 3 * sizeof *past);
        past[0] = p->slope(x, step * h);
        if (step < tableau->adams - 1)
            x = reference_step(fcl_tableau_find(tableau->starter), false, p, x, step * h, h);
        for (int i = 0; i < tableau->adams && step >= tableau->adams - 1; i++)
            x += h * weights[tableau->adams - 1][i] * past[i];
    }
    return x;
}

static double reference(const fcl_tableau *tableau, bool compared, const problem *p, double x, int steps)
{
    if (tableau->adams)
        return reference_adams(tableau, p, x, steps);
    for (int step = 0; step < steps; step++)
        x = reference_step(tableau, compared, p, x, p->end * step / steps, p->end / steps);
    return x;
}

static double reference_order(const fcl_tableau *tableau, bool compared, const problem *p, int steps)
{
    double error[2] = {0};
    for (int i = 0; i < 20; i++)
        for (int j = 0; j < 2; j++) {
            double x0 = logistic_start(i, 20);
            error[j] += pow(reference(tableau, compared, p, x0, steps << j) - p->solution(x0, p->end), 2);
        }
    return log2(error[0] / error[1]) / 2;
}

/* x' = x cos t: its higher derivatives are small, so that a high order shows before rounding does. */
static double wave_slope(double x, double t)
{
    return x * cos(t);
}

static double wave_solution(double x0, double t)
{
    return x0 * exp(sin(t));
}

/* With enough steps for the order to show, and few enough that rounding does not. The weights that fehlberg2
 * is compared with miss the second order by 1/512 only. */
static void every_row_has_its_order(void **state)
{
    static const problem wave_problem = {wave_slope, wave_solution, 2};
    static const int steps[] = {0, 16384, 512, 256, 256, 24, 10, 10, 10};
    (void)state;
    for (int row = 0; fcl_solver_name(row); row++) {
        const fcl_tableau *tableau = fcl_tableau_find(fcl_solver_name(row));
        int order = tableau->order, lower = tableau->estimate_order;
        const problem *p = order == 8 ? &wave_problem : &logistic_problem;
        assert_near(reference_order(tableau, false, p, steps[order]), order, 0.1);
        if (lower)
            assert_near(reference_order(tableau, true, &logistic_problem, steps[lower]), lower, 0.1);
    }
}

/* Evaluations in so many steps with fixed sizes. */
static int64_t evaluations(const fcl_tableau *tableau, int64_t steps)
{
    int64_t starting = tableau->adams ? tableau->adams - 1 : 0;
    int64_t stages = tableau->adams ? fcl_tableau_find(tableau->starter)->stages : 0;
    return stages * starting + tableau->stages * (steps - starting);
}

static double device_error(fcl_device *device, const fcl_tableau *tableau, int steps, int64_t count)
{
    float x[20];
    double error = 0;
    for (int64_t i = 0; i < count; i++)
        x[i] = (float)logistic_start(i, count);
    fcl_solver_stats stats =
        solve(device, logistic, NULL,
              (fcl_solver_options){.solver = tableau->name, .steps = steps, .w = tableau->noise ? "0" : NULL},
              count, 1, x);
    assert_int_equal(stats.nfe_minimum, evaluations(tableau, steps));
    assert_int_equal(stats.nfe_maximum, evaluations(tableau, steps));
    assert_int_equal(stats.evaluations, evaluations(tableau, steps));
    assert_int_equal(stats.accepted, steps * count);
    assert_int_equal(stats.steps, steps);
    for (int64_t i = 0; i < count; i++) {
        double x0 = (float)logistic_start(i, count);
        assert_near(x[i], reference(tableau, false, &logistic_problem, x0, steps), 1e-6);
        error += pow(x[i] - logistic_solution(x0, 1), 2);
    }
    return sqrt(error / (double)count);
}

/* Few enough steps that the method's error stands far above single precision's. */
static void fixed_solvers_have_their_order_on_the_device(void **state)
{
    int64_t count = rows(*state, 20);
    for (int row = 0; fcl_solver_name(row); row++) {
        const fcl_tableau *tableau = fcl_tableau_find(fcl_solver_name(row));
        if (tableau->b_error) /* it chooses its steps, and has an order beyond those below */
            continue;
        int steps =
            tableau->adams ? 16 << (4 - tableau->adams) : (const int[]){0, 32, 32, 12, 4}[tableau->order];
        double coarse = device_error(*state, tableau, steps, count);
        double fine = device_error(*state, tableau, 2 * steps, count);
        if (count == 20) /* a simulator's few rows show no order; they have met the reference */
            assert_near(log2(coarse / fine), tableau->order, 0.1);
    }
}

static void backward_is_the_inverse(void **state)
{
    enum { B = 3 };
    static const char *const names[] = {"rk4", "dopri5"};
    for (int i = 0; i < 2; i++) {
        float x[B];
        for (int j = 0; j < B; j++)
            x[j] = (float)logistic_start(j, B);
        fcl_solver_options options = {.solver = names[i], .steps = i == 0 ? 40 : 0};
        solve(*state, logistic, NULL, options, B, 1, x);
        for (int j = 0; j < B; j++)
            assert_near(x[j], logistic_solution(logistic_start(j, B), 1), 2e-5);
        options.t_begin = 1; /* and t_end 0 */
        solve(*state, logistic, NULL, options, B, 1, x);
        for (int j = 0; j < B; j++)
            assert_near(x[j], logistic_start(j, B), 5e-5);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_has_its_order),
        cmocka_unit_test(fixed_solvers_have_their_order_on_the_device),
        cmocka_unit_test(backward_is_the_inverse),
    };
    return cmocka_run_group_tests_name("order", tests, open_device, close_device);
}
