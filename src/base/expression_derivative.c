/* The derivative of a formula, by the rule of each operation. */
#include "base/expression_term.h"

#include <math.h>
#include <stdlib.h>

/* One derivative being taken: the terms go to `arena`. */
typedef struct work {
    fcl_arena *arena;
    int variable;
} work;

#define UNARY(name, op)                                                                                      \
    static const fcl_term *name(const work *to, const fcl_term *a)                                           \
    {                                                                                                        \
        return fcl_term_make(to->arena, FCL_EXPRESSION_##op, a, NULL, NULL);                                 \
    }
#define BINARY(name, op)                                                                                     \
    static const fcl_term *name(const work *to, const fcl_term *a, const fcl_term *b)                        \
    {                                                                                                        \
        return fcl_term_make(to->arena, FCL_EXPRESSION_##op, a, b, NULL);                                    \
    }
BINARY(add, ADD)
BINARY(sub, SUB)
BINARY(mul, MUL)
BINARY(div_by, DIV)
BINARY(power, POW)
BINARY(greater, GREATER)
UNARY(neg, NEG)
UNARY(square_root, SQRT)
UNARY(logarithm, LOG)
UNARY(exponential, EXP)

static const fcl_term *number(const work *to, double value)
{
    return fcl_term_number(to->arena, value);
}

static const fcl_term *where(const work *to, const fcl_term *mask, const fcl_term *a, const fcl_term *b)
{
    return fcl_term_make(to->arena, FCL_EXPRESSION_WHERE, mask, a, b);
}

static const fcl_term *square(const work *to, const fcl_term *a)
{
    return power(to, a, number(to, 2));
}

/* (a^b)' = b a^(b - 1) a' + a^b log(a) b': the second part only where b varies, as its logarithm asks a > 0.
 */
static const fcl_term *of_power(const work *to, const fcl_term *term, const fcl_term *da, const fcl_term *db)
{
    const fcl_term *a = term->part[0], *b = term->part[1], *one = number(to, 1);
    const fcl_term *first = mul(to, mul(to, b, power(to, a, sub(to, b, one))), da);
    if (db->op == FCL_EXPRESSION_NUMBER && db->number == 0)
        return first;
    return add(to, first, mul(to, mul(to, term, logarithm(to, a)), db));
}

/* f'(a) of a function of one part; `term` is f(a). */
static const fcl_term *slope(const work *to, const fcl_term *term)
{
    const fcl_term *a = term->part[0], *one = number(to, 1);
    switch (term->op) {
    case FCL_EXPRESSION_EXP:
        return term;
    case FCL_EXPRESSION_EXPM1:
        return exponential(to, a);
    case FCL_EXPRESSION_LOG:
        return div_by(to, one, a);
    case FCL_EXPRESSION_LOG1P:
        return div_by(to, one, add(to, one, a));
    case FCL_EXPRESSION_SQRT:
        return div_by(to, number(to, 0.5), term);
    case FCL_EXPRESSION_SIN:
        return fcl_term_make(to->arena, FCL_EXPRESSION_COS, a, NULL, NULL);
    case FCL_EXPRESSION_COS:
        return neg(to, fcl_term_make(to->arena, FCL_EXPRESSION_SIN, a, NULL, NULL));
    case FCL_EXPRESSION_TAN:
        return add(to, one, square(to, term));
    case FCL_EXPRESSION_SINH:
        return fcl_term_make(to->arena, FCL_EXPRESSION_COSH, a, NULL, NULL);
    case FCL_EXPRESSION_COSH:
        return fcl_term_make(to->arena, FCL_EXPRESSION_SINH, a, NULL, NULL);
    case FCL_EXPRESSION_TANH:
        return sub(to, one, square(to, term));
    case FCL_EXPRESSION_ASINH:
        return div_by(to, one, square_root(to, add(to, one, square(to, a))));
    case FCL_EXPRESSION_SIGMOID:
        return mul(to, term, sub(to, one, term));
    case FCL_EXPRESSION_PROBIT: /* one over the density at the quantile */
        return mul(to, number(to, sqrt(8 * atan(1))),
                   exponential(to, mul(to, number(to, 0.5), square(to, term))));
    case FCL_EXPRESSION_ABS:
        return where(to, greater(to, number(to, 0), a), number(to, -1), one);
    default:
        return number(to, 0);
    }
}

/* `d` are the derivatives of the term's parts. */
static const fcl_term *derive(const work *to, const fcl_term *term, const fcl_term *const d[3])
{
    const fcl_term *a = term->part[0], *b = term->part[1];
    switch (term->op) {
    case FCL_EXPRESSION_NUMBER:
    case FCL_EXPRESSION_GREATER:
        return number(to, 0);
    case FCL_EXPRESSION_VARIABLE:
        return number(to, term->variable == to->variable);
    case FCL_EXPRESSION_ADD:
        return add(to, d[0], d[1]);
    case FCL_EXPRESSION_SUB:
        return sub(to, d[0], d[1]);
    case FCL_EXPRESSION_NEG:
        return neg(to, d[0]);
    case FCL_EXPRESSION_MUL:
        return add(to, mul(to, d[0], b), mul(to, a, d[1]));
    case FCL_EXPRESSION_DIV: /* (a' - (a/b) b') / b */
        return div_by(to, sub(to, d[0], mul(to, term, d[1])), b);
    case FCL_EXPRESSION_POW:
        return of_power(to, term, d[0], d[1]);
    case FCL_EXPRESSION_MIN:
        return where(to, greater(to, a, b), d[1], d[0]);
    case FCL_EXPRESSION_MAX:
        return where(to, greater(to, b, a), d[1], d[0]);
    case FCL_EXPRESSION_WHERE:
        return where(to, a, d[1], d[2]);
    default:
        return mul(to, slope(to, term), d[0]);
    }
}

/* The derivative shares terms with what it is of, so it is made of a copy in its own arena. Each term is copied and
 * derived once, however many it is part of. */
fcl_expression *fcl_expression_derivative(const fcl_expression *expression, int variable)
{
    fcl_expression *made = fcl_expression_create((const char *const *)expression->variables);
    const work to = {&made->arena, variable};
    int terms = expression->terms;
    const fcl_term **copy = fcl_zalloc((size_t)terms * sizeof *copy);
    const fcl_term **derivative = fcl_zalloc((size_t)terms * sizeof *derivative);
    for (int i = 0; i < terms; i++) {
        const fcl_term *term = expression->term[i], *part[3] = {NULL}, *d[3] = {NULL};
        for (int k = 0; k < fcl_term_parts(term->op); k++) {
            part[k] = copy[term->part[k]->index];
            d[k] = derivative[term->part[k]->index];
        }
        copy[i] = fcl_term_copy(&made->arena, term, part);
        derivative[i] = derive(&to, copy[i], d);
    }
    fcl_expression_finish(made, derivative[terms - 1]);
    free(copy);
    free(derivative);
    return made;
}
