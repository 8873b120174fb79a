/* What a condition does to a block: scale, shift and gate. */
#include "nn/layers.h"

#include "graph/graph.h"

fcl_layer_modulation fcl_modulation_declare(fcl_params *params, int64_t in, int64_t width, int parts, const char *name)
{
    if (parts < 1)
        fcl_params_mistake(params, "%s: a modulation of %d parts; there is at least one", name, parts);
    const fcl_layer_options options = {.zeros = true};
    return (fcl_layer_modulation){.linear = fcl_linear_declare_with(params, in, parts * width, &options, name),
                                  .parts = parts};
}

void fcl_modulation_build(fcl_layer_modulation layer, fcl_tensor *const *weights, fcl_tensor *condition, fcl_tensor **part)
{
    fcl_tensor *all = fcl_linear_build(layer.linear, weights, fcl_silu(condition)); /* (B, parts width) */
    fcl_shape shape = fcl_tensor_shape(all);
    int last = shape.rank - 1;
    int64_t width = shape.dim[last] / layer.parts;
    for (int i = 0; i < layer.parts; i++)
        part[i] = fcl_slice(all, last, i * width, (i + 1) * width);
}

/* (B, width) where x (B, ..., width) has dimensions between: (B, 1, ..., 1, width). */
static fcl_tensor *beside(fcl_tensor *x, fcl_tensor *part)
{
    fcl_shape x_shape = fcl_tensor_shape(x), shape = fcl_tensor_shape(part);
    if (shape.rank != 2 || x_shape.rank < 2 || x_shape.dim[0] != shape.dim[0] ||
        x_shape.dim[x_shape.rank - 1] != shape.dim[1]) {
        fcl_graph *graph = fcl_tensor_graph(x);
        fcl_mistake(graph, "%s of shape %s is modulated by %s of shape %s; these are (B, ..., width) and (B, width)",
                    fcl_node_text(x), fcl_shape_text(graph, x_shape), fcl_node_text(part), fcl_shape_text(graph, shape));
        return part;
    }
    for (int i = 1; i < x_shape.rank - 1; i++)
        x_shape.dim[i] = 1;
    return fcl_reshape(part, x_shape);
}

fcl_tensor *fcl_modulate(fcl_tensor *x, fcl_tensor *shift, fcl_tensor *scale)
{
    return fcl_add(fcl_mul(x, fcl_shift(beside(x, scale), 1)), beside(x, shift));
}

fcl_tensor *fcl_gate(fcl_tensor *x, fcl_tensor *gate)
{
    return fcl_mul(x, beside(x, gate));
}
