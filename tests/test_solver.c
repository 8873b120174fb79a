/* The solvers: closed forms, per-sample control, and what their launches are. */
#include "flow/solver.h"
#include "op/op.h"
#include "solve.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- the exact flow of N(0, I) to N(m, diag c^2): x0 goes to m + c x0 --- */

typedef struct gaussian {
    fcl_buffer *mean, *deviation; /* (D) */
    int64_t size;
} gaussian;

static fcl_tensor *gaussian_velocity(void *data, fcl_graph *graph, const fcl_velocity_inputs *in)
{
    fcl_tensor *x = in->x, *t = in->t;
    const gaussian *gauss = data;
    fcl_tensor *m = fcl_leaf(graph, "mean", FCL_F32, FCL_SHAPE(gauss->size), gauss->mean, 0);
    fcl_tensor *c = fcl_leaf(graph, "deviation", FCL_F32, FCL_SHAPE(gauss->size), gauss->deviation, 0);
    fcl_tensor *rest = fcl_shift(fcl_neg(t), 1), *c2 = fcl_square(c);
    fcl_tensor *p = fcl_add(fcl_mul(fcl_square(t), c2), fcl_square(rest));
    fcl_tensor *q = fcl_sub(fcl_mul(t, c2), rest);
    return fcl_add(m, fcl_mul(fcl_div(q, p), fcl_sub(x, fcl_mul(t, m))));
}

static double mean_of(int64_t d)
{
    return 2 * sin(3. * (double)d + 1);
}

static double deviation_of(int64_t d)
{
    return 0.5 + (double)(d % 3) * 0.6;
}

static gaussian gaussian_create(fcl_device *device, int64_t size)
{
    gaussian gauss = {.size = size};
    float number[2][64];
    for (int64_t d = 0; d < size; d++) {
        number[0][d] = (float)mean_of(d);
        number[1][d] = (float)deviation_of(d);
    }
    assert_ok(fcl_buffer_create(device, sizeof(float) * (size_t)size, &gauss.mean));
    assert_ok(fcl_buffer_create(device, sizeof(float) * (size_t)size, &gauss.deviation));
    assert_ok(fcl_buffer_write(gauss.mean, 0, fcl_buffer_size(gauss.mean), number[0]));
    assert_ok(fcl_buffer_write(gauss.deviation, 0, fcl_buffer_size(gauss.mean), number[1]));
    return gauss;
}

static void gaussian_destroy(gaussian *gauss)
{
    fcl_buffer_destroy(&gauss->mean);
    fcl_buffer_destroy(&gauss->deviation);
}

static void check_gaussian(fcl_device *device, fcl_solver_options options, int64_t batch, int64_t size,
                           double bound, double return_bound)
{
    static float noise[64 * 64], data[64 * 64];
    fcl_solver_stats stats;
    gaussian gauss = gaussian_create(device, size);
    for (int64_t i = 0; i < batch * size; i++)
        noise[i] = (float)(1.5 * sin(1.7 * (double)i * (double)i));
    fcl_solver *decoder = make(device, gaussian_velocity, &gauss, options, batch, size);
    options.t_begin = 1;
    fcl_solver *encoder = make(device, gaussian_velocity, &gauss, options, batch, size);
    assert_ok(fcl_solver_run(decoder, noise, data, &stats));
    for (int64_t i = 0; i < batch * size; i++)
        assert_near(data[i], mean_of(i % size) + deviation_of(i % size) * noise[i], bound);
    assert_int_equal(stats.unfinished, 0);
    assert_ok(fcl_solver_run(encoder, data, data, NULL));
    for (int64_t i = 0; i < batch * size; i++)
        assert_near(data[i], noise[i], return_bound);
    fcl_solver_destroy(&decoder);
    fcl_solver_destroy(&encoder);
    gaussian_destroy(&gauss);
}

static void a_gaussian_goes_to_a_gaussian_and_back(void **state)
{
    fcl_solver_options dopri5 = {.solver = "dopri5", .rtol = 1e-6, .atol = 1e-6};
    check_gaussian(*state, dopri5, 1, 1, 2e-5, 1e-4);
    check_gaussian(*state, dopri5, 1, 5, 2e-5, 1e-4);
    check_gaussian(*state, dopri5, rows(*state, 61), 3, 2e-5, 1e-4);
    check_gaussian(*state, (fcl_solver_options){.solver = "rk4", .steps = 30}, rows(*state, 13), 7, 2e-4,
                   2e-4);
}

static void a_solver_runs_again_with_the_same_bits(void **state)
{
    enum { B = 5, D = 2 };
    static const fcl_solver_options all[] = {{.solver = "heun2", .steps = 6}, {.solver = "dopri5"}};
    const float x[B * D] = {0.1f, -0.4f, 1, 2, -2, 0.3f, 0.7f, 0, -1, 0.5f};
    gaussian gauss = gaussian_create(*state, D);
    for (int i = 0; i < 2; i++) {
        float first[B * D], other[B * D], again[B * D];
        fcl_solver *solver = make(*state, gaussian_velocity, &gauss, all[i], B, D);
        assert_ok(fcl_solver_run(solver, x, first, NULL));
        assert_ok(fcl_solver_prepare(solver));
        assert_ok(fcl_solver_run(solver, first, other, NULL));
        assert_ok(fcl_buffer_write(fcl_solver_buffer(solver), 0, sizeof x, x));
        assert_ok(fcl_solver_run(solver, NULL, NULL, NULL)); /* from and to the device's buffer */
        assert_ok(fcl_buffer_read(fcl_solver_buffer(solver), 0, sizeof again, again));
        assert_memory_equal(first, again, sizeof first);
        assert_memory_not_equal(first, other, sizeof first);
        fcl_solver_destroy(&solver);
    }
    gaussian_destroy(&gauss);
}

/* --- each sample its own steps: row (y, l), y' = l (t - y), l' = 0: the larger l, the stiffer --- */

static fcl_tensor *stiff_velocity(void *data, fcl_graph *graph, const fcl_velocity_inputs *in)
{
    (void)data, (void)graph;
    fcl_tensor *y = fcl_slice(in->x, 1, 0, 1), *l = fcl_slice(in->x, 1, 1, 2);
    fcl_tensor *slope = fcl_mul(l, fcl_sub(in->t, y));
    return fcl_concat(2, (fcl_tensor *[]){slope, fcl_scale(l, 0)}, 1);
}

static double stiff_solution(double y0, double l, double t)
{
    return t - 1 / l + (y0 + 1 / l) * exp(-l * t);
}

static void stiff_samples_do_not_slow_easy_ones(void **state)
{
    enum { B = 4 };
    const float start[2 * B] = {0, 0.5f, 0.2f, 200, 1, 0.5f, -1, 150};
    float x[2 * B], alone[2];
    fcl_solver_options options = {.solver = "dopri5", .rtol = 1e-5, .atol = 1e-5};
    fcl_solver_stats stats;
    fcl_solver *solver = make(*state, stiff_velocity, NULL, options, B, 2);
    assert_ok(fcl_solver_run(solver, start, x, &stats));
    int64_t sum = 0;
    for (int row = 0; row < B; row++) {
        bool stiff = start[2 * row + 1] > 1;
        int64_t nfe = fcl_solver_nfe(solver, row);
        assert_near(x[2 * row], stiff_solution(start[2 * row], start[2 * row + 1], 1), 2e-4);
        assert_true(x[2 * row + 1] == start[2 * row + 1]);
        assert_true(stiff ? nfe > 200 : nfe < 80);
        assert_true(solver->state_read[row * FCL_ODE_STATE + FCL_ODE_T] == 1);
        sum += nfe;
    }
    assert_int_equal(2 * B + 6 * (stats.accepted + stats.rejected), sum);
    assert_near(stats.nfe_mean, (double)sum / B, 1e-9);
    assert_true(stats.nfe_minimum < 80 && stats.nfe_maximum > 200);
    assert_true(stats.evaluations >= stats.nfe_maximum && stats.evaluations < stats.nfe_maximum + 8 * 6);
    assert_true(stats.rejected > 0);
    fcl_solver_destroy(&solver);
    /* A sample's result does not depend on its batch. */
    memcpy(alone, start, sizeof alone);
    solve(*state, stiff_velocity, NULL, options, 1, 2, alone);
    assert_near(alone[0], x[0], 1e-6);
}

/* More rows than lanes: a lane whose sample is done takes another row, and that changes no row's bits. The groups'
 * form has no lanes. */
static void rows_that_wait_for_a_lane_keep_their_bits(void **state)
{
    enum { FEW = 20 };
    int units = fcl_device_describe(*state)->compute_units, lanes = 8 * 32 * (units < 16 ? units : 16);
    int rows = fcl_device_traits(*state).wide ? lanes + 77 : 2 * FEW + 37;
    fcl_solver_options options = {.solver = "dopri5", .rtol = 1e-4, .atol = 1e-4};
    float *start = calloc((size_t)rows, 2 * sizeof *start), *x = calloc((size_t)rows, 2 * sizeof *x);
    for (int i = 0; i < rows; i++) {
        start[2 * i] = (float)sin(i);
        start[2 * i + 1] = i % 7 == 3 ? 40 : 0.5f + (float)(i % 11);
    }
    fcl_solver *all = make(*state, stiff_velocity, NULL, options, rows, 2);
    fcl_solver *few = make(*state, stiff_velocity, NULL, options, FEW, 2);
    assert_ok(fcl_solver_run(all, start, x, NULL));
    bool exact = fcl_graph_describe(all->step).repeats;
    const int first[] = {0, FEW, rows / 2, rows - FEW};
    for (int part = 0; part < 4; part++) {
        float alone[2 * FEW];
        assert_ok(fcl_solver_run(few, start + 2 * first[part], alone, NULL));
        if (exact)
            assert_memory_equal(alone, x + 2 * first[part], sizeof alone);
        for (int i = 0; i < FEW; i++) {
            assert_near(alone[2 * i], x[2 * (first[part] + i)], 1e-5);
            assert_int_equal(fcl_solver_nfe(few, i), fcl_solver_nfe(all, first[part] + i));
        }
    }
    fcl_solver_destroy(&all);
    fcl_solver_destroy(&few);
    free(start);
    free(x);
}

/* A rate for each class, gathered by the sample's label: x' = rate x. */
typedef struct classes {
    fcl_buffer *rates, *labels;
    int64_t rows;
} classes;

static fcl_tensor *class_velocity(void *data, fcl_graph *graph, const fcl_velocity_inputs *in)
{
    const classes *c = data;
    fcl_tensor *rates = fcl_leaf(graph, "rates", FCL_F32, FCL_SHAPE(3, 1), c->rates, 0);
    fcl_tensor *labels = fcl_leaf(graph, "labels", FCL_I32, FCL_SHAPE(c->rows), c->labels, 0);
    return fcl_mul(in->x, fcl_gather_rows(rates, labels, 1, 0));
}

/* Where rows have their own pace, a label stays with its row; such a solve is one launch as well. */
static void labels_stay_with_their_rows(void **state)
{
    const float rate[3] = {-6, 0.5f, 1.5f};
    bool lanes = fcl_device_traits(*state).wide && fcl_device_describe(*state)->compute_units <= 4;
    const int rows = lanes ? 8 * 32 * 4 + 19 : 40;
    int32_t *label = calloc((size_t)rows, sizeof *label);
    float *x = calloc((size_t)rows, sizeof *x);
    classes c = {.rows = rows};
    assert_ok(fcl_buffer_create(*state, sizeof rate, &c.rates));
    assert_ok(fcl_buffer_write(c.rates, 0, sizeof rate, rate));
    assert_ok(fcl_buffer_create(*state, sizeof *label * (size_t)rows, &c.labels));
    for (int i = 0; i < rows; i++) {
        label[i] = i * i % 3 + i % 2;
        x[i] = 1 + (float)(i % 5);
    }
    assert_ok(fcl_buffer_write(c.labels, 0, sizeof *label * (size_t)rows, label));
    fcl_solver *solver = make(*state, class_velocity, &c, (fcl_solver_options){.solver = "dopri5"}, rows, 1);
    assert_int_equal(fcl_graph_describe(solver->step).repeats, fcl_device_traits(*state).wide);
    assert_ok(fcl_solver_run(solver, x, x, NULL));
    for (int i = 0; i < rows; i++)
        assert_near(x[i], (1 + i % 5) * exp((double)rate[label[i]]), 1e-3);
    fcl_solver_destroy(&solver);
    fcl_buffer_destroy(&c.rates);
    fcl_buffer_destroy(&c.labels);
    free(label);
    free(x);
}

/* The way of others, in double: one step size for the whole batch, chosen by the error's rms over all of it,
 * with the same pair and the same controller. Returns the worst error at t = 1; *nfe: evaluations of each
 * sample. */
static double whole_batch(int count, const float *start, double tolerance, int64_t *nfe)
{
    const fcl_tableau *tableau = fcl_tableau_find("dopri5");
    double y[64], y_new[64], k[7][64], t = 0, h = 0.01, before = 1, worst = 0;
    for (int i = 0; i < count; i++)
        y[i] = start[2 * i];
    for (*nfe = 2; t < 1;
         *nfe += tableau->stages - 1) { /* as much as the device's counts for the first step */
        double sum = 0, length = h > 1 - t ? 1 - t : h;
        for (int i = 0; i < count; i++) {
            double error = 0, l = start[2 * i + 1];
            for (int s = 0; s < tableau->stages; s++) {
                double at = y[i];
                for (int j = 0; j < s; j++)
                    at += length * tableau->a[s * (s - 1) / 2 + j] * k[j][i];
                k[s][i] = l * (t + tableau->c[s] * length - at);
                error += length * tableau->b_error[s] * k[s][i];
                y_new[i] = at; /* the last stage's */
            }
            /* beside y a row holds l, whose error is 0 */
            sum += pow(error / (tolerance + tolerance * fmax(fabs(y[i]), fabs(y_new[i]))), 2) / (2 * count);
        }
        double norm = sqrt(sum),
               factor = 0.9 * pow(fmax(norm, 1e-6), -0.7 / 5) * pow(fmax(before, 1e-4), 0.4 / 5);
        if (norm <= 1) {
            memcpy(y, y_new, sizeof y);
            t += length;
            before = norm;
        }
        h = length * fmin(fmax(factor, 0.2), norm <= 1 ? 5 : 0.9);
    }
    for (int i = 0; i < count; i++)
        worst = fmax(worst, fabs(y[i] - stiff_solution(start[2 * i], start[2 * i + 1], 1)));
    return worst;
}

/* A few stiff samples among easy ones: at the same worst error each sample has fewer evaluations than where
 * the stiff ones choose the step for all. */
static void steps_of_their_own_need_fewer_evaluations(void **state)
{
    enum { B = 32 };
    float start[2 * B], x[2 * B];
    double worst = 0, tolerance = 1e-2, whole_error;
    int64_t whole_nfe;
    if (rows(*state, B) < B)
        return;
    for (int i = 0; i < B; i++) {
        start[2 * i] = (float)sin(i);
        start[2 * i + 1] = i % 16 == 7 ? 150 : 0.5f + 0.1f * (float)i;
    }
    fcl_solver_options options = {.solver = "dopri5", .rtol = 1e-4, .atol = 1e-4};
    fcl_solver_stats stats = solve(*state, stiff_velocity, NULL, options, B, 2, memcpy(x, start, sizeof x));
    for (int i = 0; i < B; i++)
        worst = fmax(worst, fabs(x[2 * i] - stiff_solution(start[2 * i], start[2 * i + 1], 1)));
    while ((whole_error = whole_batch(B, start, tolerance, &whole_nfe)) > worst && tolerance > 1e-10)
        tolerance /= 1.2;
    print_message("worst error %.2g: %.0f evaluations a sample; whole-batch control %.2g: %d\n", worst,
                  stats.nfe_mean, whole_error, (int)whole_nfe);
    assert_true(whole_error <= worst);
    assert_true(stats.nfe_mean < 0.5 * (double)whole_nfe);
}

static fcl_tensor *away(void *data, fcl_graph *graph, const fcl_velocity_inputs *in)
{
    (void)data, (void)graph;
    return fcl_mul(in->x, in->t);
}

/* What a narrow network's step needs fits into one kernel, which takes all of the steps. */
static void a_fixed_solve_is_one_launch(void **state)
{
    fcl_solver *euler = make(*state, away, NULL, (fcl_solver_options){.steps = 4}, 3, 1);
    bool repeats = fcl_graph_describe(euler->fixed.graph).repeats; /* on CPUs */
    fcl_solver_destroy(&euler);
    for (int row = 0; fcl_solver_name(row); row++) {
        const char *name = fcl_solver_name(row);
        if (fcl_solver_is_adaptive(name) || fcl_solver_is_stochastic(name))
            continue;
        fcl_solver_options options = {.solver = name, .steps = 4, .grid = "edm"};
        fcl_solver *solver = make(*state, away, NULL, options, 3, 1);
        assert_int_equal(fcl_graph_describe(solver->fixed.graph).repeats, repeats);
        if (solver->first.graph)
            assert_int_equal(fcl_graph_describe(solver->first.graph).repeats, repeats);
        fcl_solver_destroy(&solver);
    }
}

static void smaller_tolerances_give_smaller_errors(void **state)
{
    double error[2];
    int64_t nfe[2];
    for (int i = 0; i < 2; i++) {
        float x[2] = {1, 3};
        double tolerance = i == 0 ? 1e-3 : 1e-6;
        fcl_solver_options options = {.solver = "dopri5", .rtol = tolerance, .atol = tolerance};
        nfe[i] = solve(*state, stiff_velocity, NULL, options, 1, 2, x).nfe_maximum;
        error[i] = fabs(x[0] - stiff_solution(1, 3, 1));
    }
    assert_true(nfe[1] > nfe[0]);
    assert_true(error[0] < 3e-3 && error[1] < 3e-6);
}

static void too_many_steps_are_told(void **state)
{
    enum { B = 2 };
    const float start[2 * B] = {0, 0.5f, 0, 300};
    float x[2 * B];
    fcl_solver_stats stats;
    fcl_solver_options options = {.solver = "dopri5", .max_steps = 30};
    fcl_solver *solver = make(*state, stiff_velocity, NULL, options, B, 2);
    assert_status(FCL_ERR_NUMERIC, fcl_solver_run(solver, start, x, &stats));
    assert_told("1 of 2 samples did not reach t = 1 in 30 steps");
    assert_told("larger tolerances");
    assert_int_equal(stats.unfinished, 1);
    assert_int_equal(stats.steps, 30);
    assert_near(x[0], stiff_solution(0, 0.5, 1), 1e-4);
    assert_true(isfinite(x[2]));
    fcl_solver_destroy(&solver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_gaussian_goes_to_a_gaussian_and_back),
        cmocka_unit_test(a_solver_runs_again_with_the_same_bits),
        cmocka_unit_test(stiff_samples_do_not_slow_easy_ones),
        cmocka_unit_test(rows_that_wait_for_a_lane_keep_their_bits),
        cmocka_unit_test(labels_stay_with_their_rows),
        cmocka_unit_test(steps_of_their_own_need_fewer_evaluations),
        cmocka_unit_test(a_fixed_solve_is_one_launch),
        cmocka_unit_test(smaller_tolerances_give_smaller_errors),
        cmocka_unit_test(too_many_steps_are_told),
    };
    return cmocka_run_group_tests_name("solver", tests, open_device, close_device);
}
