/* Row programs with columns: images that are normalised, modulated and summed over their pixels in random
 * orders, with operands broadcast in every way, against the reference; and in how few launches that is. */
#include "device.h"
#include "trial.h"

#include <stdio.h>

/* Images (N, H, W, C), and tensors that fit them elementwise. */
enum { MOST_OPERANDS = 12 };

typedef struct images {
    trial *t;
    fcl_shape shape;
    fcl_tensor *operand[MOST_OPERANDS];
    int operands;
} images;

/* As many images as the device has units: fewer are not computed row by row. */
static fcl_shape random_shape(const fcl_device *device)
{
    int units = fcl_device_traits(device).units, least = units > 2 ? units : 2;
    if (trial_tiny())
        return FCL_SHAPE(least, 2, trial_int(1, 2), trial_int(16, 18));
    return FCL_SHAPE(trial_int(least, least + 3), trial_int(1, 6), trial_int(2, 7),
                     trial_int(0, 4) ? trial_int(16, 70) : trial_int(128, 150));
}

static void make_operands(images *m)
{
    const int64_t n = m->shape.dim[0], h = m->shape.dim[1], w = m->shape.dim[2], c = m->shape.dim[3];
    const fcl_shape shapes[] = {
        FCL_SHAPE(c),          FCL_SHAPE(n, 1, 1, c), FCL_SHAPE(n, 1, 1, 1), FCL_SHAPE(h, w, 1),
        FCL_SHAPE(h, w, c),    FCL_SHAPE(n, h, w, 1), FCL_SHAPE(n, h, w, c), FCL_SCALAR,
        FCL_SHAPE(n, 1, w, c), FCL_SHAPE(h, 1, c),    FCL_SHAPE(1, 1, 1, c), FCL_SHAPE(n, h, 1, 1)};
    for (int i = 0; i < MOST_OPERANDS; i++)
        m->operand[m->operands++] = trial_input(m->t, shapes[i], SMOOTH, 0);
}

static fcl_tensor *any_operand(const images *m)
{
    return m->operand[trial_int(0, m->operands - 1)];
}

static int random_divisor(int64_t of)
{
    int divisor = trial_int(1, (int)of);
    while (of % divisor)
        divisor--;
    return divisor;
}

static fcl_tensor *normalised(const images *m, fcl_tensor *x)
{
    fcl_tensor *weight = trial_int(0, 1) ? m->operand[0] : NULL,
               *bias = trial_int(0, 1) ? m->operand[0] : NULL;
    return fcl_group_norm(x, 3, random_divisor(m->shape.dim[3]), weight, bias, 0.5f);
}

static fcl_tensor *softmax_over_pixels(const images *m, fcl_tensor *x)
{
    const int64_t pixels = m->shape.dim[1] * m->shape.dim[2];
    fcl_tensor *y = fcl_softmax(fcl_reshape(x, FCL_SHAPE(m->shape.dim[0], pixels, m->shape.dim[3])), 1);
    return fcl_reshape(fcl_scale(y, (float)pixels), m->shape);
}

/* By groups of columns, whose largest mean over the pixels is a gate. */
static fcl_tensor *gated(const images *m, fcl_tensor *x)
{
    const int64_t pixels = m->shape.dim[1] * m->shape.dim[2], channels = m->shape.dim[3];
    const int groups = random_divisor(channels);
    fcl_tensor *mean = fcl_scale(fcl_sum_axes(x, 1u << 1 | 1u << 2), 1 / (float)pixels);
    fcl_tensor *parts = fcl_reshape(mean, FCL_SHAPE(m->shape.dim[0], groups, channels / groups));
    fcl_tensor *gate =
        fcl_sigmoid(trial_int(0, 1) ? fcl_max_axes(parts, 1u << 2) : fcl_sum_axes(parts, 1u << 2));
    if (trial_int(0, 1))
        gate = fcl_sub(gate, fcl_scale(fcl_sum_axes(gate, 1u << 1), 0.5f / (float)groups));
    fcl_tensor *each = fcl_reshape(fcl_expand(gate, parts->shape), mean->shape);
    return fcl_mul(x, each);
}

static fcl_tensor *random_step(const images *m, fcl_tensor *x)
{
    static fcl_tensor *(*const unary[])(fcl_tensor *) = {fcl_tanh, fcl_silu, fcl_sigmoid,
                                                         fcl_gelu, fcl_sin,  fcl_abs};
    switch (trial_int(0, 7)) {
    case 0:
        return fcl_mul(x, fcl_tanh(any_operand(m)));
    case 1:
        return fcl_scale(fcl_add(x, any_operand(m)), 0.5f);
    case 2:
        return unary[trial_int(0, 5)](x);
    case 3:
        return softmax_over_pixels(m, x);
    case 4:
        return fcl_sub(x, fcl_max_axes(x, 1u << 1 | 1u << 2));
    case 5:
        return gated(m, x);
    default:
        return normalised(m, x);
    }
}

static void images_agree_with_the_reference(void **state)
{
    for (int round = 0; round < (trial_tiny() ? 2 : 6); round++) {
        images m = {.t = trial_create(), .shape = random_shape(*state)};
        make_operands(&m);
        fcl_tensor *y = trial_input(m.t, m.shape, SMOOTH, 0), *x[3] = {y, any_operand(&m), m.operand[1]},
                   *dx[3];
        for (int i = trial_int(1, trial_tiny() ? 2 : 5); i > 0; i--)
            y = random_step(&m, y);
        fcl_tensor *output[7] = {y, fcl_sum_axes(fcl_sin(y), 1u << 1 | 1u << 2), fcl_sum_axes(y, 7),
                                 fcl_max_axes(y, 1u << 1 | 1u << 2)};
        fcl_vjp(y, trial_input(m.t, m.shape, SMOOTH, 0), 3, x, dx);
        for (int i = 0; i < 3; i++)
            output[4 + i] = dx[i];
        for (int i = 0; i < 7; i++)
            fcl_output(output[i]);
        trial_fill(m.t);
        if (fcl_graph_compile(m.t->graph, *state, NULL) != FCL_OK || trial_run(m.t) != FCL_OK)
            fail_msg("%s", fcl_error());
        trial_evaluate(m.t, 0, 0, NULL, NULL);
        for (int i = 0; i < 7; i++)
            if (!trial_agrees(m.t, output[i], "output"))
                fail_msg("round %d: output %d of images %s", round, i, fcl_shape_text(m.t->graph, m.shape));
        trial_destroy(&m.t);
    }
}

/* --- launches --- */

typedef struct layer {
    const char *what;
    fcl_shape shape;
    int groups;
} layer;

static fcl_graph_stats build_layers(fcl_device *device, const layer *l, bool both)
{
    fcl_graph *graph = fcl_graph_create();
    const fcl_shape c = FCL_SHAPE(l->shape.dim[3]);
    fcl_tensor *x[3] = {fcl_input(graph, "x", FCL_F32, l->shape), fcl_input(graph, "w", FCL_F32, c),
                        fcl_input(graph, "b", FCL_F32, c)};
    fcl_tensor *y = fcl_output(fcl_silu(fcl_group_norm(x[0], 3, l->groups, x[1], x[2], 1e-5f))), *dx[3];
    if (both)
        fcl_vjp(y, fcl_input(graph, "u", FCL_F32, l->shape), 3, x, dx);
    for (int i = 0; i < 3 && both; i++)
        fcl_output(dx[i]);
    if (fcl_graph_compile(graph, device, NULL) != FCL_OK)
        fail_msg("%s", fcl_error());
    fcl_graph_stats stats = fcl_graph_describe(graph);
    fcl_graph_destroy(&graph);
    return stats;
}

/* The value in one launch; with its gradients a second one adds what the weights' are left in. */
static void norms_of_images_are_a_launch(void **state)
{
    static const layer all[] = {{"of four channels each", {4, {64, 6, 7, 32}}, 8},
                                {"of one channel each", {4, {64, 3, 3, 32}}, 32},
                                {"of half the channels", {4, {64, 5, 5, 41 * 2}}, 2}};
    if (!fcl_device_traits(*state).wide || fcl_device_traits(*state).units > 64)
        skip();
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        for (int both = 0; both < 2; both++) {
            fcl_graph_stats stats = build_layers(*state, &all[i], both);
            if (stats.launches > 1 + both)
                fail_msg("groups %s%s: %d launches", all[i].what, both ? ", with gradients" : "",
                         stats.launches);
        }
}

/* Images of other sizes, and of other numbers of channels in as many groups. */
static void sizes_share_a_kernel(void **state)
{
    static const fcl_shape shapes[] = {
        {4, {64, 6, 7, 32}}, {4, {64, 3, 5, 32}}, {4, {64, 8, 8, 64}}, {4, {64, 64, 64, 16}}};
    if (!fcl_device_traits(*state).wide || fcl_device_traits(*state).units > 64)
        skip();
    fcl_graph *graph = fcl_graph_create();
    for (int i = 0; i < 4; i++) {
        char name[8];
        snprintf(name, sizeof name, "x%d", i);
        fcl_output(fcl_group_norm(fcl_input(graph, name, FCL_F32, shapes[i]), 3, 4, NULL, NULL, 1e-5f));
    }
    assert_ok(fcl_graph_compile(graph, *state, NULL));
    fcl_graph_stats stats = fcl_graph_describe(graph);
    assert_int_equal(stats.launches, 4);
    assert_int_equal(stats.kernels, 1);
    fcl_graph_destroy(&graph);
}

int main(void)
{
    trial_seed();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(images_agree_with_the_reference),
        cmocka_unit_test(norms_of_images_are_a_launch),
        cmocka_unit_test(sizes_share_a_kernel),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
