/* How solvers end: exactly at the end, or with a sentence. */
#include "solve.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- the end --- */

/* Neither they nor their parts are binary fractions, and in floats 0.09 + (0.7 - 0.09) is above 0.7. */
static const double begin_time = 0.09, end_time = 0.7;

/* 0, and far off as soon as somebody asks beyond the end */
static fcl_tensor *guarded_velocity(void *data, fcl_graph *graph, const fcl_velocity_inputs *in)
{
    (void)data;
    fcl_tensor *beyond = fcl_greater(in->t, fcl_constant(graph, (float)end_time));
    return fcl_add(fcl_scale(in->x, 0), fcl_scale(beyond, 1e6f));
}

/* 1 from the very end on, 0 before it */
static fcl_tensor *last_velocity(void *data, fcl_graph *graph, const fcl_velocity_inputs *in)
{
    (void)data;
    fcl_tensor *before = fcl_greater(fcl_constant(graph, (float)end_time), in->t);
    return fcl_add(fcl_scale(in->x, 0), fcl_shift(fcl_neg(before), 1));
}

static void the_last_step_ends_on_the_end(void **state)
{
    static const int counts[] = {7, 41, 49, 61};
    for (int row = 0; fcl_solver_name(row); row++) {
        float x = 0.25f;
        fcl_solver_options options = {fcl_solver_name(row), .t_begin = begin_time, .t_end = end_time};
        options.steps = fcl_solver_is_adaptive(options.solver) ? 0 : 49;
        options.w = fcl_solver_is_stochastic(options.solver) ? "0" : NULL;
        fcl_solver_stats stats = solve(*state, guarded_velocity, NULL, options, 1, 1, &x);
        assert_true(x == 0.25f);
        assert_int_equal(stats.rejected, 0);
    }
    for (int i = 0; i < 4; i++) {
        float x = 0;
        fcl_solver_options options = {.solver = "rk4", .steps = counts[i], .t_end = end_time};
        solve(*state, last_velocity, NULL, options, 1, 1, &x);
        assert_near(x, end_time / counts[i] / 6, 1e-8); /* the last stage of the last step alone */
    }
}

/* x' = -x exp x^2, so that with y = x^2 the time from y0 to y is the integral of 1/(2 y exp y). The trial
 * step from x = 3.3 leads to -14, where the velocity overflows. */
static fcl_tensor *steep_velocity(void *data, fcl_graph *graph, const fcl_velocity_inputs *in)
{
    (void)data, (void)graph;
    return fcl_add(fcl_mul(fcl_neg(in->x), fcl_exp(fcl_square(in->x))), fcl_scale(in->t, 0));
}

static double steep_time(double from, double to)
{
    enum { CELLS = 200000 };
    double sum = 0;
    for (int i = 0; i < CELLS; i++) {
        double y = to + (from - to) * (i + 0.5) / CELLS;
        sum += (from - to) / CELLS / (2 * y * exp(y));
    }
    return sum;
}

static void a_first_step_that_overflows_is_shortened(void **state)
{
    float x = 3.3f;
    solve(*state, steep_velocity, NULL, (fcl_solver_options){.solver = "dopri5"}, 1, 1, &x);
    assert_near(steep_time(3.3 * 3.3, x * x), 1, 1e-3);
}

/* pi/2 sin(pi t): x moves by 1, and nothing moves at either end */
static fcl_tensor *gentle_velocity(void *data, fcl_graph *graph, const fcl_velocity_inputs *in)
{
    const float pi = 3.14159265f;
    (void)data, (void)graph;
    return fcl_add(fcl_scale(in->x, 0), fcl_scale(fcl_sin(fcl_scale(in->t, pi)), pi / 2));
}

static void a_slope_of_zero_at_both_ends_is_no_long_step(void **state)
{
    for (int row = 0; fcl_solver_name(row); row++) {
        float x = 0.5f;
        fcl_solver_options options = {.solver = fcl_solver_name(row)};
        if (!fcl_solver_is_adaptive(options.solver))
            continue;
        solve(*state, gentle_velocity, NULL, options, 1, 1, &x);
        assert_near(x, 1.5, 5e-3); /* fehlberg2's estimate is far below its error */
    }
}

/* --- failures --- */

/* sqrt x: no number for a negative row; x(t) = (sqrt x0 + t/2)^2 */
static fcl_tensor *root_velocity(void *data, fcl_graph *graph, const fcl_velocity_inputs *in)
{
    (void)data, (void)graph;
    return fcl_add(fcl_sqrt(in->x), fcl_scale(in->t, 0));
}

static void a_velocity_that_is_not_finite_is_told(void **state)
{
    enum { B = 3 };
    static const fcl_solver_options all[] = {{.solver = "rk4", .steps = 20}, {.solver = "dopri5"}};
    static const float starts[2] = {-1, NAN};
    for (int i = 0; i < 4; i++) {
        float x[B] = {1, 4, starts[i / 2]};
        fcl_solver_stats stats;
        fcl_solver *solver = make(*state, root_velocity, NULL, all[i % 2], B, 1);
        assert_status(FCL_ERR_NUMERIC, fcl_solver_run(solver, x, x, &stats));
        assert_told("1 of 3 samples");
        assert_told("row 2");
        assert_int_equal(stats.unfinished, 1);
        assert_near(x[0], 2.25, 1e-4);
        assert_near(x[1], 6.25, 1e-4);
        if (i == 1) /* where its last accepted step ended */
            assert_true(x[2] == -1);
        fcl_solver_destroy(&solver);
    }
}

static void unusable_options_are_refused(void **state)
{
    static const struct {
        fcl_solver_options options;
        const char *words[2];
    } wrong[] = {
        {{.solver = "eulr"}, {"eulr", "\"euler\""}},
        {{.solver = "dopri5", .steps = 10}, {"dopri5", "rtol and atol, not steps"}},
        {{.solver = "rk4", .rtol = 1e-3}, {"rk4", "no error estimate"}},
        {{.solver = "heun2", .atol = 1e-3}, {"heun2", "no error estimate"}},
        {{.max_steps = 5}, {"euler", "no error estimate"}},
        {{.steps = -1}, {"steps", "-1"}},
        {{.solver = "dopri5", .rtol = 1e-12}, {"rtol", "1e-12"}},
        {{.solver = "dopri5", .atol = NAN}, {"atol", "nan"}},
        {{.t_begin = 0.5, .t_end = 0.5 + 1e-12}, {"t-begin = 0.5 and t-end = 0.5", "nothing to solve"}},
        {{.t_begin = INFINITY}, {"t-begin", "inf"}},
    };
    fcl_solver *solver;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_status(FCL_ERR_ARGUMENT,
                      fcl_solver_create(*state, root_velocity, NULL, &wrong[i].options, 2, 2, &solver));
        assert_null(solver);
        assert_told(wrong[i].words[0]);
        assert_told(wrong[i].words[1]);
    }
    assert_status(FCL_ERR_ARGUMENT, fcl_solver_create(*state, root_velocity, NULL, NULL, 0, 2, &solver));
    assert_status(FCL_ERR_ARGUMENT, fcl_solver_create(*state, root_velocity, NULL, NULL, 2, -1, &solver));
}

static fcl_tensor *narrow_velocity(void *data, fcl_graph *graph, const fcl_velocity_inputs *in)
{
    (void)data, (void)graph;
    return fcl_mul(in->t, fcl_slice(in->x, 1, 0, 1)); /* (B, 1) */
}

static void a_velocity_of_wrong_shape_is_refused(void **state)
{
    fcl_solver *solver;
    assert_status(FCL_ERR_SHAPE, fcl_solver_create(*state, narrow_velocity, NULL, NULL, 4, 2, &solver));
    assert_told("euler");
    assert_told("the velocity is (4, 1), but x is (4, 2)");
    assert_null(solver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_step_ends_on_the_end),
        cmocka_unit_test(a_first_step_that_overflows_is_shortened),
        cmocka_unit_test(a_slope_of_zero_at_both_ends_is_no_long_step),
        cmocka_unit_test(a_velocity_that_is_not_finite_is_told),
        cmocka_unit_test(unusable_options_are_refused),
        cmocka_unit_test(a_velocity_of_wrong_shape_is_refused),
    };
    return cmocka_run_group_tests_name("solver end", tests, open_device, close_device);
}
