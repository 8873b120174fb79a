/* A model that tests know by heart: v = a x + b t with a row (a, b) for each label. */
#ifndef TESTS_AFFINE_H
#define TESTS_AFFINE_H

#include <flowcl/flowcl.h>

static inline int declare_affine(const fcl_model *model, fcl_params *params, void **layers)
{
    (void)layers;
    fcl_embedding_declare(params, fcl_model_labels(model), 2, "label");
    return FCL_OK;
}

static inline fcl_tensor *affine_velocity(const fcl_model *model, fcl_tensor *const *weights, const fcl_velocity_inputs *in)
{
    (void)model;
    fcl_tensor *row = fcl_embedding_build(0, weights, in->label);
    return fcl_add(fcl_mul(in->x, fcl_slice(row, 1, 0, 1)), fcl_mul(in->t, fcl_slice(row, 1, 1, 2)));
}

#endif
