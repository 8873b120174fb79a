/* Layers that normalise: the operation, and slices for its weight and bias. */
#include "nn/layers.h"

#include "graph/graph.h"

#include <float.h>

static int declare_part(fcl_params *params, int64_t size, fcl_init init, const char *name, const char *part)
{
    const fcl_param slice = {.shape = FCL_SHAPE(size), .init = init, .undecayed = true};
    return fcl_params_add(params, &slice, "%s.%s", name, part);
}

static int declare_weight(fcl_params *params, int64_t size, const fcl_norm_options *options, const char *name)
{
    return options->no_affine ? -1 : declare_part(params, size, FCL_INIT_ONES, name, "weight");
}

static int declare_bias(fcl_params *params, int64_t size, const fcl_norm_options *options, const char *name)
{
    return options->no_affine || options->no_bias ? -1 : declare_part(params, size, FCL_INIT_ZEROS, name, "bias");
}

/* With its defaults. */
static fcl_norm_options filled(const fcl_norm_options *options, float epsilon)
{
    fcl_norm_options with = options ? *options : (fcl_norm_options){0};
    with.epsilon = with.epsilon != 0 ? with.epsilon : epsilon;
    return with;
}

/* Without a weight nothing else would hold x to the width. */
static void require_width(fcl_tensor *x, int64_t width, const char *what)
{
    fcl_shape shape = fcl_tensor_shape(x);
    if (shape.rank < 1 || shape.dim[shape.rank - 1] != width)
        fcl_mistake(fcl_tensor_graph(x), "%s norm of width %lld is built on %s of shape %s", what, (long long)width,
                    fcl_node_text(x), fcl_shape_text(fcl_tensor_graph(x), shape));
}

fcl_layer_layer_norm fcl_layer_norm_declare(fcl_params *params, int64_t width, const fcl_norm_options *options,
                                            const char *name)
{
    const fcl_norm_options with = filled(options, 1e-5f);
    fcl_layer_layer_norm layer = {.width = width, .epsilon = with.epsilon};
    layer.weight = declare_weight(params, width, &with, name);
    layer.bias = declare_bias(params, width, &with, name);
    return layer;
}

fcl_tensor *fcl_layer_norm_build(fcl_layer_layer_norm layer, fcl_tensor *const *weights, fcl_tensor *x)
{
    require_width(x, layer.width, "a layer");
    return fcl_layer_norm(x, fcl_part(weights, layer.weight), fcl_part(weights, layer.bias), layer.epsilon);
}

fcl_layer_rms_norm fcl_rms_norm_declare(fcl_params *params, int64_t width, const fcl_norm_options *options,
                                        const char *name)
{
    const fcl_norm_options with = filled(options, FLT_EPSILON);
    return (fcl_layer_rms_norm){
        .weight = declare_weight(params, width, &with, name), .width = width, .epsilon = with.epsilon};
}

fcl_tensor *fcl_rms_norm_build(fcl_layer_rms_norm layer, fcl_tensor *const *weights, fcl_tensor *x)
{
    require_width(x, layer.width, "an RMS");
    return fcl_rms_norm(x, fcl_part(weights, layer.weight), layer.epsilon);
}

fcl_layer_group_norm fcl_group_norm_declare(fcl_params *params, int groups, int64_t channels,
                                            const fcl_norm_options *options, const char *name)
{
    const fcl_norm_options with = filled(options, 1e-5f);
    fcl_layer_group_norm layer = {.groups = groups, .channels = channels, .epsilon = with.epsilon};
    if (groups < 1 || channels % groups)
        fcl_params_mistake(params, "%s: %d groups of %lld channels; their number divides the channels'", name, groups,
                           (long long)channels);
    layer.weight = declare_weight(params, channels, &with, name);
    layer.bias = declare_bias(params, channels, &with, name);
    return layer;
}

fcl_tensor *fcl_group_norm_build(fcl_layer_group_norm layer, fcl_tensor *const *weights, fcl_tensor *x)
{
    require_width(x, layer.channels, "a group");
    return fcl_group_norm(x, fcl_tensor_shape(x).rank - 1, layer.groups, fcl_part(weights, layer.weight),
                          fcl_part(weights, layer.bias), layer.epsilon);
}
