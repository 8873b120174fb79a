/* The largest element over axes, and where it stands. A NaN is larger than any number. */
#include "op/op.h"

/* A group a result: its work-items share what it is the largest of where that lies together. */
static fcl_launch *lower_maximum(fcl_lowering *lowering, fcl_tensor *node, const char *kernel)
{
    fcl_extents e = fcl_reduced_extents(node);
    fcl_launch *launch = fcl_lower_kernel(lowering, node, kernel);
    fcl_launch_buffer(launch, 0, node->input[0]->buffer);
    fcl_launch_buffer(launch, 1, node->buffer);
    fcl_launch_int(launch, 2, (int)e.reduced);
    fcl_launch_int(launch, 3, (int)e.inner);
    size_t group = e.inner == 1 ? fcl_device_traits(fcl_lower_device(lowering)).group : 1;
    fcl_launch_groups(launch, (size_t)(e.outer * e.inner), group);
    return launch;
}

/* --- max_axes --- */

fcl_tensor *fcl_max_axes(fcl_tensor *a, unsigned axes)
{
    return fcl_reduce(&fcl_op_max_axes, a, axes);
}

static int max_lower(fcl_lowering *lowering, fcl_tensor *node)
{
    lower_maximum(lowering, node, "max_axes");
    return FCL_OK;
}

/* 1 / n where n elements are the largest, 0 elsewhere. */
static fcl_tensor *shares(fcl_tensor *node)
{
    fcl_tensor *less = fcl_greater(node, node->input[0]);
    fcl_tensor *largest = fcl_shift(fcl_neg(less), 1);
    return fcl_div(largest, fcl_sum_axes(largest, fcl_reduced_axes(node)));
}

static void max_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    du[0] = fcl_mul(shares(node), u);
}

static fcl_tensor *max_tangent(fcl_tensor *node, fcl_shape lead, fcl_tensor *const *dx)
{
    return fcl_sum_axes(fcl_mul(shares(node), dx[0]), fcl_reduced_axes(node) << lead.rank);
}

const fcl_op fcl_op_max_axes = {"max_axes",
                                sizeof(fcl_reduction_attributes),
                                fcl_reduced_shape,
                                .lower = max_lower,
                                .adjoint = max_adjoint,
                                .tangent = FCL_OWN_TANGENT,
                                .own_tangent = max_tangent,
                                .reduction = FCL_MAX};

/* --- arg_max --- */

fcl_tensor *fcl_arg_max(fcl_tensor *a, int axis)
{
    if (axis < 0 || axis >= a->shape.rank) {
        fcl_mistake(a->graph, "arg_max of %s: axis %d of shape %s", fcl_node_text(a), axis,
                    fcl_shape_text(a->graph, a->shape));
        axis = 0;
    }
    fcl_tensor *node = fcl_node(a->graph, &fcl_op_arg_max, 1, &a, &(fcl_reduction_attributes){1u << axis});
    node->type = FCL_I32;
    return node;
}

static int arg_max_lower(fcl_lowering *lowering, fcl_tensor *node)
{
    lower_maximum(lowering, node, "arg_max");
    return FCL_OK;
}

const fcl_op fcl_op_arg_max = {"arg_max", sizeof(fcl_reduction_attributes), fcl_reduced_shape,
                               .lower = arg_max_lower};
