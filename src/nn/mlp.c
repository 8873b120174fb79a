/* A multi-layer perceptron over (x, t, label):
 *
 *     h = [x, t, sin(w t), cos(w t), embedding(label)]
 *     h = act(layers.0 h), then depth - 1 times h = act(layers.i h), or h + act(layers.i h) where residual
 *     v = layers.depth h */
#include "nn/model.h"

#include "base/memory.h"

#include <stdio.h>

enum { LABEL_WIDTH = 32 };

typedef struct mlp {
    int embedding, fourier;
    fcl_layer_linear layer[]; /* depth + 1 */
} mlp;

int fcl_mlp_declare(fcl_model *model)
{
    const fcl_model_options *options = &model->options;
    mlp *net = fcl_zalloc(sizeof *net + (size_t)(options->depth + 1) * sizeof net->layer[0]);
    model->layers = net;
    int64_t in = model->size + 1 + 2 * options->time_features + (model->classes ? LABEL_WIDTH : 0);
    for (int i = 0; i <= options->depth; i++) {
        char name[32];
        snprintf(name, sizeof name, "layers.%d", i);
        int64_t out = i < options->depth ? options->width : model->size;
        net->layer[i] = fcl_linear_declare(model->params, in, out, name);
        in = out;
    }
    if (model->classes)
        net->embedding = fcl_embedding_declare(model->params, model->classes, LABEL_WIDTH, "label");
    if (options->time_features)
        net->fourier =
            fcl_fourier_declare(model->params, options->time_features, options->time_frequency, "time");
    return FCL_OK;
}

static fcl_tensor *join_inputs(const fcl_model *model, fcl_tensor *const *weights, const fcl_velocity_inputs *in)
{
    const mlp *net = model->layers;
    fcl_tensor *parts[4] = {in->x, in->t};
    int count = 2;
    if (model->options.time_features)
        parts[count++] = fcl_fourier_build(net->fourier, weights, in->t);
    if (in->label)
        parts[count++] = fcl_embedding_build(net->embedding, weights, in->label);
    return fcl_concat(count, parts, 1); /* (B, D + 1 + 2 features + label width) */
}

fcl_tensor *fcl_mlp_velocity(const fcl_model *model, fcl_tensor *const *weights, const fcl_velocity_inputs *in)
{
    const mlp *net = model->layers;
    fcl_tensor *h = join_inputs(model, weights, in);
    for (int i = 0; i < model->options.depth; i++) {
        fcl_tensor *read = h;
        h = model->activation(fcl_name(fcl_linear_build(net->layer[i], weights, h), "layers.%d", i));
        if (model->options.residual && i > 0)
            h = fcl_add(read, h);
    }
    return fcl_name(fcl_linear_build(net->layer[model->options.depth], weights, h), "velocity");
}
