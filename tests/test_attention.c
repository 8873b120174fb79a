/* Attention against its formula in plain C and double precision: the value, its gradients in q, k, v and bias, and its
 * tangent; what is left out; and shapes that do not fit. */
#include "device.h"
#include "trial.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum bias_kind { NO_BIAS, OWN_BIAS, SHARED_BIAS } bias_kind;

typedef struct shape_case {
    int batch, queries, keys, heads, width; /* of a head */
    bool mask;
    bias_kind bias;
    double size; /* of the queries: logits are about as large */
} shape_case;

static const shape_case tiny_cases[] = {
    {2, 3, 2, 2, 2, false, NO_BIAS, 1}, {2, 1, 3, 1, 3, true, SHARED_BIAS, 1},  {1, 2, 1, 2, 1, true, OWN_BIAS, 30},
    {1, 34, 35, 1, 33, true, OWN_BIAS, 1}, {1, 34, 35, 1, 2, true, NO_BIAS, 1}, /* more than one tile of each */
};
static const shape_case cases[] = {
    {3, 49, 49, 2, 32, false, SHARED_BIAS, 1}, {1, 64, 64, 2, 64, false, NO_BIAS, 1},  {2, 17, 65, 3, 20, true, OWN_BIAS, 1},
    {2, 70, 33, 1, 16, true, NO_BIAS, 40},     {1, 300, 270, 1, 8, false, NO_BIAS, 3}, {2, 1, 40, 2, 128, true, SHARED_BIAS, 1},
    {5, 9, 1, 1, 40, false, OWN_BIAS, 10},     {1, 70, 265, 2, 20, true, OWN_BIAS, 2}, {1, 13, 523, 1, 33, true, SHARED_BIAS, 2},
    {2, 9, 41, 1, 130, true, NO_BIAS, 1},
};

static shape_case random_case(void)
{
    shape_case s = {.batch = trial_int(1, 3), .queries = trial_int(1, 80), .keys = trial_int(1, 80), .heads = trial_int(1, 3)};
    s.width = trial_int(1, 70);
    s.mask = trial_int(0, 1);
    s.bias = (bias_kind)trial_int(0, 2);
    s.size = exp(trial_int(0, 4));
    return s;
}

/* --- the formula --- */

enum { Q, K, V, BIAS, MASK_IN, SEED, INPUTS };

/* Numbers of q, k, v and bias; of a result's shape or of a tangent of these, too. */
typedef struct expected {
    double *o, *gradient[4], *tangent;
} expected;

static double *numbers(int64_t count)
{
    return fcl_zalloc((size_t)count * sizeof(double));
}

static int64_t query_at(const shape_case *s, int b, int h, int i, int c)
{
    return (((int64_t)b * s->queries + i) * s->heads + h) * s->width + c;
}

static int64_t key_at(const shape_case *s, int b, int h, int j, int c)
{
    return (((int64_t)b * s->keys + j) * s->heads + h) * s->width + c;
}

static int64_t bias_at(const shape_case *s, int b, int h, int i, int j)
{
    return (((int64_t)(s->bias == SHARED_BIAS ? 0 : b) * s->heads + h) * s->queries + i) * s->keys + j;
}

static void find_weights(const shape_case *s, double *const *x, int b, int h, int i, double *p)
{
    double most = -INFINITY, sum = 0;
    for (int j = 0; j < s->keys; j++) {
        double product = 0;
        for (int c = 0; c < s->width; c++)
            product += x[Q][query_at(s, b, h, i, c)] * x[K][key_at(s, b, h, j, c)];
        p[j] = product / sqrt(s->width) + (s->bias ? x[BIAS][bias_at(s, b, h, i, j)] : 0);
        if (s->mask && x[MASK_IN][b * s->keys + j] == 0)
            p[j] = -INFINITY;
        most = fmax(most, p[j]);
    }
    for (int j = 0; j < s->keys; j++)
        sum += p[j] = isinf(most) ? 0 : exp(p[j] - most);
    for (int j = 0; j < s->keys; j++)
        p[j] /= sum > 0 ? sum : 1;
}

/* Of one row: with du_j = u v_j and the slope P_j (du_j - mean of du) in the logits, everything follows. */
static void add_row(const shape_case *s, double *const *x, double *const *dx, int b, int h, int i, expected *e)
{
    double *p = numbers(s->keys), *du = numbers(s->keys), *t = numbers(s->keys), mean = 0, moved = 0;
    find_weights(s, x, b, h, i, p);
    for (int j = 0; j < s->keys; j++) {
        for (int c = 0; c < s->width; c++) {
            int64_t q = query_at(s, b, h, i, c), k = key_at(s, b, h, j, c);
            du[j] += x[SEED][q] * x[V][k];
            t[j] += (dx[Q][q] * x[K][k] + x[Q][q] * dx[K][k]) / sqrt(s->width);
        }
        t[j] += s->bias ? dx[BIAS][bias_at(s, b, h, i, j)] : 0;
        mean += p[j] * du[j];
        moved += p[j] * t[j];
    }
    for (int j = 0; j < s->keys; j++) {
        double slope = p[j] * (du[j] - mean);
        if (s->bias)
            e->gradient[BIAS][bias_at(s, b, h, i, j)] += slope;
        for (int c = 0; c < s->width; c++) {
            int64_t q = query_at(s, b, h, i, c), k = key_at(s, b, h, j, c);
            e->o[q] += p[j] * x[V][k];
            e->tangent[q] += p[j] * (t[j] - moved) * x[V][k] + p[j] * dx[V][k];
            e->gradient[Q][q] += slope * x[K][k] / sqrt(s->width);
            e->gradient[K][k] += slope * x[Q][q] / sqrt(s->width);
            e->gradient[V][k] += p[j] * x[SEED][q];
        }
    }
    free(p);
    free(du);
    free(t);
}

static expected attend(const shape_case *s, double *const *x, double *const *dx)
{
    int64_t of_queries = (int64_t)s->batch * s->queries * s->heads * s->width;
    int64_t of_keys = (int64_t)s->batch * s->keys * s->heads * s->width;
    int64_t of_bias = (int64_t)s->batch * s->heads * s->queries * s->keys;
    expected e = {numbers(of_queries), {numbers(of_queries), numbers(of_keys), numbers(of_keys), numbers(of_bias)}, numbers(of_queries)};
    for (int b = 0; b < s->batch; b++)
        for (int h = 0; h < s->heads; h++)
            for (int i = 0; i < s->queries; i++)
                add_row(s, x, dx, b, h, i, &e);
    return e;
}

static void free_expected(expected *e)
{
    free(e->o);
    free(e->tangent);
    for (int i = 0; i < 4; i++)
        free(e->gradient[i]);
}

/* --- on a device --- */

/* x: q, k, v, bias, mask and what belongs to the result; dx: tangents of the first four; NULL where there is none. */
typedef struct attention {
    const shape_case *s;
    trial *t;
    fcl_tensor *x[INPUTS], *dx[4], *o, *gradient[4], *tangent;
    int factors; /* 4: with a bias */
} attention;

static attention make(const shape_case *s)
{
    attention a = {.s = s, .t = trial_create(), .factors = s->bias ? 4 : 3};
    fcl_shape queries = FCL_SHAPE(s->batch, s->queries, s->heads * s->width);
    fcl_shape keys = FCL_SHAPE(s->batch, s->keys, s->heads * s->width);
    fcl_shape bias = FCL_SHAPE(s->bias == SHARED_BIAS ? 1 : s->batch, s->heads, s->queries, s->keys);
    const fcl_shape shape[INPUTS] = {queries, keys, keys, bias, FCL_SHAPE(s->batch, s->keys), queries};
    for (int i = 0; i < INPUTS; i++)
        if ((i != BIAS || s->bias) && (i != MASK_IN || s->mask))
            a.x[i] = trial_input(a.t, shape[i], i == MASK_IN ? MASK : SMOOTH, 0);
    for (int i = 0; i < a.factors; i++)
        a.dx[i] = trial_input(a.t, shape[i], SMOOTH, 0);
    a.o = fcl_output(fcl_attention(a.x[Q], a.x[K], a.x[V], s->heads, a.x[MASK_IN], a.x[BIAS]));
    fcl_vjp(a.o, a.x[SEED], a.factors, a.x, a.gradient);
    for (int i = 0; i < a.factors; i++)
        fcl_output(a.gradient[i]);
    fcl_jvp(1, &a.o, &a.tangent, a.factors, a.x, a.dx);
    fcl_output(a.tangent);
    trial_fill(a.t);
    double *q = trial_leaf_of(a.t, a.x[Q])->value;
    for (int64_t i = 0; i < fcl_shape_size(queries); i++)
        q[i] = (double)(float)(s->size * q[i]);
    return a;
}

static double *value_of(const attention *a, const fcl_tensor *leaf)
{
    return leaf ? trial_leaf_of(a->t, leaf)->value : NULL;
}

static void check(const attention *a, const char *what, fcl_tensor *tensor, const double *wanted)
{
    int64_t size = fcl_shape_size(fcl_tensor_shape(tensor));
    float *found = fcl_zalloc((size_t)size * sizeof *found);
    const double *bound = trial_error(a->t, tensor);
    const shape_case *s = a->s;
    assert_ok(fcl_tensor_read(tensor, found));
    for (int64_t i = 0; i < size; i++)
        if (!(fabs(found[i] - wanted[i]) <= bound[i]))
            fail_msg("%s of (%d, %d by %d, %d x %d)%s%s, size %g: element %lld is %.9g, not %.9g to %.2g", what, s->batch,
                     s->queries, s->keys, s->heads, s->width, s->mask ? ", a mask" : "",
                     s->bias == OWN_BIAS ? ", biases" : s->bias ? ", a bias" : "", s->size, (long long)i, (double)found[i],
                     wanted[i], bound[i]);
    free(found);
}

static void check_case(const shape_case *s, fcl_device *device)
{
    static const char *const of[] = {"the gradient in q", "in k", "in v", "in the bias"};
    attention a = make(s);
    double *x[INPUTS], *dx[4];
    for (int i = 0; i < INPUTS; i++)
        x[i] = value_of(&a, a.x[i]);
    for (int i = 0; i < 4; i++)
        dx[i] = value_of(&a, a.dx[i]);
    trial_evaluate(a.t, 0, 0, NULL, NULL);
    assert_ok(fcl_graph_compile(a.t->graph, device, NULL));
    assert_ok(trial_run(a.t));
    expected e = attend(s, x, dx);
    check(&a, "attention", a.o, e.o);
    for (int i = 0; i < a.factors; i++)
        check(&a, of[i], a.gradient[i], e.gradient[i]);
    check(&a, "the tangent", a.tangent, e.tangent);
    free_expected(&e);
    trial_destroy(&a.t);
}

static void attention_is_its_formula(void **state)
{
    for (size_t i = 0; i < sizeof tiny_cases / sizeof *tiny_cases; i++)
        check_case(&tiny_cases[i], *state);
    for (size_t i = 0; i < sizeof cases / sizeof *cases && !trial_tiny(); i++)
        check_case(&cases[i], *state);
    for (int i = 0; i < 3 && !trial_tiny(); i++) {
        shape_case s = random_case();
        check_case(&s, *state);
    }
}

/* --- what is left out --- */

/* A small graph with one item's values written as they are; reads o and the gradients of ones. Kernels take at most 32 keys
 * (off CPUs) at a time: there are more. */
enum { T = 36, D = 3, TILE = 32 };
typedef struct outcome {
    float o[T * D], gradient[4][T * T];
} outcome;

static outcome run_with(fcl_device *device, const float *k, const float *v, const float *mask, const float *bias)
{
    outcome found;
    float q[T * D];
    fcl_graph *graph = fcl_graph_create();
    fcl_tensor *x[4], *gradient[4], *m = fcl_input(graph, "mask", FCL_F32, FCL_SHAPE(1, T));
    for (int i = 0; i < 3; i++)
        x[i] = fcl_input(graph, "x", FCL_F32, FCL_SHAPE(1, T, D));
    x[BIAS] = fcl_input(graph, "bias", FCL_F32, FCL_SHAPE(1, 1, T, T));
    fcl_tensor *o = fcl_output(fcl_attention(x[Q], x[K], x[V], 1, m, x[BIAS]));
    fcl_vjp(o, NULL, 4, x, gradient);
    for (int i = 0; i < 4; i++)
        fcl_output(gradient[i]);
    for (int i = 0; i < T * D; i++)
        q[i] = (float)i / 8 - 1;
    assert_ok(fcl_graph_compile(graph, device, NULL));
    assert_ok(fcl_tensor_write(x[Q], q));
    assert_ok(fcl_tensor_write(x[K], k));
    assert_ok(fcl_tensor_write(x[V], v));
    assert_ok(fcl_tensor_write(m, mask));
    assert_ok(fcl_tensor_write(x[BIAS], bias));
    assert_ok(fcl_graph_run(graph));
    assert_ok(fcl_tensor_read(o, found.o));
    for (int i = 0; i < 4; i++)
        assert_ok(fcl_tensor_read(gradient[i], found.gradient[i]));
    fcl_graph_destroy(&graph);
    return found;
}

static void fill(float *k, float *v, float *bias)
{
    for (int i = 0; i < T * D; i++) {
        k[i] = (float)trial_normal();
        v[i] = (float)trial_normal();
    }
    for (int i = 0; i < T * T; i++)
        bias[i] = (float)trial_normal();
}

/* Whatever a key and its value hold that is left out, infinities and NaN too, changes no bit. `from`: all keys before it are
 * left out, too. */
static void check_left_out(fcl_device *device, int from)
{
    float k[T * D], v[T * D], bias[T * T], mask[T];
    fill(k, v, bias);
    for (int j = 0; j < T; j++)
        mask[j] = j >= from && j != 2 && j != 4 && j != TILE + 1;
    outcome before = run_with(device, k, v, mask, bias);
    for (int c = 0; c < D; c++) {
        k[2 * D + c] = c % 2 ? INFINITY : NAN;
        v[2 * D + c] = NAN;
        v[4 * D + c] = -INFINITY;
        k[(TILE + 1) * D + c] = v[(TILE + 1) * D + c] = NAN;
    }
    outcome after = run_with(device, k, v, mask, bias);
    assert_memory_equal(&before, &after, sizeof before.o);
    for (int i = 0; i < T * D; i++) {
        assert_true(isfinite(after.o[i]));
        for (int f = 0; f < 3; f++)
            assert_true(after.gradient[f][i] == before.gradient[f][i]);
    }
    for (int c = 0; c < D; c++)
        assert_true(after.gradient[K][2 * D + c] == 0 && after.gradient[V][4 * D + c] == 0);
    for (int i = 0; i < T; i++)
        assert_true(after.gradient[BIAS][i * T + 2] == 0);
}

static void keys_left_out_are_not_read(void **state)
{
    check_left_out(*state, 0);
    check_left_out(*state, TILE);
}

/* Rows without any key, by the mask or by a bias of -infinity, and keys that a bias leaves out of a row. */
static void rows_without_keys_are_zero(void **state)
{
    float k[T * D], v[T * D], bias[T * T], none[T] = {0}, all[T];
    fill(k, v, bias);
    for (int j = 0; j < T; j++)
        all[j] = 1;
    outcome found = run_with(*state, k, v, none, bias);
    for (int i = 0; i < T * D; i++)
        assert_true(found.o[i] == 0 && found.gradient[Q][i] == 0 && found.gradient[K][i] == 0 && found.gradient[V][i] == 0);
    for (int i = 0; i < T * T; i++)
        assert_true(found.gradient[BIAS][i] == 0);
    for (int j = 0; j < T; j++)
        bias[1 * T + j] = -INFINITY;
    bias[3 * T] = -INFINITY;
    for (int j = 0; j < TILE; j++)
        bias[5 * T + j] = -INFINITY;
    found = run_with(*state, k, v, all, bias);
    for (int c = 0; c < D; c++)
        assert_true(found.o[D + c] == 0 && found.gradient[Q][D + c] == 0 && isfinite(found.o[3 * D + c]) && isfinite(found.o[5 * D + c]) &&
                    found.o[5 * D + c] != 0);
    for (int i = 0; i < T * D; i++)
        assert_true(isfinite(found.gradient[K][i]) && isfinite(found.gradient[V][i]));
    for (int j = 0; j < T; j++)
        assert_true(found.gradient[BIAS][T + j] == 0);
    assert_true(found.gradient[BIAS][3 * T] == 0);
}

/* --- several at once --- */

static void write_normal(fcl_tensor *x)
{
    int64_t size = fcl_shape_size(fcl_tensor_shape(x));
    float *values = fcl_zalloc((size_t)size * sizeof *values);
    for (int64_t i = 0; i < size; i++)
        values[i] = (float)trial_normal();
    assert_ok(fcl_tensor_write(x, values));
    free(values);
}

/* Gradients are linear in what belongs to the result: their tangents along two of these, in one sweep, are the gradients of each,
 * of which one graph asks for those in k or v alone. */
static void gradients_of_several_seeds(void **state)
{
    enum { B = 2, QUERIES = 33, KEYS = 35, C = 5, SEEDS = 2 };
    const fcl_shape queries = FCL_SHAPE(B, QUERIES, C), keys = FCL_SHAPE(B, KEYS, C);
    fcl_graph *graph = fcl_graph_create();
    fcl_tensor *x[3] = {fcl_input(graph, "q", FCL_F32, queries), fcl_input(graph, "k", FCL_F32, keys), fcl_input(graph, "v", FCL_F32, keys)};
    fcl_tensor *u = fcl_input(graph, "u", FCL_F32, queries), *along = fcl_input(graph, "along", FCL_F32, FCL_SHAPE(SEEDS, B, QUERIES, C));
    fcl_tensor *o = fcl_attention(x[Q], x[K], x[V], 1, NULL, NULL), *gradient[3], *moved[3], *alone[SEEDS][3];
    fcl_vjp(o, u, 3, x, gradient);
    fcl_jvp(3, gradient, moved, 1, &u, &along);
    for (int f = 0; f < 3; f++) {
        fcl_output(moved[f]);
        for (int t = 0; t < SEEDS; t++) {
            fcl_vjp(o, fcl_reshape(fcl_slice(along, 0, t, t + 1), queries), 1, &x[f], &alone[t][f]);
            fcl_output(alone[t][f]);
        }
    }
    assert_ok(fcl_graph_compile(graph, *state, NULL));
    for (int f = 0; f < 3; f++)
        write_normal(x[f]);
    write_normal(u);
    write_normal(along);
    assert_ok(fcl_graph_run(graph));
    for (int f = 0; f < 3; f++) {
        enum { MOST = B * KEYS * C };
        float both[SEEDS * MOST], one[MOST];
        int size = (int)fcl_shape_size(f == Q ? queries : keys);
        assert_ok(fcl_tensor_read(moved[f], both));
        for (int t = 0; t < SEEDS; t++) {
            assert_ok(fcl_tensor_read(alone[t][f], one));
            for (int i = 0; i < size; i++)
                if (!(fabsf(both[t * size + i] - one[i]) <= 1e-5f * (1 + fabsf(one[i]))))
                    fail_msg("factor %d, seed %d, element %d: %.9g, alone %.9g", f, t, i, (double)both[t * size + i], (double)one[i]);
        }
    }
    fcl_graph_destroy(&graph);
}

/* --- what fits nowhere --- */

typedef struct misfit {
    fcl_shape q, k, v, mask, bias; /* rank 0: none */
    int heads;
    const char *sentence;
} misfit;

static void refused(fcl_device *device, const misfit *m)
{
    fcl_graph *graph = fcl_graph_create();
    fcl_tensor *q = fcl_input(graph, "frames", FCL_F32, m->q), *k = fcl_input(graph, "k", FCL_F32, m->k);
    fcl_tensor *v = fcl_input(graph, "v", FCL_F32, m->v), *dq;
    fcl_tensor *mask = m->mask.rank ? fcl_input(graph, "mask", FCL_F32, m->mask) : NULL;
    fcl_tensor *bias = m->bias.rank ? fcl_input(graph, "bias", FCL_F32, m->bias) : NULL;
    fcl_tensor *o = fcl_attention(q, k, v, m->heads, mask, bias);
    fcl_vjp(fcl_sum(fcl_silu(o)), NULL, 1, &q, &dq);
    fcl_output(dq);
    assert_status(FCL_ERR_SHAPE, fcl_graph_compile(graph, device, NULL));
    if (!strstr(fcl_error(), m->sentence) || !strstr(fcl_error(), "frames") || strchr(fcl_error(), '\n'))
        fail_msg("\"%s\" does not tell that %s", fcl_error(), m->sentence);
    fcl_graph_destroy(&graph);
}

static void misfits_are_told(void **state)
{
    const fcl_shape x = FCL_SHAPE(2, 4, 6), y = FCL_SHAPE(2, 5, 6), none = FCL_SCALAR;
    const misfit misfits[] = {
        {x, y, y, none, none, 4, "4 heads do not divide its 6 columns"},
        {x, y, y, none, none, 0, "0 heads do not divide its 6 columns"},
        {x, y, y, none, none, -3, "-3 heads do not divide its 6 columns"},
        {x, FCL_SHAPE(3, 5, 6), y, none, none, 2, "k (3, 5, 6) and v (2, 5, 6); they are (B, Tq, heads d), (B, Tk, heads d)"},
        {x, y, FCL_SHAPE(2, 4, 6), none, none, 2, "k (2, 5, 6) and v (2, 4, 6)"},
        {x, FCL_SHAPE(2, 5, 8), FCL_SHAPE(2, 5, 8), none, none, 2, "attention of input 'frames' (2, 4, 6): k (2, 5, 8)"},
        {x, y, FCL_SHAPE(2, 5, 8), none, none, 2, "k (2, 5, 6) and v (2, 5, 8)"},
        {FCL_SHAPE(4, 6), FCL_SHAPE(5, 6), FCL_SHAPE(5, 6), none, none, 2, "(4, 6): k (5, 6) and"},
        {x, y, y, FCL_SHAPE(2, 4), none, 2, "a mask (2, 4); it is (2, 5), a number for each key"},
        {x, y, y, FCL_SHAPE(1, 5), none, 2, "a mask (1, 5); it is (2, 5)"},
        {x, y, y, FCL_SHAPE(2, 5, 1), none, 2, "a mask (2, 5, 1); it is (2, 5)"},
        {x, y, y, none, FCL_SHAPE(2, 4, 5), 2, "a bias (2, 4, 5); it is (2 or 1, 2, 4, 5)"},
        {x, y, y, none, FCL_SHAPE(2, 1, 4, 5), 2, "a bias (2, 1, 4, 5); it is (2 or 1, 2, 4, 5)"},
        {x, y, y, none, FCL_SHAPE(3, 2, 4, 5), 2, "a bias (3, 2, 4, 5); it is (2 or 1, 2, 4, 5)"},
        {x, y, y, none, FCL_SHAPE(1, 2, 5, 4), 2, "a bias (1, 2, 5, 4); it is (2 or 1, 2, 4, 5)"},
    };
    for (size_t i = 0; i < sizeof misfits / sizeof *misfits; i++)
        refused(*state, &misfits[i]);
}

int main(void)
{
    trial_seed();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attention_is_its_formula),
        cmocka_unit_test(keys_left_out_are_not_read),
        cmocka_unit_test(rows_without_keys_are_zero),
        cmocka_unit_test(gradients_of_several_seeds),
        cmocka_unit_test(misfits_are_told),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
