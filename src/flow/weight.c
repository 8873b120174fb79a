/* Weights: how much a sample's loss counts, by its time, or by the loss itself. */
#include "flow/objective.h"

#include "base/error.h"
#include "graph/expression.h"

#include <math.h>
#include <stdlib.h>

typedef struct weight_row {
    const char *name;
    const char *formula; /* in the variables below and the parameters */
    fcl_choice_parameter parameter[FCL_CHOICE_PARAMETERS + 1];
    const char *help;
} weight_row;

/* l is the sample's loss, taken as a number; q the factor of the prediction in the velocity, so that
 * (q sigma/(alpha_dot sigma - sigma_dot alpha))^2 turns a weight of the loss of x1 into one of the
 * prediction's. */
static const char *const variables[] = {"t", "alpha", "sigma", "alpha_dot", "sigma_dot", "q", "l", NULL};
enum { SIGMA = 2, Q = 5, L = 6, VARIABLES = 7 };

/* clang-format off */
static const weight_row rows[] = {
    {"one", "1", {{0}},
     "all times count alike"},
    {"inverse-variance", "1/sigma^2", {{0}},
     "1/sigma^2: the data's end counts more"},
    {"cosmap", "2/(pi*(1 - 2*sigma + 2*sigma^2))", {{0}},
     "2/(pi (1 - 2 sigma + 2 sigma^2)): the middle counts more (Esser et al. 2024)"},
    {"min-snr", "min((alpha/sigma)^2, g)*(q*sigma/(alpha_dot*sigma - sigma_dot*alpha))^2", {{"g", 5, 1e-6, 1e6}},
     "the loss of x1 by the signal-to-noise ratio, at most g (Hang et al. 2023); min-snr(g)"},
    {"adaptive", "1/(l + c)^p", {{"p", 1, 1e-3, 10}, {"c", 1e-2, 1e-12, 1e6}},
     "1/(loss + c)^p, by each sample's own loss (Geng et al. 2025); adaptive(p, c)"},
};
/* clang-format on */
enum { COUNT = sizeof rows / sizeof *rows };

const char *fcl_weight_name(int index)
{
    return index >= 0 && index < COUNT ? rows[index].name : NULL;
}

const char *fcl_weight_help(int index)
{
    return index >= 0 && index < COUNT ? rows[index].help : NULL;
}

static const fcl_choice_parameter *parameters_of(int index)
{
    return rows[index].parameter;
}

static const fcl_choice_table table = {"weight", fcl_weight_name, parameters_of, true};

static int check_value(const fcl_objective *objective, double t)
{
    double p, q;
    fcl_path_point at = fcl_path_value(objective->path, t);
    FCL_TRY(fcl_prediction_value(objective->prediction->name, objective->path, t, &p, &q));
    const double values[VARIABLES] = {t, at.alpha, at.sigma, at.alpha_dot, at.sigma_dot, q, 1};
    double weight = fcl_expression_value(objective->weight, values);
    if (!isfinite(weight) || weight < 0)
        return fcl_fail(FCL_ERR_ARGUMENT,
                        "the weight \"%.200s\" is %g at t = %g; it must be finite and not below 0",
                        objective->options->weight, weight, t);
    return FCL_OK;
}

/* A weight that divides by sigma keeps away from the data, where sigma is 0. */
static void keep_range(fcl_objective *objective)
{
    const double ends[VARIABLES] = {1, 1, 0, 1, -1, 1, 1};
    if (!isfinite(fcl_expression_value(objective->weight, ends)))
        objective->end = fmin(objective->end, fcl_path_sigma_until(objective->path, FCL_PREDICTION_SIGMA));
}

int fcl_weight_read(fcl_objective *objective)
{
    enum { CELLS = 100 };
    const fcl_cfm_options *options = objective->options;
    fcl_choice *choice = &objective->weight_choice;
    FCL_TRY(fcl_choice_read(&table, options->weight, NULL, choice));
    bool own = choice->index == FCL_CHOICE_FORMULA;
    const char *formula = own ? options->weight : rows[choice->index].formula;
    FCL_TRY(fcl_expression_parse(formula, variables, own ? NULL : choice->parameter, &objective->weight));
    keep_range(objective);
    for (int i = 0; i <= CELLS && own; i++)
        FCL_TRY(check_value(objective, objective->begin + (objective->end - objective->begin) * i / CELLS));
    return FCL_OK;
}

fcl_tensor *fcl_weight_apply(const fcl_objective *objective, fcl_path_at at, fcl_tensor *t, fcl_tensor *loss)
{
    fcl_graph *graph = fcl_tensor_graph(loss);
    if (objective->weight_choice.index == 0)
        return loss;
    fcl_tensor *q =
        fcl_expression_uses(objective->weight, Q) ? fcl_prediction_build(objective->prediction->q, at) : NULL;
    fcl_tensor *l = fcl_expression_uses(objective->weight, L) ? fcl_detach(loss) : NULL;
    fcl_tensor *values[VARIABLES] = {t, at.alpha, at.sigma, at.alpha_dot, at.sigma_dot, q, l};
    return fcl_mul(loss, fcl_detach(fcl_expression_build(objective->weight, graph, values)));
}

void fcl_weight_explain(const fcl_objective *objective, fcl_text *text)
{
    char *formula = fcl_expression_text(objective->weight);
    fcl_choice_explain("weight", &table, &objective->weight_choice, text);
    fcl_text_format(text, "            w = %s\n", formula);
    free(formula);
}
