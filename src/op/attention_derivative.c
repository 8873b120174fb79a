/* Derivatives of attention and of the rows that are its derivatives.
 *
 * These are halves of F = <u, J dx>, linear in u and in dx: the gradients are F's in dx, the tangent is F's in u. So their
 * derivatives in u and in dx are each other. In q, k, v and bias they are those of F written out as products and a softmax,
 * which have all further derivatives. The result and the log-sum-exp among their inputs stand for what was computed before:
 * no derivative goes through these. */
#include "op/attention.h"

#include <math.h>

/* --- the same by products and a softmax --- */

/* y of factors that are read through views of their own: derivatives in x are partial ones, whatever these depend on. */
typedef struct composite {
    fcl_tensor *x[FACTORS], *y;
} composite;

/* (B, T, heads d) -> (B, heads, T, d) */
static fcl_tensor *by_heads(fcl_tensor *x, int heads)
{
    fcl_shape s = x->shape;
    fcl_tensor *parts = fcl_reshape(x, FCL_SHAPE(s.dim[0], s.dim[1], heads, s.dim[2] / heads));
    return fcl_permute(parts, (int[]){0, 2, 1, 3});
}

/* Weights, without those that are left out; of a row that leaves out all, zeros. */
static fcl_tensor *weights(fcl_tensor *s, fcl_tensor *mask)
{
    fcl_graph *graph = s->graph;
    fcl_tensor *zero = fcl_constant(graph, 0), *one = fcl_constant(graph, 1), *key = NULL;
    if (mask) {
        key = fcl_reshape(mask, FCL_SHAPE(mask->shape.dim[0], 1, 1, mask->shape.dim[1]));
        s = fcl_where(key, s, fcl_constant(graph, -1e30f));
    }
    fcl_tensor *most = fcl_detach(fcl_max_axes(s, 1u << 3));
    most = fcl_where(fcl_greater(most, fcl_constant(graph, -INFINITY)), most, zero);
    fcl_tensor *e = fcl_exp(fcl_sub(s, most));
    if (key)
        e = fcl_where(key, e, zero);
    fcl_tensor *sum = fcl_sum_axes(e, 1u << 3);
    return fcl_mul(e, fcl_reciprocal(fcl_where(fcl_greater(sum, zero), sum, one)));
}

/* fcl_reshape to the same shape is no node. */
static fcl_tensor *view(fcl_tensor *a)
{
    return a ? fcl_typed_node(&fcl_op_reshape, a, &(fcl_shape_attributes){a->shape}) : NULL;
}

static composite compose(const fcl_attention_operands *a, int heads)
{
    composite c = {0};
    fcl_shape shape = a->x[Q]->shape;
    for (int i = 0; i < FACTORS; i++)
        c.x[i] = view(a->x[i]);
    fcl_tensor *s = fcl_matmul(by_heads(c.x[Q], heads), by_heads(c.x[K], heads), false, true);
    s = fcl_scale(s, fcl_attention_scale((int)(shape.dim[2] / heads)));
    if (c.x[BIAS])
        s = fcl_add(s, c.x[BIAS]);
    fcl_tensor *o = fcl_matmul(weights(s, a->mask), by_heads(c.x[V], heads), false, false);
    c.y = fcl_reshape(fcl_permute(o, (int[]){0, 2, 1, 3}), shape);
    return c;
}

/* dy/dx dx, of those of dx that are there. */
static fcl_tensor *pushed(fcl_tensor *y, fcl_tensor *const *x, fcl_tensor *const *dx)
{
    fcl_tensor *of[FACTORS], *by[FACTORS], *dy = NULL;
    int count = 0;
    for (int i = 0; i < FACTORS; i++)
        if (dx[i]) {
            of[count] = x[i];
            by[count++] = dx[i];
        }
    fcl_jvp(1, &y, &dy, count, of, by);
    return dy;
}

/* The gradients of <u, J dx> in the factors. */
static void second_gradients(const fcl_attention_operands *a, int heads, fcl_tensor *const *dx, fcl_tensor *u,
                             fcl_tensor **gradient)
{
    composite c = compose(a, heads);
    gradient[BIAS] = NULL;
    fcl_vjp(pushed(c.y, c.x, dx), u, c.x[BIAS] ? FACTORS : BIAS, c.x, gradient);
}

/* The derivative of the gradient of u in one factor, along tangents of all of them. It is that of <u, J z> in z, whatever z. */
static fcl_tensor *moved_gradient(const fcl_attention_operands *a, int heads, int factor, fcl_tensor *const *dx)
{
    composite c = compose(a, heads);
    fcl_shape shape = fcl_shape_joined(fcl_attention_leading(a->u, Q), c.x[factor]->shape);
    fcl_tensor *z[FACTORS] = {0}, *gradient;
    z[factor] = fcl_expand(fcl_constant(a->u->graph, 0), shape);
    fcl_vjp(pushed(c.y, c.x, z), a->u, 1, &z[factor], &gradient);
    return pushed(gradient, c.x, dx);
}

/* --- the rules --- */

static bool any_of(fcl_tensor *const *dx)
{
    return dx[Q] || dx[K] || dx[V] || dx[BIAS];
}

/* The numbers of the inputs that are factors; -1 where there is none. */
static void factor_inputs(const fcl_tensor *node, int *number)
{
    int first = node->op->part ? 1 : 0;
    for (int i = 0; i < BIAS; i++)
        number[i] = first + i;
    number[BIAS] = fcl_attention_how(node)->bias ? first + BIAS + fcl_attention_how(node)->mask : -1;
}

static void take_factors(const fcl_tensor *node, fcl_tensor *const *dx, fcl_tensor **of)
{
    int number[FACTORS];
    factor_inputs(node, number);
    for (int i = 0; i < FACTORS; i++)
        of[i] = number[i] >= 0 ? dx[number[i]] : NULL;
}

static void give_factors(const fcl_tensor *node, fcl_tensor *const *gradient, fcl_tensor **du)
{
    int number[FACTORS];
    factor_inputs(node, number);
    for (int i = 0; i < FACTORS; i++)
        if (number[i] >= 0)
            du[number[i]] = gradient[i];
}

void fcl_attention_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    fcl_attention_operands a = fcl_attention_operands_of(node);
    fcl_tensor *gradient[FACTORS];
    a.o = node;
    a.lse = node->part[LSE_PART];
    fcl_attention_gradients(&a, fcl_attention_how(node)->heads, u, gradient);
    give_factors(node, gradient, du);
}

fcl_tensor *fcl_attention_tangent(fcl_tensor *node, fcl_shape lead, fcl_tensor *const *dx)
{
    fcl_attention_operands a = fcl_attention_operands_of(node);
    fcl_tensor *of[FACTORS];
    (void)lead;
    a.o = node;
    a.lse = node->part[LSE_PART];
    take_factors(node, dx, of);
    return fcl_attention_moved(&a, fcl_attention_how(node)->heads, of);
}

static int factor_of(const fcl_tensor *node)
{
    return node->op == &fcl_op_attention_grad ? Q : node->op == &fcl_op_attention_grad_bias ? BIAS : fcl_attention_how(node)->factor;
}

/* <w, the gradient of u in x> = <u, J z>, z = w in place of x. */
void fcl_attention_grad_adjoint(fcl_tensor *node, fcl_tensor *w, fcl_tensor **du)
{
    fcl_attention_operands a = fcl_attention_operands_of(node);
    fcl_tensor *z[FACTORS] = {0}, *gradient[FACTORS];
    int heads = fcl_attention_how(node)->heads;
    z[factor_of(node)] = w;
    second_gradients(&a, heads, z, a.u, gradient);
    give_factors(node, gradient, du);
    du[node->inputs - 1] = fcl_attention_moved(&a, heads, z);
}

static fcl_tensor *sum_of(fcl_tensor *a, fcl_tensor *b)
{
    return a && b ? fcl_add(a, b) : a ? a : b;
}

fcl_tensor *fcl_attention_grad_tangent(fcl_tensor *node, fcl_shape lead, fcl_tensor *const *dx)
{
    fcl_attention_operands a = fcl_attention_operands_of(node);
    fcl_tensor *of[FACTORS], *gradient[FACTORS] = {0}, *du = dx[node->inputs - 1];
    int heads = fcl_attention_how(node)->heads, factor = factor_of(node);
    (void)lead;
    take_factors(node, dx, of);
    if (du)
        fcl_attention_gradients(&a, heads, du, gradient);
    return sum_of(gradient[factor], any_of(of) ? moved_gradient(&a, heads, factor, of) : NULL);
}

/* The place of the tangents among the inputs. */
static int first_moving(const fcl_tensor *node)
{
    int moving = 0;
    for (int i = 0; i < FACTORS; i++)
        moving += fcl_attention_how(node)->moving >> i & 1;
    return node->inputs - moving;
}

void fcl_attention_tangent_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    fcl_attention_operands a = fcl_attention_operands_of(node);
    fcl_tensor *gradient[FACTORS];
    int heads = fcl_attention_how(node)->heads, at = first_moving(node);
    second_gradients(&a, heads, a.dx, u, gradient);
    give_factors(node, gradient, du);
    fcl_attention_gradients(&a, heads, u, gradient);
    for (int i = 0; i < FACTORS; i++)
        if (a.dx[i])
            du[at++] = gradient[i];
}

fcl_tensor *fcl_attention_tangent_tangent(fcl_tensor *node, fcl_shape lead, fcl_tensor *const *dx)
{
    fcl_attention_operands a = fcl_attention_operands_of(node);
    fcl_tensor *of[FACTORS], *ddx[FACTORS] = {0}, *moved = NULL;
    int heads = fcl_attention_how(node)->heads, at = first_moving(node);
    (void)lead;
    take_factors(node, dx, of);
    for (int i = 0; i < FACTORS; i++)
        ddx[i] = a.dx[i] ? dx[at++] : NULL;
    if (any_of(of)) {
        composite c = compose(&a, heads);
        moved = pushed(pushed(c.y, c.x, a.dx), c.x, of);
    }
    return sum_of(fcl_attention_moved(&a, heads, ddx), moved);
}
