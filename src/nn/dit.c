/* The diffusion transformer (Peebles, Xie 2023) over pictures:
 *
 *     h = x_embedder x + pos_embed, a token a patch
 *     c = t_embedder t + y_embedder label
 *     depth times h = h + gate attention(modulate(norm h)), then the same of a perceptron, by what c says
 *     v = final_layer h, a patch a token */
#include "nn/model.h"

#include "base/array.h"
#include "base/error.h"
#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { TIME_WIDTH = 256, BLOCK_PARTS = 6, FINAL_PARTS = 2 };

static const float epsilon = 1e-6f; /* of all norms */

/* --- what a block may be made of --- */

static fcl_tensor *layer_norm(fcl_tensor *h)
{
    return fcl_layer_norm(h, NULL, NULL, epsilon);
}

static fcl_tensor *rms_norm(fcl_tensor *h)
{
    return fcl_rms_norm(h, NULL, epsilon);
}

typedef struct norm_row {
    const char *name;
    fcl_tensor *(*build)(fcl_tensor *h);
    fcl_qk_norm of_heads;
} norm_row;

static const norm_row norms[] = {{"layer", layer_norm, FCL_QK_NORM_LAYER}, {"rms", rms_norm, FCL_QK_NORM_RMS}};

static fcl_tensor *gate_by_half(fcl_tensor *h) /* (B T, 2 N) -> (B T, N) */
{
    int64_t half = fcl_tensor_shape(h).dim[1] / 2;
    return fcl_mul(fcl_silu(fcl_slice(h, 1, 0, half)), fcl_slice(h, 1, half, 2 * half));
}

typedef struct mlp_row {
    const char *name, *in, *out;
    int numerator, denominator; /* of the width: what `out` reads */
    int parts;                  /* `in` gives so many times this */
    fcl_activation *activation;
} mlp_row;

static const mlp_row mlps[] = {
    {"gelu", "fc1", "fc2", 4, 1, 1, fcl_gelu_tanh},
    {"swiglu", "w12", "w3", 8, 3, 2, gate_by_half},
};

enum { NORMS = sizeof norms / sizeof *norms, MLPS = sizeof mlps / sizeof *mlps };

const char *fcl_dit_norm_name(int index)
{
    return index >= 0 && index < NORMS ? norms[index].name : NULL;
}

const char *fcl_dit_mlp_name(int index)
{
    return index >= 0 && index < MLPS ? mlps[index].name : NULL;
}

static const norm_row *find_norm(const char *name)
{
    int i = 0;
    while (strcmp(norms[i].name, name) != 0)
        i++;
    return &norms[i];
}

static const mlp_row *find_mlp(const char *name)
{
    int i = 0;
    while (strcmp(mlps[i].name, name) != 0)
        i++;
    return &mlps[i];
}

/* --- the network --- */

typedef struct block {
    fcl_layer_modulation modulation;
    fcl_layer_attention attention;
    fcl_layer_linear in, out;
} block;

typedef struct dit {
    int64_t channels, rows, columns, patch, width; /* rows and columns of patches */
    const norm_row *norm;
    const mlp_row *mlp;
    fcl_layer_linear patches, time[2], last;
    fcl_layer_sinusoidal features;
    fcl_layer_modulation modulation;
    int label, positions; /* slices */
    int depth;
    block block[];
} dit;

/* Of a sample (C, H, W), or (H, W). */
static int measure(const fcl_model *model, dit *net)
{
    fcl_shape sample = fcl_model_sample(model);
    char shape[FCL_SHAPE_TEXT];
    if (sample.rank != 2 && sample.rank != 3)
        return fcl_model_refuse("the model dit is for pictures, of the shape (channels, height, width), and samples here "
                                "have the shape %s; the model mlp takes any",
                                fcl_shape_format(sample, shape));
    int64_t height = sample.dim[sample.rank - 2], width = sample.dim[sample.rank - 1];
    if (height % net->patch || width % net->patch)
        return fcl_model_refuse("pictures of %lld x %lld pixels cannot be cut into patches of %lld x %lld: give a patch "
                                "that divides both sides",
                                (long long)height, (long long)width, (long long)net->patch, (long long)net->patch);
    net->channels = sample.rank == 3 ? sample.dim[0] : 1;
    net->rows = height / net->patch;
    net->columns = width / net->patch;
    return FCL_OK;
}

/* --- its parameters, in the order and with the first values of DiT --- */

/* A convolution to PyTorch; each patch sees all of its kernel: a linear layer, and Xavier's values are by that. */
static fcl_layer_linear declare_patches(fcl_params *params, const dit *net)
{
    int64_t patch = net->patch, numbers = net->channels * patch * patch;
    const fcl_param weight = {.shape = FCL_SHAPE(net->width, net->channels, patch, patch),
                              .init = FCL_INIT_UNIFORM,
                              .scale = (float)sqrt(6 / (double)(net->width + numbers))};
    const fcl_param bias = {.shape = FCL_SHAPE(net->width), .undecayed = true};
    fcl_layer_linear layer = {.weight = fcl_params_add(params, &weight, "x_embedder.proj.weight")};
    layer.bias = fcl_params_add(params, &bias, "x_embedder.proj.bias");
    return layer;
}

/* Of the time: N(0, 0.02^2). */
static fcl_layer_linear declare_time(fcl_params *params, int64_t in, int64_t out, const char *name)
{
    const fcl_param weight = {.shape = FCL_SHAPE(out, in), .init = FCL_INIT_NORMAL, .scale = 0.02f};
    const fcl_param bias = {.shape = FCL_SHAPE(out), .undecayed = true};
    fcl_layer_linear layer = {.weight = fcl_params_add(params, &weight, "%s.weight", name)};
    layer.bias = fcl_params_add(params, &bias, "%s.bias", name);
    return layer;
}

static void declare_condition(const fcl_model *model, fcl_params *params, dit *net)
{
    const fcl_model_options *options = fcl_model_options_of(model);
    const fcl_sinusoidal_options time = {.scale = fabsf(options->time_scale)};
    int labels = fcl_model_labels(model);
    net->features = fcl_sinusoidal_declare(params, TIME_WIDTH, &time, "t_embedder");
    net->time[0] = declare_time(params, TIME_WIDTH, net->width, "t_embedder.mlp.0");
    net->time[1] = declare_time(params, net->width, net->width, "t_embedder.mlp.2");
    const fcl_param table = {.shape = FCL_SHAPE(labels, net->width), .init = FCL_INIT_NORMAL, .scale = 0.02f};
    if (labels)
        net->label = fcl_params_add(params, &table, "y_embedder.embedding_table.weight");
}

static void declare_block(fcl_params *params, const fcl_model_options *options, dit *net, int index)
{
    const mlp_row *mlp = net->mlp;
    const fcl_layer_options xavier = {.xavier = 1};
    const fcl_attention_options attention = {
        .timm = true, .qk_norm = options->qk_norm ? net->norm->of_heads : FCL_QK_NORM_NONE, .epsilon = epsilon};
    int64_t hidden = net->width * mlp->numerator / mlp->denominator;
    block *b = &net->block[index];
    char name[64];
    snprintf(name, sizeof name, "blocks.%d.attn", index);
    b->attention = fcl_attention_declare(params, net->width, options->heads, &attention, name);
    snprintf(name, sizeof name, "blocks.%d.mlp.%s", index, mlp->in);
    b->in = fcl_linear_declare_with(params, net->width, mlp->parts * hidden, &xavier, name);
    snprintf(name, sizeof name, "blocks.%d.mlp.%s", index, mlp->out);
    b->out = fcl_linear_declare_with(params, hidden, net->width, &xavier, name);
    snprintf(name, sizeof name, "blocks.%d.adaLN_modulation.1", index);
    b->modulation = fcl_modulation_declare(params, net->width, net->width, BLOCK_PARTS, name);
}

/* Zeros; the colours of a pixel are neighbours, which a variance would follow. */
static fcl_layer_linear declare_last(fcl_params *params, const dit *net)
{
    int64_t out = net->patch * net->patch * net->channels;
    const fcl_param weight = {.shape = FCL_SHAPE(out, net->width), .half = net->channels};
    const fcl_param bias = {.shape = FCL_SHAPE(out), .undecayed = true, .half = net->channels};
    fcl_layer_linear layer = {.weight = fcl_params_add(params, &weight, "final_layer.linear.weight")};
    layer.bias = fcl_params_add(params, &bias, "final_layer.linear.bias");
    return layer;
}

static int declare(const fcl_model *model, fcl_params *params, void **layers)
{
    const fcl_model_options *options = fcl_model_options_of(model);
    dit *net = *layers = fcl_zalloc(sizeof *net + (size_t)options->depth * sizeof net->block[0]);
    net->patch = options->patch;
    net->width = options->width;
    net->depth = options->depth;
    net->norm = find_norm(options->norm);
    net->mlp = find_mlp(options->mlp);
    FCL_TRY(measure(model, net));
    net->patches = declare_patches(params, net);
    declare_condition(model, params, net);
    for (int i = 0; i < net->depth; i++)
        declare_block(params, options, net, i);
    net->last = declare_last(params, net);
    net->modulation =
        fcl_modulation_declare(params, net->width, net->width, FINAL_PARTS, "final_layer.adaLN_modulation.1");
    net->positions = fcl_params_freeze(params, FCL_SHAPE(1, net->rows * net->columns, net->width), FCL_INIT_POSITIONS,
                                       (float)net->columns, "pos_embed");
    return FCL_OK;
}

/* --- its velocity; T tokens, p the patch --- */

/* x (B, C H W) -> (B, T, C p p) */
static fcl_tensor *cut(const dit *net, fcl_tensor *x)
{
    int64_t batch = fcl_tensor_shape(x).dim[0], p = net->patch;
    x = fcl_reshape(x, FCL_SHAPE(batch, net->channels, net->rows, p, net->columns, p));
    x = fcl_permute(x, (int[]){0, 2, 4, 1, 3, 5});
    return fcl_reshape(x, FCL_SHAPE(batch, net->rows * net->columns, net->channels * p * p));
}

/* h (B, T, p p C) -> (B, C H W) */
static fcl_tensor *join(const dit *net, fcl_tensor *h)
{
    int64_t batch = fcl_tensor_shape(h).dim[0], p = net->patch;
    h = fcl_reshape(h, FCL_SHAPE(batch, net->rows, net->columns, p, p, net->channels));
    h = fcl_permute(h, (int[]){0, 5, 1, 3, 2, 4});
    return fcl_reshape(h, FCL_SHAPE(batch, net->channels * net->rows * net->columns * p * p));
}

static fcl_tensor *embed(const dit *net, fcl_tensor *const *weights, fcl_tensor *x)
{
    fcl_tensor *weight = weights[net->patches.weight];
    weight = fcl_reshape(weight, FCL_SHAPE(net->width, net->channels * net->patch * net->patch));
    fcl_tensor *h = fcl_linear(cut(net, x), weight, weights[net->patches.bias]);
    return fcl_add(fcl_name(h, "x_embedder"), weights[net->positions]);
}

/* c (B, D) */
static fcl_tensor *condition(const fcl_model *model, fcl_tensor *const *weights, const fcl_velocity_inputs *in)
{
    const dit *net = fcl_model_layers(model);
    fcl_tensor *t = fcl_model_counted(model, in->t);
    fcl_tensor *c = fcl_linear_build(net->time[0], weights, fcl_sinusoidal_build(net->features, t));
    c = fcl_linear_build(net->time[1], weights, fcl_silu(c));
    return in->label ? fcl_add(c, fcl_embedding_build(net->label, weights, in->label)) : c;
}

/* x (B, T, D), as rows: what follows a product without a view between joins it. */
static fcl_tensor *build_mlp(const dit *net, const block *b, fcl_tensor *const *weights, fcl_tensor *x)
{
    fcl_shape shape = fcl_tensor_shape(x);
    fcl_tensor *rows = fcl_reshape(x, FCL_SHAPE(shape.dim[0] * shape.dim[1], shape.dim[2]));
    fcl_tensor *h = net->mlp->activation(fcl_linear_build(b->in, weights, rows));
    return fcl_reshape(fcl_linear_build(b->out, weights, h), shape);
}

static fcl_tensor *build_block(const dit *net, int index, fcl_tensor *const *weights, fcl_tensor *h, fcl_tensor *c)
{
    const block *b = &net->block[index];
    fcl_tensor *part[BLOCK_PARTS]; /* shift, scale and gate of the attention, then of the perceptron */
    fcl_modulation_build(b->modulation, weights, c, part);
    fcl_tensor *a = fcl_modulate(net->norm->build(h), part[0], part[1]);
    a = fcl_attention_build(b->attention, weights, &(fcl_attention_inputs){.x = a});
    h = fcl_add(h, fcl_gate(a, part[2]));
    fcl_tensor *m = fcl_modulate(net->norm->build(h), part[3], part[4]);
    m = fcl_gate(build_mlp(net, b, weights, m), part[5]);
    return fcl_name(fcl_add(h, m), "blocks.%d", index);
}

static fcl_tensor *velocity(const fcl_model *model, fcl_tensor *const *weights, const fcl_velocity_inputs *in)
{
    const dit *net = fcl_model_layers(model);
    fcl_graph *graph = fcl_tensor_graph(in->x);
    fcl_tensor *h = embed(net, weights, in->x), *c = condition(model, weights, in), *part[FINAL_PARTS];
    for (int i = 0; i < net->depth; i++) {
        fcl_block_begin(graph);
        h = build_block(net, i, weights, h, c);
        fcl_block_end(graph);
    }
    fcl_modulation_build(net->modulation, weights, c, part);
    h = fcl_linear_build(net->last, weights, fcl_modulate(net->norm->build(h), part[0], part[1]));
    return fcl_name(join(net, h), "velocity");
}

/* --- weights of another program --- */

static bool is_size(int64_t n)
{
    return n > 0 && n <= 1000000;
}

/* Pictures are taken for squares. */
static int guess(const fcl_model_options *options, fcl_shape (*find)(const void *file, const char *slice), const void *file,
                 fcl_shape *sample, int *classes)
{
    fcl_shape patches = find(file, "x_embedder.proj.weight"), places = find(file, "pos_embed");
    fcl_shape labels = find(file, "y_embedder.embedding_table.weight");
    int64_t tokens = places.rank == 3 && is_size(places.dim[1]) ? places.dim[1] : 1, side = (int64_t)sqrt((double)tokens);
    int64_t channels = patches.rank == 4 && is_size(patches.dim[1]) ? patches.dim[1] : 1;
    if (side * side != tokens)
        return fcl_model_refuse("pos_embed has %lld places, which make no square: name data of the pictures' size in the "
                                "configuration",
                                (long long)tokens);
    *sample = FCL_SHAPE(channels, side * options->patch, side * options->patch);
    int64_t known = labels.rank == 2 && is_size(labels.dim[0]) ? labels.dim[0] - options->null_label : 0;
    *classes = known > 0 ? (int)known : 0;
    return FCL_OK;
}

/* --- its row --- */

static int check(const fcl_model_options *options)
{
    if (options->width % options->heads)
        return fcl_model_refuse("%d heads do not divide the width of %d, of which each has an equal share: take heads that "
                                "do",
                                options->heads, options->width);
    if (options->width % 4)
        return fcl_model_refuse("width %d is no multiple of 4: places are told by sines and cosines of row and column",
                                options->width);
    return FCL_OK;
}

static char *describe(const fcl_model_options *options)
{
    return fcl_format("depth %d, width %d and patch %d", options->depth, options->width, options->patch);
}

const fcl_model_row fcl_model_dit = {
    .name = "dit",
    .help = "a diffusion transformer over patches of pictures",
    .uses = (const fcl_option_use[]){{"model"},
                                     {"patch", "4"},
                                     {"width", "192"},
                                     {"depth", "6"},
                                     {"heads", "6"},
                                     {"norm", "layer"},
                                     {"mlp", "gelu"},
                                     {"qk-norm"},
                                     {"time-scale", "1000"},
                                     {0}},
    .training = (const fcl_option_use[]){{"batch", "128"}, {"lr", "0.001"}, {"schedule", "warmup"}, {0}},
    .check = check,
    .describe = describe,
    .guess = guess,
    .declare = declare,
    .velocity = velocity,
};
