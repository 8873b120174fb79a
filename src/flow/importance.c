/* Importance weights: a flow's samples as those of a density that is known up to its scale. */
#include <flowcl/flow.h>

#include "base/error.h"
#include "base/expression.h"
#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static double largest(int64_t n, const double *log_weight)
{
    double most = -INFINITY;
    for (int64_t i = 0; i < n; i++)
        most = fmax(most, log_weight[i]);
    return most;
}

/* Sums of exp(log w - the largest): none overflows, and not all vanish. */
int fcl_importance_weigh(int64_t n, const double *log_density, const double *energy, double *log_weight,
                         fcl_importance *result)
{
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++) {
        log_weight[i] = -energy[i] - log_density[i];
        if (isnan(log_weight[i]) || log_weight[i] == INFINITY)
            return fcl_fail(FCL_ERR_NUMERIC,
                            "sample %lld has no weight: its energy is %g, its log density %g", (long long)i,
                            energy[i], log_density[i]);
    }
    double most = largest(n, log_weight);
    if (n < 1 || most == -INFINITY)
        return fcl_fail(FCL_ERR_NUMERIC,
                        "none of %lld samples has a weight above 0: every energy is infinite", (long long)n);
    for (int64_t i = 0; i < n; i++) {
        double w = exp(log_weight[i] - most);
        sum += w;
        squares += w * w;
    }
    result->ess = sum * sum / squares;
    result->log_z = most + log(sum / (double)n);
    result->log_z_error = n > 1 ? sqrt(fmax((double)n / result->ess - 1, 0) / (double)(n - 1)) : NAN;
    return FCL_OK;
}

/* --- an energy as a formula --- */

enum { NAME_SIZE = 24 };

static int evaluate(const char *formula, const char *const *names, const fcl_array *x, int64_t size,
                    double *energy)
{
    fcl_expression *expression;
    FCL_TRY(fcl_expression_parse(formula, names, NULL, &expression));
    double *value = fcl_zalloc((size_t)size * sizeof *value);
    int status = FCL_OK;
    for (int64_t i = 0; i < x->shape.dim[0] && status == FCL_OK; i++) {
        for (int64_t d = 0; d < size; d++)
            value[d] = x->data[i * size + d];
        energy[i] = fcl_expression_value(expression, value);
        if (isnan(energy[i]) || energy[i] == -INFINITY)
            status = fcl_fail(FCL_ERR_NUMERIC, "the energy %s is %g at sample %lld", formula, energy[i],
                              (long long)i);
    }
    free(value);
    fcl_expression_destroy(&expression);
    return status;
}

int fcl_importance_energy(const char *formula, const fcl_array *x, double *energy)
{
    int64_t n = x->shape.rank ? x->shape.dim[0] : 0, size = n ? fcl_shape_size(x->shape) / n : 0;
    if (size < 1 || size > 100000)
        return fcl_fail(FCL_ERR_ARGUMENT, "an energy of samples of %lld numbers; a formula takes 1 to 100000",
                        (long long)size);
    char(*text)[NAME_SIZE] = fcl_zalloc((size_t)size * sizeof *text);
    const char **names = fcl_zalloc(((size_t)size + 1) * sizeof *names);
    for (int64_t d = 0; d < size; d++) {
        snprintf(text[d], NAME_SIZE, "x%lld", (long long)d + 1);
        names[d] = text[d];
    }
    int status = evaluate(formula, names, x, size, energy);
    free(names);
    free(text);
    return status;
}
