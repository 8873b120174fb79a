/* Functions of numbers: powers, exponentials, circles. */
#include "op/op.h"

static void square_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    du[0] = fcl_mul(u, fcl_scale(node->input[0], 2));
}

const fcl_op fcl_op_square = {"square", .shape = fcl_broadcast_shape, .expression = "a * a",
                              .adjoint = square_adjoint, .tangent = FCL_SYMMETRIC};
FCL_UNARY(square)

static void sqrt_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    du[0] = fcl_div(fcl_scale(u, 0.5f), node);
}

const fcl_op fcl_op_sqrt = {"sqrt", .shape = fcl_broadcast_shape, .expression = "sqrt(a)",
                            .adjoint = sqrt_adjoint, .tangent = FCL_SYMMETRIC};
FCL_UNARY(sqrt)

static void reciprocal_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    du[0] = fcl_neg(fcl_mul(u, fcl_square(node)));
}

const fcl_op fcl_op_reciprocal = {"reciprocal", .shape = fcl_broadcast_shape,
                                  .expression = "(real)(1.0f) / a", .adjoint = reciprocal_adjoint,
                                  .tangent = FCL_SYMMETRIC};
FCL_UNARY(reciprocal)

/* d(a^b) = b a^(b - 1) da + a^b log(a) db */
static fcl_tensor *pow_base(fcl_tensor *node, fcl_tensor *u)
{
    fcl_tensor *a = node->input[0], *b = node->input[1];
    return fcl_mul(u, fcl_mul(b, fcl_pow(a, fcl_shift(b, -1))));
}

static fcl_tensor *pow_exponent(fcl_tensor *node, fcl_tensor *u)
{
    return fcl_mul(u, fcl_mul(node, fcl_log(node->input[0])));
}

static void pow_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    du[0] = fcl_sum_to(pow_base(node, u), node->input[0]->shape);
    du[1] = fcl_sum_to(pow_exponent(node, u), node->input[1]->shape);
}

static fcl_tensor *pow_tangent(fcl_tensor *node, fcl_shape lead, fcl_tensor *const *dx)
{
    (void)lead;
    fcl_tensor *da = dx[0] ? pow_base(node, dx[0]) : NULL;
    fcl_tensor *db = dx[1] ? pow_exponent(node, dx[1]) : NULL;
    return da && db ? fcl_add(da, db) : da ? da : db;
}

const fcl_op fcl_op_pow = {"pow",
                           .shape = fcl_broadcast_shape,
                           .expression = "pow(a, b)",
                           .adjoint = pow_adjoint,
                           .tangent = FCL_OWN_TANGENT,
                           .own_tangent = pow_tangent};
FCL_BINARY(pow)

static void exp_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    du[0] = fcl_mul(u, node);
}

const fcl_op fcl_op_exp = {"exp", .shape = fcl_broadcast_shape, .expression = "MATH(exp)(a)",
                           .adjoint = exp_adjoint, .tangent = FCL_SYMMETRIC};
FCL_UNARY(exp)

static void expm1_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    du[0] = fcl_mul(u, fcl_shift(node, 1));
}

const fcl_op fcl_op_expm1 = {"expm1", .shape = fcl_broadcast_shape, .expression = "expm1(a)",
                             .adjoint = expm1_adjoint, .tangent = FCL_SYMMETRIC};
FCL_UNARY(expm1)

static void log_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    du[0] = fcl_div(u, node->input[0]);
}

const fcl_op fcl_op_log = {"log", .shape = fcl_broadcast_shape, .expression = "MATH(log)(a)",
                           .adjoint = log_adjoint, .tangent = FCL_SYMMETRIC};
FCL_UNARY(log)

static void log1p_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    du[0] = fcl_div(u, fcl_shift(node->input[0], 1));
}

const fcl_op fcl_op_log1p = {"log1p", .shape = fcl_broadcast_shape, .expression = "log1p(a)",
                             .adjoint = log1p_adjoint, .tangent = FCL_SYMMETRIC};
FCL_UNARY(log1p)

static void sin_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    du[0] = fcl_mul(u, fcl_cos(node->input[0]));
}

const fcl_op fcl_op_sin = {"sin", .shape = fcl_broadcast_shape, .expression = "MATH(sin)(a)",
                           .adjoint = sin_adjoint, .tangent = FCL_SYMMETRIC};
FCL_UNARY(sin)

static void cos_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    du[0] = fcl_neg(fcl_mul(u, fcl_sin(node->input[0])));
}

const fcl_op fcl_op_cos = {"cos", .shape = fcl_broadcast_shape, .expression = "MATH(cos)(a)",
                           .adjoint = cos_adjoint, .tangent = FCL_SYMMETRIC};
FCL_UNARY(cos)

/* tanh' = 1 - tanh^2 */
static void tanh_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    du[0] = fcl_mul(u, fcl_sub(fcl_constant(node->graph, 1), fcl_square(node)));
}

const fcl_op fcl_op_tanh = {"tanh", .shape = fcl_broadcast_shape, .expression = "MATH(tanh)(a)",
                            .adjoint = tanh_adjoint, .tangent = FCL_SYMMETRIC};
FCL_UNARY(tanh)

/* erf' = 2/sqrt(pi) exp(-a^2) */
static void erf_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    du[0] = fcl_mul(u, fcl_scale(fcl_exp(fcl_neg(fcl_square(node->input[0]))), 1.12837917f));
}

const fcl_op fcl_op_erf = {"erf", .shape = fcl_broadcast_shape, .expression = "MATH(erf)(a)",
                           .adjoint = erf_adjoint, .tangent = FCL_SYMMETRIC};
FCL_UNARY(erf)
