/* What follows a layer. */
#include "op/op.h"

/* s' = s (1 - s) */
static void sigmoid_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    du[0] = fcl_mul(u, fcl_mul(node, fcl_sub(fcl_constant(node->graph, 1), node)));
}

const fcl_op fcl_op_sigmoid = {"sigmoid", .shape = fcl_broadcast_shape,
                               .expression = "(real)(1.0f) / ((real)(1.0f) + MATH(exp)(-a))",
                               .adjoint = sigmoid_adjoint, .tangent = FCL_SYMMETRIC};
FCL_UNARY(sigmoid)

static void relu_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    du[0] = fcl_mul(u, fcl_greater(node->input[0], fcl_constant(node->graph, 0)));
}

const fcl_op fcl_op_relu = {"relu", .shape = fcl_broadcast_shape,
                            .expression = "select(a, (real)(0.0f), a < (real)(0.0f))",
                            .adjoint = relu_adjoint, .tangent = FCL_SYMMETRIC};
FCL_UNARY(relu)

/* (a s)' = s + a s (1 - s) */
static void silu_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    fcl_tensor *s = fcl_sigmoid(node->input[0]);
    fcl_tensor *rest = fcl_mul(node, fcl_sub(fcl_constant(node->graph, 1), s));
    du[0] = fcl_mul(u, fcl_add(s, rest));
}

const fcl_op fcl_op_silu = {"silu", .shape = fcl_broadcast_shape,
                            .expression = "a / ((real)(1.0f) + MATH(exp)(-a))", .adjoint = silu_adjoint,
                            .tangent = FCL_SYMMETRIC};
FCL_UNARY(silu)

/* (a Phi(a))' = Phi(a) + a phi(a) */
static void gelu_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    fcl_tensor *a = node->input[0];
    fcl_tensor *cumulative = fcl_shift(fcl_scale(fcl_erf(fcl_scale(a, 0.70710678f)), 0.5f), 0.5f);
    fcl_tensor *density = fcl_scale(fcl_exp(fcl_scale(fcl_square(a), -0.5f)), 0.39894228f);
    du[0] = fcl_mul(u, fcl_add(cumulative, fcl_mul(a, density)));
}

const fcl_op fcl_op_gelu = {"gelu", .shape = fcl_broadcast_shape,
                            .expression =
                                "(real)(0.5f) * a * ((real)(1.0f) + MATH(erf)(a * (real)(0.70710678f)))",
                            .adjoint = gelu_adjoint, .tangent = FCL_SYMMETRIC};
FCL_UNARY(gelu)

/* lambda above 0; below, lambda alpha exp(a) = selu(a) + lambda alpha */
static void selu_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    fcl_tensor *positive = fcl_greater(node->input[0], fcl_constant(node->graph, 0));
    fcl_tensor *slope = fcl_constant(node->graph, 1.05070099f);
    du[0] = fcl_mul(u, fcl_where(positive, slope, fcl_shift(node, 1.75809934f)));
}

const fcl_op fcl_op_selu = {"selu", .shape = fcl_broadcast_shape,
                            .expression =
                                "select((real)(1.75809934f) * MATH(expm1_negative)(select(a, (real)(0.0f), a "
                                "> (real)(0.0f))), (real)(1.05070099f) * a, a > (real)(0.0f))",
                            .adjoint = selu_adjoint, .tangent = FCL_SYMMETRIC};
FCL_UNARY(selu)

/* With u = sqrt(2 / pi) (a + 0.044715 a^3): s = sigmoid(2 u) = (1 + tanh u) / 2, s' = s (1 - s) 2 u' */
#define GELU_GATE                                                                                                      \
    "(real)(1.0f) / ((real)(1.0f) + MATH(exp)(-a * ((real)(1.59576912f) + (real)(0.0713548163f) * a * a)))"

static fcl_tensor *gelu_slope(fcl_tensor *a)
{
    return fcl_shift(fcl_scale(fcl_square(a), 0.214064449f), 1.59576912f);
}

static void gelu_gate_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    fcl_tensor *rest = fcl_mul(node, fcl_sub(fcl_constant(node->graph, 1), node));
    du[0] = fcl_mul(u, fcl_mul(rest, gelu_slope(node->input[0])));
}

const fcl_op fcl_op_gelu_gate = {"gelu_gate", .shape = fcl_broadcast_shape, .expression = GELU_GATE,
                                 .adjoint = gelu_gate_adjoint, .tangent = FCL_SYMMETRIC};

/* (a s)' = s + a s (1 - s) 2 u'. Both have s by the same text, so that a kernel with both computes it once. */
static void gelu_tanh_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    fcl_tensor *s = fcl_elementwise(&fcl_op_gelu_gate, 1, node->input);
    fcl_tensor *rest = fcl_mul(fcl_mul(node, fcl_sub(fcl_constant(node->graph, 1), s)), gelu_slope(node->input[0]));
    du[0] = fcl_mul(u, fcl_add(s, rest));
}

const fcl_op fcl_op_gelu_tanh = {"gelu_tanh", .shape = fcl_broadcast_shape, .expression = "a * (" GELU_GATE ")",
                                 .adjoint = gelu_tanh_adjoint, .tangent = FCL_SYMMETRIC};
FCL_UNARY(gelu_tanh)

static void softplus_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    du[0] = fcl_mul(u, fcl_sigmoid(node->input[0]));
}

const fcl_op fcl_op_softplus = {"softplus", .shape = fcl_broadcast_shape,
                                .expression = "fmax(a, (real)(0.0f)) + log1p(MATH(exp_negative)(-fabs(a)))",
                                .adjoint = softplus_adjoint, .tangent = FCL_SYMMETRIC};
FCL_UNARY(softplus)
