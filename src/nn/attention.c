/* Attention of several heads, with its projections. */
#include "nn/layers.h"

#include <math.h>
#include <stdio.h>

static int declare_slice(fcl_params *params, fcl_param slice, const char *name, const char *part)
{
    slice.undecayed = slice.shape.rank == 1;
    return fcl_params_add(params, &slice, "%s.%s", name, part);
}

/* An RMS norm's is kept in a layer norm's place, without a bias. */
static void declare_norms(fcl_params *params, fcl_layer_attention *layer, float epsilon, const char *name)
{
    static const char *const parts[] = {"q_norm", "k_norm"};
    const fcl_norm_options how = {.epsilon = epsilon};
    int64_t head = layer->heads > 0 ? layer->width / layer->heads : 1;
    for (int i = 0; i < 2 && layer->qk_norm; i++) {
        char part[256];
        snprintf(part, sizeof part, "%s.%s", name, parts[i]);
        if (layer->qk_norm == FCL_QK_NORM_LAYER) {
            layer->norm[i] = fcl_layer_norm_declare(params, head, &how, part);
            continue;
        }
        fcl_layer_rms_norm rms = fcl_rms_norm_declare(params, head, &how, part);
        layer->norm[i] = (fcl_layer_layer_norm){rms.weight, -1, rms.width, rms.epsilon};
    }
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
    layer.qk_norm = how.qk_norm;
    declare_norms(params, &layer, how.epsilon, name);
    return layer;
}

/* Queries (0), keys (1) or values (2) of x: a third of the rows of weight and bias. */
static fcl_tensor *project(const fcl_layer_attention *layer, fcl_tensor *const *weights, fcl_tensor *x, int third)
{
    int64_t begin = third * layer->width, end = begin + layer->width;
    fcl_tensor *weight = fcl_slice(weights[layer->in_weight], 0, begin, end), *bias = fcl_part(weights, layer->in_bias);
    return fcl_linear(x, weight, bias ? fcl_slice(bias, 0, begin, end) : NULL);
}

/* x (B, T, width), of each head by itself. */
static fcl_tensor *normalise_heads(const fcl_layer_attention *layer, fcl_tensor *const *weights, fcl_tensor *x, int which)
{
    const fcl_layer_layer_norm *norm = &layer->norm[which];
    fcl_shape shape = fcl_tensor_shape(x);
    if (layer->qk_norm == FCL_QK_NORM_NONE || shape.rank != 3)
        return x;
    fcl_tensor *h = fcl_reshape(x, FCL_SHAPE(shape.dim[0], shape.dim[1], layer->heads, norm->width));
    h = layer->qk_norm == FCL_QK_NORM_RMS ? fcl_rms_norm(h, weights[norm->weight], norm->epsilon)
                                          : fcl_layer_norm_build(*norm, weights, h);
    return fcl_reshape(h, shape);
}

fcl_tensor *fcl_attention_build(fcl_layer_attention layer, fcl_tensor *const *weights, const fcl_attention_inputs *in)
{
    fcl_tensor *context = in->context ? in->context : in->x;
    fcl_tensor *q = project(&layer, weights, in->x, 0); /* (B, T, width); of the context (B, S, width) */
    fcl_tensor *k = project(&layer, weights, context, 1), *v = project(&layer, weights, context, 2);
    q = normalise_heads(&layer, weights, q, 0);
    k = normalise_heads(&layer, weights, k, 1);
    return fcl_linear_build(layer.out, weights, fcl_attention(q, k, v, layer.heads, in->mask, in->bias));
}
