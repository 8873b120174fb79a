/* Log densities along a flow against the closed form of a Gaussian, N(0, I) -> N(m, C). With C = R diag(c) R'
 * and y = R' (x - t m), the velocity is v(x, t) = m + R diag((t c - (1 - t)) / (t^2 c + (1 - t)^2)) y. */
#include "base/random.h"
#include "device/launch.h"
#include "opencl_calls.h"
#include "status.h"
#include "trial.h"

#include <flowcl/flow.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 12, BATCH = 7 };

static fcl_device *device;

typedef struct gaussian {
    int size;
    double mean[MOST], variance[MOST], rotation[MOST][MOST]; /* columns of R are the axes */
    fcl_buffer *buffer;                                      /* R, c, m, each at a multiple of 1024 bytes */
} gaussian;

/* R: a product of Householder reflections of random directions. */
static void draw_rotation(gaussian *g)
{
    for (int i = 0; i < g->size; i++)
        for (int j = 0; j < g->size; j++)
            g->rotation[i][j] = i == j;
    for (int round = 0; round < 2; round++) {
        double u[MOST], norm = 0;
        for (int i = 0; i < g->size; i++) {
            u[i] = trial_normal();
            norm += u[i] * u[i];
        }
        for (int i = 0; i < g->size; i++) {
            double dot = 0;
            for (int j = 0; j < g->size; j++)
                dot += g->rotation[i][j] * u[j];
            for (int j = 0; j < g->size; j++)
                g->rotation[i][j] -= 2 * dot * u[j] / norm;
        }
    }
}

static gaussian gaussian_create(int size)
{
    gaussian g = {.size = size};
    float numbers[3][256] = {0};
    draw_rotation(&g);
    for (int i = 0; i < size; i++) {
        g.mean[i] = trial_normal();
        g.variance[i] = 0.2 + 2 * trial_uniform();
        numbers[1][i] = (float)g.variance[i];
        numbers[2][i] = (float)g.mean[i];
        for (int j = 0; j < size; j++)
            numbers[0][i * size + j] = (float)g.rotation[i][j];
    }
    assert_ok(fcl_buffer_create(device, sizeof numbers, &g.buffer));
    assert_ok(fcl_buffer_write(g.buffer, 0, sizeof numbers, numbers));
    return g;
}

static fcl_tensor *velocity(void *data, fcl_graph *graph, const fcl_velocity_inputs *in)
{
    fcl_tensor *x = in->x, *t = in->t;
    const gaussian *g = data;
    fcl_tensor *rotation = fcl_leaf(graph, "R", FCL_F32, FCL_SHAPE(g->size, g->size), g->buffer, 0);
    fcl_tensor *c = fcl_leaf(graph, "c", FCL_F32, FCL_SHAPE(g->size), g->buffer, 1024);
    fcl_tensor *m = fcl_leaf(graph, "m", FCL_F32, FCL_SHAPE(g->size), g->buffer, 2048);
    fcl_tensor *rest = fcl_shift(fcl_neg(t), 1); /* 1 - t */
    fcl_tensor *above = fcl_sub(fcl_mul(t, c), rest);
    fcl_tensor *below = fcl_add(fcl_mul(fcl_square(t), c), fcl_square(rest));
    fcl_tensor *y = fcl_matmul(fcl_sub(x, fcl_mul(t, m)), rotation, false, false);
    return fcl_add(m, fcl_matmul(fcl_mul(fcl_div(above, below), y), rotation, false, true));
}

static double exact(const gaussian *g, const float *x)
{
    double sum = 0;
    for (int j = 0; j < g->size; j++) {
        double y = 0;
        for (int i = 0; i < g->size; i++)
            y += (x[i] - g->mean[i]) * g->rotation[i][j];
        sum -= 0.5 * (y * y / g->variance[j] + log(2 * M_PI * g->variance[j]));
    }
    return sum;
}

typedef struct outcome {
    float x[BATCH * MOST], end[BATCH * MOST];
    double log_density[BATCH], error[BATCH];
    fcl_solver_stats stats;
} outcome;

static fcl_likelihood *create(gaussian *g, fcl_likelihood_options options, int batch)
{
    fcl_likelihood *likelihood;
    assert_ok(fcl_likelihood_create(device, velocity, g, &options, batch, g->size, &likelihood));
    return likelihood;
}

static outcome run(gaussian *g, fcl_likelihood_options options)
{
    outcome o;
    for (int i = 0; i < BATCH * g->size; i++)
        o.x[i] = (float)(1.5 * trial_normal());
    fcl_likelihood *likelihood = create(g, options, BATCH);
    assert_ok(fcl_likelihood_run(likelihood, o.x, 0, o.end, o.log_density, o.error, &o.stats));
    fcl_likelihood_destroy(&likelihood);
    return o;
}

static void assert_exact(const gaussian *g, const float *x, const double *log_density, double tolerance)
{
    for (int i = 0; i < BATCH; i++) {
        double expected = exact(g, x + i * g->size);
        if (!(fabs(log_density[i] - expected) <= tolerance * (1 + fabs(expected))))
            fail_msg("dimension %d, sample %d: log p = %.8g, in closed form %.8g", g->size, i, log_density[i],
                     expected);
    }
}

/* --- the exact divergence; from 9 dimensions on, all tangents are one sweep --- */

static void test_exact(void **state)
{
    (void)state;
    static const int sizes[] = {1, 2, 3, 12};
    for (int i = trial_tiny() ? 2 : 0; i < 4; i++) {
        gaussian g = gaussian_create(sizes[i]);
        fcl_likelihood_options options = {.solver = {.solver = "dopri5", .rtol = 1e-6, .atol = 1e-6}};
        if (trial_tiny())
            options.solver = (fcl_solver_options){.solver = "rk4", .steps = 12};
        outcome o = run(&g, options);
        assert_exact(&g, o.x, o.log_density, trial_tiny() ? 1e-3 : 2e-5);
        for (int row = 0; row < BATCH; row++)
            assert_true(o.error[row] == 0);
        fcl_buffer_destroy(&g.buffer);
    }
}

/* Noise to data: the density is that of what comes out. */
static void test_forward(void **state)
{
    (void)state;
    if (trial_tiny())
        return;
    gaussian g = gaussian_create(3);
    fcl_likelihood_options options = {.solver = {.solver = "rk4", .steps = 60, .t_begin = 0, .t_end = 1}};
    outcome o = run(&g, options);
    assert_exact(&g, o.end, o.log_density, 1e-4);
    assert_int_equal(o.stats.nfe_maximum, 240);
    fcl_buffer_destroy(&g.buffer);
}

/* --- Hutchinson's estimate --- */

/* With K probes the deviation in units of the stated error is Student's t of K - 1 degrees, about. */
static void test_hutchinson(const char *law, int probes, int size)
{
    gaussian g = gaussian_create(size);
    fcl_likelihood_options options = {.solver = {.solver = "rk4", .steps = 30},
                                      .divergence = {"hutchinson", probes, law},
                                      .seed = trial_mark()};
    outcome o = run(&g, options);
    double sum = 0, variance = 0, squares = 0;
    for (int i = 0; i < BATCH; i++) {
        double deviation = o.log_density[i] - exact(&g, o.x + i * size);
        assert_true(o.error[i] > 0);
        sum += deviation;
        variance += o.error[i] * o.error[i];
        squares += deviation * deviation / (o.error[i] * o.error[i]) / BATCH;
    }
    print_message("%s, %d probes: %.2f of its error off; rms %.2f\n", law, probes, sum / sqrt(variance),
                  sqrt(squares));
    assert_true(fabs(sum) < 6 * sqrt(variance));
    assert_true(sqrt(squares) > 0.2 && sqrt(squares) < 4);
    fcl_buffer_destroy(&g.buffer);
}

static void test_rademacher(void **state)
{
    (void)state;
    if (!trial_tiny())
        test_hutchinson("rademacher", 40, 5);
}

static void test_normal(void **state)
{
    (void)state;
    test_hutchinson("normal", trial_tiny() ? 8 : 40, 3);
}

/* A sample's probes do not depend on how the data is cut into batches; another seed has others. */
static void test_probes_by_sample(void **state)
{
    (void)state;
    if (trial_tiny())
        return;
    gaussian g = gaussian_create(3);
    fcl_likelihood_options options = {
        .solver = {.steps = 5}, .divergence = {"hutchinson", 2, NULL}, .seed = 9};
    outcome o = run(&g, options);
    fcl_likelihood *one = create(&g, options, 1);
    double log_density, error;
    assert_ok(fcl_likelihood_run(one, o.x + 3 * 3, 3, NULL, &log_density, &error, NULL));
    assert_float_equal(log_density, o.log_density[3], 1e-5);
    assert_float_equal(error, o.error[3], 1e-5);
    fcl_likelihood_destroy(&one);
    options.seed = 10;
    one = create(&g, options, 1);
    assert_ok(fcl_likelihood_run(one, o.x + 3 * 3, 3, NULL, &log_density, NULL, NULL));
    assert_true(fabs(log_density - o.log_density[3]) > 1e-4);
    fcl_likelihood_destroy(&one);
    options.divergence.probes = 1; /* one probe alone: nothing to take a spread of */
    one = create(&g, options, 1);
    assert_ok(fcl_likelihood_run(one, o.x, 0, NULL, &log_density, &error, NULL));
    assert_true(isfinite(log_density) && isnan(error));
    fcl_likelihood_destroy(&one);
    fcl_buffer_destroy(&g.buffer);
}

/* --- importance weights --- */

static void test_weights(void **state)
{
    (void)state;
    const double log_density[] = {-1, 0.5, -2, -3}, weight[] = {1, 2, 3, 0};
    double energy[4], log_weight[4];
    fcl_importance found;
    for (int i = 0; i < 4; i++)
        energy[i] = -(log(weight[i]) + 900 + log_density[i]); /* exp(900) overflows a double */
    assert_ok(fcl_importance_weigh(4, log_density, energy, log_weight, &found));
    assert_float_equal(found.ess, 36.0 / 14, 1e-12);
    assert_float_equal(found.log_z, 900 + log(6.0 / 4), 1e-12);
    assert_float_equal(found.log_z_error, sqrt((4 * 14 / 36.0 - 1) / 3), 1e-12);
    assert_float_equal(log_weight[1], 900 + log(2), 1e-12);
    assert_true(log_weight[3] == -INFINITY);

    energy[2] = NAN;
    assert_status(FCL_ERR_NUMERIC, fcl_importance_weigh(4, log_density, energy, log_weight, &found));
    assert_told("sample 2");
    for (int i = 0; i < 4; i++)
        energy[i] = INFINITY;
    assert_status(FCL_ERR_NUMERIC, fcl_importance_weigh(4, log_density, energy, log_weight, &found));
    assert_told("none of 4");
}

/* Samples of N(0, I) for exp(-E), E the energy of a narrower and shifted Gaussian: Z is known. */
static void test_energy(void **state)
{
    (void)state;
    enum { N = 20000 };
    double *log_density = malloc(sizeof(double) * N), *energy = malloc(sizeof(double) * N), ess = 0;
    fcl_array *x;
    fcl_importance found;
    assert_ok(fcl_array_create(FCL_SHAPE(N, 1, 2), &x));
    for (int i = 0; i < 2 * N; i++)
        x->data[i] = (float)trial_normal();
    for (int i = 0; i < N; i++)
        log_density[i] = fcl_log_normal(x->data + 2 * i, 2);
    assert_float_equal(log_density[3], -0.5 * (pow(x->data[6], 2) + pow(x->data[7], 2)) - log(2 * M_PI),
                       1e-9);
    assert_ok(fcl_importance_energy("x1^2 + 0.75*(x2 - 0.5)^2 - 3", x, energy));
    assert_float_equal(energy[5], pow(x->data[10], 2) + 0.75 * pow(x->data[11] - 0.5, 2) - 3, 1e-6);
    assert_ok(fcl_importance_weigh(N, log_density, energy, energy, &found));
    double exact_z = 3 + log(2 * M_PI) - 0.5 * log(2 * 1.5);
    print_message("log Z %.4f, exactly %.4f, error %.4f, ess %.0f\n", found.log_z, exact_z, found.log_z_error,
                  found.ess);
    assert_true(fabs(found.log_z - exact_z) < 6 * found.log_z_error);
    assert_true(found.log_z_error < 0.01);
    for (int i = 0; i < N; i++)
        ess += exp(energy[i] - found.log_z);
    assert_float_equal(ess / N, 1, 1e-9); /* energy holds the log weights now */
    assert_status(FCL_ERR_ARGUMENT, fcl_importance_energy("x1 + x3", x, energy));
    assert_told("x3");
    assert_status(FCL_ERR_NUMERIC, fcl_importance_energy("log(x1)", x, energy));
    fcl_array_destroy(&x);
    free(log_density);
    free(energy);
}

/* --- what is refused --- */

static void test_refuses(void **state)
{
    (void)state;
    fcl_likelihood *likelihood;
    fcl_likelihood_options options = {.divergence = {.probes = 3}};
    gaussian g = {.size = 2};
    assert_status(FCL_ERR_ARGUMENT, fcl_likelihood_create(device, velocity, &g, &options, 2, 2, &likelihood));
    assert_told("belong to hutchinson");
    assert_null(likelihood);
    options.divergence = (fcl_divergence_options){.divergence = "hutchison"};
    assert_status(FCL_ERR_ARGUMENT, fcl_likelihood_create(device, velocity, &g, &options, 2, 2, &likelihood));
    assert_told("hutchinson");
    options.divergence = (fcl_divergence_options){"hutchinson", 2, "gauss"};
    assert_status(FCL_ERR_ARGUMENT, fcl_likelihood_create(device, velocity, &g, &options, 2, 2, &likelihood));
    assert_told("normal");
    assert_status(FCL_ERR_ARGUMENT, fcl_likelihood_create(device, velocity, &g, NULL, 0, 2, &likelihood));
    options = (fcl_likelihood_options){.solver = {.solver = "euler-maruyama"}};
    assert_status(FCL_ERR_ARGUMENT, fcl_likelihood_create(device, velocity, &g, &options, 2, 2, &likelihood));
    assert_told("adds noise");
}

/* --- the probes themselves --- */

/* v = w (x_1 + .. + x_D), so that z' (dv/dx) z = (w z) (z_1 + .. + z_D) */
typedef struct sums {
    int size;
    fcl_buffer *w;
} sums;

static fcl_tensor *sums_velocity(void *data, fcl_graph *graph, const fcl_velocity_inputs *in)
{
    const sums *s = data;
    fcl_tensor *w = fcl_leaf(graph, "w", FCL_F32, FCL_SHAPE(s->size), s->w, 0);
    return fcl_mul(fcl_sum_axes(in->x, 2), w);
}

/* The mean over the probes of sample `row` in double, of the numbers that the header names. */
static double mean_form(const char *law, const float *w, uint64_t seed, uint64_t row, int probes, int size)
{
    fcl_random key = {.seed = seed, .stream = FCL_STREAM_PROBE};
    double mean = 0;
    for (int p = 0; p < probes; p++) {
        double along = 0, sum = 0;
        for (int d = 0; d < size; d++) {
            uint64_t element = (row * (uint64_t)probes + (uint64_t)p) * (uint64_t)size + (uint64_t)d;
            double z = *law == 'n' ? fcl_random_normal(key, element) : fcl_random_uniform(key, element) < 0.5 ? -1 : 1;
            along += (double)w[d] * z;
            sum += z;
        }
        mean += along * sum / probes;
    }
    return mean;
}

/* One step of Euler's from 1 to 0: x0 = x - v(x), and log p(x) = log N(x0) - the mean form. The host writes x alone. */
static void check_probes(const char *law, int batch, int probes, int size)
{
    const uint64_t first = 1000003, seed = (uint64_t)trial_int(1, 1000000);
    size_t bytes = (size_t)(batch * size) * sizeof(float);
    float *x = malloc(bytes), *end = malloc(bytes), *w = malloc((size_t)size * sizeof *w);
    double *log_density = malloc((size_t)batch * sizeof *log_density);
    sums s = {.size = size};
    for (int i = 0; i < batch * size; i++)
        x[i] = (float)trial_normal();
    for (int d = 0; d < size; d++)
        w[d] = (float)(trial_normal() / size);
    assert_ok(fcl_buffer_create(device, (size_t)size * sizeof *w, &s.w));
    assert_ok(fcl_buffer_write(s.w, 0, (size_t)size * sizeof *w, w));
    fcl_likelihood_options options = {.solver = {.solver = "euler", .steps = 1},
                                      .divergence = {.divergence = "hutchinson", .probes = probes, .probe = law},
                                      .seed = seed};
    fcl_likelihood *likelihood;
    assert_ok(fcl_likelihood_create(device, sums_velocity, &s, &options, batch, size, &likelihood));
    for (int run = 0; run < 2; run++) {
        calls = (opencl_calls){0};
        assert_ok(fcl_likelihood_run(likelihood, x, first + (uint64_t)run, end, log_density, NULL, NULL));
        /* The samples; and a step's times, where a kernel may repeat it. */
        assert_in_range(calls.writes, 1, fcl_device_traits(device).wide ? 2 : 1);
        for (int row = 0; row < batch; row += batch > 9 ? batch / 3 : 1) {
            double found = fcl_log_normal(end + row * size, size) - log_density[row];
            double form = mean_form(law, w, seed, first + (uint64_t)(row + run), probes, size);
            if (!(fabs(found - form) <= 1e-4 * (1 + fabs(form))))
                fail_msg("%s, %d probes of (%d, %d), sample %d: %.8g, not %.8g", law, probes, batch, size, row, found, form);
        }
    }
    fcl_likelihood_destroy(&likelihood);
    fcl_buffer_destroy(&s.w);
    free(x);
    free(end);
    free(w);
    free(log_density);
}

/* A probe alone, two that are swept one by one, many at once, and so many that they are two sweeps. */
static void test_probes_are_drawn_by_number(void **state)
{
    (void)state;
    static const char *const laws[] = {"rademacher", "normal"};
    for (int i = 0; i < 2; i++) {
        check_probes(laws[i], 3, 1, 5);
        check_probes(laws[i], trial_tiny() ? 2 : 7, 2, 3);
        check_probes(laws[i], 5, trial_tiny() ? 3 : 10, trial_tiny() ? 2 : 33);
    }
    if (!trial_tiny())
        check_probes(laws[trial_int(0, 1)], 60, 300, 512);
}

static int open_device(void **state)
{
    (void)state;
    trial_seed();
    if (fcl_device_open(NULL, NULL, &device) != FCL_OK)
        return print_error("%s\n", fcl_error()), -1;
    return 0;
}

static int close_device(void **state)
{
    (void)state;
    fcl_device_close(&device);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exact),
        cmocka_unit_test(test_forward),
        cmocka_unit_test(test_rademacher),
        cmocka_unit_test(test_normal),
        cmocka_unit_test(test_probes_by_sample),
        cmocka_unit_test(test_probes_are_drawn_by_number),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_energy),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
