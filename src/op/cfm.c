/* The loss with its gradient. Rows are samples. */
#include "op/op.h"

/* Checks (B, D) and that the inputs `first` .. `last` have the same shape. */
static bool same_rows(fcl_tensor *node, int first, int last)
{
    fcl_shape shape = node->input[first]->shape;
    for (int i = first; i <= last; i++) {
        fcl_require_type(node, i, FCL_F32);
        if (shape.rank == 2 && fcl_shape_equal(shape, node->input[i]->shape))
            continue;
        fcl_mistake(node->graph, "%s: %s has shape %s, %s has %s; it takes rows (B, D) of one shape",
                    fcl_node_text(node), fcl_node_text(node->input[first]),
                    fcl_shape_text(node->graph, shape), fcl_node_text(node->input[i]),
                    fcl_shape_text(node->graph, node->input[i]->shape));
        return false;
    }
    return true;
}

/* Checks that an input holds one number a sample of (B, D). */
static void one_a_row(fcl_tensor *node, int input, fcl_shape rows)
{
    fcl_shape shape = node->input[input]->shape;
    fcl_require_type(node, input, FCL_F32);
    if (rows.rank == 2 && !fcl_shape_equal(shape, FCL_SHAPE(rows.dim[0], 1)))
        fcl_mistake(node->graph, "%s: %s has shape %s beside rows %s; it takes (B, 1)", fcl_node_text(node),
                    fcl_node_text(node->input[input]), fcl_shape_text(node->graph, shape),
                    fcl_shape_text(node->graph, rows));
}

/* --- the loss: inputs v, u --- */

fcl_tensor *fcl_cfm_loss(fcl_tensor *v, fcl_tensor *u)
{
    fcl_tensor *inputs[] = {v, u};
    return fcl_node(v->graph, &fcl_op_cfm_loss, 2, inputs, NULL);
}

static fcl_shape loss_shape(fcl_tensor *node)
{
    return FCL_SHAPE(same_rows(node, 0, 1) ? node->input[0]->shape.dim[0] : 1, 1);
}

static int loss_lower(fcl_lowering *lowering, fcl_tensor *node)
{
    fcl_shape shape = node->input[0]->shape;
    size_t group = fcl_device_traits(fcl_lower_device(lowering)).group;
    fcl_launch *launch = fcl_lower_kernel(lowering, node, "cfm_loss");
    fcl_launch_buffer(launch, 0, node->input[0]->buffer);
    fcl_launch_buffer(launch, 1, node->input[1]->buffer);
    fcl_launch_int(launch, 2, (int)shape.dim[1]);
    fcl_launch_buffer(launch, 3, node->buffer);
    fcl_launch_int(launch, 4, fcl_lower_vector(lowering, node, shape.dim[1]));
    fcl_launch_groups(launch, (size_t)shape.dim[0], group);
    return FCL_OK;
}

/* g * 2 (v - u) / D: v, u (B, D), g (B, 1) -> (B, D) */
static fcl_tensor *loss_grad(fcl_tensor *v, fcl_tensor *u, fcl_tensor *g)
{
    fcl_tensor *inputs[] = {v, u, g};
    return fcl_node(v->graph, &fcl_op_cfm_loss_grad, 3, inputs, NULL);
}

static void loss_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    du[0] = loss_grad(node->input[0], node->input[1], u);
    du[1] = fcl_neg(du[0]);
}

/* a - b where NULL is zero; not both are. */
static fcl_tensor *difference(fcl_tensor *a, fcl_tensor *b)
{
    if (!a)
        return fcl_neg(b);
    return b ? fcl_sub(a, b) : a;
}

/* scale/D * sum over D of (v - u) * w: (B, 1), and w's leading dimensions before */
static fcl_tensor *error_dot(fcl_tensor *v, fcl_tensor *u, fcl_tensor *w)
{
    float scale = (float)(2.0 / (double)v->shape.dim[1]);
    fcl_tensor *product = fcl_mul(fcl_sub(v, u), w);
    return fcl_scale(fcl_sum_axes(product, 1u << (product->shape.rank - 1)), scale);
}

static fcl_tensor *loss_tangent(fcl_tensor *node, fcl_shape lead, fcl_tensor *const *dx)
{
    (void)lead;
    if (!dx[0] && !dx[1])
        return NULL;
    return error_dot(node->input[0], node->input[1], difference(dx[0], dx[1]));
}

/* A longer row is for a work-group. */
static bool is_short_row(const fcl_tensor *node)
{
    return node->input[0]->shape.dim[1] <= 32;
}

static void write_loss(fcl_element_writer *w, fcl_tensor *node)
{
    int d = (int)node->input[0]->shape.dim[1];
    int v = fcl_element_memory(w, node->input[0]), u = fcl_element_memory(w, node->input[1]);
    fcl_text_format(fcl_element_text(w), "element_cfm_loss(x%d + i * %d, x%d + i * %d, %d)", v, d, u, d, d);
}

static void write_loss_rows(fcl_row_writer *w, fcl_tensor *node)
{
    int columns = (int)node->input[0]->shape.dim[1];
    fcl_text_format(
        fcl_row_text_of(w),
        "    UNROLLED for (int s = 0; s < BLOCK_VECTORS; s++) {\n        real sum = 0;\n"
        "        for (int c = 0; c < %d; c++) {\n"
        "            const real error = tile[(%d + c) * BLOCK_VECTORS + s] - tile[(%d + c) * BLOCK_VECTORS "
        "+ s];\n            sum += error * error;\n        }\n"
        "        tile[%d * BLOCK_VECTORS + s] = sum / (real)(%d.0f);\n    }\n",
        columns, fcl_row_place(w, node->input[0]), fcl_row_place(w, node->input[1]), fcl_row_place(w, node),
        columns);
}

const fcl_op fcl_op_cfm_loss = {"cfm_loss",
                                .shape = loss_shape,
                                .lower = loss_lower,
                                .element = {write_loss, is_short_row, .single = true, .anywhere = true},
                                .rows = {write_loss_rows},
                                .adjoint = loss_adjoint,
                                .tangent = FCL_OWN_TANGENT,
                                .own_tangent = loss_tangent};

/* --- the gradient of the loss: inputs v, u, g --- */

static fcl_shape loss_grad_shape(fcl_tensor *node)
{
    if (same_rows(node, 0, 1))
        one_a_row(node, 2, node->input[0]->shape);
    return node->input[0]->shape;
}

static int loss_grad_lower(fcl_lowering *lowering, fcl_tensor *node)
{
    fcl_launch *launch = fcl_lower_kernel(lowering, node, "cfm_loss_grad");
    for (int i = 0; i < 3; i++)
        fcl_launch_buffer(launch, i, node->input[i]->buffer);
    fcl_launch_int(launch, 3, (int)node->shape.dim[1]);
    fcl_launch_int(launch, 4, (int)node->shape.dim[0]);
    fcl_launch_buffer(launch, 5, node->buffer);
    fcl_lower_grid(launch, node->shape.dim[1], node->shape.dim[0]);
    return FCL_OK;
}

/* It is bilinear in (v - u) and g. */
static void loss_grad_adjoint(fcl_tensor *node, fcl_tensor *w, fcl_tensor **du)
{
    fcl_tensor *v = node->input[0], *u = node->input[1], *g = node->input[2];
    du[0] = fcl_scale(fcl_mul(w, g), (float)(2.0 / (double)v->shape.dim[1]));
    du[1] = fcl_neg(du[0]);
    du[2] = error_dot(v, u, w);
}

static fcl_tensor *loss_grad_tangent(fcl_tensor *node, fcl_shape lead, fcl_tensor *const *dx)
{
    (void)lead;
    fcl_tensor *v = node->input[0], *u = node->input[1], *g = node->input[2], *sum = NULL;
    if (dx[0] || dx[1])
        sum = fcl_mul(difference(dx[0], dx[1]), g);
    if (dx[2]) {
        fcl_tensor *term = fcl_mul(fcl_sub(v, u), dx[2]);
        sum = sum ? fcl_add(sum, term) : term;
    }
    return sum ? fcl_scale(sum, (float)(2.0 / (double)v->shape.dim[1])) : NULL;
}

static void write_loss_grad(fcl_element_writer *w, fcl_tensor *node)
{
    fcl_text *text = fcl_element_text(w);
    fcl_text_format(text, "(real)(%.9ef) * ", 2.0 / (double)node->shape.dim[1]);
    fcl_element_operand(w, node, node->input[2]);
    fcl_text_add(text, " * (");
    fcl_element_operand(w, node, node->input[0]);
    fcl_text_add(text, " - ");
    fcl_element_operand(w, node, node->input[1]);
    fcl_text_add(text, ")");
}

static void write_loss_grad_rows(fcl_row_writer *w, fcl_tensor *node)
{
    int columns = (int)node->shape.dim[1];
    fcl_text_format(
        fcl_row_text_of(w),
        "    for (int c = 0; c < %d; c++)\n    UNROLLED for (int s = 0; s < BLOCK_VECTORS; s++) {\n"
        "        const real error = tile[(%d + c) * BLOCK_VECTORS + s] - tile[(%d + c) * BLOCK_VECTORS + "
        "s];\n        tile[(%d + c) * BLOCK_VECTORS + s] = error * (tile[%d * BLOCK_VECTORS + s] * "
        "(real)(%.9ef));\n    }\n",
        columns, fcl_row_place(w, node->input[0]), fcl_row_place(w, node->input[1]), fcl_row_place(w, node),
        fcl_row_place(w, node->input[2]), 2.0 / columns);
}

const fcl_op fcl_op_cfm_loss_grad = {"cfm_loss_grad",
                                     .shape = loss_grad_shape,
                                     .lower = loss_grad_lower,
                                     .element = {write_loss_grad},
                                     .rows = {write_loss_grad_rows},
                                     .adjoint = loss_grad_adjoint,
                                     .tangent = FCL_OWN_TANGENT,
                                     .own_tangent = loss_grad_tangent};
