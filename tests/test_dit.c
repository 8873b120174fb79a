/* The diffusion transformer: its velocity and gradients against plain double precision, its names, shapes and first
 * values, and what it refuses. */
#include "rig.h"

#include <flowcl/text.h>
#include <flowcl/train.h>

#include <math.h>
#include <stdlib.h>

enum { MOST = 64, PARTS = 6, FEATURES = 256 };

/* A network under test. */
typedef struct subject {
    fcl_model_options options; /* filled in */
    fcl_shape sample;
    int classes, batch;
    fcl_model *model;
    const fcl_params *params;
    const double *slice[MOST];
    const double *x, *t, *label;
} subject;

static const double *number_of(const subject *s, const char *name, ...) __attribute__((format(printf, 2, 3)));

static const double *number_of(const subject *s, const char *name, ...)
{
    char text[96];
    va_list args;
    va_start(args, name);
    vsnprintf(text, sizeof text, name, args);
    va_end(args);
    int index = fcl_params_find(s->params, text);
    if (index < 0)
        fail_msg("there is no slice %s", text);
    return s->slice[index];
}

/* --- the formula, of one sample; D the width, n the tokens --- */

static double silu(double x)
{
    return x / (1 + exp(-x));
}

static double gelu_tanh(double x)
{
    return x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))) / 2;
}

/* y (rows, out) of x (rows, in). */
static void linear(int rows, int in, int out, const double *x, const double *weight, const double *bias, double *y)
{
    for (int i = 0; i < rows * out; i++) {
        y[i] = bias[i % out];
        for (int k = 0; k < in; k++)
            y[i] += x[i / out * in + k] * weight[i % out * in + k];
    }
}

/* In place; weight and bias NULL: none. */
static void normalise(bool rms, int rows, int width, const double *weight, const double *bias, double *x)
{
    for (int r = 0; r < rows; r++) {
        double mean = 0, square = 0, *row = x + r * width;
        for (int i = 0; i < width && !rms; i++)
            mean += row[i] / width;
        for (int i = 0; i < width; i++)
            square += (row[i] - mean) * (row[i] - mean) / width;
        for (int i = 0; i < width; i++) {
            row[i] = (row[i] - mean) / sqrt(square + (double)1e-6f);
            row[i] = row[i] * (weight ? weight[i] : 1) + (bias ? bias[i] : 0);
        }
    }
}

/* norm(h) (1 + scale) + shift */
static void modulated(const subject *s, int n, const double *h, const double *shift, const double *scale, double *y)
{
    int width = s->options.width;
    memcpy(y, h, (size_t)(n * width) * sizeof *y);
    normalise(!strcmp(s->options.norm, "rms"), n, width, NULL, NULL, y);
    for (int i = 0; i < n * width; i++)
        y[i] = y[i] * (1 + scale[i % width]) + shift[i % width];
}

/* c (D) of one sample */
static void condition(const subject *s, int row, double *c)
{
    int width = s->options.width;
    double told = s->options.time_scale < 0 ? 1 - s->t[row] : s->t[row], feature[FEATURES], hidden[MOST] = {0};
    for (int i = 0; i < FEATURES; i++) {
        double w = (double)(float)pow(10000, -(i % (FEATURES / 2)) / (FEATURES / 2.0));
        double angle = fabs((double)s->options.time_scale) * told * w;
        feature[i] = i < FEATURES / 2 ? cos(angle) : sin(angle);
    }
    linear(1, FEATURES, width, feature, number_of(s, "t_embedder.mlp.0.weight"), number_of(s, "t_embedder.mlp.0.bias"),
           hidden);
    for (int i = 0; i < width; i++)
        hidden[i] = silu(hidden[i]);
    linear(1, width, width, hidden, number_of(s, "t_embedder.mlp.2.weight"), number_of(s, "t_embedder.mlp.2.bias"), c);
    int labels = fcl_model_labels(s->model);
    for (int i = 0; i < width && labels; i++) {
        int label = (int)fmin(fmax(s->label[row], 0), labels - 1);
        c[i] += number_of(s, "y_embedder.embedding_table.weight")[label * width + i];
    }
}

static void modulation(const subject *s, const char *name, int parts, const double *c, double *part)
{
    double active[MOST];
    for (int i = 0; i < s->options.width; i++)
        active[i] = silu(c[i]);
    linear(1, s->options.width, parts * s->options.width, active, number_of(s, "%s.weight", name),
           number_of(s, "%s.bias", name), part);
}

/* One head, of q, k and v side by side, qkv (n, 3 D). */
static void attend(int n, int width, int first, int size, const double *qkv, double *y)
{
    for (int i = 0; i < n; i++) {
        double score[MOST], sum = 0;
        for (int j = 0; j < n; j++) {
            score[j] = 0;
            for (int k = first; k < first + size; k++)
                score[j] += qkv[i * 3 * width + k] * qkv[j * 3 * width + width + k] / sqrt(size);
            sum += score[j] = exp(score[j]);
        }
        for (int k = first; k < first + size; k++) {
            y[i * width + k] = 0;
            for (int j = 0; j < n; j++)
                y[i * width + k] += score[j] / sum * qkv[j * 3 * width + 2 * width + k];
        }
    }
}

static void attention(const subject *s, int block, int n, const double *x, double *y)
{
    int width = s->options.width, size = width / s->options.heads;
    bool rms = !strcmp(s->options.norm, "rms");
    double *qkv = fcl_zalloc((size_t)(n * 3 * width) * sizeof *qkv), *all = fcl_zalloc((size_t)(n * width) * sizeof *all);
    linear(n, width, 3 * width, x, number_of(s, "blocks.%d.attn.qkv.weight", block),
           number_of(s, "blocks.%d.attn.qkv.bias", block), qkv);
    for (int i = 0; i < 3 * n * s->options.heads && s->options.qk_norm; i++) { /* head by head */
        int third = i % (3 * s->options.heads) / s->options.heads;
        const char *part = third ? "k_norm" : "q_norm";
        if (third < 2)
            normalise(rms, 1, size, number_of(s, "blocks.%d.attn.%s.weight", block, part),
                      rms ? NULL : number_of(s, "blocks.%d.attn.%s.bias", block, part), qkv + i * size);
    }
    for (int head = 0; head < s->options.heads; head++)
        attend(n, width, head * size, size, qkv, all);
    linear(n, width, width, all, number_of(s, "blocks.%d.attn.proj.weight", block),
           number_of(s, "blocks.%d.attn.proj.bias", block), y);
    free(all);
    free(qkv);
}

static void perceptron(const subject *s, int block, int n, const double *x, double *y)
{
    bool gated = !strcmp(s->options.mlp, "swiglu");
    int width = s->options.width, hidden = gated ? 8 * width / 3 : 4 * width, wide = gated ? 2 * hidden : hidden;
    const char *in = gated ? "w12" : "fc1", *out = gated ? "w3" : "fc2";
    double *h = fcl_zalloc((size_t)(n * wide) * sizeof *h), *active = fcl_zalloc((size_t)(n * hidden) * sizeof *active);
    linear(n, width, wide, x, number_of(s, "blocks.%d.mlp.%s.weight", block, in),
           number_of(s, "blocks.%d.mlp.%s.bias", block, in), h);
    for (int i = 0; i < n * hidden; i++) {
        const double *row = h + i / hidden * wide + i % hidden;
        active[i] = gated ? silu(row[0]) * row[hidden] : gelu_tanh(row[0]);
    }
    linear(n, hidden, width, active, number_of(s, "blocks.%d.mlp.%s.weight", block, out),
           number_of(s, "blocks.%d.mlp.%s.bias", block, out), y);
    free(active);
    free(h);
}

/* Channels, and the sides in pixels and in patches. */
typedef struct sides {
    int channels, height, width, rows, columns, patch;
} sides;

static sides sides_of(const subject *s)
{
    int rank = s->sample.rank, p = s->options.patch;
    sides g = {.channels = rank == 3 ? (int)s->sample.dim[0] : 1, .patch = p};
    g.height = (int)s->sample.dim[rank - 2];
    g.width = (int)s->sample.dim[rank - 1];
    g.rows = g.height / p;
    g.columns = g.width / p;
    return g;
}

/* Where in a sample a patch has the pixel (i, j) of a channel. */
static int pixel(const sides *g, int token, int channel, int i, int j)
{
    int row = token / g->columns * g->patch + i, column = token % g->columns * g->patch + j;
    return (channel * g->height + row) * g->width + column;
}

static void embed(const subject *s, const sides *g, const double *x, double *h)
{
    int p = g->patch, width = s->options.width;
    const double *weight = number_of(s, "x_embedder.proj.weight"); /* (D, C, p, p) */
    for (int i = 0; i < g->rows * g->columns * width; i++) {
        int token = i / width;
        h[i] = number_of(s, "x_embedder.proj.bias")[i % width] + number_of(s, "pos_embed")[i];
        for (int k = 0; k < g->channels * p * p; k++)
            h[i] += weight[i % width * g->channels * p * p + k] * x[pixel(g, token, k / (p * p), k / p % p, k % p)];
    }
}

/* (p, p, C) of each token */
static void unembed(const subject *s, const sides *g, const double *h, double *v)
{
    int p = g->patch, numbers = p * p * g->channels, n = g->rows * g->columns;
    double *y = fcl_zalloc((size_t)(n * numbers) * sizeof *y);
    linear(n, s->options.width, numbers, h, number_of(s, "final_layer.linear.weight"),
           number_of(s, "final_layer.linear.bias"), y);
    for (int i = 0; i < n * numbers; i++) {
        int k = i % numbers;
        v[pixel(g, i / numbers, k % g->channels, k / g->channels / p, k / g->channels % p)] = y[i];
    }
    free(y);
}

static void plain_sample(const subject *s, int row, double *v)
{
    sides g = sides_of(s);
    int n = g.rows * g.columns, width = s->options.width;
    double c[MOST], part[PARTS * MOST], *h = fcl_zalloc((size_t)(3 * n * width) * sizeof *h);
    double *m = h + n * width, *y = m + n * width;
    embed(s, &g, s->x + row * fcl_shape_size(s->sample), h);
    condition(s, row, c);
    for (int b = 0; b < s->options.depth; b++) {
        char name[64];
        snprintf(name, sizeof name, "blocks.%d.adaLN_modulation.1", b);
        modulation(s, name, PARTS, c, part);
        for (int half = 0; half < 2; half++) { /* shift, scale and gate of each */
            const double *own = part + 3 * half * width;
            modulated(s, n, h, own, own + width, m);
            half ? perceptron(s, b, n, m, y) : attention(s, b, n, m, y);
            for (int i = 0; i < n * width; i++)
                h[i] += own[2 * width + i % width] * y[i];
        }
    }
    modulation(s, "final_layer.adaLN_modulation.1", 2, c, part);
    modulated(s, n, h, part, part + width, m);
    unembed(s, &g, m, v);
    free(h);
}

static void plain(const subject *s, double *v)
{
    for (int row = 0; row < s->batch; row++)
        plain_sample(s, row, v + row * fcl_shape_size(s->sample));
}

/* --- the model against it --- */

/* Fresh numbers of a trained network's size: what is added up stays near 1. */
static void fill_weights(trial *t, const fcl_params *params, fcl_tensor *const *leaf)
{
    for (int i = 0; i < fcl_params_count(params); i++) {
        fcl_shape shape = fcl_params_at(params, i)->shape;
        double scale = shape.rank < 2 ? 0.3 : 1 / sqrt((double)(fcl_shape_size(shape) / shape.dim[0]));
        for (int64_t k = 0; k < fcl_shape_size(shape); k++)
            trial_leaf_of(t, leaf[i])->value[k] = (double)(float)(scale * trial_normal());
    }
}

/* <u, v> where all slices are moved along a direction. */
static double moved(subject *s, double *const *value, double *const *direction, const double *u, double *v, double by)
{
    double sum = 0;
    int64_t size = s->batch * fcl_shape_size(s->sample);
    for (int i = 0; i < fcl_params_count(s->params); i++)
        for (int64_t k = 0; k < fcl_shape_size(fcl_params_at(s->params, i)->shape); k++)
            value[i][k] += by * direction[i][k];
    plain(s, v);
    for (int64_t i = 0; i < size; i++)
        sum += u[i] * v[i];
    for (int i = 0; i < fcl_params_count(s->params); i++)
        for (int64_t k = 0; k < fcl_shape_size(fcl_params_at(s->params, i)->shape); k++)
            value[i][k] -= by * direction[i][k];
    return sum;
}

/* The reference's gradients of the graph along a direction in which all of x and the weights take part, by differences of
 * fourth order. */
static void check_gradients(subject *s, trial *t, int leaves, fcl_tensor *const *leaf, fcl_tensor *const *gradient,
                            const double *u)
{
    const double h = 1e-4;
    double *value[MOST], *direction[MOST], along = 0;
    double *v = fcl_zalloc((size_t)(s->batch * fcl_shape_size(s->sample)) * sizeof *v);
    for (int i = 0; i < leaves; i++) {
        int64_t size = fcl_shape_size(fcl_tensor_shape(leaf[i]));
        value[i] = trial_leaf_of(t, leaf[i])->value;
        direction[i] = fcl_zalloc((size_t)size * sizeof(double));
        for (int64_t k = 0; k < size; k++) {
            direction[i][k] = trial_normal() / sqrt((double)size);
            along += direction[i][k] * reference_value(t->r, gradient[i])[k];
        }
    }
    double near = moved(s, value, direction, u, v, h) - moved(s, value, direction, u, v, -h);
    double far = moved(s, value, direction, u, v, 2 * h) - moved(s, value, direction, u, v, -2 * h);
    assert_float_equal(along, (8 * near - far) / (12 * h), 1e-5 * (1 + fabs(along)));
    for (int i = 0; i < leaves; i++)
        free(direction[i]);
    free(v);
}

/* The graph's own constants, as 1 / D, are in single precision. */
static void check_values(subject *s, trial *t, fcl_tensor *v)
{
    int64_t size = s->batch * fcl_shape_size(s->sample);
    double *expected = fcl_zalloc((size_t)size * sizeof *expected);
    plain(s, expected);
    for (int64_t i = 0; i < size; i++)
        assert_float_equal(reference_value(t->r, v)[i], expected[i], 1e-6 * (1 + fabs(expected[i])));
    free(expected);
}

static void check_model(fcl_model_options options, fcl_shape sample, int classes, bool recompute)
{
    subject s = {.sample = sample, .classes = classes, .batch = 3};
    options.model = "dit";
    assert_ok(fcl_model_create(&options, sample, classes, &s.model));
    s.options = *fcl_model_options_of(s.model);
    s.params = fcl_model_params(s.model);
    int count = fcl_params_count(s.params);
    assert_in_range(count, 1, MOST);
    trial *t = trial_create();
    fcl_graph_recompute(t->graph, recompute);
    fcl_shape rows = FCL_SHAPE(s.batch, fcl_shape_size(sample));
    fcl_tensor *leaf[MOST], *gradient[MOST], *x = trial_input(t, rows, SMOOTH, 0), *u = trial_input(t, rows, SMOOTH, 0);
    fcl_tensor *time = trial_input(t, FCL_SHAPE(s.batch, 1), TIME, 0);
    fcl_tensor *label = classes ? trial_input(t, FCL_SHAPE(s.batch), INDEX, fcl_model_labels(s.model)) : NULL;
    for (int i = 0; i < count; i++)
        leaf[i] = trial_input(t, fcl_params_at(s.params, i)->shape, PREPARED, 0);
    fcl_velocity_inputs in = {.x = x, .t = time, .label = label, .training = true};
    fcl_tensor *v = fcl_output(fcl_model_velocity(s.model, leaf, &in));
    fcl_vjp(v, u, count, leaf, gradient);
    for (int i = 0; i < count; i++)
        fcl_output(gradient[i]);
    trial_fill(t);
    fill_weights(t, s.params, leaf);
    for (int i = 0; i < count; i++)
        s.slice[i] = trial_leaf_of(t, leaf[i])->value;
    s.x = trial_leaf_of(t, x)->value;
    s.t = trial_leaf_of(t, time)->value;
    s.label = label ? trial_leaf_of(t, label)->value : NULL;
    assert_ok(fcl_graph_compile(t->graph, device, NULL));
    assert_ok(trial_run(t));
    trial_evaluate(t, 0, 0, NULL, NULL);
    check_values(&s, t, v);
    check_gradients(&s, t, count, leaf, gradient, trial_leaf_of(t, u)->value);
    assert_true(trial_agrees(t, v, "velocity"));
    for (int i = 0; i < count; i++)
        assert_true(trial_agrees(t, gradient[i], fcl_params_at(s.params, i)->name));
    trial_destroy(&t);
    fcl_model_destroy(&s.model);
}

static void a_picture_of_one_colour(void **state)
{
    (void)state;
    if (trial_tiny())
        skip();
    check_model((fcl_model_options){.patch = 2, .width = 12, .depth = 2, .heads = 3}, FCL_SHAPE(1, 6, 4), 5, false);
}

/* Sides that differ, colours, the label of no class, a time that is counted back. */
static void a_picture_in_colour(void **state)
{
    (void)state;
    const fcl_model_options options = {.patch = 3, .width = 8, .depth = 1, .heads = 2, .norm = "rms", .mlp = "swiglu",
                                       .qk_norm = true, .time_scale = -7, .null_label = true};
    check_model(options, FCL_SHAPE(3, 3, 9), 2, true);
}

static void a_picture_without_channels(void **state)
{
    (void)state;
    if (trial_tiny())
        skip();
    check_model((fcl_model_options){.patch = 1, .width = 20, .depth = 1, .heads = 1, .qk_norm = true, .time_scale = 1},
                FCL_SHAPE(2, 3), 0, true);
}

/* --- what it declares and begins with --- */

static fcl_model *make_model(fcl_model_options options, fcl_shape sample, int classes)
{
    fcl_model *model;
    options.model = "dit";
    assert_ok(fcl_model_create(&options, sample, classes, &model));
    return model;
}

/* What SiT's module lists of two blocks with patches of 2 of 3 colours, 10 classes and one row more, 16 x 8 pixels. */
static void names_and_shapes_are_sits(void **state)
{
    static const struct {
        const char *name;
        fcl_shape shape;
    } expected[] = {
        {"x_embedder.proj.weight", {4, {24, 3, 2, 2}}},
        {"x_embedder.proj.bias", {1, {24}}},
        {"t_embedder.mlp.0.weight", {2, {24, 256}}},
        {"t_embedder.mlp.0.bias", {1, {24}}},
        {"t_embedder.mlp.2.weight", {2, {24, 24}}},
        {"t_embedder.mlp.2.bias", {1, {24}}},
        {"y_embedder.embedding_table.weight", {2, {11, 24}}},
        {"blocks.0.attn.qkv.weight", {2, {72, 24}}},
        {"blocks.0.attn.qkv.bias", {1, {72}}},
        {"blocks.0.attn.proj.weight", {2, {24, 24}}},
        {"blocks.0.attn.proj.bias", {1, {24}}},
        {"blocks.0.mlp.fc1.weight", {2, {96, 24}}},
        {"blocks.0.mlp.fc1.bias", {1, {96}}},
        {"blocks.0.mlp.fc2.weight", {2, {24, 96}}},
        {"blocks.0.mlp.fc2.bias", {1, {24}}},
        {"blocks.0.adaLN_modulation.1.weight", {2, {144, 24}}},
        {"blocks.0.adaLN_modulation.1.bias", {1, {144}}},
        {"blocks.1.attn.qkv.weight", {2, {72, 24}}},
        {"blocks.1.attn.qkv.bias", {1, {72}}},
        {"blocks.1.attn.proj.weight", {2, {24, 24}}},
        {"blocks.1.attn.proj.bias", {1, {24}}},
        {"blocks.1.mlp.fc1.weight", {2, {96, 24}}},
        {"blocks.1.mlp.fc1.bias", {1, {96}}},
        {"blocks.1.mlp.fc2.weight", {2, {24, 96}}},
        {"blocks.1.mlp.fc2.bias", {1, {24}}},
        {"blocks.1.adaLN_modulation.1.weight", {2, {144, 24}}},
        {"blocks.1.adaLN_modulation.1.bias", {1, {144}}},
        {"final_layer.linear.weight", {2, {12, 24}}},
        {"final_layer.linear.bias", {1, {12}}},
        {"final_layer.adaLN_modulation.1.weight", {2, {48, 24}}},
        {"final_layer.adaLN_modulation.1.bias", {1, {48}}},
        {"pos_embed", {3, {1, 32, 24}}},
    };
    (void)state;
    const int count = sizeof expected / sizeof *expected;
    fcl_model *model = make_model((fcl_model_options){.patch = 2, .width = 24, .depth = 2, .null_label = true},
                                  FCL_SHAPE(3, 16, 8), 10);
    const fcl_params *params = fcl_model_params(model);
    assert_int_equal(fcl_params_count(params), count);
    for (int i = 0; i < count; i++) {
        int at = fcl_params_find(params, expected[i].name);
        if (at < 0)
            fail_msg("there is no slice %s", expected[i].name);
        fcl_shape shape = fcl_param_file_shape(fcl_params_at(params, at));
        assert_int_equal(shape.rank, expected[i].shape.rank);
        assert_memory_equal(shape.dim, expected[i].shape.dim, (size_t)shape.rank * sizeof shape.dim[0]);
        assert_int_equal(fcl_params_at(params, at)->frozen, i == count - 1);
    }
    fcl_model_destroy(&model);
}

static void has_as_many_numbers_as_published(void **state)
{
    (void)state;
    fcl_model *model = make_model((fcl_model_options){0}, FCL_SHAPE(1, 28, 28), 10);
    assert_in_range(fcl_params_numbers(fcl_model_params(model)), 4165000, 4175000); /* 4.17 million */
    fcl_model_destroy(&model);
    /* DiT-S/2 of 32 x 32 x 4 and 1000 classes with one row more: 33 million; half of the last layer is not there */
    model = make_model((fcl_model_options){.patch = 2, .width = 384, .depth = 12, .null_label = true},
                       FCL_SHAPE(4, 32, 32), 1000);
    assert_in_range(fcl_params_numbers(fcl_model_params(model)), 32500000, 33500000);
    fcl_model_destroy(&model);
}

/* The first values, on the host. */
static float *draw(const fcl_params *params, fcl_buffer **buffer)
{
    size_t bytes = fcl_params_bytes(params);
    float *flat = fcl_zalloc(bytes);
    assert_ok(fcl_buffer_create(device, bytes, buffer));
    assert_ok(fcl_params_initialise(params, (uint64_t)trial_int(1, 1 << 30), FCL_STREAM_WEIGHTS, *buffer));
    assert_ok(fcl_buffer_read(*buffer, 0, bytes, flat));
    return flat;
}

static const float *slice_of(const fcl_params *params, const float *flat, const char *name, int64_t *size)
{
    int at = fcl_params_find(params, name);
    assert_int_not_equal(at, -1);
    *size = fcl_shape_size(fcl_params_at(params, at)->shape);
    return flat + fcl_params_at(params, at)->offset / sizeof(float);
}

/* Mean 0, of the variance, to six standard deviations of normal numbers; uniform ones vary less. */
static void check_law(const fcl_params *params, const float *flat, const char *name, double variance)
{
    int64_t size;
    const float *value = slice_of(params, flat, name, &size);
    double sum = 0, squares = 0, n;
    for (int64_t i = 0; i < size; i++) {
        sum += (double)value[i];
        squares += (double)value[i] * (double)value[i];
    }
    n = (double)size;
    assert_true(fabs(sum / n) <= 6 * sqrt(variance / n));
    assert_true(fabs(squares / n - variance) <= 6 * variance * sqrt(2 / n));
}

static void check_positions(const float *value, int rows, int columns, int width)
{
    int quarter = width / 4;
    for (int i = 0; i < rows * columns * width; i++) {
        int place = i / width, k = i % width;
        double along = k < 2 * quarter ? place % columns : place / columns; /* the column first */
        double angle = along / pow(10000, (double)(k % quarter) / quarter);
        assert_float_equal(value[i], (k / quarter % 2 ? cos(angle) : sin(angle)), 1e-6);
    }
}

static void first_values_are_dits(void **state)
{
    static const char *const zeros[] = {"x_embedder.proj.bias", "t_embedder.mlp.2.bias", "blocks.1.attn.qkv.bias",
                                        "blocks.0.mlp.fc2.bias", "blocks.1.adaLN_modulation.1.weight",
                                        "final_layer.linear.weight", "final_layer.adaLN_modulation.1.weight"};
    (void)state;
    fcl_model *model = make_model((fcl_model_options){.patch = 4, .width = 96, .depth = 2}, FCL_SHAPE(3, 8, 20), 7);
    const fcl_params *params = fcl_model_params(model);
    fcl_buffer *buffer;
    float *flat = draw(params, &buffer);
    check_law(params, flat, "x_embedder.proj.weight", 2.0 / (96 + 48));
    check_law(params, flat, "t_embedder.mlp.0.weight", 0.02 * 0.02);
    check_law(params, flat, "t_embedder.mlp.2.weight", 0.02 * 0.02);
    check_law(params, flat, "y_embedder.embedding_table.weight", 0.02 * 0.02);
    check_law(params, flat, "blocks.0.attn.qkv.weight", 2.0 / (4 * 96));
    check_law(params, flat, "blocks.1.attn.proj.weight", 2.0 / (2 * 96));
    check_law(params, flat, "blocks.0.mlp.fc1.weight", 2.0 / (5 * 96));
    check_law(params, flat, "blocks.1.mlp.fc2.weight", 2.0 / (5 * 96));
    for (size_t i = 0; i < sizeof zeros / sizeof *zeros; i++)
        check_law(params, flat, zeros[i], 0);
    int64_t size;
    check_positions(slice_of(params, flat, "pos_embed", &size), 2, 5, 96);
    assert_int_equal(size, 10 * 96);
    free(flat);
    fcl_buffer_destroy(&buffer);
    fcl_model_destroy(&model);
}

static void begins_with_no_velocity(void **state)
{
    (void)state;
    fcl_model *model =
        make_model((fcl_model_options){.patch = 2, .width = 16, .depth = 1, .heads = 4}, FCL_SHAPE(1, 4, 4), 0);
    const fcl_params *params = fcl_model_params(model);
    fcl_buffer *buffer;
    float *flat = draw(params, &buffer), x[32], v[32];
    fcl_graph *graph = fcl_graph_create();
    fcl_tensor **weights = fcl_params_bind(params, graph, buffer, "");
    fcl_velocity_inputs in = {.x = fcl_input(graph, "x", FCL_F32, FCL_SHAPE(2, 16)), .t = fcl_constant(graph, 0.25f)};
    fcl_tensor *velocity = fcl_output(fcl_model_velocity(model, weights, &in));
    assert_ok(fcl_graph_compile(graph, device, NULL));
    for (int i = 0; i < 32; i++)
        x[i] = (float)trial_normal();
    assert_ok(fcl_tensor_write(in.x, x));
    assert_ok(fcl_graph_run(graph));
    assert_ok(fcl_tensor_read(velocity, v));
    for (int i = 0; i < 32; i++)
        assert_true(v[i] == 0);
    fcl_free(weights);
    fcl_graph_destroy(&graph);
    fcl_buffer_destroy(&buffer);
    fcl_model_destroy(&model);
    free(flat);
}

/* --- how it is trained where nothing else is said --- */

static void check_training(const char *model, const char *lr, float expected, const char *schedule)
{
    fcl_train_options train = {0};
    fcl_options *options = fcl_options_create();
    assert_ok(fcl_train_options_bind(options, &train));
    assert_ok(fcl_options_set(options, "data", "moons", FCL_FROM_COMMAND_LINE));
    assert_ok(fcl_options_set(options, "model", model, FCL_FROM_FILE));
    if (lr)
        assert_ok(fcl_options_set(options, "lr", lr, FCL_FROM_CHECKPOINT));
    char *help = fcl_options_help(options, 80), line[64];
    fcl_snprintf(line, sizeof line, "learning rate (default %g", (double)(lr ? 0.001f : expected));
    assert_non_null(strstr(help, line));
    assert_ok(fcl_options_finish(options));
    assert_true(train.lr == expected && train.clip == 1);
    assert_string_equal(train.schedule, schedule);
    char *yaml = fcl_options_to_yaml(options);
    fcl_snprintf(line, sizeof line, "lr: %g ", (double)expected);
    assert_non_null(strstr(yaml, line));
    fcl_free(yaml);
    fcl_free(help);
    fcl_options_destroy(&options);
}

static void each_model_has_its_own_training(void **state)
{
    (void)state;
    check_training("mlp", NULL, 0.005f, "cosine");
    check_training("dit", NULL, 0.001f, "warmup");
    check_training("dit", "0.25", 0.25f, "warmup");
}

/* --- what it refuses --- */

static void refuse(fcl_model_options options, fcl_shape sample, const char *told)
{
    fcl_model *model;
    options.model = "dit";
    int status = fcl_model_check(&options);
    assert_status(FCL_ERR_ARGUMENT, status == FCL_OK ? fcl_model_create(&options, sample, 0, &model) : status);
    assert_told(told);
}

static void refuses_what_it_cannot_be(void **state)
{
    (void)state;
    refuse((fcl_model_options){0}, FCL_SHAPE(2), "samples here have the shape (2,)");
    refuse((fcl_model_options){0}, FCL_SHAPE(2, 3, 8, 8), "for pictures");
    refuse((fcl_model_options){0}, FCL_SHAPE(1, 28, 30), "28 x 30 pixels cannot be cut into patches of 4 x 4");
    refuse((fcl_model_options){.patch = 8}, FCL_SHAPE(1, 28, 28), "patches of 8 x 8");
    refuse((fcl_model_options){.heads = 5}, FCL_SHAPE(1, 28, 28), "5 heads do not divide the width of 192");
    refuse((fcl_model_options){.width = 18}, FCL_SHAPE(1, 28, 28), "width 18 is no multiple of 4");
    refuse((fcl_model_options){.norm = "batch"}, FCL_SHAPE(1, 28, 28), "layer, rms");
    refuse((fcl_model_options){.mlp = "relu"}, FCL_SHAPE(1, 28, 28), "gelu, swiglu");
    refuse((fcl_model_options){.activation = "silu"}, FCL_SHAPE(1, 28, 28), "activation has no use with the model dit");
    refuse((fcl_model_options){.time_scale = 2e6f}, FCL_SHAPE(1, 28, 28), "time-scale");
}

static void positions_need_sines_and_cosines(void **state)
{
    (void)state;
    fcl_params *params = fcl_params_create();
    fcl_params_declare(params, FCL_SHAPE(4, 6), FCL_INIT_POSITIONS, 2, "places");
    assert_status(FCL_ERR_ARGUMENT, fcl_params_check(params));
    assert_told("places of shape (4, 6)");
    fcl_params_destroy(&params);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_picture_of_one_colour),     cmocka_unit_test(a_picture_in_colour),
        cmocka_unit_test(a_picture_without_channels),  cmocka_unit_test(names_and_shapes_are_sits),
        cmocka_unit_test(has_as_many_numbers_as_published), cmocka_unit_test(first_values_are_dits),
        cmocka_unit_test(begins_with_no_velocity),     cmocka_unit_test(refuses_what_it_cannot_be),
        cmocka_unit_test(positions_need_sines_and_cosines), cmocka_unit_test(each_model_has_its_own_training),
    };
    return cmocka_run_group_tests(tests, rig_up, rig_down);
}
