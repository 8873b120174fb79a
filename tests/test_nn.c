/* Parameters and the MLP, against plain double precision on the host. */
#include "status.h"

#include <flowcl/flowcl.h>

#include <math.h>
#include <stdlib.h>

static fcl_device *device;

static int setup(void **state)
{
    (void)state;
    if (fcl_device_open(NULL, NULL, &device) == FCL_OK)
        return 0;
    print_error("%s\n", fcl_error());
    return -1;
}

static int teardown(void **state)
{
    (void)state;
    fcl_device_close(&device);
    return 0;
}

static fcl_model *make_model(fcl_model_options options, int64_t size, int classes)
{
    fcl_model *model;
    assert_ok(fcl_model_create(&options, FCL_SHAPE(size), classes, &model));
    return model;
}

/* The first values of a model, on the host. */
static float *draw(const fcl_params *params, uint64_t seed, fcl_buffer **buffer)
{
    size_t bytes = fcl_params_bytes(params);
    float *flat = malloc(bytes);
    assert_ok(fcl_buffer_create(device, bytes, buffer));
    assert_ok(fcl_params_initialise(params, seed, FCL_STREAM_WEIGHTS, *buffer));
    assert_ok(fcl_buffer_read(*buffer, 0, bytes, flat));
    return flat;
}

static const float *slice(const fcl_params *params, const float *flat, const char *name)
{
    int index = fcl_params_find(params, name);
    assert_int_not_equal(index, -1);
    return flat + fcl_params_at(params, index)->offset / sizeof(float);
}

/* --- parameters --- */

static void test_layout(void **state)
{
    (void)state;
    fcl_model *model = make_model((fcl_model_options){0}, 2, 0);
    const fcl_params *params = fcl_model_params(model);
    assert_int_equal(fcl_params_numbers(params), 3 * 128 + 128 + 3 * (128 * 128 + 128) + 128 * 2 + 2);
    assert_int_equal(fcl_params_count(params), 10);
    static const char *const names[] = {"layers.0.weight", "layers.0.bias", "layers.4.weight",
                                        "layers.4.bias"};
    static const int rows[] = {128, 128, 2, 2};
    for (int i = 0; i < 4; i++) {
        const fcl_param *param = fcl_params_at(params, fcl_params_find(params, names[i]));
        assert_int_equal(param->shape.dim[0], rows[i]);
        assert_int_equal(param->offset % FCL_BUFFER_ALIGN, 0);
    }
    assert_int_equal(fcl_params_find(params, "layers.5.weight"), -1);
    assert_int_equal(fcl_params_bytes(params), fcl_params_trained_bytes(params));
    fcl_model_destroy(&model);
    assert_null(model);
}

static void test_frozen_behind_trained(void **state)
{
    (void)state;
    fcl_model *model = make_model((fcl_model_options){.time_features = 3, .time_frequency = 16}, 2, 0);
    const fcl_params *params = fcl_model_params(model);
    fcl_buffer *buffer;
    float *flat = draw(params, 1, &buffer);
    const float *frequency = slice(params, flat, "time.frequency");
    for (int i = 0; i < 3; i++) /* pi, 4 pi, 16 pi */
        assert_float_equal(frequency[i], M_PI * pow(4, i), 1e-4);
    assert_int_equal(fcl_params_trained(params), fcl_params_count(params) - 1);
    assert_true(fcl_params_trained_bytes(params) < fcl_params_bytes(params));
    free(flat);
    fcl_buffer_destroy(&buffer);
    fcl_model_destroy(&model);
}

/* Uniform within +-1/sqrt(fan in): the range is used, and the variance is a third of its square. */
static void test_first_values(void **state)
{
    (void)state;
    fcl_model *model = make_model((fcl_model_options){.width = 100}, 2, 10);
    const fcl_params *params = fcl_model_params(model);
    fcl_buffer *buffer, *other_buffer;
    float *flat = draw(params, 1, &buffer), *other = draw(params, 2, &other_buffer);
    const float *weight = slice(params, flat, "layers.1.weight");
    double sum = 0, squares = 0, largest = 0;
    for (int i = 0; i < 10000; i++) {
        sum += weight[i];
        squares += (double)weight[i] * weight[i];
        largest = fmax(largest, fabs((double)weight[i]));
    }
    assert_true(largest <= 0.1 && largest > 0.0995);
    assert_float_equal(squares / 10000, 0.01 / 3, 2e-4);
    assert_float_equal(sum / 10000, 0, 3e-3);
    assert_true(weight[0] != slice(params, flat, "layers.2.weight")[0]);
    assert_true(weight[0] != slice(params, other, "layers.1.weight")[0]);

    const float *embedding = slice(params, flat, "label.weight");
    squares = 0;
    for (int i = 0; i < 320; i++)
        squares += (double)embedding[i] * embedding[i];
    assert_float_equal(squares / 320, 1, 0.3);
    free(flat);
    free(other);
    fcl_buffer_destroy(&buffer);
    fcl_buffer_destroy(&other_buffer);
    fcl_model_destroy(&model);
}

/* --- the reference --- */

static double activate(const char *name, double x)
{
    if (!strcmp(name, "relu"))
        return x > 0 ? x : 0;
    if (!strcmp(name, "silu"))
        return x / (1 + exp(-x));
    if (!strcmp(name, "gelu"))
        return x * (1 + erf(x / sqrt(2))) / 2;
    if (!strcmp(name, "tanh"))
        return tanh(x);
    return 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * (exp(x) - 1));
}

static void plain_linear(const double *weight, const double *bias, int in, int out, const double *x,
                         double *y)
{
    for (int o = 0; o < out; o++) {
        y[o] = bias[o];
        for (int i = 0; i < in; i++)
            y[o] += weight[o * in + i] * x[i];
    }
}

typedef struct plain {
    fcl_model_options options;
    int size, classes;
    const fcl_params *params;
} plain;

static const double *plain_slice(const plain *net, const double *flat, const char *layer, const char *part)
{
    char name[64];
    snprintf(name, sizeof name, "%s.%s", layer, part);
    return flat + fcl_params_at(net->params, fcl_params_find(net->params, name))->offset / sizeof(float);
}

/* One sample's velocity. */
static void plain_velocity(const plain *net, const double *flat, const double *x, double t, int label,
                           double *v)
{
    double h[512], next[512];
    int in = 0, features = net->options.time_features;
    for (int i = 0; i < net->size; i++)
        h[in++] = x[i];
    h[in++] = t;
    for (int i = 0; i < 2 * features; i++) {
        double angle = t * plain_slice(net, flat, "time", "frequency")[i % features];
        h[in++] = i < features ? sin(angle) : cos(angle);
    }
    for (int i = 0; net->classes && i < 32; i++)
        h[in++] = plain_slice(net, flat, "label", "weight")[label * 32 + i];
    for (int layer = 0; layer <= net->options.depth; layer++) {
        char name[32];
        snprintf(name, sizeof name, "layers.%d", layer);
        bool last = layer == net->options.depth;
        int out = last ? net->size : net->options.width;
        plain_linear(plain_slice(net, flat, name, "weight"), plain_slice(net, flat, name, "bias"), in, out, h,
                     last ? v : next);
        for (int i = 0; i < out && !last; i++) {
            double a = activate(net->options.activation, next[i]);
            h[i] = net->options.residual && layer > 0 ? h[i] + a : a;
        }
        in = out;
    }
}

/* --- the model against it --- */

enum { BATCH = 5 };

typedef struct batch {
    float x[BATCH * 8], t[BATCH], seed[BATCH * 8];
    int32_t label[BATCH];
} batch;

static batch make_batch(int size, int classes)
{
    batch b = {0};
    for (int i = 0; i < BATCH * size; i++) {
        b.x[i] = (float)sin(1.7 * i + 0.3);
        b.seed[i] = (float)cos(0.9 * i);
    }
    for (int i = 0; i < BATCH; i++) {
        b.t[i] = (float)(i + 0.5) / BATCH;
        b.label[i] = classes ? (3 * i + 1) % classes : 0;
    }
    return b;
}

/* <seed, v> in double precision at weights flat + h direction. */
static double plain_loss(const plain *net, const batch *b, const float *flat, const double *direction,
                         double h)
{
    size_t count = fcl_params_bytes(net->params) / sizeof(float);
    double *moved = malloc(count * sizeof *moved), loss = 0;
    for (size_t i = 0; i < count; i++)
        moved[i] = flat[i] + h * direction[i];
    for (int row = 0; row < BATCH; row++) {
        double x[8], v[8];
        for (int i = 0; i < net->size; i++)
            x[i] = b->x[row * net->size + i];
        plain_velocity(net, moved, x, b->t[row], b->label[row], v);
        for (int i = 0; i < net->size; i++)
            loss += v[i] * b->seed[row * net->size + i];
    }
    free(moved);
    return loss;
}

static void check_forward(const plain *net, const batch *b, const float *flat, const float *v)
{
    size_t count = fcl_params_bytes(net->params) / sizeof(float);
    double *exact = malloc(count * sizeof *exact);
    for (size_t i = 0; i < count; i++)
        exact[i] = flat[i];
    for (int row = 0; row < BATCH; row++) {
        double x[8], expected[8];
        for (int i = 0; i < net->size; i++)
            x[i] = b->x[row * net->size + i];
        plain_velocity(net, exact, x, b->t[row], b->label[row], expected);
        for (int i = 0; i < net->size; i++)
            assert_float_equal(v[row * net->size + i], expected[i], 2e-5);
    }
    free(exact);
}

/* The gradient along a direction in which every trained number takes part. */
static void check_gradient(const plain *net, const batch *b, const float *flat, fcl_tensor *const *gradient)
{
    size_t count = fcl_params_bytes(net->params) / sizeof(float);
    double *direction = calloc(count, sizeof *direction), along = 0;
    float *values = malloc(count * sizeof *values);
    for (int i = 0; i < fcl_params_trained(net->params); i++) {
        const fcl_param *param = fcl_params_at(net->params, i);
        assert_ok(fcl_tensor_read(gradient[i], values));
        for (int64_t e = 0; e < fcl_shape_size(param->shape); e++) {
            double d = cos(2.3 * (double)(param->offset / sizeof(float) + (size_t)e));
            direction[param->offset / sizeof(float) + (size_t)e] = d;
            along += d * values[e];
        }
    }
    double h = 1e-5;
    double quotient =
        (plain_loss(net, b, flat, direction, h) - plain_loss(net, b, flat, direction, -h)) / (2 * h);
    assert_float_equal(along, quotient, 2e-4 * (1 + fabs(quotient)));
    free(direction);
    free(values);
}

static void check_model(fcl_model_options options, int size, int classes)
{
    fcl_model *model = make_model(options, size, classes);
    plain net = {.options = options, .size = size, .classes = classes, .params = fcl_model_params(model)};
    batch b = make_batch(size, fcl_model_labels(model));
    fcl_buffer *buffer;
    float *flat = draw(net.params, 5, &buffer);
    fcl_graph *graph = fcl_graph_create();
    fcl_tensor *x = fcl_input(graph, "x", FCL_F32, FCL_SHAPE(BATCH, size));
    fcl_tensor *t = fcl_input(graph, "t", FCL_F32, FCL_SHAPE(BATCH, 1));
    fcl_tensor *seed = fcl_input(graph, "seed", FCL_F32, FCL_SHAPE(BATCH, size));
    fcl_tensor *label = classes ? fcl_input(graph, "label", FCL_I32, FCL_SHAPE(BATCH)) : NULL;
    fcl_tensor **weights = fcl_params_bind(net.params, graph, buffer, "");
    fcl_velocity_inputs in = {.x = x, .t = t, .label = label};
    fcl_tensor *v = fcl_output(fcl_model_velocity(model, weights, &in)), *gradient[64];
    fcl_vjp(v, seed, fcl_params_trained(net.params), weights, gradient);
    for (int i = 0; i < fcl_params_trained(net.params); i++)
        fcl_output(gradient[i]);
    assert_ok(fcl_graph_compile(graph, device, NULL));
    assert_ok(fcl_tensor_write(x, b.x));
    assert_ok(fcl_tensor_write(t, b.t));
    assert_ok(fcl_tensor_write(seed, b.seed));
    if (label)
        assert_ok(fcl_tensor_write(label, b.label));
    assert_ok(fcl_graph_run(graph));
    float result[BATCH * 8];
    assert_ok(fcl_tensor_read(v, result));
    check_forward(&net, &b, flat, result);
    check_gradient(&net, &b, flat, gradient);
    fcl_graph_destroy(&graph);
    fcl_free(weights);
    free(flat);
    fcl_buffer_destroy(&buffer);
    fcl_model_destroy(&model);
}

/* Drivers that compile or run slowly take one model of each test: $FCL_TEST_TINY. */
static bool tiny(void)
{
    return getenv("FCL_TEST_TINY") != NULL;
}

static void test_activations(void **state)
{
    (void)state;
    for (int i = 0; fcl_activation_name(i) && !(tiny() && i > 0); i++) {
        fcl_model_options options = {.width = 19, .depth = 2, .activation = fcl_activation_name(i)};
        check_model(options, 2, 0);
    }
}

static void test_every_input(void **state)
{
    (void)state;
    fcl_model_options options = {.width = 33,
                                 .depth = 3,
                                 .activation = "silu",
                                 .residual = true,
                                 .time_features = 4,
                                 .time_frequency = 8};
    if (!tiny())
        check_model(options, 3, 0);
    check_model(options, 7, 6);
    options.null_label = true; /* of the batch's rows some are of no class */
    check_model(options, 2, 4);
}

static void test_bad_options(void **state)
{
    (void)state;
    fcl_model *model;
    assert_status(FCL_ERR_ARGUMENT,
                  fcl_model_create(&(fcl_model_options){.width = -3}, FCL_SHAPE(2), 0, &model));
    assert_told("width");
    fcl_model_options odd = {.activation = "sellu"};
    assert_status(FCL_ERR_ARGUMENT, fcl_model_create(&odd, FCL_SHAPE(2), 0, &model));
    assert_told("selu");
    assert_status(FCL_ERR_ARGUMENT, fcl_model_create(&(fcl_model_options){0}, FCL_SHAPE(0), 0, &model));
}

/* What a model is not made for, and what it lacks, is told by compile. */
static void check_inputs(const fcl_model *model, fcl_velocity_inputs in, const char *told)
{
    fcl_graph *graph = fcl_graph_create();
    fcl_buffer *buffer;
    fcl_tensor *row = fcl_input(graph, "row", FCL_F32, FCL_SHAPE(3, 2));
    fcl_tensor *label = fcl_input(graph, "label", FCL_I32, FCL_SHAPE(3));
    in.x = in.x ? fcl_input(graph, "wide", FCL_F32, FCL_SHAPE(3, 5)) : row;
    in.t = fcl_scalar(graph, "t"); /* () is a time of all rows */
    in.r = in.r ? in.t : NULL;
    in.label = in.label ? label : NULL;
    in.conditions = &row;
    free(draw(fcl_model_params(model), 1, &buffer));
    fcl_tensor **weights = fcl_params_bind(fcl_model_params(model), graph, buffer, "");
    fcl_output(fcl_model_velocity(model, weights, &in));
    assert_status(told ? FCL_ERR_SHAPE : FCL_OK, fcl_graph_compile(graph, device, NULL));
    if (told)
        assert_told(told);
    fcl_free(weights);
    fcl_graph_destroy(&graph);
    fcl_buffer_destroy(&buffer);
}

static void test_inputs(void **state)
{
    (void)state;
    static char there;
    fcl_tensor *given = (fcl_tensor *)(void *)&there; /* replaced by a tensor of the graph */
    fcl_model *bare = make_model((fcl_model_options){.width = 4, .depth = 1}, 2, 0);
    fcl_model *labelled = make_model((fcl_model_options){.width = 4, .depth = 1}, 2, 3);
    check_inputs(bare, (fcl_velocity_inputs){.training = true}, NULL);
    check_inputs(labelled, (fcl_velocity_inputs){.label = given}, NULL);
    check_inputs(bare, (fcl_velocity_inputs){.x = given}, "x (3, 5); it takes (batch, 2)");
    check_inputs(bare, (fcl_velocity_inputs){.r = given}, "no second time");
    check_inputs(bare, (fcl_velocity_inputs){.label = given}, "0 classes, and is told a label");
    check_inputs(labelled, (fcl_velocity_inputs){0}, "3 classes, and is told no label");
    check_inputs(bare, (fcl_velocity_inputs){.condition_count = 1}, "no conditions, and is told 1");
    fcl_model_destroy(&labelled);
    fcl_model_destroy(&bare);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layout),       cmocka_unit_test(test_frozen_behind_trained),
        cmocka_unit_test(test_first_values), cmocka_unit_test(test_activations),
        cmocka_unit_test(test_every_input),  cmocka_unit_test(test_bad_options),
        cmocka_unit_test(test_inputs),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
