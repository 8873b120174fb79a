#include "plain.h"

#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

int64_t plain_pixels(plain_image images)
{
    return (int64_t)images.n * images.height * images.width;
}

int64_t plain_numbers(plain_image images)
{
    return plain_pixels(images) * images.channels;
}

double *plain_room(plain_image images)
{
    return fcl_zalloc((size_t)plain_numbers(images) * sizeof(double));
}

/* "NAME.PART", or NULL where there is none. */
static const double *find(const plain_weights *w, const char *name, const char *part)
{
    char text[256];
    snprintf(text, sizeof text, "%s.%s", name, part);
    return w->find(w->of, text);
}

double plain_silu(double x)
{
    return x / (1 + exp(-x));
}

void plain_linear(int rows, int in, int out, const double *x, const double *weight, const double *bias, double *y)
{
    for (int64_t i = 0; i < (int64_t)rows * out; i++) {
        y[i] = bias ? bias[i % out] : 0;
        for (int k = 0; k < in; k++)
            y[i] += x[i / out * in + k] * weight[i % out * in + k];
    }
}

plain_image plain_convolve(const plain_weights *w, const char *name, plain_image from, const double *x, int out, int side,
                           const fcl_conv2d_options *how, double *y)
{
    const double *weight = find(w, name, "weight"), *bias = find(w, name, "bias");
    int scale = how->upsample ? 2 : 1, stride = how->stride ? how->stride : 1;
    plain_image to = {from.n, (scale * from.height + 2 * how->padding - side) / stride + 1,
                      (scale * from.width + 2 * how->padding - side) / stride + 1, out};
    for (int64_t p = 0; p < plain_pixels(to); p++)
        for (int o = 0; o < out; o++) {
            double sum = bias ? bias[o] : 0;
            for (int tap = 0; tap < side * side; tap++) {
                int64_t i = p / to.width % to.height * stride + tap / side - how->padding;
                int64_t j = p % to.width * stride + tap % side - how->padding;
                if (i < 0 || j < 0 || i >= scale * from.height || j >= scale * from.width)
                    continue;
                int64_t at = ((p / to.width / to.height * from.height + i / scale) * from.width + j / scale) * from.channels;
                for (int c = 0; c < from.channels; c++)
                    sum += x[at + c] * weight[(tap * from.channels + c) * out + o];
            }
            y[p * out + o] = sum;
        }
    return to;
}

void plain_group_norm(const plain_weights *w, const char *name, plain_image of, int groups, const double *x, double *y)
{
    const double *weight = find(w, name, "weight"), *bias = find(w, name, "bias");
    int width = of.channels / groups, pixels = of.height * of.width;
    for (int set = 0; set < of.n * groups; set++) {
        int64_t first = (int64_t)(set / groups) * pixels * of.channels + set % groups * width;
        double mean = 0, square = 0, count = (double)pixels * width;
        for (int i = 0; i < pixels * width; i++)
            mean += x[first + i / width * of.channels + i % width] / count;
        for (int i = 0; i < pixels * width; i++)
            square += pow(x[first + i / width * of.channels + i % width] - mean, 2) / count;
        for (int i = 0; i < pixels * width; i++) {
            int64_t at = first + i / width * of.channels + i % width, c = at % of.channels;
            y[at] = (x[at] - mean) / sqrt(square + (double)1e-5f) * weight[c] + bias[c];
        }
    }
}

plain_image plain_resample(plain_image from, fcl_resample how, const double *x, double *y)
{
    plain_image to = from;
    if (how == FCL_RESAMPLE_DOWN)
        to.height /= 2, to.width /= 2;
    if (how == FCL_RESAMPLE_UP)
        to.height *= 2, to.width *= 2;
    for (int64_t i = 0; i < plain_numbers(to); i++) {
        int64_t c = i % to.channels, p = i / to.channels, column = p % to.width, row = p / to.width % to.height;
        const double *of = x + p / to.width / to.height * from.height * from.width * from.channels + c;
        int64_t step = from.channels, line = (int64_t)from.width * step;
        if (how == FCL_RESAMPLE_DOWN) {
            of += 2 * row * line + 2 * column * step;
            y[i] = (of[0] + of[step] + of[line] + of[line + step]) / 4;
        } else {
            y[i] = how == FCL_RESAMPLE_UP ? of[row / 2 * line + column / 2 * step] : of[row * line + column * step];
        }
    }
    return to;
}

/* --- the residual block --- */

static void activate(int64_t count, const double *x, double *y)
{
    for (int64_t i = 0; i < count; i++)
        y[i] = plain_silu(x[i]);
}

/* What the embedding says to each image's channels: (n, out), or (n, 2 out) with scale_shift. For free. */
static double *ask_embedding(const plain_weights *w, const char *name, const double *embedding,
                             const fcl_residual_options *how, plain_image of)
{
    int out = (how->scale_shift ? 2 : 1) * of.channels, width = (int)how->embedding;
    double *active = fcl_zalloc((size_t)(of.n * width) * sizeof *active), *e = fcl_zalloc((size_t)(of.n * out) * sizeof *e);
    activate(of.n * width, embedding, active);
    plain_linear(of.n, width, out, active, find(w, name, "emb_layers.1.weight"), find(w, name, "emb_layers.1.bias"), e);
    free(active);
    return e;
}

/* h with what the embedding says, normalised and activated. */
static void finish_middle(const plain_weights *w, const char *name, plain_image of, const double *embedding,
                          const fcl_residual_options *how, double *h)
{
    char norm[256];
    const int64_t each = plain_numbers(of) / of.n;
    const int out = of.channels;
    double *e = embedding ? ask_embedding(w, name, embedding, how, of) : NULL;
    for (int64_t i = 0; i < plain_numbers(of) && e && !how->scale_shift; i++)
        h[i] += e[i / each * out + i % out];
    snprintf(norm, sizeof norm, "%s.out_layers.0", name);
    plain_group_norm(w, norm, of, how->groups ? how->groups : 32, h, h);
    for (int64_t i = 0; i < plain_numbers(of); i++) {
        const double *own = e + i / each * 2 * out + i % out;
        h[i] = plain_silu(e && how->scale_shift ? h[i] * (1 + own[0]) + own[out] : h[i]);
    }
    free(e);
}

/* x by what goes round the block, added to y. */
static void add_skip(const plain_weights *w, const char *name, plain_image from, const double *x,
                     const fcl_residual_options *how, plain_image to, double *y)
{
    char skip[256];
    plain_image sized = to;
    sized.channels = from.channels;
    double *near = plain_room(sized), *round = plain_room(to);
    plain_resample(from, how->resample, x, near);
    snprintf(skip, sizeof skip, "%s.skip_connection", name);
    if (to.channels != from.channels)
        plain_convolve(w, skip, sized, near, to.channels, 1, &(fcl_conv2d_options){0}, round);
    for (int64_t i = 0; i < plain_numbers(to); i++)
        y[i] += to.channels != from.channels ? round[i] : near[i];
    free(round);
    free(near);
}

plain_image plain_residual(const plain_weights *w, const char *name, plain_image from, const double *x,
                           const double *embedding, const fcl_residual_options *how, double *y)
{
    char part[256];
    const fcl_conv2d_options same = {.padding = 1};
    const int out = how->out ? (int)how->out : from.channels;
    double *h = plain_room(from);
    snprintf(part, sizeof part, "%s.in_layers.0", name);
    plain_group_norm(w, part, from, how->groups ? how->groups : 32, x, h);
    activate(plain_numbers(from), h, h);
    double *sized = fcl_zalloc(4 * (size_t)plain_numbers(from) * sizeof *sized);
    plain_image of = plain_resample(from, how->resample, h, sized), to = of;
    to.channels = out;
    double *middle = plain_room(to);
    snprintf(part, sizeof part, "%s.in_layers.2", name);
    plain_convolve(w, part, of, sized, out, 3, &same, middle);
    finish_middle(w, name, to, embedding, how, middle);
    snprintf(part, sizeof part, "%s.out_layers.3", name);
    plain_convolve(w, part, to, middle, out, 3, &same, y);
    add_skip(w, name, from, x, how, to, y);
    free(middle);
    free(sized);
    free(h);
    return to;
}

/* --- the attention block --- */

/* An item's row of one head of (items, 3 channels), heads by heads of queries (0), keys (1), values (2). */
static const double *row_of(const double *qkv, int64_t item, int channels, int width, int head, int which)
{
    return qkv + item * 3 * channels + (3 * head + which) * width;
}

/* softmax(q k' / sqrt(width)) v of one item of `items` to all of them. */
static void attend(const double *qkv, int64_t first, int64_t item, int items, int channels, int width, int head, double *out)
{
    double sum = 0;
    for (int pass = 0; pass < 2; pass++)
        for (int j = 0; j < items; j++) {
            const double *q = row_of(qkv, item, channels, width, head, 0), *v = row_of(qkv, first + j, channels, width, head, 2);
            const double *k = row_of(qkv, first + j, channels, width, head, 1);
            double score = 0;
            for (int c = 0; c < width; c++)
                score += q[c] * k[c] / sqrt(width);
            sum += pass ? 0 : exp(score);
            for (int c = 0; c < width && pass; c++)
                out[c] += exp(score) / sum * v[c];
        }
}

void plain_attention_block(const plain_weights *w, const char *name, plain_image of, int heads, int groups, const double *x,
                           double *y)
{
    char norm[256];
    const int items = of.height * of.width, rows = of.n * items, channels = of.channels, width = channels / heads;
    double *h = plain_room(of), *out = plain_room(of), *qkv = fcl_zalloc(3 * (size_t)plain_numbers(of) * sizeof *qkv);
    snprintf(norm, sizeof norm, "%s.norm", name);
    plain_group_norm(w, norm, of, groups, x, h);
    plain_linear(rows, channels, 3 * channels, h, find(w, name, "qkv.weight"), find(w, name, "qkv.bias"), qkv);
    for (int item = 0; item < rows; item++)
        for (int head = 0; head < heads; head++)
            attend(qkv, item / items * items, item, items, channels, width, head, out + item * channels + head * width);
    plain_linear(rows, channels, channels, out, find(w, name, "proj_out.weight"), find(w, name, "proj_out.bias"), y);
    for (int64_t i = 0; i < plain_numbers(of); i++)
        y[i] += x[i];
    free(qkv);
    free(out);
    free(h);
}
