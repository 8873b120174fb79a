/* What a network predicts, and the velocity that follows from it. */
#include "flow/objective.h"

#include "base/error.h"
#include "graph/expression.h"
#include "graph/graph.h"

#include <flowcl/path.h>

#include <math.h>

/* The noise's coefficient in x1's velocity; the others follow from x1 = (x - sigma eps)/alpha. */
#define CROSS "(alpha_dot*sigma - sigma_dot*alpha)"

/* clang-format off */
static const fcl_prediction rows[] = {
    {"v", "0", "1", "alpha_dot", "sigma_dot", false, false, false,
     "the velocity dx/dt"},
    {"x1", "sigma_dot/sigma", CROSS "/sigma", "1", "0", false, true, false,
     "the data; its loss weighs all times alike"},
    {"eps", "alpha_dot/alpha", "-" CROSS "/alpha", "0", "1", true, false, false,
     "the noise, as in diffusion models"},
    {"score", "alpha_dot/alpha", "sigma*" CROSS "/alpha", "0", "-1/sigma", true, true, true,
     "the gradient of log p_t; for independent normal noise"},
};
/* clang-format on */
enum { COUNT = sizeof rows / sizeof *rows };

static const char *const variables[] = {"alpha", "sigma", "alpha_dot", "sigma_dot", NULL};

const char *fcl_prediction_name(int index)
{
    return index >= 0 && index < COUNT ? rows[index].name : NULL;
}

const char *fcl_prediction_help(int index)
{
    return index >= 0 && index < COUNT ? rows[index].help : NULL;
}

const fcl_prediction *fcl_prediction_find(const char *name)
{
    int index = fcl_row_index(fcl_prediction_name, name);
    return index < 0 ? NULL : &rows[index];
}

void fcl_prediction_range(const fcl_prediction *prediction, const fcl_path *path, double least_alpha,
                          double *begin, double *end)
{
    fcl_path_range(path, begin, end);
    if (prediction->divides_by_alpha)
        *begin = fmax(*begin, fcl_path_alpha_from(path, least_alpha > 0 ? least_alpha : FCL_PREDICTION_ALPHA));
    if (prediction->divides_by_sigma)
        *end = fmin(*end, fcl_path_sigma_until(path, FCL_PREDICTION_SIGMA));
}

/* The table's formulas parse: a test builds each. */
static fcl_expression *parse(const char *formula)
{
    fcl_expression *expression = NULL;
    fcl_expression_parse(formula, variables, NULL, &expression);
    return expression;
}

fcl_tensor *fcl_prediction_build(const char *formula, fcl_path_at at)
{
    fcl_tensor *values[] = {at.alpha, at.sigma, at.alpha_dot, at.sigma_dot};
    fcl_expression *expression = parse(formula);
    fcl_tensor *result = fcl_expression_build(expression, fcl_tensor_graph(at.alpha), values);
    fcl_expression_destroy(&expression);
    return result;
}

static double value(const char *formula, fcl_path_point at)
{
    fcl_expression *expression = parse(formula);
    double result =
        fcl_expression_value(expression, (const double[]){at.alpha, at.sigma, at.alpha_dot, at.sigma_dot});
    fcl_expression_destroy(&expression);
    return result;
}

int fcl_prediction_value(const char *prediction, const fcl_path *path, double t, double *p, double *q)
{
    double begin, end;
    const fcl_prediction *row = fcl_prediction_find(prediction);
    if (!row)
        return fcl_fail(FCL_ERR_ARGUMENT, "there is no prediction \"%.80s\"", prediction);
    fcl_prediction_range(row, path, 0, &begin, &end);
    fcl_path_point at = fcl_path_value(path, fmin(fmax(t, begin), end));
    *p = value(row->p, at);
    *q = value(row->q, at);
    return FCL_OK;
}
