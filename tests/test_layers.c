/* Layers against plain C in double precision, what they declare and begin with, and what they refuse. */
#include "plain.h"
#include "rig.h"

#include <flowcl/learn.h>

#include <math.h>
#include <stdlib.h>

/* --- first values --- */

/* Draws them, on the host. */
static float *draw(const fcl_params *params)
{
    fcl_buffer *buffer = NULL;
    size_t bytes = fcl_params_bytes(params);
    float *flat = fcl_zalloc(bytes);
    assert_ok(fcl_buffer_create(device, bytes, &buffer));
    assert_ok(fcl_params_initialise(params, (uint64_t)trial_int(1, 1 << 30), 256, buffer));
    assert_ok(fcl_buffer_read(buffer, 0, bytes, flat));
    fcl_buffer_destroy(&buffer);
    return flat;
}

static const fcl_param *slice_of(const fcl_params *params, const char *name)
{
    int index = fcl_params_find(params, name);
    if (index < 0)
        fail_msg("there is no slice %s", name);
    return fcl_params_at(params, index);
}

/* Within +-bound, all of it is used, and mean and variance are the law's to six standard deviations. */
static void check_uniform(const fcl_params *params, const float *flat, const char *name, double bound)
{
    const fcl_param *slice = slice_of(params, name);
    const float *values = flat + slice->offset / sizeof(float);
    double n = (double)fcl_shape_size(slice->shape), sum = 0, squares = 0, largest = 0;
    for (int64_t i = 0; i < (int64_t)n; i++) {
        sum += (double)values[i] / n;
        squares += (double)values[i] * (double)values[i] / n;
        largest = fmax(largest, fabs((double)values[i]));
    }
    assert_true(largest <= bound * (1 + 1e-6) && largest > bound * (1 - 20 / n));
    assert_true(fabs(sum) < 6 * bound / sqrt(3 * n));
    assert_true(fabs(squares / (bound * bound / 3) - 1) < 6 * sqrt(0.8 / n));
}

static void check_all(const fcl_params *params, const float *flat, const char *name, float value)
{
    const fcl_param *slice = slice_of(params, name);
    for (int64_t i = 0; i < fcl_shape_size(slice->shape); i++)
        assert_true(flat[slice->offset / sizeof(float) + (size_t)i] == value);
}

static void check_file_slice(const fcl_params *params, const char *name, fcl_shape shape)
{
    fcl_shape found = fcl_param_file_shape(slice_of(params, name));
    assert_int_equal(found.rank, shape.rank);
    for (int i = 0; i < shape.rank; i++)
        assert_int_equal(found.dim[i], shape.dim[i]);
}

static void first_values_have_their_laws(void **state)
{
    (void)state;
    fcl_params *params = fcl_params_create();
    fcl_linear_declare_with(params, 200, 100, NULL, "plain");
    fcl_linear_declare_with(params, 200, 100, &(fcl_layer_options){.xavier = 2}, "xavier");
    fcl_linear_declare_with(params, 20, 10, &(fcl_layer_options){.zeros = true}, "zeros");
    fcl_linear_declare_with(params, 20, 10, &(fcl_layer_options){.no_bias = true}, "alone");
    fcl_params_add(params, &(fcl_param){.shape = FCL_SHAPE(3, 3, 32, 64), .order = {2, 3, 1, 0}, /* (64, 32, 3, 3) in its file */
                                        .init = FCL_INIT_XAVIER, .scale = 1}, "turned");
    assert_ok(fcl_params_check(params));
    float *flat = draw(params);
    check_uniform(params, flat, "plain.weight", 1 / sqrt(200));
    check_uniform(params, flat, "plain.bias", 1 / sqrt(200));
    check_uniform(params, flat, "xavier.weight", 2 * sqrt(6.0 / 300));
    check_all(params, flat, "xavier.bias", 0);
    check_all(params, flat, "zeros.weight", 0);
    check_all(params, flat, "zeros.bias", 0);
    check_uniform(params, flat, "turned", sqrt(6.0 / (9 * (32 + 64))));
    assert_int_equal(fcl_params_find(params, "alone.bias"), -1);
    assert_true(slice_of(params, "plain.bias")->undecayed && !slice_of(params, "plain.weight")->undecayed);
    free(flat);
    fcl_params_destroy(&params);
}

static void xavier_needs_two_dimensions(void **state)
{
    (void)state;
    fcl_params *params = fcl_params_create();
    fcl_params_declare(params, FCL_SHAPE(7), FCL_INIT_XAVIER, 1, "row");
    assert_status(FCL_ERR_ARGUMENT, fcl_params_check(params));
    assert_told("row of shape (7,) has no fan in");
    fcl_params_destroy(&params);
}

/* --- values and gradients against a layer's formula --- */

enum { MOST_LEAVES = 24 };

/* A layer under test: its inputs, then its slices in the order that they are declared in, in graphs' order of dimensions. */
typedef struct subject subject;
typedef void formula(const subject *s, const double *const *in, double *y);
struct subject {
    trial *t;
    fcl_params *params;
    const char *what;
    const void *how;
    int inputs, leaves;
    fcl_tensor *leaf[MOST_LEAVES], *u, *y, *gradient[MOST_LEAVES];
    formula *plain;
};

static subject begin(const char *what, const void *how, formula *plain)
{
    return (subject){.t = trial_create(), .params = fcl_params_create(), .what = what, .how = how, .plain = plain};
}

static fcl_tensor *add_input(subject *s, fcl_shape shape)
{
    s->inputs++;
    return s->leaf[s->leaves++] = trial_input(s->t, shape, SMOOTH, 0);
}

/* After all inputs and declarations: a leaf a slice. */
static fcl_tensor *const *bind(subject *s)
{
    assert_ok(fcl_params_check(s->params));
    for (int i = 0; i < fcl_params_count(s->params); i++)
        s->leaf[s->leaves++] = trial_input(s->t, fcl_params_at(s->params, i)->shape, SMOOTH, 0);
    return s->leaf + s->inputs;
}

static int64_t size_of(const fcl_tensor *tensor)
{
    return fcl_shape_size(fcl_tensor_shape(tensor));
}

static const double *number_of(const subject *s, const double *const *in, const char *slice)
{
    int index = fcl_params_find(s->params, slice);
    return index < 0 ? NULL : in[s->inputs + index];
}

/* For plain.h. */
typedef struct numbers {
    const subject *s;
    const double *const *in;
} numbers;

static const double *find_number(const void *of, const char *slice)
{
    const numbers *n = of;
    return number_of(n->s, n->in, slice);
}

/* Each element within twice its bound, as the graph's own constants are rounded as well, and `more`. */
static void check(const subject *s, const char *part, fcl_tensor *tensor, const double *expected, double more)
{
    float *found = fcl_zalloc((size_t)size_of(tensor) * sizeof *found);
    const double *bound = trial_error(s->t, tensor);
    assert_ok(fcl_tensor_read(tensor, found));
    for (int64_t i = 0; i < size_of(tensor); i++)
        if (!(fabs((double)found[i] - expected[i]) <= 2 * bound[i] + more))
            fail_msg("%s, %s: element %lld is %.9g, not %.9g to %.2g", s->what, part, (long long)i, (double)found[i],
                     expected[i], 2 * bound[i] + more);
    free(found);
}

/* <u, y> where element i of a leaf is moved. */
static double moved(const subject *s, const double *const *in, double *y, double *value, double by)
{
    const double *u = trial_leaf_of(s->t, s->u)->value, kept = *value;
    double sum = 0;
    *value += by;
    s->plain(s, in, y);
    for (int64_t i = 0; i < size_of(s->y); i++)
        sum += u[i] * y[i];
    *value = kept;
    return sum;
}

/* By differences of fourth order: to some 1e-10. */
static void check_gradients(const subject *s, const double *const *in, double *y)
{
    const double h = 1e-3;
    for (int k = 0; k < s->leaves; k++) {
        double *value = trial_leaf_of(s->t, s->leaf[k])->value;
        double *expected = fcl_zalloc((size_t)size_of(s->leaf[k]) * sizeof *expected);
        for (int64_t i = 0; i < size_of(s->leaf[k]); i++)
            expected[i] = (8 * (moved(s, in, y, &value[i], h) - moved(s, in, y, &value[i], -h)) -
                           (moved(s, in, y, &value[i], 2 * h) - moved(s, in, y, &value[i], -2 * h))) / (12 * h);
        char part[32];
        snprintf(part, sizeof part, "gradient of leaf %d", k);
        check(s, part, s->gradient[k], expected, 1e-7);
        free(expected);
    }
}

static void end(subject *s)
{
    const double *in[MOST_LEAVES];
    fcl_output(s->y);
    s->u = trial_input(s->t, fcl_tensor_shape(s->y), SMOOTH, 0);
    fcl_vjp(s->y, s->u, s->leaves, s->leaf, s->gradient);
    for (int k = 0; k < s->leaves; k++)
        fcl_output(s->gradient[k]);
    trial_fill(s->t);
    for (int k = 0; k < s->leaves; k++)
        in[k] = trial_leaf_of(s->t, s->leaf[k])->value;
    assert_ok(fcl_graph_compile(s->t->graph, device, NULL));
    assert_ok(trial_run(s->t));
    trial_evaluate(s->t, 0, 0, NULL, NULL);
    double *y = fcl_zalloc((size_t)size_of(s->y) * sizeof *y);
    s->plain(s, in, y);
    check(s, "value", s->y, y, 0);
    check_gradients(s, in, y);
    free(y);
    fcl_params_destroy(&s->params);
    trial_destroy(&s->t);
}

/* --- convolution --- */

typedef struct conv_case {
    plain_image x;
    int out, side;
    fcl_conv2d_options how;
    bool no_bias;
} conv_case;

static void plain_conv(const subject *s, const double *const *in, double *y)
{
    const conv_case *c = s->how;
    const numbers n = {s, in};
    plain_convolve(&(plain_weights){&n, find_number}, "c", c->x, in[0], c->out, c->side, &c->how, y);
}

static void convolutions_are_their_formula(void **state)
{
    static const conv_case all[] = {
        {{1, 3, 4, 2}, 3, 3, {.stride = 2, .padding = 1}},
        {{2, 3, 2, 3}, 2, 3, {.padding = 1, .upsample = true}, true},
    };
    (void)state;
    for (int i = 0; i < (trial_tiny() ? 1 : 2); i++) {
        const conv_case *c = &all[i];
        subject s = begin("convolution", c, plain_conv);
        fcl_tensor *x = add_input(&s, FCL_SHAPE(c->x.n, c->x.height, c->x.width, c->x.channels));
        fcl_layer_conv2d layer = fcl_conv2d_declare(s.params, c->x.channels, c->out, c->side, &c->how,
                                                    &(fcl_layer_options){.no_bias = c->no_bias}, "c");
        s.y = fcl_conv2d_build(layer, bind(&s), x);
        end(&s);
    }
}

/* --- features of time --- */

static void plain_sinusoidal(const subject *s, const double *const *in, double *y)
{
    const fcl_layer_sinusoidal *layer = s->how;
    int64_t rows = size_of(s->leaf[0]), half = layer->width / 2;
    double scale = layer->how.scale != 0 ? (double)layer->how.scale : 1;
    double period = layer->how.period != 0 ? (double)layer->how.period : 10000;
    for (int64_t i = 0; i < rows * layer->width; i++) {
        int64_t k = i % layer->width;
        double last = (double)(layer->how.ddpm ? half - 1 : half);
        double angle = scale * in[0][i / layer->width] * pow(period, -(double)(k % half) / last);
        y[i] = k == 2 * half ? 0 : (k < half) == layer->how.ddpm ? sin(angle) : cos(angle);
    }
}

static void features_of_time_are_their_formula(void **state)
{
    static const fcl_layer_sinusoidal all[] = {{6, {0}}, {9, {.ddpm = true, .scale = 8, .period = 100}}, {5, {.scale = 3}}};
    (void)state;
    for (int i = 0; i < (trial_tiny() ? 2 : 3); i++) {
        subject s = begin("features of time", &all[i], plain_sinusoidal);
        fcl_tensor *t = add_input(&s, FCL_SHAPE(5, 1));
        s.y = fcl_sinusoidal_build(fcl_sinusoidal_declare(s.params, all[i].width, i ? &all[i].how : NULL, "t"), t);
        assert_int_equal(fcl_params_count(s.params), 0);
        end(&s);
    }
}

/* --- modulation --- */

/* x (2, 3, 4), condition (2, 5), three parts of it: (x (1 + scale) + shift) gate */
static void plain_modulation(const subject *s, const double *const *in, double *y)
{
    double active[10], part[24];
    for (int i = 0; i < 10; i++)
        active[i] = plain_silu(in[1][i]);
    plain_linear(2, 5, 12, active, number_of(s, in, "adaLN_modulation.1.weight"), number_of(s, in, "adaLN_modulation.1.bias"), part);
    for (int i = 0; i < 24; i++) {
        const double *own = part + i / 12 * 12 + i % 4;
        y[i] = (in[0][i] * (1 + own[4]) + own[0]) * own[8];
    }
}

static void modulation_is_its_formula(void **state)
{
    (void)state;
    fcl_tensor *part[3];
    subject s = begin("modulation", NULL, plain_modulation);
    fcl_tensor *x = add_input(&s, FCL_SHAPE(2, 3, 4)), *condition = add_input(&s, FCL_SHAPE(2, 5));
    fcl_layer_modulation layer = fcl_modulation_declare(s.params, 5, 4, 3, "adaLN_modulation.1");
    float *flat = draw(s.params);
    check_all(s.params, flat, "adaLN_modulation.1.weight", 0);
    check_all(s.params, flat, "adaLN_modulation.1.bias", 0);
    free(flat);
    fcl_modulation_build(layer, bind(&s), condition, part);
    s.y = fcl_gate(fcl_modulate(x, part[0], part[1]), part[2]);
    end(&s);
}

/* --- attention --- */

enum { ATTENTION_WIDTH = 4, HEADS = 2, MOST_KEYS = 4 };

typedef struct attention_case {
    int batch, rows, keys; /* keys 0: x is its own context, without mask and bias */
    fcl_attention_options how;
    const char *in, *in_bias, *out, *out_bias;
} attention_case;

static const float key_mask[2 * MOST_KEYS] = {1, 0, 1, 1, 0, 0, 1, 1}; /* (batch, keys) */

/* A row of `out`, a head of it: softmax(q k' / sqrt(d) + bias) v. */
static void attend(const double *q, const double *k, const double *v, int keys, const float *mask, const double *bias,
                   double *out)
{
    enum { D = ATTENTION_WIDTH / HEADS };
    double sum = 0;
    memset(out, 0, D * sizeof *out);
    for (int pass = 0; pass < 2; pass++)
        for (int j = 0; j < keys; j++) {
            double score = bias ? bias[j] : 0;
            for (int c = 0; c < D; c++)
                score += q[c] * k[j * ATTENTION_WIDTH + c] / sqrt(D);
            double weight = mask && mask[j] == 0 ? 0 : exp(score);
            sum += pass ? 0 : weight;
            for (int c = 0; c < D && pass; c++)
                out[c] += weight / sum * v[j * ATTENTION_WIDTH + c];
        }
}

/* Each head of x (rows, width) by itself; of RMS norms there is no bias. */
static void normalise_heads(const subject *s, const double *const *in, const char *name, int rows, double *x)
{
    enum { D = ATTENTION_WIDTH / HEADS };
    const attention_case *a = s->how;
    char part[32];
    snprintf(part, sizeof part, "a.%s.weight", name);
    const double *weight = number_of(s, in, part);
    snprintf(part, sizeof part, "a.%s.bias", name);
    const double *bias = number_of(s, in, part);
    assert_int_equal(!bias, a->how.qk_norm == FCL_QK_NORM_RMS);
    for (int i = 0; i < rows * HEADS; i++, x += D) {
        double mean = 0, square = 0;
        for (int c = 0; c < D; c++)
            mean += bias ? x[c] / D : 0;
        for (int c = 0; c < D; c++)
            square += (x[c] - mean) * (x[c] - mean) / D;
        for (int c = 0; c < D; c++)
            x[c] = (x[c] - mean) / sqrt(square + (double)a->how.epsilon) * weight[c] + (bias ? bias[c] : 0);
    }
}

static void plain_attention(const subject *s, const double *const *in, double *y)
{
    enum { W = ATTENTION_WIDTH, D = W / HEADS, MOST = 2 * MOST_KEYS * W };
    const attention_case *a = s->how;
    const double *x = in[0], *context = a->keys ? in[1] : x;
    const double *weight = number_of(s, in, a->in), *bias = number_of(s, in, a->in_bias);
    int rows = a->rows, keys = a->keys ? a->keys : rows;
    double q[MOST], k[MOST], v[MOST], out[MOST];
    plain_linear(a->batch * rows, W, W, x, weight, bias, q);
    plain_linear(a->batch * keys, W, W, context, weight + W * W, bias ? bias + W : NULL, k);
    plain_linear(a->batch * keys, W, W, context, weight + 2 * W * W, bias ? bias + 2 * W : NULL, v);
    if (a->how.qk_norm) {
        normalise_heads(s, in, "q_norm", a->batch * rows, q);
        normalise_heads(s, in, "k_norm", a->batch * keys, k);
    }
    for (int i = 0; i < a->batch * rows * HEADS; i++) {
        int b = i / HEADS / rows, row = i / HEADS % rows, head = i % HEADS;
        int64_t at = (int64_t)(b * rows + row) * W + head * D, of_keys = (int64_t)b * keys * W + head * D;
        attend(q + at, k + of_keys, v + of_keys, keys, a->keys ? key_mask + b * keys : NULL,
               a->keys ? in[2] + (head * rows + row) * keys : NULL, out + at);
    }
    plain_linear(a->batch * rows, W, W, out, number_of(s, in, a->out), number_of(s, in, a->out_bias), y);
}

static void attention_is_its_formula(void **state)
{
    static const attention_case all[] = {
        {2, 3, 4, {0}, "a.in_proj_weight", "a.in_proj_bias", "a.out_proj.weight", "a.out_proj.bias"},
        {2, 3, 0, {.timm = true, .no_bias = true, .qk_norm = FCL_QK_NORM_LAYER, .epsilon = 0.125f}, "a.qkv.weight", "a.qkv.bias",
         "a.proj.weight", "a.proj.bias"},
        {2, 3, 0, {.timm = true, .qk_norm = FCL_QK_NORM_RMS, .epsilon = 0.25f}, "a.qkv.weight", "a.qkv.bias", "a.proj.weight",
         "a.proj.bias"},
    };
    (void)state;
    for (int i = 0; i < (trial_tiny() ? 1 : 3); i++) {
        const attention_case *a = &all[i];
        subject s = begin("attention", a, plain_attention);
        fcl_attention_inputs with = {.x = add_input(&s, FCL_SHAPE(a->batch, a->rows, ATTENTION_WIDTH))};
        if (a->keys) {
            with.context = add_input(&s, FCL_SHAPE(a->batch, a->keys, ATTENTION_WIDTH));
            with.bias = add_input(&s, FCL_SHAPE(1, HEADS, a->rows, a->keys));
            with.mask = fcl_input_filled(s.t->graph, "mask", FCL_SHAPE(a->batch, a->keys), key_mask);
        }
        fcl_layer_attention layer = fcl_attention_declare(s.params, ATTENTION_WIDTH, HEADS, &a->how, "a");
        s.y = fcl_attention_build(layer, bind(&s), &with);
        end(&s);
    }
}

static void attention_begins_as_in_pytorch(void **state)
{
    (void)state;
    fcl_params *params = fcl_params_create();
    fcl_attention_declare(params, 64, 4, NULL, "a");
    fcl_attention_declare(params, 64, 4, &(fcl_attention_options){.timm = true}, "attn");
    fcl_attention_declare(params, 64, 4, &(fcl_attention_options){.no_bias = true}, "b");
    float *flat = draw(params);
    check_uniform(params, flat, "a.in_proj_weight", sqrt(6.0 / (4 * 64)));
    check_uniform(params, flat, "a.out_proj.weight", 1.0 / 8);
    check_uniform(params, flat, "attn.qkv.weight", sqrt(6.0 / (4 * 64)));
    check_uniform(params, flat, "attn.proj.weight", sqrt(6.0 / (2 * 64)));
    check_all(params, flat, "a.in_proj_bias", 0);
    check_all(params, flat, "a.out_proj.bias", 0);
    check_all(params, flat, "attn.qkv.bias", 0);
    check_all(params, flat, "attn.proj.bias", 0);
    assert_true(slice_of(params, "attn.qkv.bias")->undecayed && !slice_of(params, "attn.qkv.weight")->undecayed);
    assert_int_equal(fcl_params_count(params), 10);
    free(flat);
    fcl_params_destroy(&params);
    params = fcl_params_create();
    fcl_attention_declare(params, 64, 4, &(fcl_attention_options){.qk_norm = FCL_QK_NORM_LAYER}, "n");
    flat = draw(params);
    check_all(params, flat, "n.q_norm.weight", 1);
    check_all(params, flat, "n.k_norm.bias", 0);
    assert_int_equal(slice_of(params, "n.k_norm.weight")->shape.dim[0], 16);
    free(flat);
    fcl_params_destroy(&params);
}

/* --- the residual block --- */

typedef struct block {
    plain_image x;
    fcl_residual_options how;
} block;

static void plain_block(const subject *s, const double *const *in, double *y)
{
    const block *b = s->how;
    const numbers n = {s, in};
    plain_residual(&(plain_weights){&n, find_number}, "b", b->x, in[0], b->how.embedding ? in[1] : NULL, &b->how, y);
}

static void residual_blocks_are_their_formula(void **state)
{
    static const block all[] = {
        {{2, 2, 3, 2}, {.out = 4, .embedding = 3, .groups = 2}},
        {{1, 3, 2, 4}, {.embedding = 3, .groups = 2, .scale_shift = true, .resample = FCL_RESAMPLE_UP}},
        {{2, 4, 2, 3}, {.out = 6, .groups = 3, .resample = FCL_RESAMPLE_DOWN, .dropout = 0.5f}},
    };
    (void)state;
    for (int i = 0; i < (trial_tiny() ? 1 : 3); i++) {
        const block *b = &all[i];
        subject s = begin("residual block", b, plain_block);
        fcl_tensor *x = add_input(&s, FCL_SHAPE(b->x.n, b->x.height, b->x.width, b->x.channels));
        fcl_tensor *embedding = b->how.embedding ? add_input(&s, FCL_SHAPE(b->x.n, b->how.embedding)) : NULL;
        fcl_layer_residual layer = fcl_residual_declare(s.params, b->x.channels, &b->how, "b");
        s.y = fcl_residual_build(layer, bind(&s), x, embedding, false); /* it does not train: nothing is dropped */
        end(&s);
    }
}

/* --- the attention block --- */

typedef struct attention_block_case {
    plain_image x;
    int heads, groups;
} attention_block_case;

static void plain_attention_block_of(const subject *s, const double *const *in, double *y)
{
    const attention_block_case *b = s->how;
    const numbers n = {s, in};
    plain_attention_block(&(plain_weights){&n, find_number}, "b", b->x, b->heads, b->groups, in[0], y);
}

static void attention_blocks_are_their_formula(void **state)
{
    static const attention_block_case all[] = {{{2, 2, 3, 6}, 3, 2}, {{1, 3, 3, 4}, 1, 4}};
    (void)state;
    for (int i = 0; i < (trial_tiny() ? 1 : 2); i++) {
        const attention_block_case *b = &all[i];
        subject s = begin("attention block", b, plain_attention_block_of);
        fcl_tensor *x = add_input(&s, FCL_SHAPE(b->x.n, b->x.height, b->x.width, b->x.channels));
        fcl_layer_attention_block layer = fcl_attention_block_declare(s.params, b->x.channels, b->heads, b->groups, "b");
        s.y = fcl_attention_block_build(layer, bind(&s), x);
        end(&s);
    }
}

static void an_attention_block_begins_as_in_adm(void **state)
{
    (void)state;
    fcl_params *params = fcl_params_create();
    fcl_attention_block_declare(params, 64, 4, 0, "input_blocks.4.1");
    check_file_slice(params, "input_blocks.4.1.norm.weight", FCL_SHAPE(64));
    check_file_slice(params, "input_blocks.4.1.norm.bias", FCL_SHAPE(64));
    check_file_slice(params, "input_blocks.4.1.qkv.weight", FCL_SHAPE(192, 64, 1));
    check_file_slice(params, "input_blocks.4.1.qkv.bias", FCL_SHAPE(192));
    check_file_slice(params, "input_blocks.4.1.proj_out.weight", FCL_SHAPE(64, 64, 1));
    check_file_slice(params, "input_blocks.4.1.proj_out.bias", FCL_SHAPE(64));
    assert_int_equal(fcl_params_count(params), 6);
    float *flat = draw(params);
    check_uniform(params, flat, "input_blocks.4.1.qkv.weight", 1.0 / 8);
    check_uniform(params, flat, "input_blocks.4.1.qkv.bias", 1.0 / 8);
    check_all(params, flat, "input_blocks.4.1.proj_out.weight", 0);
    check_all(params, flat, "input_blocks.4.1.proj_out.bias", 0);
    free(flat);
    fcl_params_destroy(&params);
}

/* With its first values a block is what goes round it. */
static void a_block_begins_as_the_identity(void **state)
{
    (void)state;
    enum { SIZE = 2 * 3 * 3 * 4 };
    float x[SIZE], y[SIZE];
    fcl_buffer *weights = NULL;
    fcl_params *params = fcl_params_create();
    fcl_layer_residual layer = fcl_residual_declare(params, 4, &(fcl_residual_options){.groups = 2, .embedding = 3}, "b");
    assert_ok(fcl_buffer_create(device, fcl_params_bytes(params), &weights));
    assert_ok(fcl_params_initialise(params, (uint64_t)trial_int(1, 1000), 1, weights));
    fcl_graph *graph = fcl_graph_create();
    fcl_tensor *in = fcl_input(graph, "x", FCL_F32, FCL_SHAPE(2, 3, 3, 4));
    fcl_tensor **w = fcl_params_bind(params, graph, weights, "");
    fcl_tensor *out = fcl_output(fcl_residual_build(layer, w, in, fcl_input(graph, "e", FCL_F32, FCL_SHAPE(2, 3)), true));
    for (int i = 0; i < SIZE; i++)
        x[i] = (float)trial_normal();
    assert_ok(fcl_graph_compile(graph, device, NULL));
    assert_ok(fcl_tensor_write(in, x));
    assert_ok(fcl_graph_run(graph));
    assert_ok(fcl_tensor_read(out, y));
    for (int i = 0; i < SIZE; i++)
        assert_true(x[i] == y[i]);
    fcl_free(w);
    fcl_graph_destroy(&graph);
    fcl_buffer_destroy(&weights);
    fcl_params_destroy(&params);
}

/* --- names, shapes and orders in files --- */

static void slices_are_as_in_pytorch(void **state)
{
    (void)state;
    fcl_params *params = fcl_params_create();
    fcl_residual_declare(params, 4, &(fcl_residual_options){.groups = 2, .embedding = 3, .out = 6, .scale_shift = true},
                         "input_blocks.1.0");
    check_file_slice(params, "input_blocks.1.0.in_layers.0.weight", FCL_SHAPE(4));
    check_file_slice(params, "input_blocks.1.0.in_layers.2.weight", FCL_SHAPE(6, 4, 3, 3));
    check_file_slice(params, "input_blocks.1.0.in_layers.2.bias", FCL_SHAPE(6));
    check_file_slice(params, "input_blocks.1.0.emb_layers.1.weight", FCL_SHAPE(12, 3));
    check_file_slice(params, "input_blocks.1.0.out_layers.0.bias", FCL_SHAPE(6));
    check_file_slice(params, "input_blocks.1.0.out_layers.3.weight", FCL_SHAPE(6, 6, 3, 3));
    check_file_slice(params, "input_blocks.1.0.skip_connection.weight", FCL_SHAPE(6, 4, 1, 1));
    assert_int_equal(fcl_params_count(params), 12);
    float *flat = draw(params);
    check_all(params, flat, "input_blocks.1.0.out_layers.3.weight", 0);
    check_all(params, flat, "input_blocks.1.0.out_layers.3.bias", 0);
    free(flat);
    fcl_params_destroy(&params);
}

/* Number (o, c, i, j) of PyTorch's weight is number (i, j, c, o) of the graph's. */
static void a_file_has_pytorchs_order(void **state)
{
    (void)state;
    enum { IN = 3, OUT = 2, SIDE = 3, COUNT = OUT * IN * SIDE * SIDE };
    fcl_params *params = fcl_params_create();
    fcl_learner *learner = NULL;
    float kept[COUNT], filed[COUNT];
    long begin_at = 0, end_at = 0;
    uint64_t header_bytes;
    fcl_conv2d_declare(params, IN, OUT, SIDE, NULL, NULL, "first");
    assert_ok(fcl_learner_create(device, params, NULL, &learner));
    assert_ok(fcl_learner_save(learner, scratch_path("net.safetensors")));
    size_t offset = slice_of(params, "first.weight")->offset;
    assert_ok(fcl_buffer_read(fcl_learner_weights(learner), offset, sizeof kept, kept));
    FILE *stream = fopen(scratch_path("net.safetensors"), "rb");
    assert_non_null(stream);
    assert_int_equal(fread(&header_bytes, 1, 8, stream), 8);
    char *header = fcl_zalloc((size_t)header_bytes + 1);
    assert_int_equal(fread(header, 1, (size_t)header_bytes, stream), header_bytes);
    char *entry = strstr(header, "\"first.weight\""), *range = entry ? strstr(entry, "\"data_offsets\"") : NULL;
    assert_true(range && strstr(entry, "[2,3,3,3]") && strstr(entry, "[2,3,3,3]") < entry + 80);
    assert_int_equal(sscanf(strchr(range, '['), "[%ld,%ld]", &begin_at, &end_at), 2);
    assert_int_equal(end_at - begin_at, sizeof filed);
    assert_int_equal(fseek(stream, 8 + (long)header_bytes + begin_at, SEEK_SET), 0);
    assert_int_equal(fread(filed, 1, sizeof filed, stream), sizeof filed);
    for (int at = 0; at < COUNT; at++) {
        int j = at % SIDE, i = at / SIDE % SIDE, c = at / SIDE / SIDE % IN, o = at / SIDE / SIDE / IN;
        assert_true(filed[at] == kept[((i * SIDE + j) * IN + c) * OUT + o]);
    }
    fclose(stream);
    free(header);
    fcl_learner_destroy(&learner);
    fcl_params_destroy(&params);
}

/* --- what does not fit --- */

static void declare_badly(fcl_params *params, int which)
{
    switch (which) {
    case 0:
        fcl_conv2d_declare(params, 3, 8, 4, NULL, NULL, "conv");
        break;
    case 1:
        fcl_conv2d_declare(params, 3, 8, 3, &(fcl_conv2d_options){.stride = 3}, NULL, "conv");
        break;
    case 2:
        fcl_conv2d_declare(params, 3, 8, 3, &(fcl_conv2d_options){.padding = 3}, NULL, "conv");
        break;
    case 3:
        fcl_conv2d_declare(params, 0, 8, 3, NULL, NULL, "conv");
        break;
    case 4:
        fcl_dropout_declare(params, 1, "drop");
        break;
    case 5:
        fcl_dropout_declare(params, -0.1f, "drop");
        break;
    case 6:
        fcl_residual_declare(params, 48, NULL, "block");
        break;
    case 7:
        fcl_residual_declare(params, 32, &(fcl_residual_options){.dropout = NAN}, "block");
        break;
    case 8:
        fcl_residual_declare(params, 32, &(fcl_residual_options){.scale_shift = true}, "block");
        break;
    case 9:
        fcl_sinusoidal_declare(params, 3, &(fcl_sinusoidal_options){.ddpm = true}, "time");
        break;
    case 10:
        fcl_attention_declare(params, 32, 5, NULL, "attn");
        break;
    case 11:
        fcl_attention_block_declare(params, 32, 5, 0, "block");
        break;
    default:
        fcl_modulation_declare(params, 4, 4, 0, "ada");
    }
}

static void bad_sizes_are_told(void **state)
{
    static const char *const says[] = {"conv: a kernel of 4 x 4; its side is odd",
                                       "conv: a stride of 3; it is 1 or 2",
                                       "conv: a padding of 3 for a kernel of 3 x 3; it is 0 to 2",
                                       "conv.weight cannot have the shape (3, 3, 0, 8)",
                                       "drop: a dropout of 1; it is at least 0 and less than 1",
                                       "drop: a dropout of -0.1",
                                       "block.in_layers.0: 32 groups of 48 channels",
                                       "block: a dropout of nan",
                                       "block: scale_shift is about an embedding",
                                       "time: 3 features of time; there are at least 4",
                                       "attn: 5 heads of a width of 32; their number divides the width",
                                       "block: 5 heads of 32 channels; their number divides the channels'",
                                       "ada: a modulation of 0 parts"};
    (void)state;
    for (int i = 0; i < (int)(sizeof says / sizeof *says); i++) {
        fcl_params *params = fcl_params_create();
        declare_badly(params, i);
        assert_status(FCL_ERR_ARGUMENT, fcl_params_check(params));
        assert_told(says[i]);
        fcl_params_destroy(&params);
    }
}

static fcl_tensor *build_badly(fcl_params *params, fcl_graph *graph, int which)
{
    fcl_tensor *x = fcl_input(graph, "x", FCL_F32, FCL_SHAPE(2, 2, 2, 4)), *e = fcl_input(graph, "e", FCL_F32, FCL_SHAPE(3, 4));
    fcl_layer_conv2d conv = {.bias = -1};
    fcl_layer_residual residual;
    fcl_layer_attention_block attention;
    if (which == 5)
        attention = fcl_attention_block_declare(params, 4, 1, 4, "a");
    else if (which < 2)
        conv = fcl_conv2d_declare(params, which ? 4 : 3, 5, which ? 5 : 3, NULL, &(fcl_layer_options){.no_bias = true}, "c");
    else
        residual = fcl_residual_declare(params, 4, &(fcl_residual_options){.groups = 1, .embedding = which == 2 ? 4 : 0}, "b");
    fcl_tensor *w[MOST_LEAVES];
    for (int i = 0; i < fcl_params_count(params); i++)
        w[i] = fcl_input(graph, fcl_params_at(params, i)->name, FCL_F32, fcl_params_at(params, i)->shape);
    if (which == 5)
        return fcl_attention_block_build(attention, w, e);
    return which < 2    ? fcl_conv2d_build(conv, w, x)
           : which == 4 ? fcl_modulate(x, e, e)
                        : fcl_residual_build(residual, w, x, which == 2 ? NULL : e, false);
}

static void bad_graphs_are_told(void **state)
{
    static const char *const says[] = {"the images have 4 channels, the weights take 3",
                                       "images of 2 x 2 with a padding of 0 are smaller than a kernel of 5 x 5",
                                       "is given no embedding, and is declared with one",
                                       "is given an embedding, and is declared without one",
                                       "of shape (2, 2, 2, 4) is modulated by input 'e' of shape (3, 4)",
                                       "an attention block is built on input 'e' of shape (3, 4)"};
    (void)state;
    for (int i = 0; i < 6; i++) {
        fcl_params *params = fcl_params_create();
        fcl_graph *graph = fcl_graph_create();
        fcl_output(build_badly(params, graph, i));
        assert_status(FCL_ERR_SHAPE, fcl_graph_compile(graph, device, NULL));
        assert_told(says[i]);
        fcl_graph_destroy(&graph);
        fcl_params_destroy(&params);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_values_have_their_laws),
        cmocka_unit_test(xavier_needs_two_dimensions),
        cmocka_unit_test(convolutions_are_their_formula),
        cmocka_unit_test(features_of_time_are_their_formula),
        cmocka_unit_test(modulation_is_its_formula),
        cmocka_unit_test(attention_is_its_formula),
        cmocka_unit_test(attention_begins_as_in_pytorch),
        cmocka_unit_test(residual_blocks_are_their_formula),
        cmocka_unit_test(a_block_begins_as_the_identity),
        cmocka_unit_test(attention_blocks_are_their_formula),
        cmocka_unit_test(an_attention_block_begins_as_in_adm),
        cmocka_unit_test(slices_are_as_in_pytorch),
        cmocka_unit_test(a_file_has_pytorchs_order),
        cmocka_unit_test(bad_sizes_are_told),
        cmocka_unit_test(bad_graphs_are_told),
    };
    return cmocka_run_group_tests(tests, rig_up, rig_down);
}
