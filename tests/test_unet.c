/* The U-Net against plain C in double precision, its names against torchcfm's, what it refuses, and how many kernels a step
 * of its training compiles. */
#include "plain.h"
#include "rig.h"

#include "device/traits.h"
#include "graph/graph.h"

#include <flowcl/flowcl.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_LEVELS = 3, MOST_KEPT = 16, MOST_SLICES = 320 };

/* --- its velocity, from the paper's picture of it --- */

typedef struct setting {
    const char *what;
    fcl_model_options options;
    int images, colours, height, width, classes;
    int levels, multiplier[MOST_LEVELS], blocks, heads[MOST_LEVELS]; /* where nothing attends: 0, but for the middle */
    bool attends[MOST_LEVELS];
} setting;

static const setting settings[] = {
    {"convolutions between sizes",
     {.model = "unet", .multipliers = "1,2", .heads = 2}, 2, 3, 4, 6, 3, 2, {1, 2}, 1, {2, 2}, {false, true}},
    {"blocks between sizes",
     {.model = "unet", .multipliers = "2,1,2", .blocks = 2, .attention = "8,4", .head_channels = 16, .scale_shift = true,
      .resample = "block", .dropout = 0.5f, .time_scale = -10}, 1, 1, 8, 12, 0, 3, {2, 1, 2}, 2, {4, 2, 4}, {true, true, false}},
    {"pooling between sizes",
     {.model = "unet", .multipliers = "1,1", .attention = "none", .resample = "pool"}, 2, 2, 6, 4, 0, 2, {1, 1}, 1, {0, 1},
     {false, false}},
};

enum { SETTINGS = sizeof settings / sizeof *settings };

/* A network under way: h, and what was kept. */
typedef struct walk {
    const setting *of;
    plain_weights w;
    const double *embedding; /* (images, 4 channels) */
    plain_image image, kept_image[MOST_KEPT];
    double *h, *kept[MOST_KEPT];
    int keeps;
} walk;

static int channels_at(const setting *s, int level)
{
    return 32 * s->multiplier[level];
}

static const char *named(char text[64], const char *list, int block, int part)
{
    snprintf(text, 64, "%s.%d.%d", list, block, part);
    return text;
}

static void replace(walk *k, plain_image image, double *h)
{
    free(k->h);
    k->image = image;
    k->h = h;
}

static void convolve(walk *k, const char *name, const char *more, int out, fcl_conv2d_options how)
{
    char text[80];
    snprintf(text, sizeof text, "%s%s", name, more);
    double *y = fcl_zalloc(4 * (size_t)plain_pixels(k->image) * (size_t)out * sizeof *y);
    how.padding = 1;
    replace(k, plain_convolve(&k->w, text, k->image, k->h, out, 3, &how, y), y);
}

static void residual(walk *k, const char *name, int out, fcl_resample way)
{
    const fcl_residual_options how = {.out = out, .embedding = 128, .scale_shift = k->of->options.scale_shift, .resample = way};
    double *y = fcl_zalloc(4 * (size_t)plain_pixels(k->image) * (size_t)out * sizeof *y);
    replace(k, plain_residual(&k->w, name, k->image, k->h, k->embedding, &how, y), y);
}

static void attend(walk *k, const char *name, int level)
{
    double *y = plain_room(k->image);
    plain_attention_block(&k->w, name, k->image, k->of->heads[level], 32, k->h, y);
    replace(k, k->image, y);
}

static void change_size(walk *k, const char *name, fcl_resample way)
{
    const char *by = k->of->options.resample;
    const bool down = way == FCL_RESAMPLE_DOWN;
    if (by && !strcmp(by, "block")) {
        residual(k, name, k->image.channels, way);
    } else if (by && !strcmp(by, "pool")) {
        double *y = fcl_zalloc(4 * (size_t)plain_numbers(k->image) * sizeof *y);
        replace(k, plain_resample(k->image, way, k->h, y), y);
    } else {
        convolve(k, name, down ? ".op" : ".conv", k->image.channels, (fcl_conv2d_options){.stride = down ? 2 : 1, .upsample = !down});
    }
}

static void keep(walk *k)
{
    k->kept_image[k->keeps] = k->image;
    k->kept[k->keeps] = plain_room(k->image);
    memcpy(k->kept[k->keeps++], k->h, (size_t)plain_numbers(k->image) * sizeof(double));
}

/* h, then the channels of the last that was kept. */
static void join(walk *k)
{
    plain_image both = k->image;
    int own = k->image.channels, more = k->kept_image[--k->keeps].channels;
    assert_int_equal(plain_pixels(k->kept_image[k->keeps]), plain_pixels(both));
    both.channels = own + more;
    double *y = plain_room(both);
    for (int64_t i = 0; i < plain_numbers(both); i++) {
        int64_t p = i / both.channels, c = i % both.channels;
        y[i] = c < own ? k->h[p * own + c] : k->kept[k->keeps][p * more + c - own];
    }
    free(k->kept[k->keeps]);
    replace(k, both, y);
}

static void go_down(walk *k)
{
    const setting *s = k->of;
    char name[64];
    int number = 0;
    convolve(k, named(name, "input_blocks", number++, 0), "", channels_at(s, 0), (fcl_conv2d_options){0});
    keep(k);
    for (int level = 0; level < s->levels; level++) {
        for (int i = 0; i < s->blocks; i++, number++) {
            residual(k, named(name, "input_blocks", number, 0), channels_at(s, level), FCL_RESAMPLE_NONE);
            if (s->attends[level])
                attend(k, named(name, "input_blocks", number, 1), level);
            keep(k);
        }
        if (level + 1 < s->levels) {
            change_size(k, named(name, "input_blocks", number++, 0), FCL_RESAMPLE_DOWN);
            keep(k);
        }
    }
}

static void go_up(walk *k)
{
    const setting *s = k->of;
    char name[64];
    for (int level = s->levels - 1, number = 0; level >= 0; level--)
        for (int i = 0; i <= s->blocks; i++, number++) {
            int part = 0;
            join(k);
            residual(k, named(name, "output_blocks", number, part++), channels_at(s, level), FCL_RESAMPLE_NONE);
            if (s->attends[level])
                attend(k, named(name, "output_blocks", number, part++), level);
            if (level && i == s->blocks)
                change_size(k, named(name, "output_blocks", number, part++), FCL_RESAMPLE_UP);
        }
}

static void go_through_the_middle(walk *k)
{
    residual(k, "middle_block.0", k->image.channels, FCL_RESAMPLE_NONE);
    attend(k, "middle_block.1", k->of->levels - 1);
    residual(k, "middle_block.2", k->image.channels, FCL_RESAMPLE_NONE);
}

/* time_embed.2 silu(time_embed.0 (cos, sin)), and the label's row of label_emb. */
static void embed(const setting *s, const plain_weights *w, const double *t, const int *label, double *e)
{
    enum { WIDTH = 32, HALF = WIDTH / 2 };
    double features[WIDTH], h[4 * WIDTH];
    for (int n = 0; n < s->images; n++) {
        for (int i = 0; i < WIDTH; i++) {
            double told = s->options.time_scale < 0 ? -(double)s->options.time_scale * (1 - t[n]) : t[n];
            double angle = told * pow(10000, -(double)(i % HALF) / HALF);
            features[i] = i < HALF ? cos(angle) : sin(angle);
        }
        double *own = e + n * 4 * WIDTH;
        plain_linear(1, WIDTH, 4 * WIDTH, features, w->find(w->of, "time_embed.0.weight"), w->find(w->of, "time_embed.0.bias"), h);
        for (int i = 0; i < 4 * WIDTH; i++)
            h[i] = plain_silu(h[i]);
        plain_linear(1, 4 * WIDTH, 4 * WIDTH, h, w->find(w->of, "time_embed.2.weight"), w->find(w->of, "time_embed.2.bias"), own);
        for (int i = 0; i < 4 * WIDTH && s->classes; i++)
            own[i] += w->find(w->of, "label_emb.weight")[label[n] * 4 * WIDTH + i];
    }
}

/* x and v (images, colours, height, width). */
static void plain_velocity(const setting *s, const plain_weights *w, const double *x, const double *t, const int *label, double *v)
{
    double embedding[2 * 128];
    walk k = {.of = s, .w = *w, .embedding = embedding, .image = {s->images, s->height, s->width, s->colours}};
    const int pixels = s->height * s->width;
    k.h = plain_room(k.image);
    for (int64_t i = 0; i < plain_numbers(k.image); i++) /* i in v's order */
        k.h[(i / pixels / s->colours * pixels + i % pixels) * s->colours + i / pixels % s->colours] = x[i];
    embed(s, w, t, label, embedding);
    go_down(&k);
    go_through_the_middle(&k);
    go_up(&k);
    plain_group_norm(w, "out.0", k.image, 32, k.h, k.h);
    for (int64_t i = 0; i < plain_numbers(k.image); i++)
        k.h[i] = plain_silu(k.h[i]);
    convolve(&k, "out.2", "", s->colours, (fcl_conv2d_options){0});
    for (int64_t i = 0; i < plain_numbers(k.image); i++)
        v[i] = k.h[(i / pixels / s->colours * pixels + i % pixels) * s->colours + i / pixels % s->colours];
    free(k.h);
}

/* --- the model's --- */

typedef struct subject {
    const setting *s;
    fcl_model *model;
    const fcl_params *params;
    trial *t;
    fcl_tensor *x, *time, *label, *w[MOST_SLICES], *v;
    int slices;
} subject;

static const double *find_weight(const void *of, const char *name)
{
    const subject *b = of;
    int index = fcl_params_find(b->params, name);
    return index < 0 ? NULL : trial_leaf_of(b->t, b->w[index])->value;
}

/* As a network that has learnt: numbers keep their size from layer to layer. */
static void fill_weight(const fcl_param *slice, double *value)
{
    const int64_t size = fcl_shape_size(slice->shape);
    const fcl_shape file = fcl_param_file_shape(slice);
    const double scale = file.rank > 1 ? sqrt((double)file.dim[0] / (double)size) : 0.1;
    for (int64_t i = 0; i < size; i++)
        value[i] = (double)(float)(scale * trial_normal() + (slice->init == FCL_INIT_ONES));
}

static subject make_subject(const setting *s)
{
    subject b = {.s = s, .t = trial_create()};
    const fcl_shape grey = FCL_SHAPE(s->height, s->width), colour = FCL_SHAPE(s->colours, s->height, s->width);
    assert_ok(fcl_model_create(&s->options, s->colours == 1 ? grey : colour, s->classes, &b.model));
    b.params = fcl_model_params(b.model);
    b.x = trial_input(b.t, FCL_SHAPE(s->images, s->colours * s->height * s->width), SMOOTH, 0);
    b.time = trial_input(b.t, FCL_SHAPE(s->images, 1), TIME, 0);
    if (s->classes)
        b.label = trial_input(b.t, FCL_SHAPE(s->images), INDEX, s->classes);
    b.slices = fcl_params_count(b.params);
    assert_in_range(b.slices, 1, MOST_SLICES);
    for (int i = 0; i < b.slices; i++)
        b.w[i] = trial_input(b.t, fcl_params_at(b.params, i)->shape, PREPARED, 0);
    b.v = fcl_output(fcl_model_velocity(b.model, b.w, &(fcl_velocity_inputs){.x = b.x, .t = b.time, .label = b.label}));
    return b;
}

static void fill(const subject *b)
{
    trial_fill(b->t);
    for (int n = 0; n < b->s->images && b->label; n++)
        trial_leaf_of(b->t, b->label)->value[n] = trial_int(0, b->s->classes - 1);
    for (int i = 0; i < b->slices; i++)
        fill_weight(fcl_params_at(b->params, i), trial_leaf_of(b->t, b->w[i])->value);
}

static void end_subject(subject *b)
{
    trial_destroy(&b->t);
    fcl_model_destroy(&b->model);
}

static int64_t size_of(const fcl_tensor *tensor)
{
    return fcl_shape_size(fcl_tensor_shape(tensor));
}

/* The formula's velocity of what the leaves hold; for free. */
static double *compute(const subject *b)
{
    int label[2];
    double *v = fcl_zalloc((size_t)size_of(b->v) * sizeof *v);
    for (int n = 0; n < b->s->images && b->label; n++)
        label[n] = (int)trial_leaf_of(b->t, b->label)->value[n];
    plain_velocity(b->s, &(plain_weights){b, find_weight}, trial_leaf_of(b->t, b->x)->value,
                   trial_leaf_of(b->t, b->time)->value, label, v);
    return v;
}

/* A hundred roundings one after another, of which norms over few pixels make more: some 1e-6 of the largest number. */
static void check_velocity(const subject *b)
{
    double *expected = compute(b), largest = 0;
    float *found = fcl_zalloc((size_t)size_of(b->v) * sizeof *found);
    assert_ok(fcl_tensor_read(b->v, found));
    for (int64_t i = 0; i < size_of(b->v); i++)
        largest = fmax(largest, fabs(expected[i]));
    for (int64_t i = 0; i < size_of(b->v); i++)
        if (!(fabs((double)found[i] - expected[i]) <= 2e-5 * largest))
            fail_msg("%s: number %lld is %.9g, not %.9g", b->s->what, (long long)i, (double)found[i], expected[i]);
    assert_true(largest > 0.1);
    free(found);
    free(expected);
}

static void velocities_are_their_formula(void **state)
{
    (void)state;
    for (int i = 0; i < SETTINGS; i++) {
        subject b = make_subject(&settings[i]);
        assert_ok(fcl_graph_compile(b.t->graph, device, NULL));
        fill(&b);
        assert_ok(trial_run(b.t));
        check_velocity(&b);
        end_subject(&b);
    }
}

/* --- gradients --- */

/* <u, v> where each leaf of `moved` has gone by times its own direction. */
static double project(const subject *b, const fcl_tensor *u, double *const *direction, fcl_tensor *const *moved, int count,
                      double by)
{
    double sum = 0;
    for (int k = 0; k < count; k++)
        for (int64_t i = 0; i < size_of(moved[k]); i++)
            trial_leaf_of(b->t, moved[k])->value[i] += by * direction[k][i];
    double *v = compute(b);
    for (int64_t i = 0; i < size_of(b->v); i++)
        sum += trial_leaf_of(b->t, u)->value[i] * v[i];
    for (int k = 0; k < count; k++)
        for (int64_t i = 0; i < size_of(moved[k]); i++)
            trial_leaf_of(b->t, moved[k])->value[i] -= by * direction[k][i];
    free(v);
    return sum;
}

/* An array a moved leaf: its gradient, divided by its length; returns the sum of the lengths. */
static double take_directions(fcl_tensor *const *gradient, int count, double **direction)
{
    double lengths = 0;
    for (int k = 0; k < count; k++) {
        const int64_t size = size_of(gradient[k]);
        float *found = fcl_zalloc((size_t)size * sizeof *found);
        double square = 0;
        assert_ok(fcl_tensor_read(gradient[k], found));
        for (int64_t i = 0; i < size; i++)
            square += (double)found[i] * (double)found[i];
        direction[k] = fcl_zalloc((size_t)size * sizeof(double));
        for (int64_t i = 0; i < size && square > 0; i++)
            direction[k][i] = (double)found[i] / sqrt(square);
        lengths += sqrt(square);
        free(found);
    }
    return lengths;
}

/* Along the gradients themselves, each divided by its length, the derivative is the sum of their lengths: by differences
 * of fourth order. */
static void gradients_are_the_formulas(void **state)
{
    (void)state;
    subject b = make_subject(&settings[0]);
    const int count = b.slices + 2;
    fcl_tensor *moved[MOST_SLICES + 2], *gradient[MOST_SLICES + 2], *u = trial_input(b.t, fcl_tensor_shape(b.v), SMOOTH, 0);
    double *direction[MOST_SLICES + 2], slope = 0;
    memcpy(moved, b.w, (size_t)b.slices * sizeof *moved);
    moved[b.slices] = b.x;
    moved[b.slices + 1] = b.time;
    fcl_vjp(b.v, u, count, moved, gradient);
    for (int k = 0; k < count; k++)
        fcl_output(gradient[k]);
    assert_ok(fcl_graph_compile(b.t->graph, device, NULL));
    fill(&b);
    assert_ok(trial_run(b.t));
    check_velocity(&b);
    double lengths = take_directions(gradient, count, direction);
    static const double at[] = {1e-4, -1e-4, 2e-4, -2e-4}, weight[] = {8, -8, -1, 1};
    for (int i = 0; i < 4; i++)
        slope += weight[i] / 12e-4 * project(&b, u, direction, moved, count, at[i]);
    if (!(fabs(slope - lengths) <= 1e-5 * lengths))
        fail_msg("the derivative is %.9g, the gradients say %.9g", slope, lengths);
    for (int k = 0; k < count; k++)
        free(direction[k]);
    end_subject(&b);
}

/* --- names and shapes: torchcfm's, of UNetModel(4, 3, 32, 3, 1, (2,), channel_mult=(1, 2), num_classes=5) --- */

static void check_slice(const fcl_params *params, const char *name, const char *part, fcl_shape shape, int *known)
{
    char text[80];
    snprintf(text, sizeof text, "%s.%s", name, part);
    int index = fcl_params_find(params, text);
    if (index < 0 || !fcl_shape_equal(fcl_param_file_shape(fcl_params_at(params, index)), shape))
        fail_msg("there is no %s of the shape it has in torchcfm", text);
    ++*known;
}

/* "NAME.weight" of `shape`, and a bias of its first dimension. */
static void check_layer(const fcl_params *params, const char *name, const char *part, fcl_shape shape, int *known)
{
    char text[64];
    snprintf(text, sizeof text, "%s%s", name, part);
    check_slice(params, text, "weight", shape, known);
    check_slice(params, text, "bias", FCL_SHAPE(shape.dim[0]), known);
}

static void check_residual(const fcl_params *params, const char *name, int in, int out, int *known)
{
    check_layer(params, name, ".in_layers.0", FCL_SHAPE(in), known);
    check_layer(params, name, ".in_layers.2", FCL_SHAPE(out, in, 3, 3), known);
    check_layer(params, name, ".emb_layers.1", FCL_SHAPE(out, 128), known);
    check_layer(params, name, ".out_layers.0", FCL_SHAPE(out), known);
    check_layer(params, name, ".out_layers.3", FCL_SHAPE(out, out, 3, 3), known);
    if (in != out)
        check_layer(params, name, ".skip_connection", FCL_SHAPE(out, in, 1, 1), known);
}

static void check_attention(const fcl_params *params, const char *name, int channels, int *known)
{
    check_layer(params, name, ".norm", FCL_SHAPE(channels), known);
    check_layer(params, name, ".qkv", FCL_SHAPE(3 * channels, channels, 1), known);
    check_layer(params, name, ".proj_out", FCL_SHAPE(channels, channels, 1), known);
}

static void slices_are_torchcfms(void **state)
{
    static const struct {
        const char *name;
        int in, out;
    } residuals[] = {{"input_blocks.1.0", 32, 32},  {"input_blocks.3.0", 32, 64},  {"middle_block.0", 64, 64},
                     {"middle_block.2", 64, 64},    {"output_blocks.0.0", 128, 64}, {"output_blocks.1.0", 96, 64},
                     {"output_blocks.2.0", 96, 32}, {"output_blocks.3.0", 64, 32}};
    static const char *const attentions[] = {"input_blocks.3.1", "middle_block.1", "output_blocks.0.1", "output_blocks.1.1"};
    (void)state;
    for (int null_label = 0; null_label < 2; null_label++) {
        const fcl_model_options options = {.model = "unet", .multipliers = "1,2", .heads = 2, .null_label = null_label};
        fcl_model *model;
        int known = 0;
        assert_ok(fcl_model_create(&options, FCL_SHAPE(3, 4, 4), 5, &model));
        const fcl_params *params = fcl_model_params(model);
        check_layer(params, "time_embed.0", "", FCL_SHAPE(128, 32), &known);
        check_layer(params, "time_embed.2", "", FCL_SHAPE(128, 128), &known);
        check_slice(params, "label_emb", "weight", FCL_SHAPE(5 + null_label, 128), &known);
        check_layer(params, "input_blocks.0.0", "", FCL_SHAPE(32, 3, 3, 3), &known);
        check_layer(params, "input_blocks.2.0", ".op", FCL_SHAPE(32, 32, 3, 3), &known);
        check_layer(params, "output_blocks.1.2", ".conv", FCL_SHAPE(64, 64, 3, 3), &known);
        check_layer(params, "out.0", "", FCL_SHAPE(32), &known);
        check_layer(params, "out.2", "", FCL_SHAPE(3, 32, 3, 3), &known);
        for (int i = 0; i < 8; i++)
            check_residual(params, residuals[i].name, residuals[i].in, residuals[i].out, &known);
        for (int i = 0; i < 4; i++)
            check_attention(params, attentions[i], 64, &known);
        assert_int_equal(known, fcl_params_count(params));
        fcl_model_destroy(&model);
    }
}

/* --- what cannot be --- */

static void what_cannot_be_is_refused(void **state)
{
    static const struct {
        fcl_model_options options;
        fcl_shape sample;
        const char *says;
    } all[] = {
        {{.channels = 40}, FCL_SHAPE(1, 28, 28), "channels 40 are not divisible by 32, the groups of the U-Net's norms; 64"},
        {{.multipliers = "1,2.5"}, FCL_SHAPE(1, 28, 28), "multipliers \"1,2.5\" are no list such as 1,2,2"},
        {{.multipliers = "1,,2"}, FCL_SHAPE(1, 28, 28), "multipliers \"1,,2\" are no list such as 1,2,2"},
        {{.multipliers = "1,0"}, FCL_SHAPE(1, 28, 28), "multipliers \"1,0\" are no list such as 1,2,2"},
        {{.attention = "all"}, FCL_SHAPE(1, 28, 28), "attention \"all\" is no list of sizes such as 14,7, nor \"half\" or \"none\""},
        {{.heads = 2, .head_channels = 32}, FCL_SHAPE(1, 28, 28), "heads 2 and head-channels 32 both say how many heads"},
        {{.dropout = 1}, FCL_SHAPE(1, 28, 28), "dropout"},
        {{.resample = "nearest"}, FCL_SHAPE(1, 28, 28), "resample"},
        {{.width = 64}, FCL_SHAPE(1, 28, 28), "width"},
        {{0}, FCL_SHAPE(2), "the model unet takes pictures, (channels, height, width), and a sample is (2,)"},
        {{0}, FCL_SHAPE(1, 28, 30), "halve a picture 2 times, and one of 28 x 30 has sides that 4 does not divide"},
        {{.attention = "16"}, FCL_SHAPE(1, 28, 28), "attention 16 never occurs: the heights of the picture on its way are 28, 14, 7"},
        {{.heads = 5}, FCL_SHAPE(1, 28, 28), "heads 5 does not divide the 64 channels that attend where pictures are 14 high"},
        {{.multipliers = "1,1,2", .head_channels = 64}, FCL_SHAPE(1, 28, 28),
         "head-channels 64 does not divide the 32 channels that attend where pictures are 14 high"},
        {{.multipliers = "1,1,2", .attention = "none", .heads = 3}, FCL_SHAPE(1, 28, 28),
         "heads 3 does not divide the 64 channels that attend where pictures are 7 high"},
    };
    (void)state;
    for (int i = 0; i < (int)(sizeof all / sizeof *all); i++) {
        fcl_model_options options = all[i].options;
        fcl_model *model;
        options.model = "unet";
        assert_status(FCL_ERR_ARGUMENT, fcl_model_create(&options, all[i].sample, 0, &model));
        assert_told(all[i].says);
        assert_null(model);
    }
}

/* --- kernels --- */

static fcl_tensor *loss_of(const fcl_model *model, fcl_tensor *const *w, fcl_graph *graph, int batch)
{
    const fcl_shape pixels = FCL_SHAPE(batch, fcl_shape_size(fcl_model_sample(model)));
    const fcl_velocity_inputs in = {.x = fcl_input(graph, "x", FCL_F32, pixels),
                                    .t = fcl_input(graph, "t", FCL_F32, FCL_SHAPE(batch, 1)),
                                    .label = fcl_input(graph, "label", FCL_I32, FCL_SHAPE(batch)),
                                    .training = true};
    return fcl_mean_squared_error(fcl_model_velocity(model, w, &in), fcl_input(graph, "wanted", FCL_F32, pixels));
}

static void a_step_has_few_kernels(void **state)
{
    (void)state;
    if (!fcl_device_traits(device).wide)
        skip();
    const int units = fcl_device_traits(device).units, batch = units > 2 ? units : 2; /* a norm's images: one a unit at least */
    fcl_model *model;
    assert_ok(fcl_model_create(&(fcl_model_options){.model = "unet"}, FCL_SHAPE(1, 28, 28), 10, &model));
    for (int recompute = 0; recompute < 2; recompute++) {
        fcl_learner *learner;
        assert_ok(fcl_learner_create(device, fcl_model_params(model), NULL, &learner));
        fcl_graph *graph = fcl_graph_create();
        fcl_graph_recompute(graph, recompute);
        fcl_tensor *const *w = fcl_learner_bind(learner, graph);
        fcl_learner_minimise(learner, w, loss_of(model, w, graph, batch));
        assert_ok(fcl_graph_compile(graph, device, NULL));
        const fcl_graph_stats stats = fcl_graph_describe(graph);
        assert_in_range(stats.kernels, 1, 60);
        /* forward 0.211 thousand million multiply-adds an image, twice that for the gradients, and some of it once more */
        const double step = 3 * 2 * 0.211e9 * batch;
        assert_true(recompute ? stats.operations > 1.1 * step && stats.operations < 4.0 / 3 * step
                              : fabs(stats.operations / step - 1) < 0.02);
        fcl_graph_destroy(&graph);
        fcl_learner_destroy(&learner);
    }
    fcl_model_destroy(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(velocities_are_their_formula),
        cmocka_unit_test(gradients_are_the_formulas),
        cmocka_unit_test(slices_are_torchcfms),
        cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(a_step_has_few_kernels),
    };
    return cmocka_run_group_tests(tests, rig_up, rig_down);
}
