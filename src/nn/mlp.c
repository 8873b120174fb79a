/* A multi-layer perceptron over (x, t, label):
 *
 *     h = [x, t, sin(w t), cos(w t), embedding(label)]
 *     h = act(layers.0 h), then depth - 1 times h = act(layers.i h), or h + act(layers.i h) where residual
 *     v = layers.depth h */
#include "nn/model.h"

#include "base/error.h"
#include "base/memory.h"

#include <flowcl/text.h>
#include <stdio.h>

enum { LABEL_WIDTH = 32 };

static const char default_frequency[] = "32";

typedef struct mlp {
    int embedding, fourier;
    fcl_activation *activation;
    fcl_layer_linear layer[]; /* depth + 1 */
} mlp;

static int declare(const fcl_model *model, fcl_params *params, void **layers)
{
    const fcl_model_options *options = fcl_model_options_of(model);
    int64_t size = fcl_shape_size(fcl_model_sample(model));
    int labels = fcl_model_labels(model);
    mlp *net = *layers = fcl_zalloc(sizeof *net + (size_t)(options->depth + 1) * sizeof net->layer[0]);
    net->activation = fcl_activation_find(options->activation);
    int64_t in = size + 1 + 2 * options->time_features + (labels ? LABEL_WIDTH : 0);
    for (int i = 0; i <= options->depth; i++) {
        char name[32];
        snprintf(name, sizeof name, "layers.%d", i);
        int64_t out = i < options->depth ? options->width : size;
        net->layer[i] = fcl_linear_declare(params, in, out, name);
        in = out;
    }
    if (labels)
        net->embedding = fcl_embedding_declare(params, labels, LABEL_WIDTH, "label");
    if (options->time_features)
        net->fourier = fcl_fourier_declare(params, options->time_features, options->time_frequency, "time");
    return FCL_OK;
}

static fcl_tensor *join_inputs(const fcl_model *model, fcl_tensor *const *weights, const fcl_velocity_inputs *in)
{
    const mlp *net = fcl_model_layers(model);
    fcl_tensor *parts[4] = {in->x, in->t};
    int count = 2;
    if (fcl_model_options_of(model)->time_features)
        parts[count++] = fcl_fourier_build(net->fourier, weights, in->t);
    if (in->label)
        parts[count++] = fcl_embedding_build(net->embedding, weights, in->label);
    return fcl_concat(count, parts, 1); /* (B, D + 1 + 2 features + label width) */
}

static fcl_tensor *velocity(const fcl_model *model, fcl_tensor *const *weights, const fcl_velocity_inputs *in)
{
    const mlp *net = fcl_model_layers(model);
    const fcl_model_options *options = fcl_model_options_of(model);
    fcl_graph *graph = fcl_tensor_graph(in->x);
    fcl_tensor *h = join_inputs(model, weights, in);
    for (int i = 0; i < options->depth; i++) {
        fcl_tensor *read = h;
        fcl_block_begin(graph);
        h = net->activation(fcl_name(fcl_linear_build(net->layer[i], weights, h), "layers.%d", i));
        if (options->residual && i > 0)
            h = fcl_add(read, h);
        fcl_block_end(graph);
    }
    return fcl_name(fcl_linear_build(net->layer[options->depth], weights, h), "velocity");
}

static int check(const fcl_model_options *options)
{
    if (!options->time_features && options->time_frequency != fcl_strtof(default_frequency, NULL))
        return fcl_fail(FCL_ERR_ARGUMENT, "time-frequency %g has no use without time-features",
                        (double)options->time_frequency);
    if (options->residual && options->depth == 1)
        return fcl_fail(FCL_ERR_ARGUMENT, "residual has no use with depth 1: hidden layers after the first add");
    return FCL_OK;
}

static char *describe(const fcl_model_options *options)
{
    return fcl_format("depth %d and width %d", options->depth, options->width);
}

const fcl_model_row fcl_model_mlp = {
    .name = "mlp",
    .help = "a multi-layer perceptron over (x, t)",
    .uses = (const fcl_option_use[]){{"model"},
                                     {"width", "128"},
                                     {"depth", "4"},
                                     {"activation", "silu"},
                                     {"residual"},
                                     {"time-features"},
                                     {"time-frequency", default_frequency},
                                     {0}},
    .check = check,
    .describe = describe,
    .declare = declare,
    .velocity = velocity,
};
