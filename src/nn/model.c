#include "nn/model.h"

#include "base/error.h"
#include "base/memory.h"

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

static const fcl_model_kind *find_kind(const char *name)
{
    for (int i = 0; i < KINDS; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    return NULL;
}

static const char *own_activation_name(const char *name)
{
    for (int i = 0; fcl_activation_name(i); i++)
        if (strcmp(fcl_activation_name(i), name) == 0)
            return fcl_activation_name(i);
    return NULL;
}

/* A program calls with what it likes: the rows of train.c check the same for the command line. */
static int check_options(const fcl_model_options *options)
{
    if (!find_kind(options->model))
        return fcl_fail(FCL_ERR_ARGUMENT, "there is no model '%s'", options->model);
    if (!own_activation_name(options->activation))
        return fcl_fail(FCL_ERR_ARGUMENT, "there is no activation '%s'", options->activation);
    if (options->width < 1 || options->depth < 1 || options->time_features < 0 || options->time_frequency < 1)
        return fcl_fail(FCL_ERR_ARGUMENT,
                        "a model needs width and depth of at least 1, time features of at least 0 and a time "
                        "frequency of at least 1, not %d, %d, %d and %g",
                        options->width, options->depth, options->time_features,
                        (double)options->time_frequency);
    return FCL_OK;
}

int fcl_model_create(const fcl_model_options *options, fcl_shape sample, int classes, fcl_model **model)
{
    fcl_model_options filled = *options;
    fcl_options_defaults(fcl_model_table, &filled);
    *model = NULL;
    FCL_TRY(check_options(&filled));
    if (fcl_shape_size(sample) < 1 || classes < 0)
        return fcl_fail(FCL_ERR_ARGUMENT, "a model needs samples of at least one number, and no fewer than 0 classes");
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

fcl_tensor *fcl_model_velocity(const fcl_model *model, fcl_tensor *const *weights, fcl_tensor *x, fcl_tensor *t,
                               fcl_tensor *label)
{
    if (fcl_tensor_shape(t).rank == 0)
        t = fcl_expand(t, FCL_SHAPE(fcl_tensor_shape(x).dim[0], 1));
    return model->kind->velocity(model, weights, x, t, label);
}
