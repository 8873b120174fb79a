/* The layers that normalise, against their formulas in plain C and double precision: the value, the gradient of <u, y> in
 * x and in the weights, and the tangent along directions of all of them. */
#include "device.h"
#include "trial.h"

#include <flowcl/nn.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum kind { LAYER, RMS, GROUP } kind;

typedef struct norm {
    kind kind;
    fcl_shape shape; /* channels last */
    int groups;
    float epsilon; /* 0: the default */
    bool no_affine, no_bias;
} norm;

static const char *const kind_names[] = {"layer norm", "RMS norm", "group norm"};

/* Drivers that compile or run slowly take the first ones: $FCL_TEST_TINY. */
static const norm cases[] = {
    {LAYER, {2, {2, 70}}},
    {RMS, {2, {5, 7}}},
    {GROUP, {3, {2, 5, 6}}, 3},
    {LAYER, {3, {2, 3, 4}}, .epsilon = 0.125f, .no_bias = true},
    {LAYER, {2, {6, 33}}, .no_affine = true},
    {LAYER, {2, {65, 257}}, .epsilon = 1e-6f},
    {RMS, {3, {2, 3, 5}}, .no_affine = true},
    {RMS, {3, {17, 5, 48}}, .epsilon = 1e-6f},
    {GROUP, {4, {2, 2, 3, 4}}, 4, .no_affine = true},
    {GROUP, {2, {4, 9}}, 1, .epsilon = 0.125f, .no_bias = true},
    {GROUP, {4, {3, 9, 7, 32}}, 8},
    {GROUP, {4, {2, 16, 16, 48}}, 16},
};

enum { CASES = sizeof cases / sizeof *cases, TINY_CASES = 3 };

/* --- the formulas --- */

static double epsilon_of(const norm *n)
{
    return n->epsilon != 0 ? (double)n->epsilon : n->kind == RMS ? 0x1p-23 : (double)1e-5f;
}

static int64_t channels_of(const norm *n)
{
    return n->shape.dim[n->shape.rank - 1];
}

/* The number of the set of elements that are normalised together. */
static int64_t set_of(const norm *n, int64_t i)
{
    int64_t channels = channels_of(n);
    if (n->kind != GROUP)
        return i / channels;
    int64_t sample = i / (fcl_shape_size(n->shape) / n->shape.dim[0]);
    return sample * n->groups + i % channels / (channels / n->groups);
}

/* Means over a set: of x and of its squared distance from that; of what a derivative takes away. */
typedef struct set {
    double mean, square, of_gradient, of_gradient_h, of_tangent, of_tangent_h;
} set;

/* What a layer holds and is asked along; w and b, and their directions, may be NULL. */
typedef struct numbers {
    const double *x, *w, *b, *u, *vx, *vw, *vb;
    double *y, *dx, *dw, *db, *dy;
} numbers;

static double at_or(const double *values, int64_t i, double otherwise)
{
    return values ? values[i] : otherwise;
}

static void find_means(const norm *n, const numbers *k, set *s)
{
    int64_t size = fcl_shape_size(n->shape);
    double count = (double)size / (double)(set_of(n, size - 1) + 1);
    for (int64_t i = 0; i < size && n->kind != RMS; i++)
        s[set_of(n, i)].mean += k->x[i] / count;
    for (int64_t i = 0; i < size; i++)
        s[set_of(n, i)].square += pow(k->x[i] - s[set_of(n, i)].mean, 2) / count;
    for (int64_t i = 0; i < size; i++) {
        set *own = &s[set_of(n, i)];
        double h = (k->x[i] - own->mean) / sqrt(own->square + epsilon_of(n));
        double g = k->u[i] * at_or(k->w, i % channels_of(n), 1);
        own->of_gradient_h += g * h / count;
        own->of_tangent_h += k->vx[i] * h / count;
        if (n->kind != RMS) {
            own->of_gradient += g / count;
            own->of_tangent += k->vx[i] / count;
        }
    }
}

static void evaluate(const norm *n, numbers *k)
{
    int64_t size = fcl_shape_size(n->shape);
    set *s = fcl_zalloc((size_t)(set_of(n, size - 1) + 1) * sizeof *s);
    find_means(n, k, s);
    for (int64_t i = 0; i < size; i++) {
        const set *own = &s[set_of(n, i)];
        int64_t c = i % channels_of(n);
        double scale = 1 / sqrt(own->square + epsilon_of(n)), h = (k->x[i] - own->mean) * scale, w = at_or(k->w, c, 1);
        k->y[i] = h * w + at_or(k->b, c, 0);
        k->dx[i] = scale * (k->u[i] * w - own->of_gradient - h * own->of_gradient_h);
        k->dy[i] = w * scale * (k->vx[i] - own->of_tangent - h * own->of_tangent_h) + h * at_or(k->vw, c, 0) +
                   at_or(k->vb, c, 0);
        k->dw[c] += k->u[i] * h;
        k->db[c] += k->u[i];
    }
    free(s);
}

/* --- on a device --- */

typedef struct built {
    trial *t;
    fcl_params *params;
    int weight, bias; /* -1: none */
    fcl_tensor *x[3], *v[3], *u, *y, *dy, *dx[3]; /* x and the slices, their directions, gradients */
} built;

static fcl_tensor *build_layer(const norm *n, built *b)
{
    const fcl_norm_options options = {.epsilon = n->epsilon, .no_affine = n->no_affine, .no_bias = n->no_bias};
    const fcl_norm_options *with = n->epsilon != 0 || n->no_affine || n->no_bias ? &options : NULL;
    fcl_layer_layer_norm layer = {.bias = -1};
    fcl_layer_rms_norm rms;
    fcl_layer_group_norm group;
    if (n->kind == LAYER)
        layer = fcl_layer_norm_declare(b->params, channels_of(n), with, "n");
    else if (n->kind == RMS)
        rms = fcl_rms_norm_declare(b->params, channels_of(n), with, "n"), layer.weight = rms.weight;
    else
        group = fcl_group_norm_declare(b->params, n->groups, channels_of(n), with, "n"), layer.weight = group.weight,
        layer.bias = group.bias;
    b->weight = layer.weight;
    b->bias = layer.bias;
    b->x[0] = trial_input(b->t, n->shape, SMOOTH, 0);
    for (int i = 0; i < fcl_params_count(b->params); i++)
        b->x[1 + i] = trial_input(b->t, fcl_params_at(b->params, i)->shape, SMOOTH, 0);
    return n->kind == LAYER ? fcl_layer_norm_build(layer, b->x + 1, b->x[0])
           : n->kind == RMS ? fcl_rms_norm_build(rms, b->x + 1, b->x[0])
                            : fcl_group_norm_build(group, b->x + 1, b->x[0]);
}

static void build(const norm *n, built *b)
{
    *b = (built){.t = trial_create(), .params = fcl_params_create()};
    b->y = fcl_output(build_layer(n, b));
    int count = 1 + fcl_params_count(b->params);
    for (int i = 0; i < count; i++)
        b->v[i] = trial_input(b->t, fcl_tensor_shape(b->x[i]), SMOOTH, 0);
    b->u = trial_input(b->t, n->shape, SMOOTH, 0);
    fcl_vjp(b->y, b->u, count, b->x, b->dx);
    fcl_jvp(1, &b->y, &b->dy, count, b->x, b->v);
    fcl_output(b->dy);
    for (int i = 0; i < count; i++)
        fcl_output(b->dx[i]);
}

static double *zeros(int64_t count)
{
    return fcl_zalloc((size_t)count * sizeof(double));
}

static const double *of(const built *b, fcl_tensor *const *leaves, int slice)
{
    return slice < 0 ? NULL : trial_leaf_of(b->t, leaves[1 + slice])->value;
}

static numbers make_numbers(const norm *n, const built *b)
{
    int64_t size = fcl_shape_size(n->shape), channels = channels_of(n);
    return (numbers){.x = trial_leaf_of(b->t, b->x[0])->value,
                     .u = trial_leaf_of(b->t, b->u)->value,
                     .vx = trial_leaf_of(b->t, b->v[0])->value,
                     .w = of(b, b->x, b->weight),
                     .b = of(b, b->x, b->bias),
                     .vw = of(b, b->v, b->weight),
                     .vb = of(b, b->v, b->bias),
                     .y = zeros(size),
                     .dx = zeros(size),
                     .dy = zeros(size),
                     .dw = zeros(channels),
                     .db = zeros(channels)};
}

/* Each element within twice its bound: the graph's own constants, such as 1 / n, are rounded as well. */
static void check(const norm *n, const built *b, const char *what, fcl_tensor *tensor, const double *expected)
{
    int64_t size = fcl_shape_size(fcl_tensor_shape(tensor));
    float *found = fcl_zalloc((size_t)size * sizeof *found);
    const double *bound = trial_error(b->t, tensor);
    assert_ok(fcl_tensor_read(tensor, found));
    for (int64_t i = 0; i < size; i++)
        if (!(fabs((double)found[i] - expected[i]) <= 2 * bound[i]))
            fail_msg("%s, case %d, %s: element %lld is %.9g, not %.9g to %.2g", kind_names[n->kind], (int)(n - cases), what,
                     (long long)i, (double)found[i], expected[i], 2 * bound[i]);
    free(found);
}

static void check_case(const norm *n, fcl_device *device)
{
    built b;
    build(n, &b);
    trial_fill(b.t);
    numbers k = make_numbers(n, &b);
    evaluate(n, &k);
    assert_ok(fcl_graph_compile(b.t->graph, device, NULL));
    assert_ok(trial_run(b.t));
    trial_evaluate(b.t, 0, 0, NULL, NULL);
    check(n, &b, "value", b.y, k.y);
    check(n, &b, "tangent", b.dy, k.dy);
    check(n, &b, "gradient in x", b.dx[0], k.dx);
    if (b.weight >= 0)
        check(n, &b, "gradient in the weight", b.dx[1 + b.weight], k.dw);
    if (b.bias >= 0)
        check(n, &b, "gradient in the bias", b.dx[1 + b.bias], k.db);
    double *all[] = {k.y, k.dx, k.dy, k.dw, k.db};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
    fcl_params_destroy(&b.params);
    trial_destroy(&b.t);
}

static void layers_are_their_formulas(void **state)
{
    for (int i = 0; i < (trial_tiny() ? TINY_CASES : CASES); i++)
        check_case(&cases[i], *state);
}

/* --- what they declare --- */

static void check_slice(const fcl_params *params, const float *flat, const char *name, int64_t size, float first)
{
    int index = fcl_params_find(params, name);
    assert_int_not_equal(index, -1);
    const fcl_param *slice = fcl_params_at(params, index);
    assert_true(slice->shape.rank == 1 && slice->shape.dim[0] == size && slice->undecayed && !slice->frozen);
    for (int64_t i = 0; i < size; i++)
        assert_true(flat[slice->offset / sizeof(float) + (size_t)i] == first);
}

static void slices_are_named_as_in_pytorch(void **state)
{
    fcl_params *params = fcl_params_create();
    fcl_buffer *buffer = NULL;
    fcl_layer_norm_declare(params, 7, NULL, "a");
    fcl_rms_norm_declare(params, 5, NULL, "blocks.0.b");
    fcl_group_norm_declare(params, 2, 6, NULL, "c");
    fcl_layer_norm_declare(params, 3, &(fcl_norm_options){.no_bias = true}, "d");
    fcl_group_norm_declare(params, 3, 9, &(fcl_norm_options){.no_affine = true}, "e");
    assert_ok(fcl_params_check(params));
    assert_int_equal(fcl_params_count(params), 6);
    size_t bytes = fcl_params_bytes(params);
    float *flat = fcl_zalloc(bytes);
    assert_ok(fcl_buffer_create(*state, bytes, &buffer));
    assert_ok(fcl_params_initialise(params, 1, 1, buffer));
    assert_ok(fcl_buffer_read(buffer, 0, bytes, flat));
    check_slice(params, flat, "a.weight", 7, 1);
    check_slice(params, flat, "a.bias", 7, 0);
    check_slice(params, flat, "blocks.0.b.weight", 5, 1);
    check_slice(params, flat, "c.weight", 6, 1);
    check_slice(params, flat, "c.bias", 6, 0);
    check_slice(params, flat, "d.weight", 3, 1);
    fcl_buffer_destroy(&buffer);
    free(flat);
    fcl_params_destroy(&params);
}

/* --- what does not fit --- */

static void groups_divide_channels(void **state)
{
    static const int groups[] = {5, 0, -2, 64};
    (void)state;
    for (int i = 0; i < 4; i++) {
        char says[64];
        fcl_params *params = fcl_params_create();
        fcl_group_norm_declare(params, groups[i], 32, NULL, "middle.norm");
        snprintf(says, sizeof says, "middle.norm: %d groups of 32 channels", groups[i]);
        assert_status(FCL_ERR_ARGUMENT, fcl_params_check(params));
        assert_told(says);
        fcl_params_destroy(&params);
    }
}

static void widths_are_held_to(void **state)
{
    static const char *const says[] = {"a layer norm of width 6 is built on input 'x' of shape (3, 4)",
                                       "an RMS norm of width 6 is built on input 'x' of shape (3, 4)",
                                       "a group norm of width 6 is built on input 'x' of shape (3, 4)"};
    const fcl_norm_options none = {.no_affine = true};
    for (int i = 0; i < 3; i++) {
        fcl_params *params = fcl_params_create();
        fcl_graph *graph = fcl_graph_create();
        fcl_tensor *x = fcl_input(graph, "x", FCL_F32, FCL_SHAPE(3, 4));
        fcl_output(i == LAYER ? fcl_layer_norm_build(fcl_layer_norm_declare(params, 6, &none, "n"), NULL, x)
                   : i == RMS ? fcl_rms_norm_build(fcl_rms_norm_declare(params, 6, &none, "n"), NULL, x)
                              : fcl_group_norm_build(fcl_group_norm_declare(params, 2, 6, &none, "n"), NULL, x));
        assert_status(FCL_ERR_SHAPE, fcl_graph_compile(graph, *state, NULL));
        assert_told(says[i]);
        fcl_graph_destroy(&graph);
        fcl_params_destroy(&params);
    }
}

int main(void)
{
    trial_seed();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layers_are_their_formulas),
        cmocka_unit_test(slices_are_named_as_in_pytorch),
        cmocka_unit_test(groups_divide_channels),
        cmocka_unit_test(widths_are_held_to),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
