/* Elementwise operations: builders with broadcasting, and the few derivative formulas that exist. A derivative
 * is made of the same rows, so it fuses and has derivatives itself. */
#include "graph/rules.h"

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

static fcl_tensor *elementwise(const char *name, int inputs, fcl_tensor *const *input)
{
    fcl_graph *graph = input[0]->graph;
    for (int i = 0; i < inputs; i++)
        if (input[i]->type != FCL_F32)
            fcl_mistake(graph, "%s reads %s, which is not float", name, fcl_node_text(input[i]));
    return fcl_node(graph, name, inputs, input, NULL);
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

/* --- builders --- */

#define UNARY(name)                                                                                         \
    fcl_tensor *fcl_##name(fcl_tensor *a)                                                                   \
    {                                                                                                       \
        return elementwise(#name, 1, &a);                                                                   \
    }
#define BINARY(name)                                                                                        \
    fcl_tensor *fcl_##name(fcl_tensor *a, fcl_tensor *b)                                                    \
    {                                                                                                       \
        return elementwise(#name, 2, (fcl_tensor *[]){a, b});                                               \
    }

BINARY(add)
BINARY(sub)
BINARY(mul)
BINARY(div)
BINARY(pow)
BINARY(max)
BINARY(min)
BINARY(greater)
UNARY(neg)
UNARY(abs)
UNARY(square)
UNARY(sqrt)
UNARY(reciprocal)
UNARY(exp)
UNARY(expm1)
UNARY(log)
UNARY(log1p)
UNARY(sin)
UNARY(cos)
UNARY(tanh)
UNARY(erf)
UNARY(sigmoid)
UNARY(relu)
UNARY(silu)
UNARY(gelu)
UNARY(selu)
UNARY(detach)

fcl_tensor *fcl_where(fcl_tensor *mask, fcl_tensor *a, fcl_tensor *b)
{
    return elementwise("where", 3, (fcl_tensor *[]){mask, a, b});
}

fcl_tensor *fcl_scale(fcl_tensor *a, float factor)
{
    return factor == 1 ? a : fcl_mul(a, fcl_constant(a->graph, factor));
}

fcl_tensor *fcl_shift(fcl_tensor *a, float term)
{
    return term == 0 ? a : fcl_add(a, fcl_constant(a->graph, term));
}

/* --- adjoints: du[i] for u, the derivative with respect to the node --- */

void fcl_add_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    du[0] = fcl_sum_to(u, node->input[0]->shape);
    du[1] = fcl_sum_to(u, node->input[1]->shape);
}

void fcl_sub_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    du[0] = fcl_sum_to(u, node->input[0]->shape);
    du[1] = fcl_neg(fcl_sum_to(u, node->input[1]->shape));
}

void fcl_neg_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    (void)node;
    du[0] = fcl_neg(u);
}

void fcl_mul_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    du[0] = fcl_sum_to(fcl_mul(u, node->input[1]), node->input[0]->shape);
    du[1] = fcl_sum_to(fcl_mul(u, node->input[0]), node->input[1]->shape);
}

/* d(a/b) = da / b - (a/b) db / b */
void fcl_div_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    fcl_tensor *over_b = fcl_div(u, node->input[1]);
    du[0] = fcl_sum_to(over_b, node->input[0]->shape);
    du[1] = fcl_sum_to(fcl_neg(fcl_mul(over_b, node)), node->input[1]->shape);
}

fcl_tensor *fcl_div_tangent(fcl_tensor *node, fcl_tensor *const *dx)
{
    fcl_tensor *da = dx[0] ? fcl_div(dx[0], node->input[1]) : NULL;
    fcl_tensor *db = dx[1] ? fcl_div(fcl_mul(node, dx[1]), node->input[1]) : NULL;
    return !db ? da : da ? fcl_sub(da, db) : fcl_neg(db);
}

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

void fcl_max_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    fcl_tensor *a = node->input[0], *b = node->input[1];
    choice_adjoint(node, fcl_greater(b, a), a, b, u, &du[0], &du[1]);
}

fcl_tensor *fcl_max_tangent(fcl_tensor *node, fcl_tensor *const *dx)
{
    return choice_tangent(fcl_greater(node->input[1], node->input[0]), dx[0], dx[1]);
}

void fcl_min_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    fcl_tensor *a = node->input[0], *b = node->input[1];
    choice_adjoint(node, fcl_greater(a, b), a, b, u, &du[0], &du[1]);
}

fcl_tensor *fcl_min_tangent(fcl_tensor *node, fcl_tensor *const *dx)
{
    return choice_tangent(fcl_greater(node->input[0], node->input[1]), dx[0], dx[1]);
}

void fcl_where_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    choice_adjoint(node, node->input[0], node->input[2], node->input[1], u, &du[2], &du[1]);
}

fcl_tensor *fcl_where_tangent(fcl_tensor *node, fcl_tensor *const *dx)
{
    if (!dx[1] && !dx[2])
        return NULL; /* only the mask varies: the derivative is zero wherever it exists */
    return choice_tangent(node->input[0], dx[2], dx[1]);
}

void fcl_abs_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    fcl_tensor *a = node->input[0], *zero = fcl_constant(node->graph, 0);
    du[0] = fcl_mul(u, fcl_sub(fcl_greater(a, zero), fcl_greater(zero, a)));
}

void fcl_square_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    du[0] = fcl_mul(u, fcl_scale(node->input[0], 2));
}

void fcl_sqrt_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    du[0] = fcl_div(fcl_scale(u, 0.5f), node);
}

void fcl_reciprocal_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    du[0] = fcl_neg(fcl_mul(u, fcl_square(node)));
}

void fcl_exp_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    du[0] = fcl_mul(u, node);
}

void fcl_log_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    du[0] = fcl_div(u, node->input[0]);
}

void fcl_expm1_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    du[0] = fcl_mul(u, fcl_shift(node, 1));
}

void fcl_log1p_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    du[0] = fcl_div(u, fcl_shift(node->input[0], 1));
}

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

void fcl_pow_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    du[0] = fcl_sum_to(pow_base(node, u), node->input[0]->shape);
    du[1] = fcl_sum_to(pow_exponent(node, u), node->input[1]->shape);
}

fcl_tensor *fcl_pow_tangent(fcl_tensor *node, fcl_tensor *const *dx)
{
    fcl_tensor *da = dx[0] ? pow_base(node, dx[0]) : NULL;
    fcl_tensor *db = dx[1] ? pow_exponent(node, dx[1]) : NULL;
    return da && db ? fcl_add(da, db) : da ? da : db;
}

void fcl_sin_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    du[0] = fcl_mul(u, fcl_cos(node->input[0]));
}

void fcl_cos_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    du[0] = fcl_neg(fcl_mul(u, fcl_sin(node->input[0])));
}

/* tanh' = 1 - tanh^2 */
void fcl_tanh_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    du[0] = fcl_mul(u, fcl_sub(fcl_constant(node->graph, 1), fcl_square(node)));
}

/* erf' = 2/sqrt(pi) exp(-a^2) */
void fcl_erf_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    du[0] = fcl_mul(u, fcl_scale(fcl_exp(fcl_neg(fcl_square(node->input[0]))), 1.12837917f));
}

/* s' = s (1 - s) */
void fcl_sigmoid_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    du[0] = fcl_mul(u, fcl_mul(node, fcl_sub(fcl_constant(node->graph, 1), node)));
}

void fcl_relu_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    du[0] = fcl_mul(u, fcl_greater(node->input[0], fcl_constant(node->graph, 0)));
}

/* (a s)' = s + a s (1 - s) */
void fcl_silu_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    fcl_tensor *s = fcl_sigmoid(node->input[0]);
    fcl_tensor *rest = fcl_mul(node, fcl_sub(fcl_constant(node->graph, 1), s));
    du[0] = fcl_mul(u, fcl_add(s, rest));
}

/* (a Phi(a))' = Phi(a) + a phi(a) */
void fcl_gelu_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    fcl_tensor *a = node->input[0];
    fcl_tensor *cumulative = fcl_shift(fcl_scale(fcl_erf(fcl_scale(a, 0.70710678f)), 0.5f), 0.5f);
    fcl_tensor *density = fcl_scale(fcl_exp(fcl_scale(fcl_square(a), -0.5f)), 0.39894228f);
    du[0] = fcl_mul(u, fcl_add(cumulative, fcl_mul(a, density)));
}

/* lambda above 0; below, lambda alpha exp(a) = selu(a) + lambda alpha */
void fcl_selu_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    fcl_tensor *positive = fcl_greater(node->input[0], fcl_constant(node->graph, 0));
    fcl_tensor *slope = fcl_constant(node->graph, 1.05070099f);
    du[0] = fcl_mul(u, fcl_where(positive, slope, fcl_shift(node, 1.75809934f)));
}
