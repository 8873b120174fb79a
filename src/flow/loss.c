/* Losses: the distance of what a network predicts from its target, a number a sample. */
#include "flow/objective.h"

typedef struct loss_row {
    const char *name;
    fcl_tensor *(*build)(fcl_tensor *found, fcl_tensor *wanted, const fcl_parameter *parameter);
    fcl_choice_parameter parameter[FCL_CHOICE_PARAMETERS + 1];
    const char *formula; /* of each number's error d */
    const char *help;
} loss_row;

static fcl_tensor *squared(fcl_tensor *found, fcl_tensor *wanted, const fcl_parameter *parameter)
{
    (void)parameter;
    return fcl_cfm_loss(found, wanted);
}

/* m (2 |d| - m) with m = min(|d|, delta) */
static fcl_tensor *huber(fcl_tensor *found, fcl_tensor *wanted, const fcl_parameter *parameter)
{
    fcl_graph *graph = fcl_tensor_graph(found);
    fcl_tensor *size = fcl_abs(fcl_sub(found, wanted));
    fcl_tensor *least = fcl_min(size, fcl_constant(graph, (float)parameter[0].value));
    fcl_tensor *each = fcl_mul(least, fcl_sub(fcl_scale(size, 2), least));
    return fcl_scale(fcl_sum_axes(each, 1u << 1), 1.0f / (float)fcl_tensor_shape(found).dim[1]);
}

/* clang-format off */
static const loss_row rows[] = {
    {"squared", squared, {{0}}, "d^2",
     "mean of the squared differences"},
    {"huber", huber, {{"delta", 1, 1e-6, 1e6}}, "d^2, beyond |d| = delta its tangent 2 delta |d| - delta^2",
     "squared up to delta, then straight: outliers pull less; huber(delta)"},
};
/* clang-format on */
enum { COUNT = sizeof rows / sizeof *rows };

const char *fcl_loss_name(int index)
{
    return index >= 0 && index < COUNT ? rows[index].name : NULL;
}

const char *fcl_loss_help(int index)
{
    return index >= 0 && index < COUNT ? rows[index].help : NULL;
}

static const fcl_choice_parameter *parameters_of(int index)
{
    return rows[index].parameter;
}

static const fcl_choice_table table = {"loss", fcl_loss_name, parameters_of, false};

int fcl_loss_read(fcl_objective *objective)
{
    return fcl_choice_read(&table, objective->options->loss, NULL, &objective->loss_choice);
}

fcl_tensor *fcl_loss_build(const fcl_objective *objective, fcl_tensor *found, fcl_tensor *wanted)
{
    const fcl_choice *choice = &objective->loss_choice;
    return rows[choice->index].build(found, wanted, choice->parameter);
}

void fcl_loss_explain(const fcl_objective *objective, fcl_text *text)
{
    const fcl_choice *choice = &objective->loss_choice;
    fcl_choice_explain("loss", &table, choice, text);
    fcl_text_format(text, "            l = mean over a sample's differences d of %s\n",
                    rows[choice->index].formula);
    fcl_text_add(text, "            minimised: mean over the batch of w l\n");
}
