#include "graph/expression.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>

typedef fcl_tensor *unary_builder(fcl_tensor *a);
typedef fcl_tensor *binary_builder(fcl_tensor *a, fcl_tensor *b);

static fcl_tensor *number(fcl_tensor *like, float value)
{
    return fcl_constant(fcl_tensor_graph(like), value);
}

static fcl_tensor *tangent(fcl_tensor *a)
{
    return fcl_div(fcl_sin(a), fcl_cos(a));
}

/* (e^a - 1 - (e^-a - 1)) / 2: the parts have opposite signs, so nothing cancels near 0. */
static fcl_tensor *hyperbolic_sine(fcl_tensor *a)
{
    return fcl_scale(fcl_sub(fcl_expm1(a), fcl_expm1(fcl_neg(a))), 0.5f);
}

static fcl_tensor *hyperbolic_cosine(fcl_tensor *a)
{
    return fcl_scale(fcl_add(fcl_exp(a), fcl_exp(fcl_neg(a))), 0.5f);
}

/* The sign of a times log(1 + m + m^2 / (1 + sqrt(1 + m^2))) with m = |a|: nothing cancels. */
static fcl_tensor *area_sine(fcl_tensor *a)
{
    fcl_tensor *m = fcl_abs(a), *square = fcl_square(m), *zero = number(a, 0);
    fcl_tensor *rest = fcl_div(square, fcl_shift(fcl_sqrt(fcl_shift(square, 1)), 1));
    fcl_tensor *size = fcl_log1p(fcl_add(m, rest));
    return fcl_where(fcl_greater(zero, a), fcl_neg(size), size);
}

static fcl_tensor *polynomial(const float *coefficients, int count, fcl_tensor *x)
{
    fcl_tensor *sum = number(x, coefficients[0]);
    for (int i = 1; i < count; i++)
        sum = fcl_shift(fcl_mul(sum, x), coefficients[i]);
    return sum;
}

/* The quantile of N(0, 1), sqrt(2) erfinv(2 u - 1), by M. Giles, "Approximating the erfinv function", GPU
 * Computing Gems 2 (2011), single precision. */
static fcl_tensor *normal_quantile(fcl_tensor *u)
{
    static const float middle[] = {2.81022636e-08f,  3.43273939e-07f, -3.5233877e-06f,
                                   -4.39150654e-06f, 0.00021858087f,  -0.00125372503f,
                                   -0.00417768164f,  0.246640727f,    1.50140941f};
    static const float tails[] = {-0.000200214257f, 0.000100950558f, 0.00134934322f,
                                  -0.00367342844f,  0.00573950773f,  -0.0076224613f,
                                  0.00943887047f,   1.00167406f,     2.83297682f};
    enum { COUNT = sizeof tails / sizeof *tails };
    fcl_tensor *rest = fcl_sub(number(u, 1), u);
    fcl_tensor *w = fcl_neg(fcl_log(fcl_mul(fcl_scale(u, 4), rest)));
    fcl_tensor *in_middle = polynomial(middle, COUNT, fcl_shift(w, -2.5f));
    fcl_tensor *in_tails = polynomial(tails, COUNT, fcl_shift(fcl_sqrt(fcl_max(w, number(u, 5))), -3));
    fcl_tensor *p = fcl_where(fcl_greater(number(u, 5), w), in_middle, in_tails);
    return fcl_mul(p, fcl_scale(fcl_sub(u, rest), 1.41421356f));
}

/* a^n by squaring, n > 0 */
static fcl_tensor *whole_power(fcl_tensor *a, int n)
{
    fcl_tensor *power = NULL;
    for (; n; n /= 2) {
        if (n % 2)
            power = power ? fcl_mul(power, a) : a;
        a = n > 1 ? fcl_square(a) : a;
    }
    return power;
}

/* Small whole exponents, which also take a base below 0, and square roots need no logarithm. */
static fcl_tensor *power(fcl_tensor *a, const fcl_term *exponent, fcl_tensor *b)
{
    enum { MOST = 16 };
    double n = exponent->number;
    if (exponent->op != FCL_EXPRESSION_NUMBER || n == 0 || fabs(n) > MOST)
        return fcl_pow(a, b);
    if (n == nearbyint(n)) {
        fcl_tensor *result = whole_power(a, (int)fabs(n));
        return n < 0 ? fcl_reciprocal(result) : result;
    }
    if (fabs(n) == 0.5)
        return n < 0 ? fcl_reciprocal(fcl_sqrt(a)) : fcl_sqrt(a);
    return fcl_pow(a, b);
}

static unary_builder *const unary[FCL_EXPRESSION_OPS] = {
    [FCL_EXPRESSION_NEG] = fcl_neg,
    [FCL_EXPRESSION_EXP] = fcl_exp,
    [FCL_EXPRESSION_EXPM1] = fcl_expm1,
    [FCL_EXPRESSION_LOG] = fcl_log,
    [FCL_EXPRESSION_LOG1P] = fcl_log1p,
    [FCL_EXPRESSION_SQRT] = fcl_sqrt,
    [FCL_EXPRESSION_SIN] = fcl_sin,
    [FCL_EXPRESSION_COS] = fcl_cos,
    [FCL_EXPRESSION_TAN] = tangent,
    [FCL_EXPRESSION_SINH] = hyperbolic_sine,
    [FCL_EXPRESSION_COSH] = hyperbolic_cosine,
    [FCL_EXPRESSION_TANH] = fcl_tanh,
    [FCL_EXPRESSION_ASINH] = area_sine,
    [FCL_EXPRESSION_SIGMOID] = fcl_sigmoid,
    [FCL_EXPRESSION_PROBIT] = normal_quantile,
    [FCL_EXPRESSION_ABS] = fcl_abs,
};
static binary_builder *const binary[FCL_EXPRESSION_OPS] = {
    [FCL_EXPRESSION_ADD] = fcl_add,         [FCL_EXPRESSION_SUB] = fcl_sub, [FCL_EXPRESSION_MUL] = fcl_mul,
    [FCL_EXPRESSION_DIV] = fcl_div,         [FCL_EXPRESSION_MIN] = fcl_min, [FCL_EXPRESSION_MAX] = fcl_max,
    [FCL_EXPRESSION_GREATER] = fcl_greater,
};

/* `made` has what the terms before were built as. */
static fcl_tensor *build(const fcl_term *term, fcl_graph *graph, fcl_tensor *const *variables,
                         fcl_tensor *const *made)
{
    fcl_tensor *part[3] = {NULL};
    if (term->op == FCL_EXPRESSION_NUMBER)
        return fcl_constant(graph, (float)term->number);
    if (term->op == FCL_EXPRESSION_VARIABLE)
        return variables[term->variable];
    for (int i = 0; i < 3 && term->part[i]; i++)
        part[i] = made[term->part[i]->index];
    if (term->op == FCL_EXPRESSION_POW)
        return power(part[0], term->part[1], part[1]);
    if (term->op == FCL_EXPRESSION_WHERE)
        return fcl_where(part[0], part[1], part[2]);
    return unary[term->op] ? unary[term->op](part[0]) : binary[term->op](part[0], part[1]);
}

fcl_tensor *fcl_expression_build(const fcl_expression *expression, fcl_graph *graph,
                                 fcl_tensor *const *variables)
{
    int terms = fcl_expression_terms(expression);
    fcl_tensor **made = fcl_zalloc((size_t)terms * sizeof *made);
    for (int i = 0; i < terms; i++)
        made[i] = build(fcl_expression_term(expression, i), graph, variables, made);
    fcl_tensor *result = made[terms - 1];
    free(made);
    return result;
}
