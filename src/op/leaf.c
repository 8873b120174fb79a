/* Leaves: tensors whose content comes from outside. */
#include "op/op.h"

#include <string.h>

static fcl_shape one_number(fcl_tensor *node)
{
    (void)node;
    return FCL_SCALAR;
}

#define GIVEN .attributes = sizeof(fcl_shape_attributes), .shape = fcl_given_shape
const fcl_op fcl_op_input = {"input", GIVEN, .leaf = FCL_LEAF_MEMORY};
const fcl_op fcl_op_leaf = {"leaf", GIVEN, .leaf = FCL_LEAF_MEMORY};
const fcl_op fcl_op_part = {"part", GIVEN, .part = true};
const fcl_op fcl_op_constant = {"constant", .shape = one_number, .leaf = FCL_LEAF_CONSTANT};
const fcl_op fcl_op_scalar = {"scalar", .shape = one_number, .leaf = FCL_LEAF_SCALAR};

fcl_tensor *fcl_node_part(fcl_tensor *node, int index, fcl_type type, fcl_shape shape)
{
    fcl_tensor *part = fcl_node(node->graph, &fcl_op_part, 1, &node, &(fcl_shape_attributes){shape});
    part->type = type;
    return node->part[index] = part;
}

fcl_tensor *fcl_input(fcl_graph *graph, const char *name, fcl_type type, fcl_shape shape)
{
    fcl_tensor *node = fcl_node(graph, &fcl_op_input, 0, NULL, &(fcl_shape_attributes){shape});
    node->type = type;
    return fcl_name(node, "%s", name);
}

fcl_tensor *fcl_input_filled(fcl_graph *graph, const char *name, fcl_shape shape, const float *values)
{
    size_t bytes = (size_t)fcl_shape_size(shape) * sizeof *values;
    fcl_tensor *node = fcl_input(graph, name, FCL_F32, shape);
    node->content = memcpy(fcl_arena_alloc(&graph->arena, bytes), values, bytes);
    return node;
}

fcl_tensor *fcl_leaf(fcl_graph *graph, const char *name, fcl_type type, fcl_shape shape, fcl_buffer *buffer,
                     size_t offset)
{
    fcl_tensor *node = fcl_node(graph, &fcl_op_leaf, 0, NULL, &(fcl_shape_attributes){shape});
    node->type = type;
    node->bound = buffer;
    node->bound_offset = offset;
    return fcl_name(node, "%s", name);
}

fcl_tensor *fcl_constant(fcl_graph *graph, float value)
{
    fcl_tensor *node = fcl_node(graph, &fcl_op_constant, 0, NULL, NULL);
    node->scalar = value;
    return node;
}

fcl_tensor *fcl_scalar(fcl_graph *graph, const char *name)
{
    return fcl_name(fcl_node(graph, &fcl_op_scalar, 0, NULL, NULL), "%s", name);
}
