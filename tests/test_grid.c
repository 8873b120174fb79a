/* Where the steps of solvers end: grids, lists of times, and the samples at given times. */
#include "rig.h"

#include "flow/solver.h"

#include <flowcl/flowcl.h>

#include <math.h>
#include <string.h>

#define assert_near(a, b, bound) check_near(a, b, bound, __FILE__, __LINE__)

static void check_near(double value, double expected, double bound, const char *file, int line)
{
    if (!(fabs(value - expected) <= bound)) {
        print_error("%.9g is further than %g from %.9g\n", value, bound, expected);
        _fail(file, line);
    }
}

/* --- grids --- */

static double *grid_of(fcl_solver_options options, int *steps)
{
    double *grid;
    assert_ok(fcl_grid_read(&options, &grid, steps));
    assert_true(grid[0] == options.t_begin && grid[*steps] == options.t_end);
    return grid;
}

static void named_grids_are_their_formulas(void **state)
{
    (void)state;
    int steps;
    double *edm = grid_of((fcl_solver_options){.steps = 6, .grid = "edm:5", .t_end = 1}, &steps);
    assert_int_equal(steps, 6);
    for (int i = 1; i < 6; i++) { /* the fifth root of noise over data is on a line from 80 to 0.002 */
        double root = pow(80, 0.2) + i / 5. * (pow(0.002, 0.2) - pow(80, 0.2));
        assert_near((1 - edm[i]) / edm[i], pow(root, 5), 1e-9);
    }
    double *shifted = grid_of((fcl_solver_options){.steps = 4, .grid = "shifted:2", .t_end = 1}, &steps);
    for (int i = 0; i <= 4; i++) {
        double noise = 1 - i / 4.;
        assert_near(1 - shifted[i], 2 * noise / (1 + noise), 1e-12);
    }
    double *uniform = grid_of((fcl_solver_options){.t_begin = 0.2, .t_end = 0.7}, &steps);
    assert_int_equal(steps, 100);
    assert_near(uniform[30], 0.35, 1e-12);
    fcl_free(uniform);
    fcl_free(shifted);
    fcl_free(edm);
}

static void backward_takes_the_same_times(void **state)
{
    static const char *const names[] = {"uniform", "edm", "shifted", "0.1,0,1,0.6"};
    (void)state;
    for (int i = 0; i < 4; i++) {
        int steps, back_steps, given = i < 3 ? 7 : 0;
        double *there = grid_of((fcl_solver_options){.steps = given, .grid = names[i], .t_end = 1}, &steps);
        double *back =
            grid_of((fcl_solver_options){.steps = given, .grid = names[i], .t_begin = 1}, &back_steps);
        assert_int_equal(steps, back_steps);
        for (int j = 0; j <= steps; j++)
            assert_near(back[j], there[steps - j], 1e-15);
        fcl_free(there);
        fcl_free(back);
    }
}

static void lists_come_from_text_and_files(void **state)
{
    (void)state;
    fcl_array *array;
    double *times;
    int count;
    assert_ok(fcl_times_read("0.5, 0.25 ,1", 1, 0, &times, &count));
    assert_int_equal(count, 3);
    assert_true(times[0] == 1 && times[1] == 0.5 && times[2] == 0.25);
    fcl_free(times);
    assert_ok(fcl_times_read("5", 0, 1, &times, &count));
    assert_int_equal(count, 5);
    assert_true(times[0] == 0 && times[1] == 0.25 && times[4] == 1);
    fcl_free(times);
    assert_ok(fcl_array_create(FCL_SHAPE(3), &array));
    memcpy(array->data, (const float[]){1, 0.75, 0}, 3 * sizeof(float));
    for (int i = 0; i < 2; i++) {
        const char *path = scratch_path(i ? "times.npy" : "times.csv");
        assert_ok(fcl_samples_write(path, array, NULL));
        double *grid = grid_of((fcl_solver_options){.grid = path, .t_end = 1}, &count);
        assert_int_equal(count, 2);
        assert_true(grid[1] == 0.75);
        fcl_free(grid);
    }
    fcl_array_destroy(&array);
}

static void unusable_grids_are_refused(void **state)
{
    static const struct {
        fcl_solver_options options;
        const char *words;
    } wrong[] = {
        {{.grid = "emd"}, "did you mean \"edm\""},
        {{.grid = "edm:"}, "rho is a number from 1 to 100"},
        {{.grid = "shifted:-1"}, "s is a number"},
        {{.grid = "uniform:2"}, "takes no number"},
        {{.grid = "0,0.5"}, "name both ends"},
        {{.grid = "1"}, "name both ends"},
        {{.grid = "0,0.5,0.5,1"}, "0.5 stands there twice"},
        {{.grid = "0,nan,1"}, "not between 0 and 1"},
        {{.grid = "0,1,2"}, "the time 2 is not between 0 and 1"},
        {{.grid = "0,0.5,1", .steps = 2}, "give no steps = 2"},
        {{.grid = "0,,1"}, "no list of times"},
        {{.grid = ""}, "no list of times"},
        {{.grid = "no/such/file"}, "no file of them"},
        {{.grid = "edm", .solver = "dopri5"}, "takes no grid"},
        {{.steps = 100000000, .t_begin = 1, .t_end = 1.001}, "take fewer steps"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_status(FCL_ERR_ARGUMENT, fcl_solver_check(&wrong[i].options));
        assert_told(wrong[i].words);
    }
    assert_ok(fcl_solver_check(NULL));
    assert_ok(fcl_solver_check(&(fcl_solver_options){.grid = "edm", .steps = 1}));
}

/* --- samples on the way; x' = x (1 - x) (1 + t) --- */

enum { B = 3 };

static double solution(double x0, double t)
{
    return 1 / (1 + (1 / x0 - 1) * exp(-(t + t * t / 2)));
}

static fcl_tensor *logistic(void *data, fcl_graph *graph, const fcl_velocity_inputs *in)
{
    (void)data, (void)graph;
    return fcl_mul(fcl_mul(in->x, fcl_shift(fcl_neg(in->x), 1)), fcl_shift(in->t, 1));
}

static fcl_solver *make(const fcl_solver_options *options)
{
    fcl_solver *solver;
    assert_ok(fcl_solver_create(device, logistic, NULL, options, B, 1, &solver));
    return solver;
}

/* The largest error at any of the times, of a solve there or back. */
static double error_at(const fcl_solver_options *options, int count, const double *times,
                       fcl_solver_stats *stats)
{
    float x[B], way[8 * B];
    double start[B] = {0.1, 0.4, 0.8}, worst = 0;
    for (int i = 0; i < B; i++)
        x[i] = (float)solution(start[i], options->t_begin);
    fcl_solver *solver = make(options);
    assert_ok(fcl_solver_run_times(solver, x, count, times, way, x, stats));
    for (int i = 0; i < B; i++) {
        for (int j = 0; j < count; j++)
            worst = fmax(worst, fabs(way[j * B + i] - solution(start[i], times[j])));
        worst = fmax(worst, fabs(x[i] - solution(start[i], options->t_begin == 0)));
    }
    fcl_solver_destroy(&solver);
    return worst;
}

static void samples_on_the_way_have_the_solvers_order(void **state)
{
    static const double there[] = {0, 0.13, 0.5, 0.77, 1}, back[] = {0.99, 0.4, 0.3};
    static const struct {
        fcl_solver_options options;
        double bound;
    } all[] = {
        {{.solver = "rk4", .steps = 20}, 5e-7},
        {{.solver = "ab3", .steps = 50, .grid = "shifted"}, 3e-5},
        {{.solver = "dopri5", .rtol = 1e-6, .atol = 1e-6}, 5e-6},
        {{.solver = "dopri8", .rtol = 1e-6, .atol = 1e-6}, 5e-6},
    };
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        fcl_solver_options options = all[i].options;
        fcl_solver_stats stats, plain;
        options.t_end = 1;
        double error = error_at(&options, 5, there, &stats);
        print_message("%s: %.2g there", options.solver, error);
        assert_true(error < all[i].bound);
        error_at(&options, 0, NULL, &plain);
        assert_true(stats.accepted >= plain.accepted && stats.accepted <= plain.accepted + 5 * B);
        options.t_begin = 1;
        options.t_end = 0;
        error = error_at(&options, 3, back, &stats);
        print_message(", %.2g back\n", error);
        assert_true(error < 10 * all[i].bound);
    }
}

/* Of `steps` steps every second one is twice as long: Adams-Bashforth keeps its order. */
static double uneven_error(int steps)
{
    char grid[2000], *end = grid;
    for (int i = 0; i <= steps; i++)
        end += sprintf(end, "%s%.9f", i ? "," : "", (3 * (i / 2) + i % 2) / (1.5 * steps));
    return error_at(&(fcl_solver_options){.solver = "ab3", .grid = grid, .t_end = 1}, 0, NULL, NULL);
}

static void adams_has_its_order_on_an_uneven_grid(void **state)
{
    (void)state;
    double order = log2(uneven_error(24) / uneven_error(48));
    print_message("order %.2f\n", order);
    assert_near(order, 3, 0.1);
}

/* A stop costs a step; the step size before it is taken up after it. */
static void many_stops_cost_a_step_each(void **state)
{
    double times[8];
    fcl_solver_stats plain, stopped;
    (void)state;
    for (int i = 0; i < 8; i++)
        times[i] = 0.5 + 1e-3 * i;
    fcl_solver_options options = {.solver = "dopri5", .t_end = 1};
    error_at(&options, 0, NULL, &plain);
    assert_true(error_at(&options, 8, times, &stopped) < 2e-5);
    assert_true(stopped.accepted + stopped.rejected <= plain.accepted + plain.rejected + 9 * B);
    assert_int_equal(stopped.unfinished, 0);
}

static void times_off_the_way_are_refused(void **state)
{
    float x[B] = {0.1f, 0.4f, 0.8f}, way[2 * B];
    (void)state;
    fcl_solver *solver = make(&(fcl_solver_options){.solver = "rk4", .steps = 3});
    assert_status(FCL_ERR_ARGUMENT,
                  fcl_solver_run_times(solver, x, 2, (const double[]){0.5, 1.5}, way, x, NULL));
    assert_told("1.5");
    assert_status(FCL_ERR_ARGUMENT,
                  fcl_solver_run_times(solver, x, 2, (const double[]){0.5, 0.25}, way, x, NULL));
    assert_told("0.25 follows on 0.5");
    assert_status(FCL_ERR_ARGUMENT, fcl_solver_run_times(solver, x, 1, (const double[]){NAN}, way, x, NULL));
    assert_ok(fcl_solver_run_times(solver, x, 1, (const double[]){1. / 3}, way, x, NULL));
    assert_int_equal(fcl_solver_nfe(solver, 0), 12); /* on the grid: no further step */
    fcl_solver_destroy(&solver);
}

static void the_rest_of_the_way_is_told_after_too_many_steps(void **state)
{
    float x[B] = {0.1f, 0.4f, 0.8f}, way[2 * B];
    fcl_solver_stats stats;
    (void)state;
    fcl_solver *solver =
        make(&(fcl_solver_options){.solver = "dopri5", .rtol = 1e-6, .atol = 1e-7, .max_steps = 3});
    assert_status(FCL_ERR_NUMERIC,
                  fcl_solver_run_times(solver, x, 2, (const double[]){0.01, 0.9}, way, x, &stats));
    assert_told("3 of 3 samples did not reach t = 1 in 3 steps");
    assert_int_equal(stats.unfinished, B);
    for (int i = 0; i < B; i++) {
        assert_near(way[i], solution((double[]){0.1, 0.4, 0.8}[i], 0.01), 1e-5);
        assert_true(way[B + i] == x[i] && !fcl_solver_arrived(solver, x, i)); /* where they stand */
    }
    fcl_solver_destroy(&solver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(named_grids_are_their_formulas),
        cmocka_unit_test(backward_takes_the_same_times),
        cmocka_unit_test(lists_come_from_text_and_files),
        cmocka_unit_test(unusable_grids_are_refused),
        cmocka_unit_test(samples_on_the_way_have_the_solvers_order),
        cmocka_unit_test(adams_has_its_order_on_an_uneven_grid),
        cmocka_unit_test(many_stops_cost_a_step_each),
        cmocka_unit_test(times_off_the_way_are_refused),
        cmocka_unit_test(the_rest_of_the_way_is_told_after_too_many_steps),
    };
    return cmocka_run_group_tests_name("grid", tests, rig_up, rig_down);
}
