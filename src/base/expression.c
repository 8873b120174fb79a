#include "base/expression_term.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- what the operations are --- */

/* The quantile of N(0, 1): Acklam's rational approximation, then one step of Halley's method. */
static double probit(double u)
{
    static const double a[] = {-39.69683028665376, 220.9460984245205,  -275.9285104469687,
                               138.3577518672690,  -30.66479806614716, 2.506628277459239};
    static const double b[] = {-54.47609879822406, 161.5858368580409,  -155.6989798598866,
                               66.80131188771972,  -13.28068155288572, 1};
    static const double c[] = {-0.007784894002430293, -0.3223964580411365, -2.400758277161838,
                               -2.549732539343734,    4.374664141464968,   2.938163982698783};
    static const double d[] = {0.007784695709041462, 0.3224671290700398, 2.445134137142996, 3.754408661907416,
                               1};
    if (!(u > 0 && u < 1))
        return u == 0 ? -INFINITY : u == 1 ? INFINITY : NAN;
    double tail = fmin(u, 1 - u), q = u - 0.5, r = q * q, top = 0, bottom = 0, x;
    if (tail > 0.02425) {
        for (int i = 0; i < 6; i++) {
            top = top * r + a[i];
            bottom = bottom * r + b[i];
        }
        x = q * top / bottom;
    } else {
        double root = sqrt(-2 * log(tail));
        for (int i = 0; i < 6; i++)
            top = top * root + c[i];
        for (int i = 0; i < 5; i++)
            bottom = bottom * root + d[i];
        x = (u < 0.5 ? 1 : -1) * top / bottom;
    }
    /* Phi(x) - u without cancellation in either tail */
    double error = u < 0.5 ? 0.5 * erfc(-x / sqrt(2)) - u : (1 - u) - 0.5 * erfc(x / sqrt(2));
    double step = error * sqrt(8 * atan(1)) * exp(0.5 * x * x);
    return x - step / (1 + 0.5 * x * step);
}

/* clang-format off */
static double f_add(const double *x) { return x[0] + x[1]; }
static double f_sub(const double *x) { return x[0] - x[1]; }
static double f_mul(const double *x) { return x[0] * x[1]; }
static double f_div(const double *x) { return x[0] / x[1]; }
static double f_pow(const double *x) { return pow(x[0], x[1]); }
static double f_neg(const double *x) { return -x[0]; }
static double f_exp(const double *x) { return exp(x[0]); }
static double f_expm1(const double *x) { return expm1(x[0]); }
static double f_log(const double *x) { return log(x[0]); }
static double f_log1p(const double *x) { return log1p(x[0]); }
static double f_sqrt(const double *x) { return sqrt(x[0]); }
static double f_sin(const double *x) { return sin(x[0]); }
static double f_cos(const double *x) { return cos(x[0]); }
static double f_tan(const double *x) { return tan(x[0]); }
static double f_sinh(const double *x) { return sinh(x[0]); }
static double f_cosh(const double *x) { return cosh(x[0]); }
static double f_tanh(const double *x) { return tanh(x[0]); }
static double f_asinh(const double *x) { return asinh(x[0]); }
static double f_sigmoid(const double *x) { return 1 / (1 + exp(-x[0])); }
static double f_probit(const double *x) { return probit(x[0]); }
static double f_abs(const double *x) { return fabs(x[0]); }
static double f_min(const double *x) { return x[0] > x[1] ? x[1] : x[0]; }
static double f_max(const double *x) { return x[0] < x[1] ? x[1] : x[0]; }
static double f_greater(const double *x) { return x[0] > x[1]; }
static double f_where(const double *x) { return x[0] != 0 ? x[1] : x[2]; }

/* The order is that of fcl_expression_op. */
static const struct {
    const char *function; /* its name in text, where it is called as one */
    int parts;
    int weight; /* about what its kernel takes to compile, in sums */
    double (*value)(const double *x);
} ops[FCL_EXPRESSION_OPS] = {
    [FCL_EXPRESSION_ADD] = {NULL, 2, 1, f_add}, [FCL_EXPRESSION_SUB] = {NULL, 2, 1, f_sub},
    [FCL_EXPRESSION_MUL] = {NULL, 2, 1, f_mul}, [FCL_EXPRESSION_DIV] = {NULL, 2, 5, f_div},
    [FCL_EXPRESSION_POW] = {NULL, 2, 14, f_pow}, [FCL_EXPRESSION_NEG] = {NULL, 1, 1, f_neg},
    [FCL_EXPRESSION_EXP] = {"exp", 1, 12, f_exp}, [FCL_EXPRESSION_EXPM1] = {"expm1", 1, 9, f_expm1},
    [FCL_EXPRESSION_LOG] = {"log", 1, 12, f_log}, [FCL_EXPRESSION_LOG1P] = {"log1p", 1, 11, f_log1p},
    [FCL_EXPRESSION_SQRT] = {"sqrt", 1, 5, f_sqrt}, [FCL_EXPRESSION_SIN] = {"sin", 1, 18, f_sin},
    [FCL_EXPRESSION_COS] = {"cos", 1, 18, f_cos}, [FCL_EXPRESSION_TAN] = {"tan", 1, 36, f_tan},
    [FCL_EXPRESSION_SINH] = {"sinh", 1, 20, f_sinh}, [FCL_EXPRESSION_COSH] = {"cosh", 1, 22, f_cosh},
    [FCL_EXPRESSION_TANH] = {"tanh", 1, 14, f_tanh}, [FCL_EXPRESSION_ASINH] = {"asinh", 1, 18, f_asinh},
    [FCL_EXPRESSION_SIGMOID] = {"sigmoid", 1, 15, f_sigmoid}, [FCL_EXPRESSION_PROBIT] = {"probit", 1, 64, f_probit},
    [FCL_EXPRESSION_ABS] = {"abs", 1, 6, f_abs}, [FCL_EXPRESSION_MIN] = {"min", 2, 2, f_min},
    [FCL_EXPRESSION_MAX] = {"max", 2, 2, f_max}, [FCL_EXPRESSION_GREATER] = {"greater", 2, 2, f_greater},
    [FCL_EXPRESSION_WHERE] = {"where", 3, 2, f_where},
};
/* clang-format on */

const char *fcl_term_function(fcl_expression_op op)
{
    return ops[op].function;
}

const char *fcl_expression_function(int index)
{
    for (int op = 0; op < FCL_EXPRESSION_OPS; op++)
        if (ops[op].function && index-- == 0)
            return ops[op].function;
    return NULL;
}

int fcl_term_parts(fcl_expression_op op)
{
    return ops[op].parts;
}

/* A small whole power is a product or a few. */
int fcl_term_weight(fcl_expression_op op, const fcl_term *b)
{
    bool whole = b && b->op == FCL_EXPRESSION_NUMBER && b->number == nearbyint(b->number);
    return op == FCL_EXPRESSION_POW && whole ? 1 : ops[op].weight;
}

/* --- making terms --- */

enum { UNPLACED = -1 }; /* a term that no expression has in its order */

const fcl_term *fcl_term_number(fcl_arena *arena, double number)
{
    fcl_term *term = fcl_arena_alloc(arena, sizeof *term);
    *term = (fcl_term){.op = FCL_EXPRESSION_NUMBER, .number = number, .index = UNPLACED};
    return term;
}

const fcl_term *fcl_term_variable(fcl_arena *arena, int variable)
{
    fcl_term *term = fcl_arena_alloc(arena, sizeof *term);
    *term = (fcl_term){.op = FCL_EXPRESSION_VARIABLE, .variable = variable, .index = UNPLACED};
    return term;
}

const fcl_term *fcl_term_copy(fcl_arena *arena, const fcl_term *term, const fcl_term *const part[3])
{
    fcl_term *same = fcl_arena_alloc(arena, sizeof *same);
    *same = (fcl_term){term->op, term->number, term->variable, UNPLACED, {part[0], part[1], part[2]}};
    return same;
}

static bool is_number(const fcl_term *term, double number)
{
    return term && term->op == FCL_EXPRESSION_NUMBER && term->number == number;
}

static bool all_numbers(const fcl_term *const *part, int count)
{
    for (int i = 0; i < count; i++)
        if (part[i]->op != FCL_EXPRESSION_NUMBER)
            return false;
    return true;
}

static const fcl_term *negated(fcl_arena *arena, const fcl_term *a)
{
    return fcl_term_make(arena, FCL_EXPRESSION_NEG, a, NULL, NULL);
}

static const fcl_term *simpler_sum(fcl_arena *arena, const fcl_term *a, const fcl_term *b)
{
    if (is_number(a, 0) || is_number(b, 0))
        return is_number(a, 0) ? b : a;
    return b->op == FCL_EXPRESSION_NEG ? fcl_term_make(arena, FCL_EXPRESSION_SUB, a, b->part[0], NULL) : NULL;
}

static const fcl_term *simpler_product(fcl_arena *arena, const fcl_term *a, const fcl_term *b)
{
    if (is_number(a, 0) || is_number(b, 1))
        return a;
    if (is_number(b, 0) || is_number(a, 1))
        return b;
    return is_number(a, -1) ? negated(arena, b) : is_number(b, -1) ? negated(arena, a) : NULL;
}

/* What a sum, product or power with 0, 1 or -1 is; NULL: not simpler. 0 * a is 0 although a may be infinite:
 * such are the terms of a derivative that are not there. */
static const fcl_term *simpler(fcl_arena *arena, fcl_expression_op op, const fcl_term *a, const fcl_term *b)
{
    switch (op) {
    case FCL_EXPRESSION_ADD:
        return simpler_sum(arena, a, b);
    case FCL_EXPRESSION_SUB:
        return is_number(b, 0) ? a : is_number(a, 0) ? negated(arena, b) : NULL;
    case FCL_EXPRESSION_MUL:
        return simpler_product(arena, a, b);
    case FCL_EXPRESSION_DIV:
        return is_number(b, 1) || is_number(a, 0) ? a : NULL;
    case FCL_EXPRESSION_POW:
        return is_number(b, 1) ? a : is_number(b, 0) ? fcl_term_number(arena, 1) : NULL;
    case FCL_EXPRESSION_NEG:
        return a->op == FCL_EXPRESSION_NEG ? a->part[0] : NULL;
    default:
        return NULL;
    }
}

const fcl_term *fcl_term_make(fcl_arena *arena, fcl_expression_op op, const fcl_term *a, const fcl_term *b,
                              const fcl_term *c)
{
    const fcl_term *part[] = {a, b, c};
    if (all_numbers(part, ops[op].parts)) {
        double x[3] = {0};
        for (int i = 0; i < ops[op].parts; i++)
            x[i] = part[i]->number;
        return fcl_term_number(arena, ops[op].value(x));
    }
    const fcl_term *simple = simpler(arena, op, a, b);
    if (simple)
        return simple;
    fcl_term *term = fcl_arena_alloc(arena, sizeof *term);
    *term = (fcl_term){.op = op, .index = UNPLACED, .part = {a, b, c}};
    return term;
}

/* --- expressions --- */

fcl_expression *fcl_expression_create(const char *const *variables)
{
    fcl_expression *expression = fcl_zalloc(sizeof *expression);
    while (variables[expression->count])
        expression->count++;
    expression->variables =
        fcl_arena_alloc(&expression->arena, ((size_t)expression->count + 1) * sizeof(char *));
    for (int i = 0; i < expression->count; i++)
        expression->variables[i] = fcl_arena_format(&expression->arena, "%s", variables[i]);
    return expression;
}

/* The arena's terms are const to all but this: it gives each its place in the order. */
static void place(fcl_expression *expression, const fcl_term *term)
{
    if (term->index != UNPLACED)
        return;
    for (int i = 0; i < ops[term->op].parts; i++)
        place(expression, term->part[i]);
    expression->term =
        fcl_grow(expression->term, (size_t)(expression->terms + 1) * sizeof *expression->term);
    ((fcl_term *)term)->index = expression->terms;
    expression->term[expression->terms++] = term;
}

void fcl_expression_finish(fcl_expression *expression, const fcl_term *root)
{
    place(expression, root);
}

void fcl_expression_destroy(fcl_expression **expression)
{
    if (!*expression)
        return;
    free((*expression)->term);
    fcl_arena_free(&(*expression)->arena);
    free(*expression);
    *expression = NULL;
}

int fcl_expression_terms(const fcl_expression *expression)
{
    return expression->terms;
}

const fcl_term *fcl_expression_term(const fcl_expression *expression, int index)
{
    return expression->term[index];
}

const fcl_term *fcl_expression_root(const fcl_expression *expression)
{
    return expression->term[expression->terms - 1];
}

static double value_of(const fcl_term *term, const double *values, const double *parts)
{
    double x[3] = {0};
    if (term->op == FCL_EXPRESSION_NUMBER)
        return term->number;
    if (term->op == FCL_EXPRESSION_VARIABLE)
        return values[term->variable];
    for (int i = 0; i < ops[term->op].parts; i++)
        x[i] = parts[term->part[i]->index];
    return ops[term->op].value(x);
}

double fcl_expression_value(const fcl_expression *expression, const double *values)
{
    enum { SMALL = 64 };
    double few[SMALL];
    double *all = expression->terms > SMALL ? fcl_zalloc((size_t)expression->terms * sizeof *all) : few;
    for (int i = 0; i < expression->terms; i++)
        all[i] = value_of(expression->term[i], values, all);
    double value = all[expression->terms - 1];
    if (all != few)
        free(all);
    return value;
}

bool fcl_expression_uses(const fcl_expression *expression, int variable)
{
    for (int i = 0; i < expression->terms; i++)
        if (expression->term[i]->op == FCL_EXPRESSION_VARIABLE && expression->term[i]->variable == variable)
            return true;
    return false;
}
