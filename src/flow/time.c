/* Time laws: at which t the network is trained, and how often. A law is its quantile, a formula in u, uniform
 * in (0, 1); how the u of a batch are drawn is another table. */
#include "flow/objective.h"

#include "base/error.h"
#include "graph/expression.h"

#include <stdlib.h>

typedef struct time_row {
    const char *name;
    const char *quantile; /* NULL: the beta law */
    fcl_choice_parameter parameter[FCL_CHOICE_PARAMETERS + 1];
    const char *help;
} time_row;

/* clang-format off */
static const time_row rows[] = {
    {"uniform", "u", {{0}},
     "every time between 0 and 1 is as likely"},
    {"logit-normal", "sigmoid(m + s*probit(u))", {{"m", 0, -10, 10}, {"s", 1, 1e-3, 10}},
     "sigmoid of N(m, s^2): the middle (Esser et al. 2024); logit-normal(m, s)"},
    {"mode", "1 - u - s*(cos(pi*u/2)^2 - 1 + u)", {{"s", 1.29, -1, 1.75}},
     "heavy in the middle for s > 0, at the ends for s < 0 (Esser et al. 2024); mode(s)"},
    {"u-shaped", "1/2 + asinh((2*u - 1)*sinh(a/2))/a", {{"a", 4, 1e-3, 50}},
     "density as cosh(a (t - 1/2)): the ends (Lee et al. 2024); u-shaped(a)"},
    {"beta", NULL, {{"a", 1.5, 0.05, 100}, {"b", 1, 0.05, 100}},
     "density t^(a - 1) (1 - t)^(b - 1), in proportion: any of these; beta(a, b)"},
    {"edm", "sigmoid(1.2 + 1.2*probit(u))", {{0}},
     "EDM's noise levels (Karras et al. 2022): t = 1/(1 + exp(1.2 n - 1.2)), n normal"},
};
/* clang-format on */
enum { COUNT = sizeof rows / sizeof *rows };

static const char *const variables[] = {"u", NULL};

const char *fcl_time_name(int index)
{
    return index >= 0 && index < COUNT ? rows[index].name : NULL;
}

const char *fcl_time_help(int index)
{
    return index >= 0 && index < COUNT ? rows[index].help : NULL;
}

static const fcl_choice_parameter *parameters_of(int index)
{
    return rows[index].parameter;
}

static const fcl_choice_table table = {"time law", fcl_time_name, parameters_of, true};

/* --- how the u of a batch are drawn --- */

typedef struct draw_row {
    const char *name;
    /* u (B, 1), uniform; `total` is the samples of the whole step */
    fcl_tensor *(*arrange)(fcl_tensor *u, int64_t total);
    const char *help;
} draw_row;

static fcl_tensor *independent(fcl_tensor *u, int64_t total)
{
    (void)total;
    return u;
}

/* (row + u) / total, rounded to below 1 */
static fcl_tensor *stratified(fcl_tensor *u, int64_t total)
{
    fcl_graph *graph = fcl_tensor_graph(u);
    fcl_tensor *row = fcl_row_number(graph, fcl_tensor_shape(u).dim[0], total);
    fcl_tensor *share = fcl_scale(fcl_add(row, u), (float)(1.0 / (double)total));
    return fcl_min(share, fcl_constant(graph, 1 - 0x1p-24f));
}

/* Rows 2i and 2i + 1 have u and 1 - u; the last of an odd number stands alone. */
static fcl_tensor *antithetic(fcl_tensor *u, int64_t total)
{
    int64_t batch = fcl_tensor_shape(u).dim[0], pairs = batch / 2;
    (void)total;
    if (!pairs)
        return u;
    fcl_tensor *first = fcl_slice(fcl_reshape(fcl_slice(u, 0, 0, 2 * pairs), FCL_SHAPE(pairs, 2)), 1, 0, 1);
    fcl_tensor *both[] = {first, fcl_shift(fcl_neg(first), 1)};
    fcl_tensor *paired = fcl_reshape(fcl_concat(2, both, 1), FCL_SHAPE(2 * pairs, 1));
    fcl_tensor *all[] = {paired, batch % 2 ? fcl_slice(u, 0, batch - 1, batch) : NULL};
    return batch % 2 ? fcl_concat(2, all, 0) : paired;
}

static const draw_row draws[] = {
    {"independent", independent, "each time for itself"},
    {"stratified", stratified, "one time in each of as many equal shares as the batch has samples"},
    {"antithetic", antithetic, "in pairs u, 1 - u"},
};
enum { DRAWS = sizeof draws / sizeof *draws };

const char *fcl_time_draw_name(int index)
{
    return index >= 0 && index < DRAWS ? draws[index].name : NULL;
}

const char *fcl_time_draw_help(int index)
{
    return index >= 0 && index < DRAWS ? draws[index].help : NULL;
}

/* --- reading and drawing --- */

static int check_inside(const fcl_objective *objective)
{
    enum { CELLS = 1000 };
    for (int i = 0; i < CELLS; i++) {
        double u = (i + 0.5) / CELLS, t = fcl_expression_value(objective->time, &u);
        if (!(t >= 0 && t <= 1))
            return fcl_fail(FCL_ERR_ARGUMENT,
                            "the time law \"%.200s\" is %g at u = %g; it must lie between 0 and 1",
                            objective->options->time, t, u);
    }
    return FCL_OK;
}

int fcl_time_read(fcl_objective *objective)
{
    const fcl_cfm_options *options = objective->options;
    fcl_choice *choice = &objective->time_choice;
    FCL_TRY(fcl_choice_read(&table, options->time, NULL, choice));
    bool own = choice->index == FCL_CHOICE_FORMULA;
    const char *quantile = own ? options->time : rows[choice->index].quantile;
    if (!quantile)
        return FCL_OK;
    FCL_TRY(fcl_expression_parse(quantile, variables, own ? NULL : choice->parameter, &objective->time));
    return own ? check_inside(objective) : FCL_OK;
}

/* The noise level n = 1 - t becomes s n / (1 + (s - 1) n). */
static fcl_tensor *shifted(fcl_tensor *t, float s)
{
    if (s == 0 || s == 1)
        return t;
    fcl_tensor *level = fcl_shift(fcl_neg(t), 1);
    return fcl_div(t, fcl_shift(fcl_scale(level, s - 1), 1));
}

static fcl_tensor *quantile(const fcl_objective *objective, fcl_tensor *u)
{
    const fcl_parameter *parameter = objective->time_choice.parameter;
    if (!objective->time)
        return fcl_beta_quantile(u, parameter[0].value, parameter[1].value);
    fcl_tensor *t = fcl_expression_build(objective->time, fcl_tensor_graph(u), &u);
    return fcl_expression_uses(objective->time, 0) ? t : fcl_expand(t, fcl_tensor_shape(u));
}

fcl_tensor *fcl_time_draw(const fcl_objective *objective, fcl_graph *graph, int64_t batch)
{
    const fcl_cfm_options *options = objective->options;
    const draw_row *draw = &draws[fcl_row_index(fcl_time_draw_name, options->time_draw)];
    fcl_tensor *u = fcl_uniform(graph, FCL_SHAPE(batch, 1), FCL_STREAM_TIME);
    u = draw->arrange(u, options->batch_total ? options->batch_total : batch);
    fcl_tensor *t = quantile(objective, u);
    return fcl_time_clamp(shifted(t, options->time_shift), objective->begin, objective->end);
}

void fcl_time_explain(const fcl_objective *objective, fcl_text *text)
{
    const fcl_cfm_options *options = objective->options;
    const draw_row *draw = &draws[fcl_row_index(fcl_time_draw_name, options->time_draw)];
    char *formula = objective->time ? fcl_expression_text(objective->time) : NULL;
    fcl_choice_explain("time", &table, &objective->time_choice, text);
    fcl_text_format(text, "            t = %s, u uniform in (0, 1), %s: %s\n",
                    formula ? formula : "the quantile at u", draw->name, draw->help);
    if (options->time_shift != 0 && options->time_shift != 1)
        fcl_text_format(text, "            then n = 1 - t becomes %g n/(1 + %g n)\n",
                        (double)options->time_shift, (double)options->time_shift - 1);
    if (objective->begin > 0 || objective->end < 1)
        fcl_text_format(text, "            no nearer to the ends than t = %.6g and %.6g\n", objective->begin,
                        objective->end);
    free(formula);
}
