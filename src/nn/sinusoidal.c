/* Sinusoidal features of time. */
#include "nn/layers.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>

fcl_layer_sinusoidal fcl_sinusoidal_declare(fcl_params *params, int64_t width, const fcl_sinusoidal_options *options,
                                            const char *name)
{
    fcl_layer_sinusoidal layer = {.width = width, .how = options ? *options : (fcl_sinusoidal_options){0}};
    layer.how.scale = layer.how.scale != 0 ? layer.how.scale : 1;
    layer.how.period = layer.how.period != 0 ? layer.how.period : 10000;
    int64_t least = layer.how.ddpm ? 4 : 2;
    if (width < least)
        fcl_params_mistake(params, "%s: %lld features of time; there are at least %lld", name, (long long)width,
                           (long long)least);
    if (!(layer.how.period > 0))
        fcl_params_mistake(params, "%s: a longest period of %g; it is above 0", name, (double)layer.how.period);
    return layer;
}

/* (half), of t times its scale. */
static fcl_tensor *frequencies(fcl_graph *graph, const fcl_layer_sinusoidal *layer, int64_t half)
{
    float *w = fcl_zalloc((size_t)half * sizeof *w);
    double last = (double)(layer->how.ddpm ? half - 1 : half);
    for (int64_t i = 0; i < half; i++)
        w[i] = (float)exp(-log((double)layer->how.period) * (double)i / last);
    fcl_tensor *filled = fcl_input_filled(graph, "frequencies", FCL_SHAPE(half), w);
    free(w);
    return filled;
}

fcl_tensor *fcl_sinusoidal_build(fcl_layer_sinusoidal layer, fcl_tensor *t)
{
    int64_t half = layer.width / 2;
    fcl_tensor *w = frequencies(fcl_tensor_graph(t), &layer, half);
    fcl_tensor *angle = fcl_mul(fcl_scale(t, layer.how.scale), w); /* (B, 1) by (half) -> (B, half) */
    fcl_tensor *s = fcl_sin(angle), *c = fcl_cos(angle);
    fcl_tensor *both = fcl_concat(2, layer.how.ddpm ? (fcl_tensor *[]){s, c} : (fcl_tensor *[]){c, s}, 1);
    return fcl_pad(both, 1, 0, layer.width % 2);
}
