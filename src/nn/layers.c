#include "nn/layers.h"

#include <math.h>
#include <string.h>

fcl_param fcl_first_weight(const fcl_layer_options *options, int64_t fan_in)
{
    if (options && options->zeros)
        return (fcl_param){.init = FCL_INIT_ZEROS};
    if (options && options->xavier != 0)
        return (fcl_param){.init = FCL_INIT_XAVIER, .scale = options->xavier};
    return (fcl_param){.init = FCL_INIT_UNIFORM, .scale = (float)(1 / sqrt((double)fan_in))};
}

int fcl_declare_bias(fcl_params *params, const fcl_layer_options *options, int64_t fan_in, int64_t out, const char *name)
{
    fcl_param slice = fcl_first_weight(options, fan_in);
    if (options && options->no_bias)
        return -1;
    if (slice.init == FCL_INIT_XAVIER)
        slice.init = FCL_INIT_ZEROS;
    slice.shape = FCL_SHAPE(out);
    slice.undecayed = true;
    return fcl_params_add(params, &slice, "%s.bias", name);
}

/* --- linear --- */

static int declare_weight(fcl_params *params, const fcl_layer_options *options, int64_t in, int64_t out, const char *name)
{
    fcl_param slice = fcl_first_weight(options, in);
    slice.shape = FCL_SHAPE(out, in);
    return fcl_params_add(params, &slice, "%s.weight", name);
}

fcl_layer_linear fcl_linear_declare(fcl_params *params, int64_t in, int64_t out, const char *name)
{
    float bound = (float)(1 / sqrt((double)in));
    fcl_layer_linear layer = {.weight = declare_weight(params, NULL, in, out, name)};
    layer.bias = fcl_params_declare(params, FCL_SHAPE(out), FCL_INIT_UNIFORM, bound, "%s.bias", name);
    return layer;
}

fcl_layer_linear fcl_linear_declare_with(fcl_params *params, int64_t in, int64_t out, const fcl_layer_options *options,
                                         const char *name)
{
    fcl_layer_linear layer = {.weight = declare_weight(params, options, in, out, name)};
    layer.bias = fcl_declare_bias(params, options, in, out, name);
    return layer;
}

fcl_tensor *fcl_linear_build(fcl_layer_linear layer, fcl_tensor *const *weights, fcl_tensor *x)
{
    return fcl_linear(x, weights[layer.weight], fcl_part(weights, layer.bias));
}

/* --- embeddings, and features of time --- */

int fcl_embedding_declare(fcl_params *params, int64_t count, int64_t width, const char *name)
{
    return fcl_params_declare(params, FCL_SHAPE(count, width), FCL_INIT_NORMAL, 1, "%s.weight", name);
}

fcl_tensor *fcl_embedding_build(int layer, fcl_tensor *const *weights, fcl_tensor *label)
{
    return fcl_gather_rows(weights[layer], label, 1, 0);
}

int fcl_fourier_declare(fcl_params *params, int64_t count, float highest, const char *name)
{
    return fcl_params_freeze(params, FCL_SHAPE(count), FCL_INIT_OCTAVES, highest, "%s.frequency", name);
}

fcl_tensor *fcl_fourier_build(int layer, fcl_tensor *const *weights, fcl_tensor *t)
{
    fcl_tensor *angle = fcl_mul(t, weights[layer]); /* (B, 1) by (count) -> (B, count) */
    return fcl_concat(2, (fcl_tensor *[]){fcl_sin(angle), fcl_cos(angle)}, 1);
}

/* --- activations --- */

static const struct {
    const char *name;
    fcl_activation *build;
} activations[] = {
    {"silu", fcl_silu}, {"selu", fcl_selu}, {"gelu", fcl_gelu}, {"relu", fcl_relu}, {"tanh", fcl_tanh},
};

enum { ACTIVATIONS = sizeof activations / sizeof *activations };

const char *fcl_activation_name(int index)
{
    return index >= 0 && index < ACTIVATIONS ? activations[index].name : NULL;
}

fcl_activation *fcl_activation_find(const char *name)
{
    for (int i = 0; i < ACTIVATIONS; i++)
        if (strcmp(activations[i].name, name) == 0)
            return activations[i].build;
    return NULL;
}
