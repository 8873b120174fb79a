/* Trained models against closed forms, and sampling from their checkpoints. */
#include "rig.h"

#include "base/random.h"
#include "train/checkpoint.h"
#include "train/source.h"

#include <flowcl/flowcl.h>

#include <math.h>
#include <stdlib.h>

enum { COUNT = 20000, POINTS = 500 };
static const double mean[2] = {1.5, -1}, spread = 0.5;

/* N(mean, spread^2 I) in the plane, by Box-Muller. */
static void write_gaussian(const char *path)
{
    fcl_array *array;
    assert_ok(fcl_array_create(FCL_SHAPE(COUNT, 2), &array));
    unsigned seed = 11;
    for (int i = 0; i < COUNT; i++) {
        double u = (rand_r(&seed) + 0.5) / (RAND_MAX + 1.0), v = (rand_r(&seed) + 0.5) / (RAND_MAX + 1.0);
        array->data[2 * i] = (float)(mean[0] + spread * sqrt(-2 * log(u)) * cos(2 * M_PI * v));
        array->data[2 * i + 1] = (float)(mean[1] + spread * sqrt(-2 * log(u)) * sin(2 * M_PI * v));
    }
    assert_ok(fcl_samples_write(path, array, NULL));
    fcl_array_destroy(&array);
}

static int setup(void **state)
{
    if (rig_up(state) != 0)
        return -1;
    write_gaussian(scratch_path("gaussian.npy"));
    char data[600];
    snprintf(data, sizeof data, "%s", scratch_path("gaussian.npy"));
    const fcl_model_options model = {.width = trial_tiny() ? 4 : 64, .depth = 2};
    const int batch = trial_tiny() ? 16 : 0;
    fcl_train_options gaussian = {.data = data,
                                  .out = scratch_path("gaussian"),
                                  .model = model,
                                  .batch = batch,
                                  .steps = trial_tiny() ? 10 : 3000};
    assert_ok(fcl_train(&gaussian, NULL));
    fcl_train_options labeled = {.data = "moons",
                                 .data_count = 2000,
                                 .labels = true,
                                 .out = scratch_path("labeled"),
                                 .model = model,
                                 .batch = batch,
                                 .steps = trial_tiny() ? 10 : 600};
    assert_ok(fcl_train(&labeled, NULL));
    return 0;
}

/* A simulator's tiny models have learned nothing. */
static void skip_untrained(void)
{
    if (trial_tiny())
        skip();
}

static fcl_checkpoint *open_checkpoint(const char *name)
{
    fcl_checkpoint *checkpoint;
    assert_ok(fcl_checkpoint_open(scratch_path(name), &checkpoint));
    return checkpoint;
}

static fcl_array *draw(const char *name, fcl_sample_options options, fcl_sample_stats *stats)
{
    fcl_checkpoint *checkpoint = open_checkpoint(name);
    fcl_array *samples;
    assert_ok(fcl_sample(device, checkpoint, &options, &samples, stats));
    fcl_checkpoint_close(&checkpoint);
    return samples;
}

static double largest_difference(const fcl_array *a, const fcl_array *b)
{
    double largest = 0;
    assert_int_equal(fcl_shape_size(a->shape), fcl_shape_size(b->shape));
    for (int64_t i = 0; i < fcl_shape_size(a->shape); i++)
        largest = fmax(largest, fabs((double)a->data[i] - b->data[i]));
    return largest;
}

/* --- a Gaussian to a Gaussian ---
 * x_t = t x1 + (1 - t) x0 of independent N(0, I) and N(m, s^2 I) has the velocity
 *     v(x, t) = m + (t s^2 - (1 - t)) / (t^2 s^2 + (1 - t)^2) (x - t m),
 * and its flow takes x0 to m + s x0. */

static void test_flow_of_a_gaussian(void **state)
{
    (void)state;
    skip_untrained();
    fcl_checkpoint *checkpoint = open_checkpoint("gaussian");
    fcl_sample_options options = {.solver = "dopri5", .rtol = 1e-6, .atol = 1e-6};
    fcl_array *noise, *samples;
    assert_ok(fcl_array_create(FCL_SHAPE(POINTS, 2), &noise));
    for (int i = 0; i < POINTS; i++) { /* within two standard deviations, evenly */
        double radius = 2 * sqrt((i + 0.5) / POINTS), angle = 2.399963 * i;
        noise->data[2 * i] = (float)(radius * cos(angle));
        noise->data[2 * i + 1] = (float)(radius * sin(angle));
    }
    assert_ok(fcl_transport(device, checkpoint, &options, noise, NULL, false, &samples, NULL));
    double squares = 0;
    for (int i = 0; i < 2 * POINTS; i++) {
        double error = samples->data[i] - (mean[i % 2] + spread * noise->data[i]);
        squares += error * error / (2 * POINTS);
    }
    assert_true(sqrt(squares) < 0.06); /* an untrained model is 1.5 away */
    fcl_array_destroy(&noise);
    fcl_array_destroy(&samples);
    fcl_checkpoint_close(&checkpoint);
}

static void test_velocity_of_a_gaussian(void **state)
{
    (void)state;
    skip_untrained();
    fcl_checkpoint *checkpoint = open_checkpoint("gaussian");
    const fcl_model *model = fcl_checkpoint_describe(checkpoint)->model;
    const fcl_params *params = fcl_model_params(model);
    fcl_buffer *ema;
    assert_ok(fcl_buffer_create(device, fcl_params_bytes(params), &ema));
    assert_ok(fcl_checkpoint_load(checkpoint, FCL_STATE_EMA, ema));
    fcl_graph *graph = fcl_graph_create();
    fcl_tensor **weights = fcl_params_bind(params, graph, ema, "");
    fcl_tensor *x = fcl_input(graph, "x", FCL_F32, FCL_SHAPE(POINTS, 2));
    fcl_tensor *t = fcl_input(graph, "t", FCL_F32, FCL_SHAPE(POINTS, 1));
    fcl_tensor *v = fcl_output(fcl_model_velocity(model, weights, &(fcl_velocity_inputs){.x = x, .t = t}));
    assert_ok(fcl_graph_compile(graph, device, NULL));

    float points[2 * POINTS], times[POINTS], found[2 * POINTS];
    double exact[2 * POINTS], squares = 0, size = 0;
    for (int i = 0; i < POINTS; i++) { /* where x_t is, out to two of its standard deviations */
        double time = (i * 0.618034) - floor(i * 0.618034), radius = 2 * sqrt((i + 0.5) / POINTS);
        double variance = time * time * spread * spread + (1 - time) * (1 - time);
        times[i] = (float)time;
        for (int d = 0; d < 2; d++) {
            double z = radius * (d ? sin(2.399963 * i) : cos(2.399963 * i)) * sqrt(variance);
            points[2 * i + d] = (float)(time * mean[d] + z);
            exact[2 * i + d] = mean[d] + (time * spread * spread - (1 - time)) / variance * z;
        }
    }
    assert_ok(fcl_tensor_write(x, points));
    assert_ok(fcl_tensor_write(t, times));
    assert_ok(fcl_graph_run(graph));
    assert_ok(fcl_tensor_read(v, found));
    for (int i = 0; i < 2 * POINTS; i++) {
        squares += (found[i] - exact[i]) * (found[i] - exact[i]);
        size += exact[i] * exact[i];
    }
    print_message("relative error of the velocity: %.3f\n", sqrt(squares / size));
    assert_true(sqrt(squares / size) < 0.08);
    fcl_graph_destroy(&graph);
    fcl_free(weights);
    fcl_buffer_destroy(&ema);
    fcl_checkpoint_close(&checkpoint);
}

static void test_encode_and_decode(void **state)
{
    (void)state;
    fcl_checkpoint *checkpoint = open_checkpoint("gaussian");
    const int n = trial_tiny() ? 5 : 200;
    fcl_sample_options options = {.solver = "dopri5", .rtol = 1e-6, .atol = 1e-6};
    fcl_array *samples = draw("gaussian", (fcl_sample_options){.n = n, .steps = 10}, NULL), *noise, *back;
    fcl_sample_stats stats;
    assert_ok(fcl_transport(device, checkpoint, &options, samples, NULL, true, &noise, &stats));
    assert_true(stats.accepted >= n && stats.nfe_minimum <= stats.nfe_mean);
    assert_true(stats.nfe_mean <= stats.nfe_maximum && stats.nfe_minimum > (trial_tiny() ? 0 : 10));
    assert_ok(fcl_transport(device, checkpoint, &options, noise, NULL, false, &back, NULL));
    assert_true(largest_difference(samples, back) < 1e-4);
    assert_true(trial_tiny() || largest_difference(samples, noise) > 0.1);
    fcl_array_destroy(&samples);
    fcl_array_destroy(&noise);
    fcl_array_destroy(&back);
    fcl_checkpoint_close(&checkpoint);
}

/* --- log densities ---
 * Whatever the model has learned, its density is one: over a grid that holds it all, it sums to 1. */

static void test_density_integrates(void **state)
{
    (void)state;
    skip_untrained();
    enum { SIDE = 40 };
    const double edge = 6 * spread, step = 2 * edge / SIDE;
    fcl_checkpoint *checkpoint = open_checkpoint("gaussian");
    fcl_sample_options options = {.solver = "rk4", .steps = 20};
    fcl_array *grid, *density;
    assert_ok(fcl_array_create(FCL_SHAPE(SIDE * SIDE, 2), &grid));
    for (int i = 0; i < SIDE * SIDE; i++) {
        grid->data[2 * i] = (float)(mean[0] - edge + (i % SIDE + 0.5) * step);
        grid->data[2 * i + 1] = (float)(mean[1] - edge + (i / SIDE + 0.5) * step);
    }
    assert_ok(fcl_log_density(device, checkpoint, &options, grid, NULL, &density, NULL));
    double sum = 0, difference = 0;
    for (int i = 0; i < SIDE * SIDE; i++) {
        double x = (grid->data[2 * i] - mean[0]) / spread, y = (grid->data[2 * i + 1] - mean[1]) / spread;
        double p = exp(density->data[2 * i]),
               exact = exp(-0.5 * (x * x + y * y)) / (2 * M_PI * spread * spread);
        sum += p * step * step;
        difference += fabs(p - exact) * step * step;
        assert_true(density->data[2 * i + 1] == 0);
    }
    print_message("the density sums to %.4f, and differs by %.3f from the data's\n", sum, difference);
    assert_true(fabs(sum - 1) < 0.01);
    assert_true(difference < 0.15);
    fcl_array_destroy(&grid);
    fcl_array_destroy(&density);
    fcl_checkpoint_close(&checkpoint);
}

static void count_calls(void *data, int64_t done, int64_t n)
{
    assert_true(done <= n);
    *(int64_t *)data = done;
}

/* What a sample brings along is the density of where it ends; parts do not change the probes. */
static void test_density_of_samples(void **state)
{
    (void)state;
    fcl_checkpoint *checkpoint = open_checkpoint("gaussian");
    int64_t done = 0;
    fcl_sample_options options = {.n = 30,
                                  .solver = "rk4",
                                  .steps = trial_tiny() ? 3 : 20,
                                  .seed = 3,
                                  .progress = count_calls,
                                  .progress_data = &done};
    fcl_array *samples, *plain, *forward, *backward, *hutchinson, *parts;
    fcl_sample_stats stats;
    assert_ok(fcl_sample_density(device, checkpoint, &options, &samples, &forward, &stats));
    assert_int_equal(done, 30);
    assert_int_equal(stats.nfe_maximum, 4 * options.steps);
    plain = draw("gaussian", options, NULL);
    assert_true(largest_difference(samples, plain) < 1e-4);
    assert_ok(fcl_log_density(device, checkpoint, &options, samples, NULL, &backward, NULL));
    assert_true(largest_difference(forward, backward) < 1e-3);

    options.divergence = (fcl_divergence_options){"hutchinson", trial_tiny() ? 4 : 24, "normal"};
    assert_ok(fcl_log_density(device, checkpoint, &options, samples, NULL, &hutchinson, NULL));
    double sum = 0, variance = 0;
    for (int i = 0; i < 30; i++) {
        sum += hutchinson->data[2 * i] - backward->data[2 * i];
        variance += hutchinson->data[2 * i + 1] * hutchinson->data[2 * i + 1];
    }
    assert_true(fabs(sum) < 6 * sqrt(variance));
    options.batch = 7;
    assert_ok(fcl_log_density(device, checkpoint, &options, samples, NULL, &parts, NULL));
    assert_true(largest_difference(hutchinson, parts) < 1e-3);
    for (int i = 0; i < 6; i++)
        fcl_array_destroy((fcl_array **[]){&samples, &plain, &forward, &backward, &hutchinson, &parts}[i]);
    fcl_checkpoint_close(&checkpoint);
}

/* A point of the upper moon is likelier as one of class 0. */
static void test_density_of_labels(void **state)
{
    (void)state;
    skip_untrained();
    fcl_checkpoint *checkpoint = open_checkpoint("labeled");
    fcl_sample_options options = {.n = 20, .label = "0", .solver = "rk4", .steps = 10};
    fcl_array *upper, *own, *other, *named;
    int32_t label[20] = {0}, one[20];
    for (int i = 0; i < 20; i++)
        one[i] = 1;
    assert_ok(fcl_sample(device, checkpoint, &options, &upper, NULL));
    assert_ok(fcl_log_density(device, checkpoint, &options, upper, NULL, &named, NULL));
    options.label = NULL;
    assert_ok(fcl_log_density(device, checkpoint, &options, upper, label, &own, NULL));
    assert_ok(fcl_log_density(device, checkpoint, &options, upper, one, &other, NULL));
    assert_true(largest_difference(named, own) == 0);
    double gain = 0;
    for (int i = 0; i < 20; i++)
        gain += (own->data[2 * i] - other->data[2 * i]) / 20;
    assert_true(gain > 1);
    for (int i = 0; i < 4; i++)
        fcl_array_destroy((fcl_array **[]){&upper, &own, &other, &named}[i]);
    fcl_checkpoint_close(&checkpoint);
}

static void test_density_refuses(void **state)
{
    (void)state;
    fcl_checkpoint *checkpoint = open_checkpoint("gaussian");
    fcl_array *samples, *density;
    fcl_sample_options options = {.n = 4, .source = "moons"};
    assert_status(FCL_ERR_ARGUMENT,
                  fcl_sample_density(device, checkpoint, &options, &samples, &density, NULL));
    assert_told("normal source");
    assert_null(samples);
    assert_null(density);
    options = (fcl_sample_options){.n = 4, .divergence = {.probes = 2}};
    assert_status(FCL_ERR_ARGUMENT,
                  fcl_sample_density(device, checkpoint, &options, &samples, &density, NULL));
    options = (fcl_sample_options){.n = 4, .times = "0,1"};
    assert_status(FCL_ERR_ARGUMENT,
                  fcl_sample_density(device, checkpoint, &options, &samples, &density, NULL));
    assert_told("no times");
    fcl_checkpoint_close(&checkpoint);
}

/* --- the noise --- */

/* The numbers that the header names, past the end of a part of them, each by itself in double. */
static void test_noise_is_drawn_by_number(void **state)
{
    (void)state;
    enum { SIZE = 3, ROWS = (1 << 20) / SIZE + 5 };
    const fcl_random key = {.seed = 77, .stream = FCL_STREAM_SAMPLE};
    float *x = malloc(ROWS * SIZE * sizeof *x), few[7 * SIZE];
    assert_ok(fcl_source_draw(device, NULL, 77, ROWS, SIZE, x));
    for (int k = 0; k < ROWS * SIZE; k += k < ROWS * SIZE - 1000 ? 997 : 1) {
        double right = fcl_random_normal(key, (uint64_t)k);
        assert_true(fabs((double)x[k] - right) <= 3e-6 * (1 + fabs(right)));
    }
    assert_ok(fcl_source_draw(device, NULL, 77, 7, SIZE, few));
    assert_memory_equal(few, x, sizeof few);
    free(x);
}

/* Samples, energies and densities begin with the device's noise. */
static void test_noise_is_the_devices(void **state)
{
    (void)state;
    fcl_device *measured;
    fcl_checkpoint *checkpoint = open_checkpoint("gaussian");
    fcl_sample_options how = {.n = 9, .steps = 2, .seed = 5};
    assert_ok(fcl_device_open(NULL, &(fcl_device_options){.profile = true}, &measured));
    for (int way = 0; way < 3; way++) {
        fcl_array *a = NULL, *b = NULL;
        fcl_profile_line *lines;
        int count, drawn = 0;
        fcl_device_profile_reset(measured);
        assert_ok(way == 0   ? fcl_sample(measured, checkpoint, &how, &a, NULL)
                  : way == 1 ? fcl_sample_energy(measured, checkpoint, &how, &a, &b)
                             : fcl_sample_density(measured, checkpoint, &how, &a, &b, NULL));
        assert_ok(fcl_device_profile(measured, &lines, &count));
        for (int i = 0; i < count; i++)
            drawn += strstr(lines[i].name, "normal") != NULL;
        assert_int_equal(drawn, 1);
        fcl_free(lines);
        fcl_array_destroy(&a);
        fcl_array_destroy(&b);
    }
    fcl_device_close(&measured);
    fcl_checkpoint_close(&checkpoint);
}

/* --- the options --- */

/* A sample does not depend on how many are drawn with it, nor in which parts; only full rows are counted. */
static void test_parts(void **state)
{
    (void)state;
    fcl_sample_stats whole_stats, parts_stats;
    fcl_sample_options whole = {.n = 20, .seed = 4, .solver = "dopri5"}, parts = whole;
    parts.batch = 7;
    fcl_array *a = draw("gaussian", whole, &whole_stats), *b = draw("gaussian", parts, &parts_stats);
    assert_true(largest_difference(a, b) < 1e-5);
    assert_int_equal(whole_stats.accepted, parts_stats.accepted);
    assert_int_equal(whole_stats.nfe_maximum, parts_stats.nfe_maximum);
    fcl_array_destroy(&b);
    whole.seed = 5;
    b = draw("gaussian", whole, NULL);
    assert_true(largest_difference(a, b) > 0.1);
    fcl_array_destroy(&a);
    fcl_array_destroy(&b);
}

static void test_counts_evaluations(void **state)
{
    (void)state;
    fcl_sample_stats stats;
    fcl_array *samples = draw("gaussian", (fcl_sample_options){.n = 3, .solver = "rk4", .steps = 9}, &stats);
    assert_int_equal(stats.nfe_minimum, 36);
    assert_int_equal(stats.nfe_maximum, 36);
    assert_int_equal(stats.accepted, 27);
    fcl_array_destroy(&samples);
}

/* The SDE's noise follows the sample whatever the parts are; without noise it is another solve. */
static void test_stochastic_parts(void **state)
{
    (void)state;
    fcl_sample_options whole = {
        .n = 20, .seed = 3, .solver = "stochastic-heun", .steps = 5, .w = "0.5*sin(pi*t)^2"};
    fcl_sample_options parts = whole, still = whole;
    parts.batch = 7;
    still.w = "0";
    fcl_array *a = draw("gaussian", whole, NULL), *b = draw("gaussian", parts, NULL);
    fcl_array *c = draw("gaussian", still, NULL);
    assert_true(largest_difference(a, b) < 1e-4);
    assert_true(largest_difference(a, c) > 0.3);
    fcl_array_destroy(&a);
    fcl_array_destroy(&b);
    fcl_array_destroy(&c);
}

/* The SDE has the flow's marginals. */
static void test_stochastic(void **state)
{
    (void)state;
    skip_untrained();
    fcl_sample_options options = {
        .n = 2000, .seed = 3, .solver = "stochastic-heun", .steps = 50, .w = "0.5*sin(pi*t)^2"};
    fcl_array *a = draw("gaussian", options, NULL);
    for (int d = 0; d < 2; d++) {
        double sum = 0, squares = 0;
        for (int i = 0; i < 2000; i++) {
            sum += a->data[2 * i + d] / 2000.0;
            squares += pow(a->data[2 * i + d] - mean[d], 2) / 2000;
        }
        print_message("mean %.3f, deviation %.3f\n", sum, sqrt(squares));
        assert_true(fabs(sum - mean[d]) < 0.1 && fabs(sqrt(squares) - spread) < 0.08);
    }
    fcl_array_destroy(&a);
}

static void test_averaged_weights(void **state)
{
    (void)state;
    fcl_array *averaged = draw("gaussian", (fcl_sample_options){.n = 50, .steps = 5}, NULL);
    fcl_array *last = draw("gaussian", (fcl_sample_options){.n = 50, .steps = 5, .ema = "no"}, NULL);
    double difference = largest_difference(averaged, last);
    assert_true(difference > 0 && difference < 0.5);
    fcl_array_destroy(&averaged);
    fcl_array_destroy(&last);
}

static double mean_height(const fcl_array *samples, int first, int stride)
{
    double sum = 0;
    int count = 0;
    for (int64_t i = first; i < samples->shape.dim[0]; i += stride, count++)
        sum += samples->data[2 * i + 1];
    return sum / count;
}

/* The upper moon is class 0: labels decide where samples go, in turn where none is given. */
static void test_labels(void **state)
{
    (void)state;
    skip_untrained();
    fcl_array *upper = draw("labeled", (fcl_sample_options){.n = 300, .label = "0"}, NULL);
    fcl_array *lower = draw("labeled", (fcl_sample_options){.n = 300, .label = "1"}, NULL);
    fcl_array *turns = draw("labeled", (fcl_sample_options){.n = 300, .batch = 7}, NULL);
    assert_true(mean_height(upper, 0, 1) > mean_height(lower, 0, 1) + 1);
    assert_true(mean_height(turns, 0, 2) > mean_height(turns, 1, 2) + 1);
    fcl_array_destroy(&upper);
    fcl_array_destroy(&lower);
    fcl_array_destroy(&turns);
}

static void test_refuses(void **state)
{
    (void)state;
    fcl_checkpoint *plain = open_checkpoint("gaussian"), *labeled = open_checkpoint("labeled");
    fcl_array *samples, *wide;
    fcl_sample_options options = {.n = 2, .label = "2"};
    assert_status(FCL_ERR_ARGUMENT, fcl_sample(device, labeled, &options, &samples, NULL));
    assert_told("0 to 1");
    assert_null(samples);
    assert_status(FCL_ERR_ARGUMENT, fcl_sample(device, plain, &options, &samples, NULL));
    assert_told("without labels");
    options = (fcl_sample_options){.solver = "eular"};
    assert_status(FCL_ERR_ARGUMENT, fcl_sample(device, plain, &options, &samples, NULL));
    assert_told("euler");
    options = (fcl_sample_options){.solver = "euler-maruyama", .source = "rings"};
    assert_status(FCL_ERR_ARGUMENT, fcl_sample(device, plain, &options, &samples, NULL));
    assert_told("drawn from N(0, I): the source is rings");
    assert_ok(fcl_array_create(FCL_SHAPE(4, 3), &wide));
    options = (fcl_sample_options){0};
    assert_status(FCL_ERR_SHAPE, fcl_transport(device, plain, &options, wide, NULL, true, &samples, NULL));
    fcl_array_destroy(&wide);
    fcl_checkpoint_close(&plain);
    fcl_checkpoint_close(&labeled);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flow_of_a_gaussian),
        cmocka_unit_test(test_velocity_of_a_gaussian),
        cmocka_unit_test(test_encode_and_decode),
        cmocka_unit_test(test_density_integrates),
        cmocka_unit_test(test_density_of_samples),
        cmocka_unit_test(test_density_of_labels),
        cmocka_unit_test(test_density_refuses),
        cmocka_unit_test(test_noise_is_drawn_by_number),
        cmocka_unit_test(test_noise_is_the_devices),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_stochastic_parts),
        cmocka_unit_test(test_counts_evaluations),
        cmocka_unit_test(test_stochastic),
        cmocka_unit_test(test_averaged_weights),
        cmocka_unit_test(test_labels),
        cmocka_unit_test(test_refuses),
    };
    return cmocka_run_group_tests(tests, setup, rig_down);
}
