/* Path energy and straightness of flows whose velocity is known, and of trained models. */
#include "rig.h"

#include <flowcl/flowcl.h>

#include <math.h>
#include <stdlib.h>

static void assert_near(double value, double expected, double tolerance)
{
    if (!(fabs(value - expected) <= tolerance))
        print_error("%.9g is not %.9g within %g\n", value, expected, tolerance);
    assert_true(fabs(value - expected) <= tolerance);
}

/* --- the flow of N(0, I) to N(m, s^2 I) with independent pairs ---
 * v = m + c(t) (x - t m), c = (t s^2 - (1 - t)) / g, g = t^2 s^2 + (1 - t)^2. Its paths are x_t = t m +
 * sqrt(g) x0, so that v = m + c sqrt(g) x0 and int |v|^2 dt = |m|^2 + 2 <m, x0> int c sqrt(g) dt + |x0|^2 int
 * c^2 g dt. */

enum { D = 3, ROWS = 7 };
static const double mean[D] = {2, -1, 0.5}, deviation = 0.5;

static fcl_tensor *gaussian(void *data, fcl_graph *graph, const fcl_velocity_inputs *in)
{
    fcl_tensor *x = in->x, *t = in->t;
    float s2 = (float)(deviation * deviation);
    fcl_tensor *columns[D], *rest = fcl_shift(fcl_neg(t), 1);
    fcl_tensor *g = fcl_add(fcl_scale(fcl_square(t), s2), fcl_square(rest));
    fcl_tensor *c = fcl_div(fcl_sub(fcl_scale(t, s2), rest), g);
    (void)data, (void)graph;
    for (int d = 0; d < D; d++) {
        fcl_tensor *column = fcl_slice(x, 1, d, d + 1);
        fcl_tensor *off = fcl_sub(column, fcl_scale(t, (float)mean[d]));
        columns[d] = fcl_shift(fcl_mul(c, off), (float)mean[d]);
    }
    return fcl_concat(D, columns, 1);
}

typedef struct integrals {
    double linear, square; /* int c sqrt(g), int c^2 g */
} integrals;

/* Simpson's rule. */
static integrals integrate(void)
{
    enum { PARTS = 2000 };
    integrals sum = {0};
    for (int i = 0; i <= PARTS; i++) {
        double t = (double)i / PARTS, weight = (i == 0 || i == PARTS ? 1 : i % 2 ? 4 : 2) / (3. * PARTS);
        double s2 = deviation * deviation, g = t * t * s2 + (1 - t) * (1 - t), c = (t * s2 - (1 - t)) / g;
        sum.linear += weight * c * sqrt(g);
        sum.square += weight * c * c * g;
    }
    return sum;
}

static void energy_of_a_gaussian_flow(void **state)
{
    (void)state;
    static const fcl_solver_options options[] = {
        {.solver = "rk4", .steps = 100},
        {.solver = "dopri5", .rtol = 1e-6, .atol = 1e-6},
    };
    fcl_energy_flow flow = {gaussian, NULL};
    integrals exact = integrate();
    for (int k = 0; k < 2; k++) {
        float x[ROWS * (D + 1)], end[ROWS * (D + 1)];
        for (int i = 0; i < ROWS * (D + 1); i++)
            x[i] = i % (D + 1) == D ? 0 : (float)sin(1.7 * i + 1);
        fcl_solver *solver;
        assert_ok(fcl_solver_create(device, fcl_energy_velocity, &flow, &options[k], ROWS, D + 1, &solver));
        assert_ok(fcl_solver_run(solver, x, end, NULL));
        fcl_solver_destroy(&solver);
        for (int i = 0; i < ROWS; i++) {
            const float *x0 = x + i * (D + 1), *x1 = end + i * (D + 1);
            double mm = 0, mx = 0, xx = 0, way = 0;
            for (int d = 0; d < D; d++) {
                assert_near(x1[d], mean[d] + deviation * x0[d], 1e-4);
                mm += mean[d] * mean[d];
                mx += mean[d] * x0[d];
                xx += (double)x0[d] * x0[d];
                way += pow((double)x1[d] - x0[d], 2);
            }
            double energy = mm + 2 * mx * exact.linear + xx * exact.square;
            assert_near(x1[D], energy, 1e-3);
            assert_near(x1[D] - way, energy - (mm + 2 * mx * (deviation - 1) + xx * pow(deviation - 1, 2)),
                        2e-3);
        }
    }
}

/* --- a trained model: one step of Euler is straight, several are as long as their sums --- */

static fcl_checkpoint *train_moons(void)
{
    fcl_train_options options = {.data = "moons",
                                 .data_count = 500,
                                 .out = scratch_path("moons"),
                                 .steps = 60,
                                 .batch = 16,
                                 .model = {.width = 16, .depth = 1}};
    fcl_checkpoint *checkpoint;
    assert_ok(fcl_train(&options, NULL));
    assert_ok(fcl_checkpoint_open(scratch_path("moons"), &checkpoint));
    return checkpoint;
}

static void energy_of_a_model(void **state)
{
    (void)state;
    enum { N = 11 };
    fcl_checkpoint *checkpoint = train_moons();
    for (int steps = 1; steps <= 2; steps++) {
        fcl_sample_options options = {.n = N, .steps = steps, .batch = 4, .seed = 5, .ema = "no"};
        fcl_array *start, *energy, *end;
        assert_ok(fcl_sample(device, checkpoint, &options, &end, NULL));
        assert_ok(fcl_sample_energy(device, checkpoint, &options, &start, &energy));
        assert_int_equal(energy->shape.dim[0], N);
        assert_int_equal(energy->shape.dim[1], 2);
        for (int i = 0; i < N; i++) {
            double squares = 0;
            for (int d = 0; d < 2; d++)
                squares += pow((double)end->data[2 * i + d] - start->data[2 * i + d], 2);
            if (steps == 1)
                assert_near(energy->data[2 * i], squares, 1e-4);
            assert_near(energy->data[2 * i] - energy->data[2 * i + 1], squares, 1e-4);
            assert_true(energy->data[2 * i + 1] >= 0 && (steps == 2 || energy->data[2 * i + 1] < 1e-4));
        }
        fcl_array_destroy(&start);
        fcl_array_destroy(&energy);
        fcl_array_destroy(&end);
    }
    fcl_checkpoint_close(&checkpoint);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(energy_of_a_gaussian_flow),
        cmocka_unit_test(energy_of_a_model),
    };
    return cmocka_run_group_tests(tests, rig_up, rig_down);
}
