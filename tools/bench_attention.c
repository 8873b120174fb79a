/* Attention of random numbers, alone and with its gradients in q, k and v, as a graph of nothing else. */
#include "bench.h"

#include <math.h>
#include <stdlib.h>

struct bench_attention {
    bench_heads size;
    int form; /* of bench_attention_names */
    fcl_graph *graph;
    fcl_tensor *result; /* the value, or the gradient in k, which depends on all of it */
    float *values[4];   /* of q, k, v and what belongs to the value */
    bool ran;
};

enum { Q, K, V, U, INPUTS };
const char *const bench_attention_names[] = {"forward", "both ways", NULL};

/* The backward pass counts as two and a half forward ones: five products in place of two. */
double bench_attention_work(const bench_heads *s, int form)
{
    double tokens = s->tokens;
    return (form ? 3.5 : 1) * 4 * s->batch * s->heads * tokens * tokens * s->width;
}

static fcl_shape shape_of(const bench_heads *s)
{
    return FCL_SHAPE(s->batch, s->tokens, s->heads * s->width);
}

static void build(bench_attention *a, fcl_tensor **x)
{
    static const char *const names[] = {"q", "k", "v", "gradient"};
    fcl_tensor *gradient[3];
    a->graph = fcl_graph_create();
    for (int i = 0; i < INPUTS; i++)
        x[i] = fcl_input(a->graph, names[i], FCL_F32, shape_of(&a->size));
    a->result = fcl_output(fcl_attention(x[Q], x[K], x[V], a->size.heads, NULL, NULL));
    if (a->form == 0)
        return;
    fcl_vjp(a->result, x[U], 3, x, gradient);
    for (int i = 0; i < 3; i++)
        fcl_output(gradient[i]);
    a->result = gradient[K];
}

static int fill(bench_attention *a, fcl_tensor *const *x)
{
    int status = FCL_OK;
    size_t count = (size_t)fcl_shape_size(shape_of(&a->size));
    float *values = bench_numbers(INPUTS * count);
    for (int i = 0; i < INPUTS; i++)
        a->values[i] = values + (size_t)i * count;
    for (int i = 0; i < (a->form ? INPUTS : U) && status == FCL_OK; i++)
        status = fcl_tensor_write(x[i], a->values[i]);
    return status;
}

int bench_attention_create(fcl_device *device, const bench_heads *size, int form, bench_attention **attention)
{
    bench_attention *made = calloc(1, sizeof *made);
    fcl_tensor *x[INPUTS];
    *attention = made;
    if (!made)
        return FCL_ERR_MEMORY;
    *made = (bench_attention){.size = *size, .form = form};
    build(made, x);
    int status = fcl_graph_compile(made->graph, device, NULL);
    return status == FCL_OK ? fill(made, x) : status;
}

void bench_attention_destroy(bench_attention **attention)
{
    if (!*attention)
        return;
    fcl_graph_destroy(&(*attention)->graph);
    free((*attention)->values[0]);
    free(*attention);
    *attention = NULL;
}

int bench_attention_run(bench_attention *attention)
{
    attention->ran = true;
    return fcl_graph_run(attention->graph);
}

/* --- against double precision --- */

/* Row `token` of a head of q, k, v or what belongs to the value. */
static const float *row_of(const bench_attention *a, int of, int item, int head, int token)
{
    const bench_heads *s = &a->size;
    size_t row = (size_t)item * (size_t)s->tokens + (size_t)token;
    return a->values[of] + (row * (size_t)s->heads + (size_t)head) * (size_t)s->width;
}

static double product(const bench_attention *a, const float *x, const float *y)
{
    double sum = 0;
    for (int c = 0; c < a->size.width; c++)
        sum += (double)x[c] * (double)y[c];
    return sum;
}

/* The weights of a query, and what follows for each key of the value's gradient, less its mean: *slope may be NULL. */
static void weigh(const bench_attention *a, int item, int head, int token, double *weight, double *slope)
{
    double sum = 0, mean = 0;
    for (int j = 0; j < a->size.tokens; j++) {
        double s = product(a, row_of(a, Q, item, head, token), row_of(a, K, item, head, j));
        sum += weight[j] = exp(s / sqrt(a->size.width));
    }
    for (int j = 0; j < a->size.tokens; j++) {
        weight[j] /= sum;
        slope[j] = a->form ? product(a, row_of(a, U, item, head, token), row_of(a, V, item, head, j)) : 0;
        mean += weight[j] * slope[j];
    }
    for (int j = 0; j < a->size.tokens; j++)
        slope[j] = weight[j] * (slope[j] - mean);
}

/* Number `at` of the result, and the sum of its terms' magnitudes. */
static double expected(const bench_attention *a, size_t at, double *weight, double *slope, double *scale)
{
    const bench_heads *s = &a->size;
    int column = (int)(at % (size_t)s->width), head = (int)(at / (size_t)s->width % (size_t)s->heads);
    int row = (int)(at / (size_t)s->width / (size_t)s->heads), item = row / s->tokens, token = row % s->tokens;
    double sum = 0;
    *scale = 0;
    for (int i = 0; i < s->tokens; i++) {
        if (a->form || i == 0)
            weigh(a, item, head, a->form ? i : token, weight, slope);
        double term = a->form ? slope[token] * (double)row_of(a, Q, item, head, i)[column] / sqrt(s->width)
                              : weight[i] * (double)row_of(a, V, item, head, i)[column];
        sum += term;
        *scale += fabs(term);
    }
    return sum;
}

int bench_attention_error(const bench_attention *a, double *error)
{
    enum { ELEMENTS = 11, STRIDE = 100003 };
    size_t size = (size_t)fcl_shape_size(fcl_tensor_shape(a->result)), tokens = (size_t)a->size.tokens;
    float *found = calloc(size, sizeof *found);
    double *weight = calloc(2 * tokens, sizeof *weight);
    int status = found && weight ? fcl_tensor_read(a->result, found) : FCL_ERR_MEMORY;
    *error = a->ran ? 0 : INFINITY;
    for (size_t i = 0; status == FCL_OK && i < ELEMENTS; i++) {
        size_t at = i * STRIDE % size;
        double scale, wanted = expected(a, at, weight, weight + tokens, &scale);
        double wrong = fabs((double)found[at] - wanted) / (scale > 0 ? scale : 1);
        *error = wrong <= *error ? *error : isnan(wrong) ? INFINITY : wrong;
    }
    free(found);
    free(weight);
    return status;
}
