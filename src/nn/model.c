#include "nn/model.h"

#include "base/error.h"
#include "base/memory.h"
#include "graph/graph.h"

#include <stdlib.h>
#include <string.h>

static const fcl_model_kind kinds[] = {
    {"mlp", "a multi-layer perceptron over (x, t)", fcl_mlp_declare, fcl_mlp_velocity},
};

enum { KINDS = sizeof kinds / sizeof *kinds };

const char *fcl_model_name(int index)
{
    return index >= 0 && index < KINDS ? kinds[index].name : NULL;
}

const char *fcl_model_help(int index)
{
    return index >= 0 && index < KINDS ? kinds[index].help : NULL;
}

/* clang-format off */
const fcl_option fcl_model_table[] = {
    {"model", FCL_OPTION(fcl_model_options, model), .fallback = "mlp", .choice = fcl_model_name, .choice_help = fcl_model_help,
     .group = "Model", .help = "kind of network"},
    {"width", FCL_OPTION(fcl_model_options, width), .minimum = 1, .maximum = 65536, .fallback = "128",
     .help = "numbers in a hidden layer"},
    {"depth", FCL_OPTION(fcl_model_options, depth), .minimum = 1, .maximum = 1000, .fallback = "4",
     .help = "hidden layers"},
    {"activation", FCL_OPTION(fcl_model_options, activation), .fallback = "silu", .choice = fcl_activation_name,
     .help = "what follows a hidden layer"},
    {"residual", FCL_OPTION(fcl_model_options, residual),
     .help = "hidden layers after the first add to what they read"},
    {"time-features", FCL_OPTION(fcl_model_options, time_features), .minimum = 0, .maximum = 1024,
     .help = "sine and cosine pairs of the time, besides the time itself"},
    {"time-frequency", FCL_OPTION(fcl_model_options, time_frequency), .minimum = 1, .maximum = 1e5,
     .fallback = "32", .help = "highest frequency of these, in half turns"},
    {0},
};
/* clang-format on */

static const fcl_model_kind *find_kind(const char *name)
{
    for (int i = 0; i < KINDS; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    return NULL;
}

/* The table's own name: the caller's text may not live as long as the model. */
static const char *own_activation_name(const char *name)
{
    int i = 0;
    while (strcmp(fcl_activation_name(i), name) != 0)
        i++;
    return fcl_activation_name(i);
}

int fcl_model_create(const fcl_model_options *options, fcl_shape sample, int classes, fcl_model **model)
{
    fcl_model_options filled = *options;
    fcl_options_defaults(fcl_model_table, &filled);
    *model = NULL;
    FCL_TRY(fcl_options_check(fcl_model_table, &filled));
    if (fcl_shape_size(sample) < 1 || classes < 0)
        return fcl_fail(FCL_ERR_ARGUMENT,
                        "a model needs samples of at least one number, and 0 or more classes");
    fcl_model *created = fcl_zalloc(sizeof *created);
    created->kind = find_kind(filled.model);
    created->options = filled;
    created->options.model = created->kind->name;
    created->options.activation = own_activation_name(filled.activation);
    created->activation = fcl_activation_find(filled.activation);
    created->sample = sample;
    created->size = fcl_shape_size(sample);
    created->classes = classes;
    created->params = fcl_params_create();
    int status = created->kind->declare(created);
    if (status == FCL_OK)
        status = fcl_params_check(created->params);
    if (status != FCL_OK)
        fcl_model_destroy(&created);
    *model = created;
    return status;
}

void fcl_model_destroy(fcl_model **model)
{
    if (!*model)
        return;
    fcl_params_destroy(&(*model)->params);
    free((*model)->layers);
    free(*model);
    *model = NULL;
}

const fcl_params *fcl_model_params(const fcl_model *model)
{
    return model->params;
}

fcl_shape fcl_model_sample(const fcl_model *model)
{
    return model->sample;
}

int fcl_model_classes(const fcl_model *model)
{
    return model->classes;
}

/* What is told without being looked at would be a wish that nobody fulfils. */
static void check_inputs(const fcl_model *model, const fcl_velocity_inputs *in)
{
    const char *name = model->kind->name;
    fcl_graph *graph = fcl_tensor_graph(in->x);
    fcl_shape shape = fcl_tensor_shape(in->x);
    if (shape.rank != 2 || shape.dim[1] != model->size)
        fcl_mistake(graph, "the model %s is asked at x %s; it takes (batch, %lld)", name, fcl_shape_text(graph, shape),
                    (long long)model->size);
    if (!in->label != !model->classes)
        fcl_mistake(graph, "the model %s has %d classes, and is told %s", name, model->classes,
                    in->label ? "a label" : "no label");
    if (in->r)
        fcl_mistake(graph, "the model %s takes no second time r", name);
    if (in->condition_count)
        fcl_mistake(graph, "the model %s takes no conditions, and is told %d", name, in->condition_count);
}

fcl_tensor *fcl_model_velocity(const fcl_model *model, fcl_tensor *const *weights, const fcl_velocity_inputs *in)
{
    fcl_velocity_inputs of = *in;
    check_inputs(model, in);
    if (fcl_tensor_shape(in->t).rank == 0)
        of.t = fcl_expand(in->t, FCL_SHAPE(fcl_tensor_shape(in->x).dim[0], 1));
    return model->kind->velocity(model, weights, &of);
}
