/* Attention of several heads, with its projections. */
#include "nn/layers.h"

#include <math.h>

static int declare_slice(fcl_params *params, fcl_param slice, const char *name, const char *part)
{
    slice.undecayed = slice.shape.rank == 1;
    return fcl_params_add(params, &slice, "%s.%s", name, part);
}

fcl_layer_attention fcl_attention_declare(fcl_params *params, int64_t width, int heads, const fcl_attention_options *options,
                                          const char *name)
{
    const fcl_attention_options how = options ? *options : (fcl_attention_options){0};
    const fcl_param xavier = {.init = FCL_INIT_XAVIER, .scale = 1, .shape = FCL_SHAPE(3 * width, width)};
    fcl_param out = {.init = FCL_INIT_UNIFORM, .scale = (float)(1 / sqrt((double)width)), .shape = FCL_SHAPE(width, width)};
    if (heads < 1 || width % heads)
        fcl_params_mistake(params, "%s: %d heads of a width of %lld; their number divides the width", name, heads,
                           (long long)width);
    if (how.timm)
        out.init = FCL_INIT_XAVIER, out.scale = 1;
    fcl_layer_attention layer = {.in_bias = -1, .out = {.bias = -1}, .width = width, .heads = heads};
    layer.in_weight = declare_slice(params, xavier, name, how.timm ? "qkv.weight" : "in_proj_weight");
    if (!how.no_bias)
        layer.in_bias = declare_slice(params, (fcl_param){.shape = FCL_SHAPE(3 * width)}, name,
                                      how.timm ? "qkv.bias" : "in_proj_bias");
    layer.out.weight = declare_slice(params, out, name, how.timm ? "proj.weight" : "out_proj.weight");
    if (!how.no_bias || how.timm)
        layer.out.bias = declare_slice(params, (fcl_param){.shape = FCL_SHAPE(width)}, name,
                                       how.timm ? "proj.bias" : "out_proj.bias");
    return layer;
}

/* Queries (0), keys (1) or values (2) of x: a third of the rows of weight and bias. */
static fcl_tensor *project(const fcl_layer_attention *layer, fcl_tensor *const *weights, fcl_tensor *x, int third)
{
    int64_t begin = third * layer->width, end = begin + layer->width;
    fcl_tensor *weight = fcl_slice(weights[layer->in_weight], 0, begin, end), *bias = fcl_part(weights, layer->in_bias);
    return fcl_linear(x, weight, bias ? fcl_slice(bias, 0, begin, end) : NULL);
}

fcl_tensor *fcl_attention_build(fcl_layer_attention layer, fcl_tensor *const *weights, const fcl_attention_inputs *in)
{
    fcl_tensor *context = in->context ? in->context : in->x;
    fcl_tensor *q = project(&layer, weights, in->x, 0); /* (B, T, width); of the context (B, S, width) */
    fcl_tensor *k = project(&layer, weights, context, 1), *v = project(&layer, weights, context, 2);
    return fcl_linear_build(layer.out, weights, fcl_attention(q, k, v, layer.heads, in->mask, in->bias));
}
