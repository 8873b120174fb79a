/* The attention block of U-Nets:
 *
 *     q, k, v = qkv(norm x)
 *     y = x + proj_out attention(q, k, v) */
#include "nn/layers.h"

#include "graph/graph.h"

#include <math.h>
#include <stdio.h>

/* A convolution of 1 x 1 along a line of pixels: a linear layer, but for the shape of its weight. */
static fcl_layer_linear declare_linear(fcl_params *params, int64_t in, int64_t out, bool zeros, const char *name,
                                       const char *part)
{
    const fcl_init init = zeros ? FCL_INIT_ZEROS : FCL_INIT_UNIFORM;
    const float bound = (float)(1 / sqrt((double)in));
    const fcl_param weight = {.shape = FCL_SHAPE(out, in, 1), .init = init, .scale = bound};
    const fcl_param bias = {.shape = FCL_SHAPE(out), .init = init, .scale = bound, .undecayed = true};
    fcl_layer_linear layer = {.weight = fcl_params_add(params, &weight, "%s.%s.weight", name, part)};
    layer.bias = fcl_params_add(params, &bias, "%s.%s.bias", name, part);
    return layer;
}

fcl_layer_attention_block fcl_attention_block_declare(fcl_params *params, int64_t channels, int heads, int groups,
                                                      const char *name)
{
    char norm[256];
    fcl_layer_attention_block layer = {.channels = channels, .heads = heads};
    if (heads < 1 || channels % heads)
        fcl_params_mistake(params, "%s: %d heads of %lld channels; their number divides the channels'", name, heads,
                           (long long)channels);
    snprintf(norm, sizeof norm, "%s.norm", name);
    layer.norm = fcl_group_norm_declare(params, groups ? groups : 32, channels, NULL, norm);
    layer.qkv = declare_linear(params, channels, 3 * channels, false, name, "qkv");
    layer.out = declare_linear(params, channels, channels, true, name, "proj_out");
    return layer;
}

/* Queries (0), keys (1) or values (2) of h (N, H W, channels): each head has rows of all three, one after another. */
static fcl_tensor *project(const fcl_layer_attention_block *layer, fcl_tensor *const *weights, fcl_tensor *h, int which)
{
    int64_t channels = layer->channels, heads = layer->heads, width = channels / heads;
    fcl_tensor *weight = fcl_reshape(weights[layer->qkv.weight], FCL_SHAPE(heads, 3, width, channels));
    fcl_tensor *bias = fcl_reshape(weights[layer->qkv.bias], FCL_SHAPE(heads, 3, width));
    weight = fcl_reshape(fcl_slice(weight, 1, which, which + 1), FCL_SHAPE(channels, channels));
    return fcl_linear(h, weight, fcl_reshape(fcl_slice(bias, 1, which, which + 1), FCL_SHAPE(channels)));
}

fcl_tensor *fcl_attention_block_build(fcl_layer_attention_block layer, fcl_tensor *const *weights, fcl_tensor *x)
{
    fcl_graph *graph = fcl_tensor_graph(x);
    fcl_shape shape = fcl_tensor_shape(x);
    int64_t channels = layer.channels;
    fcl_block_begin(graph);
    fcl_tensor *h = fcl_group_norm_build(layer.norm, weights, x);
    if (shape.rank == 4)
        h = fcl_reshape(h, FCL_SHAPE(shape.dim[0], shape.dim[1] * shape.dim[2], shape.dim[3]));
    else
        fcl_mistake(graph, "an attention block is built on %s of shape %s; it takes (images, height, width, channels)",
                    fcl_node_text(x), fcl_shape_text(graph, shape));
    fcl_tensor *q = project(&layer, weights, h, 0), *k = project(&layer, weights, h, 1), *v = project(&layer, weights, h, 2);
    fcl_tensor *weight = fcl_reshape(weights[layer.out.weight], FCL_SHAPE(channels, channels));
    h = fcl_linear(fcl_attention(q, k, v, layer.heads, NULL, NULL), weight, weights[layer.out.bias]);
    h = fcl_add(x, fcl_reshape(h, shape));
    fcl_block_end(graph);
    return h;
}
