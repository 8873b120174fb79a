/* The U-Net of ADM, under the names that torchcfm gives its parts.
 *
 * What goes from picture to velocity is a list of stages, each of what the one before it gives. On the way down each
 * result is kept, and on the way up the last one that is still there is joined to what comes from below. */
#include "nn/unet.h"

#include "base/error.h"
#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { SIDE = 3 }; /* of the kernels */

typedef enum stage_kind { CONV, RESIDUAL, ATTENTION, POOL, UPSAMPLE, KEEP, JOIN } stage_kind;

typedef struct stage {
    stage_kind kind;
    union {
        fcl_layer_conv2d conv;
        fcl_layer_residual residual;
        fcl_layer_attention_block attention;
    };
} stage;

typedef struct unet {
    fcl_layer_sinusoidal features;
    fcl_layer_linear time[2];
    int label; /* its embedding's slice */
    fcl_layer_group_norm norm;
    fcl_layer_conv2d last;
    int keeps, stages;
    stage stage[];
} unet;

/* --- declaring --- */

typedef struct declaring {
    const fcl_model_options *options;
    const fcl_unet_plan *plan;
    fcl_params *params;
    unet *net;
    int64_t embedding; /* its numbers */
    int64_t channels;  /* of what the last stage gives */
    int64_t *kept;     /* channels of each that is kept */
    int keeps;
    char block[32]; /* "input_blocks.3" */
    int blocks, parts;
} declaring;

static void begin_block(declaring *d, const char *of)
{
    snprintf(d->block, sizeof d->block, "%s.%d", of, d->blocks++);
    d->parts = 0;
}

/* "input_blocks.3.1" of the next part; `more` behind it. */
static const char *name_part(declaring *d, const char *more, char name[64])
{
    snprintf(name, 64, "%s.%d%s", d->block, d->parts++, more);
    return name;
}

static stage *add_stage(declaring *d, stage_kind kind)
{
    stage *added = &d->net->stage[d->net->stages++];
    added->kind = kind;
    return added;
}

static void add_conv(declaring *d, int64_t out, const fcl_conv2d_options *how, const char *more)
{
    char name[64];
    add_stage(d, CONV)->conv = fcl_conv2d_declare(d->params, d->channels, out, SIDE, how, NULL, name_part(d, more, name));
    d->channels = out;
}

static void add_residual(declaring *d, int64_t out, fcl_resample way)
{
    char name[64];
    const fcl_residual_options how = {.out = out,
                                      .embedding = d->embedding,
                                      .scale_shift = d->options->scale_shift,
                                      .groups = FCL_UNET_GROUPS,
                                      .dropout = d->options->dropout,
                                      .resample = way};
    add_stage(d, RESIDUAL)->residual = fcl_residual_declare(d->params, d->channels, &how, name_part(d, "", name));
    d->channels = out;
}

static void add_attention(declaring *d)
{
    char name[64];
    add_stage(d, ATTENTION)->attention = fcl_attention_block_declare(
        d->params, d->channels, fcl_unet_heads(d->options, d->channels), FCL_UNET_GROUPS, name_part(d, "", name));
}

static void add_keep(declaring *d)
{
    add_stage(d, KEEP);
    d->kept[d->keeps++] = d->channels;
}

static void add_join(declaring *d)
{
    add_stage(d, JOIN);
    d->channels += d->kept[--d->keeps];
}

static void add_down(declaring *d)
{
    const fcl_unet_resample way = fcl_unet_resample_of(d->options);
    if (way == FCL_UNET_BY_CONV)
        add_conv(d, d->channels, &(fcl_conv2d_options){.stride = 2, .padding = SIDE / 2}, ".op");
    else if (way == FCL_UNET_BY_BLOCK)
        add_residual(d, d->channels, FCL_RESAMPLE_DOWN);
    else
        add_stage(d, POOL);
}

static void add_up(declaring *d)
{
    const fcl_unet_resample way = fcl_unet_resample_of(d->options);
    if (way == FCL_UNET_BY_CONV)
        add_conv(d, d->channels, &(fcl_conv2d_options){.padding = SIDE / 2, .upsample = true}, ".conv");
    else if (way == FCL_UNET_BY_BLOCK)
        add_residual(d, d->channels, FCL_RESAMPLE_UP);
    else
        add_stage(d, UPSAMPLE);
}

static void declare_way_down(declaring *d)
{
    const fcl_unet_plan *of = d->plan;
    begin_block(d, "input_blocks");
    add_conv(d, of->channels[0], &(fcl_conv2d_options){.padding = SIDE / 2}, "");
    add_keep(d);
    for (int l = 0; l < of->levels; l++) {
        for (int i = 0; i < d->options->blocks; i++) {
            begin_block(d, "input_blocks");
            add_residual(d, of->channels[l], FCL_RESAMPLE_NONE);
            if (of->attends[l])
                add_attention(d);
            add_keep(d);
        }
        if (l + 1 == of->levels)
            break;
        begin_block(d, "input_blocks");
        add_down(d);
        add_keep(d);
    }
}

static void declare_middle(declaring *d)
{
    snprintf(d->block, sizeof d->block, "middle_block");
    d->parts = d->blocks = 0;
    add_residual(d, d->channels, FCL_RESAMPLE_NONE);
    add_attention(d);
    add_residual(d, d->channels, FCL_RESAMPLE_NONE);
}

static void declare_way_up(declaring *d)
{
    const fcl_unet_plan *of = d->plan;
    for (int l = of->levels - 1; l >= 0; l--)
        for (int i = 0; i <= d->options->blocks; i++) {
            begin_block(d, "output_blocks");
            add_join(d);
            add_residual(d, of->channels[l], FCL_RESAMPLE_NONE);
            if (of->attends[l])
                add_attention(d);
            if (l && i == d->options->blocks)
                add_up(d);
        }
}

static void declare_embedding(declaring *d, int labels)
{
    unet *net = d->net;
    const int64_t width = d->options->channels;
    const fcl_sinusoidal_options time = {.scale = fabsf(d->options->time_scale)};
    net->features = fcl_sinusoidal_declare(d->params, width, &time, "time");
    net->time[0] = fcl_linear_declare_with(d->params, width, d->embedding, NULL, "time_embed.0");
    net->time[1] = fcl_linear_declare_with(d->params, d->embedding, d->embedding, NULL, "time_embed.2");
    if (labels)
        net->label = fcl_embedding_declare(d->params, labels, d->embedding, "label_emb");
}

static int declare(const fcl_model *model, fcl_params *params, void **layers)
{
    const fcl_model_options *options = fcl_model_options_of(model);
    const fcl_shape picture = fcl_unet_picture(fcl_model_sample(model));
    fcl_unet_plan of;
    FCL_TRY(fcl_unet_plan_make(options, picture, &of));
    const int most = of.levels * (6 * options->blocks + 6) + 8; /* stages */
    unet *net = *layers = fcl_zalloc(sizeof *net + (size_t)most * sizeof net->stage[0]);
    declaring d = {.options = options,
                   .plan = &of,
                   .params = params,
                   .net = net,
                   .embedding = 4 * (int64_t)options->channels,
                   .channels = picture.dim[0],
                   .kept = fcl_zalloc((size_t)most * sizeof *d.kept)};
    declare_embedding(&d, fcl_model_labels(model));
    declare_way_down(&d);
    net->keeps = d.keeps;
    declare_middle(&d);
    declare_way_up(&d);
    free(d.kept);
    net->norm = fcl_group_norm_declare(params, FCL_UNET_GROUPS, d.channels, NULL, "out.0");
    net->last = fcl_conv2d_declare(params, d.channels, picture.dim[0], SIDE, &(fcl_conv2d_options){.padding = SIDE / 2},
                                   &(fcl_layer_options){.zeros = true}, "out.2");
    return FCL_OK;
}

/* --- building --- */

static fcl_tensor *embed(const fcl_model *model, fcl_tensor *const *weights, const fcl_velocity_inputs *in)
{
    const unet *net = fcl_model_layers(model);
    fcl_tensor *t = fcl_model_counted(model, in->t);
    fcl_tensor *h = fcl_linear_build(net->time[0], weights, fcl_sinusoidal_build(net->features, t));
    fcl_tensor *e = fcl_linear_build(net->time[1], weights, fcl_silu(h)); /* (B, 4 channels) */
    return in->label ? fcl_add(e, fcl_embedding_build(net->label, weights, in->label)) : e;
}

/* (B, C H W) as the file of a picture has it, to (B, H, W, C). */
static fcl_tensor *channels_last(fcl_tensor *x, fcl_shape picture)
{
    const int64_t batch = fcl_tensor_shape(x).dim[0];
    x = fcl_reshape(x, FCL_SHAPE(batch, picture.dim[0], picture.dim[1], picture.dim[2]));
    return fcl_permute(x, (const int[]){0, 2, 3, 1});
}

static fcl_tensor *flat(fcl_tensor *h)
{
    fcl_shape shape = fcl_tensor_shape(h);
    h = fcl_permute(h, (const int[]){0, 3, 1, 2});
    return fcl_reshape(h, FCL_SHAPE(shape.dim[0], shape.dim[1] * shape.dim[2] * shape.dim[3]));
}

/* What goes through the stages, and what was kept. */
typedef struct flow {
    fcl_tensor *h, *embedding, **kept;
    int keeps;
    bool training;
} flow;

static void build_stage(const stage *s, fcl_tensor *const *weights, flow *f)
{
    switch (s->kind) {
    case CONV:
        f->h = fcl_conv2d_build(s->conv, weights, f->h);
        break;
    case RESIDUAL:
        f->h = fcl_residual_build(s->residual, weights, f->h, f->embedding, f->training);
        break;
    case ATTENTION:
        f->h = fcl_attention_block_build(s->attention, weights, f->h);
        break;
    case POOL:
        f->h = fcl_avg_pool2d(f->h);
        break;
    case UPSAMPLE:
        f->h = fcl_upsample2d(f->h);
        break;
    case KEEP:
        f->kept[f->keeps++] = f->h;
        break;
    case JOIN:
        f->h = fcl_concat(2, (fcl_tensor *[]){f->h, f->kept[--f->keeps]}, 3);
        break;
    }
}

static fcl_tensor *velocity(const fcl_model *model, fcl_tensor *const *weights, const fcl_velocity_inputs *in)
{
    const unet *net = fcl_model_layers(model);
    flow f = {.h = channels_last(in->x, fcl_unet_picture(fcl_model_sample(model))),
              .embedding = embed(model, weights, in),
              .kept = fcl_zalloc((size_t)net->keeps * sizeof *f.kept),
              .training = in->training};
    for (int i = 0; i < net->stages; i++)
        build_stage(&net->stage[i], weights, &f);
    free(f.kept);
    fcl_tensor *h = fcl_silu(fcl_group_norm_build(net->norm, weights, f.h));
    return fcl_name(flat(fcl_conv2d_build(net->last, weights, h)), "velocity");
}

static char *describe(const fcl_model_options *options)
{
    return fcl_format("%d channels by %s and %d block%s a size", options->channels, options->multipliers, options->blocks,
                      options->blocks == 1 ? "" : "s");
}

/* Its weights are the same for pictures of any size. */
static int guess(const fcl_model_options *options, fcl_shape (*find)(const void *file, const char *slice), const void *file,
                 fcl_shape *sample, int *classes)
{
    (void)options, (void)find, (void)file, (void)sample, (void)classes;
    return fcl_model_refuse("a U-Net's weights do not tell the size of its pictures: name the data in the configuration");
}

/* Of grey or colour, and halved twice, which is the default. */
static bool suits(fcl_shape sample)
{
    const int64_t *dim = sample.dim;
    return sample.rank == 3 && (dim[0] == 1 || dim[0] == 3) && dim[1] >= 8 && dim[2] >= 8 && dim[1] % 4 == 0 && dim[2] % 4 == 0;
}

const fcl_model_row fcl_model_unet = {
    .name = "unet",
    .help = "ADM's U-Net, of convolutions and attention, for pictures",
    .uses = (const fcl_option_use[]){{"model"},
                                     {"channels", "32"},
                                     {"multipliers", "1,2,2"},
                                     {"blocks", "1"},
                                     {"attention", "half"},
                                     {"heads"},
                                     {"head-channels"},
                                     {"dropout"},
                                     {"scale-shift"},
                                     {"resample", "conv"},
                                     {"time-scale", "1"},
                                     {0}},
    .training = (const fcl_option_use[]){{"batch", "64"}, {"lr", "0.001"}, {"schedule", "warmup"}, {0}},
    .suits = suits,
    .check = fcl_unet_check,
    .describe = describe,
    .guess = guess,
    .declare = declare,
    .velocity = velocity,
};
