/* One loop over the operation table. Each row has cases; a row without any fails. For each case: the device
 * against the double reference, fused and not; and in double precision, through the reference, the rules:
 * <u, J v> = <J' u, v>, J v against a difference quotient, the derivatives of <J' u, v> and, in x and in v, of <u, J v>
 * against others, and tangents in one sweep, one and several, against each alone, which have the same identity. */
#include "device.h"
#include "trial.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_INPUTS = 9, MAX_OUTPUTS = 4, MAX_SETTINGS = 32 };

typedef struct setting {
    fcl_shape shape[MAX_INPUTS];
    int p[FCL_MAX_RANK]; /* what else the builder needs */
} setting;

typedef struct row_case {
    const char *op;
    int inputs;
    domain domain[MAX_INPUTS];
    fcl_tensor *(*unary)(fcl_tensor *a);
    fcl_tensor *(*binary)(fcl_tensor *a, fcl_tensor *b);
    int (*build)(fcl_graph *graph, fcl_tensor **x, const setting *s,
                 fcl_tensor **y); /* returns their number */
    void (*prepare)(trial *t, fcl_tensor **x, const setting *s);
    const setting *settings;
    int count;
} row_case;

/* clang-format off */
#define S(...)           {.rank = (int)(sizeof((int[]){__VA_ARGS__}) / sizeof(int)), .dim = {__VA_ARGS__}}
#define SETTINGS(array)  .settings = array, .count = (int)(sizeof array / sizeof *array)
#define UNARY(name, kind) {#name, 1, {kind}, .unary = fcl_##name, SETTINGS(any_shape)}
#define BINARY(name, a, b, list) {#name, 2, {a, b}, .binary = fcl_##name, SETTINGS(list)}

static const setting any_shape[] = {{{S(7)}}, {{{0}}}, {{S(35)}}, {{S(17, 65)}}};

/* full, row, column, single number, outer, in the middle, batched; on either side */
static const setting broadcasts[] = {
    {{S(2, 35), S(2, 35)}},  {{S(3, 35), S(3, 1)}},    {{S(3, 35), S(35)}},     {{S(3, 7), {0}}},
    {{S(3, 1), S(1, 7)}},    {{S(7), S(3, 7)}},        {{{0}, S(2, 2)}},        {{S(2, 3, 4), S(3, 1)}},
    {{S(17, 65), S(17, 65)}}, {{S(17, 65), S(17, 1)}}, {{S(17, 65), S(65)}},    {{S(65, 1), S(257)}},
    {{S(64, 17), {0}}},      {{S(5, 3, 17), S(5, 1, 17)}}, {{S(5, 3, 17), S(3, 17)}}, {{S(16, 32), S(32)}},
};

static const setting few_broadcasts[] = {
    {{S(2, 35), S(2, 35)}}, {{S(3, 1), S(7)}}, {{S(17, 65), S(17, 65)}}, {{S(65), S(17, 65)}}, {{S(17, 65), {0}}},
};

static const setting wheres[] = {
    {{S(3, 7), S(3, 7), S(3, 7)}},
    {{S(3, 1), S(3, 7), S(7)}},
    {{S(17, 65), S(65), S(17, 65)}},
    {{S(17, 1), S(17, 65), {0}}},
};

static int build_where(fcl_graph *graph, fcl_tensor **x, const setting *s, fcl_tensor **y)
{
    (void)graph, (void)s;
    y[0] = fcl_where(x[0], x[1], x[2]);
    return 1;
}

/* Only a derivative has it. */
static fcl_tensor *build_gelu_gate(fcl_tensor *a)
{
    fcl_tensor *slope, *y = fcl_gelu_tanh(a);
    fcl_vjp(y, fcl_expand(fcl_constant(fcl_tensor_graph(a), 1), fcl_tensor_shape(a)), 1, &a, &slope);
    return slope;
}

/* p: the axes */
static const setting sums[] = {
    {{S(7)}, {1}},          {{S(3, 5)}, {1}},       {{S(3, 5)}, {2}},          {{S(3, 5)}, {3}},
    {{S(2, 3, 4)}, {5}},    {{S(2, 3, 4)}, {2}},    {{S(4, 1, 3)}, {3}},       {{S(1, 5)}, {1}},
    {{S(4, 17)}, {1}},      {{S(2, 3, 20)}, {2}},   {{S(2, 37)}, {2}},
    {{S(7, 33)}, {2}},      {{S(33, 17)}, {1}},     {{S(64, 65)}, {1}},        {{S(65, 257)}, {2}},
    {{S(2, 65, 31)}, {2}},  {{S(3, 5, 7, 2)}, {10}}, {{S(1, 40000)}, {3}},     {{S(3000, 17)}, {1}},
    {{S(3000, 3)}, {1}},    {{S(3, 5001)}, {2}},    {{S(2, 3001, 65)}, {2}},
};

static int build_sum(fcl_graph *graph, fcl_tensor **x, const setting *s, fcl_tensor **y)
{
    (void)graph;
    y[0] = fcl_sum_axes(x[0], (unsigned)s->p[0]);
    return 1;
}

/* p: the axes. No two elements are the same: the largest would have no derivative. */
static const setting maxima[] = {
    {{S(7)}, {1}},        {{S(3, 5)}, {1}},     {{S(3, 5)}, {2}},     {{S(3, 5)}, {3}},      {{S(2, 3, 4)}, {5}}, {{S(2, 3, 4)}, {2}},
    {{S(17, 65)}, {2}},   {{S(65, 17)}, {1}},   {{S(5, 3000)}, {2}},  {{S(2, 65, 31)}, {2}},
};
static const setting arg_maxima[] = {{{S(7)}, {0}}, {{S(3, 5)}, {0}}, {{S(3, 5)}, {1}}, {{S(2, 3, 4)}, {1}}, {{S(17, 300)}, {1}}, {{S(65, 17)}, {0}}};

static int build_max_axes(fcl_graph *graph, fcl_tensor **x, const setting *s, fcl_tensor **y)
{
    (void)graph;
    y[0] = fcl_max_axes(x[0], (unsigned)s->p[0]);
    return 1;
}

/* Of single elements too: of whole numbers many are the largest. */
static int build_arg_max(fcl_graph *graph, fcl_tensor **x, const setting *s, fcl_tensor **y)
{
    (void)graph;
    y[0] = fcl_arg_max(x[0], s->p[0]);
    y[1] = fcl_arg_max(fcl_greater(x[0], fcl_constant(graph, 0)), s->p[0]);
    return 2;
}

static void prepare_max_axes(trial *t, fcl_tensor **x, const setting *s)
{
    int64_t size = fcl_shape_size(s->shape[0]), first = trial_int(0, (int)size - 1);
    for (int64_t i = 0; i < size; i++) /* in steps of a prime that does not divide the size */
        trial_leaf_of(t, x[0])->value[i] = (double)((first + 7919 * i) % size) / 32 - (double)size / 64;
}

/* p: transpose a, transpose b. The tiny ones share the text of their kernels: products compile slowly. */
static const setting products[] = {
    {{S(3, 3), S(3, 3)}, {0, 0}},         {{S(3, 3), S(3, 3)}, {1, 0}},        {{S(3, 3), S(3, 3)}, {0, 1}},
    {{S(3, 3), S(3, 3)}, {1, 1}},         {{S(2, 3, 3), S(2, 3, 3)}, {0, 0}},  {{S(2, 3, 80), S(80, 2)}, {0, 0}},
    {{S(12, 13), S(13, 5)}, {0, 0}},      {{S(1, 100), S(100, 1)}, {0, 0}},    {{S(65, 7), S(33, 65)}, {1, 1}},
    {{S(17, 65), S(65, 33)}, {0, 0}},     {{S(65, 17), S(65, 33)}, {1, 0}},    {{S(64, 257), S(64, 257)}, {0, 1}},
    {{S(3, 17, 7), S(3, 7, 65)}, {0, 0}}, {{S(3, 7, 17), S(3, 65, 7)}, {1, 1}}, {{S(5, 17, 7), S(7, 3)}, {0, 0}},
    {{S(5, 17, 7), S(3, 7)}, {0, 1}},     {{S(17, 7), S(5, 7, 3)}, {0, 0}},    {{S(5, 7, 17), S(7, 3)}, {1, 0}},
    {{S(2, 3, 9, 7), S(2, 3, 7, 5)}, {0, 0}}, {{S(128, 64), S(64, 64)}, {0, 1}}, {{S(1, 257), S(257, 65)}, {0, 0}},
};

static int build_matmul(fcl_graph *graph, fcl_tensor **x, const setting *s, fcl_tensor **y)
{
    (void)graph;
    y[0] = fcl_matmul(x[0], x[1], s->p[0], s->p[1]);
    return 1;
}

/* p: stride, padding, upsampling; weights with leading dimensions are a batch */
static const setting convolutions[] = {
    {{S(1, 3, 3, 1), S(3, 3, 1, 2)}, {1, 1, 0}},    {{S(1, 5, 3, 2), S(3, 3, 2, 1)}, {2, 1, 0}},
    {{S(1, 2, 2, 2), S(3, 3, 2, 3)}, {1, 1, 1}},    {{S(1, 3, 2, 3), S(2, 1, 1, 3, 2)}, {1, 0, 0}},
    {{S(2, 1, 3, 3, 2), S(2, 3, 3, 2, 1)}, {2, 2, 0}}, {{S(2, 2, 3, 1, 3), S(1, 1, 3, 3)}, {2, 0, 1}},
    {{S(2, 5, 7, 3), S(5, 5, 3, 2)}, {1, 4, 0}},    {{S(2, 7, 5, 2), S(5, 5, 2, 17)}, {2, 0, 0}},
    {{S(1, 3, 5, 17), S(3, 3, 17, 3)}, {2, 1, 1}},
    {{S(3, 7, 5, 17), S(3, 3, 17, 32)}, {1, 1, 0}}, {{S(2, 28, 28, 3), S(5, 5, 3, 33)}, {2, 2, 0}},
    {{S(2, 7, 9, 32), S(3, 3, 32, 17)}, {1, 2, 1}}, {{S(2, 3, 7, 5, 6), S(2, 3, 3, 6, 20)}, {2, 1, 0}},
};

static int build_conv2d(fcl_graph *graph, fcl_tensor **x, const setting *s, fcl_tensor **y)
{
    (void)graph;
    y[0] = fcl_conv2d(x[0], x[1], &(fcl_conv2d_options){.stride = s->p[0], .padding = s->p[1], .upsample = s->p[2]});
    return 1;
}

/* The gradient of the convolution in x (p[3] 0) or in the weights; shape[2] is the other one's, to which it belongs. */
static int build_conv2d_gradient(fcl_graph *graph, fcl_tensor **x, const setting *s, fcl_tensor **y)
{
    fcl_tensor *dx;
    fcl_tensor *of = fcl_input(graph, "of", FCL_F32, s->shape[2]);
    fcl_tensor *c = fcl_conv2d(s->p[3] ? x[0] : of, s->p[3] ? of : x[1],
                               &(fcl_conv2d_options){.stride = s->p[0], .padding = s->p[1], .upsample = s->p[2]});
    fcl_vjp(c, x[s->p[3]], 1, &of, &dx);
    y[0] = dx;
    return 1;
}

/* shape: y's gradient, weights, x */
static const setting input_gradients[] = {
    {{S(1, 3, 3, 2), S(3, 3, 1, 2), S(1, 3, 3, 1)}, {1, 1, 0, 0}},
    {{S(1, 3, 2, 1), S(3, 3, 2, 1), S(1, 5, 3, 2)}, {2, 1, 0, 0}},
    {{S(1, 4, 4, 2), S(3, 3, 1, 2), S(1, 2, 2, 1)}, {1, 1, 1, 0}},
    {{S(2, 1, 2, 3, 1), S(2, 1, 1, 3, 1), S(2, 1, 4, 5, 3)}, {2, 0, 0, 0}},
    {{S(2, 5, 7, 2), S(5, 5, 3, 2), S(2, 5, 7, 3)}, {1, 2, 0, 0}},
    {{S(3, 7, 5, 32), S(3, 3, 17, 32), S(3, 7, 5, 17)}, {1, 1, 0, 0}},
    {{S(2, 14, 14, 33), S(5, 5, 3, 33), S(2, 28, 28, 3)}, {2, 2, 0, 0}},
    {{S(2, 14, 18, 17), S(3, 3, 32, 17), S(2, 7, 9, 32)}, {1, 1, 1, 0}},
};

/* shape: x, y's gradient, weights */
static const setting weight_gradients[] = {
    {{S(1, 3, 3, 1), S(1, 3, 3, 2), S(3, 3, 1, 2)}, {1, 1, 0, 1}},
    {{S(1, 5, 3, 2), S(1, 3, 2, 1), S(3, 3, 2, 1)}, {2, 1, 0, 1}},
    {{S(1, 2, 2, 2), S(1, 4, 4, 1), S(3, 3, 2, 1)}, {1, 1, 1, 1}},
    {{S(2, 1, 4, 5, 3), S(2, 1, 2, 3, 1), S(2, 1, 1, 3, 1)}, {2, 0, 0, 1}},
    {{S(2, 5, 7, 9), S(3, 2, 5, 7, 2), S(3, 3, 3, 9, 2)}, {1, 1, 0, 1}},
    {{S(2, 5, 7, 3), S(2, 7, 9, 2), S(5, 5, 3, 2)}, {1, 3, 0, 1}},
    {{S(3, 7, 5, 17), S(3, 7, 5, 32), S(3, 3, 17, 32)}, {1, 1, 0, 1}},
    {{S(2, 28, 28, 3), S(2, 14, 14, 33), S(5, 5, 3, 33)}, {2, 2, 0, 1}},
    {{S(2, 7, 9, 32), S(2, 14, 18, 17), S(3, 3, 32, 17)}, {1, 1, 1, 1}},
};

/* p: heads, whether there is a mask, a bias. q, k, v, mask and bias of a batch, of which all shares a bias of one. */
#define ATTENTION(b, bias, heads, queries, keys, width)                                                                \
    S(b, queries, (heads) * (width)), S(b, keys, (heads) * (width)), S(b, keys, (heads) * (width)), S(b, keys),        \
        S(bias, heads, queries, keys)
#define QUERIES(b, heads, queries, keys, width) S(b, queries, (heads) * (width))
#define OF_BIAS(bias, heads, queries, keys, width) S(bias, heads, queries, keys)
#define KEYS(b, heads, queries, keys, width) S(b, keys, (heads) * (width))
static const setting attentions[] = {
    {{ATTENTION(1, 1, 1, 2, 3, 2)}, {1, 0, 0}},  {{ATTENTION(2, 1, 2, 2, 3, 1)}, {2, 1, 1}},  {{ATTENTION(2, 2, 1, 1, 2, 3)}, {1, 0, 1}},
    {{ATTENTION(1, 1, 2, 3, 1, 2)}, {2, 1, 0}},  {{ATTENTION(3, 1, 2, 5, 7, 3)}, {2, 1, 1}},  {{ATTENTION(2, 2, 3, 9, 17, 5)}, {3, 1, 1}},
    {{ATTENTION(2, 1, 2, 17, 9, 8)}, {2, 0, 0}}, {{ATTENTION(2, 1, 3, 49, 49, 32)}, {3, 0, 1}},
};

static fcl_tensor *attend(fcl_tensor **x, const setting *s)
{
    return fcl_attention(x[0], x[1], x[2], s->p[0], s->p[1] ? x[3] : NULL, s->p[2] ? x[4] : NULL);
}

static int build_attention(fcl_graph *graph, fcl_tensor **x, const setting *s, fcl_tensor **y)
{
    (void)graph;
    y[0] = attend(x, s);
    return 1;
}

/* x[5] belongs to the result. */
static int build_attention_grad(fcl_graph *graph, fcl_tensor **x, const setting *s, fcl_tensor **y)
{
    (void)graph;
    fcl_vjp(attend(x, s), x[5], 1, x, y);
    return 1;
}

static int build_attention_grad_kv(fcl_graph *graph, fcl_tensor **x, const setting *s, fcl_tensor **y)
{
    fcl_tensor *in[] = {x[1], x[2]};
    (void)graph;
    fcl_vjp(attend(x, s), x[5], 2, in, y);
    return 2;
}

static int build_attention_grad_bias(fcl_graph *graph, fcl_tensor **x, const setting *s, fcl_tensor **y)
{
    (void)graph;
    fcl_vjp(attend(x, s), x[5], 1, &x[4], y);
    return 1;
}

/* x[5] to x[8] are tangents of q, k, v and bias: p[3] says of which, a bit each. */
static int build_attention_tangent(fcl_graph *graph, fcl_tensor **x, const setting *s, fcl_tensor **y)
{
    static const int of[] = {0, 1, 2, 4};
    fcl_tensor *in[4], *along[4], *o = attend(x, s);
    int count = 0;
    (void)graph;
    for (int i = 0; i < 4; i++)
        if (s->p[3] >> i & 1) {
            in[count] = x[of[i]];
            along[count++] = x[5 + i];
        }
    fcl_jvp(1, &o, y, count, in, along);
    return 1;
}

#define OF_RESULT(b, bias, ...) ATTENTION(b, bias, __VA_ARGS__), QUERIES(b, __VA_ARGS__)
/* One size: derivatives of these are products, which compile slowly. */
static const setting attention_gradients[] = {
    {{OF_RESULT(2, 1, 2, 2, 3, 1)}, {2, 1, 1}},
    {{OF_RESULT(2, 2, 2, 2, 3, 1)}, {2, 0, 1}},
};

#define ALONG(b, bias, ...)                                                                                            \
    ATTENTION(b, bias, __VA_ARGS__), QUERIES(b, __VA_ARGS__), KEYS(b, __VA_ARGS__), KEYS(b, __VA_ARGS__), OF_BIAS(bias, __VA_ARGS__)
static const setting attention_tangents[] = {
    {{ALONG(2, 1, 2, 2, 3, 1)}, {2, 1, 1, 15}},
    {{ALONG(2, 2, 2, 2, 3, 1)}, {2, 0, 1, 10}},
};

/* shape[1] is the result's; it is no input */
static const setting reshapes[] = {
    {{S(2, 3), S(6)}}, {{S(1), {0}}}, {{S(5, 7, 3), S(7, 15)}}, {{S(65, 17), S(17, 65)}}};
static const setting expands[] = {{{S(3, 1), S(3, 5)}},        {{{0}, S(2, 3)}},          {{S(5), S(3, 5)}},
                                  {{S(2, 1, 3), S(2, 4, 3)}},  {{S(65, 1), S(65, 257)}},  {{S(17), S(64, 17)}},
                                  {{S(7, 1, 1), S(7, 65, 3)}}, {{S(1, 17, 1), S(3, 17, 9)}}};

static int build_reshape(fcl_graph *graph, fcl_tensor **x, const setting *s, fcl_tensor **y)
{
    (void)graph;
    y[0] = fcl_reshape(fcl_square(x[0]), s->shape[1]);
    return 1;
}

static int build_expand(fcl_graph *graph, fcl_tensor **x, const setting *s, fcl_tensor **y)
{
    (void)graph;
    y[0] = fcl_expand(x[0], s->shape[1]);
    return 1;
}

/* p: the order */
static const setting permutes[] = {
    {{S(3, 5)}, {1, 0}},
    {{S(2, 3, 4)}, {2, 0, 1}},
    {{S(2, 3, 4)}, {0, 2, 1}},
    {{S(2, 1, 3, 2)}, {2, 3, 1, 0}},
    {{S(65, 257)}, {1, 0}},
    {{S(5, 17, 7, 64)}, {0, 2, 1, 3}},
    {{S(2, 3, 4, 2, 3, 2)}, {5, 3, 1, 4, 2, 0}},
    {{S(3, 1030)}, {1, 0}},
    {{S(2, 2, 2, 2, 2, 2, 2)}, {6, 4, 2, 0, 5, 3, 1}},
    {{S(2, 3, 1, 2, 3, 2, 2, 2)}, {7, 5, 3, 1, 6, 4, 2, 0}},
};

static int build_permute(fcl_graph *graph, fcl_tensor **x, const setting *s, fcl_tensor **y)
{
    (void)graph;
    y[0] = fcl_permute(x[0], s->p);
    return 1;
}

/* p: axis, begin, end; pad: axis, before, after */
static const setting slices[] = {
    {{S(7)}, {0, 2, 5}},         {{S(5, 3)}, {1, 1, 2}},        {{S(5, 3)}, {0, 4, 5}},    {{S(2, 5, 3)}, {1, 1, 4}},
    {{S(65, 257)}, {1, 1, 200}}, {{S(65, 17)}, {0, 30, 64}},    {{S(257, 3)}, {1, 2, 3}},
};
static const setting pads[] = {
    {{S(7)}, {0, 2, 3}},          {{S(5, 3)}, {1, 1, 0}},       {{S(5, 3)}, {0, 0, 2}},    {{S(2, 4, 3)}, {1, 2, 1}},
    {{S(65, 17)}, {1, 3, 64}},    {{S(65, 257)}, {0, 7, 1}},
};

static int build_slice(fcl_graph *graph, fcl_tensor **x, const setting *s, fcl_tensor **y)
{
    (void)graph;
    y[0] = fcl_slice(x[0], s->p[0], s->p[1], s->p[2]);
    return 1;
}

static int build_pad(fcl_graph *graph, fcl_tensor **x, const setting *s, fcl_tensor **y)
{
    (void)graph;
    y[0] = fcl_pad(x[0], s->p[0], s->p[1], s->p[2]);
    return 1;
}

/* p: axis */
static const setting concats[] = {
    {{S(2), S(3), S(1)}, {0}},
    {{S(2, 3), S(2, 1), S(2, 2)}, {1}},
    {{S(2, 3), S(1, 3), S(4, 3)}, {0}},
    {{S(2, 1, 3), S(2, 2, 3), S(2, 1, 3)}, {1}},
    {{S(65, 64), S(65, 17), S(65, 1)}, {1}},
    {{S(3, 257), S(7, 257), S(1, 257)}, {0}},
};

static int build_concat(fcl_graph *graph, fcl_tensor **x, const setting *s, fcl_tensor **y)
{
    (void)graph;
    y[0] = fcl_concat(3, x, s->p[0]);
    return 1;
}

/* gather: shape[0] the table, shape[1] the index; p[0] the table's rows, p[1] along the last axis. scatter: shape[0]
 * the rows. */
static const setting gathers[] = {
    {{S(5, 3), S(4)}, {5}},       {{S(4), S(7)}, {4}},    {{S(1, 2), S(3)}, {1}},
    {{S(10, 65), S(257)}, {10}},  {{S(257, 17), S(64)}, {257}}, {{S(17, 3, 5), S(9)}, {17}},
    {{S(5), S(4)}, {5, 1}},       {{S(3, 5), S(3, 4)}, {5, 1}}, {{S(2, 3, 4), S(6)}, {4, 1}}, {{S(2, 3, 2), S(3, 5)}, {2, 1}},
    {{S(65, 37), S(65, 19)}, {37, 1}}, {{S(3, 5, 7, 2), S(5, 7, 3)}, {2, 1}}, {{S(4, 1000), S(4, 2000)}, {1000, 1}},
};
static const setting scatters[] = {
    {{S(4, 3), S(4)}, {5}},      {{S(7), S(7)}, {2}},      {{S(3, 2), S(3)}, {1}},
    {{S(257, 65), S(257)}, {10}}, {{S(64, 17), S(64)}, {257}}, {{S(9, 3, 5), S(9)}, {17}}, {{S(257, 2), S(257)}, {65}},
    {{S(4), S(4)}, {3, 1}},      {{S(3, 4), S(3, 4)}, {5, 1}}, {{S(2, 3, 5), S(3, 5)}, {4, 1}}, {{S(2, 3, 6), S(6)}, {3, 1}},
    {{S(65, 37), S(65, 37)}, {19, 1}}, {{S(4, 2000), S(4, 2000)}, {1000, 1}},
};

static int build_gather(fcl_graph *graph, fcl_tensor **x, const setting *s, fcl_tensor **y)
{
    (void)graph;
    if (s->p[1]) {
        for (int i = 0; i < 3; i++) /* of numbers, whole numbers, bytes */
            y[i] = fcl_gather(x[i], x[1]);
        return 3;
    }
    fcl_tensor *bytes = x[2], *index = fcl_gather_rows(x[1], x[1], 1, 0);
    y[0] = fcl_gather_rows(x[0], x[1], 0.75f, 0.5f);
    y[1] = fcl_gather_rows(bytes, x[1], 2 / 255.0f, -1);
    y[2] = index;
    return 3;
}

static int build_scatter(fcl_graph *graph, fcl_tensor **x, const setting *s, fcl_tensor **y)
{
    (void)graph;
    y[0] = s->p[1] ? fcl_scatter(x[0], x[1], s->p[0]) : fcl_scatter_rows(x[0], x[1], s->p[0]);
    return 1;
}

/* p: count */
static const setting hots[] = {{{S(4)}, {3}}, {{S(1)}, {1}}, {{S(17)}, {10}}, {{S(257)}, {33}}};

static int build_one_hot(fcl_graph *graph, fcl_tensor **x, const setting *s, fcl_tensor **y)
{
    (void)graph;
    y[0] = fcl_scale(fcl_one_hot(x[0], s->p[0]), 0.5f);
    return 1;
}

/* shape[0] is the result's; p: the stream, count of batch_index */
static const setting draws[] = {{{S(7, 3)}, {1}}, {{S(1)}, {2}}, {{{0}}, {3}}, {{S(17, 65)}, {4}}, {{S(257, 2)}, {5}}};
static const setting batches[] = {{{S(7)}, {1, 3}}, {{S(5)}, {2, 1}}, {{S(64)}, {3, 100}}, {{S(257)}, {4, 60000}}};

static int build_normal(fcl_graph *graph, fcl_tensor **x, const setting *s, fcl_tensor **y)
{
    (void)x;
    y[0] = fcl_normal(graph, s->shape[0], (uint32_t)s->p[0]);
    return 1;
}

static int build_uniform(fcl_graph *graph, fcl_tensor **x, const setting *s, fcl_tensor **y)
{
    (void)x;
    y[0] = fcl_uniform(graph, s->shape[0], (uint32_t)s->p[0]);
    return 1;
}

static int build_batch_index(fcl_graph *graph, fcl_tensor **x, const setting *s, fcl_tensor **y)
{
    (void)x;
    int64_t batch = s->shape[0].dim[0];
    y[0] = fcl_batch_index(graph, s->p[1], batch, 2 * batch, (uint32_t)s->p[0]);
    return 1;
}

/* p: the labels' limit, which stands in the place of the dropped ones; percent of these; the stream */
static const setting drops[] = {{{S(7)}, {3, 50, 9}}, {{S(1)}, {1, 99, 2}}, {{S(257)}, {10, 10, 18}}, {{S(64)}, {5, 0, 1}}};

static int build_drop_labels(fcl_graph *graph, fcl_tensor **x, const setting *s, fcl_tensor **y)
{
    (void)graph;
    y[0] = fcl_drop_labels(x[0], s->p[0], (float)s->p[1] / 100, (uint32_t)s->p[2]);
    return 1;
}

static int build_row_number(fcl_graph *graph, fcl_tensor **x, const setting *s, fcl_tensor **y)
{
    (void)x;
    y[0] = fcl_row_number(graph, s->shape[0].dim[0], s->shape[0].dim[0] + s->p[1]);
    return 1;
}

static const setting curves[] = {{{S(2, 1), S(3, 1)}}, {{S(5, 3), S(7, 1)}}, {{S(33, 4), S(257, 1)}}};
#define ROWS(b, d) S(b, d), S(b, d), S(b, 1), S(b, d)
static const setting losses[] = {{{ROWS(3, 2)}}, {{ROWS(5, 1)}}, {{ROWS(17, 65)}}, {{ROWS(257, 2)}}, {{ROWS(3, 784)}}};

/* Its adjoint is the row cfm_loss_grad. */
static int build_cfm_loss_grad(fcl_graph *graph, fcl_tensor **x, const setting *s, fcl_tensor **y)
{
    (void)s;
    y[0] = fcl_node(graph, &fcl_op_cfm_loss_grad, 3, x, NULL);
    return 1;
}

#define SOLVER(b, d) S(b, d), S(b, d), S(b, d), S(b, d), S(b, d), S(b, 8)
static const setting solvers[] = {{{SOLVER(7, 2)}, {3}}, {{SOLVER(7, 8)}, {5}}, {{SOLVER(17, 65)}, {5}}, {{SOLVER(64, 17)}, {2}}};

static int build_ode_advance(fcl_graph *graph, fcl_tensor **x, const setting *s, fcl_tensor **y)
{
    (void)graph;
    fcl_ode_control control = {.rtol = 0.125f, .atol = 0.0625f, .order = s->p[0]};
    fcl_ode_next next = fcl_ode_advance(&control, x[0], x[1], x[2], x[3], x[4], x[5]);
    y[0] = next.x, y[1] = next.k_first, y[2] = next.state;
    return 3;
}

/* p: iterations, relax in quarters, mass in quarters, tolerance in hundredths */
static const setting plans[] = {
    {{S(3, 5)}, {2, 4, 0, 0}},   {{S(17, 17)}, {4, 4, 0, 0}},   {{S(33, 65)}, {30, 4, 0, 5}}, {{S(65, 33)}, {3, 3, 0, 0}},
    {{S(17, 35)}, {60, 2, 0, 1}}, {{S(35, 17)}, {5, 4, 3, 0}}, {{S(65, 65)}, {40, 4, 2, 0}}, {{S(1, 1)}, {1, 4, 0, 0}},
    {{S(5, 300)}, {7, 3, 0, 0}}, {{S(270, 40)}, {50, 4, 2, 1}}, {{S(40, 260)}, {50, 4, 0, 1}},
};

static int build_sinkhorn(fcl_graph *graph, fcl_tensor **x, const setting *s, fcl_tensor **y)
{
    fcl_sinkhorn_control control = {
        .iterations = s->p[0], .mass = 0.25f * (float)s->p[2], .tolerance = 0.01f * (float)s->p[3]};
    fcl_sinkhorn_plan plan = fcl_sinkhorn(x[0], fcl_constant(graph, 0.25f * (float)s->p[1]), &control);
    y[0] = plan.f, y[1] = plan.g, y[2] = plan.sum, y[3] = plan.report;
    return 4;
}

/* p: each row. Rows have one column that costs nothing and others that nobody draws. */
#define PLAN(m, n) S(m, n), S(m), S(n), S(m), S(m, 2)
static const setting plan_draws[] = {{{PLAN(3, 5)}, {1}}, {{PLAN(65, 37)}, {1}}, {{PLAN(17, 64)}, {0}}, {{PLAN(5, 600)}, {1}}, {{PLAN(300, 20)}, {0}}};

static int build_transport_draw(fcl_graph *graph, fcl_tensor **x, const setting *s, fcl_tensor **y)
{
    (void)graph;
    fcl_sinkhorn_plan plan = {.cost = x[0], .f = x[1], .g = x[2], .sum = x[3]};
    fcl_transport_pairs pairs = fcl_transport_draw(&plan, x[4], s->p[0]);
    y[0] = pairs.row, y[1] = pairs.column;
    return 2;
}

static void prepare_transport_draw(trial *t, fcl_tensor **x, const setting *s)
{
    int64_t rows = s->shape[0].dim[0], columns = s->shape[0].dim[1];
    for (int64_t i = 0; i < rows; i++) {
        int64_t own = trial_int(0, (int)columns - 1);
        for (int64_t j = 0; j < columns; j++)
            trial_leaf_of(t, x[0])->value[i * columns + j] = j == own ? 0 : 64;
        trial_leaf_of(t, x[1])->value[i] = i % 2 ? -64 : 0; /* every second row has no mass */
        trial_leaf_of(t, x[3])->value[i] = (double)(float)-log((double)columns);
        trial_leaf_of(t, x[4])->value[2 * i] = 0.0625 * trial_int(1, 15);
        trial_leaf_of(t, x[4])->value[2 * i + 1] = 0.0625 * trial_int(1, 15);
    }
}

/* Errors of a chosen norm for each sample; states that go on, reject, reach the end, are done or get stuck. */
static void prepare_ode_advance(trial *t, fcl_tensor **x, const setting *s)
{
    static const struct {
        double norm, state[8];
    } kinds[] = {
        {0.25, {0.25, 0.125, 1, 1, 3, 2, 1}},      {3, {0.25, 0.125, 1, 0.5, 3, 2, 1}},
        {0.5, {0.875, 0.125, 1, 0.25, 9, 0, 1}},   {0.75, {0.5, -0.5, 0, 0.5, 9, 0, 1}},
        {NAN, {0.5, -0.25, 0, 0.5, 9, 0, 1}},      {0.5, {1, 0, 1, 0.25, 9, 0, 0}},
        {100, {0.5, 0x1p-23, 1, 0.25, 9, 0, 1}},   {0, {0, 0.0625, 1, 1, 0, 0, 1}},
        {0.5, {0.5, 0, 1, 0.25, 9, 0, -1}},        {0.001, {0.125, 0.75, 1, 1, 0, 0, 1}},
        {INFINITY, {0.5, 0.25, 1, 1, 0, 0, 1}},    {0.25, {0.5, 0, 1, 1, 0, 0, 1}},
    };
    double *value[6];
    for (int i = 0; i < 6; i++)
        value[i] = trial_leaf_of(t, x[i])->value;
    int64_t d = s->shape[0].dim[1];
    for (int64_t row = 0; row < s->shape[0].dim[0]; row++) {
        int kind = trial_int(0, (int)(sizeof kinds / sizeof *kinds) - 1);
        for (int64_t i = row * d; i < row * d + d; i++) {
            double size = fmax(fabs(value[0][i]), fabs(value[1][i]));
            value[2][i] = (double)(float)(kinds[kind].norm * (0.0625 + 0.125 * size) * (trial_int(0, 1) ? 1 : -1));
        }
        memcpy(value[5] + row * 8, kinds[kind].state, sizeof kinds[kind].state);
    }
}

static const row_case cases[] = {
    BINARY(add, SMOOTH, SMOOTH, broadcasts),
    BINARY(sub, SMOOTH, SMOOTH, few_broadcasts),
    BINARY(mul, SMOOTH, SMOOTH, broadcasts),
    BINARY(div, SMOOTH, AWAY, broadcasts),
    BINARY(pow, POSITIVE, SMOOTH, few_broadcasts),
    BINARY(max, SMOOTH, SMOOTH, few_broadcasts),
    BINARY(min, SMOOTH, SMOOTH, few_broadcasts),
    BINARY(greater, SMOOTH, SMOOTH, few_broadcasts),
    {"where", 3, {MASK, SMOOTH, SMOOTH}, .build = build_where, SETTINGS(wheres)},
    UNARY(neg, SMOOTH),
    UNARY(abs, SMOOTH),
    UNARY(square, SMOOTH),
    UNARY(sqrt, POSITIVE),
    UNARY(reciprocal, AWAY),
    UNARY(exp, SMOOTH),
    UNARY(expm1, SMOOTH),
    UNARY(log, POSITIVE),
    UNARY(log1p, POSITIVE),
    UNARY(sin, SMOOTH),
    UNARY(cos, SMOOTH),
    UNARY(tanh, SMOOTH),
    UNARY(erf, SMOOTH),
    UNARY(sigmoid, SMOOTH),
    UNARY(relu, SMOOTH),
    UNARY(silu, SMOOTH),
    UNARY(gelu, SMOOTH),
    UNARY(selu, SMOOTH),
    UNARY(gelu_tanh, SMOOTH),
    {"gelu_gate", 1, {SMOOTH}, .unary = build_gelu_gate, SETTINGS(any_shape)},
    UNARY(softplus, SMOOTH),
    UNARY(detach, SMOOTH),
    {"sum", 1, {SMOOTH}, .build = build_sum, SETTINGS(sums)},
    {"max_axes", 1, {SMOOTH}, .build = build_max_axes, .prepare = prepare_max_axes, SETTINGS(maxima)},
    {"arg_max", 1, {SMOOTH}, .build = build_arg_max, SETTINGS(arg_maxima)},
    {"matmul", 2, {SMOOTH, SMOOTH}, .build = build_matmul, SETTINGS(products)},
    {"conv2d", 2, {SMOOTH, SMOOTH}, .build = build_conv2d, SETTINGS(convolutions)},
    {"conv2d_input", 2, {SMOOTH, SMOOTH}, .build = build_conv2d_gradient, SETTINGS(input_gradients)},
    {"conv2d_weight", 2, {SMOOTH, SMOOTH}, .build = build_conv2d_gradient, SETTINGS(weight_gradients)},
    {"attention", 5, {SMOOTH, SMOOTH, SMOOTH, MASK, SMOOTH}, .build = build_attention, SETTINGS(attentions)},
    {"attention_grad", 6, {SMOOTH, SMOOTH, SMOOTH, MASK, SMOOTH, SMOOTH}, .build = build_attention_grad,
     SETTINGS(attention_gradients)},
    {"attention_grad_kv", 6, {SMOOTH, SMOOTH, SMOOTH, MASK, SMOOTH, SMOOTH}, .build = build_attention_grad_kv,
     .settings = attention_gradients, .count = 1},
    {"attention_grad_bias", 6, {SMOOTH, SMOOTH, SMOOTH, MASK, SMOOTH, SMOOTH}, .build = build_attention_grad_bias,
     .settings = attention_gradients + 1, .count = 1},
    {"attention_tangent", 9, {SMOOTH, SMOOTH, SMOOTH, MASK, SMOOTH, SMOOTH, SMOOTH, SMOOTH, SMOOTH},
     .build = build_attention_tangent, SETTINGS(attention_tangents)},
    {"reshape", 1, {SMOOTH}, .build = build_reshape, SETTINGS(reshapes)},
    {"expand", 1, {SMOOTH}, .build = build_expand, SETTINGS(expands)},
    {"permute", 1, {SMOOTH}, .build = build_permute, SETTINGS(permutes)},
    {"slice", 1, {SMOOTH}, .build = build_slice, SETTINGS(slices)},
    {"pad", 1, {SMOOTH}, .build = build_pad, SETTINGS(pads)},
    {"concat", 3, {SMOOTH, SMOOTH, SMOOTH}, .build = build_concat, SETTINGS(concats)},
    {"gather_rows", 3, {SMOOTH, INDEX, BYTES}, .build = build_gather, SETTINGS(gathers)},
    {"scatter_rows", 2, {SMOOTH, INDEX}, .build = build_scatter, SETTINGS(scatters)},
    {"one_hot", 1, {INDEX}, .build = build_one_hot, SETTINGS(hots)},
    {"normal", 0, .build = build_normal, SETTINGS(draws)},
    {"uniform", 0, .build = build_uniform, SETTINGS(draws)},
    {"batch_index", 0, .build = build_batch_index, SETTINGS(batches)},
    {"row_number", 0, .build = build_row_number, SETTINGS(batches)},
    {"drop_labels", 1, {INDEX}, .build = build_drop_labels, SETTINGS(drops)},
    {"interpolate", 2, {SMOOTH, TIME}, .binary = fcl_interpolate, SETTINGS(curves)},
    {"cfm_loss", 2, {SMOOTH, SMOOTH}, .binary = fcl_cfm_loss, SETTINGS(losses)},
    {"cfm_loss_grad", 3, {SMOOTH, SMOOTH, SMOOTH}, .build = build_cfm_loss_grad, SETTINGS(losses)},
    {"sinkhorn", 1, {SMOOTH}, .build = build_sinkhorn, SETTINGS(plans)},
    {"transport_draw", 5, {PREPARED, PREPARED, PREPARED, PREPARED, PREPARED}, .build = build_transport_draw,
     .prepare = prepare_transport_draw, SETTINGS(plan_draws)},
    {"ode_advance", 6, {SMOOTH, SMOOTH, PREPARED, SMOOTH, SMOOTH, PREPARED}, .build = build_ode_advance,
     .prepare = prepare_ode_advance, SETTINGS(solvers)},
};

/* Not operations: they hold what the others read, so every case has them. */
static const char *const held_by_all[] = {"input", "leaf", "constant", "scalar", "part"};

/* clang-format on */

enum { TANGENTS = 3, SWEEPS = 2 };
static const int sweeps[SWEEPS] = {1, TANGENTS}; /* tangents in one */

/* --- one case, built into a graph --- */

typedef struct built {
    const row_case *row;
    const setting *s;
    trial_part part; /* its nodes */
    int inputs, outputs, moving; /* moving: inputs that have a derivative */
    fcl_tensor *x[MAX_INPUTS], *y[MAX_OUTPUTS];
    fcl_tensor *mx[MAX_INPUTS], *v[MAX_INPUTS], *u; /* the moving inputs, their direction; y's seed */
    fcl_tensor *dy, *dx[MAX_INPUTS], *dot, *ddx[MAX_INPUTS]; /* J v, J' u, <J' u, v>, its gradient */
    fcl_tensor *both[2 * MAX_INPUTS], *way[2 * MAX_INPUTS]; /* mx and v, and where they move */
    fcl_tensor *forward, *gradient[2 * MAX_INPUTS];         /* <u, J v>, its gradient in both */
    int sweeping; /* so many of mx have tangents in a sweep; 0: there is no rank left for more dimensions */
    fcl_tensor *together[SWEEPS], *one[TANGENTS][MAX_INPUTS], *alone[TANGENTS]; /* J of a sweep; a tangent of it, J of that */
} built;

static fcl_shape input_shape(const row_case *row, const setting *s, int i)
{
    return row->domain[i] == BYTES ? s->shape[0] : s->shape[i];
}

static void build_outputs(trial *t, built *b)
{
    const row_case *row = b->row;
    b->inputs = row->inputs;
    for (int i = 0; i < b->inputs; i++)
        b->x[i] = trial_input(t, input_shape(row, b->s, i), row->domain[i], b->s->p[0]);
    b->outputs = 1;
    if (row->unary)
        b->y[0] = row->unary(b->x[0]);
    else if (row->binary)
        b->y[0] = row->binary(b->x[0], b->x[1]);
    else
        b->outputs = row->build(t->graph, b->x, b->s, b->y);
    for (int i = 0; i < b->outputs; i++)
        fcl_output(b->y[i]);
}

/* In large cases the reference would take long, and they are there for the device's kernels. */
static bool is_modest(const built *b)
{
    enum { MODEST = 5000 };
    int64_t size = fcl_shape_size(b->y[0]->shape);
    for (int i = 0; i < b->moving; i++)
        size += fcl_shape_size(b->mx[i]->shape);
    return size <= MODEST;
}

static bool has_rank_left(const built *b)
{
    for (int i = 0; i < b->moving; i++)
        if (b->mx[i]->shape.rank == FCL_MAX_RANK)
            return false;
    return b->moving > 0 && b->y[0]->shape.rank < FCL_MAX_RANK;
}

/* Directions, (T, its shape), of each moving input or, in every other case, of the first alone. On the device only for
 * a few cases: each has texts of its own. */
static void build_sweeps(trial *t, built *b)
{
    fcl_tensor *all[MAX_INPUTS], *some[MAX_INPUTS];
    b->sweeping = (b->s - b->row->settings) % 2 ? 1 : b->moving;
    for (int i = 0; i < b->sweeping; i++) {
        fcl_shape shape = fcl_shape_joined(FCL_SHAPE(TANGENTS), b->mx[i]->shape);
        all[i] = trial_input(t, shape, SMOOTH, 0);
    }
    for (int n = 0; n < SWEEPS; n++) {
        for (int i = 0; i < b->sweeping; i++)
            some[i] = fcl_slice(all[i], 0, 0, sweeps[n]);
        fcl_jvp(1, b->y, &b->together[n], b->sweeping, b->mx, some);
    }
    for (int k = 0; k < TANGENTS; k++) {
        for (int i = 0; i < b->sweeping; i++)
            b->one[k][i] = fcl_reshape(fcl_slice(all[i], 0, k, k + 1), b->mx[i]->shape);
        fcl_jvp(1, b->y, &b->alone[k], b->sweeping, b->mx, b->one[k]);
    }
    if (b->s - b->row->settings < 2)
        fcl_output(b->together[SWEEPS - 1]);
}

/* The gradient of <u, J v> in x and in v. */
static void build_gradient_of_tangent(trial *t, built *b)
{
    for (int i = 0; i < 2 * b->moving; i++) {
        b->both[i] = i < b->moving ? b->mx[i] : b->v[i - b->moving];
        b->way[i] = trial_input(t, b->both[i]->shape, SMOOTH, 0);
    }
    b->forward = fcl_sum(fcl_mul(b->u, b->dy));
    fcl_vjp(b->forward, NULL, 2 * b->moving, b->both, b->gradient);
}

static void build_derivatives(trial *t, built *b)
{
    for (int i = 0; i < b->inputs; i++)
        if (b->row->domain[i] == SMOOTH || b->row->domain[i] == POSITIVE || b->row->domain[i] == AWAY) {
            b->mx[b->moving] = b->x[i];
            b->v[b->moving++] = trial_input(t, b->x[i]->shape, SMOOTH, 0);
        }
    b->u = trial_input(t, b->y[0]->shape, SMOOTH, 0);
    fcl_jvp(1, b->y, &b->dy, b->moving, b->mx, b->v);
    fcl_vjp(b->y[0], b->u, b->moving, b->mx, b->dx);
    for (int i = 0; i < b->moving; i++) {
        fcl_tensor *term = fcl_sum(fcl_mul(b->dx[i], b->v[i]));
        b->dot = i ? fcl_add(b->dot, term) : term;
        fcl_output(b->dx[i]);
    }
    fcl_vjp(b->dot, NULL, b->moving, b->mx, b->ddx);
    fcl_output(b->dy);
    if (!is_modest(b))
        return;
    build_gradient_of_tangent(t, b);
    if (has_rank_left(b))
        build_sweeps(t, b);
}

/* --- the rules, in double precision --- */

typedef struct scaled {
    double value, scale; /* a sum, and the sum of its terms' magnitudes */
} scaled;

static void add_product(scaled *sum, const double *a, const double *b, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        sum->value += a[i] * b[i];
        sum->scale += fabs(a[i] * b[i]);
    }
}

static scaled dot_of(const trial *t, int count, fcl_tensor *const *a, fcl_tensor *const *b)
{
    scaled sum = {0};
    for (int i = 0; i < count; i++)
        add_product(&sum, reference_value(t->r, a[i]), reference_value(t->r, b[i]),
                    fcl_shape_size(a[i]->shape));
    return sum;
}

static bool close_to(const built *b, const char *what, scaled a, scaled c, double tolerance)
{
    if (fabs(a.value - c.value) <= tolerance * (1 + a.scale + c.scale))
        return true;
    printf("%s, case %d: %s: %.12g and %.12g\n", b->row->op, (int)(b->s - b->row->settings), what, a.value,
           c.value);
    return false;
}

static bool sweep_agrees(const trial *t, const built *b, int n)
{
    int64_t size = fcl_shape_size(b->y[0]->shape), count = sweeps[n] * size;
    if (!fcl_shape_equal(b->together[n]->shape, fcl_shape_joined(FCL_SHAPE(sweeps[n]), b->y[0]->shape))) {
        printf("%s: %d tangents have the shape %s\n", b->row->op, sweeps[n],
               fcl_shape_text(t->graph, b->together[n]->shape));
        return false;
    }
    for (int64_t i = 0; i < count; i++) {
        scaled many = {reference_value(t->r, b->together[n])[i], 0};
        scaled one = {reference_value(t->r, b->alone[i / size])[i % size], 0};
        if (!close_to(b, "one of many tangents and it alone", many, one, 1e-12 * (1 + fabs(one.value))))
            return false;
    }
    return true;
}

static bool sweeps_hold(const trial *t, const built *b)
{
    bool held = true;
    for (int n = 0; n < SWEEPS && b->sweeping; n++)
        held &= sweep_agrees(t, b, n);
    for (int k = 0; k < TANGENTS && b->sweeping; k++)
        held &= close_to(b, "<u, J v> and <J' u, v> of a sweep's tangent", dot_of(t, 1, &b->u, &b->alone[k]),
                         dot_of(t, b->sweeping, b->dx, b->one[k]), 1e-6);
    return held;
}

enum { STEP = 16384 }; /* of difference quotients: 2 / 32768 */

/* How `value` moves, and <u, y> where that is asked for, as x moves along the directions. */
static double quotient(trial *t, const built *b, const fcl_tensor *value, int count, fcl_tensor *const *x,
                       fcl_tensor *const *direction, double *of_y)
{
    double moved = 0;
    for (int sign = 1; sign >= -1; sign -= 2) {
        trial_move(t, b->part, sign / (2.0 * STEP), count, x, direction);
        moved += sign * reference_value(t->r, value)[0] * STEP;
        if (of_y)
            *of_y += sign * dot_of(t, 1, &b->u, b->y).value * STEP;
    }
    trial_move(t, b->part, 0, count, x, direction);
    return moved;
}

static bool rules_hold(trial *t, const built *b)
{
    bool held = sweeps_hold(t, b);
    scaled forward = dot_of(t, 1, &b->u, &b->dy), backward = dot_of(t, b->moving, b->dx, b->v);
    scaled second = dot_of(t, b->moving, b->ddx, b->v), mixed = {0};
    scaled moved = {0}, moved_slope = {0}, moved_tangent = {0};
    if (b->forward)
        mixed = dot_of(t, 2 * b->moving, b->gradient, b->way);
    moved_slope.value = quotient(t, b, b->dot, b->moving, b->mx, b->v, &moved.value);
    if (b->forward)
        moved_tangent.value = quotient(t, b, b->forward, 2 * b->moving, b->both, b->way, NULL);
    held &= close_to(b, "<u, J v> and <J' u, v>", forward, backward, 1e-6);
    held &= close_to(b, "J v and the difference quotient", forward, moved, 1e-5);
    held &= close_to(b, "the second derivative and its difference quotient", second, moved_slope, 1e-5);
    return held & close_to(b, "the gradient of <u, J v> and its difference quotient", mixed, moved_tangent, 1e-5);
}

/* --- a row --- */

static bool fits(const row_case *row, const setting *s)
{
    int64_t size = fcl_shape_size(s->shape[0]);
    for (int i = 1; i < row->inputs; i++)
        size += fcl_shape_size(input_shape(row, s, i));
    return !trial_tiny() || size <= 150;
}

static bool device_agrees(trial *t, const built *b, const char *fusion)
{
    char what[128];
    snprintf(what, sizeof what, "%s, case %d, %s", b->row->op, (int)(b->s - b->row->settings), fusion);
    bool agrees = true;
    for (int i = 0; i < b->outputs; i++)
        agrees &= trial_agrees(t, b->y[i], what);
    if (b->dy)
        agrees &= trial_agrees(t, b->dy, what);
    if (b->sweeping && b->together[SWEEPS - 1]->kept)
        agrees &= trial_agrees(t, b->together[SWEEPS - 1], what);
    for (int i = 0; i < b->moving; i++)
        agrees &= trial_agrees(t, b->dx[i], what);
    return agrees;
}

static bool run_row(fcl_device *device, const fcl_op *op, const row_case *row, bool no_fusion)
{
    trial *t = trial_create();
    built *all = fcl_zalloc(MAX_SETTINGS * sizeof *all);
    int count = 0;
    bool right = true;
    for (int i = 0; i < row->count; i++) {
        if (!fits(row, &row->settings[i]) || (no_fusion && i % 3 != 0))
            continue; /* without fusion each node costs the driver a compilation: a third of the cases */
        built *b = &all[count++];
        b->row = row;
        b->s = &row->settings[i];
        b->part.first = t->graph->count;
        build_outputs(t, b);
        if (op->adjoint)
            build_derivatives(t, b);
        b->part.end = t->graph->count;
    }
    trial_fill(t);
    for (int i = 0; i < count && row->prepare; i++)
        row->prepare(t, all[i].x, all[i].s);
    fcl_graph_random(t->graph, 0x123456789ABCDEFu, 3, 1000003);
    trial_evaluate(t, 0, 0, NULL, NULL);
    for (int i = 0; i < count && op->adjoint && !no_fusion; i++)
        right &= rules_hold(t, &all[i]);
    if (fcl_graph_compile(t->graph, device, &(fcl_graph_options){.no_fusion = no_fusion}) != FCL_OK ||
        trial_run(t) != FCL_OK) {
        printf("%s: %s\n", row->op, fcl_error());
        right = false;
    }
    for (int i = 0; i < count && right; i++)
        right &= device_agrees(t, &all[i], no_fusion ? "not fused" : "fused");
    trial_destroy(&t);
    free(all);
    return right && count > 0;
}

static bool run_op(fcl_device *device, const fcl_op *op)
{
    for (size_t i = 0; i < sizeof held_by_all / sizeof *held_by_all; i++)
        if (strcmp(held_by_all[i], op->name) == 0)
            return reference_knows(op->name);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (strcmp(cases[i].op, op->name) == 0) {
            uint64_t mark = trial_mark();
            bool fused = run_row(device, op, &cases[i], false);
            trial_return(mark);
            return run_row(device, op, &cases[i], true) && fused;
        }
    printf("%s: a row of the table without a case\n", op->name);
    return false;
}

static void every_operation_is_right(void **state)
{
    const char *only = getenv("FCL_TEST_OP");
    int wrong = 0, count = 0;
    for (const fcl_op *const *op = fcl_ops; *op; op++) {
        if (only && strcmp(only, (*op)->name) != 0)
            continue;
        bool right = run_op(*state, *op);
        if (!right)
            printf("WRONG: %s\n", (*op)->name);
        wrong += !right;
        count++;
    }
    printf("%d operations, %d wrong\n", count, wrong);
    assert_int_equal(wrong, 0);
    assert_true(only ? count == 1 : count >= 40);
}

/* Places outside are taken as the nearer end; one that is no number gives none, and reads no memory. */
static void interpolation_takes_any_place(void **state)
{
    enum { PLACES = 6 };
    static const float table[] = {1, 3, -2}, place[PLACES] = {NAN, -INFINITY, INFINITY, -0.5f, 1.5f, 0.75f};
    static const float expected[PLACES] = {NAN, 1, -2, 1, -2, 0.5f};
    float found[PLACES];
    fcl_graph *graph = fcl_graph_create();
    fcl_tensor *curve = fcl_input(graph, "curve", FCL_F32, FCL_SHAPE(3, 1));
    fcl_tensor *x = fcl_input(graph, "x", FCL_F32, FCL_SHAPE(PLACES, 1));
    fcl_tensor *y = fcl_output(fcl_interpolate(curve, x));
    assert_int_equal(fcl_graph_compile(graph, *state, NULL), FCL_OK);
    assert_int_equal(fcl_tensor_write(curve, table), FCL_OK);
    assert_int_equal(fcl_tensor_write(x, place), FCL_OK);
    assert_int_equal(fcl_graph_run(graph), FCL_OK);
    assert_int_equal(fcl_tensor_read(y, found), FCL_OK);
    for (int i = 0; i < PLACES; i++)
        assert_true(isnan(expected[i]) ? isnan(found[i]) : fabsf(found[i] - expected[i]) < 1e-6f);
    fcl_graph_destroy(&graph);
}

/* Too large for the caches to keep, of any bits, in rows that end anywhere: cut in two, and joined the other way. */
static void large_copies_keep_their_bits(void **state)
{
    const int left = trial_int(17, 70), right = trial_int(17, 70), width = left + right;
    const int rows = (1 << 20) / (left < right ? left : right) + trial_int(1, 9);
    if (trial_tiny())
        skip();
    const size_t size = (size_t)rows * (size_t)width;
    int32_t *bits = fcl_zalloc(size * sizeof *bits), *found = fcl_zalloc(size * sizeof *found);
    fcl_graph *graph = fcl_graph_create();
    fcl_tensor *x = fcl_input(graph, "x", FCL_I32, FCL_SHAPE(rows, width));
    fcl_tensor *part[2] = {fcl_slice(x, 1, left, width), fcl_slice(x, 1, 0, left)};
    fcl_tensor *y = fcl_output(fcl_concat(2, part, 1));
    for (size_t i = 0; i < size; i++)
        bits[i] = trial_int(INT32_MIN, INT32_MAX);
    assert_int_equal(fcl_graph_compile(graph, *state, NULL), FCL_OK);
    assert_int_equal(fcl_tensor_write(x, bits), FCL_OK);
    assert_int_equal(fcl_graph_run(graph), FCL_OK);
    assert_int_equal(fcl_tensor_read(y, found), FCL_OK);
    for (int i = 0; i < rows; i++) {
        const int32_t *row = bits + (size_t)i * (size_t)width, *result = found + (size_t)i * (size_t)width;
        assert_memory_equal(result, row + left, (size_t)right * sizeof *row);
        assert_memory_equal(result + right, row, (size_t)left * sizeof *row);
    }
    fcl_graph_destroy(&graph);
    free(bits);
    free(found);
}

int main(void)
{
    trial_seed();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operation_is_right),
        cmocka_unit_test(interpolation_takes_any_place),
        cmocka_unit_test(large_copies_keep_their_bits),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
