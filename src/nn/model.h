/* A kind of model is a row of the table in model.c: how it declares its parameters and builds its velocity.
 */
#ifndef NN_MODEL_H
#define NN_MODEL_H

#include <flowcl/nn.h>

typedef struct fcl_model_kind fcl_model_kind;

struct fcl_model {
    const fcl_model_kind *kind;
    fcl_model_options options; /* `model` and `activation` point to the tables' own names */
    fcl_shape sample;
    int64_t size; /* D, numbers of a sample */
    int classes;
    fcl_params *params;
    fcl_activation *activation;
    void *layers; /* the kind's own: slice numbers; released by free */
};

struct fcl_model_kind {
    const char *name, *help;
    /* Declares parameters and sets model->layers. */
    int (*declare)(fcl_model *model);
    /* x (B, D), t (B, 1), label (B) or NULL -> (B, D) */
    fcl_tensor *(*velocity)(const fcl_model *model, fcl_tensor *const *weights, const fcl_velocity_inputs *in);
};

int fcl_mlp_declare(fcl_model *model);
fcl_tensor *fcl_mlp_velocity(const fcl_model *model, fcl_tensor *const *weights, const fcl_velocity_inputs *in);

#endif
