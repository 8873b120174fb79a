/* Formulas as text: "1 - (1 - s)*t", read once, evaluated in double, differentiated, and (graph/expression.h)
 * appended to a graph. What a user may write wherever the program takes a formula:
 *
 *     numbers, pi, e, the caller's names     + - * /   ^ (right-associative, above the sign)   ( )
 *     exp expm1 log log1p sqrt sin cos tan sinh cosh tanh asinh sigmoid probit abs min max greater where
 *
 * probit is the quantile of N(0, 1); greater(a, b) is 1 where a > b, else 0; where(m, a, b) is a where m is
 * not 0, else b. The caller's names are variables, whose values come later, and parameters, which are numbers
 * already.
 *
 *     static const char *const names[] = {"t", NULL};
 *     fcl_expression *sigma = NULL;
 *     FCL_TRY(fcl_expression_parse("1 - t^2", names, NULL, &sigma));
 *     fcl_expression *slope = fcl_expression_derivative(sigma, 0);
 *     double value = fcl_expression_value(slope, (const double[]){0.5});           // -1
 *     fcl_expression_destroy(&slope);
 *     fcl_expression_destroy(&sigma); */
#ifndef BASE_EXPRESSION_H
#define BASE_EXPRESSION_H

#include <flowcl/base.h>

typedef enum fcl_expression_op {
    FCL_EXPRESSION_NUMBER,
    FCL_EXPRESSION_VARIABLE,
    FCL_EXPRESSION_ADD,
    FCL_EXPRESSION_SUB,
    FCL_EXPRESSION_MUL,
    FCL_EXPRESSION_DIV,
    FCL_EXPRESSION_POW,
    FCL_EXPRESSION_NEG,
    FCL_EXPRESSION_EXP,
    FCL_EXPRESSION_EXPM1,
    FCL_EXPRESSION_LOG,
    FCL_EXPRESSION_LOG1P,
    FCL_EXPRESSION_SQRT,
    FCL_EXPRESSION_SIN,
    FCL_EXPRESSION_COS,
    FCL_EXPRESSION_TAN,
    FCL_EXPRESSION_SINH,
    FCL_EXPRESSION_COSH,
    FCL_EXPRESSION_TANH,
    FCL_EXPRESSION_ASINH,
    FCL_EXPRESSION_SIGMOID,
    FCL_EXPRESSION_PROBIT,
    FCL_EXPRESSION_ABS,
    FCL_EXPRESSION_MIN,
    FCL_EXPRESSION_MAX,
    FCL_EXPRESSION_GREATER,
    FCL_EXPRESSION_WHERE, /* b where a is not 0, else c: only in derivatives */
    FCL_EXPRESSION_OPS
} fcl_expression_op;

/* A formula is made of terms, which never change. A term may be part of several others: in a derivative much is,
 * and followed as a tree a product of 240 factors would be tens of thousands of terms. So what is done for each term
 * is done in a loop over them, in the order of fcl_expression_term. */
typedef struct fcl_term fcl_term;
struct fcl_term {
    fcl_expression_op op;
    double number; /* of a number */
    int variable;  /* index of a variable */
    int index;     /* in that order */
    const fcl_term *part[3];
};

typedef struct fcl_expression fcl_expression;

typedef struct fcl_parameter {
    const char *name;
    double value;
} fcl_parameter;

/* `variables` ends with NULL, `parameters` (or NULL) with a NULL name; both are borrowed for the call.
 * FCL_ERR_ARGUMENT: the sentence quotes the text and names the column, from 1. */
int fcl_expression_parse(const char *text, const char *const *variables, const fcl_parameter *parameters,
                         fcl_expression **expression);
/* Reads "alpha = t, sigma = 1 - t": each of `keys` (ends with NULL) exactly once, in any order.
 * expressions[i] belongs to keys[i]; all or none are made. */
int fcl_expression_parse_list(const char *text, const char *const *keys, const char *const *variables,
                              const fcl_parameter *parameters, fcl_expression **expressions);
void fcl_expression_destroy(fcl_expression **expression);

/* `values` has one number a variable. Outside a function's domain NaN or an infinity, as in C. */
double fcl_expression_value(const fcl_expression *expression, const double *values);
/* The derivative in one variable, a new expression of the same variables. The kinks of abs, min and max take
 * one side's. */
fcl_expression *fcl_expression_derivative(const fcl_expression *expression, int variable);
bool fcl_expression_uses(const fcl_expression *expression, int variable);
/* The name of the index-th function that a formula may call, NULL past the last. */
const char *fcl_expression_function(int index);
/* The formula as text that parses back to it, without needless parentheses; released by fcl_free. */
char *fcl_expression_text(const fcl_expression *expression);
/* How many different terms there are, and each of them: parts come before what they are part of, so the last one is
 * the root. */
const fcl_term *fcl_expression_root(const fcl_expression *expression);
int fcl_expression_terms(const fcl_expression *expression);
const fcl_term *fcl_expression_term(const fcl_expression *expression, int index);

#endif
