/* Convolutions as layers. */
#include "nn/layers.h"

#include <string.h>

/* What the operation would say of each use is said once, of the layer. */
static void check_sizes(fcl_params *params, int side, const fcl_conv2d_options *how, const char *name)
{
    if (side < 1 || side % 2 == 0)
        fcl_params_mistake(params, "%s: a kernel of %d x %d; its side is odd", name, side, side);
    if (how->stride < 0 || how->stride > 2)
        fcl_params_mistake(params, "%s: a stride of %d; it is 1 or 2", name, how->stride);
    if (how->padding < 0 || how->padding >= side)
        fcl_params_mistake(params, "%s: a padding of %d for a kernel of %d x %d; it is 0 to %d", name, how->padding, side,
                           side, side - 1);
}

fcl_layer_conv2d fcl_conv2d_declare(fcl_params *params, int64_t in, int64_t out, int side, const fcl_conv2d_options *how,
                                    const fcl_layer_options *options, const char *name)
{
    fcl_layer_conv2d layer = {.how = how ? *how : (fcl_conv2d_options){0}};
    int64_t fan_in = in * side * side;
    check_sizes(params, side, &layer.how, name);
    fcl_param weight = fcl_first_weight(options, fan_in);
    weight.shape = FCL_SHAPE(side, side, in, out);
    memcpy(weight.order, (const int[]){2, 3, 1, 0}, 4 * sizeof(int)); /* (out, in, side, side) in its file */
    layer.weight = fcl_params_add(params, &weight, "%s.weight", name);
    layer.bias = fcl_declare_bias(params, options, fan_in, out, name);
    return layer;
}

fcl_tensor *fcl_conv2d_build(fcl_layer_conv2d layer, fcl_tensor *const *weights, fcl_tensor *x)
{
    fcl_tensor *y = fcl_conv2d(x, weights[layer.weight], &layer.how);
    return layer.bias < 0 ? y : fcl_add(y, weights[layer.bias]);
}
