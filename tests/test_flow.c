/* The flow layer's tables and the training objective, against closed forms. */
#include "device.h"
#include "flow/flow.h"

#include <flowcl/flowcl.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

static void assert_near(double value, double expected, double bound)
{
    if (!(fabs(value - expected) <= bound)) {
        print_error("%.9g is further than %g from %.9g\n", value, bound, expected);
        fail();
    }
}

/* A simulator checks accesses, not statistics: it gets a few rows. */
static int64_t rows(const fcl_device *device, int64_t count)
{
    return strstr(fcl_device_describe(device)->name, "Oclgrind") ? 8 : count;
}

/* --- tables --- */

static void every_row_has_a_name_and_a_help(void **state)
{
    static const struct {
        const char *(*name)(int), *(*help)(int);
        const char *first;
    } tables[] = {
        {fcl_path_name, fcl_path_help, "linear"},
        {fcl_coupling_name, fcl_coupling_help, "independent"},
        {fcl_time_name, fcl_time_help, "uniform"},
        {fcl_loss_name, fcl_loss_help, "squared"},
        {fcl_weight_name, fcl_weight_help, "one"},
        {fcl_time_draw_name, fcl_time_draw_help, "independent"},
        {fcl_prediction_name, fcl_prediction_help, "v"},
        {fcl_grid_name, fcl_grid_help, "uniform"},
        {fcl_solver_name, fcl_solver_help, "euler"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        assert_string_equal(tables[i].name(0), tables[i].first);
        int count = 0;
        for (; tables[i].name(count); count++)
            assert_true(tables[i].help(count) && *tables[i].help(count));
        assert_null(tables[i].help(count));
        assert_null(tables[i].name(-1));
        assert_null(tables[i].help(-1));
    }
}

static void a_wrong_name_is_told_the_nearest(void **state)
{
    static const struct {
        fcl_cfm_options options;
        const char *words[2];
    } wrong[] = {
        {{.path = "liner"}, {"path", "\"linear\""}},
        {{.coupling = "independant"}, {"coupling", "\"independent\""}},
        {{.time = "uniforn"}, {"time", "\"uniform\""}},
        {{.loss = "square"}, {"loss", "\"squared\""}},
        {{.sigma = -1}, {"sigma", "-1"}},
        {{.sigma = NAN}, {"sigma", "nan"}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(fcl_cfm_check(&wrong[i].options), FCL_ERR_ARGUMENT);
        for (int j = 0; j < 2; j++)
            assert_non_null(strstr(fcl_error(), wrong[i].words[j]));
    }
    assert_ok(fcl_cfm_check(&(fcl_cfm_options){0}));
    assert_ok(fcl_cfm_check(&(fcl_cfm_options){.path = "linear",
                                               .coupling = "independent",
                                               .prediction = "v",
                                               .time = "uniform",
                                               .time_draw = "independent",
                                               .weight = "one",
                                               .loss = "squared",
                                               .sigma = 0.1f}));
}

/* --- the objective at the exact velocity ---
 *
 * x0 ~ N(0, 1), x1 ~ N(m, c^2), x_t = t x1 + (1 - t) x0 + s eps, u = x1 - x0. The three are jointly Gaussian
 * with var u = c^2 + 1,   var x_t = P = t^2 c^2 + (1 - t)^2 + s^2,   cov(u, x_t) = Q = t c^2 - (1 - t), so
 * the best velocity is v = m + Q/P (x - t m), and the least loss the conditional variance averaged over t:
 *     int_0^1 c^2 + 1 - Q^2/P dt,   which for s = 0 is int c^2/P dt = c pi/2. */

enum { SIZE = 3 };
static const float means[SIZE] = {-1, 0.5f, 2};
static const float deviations[SIZE] = {0.5f, 1, 2};

typedef struct gaussian {
    fcl_buffer *mean, *deviation; /* (D) */
    float tube;
} gaussian;

static gaussian gaussian_create(fcl_device *device, float tube)
{
    gaussian gauss = {.tube = tube};
    assert_ok(fcl_buffer_create(device, sizeof means, &gauss.mean));
    assert_ok(fcl_buffer_create(device, sizeof deviations, &gauss.deviation));
    assert_ok(fcl_buffer_write(gauss.mean, 0, sizeof means, means));
    assert_ok(fcl_buffer_write(gauss.deviation, 0, sizeof deviations, deviations));
    return gauss;
}

static void gaussian_destroy(gaussian *gauss)
{
    fcl_buffer_destroy(&gauss->mean);
    fcl_buffer_destroy(&gauss->deviation);
}

static fcl_tensor *best_velocity(void *data, fcl_graph *graph, const fcl_velocity_inputs *in)
{
    fcl_tensor *x = in->x, *t = in->t;
    const gaussian *gauss = data;
    fcl_tensor *m = fcl_leaf(graph, "mean", FCL_F32, FCL_SHAPE(SIZE), gauss->mean, 0);
    fcl_tensor *c = fcl_leaf(graph, "deviation", FCL_F32, FCL_SHAPE(SIZE), gauss->deviation, 0);
    fcl_tensor *rest = fcl_shift(fcl_neg(t), 1), *c2 = fcl_square(c);
    fcl_tensor *p = fcl_add(fcl_mul(fcl_square(t), c2), fcl_square(rest));
    fcl_tensor *q = fcl_sub(fcl_mul(t, c2), rest);
    p = fcl_shift(p, gauss->tube * gauss->tube);
    return fcl_add(m, fcl_mul(fcl_div(q, p), fcl_sub(x, fcl_mul(t, m))));
}

static fcl_tensor *draw_data(fcl_graph *graph, const gaussian *gauss, int64_t batch)
{
    fcl_tensor *m = fcl_leaf(graph, "mean", FCL_F32, FCL_SHAPE(SIZE), gauss->mean, 0);
    fcl_tensor *c = fcl_leaf(graph, "deviation", FCL_F32, FCL_SHAPE(SIZE), gauss->deviation, 0);
    return fcl_add(m, fcl_mul(c, fcl_normal(graph, FCL_SHAPE(batch, SIZE), 20)));
}

/* The least loss, and the mean of the conditional variance's square, by the midpoint rule. */
static void least_loss(double tube, double *loss, double *square)
{
    enum { CELLS = 2000 };
    *loss = *square = 0;
    for (int d = 0; d < SIZE; d++)
        for (int i = 0; i < CELLS; i++) {
            double t = (i + 0.5) / CELLS, c2 = (double)deviations[d] * deviations[d];
            double p = t * t * c2 + (1 - t) * (1 - t) + tube * tube, q = t * c2 - (1 - t);
            double variance = c2 + 1 - q * q / p;
            *loss += variance / CELLS / SIZE;
            *square += variance * variance / CELLS / SIZE;
        }
}

static double run_loss(fcl_graph *graph, fcl_tensor *loss, uint32_t step)
{
    float value;
    fcl_graph_random(graph, 11, step, 0);
    assert_ok(fcl_graph_run(graph));
    assert_ok(fcl_tensor_read(loss, &value));
    return value;
}

static void check_least_loss(fcl_device *device, float tube)
{
    enum { STEPS = 16 };
    int64_t batch = rows(device, 4096);
    double expected, square, mean = 0;
    gaussian gauss = gaussian_create(device, tube);
    fcl_graph *graph = fcl_graph_create();
    fcl_tensor *x1 = draw_data(graph, &gauss, batch);
    fcl_tensor *loss =
        fcl_output(fcl_cfm_objective(graph, &(fcl_cfm_options){.sigma = tube}, x1, best_velocity, &gauss));
    assert_ok(fcl_graph_compile(graph, device, NULL));
    for (uint32_t step = 0; step < STEPS; step++)
        mean += run_loss(graph, loss, step) / STEPS;
    least_loss(tube, &expected, &square);
    if (tube == 0)
        assert_near(expected, (0.5 + 1 + 2) / 3 * acos(-1) / 2, 1e-5);
    /* A squared Gaussian of variance V has second moment 3 V^2. */
    assert_near(mean, expected, 5 * sqrt(3 * square / (double)(batch * STEPS)));
    fcl_graph_destroy(&graph);
    gaussian_destroy(&gauss);
}

static void the_least_loss_is_the_conditional_variance(void **state)
{
    check_least_loss(*state, 0);
    check_least_loss(*state, 0.7f);
}

/* --- its gradient --- */

typedef struct affine {
    fcl_buffer *weights; /* (2, D): v = x w0 + t w1 */
    fcl_tensor *leaf;
} affine;

static fcl_tensor *affine_velocity(void *data, fcl_graph *graph, const fcl_velocity_inputs *in)
{
    affine *model = data;
    model->leaf = fcl_leaf(graph, "weights", FCL_F32, FCL_SHAPE(2, SIZE), model->weights, 0);
    return fcl_add(fcl_mul(in->x, fcl_slice(model->leaf, 0, 0, 1)), fcl_mul(in->t, fcl_slice(model->leaf, 0, 1, 2)));
}

static void the_gradient_is_the_difference_quotient(void **state)
{
    const float weights[2 * SIZE] = {0.3f, -0.2f, 0.9f, 0.1f, 1.5f, -0.7f};
    const float step = 0.25f; /* the loss is quadratic in the weights: central differences are exact */
    float gradient[2 * SIZE];
    gaussian gauss = gaussian_create(*state, 0);
    affine model = {0};
    assert_ok(fcl_buffer_create(*state, sizeof weights, &model.weights));
    assert_ok(fcl_buffer_write(model.weights, 0, sizeof weights, weights));
    fcl_graph *graph = fcl_graph_create();
    fcl_tensor *x1 = draw_data(graph, &gauss, rows(*state, 37));
    fcl_tensor *loss =
        fcl_output(fcl_cfm_objective(graph, &(fcl_cfm_options){.sigma = 0.1f}, x1, affine_velocity, &model));
    fcl_tensor *slope;
    fcl_vjp(loss, NULL, 1, &model.leaf, &slope);
    fcl_output(slope);
    assert_ok(fcl_graph_compile(graph, *state, NULL));
    run_loss(graph, loss, 5);
    assert_ok(fcl_tensor_read(slope, gradient));
    for (int i = 0; i < 2 * SIZE; i++) {
        double side[2];
        for (int j = 0; j < 2; j++) {
            float moved[2 * SIZE];
            memcpy(moved, weights, sizeof moved);
            moved[i] += j ? step : -step;
            assert_ok(fcl_buffer_write(model.weights, 0, sizeof moved, moved));
            side[j] = run_loss(graph, loss, 5);
        }
        assert_near(gradient[i], (side[1] - side[0]) / (2 * step), 2e-5);
    }
    fcl_graph_destroy(&graph);
    fcl_buffer_destroy(&model.weights);
    gaussian_destroy(&gauss);
}

static void a_step_draws_anew_and_repeats(void **state)
{
    gaussian gauss = gaussian_create(*state, 0);
    fcl_graph *graph = fcl_graph_create();
    fcl_tensor *x1 = draw_data(graph, &gauss, 5);
    fcl_tensor *loss = fcl_output(fcl_cfm_objective(graph, NULL, x1, best_velocity, &gauss));
    assert_ok(fcl_graph_compile(graph, *state, NULL));
    double first = run_loss(graph, loss, 1), second = run_loss(graph, loss, 2);
    assert_true(first != second);
    assert_true(run_loss(graph, loss, 1) == first);
    fcl_graph_destroy(&graph);
    gaussian_destroy(&gauss);
}

/* --- what a velocity is told --- */

enum { MOST_CALLS = 32 };

typedef struct witness {
    int calls;
    fcl_velocity_inputs told[MOST_CALLS];
} witness;

static fcl_tensor *witnessed(void *data, fcl_graph *graph, const fcl_velocity_inputs *in)
{
    witness *seen = data;
    assert_ptr_equal(fcl_tensor_graph(in->x), graph);
    assert_true(seen->calls < MOST_CALLS);
    seen->told[seen->calls++] = *in;
    return fcl_neg(in->x);
}

static void training_is_told_of_objectives_alone(void **state)
{
    witness trained = {0}, solved = {0};
    fcl_graph *graph = fcl_graph_create();
    fcl_cfm_objective(graph, NULL, fcl_input(graph, "x1", FCL_F32, FCL_SHAPE(4, 2)), witnessed, &trained);
    assert_int_equal(trained.calls, 1);
    assert_true(trained.told[0].training);
    static const char *const solvers[] = {"euler", "rk4", "ab2", "dopri5", "euler-maruyama"};
    for (size_t i = 0; i < sizeof solvers / sizeof *solvers; i++) {
        fcl_solver *solver;
        const fcl_solver_options options = {.solver = solvers[i]};
        assert_ok(fcl_solver_create(*state, witnessed, &solved, &options, 4, 2, &solver));
        fcl_solver_destroy(&solver);
        assert_true(solved.calls > 0);
        for (; solved.calls > 0; solved.calls--) {
            const fcl_velocity_inputs *in = &solved.told[solved.calls - 1];
            assert_non_null(in->t);
            assert_false(in->training || in->r || in->label || in->condition_count);
        }
    }
    fcl_graph_destroy(&graph);
}

/* What stands between a solver and a network changes x and t, and hands on the rest. */
static void the_rest_is_handed_on(void **state)
{
    (void)state;
    witness seen = {0};
    fcl_path *path, *other;
    fcl_predictor *predictor;
    assert_ok(fcl_path_create("linear", 0, &path));
    assert_ok(fcl_path_create("cosine", 0, &other));
    assert_ok(fcl_predictor_create("x1", path, other, witnessed, &seen, &predictor));
    fcl_energy_flow flow = {fcl_predictor_velocity, predictor, NULL};
    fcl_graph *graph = fcl_graph_create();
    fcl_tensor *condition = fcl_input(graph, "condition", FCL_F32, FCL_SHAPE(4, 1));
    fcl_velocity_inputs in = {.x = fcl_input(graph, "x", FCL_F32, FCL_SHAPE(4, 3)),
                              .t = fcl_input(graph, "t", FCL_F32, FCL_SHAPE(4, 1)),
                              .label = fcl_input(graph, "label", FCL_I32, FCL_SHAPE(4)),
                              .conditions = &condition,
                              .condition_count = 1,
                              .training = true};
    fcl_energy_velocity(&flow, graph, &in);
    assert_int_equal(seen.calls, 1);
    const fcl_velocity_inputs *told = &seen.told[0];
    assert_int_equal(fcl_tensor_shape(told->x).dim[1], 2);
    assert_ptr_not_equal(told->t, in.t); /* the other path's */
    assert_ptr_equal(told->label, in.label);
    assert_ptr_equal(told->conditions, &condition);
    assert_int_equal(told->condition_count, 1);
    assert_true(told->training);
    in.r = in.t;
    fcl_output(fcl_energy_velocity(&flow, graph, &in));
    assert_status(FCL_ERR_SHAPE, fcl_graph_compile(graph, *state, NULL));
    assert_told("second time");
    fcl_graph_destroy(&graph);
    fcl_predictor_destroy(&predictor);
    fcl_path_destroy(&other);
    fcl_path_destroy(&path);
}

/* --- mistakes --- */

static fcl_tensor *narrow_velocity(void *data, fcl_graph *graph, const fcl_velocity_inputs *in)
{
    (void)data, (void)graph;
    return fcl_mul(in->t, fcl_slice(in->x, 1, 0, 1)); /* (B, 1) */
}

static void check_mistake(fcl_device *device, const fcl_cfm_options *options, fcl_shape shape,
                          const char *words)
{
    fcl_graph *graph = fcl_graph_create();
    fcl_tensor *x1 = fcl_input(graph, "x1", FCL_F32, shape);
    fcl_output(fcl_cfm_objective(graph, options, x1, narrow_velocity, NULL));
    assert_int_equal(fcl_graph_compile(graph, device, NULL), FCL_ERR_SHAPE);
    if (!strstr(fcl_error(), words))
        print_error("%s\n", fcl_error());
    assert_non_null(strstr(fcl_error(), words));
    fcl_graph_destroy(&graph);
}

static void mistakes_are_told_by_compile(void **state)
{
    check_mistake(*state, &(fcl_cfm_options){.path = "liner"}, FCL_SHAPE(4, 2), "did you mean \"linear\"");
    check_mistake(*state, NULL, FCL_SHAPE(4, 2, 2), "(4, 2, 2)");
    check_mistake(*state, NULL, FCL_SHAPE(4, 2), "the velocity is (4, 1), but x is (4, 2)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_has_a_name_and_a_help),
        cmocka_unit_test(a_wrong_name_is_told_the_nearest),
        cmocka_unit_test(the_least_loss_is_the_conditional_variance),
        cmocka_unit_test(the_gradient_is_the_difference_quotient),
        cmocka_unit_test(a_step_draws_anew_and_repeats),
        cmocka_unit_test(training_is_told_of_objectives_alone),
        cmocka_unit_test(the_rest_is_handed_on),
        cmocka_unit_test(mistakes_are_told_by_compile),
    };
    return cmocka_run_group_tests_name("flow", tests, open_device, close_device);
}
