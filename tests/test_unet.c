/* A whole U-Net: how many kernels a step of its training compiles. */
#include "device.h"
#include "device/traits.h"

#include <flowcl/flowcl.h>

#include <stdio.h>

enum { SIZE = 32, COLOURS = 3, CHANNELS = 32, EMBEDDING = 64, LEVELS = 3, BLOCKS = 2, MOST = 32 };

/* Residual blocks down, in the middle and up, each on the way up with what the way down left at its place. */
typedef struct unet {
    fcl_layer_conv2d first, last;
    fcl_layer_linear time;
    fcl_layer_residual block[MOST];
    int channels[MOST]; /* what block i reads from the way down; 0: nothing */
    bool keeps[MOST];   /* for the way up */
    int blocks;
    fcl_layer_group_norm norm;
} unet;

static int add_block(unet *u, fcl_params *params, int in, int beside, int out, fcl_resample resample, bool keeps)
{
    char name[16];
    snprintf(name, sizeof name, "block.%d", u->blocks);
    const fcl_residual_options how = {.out = out, .embedding = EMBEDDING, .groups = 8, .resample = resample};
    u->block[u->blocks] = fcl_residual_declare(params, in + beside, &how, name);
    u->channels[u->blocks] = beside;
    u->keeps[u->blocks++] = keeps;
    return out;
}

static unet declare(fcl_params *params)
{
    static const int width[LEVELS] = {CHANNELS, 2 * CHANNELS, 2 * CHANNELS};
    const fcl_conv2d_options same = {.padding = 1};
    unet u = {.first = fcl_conv2d_declare(params, COLOURS, CHANNELS, 3, &same, NULL, "first"),
              .time = fcl_linear_declare(params, 1, EMBEDDING, "time")};
    int kept[MOST] = {CHANNELS}, keeps = 1, c = CHANNELS;
    for (int l = 0; l < LEVELS; l++)
        for (int i = 0; i <= BLOCKS && (i < BLOCKS || l + 1 < LEVELS); i++)
            kept[keeps++] = c = add_block(&u, params, c, 0, width[l], i < BLOCKS ? FCL_RESAMPLE_NONE : FCL_RESAMPLE_DOWN, true);
    c = add_block(&u, params, c, 0, c, FCL_RESAMPLE_NONE, false);
    for (int l = LEVELS - 1; l >= 0; l--) {
        for (int i = 0; i <= BLOCKS; i++)
            c = add_block(&u, params, c, kept[--keeps], width[l], FCL_RESAMPLE_NONE, false);
        if (l)
            c = add_block(&u, params, c, 0, c, FCL_RESAMPLE_UP, false);
    }
    u.norm = fcl_group_norm_declare(params, 8, c, NULL, "norm");
    u.last = fcl_conv2d_declare(params, c, COLOURS, 3, &same, NULL, "last");
    return u;
}

static fcl_tensor *build(const unet *u, fcl_tensor *const *w, fcl_tensor *x, fcl_tensor *t)
{
    fcl_tensor *time = fcl_linear_build(u->time, w, t), *h = fcl_conv2d_build(u->first, w, x), *kept[MOST] = {h};
    int keeps = 1;
    for (int i = 0; i < u->blocks; i++) {
        if (u->channels[i])
            h = fcl_concat(2, (fcl_tensor *[]){h, kept[--keeps]}, 3);
        h = fcl_residual_build(u->block[i], w, h, time, true);
        if (u->keeps[i])
            kept[keeps++] = h;
    }
    return fcl_conv2d_build(u->last, w, fcl_silu(fcl_group_norm_build(u->norm, w, h)));
}

static void a_step_has_few_kernels(void **state)
{
    if (!fcl_device_traits(*state).wide)
        skip();
    const int units = fcl_device_traits(*state).units, batch = units > 2 ? units : 2; /* a norm's images: one a unit at least */
    for (int recompute = 0; recompute < 2; recompute++) {
        fcl_params *params = fcl_params_create();
        fcl_learner *learner;
        unet u = declare(params);
        assert_ok(fcl_learner_create(*state, params, NULL, &learner));
        fcl_graph *graph = fcl_graph_create();
        fcl_graph_recompute(graph, recompute);
        fcl_tensor *const *w = fcl_learner_bind(learner, graph);
        fcl_tensor *x = fcl_input(graph, "x", FCL_F32, FCL_SHAPE(batch, SIZE, SIZE, COLOURS));
        fcl_tensor *wanted = fcl_input(graph, "wanted", FCL_F32, FCL_SHAPE(batch, SIZE, SIZE, COLOURS));
        fcl_tensor *t = fcl_input(graph, "t", FCL_F32, FCL_SHAPE(batch, 1));
        fcl_learner_minimise(learner, w, fcl_mean_squared_error(build(&u, w, x, t), wanted));
        assert_ok(fcl_graph_compile(graph, *state, NULL));
        assert_in_range(fcl_graph_describe(graph).kernels, 1, 60);
        fcl_graph_destroy(&graph);
        fcl_learner_destroy(&learner);
        fcl_params_destroy(&params);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_step_has_few_kernels)};
    return cmocka_run_group_tests(tests, open_device, close_device);
}
