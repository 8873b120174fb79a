/* How far from a value in double precision single precision may be, element by element and to first order: what the
 * errors of the inputs become, and what the operation rounds off. Roundings are as often up as down, so that n of them
 * are 2 sqrt(n) times as large as one, seven standard deviations; all else is added up as if it were of one sign. */
#ifndef TESTS_BOUND_H
#define TESTS_BOUND_H

#include "reference.h"

/* The node under evaluation: its inputs' values and its own; with `error`, what is to be told of its error, from the
 * inputs'. */
typedef struct evaluation {
    const reference *r;
    const fcl_tensor *node;
    const double *in[64], *in_error[64];
    double *out, *error;
    int64_t size;
} evaluation;

/* A rounding to the nearest, relative. A unit of the last place is two of it at most. */
static const double BOUND_UNIT = 0x1p-24;

/* Of f(x), which its implementation gives to so many units of the last place and, where what it subtracts cancels, to so
 * many of its first argument's. */
typedef struct bound_function {
    double (*f)(const double *x);
    double units, of_argument;
} bound_function;

double bound_of_function(const bound_function *f, int inputs, const double *x, const double *error);

/* Of a sum of n terms, whose squares add up to `squares`, in any order. */
double bound_of_sum(double n, double value, double squares);

/* How the error of an operation other than a function of elements follows. */
typedef enum bound_rule {
    BOUND_LINEAR, /* linear in each input of real numbers, without negative coefficients: sums, products, moves */
    BOUND_CHOICE, /* one of the input's numbers, by its size: the largest */
    BOUND_EXACT,  /* whole numbers, or bits */
    BOUND_OWN     /* its evaluation tells */
} bound_rule;

void bound_by_rule(const evaluation *e, bound_rule rule, void (*eval)(const evaluation *e));

#endif
