/* Functions given by a table. Inputs: table (N, C), x (B, 1). */
#include "op/op.h"

fcl_tensor *fcl_interpolate(fcl_tensor *table, fcl_tensor *x)
{
    return fcl_node(table->graph, &fcl_op_interpolate, 2, (fcl_tensor *[]){table, x}, NULL);
}

static fcl_shape interpolate_shape(fcl_tensor *node)
{
    fcl_shape table = node->input[0]->shape, x = node->input[1]->shape;
    fcl_require_type(node, 0, FCL_F32);
    fcl_require_type(node, 1, FCL_F32);
    if (table.rank == 2 && table.dim[0] >= 2 && x.rank == 2 && x.dim[1] == 1)
        return FCL_SHAPE(x.dim[0], table.dim[1]);
    fcl_mistake(node->graph, "%s: a table %s at %s; it takes (N, C) with N from 2 on, and (B, 1)",
                fcl_node_text(node), fcl_shape_text(node->graph, table), fcl_shape_text(node->graph, x));
    return FCL_SHAPE(1, 1);
}

static int interpolate_lower(fcl_lowering *lowering, fcl_tensor *node)
{
    fcl_launch *launch = fcl_lower_kernel(lowering, node, "interpolate");
    fcl_launch_buffer(launch, 0, node->input[0]->buffer);
    fcl_launch_buffer(launch, 1, node->input[1]->buffer);
    fcl_launch_int(launch, 2, (int)node->input[0]->shape.dim[0]);
    fcl_launch_int(launch, 3, (int)node->shape.dim[1]);
    fcl_launch_int(launch, 4, (int)node->shape.dim[0]);
    fcl_launch_buffer(launch, 5, node->buffer);
    fcl_lower_grid(launch, node->shape.dim[1], node->shape.dim[0]);
    return FCL_OK;
}

const fcl_op fcl_op_interpolate = {"interpolate", .shape = interpolate_shape, .lower = interpolate_lower};
