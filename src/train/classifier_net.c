/* The classifier's network, and how its pictures are moved. */
#include "train/classifier.h"

#include "base/memory.h"

#include <stdlib.h>

enum { SIDE = 3, FIRST_CHANNELS = 32, MOST_CHANNELS = 128, GROUPS = 8, LARGEST_SIDE = 8, LEAST_STAGES = 3 };

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

void fcl_classifier_declare(fcl_params *params, fcl_shape picture, int classes, fcl_classifier_net *net)
{
    const int64_t *sides = picture.dim + picture.rank - 2;
    *net = (fcl_classifier_net){picture.rank == 3 ? picture.dim[0] : 1, sides[0], sides[1]};
    int64_t height = net->height, width = net->width, in = net->channels, out = FIRST_CHANNELS;
    bool halved = true;
    for (int i = 0; (halved || i < LEAST_STAGES) && i < FCL_CLASSIFIER_STAGES; i++) {
        char name[64];
        fcl_classifier_stage *stage = &net->stage[net->stages++];
        halved = stage->halved = larger(height, width) > LARGEST_SIDE;
        snprintf(name, sizeof name, "stages.%d.conv", i);
        stage->conv =
            fcl_conv2d_declare(params, in, out, SIDE, &(fcl_conv2d_options){.padding = SIDE / 2}, NULL, name);
        snprintf(name, sizeof name, "stages.%d.norm", i);
        stage->norm = fcl_group_norm_declare(params, GROUPS, out, NULL, name);
        height = halved ? (height + 1) / 2 : height;
        width = halved ? (width + 1) / 2 : width;
        in = out;
        out = out < MOST_CHANNELS ? 2 * out : out;
    }
    net->features = fcl_linear_declare(params, height * width * in, FCL_FEATURES, "features");
    net->last = fcl_linear_declare(params, FCL_FEATURES, classes, "last");
}

/* x (B, H, W, C) -> (B, H / 2, W / 2, C), rounded up: an odd side gets zeros behind it. */
static fcl_tensor *halve(fcl_tensor *x)
{
    fcl_shape shape = fcl_tensor_shape(x);
    for (int axis = 1; axis <= 2; axis++)
        if (shape.dim[axis] % 2)
            x = fcl_pad(x, axis, 0, 1);
    return fcl_avg_pool2d(x);
}

fcl_tensor *fcl_classifier_features(const fcl_classifier_net *net, fcl_tensor *const *weights, fcl_tensor *x)
{
    for (int i = 0; i < net->stages; i++) {
        const fcl_classifier_stage *stage = &net->stage[i];
        x = fcl_conv2d_build(stage->conv, weights, x);
        x = fcl_relu(fcl_group_norm_build(stage->norm, weights, x));
        x = stage->halved ? halve(x) : x;
    }
    fcl_shape shape = fcl_tensor_shape(x);
    x = fcl_reshape(x, FCL_SHAPE(shape.dim[0], fcl_shape_size(shape) / shape.dim[0]));
    return fcl_relu(fcl_linear_build(net->features, weights, x));
}

fcl_tensor *fcl_classifier_logits(const fcl_classifier_net *net, fcl_tensor *const *weights,
                                  fcl_tensor *features)
{
    return fcl_linear_build(net->last, weights, features);
}

fcl_tensor *fcl_classifier_turn(const fcl_classifier_net *net, fcl_tensor *x)
{
    int64_t rows = fcl_tensor_shape(x).dim[0];
    x = fcl_reshape(x, FCL_SHAPE(rows, net->channels, net->height, net->width));
    return fcl_permute(x, (const int[]){0, 2, 3, 1});
}

/* --- moving --- */

/* u (B, 1) in (0, 1) -> a whole number from -most to most. */
static fcl_tensor *whole(fcl_tensor *u, int most)
{
    fcl_graph *graph = fcl_tensor_graph(u);
    fcl_tensor *sum = fcl_shift(fcl_scale(u, 0), (float)-most);
    for (int k = 1; k <= 2 * most; k++)
        sum = fcl_add(sum, fcl_greater(u, fcl_constant(graph, (float)k / (float)(2 * most + 1))));
    return sum;
}

static fcl_tensor *places(fcl_graph *graph, fcl_shape shape)
{
    int64_t n = fcl_shape_size(shape);
    float *number = fcl_zalloc((size_t)n * sizeof *number);
    for (int64_t i = 0; i < n; i++)
        number[i] = (float)i;
    fcl_tensor *filled = fcl_input_filled(graph, "places", shape, number);
    free(number);
    return filled;
}

/* (B, n, n): row i has its 1 where the line's number i comes from: i + move (B, 1), kept within the line;
 * from the other end where mirrored (B, 1), which may be NULL, is 1. */
static fcl_tensor *choose(fcl_tensor *move, fcl_tensor *mirrored, int64_t n)
{
    fcl_graph *graph = fcl_tensor_graph(move);
    fcl_shape each = FCL_SHAPE(fcl_tensor_shape(move).dim[0], 1, 1);
    fcl_tensor *to = places(graph, FCL_SHAPE(1, n, 1)), *from = places(graph, FCL_SHAPE(1, 1, n));
    fcl_tensor *at = fcl_clamp(fcl_add(fcl_reshape(move, each), to), 0, (float)(n - 1));
    if (mirrored)
        at = fcl_add(at, fcl_mul(fcl_reshape(mirrored, each), fcl_shift(fcl_scale(at, -2), (float)(n - 1))));
    return fcl_relu(fcl_shift(fcl_neg(fcl_abs(fcl_sub(from, at))), 1));
}

/* Products with such matrices: columns first, while channels are outermost, then rows of all channels. */
fcl_tensor *fcl_classifier_move(const fcl_classifier_net *net, fcl_tensor *x, int shift, bool mirror)
{
    fcl_graph *graph = fcl_tensor_graph(x);
    int64_t rows = fcl_tensor_shape(x).dim[0], height = net->height, width = net->width,
            channels = net->channels;
    fcl_tensor *u = fcl_uniform(graph, FCL_SHAPE(rows, 3), FCL_STREAM_AUGMENT);
    fcl_tensor *mirrored = mirror ? fcl_greater(fcl_slice(u, 1, 2, 3), fcl_constant(graph, 0.5f)) : NULL;
    fcl_tensor *down = choose(whole(fcl_slice(u, 1, 0, 1), shift), NULL, height);
    fcl_tensor *across = choose(whole(fcl_slice(u, 1, 1, 2), shift), mirrored, width);
    x = fcl_matmul(fcl_reshape(x, FCL_SHAPE(rows, channels * height, width)), across, false, true);
    x = fcl_classifier_turn(net, x);
    x = fcl_matmul(down, fcl_reshape(x, FCL_SHAPE(rows, height, width * channels)), false, false);
    return fcl_reshape(x, FCL_SHAPE(rows, height, width, channels));
}
