/* Softmax, norms and losses, which are made of other operations, against their formulas in plain C and double
 * precision: the value, and the gradient of <u, y> in each input by the formula of its own backward pass. */
#include "compile/kind.h"
#include "device.h"
#include "op/ops.h"
#include "trial.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_INPUTS = 3 };

/* A case as (outer, reduced, inner) of what is normalised, and its weights' places. */
typedef struct made {
    trial *t;
    fcl_tensor *x[MOST_INPUTS], *label, *y, *u, *dx[MOST_INPUTS];
    int inputs;
    double *value, *gradient[MOST_INPUTS]; /* expected */
} made;

static double *of(const made *m, const fcl_tensor *leaf)
{
    return trial_leaf_of(m->t, leaf)->value;
}

static double *numbers(const fcl_tensor *like)
{
    return fcl_zalloc((size_t)fcl_shape_size(like->shape) * sizeof(double));
}

static void made_begin(made *m, int inputs, const fcl_shape *shapes)
{
    *m = (made){.t = trial_create(), .inputs = inputs};
    for (int i = 0; i < inputs; i++)
        m->x[i] = trial_input(m->t, shapes[i], SMOOTH, 0);
}

/* Each element within twice its bound: the graph's own constants, such as 1 / n, are rounded as well. */
static bool tensor_agrees(const made *m, const char *what, fcl_tensor *tensor, const double *expected)
{
    int64_t size = fcl_shape_size(tensor->shape), i = 0;
    float *found = fcl_zalloc((size_t)size * sizeof *found);
    const double *error = trial_error(m->t, tensor);
    bool read = fcl_tensor_read(tensor, found) == FCL_OK;
    while (read && i < size && fabs((double)found[i] - expected[i]) <= 2 * error[i])
        i++;
    if (read && i < size)
        printf("%s: element %lld is %.9g, expected %.9g, bound %.2g\n", what, (long long)i, (double)found[i], expected[i],
               2 * error[i]);
    free(found);
    return i == size;
}

/* Runs what `y` and `formula` say in both ways; frees all. */
static void made_end(made *m, fcl_device *device, const char *what, void (*formula)(made *m, const void *how),
                     const void *how, bool no_fusion)
{
    fcl_output(m->y);
    m->u = trial_input(m->t, m->y->shape, SMOOTH, 0);
    fcl_vjp(m->y, m->u, m->inputs, m->x, m->dx);
    for (int i = 0; i < m->inputs; i++)
        fcl_output(m->dx[i]);
    m->value = numbers(m->y);
    for (int i = 0; i < m->inputs; i++)
        m->gradient[i] = numbers(m->x[i]);
    trial_fill(m->t);
    formula(m, how);
    if (fcl_graph_compile(m->t->graph, device, &(fcl_graph_options){.no_fusion = no_fusion}) != FCL_OK ||
        trial_run(m->t) != FCL_OK)
        fail_msg("%s: %s", what, fcl_error());
    trial_evaluate(m->t, 0, 0, NULL, NULL);
    bool right = tensor_agrees(m, what, m->y, m->value);
    for (int i = 0; i < m->inputs; i++)
        right &= tensor_agrees(m, what, m->dx[i], m->gradient[i]);
    if (!right)
        fail_msg("%s, %s, is wrong", what, no_fusion ? "not fused" : "fused");
    free(m->value);
    for (int i = 0; i < m->inputs; i++)
        free(m->gradient[i]);
    trial_destroy(&m->t);
}

/* --- softmax and its kin: p = exp(x) / sum exp(x) along the axis --- */

typedef struct lines {
    fcl_shape shape;
    int axis, kind; /* 0 softmax, 1 log_softmax, 2 log_sum_exp */
} lines;

static void soft_formula(made *m, const void *how)
{
    const lines *l = how;
    const double *x = of(m, m->x[0]), *u = of(m, m->u);
    int64_t count = l->shape.dim[l->axis], inner = 1;
    for (int d = l->axis + 1; d < l->shape.rank; d++)
        inner *= l->shape.dim[d];
    for (int64_t line = 0; line < fcl_shape_size(l->shape) / count; line++) {
        int64_t first = line / inner * inner * count + line % inner;
        double sum = 0, dot = 0, total = 0;
        for (int64_t i = 0; i < count; i++)
            sum += exp(x[first + i * inner]);
        for (int64_t i = 0; i < count && l->kind < 2; i++) {
            int64_t at = first + i * inner;
            dot += u[at] * exp(x[at]) / sum;
            total += u[at];
        }
        for (int64_t i = 0; i < count; i++) {
            int64_t at = first + i * inner;
            double p = exp(x[at]) / sum;
            if (l->kind < 2)
                m->value[at] = l->kind == 0 ? p : x[at] - log(sum);
            m->gradient[0][at] = l->kind == 0   ? p * (u[at] - dot)
                                 : l->kind == 1 ? u[at] - p * total
                                                : u[line] * p;
        }
        if (l->kind == 2)
            m->value[line] = log(sum);
    }
}

static void softmax_is_its_formula(void **state)
{
    static const lines all[] = {
        {{2, {5, 7}}, 1, 0},   {{3, {3, 5, 4}}, 1, 0}, {{2, {17, 65}}, 1, 0},
        {{2, {17, 65}}, 1, 1}, {{2, {64, 257}}, 1, 2}, {{1, {35}}, 0, 0},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        for (int no_fusion = 0; no_fusion < (i % 4 ? 1 : 2); no_fusion++) {
            const lines *l = &all[i];
            made m;
            if (trial_tiny() && fcl_shape_size(l->shape) > 150)
                continue;
            made_begin(&m, 1, &l->shape);
            m.y = l->kind == 0   ? fcl_softmax(m.x[0], l->axis)
                  : l->kind == 1 ? fcl_log_softmax(m.x[0], l->axis)
                                 : fcl_log_sum_exp(m.x[0], l->axis);
            made_end(&m, *state, "softmax", soft_formula, l, no_fusion);
        }
}

/* Large numbers do not overflow; nothing but -infinity has the logarithm of 0 as its sum. */
static void logarithms_of_sums_do_not_overflow(void **state)
{
    static const float x[3][4] = {
        {1000, 1000, -1000, 999}, {-INFINITY, -INFINITY, -INFINITY, -INFINITY}, {-3e38f, 0, 1, 2}};
    const double expected[3] = {1000 + log(2 + exp(-1)), -INFINITY, log(1 + exp(1) + exp(2))};
    float found[3], soft[12];
    fcl_graph *graph = fcl_graph_create();
    fcl_tensor *a = fcl_input(graph, "a", FCL_F32, FCL_SHAPE(3, 4));
    fcl_tensor *y = fcl_output(fcl_log_sum_exp(a, 1)), *p = fcl_output(fcl_softmax(a, 1));
    assert_int_equal(fcl_graph_compile(graph, *state, NULL), FCL_OK);
    assert_int_equal(fcl_tensor_write(a, x), FCL_OK);
    assert_int_equal(fcl_graph_run(graph), FCL_OK);
    assert_int_equal(fcl_tensor_read(y, found), FCL_OK);
    assert_int_equal(fcl_tensor_read(p, soft), FCL_OK);
    for (int i = 0; i < 3; i++)
        assert_true(isinf(expected[i]) ? found[i] == -INFINITY
                                       : fabs(found[i] - expected[i]) < 1e-6 * fabs(expected[i]));
    assert_true(fabs(soft[0] - 1 / (2 + exp(-1))) < 1e-6 && soft[2] == 0);
    fcl_graph_destroy(&graph);
}

/* --- norms --- */

typedef struct norm {
    fcl_shape shape;
    int kind, axis, groups; /* 0 layer norm, 1 rms norm, 2 group norm, whose axis and groups these are */
    int weights;            /* 0 none, 1 weight, 2 weight and bias */
} norm;

static int64_t channel_of(const norm *n, int64_t i)
{
    for (int d = n->shape.rank - 1; d > n->axis; d--)
        i /= n->shape.dim[d];
    return i % n->shape.dim[n->axis];
}

/* The number of the set of elements that are normalised together. */
static int64_t set_of(const norm *n, int64_t i)
{
    if (n->kind < 2)
        return i / n->shape.dim[n->shape.rank - 1];
    int64_t sample = i / (fcl_shape_size(n->shape) / n->shape.dim[0]);
    return sample * n->groups + channel_of(n, i) / (n->shape.dim[n->axis] / n->groups);
}

typedef struct set {
    double sum, squares, us, uxs;
} set;

static void norm_formula(made *m, const void *how)
{
    const norm *n = how;
    const double *x = of(m, m->x[0]), *u = of(m, m->u), epsilon = 0.125;
    const double *w = n->weights > 0 ? of(m, m->x[1]) : NULL, *b = n->weights > 1 ? of(m, m->x[2]) : NULL;
    int64_t size = fcl_shape_size(n->shape), sets = set_of(n, size - 1) + 1;
    double count = (double)size / (double)sets;
    set *s = fcl_zalloc((size_t)sets * sizeof *s);
    for (int64_t i = 0; i < size; i++)
        s[set_of(n, i)].sum += n->kind == 1 ? 0 : x[i] / count;
    for (int64_t i = 0; i < size; i++)
        s[set_of(n, i)].squares += pow(x[i] - s[set_of(n, i)].sum, 2) / count;
    for (int pass = 0; pass < 2; pass++) /* the sums of du, then the gradient by them */
        for (int64_t i = 0; i < size; i++) {
            set *own = &s[set_of(n, i)];
            int64_t c = channel_of(n, i);
            double scale = 1 / sqrt(own->squares + epsilon), h = (x[i] - own->sum) * scale,
                   g = u[i] * (w ? w[c] : 1);
            if (pass == 0) {
                own->us += n->kind == 1 ? 0 : g / count;
                own->uxs += g * h / count;
                m->value[i] = h * (w ? w[c] : 1) + (b ? b[c] : 0);
                if (w)
                    m->gradient[1][c] += u[i] * h;
                if (b)
                    m->gradient[2][c] += u[i];
            } else {
                m->gradient[0][i] = scale * (g - own->us - h * own->uxs);
            }
        }
    free(s);
}

static void norms_are_their_formulas(void **state)
{
    static const norm all[] = {
        {{2, {5, 7}}, 0, 1, 0, 2},    {{2, {6, 8}}, 0, 1, 0, 2},    {{2, {300, 48}}, 0, 1, 0, 2},   {{3, {3, 4, 33}}, 0, 2, 0, 1},
        {{2, {64, 257}}, 1, 1, 0, 1}, {{3, {2, 6, 5}}, 2, 1, 3, 2},   {{4, {2, 3, 4, 6}}, 2, 3, 3, 2},
        {{2, {3, 1000}}, 0, 1, 0, 0}, {{4, {3, 9, 9, 32}}, 2, 3, 8, 2}, {{4, {3, 32, 9, 9}}, 2, 1, 8, 2},
        {{4, {3, 6, 8, 8}}, 2, 1, 2, 2}, {{4, {2, 8, 5, 17}}, 2, 1, 4, 1}, {{2, {1, 48}}, 0, 1, 0, 2},   {{2, {1100, 1000}}, 0, 1, 0, 2}, {{2, {1025, 1040}}, 0, 1, 0, 2}, /* larger than caches keep */
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        for (int no_fusion = 0; no_fusion < (i % 4 ? 1 : 2); no_fusion++) {
            const norm *n = &all[i];
            fcl_shape c = FCL_SHAPE(n->shape.dim[n->axis]), shapes[] = {n->shape, c, c};
            made m;
            if (trial_tiny() && fcl_shape_size(n->shape) > 150)
                continue;
            made_begin(&m, 1 + n->weights, shapes);
            fcl_tensor *w = n->weights > 0 ? m.x[1] : NULL, *b = n->weights > 1 ? m.x[2] : NULL;
            m.y = n->kind == 0   ? fcl_layer_norm(m.x[0], w, b, 0.125f)
                  : n->kind == 1 ? fcl_rms_norm(m.x[0], w, 0.125f)
                                 : fcl_group_norm(m.x[0], n->axis, n->groups, w, b, 0.125f);
            made_end(&m, *state,
                     n->kind == 0   ? "layer norm"
                     : n->kind == 1 ? "rms norm"
                                    : "group norm",
                     norm_formula, n, no_fusion);
        }
}

/* --- losses --- */

static void error_formula(made *m, const void *how)
{
    (void)how;
    const double *a = of(m, m->x[0]), *b = of(m, m->x[1]), u = of(m, m->u)[0];
    double size = (double)fcl_shape_size(m->x[0]->shape);
    for (int64_t i = 0; i < (int64_t)size; i++) {
        m->value[0] += pow(a[i] - b[i], 2) / size;
        m->gradient[0][i] = u * 2 * (a[i] - b[i]) / size;
        m->gradient[1][i] = -m->gradient[0][i];
    }
}

static void mean_squared_error_is_its_formula(void **state)
{
    static const fcl_shape all[] = {{1, {7}}, {2, {17, 65}}, {3, {33, 20, 70}}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        made m;
        if (trial_tiny() && fcl_shape_size(all[i]) > 150)
            continue;
        made_begin(&m, 2, (fcl_shape[]){all[i], all[i]});
        m.y = fcl_mean_squared_error(m.x[0], m.x[1]);
        made_end(&m, *state, "mean squared error", error_formula, NULL, false);
    }
}

static void entropy_formula(made *m, const void *how)
{
    const double *x = of(m, m->x[0]), *label = of(m, m->label), *u = of(m, m->u),
                 smoothing = *(const float *)how;
    int64_t rows = m->x[0]->shape.dim[0], count = m->x[0]->shape.dim[1];
    for (int64_t r = 0; r < rows; r++) {
        double sum = 0;
        int64_t own = label[r] < 0 ? 0 : label[r] >= (double)count ? count - 1 : (int64_t)label[r];
        for (int64_t c = 0; c < count; c++)
            sum += exp(x[r * count + c]);
        for (int64_t c = 0; c < count; c++) {
            double log_p = x[r * count + c] - log(sum),
                   q = smoothing / (double)count + (c == own) * (1 - smoothing);
            m->value[r] -= q * log_p;
            m->gradient[0][r * count + c] = u[r] * (exp(log_p) - q);
        }
    }
}

static void cross_entropy_is_its_formula(void **state)
{
    static const struct {
        fcl_shape shape;
        float smoothing;
    } all[] = {{{2, {9, 10}}, 0.125f}, {{2, {65, 33}}, 0}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        made m;
        if (trial_tiny() && fcl_shape_size(all[i].shape) > 150)
            continue;
        made_begin(&m, 1, &all[i].shape);
        m.label = trial_input(m.t, FCL_SHAPE(all[i].shape.dim[0]), INDEX, all[i].shape.dim[1]);
        m.y = fcl_cross_entropy(m.x[0], m.label, all[i].smoothing);
        made_end(&m, *state, "cross entropy", entropy_formula, &all[i].smoothing, false);
    }
}

/* --- views of a row --- */

/* y = x sum(x) s t, where s has a number for each 40 elements of a row of 120, and t one for each 60. */
static void views_cut_rows_anywhere(void **state)
{
    fcl_graph *graph = fcl_graph_create();
    fcl_tensor *x = fcl_input(graph, "x", FCL_F32, FCL_SHAPE(2, 120)), *s = fcl_input(graph, "s", FCL_F32, FCL_SHAPE(3, 1)),
               *t = fcl_input(graph, "t", FCL_F32, FCL_SHAPE(2, 1));
    fcl_tensor *scaled = fcl_mul(fcl_reshape(fcl_mul(x, fcl_sum_axes(x, 1u << 1)), FCL_SHAPE(2, 3, 40)), s);
    fcl_tensor *y = fcl_output(fcl_mul(fcl_reshape(scaled, FCL_SHAPE(2, 2, 60)), t));
    float found[240], values[240], of_s[3] = {1, 2, 4}, of_t[2] = {1, -8};
    for (int i = 0; i < 240; i++)
        values[i] = i % 120 ? 1 / 128.0f : 1; /* a row's sum is 247/128 */
    assert_int_equal(fcl_graph_compile(graph, *state, NULL), FCL_OK);
    assert_int_equal(fcl_tensor_write(x, values), FCL_OK);
    assert_int_equal(fcl_tensor_write(s, of_s), FCL_OK);
    assert_int_equal(fcl_tensor_write(t, of_t), FCL_OK);
    assert_int_equal(fcl_graph_run(graph), FCL_OK);
    assert_int_equal(fcl_tensor_read(y, found), FCL_OK);
    for (int i = 0; i < 240; i++) /* exact: numbers of few binary digits */
        assert_true(found[i] == values[i] * (247 / 128.0f) * of_s[i % 120 / 40] * of_t[i % 120 / 60]);
    fcl_graph_destroy(&graph);
}

/* --- few kernels, and nothing stored between --- */

typedef struct budget {
    const char *what;
    int forward, both; /* launches of the value alone, and of it with its gradients in x and the weights */
} budget;

static fcl_tensor *build_composite(int i, fcl_tensor *x, fcl_tensor *w, fcl_tensor *b, fcl_tensor *label)
{
    switch (i) {
    case 0:
        return fcl_softmax(x, 1);
    case 1:
        return fcl_log_sum_exp(x, 1);
    case 2:
        return fcl_silu(fcl_layer_norm(x, w, b, 1e-5f));
    case 3:
        return fcl_rms_norm(x, w, 1e-5f);
    case 4:
        return fcl_mean_squared_error(x, fcl_silu(x));
    case 5:
        return fcl_cross_entropy(x, label, 0.125f);
    default:
        return fcl_group_norm(fcl_reshape(x, FCL_SHAPE(8, 8, 260)), 1, 4, fcl_slice(w, 0, 0, 8), NULL, 1e-5f);
    }
}

/* --- gradients of what is cut into slices --- */

enum { MOST_SLICES = 40, SIDE = 3, LENGTH = 90 };

/* Windows of x (SIDE, LENGTH, SIDE), each times a weight of its own: y is the sum of all. */
typedef struct cuts {
    trial *t;
    fcl_tensor *x, *w[MOST_SLICES], *y, *dx, *v, *dw[MOST_SLICES];
    int count, axis[MOST_SLICES], begin[MOST_SLICES], end[MOST_SLICES];
} cuts;

/* One behind the other, up to the end. */
static void cut_all(cuts *c)
{
    int at = 0;
    for (c->count = 0; at < LENGTH; c->count++) {
        const int left = LENGTH - at, most = left < 12 ? left : 12;
        c->axis[c->count] = 1;
        c->begin[c->count] = at;
        c->end[c->count] = at += c->count == MOST_SLICES - 1 ? left : trial_int(1, most);
    }
}

static void cut_anywhere(cuts *c, bool any_axis)
{
    c->count = trial_int(1, MOST_SLICES);
    for (int i = 0; i < c->count; i++) {
        c->axis[i] = any_axis ? trial_int(0, 2) : 1;
        c->begin[i] = trial_int(0, (c->axis[i] == 1 ? LENGTH : SIDE) - 1);
        c->end[i] = trial_int(c->begin[i] + 1, c->axis[i] == 1 ? LENGTH : SIDE);
    }
}

/* In an order of their own. */
static void build_cuts(cuts *c)
{
    const fcl_shape whole = FCL_SHAPE(SIDE, LENGTH, SIDE);
    fcl_tensor *product[MOST_SLICES];
    c->x = trial_input(c->t, whole, SMOOTH, 0);
    c->v = trial_input(c->t, whole, SMOOTH, 0);
    for (int i = 0; i < c->count; i++) {
        fcl_shape shape = whole;
        shape.dim[c->axis[i]] = c->end[i] - c->begin[i];
        c->w[i] = trial_input(c->t, shape, SMOOTH, 0);
        product[i] = fcl_mul(fcl_slice(c->x, c->axis[i], c->begin[i], c->end[i]), c->w[i]);
    }
    for (int i = 0; i < c->count; i++) {
        const int k = trial_int(i, c->count - 1);
        fcl_tensor *next = product[k], *sum = fcl_sum_axes(next, 7);
        product[k] = product[i];
        c->y = i ? fcl_add(c->y, sum) : sum;
    }
    fcl_vjp(c->y, NULL, 1, &c->x, &c->dx);
    fcl_vjp(c->dx, c->v, c->count, c->w, c->dw);
    fcl_output(c->dx);
    for (int i = 0; i < c->count; i++)
        fcl_output(c->dw[i]);
}

/* Element `at` of x is number `own` of window i; false: it is none of it. */
static bool is_in(const cuts *c, int i, int at, int *own)
{
    int place[3] = {at / (LENGTH * SIDE), at / SIDE % LENGTH, at % SIDE}, size[3] = {SIDE, LENGTH, SIDE};
    const int axis = c->axis[i];
    if (place[axis] < c->begin[i] || place[axis] >= c->end[i])
        return false;
    place[axis] -= c->begin[i];
    size[axis] = c->end[i] - c->begin[i];
    *own = (place[0] * size[1] + place[1]) * size[2] + place[2];
    return true;
}

static void check_cuts(const cuts *c)
{
    enum { SIZE = SIDE * LENGTH * SIDE };
    float dx[SIZE], dw[SIZE];
    double expected[SIZE] = {0}, size[SIZE] = {0};
    int own;
    for (int i = 0; i < c->count; i++) {
        assert_ok(fcl_tensor_read(c->dw[i], dw));
        for (int at = 0; at < SIZE; at++) {
            if (!is_in(c, i, at, &own))
                continue;
            const double w = trial_leaf_of(c->t, c->w[i])->value[own], v = trial_leaf_of(c->t, c->v)->value[at];
            expected[at] += w;
            size[at] += fabs(w);
            if ((double)dw[own] != v)
                fail_msg("slice %d of %d: its weight's gradient %d is %g, not %g", i, c->count, own, (double)dw[own], v);
        }
    }
    assert_ok(fcl_tensor_read(c->dx, dx));
    for (int at = 0; at < SIZE; at++)
        if (fabs((double)dx[at] - expected[at]) > c->count * 0x1p-24 * size[at])
            fail_msg("of %d slices: gradient %d is %g, not %g", c->count, at, (double)dx[at], expected[at]);
}

static int pads_of(const fcl_graph *graph)
{
    int pads = 0;
    for (int i = 0; i < graph->count; i++)
        pads += graph->nodes[i]->needed && graph->nodes[i]->op == &fcl_op_pad;
    return pads;
}

/* Windows that touch, have others between, or overlap; their gradients come in any order. */
static void gradients_of_slices_are_joined(void **state)
{
    for (int round = 0; round < (trial_tiny() ? 3 : 12); round++) {
        cuts c = {.t = trial_create()};
        if (round % 3 == 0)
            cut_all(&c);
        else
            cut_anywhere(&c, round % 3 == 1);
        build_cuts(&c);
        trial_fill(c.t);
        assert_ok(fcl_graph_compile(c.t->graph, *state, NULL));
        if (trial_run(c.t) != FCL_OK)
            fail_msg("%s", fcl_error());
        check_cuts(&c);
        trial_destroy(&c.t);
    }
}

static void gradients_in_order_need_no_pads(void **state)
{
    fcl_graph *graph = fcl_graph_create();
    fcl_tensor *x = fcl_input(graph, "x", FCL_F32, FCL_SHAPE(4, 40)), *y = NULL, *dx;
    for (int i = 0; i < 20; i++) {
        fcl_tensor *sum = fcl_sum_axes(fcl_sin(fcl_slice(x, 1, 2 * i, 2 * i + 2)), 3);
        y = y ? fcl_add(y, sum) : sum;
    }
    fcl_vjp(y, NULL, 1, &x, &dx);
    fcl_output(dx);
    assert_ok(fcl_graph_compile(graph, *state, NULL));
    assert_int_equal(pads_of(graph), 0);
    fcl_graph_destroy(&graph);
}

static void composites_take_few_kernels(void **state)
{
    static const budget all[] = {{"softmax", 1, 1},   {"log_sum_exp", 1, 1},        {"layer_norm", 1, 2}, {"rms_norm", 1, 2},
                                 {"squared error", 2, 2}, {"cross_entropy", 2, 2}, {"group_norm", 2, 4}};
    for (int i = 0; i < (int)(sizeof all / sizeof *all); i++)
        for (int both = 0; both < (all[i].both ? 2 : 1); both++) {
            fcl_graph *graph = fcl_graph_create();
            fcl_tensor *x[3] = {fcl_input(graph, "x", FCL_F32, FCL_SHAPE(64, 260)),
                                fcl_input(graph, "w", FCL_F32, FCL_SHAPE(260)), fcl_input(graph, "b", FCL_F32, FCL_SHAPE(260))};
            fcl_tensor *label = fcl_input(graph, "label", FCL_I32, FCL_SHAPE(64)), *dx[3];
            fcl_tensor *y = fcl_output(build_composite(i, x[0], x[1], x[2], label));
            int count = i == 2 ? 3 : i == 3 || i == 6 ? 2 : 1;
            size_t bytes = 4096 + sizeof(float) * 64 * 260 * (size_t)(both + 1 + (i == 5)); /* and the labels' rows */
            if (both)
                fcl_vjp(y, fcl_shape_equal(y->shape, x[0]->shape) ? x[0] : NULL, count, x, dx);
            for (int k = 0; k < count && both; k++)
                fcl_output(dx[k]);
            assert_int_equal(fcl_graph_compile(graph, *state, NULL), FCL_OK);
            fcl_graph_stats stats = fcl_graph_describe(graph);
            size_t parts = sizeof(float) * 260 * (both ? 4 : 1) * 16 * (size_t)fcl_device_traits(*state).units;
            if (stats.launches > (both ? all[i].both : all[i].forward) || stats.arena_bytes > bytes + parts)
                fail_msg("%s%s: %d launches, %llu bytes", all[i].what, both ? " with its gradients" : "", stats.launches,
                         (unsigned long long)stats.arena_bytes);
            fcl_graph_destroy(&graph);
        }
}

/* Functions in the text of the graph's row programs, which has each pass in two forms, vectors and single elements. */
static int functions_of(const fcl_graph *graph)
{
    int count = 0;
    for (int s = 0; s < graph->plan->count; s++) {
        const fcl_step *step = &graph->plan->steps[s];
        fcl_generated g;
        if (!step->extent.width)
            continue;
        fcl_kind_of(step)->generate(graph->plan, step, &g);
        for (const char *at = g.body.data; (at = strstr(at, "MATH(")) != NULL; at++)
            count++;
        fcl_generated_free(&g);
    }
    return count / 2;
}

/* CPUs keep what a function has given for the passes that follow. */
static void functions_are_computed_once(void **state)
{
    static const int functions[] = {1, 1, 2}; /* exp; exp; SiLU, and the sigmoid of its derivative */
    if (!fcl_device_traits(*state).wide)
        skip();
    for (int i = 0; i < 3; i++) {
        fcl_graph *graph = fcl_graph_create();
        fcl_tensor *x[3] = {fcl_input(graph, "x", FCL_F32, FCL_SHAPE(64, 260)), fcl_input(graph, "w", FCL_F32, FCL_SHAPE(260)),
                            fcl_input(graph, "b", FCL_F32, FCL_SHAPE(260))};
        fcl_tensor *y = fcl_output(build_composite(i, x[0], x[1], x[2], NULL)), *dx[3];
        fcl_vjp(y, i == 1 ? NULL : x[0], i == 2 ? 3 : 1, x, dx);
        for (int k = 0; k < (i == 2 ? 3 : 1); k++)
            fcl_output(dx[k]);
        assert_int_equal(fcl_graph_compile(graph, *state, NULL), FCL_OK);
        assert_int_equal(functions_of(graph), functions[i]);
        fcl_graph_destroy(&graph);
    }
}

/* --- what does not fit --- */

static void misfits_are_mistakes(void **state)
{
    static const char *const says[] = {"softmax of input 'x': axis 2",
                                       "group_norm of input 'x': 3 groups",
                                       "group_norm of input 'x': 2 groups along axis 0",
                                       "smoothing 1",
                                       "labels of shape (4)",
                                       "arg_max of input 'x': axis -1"};
    for (int i = 0; i < 6; i++) {
        fcl_graph *graph = fcl_graph_create();
        fcl_tensor *x = fcl_input(graph, "x", FCL_F32, FCL_SHAPE(3, 4));
        fcl_tensor *label = fcl_input(graph, "label", FCL_I32, FCL_SHAPE(i == 4 ? 4 : 3));
        fcl_tensor *y = i == 0   ? fcl_softmax(x, 2)
                        : i == 1 ? fcl_group_norm(x, 1, 3, NULL, NULL, 0)
                        : i == 2 ? fcl_group_norm(x, 0, 2, NULL, NULL, 0)
                        : i == 5 ? fcl_arg_max(x, -1)
                                 : fcl_cross_entropy(x, label, i == 3 ? 1 : 0);
        fcl_output(y);
        assert_int_equal(fcl_graph_compile(graph, *state, NULL), FCL_ERR_SHAPE);
        if (!strstr(fcl_error(), says[i]))
            fail_msg("'%s' does not say '%s'", fcl_error(), says[i]);
        fcl_graph_destroy(&graph);
    }
}

int main(void)
{
    trial_seed();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(softmax_is_its_formula),       cmocka_unit_test(logarithms_of_sums_do_not_overflow),
        cmocka_unit_test(norms_are_their_formulas),     cmocka_unit_test(mean_squared_error_is_its_formula),
        cmocka_unit_test(cross_entropy_is_its_formula), cmocka_unit_test(composites_take_few_kernels), cmocka_unit_test(views_cut_rows_anywhere),
        cmocka_unit_test(gradients_of_slices_are_joined), cmocka_unit_test(gradients_in_order_need_no_pads),
        cmocka_unit_test(functions_are_computed_once), cmocka_unit_test(misfits_are_mistakes),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
