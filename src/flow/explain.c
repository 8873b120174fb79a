/* A configuration in formulas, for people. */
#include "flow/objective.h"

#include "base/error.h"
#include "flow/solver.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void fcl_choice_explain(const char *label, const fcl_choice_table *table, const fcl_choice *choice,
                        fcl_text *text)
{
    char *name =
        choice->index == FCL_CHOICE_FORMULA ? fcl_strdup("a formula") : fcl_choice_text(table, choice);
    fcl_text_format(text, "%-12s%s\n", label, name);
    free(name);
}

/* --- training --- */

static void add_formulas(const fcl_path *path, const char *const *which, fcl_text *text)
{
    for (int i = 0; which[i]; i++) {
        char *formula = fcl_path_formula(path, which[i]);
        fcl_text_format(text, "            %-6s = %s\n", which[i], formula);
        fcl_free(formula);
    }
}

static void explain_path(const fcl_objective *objective, fcl_text *text)
{
    static const char *const plain[] = {"alpha", "sigma", "alpha'", "sigma'", NULL};
    static const char *const tube[] = {"tube", "tube'", NULL};
    const char *name = objective->options->path;
    bool tubed = fcl_path_has_tube(objective->path);
    fcl_text_format(text, "%-12s%s\n", "path", name ? name : fcl_path_name(0));
    fcl_text_format(text, "            x_t = alpha x1 + sigma x0%s\n", tubed ? " + tube z, z ~ N(0, I)" : "");
    add_formulas(objective->path, plain, text);
    if (tubed)
        add_formulas(objective->path, tube, text);
}

/* What sampling does where the prediction has no velocity. */
static void explain_ends(const fcl_objective *objective, fcl_text *text)
{
    double begin, end;
    fcl_prediction_range(objective->prediction, objective->path, (double)objective->options->least_alpha, &begin,
                         &end);
    if (begin > 0)
        fcl_text_format(text, "            sampling begins with x = sigma x0, unasked, up to t = %.6g\n", begin);
    if (end < 1)
        fcl_text_format(text,
                        "            sampling ends, from t = %.6g on, with alpha x1^ + sigma x0^ as they are predicted "
                        "there: one evaluation\n",
                        end);
}

static void explain_prediction(const fcl_objective *objective, fcl_text *text)
{
    const fcl_prediction *row = objective->prediction;
    bool velocity = row == fcl_prediction_find(NULL), tubed = fcl_path_has_tube(objective->path);
    fcl_text_format(text, "%-12s%s: %s\n", "prediction", row->name, row->help);
    if (velocity)
        fcl_text_format(text, "            target = alpha' x1 + sigma' x0%s\n", tubed ? " + tube' z" : "");
    else
        fcl_text_format(text, "            target = %s\n",
                        !strcmp(row->of_noise, "0")   ? "x1"
                        : !strcmp(row->of_noise, "1") ? "x0"
                                                      : "-x0/sigma");
    if (!velocity)
        fcl_text_format(text, "            v = p x + q prediction, p = %s, q = %s\n", row->p, row->q);
    explain_ends(objective, text);
}

int fcl_cfm_explain(const fcl_cfm_options *options, char **explanation)
{
    static const fcl_cfm_options defaults = {0};
    fcl_objective *objective;
    fcl_text text = {0};
    *explanation = NULL;
    FCL_TRY(fcl_objective_create(options ? options : &defaults, &objective));
    const fcl_coupling *coupling = fcl_coupling_find(objective->options->coupling);
    explain_path(objective, &text);
    fcl_text_format(&text, "%-12s%s: %s\n", "coupling", coupling->name, coupling->help);
    explain_prediction(objective, &text);
    fcl_time_explain(objective, &text);
    fcl_weight_explain(objective, &text);
    fcl_loss_explain(objective, &text);
    fcl_objective_destroy(&objective);
    *explanation = text.data;
    return FCL_OK;
}

/* --- sampling --- */

/* 1/6 for 0.1666...: tableaus are made of fractions. */
static void add_fraction(double number, fcl_text *text)
{
    enum { LARGEST = 1000000 };
    for (int under = 1; under <= LARGEST; under++) {
        double over = number * under;
        if (fabs(over - nearbyint(over)) > 1e-10)
            continue;
        fcl_text_format(text, under == 1 ? "%.0f" : "%.0f/%d", nearbyint(over), under);
        return;
    }
    fcl_text_format(text, "%.12g", number);
}

/* "1/6 k1 + 1/3 k2"; nothing for no number that is not 0. */
static void add_sum(const double *numbers, int count, fcl_text *text)
{
    bool first = true;
    for (int i = 0; i < count; i++) {
        if (numbers[i] == 0)
            continue;
        fcl_text_add(text, first ? (numbers[i] < 0 ? "-" : "") : numbers[i] < 0 ? " - " : " + ");
        if (fabs(numbers[i]) != 1) {
            add_fraction(fabs(numbers[i]), text);
            fcl_text_add(text, " ");
        }
        fcl_text_format(text, "k%d", i + 1);
        first = false;
    }
}

static void add_stage(const fcl_tableau *tableau, int stage, fcl_text *text)
{
    const char *slope = tableau->noise ? "b" : "v";
    fcl_text_format(text, "            k%d = %s(x", stage + 1, slope);
    if (stage > 0) {
        fcl_text_add(text, " + h (");
        add_sum(tableau->a + stage * (stage - 1) / 2, stage, text);
        fcl_text_add(text, ")");
    }
    fcl_text_add(text, ", t");
    if (tableau->c[stage] != 0) {
        fcl_text_add(text, " + ");
        if (tableau->c[stage] != 1) {
            add_fraction(tableau->c[stage], text);
            fcl_text_add(text, " ");
        }
        fcl_text_add(text, "h");
    }
    fcl_text_add(text, ")\n");
}

static void explain_step(const fcl_solver_options *options, const fcl_tableau *tableau, fcl_text *text)
{
    fcl_text_format(text, "%-12s%s: %s\n", "solver", tableau->name, tableau->help);
    if (tableau->adams) {
        fcl_text_format(
            text,
            "            x <- x + int p dt over it, p the polynomial through the last %d "
            "slopes v\n",
            tableau->adams);
        return;
    }
    if (tableau->noise)
        fcl_text_format(text,
                        "            b = v + w score + sqrt(2 w/h) xi, xi ~ N(0, I) of the step, w = %s,\n"
                        "            at most (sigma^2 + tube^2)/h\n",
                        options->w ? options->w : "sigma");
    for (int i = 0; i < tableau->stages; i++)
        add_stage(tableau, i, text);
    fcl_text_add(text, "            x <- x + h (");
    add_sum(tableau->b, tableau->stages, text);
    fcl_text_add(text, ")\n");
}

static int explain_fixed(const fcl_solver_options *options, const fcl_tableau *tableau, fcl_text *text)
{
    double *times;
    int steps;
    fcl_solver_options filled = *options;
    if (filled.t_begin == 0 && filled.t_end == 0)
        filled.t_end = 1;
    FCL_TRY(fcl_grid_read(&filled, &times, &steps));
    fcl_text_format(text, "%-12s%d from t = %g to %g, grid %s\n", "steps", steps, times[0], times[steps],
                    options->grid ? options->grid : fcl_grid_name(0));
    free(times);
    fcl_text_format(text, "%-12s%lld of the network for each sample\n", "evaluations",
                    (long long)fcl_tableau_evaluations(tableau, steps));
    return FCL_OK;
}

static void explain_adaptive(const fcl_solver_options *options, const fcl_tableau *tableau, fcl_text *text)
{
    fcl_text_add(text, "            error = h (");
    add_sum(tableau->b_error, tableau->stages, text);
    fcl_text_format(
        text, ")\n            a step is taken where the rms of error/(atol + rtol max(|x|, |x_new|)) is at "
              "most 1, each sample for itself\n");
    fcl_text_format(text, "            rtol = %g, atol = %g\n", options->rtol ? options->rtol : 1e-5,
                    options->atol ? options->atol : 1e-5);
    fcl_text_format(
        text, "%-12s2 to choose the first step, then %d for each step, taken or not; at most %d steps\n",
        "evaluations", tableau->stages - tableau->fsal, options->max_steps ? options->max_steps : 10000);
}

int fcl_solver_explain(const fcl_solver_options *options, char **explanation)
{
    static const fcl_solver_options defaults = {0};
    fcl_text text = {0};
    *explanation = NULL;
    if (!options)
        options = &defaults;
    FCL_TRY(fcl_solver_check(options));
    const fcl_tableau *tableau = fcl_tableau_find(options->solver);
    explain_step(options, tableau, &text);
    int status = FCL_OK;
    if (tableau->b_error)
        explain_adaptive(options, tableau, &text);
    else
        status = explain_fixed(options, tableau, &text);
    if (status != FCL_OK)
        fcl_text_free(&text);
    *explanation = text.data;
    return status;
}
