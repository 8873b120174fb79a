/* Elementwise operations: broadcasting, arithmetic, choices. A derivative is made of the same rows, so it
 * fuses and has derivatives itself. In expressions a, b, c are the inputs, `real` is float or a vector of
 * them; a NaN stays one. */
#include "op/op.h"

/* --- broadcasting --- */

fcl_shape fcl_broadcast_shape(fcl_tensor *node)
{
    fcl_shape result = {0};
    for (int i = 0; i < node->inputs; i++)
        if (node->input[i]->shape.rank > result.rank)
            result.rank = node->input[i]->shape.rank;
    for (int d = 0; d < result.rank; d++) {
        int64_t size = 1;
        for (int i = 0; i < node->inputs; i++) {
            int64_t dim = fcl_shape_from_end(node->input[i]->shape, d);
            if (dim != 1 && size != 1 && dim != size) {
                fcl_mistake(node->graph, "%s: shapes %s and %s do not fit", fcl_node_text(node),
                            fcl_shape_text(node->graph, node->input[0]->shape),
                            fcl_shape_text(node->graph, node->input[i]->shape));
                return node->input[0]->shape;
            }
            if (dim != 1)
                size = dim;
        }
        result.dim[result.rank - 1 - d] = size;
    }
    return result;
}

fcl_tensor *fcl_elementwise(const fcl_op *op, int inputs, fcl_tensor *const *input)
{
    fcl_graph *graph = input[0]->graph;
    for (int i = 0; i < inputs; i++)
        if (input[i]->type != FCL_F32)
            fcl_mistake(graph, "%s reads %s, which is not float", op->name, fcl_node_text(input[i]));
    return fcl_node(graph, op, inputs, input, NULL);
}

fcl_tensor *fcl_sum_to(fcl_tensor *a, fcl_shape shape)
{
    unsigned axes = 0;
    for (int d = 0; d < a->shape.rank; d++)
        if (fcl_shape_from_end(shape, d) == 1 && fcl_shape_from_end(a->shape, d) != 1)
            axes |= 1u << (a->shape.rank - 1 - d);
    fcl_tensor *sum = axes ? fcl_sum_axes(a, axes) : a;
    return fcl_shape_equal(sum->shape, shape) ? sum : fcl_reshape(sum, shape);
}

/* --- arithmetic; du[i] for u, the derivative with respect to the node --- */

static void add_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    du[0] = fcl_sum_to(u, node->input[0]->shape);
    du[1] = fcl_sum_to(u, node->input[1]->shape);
}

const fcl_op fcl_op_add = {"add", .shape = fcl_broadcast_shape, .expression = "a + b", .adjoint = add_adjoint,
                           .tangent = FCL_LINEAR};
FCL_BINARY(add)

static void sub_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    du[0] = fcl_sum_to(u, node->input[0]->shape);
    du[1] = fcl_neg(fcl_sum_to(u, node->input[1]->shape));
}

const fcl_op fcl_op_sub = {"sub", .shape = fcl_broadcast_shape, .expression = "a - b", .adjoint = sub_adjoint,
                           .tangent = FCL_LINEAR};
FCL_BINARY(sub)

static void neg_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    (void)node;
    du[0] = fcl_neg(u);
}

const fcl_op fcl_op_neg = {"neg", .shape = fcl_broadcast_shape, .expression = "-a", .adjoint = neg_adjoint,
                           .tangent = FCL_LINEAR};
FCL_UNARY(neg)

static void mul_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    du[0] = fcl_sum_to(fcl_mul(u, node->input[1]), node->input[0]->shape);
    du[1] = fcl_sum_to(fcl_mul(u, node->input[0]), node->input[1]->shape);
}

const fcl_op fcl_op_mul = {"mul", .shape = fcl_broadcast_shape, .expression = "a * b", .adjoint = mul_adjoint,
                           .tangent = FCL_MULTILINEAR};
FCL_BINARY(mul)

/* d(a/b) = da / b - (a/b) db / b */
static void div_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    fcl_tensor *over_b = fcl_div(u, node->input[1]);
    du[0] = fcl_sum_to(over_b, node->input[0]->shape);
    du[1] = fcl_sum_to(fcl_neg(fcl_mul(over_b, node)), node->input[1]->shape);
}

static fcl_tensor *div_tangent(fcl_tensor *node, fcl_shape lead, fcl_tensor *const *dx)
{
    (void)lead;
    fcl_tensor *da = dx[0] ? fcl_div(dx[0], node->input[1]) : NULL;
    fcl_tensor *db = dx[1] ? fcl_div(fcl_mul(node, dx[1]), node->input[1]) : NULL;
    return !db ? da : da ? fcl_sub(da, db) : fcl_neg(db);
}

const fcl_op fcl_op_div = {"div",
                           .shape = fcl_broadcast_shape,
                           .expression = "a / b",
                           .adjoint = div_adjoint,
                           .tangent = FCL_OWN_TANGENT,
                           .own_tangent = div_tangent};
FCL_BINARY(div)

fcl_tensor *fcl_scale(fcl_tensor *a, float factor)
{
    return factor == 1 ? a : fcl_mul(a, fcl_constant(a->graph, factor));
}

fcl_tensor *fcl_shift(fcl_tensor *a, float term)
{
    return term == 0 ? a : fcl_add(a, fcl_constant(a->graph, term));
}

/* --- choices --- */

const fcl_op fcl_op_greater = {"greater", .shape = fcl_broadcast_shape,
                               .expression = "select((real)(0.0f), (real)(1.0f), a > b)"};
FCL_BINARY(greater)

/* max and min are a choice between a and b; so are their derivatives. */
static void choice_adjoint(fcl_tensor *node, fcl_tensor *takes_b, fcl_tensor *a, fcl_tensor *b, fcl_tensor *u,
                           fcl_tensor **da, fcl_tensor **db)
{
    fcl_tensor *zero = fcl_constant(node->graph, 0);
    *da = fcl_sum_to(fcl_where(takes_b, zero, u), a->shape);
    *db = fcl_sum_to(fcl_where(takes_b, u, zero), b->shape);
}

static fcl_tensor *choice_tangent(fcl_tensor *takes_b, fcl_tensor *da, fcl_tensor *db)
{
    fcl_tensor *zero = fcl_constant(takes_b->graph, 0);
    return fcl_where(takes_b, db ? db : zero, da ? da : zero);
}

static void where_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    choice_adjoint(node, node->input[0], node->input[2], node->input[1], u, &du[2], &du[1]);
}

static fcl_tensor *where_tangent(fcl_tensor *node, fcl_shape lead, fcl_tensor *const *dx)
{
    (void)lead;
    if (!dx[1] && !dx[2])
        return NULL; /* only the mask varies: the derivative is zero wherever it exists */
    return choice_tangent(node->input[0], dx[2], dx[1]);
}

const fcl_op fcl_op_where = {"where",
                             .shape = fcl_broadcast_shape,
                             .expression = "select(c, b, a != (real)(0.0f))",
                             .adjoint = where_adjoint,
                             .tangent = FCL_OWN_TANGENT,
                             .own_tangent = where_tangent};

fcl_tensor *fcl_where(fcl_tensor *mask, fcl_tensor *a, fcl_tensor *b)
{
    return fcl_elementwise(&fcl_op_where, 3, (fcl_tensor *[]){mask, a, b});
}

static void max_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    fcl_tensor *a = node->input[0], *b = node->input[1];
    choice_adjoint(node, fcl_greater(b, a), a, b, u, &du[0], &du[1]);
}

static fcl_tensor *max_tangent(fcl_tensor *node, fcl_shape lead, fcl_tensor *const *dx)
{
    (void)lead;
    return choice_tangent(fcl_greater(node->input[1], node->input[0]), dx[0], dx[1]);
}

const fcl_op fcl_op_max = {"max",
                           .shape = fcl_broadcast_shape,
                           .expression = "select(a, b, a < b)",
                           .adjoint = max_adjoint,
                           .tangent = FCL_OWN_TANGENT,
                           .own_tangent = max_tangent};
FCL_BINARY(max)

static void min_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    fcl_tensor *a = node->input[0], *b = node->input[1];
    choice_adjoint(node, fcl_greater(a, b), a, b, u, &du[0], &du[1]);
}

static fcl_tensor *min_tangent(fcl_tensor *node, fcl_shape lead, fcl_tensor *const *dx)
{
    (void)lead;
    return choice_tangent(fcl_greater(node->input[0], node->input[1]), dx[0], dx[1]);
}

const fcl_op fcl_op_min = {"min",
                           .shape = fcl_broadcast_shape,
                           .expression = "select(a, b, a > b)",
                           .adjoint = min_adjoint,
                           .tangent = FCL_OWN_TANGENT,
                           .own_tangent = min_tangent};
FCL_BINARY(min)

fcl_tensor *fcl_clamp(fcl_tensor *a, float low, float high)
{
    if (!(low <= high))
        fcl_mistake(a->graph, "clamp of %s: within %g and %g nothing lies", fcl_node_text(a), (double)low, (double)high);
    return fcl_min(fcl_max(a, fcl_constant(a->graph, low)), fcl_constant(a->graph, high));
}

static void abs_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    fcl_tensor *a = node->input[0], *zero = fcl_constant(node->graph, 0);
    du[0] = fcl_mul(u, fcl_sub(fcl_greater(a, zero), fcl_greater(zero, a)));
}

const fcl_op fcl_op_abs = {"abs", .shape = fcl_broadcast_shape, .expression = "fabs(a)",
                           .adjoint = abs_adjoint, .tangent = FCL_SYMMETRIC};
FCL_UNARY(abs)

const fcl_op fcl_op_detach = {"detach", .shape = fcl_broadcast_shape, .expression = "a"};
FCL_UNARY(detach)
