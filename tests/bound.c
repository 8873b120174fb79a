#include "bound.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

double bound_of_function(const bound_function *f, int inputs, const double *x, const double *error)
{
    double value = f->f(x), bound = BOUND_UNIT * (2 * f->units * fabs(value) + f->of_argument * fabs(x[0]));
    for (int k = 0; k < inputs; k++) {
        double moved[3] = {x[0], x[1], x[2]}, most = 0;
        for (int sign = -1; sign <= 1 && error[k] > 0; sign += 2) {
            moved[k] = x[k] + sign * error[k];
            most = fmax(most, fabs(f->f(moved) - value));
        }
        bound += most;
    }
    return bound;
}

/* The partial sums of terms of either sign wander about the way to the value as far as the root of `squares`
 * says. */
double bound_of_sum(double n, double value, double squares)
{
    return n > 1 ? BOUND_UNIT * 2 * sqrt(n) * (fabs(value) + 2 * sqrt(squares)) : 0;
}

/* clang-format off */
static double larger(double x, double error) { return fabs(x) + error; }
static double size_of(double x, double error) { (void)error; return fabs(x); }
static double square_of(double x, double error) { (void)error; return x * x; }
static double one_of(double x, double error) { (void)x, (void)error; return 1; }
static double above(double x, double error) { return x + error; }
static double below(double x, double error) { return x - error; }
/* clang-format on */

/* The operation's value where its inputs of real numbers are made of what they are. */
static double *value_of(const evaluation *e, void (*eval)(const evaluation *e),
                        double (*made)(double x, double error))
{
    evaluation other = *e;
    double *in[64] = {0};
    other.error = NULL;
    other.out = fcl_zalloc((size_t)e->size * sizeof *other.out);
    for (int k = 0; k < e->node->inputs; k++) {
        int64_t count = fcl_shape_size(e->node->input[k]->shape);
        if (e->node->input[k]->type != FCL_F32)
            continue;
        other.in[k] = in[k] = fcl_zalloc((size_t)count * sizeof *in[k]);
        for (int64_t i = 0; i < count; i++)
            in[k][i] = made(e->in[k][i], e->in_error[k][i]);
    }
    eval(&other);
    for (int k = 0; k < e->node->inputs; k++)
        free(in[k]);
    return other.out;
}

static void bound_linear(const evaluation *e, void (*eval)(const evaluation *e))
{
    double *most = value_of(e, eval, larger), *size = value_of(e, eval, size_of);
    double *terms = value_of(e, eval, one_of), *squares = value_of(e, eval, square_of);
    for (int64_t i = 0; i < e->size; i++) {
        double products = e->node->inputs > 1 ? 4 * BOUND_UNIT * sqrt(squares[i]) : 0;
        e->error[i] = most[i] - size[i] + products + bound_of_sum(terms[i], e->out[i], squares[i]);
    }
    free(most);
    free(size);
    free(terms);
    free(squares);
}

static void bound_choice(const evaluation *e, void (*eval)(const evaluation *e))
{
    double *most = value_of(e, eval, above), *least = value_of(e, eval, below);
    for (int64_t i = 0; i < e->size; i++)
        e->error[i] = fmax(most[i] - e->out[i], e->out[i] - least[i]);
    free(most);
    free(least);
}

void bound_by_rule(const evaluation *e, bound_rule rule, void (*eval)(const evaluation *e))
{
    if (rule == BOUND_LINEAR)
        bound_linear(e, eval);
    else if (rule == BOUND_CHOICE)
        bound_choice(e, eval);
    else if (rule == BOUND_EXACT)
        memset(e->error, 0, (size_t)e->size * sizeof *e->error);
}
