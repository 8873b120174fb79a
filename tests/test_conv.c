/* Convolutions against their formula in plain C and double precision: the value, with what follows it as a layer has
 * it, and the gradients by the formula of its own backward pass. */
#include "device.h"
#include "device/traits.h"
#include "trial.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct shape_case {
    int n, height, width, channels, outputs, side, stride, padding, upsample;
} shape_case;

/* Heights and widths are of x. */
static const shape_case tiny_cases[] = {
    {1, 3, 4, 1, 2, 3, 1, 1, 0}, {2, 3, 2, 3, 1, 1, 1, 0, 0}, {1, 4, 3, 2, 2, 3, 2, 1, 0},
    {1, 2, 2, 2, 3, 3, 1, 1, 1}, {1, 5, 5, 1, 1, 5, 2, 2, 0},  {1, 3, 3, 2, 2, 1, 2, 0, 1},
};
static const shape_case cases[] = {
    {2, 5, 7, 1, 17, 3, 1, 1, 0},   {3, 7, 5, 3, 32, 3, 2, 1, 0},  {1, 28, 28, 32, 32, 3, 1, 1, 0},
    {2, 28, 28, 17, 3, 5, 1, 2, 0},  {2, 7, 7, 32, 17, 5, 2, 2, 0},  {2, 14, 28, 32, 33, 3, 2, 1, 0},
    {2, 5, 7, 17, 32, 3, 1, 1, 1},   {1, 7, 5, 32, 1, 3, 2, 1, 1},   {2, 28, 7, 17, 17, 1, 1, 0, 0},
    {3, 7, 28, 32, 32, 1, 2, 0, 0},  {2, 5, 5, 3, 17, 3, 1, 2, 0},   {2, 7, 5, 3, 3, 5, 2, 4, 0},
    {1, 9, 5, 128, 100, 3, 1, 1, 0}, {1, 3, 130, 6, 64, 3, 1, 0, 0}, {2, 6, 5, 8, 48, 7, 1, 3, 1},
    {5, 1, 1, 40, 20, 3, 1, 1, 0},   {1, 40, 33, 48, 30, 3, 2, 0, 0}, {1, 16, 16, 65, 16, 5, 1, 2, 1},
    {9, 6, 6, 70, 40, 3, 1, 1, 0},   {1, 2, 3, 300, 24, 5, 1, 2, 0}, {1, 2, 700, 40, 3, 3, 1, 1, 0},
    {2, 5, 6, 130, 20, 1, 1, 0, 0}, {1, 3, 5, 70, 5, 1, 1, 0, 0},
};

static int out_size(const shape_case *s, int size)
{
    return ((s->upsample ? 2 : 1) * size + 2 * s->padding - s->side) / s->stride + 1;
}

/* What the sizes of fixed cases do not hold. */
static shape_case random_case(void)
{
    shape_case s = {.side = 2 * trial_int(0, 2) + 1, .stride = trial_int(1, 2), .upsample = trial_int(0, 1)};
    s.n = trial_int(1, 4);
    s.height = trial_int(s.side, 14);
    s.width = trial_int(s.side, 14);
    s.channels = trial_int(1, 40);
    s.outputs = trial_int(1, 40);
    s.padding = trial_int(0, s.side - 1);
    return s;
}

/* --- the formula --- */

typedef struct expected {
    double *y, *dx, *dw; /* of u, which belongs to y */
} expected;

static double *numbers(int64_t count)
{
    return fcl_zalloc((size_t)count * sizeof(double));
}

static int64_t y_size(const shape_case *s)
{
    return (int64_t)s->n * out_size(s, s->height) * out_size(s, s->width) * s->outputs;
}

static int64_t x_size(const shape_case *s)
{
    return (int64_t)s->n * s->height * s->width * s->channels;
}

static int64_t w_size(const shape_case *s)
{
    return (int64_t)s->side * s->side * s->channels * s->outputs;
}

/* One pixel of x and one of y that the tap connects. */
static void add_pair(const shape_case *s, const double *x, const double *w, const double *u, int64_t from, int64_t tap,
                     int64_t to, expected *e)
{
    for (int64_t c = 0; c < s->channels; c++)
        for (int64_t o = 0; o < s->outputs; o++) {
            int64_t ix = from * s->channels + c, iw = (tap * s->channels + c) * s->outputs + o, iy = to * s->outputs + o;
            e->y[iy] += x[ix] * w[iw];
            e->dx[ix] += u[iy] * w[iw];
            e->dw[iw] += u[iy] * x[ix];
        }
}

static void convolve(const shape_case *s, const double *x, const double *w, const double *u, expected *e)
{
    int rows = out_size(s, s->height), columns = out_size(s, s->width), scale = s->upsample ? 2 : 1;
    *e = (expected){numbers(y_size(s)), numbers(x_size(s)), numbers(w_size(s))};
    for (int64_t to = 0; to < (int64_t)s->n * rows * columns; to++)
        for (int tap = 0; tap < s->side * s->side; tap++) {
            int64_t i = to / columns % rows * s->stride + tap / s->side - s->padding;
            int64_t j = to % columns * s->stride + tap % s->side - s->padding;
            if (i < 0 || j < 0 || i >= scale * s->height || j >= scale * s->width)
                continue;
            int64_t from = (to / columns / rows * s->height + i / scale) * s->width + j / scale;
            add_pair(s, x, w, u, from, tap, to, e);
        }
}

static void free_expected(expected *e)
{
    free(e->y);
    free(e->dx);
    free(e->dw);
}

/* --- on a device --- */

static void describe(const shape_case *s, char *text, size_t size)
{
    snprintf(text, size, "(%d, %d, %d, %d) by %d x %d to %d, stride %d, padding %d%s", s->n, s->height, s->width,
             s->channels, s->side, s->side, s->outputs, s->stride, s->padding, s->upsample ? ", upsampled" : "");
}

/* Each element to the bound that the reference knows for it. */
static void check(const shape_case *s, trial *t, const char *what, fcl_tensor *tensor, const double *wanted)
{
    int64_t size = fcl_shape_size(fcl_tensor_shape(tensor));
    float *found = fcl_zalloc((size_t)size * sizeof *found);
    const double *bound = trial_error(t, tensor);
    char text[160];
    assert_ok(fcl_tensor_read(tensor, found));
    describe(s, text, sizeof text);
    for (int64_t i = 0; i < size; i++)
        if (!(fabs(found[i] - wanted[i]) <= bound[i]))
            fail_msg("%s of %s: element %lld is %.9g, not %.9g to %.2g", what, text, (long long)i, (double)found[i], wanted[i],
                     bound[i]);
    free(found);
}

typedef struct layer {
    trial *t;
    fcl_tensor *x, *w, *u, *y;
} layer;

static layer make_layer_in(trial *t, const shape_case *s)
{
    layer l = {.t = t};
    l.x = trial_input(l.t, FCL_SHAPE(s->n, s->height, s->width, s->channels), SMOOTH, 0);
    l.w = trial_input(l.t, FCL_SHAPE(s->side, s->side, s->channels, s->outputs), SMOOTH, 0);
    l.u = trial_input(l.t, FCL_SHAPE(s->n, out_size(s, s->height), out_size(s, s->width), s->outputs), SMOOTH, 0);
    l.y = fcl_conv2d(l.x, l.w, &(fcl_conv2d_options){.stride = s->stride, .padding = s->padding, .upsample = s->upsample});
    return l;
}

static layer make_layer(const shape_case *s)
{
    return make_layer_in(trial_create(), s);
}

static const double *of(const layer *l, const fcl_tensor *leaf)
{
    return trial_leaf_of(l->t, leaf)->value;
}

static void run(const layer *l, fcl_device *device)
{
    trial_evaluate(l->t, 0, 0, NULL, NULL);
    assert_ok(fcl_graph_compile(l->t->graph, device, NULL));
    assert_ok(trial_run(l->t));
}

/* The value and both gradients; twice, to see that a run repeats bit for bit. */
static void check_plain(const shape_case *s, fcl_device *device)
{
    layer l = make_layer(s);
    fcl_tensor *in[2] = {l.x, l.w}, *gradient[2];
    fcl_vjp(fcl_output(l.y), l.u, 2, in, gradient);
    fcl_output(gradient[0]);
    fcl_output(gradient[1]);
    trial_fill(l.t);
    run(&l, device);
    expected e;
    convolve(s, of(&l, l.x), of(&l, l.w), of(&l, l.u), &e);
    check(s, l.t, "conv2d", l.y, e.y);
    check(s, l.t, "the input's gradient", gradient[0], e.dx);
    check(s, l.t, "the weights' gradient", gradient[1], e.dw);
    size_t bytes = (size_t)w_size(s) * sizeof(float);
    float *first = fcl_zalloc(bytes), *second = fcl_zalloc(bytes);
    assert_ok(fcl_tensor_read(gradient[1], first));
    assert_ok(fcl_graph_run(l.t->graph));
    assert_ok(fcl_tensor_read(gradient[1], second));
    assert_memory_equal(first, second, bytes);
    free(first);
    free(second);
    free_expected(&e);
    trial_destroy(&l.t);
}

/* Every so many of the cases: drivers compile kernels for each. */
static void each_case(fcl_device *device, size_t every, void (*check_case)(const shape_case *s, fcl_device *device))
{
    for (size_t i = 0; i < sizeof tiny_cases / sizeof *tiny_cases; i += every)
        check_case(&tiny_cases[i], device);
    if (trial_tiny())
        return;
    every *= fcl_device_traits(device).wide ? 1 : 3; /* kernels for GPUs take CPUs' compilers long */
    for (size_t i = (size_t)trial_int(0, (int)every - 1); i < sizeof cases / sizeof *cases; i += every)
        check_case(&cases[i], device);
    for (size_t i = 0; i < 4; i += every) {
        shape_case s = random_case();
        check_case(&s, device);
    }
}

static void convolutions_are_their_formula(void **state)
{
    each_case(*state, 1, check_plain);
}

/* silu(conv(x) / root of its terms + bias + shift of the sample) + u: the value, and the gradient of u that goes back
 * through the activation into x and into the bias. */
static void check_layer(const shape_case *s, fcl_device *device)
{
    layer l = make_layer(s);
    fcl_tensor *bias = trial_input(l.t, FCL_SHAPE(s->outputs), SMOOTH, 0);
    fcl_tensor *shift = trial_input(l.t, FCL_SHAPE(s->n, 1, 1, s->outputs), SMOOTH, 0);
    const float scale = (float)(1 / sqrt(s->side * s->side * s->channels));
    fcl_tensor *before = fcl_add(fcl_add(fcl_scale(l.y, scale), bias), shift);
    fcl_tensor *y = fcl_output(fcl_add(fcl_silu(before), l.u)), *in[2] = {l.x, bias}, *gradient[2];
    fcl_vjp(y, l.u, 2, in, gradient);
    fcl_output(gradient[0]);
    fcl_output(gradient[1]);
    trial_fill(l.t);
    run(&l, device);
    expected e, back;
    convolve(s, of(&l, l.x), of(&l, l.w), of(&l, l.u), &e);
    double *slope = numbers(y_size(s)), *sums = numbers(s->outputs);
    for (int64_t i = 0; i < y_size(s); i++) {
        int64_t sample = i / (y_size(s) / s->n);
        double z = (double)scale * e.y[i] + of(&l, bias)[i % s->outputs] + of(&l, shift)[sample * s->outputs + i % s->outputs];
        double sigmoid = 1 / (1 + exp(-z));
        slope[i] = of(&l, l.u)[i] * sigmoid * (1 + z * (1 - sigmoid));
        sums[i % s->outputs] += slope[i];
        e.y[i] = z * sigmoid + of(&l, l.u)[i];
        slope[i] *= (double)scale;
    }
    convolve(s, of(&l, l.x), of(&l, l.w), slope, &back);
    check(s, l.t, "a layer", y, e.y);
    check(s, l.t, "a layer's input's gradient", gradient[0], back.dx);
    check(s, l.t, "a layer's bias's gradient", gradient[1], sums);
    free(slope);
    free(sums);
    free_expected(&e);
    free_expected(&back);
    trial_destroy(&l.t);
}

static void layers_are_their_formula(void **state)
{
    each_case(*state, 3, check_layer);
}

/* Many small images, of which a work-item takes several: so tiles go on from one image to the next. */
static void small_images_are_taken_together(void **state)
{
    const int units = fcl_device_traits(*state).units;
    if (!fcl_device_traits(*state).wide || trial_tiny() || units > 64)
        skip();
    for (int i = 0; i < 4; i++) {
        shape_case s = random_case();
        s.n = trial_int(15, 30) * units;
        s.side = i == 0 ? 1 : 3;
        s.stride = 1 + i / 2;
        s.upsample = i % 2;
        s.padding = trial_int(0, s.side - 1);
        s.height = trial_int(2, 6) + s.side - 1 - s.padding;
        s.width = trial_int(2, 6) + s.side - 1 - s.padding;
        check_plain(&s, *state);
        check_layer(&s, *state);
    }
}

/* Behind the gradient in x: what made x, by its samples, its pixels and its channels. */
static void gradients_have_epilogues(void **state)
{
    for (size_t i = 0; i < sizeof tiny_cases / sizeof *tiny_cases; i++) {
        const shape_case *s = &tiny_cases[i];
        trial *t = trial_create();
        fcl_tensor *x = trial_input(t, FCL_SHAPE(s->n, s->height, s->width, s->channels), SMOOTH, 0), *dx;
        fcl_tensor *w = trial_input(t, FCL_SHAPE(s->side, s->side, s->channels, s->outputs), SMOOTH, 0);
        fcl_tensor *gate = trial_input(t, FCL_SHAPE(s->n, 1, 1, s->channels), SMOOTH, 0);
        fcl_tensor *pixel = trial_input(t, FCL_SHAPE(s->n, s->height, s->width, 1), SMOOTH, 0);
        fcl_tensor *channel = trial_input(t, FCL_SHAPE(s->channels), SMOOTH, 0);
        fcl_tensor *in = fcl_mul(fcl_mul(fcl_mul(fcl_silu(x), gate), pixel), channel);
        fcl_tensor *y = fcl_conv2d(in, w, &(fcl_conv2d_options){.stride = s->stride, .padding = s->padding, .upsample = s->upsample});
        fcl_vjp(y, trial_input(t, y->shape, SMOOTH, 0), 1, &x, &dx);
        fcl_output(dx);
        trial_fill(t);
        assert_ok(fcl_graph_compile(t->graph, *state, NULL));
        assert_ok(trial_run(t));
        trial_evaluate(t, 0, 0, NULL, NULL);
        char text[160];
        describe(s, text, sizeof text);
        if (!trial_agrees(t, dx, "gradient"))
            fail_msg("behind the gradient of %s", text);
        trial_destroy(&t);
    }
}

/* All of a layer is one kernel; on GPUs a second one may add parts of the sums. */
static void what_follows_is_an_epilogue(void **state)
{
    const shape_case s = {2, 5, 4, 3, 17, 3, 1, 1, 0};
    layer l = make_layer(&s);
    fcl_tensor *bias = trial_input(l.t, FCL_SHAPE(s.outputs), SMOOTH, 0);
    fcl_tensor *shift = trial_input(l.t, FCL_SHAPE(s.n, 1, 1, s.outputs), SMOOTH, 0);
    fcl_output(fcl_add(fcl_silu(fcl_add(fcl_add(l.y, bias), shift)), l.u));
    assert_ok(fcl_graph_compile(l.t->graph, *state, NULL));
    assert_in_range(fcl_graph_describe(l.t->graph).launches, 1, fcl_device_traits(*state).wide ? 1 : 2);
    trial_destroy(&l.t);
}

/* --- few kernels --- */

/* Channels in fours, and more than sixteen of them: all have the same loops and register tiles. In a result of one
 * pixel a number for a pixel would be one for a sample. */
static shape_case random_wide_case(void)
{
    shape_case s;
    do
        s = random_case();
    while (out_size(&s, s.height) == 1 && out_size(&s, s.width) == 1);
    s.channels = 4 * trial_int(5, 10);
    s.outputs = 4 * trial_int(5, 10);
    return s;
}

static int kernels(const trial *t)
{
    return fcl_graph_describe(t->graph).kernels;
}

static void run_all(trial *t, fcl_device *device, int count, fcl_tensor *const *output)
{
    for (int i = 0; i < count; i++)
        fcl_output(output[i]);
    trial_fill(t);
    trial_evaluate(t, 0, 0, NULL, NULL);
    assert_ok(fcl_graph_compile(t->graph, device, NULL));
    assert_ok(trial_run(t));
    for (int i = 0; i < count; i++)
        assert_true(trial_agrees(t, output[i], "one of several convolutions"));
}

/* Of images and weights of any size, of any stride, padding and upsampling, a kernel each for y, dx and dw. */
static void sizes_are_arguments(void **state)
{
    enum { CASES = 6 };
    fcl_tensor *output[3 * CASES];
    if (!fcl_device_traits(*state).wide || trial_tiny())
        skip();
    trial *t = trial_create();
    for (int i = 0; i < CASES; i++) {
        shape_case s = random_wide_case();
        layer l = make_layer_in(t, &s);
        output[3 * i] = l.y;
        fcl_vjp(l.y, l.u, 2, (fcl_tensor *[]){l.x, l.w}, output + 3 * i + 1);
    }
    run_all(t, *state, 3 * CASES, output);
    assert_int_equal(kernels(t), 3);
    trial_destroy(&t);
}

/* What follows, too: a number for each channel, for each channel of a sample, for a sample, for a pixel, for each
 * element. */
static void sizes_of_epilogues_are_arguments(void **state)
{
    enum { CASES = 4 };
    fcl_tensor *output[CASES];
    if (!fcl_device_traits(*state).wide || trial_tiny())
        skip();
    trial *t = trial_create();
    for (int i = 0; i < CASES; i++) {
        shape_case s = random_wide_case();
        s.n += 1;
        layer l = make_layer_in(t, &s);
        fcl_tensor *bias = trial_input(t, FCL_SHAPE(s.outputs), SMOOTH, 0);
        fcl_tensor *shift = trial_input(t, FCL_SHAPE(s.n, 1, 1, s.outputs), SMOOTH, 0);
        fcl_tensor *sample = trial_input(t, FCL_SHAPE(s.n, 1, 1, 1), SMOOTH, 0);
        fcl_shape pixels = FCL_SHAPE(s.n, out_size(&s, s.height), out_size(&s, s.width), 1);
        fcl_tensor *pixel = trial_input(t, pixels, SMOOTH, 0);
        output[i] = fcl_add(fcl_mul(fcl_add(fcl_mul(fcl_add(l.y, bias), sample), shift), pixel), l.u);
    }
    run_all(t, *state, CASES, output);
    assert_int_equal(fcl_graph_describe(t->graph).launches, CASES);
    assert_int_equal(kernels(t), 1);
    trial_destroy(&t);
}

/* A network of three levels, and its gradient. */
typedef struct net {
    trial *t;
    fcl_tensor *weight[64];
    int weights;
} net;

static fcl_tensor *weight(net *n, fcl_shape shape)
{
    return n->weight[n->weights++] = trial_input(n->t, shape, SMOOTH, 0);
}

static fcl_tensor *biased(net *n, fcl_tensor *x, int outputs, int side, fcl_conv2d_options how)
{
    int channels = (int)fcl_tensor_shape(x).dim[3];
    how.padding = side / 2;
    fcl_tensor *y = fcl_conv2d(x, weight(n, FCL_SHAPE(side, side, channels, outputs)), &how);
    return fcl_add(y, weight(n, FCL_SHAPE(outputs)));
}

/* conv(silu(conv(x) + shift of the sample)) + x, or + conv(x) where it has other channels. */
static fcl_tensor *residual(net *n, fcl_tensor *x, int outputs)
{
    const fcl_conv2d_options plain = {0};
    fcl_shape shape = fcl_tensor_shape(x);
    fcl_tensor *shift = weight(n, FCL_SHAPE(shape.dim[0], 1, 1, outputs));
    fcl_tensor *h = biased(n, fcl_silu(fcl_add(biased(n, x, outputs, 3, plain), shift)), outputs, 3, plain);
    return fcl_add(h, shape.dim[3] == outputs ? x : biased(n, x, outputs, 1, plain));
}

static fcl_tensor *joined(fcl_tensor *a, fcl_tensor *b)
{
    return fcl_concat(2, (fcl_tensor *[]){a, b}, 3);
}

/* Seventeen convolutions, of which each has a size or a place of its own. */
static void a_network_has_few_kernels(void **state)
{
    const fcl_conv2d_options down = {.stride = 2}, up = {.upsample = true};
    fcl_tensor *gradient[65];
    if (!fcl_device_traits(*state).wide || trial_tiny())
        skip();
    net n = {.t = trial_create()};
    fcl_tensor *x = trial_input(n.t, FCL_SHAPE(2, 16, 12, 20), SMOOTH, 0);
    fcl_tensor *first = residual(&n, x, 20), *second = residual(&n, biased(&n, first, 24, 3, down), 28);
    fcl_tensor *third = residual(&n, biased(&n, second, 24, 3, down), 24);
    fcl_tensor *back = residual(&n, joined(biased(&n, third, 20, 3, up), second), 24);
    fcl_tensor *y = residual(&n, joined(biased(&n, back, 20, 3, up), first), 20);
    gradient[n.weights] = fcl_mean(fcl_square(y));
    fcl_vjp(gradient[n.weights], NULL, n.weights, n.weight, gradient);
    for (int i = 0; i <= n.weights; i++)
        fcl_output(gradient[i]);
    assert_ok(fcl_graph_compile(n.t->graph, *state, NULL));
    assert_in_range(kernels(n.t), 3, 12); /* with those of what stands between */
    trial_destroy(&n.t);
}

/* --- pooling --- */

/* The mean of each 2 x 2 pixels, and the gradient of u: a quarter of it to each of them. */
static void check_pool(fcl_device *device, int n, int height, int width, int channels)
{
    trial *t = trial_create();
    fcl_tensor *x = trial_input(t, FCL_SHAPE(n, height, width, channels), SMOOTH, 0), *dx;
    fcl_tensor *u = trial_input(t, FCL_SHAPE(n, height / 2, width / 2, channels), SMOOTH, 0);
    fcl_tensor *y = fcl_output(fcl_avg_pool2d(x));
    fcl_vjp(y, u, 1, &x, &dx);
    fcl_output(dx);
    trial_fill(t);
    assert_ok(fcl_graph_compile(t->graph, device, NULL));
    assert_ok(trial_run(t));
    int64_t size = fcl_shape_size(fcl_tensor_shape(x));
    float *mean = fcl_zalloc((size_t)size * sizeof *mean), *slope = fcl_zalloc((size_t)size * sizeof *slope);
    double *wanted = numbers(size / 4);
    assert_ok(fcl_tensor_read(y, mean));
    assert_ok(fcl_tensor_read(dx, slope));
    for (int64_t i = 0; i < size; i++) {
        int64_t pixel = i / channels, line = pixel / width;
        int64_t at = ((line / 2) * (width / 2) + pixel % width / 2) * channels + i % channels;
        wanted[at] += trial_leaf_of(t, x)->value[i] / 4;
        assert_true(fabs(slope[i] - trial_leaf_of(t, u)->value[at] / 4) < 1e-6);
    }
    for (int64_t i = 0; i < size / 4; i++)
        assert_true(fabs(mean[i] - wanted[i]) < 4e-6);
    free(mean);
    free(slope);
    free(wanted);
    trial_destroy(&t);
}

static void pools_are_means(void **state)
{
    check_pool(*state, 1, 2, 4, 3);
    check_pool(*state, 2, 4, 2, 1);
    if (trial_tiny())
        return;
    check_pool(*state, 3, 28, 14, 32);
    check_pool(*state, 2, 6, 10, 17);
}

/* --- what fits nowhere --- */

static void refused(fcl_device *device, fcl_shape x, fcl_shape w, fcl_conv2d_options options, const char *sentence)
{
    fcl_graph *graph = fcl_graph_create();
    fcl_tensor *image = fcl_input(graph, "image", FCL_F32, x), *weight = fcl_input(graph, "kernel", FCL_F32, w), *dx;
    fcl_tensor *y = fcl_conv2d(image, weight, &options);
    fcl_vjp(fcl_sum(fcl_silu(y)), NULL, 1, &image, &dx);
    fcl_output(dx);
    assert_status(FCL_ERR_SHAPE, fcl_graph_compile(graph, device, NULL));
    if (!strstr(fcl_error(), sentence))
        fail_msg("\"%s\" does not tell that %s", fcl_error(), sentence);
    fcl_graph_destroy(&graph);
}

static void misfits_are_told(void **state)
{
    const fcl_shape x = FCL_SHAPE(2, 4, 6, 3), w = FCL_SHAPE(3, 3, 3, 8);
    const fcl_conv2d_options standard = {0};
    refused(*state, x, FCL_SHAPE(3, 3, 4, 8), standard, "the images have 3 channels, the weights take 4");
    refused(*state, x, FCL_SHAPE(2, 2, 3, 8), standard, "kernels are square, of odd sides, not 2 x 2");
    refused(*state, x, FCL_SHAPE(3, 5, 3, 8), standard, "kernels are square, of odd sides, not 3 x 5");
    refused(*state, x, FCL_SHAPE(5, 5, 3, 8), standard,
            "images of 4 x 6 with a padding of 0 are smaller than a kernel of 5 x 5");
    refused(*state, FCL_SHAPE(2, 6, 1, 3), FCL_SHAPE(5, 5, 3, 8), (fcl_conv2d_options){.padding = 1, .upsample = true},
            "images of 12 x 2 with a padding of 1 are smaller than a kernel of 5 x 5");
    refused(*state, x, w, (fcl_conv2d_options){.stride = 3}, "the stride is 1 or 2, not 3");
    refused(*state, x, w, (fcl_conv2d_options){.stride = -1}, "the stride is 1 or 2, not -1");
    refused(*state, x, w, (fcl_conv2d_options){.padding = -1}, "the padding of a kernel of 3 x 3 is 0 to 2, not -1");
    refused(*state, x, w, (fcl_conv2d_options){.padding = 3}, "the padding of a kernel of 3 x 3 is 0 to 2, not 3");
    refused(*state, FCL_SHAPE(4, 6), w, standard, "images are (N, H, W, C), weights (k, k, C, O)");
    refused(*state, x, FCL_SHAPE(3, 8), standard, "images are (N, H, W, C), weights (k, k, C, O)");
    refused(*state, FCL_SHAPE(5, 2, 4, 6, 3), FCL_SHAPE(4, 3, 3, 3, 8), standard, "(5, 2, 4, 6, 3)");
}

static void images_of_odd_sides_are_not_halved(void **state)
{
    fcl_graph *graph = fcl_graph_create();
    fcl_output(fcl_avg_pool2d(fcl_input(graph, "image", FCL_F32, FCL_SHAPE(2, 4, 5, 3))));
    assert_status(FCL_ERR_SHAPE, fcl_graph_compile(graph, *state, NULL));
    assert_non_null(strstr(fcl_error(), "(2, 4, 5, 3): images are (..., H, W, C), H and W even"));
    fcl_graph_destroy(&graph);
}

int main(void)
{
    trial_seed();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convolutions_are_their_formula),
        cmocka_unit_test(layers_are_their_formula),
        cmocka_unit_test(small_images_are_taken_together),
        cmocka_unit_test(gradients_have_epilogues),
        cmocka_unit_test(what_follows_is_an_epilogue),
        cmocka_unit_test(sizes_are_arguments),
        cmocka_unit_test(sizes_of_epilogues_are_arguments),
        cmocka_unit_test(a_network_has_few_kernels),
        cmocka_unit_test(pools_are_means),
        cmocka_unit_test(misfits_are_told),
        cmocka_unit_test(images_of_odd_sides_are_not_halved),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
