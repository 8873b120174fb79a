/* Dropout. */
#include "nn/layers.h"

fcl_layer_dropout fcl_dropout_declare(fcl_params *params, float rate, const char *name)
{
    if (!(rate >= 0 && rate < 1))
        fcl_params_mistake(params, "%s: a dropout of %g; it is at least 0 and less than 1", name, (double)rate);
    return (fcl_layer_dropout){.rate = rate, .stream = FCL_STREAM_DROPOUT + fcl_params_next_draw(params)};
}

fcl_tensor *fcl_dropout_build(fcl_layer_dropout layer, fcl_tensor *x, bool training)
{
    if (!training || layer.rate == 0)
        return x;
    fcl_graph *graph = fcl_tensor_graph(x);
    fcl_tensor *u = fcl_uniform(graph, fcl_tensor_shape(x), layer.stream);
    fcl_tensor *kept = fcl_greater(u, fcl_constant(graph, layer.rate)); /* 1 or 0 */
    return fcl_mul(x, fcl_scale(kept, 1 / (1 - layer.rate)));
}
